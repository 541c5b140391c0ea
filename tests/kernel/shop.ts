import {
  AGENT_BATCH,
  AGENT_DEAD,
  AGENT_PARK,
  AGENT_STATE,
  AGENT_TICK,
  CANCEL_ABORTED,
  CANCEL_WAS_QUEUED,
  HEADER_FIRST_SPAN,
  HEADER_MAGIC,
  META_CLASS_MASK,
  META_CLASS_SHIFT,
  OWNER_SLOTS,
  OWNER_SLOTS_FREE,
  PARK_PARKED,
  SLOT_DONE,
  SLOT_DROPPED,
  SLOT_EXITED,
  SLOT_FAILED,
  SLOT_LINK,
  SLOT_LOST,
  SLOT_META,
  SLOT_STATE,
  SLOT_TAGS,
  SLOT_VALUES,
  SPAN_SIZE,
  STATE_AGENT_MASK,
  STATE_AGENT_SHIFT,
  STATE_STATUS_MASK,
  TAG_NUMBER,
  TAG_PACKED,
  TAG_UNDEFINED,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import {
  type Actor,
  fillSlot,
  joinSubmitter,
  joinWorker,
  setIndices,
  setWord,
  valueIn,
  word,
} from './harness.ts';
import { Death, type SteppedKernel } from './stepped.ts';

/** A rule of the kernel does not hold. */
export class Violation extends Error {}

function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Violation(message);
}

/** A submitted task or a fork. */
interface Item {
  readonly id: number;
  readonly qosClass: number;
  /** How many forks it makes, and whether it joins the oldest or the newest first. */
  readonly forks: number;
  readonly oldestFirst: boolean;
  runs: number;
  /** Status with which it came home. */
  outcome: number | undefined;
  cancelledQueued: boolean;
}

interface Child {
  readonly item: Item;
  readonly slot: number;
  joining: boolean;
}

interface Frame {
  readonly item: Item;
  /** 0: a fork that its own parent runs. */
  readonly slot: number;
  toFork: number;
  readonly children: Child[];
}

export interface ShopWorker {
  readonly index: number;
  readonly actor: Actor;
  readonly frames: Frame[];
  asleep: 'no' | 'idle' | 'join';
  /** In the middle of a kernel call. */
  busy: boolean;
  dead: boolean;
  buried: boolean;
}

interface Zombie {
  readonly worker: ShopWorker;
  readonly ticks: ReadonlyMap<ShopWorker, number>;
}

/** What somebody does, and what happens in the middle of it. */
export type Action = {
  readonly who: 'main' | number;
  readonly what: number;
  /** At this step of the action... */
  readonly step?: number | undefined;
  /** ...the thread dies, or others act. */
  readonly meanwhile?: 'die' | readonly Action[] | undefined;
};

export interface ShopOptions {
  readonly workers: number;
  readonly batch: number;
  readonly firstIndex: number;
}

/**
 * A pool in one thread: a submitter and workers that use the kernel as ts/pool and ts/worker do, with the books that say what must come out.
 * Whoever acts may be preempted or die at any step (SteppedKernel).
 */
export class Shop {
  readonly #stepped: SteppedKernel;
  readonly #kernel: Kernel;
  readonly #pool: number;
  readonly #main: Actor;
  readonly #options: ShopOptions;
  readonly workers: ShopWorker[] = [];
  readonly #items = new Map<number, Item>();
  readonly #open = new Map<number, Item>();
  readonly #seenLanes = new Set<number>();
  #zombies: Zombie[] = [];
  #mainBusy = false;
  #deaths = 0;

