import {
  AGENT_BIT,
  AGENT_KIND,
  AGENT_LIVE,
  AGENT_LOCK_BELL,
  AGENT_POOL,
  AGENT_SIZE,
  AGENT_STATE,
  AGENT_THREAD,
  AGENTS,
  CHECK_INHERIT,
  CHECK_MASK,
  CHECK_OFF,
  HEADER_LOCK_GATE,
  HEADER_LOCK_LOOK_MS,
  HEADER_LOCK_MODES,
  KIND_SUBMITTER,
  KIND_WORKER,
  LANE_POOL,
  LOCK_FLAG_CLASS,
  LOCK_FLAG_FREE,
  LOCK_FLAGS,
  LOCK_ID,
  LOCK_NAME,
  LOCK_NEXT,
  LOCK_ORDER_MODE_SHIFT,
  LOCK_SIZE,
  LOCK_TEXT,
  LOCK_TURN_SHIFT,
  LOCK_WAITS_MODE_SHIFT,
  LOCKS_BUSY,
  MAX_AGENTS,
  META_FUNCTION_MASK,
  MODES_STACKS_SHIFT,
  MODES_WAITS_SHIFT,
  OWNER_AGENT,
  OWNER_HELD,
  OWNER_KIND,
  OWNER_KIND_CONTEXT,
  OWNER_KIND_EXPLICIT,
  OWNER_KIND_FLOW,
  OWNER_KIND_TASK,
  OWNER_SLOT,
  OWNER_TEXT,
  SLOT_META,
  SLOT_OWNER,
  STACKS_MASK,
} from '../../build/generated/layout.ts';
import type { Clock } from '../clock.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { AsyncStore } from '../platform/port.ts';
import { Detector } from './detector.ts';
import { LockCore } from './lock-core.ts';
import { LockMeter } from './lock-meter.ts';
import { openAgain, openByName } from './open-lock.ts';
import type { OrderChecks } from './order-port.ts';
import { Owners, type TaskHost } from './owners.ts';
import type { DeadlockResolver } from './resolver.ts';
import type { LockViolation, MutexOptions } from './types.ts';

/** How long a thread waits for another that changes the table of names. */
const GATE_MS = 1000;
const TEXTS_MOST = 512;

/** The workers of a pool, when there are as many as there may be, and all take tasks. */
export interface PoolWorkers {
  /** Ids of their agents. */
  readonly agents: readonly number[];
  /** Tasks that each has at once. */
  readonly concurrency: number;
}

/** What the locks of a runtime need of the thread that they are used in. */
export interface LockHost {
  readonly kernel: Kernel;
  /** Address of the thread's record. */
  readonly agent: number;
  readonly clock: Clock;
  readonly tasks?: TaskHost;
  newStore(): AsyncStore | undefined;
  /** Keeps the thread alive between `ref` and `unref`. */
  readonly keepAlive: { ref(): void; unref(): void };
  timer(callback: () => void, ms: number): () => void;
  /** May this thread block? Not the main thread of a browser. */
  readonly mayBlock: boolean;
  /** May another thread run while this one spins? */
  readonly maySpin: boolean;
  /** Who the thread is, in reports. */
  readonly label: string;
  /** Name of task `id` of the pool at that address, as far as it is known here. */
  taskName(pool: number, id: number): { readonly task: string; readonly pool: string } | undefined;
  /** Fires when the task that calls is cancelled. */
  taskSignal(): AbortSignal | undefined;
  /** Was the task that runs cancelled? */
  isTaskCancelled(): boolean;
  report(violation: LockViolation): void;
  /** A lock with `maxHoldTimeMs` was opened here. False when nobody but this thread looks for locks that are held too long. */
  watch(holdMs: number): boolean;
  /** Recovers threads that have ended though this one, which blocks, was not told. Only in the thread that is told otherwise. */
  recoverEnded?(): void;
  /** The workers of the pool at that address. Undefined when there may soon be others. Only in the thread that made the pools. */
  workersOf?(pool: number): PoolWorkers | undefined;
}

