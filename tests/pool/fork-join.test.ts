import { describe, expect, it } from 'vitest';
import { gateOf, openPool, outcome, rejectionOf, until } from './harness.ts';

/** As the class of the same name in the task module; it is another one. */
class ShopError extends Error {}

describe('fork and join', () => {
  it.each([1, 2, 4])('compute with %i workers', async (threads) => {
    const { pool } = await openPool({ minThreads: threads, maxThreads: threads });
    expect(await pool.run('fib', [20])).toBe(6765);
    expect(await Promise.all(Array.from({ length: 20 }, () => pool.run('fib', [14])))).toEqual(
      Array(20).fill(377),
    );
    expect(pool.metrics().queueDepth).toBe(0);
  });

  it.each([1, 2])('hold 10,000 nested forks outstanding, with %i workers', async (threads) => {
    const { pool } = await openPool({ minThreads: threads, maxThreads: threads });
    expect(await pool.run('chain', [10_000])).toBe(10_000);
  });

  it.each([
    [1, false],
    [1, true],
    [2, false],
    [2, true],
  ])('hold 20,000 forks side by side; %i workers, joined in reverse: %s', async (threads, reverse) => {
    const { pool } = await openPool({ minThreads: threads, maxThreads: threads });
    expect(await pool.run('wide', [20_000, reverse])).toBe((19_999 * 20_000) / 2);
  });

  it('carry values of all kinds and sizes to thieves', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const results = await Promise.all(Array.from({ length: 40 }, () => pool.run('forkValues', [200])));
    expect(results.every((ok) => ok === true)).toBe(true);
  });

  it('do not grow, whether forks are stolen or not', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const round = (): Promise<unknown> =>
      Promise.all([pool.run('forkValues', [200]), pool.run('fib', [12]), pool.run('forkValues', [200])]);
    for (let i = 0; i < 30; i++) await round();
    const before = rt.usedBytes;
    for (let i = 0; i < 150; i++) await round();
    expect(rt.usedBytes).toBeLessThanOrEqual(before + 4 * 2 ** 16);
  });

  it('join gives the result again when it is asked again', async () => {
    const { pool } = await openPool();
    expect(await pool.run('joinTwice')).toEqual([5, 5]);
  });

  it('leave the values of local forks as they are: no copy when nobody steals', async () => {
    const { pool } = await openPool();
    expect(await pool.run('forkSameObject')).toBe(true);
  });
});

describe('forks that nobody joins', () => {
  it.each([
    ['forkAndLeave', 1],
    ['forkAndLeave', 2],
    ['forkAndLeaveAsync', 1],
    ['forkAndLeaveAsync', 2],
  ])('%s with %i workers: they have run when the task ends', async (task, threads) => {
    const { rt, pool } = await openPool({ minThreads: threads, maxThreads: threads });
    for (let round = 1; round <= 20; round++) {
      expect(await pool.run(task, ['ran', 50])).toBe('left');
      expect(rt.atomicInt32('ran').load()).toBe(50 * round);
    }
  });
});

describe('await of forks', () => {
  it.each([
    [1, 'sync'],
    [2, 'sync'],
    [1, 'async'],
    [2, 'async'],
  ])('with %i workers, %s functions', async (threads, kind) => {
    const { pool } = await openPool({ minThreads: threads, maxThreads: threads });
    for (let i = 0; i < 10; i++) expect(await pool.run('awaitForks', [100, kind])).toBe(4950);
  });

  it.each([1, 2])('after an await, with %i workers and a limit of one async task', async (threads) => {
    const { pool } = await openPool({
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: 1,
    });
    const calls = Array.from({ length: 20 }, () => pool.run('awaitForksLater', [20]));
    expect(await Promise.all(calls)).toEqual(Array(20).fill(190));
  });

  it('throws what the fork threw', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    for (let i = 0; i < 20; i++) {
      expect(await pool.run('awaitFailing', ['range'])).toEqual(['RangeError', 'too far', 'E_FAR']);
    }
  });
});

describe('move in forks', () => {
  it.each(['joinMoved', 'awaitMoved'])('is the value itself in %s, whoever runs the fork', async (task) => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    expect(await pool.run(task)).toEqual([2, 4, 6]);
    expect(await pool.run(task, [undefined, 'three', 'four'])).toEqual([2, 4, 6]);
    expect(await pool.run(task, [`${task}-1`])).toEqual([2, 4, 6]);
    expect(await pool.run(task, [`${task}-2`, 'three', 'four'])).toEqual([2, 4, 6]);
    expect(pool.metrics().forksStolen).toBeGreaterThanOrEqual(2);
  });
});

