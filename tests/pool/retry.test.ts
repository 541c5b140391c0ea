import { describe, expect, it } from 'vitest';
import { openPool, outcome, rejectionOf } from './harness.ts';

describe('retry', () => {
  it('runs a task marked idempotent again after it threw', async () => {
    const { pool } = await openPool({ retry: { attempts: 3 } });
    expect(await pool.run('failTimes', ['a', 2], { idempotent: true })).toBe(3);
    expect(pool.metrics()).toMatchObject({ submitted: 1, completed: 1, failed: 0, outstanding: 0 });
  });

  it('runs it again after its worker died', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 3 } });
    expect(await pool.run('exitTimes', ['a', 2], { idempotent: true })).toBe(3);
    expect(rt.atomicInt32('a').load()).toBe(3);
  });

  it('gives up with the last error after so many attempts', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 3 } });
    expect(await rejectionOf(pool.run('failTimes', ['a', 99], { idempotent: true }))).toMatchObject({
      message: 'failure 3',
    });
    expect(rt.atomicInt32('a').load()).toBe(3);
    expect(await rejectionOf(pool.run('exitTimes', ['b', 99], { idempotent: true }))).toMatchObject({
      code: 'ERR_WORKER_EXITED',
    });
    expect(rt.atomicInt32('b').load()).toBe(3);
  });

  it('never runs another task again', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 3 } });
    await rejectionOf(pool.run('failTimes', ['a', 99]));
    await rejectionOf(pool.run('failTimes', ['a', 99], { idempotent: false }));
    await rejectionOf(pool.run('exitTimes', ['b', 99], { timeoutMs: 10_000 }));
    expect(rt.atomicInt32('a').load()).toBe(2);
    expect(rt.atomicInt32('b').load()).toBe(1);
  });

  it('never runs a task again without a policy', async () => {
    const { rt, pool } = await openPool();
    await rejectionOf(pool.run('failTimes', ['a', 99], { idempotent: true }));
    expect(rt.atomicInt32('a').load()).toBe(1);
  });

  it('does not repeat a cancelled task, nor one that ran out of time', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 3 } });
    expect(
      await rejectionOf(pool.run('untilAborted', ['a'], { idempotent: true, timeoutMs: 20 })),
    ).toMatchObject({ code: 'ERR_TASK_TIMEOUT' });
    await pool.run('echo', [1]);
    expect(rt.atomicInt32('a:in').load()).toBe(1);
  });

  it('limits all attempts together by timeoutMs', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 1000, backoffMs: 15 } });
    expect(
      await rejectionOf(pool.run('failTimes', ['a', 9999], { idempotent: true, timeoutMs: 40 })),
    ).toMatchObject({ code: 'ERR_TASK_TIMEOUT' });
    expect(rt.atomicInt32('a').load()).toBeGreaterThanOrEqual(1);
    expect(rt.atomicInt32('a').load()).toBeLessThanOrEqual(4);
  });

  it('waits longer each time', async () => {
    const { pool } = await openPool({ retry: { attempts: 4, backoffMs: 20 } });
    const start = performance.now();
    await pool.run('failTimes', ['a', 3], { idempotent: true });
    expect(performance.now() - start).toBeGreaterThanOrEqual(20 + 40 + 80 - 4);
  });

  it('gives the same arguments each time: errors with all they have, a Buffer without the rest of its pool', async () => {
    const { rt, pool } = await openPool({ retry: { attempts: 3 } });
    const error = Object.assign(new RangeError('far'), { code: 'E_FAR', detail: { n: 1 } });
    const got = await pool.run('exitOnceThenEcho', ['a', { error }], { idempotent: true });
    expect(got).toMatchObject({ error: { message: 'far', code: 'E_FAR', detail: { n: 1 } } });
    const bytes = Buffer.from('abc');
    expect(bytes.buffer.byteLength).toBeGreaterThan(3);
    expect(await pool.run('exitOnceThenMeasure', ['b', bytes], { idempotent: true })).toEqual([3, 3]);
    const array = rt.alloc(Int32Array, 4);
    await pool.run('exitOnceThenEcho', ['c', array], { idempotent: true });
    expect(rt.atomicInt32('c').load()).toBe(2);
  });

  it('gives the arguments of the call each time, though the caller has changed them', async () => {
    const { pool } = await openPool({ retry: { attempts: 2 } });
    const value = { list: [1, 2] };
    const call = pool.run('exitOnceThenEcho', ['a', value], { idempotent: true });
    value.list.push(3);
    expect(await call).toEqual({ list: [1, 2] });
  });

  it('of many calls at once keeps each one’s outcome', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2, retry: { attempts: 2 } });
    const calls = Array.from({ length: 60 }, (_, i) =>
      outcome(
        i % 3 === 0
          ? pool.run('failTimes', [`f${i}`, 1], { idempotent: true })
          : i % 20 === 1
            ? pool.run('exitTimes', [`e${i}`, 1], { idempotent: true })
            : pool.run('echo', [i], { idempotent: true }),
      ),
    );
    for (const [i, result] of (await Promise.all(calls)).entries()) {
      expect(result).toEqual({ ok: true, value: i % 3 === 0 || i % 20 === 1 ? 2 : i });
    }
  });
});