/** The locks of a runtime as one thread has them. */
export class LockSpace {
  readonly host: LockHost;
  readonly kernel: Kernel;
  readonly agent: number;
  readonly agentId: number;
  readonly owners: Owners;
  readonly detector: Detector;
  readonly meter: LockMeter;
  /** Set by the runtime when the order of locks is checked. */
  order: OrderChecks | undefined;
  readonly #cores = new Map<string, LockCore>();
  /** Locks that are gone, and whose numbers are not free yet. */
  readonly #swept: number[] = [];
  /** Told when this thread has no handle of a lock any more. */
  onRelease: ((name: string) => void) | undefined;
  /** Cores with waiters. */
  readonly #busy = new Set<LockCore>();
  /** Cores that have given their lock to a waiter whose code has not gone on yet. */
  readonly granted: Set<LockCore> = new Set();
  /** By address, with the turn of the record that had it. */
  readonly #names = new Map<number, { readonly turn: number; readonly name: string }>();
  readonly #encoder = new TextEncoder();
  /** Texts that were encoded before. */
  readonly #texts = new Map<string, Uint8Array>();
  readonly #decoder = new TextDecoder();
  readonly #onBell = (): void => this.#rung();
  #bellArmed = false;
  #waiters = 0;
  #stopLook: (() => void) | undefined;
  /** Does this thread decide about the deadlocks of others? */
  #answers = false;
  isClosed = false;
  /** Was a lock opened in this thread? */
  isUsed = false;

