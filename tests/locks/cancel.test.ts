import type { Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, isPending, openRuntime, outcome, rejectionOf, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

const pending = (rt: Runtime): number => rt.locks.snapshot().pending.length;

describe('a wait is given up', () => {
  it('by its signal: lock says false, acquire and runExclusive reject', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    await m.lock();
    const stop = new AbortController();
    const { signal } = stop;
    const waits = [
      rt.withOwner(() => m.lock({ signal })),
      rt.withOwner(() => outcome(m.acquire({ signal }))),
      outcome(m.runExclusive(() => 1, { signal })),
    ];
    expect(await isPending(Promise.race(waits))).toBe(true);
    expect(pending(rt)).toBe(3);
    const reason = new Error('enough');
    stop.abort(reason);
    const [locked, acquired, ran] = await Promise.all(waits);
    expect(locked).toBe(false);
    for (const each of [acquired, ran]) {
      expect(each).toMatchObject({
        ok: false,
        error: { code: 'ERR_TASK_ABORTED', name: 'AbortError', cause: reason, resource: 'A' },
      });
    }
    expect(pending(rt)).toBe(0);
    // Fired before: not even a free lock is taken.
    m.unlock();
    expect(await m.lock({ signal })).toBe(false);
    expect(m.lockSync({ signal })).toBe(false);
    expect(await rejectionOf(m.acquire({ signal }))).toMatchObject({ code: 'ERR_TASK_ABORTED' });
    expect(m.isLocked).toBe(false);
  });

  it('by its timeout, on the main thread and in workers', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const m = rt.mutex('A');
    await m.lock();
    expect(await pool.run('takeSync', ['A', null, { timeoutMs: 5 }])).toEqual({ ok: true, value: false });
    expect(await pool.run('takeAsync', ['A', null, { timeoutMs: 5 }])).toEqual({ ok: true, value: false });
    expect(await pool.run('takeSync', ['A', null, { timeoutMs: 0 }])).toEqual({ ok: true, value: false });
    await rt.withOwner(async () => {
      expect(await m.lock({ timeoutMs: 5 })).toBe(false);
      expect(await m.tryLock(5)).toBe(false);
      expect(await m.lock({ timeoutMs: 0 })).toBe(false);
      expect(await rejectionOf(m.acquire({ timeoutMs: 5 }))).toMatchObject({
        code: 'ERR_TASK_TIMEOUT',
        name: 'TimeoutError',
        resource: 'A',
      });
    });
    m.unlock();
    const gate = gateOf(rt);
    const holding = pool.run('holdLock', ['A', gate.name]);
    await gate.reached(1);
    expect(m.lockSync({ timeoutMs: 5 })).toBe(false);
    gate.open();
    await holding;
    expect(pending(rt)).toBe(0);
    expect(m.lockSync({ timeoutMs: 1000 })).toBe(true);
    m.unlock();
  });

  it('by the cancel of its task, blocked or not; so does the wait of a fork', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2);
    const m = rt.mutex('A');
    await m.lock();
    for (const task of ['takeSync', 'takeAsync', 'joinTaker']) {
      const stop = new AbortController();
      const run = outcome(pool.run(task, ['A'], { signal: stop.signal }));
      await until(() => pending(rt) > 0);
      stop.abort();
      expect(await run).toMatchObject({ error: { code: 'ERR_TASK_ABORTED' } });
      await until(() => pending(rt) === 0);
    }
    const late = outcome(pool.run('takeSync', ['A'], { timeoutMs: 10 }));
    expect(await late).toMatchObject({ error: { code: 'ERR_TASK_TIMEOUT' } });
    await until(() => pending(rt) === 0);
    m.unlock();
    expect(await pool.run('takeSync', ['A'])).toEqual({ ok: true, value: true });
  });

  it('and the error says why, whatever else might have ended it', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    await m.lock();
    const owner = rt.createOwner();
    const acquired = rejectionOf(m.acquire({ owner, timeoutMs: 60_000 }));
    expect(await isPending(acquired)).toBe(true);
    owner.end();
    expect(await acquired).toMatchObject({
      code: 'ERR_TASK_ABORTED',
      message: expect.stringMatching(/owner/),
    });
    const pool = await openLockPool(rt, 1);
    const stop = new AbortController();
    const run = outcome(pool.run('acquireLong', ['A'], { signal: stop.signal }));
    await until(() => pending(rt) > 0);
    stop.abort();
    await run;
    await until(() => rt.atomicInt32('A:told').load() !== 0);
    expect(rt.atomicInt32('A:told').load()).toBe(1);
    m.unlock();
  });

  it('by one timeout, though the lock was left abandoned and taken by another meanwhile', async () => {
    const rt = await openRuntime();
    rt.locks.onViolation(() => undefined);
    const m = rt.mutex('A', { onAbandoned: 'recover' });
    const [dies, one, two] = [rt.createOwner(), rt.createOwner(), rt.createOwner()];
    await m.lock({ owner: dies });
    const start = performance.now();
    const waits = [m.lock({ owner: one }), m.lock({ owner: two, timeoutMs: 1500 })];
    await new Promise((resolve) => setTimeout(resolve, 1000));
    dies.end();
    expect(await Promise.all(waits)).toEqual([true, false]);
    expect(performance.now() - start).toBeLessThan(2400);
    m.unlock({ owner: one });
  });

  it('by the end of its owner', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    await m.lock();
    const owner = rt.createOwner();
    const waiting = m.lock({ owner });
    expect(await isPending(waiting)).toBe(true);
    owner.end();
    expect(await waiting).toBe(false);
    m.unlock();
    expect(m.isLocked).toBe(false);
  });
});

