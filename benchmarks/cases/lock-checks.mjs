import { withPool } from '../locks/heddle-pool.mjs';

const OFF = { order: 'off', waits: 'off' };
const ON = { order: 'report', waits: 'throw' };

/** What is measured: options of the runtime, and what the task does. */
const rows = {
  'all checks off': [OFF, {}],
  'order off, waits on': [{ order: 'off', waits: 'throw' }, {}],
  'order and waits on (default)': [ON, {}],
  'the same, under 1 other lock': [ON, { depth: 1 }],
  'the same, under 4 other locks': [ON, { depth: 4 }],
  "the same, under 1, order 'throw'": [{ order: 'throw', waits: 'throw' }, { depth: 1 }],
  'checks off, under 4 other locks': [OFF, { depth: 4 }],
  'reentrant lock': [ON, { options: { reentrant: true } }],
  'with maxHoldTimeMs': [ON, { options: { maxHoldTimeMs: 1000 }, takesStack: true }],
  'with an observer': [ON, { isObserved: true, takesStack: true }],
  "stacks: 'all'": [{ ...ON, stacks: 'all' }, { takesStack: true }],
};
/** A stack takes hundreds of times as long as a lock: so many times fewer of them. */
const STACK_COST = 100;

/** @type {import('./case.d.ts').Case} */
export const lockChecks = {
  id: 'lock-checks',
  title: 'What each check costs',
  note: 'An uncontended `lockSync()` and `unlock()` in a worker, in the steady state: everything there is to learn was learned.',
  metrics: [],
  listUnit: 'ns',
  rounds: { quick: 1, full: 5 },
  timeoutMs: 120_000,
  ownProcess: true,
  isolate: true,
  variants: (mode) => [{ key: 'checks', label: '', params: { pairs: mode === 'quick' ? 50_000 : 200_000 } }],
  includes: ({ id }) => id === 'heddle',
  async turn(_, { pairs }) {
    const metrics = {};
    for (const [name, [locks, { takesStack = false, ...params }]] of Object.entries(rows)) {
      const options = { pairs: takesStack ? pairs / STACK_COST : pairs, times: 3, ...params };
      metrics[name] = await withPool(1, locks, (pool) => pool.run('pairs', [options]));
    }
    return metrics;
  },
};