  constructor(host: LockHost, resolver: DeadlockResolver) {
    this.host = host;
    this.kernel = host.kernel;
    this.agent = host.agent;
    this.agentId = (host.agent - AGENTS) / AGENT_SIZE;
    this.owners = new Owners(host.kernel, host.agent, host.clock, host.tasks, () => host.newStore(), {
      namesHeldBy: (owner) => {
        for (const lock of this.locksHeldBy(owner)) this.dropText(lock);
        return this.namesHeldBy(owner);
      },
      dropWaits: (owner) => {
        for (const core of [...this.#busy, ...this.granted]) core.dropOwner(owner);
      },
      writeLabel: (name) => this.writeText(`${name} of ${host.label}`),
      freeText: (at) => this.freeText(at),
      onLeftHeld: (names, label) => {
        for (const core of this.#busy) core.lookSoon();
        const list = names.map((name) => `'${name}'`).join(', ');
        this.host.report({
          kind: 'left-held',
          message: `${label} ended while it held ${names.length === 1 ? 'lock' : 'locks'} ${list}; unlock in a finally block, or use a guard`,
          locks: names,
          owner: label,
        });
      },
    });
    this.meter = new LockMeter(this.kernel, this.agentId);
    this.detector = new Detector(this, resolver);
  }

  /** The lock of this name, as this thread has it, with one handle more. */
  open(name: string, options: MutexOptions): LockCore {
    let core = this.#cores.get(name);
    if (core === undefined) {
      core = new LockCore(this, openByName(this, name, options), name);
      this.#cores.set(name, core);
      this.isUsed = true;
    } else {
      openAgain(this, name, core.address, options);
    }
    core.handles++;
    return core;
  }

  /** This thread has no handle of a lock any more. Returns whether its name is free now. */
  release(core: LockCore): boolean {
    this.#cores.delete(core.name);
    this.onRelease?.(core.name);
    return this.unpin(core.address);
  }

  /** This thread has a lock open no more. Whoever is last takes it out of the table. */
  unpin(lock: number): boolean {
    const { calls } = this.kernel;
    if (calls.unpinLock(lock) === 0) return false;
    if (this.atGate(() => calls.sweepLock(this.agent, lock)) !== 1) return false;
    this.#swept.push(lock);
    this.#reuseSwept();
    return true;
  }

  /** What is gone may become other locks once the learned order has forgotten it. */
  #reuseSwept(): void {
    for (const lock of this.#swept.splice(0)) {
      const isForgotten = this.order?.forget(lock) ?? true;
      if (!isForgotten || this.kernel.calls.reuseLock(this.agent, lock) === 0) this.#swept.push(lock);
    }
  }

  /** Asks the kernel until it is not another thread that changes the table. LOCKS_BUSY: one ended in the middle of that. */
  atGate(ask: () => number): number {
    const { host, kernel } = this;
    let until = 0;
    for (;;) {
      const answer = ask();
      if (answer !== LOCKS_BUSY) return answer;
      const now = host.clock.now();
      if (until === 0) until = now + GATE_MS;
      else if (now > until) return LOCKS_BUSY;
      // Not told when it opens, which is a matter of microseconds.
      const gate = HEADER_LOCK_GATE >>> 2;
      if (host.mayBlock) Atomics.wait(kernel.i32, gate, Atomics.load(kernel.i32, gate), 0.1);
    }
  }

  // ---- modes -------------------------------------------------------------------------------------------------------------------------------

  /** CHECK_* for the waits of a lock. */
  waitsMode(lock: number): number {
    return this.#mode(lock, LOCK_WAITS_MODE_SHIFT, MODES_WAITS_SHIFT);
  }

  /** CHECK_* for the order of a lock. */
  orderMode(lock: number): number {
    return this.#mode(lock, LOCK_ORDER_MODE_SHIFT, 0);
  }

  /** CHECK_* for waits that are for no lock. */
  get waitsModeOfRuntime(): number {
    return (this.kernel.u32[HEADER_LOCK_MODES >>> 2]! >>> MODES_WAITS_SHIFT) & CHECK_MASK || CHECK_OFF;
  }

  #mode(lock: number, ofLock: number, ofRuntime: number): number {
    const { u32 } = this.kernel;
    const own = (u32[(lock + LOCK_FLAGS) >>> 2]! >>> ofLock) & CHECK_MASK;
    if (own !== CHECK_INHERIT) return own;
    return (u32[HEADER_LOCK_MODES >>> 2]! >>> ofRuntime) & CHECK_MASK || CHECK_OFF;
  }

  /** Milliseconds after which a wait looks again by itself; Infinity: never. */
  get lookAgainMs(): number {
    return this.kernel.u32[HEADER_LOCK_LOOK_MS >>> 2]! || Number.POSITIVE_INFINITY;
  }

  /** Which stacks are kept: bits of STACKS_*. */
  get stacks(): number {
    return (this.kernel.u32[HEADER_LOCK_MODES >>> 2]! >>> MODES_STACKS_SHIFT) & STACKS_MASK;
  }

  // ---- texts in shared memory ------------------------------------------------------------------------------------------------------------------

  /** Keeps a text where other threads find it. Returns its address, or 0 when the memory is full: the text is then left away. */
  writeText(text: string): number {
    const bytes = this.#encodedText(text);
    const at = this.kernel.calls.allocate(this.agent, 4 + bytes.length) >>> 0;
    if (at === 0) return 0;
    this.kernel.u32[at >>> 2] = bytes.length;
    this.kernel.u8.set(bytes, at + 4);
    return at;
  }

  /** Locks are taken at few places, again and again. */
  #encodedText(text: string): Uint8Array {
    let bytes = this.#texts.get(text);
    if (bytes === undefined) {
      if (this.#texts.size >= TEXTS_MOST) this.#texts.clear();
      bytes = this.#encoder.encode(text);
      this.#texts.set(text, bytes);
    }
    return bytes;
  }

  /** The text of where a lock was taken goes, if it has one. Its holder calls. */
  dropText(lock: number): void {
    const text = this.kernel.u32[(lock + LOCK_TEXT) >>> 2]!;
    if (text === 0) return;
    this.kernel.u32[(lock + LOCK_TEXT) >>> 2] = 0;
    this.freeText(text);
  }

  freeText(at: number): void {
    this.kernel.calls.release(this.agent, at);
  }

  /** A text of any thread. It may be given back while it is read, so what comes may be nonsense, never a fault. */
  readText(at: number): string {
    const { u8, u32 } = this.kernel;
    const length = Math.min(u32[at >>> 2]!, 2 ** 16, u8.length - at - 4);
    return this.#decoder.decode(u8.slice(at + 4, at + 4 + length));
  }

  // ---- names -----------------------------------------------------------------------------------------------------------------------------------

  /** Name of a lock or class by its address. */
  nameAt(lock: number): string {
    const { u32 } = this.kernel;
    const turn = u32[(lock + LOCK_FLAGS) >>> 2]! >>> LOCK_TURN_SHIFT;
    let known = this.#names.get(lock);
    if (known?.turn !== turn) {
      known = { turn, name: this.readText(u32[(lock + LOCK_NAME) >>> 2]!) };
      this.#names.set(lock, known);
    }
    return known.name;
  }

  /** Name of a lock or class by its number. */
  nameOf(id: number): string {
    return this.nameAt(this.kernel.calls.lockAt(id) >>> 0);
  }

  /** Is this the address of a lock of the runtime, and not of a class? */
  isLock(address: number): boolean {
    const { calls, u32 } = this.kernel;
    if (!Number.isInteger(address) || address <= 0 || address % LOCK_SIZE !== 0) return false;
    if (address + LOCK_SIZE > this.kernel.u8.length) return false;
    const id = u32[(address + LOCK_ID) >>> 2]!;
    if (id === 0 || id > calls.lockCount() || calls.lockAt(id) >>> 0 !== address) return false;
    return (u32[(address + LOCK_FLAGS) >>> 2]! & (LOCK_FLAG_CLASS | LOCK_FLAG_FREE)) === 0;
  }

  /** Is this the number of a class, and not of a lock? */
  isClass(id: number): boolean {
    const { calls, u32 } = this.kernel;
    return (u32[((calls.lockAt(id) >>> 0) + LOCK_FLAGS) >>> 2]! & LOCK_FLAG_CLASS) !== 0;
  }

  /** The numbers of all locks and classes. */
  *lockIds(): Generator<number> {
    const { calls, u32 } = this.kernel;
    const count = calls.lockCount();
    for (let id = 1; id <= count; id++) {
      const lock = calls.lockAt(id) >>> 0;
      if (lock !== 0 && (u32[(lock + LOCK_FLAGS) >>> 2]! & LOCK_FLAG_FREE) === 0) yield id;
    }
  }

  /** Names of the locks that an owner holds, newest first. */
  namesHeldBy(owner: number): string[] {
    return this.locksHeldBy(owner).map((lock) => this.nameAt(lock));
  }

  /** Addresses of the locks that an owner holds, newest first. Of another thread's owner: as it was while we looked. */
  locksHeldBy(owner: number): number[] {
    const { u32 } = this.kernel;
    const locks: number[] = [];
    for (
      let lock = u32[(owner + OWNER_HELD) >>> 2]!;
      lock !== 0 && locks.length < 1000;
      lock = u32[(lock + LOCK_NEXT) >>> 2]!
    )
      locks.push(lock);
    return locks;
  }

  /** Who an owner is, for people. */
  ownerLabel(owner: number): string {
    const { u32 } = this.kernel;
    if (u32[(owner + OWNER_KIND) >>> 2] === OWNER_KIND_FLOW)
      return this.ownerLabel(u32[(owner + OWNER_SLOT) >>> 2]!);
    const own = this.owners.labelOf(owner);
    const agent = AGENTS + this.kernel.u8[owner + OWNER_AGENT]! * AGENT_SIZE;
    if (own !== undefined) return agent === this.agent ? `${own} of ${this.host.label}` : own;
    const text = u32[(owner + OWNER_TEXT) >>> 2]!;
    if (text !== 0 && agent !== this.agent) return this.readText(text).split('\n', 1)[0]!;
    return this.ownerKindLabel(owner);
  }

  /** The same without a name that the program gave it: of these there are not many. */
  ownerKindLabel(owner: number): string {
    const { u32, u8 } = this.kernel;
    const kind = u32[(owner + OWNER_KIND) >>> 2]!;
    const from = u32[(owner + OWNER_SLOT) >>> 2]!;
    if (kind === OWNER_KIND_FLOW) return this.ownerKindLabel(from);
    const agent = AGENTS + u8[owner + OWNER_AGENT]! * AGENT_SIZE;
    const thread = this.#threadLabel(agent);
    if (kind === OWNER_KIND_TASK) return this.#taskLabel(from, agent, thread);
    if (kind === OWNER_KIND_CONTEXT) return `a context of ${thread}`;
    return kind === OWNER_KIND_EXPLICIT ? `an owner of ${thread}` : thread;
  }

  #threadLabel(agent: number): string {
    const { u32 } = this.kernel;
    if (agent === this.agent) return this.host.label;
    const kind = u32[(agent + AGENT_KIND) >>> 2]!;
    if (kind === KIND_SUBMITTER) return 'the main thread';
    return kind === KIND_WORKER
      ? `worker ${u32[(agent + AGENT_BIT) >>> 2]!}`
      : `thread ${u32[(agent + AGENT_THREAD) >>> 2]!}`;
  }

