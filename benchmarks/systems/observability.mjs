import { connect } from 'node:net';
import { significant } from '../lib/format.mjs';
import { keepInFlight } from '../lib/load.mjs';
import { ratioInterval } from '../lib/stats.mjs';
import { expectSame } from '../lib/verify.mjs';

const IN_FLIGHT = 1000;
/** The most that being watched may cost, in percent. */
const MOST_PERCENT = 1;
/** How often a watcher looks in a second that is watched. Once a second costs less than two seconds differ by themselves. */
const LOOKS = 20;
/** What `heddle top` asks for, and as how many clients at once. */
const TOP = { everyMs: 250, clients: 10 };

/**
 * What watches. `begin` starts it and returns what ends it; `look` is called {@link LOOKS} times in each second that is watched.
 * `looks`: how many times as often as usual it looks, where `look` does not say it.
 *
 * @type {Record<string, { label: string, looks?: number, open: (extra: { runtime: any, pool: any }) => Promise<{ begin?: () => Promise<() => void>, look?: () => Promise<void>, close?: () => Promise<void> }> }>}
 */
const watchers = {
  registered: {
    label: 'instrumented, nobody scrapes',
    looks: LOOKS,
    async open({ pool }) {
      const { prometheusInstrumenter } = await import('heddle/metrics/prometheus');
      const { Registry } = await import('prom-client');
      return {
        async begin() {
          const instrumenters = Array.from({ length: LOOKS }, () =>
            prometheusInstrumenter({ registry: new Registry() }),
          );
          for (const instrumenter of instrumenters) pool.instrument(instrumenter);
          return () => {
            for (const instrumenter of instrumenters) instrumenter.dispose();
          };
        },
      };
    },
  },
  prometheus: {
    label: 'Prometheus, a scrape each second',
    async open({ pool }) {
      const { prometheusInstrumenter } = await import('heddle/metrics/prometheus');
      const { Registry } = await import('prom-client');
      const registry = new Registry();
      pool.instrument(prometheusInstrumenter({ registry }));
      return {
        async look() {
          const text = await registry.metrics();
          if (!text.includes('taskpool_task_duration_seconds_bucket'))
            throw new Error('nothing was exported');
        },
      };
    },
  },
  otel: {
    label: 'OpenTelemetry, a collection each second',
    async open({ pool }) {
      const { otelInstrumenter } = await import('heddle/metrics/otel');
      const sdk = await import('@opentelemetry/sdk-metrics');
      const exporter = new sdk.InMemoryMetricExporter(sdk.AggregationTemporality.CUMULATIVE);
      const reader = new sdk.PeriodicExportingMetricReader({
        exporter,
        exportIntervalMillis: 2 ** 30,
        metricProducers: [{ collect: () => instrumenter.producer.collect() }],
      });
      const meterProvider = new sdk.MeterProvider({ readers: [reader] });
      const instrumenter = otelInstrumenter({ meterProvider });
      pool.instrument(instrumenter);
      return {
        async look() {
          await meterProvider.forceFlush();
          if (exporter.getMetrics().length === 0) throw new Error('nothing was exported');
          exporter.reset();
        },
        close: () => meterProvider.shutdown(),
      };
    },
  },
  top: {
    label: 'heddle top, four snapshots a second',
    looks: TOP.clients,
    async open() {
      const { serveTop } = await import('heddle');
      const server = await serveTop();
      const client = () =>
        new Promise((resolve, reject) => {
          const socket = connect(server.path, () => {
            socket.write(`${JSON.stringify({ everyMs: TOP.everyMs })}\n`);
            socket.resume();
            resolve(socket);
          });
          socket.once('error', reject);
        });
      return {
        async begin() {
          const sockets = await Promise.all(Array.from({ length: TOP.clients }, client));
          return () => {
            for (const socket of sockets) socket.destroy();
          };
        },
        close: () => server.close(),
      };
    },
  },
};

