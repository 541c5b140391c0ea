import { expectSame } from '../lib/verify.mjs';

const few = ['heddle', 'piscina', 'raw', 'inline'];
const many = [...few, 'tinypool', 'workerpool', 'poolifier', 'poolifier-queue'];

/** @type {import('./case.d.ts').Case} */
export const memory = {
  id: 'memory',
  title: 'Memory per queued task',
  note: "All workers are blocked, then the tasks are submitted. Growth after a full collection, less that of as many bare promises with a retained resolver in a process of its own. 'heap' is the JavaScript heap and external memory, 'rss' is the whole process. Then the workers are released and every result is checked. The row 'no pool' is the bare promises themselves.",
  metrics: [
    { key: 'rss', label: 'rss', unit: 'bytes/task', better: 'lower' },
    { key: 'heap', label: 'heap', unit: 'bytes/task', better: 'lower' },
    { key: 'drain', label: 'drained in', unit: 'ms', better: 'lower' },
  ],
  rounds: { quick: 1, full: 1 },
  timeoutMs: 120_000,
  isolate: true,
  variants: (mode) => {
    const variant = (tasks, label, drainMs) => ({ key: String(tasks), label, params: { tasks, drainMs } });
    const small = variant(100_000, '100,000 queued', 20_000);
    return mode === 'quick' ? [small] : [small, variant(1_000_000, '1,000,000 queued', 10_000)];
  },
  includes: ({ id }, { mode }) => (mode === 'quick' ? few : many).includes(id),
  async turn(pool, { tasks, drainMs }, { threads, contenderId }) {
    // The promises of the contender without a pool are the yardstick: bare ones with a retained resolver.
    if (contenderId === 'inline') return measure(tasks, bareQueue(tasks));
    for (let i = 0; i < 100; i++) await pool.run('echo', i);
    const cells = pool.sharedCells?.(2) ?? new Int32Array(new SharedArrayBuffer(8));
    const gates = Array.from({ length: threads }, () => pool.run('gate', cells));
    while (Atomics.load(cells, 1) < threads) await new Promise((resolve) => setTimeout(resolve, 5));
    const promises = new Array(tasks).fill(undefined);
    const grown = await measure(tasks, () => {
      for (let i = 0; i < tasks; i++) promises[i] = pool.run('echo', i);
    });
    Atomics.store(cells, 0, 1);
    Atomics.notify(cells, 0);
    const begin = performance.now();
    const late = new Promise((resolve) => setTimeout(resolve, drainMs, undefined).unref());
    const values = await Promise.race([Promise.all([...gates, ...promises]), late]);
    if (values === undefined) return { ...grown, note: `not drained within ${drainMs / 1000} s` };
    for (let i = 0; i < tasks; i++) expectSame(values[threads + i], i, 'echo');
    return { ...grown, drain: performance.now() - begin };
  },
  derive(metrics, round, { contenderId }) {
    if (contenderId === 'inline') return metrics;
    const bare = round.get('inline');
    if (bare === undefined) throw new Error('the bare promises were not measured');
    return { ...metrics, rss: metrics.rss - bare.rss, heap: metrics.heap - bare.heap };
  },
};

function bareQueue(tasks) {
  const promises = new Array(tasks).fill(undefined);
  const resolvers = new Array(tasks).fill(undefined);
  return () => {
    for (let i = 0; i < tasks; i++)
      promises[i] = new Promise((resolve) => {
        resolvers[i] = resolve;
      });
    return [promises, resolvers];
  };
}

async function measure(tasks, fill) {
  const before = await settledMemory();
  const kept = fill();
  const after = await settledMemory();
  // Keeps what was filled alive up to here.
  if (kept?.length === 0) throw new Error('nothing was filled');
  return { rss: (after.rss - before.rss) / tasks, heap: (after.heap - before.heap) / tasks };
}

async function settledMemory() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed + external };
}
