import {
  CHECK_OFF,
  LOCK_ABANDONED,
  LOCK_BUSY,
  LOCK_CLASS,
  LOCK_FLAG_ORDER_KEY,
  LOCK_FLAGS,
  LOCK_ORDER,
  LOCK_OWN,
  LOCK_RELEASED,
  LOCK_TAKEN,
  LOCK_TAKEN_COUNT,
  OWNER_HELD,
  WORD_ABANDONED,
  WORD_OWNER_MASK,
  WORD_OWNER_SHIFT,
} from '../../build/generated/layout.ts';
import {
  HeddleError,
  InvalidTypeError,
  LockAbandonedError,
  NotOwnerError,
  TaskAbortedError,
  TaskTimeoutError,
} from '../errors.ts';
import type { KernelExports } from '../kernel/kernel.ts';
import { abortSignal, checkOptions, describe, func, number, oneOf } from '../options.ts';
import { QOS_LEVELS } from '../qos.ts';
import { blockFor } from './block.ts';
import { HoldRecord } from './hold.ts';
import { tellObserver } from './late-faults.ts';
import {
  CANCELLED,
  type LockCore,
  OWNER_ENDED,
  TIMED_OUT,
  type WaitLimits,
  type WaitResult,
} from './lock-core.ts';
import type { LockMeter } from './lock-meter.ts';
import { assertObserver } from './observed.ts';
import type { OrderChecks } from './order-port.ts';
import { type ActiveOwner, LockOwner, type Owners } from './owners.ts';
import { waitersOf } from './snapshot.ts';
import type { Guard, LockContext, LockObserver, LockSnapshot, MutexOptions } from './types.ts';

const YES: Promise<boolean> = Promise.resolve(true);
const NO: Promise<boolean> = Promise.resolve(false);
const NO_CONTEXT: LockContext = Object.freeze({});
const FOREVER_MS = 2 ** 31 - 1;

/** What was called: `acquire` throws where the others give false. */
type Call = 'lock' | 'tryLock' | 'acquire';

const CONTEXT_CHECKS = {
  signal: abortSignal,
  timeoutMs: number(0, Number.POSITIVE_INFINITY),
  qos: oneOf(...QOS_LEVELS),
  owner(value: unknown, what: string): void {
    if (!(value instanceof LockOwner))
      throw new InvalidTypeError(`${what} must be a LockOwner, not ${describe(value)}`);
  },
};

function checkContext(ctx: LockContext, of: string): void {
  // An empty one has no unknown key.
  if (Array.isArray(ctx)) throw new InvalidTypeError(`${of} takes an options object, not an array`);
  checkOptions(ctx, CONTEXT_CHECKS, of);
}

/**
 * A mutex that all threads of a runtime share by its name: worker threads, tasks of any pool, threads that attached, the main thread. Make it with
 * `rt.mutex(name)`, in tasks with `runtime().mutex(name)`.
 *
 * Its holder is an **owner**: `ctx.owner`, else the context of `rt.withOwner` that the call is made in, else the task, else the thread. An owner is one flow of control. Flows
 * that run side by side in one thread and take the same lock need owners of their own; `runExclusive` gives each call one where nobody else has.
 *
 * | call | blocks | when the lock is not had |
 * | --- | --- | --- |
 * | `lock` | nobody; awaits | false: the signal fired, the time ran out, the task was cancelled, the owner ended |
 * | `acquire`, `runExclusive` | nobody; awaits | ERR_TASK_ABORTED, ERR_TASK_TIMEOUT |
 * | `tryLock` | nobody; awaits up to `timeoutMs` | false |
 * | `tryLockNow` | nobody | false |
 * | `lockSync` | this thread | false |
 *
 * What can go wrong with each of them: ERR_DEADLOCK (the wait would never end; or the owner has the lock already, and it is not reentrant),
 * ERR_LOCK_ORDER (order checks in mode `'throw'`), ERR_LOCK_ABANDONED (the last holder ended while it held the lock), ERR_POOL_CLOSED (the runtime was disposed),
 * ERR_INVALID_ARGUMENT (a wrong context), ERR_MEMORY_FULL.
 *
 * Waiters are served in no strict order, but none waits much longer than a millisecond more than its turn: then the lock is kept for it.
 */
