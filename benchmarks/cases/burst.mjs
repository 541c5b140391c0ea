import { expectSame } from '../lib/verify.mjs';

/** @type {import('./case.d.ts').Case} */
export const burst = {
  id: 'burst',
  title: 'Burst of 50,000',
  note: "All tasks are submitted in one loop; the time runs until the last result is there. 'submit' is the main thread's time in that loop.",
  metrics: [
    { key: 'ms', label: 'all settled', unit: 'ms', better: 'lower' },
    { key: 'submit', label: 'submit', unit: 'us/task', better: 'lower' },
    { key: 'map', label: 'through its own map', unit: 'ms', better: 'lower' },
  ],
  rounds: { quick: 1, full: 3 },
  timeoutMs: 60_000,
  variants: (mode) => [
    { key: 'burst', label: '', params: { tasks: 50_000, warmUpMs: mode === 'quick' ? 300 : 700 } },
  ],
  includes: ({ second }) => !second,
  async turn(pool, { tasks, warmUpMs }) {
    const warm = performance.now() + warmUpMs;
    while (performance.now() < warm) {
      await submitAll(pool, 2000);
      if (pool.map !== undefined) await mapAll(pool, 2000);
    }
    globalThis.gc();
    const submitted = await submitAll(pool, tasks);
    return pool.map === undefined ? submitted : { ...submitted, map: await mapAll(pool, tasks) };
  },
};

async function submitAll(pool, tasks) {
  const promises = new Array(tasks);
  const begin = performance.now();
  for (let i = 0; i < tasks; i++) promises[i] = pool.run('echo', i);
  const submitted = performance.now();
  const values = await Promise.all(promises);
  const settled = performance.now();
  checkAll(values, tasks);
  return { ms: settled - begin, submit: ((submitted - begin) / tasks) * 1000 };
}

/** The same tasks through the contender's own call for a list of them. */
async function mapAll(pool, tasks) {
  const args = Array.from({ length: tasks }, (_, i) => i);
  const begin = performance.now();
  const values = await pool.map('echo', args);
  const ms = performance.now() - begin;
  checkAll(values, tasks);
  return ms;
}

function checkAll(values, tasks) {
  expectSame(values.length, tasks, 'number of results');
  for (let i = 0; i < tasks; i++) if (values[i] !== i) expectSame(values[i], i, 'echo');
}
