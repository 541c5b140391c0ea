import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type ContextMutex, LockOwner, type Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import {
  gateOf,
  isPending,
  openRuntime,
  outcome,
  rejectionOf,
  thrownBy,
  turn,
  until,
} from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const count = (rt: Runtime, name: string): number => rt.atomicInt32(`${name}:count`).load();

/** Adds to the count in two steps, with a turn of microtasks between. */
async function bump(rt: Runtime, name: string): Promise<void> {
  const cell = rt.atomicInt32(`${name}:count`);
  const value = cell.load();
  await undefined;
  cell.store(value + 1);
}

describe('on the main thread', () => {
  it('locks and unlocks', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('a');
    expect(m.isLocked).toBe(false);
    expect(await m.lock()).toBe(true);
    expect(m.isLocked).toBe(true);
    m.unlock();
    expect(m.isLocked).toBe(false);
    expect(m.lockSync()).toBe(true);
    expect(m.tryLockNow()).toBe(false);
    m.unlock();
    expect(m.tryLockNow()).toBe(true);
    m.unlock();
    expect(await m.tryLock()).toBe(true);
    m.unlock();
  });

  it('is the same lock by the same name', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('a');
    const same = rt.mutex('a');
    expect(same.id).toBe(m.id);
    expect(rt.mutex('b').id).not.toBe(m.id);
    await m.lock();
    expect(same.isLocked).toBe(true);
    same.unlock();
    expect(m.isLocked).toBe(false);
  });

  it('keeps flows with owners of their own apart, in order of arrival', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('a');
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        rt.withOwner(async () => {
          await m.lock();
          order.push(i);
          await bump(rt, 'a');
          m.unlock();
        }),
      ),
    );
    expect(count(rt, 'a')).toBe(50);
    expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it('runExclusive gives calls side by side owners of their own', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('a');
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        m.runExclusive(async () => {
          await bump(rt, 'a');
          return i;
        }),
      ),
    );
    expect(results).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(count(rt, 'a')).toBe(50);
    expect(m.isLocked).toBe(false);
    const failure = new Error('inside');
    expect(
      await rejectionOf(
        m.runExclusive(() => {
          throw failure;
        }),
      ),
    ).toBe(failure);
    expect(m.isLocked).toBe(false);
  });

  it('takes explicit owners', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('a');
    const one = rt.createOwner('one');
    const two = rt.createOwner('two');
    expect(one).toBeInstanceOf(LockOwner);
    expect(await m.lock({ owner: one })).toBe(true);
    const second = m.lock({ owner: two });
    expect(await isPending(second)).toBe(true);
    expect(thrownBy(() => m.unlock())).toMatchObject({ code: 'ERR_NOT_OWNER' });
    expect(thrownBy(() => m.unlock({ owner: two })).message).toContain('one');
    m.unlock({ owner: one });
    expect(await second).toBe(true);
    m.unlock({ owner: two });
    one.end();
    expect(await rejectionOf(m.lock({ owner: one }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  it('guards unlock once', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('a');
    const guard = await m.acquire();
    expect(m.isLocked).toBe(true);
    guard.release();
    expect(m.isLocked).toBe(false);
    const other = await m.acquire();
    guard.release();
    guard[Symbol.dispose]();
    await guard[Symbol.asyncDispose]();
    expect(m.isLocked).toBe(true);
    other[Symbol.dispose]();
    expect(m.isLocked).toBe(false);
  });

  it('a guard gives back its own hold, and not that of whoever came after its owner', async () => {
    const rt = await openRuntime();
    rt.locks.onViolation(() => undefined);
    const m = rt.mutex('A', { onAbandoned: 'recover' });
    const owners: LockOwner[] = [];
    const end = gateOf(rt);
    const late = rt.withOwner((owner) => {
      owners.push(owner);
      // Not awaited: the context ends first.
      return { left: m.runExclusive(() => until(() => end.waiting > 0)) };
    });
    expect(owners[0]!.hasEnded).toBe(true);
    await until(() => m.isAbandoned);
    await rt.withOwner(async () => {
      expect(await m.lock()).toBe(true);
      rt.atomicInt32(`${end.name}:in`).store(1);
      expect(await rejectionOf(late.left)).toMatchObject({ code: 'ERR_NOT_OWNER' });
      expect(m.isLocked).toBe(true);
      m.unlock();
    });
    expect(m.isLocked).toBe(false);
  });

  it('a guard keeps the owner that nobody else has kept', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    const take = () => m.acquire({ owner: rt.createOwner('request') });
    const guard = await take();
    // What is dropped is collected by now, and told.
    let collected = false;
    const dropped = new FinalizationRegistry(() => {
      collected = true;
    });
    dropped.register({}, undefined);
    while (!collected) {
      collect();
      await turn();
    }
    expect(m.isLocked).toBe(true);
    guard.release();
    expect(m.isLocked).toBe(false);
    expect(m.isAbandoned).toBe(false);
  });

  it('tryLock() of who has it says false, with a timeout and without', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('a');
    await m.lock();
    expect([m.tryLockNow(), await m.tryLock(), await m.tryLock(5)]).toEqual([false, false, false]);
    m.unlock();
    expect(await m.tryLock(5)).toBe(true);
    m.unlock();
  });

  it('can be taken again when it is reentrant', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('a', { reentrant: true });
    await m.lock();
    await m.lock();
    expect(m.tryLockNow()).toBe(true);
    expect(m.lockSync()).toBe(true);
    for (let i = 0; i < 3; i++) m.unlock();
    expect(m.isLocked).toBe(true);
    m.unlock();
    expect(m.isLocked).toBe(false);
    expect(thrownBy(() => m.unlock())).toMatchObject({ code: 'ERR_NOT_OWNER' });
  });

  it('nested owners are owners of their own', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('a');
    await rt.withOwner(async () => {
      await m.lock();
      expect(rt.withOwner(() => m.tryLockNow())).toBe(false);
      expect(thrownBy(() => rt.withOwner(() => m.unlock()))).toMatchObject({ code: 'ERR_NOT_OWNER' });
      m.unlock();
    });
    expect(rt.withOwner(() => 5)).toBe(5);
  });
});