export class ContextMutex {
  /** The name by which every thread finds it. */
  readonly name: string;
  readonly #core: LockCore;
  readonly #calls: KernelExports;
  readonly #u32: Uint32Array;
  readonly #address: number;
  readonly #owners: Owners;
  readonly #options: MutexOptions;
  readonly #observers: readonly LockObserver[];
  /** Are waits and holds of this handle counted? */
  #isMetered = false;
  /** What is written down about each hold: for observers, the meter, the hold watch, and stacks. Undefined: nothing, which is the fast way. */
  #record: HoldRecord | undefined;
  readonly #order: OrderChecks | undefined;
  readonly #active: ActiveOwner;
  /** Nothing is written down, and the handle is good. */
  #isPlain = false;
  /** Nothing but holds are counted, and the handle is good. */
  #onlyCounts = false;
  /** Nor is blocking refused. */
  #isPlainSync = false;
  /** How often this handle was given out; 0 once it was forgotten. */
  #opens = 1;

  /** @internal Use `rt.mutex`. */
  constructor(core: LockCore, options: MutexOptions, observers: readonly LockObserver[] = []) {
    const { space } = core;
    this.name = core.name;
    this.#core = core;
    this.#calls = space.kernel.calls;
    this.#u32 = space.kernel.u32;
    this.#address = core.address;
    this.#owners = space.owners;
    this.#options = options;
    this.#observers = observers;
    this.#active = space.owners.active;
    this.#order = space.orderMode(core.address) === CHECK_OFF ? undefined : space.order;
    this.#chooseWay(space.meter.meters(core.address));
  }

