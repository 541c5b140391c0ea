// Everything at once, with real threads: invariants, no times.
import { describe, expect, it } from 'vitest';
import { openRuntime, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

describe('under stress', () => {
  it('8 workers on 2 locks by every way there is: never two inside, nothing is left', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 8);
    const results = (await Promise.all(
      Array.from({ length: 16 }, (_, i) => pool.run('torment', ['s', 2, 150, 977 * i + 3])),
    )) as number[];
    for (const inside of results) expect(inside).toBeGreaterThan(0);
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    for (const name of ['s0', 's1']) expect(rt.atomicInt32(`${name}:inside`).load()).toBe(0);
  });

  it('nobody starves: two workers that never let go, one that comes late, and the main thread', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 3);
    const hogs = [pool.run('hog', ['H', 3]), pool.run('hog', ['H', 3])];
    await until(() => rt.atomicInt32('H:hogs').load() === 2);
    // Each gets the lock again and again though the others take it back at once.
    const late = pool.run('countSync', ['H', 100]);
    const m = rt.mutex('H');
    let turns = 0;
    for (; turns < 20; turns++) {
      await m.lock();
      m.unlock();
    }
    await late;
    rt.atomicInt32('H:stop').store(1);
    const counts = (await Promise.all(hogs)) as number[];
    expect(turns).toBe(20);
    for (const count of counts) expect(count).toBeGreaterThan(0);
  });

  it('many async flows of several workers and the main thread on one lock', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2, { concurrentTasksPerWorker: 32 });
    const m = rt.mutex('F');
    const count = rt.atomicInt32('F:count');
    const flows = Array.from({ length: 50 }, () =>
      rt.withOwner(async () => {
        for (let i = 0; i < 40; i++) {
          await m.lock();
          const value = count.load();
          if (i % 8 === 0) await undefined;
          count.store(value + 1);
          m.unlock();
        }
      }),
    );
    const tasks = Array.from({ length: 40 }, () => pool.run('countAsync', ['F', 40]));
    await Promise.all([...flows, ...tasks]);
    expect(count.load()).toBe(90 * 40);
  });

  it('transfers in no order: deadlocks are found and resolved, and no cent is lost', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 4);
    const accounts = 5;
    for (let i = 0; i < accounts; i++) rt.atomicInt32(`b${i}`).store(1000);
    const results = (await Promise.all(
      Array.from({ length: 8 }, (_, i) => pool.run('transfer', ['b', accounts, 150, i * 131 + 7])),
    )) as { done: number; deadlocks: number }[];
    let total = 0;
    for (let i = 0; i < accounts; i++) total += rt.atomicInt32(`b${i}`).load();
    expect(total).toBe(1000 * accounts);
    for (const { done } of results) expect(done).toBe(150);
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
  });
});
