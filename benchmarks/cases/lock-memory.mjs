import { createRuntime } from 'heddle';

/** @type {import('./case.d.ts').Case} */
export const lockMemory = {
  id: 'lock-memory',
  title: 'Memory of locks',
  note: "Locks opened by name in one runtime, names of 11 to 16 bytes: growth of the shared memory, tables included, for each; and of the JavaScript heap for each handle that the program keeps. 'and back': as many once more, each given up with `forget()` before the next is made, in a table that has no room for them.",
  metrics: [
    { key: 'shared', label: 'shared memory', unit: 'bytes/lock', better: 'lower' },
    { key: 'heap', label: 'heap, a kept handle', unit: 'bytes/lock', better: 'lower' },
    { key: 'back', label: 'and back: shared memory', unit: 'bytes/lock', better: 'lower' },
  ],
  rounds: { quick: 1, full: 3 },
  timeoutMs: 60_000,
  ownProcess: true,
  isolate: true,
  variants: () =>
    [10_000, 100_000].map((locks) => ({
      key: String(locks),
      label: `${locks.toLocaleString('en')} locks`,
      params: { locks },
    })),
  includes: ({ id }) => id === 'heddle',
  async turn(_, { locks }) {
    const runtime = await createRuntime({ locks: { maxLocks: locks + 1 } });
    const kept = new Array(locks).fill(undefined);
    const before = await settled(runtime);
    for (let i = 0; i < locks; i++) kept[i] = runtime.mutex(`account ${i.toString().padStart(3, '0')}`);
    const after = await settled(runtime);
    if (kept.at(-1).name === '') throw new Error('a lock has no name');
    const metrics = {
      shared: (after.shared - before.shared) / locks,
      heap: (after.heap - before.heap) / locks,
    };
    for (let i = 0; i < locks; i++) runtime.mutex(`request ${i}`).forget();
    metrics.back = (runtime.usedBytes - after.shared) / locks;
    await runtime.dispose();
    return metrics;
  },
};

async function settled(runtime) {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return { shared: runtime.usedBytes, heap: process.memoryUsage().heapUsed };
}
