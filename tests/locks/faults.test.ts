// Bad input and faults, one test each: the documented code, the lock is not lost, and nobody is left waiting. Each in depth: misuse, cancel, deaths.
import type { LockObserver, Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, openRuntime as open, outcome, rejectionOf, thrownBy, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';
import { openPage } from './page.ts';

let rt: Runtime;

async function openRuntime(options?: Parameters<typeof open>[0]): Promise<Runtime> {
  rt = await open(options);
  return rt;
}

/** A lock that works: the main thread and a worker can have it, one after the other. */
async function expectSound(name = 'A'): Promise<void> {
  const pool = await openLockPool(rt, 1);
  const m = rt.mutex(name);
  expect(await m.lock()).toBe(true);
  const other = pool.run('takeSync', [name]);
  await until(() => rt.locks.snapshot().pending.length === 1);
  m.unlock();
  expect(await other).toEqual({ ok: true, value: true });
  expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
}

/** An abandoned lock tells who comes, until somebody puts it right. */
async function expectAbandoned(name = 'A'): Promise<void> {
  expect(await rejectionOf(rt.mutex(name).lock())).toMatchObject({ code: 'ERR_LOCK_ABANDONED' });
  const healer = rt.mutex(name, { onAbandoned: 'recover' });
  expect(await healer.lock()).toBe(true);
  healer.unlock();
}

const waiting = (count: number): Promise<void> => until(() => rt.locks.snapshot().pending.length === count);

describe('Bad input', () => {
  it('unlock by a stranger', async () => {
    const mutex = (await openRuntime()).mutex('A');
    const pool = await openLockPool(rt, 1);
    await mutex.lock();
    expect(await pool.run('unlockOnly', ['A'])).toMatchObject({ ok: false, code: 'ERR_NOT_OWNER' });
    expect(rt.withOwner(() => thrownBy(() => mutex.unlock()))).toMatchObject({ code: 'ERR_NOT_OWNER' });
    expect(mutex.isLocked).toBe(true);
    mutex.unlock();
    await expectSound();
  });

  it('double unlock', async () => {
    const m = (await openRuntime()).mutex('A');
    const pool = await openLockPool(rt, 1);
    await m.lock();
    const next = pool.run('takeSync', ['A']);
    await waiting(1);
    m.unlock();
    expect(thrownBy(() => m.unlock())).toMatchObject({ code: 'ERR_NOT_OWNER' });
    expect(await next).toEqual({ ok: true, value: true });
    await expectSound();
  });

  it('lock in a disposed runtime', async () => {
    const m = (await openRuntime()).mutex('A');
    const held = rt.mutex('B');
    await held.lock();
    const waits = rt.withOwner(() => outcome(held.lock()));
    await waiting(1);
    await rt.dispose();
    expect(await waits).toMatchObject({ error: { code: 'ERR_POOL_CLOSED' } });
    expect(await rejectionOf(m.lock())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    for (const call of [() => m.lockSync(), () => m.tryLockNow(), () => held.unlock(), () => rt.mutex('C')])
      expect(thrownBy(call)).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });

  it('name clash with other options', async () => {
    (await openRuntime()).mutex('A', { reentrant: true });
    const pool = await openLockPool(rt, 1);
    expect(thrownBy(() => rt.mutex('A', { reentrant: false }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: "cannot open lock 'A': it exists with another value of option 'reentrant'",
    });
    expect(await pool.run('openLock', ['A', { class: 'x' }])).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expectSound();
  });

  it('more locks than maxLocks', async () => {
    await openRuntime({ locks: { maxLocks: 3 } });
    const [first] = ['1', '2', 'A'].map((name) => rt.mutex(name));
    const pool = await openLockPool(rt, 1);
    expect(thrownBy(() => rt.mutex('4'))).toMatchObject({ code: 'ERR_RESOURCE_LIMIT', resource: '4' });
    expect(thrownBy(() => rt.mutex('5', { class: 'c' }))).toMatchObject({ code: 'ERR_RESOURCE_LIMIT' });
    expect(await pool.run('openLock', ['4'])).toMatchObject({ code: 'ERR_RESOURCE_LIMIT' });
    await expectSound();
    expect(first!.forget()).toBe(true);
    rt.mutex('4');
    await expectSound('4');
  });

  it('an observer that throws', async () => {
    const fail = (): never => {
      throw new Error('of the observer');
    };
    const bad: LockObserver = { lockAcquired: fail, lockReleased: fail, lockWait: fail };
    const m = (await openRuntime()).mutex('A').withObserver(bad);
    const pool = await openLockPool(rt, 1);
    const gate = gateOf(rt);
    const holding = pool.run('holdLock', ['A', gate.name]);
    await gate.reached(1);
    expect(m.lockSync({ timeoutMs: 1 })).toBe(false);
    const mine = m.lock();
    await waiting(1);
    gate.open();
    expect(await mine).toBe(true);
    m.unlock();
    expect(await holding).toBe(true);
    await expectSound();
  });

  it('a strategy that throws', async () => {
    await openRuntime();
    const pool = await openLockPool(rt, 2);
    rt.locks.resolver.registerStrategy('bad', () => {
      throw new Error('of the strategy');
    });
    rt.locks.resolver.strategy = 'bad';
    const gate = gateOf(rt);
    const runs = [pool.run('lockBoth', ['A', 'B', gate.name]), pool.run('lockBoth', ['B', 'A', gate.name])];
    await gate.reached(2);
    gate.open();
    const told = (await Promise.all(runs)) as { ok: boolean; code?: string }[];
    expect(told.map(({ ok }) => ok).sort()).toEqual([false, true]);
    expect(told.find(({ ok }) => !ok)).toMatchObject({ code: 'ERR_DEADLOCK' });
    await expectSound();
  });
});

describe('Faults', () => {
  it('holder exits', async () => {
    await openRuntime();
    const pool = await openLockPool(rt, 1);
    expect(await rejectionOf(pool.run('exitHeld', ['A']))).toMatchObject({ code: 'ERR_WORKER_EXITED' });
    await expectAbandoned();
    await expectSound();
  });

  it('waiter exits', async () => {
    const m = (await openRuntime()).mutex('A');
    const pool = await openLockPool(rt, 1);
    await m.lock();
    const waits = outcome(pool.run('takeSync', ['A']));
    await waiting(1);
    await pool.destroy();
    expect(await waits).toMatchObject({ ok: false });
    expect(rt.locks.snapshot().pending).toEqual([]);
    m.unlock();
    await expectSound();
  });

  it('woken waiter exits before it takes the lock', async () => {
    const m = (await openRuntime()).mutex('A');
    const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
    const other = await openLockPool(rt, 1);
    await m.lock();
    const gate = gateOf(rt);
    const dead = outcome(pool.run('takeAsync', ['A']));
    await waiting(1);
    const blocking = outcome(pool.run('exitAt', [gate.name]));
    await gate.reached(1);
    const living = other.run('takeSync', ['A']);
    await waiting(2);
    // The wake-up goes to the one whose event loop never has another turn.
    m.unlock();
    gate.open();
    for (const each of await Promise.all([dead, blocking]))
      expect(each).toMatchObject({ error: { code: 'ERR_WORKER_EXITED' } });
    expect(await living).toEqual({ ok: true, value: true });
    await expectSound();
  });

  it('holder and waiter exit together', async () => {
    await openRuntime();
    const pool = await openLockPool(rt, 2);
    const gate = gateOf(rt);
    const holder = outcome(pool.run('exitHeld', ['A', gate.name]));
    await gate.reached(1);
    const waits = outcome(pool.run('takeSync', ['A']));
    await waiting(1);
    gate.open();
    await pool.destroy();
    await Promise.all([holder, waits]);
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    if (rt.mutex('A').isAbandoned) await expectAbandoned();
    await expectSound();
  });

  it('cancel racing with grant', async () => {
    const m = (await openRuntime()).mutex('A');
    let granted = 0;
    for (let i = 0; i < 300; i++) {
      await m.lock();
      const cancel = new AbortController();
      const one = rt.withOwner(() =>
        m.lock({ signal: cancel.signal }).then((had) => had && m.unlock() === undefined),
      );
      const next = rt.withOwner(() => m.lock().then(() => m.unlock()));
      // In one turn in both orders, and after the grant, before the waiter's code goes on.
      if (i % 3 === 0) cancel.abort();
      m.unlock();
      if (i % 3 === 1) {
        await undefined;
        expect(m.isLocked).toBe(true);
      }
      if (i % 3 !== 0) cancel.abort();
      if (await one) granted++;
      await next;
      expect(m.isLocked).toBe(false);
    }
    expect(granted).toBe(100);
    // The grant comes from another thread, before the cancel, in it, or after it.
    const pool = await openLockPool(rt, 1);
    for (let i = 0; i < 30; i++) {
      const gate = gateOf(rt);
      const holding = pool.run('holdLock', ['A', gate.name]);
      await gate.reached(1);
      const cancel = new AbortController();
      const one = rt.withOwner(() =>
        m.lock({ signal: cancel.signal }).then((had) => had && m.unlock() === undefined),
      );
      const next = rt.withOwner(() => m.lock().then((had) => had && m.unlock() === undefined));
      await waiting(2);
      gate.open();
      for (let turn = 0; turn < i % 6; turn++) await new Promise((resolve) => setImmediate(resolve));
      cancel.abort();
      // One outcome, whichever; nothing is lost by it.
      expect([true, false]).toContain(await one);
      expect(await next).toBe(true);
      expect(await holding).toBe(true);
      expect(m.isLocked).toBe(false);
    }
    await expectSound();
  });

  it("blocking the browser's main thread", async () => {
    const page = await openPage();
    const m = page.mutex('A');
    expect(thrownBy(() => m.lockSync())).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', resource: 'A' });
    expect(m.isLocked).toBe(false);
    expect(await m.lock()).toBe(true);
    const next = m.lock({ owner: page.owner() });
    expect(thrownBy(() => m.lockSync({ owner: page.owner() }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    m.unlock();
    expect(await next).toBe(true);
  });
});
