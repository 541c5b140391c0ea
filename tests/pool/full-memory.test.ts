import { MemoryFullError } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, openPool, outcome, until } from './harness.ts';

describe('forks as results', () => {
  it('await of forks: a task may return a fork', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    for (let i = 0; i < 10; i++) expect(await pool.run('returnFork', [{ i }])).toEqual({ i });
  });
});

describe('small memories', () => {
  it('run calls of another size after a burst', async () => {
    const { pool } = await openPool({}, { memoryBytes: 8 * 2 ** 20 });
    const text = 'x'.repeat(2000);
    const calls = Array.from({ length: 3000 }, (_, i) => pool.run('echo', [{ i, text }]));
    expect((await Promise.all(calls)).every((value: any, i) => value.i === i)).toBe(true);
    expect(await pool.run('echo', [{ a: 1 }])).toEqual({ a: 1 });
    expect(await pool.run('sum', [new Float64Array(30_000).fill(1)])).toBe(30_000);
  });

  it('hold back what does not fit and run it all', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 }, { memoryBytes: 4 * 2 ** 20 });
    const text = 'x'.repeat(2000);
    const calls = Array.from({ length: 3000 }, (_, i) => outcome(pool.run('echo', [{ i, text }])));
    expect((await Promise.all(calls)).every((result, i) => result.ok && result.value.i === i)).toBe(true);
  });

  it('say that the memory is full where the error of a stolen fork does not fit', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 }, { memoryBytes: 4 * 2 ** 20 });
    const gate = gateOf(rt);
    const joined = pool.run('joinFailure', [gate.name, 'short']);
    await gate.reached(1);
    expect(() => {
      for (;;) rt.alloc(Uint8Array, 60_000);
    }).toThrow(MemoryFullError);
    gate.open();
    expect(await joined).toBe('ERR_MEMORY_FULL');
  });

  it('let no later call that needs memory overtake one that waits for it', async () => {
    const { pool } = await openPool({}, { memoryBytes: 4 * 2 ** 20 });
    const small = new Uint8Array(700_000);
    const order: string[] = [];
    let stopped = false;
    const stream = Array.from({ length: 4 }, async () => {
      while (!stopped) {
        await pool.run('busy', [5, small]);
        order.push('small');
      }
    });
    await until(() => order.length >= 8);
    const before = order.length;
    const large = pool.run('firstAndLength', [new Uint8Array(2_600_000)]).then(() => order.push('large'));
    // What needs no memory passes.
    expect(await pool.run('echo', [5])).toBe(5);
    await large;
    stopped = true;
    await Promise.all(stream);
    expect(order.indexOf('large') - before).toBeLessThan(12);
  });

  it('hold back calls whose queue cannot grow', async () => {
    const { rt, pool } = await openPool({}, { memoryBytes: 4 * 2 ** 20 });
    await pool.run('echo', [1]);
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const arrays: Uint8Array[] = [];
    try {
      for (;;) arrays.push(rt.alloc(Uint8Array, 60_000));
    } catch {}
    for (let i = 0; i < 12; i++) rt.free(arrays.pop()!);
    const calls = Array.from({ length: 40_000 }, (_, i) => outcome(pool.run('echo', [i])));
    gate.open();
    expect((await Promise.all(calls)).filter((result, i) => !result.ok || result.value !== i)).toEqual([]);
    await blocking;
  });
});

it('joins many forks in the order they were made, in linear time', async () => {
  const { pool } = await openPool();
  expect(await pool.run('wide', [200_000, false])).toBe((199_999 * 200_000) / 2);
});
