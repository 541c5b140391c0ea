import { channel } from 'node:diagnostics_channel';
import Benchmark from 'benchmark';

/** @type {import('../cases/case.d.ts').Case} */
export const counting = {
  id: 'counting',
  title: 'What counting costs a single operation',
  note: 'benchmark.js, one thread. Atomics that nobody tracks and locks that nobody meters are what a program has that uses no instrumentation.',
  metrics: [],
  listUnit: 'ns',
  rounds: { quick: 1, full: 3 },
  timeoutMs: 60_000,
  variants: (mode) => [{ key: 'counting', label: '', params: { maxTime: mode === 'quick' ? 0.1 : 0.5 } }],
  includes: ({ kind }) => kind === 'heddle',
  async turn({ extra: { runtime } }, { maxTime }) {
    const atomic = runtime.atomicInt32('plain');
    const tracked = runtime.atomicInt32('tracked');
    runtime.monitor.trackAtomic('tracked', tracked);
    const mutex = runtime.mutex('plain');
    const metered = runtime.mutex('metered').metered();
    const quiet = channel('heddle:benchmark:quiet');
    const operations = {
      'atomic, not tracked': () => atomic.add(1),
      'atomic, tracked': () => tracked.add(1),
      'lock and unlock, not metered': () => {
        mutex.lockSync();
        mutex.unlock();
      },
      'lock and unlock, metered': () => {
        metered.lockSync();
        metered.unlock();
      },
      'asking a channel whether anybody listens': () => quiet.hasSubscribers,
    };
    const suite = new Benchmark.Suite();
    for (const [name, run] of Object.entries(operations))
      suite.add(name, run, { maxTime, minTime: maxTime / 4 });
    suite.run({ async: false });
    return Object.fromEntries(suite.map((bench) => [bench.name, bench.stats.mean * 1e9]));
  },
};
