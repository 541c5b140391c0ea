// A lock that a waiter of the own event loop gets: the code that gives it back, or that runs before the waiter's code does, is not to suffer from that.
import type { ContextMutex, LockViolation, Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, isPending, openRuntime, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

const waiting = (rt: Runtime, count: number): Promise<void> =>
  until(() => rt.locks.snapshot().pending.length >= count);

/** Takes the lock and gives it back without a turn between, as an owner of its own. Resolves with whether it had it. */
const visit = (rt: Runtime, m: ContextMutex): Promise<boolean> =>
  rt.withOwner(async () => {
    const had = await m.lock();
    if (had) m.unlock();
    return had;
  });

describe('sync code that takes a lock again and again', () => {
  it('in a worker, while an async task there waits for it', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
    const m = rt.mutex('L');
    await m.lock();
    const awaiting = pool.run('countAsync', ['L', 1]);
    await waiting(rt, 1);
    const looping = pool.run('countSync', ['L', 1000]);
    await waiting(rt, 2);
    m.unlock();
    expect(await looping).toBe(1000);
    expect(await awaiting).toBe(1);
  });

  it('on the main thread', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('L');
    const holder = rt.createOwner();
    await m.lock({ owner: holder });
    const visits = [visit(rt, m), visit(rt, m)];
    m.unlock({ owner: holder });
    for (let i = 0; i < 3; i++) {
      expect(m.lockSync()).toBe(true);
      m.unlock();
    }
    expect(await Promise.all(visits)).toEqual([true, true]);
  });

  it('between the grant and the code of the one that was given it', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('L');
    const holder = rt.createOwner();
    await m.lock({ owner: holder });
    const order: string[] = [];
    const visits = ['first', 'second'].map((name) => visit(rt, m).then(() => order.push(name)));
    m.unlock({ owner: holder });
    await undefined;
    expect(m.isLocked).toBe(true);
    expect(m.lockSync()).toBe(true);
    expect(await isPending(Promise.race(visits))).toBe(true);
    m.unlock();
    await Promise.all(visits);
    expect(order).toEqual(['first', 'second']);
    expect(m.snapshot()).toMatchObject({ isLocked: false, waiters: [] });
  });

  it('the same where both are flows of one owner', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('L');
    const holder = rt.createOwner();
    await m.lock({ owner: holder });
    const waits = m.lock();
    m.unlock({ owner: holder });
    await undefined;
    expect(m.lockSync()).toBe(true);
    expect(await isPending(waits)).toBe(true);
    m.unlock();
    expect(await waits).toBe(true);
    m.unlock();
  });
});

describe('a thread that blocks for another lock', () => {
  // Whoever waits there has not held the first lock over any turn: nobody but the thread's own code is in the way.
  it.each([0, 1])('gives up the one that it gave back %i turns before', async (turns) => {
    const rt = await openRuntime({ locks: { order: 'off' } });
    const pool = await openLockPool(rt, 1);
    const [m, n] = [rt.mutex('M'), rt.mutex('N')];
    const gate = gateOf(rt);
    const inWorker = pool.run('lockBoth', ['N', 'M', gate.name]);
    await gate.reached(1);
    await m.lock();
    const visiting = visit(rt, m);
    m.unlock();
    for (let i = 0; i < turns; i++) await undefined;
    gate.open();
    expect(n.lockSync()).toBe(true);
    n.unlock();
    expect(await inWorker).toEqual({ ok: true, value: true });
    expect(await visiting).toBe(true);
  });
});

describe('an owner that ends between the grant and its code', () => {
  it('has never had the lock', async () => {
    const rt = await openRuntime();
    const seen: LockViolation[] = [];
    rt.locks.onViolation((violation) => seen.push(violation));
    const m = rt.mutex('L');
    await m.lock();
    const owner = rt.createOwner();
    const waits = [m.lock({ owner }), visit(rt, m)];
    m.unlock();
    await undefined;
    expect(m.isLocked).toBe(true);
    owner.end();
    expect(await Promise.all(waits)).toEqual([false, true]);
    expect(m.isAbandoned).toBe(false);
    expect(seen).toEqual([]);
  });
});
