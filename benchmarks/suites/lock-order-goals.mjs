/** What the learned order of locks is meant to reach; as pool-goals.mjs. */
import { significant } from '../lib/format.mjs';

const shape = { random: 'any two locks', near: 'locks near each other' };

function timesBetter(kind, edges, other, target) {
  const variant = `${kind}-${edges}`;
  return {
    goal: `learned order, ${edges.toLocaleString('en')} pairs of ${shape[kind]}: against ${other === 'order-naive' ? 'a search for each edge' : 'tuned typed arrays'}`,
    target: `at least ${target} x`,
    where: ['lock-order', variant],
    measure(results) {
      const ratio = results.ratio('lock-order', variant, 'learn', 'heddle', other);
      if (!ratio) return undefined;
      return {
        value: `${significant(ratio.median)} x (${significant(ratio.min)}-${significant(ratio.max)})`,
        reached: ratio.median >= target,
      };
    },
  };
}

function bounded(goal, variant, metric, bound, unit, isMost) {
  return {
    goal,
    target: `${isMost ? 'at most' : 'at least'} ${bound} ${unit}`,
    where: ['lock-order', variant],
    measure(results) {
      const own = results.summary('lock-order', variant, 'heddle', metric);
      if (!own) return undefined;
      return {
        value: `${significant(own.median)} ${unit} (${significant(own.min)}-${significant(own.max)})`,
        reached: isMost ? own.median <= bound : own.median >= bound,
      };
    },
  };
}

/** @type {import('./pool-goals.mjs').Goal[]} */
export const lockOrderGoals = [
  ...[100_000, 1_000_000].flatMap((edges) =>
    ['random', 'near'].flatMap((kind) => [
      timesBetter(kind, edges, 'order-naive', 5),
      timesBetter(kind, edges, 'order-tuned', 1.3),
    ]),
  ),
  bounded('repeat checks of chains that were seen', 'random-100000', 'hot', 1, 'M/s', false),
  bounded('memory of an edge, 100,000 edges', 'random-100000', 'bytes', 32, 'bytes', true),
  bounded('memory of an edge, 1,000,000 edges', 'random-1000000', 'bytes', 32, 'bytes', true),
];
