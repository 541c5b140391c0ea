import { func } from '../options.ts';
import type { DeadlockResolver } from './resolver.ts';
import { snapshotOf } from './snapshot.ts';
import type { LockSpace } from './space.ts';
import type { LockManagerSnapshot, LockViolation } from './types.ts';
import type { Violations } from './violations.ts';

/** What can be seen and set of all locks of a runtime. */
export class LockManager {
  readonly #space: LockSpace;
  readonly #violations: Violations;
  /** Decides whose wait a deadlock costs. */
  readonly resolver: DeadlockResolver;

  /** @internal */
  constructor(space: LockSpace, resolver: DeadlockResolver, violations: Violations) {
    this.#space = space;
    this.#violations = violations;
    this.resolver = resolver;
  }

  /**
   * The locks that are held, and that are waited for, in all threads, in the shape of `navigator.locks.query()`. Blocks nobody: each lock is as it was
   * when it was looked at.
   */
  snapshot(): LockManagerSnapshot {
    return snapshotOf(this.#space);
  }

  /**
   * Calls back for each thing that is reported rather than thrown: deadlocks and faults of order in mode `'report'`, locks held longer than their
   * `maxHoldTimeMs`, owners that ended while they held a lock. Of threads that attached, only in that thread. With no listener they become warnings
   * of the process.
   *
   * @returns a function that stops it
   */
  onViolation(listener: (violation: LockViolation) => void): () => void {
    func(listener, 'onViolation(): the listener');
    return this.#violations.listen(listener);
  }
}
