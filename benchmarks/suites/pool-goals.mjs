/**
 * What the pool is meant to reach. Each goal reads the results of one run and says what was measured; undefined
 * when the run did not measure it.
 * `where` names the case and variant that heddle must have finished.
 *
 * @typedef {{ value: string, reached: boolean }} Verdict
 * @typedef {{ goal: string, target: string, where: [string, string], measure: (results: import('../lib/results.mjs').Results) => Verdict | undefined }} Goal
 */
import { significant } from '../lib/format.mjs';

/** heddle is at least so many times better than another contender. */
function timesBetter(goal, [caseId, variant, metric], target, other, { strictly = false } = {}) {
  return {
    goal,
    target: strictly ? `more than ${target} x` : `at least ${target} x`,
    where: [caseId, variant],
    measure(results) {
      const id = typeof other === 'function' ? other(results) : other;
      const ratio = id && results.ratio(caseId, variant, metric, 'heddle', id);
      if (!ratio) return undefined;
      const named = typeof other === 'function' ? ` (${results.label(id)})` : '';
      return {
        value: `${significant(ratio.median)} x (${significant(ratio.min)}-${significant(ratio.max)})${named}`,
        reached: strictly ? ratio.median > target : ratio.median >= target,
      };
    },
  };
}

/** A figure of heddle's own stays below a bound, or above it. */
function bounded(goal, [caseId, variant, metric], bound, unit, direction = 'at most') {
  return {
    goal,
    target: `${direction} ${bound}${unit}`,
    where: [caseId, variant],
    measure(results) {
      const own = results.summary(caseId, variant, 'heddle', metric);
      if (!own) return undefined;
      return {
        value: `${significant(own.median)}${unit} (${significant(own.min)}-${significant(own.max)})`,
        reached: direction === 'at most' ? own.median <= bound : own.median >= bound,
      };
    },
  };
}

const megabyteIndependent = {
  goal: '1 MB shared by reference: cost independent of size (1 MB against 1 kB)',
  target: 'at most 1.1 x',
  where: ['bytes', 'shared'],
  measure(results) {
    const large = results.summary('bytes', 'shared', 'heddle', 'cost');
    const small = results.summary('bytes', 'shared-1k', 'heddle', 'cost');
    if (!large || !small) return undefined;
    const ratio = large.median / small.median;
    return {
      value: `${significant(ratio)} x (${significant(large.median)} and ${significant(small.median)} us)`,
      reached: ratio <= 1.1,
    };
  },
};

const fasterThanEveryPool = {
  goal: 'CPU-bound files: faster than every pool',
  target: 'more than 1 x',
  where: ['files', 'files'],
  measure(results) {
    const id = results.best('files', 'files', 'ms');
    const ratio = id && results.ratio('files', 'files', 'ms', 'heddle', id);
    if (!ratio) return undefined;
    return {
      value: `${significant(ratio.median)} x (${significant(ratio.min)}-${significant(ratio.max)}) (${results.label(id)})`,
      reached: ratio.median > 1,
    };
  },
};

const queuedTask = {
  goal: 'a queued task beyond its promise (heap or rss, whichever is more)',
  target: 'at most 200 bytes',
  where: ['memory', '100000'],
  measure(results) {
    for (const variant of ['1000000', '100000']) {
      const rss = results.summary('memory', variant, 'heddle', 'rss');
      const heap = results.summary('memory', variant, 'heddle', 'heap');
      if (!rss || !heap) continue;
      const bytes = Math.max(rss.median, heap.median);
      return {
        value: `${significant(bytes)} bytes (${Number(variant).toLocaleString('en')} queued)`,
        reached: bytes <= 200,
      };
    }
    return undefined;
  },
};

const millionQueued = {
  goal: 'a million queued works',
  target: 'all results right',
  where: ['memory', '1000000'],
  measure(results) {
    if (!results.ran('memory', '1000000', 'heddle')) return undefined;
    const drain = results.summary('memory', '1000000', 'heddle', 'drain');
    if (!drain)
      return { value: results.failure('memory', '1000000', 'heddle') ?? 'not drained', reached: false };
    return { value: `all right, drained in ${significant(drain.median)} ms`, reached: true };
  },
};

const idleCpu = {
  goal: 'idle pool: no measurable CPU in 2 s (beyond a process without a pool)',
  target: 'at most 5 ms',
  where: ['idle', 'idle'],
  measure(results) {
    const own = results.summary('idle', 'idle', 'heddle', 'cpu');
    const none = results.summary('idle', 'idle', 'inline', 'cpu');
    if (!own || !none) return undefined;
    const ms = own.median - none.median;
    return { value: `${significant(ms)} ms`, reached: ms <= 5 };
  },
};

const endsByItself = {
  goal: 'idle pool: the process exits by itself, and not while a task is outstanding',
  target: 'both',
  where: ['idle', 'idle'],
  measure(results) {
    if (!results.ran('idle', 'idle', 'heddle')) return undefined;
    const waits = results.summary('idle', 'idle', 'heddle', 'waits');
    const exit = results.summary('idle', 'idle', 'heddle', 'exit');
    const reached = waits?.min === 1 && exit !== undefined;
    return {
      value: reached
        ? `${significant(exit.median)} ms after the last result`
        : (results.failure('idle', 'idle', 'heddle') ?? 'no'),
      reached,
    };
  },
};

const bestPool = (results) => results.best('in-flight', 'in-flight', 'rate');

/** @type {Goal[]} */
export const poolGoals = [
  timesBetter(
    "echo, 1000 in flight, against piscina's defaults",
    ['in-flight', 'in-flight', 'rate'],
    25,
    'piscina',
  ),
  timesBetter(
    'echo, 1000 in flight, against the best pool',
    ['in-flight', 'in-flight', 'rate'],
    10,
    bestPool,
  ),
  timesBetter('sequential echo p50, against piscina', ['echo', 'echo', 'p50'], 5, 'piscina'),
  timesBetter('sequential echo p50, against raw postMessage', ['echo', 'echo', 'p50'], 1, 'raw', {
    strictly: true,
  }),
  timesBetter(
    '200-byte object, 1000 in flight, against piscina',
    ['object-200', 'object-200', 'rate'],
    8,
    'piscina',
  ),
  megabyteIndependent,
  timesBetter('1 MB copied, against piscina', ['bytes', 'copied', 'cost'], 1, 'piscina'),
  bounded('fork and join against a plain call', ['fork-join', 'fork-join', 'ratio'], 15, ' x'),
  bounded("CPU-bound files: of the machine's limit", ['files', 'files', 'ofLimit'], 0.95, ' x', 'at least'),
  fasterThanEveryPool,
  bounded(
    'uneven costs, random order: makespan against ideal',
    ['uneven', 'random', 'overIdeal'],
    1.08,
    ' x',
  ),
  bounded(
    'uneven costs, alternating: makespan against ideal',
    ['uneven', 'alternating', 'overIdeal'],
    1.08,
    ' x',
  ),
  queuedTask,
  millionQueued,
  idleCpu,
  endsByItself,
];
