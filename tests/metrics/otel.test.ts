import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metrics } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  type MetricProducer,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { type OtelInstrumenter, otelInstrumenter } from 'heddle/metrics/otel';
import { prometheusInstrumenter } from 'heddle/metrics/prometheus';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { gateOf, openPoolOn, openRuntime, rejectionOf, thrownBy, until } from '../pool/harness.ts';

const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const NEVER_MS = 2 ** 30;

interface Bench {
  readonly instrumenter: OtelInstrumenter;
  readonly provider: MeterProvider;
  /** Collects, exports, and returns what was exported, by name. */
  collect(): Promise<Map<string, MetricData>>;
}

/** An SDK whose reader collects when told to. */
function openSdk(temporality: AggregationTemporality = AggregationTemporality.CUMULATIVE): Bench {
  const exporter = new InMemoryMetricExporter(temporality);
  const forwarded: MetricProducer = { collect: () => instrumenter.producer.collect() };
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: NEVER_MS,
    metricProducers: [forwarded],
  });
  const provider = new MeterProvider({ readers: [reader] });
  const instrumenter = otelInstrumenter({ meterProvider: provider });
  stops.push(() => provider.shutdown());
  return {
    instrumenter,
    provider,
    async collect() {
      exporter.reset();
      await provider.forceFlush();
      const all = exporter
        .getMetrics()
        .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics: each }) => each));
      return new Map(all.map((metric) => [metric.descriptor.name, metric]));
    },
  };
}

const valueIn = (
  exported: Map<string, MetricData>,
  name: string,
  attributes: Readonly<Record<string, string>>,
): unknown =>
  exported
    .get(name)
    ?.dataPoints.find((point) =>
      Object.entries(attributes).every(([key, value]) => point.attributes[key] === value),
    )?.value;

