/**
 * Milliseconds on a clock that all threads of one runtime share: monotonic, fractional, zero at the runtime's epoch. `offset` turns the
 * thread's own `performance.now()` into that clock.
 */
export interface Clock {
  /** Milliseconds since the epoch. Costs one `performance.now()`. */
  now(): number;
}

/** `threadOffset` is what the platform adds to `performance.now()` to compare threads; `epoch` is the runtime's zero on that scale. */
export function createClock(threadOffset: number, epoch: number): Clock {
  const offset = threadOffset - epoch;
  return { now: () => performance.now() + offset };
}
