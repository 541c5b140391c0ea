import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import Benchmark from 'benchmark';
import { smallObject } from './objects.mjs';

/** @type {import('./case.d.ts').Case} */
export const micro = {
  id: 'micro',
  title: 'Single operations on one thread',
  note: 'benchmark.js. What a task cannot cost less than without a pool (no pool), and what one call into shared memory costs (heddle).',
  metrics: [],
  listUnit: 'ns',
  rounds: { quick: 1, full: 2 },
  timeoutMs: 60_000,
  variants: (mode) => [{ key: 'micro', label: '', params: { maxTime: mode === 'quick' ? 0.15 : 0.5 } }],
  includes: ({ kind }) => kind === 'heddle' || kind === 'inline',
  async turn(pool, { maxTime }) {
    return measure(pool.extra === undefined ? platformOperations() : heddleOperations(pool.extra), maxTime);
  },
};

function platformOperations() {
  const object = smallObject(1);
  const { port1, port2 } = new MessageChannel();
  port1.unref();
  const cells = new Int32Array(new SharedArrayBuffer(4));
  let resolver;
  return {
    'a promise with its resolver kept': () =>
      new Promise((resolve) => {
        resolver = resolve;
        return resolver;
      }),
    'structuredClone of the 200-byte object': () => structuredClone(object),
    'JSON there and back of the 200-byte object': () => JSON.parse(JSON.stringify(object)),
    'postMessage of a number and its receipt': () => {
      port1.postMessage(1);
      return receiveMessageOnPort(port2);
    },
    'Atomics.add': () => Atomics.add(cells, 0, 1),
  };
}

function heddleOperations({ runtime, pool }) {
  const counter = runtime.atomicInt32('benchmark');
  return {
    'atomicInt32.add': () => counter.add(1),
    'atomicInt32.load': () => counter.load(),
    'pool.metrics()': () => pool.metrics(),
  };
}

/** @returns nanoseconds for each operation */
function measure(operations, maxTime) {
  const suite = new Benchmark.Suite();
  for (const [name, run] of Object.entries(operations))
    suite.add(name, run, { maxTime, minTime: maxTime / 4 });
  suite.run({ async: false });
  return Object.fromEntries(
    suite.map((bench) => {
      if (bench.error) throw new Error(`${bench.name}: ${bench.error.message}`);
      return [bench.name, bench.stats.mean * 1e9];
    }),
  );
}
