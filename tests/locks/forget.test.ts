import { createRuntime, type LockViolation, type Runtime } from 'heddle';
import { afterEach, describe, expect, it } from 'vitest';
import { openLockPool } from './harness.ts';

const runtimes: Runtime[] = [];

async function open(locks: Parameters<typeof createRuntime>[0] = {}): Promise<Runtime> {
  const rt = await createRuntime({ memoryBytes: 64 * 2 ** 20, ...locks });
  runtimes.push(rt);
  return rt;
}

afterEach(async () => {
  for (const rt of runtimes.splice(0)) await rt.dispose();
});

const violationsOf = (rt: Runtime): LockViolation[] => {
  const seen: LockViolation[] = [];
  rt.locks.onViolation((violation) => seen.push(violation));
  return seen;
};

describe('forget', () => {
  it('a server that makes a lock for each request fills no table', async () => {
    const rt = await open({ locks: { maxLocks: 4 } });
    await rt.mutex('kept').runExclusive(() => undefined);
    let usedBytes = 0;
    for (let i = 0; i < 20_000; i++) {
      const m = rt.mutex(`request ${i}`);
      expect(await m.runExclusive(() => i)).toBe(i);
      expect(m.forget()).toBe(true);
      if (i === 10) usedBytes = rt.usedBytes;
    }
    expect(rt.usedBytes).toBe(usedBytes);
    expect(rt.mutex('kept').snapshot().acquisitions).toBe(1);
  });

  it('nor does one whose requests are owners with names of their own, and take its lock under a shared one', async () => {
    const rt = await open({ memoryBytes: 16 * 2 ** 20 });
    const seen = violationsOf(rt);
    const session = rt.mutex('session');
    const request = (i: number): void =>
      rt.withOwner(() => {
        session.lockSync();
        const m = rt.mutex(`order ${i}`);
        m.lockSync();
        m.unlock();
        m.forget();
        session.unlock();
      }, `request ${i} with a name that is as long as names of requests are`);
    let usedBytes = 0;
    for (let i = 0; i < 60_000; i++) {
      request(i);
      if (i === 20_000) usedBytes = rt.usedBytes;
    }
    expect(rt.usedBytes).toBe(usedBytes);
    // Who was first seen is known by name at first, and by kind when there are too many names.
    const { edges } = rt.locks.visualizeHierarchy();
    expect(edges).toEqual([]);
    rt.withOwner(() => {
      session.lockSync();
      rt.mutex('kept').lockSync();
      rt.mutex('kept').unlock();
      session.unlock();
    }, 'the last');
    expect(rt.locks.visualizeHierarchy().edges.map(({ owner }) => owner)).toEqual([
      'a context of the main thread',
    ]);
    expect(seen).toEqual([]);
    expect(rt.locks.orderStatistics()).toMatchObject({ lockEdges: 1, overflows: 0 });
  });

  it('what comes after is a new lock: options, counts and order of the old one are gone', async () => {
    const rt = await open({ locks: { order: 'throw' } });
    const seen = violationsOf(rt);
    for (const [outer, inner] of [
      ['A', 'B'],
      ['D', 'C'],
    ] as const) {
      const locks = [rt.mutex(outer, { reentrant: true }), rt.mutex(inner)];
      for (const m of locks) expect(m.lockSync()).toBe(true);
      for (const m of locks) m.unlock();
      expect(rt.locks.visualizeHierarchy().nodes.map(({ name }) => name)).toEqual([outer, inner]);
      // The last number that was given back is the first to be given out: C gets what B had, in the other direction.
      for (const m of locks) expect(m.forget()).toBe(true);
      expect(rt.locks.visualizeHierarchy().edges).toEqual([]);
    }
    const again = rt.mutex('A', { reentrant: false });
    expect(again.snapshot()).toMatchObject({ acquisitions: 0, isLocked: false, waiters: [] });
    expect(seen).toEqual([]);
  });

  it('two names with swapped numbers are no cycle, and reports have the new names', async () => {
    const rt = await open();
    const seen = violationsOf(rt);
    const take = (outer: string, inner: string): void => {
      const locks = [rt.mutex(outer), rt.mutex(inner)];
      for (const m of locks) m.lockSync();
      for (const m of locks.reverse()) m.unlock();
    };
    take('A', 'B');
    for (const name of ['A', 'B']) {
      // Two handles of each: both go.
      const m = rt.mutex(name);
      expect(m.forget()).toBe(false);
    }
    expect(seen).toEqual([]);
    // Handles are kept by nobody but still open: the names stay.
    take('B', 'A');
    expect(seen.map(({ locks }) => [...locks].sort())).toEqual([['A', 'B']]);
  });

  it('a lock that a worker has open stays until that has forgotten it too', async () => {
    const rt = await open();
    const pool = await openLockPool(rt, 1);
    expect(await pool.run('openAndForget', ['shared', 3, 0])).toEqual([]);
    const m = rt.mutex('shared');
    const { id } = m;
    expect(m.forget()).toBe(false);
    expect(rt.mutex('shared').id).toBe(id);
    // Opened four times before, and once by this call: the last of five forgets is the one that counts.
    expect(await pool.run('openAndForget', ['shared', 0, 4])).toEqual([false, false, false, false]);
    expect(rt.mutex('shared').forget()).toBe(false);
  });

  it('workers that make, share and forget locks at once lose none and keep none', async () => {
    const rt = await open({ locks: { maxLocks: 64 } });
    const pool = await openLockPool(rt, 4);
    const each = 2000;
    await Promise.all(Array.from({ length: 4 }, (_, i) => pool.run('requests', [i, each, 4])));
    const counts = [0, 1, 2, 3].map((i) => rt.atomicInt32(`request ${i}:count`).load());
    expect(counts.reduce((a, b) => a + b)).toBe(4 * each);
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    for (let i = 0; i < 64; i++) rt.mutex(`room ${i}`);
  });

  it('a forgotten handle is refused, whatever is called; forgetting it again does nothing', async () => {
    const rt = await open();
    const m = rt.mutex('gone');
    expect([m.forget(), m.forget()]).toEqual([true, false]);
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', resource: 'gone' });
    await expect(m.lock()).rejects.toEqual(refused);
    await expect(m.tryLock(5)).rejects.toEqual(refused);
    await expect(m.acquire()).rejects.toEqual(refused);
    await expect(m.runExclusive(() => 1)).rejects.toEqual(refused);
    const calls = [
      () => m.lockSync(),
      () => m.tryLockNow(),
      () => m.unlock(),
      () => m.isLocked,
      () => m.isAbandoned,
      () => m.snapshot(),
      () => m.withObserver({ lockAcquired() {}, lockReleased() {}, lockWait() {} }),
    ];
    for (const call of calls) expect(call).toThrow(refused);
    expect(() => rt.locks.validateOrder(m)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    );
  });

  it('a lock that this thread holds or waits for cannot be forgotten', async () => {
    const rt = await open();
    const m = rt.mutex('held');
    m.lockSync();
    expect(() => m.forget()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    const other = rt.mutex('held');
    expect(other.forget()).toBe(false);
    m.unlock();
    expect(m.forget()).toBe(true);
  });

  it('a guard gives back what it holds, though its handle was forgotten meanwhile', async () => {
    const rt = await open();
    const [first, other] = [rt.mutex('held'), rt.mutex('held')];
    const guard = await first.acquire();
    expect(first.forget()).toBe(false);
    expect(other.isLocked).toBe(true);
    guard.release();
    expect(other.isLocked).toBe(false);
    guard.release();
    // The same while it waits.
    other.lockSync();
    const third = rt.mutex('held');
    const waits = third.acquire({ owner: rt.createOwner() });
    expect(third.forget()).toBe(false);
    other.unlock();
    (await waits).release();
    expect(other.isLocked).toBe(false);
    expect(other.forget()).toBe(true);
  });

  it('an abandoned lock keeps its name, so that its state is seen', async () => {
    const rt = await open();
    violationsOf(rt);
    const m = rt.mutex('A');
    rt.withOwner(() => m.lockSync());
    expect(m.forget()).toBe(false);
    expect(() => rt.mutex('A').lockSync()).toThrow(expect.objectContaining({ code: 'ERR_LOCK_ABANDONED' }));
    const heir = rt.mutex('A', { onAbandoned: 'recover' });
    heir.lockSync();
    heir.unlock();
    expect(heir.isAbandoned).toBe(false);
  });
});
