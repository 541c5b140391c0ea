// Rules that were broken once.

import { getEventListeners } from 'node:events';
import { MemoryFullError, move } from 'heddle';
import { describe, expect, it } from 'vitest';
import {
  fixture,
  gateOf,
  isPending,
  openPool,
  openPoolOn,
  openRuntime,
  outcome,
  rejectionOf,
  runProgram,
  thrownBy,
  turn,
  until,
} from './harness.ts';

describe('two pools on one runtime', () => {
  it('runs a queued task in its own pool when a worker of the other pool dies', async () => {
    const rt = await openRuntime();
    const a = await openPoolOn(rt, { name: 'A' });
    const b = await openPoolOn(rt, { name: 'B' });
    const gate = gateOf(rt);
    const blocking = b.run('hold', [gate.name]);
    await gate.reached(1);
    const died = new Promise((resolve) => a.once('workerExit', resolve));
    // The slot of this task is free again when its worker dies, and belongs to the next task of B.
    await a.run('exitSoon', [7]);
    const queued = Array.from({ length: 20 }, () => b.run('myPool'));
    await died;
    await a.ready();
    expect(await a.run('myPool')).toBe('A');
    gate.open();
    await blocking;
    expect(await Promise.all(queued)).toEqual(Array(20).fill('B'));
  });

  it('keeps pools apart after one was shut down and destroyed at once', async () => {
    const rt = await openRuntime();
    const first = await openPoolOn(rt, { name: 'first' });
    const gate = gateOf(rt);
    const held = outcome(first.run('hold', [gate.name]));
    await gate.reached(1);
    const shut = first.shutdown();
    await first.destroy();
    const second = await openPoolOn(rt, { name: 'second' });
    await shut;
    const third = await openPoolOn(rt, { name: 'third' });
    const names = await Promise.all([second.run('myPool'), third.run('myPool'), second.run('myPool')]);
    expect(names).toEqual(['second', 'third', 'second']);
    expect(await held).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
  });
});