describe('a cancel that races with the grant', () => {
  it('has one outcome, and the next gets the lock: signals', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const m = rt.mutex('A');
    let had = 0;
    for (let i = 0; i < 60; i++) {
      const gate = gateOf(rt);
      const holding = pool.run('holdLock', ['A', gate.name]);
      await gate.reached(1);
      const stop = new AbortController();
      const [first, second] = [0, 1].map((n) =>
        rt.withOwner(async () => {
          const locked = await m.lock(n === 0 ? { signal: stop.signal } : {});
          if (locked) m.unlock();
          return locked;
        }),
      );
      await isPending(second!);
      gate.open();
      // The worker unlocks meanwhile: before the cancel, after it, or in it.
      for (let n = 0; n < i % 6; n++) await new Promise((resolve) => setImmediate(resolve));
      stop.abort();
      if (await first) had++;
      expect(await second).toBe(true);
      expect(await holding).toBe(true);
      expect(m.isLocked).toBe(false);
    }
    expect(had).toBeLessThanOrEqual(60);
  });

  it('has one outcome: timeouts of blocked threads, against each other', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 3);
    const results = (await Promise.all(
      Array.from({ length: 3 }, (_, i) => pool.run('torment', ['t', 2, 400, 31 * i + 5])),
    )) as number[];
    for (const inside of results) expect(inside).toBeGreaterThan(0);
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    for (const name of ['t0', 't1']) {
      const m = rt.mutex(name);
      expect(await m.lock()).toBe(true);
      m.unlock();
    }
  });

  it('a thread whose only waiter gave up swallows no wake-up', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2);
    const m = rt.mutex('A');
    for (let i = 0; i < 20; i++) {
      const gate = gateOf(rt);
      const holding = pool.run('holdLock', ['A', gate.name]);
      await gate.reached(1);
      const stop = new AbortController();
      const mine = m.lock({ signal: stop.signal });
      await until(() => pending(rt) === 1);
      const other = pool.run('takeSync', ['A']);
      await until(() => pending(rt) === 2);
      stop.abort();
      expect(await mine).toBe(false);
      gate.open();
      expect(await holding).toBe(true);
      expect(await other).toEqual({ ok: true, value: true });
    }
  });
});

describe('a task that is aborted while it holds a lock', () => {
  it('gives it back itself, and nobody is told of an abandoned lock', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
    const m = rt.mutex('A');
    for (let round = 0; round < 20; round++) {
      const gate = gateOf(rt);
      const stop = new AbortController();
      const call = outcome(pool.run('holdLockAsync', ['A', gate.name], { signal: stop.signal }));
      await gate.reached(1);
      stop.abort();
      expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_TASK_ABORTED' } });
      expect(await m.lock()).toBe(true);
      m.unlock();
    }
  });

  it('keeps it as long as its code goes on: nobody else comes in', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
    const m = rt.mutex('A');
    const gate = gateOf(rt);
    const stop = new AbortController();
    const call = outcome(pool.run('holdLockDeaf', ['A', gate.name], { signal: stop.signal }));
    await gate.reached(1);
    stop.abort();
    expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_TASK_ABORTED' } });
    // Its slot has come home, and stands for others.
    for (let i = 0; i < 10; i++)
      expect(await pool.run('takeSync', ['A', null, { timeoutMs: 0 }])).toEqual({ ok: true, value: false });
    expect(m.snapshot().owner).toMatch(/aborted|worker/);
    const waits = m.lock();
    expect(await isPending(waits)).toBe(true);
    gate.open();
    expect(await waits).toBe(true);
    m.unlock();
    expect(rt.locks.snapshot().held).toEqual([]);
  });
});
