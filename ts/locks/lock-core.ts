import {
  type LOCK_ABANDONED,
  LOCK_CLOSED,
  type LOCK_OWN,
  LOCK_TAKEN,
  OWNER_FLAG_BREAKABLE,
  OWNER_FLAG_TRY,
  WORD_HANDOFF,
  WORD_OWNER_MASK,
  WORD_OWNER_SHIFT,
} from '../../build/generated/layout.ts';
import type { DeadlockError } from '../errors.ts';
import type { LockSpace } from './space.ts';

/** A waiter that is older than this has the lock kept for it. */
export const HANDOFF_MS = 1;

/** For a turn that begins when the code that runs now has ended. */
const READY = Promise.resolve();

/** How a wait ended: with the lock, without it, or an answer of the kernel that is an error. */
export type WaitResult =
  | typeof LOCK_TAKEN
  | typeof LOCK_ABANDONED
  | typeof LOCK_OWN
  | typeof LOCK_CLOSED
  | typeof CANCELLED
  | typeof TIMED_OUT
  | typeof OWNER_ENDED;
/** The signal of the call or of its task has fired. */
export const CANCELLED = 0;
export const TIMED_OUT = 1;
export const OWNER_ENDED = 2;

/** How long to wait, and until when. */
export interface WaitLimits {
  readonly signal: AbortSignal | undefined;
  /** Milliseconds on the thread's clock; one for all the waits of a call. */
  readonly until: number | undefined;
  /** It only tries: it starts no report of a deadlock. */
  readonly tries: boolean;
}

/** A wait in the event loop: await `settled`, then ask {@link LockCore.accept}. */
export interface Waiter {
  readonly owner: number;
  readonly limits: WaitLimits;
  readonly since: number;
  readonly flags: number;
  /** Fulfilled when it waits no more, rejected when that is for an error. Another one when the lock was taken back. */
  settled: Promise<void>;
  resolve: () => void;
  reject: (error: unknown) => void;
  /** What may have ended it, if it is CANCELLED. */
  signals: readonly AbortSignal[];
  /** How the wait ended. Undefined: it lasts. */
  result: WaitResult | undefined;
  /** The record that says so to other threads: the owner's, or one of its own where the owner waits already. 0: the memory is full. */
  record: number;
  stopTimer: (() => void) | undefined;
  stopSignal: (() => void) | undefined;
  /** It stands in the queue no more. */
  isOut: boolean;
}

/**
 * One lock in one thread: the waiters of its event loop, in order of arrival. Only the first of them takes part in the lock's protocol
 * (assembly/mutex.ts): it sets the contended bit and sleeps on the word with `Atomics.waitAsync`. While the holder is of this very thread
 * nobody sleeps: its unlock has us look in a turn of our own (lookSoon), so flows of one thread pass a lock on without waking anybody. Not inside the unlock: the
 * code that unlocks goes on first, and may want the lock again, or block, while the one who was given it could not run.
 *
 * A waitAsync cannot be taken back. It stays good for the next waiter; when there is none, everybody is woken, so that no wake-up goes to it.
 */
