// Wrong use: each comes to its documented code, and leaves the lock as it was.
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  fixture,
  isPending,
  openRuntime,
  outcome,
  rejectionOf,
  runProgram,
  thrownBy,
  until,
} from '../pool/harness.ts';
import { openLockPool } from './harness.ts';
import { openPage } from './page.ts';

describe('unlock', () => {
  it('of a lock that nobody holds, twice, and by a stranger: ERR_NOT_OWNER', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    expect(thrownBy(() => m.unlock())).toMatchObject({
      code: 'ERR_NOT_OWNER',
      name: 'NotOwnerError',
      resource: 'A',
      message: "cannot unlock 'A': nobody holds it, not the main thread",
    });
    await m.lock();
    m.unlock();
    expect(thrownBy(() => m.unlock())).toMatchObject({ code: 'ERR_NOT_OWNER' });
    await m.lock();
    const pool = await openLockPool(rt, 1);
    const told = (await pool.run('unlockOnly', ['A'])) as { code: string; message: string };
    expect(told).toMatchObject({ ok: false, code: 'ERR_NOT_OWNER' });
    expect(told.message).toBe(
      "cannot unlock 'A': the main thread holds it, not task 'unlockOnly' on worker 0 of pool 'pool'",
    );
    expect(m.isLocked).toBe(true);
    m.unlock();
  });

  it('with a wrong context: ERR_INVALID_ARGUMENT as of lock(), and the lock stays held', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    const owner = rt.createOwner();
    const refused = { code: 'ERR_INVALID_ARGUMENT' };
    const wrong = [null, 5, 'x', [], [owner], { ownr: owner }, { signal: 1 }, { timeoutMs: -1 }] as never[];
    for (const ctx of wrong) {
      expect(await rejectionOf(m.lock(ctx))).toMatchObject(refused);
      expect(thrownBy(() => m.lockSync(ctx))).toMatchObject(refused);
      expect(await rejectionOf(m.acquire(ctx))).toMatchObject(refused);
      expect(await rejectionOf(m.runExclusive(() => 1, ctx))).toMatchObject(refused);
      expect(m.isLocked).toBe(false);
      m.lockSync();
      expect(thrownBy(() => m.unlock(ctx))).toMatchObject(refused);
      expect(m.isLocked).toBe(true);
      m.unlock();
    }
    expect(thrownBy(() => m.unlock([] as never)).message).toBe(
      'unlock() takes an options object, not an array',
    );
    // The context of the lock is good for its unlock, and an empty one is none.
    for (const ctx of [{ owner, timeoutMs: 50 }, {}, { owner: undefined } as object]) {
      expect(await m.lock(ctx)).toBe(true);
      m.unlock(ctx);
      expect(m.isLocked).toBe(false);
    }
  });

  it('under a guard that unlocks again: ERR_NOT_OWNER once', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    const guard = await m.acquire();
    m.unlock();
    expect(thrownBy(() => guard.release())).toMatchObject({ code: 'ERR_NOT_OWNER' });
    guard.release();
    expect(m.isLocked).toBe(false);
  });
});

