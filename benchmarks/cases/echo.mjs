import { quantile } from '../lib/stats.mjs';
import { expectSame } from '../lib/verify.mjs';

/** @type {import('./case.d.ts').Case} */
export const echo = {
  id: 'echo',
  title: 'Sequential echo',
  note: 'One task at a time: the number is sent, comes back, and the next one is sent. Time from the call to the result.',
  metrics: [
    { key: 'p50', label: 'p50', unit: 'us', better: 'lower' },
    { key: 'p99', label: 'p99', unit: 'us', better: 'lower' },
  ],
  rounds: { quick: 2, full: 5 },
  timeoutMs: 30_000,
  variants: (mode) => [
    {
      key: 'echo',
      label: '',
      params: { warmUpMs: mode === 'quick' ? 200 : 500, tasks: mode === 'quick' ? 2000 : 6000 },
    },
  ],
  includes: () => true,
  async turn(pool, { warmUpMs, tasks }) {
    const warm = performance.now() + warmUpMs;
    for (let i = 0; performance.now() < warm; i++) expectSame(await pool.run('echo', i), i, 'echo');
    const times = new Float64Array(tasks);
    for (let i = 0; i < tasks; i++) {
      const begin = performance.now();
      const value = await pool.run('echo', i);
      times[i] = performance.now() - begin;
      if (value !== i) expectSame(value, i, 'echo');
    }
    times.sort();
    return { p50: quantile(times, 0.5) * 1000, p99: quantile(times, 0.99) * 1000 };
  },
};