  constructor(stepped: SteppedKernel, options: ShopOptions) {
    stepped.reset();
    this.#stepped = stepped;
    this.#kernel = stepped.kernel;
    this.#options = options;
    this.#pool = this.#kernel.calls.openPool(1);
    this.#main = joinSubmitter(this.#kernel, this.#pool);
    setIndices(this.#kernel, this.#main.lane, options.firstIndex);
    for (let i = 0; i < options.workers; i++) this.#hire(i);
  }

  // ---- the program ---------------------------------------------------------------------------------------------------------------------

  act(action: Action): void {
    if (action.who === 'main') {
      if (this.#mainBusy) return;
      this.#mainBusy = true;
      const at =
        Array.isArray(action.meanwhile) && action.step !== undefined
          ? { step: action.step, act: (): void => this.#all(action.meanwhile as readonly Action[]) }
          : undefined;
      this.#stepped.run(() => this.#mainActs(action.what), at);
      this.#mainBusy = false;
      return;
    }
    const worker = this.workers[action.who % this.workers.length]!;
    if (worker.dead || worker.busy) return;
    worker.busy = true;
    const { step, meanwhile } = action;
    const act = (): void => {
      if (meanwhile === 'die') throw new Death();
      this.#all(meanwhile!);
    };
    try {
      this.#stepped.run(
        () => this.#workerActs(worker, action.what),
        step === undefined || meanwhile === undefined ? undefined : { step, act },
      );
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      worker.dead = true;
      this.#deaths++;
    }
    worker.busy = false;
  }

  #all(actions: readonly Action[]): void {
    for (const action of actions) this.act(action);
  }

  /** Lets everybody go on until nobody can, then looks at the books. First whoever has a task holds it, and nobody may sleep beside a queue. */
  settle(): void {
    this.#quiesce(true);
    const queued = this.#kernel.calls.queueDepth(this.#pool);
    for (const worker of this.workers)
      must(
        queued === 0 || worker.frames.length > 0,
        `worker ${worker.index} sleeps beside ${queued} entries`,
      );
    this.#quiesce(false);
    for (const item of this.#items.values()) {
      if (!this.#wasSubmitted(item)) continue;
      must(item.outcome !== undefined, `task ${item.id} has no outcome (runs: ${item.runs})`);
      if (item.outcome === SLOT_DONE)
        must(item.runs === 1, `task ${item.id} is done after ${item.runs} runs`);
      if (item.outcome === SLOT_DROPPED) must(item.runs === 0, `task ${item.id} ran and was dropped`);
      if (item.outcome === SLOT_EXITED) must(this.#deaths > 0, `task ${item.id}: nobody died`);
    }
    must(this.#kernel.calls.anyQueued(this.#pool) === 0, 'entries are left in the queues');
    must(this.#kernel.calls.queueDepth(this.#pool) === 0, 'the queues are not empty');
    // The dead may refer to one another: each round frees at least one.
    for (let i = this.#zombies.length; i > 0; i--) this.#reap();
    must(this.#zombies.length === 0, 'a dead agent is still referenced');
  }

  #wasSubmitted(item: Item): boolean {
    return item.id < 1e6;
  }

  /** Everything is given back: what the pool, the agents and the spans hold. */
  close(): void {
    for (const worker of this.workers) {
      this.#kernel.calls.recover(worker.actor.agent, 0);
      this.#kernel.calls.reap(worker.actor.agent);
    }
    this.#kernel.calls.reap(this.#main.agent);
    this.#kernel.calls.closePool(this.#pool);
    let lost = 0;
    const end = this.#kernel.memory.buffer.byteLength;
    for (let at = word(this.#kernel, HEADER_FIRST_SPAN) * SPAN_SIZE; at < end; at += SPAN_SIZE) {
      const owner = this.#kernel.calls.ownerOf(at);
      // A death between two steps of taking over a span of slots may cost that span.
      if (owner === OWNER_SLOTS) lost++;
      else must(owner === 0 || owner === OWNER_SLOTS_FREE, `a span still belongs to ${owner}`);
    }
    must(lost <= this.#deaths, `${lost} spans of slots are lost`);
    // Address 0 means nobody, also where it is read: an owner there would take locks.
    for (let at = 0; at < HEADER_MAGIC; at += 4)
      must(word(this.#kernel, at) === 0, `something was written at ${at}`);
  }

  #quiesce(hold: boolean): void {
    let quiet = 0;
    for (let round = 0; quiet < 3; round++) {
      must(round < 3000, 'the pool does not come to rest');
      for (const worker of this.workers) if (worker.dead && !worker.buried) this.#bury(worker);
      let progress = this.#drain() > 0;
      for (const worker of this.workers) {
        if (hold && worker.frames.length > 0) continue;
        progress = this.#workerActs(worker, 0) || progress;
      }
      quiet = progress ? 0 : quiet + 1;
    }
  }

  // ---- the submitter -------------------------------------------------------------------------------------------------------------------

  #mainActs(what: number): void {
    const kind = what & 7;
    const pick = what >>> 3;
    if (kind <= 3) this.#submit(pick);
    else if (kind === 4) this.#drain();
    else if (kind === 5) this.#cancel(pick);
    else if (kind === 6) {
      const body = this.workers.find((worker) => worker.dead && !worker.buried);
      if (body !== undefined) this.#bury(body);
    } else this.#reap();
  }

  #submit(pick: number): void {
    const { calls } = this.#kernel;
    const qosClass = pick & 1;
    const item = this.#newItem(this.#items.size, qosClass, (pick >>> 1) & 3, (pick & 8) !== 0);
    const slot = this.#main.slots.take();
    must(slot !== 0, 'no memory for a slot');
    must(!this.#open.has(slot), 'a slot was given out twice');
    this.#open.set(slot, item);
    fillSlot(this.#kernel, slot, this.#main.lane, item.id, { qosClass });
    must(calls.submit(this.#pool, this.#main.lane, qosClass, 0, slot) === 1, 'no room in the queue');
  }

  #newItem(id: number, qosClass: number, forks: number, oldestFirst: boolean): Item {
    const item: Item = {
      id,
      qosClass,
      forks,
      oldestFirst,
      runs: 0,
      outcome: undefined,
      cancelledQueued: false,
    };
    this.#items.set(id, item);
    return item;
  }

  #drain(): number {
    let slot = this.#kernel.calls.takeCompletions(this.#main.lane);
    let count = 0;
    while (slot !== 0) {
      const next = this.#kernel.i32[(slot + SLOT_LINK) >>> 2]!;
      this.#home(slot);
      slot = next;
      count++;
    }
    return count;
  }

  #home(slot: number): void {
    const item = this.#open.get(slot);
    must(item !== undefined, 'a slot came home that was not out');
    const status = this.#status(slot);
    must(status >= SLOT_DONE, `task ${item.id} came home with status ${status}`);
    must(item.outcome === undefined, `task ${item.id} has two outcomes`);
    if (status === SLOT_DONE) this.#readResult(this.#main, slot, item);
    if (status === SLOT_DROPPED) must(item.cancelledQueued, `task ${item.id} was dropped and not cancelled`);
    if (item.cancelledQueued)
      must(status === SLOT_DROPPED, `task ${item.id} was cancelled in the queue and ran`);
    item.outcome = status;
    this.#open.delete(slot);
    this.#main.slots.put(slot);
  }

  #status(slot: number): number {
    return word(this.#kernel, slot + SLOT_STATE) & STATE_STATUS_MASK;
  }

  #cancel(pick: number): void {
    const slots = [...this.#open.keys()];
    if (slots.length === 0) return;
    const slot = slots[pick % slots.length]!;
    const item = this.#open.get(slot)!;
    const answer = this.#kernel.calls.cancel(slot, CANCEL_ABORTED);
    if (answer === CANCEL_WAS_QUEUED) item.cancelledQueued = true;
  }

  /** As ts/pool/crew.ts does it, and Submissions.sweep. */
  #bury(worker: ShopWorker): void {
    worker.buried = true;
    this.#kernel.calls.recover(worker.actor.agent, this.#main.lane);
    const ticks = new Map(
      this.workers
        .filter((other) => !other.dead)
        .map((other) => [other, word(this.#kernel, other.actor.agent + AGENT_TICK)]),
    );
    this.#drain();
    for (const slot of [...this.#open.keys()]) {
      const status = this.#status(slot);
      const state = word(this.#kernel, slot + SLOT_STATE);
      const claimant = (state >>> STATE_AGENT_SHIFT) & STATE_AGENT_MASK;
      if (claimant !== worker.actor.id) continue;
      if (status === SLOT_DONE || status === SLOT_FAILED || status === SLOT_DROPPED) this.#home(slot);
    }
    this.#zombies.push({ worker, ticks });
    this.#hire(worker.index);
  }

  #hire(index: number): void {
    const actor = joinWorker(this.#kernel, this.#pool, index);
    if (!this.#seenLanes.has(actor.lane)) {
      this.#seenLanes.add(actor.lane);
      setIndices(this.#kernel, actor.lane, this.#options.firstIndex);
    }
    setWord(this.#kernel, actor.agent + AGENT_BATCH, this.#options.batch);
    this.workers[index] = {
      index,
      actor,
      frames: [],
      asleep: 'no',
      busy: false,
      dead: false,
      buried: false,
    };
  }

  #reap(): void {
    this.#zombies = this.#zombies.filter(({ worker, ticks }) => {
      for (const [other, tick] of ticks) {
        if (other.dead) {
          if (!other.buried) return true;
          continue;
        }
        const parked = word(this.#kernel, other.actor.agent + AGENT_PARK) === PARK_PARKED;
        if (!parked && word(this.#kernel, other.actor.agent + AGENT_TICK) === tick) return true;
      }
      if (this.#kernel.calls.isReferenced(worker.actor.agent) !== 0) return true;
      must(
        word(this.#kernel, worker.actor.agent + AGENT_STATE) === AGENT_DEAD,
        'reap of one who is not dead',
      );
      this.#kernel.calls.reap(worker.actor.agent);
      const end = this.#kernel.memory.buffer.byteLength;
      for (let at = SPAN_SIZE; at < end; at += SPAN_SIZE)
        must(this.#kernel.calls.ownerOf(at) !== worker.actor.id, 'a reaped agent still owns a span');
      return false;
    });
  }

  // ---- a worker ------------------------------------------------------------------------------------------------------------------------

  /** One turn of a worker. False when it sleeps and nobody has woken it. */
  #workerActs(worker: ShopWorker, what: number): boolean {
    const { calls } = this.#kernel;
    const { agent } = worker.actor;
    if (worker.asleep !== 'no') {
      if (word(this.#kernel, agent + AGENT_PARK) === PARK_PARKED) return false;
      calls.finishPark(agent);
      if (worker.asleep === 'idle') calls.exitIdle(agent);
      else calls.exitJoin(agent);
      worker.asleep = 'no';
      return true;
    }
    const frame = worker.frames.at(-1);
    if (frame === undefined) this.#lookForWork(worker, what);
    else if (frame.toFork > 0) this.#fork(worker, frame);
    else if (frame.children.length > 0) this.#join(worker, frame);
    else this.#finish(worker, frame);
    return true;
  }

  #lookForWork(worker: ShopWorker, what: number): void {
    const { calls } = this.#kernel;
    const { agent } = worker.actor;
    if ((what & 7) === 1) {
      // It turns to its event loop instead.
      calls.stopSearch(agent);
      return;
    }
    let slot = calls.take(agent);
    if (slot === 0 && (what & 8) !== 0 && calls.startSearch(agent) !== 0) slot = calls.search(agent, 1);
    if (slot !== 0) {
      this.#start(worker, slot);
      return;
    }
    if (calls.enterIdle(agent, (what >>> 4) & 1) !== 0) return;
    if (calls.preparePark(agent) !== 0) {
      worker.asleep = 'idle';
    } else {
      calls.finishPark(agent);
      calls.exitIdle(agent);
    }
  }

  #start(worker: ShopWorker, slot: number): void {
    const item = this.#items.get(valueIn(this.#kernel, slot));
    must(item !== undefined, 'a claimed slot holds no task');
    const meta = word(this.#kernel, slot + SLOT_META);
    must(
      ((meta >>> META_CLASS_SHIFT) & META_CLASS_MASK) === item.qosClass,
      `task ${item.id} has changed its class`,
    );
    this.#enter(worker, item, slot);
  }

  #enter(worker: ShopWorker, item: Item, slot: number): void {
    item.runs++;
    must(item.runs === 1, `task ${item.id} runs twice`);
    must(!item.cancelledQueued, `task ${item.id} runs after it was cancelled in the queue`);
    worker.frames.push({ item, slot, toFork: item.forks, children: [] });
  }

  #deque(worker: ShopWorker, frame: Frame): number {
    return this.#kernel.calls.dequeOf(worker.actor.lane, frame.item.qosClass, 0);
  }

  #fork(worker: ShopWorker, frame: Frame): void {
    frame.toFork--;
    const slot = worker.actor.slots.take();
    must(slot !== 0, 'no memory for a fork');
    // A fork forks at most once more, so that programs end.
    const item = this.#newItem(
      1e6 + this.#items.size,
      frame.item.qosClass,
      frame.item.forks >= 3 ? 1 : 0,
      true,
    );
    fillSlot(this.#kernel, slot, worker.actor.lane, item.id, {
      qosClass: item.qosClass,
      fork: true,
      parent: frame.slot,
    });
    frame.children.push({ item, slot, joining: false });
    must(this.#kernel.calls.fork(this.#pool, this.#deque(worker, frame), slot) === 1, 'no room for a fork');
  }

  #join(worker: ShopWorker, frame: Frame): void {
    const { calls } = this.#kernel;
    const { agent, slots } = worker.actor;
    const child = frame.item.oldestFirst ? frame.children[0]! : frame.children.at(-1)!;
    const done = (): void => {
      frame.children.splice(frame.children.indexOf(child), 1);
    };
    if (!child.joining) {
      child.joining = true;
      if (calls.takeBack(this.#deque(worker, frame), child.slot) !== 0) {
        done();
        slots.put(child.slot);
        this.#enter(worker, child.item, 0);
        return;
      }
    }
    const status = calls.statusOf(child.slot);
    if (status >= SLOT_DONE) {
      calls.leaveJoin(agent);
      done();
      if (status === SLOT_LOST) {
        // Its slot is given up: an entry of it may be left, or a thief that has not claimed it yet.
        this.#enter(worker, child.item, 0);
        return;
      }
      if (status === SLOT_DONE) this.#readResult(worker.actor, child.slot, child.item);
      else must(status === SLOT_EXITED && this.#deaths > 0, `a fork ended with status ${status}`);
      slots.put(child.slot);
      return;
    }
    const other = calls.help(agent);
    if (other === child.slot) {
      done();
      slots.put(child.slot);
      this.#enter(worker, child.item, 0);
    } else if (other !== 0) {
      this.#start(worker, other);
    } else if (calls.enterJoin(agent) === 0) {
      if (calls.preparePark(agent) !== 0 && calls.statusOf(child.slot) < SLOT_DONE) {
        worker.asleep = 'join';
        return;
      }
      calls.finishPark(agent);
      calls.exitJoin(agent);
    }
  }

  #finish(worker: ShopWorker, frame: Frame): void {
    worker.frames.pop();
    if (frame.slot === 0) return;
    this.#writeResult(worker, frame.slot, frame.item);
    this.#kernel.calls.finish(frame.slot, SLOT_DONE);
  }

  /** Results of some tasks stand in a block of their worker. */
  #writeResult(worker: ShopWorker, slot: number, item: Item): void {
    if (item.id % 2 === 0) {
      this.#kernel.f64[(slot + SLOT_VALUES) >>> 3] = -1 - item.id;
      setWord(this.#kernel, slot + SLOT_TAGS, TAG_NUMBER);
      return;
    }
    const block = this.#kernel.calls.allocate(worker.actor.agent, item.id % 3 === 0 ? 70_000 : 20);
    must(block !== 0, 'no memory for a result');
    setWord(this.#kernel, block, item.id);
    setWord(this.#kernel, slot + SLOT_VALUES, block);
    setWord(this.#kernel, slot + SLOT_TAGS, TAG_PACKED);
  }

  #readResult(reader: Actor, slot: number, item: Item): void {
    if (word(this.#kernel, slot + SLOT_TAGS) === TAG_NUMBER) {
      must(valueIn(this.#kernel, slot) === -1 - item.id, `task ${item.id} got another's result`);
      return;
    }
    const block = word(this.#kernel, slot + SLOT_VALUES);
    must(word(this.#kernel, block) === item.id, `the result of task ${item.id} was overwritten`);
    this.#kernel.calls.release(reader.agent, block);
    setWord(this.#kernel, slot + SLOT_TAGS, TAG_UNDEFINED);
  }
}
