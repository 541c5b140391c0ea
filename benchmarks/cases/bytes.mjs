import { expectSame } from '../lib/verify.mjs';

const inFlight = 8;

/** @type {import('./case.d.ts').Case} */
export const bytes = {
  id: 'bytes',
  title: 'Bytes: copied, moved, shared',
  note: 'The task reads three of the bytes. Eight in flight. Copied: a plain Uint8Array; moved: its buffer in the transfer list (made before the clock starts); shared: a SharedArrayBuffer, or `rt.alloc` for heddle.',
  metrics: [{ key: 'cost', label: 'cost', unit: 'us/task', better: 'lower' }],
  rounds: { quick: 1, full: 3 },
  timeoutMs: 30_000,
  matrix: true,
  variants: (mode) => {
    const batches = mode === 'quick' ? 20 : 60;
    const megabyte = 1 << 20;
    const warmUpMs = mode === 'quick' ? 150 : 400;
    return [
      { key: 'copied', label: '1 MB copied', params: { how: 'copied', length: megabyte, batches, warmUpMs } },
      { key: 'moved', label: '1 MB moved', params: { how: 'moved', length: megabyte, batches, warmUpMs } },
      {
        key: 'shared',
        label: '1 MB shared',
        params: { how: 'shared', length: megabyte, batches: batches * 10, warmUpMs },
      },
      {
        key: 'shared-1k',
        label: '1 kB shared',
        params: { how: 'shared', length: 1024, batches: batches * 10, warmUpMs },
      },
    ];
  },
  includes: ({ kind, second }) => kind !== 'inline' && !second,
  async turn(pool, { how, length, batches, warmUpMs }) {
    const source = how === 'shared' ? sharedBytes(pool, length) : new Uint8Array(length);
    source.fill(1);
    const promises = new Array(inFlight);
    const batch = async () => {
      const values = Array.from({ length: inFlight }, () => (how === 'moved' ? source.slice() : source));
      const begin = performance.now();
      for (let i = 0; i < inFlight; i++)
        promises[i] = pool.run('touch', values[i], how === 'moved' ? [values[i].buffer] : undefined);
      const sums = await Promise.all(promises);
      const ms = performance.now() - begin;
      for (const sum of sums) expectSame(sum, 3, 'sum of the bytes');
      if (how === 'moved') expectSame(values[0].length, 0, 'length of a moved array at the sender');
      return ms;
    };
    const warm = performance.now() + warmUpMs;
    while (performance.now() < warm) await batch();
    let total = 0;
    for (let i = 0; i < batches; i++) total += await batch();
    return { cost: (total / (batches * inFlight)) * 1000 };
  },
};

function sharedBytes(pool, length) {
  return pool.sharedBytes?.(length) ?? new Uint8Array(new SharedArrayBuffer(length));
}
