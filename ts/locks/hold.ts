import {
  LOCK_DEPTH,
  LOCK_HOLD_MS,
  LOCK_RELEASED,
  LOCK_SINCE,
  LOCK_TAKEN_COUNT,
  LOCK_TEXT,
  OWNER_WORD,
  STACKS_ALL,
  WORD_OWNER_MASK,
} from '../../build/generated/layout.ts';
import { tellObserver } from './late-faults.ts';
import type { LockCore } from './lock-core.ts';
import type { LockSpace } from './space.ts';
import { cleanStack } from './stacks.ts';
import type { LockObserver, LockViolation } from './types.ts';

/** What is written down about each hold of a lock, where somebody asked for it. */
export class HoldRecord {
  readonly #core: LockCore;
  readonly #observers: readonly LockObserver[];
  readonly #holdMs: number;
  /** Does the runtime's thread look for locks that are held too long? Otherwise this thread does. */
  readonly #isWatched: boolean;
  /** Where it was taken is kept in the shared memory. */
  readonly #keepsStack: boolean;
  readonly #isMetered: boolean;

  private constructor(
    core: LockCore,
    observers: readonly LockObserver[],
    holdMs: number,
    isMetered: boolean,
  ) {
    this.#core = core;
    this.#observers = observers;
    this.#holdMs = holdMs;
    this.#isMetered = isMetered;
    this.#keepsStack = holdMs > 0 || core.space.stacks === STACKS_ALL;
    this.#isWatched = holdMs > 0 && core.space.host.watch(holdMs);
  }

  /** Undefined when there is nothing to write down. */
  static for(core: LockCore, observers: readonly LockObserver[], isMetered: boolean): HoldRecord | undefined {
    const { space, address } = core;
    const holdMs = space.kernel.u32[(address + LOCK_HOLD_MS) >>> 2]!;
    if (observers.length === 0 && holdMs === 0 && space.stacks !== STACKS_ALL && !isMetered) return undefined;
    return new HoldRecord(core, observers, holdMs, isMetered);
  }

  /** Is there nothing to do but to count? */
  get onlyCounts(): boolean {
    return this.#isMetered && !this.#keepsStack && this.#observers.length === 0;
  }

  /** The owner has just taken the lock. */
  begin(owner: number): void {
    const { space, address } = this.#core;
    const { u32, f64 } = space.kernel;
    // Again: what was written down stays true.
    if (u32[(address + LOCK_DEPTH) >>> 2] !== 0) return;
    if (this.#isMetered) {
      this.#core.heldSince = space.host.clock.now();
      this.#core.heldTake = u32[(address + LOCK_TAKEN_COUNT) >>> 2]!;
    }
    if (!this.#keepsStack && this.#observers.length === 0) return;
    const stack = cleanStack(new Error());
    if (this.#keepsStack) {
      const text = space.writeText(stack);
      f64[(address + LOCK_SINCE) >>> 3] = space.host.clock.now();
      u32[(address + LOCK_TEXT) >>> 2] = text;
    }
    if (this.#holdMs > 0 && !this.#isWatched) {
      this.#watchHere(owner, u32[(address + LOCK_TAKEN_COUNT) >>> 2]!, this.#holdMs);
    }
    for (const observer of this.#observers) tellObserver(() => observer.lockAcquired(address, stack));
  }

  /** Looks in `ms` milliseconds. The timer is the lock's: it may be given back through another handle. `take`: which hold it is by LOCK_TAKEN_COUNT. */
  #watchHere(owner: number, take: number, ms: number): void {
    const core = this.#core;
    const { space, address } = core;
    const { i32, u32, f64 } = space.kernel;
    core.stopHoldTimer?.();
    core.stopHoldTimer = space.host.timer(() => {
      core.stopHoldTimer = undefined;
      const holder = Atomics.load(i32, address >>> 2) & WORD_OWNER_MASK;
      if (holder !== u32[(owner + OWNER_WORD) >>> 2] || u32[(address + LOCK_TAKEN_COUNT) >>> 2] !== take)
        return;
      const since = f64[(address + LOCK_SINCE) >>> 3]!;
      const left = since + this.#holdMs - space.host.clock.now();
      // A timer may be a little early.
      if (since > 0 && left >= 0) this.#watchHere(owner, take, left + 1);
      else reportHold(space, address, owner, this.#holdMs);
    }, ms);
  }

  /** Unlocks. False when the owner does not hold it. */
  end(owner: number): boolean {
    const { space, address } = this.#core;
    const { calls, i32, u32, f64 } = space.kernel;
    const holder = Atomics.load(i32, address >>> 2) & WORD_OWNER_MASK;
    if (holder === 0 || holder !== u32[(owner + OWNER_WORD) >>> 2]) return false;
    const isLast = u32[(address + LOCK_DEPTH) >>> 2] === 0;
    if (isLast && this.#keepsStack) {
      this.#core.stopHoldTimer?.();
      this.#core.stopHoldTimer = undefined;
      // Nobody else could look: this thread did not come to its timer.
      if (this.#holdMs > 0 && !this.#isWatched) reportHold(space, address, owner, this.#holdMs);
      space.dropText(address);
      f64[(address + LOCK_SINCE) >>> 3] = 0;
    }
    // Taken through a handle that is not metered, it has no beginning.
    const isMetered =
      this.#isMetered && isLast && this.#core.heldTake === u32[(address + LOCK_TAKEN_COUNT) >>> 2];
    if (calls.unlock(address, owner) !== LOCK_RELEASED) return false;
    if (isMetered) space.meter.addHold(space.host.clock.now() - this.#core.heldSince);
    if (!isLast) return true;
    for (const observer of this.#observers) tellObserver(() => observer.lockReleased(address));
    return true;
  }
}

/**
 * Reports a lock if it is held too long, once for each hold: its time is negative from then on.
 *
 * @param isForAll - `holdMs` is the limit for all locks, not this one's
 */
export function reportHold(
  space: LockSpace,
  lock: number,
  owner: number,
  holdMs: number,
  isForAll = false,
): void {
  const { u32, f64 } = space.kernel;
  const since = f64[(lock + LOCK_SINCE) >>> 3]!;
  const heldMs = space.host.clock.now() - since;
  if (!(since > 0) || heldMs <= holdMs) return;
  f64[(lock + LOCK_SINCE) >>> 3] = -since;
  const text = u32[(lock + LOCK_TEXT) >>> 2]!;
  const stack = text === 0 ? '' : space.readText(text);
  reportLongHold(space, lock, owner, heldMs, holdMs, isForAll, stack);
}

/** Reports a hold of which `heldMs` milliseconds are known; `stack`: where the lock was taken, or empty. */
export function reportLongHold(
  space: LockSpace,
  lock: number,
  owner: number,
  heldMs: number,
  holdMs: number,
  isForAll: boolean,
  stack: string,
): void {
  const name = space.nameAt(lock);
  const label = space.ownerLabel(owner);
  const limit = isForAll ? `the policy's maxHoldTime is ${holdMs} ms` : `its maxHoldTimeMs is ${holdMs}`;
  const violation: LockViolation = {
    kind: 'hold-time',
    message:
      `${label} has held lock '${name}' for ${isForAll && stack === '' ? 'at least ' : ''}${Math.round(heldMs)} ms; ${limit}` +
      (stack === '' ? '' : `\n  taken ${stack.split('\n').join('\n        ')}`),
    locks: [name],
    owner: label,
    ...(stack === '' ? {} : { stack }),
  };
  space.host.report(violation);
}
