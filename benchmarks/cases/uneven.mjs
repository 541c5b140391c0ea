import { seeded } from '../lib/random.mjs';
import { expectSame } from '../lib/verify.mjs';
import { burn } from '../tasks.mjs';

/** @type {import('./case.d.ts').Case} */
export const uneven = {
  id: 'uneven',
  title: 'Uneven task costs',
  note: 'Busy loops of fixed length, all submitted at once. Ideal: the work measured in the same round as the sum of busy times of independent processes that run at once, each with an even share fixed beforehand, divided by their number.',
  metrics: [
    { key: 'overIdeal', label: 'makespan / ideal', unit: 'x', better: 'lower' },
    { key: 'makespan', label: 'makespan', unit: 'ms', better: 'lower' },
  ],
  rounds: { quick: 1, full: 5 },
  timeoutMs: 60_000,
  variants(mode, threads) {
    const perMs = iterationsPerMs();
    const random = seeded(20);
    const scale = mode === 'quick' ? 0.4 : 1;
    const logUniform = Array.from({ length: 300 * scale }, () => 0.1 * (20 / 0.1) ** random());
    const alternating = Array.from({ length: 200 * scale }, (_, i) => (i % 2 === 0 ? 10 : 0.1));
    const variant = (key, label, durations) => {
      const costs = durations.map((ms) => Math.round(ms * perMs));
      return {
        key,
        label,
        params: { costs, parts: evenParts(costs, threads), expected: checksum(costs.map(burn)) },
      };
    };
    return [
      variant('random', 'random order, 0.1 to 20 ms', logUniform),
      variant('alternating', 'alternating 10 ms and 0.1 ms', alternating),
    ];
  },
  // Tasks sent ahead to a worker wait there behind long ones, so those configurations stand no chance here.
  includes: ({ id, second }) => !id.endsWith('-512') && !second,
  usesLimit: true,
  async turn(pool, { costs, parts, expected }, { threads }) {
    const warmUp = Array.from({ length: 20 * threads }, () => 100_000);
    if (pool.runParts !== undefined) {
      await pool.runParts(
        'burn',
        parts.map(() => warmUp),
      );
      const done = await pool.runParts('burn', parts);
      expectSame(checksum(done.flatMap(({ results }) => results)), expected, 'checksum');
      const busy = done.map(({ busyMs }) => busyMs);
      return { ideal: busy.reduce((sum, ms) => sum + ms, 0) / threads, makespan: Math.max(...busy) };
    }
    await Promise.all(warmUp.map((cost) => pool.run('burn', cost)));
    const begin = performance.now();
    const results = await Promise.all(costs.map((cost) => pool.run('burn', cost)));
    const makespan = performance.now() - begin;
    expectSame(checksum(results), expected, 'checksum');
    return { makespan };
  },
  derive(metrics, round) {
    const ideal = round.get('limit')?.ideal;
    return ideal === undefined ? metrics : { ...metrics, overIdeal: metrics.makespan / ideal };
  },
};

function checksum(results) {
  return results.reduce((sum, value) => sum ^ value, 0);
}

/** The best of several runs: whatever disturbs one only ever makes it slower. */
function iterationsPerMs() {
  const iterations = 2_000_000;
  let best = Infinity;
  for (let i = 0; i < 10; i++) {
    const begin = performance.now();
    burn(iterations);
    best = Math.min(best, performance.now() - begin);
  }
  return iterations / best;
}

/** Longest first, each to the part with the least work so far. */
function evenParts(costs, count) {
  const parts = Array.from({ length: count }, () => ({ work: 0, costs: [] }));
  for (const cost of costs.toSorted((a, b) => b - a)) {
    const least = parts.reduce((a, b) => (b.work < a.work ? b : a));
    least.work += cost;
    least.costs.push(cost);
  }
  return parts.map((part) => part.costs);
}