describe('scaling', () => {
  it('starts a worker for a task when minThreads is 0 and all have ended', async () => {
    const { pool } = await openPool({ minThreads: 0, maxThreads: 2, idleTimeout: 20 });
    await until(() => pool.metrics().threads === 0);
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('starts workers for a few long tasks, far below the most it may start', async () => {
    const { rt, pool } = await openPool({ minThreads: 1, maxThreads: 4 });
    const gate = gateOf(rt);
    const tasks = [1, 2, 3].map((n) => pool.run('hold', [gate.name, n]));
    await gate.reached(3);
    gate.open();
    expect(await Promise.all(tasks)).toEqual([1, 2, 3]);
  });

  it('settles scale() and ready() when no more workers can be started', async () => {
    const { pool } = await openPool({ minThreads: 1, maxThreads: 64 }, { memoryBytes: 4 * 2 ** 20 });
    pool.on('error', () => undefined);
    await pool.run('echo', [0]);
    const scaled = rejectionOf(pool.scale(64));
    const ready = rejectionOf(pool.ready());
    expect(await scaled).toMatchObject({ code: 'ERR_MEMORY_FULL' });
    expect(await ready).toMatchObject({ code: 'ERR_MEMORY_FULL' });
    expect(await rejectionOf(pool.ready())).toMatchObject({ code: 'ERR_MEMORY_FULL' });
    expect(await pool.run('echo', [1])).toBe(1);
    pool.setConfig({ minThreads: 1 });
    await pool.ready();
  });

  it('settles ready() when the module cannot be loaded any more, and starts workers when it can again', async () => {
    const fails = new Int32Array(new SharedArrayBuffer(4));
    const { pool } = await openPool({ tasks: fixture('loads-at-times.mjs'), workerData: fails });
    const errors: unknown[] = [];
    pool.on('error', (error) => errors.push(error));
    fails[0] = 1;
    await rejectionOf(pool.run('exit'));
    // After three it gives up.
    await until(() => errors.length >= 3);
    expect(await rejectionOf(pool.ready())).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    fails[0] = 0;
    await pool.ready();
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('gives each call an error of its own when no worker can be started', async () => {
    const fails = new Int32Array(new SharedArrayBuffer(4));
    const { pool } = await openPool({
      tasks: fixture('loads-at-times.mjs'),
      workerData: fails,
      submitStacks: 'always',
    });
    pool.on('error', () => undefined);
    fails[0] = 1;
    const died = rejectionOf(pool.run('exit'));
    const errors = await Promise.all(
      Array.from({ length: 100 }, (_, i) => rejectionOf(pool.run('echo', [i], i % 2 ? {} : undefined))),
    );
    await died;
    expect(new Set(errors).size).toBe(100);
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', resource: 'echo' });
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/'echo': no worker can be started: .*not now/);
      expect(error.cause.message).toMatch(/not now/);
      expect(error.stack.split('--- submitted ---')).toHaveLength(2);
    }
  });

  it('gives back the memory of a worker whose thread could not be made', async () => {
    const rt = await openRuntime();
    const options = { tasks: fixture('tasks.mjs'), worker: () => 'no worker' };
    await rejectionOf(rt.createPool(options));
    const before = rt.usedBytes;
    for (let i = 0; i < 300; i++) {
      expect(await rejectionOf(rt.createPool(options))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(rt.usedBytes).toBe(before);
  });

  it('does not take a worker that ends in its first task for one that cannot start', async () => {
    const { pool } = await openPool();
    const errors: unknown[] = [];
    pool.on('error', (error) => errors.push(error));
    const deaths = await Promise.all(Array.from({ length: 12 }, () => outcome(pool.run('exit', [3]))));
    expect(deaths.every((death) => !death.ok && death.error.exitCode === 3)).toBe(true);
    expect(await pool.run('echo', ['alive'])).toBe('alive');
    expect(errors).toEqual([]);
  });
});

describe('range', () => {
  it('covers a range over an array of the user’s own SharedArrayBuffer grain by grain, in one worker', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const seen = new Int32Array(new SharedArrayBuffer(4 * 1000));
    const pieces = new Int32Array(new SharedArrayBuffer(8));
    await pool.range('cover', { from: 0, to: 1000, grain: 10 }, [seen, pieces]);
    expect(seen.every((n) => n === 1)).toBe(true);
    expect([...pieces]).toEqual([100, 10]);
    expect(pool.metrics().forksStolen).toBe(0);
  });

  it('names the argument that cannot be cloned by its place in the call', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.range('cover', { from: 0, to: 10 }, [{ list: [() => 1] }]));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', name: 'DataCloneError' });
    expect(error.path).toBe('args[0].list[0]');
  });

  it('rejects only when the pieces that had begun have ended', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    for (let round = 0; round < 20; round++) {
      const seen = rt.alloc(Int32Array, 4000);
      await rejectionOf(pool.range('failAt', { from: 0, to: 4000, grain: 50 }, [0, seen]));
      const then = seen.slice();
      await pool.run('echo', [1]);
      await pool.run('echo', [1]);
      expect(seen).toEqual(then);
      rt.free(seen);
    }
  });
});

describe('forks of a task that fails', () => {
  it.each(['forkAndThrow', 'forkAndReject'])('%s leaves neither slots nor running forks', async (task) => {
    const { rt, pool } = await openPool();
    for (let i = 0; i < 50; i++) await rejectionOf(pool.run(task, ['ran', 50]));
    const before = rt.usedBytes;
    for (let i = 0; i < 300; i++) await rejectionOf(pool.run(task, ['ran', 50]));
    expect(rt.usedBytes).toBe(before);
    expect(pool.metrics().queueDepth).toBe(0);
  });
});

