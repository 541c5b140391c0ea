import { describe, expect, it } from 'vitest';
import { gateOf, openPool, outcome, rejectionOf } from './harness.ts';

const everyOne = (array: Int32Array, from: number, to: number): boolean =>
  array.every((n, i) => n === (i >= from && i < to ? 1 : 0));

describe('range', () => {
  it.each([
    [1, 0, 1000, 1],
    [1, 0, 1000, 7],
    [2, 0, 1000, 7],
    [2, 17, 983, 10],
    [4, 0, 100_000, 64],
    [2, 0, 5, 1000],
    [2, 999, 1000, 1],
  ])(
    'with %i workers covers each index from %i to %i once, at most %i at a time',
    async (threads, from, to, grain) => {
      const { rt, pool } = await openPool({ minThreads: threads, maxThreads: threads });
      const seen = rt.alloc(Int32Array, Math.max(1000, to));
      const pieces = rt.alloc(Int32Array, 2);
      await pool.range('cover', { from, to, grain }, [seen, pieces]);
      expect(everyOne(seen, from, to)).toBe(true);
      expect(pieces[1]).toBeLessThanOrEqual(grain);
      expect(pieces[0]).toBeGreaterThanOrEqual(Math.ceil((to - from) / grain));
    },
  );

  it('chooses a grain by itself', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const seen = rt.alloc(Int32Array, 50_000);
    const pieces = rt.alloc(Int32Array, 2);
    await pool.range('cover', { from: 0, to: 50_000 }, [seen, pieces]);
    expect(everyOne(seen, 0, 50_000)).toBe(true);
    expect(pieces[0]).toBeGreaterThan(2);
  });

  it('does nothing for an empty range', async () => {
    const { rt, pool } = await openPool();
    const seen = rt.alloc(Int32Array, 10);
    await pool.range('cover', { from: 5, to: 5 }, [seen]);
    expect(seen.every((n) => n === 0)).toBe(true);
  });

  it('covers negative and large integers', async () => {
    const { rt, pool } = await openPool();
    const log = rt.alloc(Float64Array, 3);
    await pool.range('rangeArguments', { from: -5, to: -4 }, [log, 1, 2]);
    expect([...log]).toEqual([-5, -4, 2]);
    await pool.range('rangeArguments', { from: 2 ** 53 - 2, to: 2 ** 53 - 1 }, [log]);
    expect([...log]).toEqual([2 ** 53 - 2, 2 ** 53 - 1, 0]);
  });

  it('works over several arrays', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const length = 20_000;
    const [a, b, out] = [0, 1, 2].map(() => rt.alloc(Float64Array, length)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    for (let i = 0; i < length; i++) {
      a[i] = i;
      b[i] = i + 1;
    }
    await pool.range('multiply', { from: 0, to: length, grain: 100 }, [a, b, out]);
    expect(out.every((value, i) => value === i * (i + 1))).toBe(true);
  });

  it('is shared by the workers', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const seen = rt.alloc(Int32Array, 2000);
    await pool.range('coverSlowly', { from: 0, to: 2000, grain: 2 }, [seen]);
    expect(everyOne(seen, 0, 2000)).toBe(true);
    expect(pool.metrics().forksStolen).toBeGreaterThan(0);
  });

  it('is shared by the workers though its arguments came by port', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const seen = rt.alloc(Int32Array, 2000);
    const options = { transferList: [new ArrayBuffer(8)] };
    await pool.range('coverSlowly', { from: 0, to: 2000, grain: 2 }, [seen], options);
    expect(everyOne(seen, 0, 2000)).toBe(true);
    expect(pool.metrics().forksStolen).toBeGreaterThan(0);
  });

  it('rejects with the error of the piece that failed', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const seen = rt.alloc(Int32Array, 1000);
    const error = await rejectionOf(pool.range('failAt', { from: 0, to: 1000, grain: 10 }, [505, seen]));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toBe('at 505');
    expect(seen.every((n, i) => n <= 1 && (n === 0 || i < 500 || i >= 510))).toBe(true);
    await pool.range('cover', { from: 0, to: 10, grain: 1 }, [seen]);
  });

  it('refuses an async function', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.range('coverAsync', { from: 0, to: 10 }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(error.message).toContain('coverAsync');
  });

  it('stops between pieces when it is cancelled', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const abort = new AbortController();
    const seen = rt.alloc(Int32Array, 1000);
    const call = outcome(
      pool.range('holdThenCover', { from: 0, to: 1000, grain: 1 }, [gate.name, seen], {
        signal: abort.signal,
      }),
    );
    await gate.reached(1);
    abort.abort('enough');
    expect(await call).toMatchObject({ ok: false, error: { name: 'AbortError', cause: 'enough' } });
    gate.open();
    await pool.run('echo', [1]);
    expect(seen.reduce((a, b) => a + b)).toBe(1);
  });

  it('of a worker that dies rejects with ERR_WORKER_EXITED', async () => {
    const { pool } = await openPool();
    expect(await rejectionOf(pool.range('exit', { from: 0, to: 10 }))).toMatchObject({
      code: 'ERR_WORKER_EXITED',
    });
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('rejects bounds that are none', async () => {
    const { pool } = await openPool();
    const range = pool.range.bind(pool) as (...args: unknown[]) => Promise<void>;
    for (const bounds of [
      { from: 0.5, to: 2 },
      { from: 2, to: 1 },
      { from: 0, to: Number.POSITIVE_INFINITY },
      { from: 0, to: 10, grain: 0 },
      { from: 0, to: 10, grain: 1.5 },
      { from: '0', to: 10 },
      { to: 10 },
    ]) {
      expect(await rejectionOf(range('cover', bounds, []))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(await rejectionOf(range('cover'))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(await rejectionOf(range('cover', { from: 0, to: 10, step: 2 }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await rejectionOf(range('cover', { from: 0, to: 1 }, 'no array'))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await rejectionOf(range('nope', { from: 0, to: 1 }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });
});
