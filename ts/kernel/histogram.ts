import { HISTOGRAM_BUCKETS, HISTOGRAM_FLOOR_NS } from '../../build/generated/layout.ts';

/** Durations in logarithmic buckets. */
export interface Histogram {
  /** Values counted. Tasks shorter than a few microseconds are timed in groups, each of which counts as its mean. */
  readonly count: number;
  /** Sum of the values, in milliseconds; exact, whatever the buckets. */
  readonly sumMs: number;
  /** Buckets that hold something, by rising bound: `fromMs` is within, `toMs` is not. */
  readonly buckets: readonly { readonly fromMs: number; readonly toMs: number; readonly count: number }[];
  /** Upper bound, in milliseconds, of the bucket that holds this quantile (0..1); NaN when nothing was counted. */
  quantile(q: number): number;
}

/** Lower bound of a bucket in nanoseconds (assembly/stats.ts). */
function bucketStartNs(bucket: number): number {
  if (bucket === 0) return 0;
  const half = (bucket - 1) & 1;
  return HISTOGRAM_FLOOR_NS * 2 ** ((bucket - 1) >> 1) * (half === 1 ? 1.5 : 1);
}

/** Where one bucket ends and the next begins, in nanoseconds, rising; the last bucket has no end. */
export const BUCKET_BOUNDS_NS: readonly number[] = Array.from({ length: HISTOGRAM_BUCKETS - 1 }, (_, i) =>
  bucketStartNs(i + 1),
);

/** Counts of all buckets as users see them. */
export function toHistogram(counts: Float64Array, sumMs: number): Histogram {
  let count = 0;
  const buckets: { fromMs: number; toMs: number; count: number }[] = [];
  for (const [i, n] of counts.entries()) {
    if (n === 0) continue;
    count += n;
    buckets.push({
      fromMs: i === 0 ? 0 : BUCKET_BOUNDS_NS[i - 1]! / 1e6,
      toMs: (BUCKET_BOUNDS_NS[i] ?? Infinity) / 1e6,
      count: n,
    });
  }
  return {
    count,
    sumMs,
    buckets,
    quantile(q) {
      let left = q * count;
      for (const bucket of buckets) {
        left -= bucket.count;
        if (left <= 0) return bucket.toMs;
      }
      return Number.NaN;
    },
  };
}
