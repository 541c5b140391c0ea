import {
  AGENT_BLOCKED,
  AGENT_SIZE,
  AGENTS,
  META_FORK_BIT,
  OWNER_AGENT,
  OWNER_AWAITS,
  OWNER_CANCEL,
  OWNER_EPOCH,
  OWNER_KIND,
  OWNER_KIND_AWAIT,
  OWNER_KIND_FLOW,
  OWNER_KIND_TASK,
  OWNER_NEXT,
  OWNER_SLOT,
  OWNER_WAITING,
  SLOT_META,
  SLOT_QUEUED,
  WAIT_SLOT_BIT,
  WORD_OWNER_MASK,
  WORD_OWNER_SHIFT,
} from '../../build/generated/layout.ts';
import { ownersOf } from './snapshot.ts';
import type { LockSpace } from './space.ts';

/** Milliseconds from one look to the next: the first, and the longest. */
const LOOK_FIRST_MS = 10;
const LOOK_MOST_MS = 200;
/** A list of awaited calls that changes under us may lead in circles. */
const HOPS_MOST = 10_000;

/** It is stuck when so many of these owners are: the one that something waits for; of the tasks of a worker, as many as it may have at once. */
interface Place {
  readonly owners: readonly number[];
  readonly count: number;
}

/** An owner waits as long as all places are stuck. A wait for a lock has one place; a queued call has one for each worker that could take it. */
interface Edge {
  readonly places: readonly Place[];
  /** The record of a queued call, else 0. */
  readonly node: number;
}

/** A queued call goes on only when `owner` does, which is in the wait `epoch`. */
export interface Behind {
  /** The record that says that the call is awaited. */
  readonly node: number;
  readonly owner: number;
  readonly epoch: number;
}

interface Look {
  /** Owners that go on only when the one who awaits does, by address: their epoch and where they wait. */
  readonly stuck: ReadonlyMap<number, string>;
  /** For each queued call among what they wait for, the first one's included, one of those. */
  readonly behind: readonly Behind[];
}

/**
 * A call that an owner of locks awaits, and that no worker has begun. It needs any worker of its pool: so it is part of a deadlock when each of them waits, in
 * the end, for that very owner. The search of the kernel follows single edges (assembly/waits.ts), so this is looked at here, from time to time while the call is
 * queued, in the thread that knows the pool.
 *
 * Found is only what is certain. Who can go on is assumed to: a worker that is not full, one that joins (it may take the call meanwhile), a task that never asked for a lock,
 * a pool that may have another worker. And as in the kernel there are two looks: only waits that are the same in both stood all the time between.
 */
export class QueueWait {
  readonly #space: LockSpace;
  readonly #owner: number;
  readonly #slot: number;
  readonly #node: number;
  /** As they were at the beginning of this look. */
  #tasks: Map<number, number[]> | undefined;

  /** `node`: the record which says that `owner` awaits the call in `slot`. */
  constructor(space: LockSpace, owner: number, slot: number, node: number) {
    this.#space = space;
    this.#owner = owner;
    this.#slot = slot;
    this.#node = node;
  }