describe('errors in forks', () => {
  it('of a class that the task module exports are of it when a thief threw them, there and at the caller', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2, errorTypes: [ShopError] });
    expect(await pool.run('catchStolen', ['a', 'class', false])).toEqual([true, 'ShopError', ['apple']]);
    expect(await rejectionOf(pool.run('catchStolen', ['b', 'class', true]))).toBeInstanceOf(ShopError);
  });

  it('of a class that only the caller knows are of it at the caller', async () => {
    class SecretError extends Error {}
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2, errorTypes: [SecretError] });
    const error = await rejectionOf(pool.run('catchStolen', ['a', 'secret class', true]));
    expect(error).toBeInstanceOf(SecretError);
    expect(error).toMatchObject({ message: 'not told', basket: ['pear'] });
  });

  it('come through join, with their class', async () => {
    const { pool } = await openPool();
    expect(await pool.run('forkFailing', ['range'])).toEqual([true, 'RangeError', 'too far', 'E_FAR']);
    const error = await rejectionOf(pool.run('forkFailingUncaught', ['range']));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ code: 'E_FAR' });
  });

  it('come through join from a thief', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    expect(await pool.run('withStolen', ['g', 'fail', 'range'])).toEqual([
      'error',
      'E_FAR',
      'RangeError',
      'too far',
    ]);
    expect(rt.atomicInt32('g:in').load()).toBe(1);
  });

  it('are ERR_WORKER_EXITED at the join when the thief dies; the task that joins goes on', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    for (let round = 0; round < 5; round++) {
      const result = (await pool.run('withStolen', [`g${round}`, 'exit', 3])) as unknown[];
      expect(result.slice(0, 3)).toEqual(['error', 'ERR_WORKER_EXITED', 'WorkerExitedError']);
      await pool.ready();
    }
    expect(await pool.run('fib', [12])).toBe(144);
  });

  it('a task that dies with its forks stolen takes only itself', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    for (let round = 0; round < 5; round++) {
      const gate = gateOf(rt);
      const dying = outcome(pool.run('dieWhenStolen', [gate.name]));
      expect(await dying).toMatchObject({
        ok: false,
        error: { code: 'ERR_WORKER_EXITED', resource: 'dieWhenStolen' },
      });
      gate.open();
      await pool.ready();
      expect(await pool.run('fib', [10])).toBe(55);
    }
    await until(() => pool.metrics().queueDepth === 0);
  });
});

describe('wrong use', () => {
  it('of fork: only functions that the module exports', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run('forkUnexported'));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(error.message).toContain("'secret'");
    for (const what of [undefined, 5, 'echo', { a: 1 }]) {
      expect(await rejectionOf(pool.run('forkNothing', [what]))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
      });
    }
  });

  it('of join: only what fork returned, and no async function', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    for (const what of [undefined, null, 5, { a: 1 }]) {
      expect(await rejectionOf(pool.run('joinNothing', [what]))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
      });
    }
    for (let i = 0; i < 20; i++) {
      const error = await rejectionOf(pool.run('joinAsync'));
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect(error.message).toContain('echoAsync');
    }
    expect(pool.metrics().queueDepth).toBe(0);
  });

  it('of join: a fork of a task that has ended', async () => {
    const { pool } = await openPool();
    await pool.run('leakFork');
    const result = await outcome(pool.run('joinLeaked'));
    // It was joined when its task ended: its result may be read, or the use refused; never a hang, never another's result.
    if (result.ok) expect(result.value).toBe('leaked');
    else expect(result.error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(await pool.run('fib', [10])).toBe(55);
  });
});

describe('in a task', () => {
  it('yieldNow() lets other tasks and timers run, and the task goes on as itself', async () => {
    const { rt, pool } = await openPool({ concurrentTasksPerWorker: 2 });
    const both = [pool.run('countWithYields', ['a', 50]), pool.run('countWithYields', ['b', 50])];
    expect(await Promise.all(both)).toEqual(['countWithYields', 'countWithYields']);
    expect(rt.atomicInt32('a').load()).toBe(50);
    expect(rt.atomicInt32('b').load()).toBe(50);
  });

  it('each async task has its own context', async () => {
    const { pool } = await openPool({ concurrentTasksPerWorker: 4 });
    const results = await Promise.all([
      pool.run('contextAfterYields', [5], { qos: 'Guaranteed' }),
      pool.run('contextAfterYields', [5], { qos: 'BestEffort' }),
      pool.run('contextAfterYields', [5]),
    ]);
    expect(results).toMatchObject([{ qos: 'Guaranteed' }, { qos: 'BestEffort' }, { qos: 'Burstable' }]);
  });

  it('runtime() counts in the same cell as every other thread', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    await Promise.all(Array.from({ length: 8 }, () => pool.run('incrementMany', ['n', 10_000])));
    expect(rt.atomicInt32('n').load()).toBe(80_000);
  });
});