describe('closing', () => {
  it('settles a call that waits for its next attempt when the pool is destroyed', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 3, backoffMs: 10_000 } });
    const call = outcome(pool.run('failTimes', ['calls', 99], { idempotent: true }));
    await until(() => rt.atomicInt32('calls').load() === 1);
    await until(() => pool.metrics().workers[0]!.failed === 1);
    await turn();
    await pool.destroy();
    expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
  });

  it('settles a call that waits for its next attempt when its signal fires', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 3, backoffMs: 10_000 } });
    const abort = new AbortController();
    const call = outcome(pool.run('failTimes', ['calls', 99], { idempotent: true, signal: abort.signal }));
    await until(() => pool.metrics().workers[0]!.failed === 1);
    await turn();
    abort.abort('enough');
    expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_TASK_ABORTED', cause: 'enough' } });
    expect(rt.atomicInt32('calls').load()).toBe(1);
    await pool.shutdown();
  });

  it('lets the process exit while a task that timed out still runs', async () => {
    const result = await runProgram('runaway.mjs');
    expect(result).toMatchObject({ code: 0, signal: null });
    expect(result.stdout).toContain('ERR_TASK_TIMEOUT');
  });
});

describe('memory', () => {
  it('frees arrays only as a whole', async () => {
    const rt = await openRuntime();
    const array = rt.alloc(Uint8Array, 300_000).fill(1);
    const used = rt.usedBytes;
    for (const inner of [array.subarray(65_536), array.subarray(65_536, 65_540), array.subarray(131_072)]) {
      expect(thrownBy(() => rt.free(inner))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(rt.usedBytes).toBe(used);
    rt.free(array);
  });

  it('takes the arguments as they are when run() is called, though they wait for memory', async () => {
    const { rt, pool } = await openPool({}, { memoryBytes: 8 * 2 ** 20 });
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const bytes = new Uint8Array(2 ** 20);
    const calls: Promise<unknown>[] = [];
    for (let i = 1; i <= 12; i++) {
      bytes.fill(i);
      calls.push(pool.run('firstAndLength', [bytes]));
    }
    bytes.fill(99);
    gate.open();
    await blocking;
    expect((await Promise.all(calls)).map((result) => (result as number[])[0])).toEqual(
      Array.from({ length: 12 }, (_, i) => i + 1),
    );
  });

  it('takes no place in the queue for calls that were cancelled there', async () => {
    const { rt, pool } = await openPool({ maxQueue: 5 });
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const abort = new AbortController();
    const queued = Array.from({ length: 5 }, () => outcome(pool.run('echo', [1], { signal: abort.signal })));
    expect(await rejectionOf(pool.run('echo', [1]))).toMatchObject({ code: 'ERR_QUEUE_FULL' });
    abort.abort();
    await Promise.all(queued);
    expect(pool.metrics().outstanding).toBe(1);
    const late = pool.run('echo', ['late']);
    gate.open();
    expect(await late).toBe('late');
    await blocking;
  });
});

describe('cancelling', () => {
  it('ends the worker of an async task that outlives its grace', async () => {
    const { rt, pool } = await openPool();
    const gone = new Promise((resolve) => pool.once('workerExit', resolve));
    const abort = new AbortController();
    const call = outcome(pool.run('neverNoted', ['in'], { signal: abort.signal, abortGraceMs: 20 }));
    await until(() => rt.atomicInt32('in').load() === 1);
    abort.abort();
    expect(await call).toMatchObject({ ok: false, error: { name: 'AbortError' } });
    expect(await gone).toMatchObject({ expected: true });
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('follows the first async call of a task that had returned plain values before', async () => {
    const { pool } = await openPool();
    expect(await pool.run('sometimesAsync', [false])).toBe('sometimesAsync');
    expect(await pool.run('sometimesAsync', [true])).toBe('sometimesAsync');
  });
});

describe('map', () => {
  it('ends by break and by its signal while its source keeps it waiting', async () => {
    const { pool } = await openPool();
    async function* stuck(): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => undefined);
    }
    const broken = pool.map('echo', stuck());
    expect(await broken.next()).toEqual({ value: 1, done: false });
    await broken.return?.();
    const abort = new AbortController();
    const aborted = pool.map('echo', stuck(), { signal: abort.signal });
    await aborted.next();
    const next = outcome(aborted.next());
    expect(await isPending(next)).toBe(true);
    abort.abort('enough');
    expect(await next).toMatchObject({ ok: false, error: { name: 'AbortError', cause: 'enough' } });
  });

  it('starts nothing that its source gives after the end', async () => {
    const { rt, pool } = await openPool();
    let give: ((result: IteratorResult<string>) => void) | undefined;
    let asked = 0;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          asked++ === 0
            ? Promise.resolve({ value: 'count', done: false })
            : new Promise<IteratorResult<string>>((resolve) => (give = resolve)),
      }),
    };
    const results = pool.map('count', source as AsyncIterable<string>);
    expect((await results.next()).value).toBe(1);
    void results.return?.();
    await turn();
    give!({ value: 'count', done: false });
    await turn();
    await pool.run('echo', [1]);
    expect(rt.atomicInt32('count').load()).toBe(1);
  });
});