describe('otelInstrumenter', () => {
  it('forgets what was instrumented when it is disposed, and takes it again', async () => {
    const rt = await openRuntime();
    const pool = await openPoolOn(rt);
    const { instrumenter } = openSdk();
    const series = async () => {
      const { resourceMetrics } = await instrumenter.producer.collect();
      return resourceMetrics.scopeMetrics.flatMap(({ metrics: each }) => each).length;
    };
    pool.instrument(instrumenter);
    const all = await series();
    expect(all).toBeGreaterThan(0);
    instrumenter.dispose();
    expect(await series()).toBe(0);
    pool.instrument(instrumenter);
    expect(await series()).toBe(all);
  });

  it('exports the names, units and kinds of the metrics', async () => {
    const { instrumenter, collect } = openSdk();
    const rt = await openRuntime();
    rt.instrument(instrumenter);
    const pool = await openPoolOn(rt, { name: 'all' });
    await pool.run('add', [1, 2]);
    await rejectionOf(pool.run('fail', ['no']));
    await rt.mutex('m').runExclusive(() => undefined);
    instrumenter.instrumentAtomic(rt.atomicInt32('hits')).add(1);
    const exported = await collect();
    const shape = [...exported.values()].map(({ descriptor: { name, unit }, ...rest }) => [
      name,
      unit,
      rest.dataPointType === DataPointType.SUM
        ? rest.isMonotonic
          ? 'counter'
          : 'updown'
        : DataPointType[rest.dataPointType],
    ]);
    expect(shape.sort()).toEqual(
      [
        ['taskpool.atomic.operations', '{operation}', 'counter'],
        ['taskpool.deadlock.detected', '{deadlock}', 'counter'],
        ['taskpool.lock.hold_time', 's', 'HISTOGRAM'],
        ['taskpool.lock.wait_time', 's', 'HISTOGRAM'],
        ['taskpool.numa.crossings', '{task}', 'counter'],
        ['taskpool.pressure', '1', 'GAUGE'],
        ['taskpool.queue.size', '{task}', 'updown'],
        ['taskpool.steal.attempts', '{attempt}', 'counter'],
        ['taskpool.steal.successes', '{steal}', 'counter'],
        ['taskpool.task.cancelled', '{task}', 'counter'],
        ['taskpool.task.completed', '{task}', 'counter'],
        ['taskpool.task.duration', 's', 'HISTOGRAM'],
        ['taskpool.task.queue_time', 's', 'HISTOGRAM'],
        ['taskpool.task.rejected', '{task}', 'counter'],
        ['taskpool.task.submitted', '{task}', 'counter'],
        ['taskpool.worker.active', '{worker}', 'updown'],
        ['taskpool.worker.utilization', '1', 'GAUGE'],
      ].sort(),
    );
  });

  it('exports values, and histograms as they were counted', async () => {
    const { instrumenter, collect } = openSdk();
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'values' });
    pool.instrument(instrumenter);
    for (let i = 0; i < 20; i++) await pool.run('add', [i, 1]);
    const gate = gateOf(rt);
    const held = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const queued = pool.run('add', [1, 2]);
    const busy = await collect();
    const name = { 'taskpool.name': 'values' };
    expect(valueIn(busy, 'taskpool.task.submitted', name)).toBe(22);
    expect(valueIn(busy, 'taskpool.queue.size', { ...name, 'taskpool.qos.class': 'Burstable' })).toBe(1);
    expect(valueIn(busy, 'taskpool.worker.active', { ...name, state: 'busy' })).toBe(1);
    expect(valueIn(busy, 'taskpool.pressure', name)).toBe(2);
    gate.open();
    await Promise.all([held, queued]);
    await until(() => pool.metrics().runHistogram.count === 22);
    const { runHistogram } = pool.metrics();
    const exported = await collect();
    const duration = valueIn(exported, 'taskpool.task.duration', name) as {
      count: number;
      sum: number;
      buckets: { boundaries: number[]; counts: number[] };
    };
    expect(duration.count).toBe(runHistogram.count);
    expect(duration.sum).toBeCloseTo(runHistogram.sumMs / 1000);
    expect(duration.buckets.counts.length).toBe(duration.buckets.boundaries.length + 1);
    expect(duration.buckets.counts.reduce((a, b) => a + b)).toBe(22);
    for (const [i, count] of duration.buckets.counts.entries()) {
      const from = i === 0 ? 0 : duration.buckets.boundaries[i - 1]! * 1000;
      const to = (duration.buckets.boundaries[i] ?? Infinity) * 1000;
      const within = runHistogram.buckets.filter(
        ({ toMs }) => toMs > from * (1 + 1e-9) && toMs <= to * (1 + 1e-9),
      );
      expect([i, count]).toEqual([i, within.reduce((sum, bucket) => sum + bucket.count, 0)]);
    }
  });

  it('tells deltas where the exporter wants them', async () => {
    const { instrumenter, collect } = openSdk(AggregationTemporality.DELTA);
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'deltas' });
    pool.instrument(instrumenter);
    const completed = async (): Promise<unknown> =>
      valueIn(await collect(), 'taskpool.task.completed', { 'taskpool.name': 'deltas' });
    for (let i = 0; i < 4; i++) await pool.run('add', [i, 1]);
    expect(await completed()).toBe(4);
    for (let i = 0; i < 3; i++) await pool.run('add', [i, 1]);
    expect(await completed()).toBe(3);
  });

  it('leaves no worker behind of a pool that has ended', async () => {
    const { instrumenter, collect } = openSdk();
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'ended', minThreads: 2 });
    pool.instrument(instrumenter);
    await pool.run('add', [1, 2]);
    const workers = (exported: Map<string, MetricData>): number =>
      (exported.get('taskpool.worker.active')?.dataPoints ?? []).reduce(
        (sum, { value }) => sum + (value as number),
        0,
      );
    expect(workers(await collect())).toBe(2);
    await pool.shutdown();
    expect(workers(await collect())).toBe(0);
    expect(workers(await collect())).toBe(0);
    expect((await collect()).has('taskpool.task.duration')).toBe(false);
  });

  it('counts what is made later beside another instrumenter', async () => {
    const { instrumenter, collect } = openSdk();
    const registry = new Registry();
    const rt = await openRuntime();
    rt.instrument(prometheusInstrumenter({ registry }));
    rt.instrument(instrumenter);
    const pool = await openPoolOn(rt, { name: 'late' });
    await pool.run('add', [1, 2]);
    await rt.mutex('late').runExclusive(() => undefined);
    const exported = await collect();
    const text = await registry.metrics();
    expect(valueIn(exported, 'taskpool.task.completed', { 'taskpool.name': 'late' })).toBe(1);
    expect(valueIn(exported, 'taskpool.lock.hold_time', {})).toMatchObject({ count: 1 });
    expect(text).toContain('taskpool_task_completed_total{taskpool_name="late"} 1\n');
    expect(text).toContain('taskpool_lock_hold_time_seconds_count 1\n');
  });

  it('is one for each provider, so that pools of one name in two runtimes add up', async () => {
    const { instrumenter, provider, collect } = openSdk();
    expect(otelInstrumenter({ meterProvider: provider })).toBe(instrumenter);
    expect(thrownBy(() => otelInstrumenter({ meterProvider: provider, buckets: 'all' }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    for (const calls of [10, 3]) {
      const rt = await openRuntime();
      rt.instrument(otelInstrumenter({ meterProvider: provider }));
      const pool = await openPoolOn(rt, { name: 'one' });
      for (let i = 0; i < calls; i++) await pool.run('add', [i, 1]);
    }
    const completed = async (): Promise<unknown> =>
      valueIn(await collect(), 'taskpool.task.completed', { 'taskpool.name': 'one' });
    expect([await completed(), await completed()]).toEqual([13, 13]);
    instrumenter.dispose();
    expect(otelInstrumenter({ meterProvider: provider, buckets: 'all' })).not.toBe(instrumenter);
  });

  it('leaves levels at 0 when it is disposed, and to its successor', async () => {
    const { instrumenter, provider, collect } = openSdk();
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'left' });
    pool.instrument(instrumenter);
    const gate = gateOf(rt);
    const held = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const busy = async (): Promise<unknown> =>
      valueIn(await collect(), 'taskpool.worker.active', { 'taskpool.name': 'left', state: 'busy' });
    expect(await busy()).toBe(1);
    instrumenter.dispose();
    expect(await busy()).toBe(0);
    expect((await collect()).get('taskpool.pressure')?.dataPoints[0]?.value).toBe(0);
    const second = otelInstrumenter({ meterProvider: provider });
    pool.instrument(second);
    expect(await busy()).toBe(1);
    second.dispose();
    pool.instrument(otelInstrumenter({ meterProvider: provider }));
    expect(await busy()).toBe(1);
    gate.open();
    await held;
  });

  it('uses the global provider, and ends when it is disposed', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const provider = new MeterProvider({
      readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: NEVER_MS })],
    });
    metrics.setGlobalMeterProvider(provider);
    stops.push(async () => {
      metrics.disable();
      await provider.shutdown();
    });
    const instrumenter = otelInstrumenter();
    const rt = await openRuntime();
    (await openPoolOn(rt, { name: 'global' })).instrument(instrumenter);
    await provider.forceFlush();
    const names = (): string[] =>
      exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.map(({ scope }) => scope.name));
    expect(names()).toEqual(['heddle']);
    instrumenter.dispose();
    expect((await instrumenter.producer.collect()).resourceMetrics.scopeMetrics).toEqual([]);
  });

  it('reaches a receiver by OTLP', async () => {
    const bodies: unknown[] = [];
    const server = createServer(async (request: IncomingMessage, response) => {
      let text = '';
      for await (const part of request.setEncoding('utf8')) text += part;
      bodies.push(JSON.parse(text));
      response.setHeader('content-type', 'application/json').end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    stops.push(async () => {
      server.closeAllConnections();
      server.close();
    });
    const provider = new MeterProvider({
      readers: [
        new PeriodicExportingMetricReader({
          exporter: new OTLPMetricExporter({ url: `http://127.0.0.1:${port}/v1/metrics` }),
          exportIntervalMillis: NEVER_MS,
          metricProducers: [{ collect: () => instrumenter.producer.collect() }],
        }),
      ],
    });
    stops.push(() => provider.shutdown());
    const instrumenter = otelInstrumenter({ meterProvider: provider });
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'otlp' });
    pool.instrument(instrumenter);
    for (let i = 0; i < 6; i++) await pool.run('add', [i, 1]);
    await until(() => pool.metrics().runHistogram.count === 6);
    await provider.forceFlush();
    const [body] = bodies as { resourceMetrics: { scopeMetrics: { metrics: Record<string, any>[] }[] }[] }[];
    const sent = body!.resourceMetrics.flatMap(({ scopeMetrics }) =>
      scopeMetrics.flatMap((each) => each.metrics),
    );
    const duration = sent.find(({ name }) => name === 'taskpool.task.duration')!.histogram.dataPoints[0];
    expect(Number(duration.count)).toBe(6);
    expect(duration.bucketCounts.map(Number).reduce((a: number, b: number) => a + b)).toBe(6);
    expect(duration.attributes).toEqual([{ key: 'taskpool.name', value: { stringValue: 'otlp' } }]);
    expect(Number(sent.find(({ name }) => name === 'taskpool.task.completed')!.sum.dataPoints[0].asInt)).toBe(
      6,
    );
  });

  it.each([
    ['a provider that is none', () => otelInstrumenter({ meterProvider: {} as never })],
    ['unknown buckets', () => otelInstrumenter({ buckets: 'some' as never })],
  ])('refuses %s', (_, call) => {
    expect(thrownBy(call)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});