  /** What is to be written down decides which of the fast ways are open. */
  #chooseWay(isMetered: boolean): void {
    const { space } = this.#core;
    this.#isMetered = isMetered;
    this.#record = HoldRecord.for(this.#core, this.#observers, isMetered);
    this.#isPlain = this.#record === undefined;
    this.#onlyCounts = this.#record?.onlyCounts === true;
    this.#isPlainSync = this.#isPlain && space.host.mayBlock;
  }

  /** Are waits and holds of this handle counted? */
  get isMetered(): boolean {
    return this.#isMetered;
  }

  /** @internal The handle is given out once more. */
  openAgain(): this {
    this.#opens++;
    // Somebody may have begun to meter the lock meanwhile.
    const isMetered = this.meter.meters(this.#address);
    if (isMetered !== this.#isMetered) this.#chooseWay(isMetered);
    return this;
  }

  /** @internal */
  get isForgotten(): boolean {
    return this.#opens === 0;
  }

  /**
   * This handle is used no more: whatever is called on it throws ERR_INVALID_ARGUMENT. Once no thread has a handle of the lock, its name and its memory are free, with
   * what was learned of its order; the next `mutex()` of that name makes a new lock. For programs that make a lock for each request, or each record: without
   * it the lock lives as long as the runtime. What `withObserver()` and `metered()` return are handles of their own, beside the one that they were called on. In a task, where `runtime().mutex(name)` gives every caller the same handle, as often as that was called.
   *
   * @returns whether the name is free now. False: others have it open, or its last holder ended while it held it
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT while this thread holds it or waits for it, and this is its last handle here.
   */
  forget(): boolean {
    const core = this.#core;
    const { space } = core;
    if (this.#opens === 0 || space.isClosed) return false;
    if (this.#opens === 1 && core.handles === 1) {
      const holder = this.#holder();
      if (core.waiting > 0 || (holder !== 0 && space.isOwn(holder))) {
        throw new InvalidTypeError(
          `cannot forget lock '${this.name}': this thread holds it, or waits for it; unlock it first`,
          { resource: this.name },
        );
      }
    }
    if (--this.#opens > 0) return false;
    this.#isPlain = false;
    this.#isPlainSync = false;
    this.#onlyCounts = false;
    return --core.handles === 0 && space.release(core);
  }

  #assertKept(): void {
    if (this.#opens > 0) return;
    throw new InvalidTypeError(`cannot use lock '${this.name}': this handle was forgotten; open it again`, {
      resource: this.name,
    });
  }

  /** Its address in the shared memory: the same in every thread. */
  get id(): number {
    return this.#address;
  }

  // ---- taking -------------------------------------------------------------------------------------------------------------------------------

  /**
   * Takes the lock, and waits for it without blocking the thread. A free lock is taken at once, without a turn of the event loop. Keeps the process
   * alive while it waits.
   *
   * @returns true once the lock is held; false when the wait was given up: `ctx.signal`, `ctx.timeoutMs`, the task was cancelled, or the owner ended as it waited
   *
   * Rejects with {@link DeadlockError} ERR_DEADLOCK, {@link LockAbandonedError} ERR_LOCK_ABANDONED, ERR_LOCK_ORDER, ERR_POOL_CLOSED when the runtime is or gets
   * disposed, ERR_INVALID_ARGUMENT.
   */
  lock(ctx?: LockContext): Promise<boolean> {
    if (ctx === undefined && this.#isPlain) {
      // 0 takes nothing: the slow way looks who calls.
      if (this.#take(this.#active.address) === LOCK_TAKEN) return YES;
    }
    if (ctx === undefined && this.#onlyCounts && this.#takeCounted()) return YES;
    return this.#lockSlow(ctx, 'lock');
  }

  /** Takes the lock if it is free and its order needs no look. An answer of the kernel. */
  #take(owner: number): number {
    const order = this.#order;
    return order === undefined
      ? this.#calls.tryLock(this.#address, owner)
      : this.#calls.tryLockSeen(order.opened, this.#address, owner);
  }

  /** Takes the lock if it is free, its order needs no look, and there is nothing to be done but to count. */
  #takeCounted(): boolean {
    const owner = this.#active.address;
    if (this.#take(owner) !== LOCK_TAKEN) return false;
    this.#record!.begin(owner);
    return true;
  }

  /**
   * Takes the lock if it is free, or becomes free within `timeoutMs` (default: 0). No part of the learned order, and no deadlock starts from it: it ends
   * by itself. False at once when this owner has it and it is not reentrant. Rejects as {@link ContextMutex.lock} does, but not with ERR_DEADLOCK.
   */
  tryLock(timeoutMs = 0): Promise<boolean> {
    if (timeoutMs === 0) {
      try {
        return Promise.resolve(this.tryLockNow());
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.#lockSlow({ timeoutMs }, 'tryLock');
  }

  /**
   * Takes the lock if it is free. Blocks nobody, a few nanoseconds.
   *
   * @returns false when somebody else has it, or this owner has it and it is not reentrant
   * @throws {LockAbandonedError} ERR_LOCK_ABANDONED; ERR_POOL_CLOSED.
   */
  tryLockNow(): boolean {
    if (this.#isPlain && this.#calls.tryLock(this.#address, this.#active.address) === LOCK_TAKEN) return true;
    return this.#tryNowSlow();
  }

  #tryNowSlow(): boolean {
    this.#assertKept();
    const owner = this.#owners.current();
    const answer = this.#calls.tryLock(this.#address, owner);
    if (answer === LOCK_BUSY || answer === LOCK_OWN) return false;
    return this.#conclude(answer, owner) === true;
  }

  /**
   * Takes the lock; blocks the thread until it is had. For worker threads and plain scripts: a main thread that blocks serves nobody meanwhile.
   *
   * @returns false when `ctx.timeoutMs` ran out, `ctx.signal` had fired before, or the task was cancelled
   * @throws {DeadlockError} ERR_DEADLOCK, also when the holder runs in this very thread.
   * @throws {LockAbandonedError} ERR_LOCK_ABANDONED; ERR_LOCK_ORDER; ERR_POOL_CLOSED.
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT on the main thread of a browser, which must not block.
   */
  lockSync(ctx?: LockContext): boolean {
    if (ctx === undefined) {
      // Owner 0 takes nothing: the slow way looks who calls.
      if (this.#isPlainSync && this.#take(this.#active.address) === LOCK_TAKEN) return true;
    }
    if (ctx === undefined && this.#onlyCounts && this.#core.space.host.mayBlock && this.#takeCounted())
      return true;
    return this.#lockSyncSlow(ctx);
  }

  #lockSyncSlow(ctx: LockContext = NO_CONTEXT): boolean {
    const { host } = this.#core.space;
    checkContext(ctx, 'lockSync()');
    if (!host.mayBlock) {
      throw new InvalidTypeError(
        `cannot block for lock '${this.name}': the main thread of a browser must not block; await lock() instead`,
        { resource: this.name },
      );
    }
    if (ctx.signal?.aborted) return false;
    const owner = this.#ownerOf(ctx);
    this.#checkOrder(owner);
    const limits = this.#limitsOf(ctx, false);
    const started = host.clock.now();
    let answer = this.#calls.tryLock(this.#address, owner);
    if (answer !== LOCK_TAKEN && this.#core.takeBack()) answer = this.#calls.tryLock(this.#address, owner);
    for (;;) {
      const had = this.#conclude(answer, owner);
      if (had !== undefined) return had;
      if (ctx.timeoutMs === 0) return false;
      try {
        answer = blockFor(this.#core, owner, limits);
      } finally {
        this.#tellWait(started);
      }
    }
  }

  /** No async function: between the lock and the code that has it there are to be as few turns as can be. */
  #lockSlow(ctx: LockContext = NO_CONTEXT, call: Call): Promise<boolean> {
    try {
      checkContext(ctx, `${call}()`);
      if (ctx.signal?.aborted) return NO;
      return this.#wait(ctx, this.#ownerOf(ctx), call);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #wait(ctx: LockContext, owner: number, call: Call): Promise<boolean> {
    this.#assertKept();
    const tries = call === 'tryLock';
    if (!tries) this.#checkOrder(owner);
    const limits = this.#limitsOf(ctx, tries);
    let started = -1;
    let cause: unknown;
    for (let answer: number = this.#calls.tryLock(this.#address, owner); ; ) {
      // As tryLockNow(): only tried, it is not had.
      if (tries && answer === LOCK_OWN) return false;
      let had = this.#conclude(answer, owner);
      if (had === undefined && ctx.timeoutMs === 0) {
        answer = TIMED_OUT;
        had = false;
      }
      if (had === false && call === 'acquire') throw this.#gaveUp(answer, ctx, cause);
      if (had !== undefined) return had;
      if (started < 0) started = this.#core.space.host.clock.now();
      const wait = this.#core.wait(owner, limits);
      try {
        let result: WaitResult | undefined;
        do {
          await wait.settled;
          result = this.#core.accept(wait);
        } while (result === undefined);
        answer = result;
        if (result === CANCELLED) cause = wait.signals.find(({ aborted }) => aborted)?.reason;
      } finally {
        this.#tellWait(started);
      }
    }
  }

  #limitsOf({ signal, timeoutMs }: LockContext, tries: boolean): WaitLimits {
    const isTimed = timeoutMs !== undefined && timeoutMs <= FOREVER_MS;
    return { signal, until: isTimed ? this.#core.space.host.clock.now() + timeoutMs : undefined, tries };
  }

  /** What an answer of the kernel, or of a wait, comes to. Undefined: somebody has the lock, wait for it. */
  #conclude(first: number, owner: number): boolean | undefined {
    let answer = first;
    if (answer === LOCK_ABANDONED && this.#options.onAbandoned === 'recover')
      answer = this.#calls.takeAbandoned(this.#address, owner);
    if (answer === LOCK_BUSY) return undefined;
    if (answer === CANCELLED || answer === TIMED_OUT || answer === OWNER_ENDED) return false;
    if (answer !== LOCK_TAKEN) throw this.#errorFor(answer, owner);
    this.#record?.begin(owner);
    return true;
  }

  #errorFor(answer: number, owner: number): Error {
    const { space } = this.#core;
    if (answer === LOCK_OWN) return space.detector.errorOfSelf(owner, this.#address, this.#hint());
    if (answer === LOCK_ABANDONED) {
      return new LockAbandonedError(
        `cannot lock '${this.name}': its last holder ended while it held the lock, so what it protects may be half changed; ` +
          "take it with { onAbandoned: 'recover' }, put things right, and unlock it",
        { resource: this.name },
      );
    }
    if (space.isClosed) {
      return new HeddleError('ERR_POOL_CLOSED', `cannot lock '${this.name}': the runtime was disposed`, {
        resource: this.name,
      });
    }
    return new InvalidTypeError(`cannot lock '${this.name}': its owner has ended`, { resource: this.name });
  }

  #hint(): string {
    if (this.#owners.hasContext) return '';
    return '; code that runs side by side in one thread needs owners: rt.withOwner(fn), runExclusive(fn) or ctx.owner';
  }

  #ownerOf(ctx: LockContext): number {
    this.#assertKept();
    return ctx.owner === undefined ? this.#owners.current() : this.#addressOf(ctx.owner);
  }

  /** An address is one of this runtime's memory, and only its own thread may lock with it. */
  #addressOf(owner: LockOwner): number {
    if (!(owner instanceof LockOwner) || !owner.isOf(this.#owners))
      throw new InvalidTypeError(
        `option 'owner' for lock '${this.name}' must be a LockOwner of this runtime, made in this thread, not ${describe(owner)}`,
        { resource: this.name },
      );
    return owner.address;
  }

  #checkOrder(owner: number): void {
    if (this.#order !== undefined && owner !== 0 && this.#u32[(owner + OWNER_HELD) >>> 2] !== 0) {
      // Taking a lock again is no step from one lock to another.
      if (this.#holder() !== owner) this.#order.before(owner, this.#address);
    }
  }

  /** Address of the owner that has it, or 0. */
  #holder(): number {
    const word = Atomics.load(this.#core.space.kernel.i32, this.#address >>> 2);
    const id = (word & WORD_OWNER_MASK) >>> WORD_OWNER_SHIFT;
    return id === 0 ? 0 : this.#calls.ownerAt(id) >>> 0;
  }

  #tellWait(started: number): void {
    if (this.#observers.length === 0 && !this.#isMetered) return;
    const waited = this.#core.space.host.clock.now() - started;
    if (this.#isMetered) this.#core.space.meter.addWait(waited);
    for (const observer of this.#observers) tellObserver(() => observer.lockWait(this.#address, waited));
  }

  // ---- giving back ------------------------------------------------------------------------------------------------------------------------------

  /**
   * Gives the lock back. A reentrant lock is free once it was unlocked as often as it was locked. Wakes a waiter only if there is one.
   *
   * @param ctx - `owner`, if it was taken with one. It may be the whole context of `lock()`: the rest is checked, and does nothing
   * @throws {NotOwnerError} ERR_NOT_OWNER when the caller does not hold it; nothing is changed then. ERR_POOL_CLOSED when the runtime was disposed.
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong context; nothing is changed then.
   */
  unlock(ctx?: { readonly owner?: LockOwner }): void {
    if (
      ctx === undefined &&
      this.#isPlain &&
      this.#calls.unlock(this.#address, this.#active.address) === LOCK_RELEASED
    ) {
      if (this.#core.waiting !== 0) this.#core.lookSoon();
      return;
    }
    if (ctx !== undefined) checkContext(ctx, 'unlock()');
    this.#unlock(ctx?.owner === undefined ? this.#owners.current() : this.#addressOf(ctx.owner));
  }

  #unlock(owner: number): void {
    this.#assertKept();
    this.#giveBack(owner);
  }

  /** Guards come here: what one holds it gives back, also where its handle was forgotten meanwhile. */
  #giveBack(owner: number): void {
    if (this.#record === undefined) {
      if (this.#calls.unlock(this.#address, owner) !== LOCK_RELEASED) throw this.#notOwner(owner);
    } else if (!this.#record.end(owner)) {
      throw this.#notOwner(owner);
    }
    if (this.#core.waiting !== 0) this.#core.lookSoon();
  }

  #notOwner(owner: number): HeddleError {
    const { space } = this.#core;
    if (space.isClosed) {
      return new HeddleError('ERR_POOL_CLOSED', `cannot unlock '${this.name}': the runtime was disposed`, {
        resource: this.name,
      });
    }
    const holder = this.#holder();
    const who = owner === 0 ? 'an owner that has ended' : space.ownerLabel(owner);
    const state = holder === 0 ? 'nobody holds it' : `${space.ownerLabel(holder)} holds it`;
    return new NotOwnerError(`cannot unlock '${this.name}': ${state}, not ${who}`, { resource: this.name });
  }

  // ---- scopes -------------------------------------------------------------------------------------------------------------------------------------

  /**
   * Takes the lock for a scope: `using guard = await m.acquire()`.
   *
   * Rejects as {@link ContextMutex.lock} does, and where that is false: ERR_TASK_ABORTED (name 'AbortError',
   * cause: the reason of the signal, of the call or its task, that fired; none when the owner ended), ERR_TASK_TIMEOUT.
   */
  async acquire(ctx: LockContext = NO_CONTEXT): Promise<Guard> {
    checkContext(ctx, 'acquire()');
    const owner = this.#ownerOf(ctx);
    return this.#acquireFor(ctx, owner);
  }

  async #acquireFor(ctx: LockContext, owner: number): Promise<MutexGuard> {
    if (ctx.signal?.aborted) throw this.#gaveUp(CANCELLED, ctx, ctx.signal.reason);
    await this.#wait(ctx, owner, 'acquire');
    // The hold, and not only the owner: a record stands for another owner once this one has ended, and that one may have the lock.
    const hold = this.#u32[(this.#address + LOCK_TAKEN_COUNT) >>> 2];
    const release = (): void => {
      if (this.#u32[(this.#address + LOCK_TAKEN_COUNT) >>> 2] !== hold) throw this.#notOwner(0);
      this.#giveBack(owner);
    };
    return new MutexGuard(release, this.#isMarked, ctx.owner);
  }

  /** `cause`: the reason of the signal that has fired. */
  #gaveUp(result: number, { timeoutMs }: LockContext, cause: unknown): HeddleError {
    const options = { resource: this.name, cause };
    if (result === TIMED_OUT)
      return new TaskTimeoutError(`lock '${this.name}' was not free within ${timeoutMs} ms`, options);
    const why = result === OWNER_ENDED ? 'ended with its owner' : 'was aborted';
    return new TaskAbortedError(`the wait for lock '${this.name}' ${why}`, options);
  }

  /**
   * Calls `fn` while it holds the lock, and gives it back however that ends. Where neither a context nor a task nor `ctx.owner` says who calls, each call is an owner of its own: calls side
   * by side wait for each other.
   *
   * @returns what `fn` returned. Rejects with what it threw, and as {@link ContextMutex.acquire} does.
   */
  async runExclusive<R>(fn: () => R | PromiseLike<R>, ctx: LockContext = NO_CONTEXT): Promise<R> {
    func(fn, 'runExclusive(): the first argument');
    checkContext(ctx, 'runExclusive()');
    if (ctx.owner === undefined && !this.#owners.hasContext && !this.#core.space.isClosed) {
      return this.#owners.run((owner) => this.#runAs(fn, ctx, owner.address));
    }
    return this.#runAs(fn, ctx, this.#ownerOf(ctx));
  }

  async #runAs<R>(fn: () => R | PromiseLike<R>, ctx: LockContext, owner: number): Promise<R> {
    const guard = await this.#acquireFor(ctx, owner);
    try {
      return await fn();
    } finally {
      guard.release();
    }
  }

  // ---- looking -------------------------------------------------------------------------------------------------------------------------------------

  /**
   * The same lock, told to an observer: it hears of what is done through the handle that this returns. Handles without observers pay nothing.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no observer.
   */
  withObserver(observer: LockObserver): ContextMutex {
    assertObserver(observer);
    this.#assertKept();
    this.#core.handles++;
    return new ContextMutex(this.#core, this.#options, [...this.#observers, observer]);
  }

  /**
   * The same lock, with its waits and holds counted, which {@link LockManager.metrics} reads. Counts what is done through the handle that this returns, and through
   * every handle that any thread opens from now on; tasks in workers see it the next time that they ask for the lock. Costs about half a microsecond a hold; handles
   * without it cost nothing more.
   *
   * @throws {MemoryFullError} ERR_MEMORY_FULL.
   */
  metered(): ContextMutex {
    if (this.#isMetered) return this;
    this.#assertKept();
    this.#core.space.meter.meter(this.#address);
    this.#core.handles++;
    return new ContextMutex(this.#core, this.#options, this.#observers);
  }

  /** @internal What counts for it. */
  get meter(): LockMeter {
    return this.#core.space.meter;
  }

  /** Does anybody hold it? May be otherwise by the time you read it. */
  get isLocked(): boolean {
    this.#assertKept();
    return this.#holder() !== 0;
  }

  /** Did a holder end while it held the lock, and nobody has put that right? True also while somebody holds it to do so. */
  get isAbandoned(): boolean {
    this.#assertKept();
    return this.#isMarked;
  }

  get #isMarked(): boolean {
    return (Atomics.load(this.#core.space.kernel.i32, this.#address >>> 2) & WORD_ABANDONED) !== 0;
  }

  /** What can be known of the lock now. */
  snapshot(): LockSnapshot {
    this.#assertKept();
    const { space } = this.#core;
    const { u32, f64 } = space.kernel;
    const holder = this.#holder();
    const classId = u32[(this.#address + LOCK_CLASS) >>> 2]!;
    const hasKey = (u32[(this.#address + LOCK_FLAGS) >>> 2]! & LOCK_FLAG_ORDER_KEY) !== 0;
    return {
      id: this.#address,
      name: this.name,
      ...(classId === 0 ? {} : { class: space.nameOf(classId) }),
      ...(hasKey ? { order: f64[(this.#address + LOCK_ORDER) >>> 3]! } : {}),
      isLocked: holder !== 0,
      isAbandoned: this.isAbandoned,
      ...(holder === 0 ? {} : { owner: space.ownerLabel(holder) }),
      waiters: waitersOf(space, this.#address),
      acquisitions: u32[(this.#address + LOCK_TAKEN_COUNT) >>> 2]!,
    };
  }
}

class MutexGuard implements Guard {
  readonly isAbandoned: boolean;
  #unlock: (() => void) | undefined;
  /** Kept as long as the hold: one that is dropped ends, and its locks with it. */
  owner: LockOwner | undefined;

  constructor(unlock: () => void, isAbandoned: boolean, owner: LockOwner | undefined) {
    this.#unlock = unlock;
    this.isAbandoned = isAbandoned;
    this.owner = owner;
  }

  release(): void {
    const unlock = this.#unlock;
    this.#unlock = undefined;
    try {
      unlock?.();
    } finally {
      this.owner = undefined;
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }
}
