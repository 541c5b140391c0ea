/**
 * Counters and log-scale histograms. Each is written by one thread and read by any: f64 counters, because an aligned 8-byte plain store
 * is never torn on the machines that have threads, and 2^53 does not overflow. A reader may be a moment behind; nothing is decided on them.
 */
import { HISTOGRAM_BUCKETS, HISTOGRAM_FLOOR_NS } from './layout';

/** Adds to a counter of the calling thread. */
export function count(counter: usize, delta: f64): void {
  store<f64>(counter, load<f64>(counter) + delta);
}

/**
 * Bucket of a duration: 0 below HISTOGRAM_FLOOR_NS, then two an octave. Bucket b > 0 starts at
 * floor * 2^((b-1) >> 1) * (1 or 1.5).
 */
export function bucketOf(ns: f64): u32 {
  const ratio = ns / (HISTOGRAM_FLOOR_NS as f64);
  if (!(ratio >= 1)) return 0;
  const bits = reinterpret<u64>(ratio);
  const exponent = ((bits >> 52) as u32) - 1023;
  const half = ((bits >> 51) & 1) as u32;
  return min<u32>(1 + (exponent << 1) + half, HISTOGRAM_BUCKETS - 1);
}

/** Counts `times` values of `ns` nanoseconds. */
export function record(histogram: usize, ns: f64, times: u32): void {
  const bucket = histogram + (bucketOf(ns) << 2);
  store<u32>(bucket, load<u32>(bucket) + times);
}
