import { setTimeout as sleep } from 'node:timers/promises';
import { inFutexThreads } from '../locks/futex-threads.mjs';
import { withPool } from '../locks/heddle-pool.mjs';
import { CELLS, PHASES } from '../locks/loops.mjs';

const SECTION_NS = 100;
const WARM_MS = 300;

/** @type {import('./case.d.ts').Case} */
export const lockContended = {
  id: 'lock-contended',
  title: 'Two workers that want one lock',
  note: `Each of two threads takes the lock over and over, blocking, and works about ${SECTION_NS} ns under it; two plain counters under the lock must stay alike. What is measured begins ${WARM_MS} ms after they do: until then the engine compiles, on the same cores. 'share': sections of the thread that got fewer, of all; 0.5 is even. Waits are timed in runs of their own, as reading the clock takes as long as the section; beside them 'no lock': the longest time between two looks at the clock of two threads that do nothing else, which is what the machine itself takes.`,
  metrics: [
    { key: 'rate', label: 'sections', unit: 'M/s', better: 'higher' },
    { key: 'share', label: 'least share', unit: '', better: 'higher' },
    { key: 'wait', label: 'longest wait', unit: 'ms', better: 'lower' },
  ],
  rounds: { quick: 3, full: 10 },
  timeoutMs: 30_000,
  ownProcess: true,
  isolate: true,
  variants: (mode) => {
    const ms = mode === 'quick' ? 300 : 1000;
    return [
      { key: 'contended', label: '', threads: 2, params: { ms, isTimed: false } },
      { key: 'timed', label: 'every wait timed', threads: 2, params: { ms, isTimed: true } },
    ];
  },
  includes: ({ id }, { variant }) =>
    id === 'heddle' || id === 'futex' || (id === 'no-lock' && variant.key === 'timed'),
  async turn(_, { ms, isTimed }, { contenderId }) {
    const cells = new Int32Array(new SharedArrayBuffer(4 * CELLS.count));
    let begin = 0;
    let took = 0;
    const stopLater = async () => {
      while (Atomics.load(cells, CELLS.ready) < 2) await sleep(1);
      await sleep(WARM_MS);
      begin = performance.now();
      Atomics.store(cells, CELLS.phase, PHASES.measured);
      await sleep(ms);
      Atomics.store(cells, CELLS.phase, PHASES.over);
      took = performance.now() - begin;
    };
    if (contenderId === 'no-lock') {
      const gaps = await inFutexThreads(2, 'watchClock', { cells }, stopLater);
      return { wait: Math.max(...gaps.map((each) => each.longestMs)) };
    }
    const params = { cells, ns: SECTION_NS, isTimed };
    const results =
      contenderId === 'futex'
        ? await inFutexThreads(2, 'contend', params, stopLater)
        : await withPool(2, {}, async (pool) => {
            const both = [pool.run('contend', [params]), pool.run('contend', [params])];
            await stopLater();
            return Promise.all(both);
          });
    const sections = results.map((each) => each.sections);
    const all = sections[0] + sections[1];
    const faults = results.some((each) => each.faults > 0);
    const warm = results[0].warm + results[1].warm;
    if (faults || cells[CELLS.first] !== warm + all)
      throw new Error('two threads were under the lock at once');
    const metrics = { rate: all / took / 1000, share: Math.min(...sections) / all };
    return isTimed ? { ...metrics, wait: Math.max(...results.map((each) => each.longestMs)) } : metrics;
  },
};
