import { keepInFlight } from '../lib/load.mjs';
import { expectSame } from '../lib/verify.mjs';

const sameNumber = (value, index) => {
  if (value !== index) expectSame(value, index, 'echo');
};

/** @type {import('./case.d.ts').Case} */
export const inFlight = {
  id: 'in-flight',
  title: 'Echo, 1000 in flight',
  note: 'A thousand callers, each of which sends its next number when the last one is back.',
  metrics: [{ key: 'rate', label: 'rate', unit: 'tasks/s', better: 'higher' }],
  rounds: { quick: 2, full: 5 },
  timeoutMs: 30_000,
  variants: (mode) => [
    {
      key: 'in-flight',
      label: '',
      params: mode === 'quick' ? { warmUpMs: 400, ms: 200 } : { warmUpMs: 800, ms: 500 },
    },
  ],
  includes: () => true,
  async turn(pool, { warmUpMs, ms }) {
    const start = (index) => pool.run('echo', index);
    await keepInFlight(1000, warmUpMs, start, sameNumber);
    const done = await keepInFlight(1000, ms, start, sameNumber);
    return { rate: (done.tasks / done.ms) * 1000 };
  },
};

/** @type {import('./case.d.ts').Case} */
export const workers = {
  id: 'workers',
  title: 'Cost per task from 1 to 32 workers',
  note: 'Echo with 1000 in flight, wall time divided by tasks. More workers than cores gain nothing here: the question is what they cost.',
  metrics: [{ key: 'cost', label: 'cost', unit: 'us/task', better: 'lower' }],
  rounds: { quick: 1, full: 2 },
  timeoutMs: 60_000,
  matrix: true,
  variants: (mode) =>
    (mode === 'quick' ? [1, 4, 32] : [1, 2, 4, 8, 16, 32]).map((threads) => ({
      key: String(threads),
      label: threads === 1 ? '1 worker' : `${threads} workers`,
      threads,
      params: mode === 'quick' ? { warmUpMs: 400, ms: 200 } : { warmUpMs: 800, ms: 500 },
    })),
  includes: ({ id, kind }, { bestPeer }) => kind === 'heddle' || kind === 'raw' || id === bestPeer,
  async turn(pool, params, context) {
    const { rate } = await inFlight.turn(pool, params, context);
    return { cost: 1e6 / rate };
  },
};