describe('in workers', () => {
  const ways: readonly (readonly [string, number])[] = [
    ['countSync', 3000],
    ['countAsync', 500],
    ['countTrying', 2000],
  ];
  for (const [way, times] of ways) {
    it(`keeps workers apart: ${way}`, async () => {
      const rt = await openRuntime();
      const pool = await openLockPool(rt, 3);
      const counts = await Promise.all([1, 2, 3].map(() => pool.run(way, ['a', times])));
      expect(counts).toEqual([times, times, times]);
      expect(count(rt, 'a')).toBe(3 * times);
      expect(rt.mutex('a').isLocked).toBe(false);
    });
  }

  it('keeps workers, tasks of one worker and the main thread apart', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2, { concurrentTasksPerWorker: 4 });
    const m = rt.mutex('a');
    const onMain = async (): Promise<void> => {
      for (let i = 0; i < 300; i++) await m.runExclusive(() => bump(rt, 'a'));
    };
    await Promise.all([
      pool.run('countSync', ['a', 2000]),
      ...Array.from({ length: 6 }, () => pool.run('countAsync', ['a', 300])),
      onMain(),
      onMain(),
    ]);
    expect(count(rt, 'a')).toBe(2000 + 6 * 300 + 2 * 300);
  });

  it('a worker that waits gets the lock of the main thread, and the other way round', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const m = rt.mutex('a');
    await m.lock();
    const gate = gateOf(rt);
    const inWorker = pool.run('takeSync', ['a', gate.name]);
    await gate.reached(1);
    await until(() => rt.locks.snapshot().pending.length === 1);
    m.unlock();
    expect(await inWorker).toEqual({ ok: true, value: true });

    const hold = gateOf(rt);
    const holding = pool.run('holdLock', ['a', hold.name]);
    await hold.reached(1);
    const mine = m.lock();
    expect(await isPending(mine)).toBe(true);
    hold.open();
    expect(await mine).toBe(true);
    m.unlock();
    expect(await holding).toBe(true);
  });
});

describe('names and limits', () => {
  it('opens many locks, each its own', async () => {
    const rt = await openRuntime({ locks: { maxLocks: 3000 } });
    const locks = new Map<number, ContextMutex>();
    for (let i = 0; i < 3000; i++) {
      const m = rt.mutex(`lock ${i}`);
      locks.set(m.id, m);
    }
    expect(locks.size).toBe(3000);
    for (let i = 0; i < 3000; i++) expect(rt.mutex(`lock ${i}`)).toMatchObject({ name: `lock ${i}` });
    expect(thrownBy(() => rt.mutex('one more'))).toMatchObject({
      code: 'ERR_RESOURCE_LIMIT',
      resource: 'one more',
    });
    expect(rt.mutex('lock 7').tryLockNow()).toBe(true);
  });

  it('refuses a name with other options, and takes what is not said as it is', async () => {
    const rt = await openRuntime();
    rt.mutex('a', { class: 'account', order: 7, reentrant: true, maxHoldTimeMs: 1000 });
    rt.mutex('a');
    rt.mutex('a', { class: 'account' });
    const clashes = [
      { class: 'other' },
      { order: 8 },
      { reentrant: false },
      { maxHoldTimeMs: 999 },
      { checks: { waits: 'off' } },
    ] as const;
    for (const options of clashes) {
      expect(thrownBy(() => rt.mutex('a', options))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        resource: 'a',
      });
    }
    const pool = await openLockPool(rt, 1);
    expect(await pool.run('openLock', ['a', { reentrant: false }])).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await pool.run('openLock', ['a', { reentrant: true }])).toMatchObject({ ok: true });
    expect(rt.mutex('account', { class: 'x' }).snapshot()).toMatchObject({ name: 'account', class: 'x' });
  });

  it('refuses wrong names and options', async () => {
    const rt = await openRuntime();
    const wrong: readonly (readonly [unknown, unknown])[] = [
      ['', {}],
      [5, {}],
      ['a'.repeat(513), {}],
      ['a', { reentrant: 1 }],
      ['a', { order: Number.NaN }],
      ['a', { maxHoldTimeMs: 0 }],
      ['a', { onAbandoned: 'ignore' }],
      ['a', { checks: { order: 'maybe' } }],
      ['a', { class: '' }],
      ['a', { unknown: 1 }],
      ['a', 5],
      // As bytes it would be the name U+FFFD.
      ['\ud800', {}],
      ['a', { class: '\ud800' }],
    ];
    for (const [name, options] of wrong) {
      expect(thrownBy(() => rt.mutex(name as string, options as object))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
      });
    }
    rt.mutex('é'.repeat(256));
    const m = rt.mutex('b');
    const contexts: unknown[] = [
      { signal: 1 },
      { timeoutMs: -1 },
      { owner: {} },
      { qos: 'x' },
      { other: 1 },
      5,
    ];
    for (const ctx of contexts) {
      expect(await outcome(m.lock(ctx as object))).toMatchObject({ error: { code: 'ERR_INVALID_ARGUMENT' } });
      expect(await outcome(m.acquire(ctx as object))).toMatchObject({
        error: { code: 'ERR_INVALID_ARGUMENT' },
      });
      expect(thrownBy(() => m.lockSync(ctx as object))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(m.isLocked).toBe(false);
  });
});
