import {
  AGENT_BLOCKED,
  AGENT_SIZE,
  AGENTS,
  META_FORK_BIT,
  OWNER_AGENT,
  OWNER_AWAITS,
  OWNER_EPOCH,
  OWNER_KIND,
  OWNER_KIND_AWAIT,
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

/** An owner waits as long as all places do. A wait for a lock has one place; a queued call has one for each worker that could take it. */
type Edge = readonly Place[];

interface Look {
  /** Owners that go on only when the one who awaits does, by address: their epoch and where they wait. */
  readonly stuck: ReadonlyMap<number, string>;
  /** A stuck one for each worker of the pool, in the order of the workers. */
  readonly behind: readonly number[];
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

  constructor(space: LockSpace, owner: number, slot: number) {
    this.#space = space;
    this.#owner = owner;
    this.#slot = slot;
  }

  /**
   * Calls back when the call is stuck, with an owner that it stands behind and the epoch of its wait; again as long as that lasts. Ends when a worker has
   * begun it. Returns what ends it before.
   */
  watch(found: (behind: number, epoch: number) => void): () => void {
    const { host, kernel } = this.#space;
    let stop: (() => void) | undefined;
    const look = (ms: number): void => {
      stop = host.timer(() => {
        stop = undefined;
        if (this.#space.isClosed || kernel.calls.statusOf(this.#slot) !== SLOT_QUEUED) return;
        const behind = this.#find();
        if (behind !== 0) found(behind, this.#epochOf(behind));
        look(Math.min(ms * 2, LOOK_MOST_MS));
      }, ms);
    };
    if (kernel.calls.statusOf(this.#slot) === SLOT_QUEUED) look(LOOK_FIRST_MS);
    return () => stop?.();
  }

  /** An owner that waits in one of the workers, and goes on only when the one who awaits the call does, as all workers. 0: there is none such. */
  #find(): number {
    const first = this.#look();
    if (first === undefined) return 0;
    const second = this.#look();
    if (second === undefined || second.stuck.size !== first.stuck.size) return 0;
    for (const [owner, wait] of first.stuck) if (second.stuck.get(owner) !== wait) return 0;
    return first.behind[0]!;
  }

  #look(): Look | undefined {
    const { kernel } = this.#space;
    const edge = this.#edgeOfCall(this.#slot);
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
        for (const each of own) each.forEach(reach);
      }
    };
    edge.forEach(reach);
    // Whoever has an edge whose every place is stuck is stuck too; it begins with the one who awaits.
    const stuck = new Set([this.#owner]);
    const isStuck = ({ owners, count }: Place): boolean =>
      owners.filter((owner) => stuck.has(owner)).length >= count;
    for (let size = 0; size !== stuck.size; ) {
      size = stuck.size;
      for (const [owner, own] of edges) if (own.some((each) => each.every(isStuck))) stuck.add(owner);
    }
    if (!edge.every(isStuck) || kernel.calls.statusOf(this.#slot) !== SLOT_QUEUED) return undefined;
    stuck.delete(this.#owner);
    const waits = new Map<number, string>();
    for (const owner of stuck) {
      // Its wait began before its edges were read and lasts.
      if (this.#epochOf(owner) !== epochs.get(owner)) return undefined;
      waits.set(owner, JSON.stringify([epochs.get(owner), edges.get(owner)]));
    }
    const behind = edge.map(({ owners }) => owners.find((owner) => stuck.has(owner))!);
    return { stuck: waits, behind };
  }

  #epochOf(owner: number): number {
    return Atomics.load(this.#space.kernel.u32, (owner + OWNER_EPOCH) >>> 2);
  }

  // ---- edges -------------------------------------------------------------------------------------------------------------------------------

  /** Where a queued call needs one to go on: each worker of its pool. Undefined: another may come, or one is free. */
  #edgeOfCall(slot: number): Edge | undefined {
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
    return places;
  }

  /** Whom a worker waits with. Undefined: it may take a task. */
  #placeOf(agentId: number, concurrency: number): Place | undefined {
    const { kernel } = this.#space;
    const { u32, u8 } = kernel;
    const blocked = Atomics.load(u32, (AGENTS + agentId * AGENT_SIZE + AGENT_BLOCKED) >>> 2);
    // One that blocks in a join helps out meanwhile.
    if (blocked !== 0) return this.#lockOf(blocked) === 0 ? undefined : { owners: [blocked], count: 1 };
    const owners: number[] = [];
    for (const owner of ownersOf(this.#space)) {
      if (u8[owner + OWNER_AGENT] !== agentId || u32[(owner + OWNER_KIND) >>> 2] !== OWNER_KIND_TASK)
        continue;
      // One that awaits a fork takes no place.
      if (this.#lockOf(owner) !== 0 && u32[(owner + OWNER_AWAITS) >>> 2] === 0) owners.push(owner);
    }
    return owners.length < concurrency ? undefined : { owners, count: concurrency };
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
      if (other !== 0 && other !== owner) edges.push([{ owners: [other], count: 1 }]);
    };
    const target = Atomics.load(u32, (owner + OWNER_WAITING) >>> 2);
    if ((target & WAIT_SLOT_BIT) !== 0) to(calls.ownerOfSlot(target & ~WAIT_SLOT_BIT) >>> 0);
    else if (target !== 0) to(this.#holderOf(target));
    to(Atomics.load(u32, (AGENTS + u8[owner + OWNER_AGENT]! * AGENT_SIZE + AGENT_BLOCKED) >>> 2));
    let node = Atomics.load(u32, (owner + OWNER_AWAITS) >>> 2);
    for (let hops = 0; node !== 0 && hops < HOPS_MOST; hops++) {
      if (u32[(node + OWNER_KIND) >>> 2] !== OWNER_KIND_AWAIT) break;
      const slot = u32[(node + OWNER_SLOT) >>> 2]!;
      if (calls.statusOf(slot) === SLOT_QUEUED) {
        const edge = this.#edgeOfCall(slot);
        if (edge !== undefined) edges.push(edge);
      } else {
        to(calls.ownerOfSlot(slot) >>> 0);
      }
      node = Atomics.load(u32, (node + OWNER_NEXT) >>> 2);
    }
    return edges;
  }

  #holderOf(lock: number): number {
    const { calls, i32 } = this.#space.kernel;
    const id = (Atomics.load(i32, lock >>> 2) & WORD_OWNER_MASK) >>> WORD_OWNER_SHIFT;
    return id === 0 ? 0 : calls.ownerAt(id) >>> 0;
  }
}
