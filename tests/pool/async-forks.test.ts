// Forks of async tasks: nobody blocks for them, each runs once, and none outlives what it belongs to.

import type { TaskPool } from 'heddle';
import { describe, expect, it } from 'vitest';
import { fixture, openPool, outcome, rejectionOf, thrownBy, until } from './harness.ts';

const tasks = fixture('async-forks.mjs');

/** All workers are free of async tasks. */
async function isFree(pool: TaskPool): Promise<void> {
  for (;;) {
    const workers = await pool.diagnostics();
    if (workers.every(({ asyncTasks }) => asyncTasks === 0)) return;
  }
}

describe('an async task that ends before its stolen forks', () => {
  it.each(['never', 'untilSignal', 'untilAborted'])('fails with its own error; %s is told', async (task) => {
    const { rt, pool } = await openPool({ tasks, minThreads: 2, maxThreads: 2, concurrentTasksPerWorker: 4 });
    const forks = task === 'untilAborted' ? 1 : 3;
    expect(await rejectionOf(pool.run('leavesStolen', ['a', forks, task, 'throw']))).toMatchObject({
      code: 'E_OWN',
    });
    if (task !== 'never') await until(() => rt.atomicInt32('a:told').load() === forks);
    await isFree(pool);
    await pool.shutdown();
  });

  it.each([
    ['never', 'await newest'],
    ['never', 'await oldest'],
    ['never', 'wait'],
    ['untilSignal', 'await newest'],
    ['untilSignal', 'wait'],
  ])('takes them along when it is cancelled: %s, %s', async (task, end) => {
    const { rt, pool } = await openPool({ tasks, minThreads: 2, maxThreads: 2, concurrentTasksPerWorker: 4 });
    const abort = new AbortController();
    const call = outcome(pool.run('leavesStolen', ['a', 2, task, end], { signal: abort.signal }));
    await until(() => rt.atomicInt32('a').load() === 2);
    abort.abort();
    expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_TASK_ABORTED' } });
    // Its slot is used again, by tasks that nobody cancels.
    await Promise.all(Array.from({ length: 50 }, () => pool.run('count', ['more'])));
    await isFree(pool);
    if (task === 'untilSignal') expect(rt.atomicInt32('a:told').load()).toBe(2);
    await pool.shutdown();
  });

  it('takes them along when its worker exits', async () => {
    const { rt, pool } = await openPool({ tasks, minThreads: 2, maxThreads: 2, concurrentTasksPerWorker: 4 });
    expect(await rejectionOf(pool.run('leavesStolen', ['a', 2, 'never', 'exit']))).toMatchObject({
      code: 'ERR_WORKER_EXITED',
    });
    expect(rt.atomicInt32('a').load()).toBe(2);
    await isFree(pool);
    await pool.shutdown();
  });
});

