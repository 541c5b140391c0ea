import { isHeddleError, WorkerExitedError } from '../errors.ts';
import type { RetryOptions } from './types.ts';

const LONGEST_MS = 2 ** 31 - 1;

/** Decides whether a failed call of an idempotent task runs again, and when. */
export class RetryPolicy {
  options: RetryOptions | undefined;

  constructor(options: RetryOptions | undefined) {
    this.options = options;
  }

  /** May a call that has run `attempt` times and failed with `error` run again? Heddle's own refusals are final, a dead worker is not. */
  allows(attempt: number, error: unknown): boolean {
    if (this.options === undefined || attempt >= this.options.attempts) return false;
    return !isHeddleError(error) || error instanceof WorkerExitedError;
  }

  /** Milliseconds to wait before run number `attempt` (2 is the first repetition): exponential, with jitter. */
  waitMs(attempt: number): number {
    const { backoffMs = 0, jitterPercent = 0 } = this.options ?? {};
    const base = backoffMs * 2 ** Math.max(0, attempt - 2);
    // A timer takes no more.
    return Math.min(LONGEST_MS, base * (1 + ((Math.random() * 2 - 1) * jitterPercent) / 100));
  }
}
