import { expectSame } from '../lib/verify.mjs';

const n = 27;
const RUNS = 32;

/** @type {import('./case.d.ts').Case} */
export const forkJoin = {
  id: 'fork-join',
  title: `Fork and join: fib(${n}) in one worker`,
  note: 'Every left branch of the recursion is forked and joined; against the same recursion as plain calls in the same worker, each the best of 32 runs: V8 compiles anew in the first ten or twenty. No other pool can start tasks from a task.',
  metrics: [
    { key: 'ratio', label: 'fork and join / plain call', unit: 'x', better: 'lower' },
    { key: 'forked', label: 'forked', unit: 'ns/node', better: 'lower' },
    { key: 'plain', label: 'plain', unit: 'ns/node', better: 'lower' },
  ],
  rounds: { quick: 2, full: 7 },
  timeoutMs: 60_000,
  startOptions: { tasksFile: new URL('../tasks-fork.mjs', import.meta.url) },
  variants: () => [{ key: 'fork-join', label: '', threads: 1, params: {} }],
  includes: ({ kind }) => kind === 'heddle',
  async turn(pool) {
    const nodes = callsOfFib(n);
    const best = { fibPlain: Infinity, fibFork: Infinity };
    for (let i = 0; i < RUNS; i++)
      for (const name of ['fibPlain', 'fibFork']) {
        const { value, ms } = await pool.run('timed', { name, n });
        expectSame(value, fib(n), name);
        best[name] = Math.min(best[name], ms);
      }
    const forked = (best.fibFork * 1e6) / nodes;
    const plain = (best.fibPlain * 1e6) / nodes;
    return { ratio: forked / plain, forked, plain };
  },
};

function fib(k) {
  let [a, b] = [0, 1];
  for (let i = 0; i < k; i++) [a, b] = [b, a + b];
  return a;
}

/** The number of calls that the recursion makes. */
function callsOfFib(k) {
  return 2 * fib(k + 1) - 1;
}