export class LockCore {
  readonly space: LockSpace;
  readonly address: number;
  readonly name: string;
  /**
   * Where a hold is metered: when it began, in milliseconds, and which it is by LOCK_TAKEN_COUNT. Whoever takes the lock gives it back in the same thread, if
   * through another handle.
   */
  heldSince = 0;
  heldTake = -1;
  /** Stops the timer of the hold, where this thread looks for itself whether it lasts too long. */
  stopHoldTimer: (() => void) | undefined;
  readonly #queue: Waiter[] = [];
  readonly #onWake = (): void => this.#woken();
  /** There is a waitAsync that was not notified yet. */
  #armed = false;
  #looksSoon = false;
  readonly #onTurn = (): void => {
    this.#looksSoon = false;
    this.drive();
  };
  /** Has the lock, and its code has not gone on yet. */
  #granted: Waiter | undefined;
  /** Waiters of this thread's event loop; read by every unlock. */
  waiting = 0;
  /** Handles of this thread that were not forgotten. */
  handles = 0;

  constructor(space: LockSpace, address: number, name: string) {
    this.space = space;
    this.address = address;
    this.name = name;
  }

  /** Waits in the event loop. */
  wait(owner: number, limits: WaitLimits): Waiter {
    const breakable = limits.signal !== undefined || limits.until !== undefined;
    const waiter: Waiter = {
      owner,
      limits,
      since: this.space.host.clock.now(),
      flags: (breakable ? OWNER_FLAG_BREAKABLE : 0) | (limits.tries ? OWNER_FLAG_TRY : 0),
      settled: undefined as never,
      resolve: undefined as never,
      reject: undefined as never,
      signals: [],
      result: undefined,
      record: 0,
      stopTimer: undefined,
      stopSignal: undefined,
      isOut: false,
    };
    this.#queue.push(waiter);
    this.#begin(waiter);
    if (this.#queue[0] === waiter) this.drive();
    if (!waiter.isOut) this.#guardWait(waiter);
    return waiter;
  }

  /** It stands in the queue: it waits from now on. */
  #begin(waiter: Waiter): void {
    const { space } = this;
    waiter.settled = new Promise<void>((resolve, reject) => {
      waiter.resolve = resolve;
      waiter.reject = reject;
    });
    this.waiting = this.#queue.length;
    const at = space.detector.captureStack(waiter.owner, false);
    // The bell first: who sees the wait may abort it, and rings.
    space.enter(this);
    this.#publish(waiter, at);
  }

  /** The code of a waiter goes on: how did its wait end? Undefined: it was given the lock, but that was taken back, and it waits again. */
  accept(waiter: Waiter): WaitResult | undefined {
    if (this.#granted === waiter) this.#ungrant();
    return waiter.result;
  }

  #ungrant(): void {
    this.#granted = undefined;
    this.space.granted.delete(this);
  }

  /**
   * Other code of this thread wants the lock, or is about to block, before the code of the waiter that was given the lock has gone on: it waits again, first of all.
   *
   * @returns whether there was one
   */
  takeBack(): boolean {
    const waiter = this.#granted;
    if (waiter === undefined || this.space.isClosed) return false;
    this.#ungrant();
    // First, or it would wait for itself.
    this.space.kernel.calls.unlock(this.address, waiter.owner);
    waiter.result = undefined;
    waiter.isOut = false;
    this.#queue.unshift(waiter);
    this.#begin(waiter);
    this.#guardWait(waiter);
    this.lookSoon();
    return true;
  }

  #settle(waiter: Waiter, result: WaitResult): void {
    waiter.result = result;
    waiter.resolve();
  }

  /** The wait lasts: what may end it early. */
  #guardWait(waiter: Waiter): void {
    const { signal, until, tries } = waiter.limits;
    const { host } = this.space;
    const cancel = (): void => this.#remove(waiter, () => this.#settle(waiter, CANCELLED));
    const expire = (): void => this.#remove(waiter, () => this.#settle(waiter, TIMED_OUT));
    if (until !== undefined) waiter.stopTimer = host.timer(expire, Math.max(0, until - host.clock.now()));
    const signals = [signal, host.taskSignal()].filter((each) => each !== undefined);
    waiter.signals = signals;
    if (signals.some((each) => each.aborted)) {
      cancel();
      return;
    }
    for (const each of signals) each.addEventListener('abort', cancel, { once: true });
    waiter.stopSignal = () => {
      for (const each of signals) each.removeEventListener('abort', cancel);
    };
    if (!tries) this.#check(waiter);
  }

  /** Looks whether the wait is part of a deadlock. If it fails for that, or the look does, nobody stays in the queue whom nobody answers. */
  #check(waiter: Waiter): void {
    let error: unknown;
    try {
      error = this.space.detector.check(waiter.record, this.address);
    } catch (fault) {
      error = fault;
    }
    if (error !== undefined) this.#remove(waiter, () => waiter.reject(error));
  }

  #publish(waiter: Waiter, at: Error | undefined): void {
    const { detector } = this.space;
    waiter.record = detector.begin(waiter.owner, this.address, waiter.flags, false, at);
  }

  /** As drive(), once the code that runs now has ended. */
  lookSoon(): void {
    if (this.#looksSoon) return;
    this.#looksSoon = true;
    void READY.then(this.#onTurn);
  }

  /** Lets the first waiter have a look, and those behind it as far as they get the lock. Called when the lock may have become free. */
  drive(): void {
    const { space, address } = this;
    const { calls, i32 } = space.kernel;
    while (this.#queue.length > 0) {
      const head = this.#queue[0]!;
      if (this.#isHeldHere()) return;
      let answer = calls.prepareWait(address, head.owner);
      // A reservation is undone by recovery only for a wait that its owner has published.
      const isSeen = head.record === head.owner;
      if (answer >= 0 && isSeen && space.host.clock.now() - head.since >= HANDOFF_MS) {
        calls.requestHandoff(address, head.owner);
        answer = calls.prepareWait(address, head.owner);
      }
      if (answer < 0) {
        // It goes without the lock: a wake-up that it was given goes to the next.
        if (answer !== LOCK_TAKEN) calls.leaveWait(address, head.owner);
        this.#dequeue(head);
        this.#settle(head, answer as WaitResult);
        if (answer !== LOCK_TAKEN) continue;
        this.#granted = head;
        space.granted.add(this);
        continue;
      }
      if (this.#armed) return;
      const wait = Atomics.waitAsync(i32, address >>> 2, answer);
      if (!wait.async) continue;
      this.#armed = true;
      void wait.value.then(this.#onWake);
      return;
    }
  }

  #woken(): void {
    this.#armed = false;
    if (this.#queue.length > 0) this.drive();
    else this.space.kernel.calls.passWake(this.address);
  }

  /** Whether or not somebody has told: looks for the lock, and for deadlocks of those who have waited for so long. */
  lookAgain(ms: number): void {
    this.checkAborted();
    this.drive();
    const { host } = this.space;
    const before = host.clock.now() - ms;
    for (const waiter of [...this.#queue]) {
      if (waiter.isOut || waiter.since > before || (waiter.flags & OWNER_FLAG_TRY) !== 0) continue;
      this.#check(waiter);
    }
  }

  /** The event loop comes to nothing for a while: see {@link LockSpace.standAside}. */
  standAside(): void {
    this.takeBack();
    const head = this.#queue[0];
    if (head !== undefined) this.space.kernel.calls.leaveWait(this.address, head.owner);
    // A waitAsync cannot be taken back, and may have swallowed a wake-up already: all look again, and it is over when the event loop goes on.
    if (this.#armed) Atomics.notify(this.space.kernel.i32, this.address >>> 2);
  }

  /** Is the holder an owner of this thread, who will look here when it unlocks? */
  #isHeldHere(): boolean {
    const { space } = this;
    const { calls, i32 } = space.kernel;
    const word = Atomics.load(i32, this.address >>> 2);
    if ((word & WORD_OWNER_MASK) === 0 || (word & WORD_HANDOFF) !== 0) return false;
    return space.isOwn(calls.ownerAt(word >>> WORD_OWNER_SHIFT) >>> 0);
  }

  /** Takes a waiter out of the queue, whatever becomes of it. */
  #dequeue(waiter: Waiter): void {
    const { space } = this;
    waiter.isOut = true;
    if (this.#queue[0] === waiter) this.#queue.shift();
    else this.#queue.splice(this.#queue.indexOf(waiter), 1);
    this.waiting = this.#queue.length;
    waiter.stopTimer?.();
    waiter.stopSignal?.();
    // Nobody waits here any more: nobody's wake-up may end here. Before the record says so, as that is what recovery goes by.
    if (this.#queue.length === 0 && this.#armed) space.kernel.calls.bump(this.address);
    space.detector.end(waiter.record);
    space.leave(this);
  }

  /** A waiter goes without the lock. */
  #remove(waiter: Waiter, settle: () => void): void {
    if (waiter.isOut) return;
    const wasFirst = this.#queue[0] === waiter;
    if (wasFirst) this.space.kernel.calls.leaveWait(this.address, waiter.owner);
    this.#dequeue(waiter);
    settle();
    if (wasFirst && this.#queue.length > 0) this.lookSoon();
  }

  /** Another thread has aborted a wait of this one. */
  checkAborted(): void {
    const { detector, kernel } = this.space;
    for (const waiter of [...this.#queue]) {
      if (waiter.record === 0 || kernel.calls.isAborted(waiter.record) === 0) continue;
      const error: DeadlockError = detector.errorOfVictim(waiter.record, this.address);
      this.#remove(waiter, () => waiter.reject(error));
    }
  }

  /** An owner has ended: its waits are nobody's. */
  dropOwner(owner: number): void {
    const granted = this.#granted;
    if (granted?.owner === owner) {
      // Nothing was done under the lock, so it is no lock that was left held.
      this.#ungrant();
      granted.result = OWNER_ENDED;
      this.space.kernel.calls.unlock(this.address, owner);
      if (this.waiting > 0) this.lookSoon();
    }
    for (const waiter of [...this.#queue])
      if (waiter.owner === owner) this.#remove(waiter, () => this.#settle(waiter, OWNER_ENDED));
  }

  /** The runtime is gone. */
  close(): void {
    for (const waiter of [...this.#queue]) this.#remove(waiter, () => this.#settle(waiter, LOCK_CLOSED));
  }
}