describe('a runtime that was disposed', () => {
  it('refuses locks, and tells who waits', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    const held = rt.mutex('B');
    await held.lock();
    const owner = rt.createOwner();
    const waiting = rt.withOwner(() => outcome(held.lock()));
    const acquiring = rt.withOwner(() => outcome(held.acquire()));
    expect(await isPending(waiting)).toBe(true);
    await rt.dispose();
    expect(await waiting).toMatchObject({ error: { code: 'ERR_POOL_CLOSED' } });
    expect(await acquiring).toMatchObject({ error: { code: 'ERR_POOL_CLOSED' } });
    expect(await rejectionOf(m.lock())).toMatchObject({ code: 'ERR_POOL_CLOSED', resource: 'A' });
    expect(await rejectionOf(m.tryLock())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(await rejectionOf(m.acquire())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(await rejectionOf(m.runExclusive(() => 1))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(await rejectionOf(m.lock({ owner }))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(thrownBy(() => m.tryLockNow())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(thrownBy(() => m.lockSync())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(thrownBy(() => held.unlock())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(thrownBy(() => rt.mutex('C'))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(thrownBy(() => rt.withOwner(() => 1))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(thrownBy(() => rt.createOwner())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    owner.end();
  });

  it('tells threads that joined: locks of its thread are free and marked', async () => {
    const rt = await openRuntime();
    const held = rt.mutex('A');
    await held.lock();
    const worker = new Worker(fixture('attaches-locks.mjs'), {
      workerData: { handle: rt.handle, what: 'take' },
    });
    const said = new Promise((resolve) => worker.once('message', resolve));
    await until(() => rt.locks.snapshot().pending.length === 1);
    await rt.dispose();
    expect(await said).toBe('ERR_LOCK_ABANDONED');
  });
});

describe('owners', () => {
  it('of another runtime, or no owners, are refused, and their address takes nothing', async () => {
    const rt = await openRuntime();
    const other = await openRuntime();
    const m = rt.mutex('A');
    // The records of both have the same place in their memories.
    const mine = rt.createOwner();
    const foreign = other.createOwner();
    expect(await m.lock({ owner: mine })).toBe(true);
    for (const owner of [foreign, {}, null, 5] as never[]) {
      expect(thrownBy(() => m.unlock({ owner }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect(await rejectionOf(m.lock({ owner }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect(await rejectionOf(m.acquire({ owner }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect(thrownBy(() => m.lockSync({ owner }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(m.isLocked).toBe(true);
    m.unlock({ owner: mine });
  });

  it('take functions and names that are some', async () => {
    const rt = await openRuntime();
    for (const call of [
      () => rt.withOwner(5 as never),
      () => rt.withOwner(() => 1, 5 as never),
      () => rt.createOwner(5 as never),
      () => rt.mutex('A').lockSync(null as never),
      () => rt.mutex('A').withObserver({} as never),
    ])
      expect(thrownBy(call)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(rt.mutex('A').isLocked).toBe(false);
  });
});

describe('options of the runtime', () => {
  it('are checked', async () => {
    const wrong: readonly object[] = [
      { order: 'no' },
      { waits: true },
      { maxLocks: 0 },
      { maxLocks: 2 ** 21 },
      { stacks: 'some' },
      { strategy: 5 },
      { other: 1 },
    ];
    for (const locks of wrong)
      expect(await rejectionOf(openRuntime({ locks } as never))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
      });
  });
});

describe("the main thread of a browser's page", () => {
  it('never blocks: lockSync is refused whatever the state of the lock, the rest works', async () => {
    const m = (await openPage()).mutex('A');
    expect(thrownBy(() => m.lockSync())).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', resource: 'A' });
    expect(thrownBy(() => m.lockSync({ timeoutMs: 5 }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(m.isLocked).toBe(false);
    expect(m.tryLockNow()).toBe(true);
    m.unlock();
    expect(await m.lock()).toBe(true);
    m.unlock();
    // No store follows async code: each call of runExclusive is an owner of its own all the same.
    const order: number[] = [];
    await Promise.all(
      [1, 2, 3].map((n) =>
        m.runExclusive(async () => {
          order.push(n);
          await undefined;
          order.push(n);
        }),
      ),
    );
    expect(order).toEqual([1, 1, 2, 2, 3, 3]);
  });
});

describe('reports that nobody listens for', () => {
  it('are warnings of the process, and it goes on', async () => {
    const { code, stdout, stderr } = await runProgram('locks-left-held.mjs');
    expect(stdout).toBe('true\nend of main\n');
    expect(stderr).toContain("HeddleWarning: heddle locks (left-held): task 'leaveHeld'");
    expect(code).toBe(0);
  });
});
