import { LOCK_HOLD_MS, LOCK_SINCE, LOCK_TAKEN_COUNT } from '../../build/generated/layout.ts';
import { reportHold, reportLongHold } from './hold.ts';
import { eachHeld } from './snapshot.ts';
import type { LockSpace } from './space.ts';

const PERIOD_LEAST_MS = 10;
const PERIOD_MOST_MS = 1000;

/** A hold of which nobody wrote down when it began. */
interface SeenHold {
  /** How often the lock had been taken: another number is another hold. */
  readonly count: number;
  readonly firstSeen: number;
  isReported: boolean;
}

/**
 * Looks from time to time for locks of any thread that are held longer than they should be, while there are locks with a limit, or a limit for all of
 * them. The limit for all asks nothing of who takes a lock, so it may come and go while locks are held: a hold counts from when it is first seen.
 */
export class HoldWatch {
  readonly #space: LockSpace;
  readonly #timer: (callback: () => void, ms: number) => () => void;
  readonly #seen = new Map<number, SeenHold>();
  #ceilingMs = 0;
  /** What the limits of locks ask for. */
  #wantedMs = Number.POSITIVE_INFINITY;
  #periodMs = Number.POSITIVE_INFINITY;
  #stopTimer: (() => void) | undefined;

  constructor(space: LockSpace, timer: (callback: () => void, ms: number) => () => void) {
    this.#space = space;
    this.#timer = timer;
  }

  /** There is a lock with this limit: from now on looks often enough for it. */
  require(holdMs: number): void {
    this.#wantedMs = Math.min(this.#wantedMs, holdMs / 2);
    this.#setPeriod();
  }

  /** Limit for the locks that have none, or a longer one, in milliseconds; 0: none. */
  get ceilingMs(): number {
    return this.#ceilingMs;
  }

  set ceilingMs(ms: number) {
    this.#ceilingMs = ms;
    if (ms === 0) this.#seen.clear();
    this.#setPeriod();
    // So that a hold counts from now on.
    if (ms > 0 && !this.#space.isClosed) this.#look();
  }

  #setPeriod(): void {
    const wanted = Math.min(
      this.#wantedMs,
      this.#ceilingMs > 0 ? this.#ceilingMs / 4 : Number.POSITIVE_INFINITY,
    );
    const period = Number.isFinite(wanted)
      ? Math.min(PERIOD_MOST_MS, Math.max(PERIOD_LEAST_MS, wanted))
      : wanted;
    if (period === this.#periodMs || this.#space.isClosed) return;
    this.#periodMs = period;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    if (Number.isFinite(period)) this.#start();
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
    const ceiling = this.#ceilingMs;
    const held = new Set<number>();
    eachHeld(this.#space, (lock, owner) => {
      const own = u32[(lock + LOCK_HOLD_MS) >>> 2]!;
      const limit = own > 0 && (ceiling === 0 || own <= ceiling) ? own : ceiling;
      const since = f64[(lock + LOCK_SINCE) >>> 3]!;
      if (since > 0) {
        if (limit > 0) reportHold(this.#space, lock, owner, limit, limit !== own);
      } else if (since === 0 && ceiling > 0) {
        held.add(lock);
        this.#lookAtUnwritten(lock, owner, now);
      }
    });
    for (const lock of this.#seen.keys()) if (!held.has(lock)) this.#seen.delete(lock);
  }

  #lookAtUnwritten(lock: number, owner: number, now: number): void {
    const count = this.#space.kernel.u32[(lock + LOCK_TAKEN_COUNT) >>> 2]!;
    const seen = this.#seen.get(lock);
    if (seen === undefined || seen.count !== count) {
      this.#seen.set(lock, { count, firstSeen: now, isReported: false });
    } else if (!seen.isReported && now - seen.firstSeen > this.#ceilingMs) {
      seen.isReported = true;
      reportLongHold(this.#space, lock, owner, now - seen.firstSeen, this.#ceilingMs, true, '');
    }
  }

  stop(): void {
    this.#stopTimer?.();
  }
}
