import { KernelOrder } from '../locks/order-kernel.mjs';
import { NaiveOrder } from '../locks/order-naive.mjs';
import { TunedOrder } from '../locks/order-tuned.mjs';
import { nearEdges, randomEdges } from '../locks/order-workloads.mjs';

const OWNER = 7;
const HOT = 128;
const workloads = { random: randomEdges, near: nearEdges };

const open = {
  heddle: () => KernelOrder.open(),
  'order-tuned': async () => new TunedOrder(),
  'order-naive': async () => new NaiveOrder(),
};

/** @type {import('./case.d.ts').Case} */
export const lockOrder = {
  id: 'lock-order',
  title: 'Learned order of locks',
  note: "Acquisitions of one lock under another along a hidden order, so there is no cycle to find; ids say nothing of the order. 'random': any two locks. 'near': locks that stand within a hundredth of each other in the order, as those of one subsystem do. Each contender learns all pairs, sees all of them again, and then sees 128 of them over and over. The tuned contender is the same algorithm (Pearce and Kelly's order, a set of edges, lists in both directions, a table of seen chains) on interleaved typed arrays for one thread; it keeps neither gates nor first owners' names and cannot be shared. The naive one searches depth first for each new edge. A contender that has not learned all pairs when its time is up stands with what it did until then, which flatters it: later edges cost more.",
  metrics: [
    { key: 'learn', label: 'learn', unit: 'ns/edge', better: 'lower' },
    { key: 'again', label: 'see all again', unit: 'ns', better: 'lower' },
    { key: 'hot', label: 'see 128 again', unit: 'M/s', better: 'higher' },
    { key: 'bytes', label: 'memory', unit: 'bytes/edge', better: 'lower' },
  ],
  rounds: { quick: 1, full: 3 },
  timeoutMs: 60_000,
  ownProcess: true,
  // Nobody has compiled code, or a grown heap, from the round before.
  isolate: true,
  variants: (mode) => {
    const variant = (kind, locks, edges, limitMs) => ({
      key: `${kind}-${edges}`,
      label: `${locks.toLocaleString('en')} locks, ${edges.toLocaleString('en')} pairs, ${kind}`,
      params: { kind, locks, edges, limitMs },
    });
    const small = [variant('random', 10_000, 100_000, 4000), variant('near', 10_000, 100_000, 4000)];
    const large = [variant('random', 100_000, 1_000_000, 8000), variant('near', 100_000, 1_000_000, 8000)];
    return mode === 'quick' ? small : [...small, ...large];
  },
  includes: ({ id }) => id in open,
  async turn(_, { kind, locks, edges, limitMs }, { contenderId }) {
    const { from, to } = workloads[kind](locks, edges, 7);
    const order = await open[contenderId]();
    const learned = learn(order, from, to, limitMs);
    const metrics = { learn: (learned.ms / learned.edges) * 1e6 };
    const note =
      learned.edges === edges
        ? {}
        : { note: `learned ${learned.edges.toLocaleString('en')} pairs in ${limitMs / 1000} s` };
    const begin = performance.now();
    see(order, from, to, learned.edges, learned.edges);
    metrics.again = ((performance.now() - begin) / learned.edges) * 1e6;
    see(order, from, to, HOT, 1e6);
    const hotBegin = performance.now();
    see(order, from, to, HOT, 1e7);
    metrics.hot = 1e7 / (performance.now() - hotBegin) / 1000;
    // What a page is not filled with counts as well.
    const pairs = new Set(Array.from({ length: learned.edges }, (_, i) => from[i] * 2 ** 20 + to[i])).size;
    if (order.edgeBytes !== undefined) metrics.bytes = order.edgeBytes(locks) / pairs;
    return { ...metrics, ...note };
  },
};

function learn(order, from, to, limitMs) {
  const begin = performance.now();
  for (let i = 0; i < from.length; i++) {
    if (order.check(from[i], to[i], OWNER)) throw new Error(`a cycle was found where there is none, at ${i}`);
    if ((i & 255) === 255 && performance.now() - begin > limitMs)
      return { edges: i + 1, ms: performance.now() - begin };
  }
  const ms = performance.now() - begin;
  // It must have learned something: the last pair the other way round is a cycle.
  const last = from.length - 1;
  if (!order.check(to[last], from[last], OWNER)) throw new Error('a cycle was not found');
  return { edges: from.length, ms };
}

function see(order, from, to, pairs, times) {
  for (let i = 0; i < times; i++) {
    const pair = i % pairs;
    if (order.check(from[pair], to[pair], OWNER)) throw new Error('a pair that was learned is a fault now');
  }
}