  /**
   * Calls back when the call is stuck, with whom it stands behind, and other queued calls on the way; again as long as that lasts. Ends when a worker has
   * begun it. Returns what ends it before.
   */
  watch(found: (behind: readonly Behind[]) => void): () => void {
    const { host, kernel } = this.#space;
    let stop: (() => void) | undefined;
    const look = (ms: number): void => {
      stop = host.timer(() => {
        stop = undefined;
        if (this.#space.isClosed || kernel.calls.statusOf(this.#slot) !== SLOT_QUEUED) return;
        const behind = this.#find();
        if (behind !== undefined) found(behind);
        look(Math.min(ms * 2, LOOK_MOST_MS));
      }, ms);
    };
    if (kernel.calls.statusOf(this.#slot) === SLOT_QUEUED) look(LOOK_FIRST_MS);
    return () => stop?.();
  }

  #find(): readonly Behind[] | undefined {
    const first = this.#look();
    if (first === undefined) return undefined;
    const second = this.#look();
    if (second === undefined || second.stuck.size !== first.stuck.size) return undefined;
    for (const [owner, wait] of first.stuck) if (second.stuck.get(owner) !== wait) return undefined;
    return first.behind;
  }

  #look(): Look | undefined {
    const { kernel } = this.#space;
    this.#tasks = undefined;
    const edge = this.#edgeOfCall(this.#slot, this.#node);
    if (edge === undefined) return undefined;
    // All that is reached, with the epochs that came before.
    const epochs = new Map<number, number>();
    const edges = new Map<number, readonly Edge[]>();
    const reach = (place: Place): void => {
      for (const owner of place.owners) {
        if (owner === this.#owner || edges.has(owner)) continue;
        epochs.set(owner, this.#epochOf(owner));
        const own = this.#edgesOf(owner);
        edges.set(owner, own);
        for (const { places } of own) places.forEach(reach);
      }
    };
    edge.places.forEach(reach);
    // Whoever has an edge whose every place is stuck is stuck too; it begins with the one who awaits.
    const stuck = new Set([this.#owner]);
    const isStuck = ({ owners, count }: Place): boolean =>
      owners.filter((owner) => stuck.has(owner)).length >= count;
    const holds = ({ places }: Edge): boolean => places.every(isStuck);
    for (let size = 0; size !== stuck.size; ) {
      size = stuck.size;
      for (const [owner, own] of edges) if (own.some(holds)) stuck.add(owner);
    }
    if (!holds(edge) || kernel.calls.statusOf(this.#slot) !== SLOT_QUEUED) return undefined;
    stuck.delete(this.#owner);
    const waits = new Map<number, string>();
    const queued = [edge];
    for (const owner of stuck) {
      // Its wait began before its edges were read and lasts, and nobody has given it up.
      const epoch = epochs.get(owner)!;
      if (this.#epochOf(owner) !== epoch) return undefined;
      if (Atomics.load(kernel.u32, (owner + OWNER_CANCEL) >>> 2) === epoch) return undefined;
      waits.set(owner, JSON.stringify([epoch, edges.get(owner)]));
      queued.push(...edges.get(owner)!.filter((each) => each.node !== 0 && holds(each)));
    }
    const behind = queued.map(({ node, places }): Behind => {
      const owner = places[0]!.owners.find((each) => stuck.has(each))!;
      return { node, owner, epoch: epochs.get(owner)! };
    });
    return { stuck: waits, behind };
  }

  #epochOf(owner: number): number {
    return Atomics.load(this.#space.kernel.u32, (owner + OWNER_EPOCH) >>> 2);
  }

  // ---- edges -------------------------------------------------------------------------------------------------------------------------------

  /** Where a queued call needs one to go on: each worker of its pool. Undefined: another may come, or one is free. */
  #edgeOfCall(slot: number, node: number): Edge | undefined {
    const { host, kernel } = this.#space;
    if ((kernel.i32[(slot + SLOT_META) >>> 2]! & META_FORK_BIT) !== 0) return undefined;
    const workers = host.workersOf?.(this.#space.poolOf(slot));
    if (workers === undefined) return undefined;
    const places: Place[] = [];
    for (const agentId of workers.agents) {
      const place = this.#placeOf(agentId, workers.concurrency);
      if (place === undefined) return undefined;
      places.push(place);
    }
    return { places, node };
  }

  /** Whom a worker waits with. Undefined: it may take a task. */
  #placeOf(agentId: number, concurrency: number): Place | undefined {
    const { u32 } = this.#space.kernel;
    const blocked = Atomics.load(u32, (AGENTS + agentId * AGENT_SIZE + AGENT_BLOCKED) >>> 2);
    // One that blocks in a join helps out meanwhile.
    if (blocked !== 0) return this.#lockOf(blocked) === 0 ? undefined : { owners: [blocked], count: 1 };
    this.#tasks ??= this.#waitingTasks();
    const owners = this.#tasks.get(agentId) ?? [];
    return owners.length < concurrency ? undefined : { owners, count: concurrency };
  }

  /** The tasks that wait for locks and take a place of their worker, by its agent. */
  #waitingTasks(): Map<number, number[]> {
    const { u32, u8 } = this.#space.kernel;
    const tasks = new Map<number, number[]>();
    for (const owner of ownersOf(this.#space)) {
      if (u32[(owner + OWNER_KIND) >>> 2] !== OWNER_KIND_TASK || this.#lockOf(owner) === 0) continue;
      // One that awaits a fork takes no place.
      if (this.#awaitsOf(owner).length > 0) continue;
      const agentId = u8[owner + OWNER_AGENT]!;
      const known = tasks.get(agentId);
      if (known === undefined) tasks.set(agentId, [owner]);
      else known.push(owner);
    }
    return tasks;
  }

  /** The lock that an owner waits for, or 0. */
  #lockOf(owner: number): number {
    const target = Atomics.load(this.#space.kernel.u32, (owner + OWNER_WAITING) >>> 2);
    return (target & WAIT_SLOT_BIT) === 0 ? target : 0;
  }

  /** What an owner waits for. An owner needs all of its edges. */
  #edgesOf(owner: number): Edge[] {
    const { calls, u32, u8 } = this.#space.kernel;
    const edges: Edge[] = [];
    const to = (other: number): void => {
      if (other !== 0 && other !== owner) edges.push({ places: [{ owners: [other], count: 1 }], node: 0 });
    };
    const target = Atomics.load(u32, (owner + OWNER_WAITING) >>> 2);
    if ((target & WAIT_SLOT_BIT) !== 0) to(calls.ownerAhead(target & ~WAIT_SLOT_BIT) >>> 0);
    else if (target !== 0) to(this.#holderOf(target));
    to(Atomics.load(u32, (AGENTS + u8[owner + OWNER_AGENT]! * AGENT_SIZE + AGENT_BLOCKED) >>> 2));
    for (const node of this.#awaitsOf(owner)) {
      const slot = u32[(node + OWNER_SLOT) >>> 2]!;
      if (calls.statusOf(slot) === SLOT_QUEUED) {
        const edge = this.#edgeOfCall(slot, node);
        if (edge !== undefined) edges.push(edge);
      } else {
        to(calls.ownerAhead(slot) >>> 0);
      }
    }
    return edges;
  }

  /** The records of the calls that an owner awaits. */
  #awaitsOf(owner: number): number[] {
    const { u32 } = this.#space.kernel;
    const nodes: number[] = [];
    let node = Atomics.load(u32, (owner + OWNER_AWAITS) >>> 2);
    for (let hops = 0; node !== 0 && hops < HOPS_MOST; hops++) {
      const its = u32[(node + OWNER_KIND) >>> 2]!;
      if (its !== OWNER_KIND_AWAIT && its !== OWNER_KIND_FLOW) break;
      if (its === OWNER_KIND_AWAIT) nodes.push(node);
      node = Atomics.load(u32, (node + OWNER_NEXT) >>> 2);
    }
    return nodes;
  }

  #holderOf(lock: number): number {
    const { calls, i32 } = this.#space.kernel;
    const id = (Atomics.load(i32, lock >>> 2) & WORD_OWNER_MASK) >>> WORD_OWNER_SHIFT;
    return id === 0 ? 0 : calls.ownerAt(id) >>> 0;
  }
}