describe('retry', () => {
  it('keeps the error of a task whose arguments were moved, as it cannot run again', async () => {
    const { pool } = await openPool({ retry: { attempts: 3 } });
    const { buffer } = new Uint8Array(100);
    const error = await rejectionOf(pool.run('fail', [buffer], { idempotent: true, transferList: [buffer] }));
    expect(error.message).toBe('[object ArrayBuffer]');
  });

  it('keeps it also where the call waited for memory', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 3 } }, { memoryBytes: 8 * 2 ** 20 });
    const gate = gateOf(rt);
    const calls = [1, 2].map((n) => pool.run('hold', [gate.name, n]));
    expect(() => {
      for (;;) rt.alloc(Uint8Array, 2 ** 16);
    }).toThrow(MemoryFullError);
    for (let i = 0; i < 20_000; i++) calls.push(pool.run('echo', [i]));
    const { buffer } = new Uint8Array(100);
    const call = rejectionOf(pool.run('failTimes', ['moved', 1, move(buffer)], { idempotent: true }));
    // It was not handed over, so it waits.
    expect(buffer.byteLength).toBe(100);
    gate.open();
    await Promise.all(calls);
    expect((await call).message).toBe('failure 1');
  });
});

describe('a worker that is stopped in its start', () => {
  it('ends what it runs, when it has begun to run tasks and its pool has not heard of it', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const held = [1, 2].map((n) => outcome(pool.run('hold', [gate.name, n])));
    await gate.reached(1);
    void pool.scale(2);
    // This thread gets no message before both tasks run.
    const tired = performance.now() + 20_000;
    while (gate.waiting < 2 && performance.now() < tired);
    expect(gate.waiting).toBe(2);
    const scaled = pool.scale(1);
    gate.open();
    expect(await Promise.all(held)).toEqual([
      { ok: true, value: 1 },
      { ok: true, value: 2 },
    ]);
    await scaled;
    await until(() => pool.metrics().threads === 1);
  });

  it('does not begin when it was stopped first', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const held = pool.run('hold', [gate.name, 1]);
    await gate.reached(1);
    const exits: number[] = [];
    pool.on('workerExit', ({ id, expected }) => exits.push(expected ? id : -1));
    void pool.scale(2);
    await pool.scale(1);
    await until(() => exits.length === 1);
    expect(exits).toEqual([1]);
    gate.open();
    expect(await held).toBe(1);
  });
});

