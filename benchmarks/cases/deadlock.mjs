import { setImmediate as turn } from 'node:timers/promises';
import { attachRuntime, createRuntime } from 'heddle';
import { quantile } from '../lib/stats.mjs';
import { withPool } from '../locks/heddle-pool.mjs';
import { WaitGraph } from '../locks/wait-graphs.mjs';

const OWNERS_A_PARTY = 3;
const PARTIES = 4;
const LOCKS = 10;
const STEPS = 40;

/** @type {import('./case.d.ts').Case} */
export const deadlock = {
  id: 'deadlock',
  title: 'Deadlocks',
  note: `'two workers': one sleeps in a wait, the other closes the cycle with \`lockSync()\`; time from that call to its error, spinning before the sleep included. 'random wait graphs': up to ${OWNERS_A_PARTY * PARTIES} owners that take part as ${PARTIES} different threads, up to ${LOCKS} locks, ${STEPS} random steps each, every outcome compared with an oracle; time from the call to its rejection.`,
  metrics: [
    { key: 'median', label: 'found in', unit: 'us', better: 'lower' },
    { key: 'p99', label: 'p99', unit: 'us', better: 'lower' },
    { key: 'graphs', label: 'graphs', unit: '', better: 'higher' },
    { key: 'waits', label: 'waits', unit: '', better: 'higher' },
    { key: 'deadlocks', label: 'deadlocks', unit: '', better: 'higher' },
    { key: 'wrong', label: 'missed or invented', unit: '', better: 'lower' },
  ],
  rounds: { quick: 1, full: 3 },
  timeoutMs: 120_000,
  ownProcess: true,
  isolate: true,
  variants: (mode) => [
    { key: 'workers', label: 'two workers', threads: 2, params: { rounds: mode === 'quick' ? 100 : 1000 } },
    { key: 'graphs', label: 'random wait graphs', params: { graphs: mode === 'quick' ? 1000 : 10_000 } },
  ],
  includes: ({ id }) => id === 'heddle',
  turn: (_, { rounds, graphs }) => (rounds === undefined ? playGraphs(graphs) : closeCycles(rounds)),
};

const timings = (samples) => {
  const sorted = Float64Array.from(samples).sort();
  return { median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
};

async function closeCycles(rounds) {
  return withPool(2, { order: 'off' }, async (pool, runtime) => {
    const waits = runtime.atomicInt32('waits');
    const both = Promise.all([pool.run('waitInCycle', [{ rounds }]), pool.run('closeCycle', [{ rounds }])]);
    let isOver = false;
    const over = both.finally(() => {
      isOver = true;
    });
    const held = runtime.atomicInt32('held');
    for (let i = 1; i <= rounds && !isOver; i++) {
      while (!isOver && (held.load() < 2 * i || runtime.locks.snapshot().pending.length === 0)) await turn();
      waits.add(1);
    }
    const [, samples] = await over;
    return { ...timings(samples), deadlocks: samples.length };
  });
}

async function playGraphs(graphs) {
  const runtime = await createRuntime({ locks: { order: 'off' } });
  // Each is a thread of its own to the kernel, whichever thread it runs in.
  const threads = [runtime, ...Array.from({ length: PARTIES - 1 }, () => attachRuntime(runtime.handle))];
  const parties = threads.flatMap((thread) => {
    const mutexes = Array.from({ length: LOCKS }, (_, i) => thread.mutex(`lock ${i}`));
    return Array.from({ length: OWNERS_A_PARTY }, (_, i) => ({
      owner: thread.createOwner(`owner ${i}`),
      mutexes,
    }));
  });
  const totals = { graphs, waits: 0, deadlocks: 0, wrong: 0 };
  const found = [];
  for (let seed = 1; seed <= graphs; seed++) {
    const graph = new WaitGraph(parties, LOCKS, seed);
    await graph.play(STEPS);
    const { waits, deadlocks, missed, invented } = graph.counts;
    totals.waits += waits;
    totals.deadlocks += deadlocks;
    totals.wrong += missed + invented;
    found.push(...graph.found);
  }
  for (const { owner } of parties) owner.end();
  for (const thread of threads.slice(1)) thread.detach();
  await runtime.dispose();
  return { ...timings(found), ...totals };
}
