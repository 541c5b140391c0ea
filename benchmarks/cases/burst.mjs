import { expectSame } from '../lib/verify.mjs';

/** @type {import('./case.d.ts').Case} */
export const burst = {
  id: 'burst',
  title: 'Burst of 50,000',
  note: "All tasks are submitted in one loop; the time runs until the last result is there. 'submit' is the main thread's time in that loop.",
  metrics: [
    { key: 'ms', label: 'all settled', unit: 'ms', better: 'lower' },
    { key: 'submit', label: 'submit', unit: 'us/task', better: 'lower' },
  ],
  rounds: { quick: 1, full: 3 },
  timeoutMs: 60_000,
  variants: () => [{ key: 'burst', label: '', params: { tasks: 50_000, warmUp: 5000 } }],
  includes: () => true,
  async turn(pool, { tasks, warmUp }) {
    await submitAll(pool, warmUp);
    globalThis.gc();
    return submitAll(pool, tasks);
  },
};

async function submitAll(pool, tasks) {
  const promises = new Array(tasks);
  const begin = performance.now();
  for (let i = 0; i < tasks; i++) promises[i] = pool.run('echo', i);
  const submitted = performance.now();
  const values = await Promise.all(promises);
  const settled = performance.now();
  for (let i = 0; i < tasks; i++) if (values[i] !== i) expectSame(values[i], i, 'echo');
  return { ms: settled - begin, submit: ((submitted - begin) / tasks) * 1000 };
}