describe('async forks', () => {
  it('of a worker that stops are run by it when nobody else does', async () => {
    const { rt, pool } = await openPool({ tasks, minThreads: 2, maxThreads: 2 });
    const calls = [1, 2].map(() => pool.run('forksWhenStopped', ['x']));
    await until(() => rt.atomicInt32('x:in').load() === 2);
    await pool.scale(1);
    // The worker has heard of it when it answers.
    await pool.diagnostics();
    rt.atomicInt32('x:stopped').store(1);
    expect(await Promise.race(calls)).toBe(2);
    rt.atomicInt32('x:end').store(1);
    expect([...(await Promise.all(calls))].sort()).toEqual([0, 2]);
    await until(() => pool.metrics().threads === 1);
  });

  it('do not block each other when both workers run forks of both', async () => {
    const { pool } = await openPool({ tasks, minThreads: 2, maxThreads: 2, concurrentTasksPerWorker: 4 });
    for (let round = 0; round < 10; round++) {
      const calls = Array.from({ length: 12 }, (_, i) =>
        outcome(pool.run('crossed', [`x${i}`, 4], { timeoutMs: i })),
      );
      const whole = pool.run('crossed', ['whole', 4]);
      await Promise.all(calls);
      expect(await whole).toBe(16);
    }
    await isFree(pool);
    await pool.shutdown();
  });

  it.each([0, 1, 2, 3, 4, 5, 8, 13])(
    'run once when they are awaited after %i microtasks',
    async (microtasks) => {
      const { pool } = await openPool({ tasks, concurrentTasksPerWorker: 2 });
      for (let i = 0; i < 5; i++) {
        expect(await pool.run('awaitsLater', [`a${i}`, `b${i}`, microtasks])).toEqual([1, 1]);
        expect(await pool.run('count', [`a${i}`])).toBe(2);
        expect(await pool.run('count', [`b${i}`])).toBe(2);
      }
    },
  );

  it('may be awaited again and again', async () => {
    const { pool } = await openPool({ tasks });
    expect(await pool.run('awaitsTwice', ['a'])).toEqual([1, 1, 1, 1, 1]);
  });

  it('belong to the promise of a function that had returned plain values before', async () => {
    const { pool } = await openPool({ tasks });
    expect(await pool.run('sometimesForks', ['a', 0])).toBe('plain');
    expect([...(await pool.run('sometimesForks', ['a', 3]))].sort()).toEqual([1, 2, 3]);
    expect([...(await pool.run('sometimesForks', ['a', 3]))].sort()).toEqual([4, 5, 6]);
  });

  it.each([1, 2])('that an async task leaves are awaited when it ends: %i workers', async (threads) => {
    const { rt, pool } = await openPool({ tasks, minThreads: threads, maxThreads: threads });
    await pool.run('leavesAsync', ['a', 5]);
    expect(rt.atomicInt32('a').load()).toBe(5);
    expect(await rejectionOf(pool.run('leavesFailing', ['b']))).toMatchObject({ code: 'E_LEFT' });
    expect(rt.atomicInt32('b').load()).toBe(3);
  });
});

describe('a sync task may not block for an async fork', () => {
  it.each([
    ['blocksForStolen', 'join'],
    ['blocksForStolen', 'leave'],
    ['blocksForCrossed', 'leave'],
    ['blocksForOwn', 'join'],
    ['blocksForOwn', 'leave'],
  ])('it is refused, and nobody hangs: %s, %s', async (task, end) => {
    const { pool } = await openPool({ tasks, minThreads: 2, maxThreads: 2 });
    const error = await rejectionOf(pool.run(task, ['x', end]));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(error.message).toContain('await the fork instead');
    await isFree(pool);
    expect(await Promise.all([1, 2, 3].map(() => pool.run('count', ['more'])))).toHaveLength(3);
    await pool.shutdown();
  });

  it.each(['blocksForOwn', 'blocksForCrossed'])(
    'nor is its grace waited for in the thread that it needs: %s',
    async (task) => {
      const { rt, pool } = await openPool({ tasks, minThreads: 2, maxThreads: 2 });
      const abort = new AbortController();
      // A grace that the test does not live to see the end of.
      const options = { signal: abort.signal, abortGraceMs: 600_000 };
      const call = rejectionOf(pool.run(task, ['x', 'cancelled'], options));
      await until(() => rt.atomicInt32('x').load() === 2);
      abort.abort();
      expect(await call).toMatchObject({ code: 'ERR_TASK_ABORTED' });
      await isFree(pool);
      await pool.shutdown();
    },
  );
});

it('the error of a fork that finds no memory says so', async () => {
  const workerData = new Int32Array(new SharedArrayBuffer(4));
  const { rt, pool } = await openPool(
    { tasks, minThreads: 2, maxThreads: 2, workerData },
    { memoryBytes: 4 * 2 ** 20 },
  );
  // Both workers have slots for forks, no arena has a block.
  await Promise.all([1, 2].map(() => pool.run('makesSlots', [2])));
  Atomics.store(workerData, 0, 0);
  const arrays: Uint8Array[] = [];
  const fill = (): void => {
    for (;;) arrays.push(rt.alloc(Uint8Array, 1000));
  };
  expect(thrownBy(fill)).toMatchObject({ code: 'ERR_MEMORY_FULL' });
  expect(await pool.run('joinsFailure', [300_000])).toEqual(['MemoryFullError', 'ERR_MEMORY_FULL']);
  for (const array of arrays) rt.free(array);
});
