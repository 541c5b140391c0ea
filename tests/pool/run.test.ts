import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import {
  gateOf,
  openPool,
  openPoolOn,
  openRuntime,
  outcome,
  rejectionOf,
  thrownBy,
  until,
} from './harness.ts';

describe('run', () => {
  it('returns what sync and async tasks return', async () => {
    const { pool } = await openPool();
    expect(await pool.run('add', [2, 3])).toBe(5);
    expect(await pool.run('echoAsync', ['later'])).toBe('later');
    expect(await pool.run('default', [1])).toEqual(['default', 1]);
    expect(await pool.run('echo')).toBeUndefined();
  });

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['true', true],
    ['-0', -0],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a big integer', 2n ** 100n],
    ['an empty string', ''],
    ['a short text', 'héddle'],
    ['a text of exactly the inline size', 'x'.repeat(32)],
    ['a lone surrogate', 'a\ud800b'],
    ['a long text', '縦糸と横糸'.repeat(5000)],
    ['a date', new Date(1e12)],
    ['a map', new Map<unknown, unknown>([[{ key: 1 }, new Set([1, 'two'])]])],
    ['a regular expression', /heddle/giu],
    ['a sparse array', Object.assign(new Array(3), { 0: 1, 2: 3 })],
    ['typed arrays', { f: new Float64Array([1.5, 2]), b: new Uint8Array([1, 2, 3]).subarray(1) }],
    ['an error', new TypeError('as a value', { cause: 'x' })],
  ])('copies %s', async (_name, value) => {
    const { pool } = await openPool();
    for (const task of ['echo', 'echoAsync']) {
      const [result] = (await Promise.all([pool.run(task, [value])])) as [unknown];
      expect(result).toStrictEqual(value);
    }
    expect(await pool.run('echoAll', [value, 1, value, null, 'x'])).toStrictEqual([
      value,
      1,
      value,
      null,
      'x',
    ]);
  });

  it('copies: the caller’s object and the task’s are not the same', async () => {
    const { pool } = await openPool();
    const value = { list: [1] };
    const call = pool.run('echo', [value]);
    value.list.push(2);
    const result = (await call) as typeof value;
    expect(result).toEqual({ list: [1] });
    expect(result).not.toBe(value);
  });

  it('keeps cycles and shared references', async () => {
    const { pool } = await openPool();
    const value: { self?: unknown; twice: unknown[] } = { twice: [] };
    value.self = value;
    const shared = { x: 1 };
    value.twice.push(shared, shared);
    const result = (await pool.run('echo', [value])) as typeof value;
    expect(result.self).toBe(result);
    expect(result.twice[0]).toBe(result.twice[1]);
  });

  it('passes any number of arguments', async () => {
    const { pool } = await openPool();
    for (const count of [0, 1, 2, 3, 4, 5, 8, 200]) {
      const args = Array.from({ length: count }, (_, i) => i);
      expect(await pool.run('echoAll', args)).toEqual(args);
    }
  });

  it('gives every call its own result: never swapped, whatever the size', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    let random = 7;
    const next = (below: number): number => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return random % below;
    };
    const call = async (i: number): Promise<void> => {
      const size = [0, 1, 31, 33, 500, 9000, 70_000, 200_000][next(8)]! - (next(2) === 0 ? 0 : next(1));
      const kind = next(4);
      const text = `${i}:${'y'.repeat(Math.max(0, size))}`;
      const bytes = new Uint8Array(size).fill(i % 251);
      const value = kind === 0 ? i : kind === 1 ? text : kind === 2 ? { i, bytes } : [i, text.length, { i }];
      const task = next(3) === 0 ? 'echoAsync' : 'echo';
      const result = (await pool.run(task, [value])) as typeof value;
      if (kind === 2) {
        const got = result as { i: number; bytes: Uint8Array };
        if (got.i !== i || got.bytes.length !== size || Buffer.compare(got.bytes, bytes) !== 0) {
          throw new Error(`call ${i} got the bytes of ${got.i}`);
        }
      } else expect(result).toEqual(value);
    };
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 100 }, (_, i) => call(round * 100 + i)));
    }
  });

  it('takes 150,000 calls in flight, and settles them all', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const calls = Array.from({ length: 150_000 }, (_, i) => pool.run('echo', [i]));
    expect(pool.metrics().outstanding).toBe(150_001);
    expect(pool.metrics().queueDepth).toBe(150_000);
    gate.open();
    const results = await Promise.all(calls);
    expect(results.every((result, i) => result === i)).toBe(true);
    await blocking;
    expect(pool.metrics()).toMatchObject({ outstanding: 0, queueDepth: 0, completed: 150_001 });
  });

  it('never throws: what is wrong with the call rejects', async () => {
    const { pool } = await openPool();
    const call = pool.run as (...args: unknown[]) => Promise<unknown>;
    for (const args of [[], [7], ['nope'], ['echo', 'no array'], ['echo', [], 3], ['echo', [() => 1]]]) {
      expect(await rejectionOf(call.apply(pool, args))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    const cyclic: unknown[] = [() => 1];
    cyclic.push(cyclic);
    expect(await rejectionOf(pool.run('echo', [cyclic]))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(
      await rejectionOf(
        pool.run('echo', [
          {
            get bad() {
              throw new Error('getter');
            },
          },
        ]),
      ),
    ).toMatchObject({
      message: 'getter',
    });
    expect(await pool.run('echo', [1])).toBe(1);
    expect(pool.metrics().outstanding).toBe(0);
  });
});

describe('concurrency', () => {
  it('runs one sync task a worker at a time, and all workers at once', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const gate = gateOf(rt);
    const two = [pool.run('hold', [gate.name, 1]), pool.run('hold', [gate.name, 2])];
    const third = pool.run('hold', [gate.name, 3]);
    await gate.reached(2);
    expect(pool.metrics().queueDepth).toBe(1);
    gate.open();
    expect(await Promise.all([...two, third])).toEqual([1, 2, 3]);
  });

  it.each([1, 3])('has at most %i async tasks a worker under way', async (limit) => {
    const { rt, pool } = await openPool({ concurrentTasksPerWorker: limit });
    const gate = gateOf(rt);
    const calls = Array.from({ length: 8 }, (_, i) => pool.run('holdAsync', [gate.name, i]));
    await gate.reached(limit);
    gate.open();
    expect(await Promise.all(calls)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(rt.atomicInt32(`${gate.name}:most`).load()).toBe(limit);
  });

  it('lets sync tasks pass while an async one waits', async () => {
    const { rt, pool } = await openPool({ concurrentTasksPerWorker: 2 });
    const gate = gateOf(rt);
    const waiting = pool.run('holdAsync', [gate.name, 'held']);
    await gate.reached(1);
    for (let i = 0; i < 20; i++) expect(await pool.run('echo', [i])).toBe(i);
    gate.open();
    expect(await waiting).toBe('held');
  });

  it('tells tasks about themselves', async () => {
    const { pool } = await openPool({ name: 'weft', workerData: { seed: 5 }, qos: 'Guaranteed' });
    const thread = await pool.run('myThread');
    const facts = { pool: 'weft', worker: 0, threadId: thread, workerData: { seed: 5 } };
    expect(await pool.run('myContext')).toEqual({ ...facts, task: 'myContext', qos: 'Guaranteed' });
    expect(await pool.run('myContext', [], { qos: 'BestEffort' })).toMatchObject({ qos: 'BestEffort' });
    expect(await pool.run('myWorkerData')).toEqual({ seed: 5 });
  });

  it('gives the workers env, argv and execArgv', async () => {
    const { pool } = await openPool({
      env: { LOOM: 'warp' },
      argv: ['--colour', 'red'],
      execArgv: ['--no-warnings'],
    });
    expect(await pool.run('myEnvironment', ['LOOM'])).toEqual([
      'warp',
      ['--colour', 'red'],
      ['--no-warnings'],
    ]);
  });
});

describe('submit', () => {
  it('runs the task', async () => {
    const { rt, pool } = await openPool();
    expect(pool.submit({ name: 'count', args: ['ran'] })).toBeUndefined();
    await until(() => rt.atomicInt32('ran').load() === 1);
  });

  it('makes a failure an error event, with the task’s own error', async () => {
    const { pool } = await openPool();
    const errors: any[] = [];
    pool.on('error', (error) => errors.push(error));
    pool.submit({ name: 'fail', args: ['range'] });
    await until(() => errors.length === 1);
    expect(errors[0]).toBeInstanceOf(RangeError);
    expect(errors[0]).toMatchObject({ code: 'E_FAR' });
  });

  it('throws for what can never be queued', async () => {
    const { pool } = await openPool();
    const submit = pool.submit.bind(pool) as (...args: unknown[]) => void;
    expect(() => submit({ name: 'nope' })).toThrow(/no task 'nope'/);
    expect(() => submit('echo')).toThrow(TypeError);
    expect(thrownBy(() => submit({ name: Object.create(null) }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await rejectionOf(pool.run(Object.create(null)))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(() => submit({ name: 'echo' }, { speed: 1 })).toThrow(/speed/);
    await pool.shutdown();
    expect(() => submit({ name: 'echo' })).toThrow(/closed/);
  });
});

describe('one runtime for several pools', () => {
  it('keeps their calls apart', async () => {
    const rt = await openRuntime();
    const a = await openPoolOn(rt, { name: 'A' });
    const b = await openPoolOn(rt, { name: 'B', minThreads: 2, maxThreads: 2 });
    const calls = Array.from({ length: 2000 }, (_, i) => (i % 2 === 0 ? a : b).run('myPool'));
    const names = await Promise.all(calls);
    expect(names.every((name, i) => name === (i % 2 === 0 ? 'A' : 'B'))).toBe(true);
  });

  it('goes on in one when the other is destroyed', async () => {
    const rt = await openRuntime();
    const a = await openPoolOn(rt);
    const b = await openPoolOn(rt);
    const gate = gateOf(rt);
    const lost = outcome(a.run('hold', [gate.name]));
    await gate.reached(1);
    const calls = Array.from({ length: 500 }, (_, i) => b.run('echo', [{ i }]));
    await a.destroy();
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 500 }, (_, i) => ({ i })));
    expect(await lost).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
  });

  it('shares atomics and arrays between them', async () => {
    const rt = await openRuntime();
    const pools = [await openPoolOn(rt), await openPoolOn(rt)];
    await Promise.all(pools.map((pool) => pool.run('incrementMany', ['shared', 20_000])));
    expect(rt.atomicInt32('shared').load()).toBe(40_000);
    expect(await pools[0]!.run('flip', ['flag'])).toBe(false);
    expect(await pools[1]!.run('flip', ['flag'])).toBe(true);
    expect(rt.atomicBool('flag').load()).toBe(true);
  });
});

describe('metrics', () => {
  it('count what happened', async () => {
    const { pool } = await openPool();
    const before = performance.now();
    await Promise.all(Array.from({ length: 100 }, () => pool.run('echo', [1])));
    await Promise.all(Array.from({ length: 10 }, () => outcome(pool.run('fail', ['range']))));
    await pool.run('busy', [30]);
    await pool.run('echo', [1]);
    const metrics = pool.metrics();
    expect(metrics).toMatchObject({
      submitted: 112,
      completed: 102,
      failed: 10,
      outstanding: 0,
      contextCancels: 0,
      threads: 1,
      queueDepth: 0,
    });
    await until(() => pool.metrics().workers[0]!.completed === 102);
    expect(pool.metrics().workers[0]).toMatchObject({ id: 0, completed: 102, failed: 10 });
    const { runHistogram, waitHistogram } = pool.metrics();
    expect(runHistogram.count).toBe(112);
    expect(waitHistogram.count).toBe(112);
    expect(runHistogram.quantile(1)).toBeGreaterThanOrEqual(25);
    expect(runHistogram.quantile(1)).toBeLessThan((performance.now() - before) * 2);
    expect(metrics.workerUtilization).toBeGreaterThan(0);
    expect(metrics.workerUtilization).toBeLessThanOrEqual(1);
  });

  it('count the time of a task that runs on, once', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const held = pool.run('hold', [gate.name, 'held']);
    await gate.reached(1);
    const [began] = pool.metrics().workers;
    await until(() => pool.metrics().workers[0]!.busyMs >= began!.busyMs + 50);
    const [running] = pool.metrics().workers;
    expect(running!.utilization).toBeGreaterThan(0);
    expect(pool.metrics().runHistogram).toMatchObject({ count: 0, sumMs: 0 });
    gate.open();
    await held;
    await until(() => pool.metrics().runHistogram.count === 1);
    const ended = pool.metrics();
    expect(ended.workers[0]!.busyMs).toBeGreaterThanOrEqual(running!.busyMs);
    // What is booked is what was counted meanwhile.
    expect(ended.workers[0]!.busyMs).toBeCloseTo(ended.runHistogram.sumMs, 6);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(pool.metrics().workers[0]!.busyMs).toBe(ended.workers[0]!.busyMs);
  });

  it('show a long task among short ones', async () => {
    const { pool } = await openPool();
    const calls = Array.from({ length: 200 }, (_, i) => pool.run(i === 150 ? 'busy' : 'echo', [30]));
    await Promise.all(calls);
    await until(() => pool.metrics().runHistogram.count === 200);
    expect(pool.metrics().runHistogram.quantile(1)).toBeGreaterThanOrEqual(25);
  });

  it('stay when the worker that was counted has ended', async () => {
    const { pool } = await openPool();
    await Promise.all(Array.from({ length: 50 }, () => pool.run('echo', [1])));
    await rejectionOf(pool.run('exit', [0]));
    await pool.run('echo', [1]);
    expect(pool.metrics()).toMatchObject({ submitted: 52, completed: 51, failed: 1 });
  });

  it('show forks', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    await pool.run('fib', [15]);
    await until(() => pool.metrics().forks === 986);
    expect(pool.metrics().forksStolen).toBeLessThanOrEqual(986);
  });
});

describe('trace', () => {
  it('tells what the workers did, and is empty unless asked for', async () => {
    const { pool } = await openPool({ trace: true });
    await pool.run('busy', [5]);
    await pool.run('echo', [1]);
    await until(() => pool.trace().filter((event) => event.type === 'task').length === 2);
    const tasks = pool.trace().filter((event) => event.type === 'task');
    expect(tasks.map((event) => event.name)).toEqual(['busy', 'echo']);
    expect(tasks[0]!.endMs - tasks[0]!.startMs).toBeGreaterThanOrEqual(4.9);
    expect(tasks[1]!.startMs).toBeGreaterThanOrEqual(tasks[0]!.endMs);
    const { pool: silent } = await openPool();
    await silent.run('echo', [1]);
    expect(silent.trace()).toEqual([]);
  });
});