/** @type {import('../cases/case.d.ts').Case} */
export const observability = {
  id: 'observability',
  title: 'A pool that is watched',
  note: "Echo with 1000 in flight, which keeps the submitting thread busy: that is where metrics are read. Times that are watched and times that are not take turns on one pool, half a second each, in the order of A B B A; each pair gives a ratio of throughputs. One look a second costs less than two times differ by themselves: so a watcher looks 20 times a second (heddle top: as ten clients; 'nobody scrapes': twenty instrumenters), and the cost of its usual rate is that share of what is lost. Cost is what is lost of the throughput, with the 95 % confidence interval of the mean over all pairs of a round; below 0 the watched times were faster. Where nobody scrapes there is nothing to pay for: it shows what the method sees where there is nothing to see.",
  metrics: [
    { key: 'cost', label: 'cost', unit: '%', better: 'lower' },
    { key: 'low', label: 'from', unit: '%', better: 'lower' },
    { key: 'high', label: 'to', unit: '%', better: 'lower' },
    { key: 'rate', label: 'unwatched', unit: 'tasks/s', better: 'higher' },
  ],
  rounds: { quick: 1, full: 2 },
  timeoutMs: 240_000,
  isolate: true,
  variants: (mode) =>
    Object.entries(watchers).map(([key, { label }]) => ({
      key,
      label,
      params: { watcher: key, pairs: mode === 'quick' ? 6 : 52, ms: mode === 'quick' ? 300 : 500 },
    })),
  includes: ({ id }) => id === 'heddle',
  async turn(pool, { watcher, pairs, ms }) {
    const start = (index) => pool.run('echo', index);
    const check = (value, index) => {
      if (value !== index) expectSame(value, index, 'echo');
    };
    const second = async () => {
      const done = await keepInFlight(IN_FLIGHT, ms, start, check);
      return (done.tasks / done.ms) * 1000;
    };
    const { open, looks = 1 } = watchers[watcher];
    const watch = await open(pool.extra);
    const watched = async () => {
      const end = await watch.begin?.();
      let count = 0;
      let looking;
      const timer =
        watch.look &&
        setInterval(() => {
          count++;
          looking = watch.look();
        }, 1000 / LOOKS);
      const rate = await second();
      clearInterval(timer);
      await looking;
      end?.();
      if (watch.look && count === 0) throw new Error('nobody looked');
      return { rate, looks: watch.look ? count / (ms / 1000) : looks };
    };
    await second();
    await watched();
    const rates = [];
    const ratios = [];
    for (let pair = 0; pair < pairs; pair++) {
      let on;
      let off;
      if (pair % 2 === 0) {
        off = await second();
        on = await watched();
      } else {
        on = await watched();
        off = await second();
      }
      rates.push(off);
      ratios.push(1 - (1 - on.rate / off) / on.looks);
    }
    await watch.close?.();
    const { ratio, low, high } = ratioInterval(ratios);
    const percent = (share) => (1 - share) * 100;
    const rate = rates.reduce((sum, each) => sum + each, 0) / rates.length;
    return { cost: percent(ratio), low: percent(high), high: percent(low), rate, ratios };
  },
};

/** The interval over all pairs of all rounds, in percent of the throughput. */
function costOf(results, variant) {
  const samples = results.samples(observability.id, variant, 'heddle');
  const interval = ratioInterval(samples.flatMap(({ metrics }) => metrics?.ratios ?? []));
  if (interval === undefined) return undefined;
  const percent = (share) => (1 - share) * 100;
  return {
    cost: percent(interval.ratio),
    low: percent(interval.high),
    high: percent(interval.low),
    count: interval.count,
  };
}

const signed = (value) => `${value < 0 ? '-' : ''}${significant(Math.abs(value))}`;

function goalFor(variant, goal, target, isReached) {
  return {
    goal,
    target,
    where: [observability.id, variant],
    measure(results) {
      const found = costOf(results, variant);
      if (found === undefined) return undefined;
      const { cost, low, high, count } = found;
      return {
        value: `${signed(cost)} % (95 %: ${signed(low)} to ${signed(high)}, ${count} pairs)`,
        reached: isReached(found),
      };
    },
  };
}

const atMost = ({ high }) => high <= MOST_PERCENT;

/** @type {import('../suites/pool-goals.mjs').Goal[]} */
export const observabilityGoals = [
  goalFor(
    'registered',
    'a pool that is instrumented and not scraped',
    '0 % within the interval',
    ({ low, high }) => low <= 0 && high <= MOST_PERCENT,
  ),
  goalFor(
    'prometheus',
    'a Prometheus scrape each second',
    `at most ${MOST_PERCENT} %, all of the interval`,
    atMost,
  ),
  goalFor(
    'otel',
    'an OpenTelemetry collection each second',
    `at most ${MOST_PERCENT} %, all of the interval`,
    atMost,
  ),
  goalFor('top', 'heddle top', `at most ${MOST_PERCENT} %, all of the interval`, atMost),
];