describe('a pool without workers', () => {
  it('does not take a worker that ran a task for one that could not start, when the task runs again', async () => {
    const { rt, pool } = await openPool({
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: 0,
      retry: { attempts: 2 },
    });
    const errors: unknown[] = [];
    const exits: number[] = [];
    pool.on('error', (error) => errors.push(error));
    pool.on('workerExit', ({ exitCode }) => exits.push(exitCode));
    for (let i = 0; i < 8; i++) {
      await until(() => pool.metrics().threads === 0);
      const name = `once${i}`;
      const call = pool.run('exitTimes', [name, 1], { idempotent: true });
      // This thread hears of the worker's start when it has ended.
      const tired = performance.now() + 20_000;
      while (rt.atomicInt32(name).load() === 0 && performance.now() < tired);
      for (const end = performance.now() + 30; performance.now() < end; );
      expect(await call).toBe(2);
    }
    expect(errors).toEqual([]);
    expect(exits.filter((code) => code === 9)).toHaveLength(8);
  });

  it('starts one for a call that runs again', async () => {
    const { pool } = await openPool({
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: 0,
      retry: { attempts: 2, backoffMs: 150 },
    });
    const calls = Array.from({ length: 3 }, (_, i) =>
      pool.run('failTimes', [`again${i}`, 1], { idempotent: true }),
    );
    expect(await Promise.all(calls)).toEqual([2, 2, 2]);
  });

  it('rejects calls when none can be started, and starts one when it can', async () => {
    const { rt, pool } = await openPool(
      // Each worker needs memory for its trace.
      { minThreads: 0, maxThreads: 2, idleTimeout: 0, trace: { capacity: 10_000 } },
      { memoryBytes: 4 * 2 ** 20 },
    );
    let errors = 0;
    pool.on('error', () => errors++);
    await pool.run('echo', [0]);
    await until(() => pool.metrics().threads === 0);
    const arrays: Uint8Array[] = [];
    const fill = (): void => {
      for (;;) arrays.push(rt.alloc(Uint8Array, 1000));
    };
    expect(thrownBy(fill)).toMatchObject({ code: 'ERR_MEMORY_FULL' });
    expect(await rejectionOf(pool.run('echo', [1]))).toMatchObject({ code: 'ERR_MEMORY_FULL' });
    expect(errors).toBeLessThan(10);
    for (const array of arrays) rt.free(array);
    expect(await pool.run('echo', [2])).toBe(2);
  });
});

describe('an AbortSignal that outlives pools', () => {
  it('keeps no listener of theirs', async () => {
    const rt = await openRuntime();
    const long = new AbortController();
    const others = Array.from({ length: 30 }, () => new AbortController());
    for (let round = 0; round < 3; round++) {
      const pool = await openPoolOn(rt);
      await Promise.all([long, ...others].map(({ signal }) => pool.run('echo', [1], { signal })));
      // One that is used again and again keeps its listener as long as the pool lives.
      expect(getEventListeners(long.signal, 'abort').length).toBeLessThanOrEqual(1);
      expect(others.flatMap(({ signal }) => getEventListeners(signal, 'abort')).length).toBeLessThanOrEqual(
        8,
      );
      await pool.shutdown();
      for (const { signal } of [long, ...others]) expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    }
  });

  it('still cancels calls that share it, also after it rested', async () => {
    const { pool } = await openPool();
    const stop = new AbortController();
    await pool.run('echo', [1], { signal: stop.signal });
    const calls = Array.from({ length: 5 }, () => outcome(pool.run('never', [], { signal: stop.signal })));
    stop.abort();
    for (const result of await Promise.all(calls))
      expect(result).toMatchObject({ ok: false, error: { name: 'AbortError' } });
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
  });
});

describe('calls that wait for memory', () => {
  it('count as submitted, whether they run or not', async () => {
    const { rt, pool } = await openPool({}, { memoryBytes: 8 * 2 ** 20 });
    const gate = gateOf(rt);
    const held = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const calls = Array.from({ length: 20 }, (_, i) =>
      outcome(pool.run('echo', [new Uint8Array(2 ** 20)], i % 2 === 0 ? { timeoutMs: 5 } : {})),
    );
    await until(() => pool.metrics().failed === 10);
    expect(pool.metrics()).toMatchObject({ submitted: 21, completed: 0, failed: 10, outstanding: 11 });
    gate.open();
    await Promise.all([held, ...calls]);
    expect(pool.metrics()).toMatchObject({ submitted: 21, completed: 11, failed: 10, outstanding: 0 });
  });

  it('count once when they are retried', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 3 } }, { memoryBytes: 8 * 2 ** 20 });
    const calls = Array.from({ length: 12 }, (_, i) =>
      outcome(pool.run('failTimes', [`waits${i}`, 1, new Uint8Array(2 ** 20)], { idempotent: true })),
    );
    expect(await Promise.all(calls)).toEqual(Array(12).fill({ ok: true, value: 2 }));
    expect(pool.metrics()).toMatchObject({ submitted: 12, completed: 12, failed: 0 });
    expect(rt.usedBytes).toBeGreaterThan(0);
  });
});
