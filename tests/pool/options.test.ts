import { SHARE_ENV, Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { openPool, openRuntime, rejectionOf, TASKS } from './harness.ts';

describe('options of createPool', () => {
  it.each([
    [{ threads: 4 }, TypeError, /threads/],
    [{ minThreads: -1 }, RangeError, /minThreads/],
    [{ minThreads: 65 }, RangeError, /minThreads/],
    [{ minThreads: 1.5 }, RangeError, /minThreads/],
    [{ minThreads: '1' }, TypeError, /minThreads/],
    [{ maxThreads: 0 }, RangeError, /maxThreads/],
    [{ maxThreads: 65 }, RangeError, /maxThreads/],
    [{ minThreads: 3, maxThreads: 2 }, RangeError, /minThreads/],
    [{ maxQueue: -1 }, RangeError, /maxQueue/],
    [{ maxQueue: Number.NaN }, RangeError, /maxQueue/],
    [{ highWaterMark: 0 }, RangeError, /highWaterMark/],
    [{ concurrentTasksPerWorker: 0 }, RangeError, /concurrentTasksPerWorker/],
    [{ idleTimeout: -1 }, RangeError, /idleTimeout/],
    [{ idleTimeout: null }, TypeError, /idleTimeout/],
    [{ qos: 'Gold' }, RangeError, /qos/],
    [{ qos: 1 }, TypeError, /qos/],
    [{ retry: 3 }, TypeError, /retry/],
    [{ retry: { attempts: 0 } }, RangeError, /attempts/],
    [{ retry: { attempts: 2, tries: 2 } }, TypeError, /tries/],
    [{ retry: { attempts: 2, jitterPercent: 101 } }, RangeError, /jitterPercent/],
    [{ abortGraceMs: -5 }, RangeError, /abortGraceMs/],
    [{ errorTypes: Error }, TypeError, /errorTypes/],
    [{ trace: 5 }, TypeError, /trace/],
    [{ submitStacks: 'often' }, RangeError, /submitStacks/],
    [{ resourceLimits: 5 }, TypeError, /resourceLimits/],
    [{ resourceLimits: { heapMb: 5 } }, TypeError, /heapMb/],
    [{ resourceLimits: [5] }, TypeError, /resourceLimits/],
    [{ resourceLimits: { stackSizeMb: '4' } }, TypeError, /stackSizeMb/],
    [{ resourceLimits: { maxOldGenerationSizeMb: -1 } }, RangeError, /maxOldGenerationSizeMb/],
    [{ resourceLimits: { maxYoungGenerationSizeMb: 0 } }, RangeError, /maxYoungGenerationSizeMb/],
    [{ resourceLimits: { codeRangeSizeMb: Number.NaN } }, RangeError, /codeRangeSizeMb/],
    [{ execArgv: '--flag' }, TypeError, /execArgv/],
    [{ execArgv: [5] }, TypeError, /execArgv/],
    [{ execArgv: ['--no-such-flag'] }, TypeError, /--no-such-flag/],
    [{ argv: [Symbol('a')] }, TypeError, /argv/],
    [{ env: 5 }, TypeError, /env/],
    [{ env: ['A=1'] }, TypeError, /env/],
    [{ env: { A: 1 } }, TypeError, /env.*'A'/],
    [{ env: Symbol('another') }, TypeError, /env/],
    [{ stdout: 'yes' }, TypeError, /stdout/],
    [{ worker: {} }, TypeError, /worker/],
    [{ name: 5 }, TypeError, /name/],
    [{ retry: {} }, TypeError, /attempts/],
    [{ errorTypes: ['ShopError'] }, TypeError, /errorTypes/],
    [{ trace: { capacity: 1 } }, RangeError, /capacity/],
    [{ workerData: () => 1 }, TypeError, /workerData/],
    [{ tasks: 5 }, TypeError, /URL/],
  ])('refuse %j', async (options, type, message) => {
    const rt = await openRuntime();
    const error = await rejectionOf(rt.createPool({ tasks: TASKS, ...options } as never));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(message);
  });

  it.each([[undefined], [null], [5], [TASKS]])('must be an object with tasks, not %s', async (options) => {
    const rt = await openRuntime();
    expect(await rejectionOf(rt.createPool(options as never))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });

  it('may be undefined, each of them', async () => {
    const { pool } = await openPool({ name: undefined, maxQueue: undefined, retry: undefined } as never);
    expect(await pool.run('echo', [1])).toBe(1);
    expect(pool.name).toBe('pool');
  });

  it('name workerData when it cannot be cloned, with heddle’s own worker and with another', async () => {
    const rt = await openRuntime();
    const entry = new URL('../../build/worker.node.js', import.meta.url);
    for (const worker of [undefined, () => new Worker(entry)]) {
      const options = { tasks: TASKS, maxThreads: 1, workerData: { log: () => 1 } };
      const error = await rejectionOf(rt.createPool({ ...options, ...(worker && { worker }) }));
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', resource: 'workerData' });
      expect(error.message).toMatch(/^createPool\(\): option 'workerData' cannot be cloned: .*=> 1/);
      expect(error.cause).toMatchObject({ name: 'DataCloneError' });
    }
    expect(rt.usedBytes).toBe(0);
  });

  it('keep what Node says of them as cause', async () => {
    const rt = await openRuntime();
    const error = await rejectionOf(rt.createPool({ tasks: TASKS, execArgv: ['--no-such-flag'] }));
    expect(error.cause).toMatchObject({ code: 'ERR_WORKER_INVALID_EXEC_ARGV' });
    expect(rt.usedBytes).toBe(0);
  });

  it('pass an environment, or share that of the process', async () => {
    process.env.HEDDLE_OPTIONS_TEST = 'shared';
    try {
      for (const [env, seen] of [
        [SHARE_ENV, 'shared'],
        [{ HEDDLE_OPTIONS_TEST: 'own', OTHER: undefined }, 'own'],
        [{}, undefined],
      ] as const) {
        const { pool } = await openPool({ env });
        expect((await pool.run('myEnvironment', ['HEDDLE_OPTIONS_TEST']))[0]).toBe(seen);
      }
    } finally {
      delete process.env.HEDDLE_OPTIONS_TEST;
    }
  });

  it('refuse a factory that makes no worker', async () => {
    const rt = await openRuntime();
    for (const worker of [
      () => undefined,
      () => ({}),
      () => {
        throw new Error('no worker today');
      },
    ]) {
      const error = await rejectionOf(rt.createPool({ tasks: TASKS, worker }));
      expect(error.message).toMatch(/factory|no worker today/);
    }
  });
});

describe('a worker file that is missing', () => {
  it('is named in the message', async () => {
    const rt = await openRuntime();
    const worker = (): Worker => new Worker(new URL('./missing-worker.mjs', import.meta.url));
    const error = await rejectionOf(rt.createPool({ tasks: TASKS, worker }));
    expect(error).toMatchObject({ code: 'ERR_WORKER_EXITED', name: 'WorkerExitedError' });
    expect(error.message).toMatch(/exited while it started .*missing-worker\.mjs/);
  });
});

describe('options of run', () => {
  it.each([
    [{ timeout: 5 }, TypeError, /timeout/],
    [{ timeoutMs: -1 }, RangeError, /timeoutMs/],
    [{ timeoutMs: Number.NaN }, RangeError, /timeoutMs/],
    [{ timeoutMs: '5' }, TypeError, /timeoutMs/],
    [{ signal: {} }, TypeError, /signal/],
    [{ signal: null }, TypeError, /signal/],
    [{ qos: 'Gold' }, RangeError, /qos/],
    [{ numaNode: -1 }, RangeError, /numaNode/],
    [{ transferList: new ArrayBuffer(1) }, TypeError, /transferList/],
    [{ idempotent: 1 }, TypeError, /idempotent/],
    [{ abortGraceMs: -1 }, RangeError, /abortGraceMs/],
    [null, TypeError, /options/],
  ])('refuse %j', async (options, type, message) => {
    const { rt, pool } = await openPool();
    const error = await rejectionOf(pool.run('count', ['ran'], options as never));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(error).toBeInstanceOf(type);
    expect(error.message).toMatch(message);
    await pool.run('echo', [1]);
    expect(rt.atomicInt32('ran').load()).toBe(0);
  });

  it('may be undefined, each of them, and timeoutMs may be Infinity', async () => {
    const { pool } = await openPool();
    const options = { signal: undefined, timeoutMs: undefined, qos: undefined, transferList: undefined };
    expect(await pool.run('echo', [1], options as never)).toBe(1);
    expect(await pool.run('echo', [2], { timeoutMs: Number.POSITIVE_INFINITY })).toBe(2);
    expect(await pool.run('echo', [3], { timeoutMs: 2 ** 40 })).toBe(3);
    expect(await pool.run('echo', [4], {})).toBe(4);
  });

  it('name the tasks that there are when the name is wrong', async () => {
    const { pool } = await openPool();
    for (const name of ['nope', 'aConstant', '__proto__', 'constructor', 'toString', '']) {
      const error = await rejectionOf(pool.run(name));
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', resource: name });
      expect(error.message).toContain('echo');
    }
    expect(pool.tasks).toContain('default');
    expect(pool.tasks).not.toContain('aConstant');
  });
});
