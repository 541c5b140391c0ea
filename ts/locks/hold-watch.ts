import { LOCK_HOLD_MS, LOCK_SINCE } from '../../build/generated/layout.ts';
import { reportHold } from './hold.ts';
import { eachHeld } from './snapshot.ts';
import type { LockSpace } from './space.ts';

const PERIOD_LEAST_MS = 10;
const PERIOD_MOST_MS = 1000;

/** Looks from time to time for locks of any thread that are held longer than they should be, while there are locks with a limit. */
export class HoldWatch {
  readonly #space: LockSpace;
  readonly #timer: (callback: () => void, ms: number) => () => void;
  #periodMs = Number.POSITIVE_INFINITY;
  #stopTimer: (() => void) | undefined;

  constructor(space: LockSpace, timer: (callback: () => void, ms: number) => () => void) {
    this.#space = space;
    this.#timer = timer;
  }

  /** There is a lock with this limit: from now on looks often enough for it. */
  require(holdMs: number): void {
    const wanted = Math.min(PERIOD_MOST_MS, Math.max(PERIOD_LEAST_MS, holdMs / 2));
    if (wanted >= this.#periodMs || this.#space.isClosed) return;
    this.#periodMs = wanted;
    this.#stopTimer?.();
    this.#start();
  }

  #start(): void {
    this.#stopTimer = this.#timer(() => {
      this.#look();
      this.#start();
    }, this.#periodMs);
  }

  #look(): void {
    const { host, kernel } = this.#space;
    const { u32, f64 } = kernel;
    const now = host.clock.now();
    eachHeld(this.#space, (lock, owner) => {
      const limit = u32[(lock + LOCK_HOLD_MS) >>> 2]!;
      const since = f64[(lock + LOCK_SINCE) >>> 3]!;
      if (limit > 0 && since > 0 && now - since > limit) reportHold(this.#space, lock, owner, limit);
    });
  }

  stop(): void {
    this.#stopTimer?.();
  }
}