  #taskLabel(slot: number, agent: number, thread: string): string {
    const { u32 } = this.kernel;
    const id = u32[(slot + SLOT_META) >>> 2]! & META_FUNCTION_MASK;
    const name = this.host.taskName(u32[(agent + AGENT_POOL) >>> 2]!, id);
    if (name === undefined) return `task ${id} on ${thread}`;
    return `task '${name.task}' on worker ${u32[(agent + AGENT_BIT) >>> 2]!} of pool '${name.pool}'`;
  }

  /** Name of the task in a slot that runs or is queued, as far as it is known here. */
  taskNameOf(slot: number, id: number): string | undefined {
    return this.host.taskName(this.poolOf(slot), id)?.task;
  }

  /** Address of the pool that the task in a slot is of. */
  poolOf(slot: number): number {
    const { u32 } = this.kernel;
    return u32[(u32[(slot + SLOT_OWNER) >>> 2]! + LANE_POOL) >>> 2]!;
  }

  // ---- waiting ----------------------------------------------------------------------------------------------------------------------------------

  /** A waiter more in this thread's event loop. */
  enter(core: LockCore): void {
    this.#busy.add(core);
    if (this.#waiters++ === 0) {
      this.host.keepAlive.ref();
      this.#lookLater();
    }
    this.#armBell();
  }

  #lookLater(): void {
    const ms = this.lookAgainMs;
    if (!Number.isFinite(ms)) return;
    this.#stopLook = this.host.timer(() => {
      this.#lookLater();
      for (const core of [...this.#busy]) core.lookAgain(ms);
    }, ms);
  }

  /** A waiter less. */
  leave(core: LockCore): void {
    if (core.waiting === 0) this.#busy.delete(core);
    if (--this.#waiters > 0) return;
    this.host.keepAlive.unref();
    this.#stopLook?.();
  }

  /**
   * Before a thread that is about to block looks for a deadlock: a lock that was given to a waiter of its event loop and has not reached its code is
   * nobody's reason to wait.
   */
  takeBackGranted(): void {
    if (this.granted.size > 0) for (const core of [...this.granted]) core.takeBack();
  }

  /**
   * The thread is about to block, and its event loop with it, for as long as others please: what is kept for its waiters there, or was given to them and has not
   * reached their code, and wake-ups that they were given, go to who can use them. Else the one that this thread blocks for might wait for them.
   */
  standAside(): void {
    this.takeBackGranted();
    if (this.#waiters > 0) for (const core of this.#busy) core.standAside();
  }

  /** Other threads ring when they have aborted a wait of this one, or ask it about a deadlock. The wait on the bell stays for good, and keeps nothing alive. */
  #armBell(): void {
    if (this.#bellArmed || this.isClosed) return;
    const { i32 } = this.kernel;
    const bell = (this.agent + AGENT_LOCK_BELL) >>> 2;
    const value = Atomics.load(i32, bell);
    const wait = Atomics.waitAsync(i32, bell, value);
    if (!wait.async) {
      this.#rung();
      return;
    }
    this.#bellArmed = true;
    void wait.value.then(this.#onBell);
  }

  #rung(): void {
    this.#bellArmed = false;
    if (this.isClosed) return;
    if (this.#waiters > 0 || this.#answers) this.#armBell();
    for (const core of [...this.#busy]) core.checkAborted();
    this.answer();
  }

  /** From now on this thread, which made the runtime, is asked about the deadlocks that others find. */
  beginToAnswer(): void {
    this.#answers = true;
    this.#armBell();
  }

  /** Looks for questions, if this thread is the one to answer them. */
  answer(): void {
    if (this.#answers) this.detector.answer();
  }

  /** Rings for the thread that made the runtime, which answers. False: there is none any more. */
  ringRuntime(): boolean {
    const { i32, u32 } = this.kernel;
    for (let id = 1; id < MAX_AGENTS; id++) {
      const agent = AGENTS + id * AGENT_SIZE;
      const isIt =
        u32[(agent + AGENT_KIND) >>> 2] === KIND_SUBMITTER &&
        Atomics.load(u32, (agent + AGENT_STATE) >>> 2) === AGENT_LIVE;
      if (!isIt) continue;
      const bell = (agent + AGENT_LOCK_BELL) >>> 2;
      Atomics.add(i32, bell, 1);
      Atomics.notify(i32, bell);
      return true;
    }
    return false;
  }

  /** Does an owner belong to this thread? */
  isOwn(owner: number): boolean {
    return this.kernel.u8[owner + OWNER_AGENT] === this.agentId;
  }

  /** Every lock that this thread has opened. */
  get cores(): IterableIterator<LockCore> {
    return this.#cores.values();
  }

  /** The runtime is gone: who waits is told, who comes is refused. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.meter.isClosed = true;
    for (const core of [...this.#busy]) core.close();
    for (const core of [...this.#cores.values()]) this.unpin(core.address);
    // A wait that nobody ends would keep the memory for ever.
    if (this.#bellArmed) Atomics.notify(this.kernel.i32, (this.agent + AGENT_LOCK_BELL) >>> 2);
    this.owners.close();
  }
}
