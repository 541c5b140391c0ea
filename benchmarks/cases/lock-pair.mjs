import { timeBareCalls, timeBarePairs } from '../locks/bare.mjs';
import { inFutexThreads } from '../locks/futex-threads.mjs';
import { withPool } from '../locks/heddle-pool.mjs';

const OFF = { order: 'off', waits: 'off' };
const ON = { order: 'report', waits: 'throw' };

/** @type {import('./case.d.ts').Case} */
export const lockPair = {
  id: 'lock-pair',
  title: 'Uncontended lock and unlock in a worker',
  note: "`lockSync()` and `unlock()` of one lock over and over in a task, which is its owner; nobody else wants it. The contender is a three-state mutex on `Atomics` (`benchmarks/locks/futex.mjs`), which knows no owner, no name, no death and no order. 'two atomic operations': a compare-and-swap there and back, inside WebAssembly, without a call from JavaScript: what the processor takes; 'in two calls': JavaScript calls WebAssembly for each half, which is the least that any lock with a kernel costs. 'under another lock': the thread holds one lock meanwhile, so that each acquisition is checked against the learned order.",
  metrics: [{ key: 'pair', label: 'lock + unlock', unit: 'ns', better: 'lower' }],
  rounds: { quick: 1, full: 7 },
  timeoutMs: 30_000,
  ownProcess: true,
  isolate: true,
  variants: (mode) => {
    const times = mode === 'quick' ? { pairs: 500_000, times: 3 } : { pairs: 2_000_000, times: 7 };
    return [
      { key: 'off', label: 'checks off', threads: 1, params: { locks: OFF, ...times } },
      { key: 'on', label: 'order and wait checks on', threads: 1, params: { locks: ON, ...times } },
      {
        key: 'nested',
        label: 'order and wait checks on, under another lock',
        threads: 1,
        params: { locks: ON, ...times, depth: 1 },
      },
    ];
  },
  includes: ({ id }, { variant }) =>
    id === 'heddle' || (['futex', 'bare', 'bare-calls'].includes(id) && variant.key === 'off'),
  async turn(_, { locks, ...params }, { contenderId }) {
    if (contenderId === 'bare') return { pair: await timeBarePairs(params.pairs, params.times) };
    if (contenderId === 'bare-calls') return { pair: await timeBareCalls(params.pairs, params.times) };
    if (contenderId === 'futex') return { pair: (await inFutexThreads(1, 'pairs', params))[0] };
    return withPool(1, locks, async (pool) => ({ pair: await pool.run('pairs', [params]) }));
  },
};
