import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AGENT_RUN_HISTOGRAM,
  AGENT_WAIT_HISTOGRAM,
  COUNTER_BUSY_MS,
  COUNTER_PARKS,
  HISTOGRAM_BUCKETS,
  HISTOGRAM_FLOOR_NS,
  KIND_WORKER,
} from '../../build/generated/layout.ts';
import { counter, MIB, openKernel, word } from './harness.ts';

/** Where a bucket starts, as stats.ts says it. */
const startOf = (bucket: number): number =>
  bucket === 0 ? 0 : HISTOGRAM_FLOOR_NS * 2 ** ((bucket - 1) >> 1) * (bucket % 2 === 1 ? 1 : 1.5);

describe('histograms', () => {
  it('a duration goes into the bucket whose bounds hold it, and into no other', async () => {
    const kernel = await openKernel(4 * MIB);
    const agent = kernel.calls.claimAgent(KIND_WORKER, 0);
    const histogram = agent + AGENT_RUN_HISTOGRAM;
    const last = HISTOGRAM_BUCKETS - 1;
    const bounds = fc
      .tuple(fc.integer({ min: 1, max: last }), fc.constantFrom(-1, 0, 1))
      .map(([bucket, side]) => startOf(bucket) * (1 + side * 2 ** -40));
    const duration = fc.oneof(
      bounds,
      fc.double({ min: 0, max: 1e13, noNaN: true }),
      fc.constantFrom(0, -1, 63.999, 64, 1e308, Number.POSITIVE_INFINITY),
    );
    const expected = new Array<number>(HISTOGRAM_BUCKETS).fill(0);
    fc.assert(
      fc.property(duration, fc.nat(9), (ns, times) => {
        let bucket = last;
        while (bucket > 0 && ns < startOf(bucket)) bucket--;
        expected[bucket]! += times;
        kernel.calls.recordDuration(histogram, ns, times);
        for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
          if (word(kernel, histogram + 4 * i) !== expected[i])
            expect.fail(`${ns} ns are in bucket ${i}, not in ${bucket}`);
        }
      }),
      { numRuns: 2000 },
    );
    // The neighbours in the record are untouched.
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
      expect(word(kernel, agent + AGENT_WAIT_HISTOGRAM + 4 * i)).toBe(0);
    }
    expect(counter(kernel, agent)).toBe(0);
  });

  it('what is no duration counts as 0 ns', async () => {
    const kernel = await openKernel(4 * MIB);
    const agent = kernel.calls.claimAgent(KIND_WORKER, 0);
    kernel.calls.recordDuration(agent + AGENT_RUN_HISTOGRAM, Number.NaN, 1);
    expect(word(kernel, agent + AGENT_RUN_HISTOGRAM)).toBe(1);
  });

  it('counters add up, each on its own', async () => {
    const kernel = await openKernel(4 * MIB);
    const agent = kernel.calls.claimAgent(KIND_WORKER, 0);
    for (let i = 0; i < 10; i++) kernel.calls.addCounter(agent + COUNTER_BUSY_MS, 0.25);
    kernel.calls.addCounter(agent + COUNTER_PARKS, 3);
    expect(counter(kernel, agent, COUNTER_BUSY_MS)).toBe(2.5);
    expect(counter(kernel, agent, COUNTER_PARKS)).toBe(3);
    expect(counter(kernel, agent)).toBe(0);
  });
});
