import { spawnSync } from 'node:child_process';
import { prometheusInstrumenter } from 'heddle/metrics/prometheus';
import { Counter, Gauge, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { LOCK_TASKS } from '../locks/harness.ts';
import { fixture, gateOf, openPoolOn, openRuntime, rejectionOf, thrownBy, until } from '../pool/harness.ts';

const METRIC_TASKS = fixture('metrics.mjs');

/** The value of a series, by its name and labels as they stand in the text. */
async function valueIn(registry: Registry, series: string): Promise<number | undefined> {
  const line = (await registry.metrics()).split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

const seriesOf = async (registry: Registry): Promise<string[]> =>
  (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('prometheusInstrumenter', () => {
  it('exports what the pool counts, and nothing once it has ended', async () => {
    const registry = new Registry();
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'images', maxQueue: 0 });
    expect(pool.instrument(prometheusInstrumenter({ registry }))).toBe(pool);
    const gate = gateOf(rt);
    const held = pool.run('hold', [gate.name]);
    await gate.reached(1);
    await rejectionOf(pool.run('add', [1, 2]));
    expect(await valueIn(registry, 'taskpool_worker_active{taskpool_name="images",state="busy"}')).toBe(1);
    expect(await valueIn(registry, 'taskpool_pressure{taskpool_name="images"}')).toBe(1);
    gate.open();
    await held;
    for (let i = 0; i < 9; i++) await pool.run('add', [i, 1]);
    await rejectionOf(pool.run('fail', ['no']));
    // A worker books a task after it has sent the outcome home.
    await until(() => pool.metrics().runHistogram.count === 11);
    const { runHistogram, waitHistogram, rejections } = pool.metrics();
    const prefix = 'taskpool_task';
    expect(await valueIn(registry, `${prefix}_submitted_total{taskpool_name="images"}`)).toBe(11);
    expect(await valueIn(registry, `${prefix}_completed_total{taskpool_name="images"}`)).toBe(10);
    for (const [kind, count] of rejections) {
      const series = `${prefix}_rejected_total{taskpool_name="images",error_type="${kind}"}`;
      expect([kind, await valueIn(registry, series)]).toEqual([kind, count]);
    }
    expect(rejections.get('ERR_QUEUE_FULL')).toBe(1);
    expect(await valueIn(registry, `${prefix}_duration_seconds_count{taskpool_name="images"}`)).toBe(
      runHistogram.count,
    );
    expect(await valueIn(registry, `${prefix}_duration_seconds_sum{taskpool_name="images"}`)).toBeCloseTo(
      runHistogram.sumMs / 1000,
    );
    expect(await valueIn(registry, `${prefix}_queue_time_seconds_sum{taskpool_name="images"}`)).toBeCloseTo(
      waitHistogram.sumMs / 1000,
    );
    await pool.shutdown();
    expect(await seriesOf(registry)).toEqual([]);
  });

  it('tells the queue of each class', async () => {
    const registry = new Registry();
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'classes' });
    pool.instrument(prometheusInstrumenter({ registry }));
    const gate = gateOf(rt);
    const held = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const queued = [
      ...[1, 2, 3].map(() => pool.run('add', [1, 2], { qos: 'BestEffort' })),
      pool.run('add', [1, 2], { qos: 'Guaranteed' }),
    ];
    const size = (qos: string): Promise<number | undefined> =>
      valueIn(registry, `taskpool_queue_size{taskpool_name="classes",taskpool_qos_class="${qos}"}`);
    expect([await size('Guaranteed'), await size('Burstable'), await size('BestEffort')]).toEqual([1, 0, 3]);
    gate.open();
    await Promise.all([held, ...queued]);
    expect([await size('Guaranteed'), await size('Burstable'), await size('BestEffort')]).toEqual([0, 0, 0]);
  });

  it('has buckets that add up, whose bounds are those that are counted by', async () => {
    const registry = new Registry();
    const fine = new Registry();
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'buckets' });
    pool.instrument(prometheusInstrumenter({ registry }));
    pool.instrument(prometheusInstrumenter({ registry: fine, buckets: 'all' }));
    for (let i = 0; i < 50; i++) await pool.run('add', [i, 1]);
    await until(() => pool.metrics().runHistogram.count === 50);
    for (const [each, most] of [
      [registry, 28],
      [fine, 63],
    ] as const) {
      const buckets = (await seriesOf(each))
        .filter((line) => line.startsWith('taskpool_task_duration_seconds_bucket'))
        .map((line) => ({
          le: Number(/le="([^"]+)"/.exec(line)![1]!.replace('+Inf', 'Infinity')),
          n: Number(line.split(' ')[1]),
        }));
      expect(buckets.length).toBe(most + 1);
      const { runHistogram } = pool.metrics();
      for (const { le, n } of buckets) {
        const below = runHistogram.buckets.filter(({ toMs }) => toMs <= le * 1000 * (1 + 1e-9));
        expect([le, n]).toEqual([le, below.reduce((sum, { count }) => sum + count, 0)]);
      }
    }
  });

  it('adds pools of one name up, and the counts never fall when one of them ends', async () => {
    const registry = new Registry();
    const instrumenter = prometheusInstrumenter({ registry });
    const [a, b] = [await openRuntime(), await openRuntime()];
    const first = await openPoolOn(a, { name: 'twins' });
    const second = await openPoolOn(b, { name: 'twins' });
    first.instrument(instrumenter);
    second.instrument(instrumenter);
    first.instrument(instrumenter);
    for (let i = 0; i < 5; i++) await first.run('add', [1, 2]);
    for (let i = 0; i < 3; i++) await second.run('add', [1, 2]);
    const completed = (): Promise<number | undefined> =>
      valueIn(registry, 'taskpool_task_completed_total{taskpool_name="twins"}');
    expect(await completed()).toBe(8);
    await until(() => first.metrics().runHistogram.count + second.metrics().runHistogram.count === 8);
    await first.shutdown();
    expect(await completed()).toBe(8);
    expect(await valueIn(registry, 'taskpool_task_duration_seconds_count{taskpool_name="twins"}')).toBe(8);
    await b.dispose();
    expect(await completed()).toBeUndefined();
  });

  it('has a bounded number of series, however many pools there were', async () => {
    const registry = new Registry();
    const instrumenter = prometheusInstrumenter({ registry });
    const rt = await openRuntime();
    for (let i = 0; i < 12; i++) {
      const pool = await openPoolOn(rt, { name: `request-${i}`, minThreads: 1 });
      pool.instrument(instrumenter);
      await pool.run('add', [1, 2]);
      await pool.shutdown();
    }
    expect(await seriesOf(registry)).toEqual([]);
  });

  it('has a bounded number of kinds of errors', async () => {
    const registry = new Registry();
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'kinds', tasks: METRIC_TASKS });
    pool.instrument(prometheusInstrumenter({ registry }));
    for (let i = 0; i < 40; i++) await rejectionOf(pool.run('throwNamed', [`Error${i}`]));
    const lines = (await seriesOf(registry)).filter((line) =>
      line.startsWith('taskpool_task_rejected_total'),
    );
    expect(lines.length).toBe(33);
    const sum = lines.reduce((total, line) => total + Number(line.split(' ')[1]), 0);
    expect(sum).toBe(40);
    expect(lines.find((line) => line.includes('_OTHER'))?.endsWith(' 8')).toBe(true);
  });

  it('has a bounded number of kinds of errors, however many pools of one name ended, and no count falls', async () => {
    const registry = new Registry();
    const rt = await openRuntime();
    rt.instrument(prometheusInstrumenter({ registry }));
    const settings = { name: 'again', tasks: METRIC_TASKS };
    const stays = await openPoolOn(rt, settings);
    for (let i = 0; i < 10; i++) await rejectionOf(stays.run('throwNamed', [`Stays${i}`]));
    let before = new Map<string, number>();
    for (let round = 1; round <= 3; round++) {
      const pool = await openPoolOn(rt, settings);
      for (let i = 0; i < 40; i++) await rejectionOf(pool.run('throwNamed', [`E${round}${i}`]));
      await pool.shutdown();
      const lines = (await seriesOf(registry)).filter((line) =>
        line.startsWith('taskpool_task_rejected_total'),
      );
      expect(lines.length).toBe(33);
      const counts = new Map(lines.map((line) => [line.split(' ')[0]!, Number(line.split(' ')[1])]));
      expect([...counts.values()].reduce((a, b) => a + b)).toBe(10 + 40 * round);
      for (const [series, count] of before) expect(counts.get(series)).toBeGreaterThanOrEqual(count);
      before = counts;
    }
  });

  it('meters locks in all threads, and counts deadlocks', async () => {
    const registry = new Registry();
    const rt = await openRuntime();
    rt.instrument(prometheusInstrumenter({ registry }));
    const pool = await openPoolOn(rt, { name: 'locks', tasks: LOCK_TASKS, minThreads: 2, maxThreads: 2 });
    const holds = (): Promise<number | undefined> =>
      valueIn(registry, 'taskpool_lock_hold_time_seconds_count');
    await pool.run('countSync', ['only-in-tasks', 10]);
    expect(await holds()).toBe(10);
    const mutex = rt.mutex('here');
    await mutex.lock();
    expect(await valueIn(registry, 'taskpool_lock_wait_time_seconds_count')).toBe(0);
    const waiter = rt.withOwner(() => mutex.lock({ timeoutMs: 1 }));
    expect(await waiter).toBe(false);
    mutex.unlock();
    expect(await holds()).toBe(11);
    expect(await valueIn(registry, 'taskpool_lock_wait_time_seconds_count')).toBe(1);
    expect(await valueIn(registry, 'taskpool_deadlock_detected_total')).toBe(0);
    await mutex.lock();
    expect(await rejectionOf(mutex.lock())).toMatchObject({ code: 'ERR_DEADLOCK' });
    expect(await valueIn(registry, 'taskpool_deadlock_detected_total')).toBe(1);
    mutex.unlock();
  });

  it('is one for each registry, and leaves it when disposed', async () => {
    const registry = new Registry();
    const instrumenter = prometheusInstrumenter({ registry });
    expect(prometheusInstrumenter({ registry })).toBe(instrumenter);
    expect(thrownBy(() => prometheusInstrumenter({ registry, buckets: 'all' }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    instrumenter.dispose();
    expect(registry.getMetricsAsArray()).toEqual([]);
    expect(prometheusInstrumenter({ registry, buckets: 'all' })).not.toBe(instrumenter);
  });

  it('is registered again when its metrics were taken out, with all that was instrumented', async () => {
    const registry = new Registry();
    const rt = await openRuntime();
    rt.instrument(prometheusInstrumenter({ registry }));
    const pool = await openPoolOn(rt, { name: 'cleared' });
    await pool.run('add', [1, 2]);
    const names = registry.getMetricsAsArray().length;
    registry.clear();
    rt.instrument(prometheusInstrumenter({ registry }));
    expect(registry.getMetricsAsArray().length).toBe(names);
    expect(await valueIn(registry, 'taskpool_task_completed_total{taskpool_name="cleared"}')).toBe(1);
    registry.removeSingleMetric('taskpool_pressure');
    prometheusInstrumenter({ registry });
    expect(registry.getMetricsAsArray().length).toBe(names);
  });

  it('leaves a registry alone that has a metric of another with one of its names', () => {
    const registry = new Registry();
    new Gauge({ name: 'taskpool_pressure', help: 'mine', registers: [registry] });
    for (let i = 0; i < 2; i++) {
      expect(thrownBy(() => prometheusInstrumenter({ registry }))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        resource: 'taskpool_pressure',
      });
      expect(registry.getMetricsAsArray().length).toBe(1);
    }
    registry.removeSingleMetric('taskpool_pressure');
    const instrumenter = prometheusInstrumenter({ registry });
    registry.clear();
    const mine = new Counter({
      name: 'taskpool_deadlock_detected_total',
      help: 'mine',
      registers: [registry],
    });
    expect(thrownBy(() => prometheusInstrumenter({ registry }))).toMatchObject({
      resource: 'taskpool_deadlock_detected_total',
    });
    instrumenter.dispose();
    expect(registry.getMetricsAsArray()).toEqual([mine]);
  });

  it.each([
    ['a registry that is none', () => prometheusInstrumenter({ registry: {} as Registry })],
    ['an unknown option', () => prometheusInstrumenter({ prefix: 'x' } as never)],
    [
      'a pool that is none',
      () => prometheusInstrumenter({ registry: new Registry() }).instrumentPool({} as never),
    ],
    [
      'a mutex that is none',
      () => prometheusInstrumenter({ registry: new Registry() }).instrumentMutex({} as never),
    ],
    [
      'an atomic that is none',
      () => prometheusInstrumenter({ registry: new Registry() }).instrumentAtomic({} as never),
    ],
  ])('refuses %s', (_, call) => {
    expect(thrownBy(call)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  const promtool = spawnSync('promtool', ['--version']).status === 0;
  it.skipIf(!promtool)(
    'passes promtool check metrics (skipped without promtool of Debian package prometheus)',
    async () => {
      const registry = new Registry();
      const rt = await openRuntime();
      const instrumenter = prometheusInstrumenter({ registry });
      rt.instrument(instrumenter);
      const pool = await openPoolOn(rt, { name: 'checked "quoted" \\ name\nof two lines' });
      await pool.run('add', [1, 2]);
      await rejectionOf(pool.run('fail', ['no']));
      instrumenter.instrumentAtomic(rt.atomicInt32('hits')).add(1);
      await rt.mutex('m').runExclusive(() => undefined);
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
        input: await registry.metrics(),
        encoding: 'utf8',
      });
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
    },
  );
});
