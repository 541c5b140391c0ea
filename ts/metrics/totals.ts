import type { Histogram } from '../kernel/histogram.ts';

/** Durations, counted by bounds that are given elsewhere. */
export class DurationTotals {
  readonly #boundsNs: readonly number[];
  /** One more than there are bounds. */
  readonly counts: number[];
  sumMs = 0;

  constructor(boundsNs: readonly number[]) {
    this.#boundsNs = boundsNs;
    this.counts = new Array<number>(boundsNs.length + 1).fill(0);
  }

  /** Adds all values of a histogram. Its buckets lie within ours, or beyond their ends. */
  add({ buckets, sumMs }: Histogram): void {
    this.sumMs += sumMs;
    let at = 0;
    for (const { toMs, count } of buckets) {
      const toNs = Math.round(toMs * 1e6);
      while (at < this.#boundsNs.length && this.#boundsNs[at]! < toNs) at++;
      this.counts[at]! += count;
    }
  }

  /** Adds what another one counted by the same bounds. */
  merge({ counts, sumMs }: DurationTotals): void {
    this.sumMs += sumMs;
    for (const [i, count] of counts.entries()) this.counts[i]! += count;
  }

  get count(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }
}

/** Counts by kind, each under the name that `nameOf` gives it. */
export function mergeCounts(
  into: Map<string, number>,
  counts: ReadonlyMap<string, number>,
  nameOf: (kind: string) => string = (kind) => kind,
): void {
  for (const [kind, count] of counts) {
    const name = nameOf(kind);
    into.set(name, (into.get(name) ?? 0) + count);
  }
}
