/** What locks are meant to reach; as pool-goals.mjs. */
import { significant } from '../lib/format.mjs';
import { lockOrderGoals } from './lock-order-goals.mjs';

function bounded(goal, [caseId, variant, metric], bound, unit) {
  return {
    goal,
    target: `at most ${bound} ${unit}`,
    where: [caseId, variant],
    measure(results) {
      const own = results.summary(caseId, variant, 'heddle', metric);
      if (!own) return undefined;
      return {
        value: `${significant(own.median)} ${unit} (${significant(own.min)}-${significant(own.max)})`,
        reached: own.median <= bound,
      };
    },
  };
}

function timesBetter(goal, [caseId, variant, metric], target, other) {
  return {
    goal,
    target: target === 1 ? 'more than 1 x' : `at least ${target} x`,
    where: [caseId, variant],
    measure(results) {
      const ratio = results.ratio(caseId, variant, metric, 'heddle', other);
      if (!ratio) {
        const why = results.failure(caseId, variant, other);
        return why === undefined ? undefined : { value: `not measured: ${why}`, reached: false };
      }
      return {
        value: `${significant(ratio.median)} x (${significant(ratio.min)}-${significant(ratio.max)})`,
        reached: target === 1 ? ratio.median > 1 : ratio.median >= target,
      };
    },
  };
}

const worstRun = {
  goal: 'two workers contend: the worst run against the median of the mutex on Atomics',
  target: 'at least 1 x',
  where: ['lock-contended', 'contended'],
  measure(results) {
    const own = results.summary('lock-contended', 'contended', 'heddle', 'rate');
    const other = results.summary('lock-contended', 'contended', 'futex', 'rate');
    if (!own || !other) return undefined;
    return {
      value: `${significant(own.min / other.median)} x (${significant(own.min)} and ${significant(other.median)} M/s, ${own.count} runs)`,
      reached: own.min >= other.median,
    };
  },
};

/** The worst of all runs of both variants. */
function worst(goal, target, metric, isReached) {
  return {
    goal,
    target,
    where: ['lock-contended', 'timed'],
    measure(results) {
      const found = ['contended', 'timed']
        .map((variant) => results.summary('lock-contended', variant, 'heddle', metric))
        .filter((each) => each !== undefined);
      if (found.length === 0) return undefined;
      const least = Math.min(...found.map(({ min }) => min));
      const most = Math.max(...found.map(({ max }) => max));
      return { value: `${significant(least)}-${significant(most)}`, reached: isReached(least, most) };
    },
  };
}

const noneMissed = {
  goal: 'deadlocks in random wait graphs: none missed, none invented',
  target: '10,000 graphs',
  where: ['deadlock', 'graphs'],
  measure(results) {
    const read = (metric) => results.summary('deadlock', 'graphs', 'heddle', metric);
    const graphs = read('graphs');
    if (!graphs) return undefined;
    const wrong = read('wrong').max;
    return {
      value: `${wrong} wrong in ${graphs.median.toLocaleString('en')} graphs with ${significant(read('deadlocks').median)} deadlocks`,
      reached: wrong === 0 && graphs.min >= 10_000,
    };
  },
};

/** @type {import('./pool-goals.mjs').Goal[]} */
export const lockGoals = [
  bounded('uncontended lock + unlock in a worker, checks off', ['lock-pair', 'off', 'pair'], 20, 'ns'),
  timesBetter('the same against the mutex on Atomics', ['lock-pair', 'off', 'pair'], 1, 'futex'),
  bounded('with order and wait checks on, under another lock', ['lock-pair', 'nested', 'pair'], 150, 'ns'),
  timesBetter(
    'async on the main thread against async-mutex',
    ['lock-async', 'async', 'pair'],
    4,
    'async-mutex',
  ),
  timesBetter('async on the main thread against Web Locks', ['lock-async', 'async', 'pair'], 15, 'web-locks'),
  worstRun,
  worst("two workers contend: each one's share", 'at least 0.2', 'share', (least) => least >= 0.2),
  worst('two workers contend: the longest wait, ms', 'at most 5 ms', 'wait', (_, most) => most <= 5),
  bounded('deadlock of two workers found (median)', ['deadlock', 'workers', 'median'], 1000, 'us'),
  bounded('deadlock in a random wait graph found (median)', ['deadlock', 'graphs', 'median'], 1000, 'us'),
  noneMissed,
  ...lockOrderGoals,
  bounded('memory of a lock, 100,000 locks', ['lock-memory', '100000', 'shared'], 128, 'bytes'),
];
