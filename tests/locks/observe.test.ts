import { Worker } from 'node:worker_threads';
import type { LockObserver, LockViolation, Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import { fixture, gateOf, openRuntime, outcome, rejectionOf, thrownBy, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

interface Noted extends LockObserver {
  readonly notes: (readonly [what: string, id: number])[];
  readonly stacks: string[];
  readonly waits: number[];
}

function observer(throws = false): Noted {
  const notes: [string, number][] = [];
  const stacks: string[] = [];
  const waits: number[] = [];
  const note = (what: string, id: number): void => {
    notes.push([what, id]);
    if (throws) throw new Error('observer');
  };
  return {
    notes,
    stacks,
    waits,
    lockAcquired(id, stack) {
      stacks.push(stack);
      note('acquired', id);
    },
    lockReleased: (id) => note('released', id),
    lockWait(id, durationMs) {
      waits.push(durationMs);
      note('wait', id);
    },
  };
}

describe('snapshot', () => {
  it('shows what all threads hold and wait for, in the shape of navigator.locks.query()', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2, { name: 'bank' });
    const m = rt.mutex('A', { class: 'account', order: 3 });
    const gate = gateOf(rt);
    const holding = pool.run('holdLock', ['A', gate.name]);
    await gate.reached(1);
    const waiting = pool.run('takeSync', ['A']);
    const mine = rt.withOwner(() => m.lock(), 'request 7');
    await until(() => rt.locks.snapshot().pending.length === 2);
    const { held, pending } = rt.locks.snapshot();
    const holder = held[0]!.clientId;
    expect(held).toEqual([{ name: 'A', mode: 'exclusive', clientId: holder }]);
    expect(holder).toMatch(/^task 'holdLock' on worker \d of pool 'bank'$/);
    expect(pending.map(({ name, mode }) => [name, mode])).toEqual([
      ['A', 'exclusive'],
      ['A', 'exclusive'],
    ]);
    const waiters = pending.map(({ clientId }) => clientId).sort();
    expect(waiters[0]).toBe('request 7 of the main thread');
    expect(waiters[1]).toMatch(/^task 'takeSync' on worker/);
    const { waiters: own, ...rest } = m.snapshot();
    expect([...own].sort()).toEqual(waiters);
    expect(rest).toEqual({
      id: m.id,
      name: 'A',
      class: 'account',
      order: 3,
      isLocked: true,
      isAbandoned: false,
      owner: holder,
      acquisitions: 1,
    });
    gate.open();
    await Promise.all([holding, waiting]);
    expect(await mine).toBe(true);
  });
});

describe('an observer', () => {
  it('hears of what is done through its handle, with stacks and durations', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const plain = rt.mutex('A');
    const noted = observer();
    const m = plain.withObserver(noted);
    expect(m.id).toBe(plain.id);
    await m.lock();
    m.unlock();
    plain.lockSync();
    plain.unlock();
    m.lockSync();
    m.unlock();
    expect(m.tryLockNow()).toBe(true);
    m.unlock();
    const gate = gateOf(rt);
    const holding = pool.run('holdLock', ['A', gate.name]);
    await gate.reached(1);
    const mine = m.lock();
    const short = rt.withOwner(() => m.lock({ timeoutMs: 1 }));
    expect(await short).toBe(false);
    gate.open();
    expect(await mine).toBe(true);
    await holding;
    m.unlock();
    const pair = ['acquired', 'released'];
    expect(noted.notes.map(([what]) => what)).toEqual([
      ...pair,
      ...pair,
      ...pair,
      'wait',
      'wait',
      'acquired',
      'released',
    ]);
    expect(new Set(noted.notes.map(([, id]) => id))).toEqual(new Set([m.id]));
    for (const stack of noted.stacks.slice(0, 3)) expect(stack).toMatch(/^at .*observe\.test\.ts/);
    for (const wait of noted.waits) expect(wait).toBeGreaterThan(0);
  });

  it('that throws changes nothing; several are all told', async () => {
    const rt = await openRuntime();
    const [bad, good] = [observer(true), observer()];
    const m = rt.mutex('A', { reentrant: true }).withObserver(bad).withObserver(good);
    await m.runExclusive(() => {
      expect(m.lockSync()).toBe(true);
      m.unlock();
    });
    expect(await m.lock()).toBe(true);
    m.unlock();
    expect(m.isLocked).toBe(false);
    expect(bad.notes).toEqual(good.notes);
    expect(good.notes.map(([what]) => what)).toEqual(['acquired', 'released', 'acquired', 'released']);
    expect(thrownBy(() => m.withObserver(5 as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(thrownBy(() => m.unlock())).toMatchObject({ code: 'ERR_NOT_OWNER' });
    expect(good.notes).toHaveLength(4);
  });

  it('whose promise is rejected changes nothing either, nor does a listener for reports', async () => {
    const unheard: unknown[] = [];
    const hear = (error: unknown): number => unheard.push(error);
    process.on('unhandledRejection', hear);
    const fail = async (): Promise<void> => {
      throw new Error('later');
    };
    const rt = await openRuntime({ locks: { order: 'off' } });
    const observer = { lockAcquired: fail, lockReleased: fail, lockWait: fail };
    const m = rt.mutex('A').withObserver(observer);
    await m.lock();
    const waits = rt.withOwner(async () => {
      await m.lock();
      m.unlock();
    });
    m.unlock();
    await waits;
    const flag = rt.atomicBool('b').withObserver(observer);
    flag.store(true);
    expect(flag.compareAndSwap(false, true)).toBe(false);
    flag.store(false);
    const warned = new Promise((resolve) => process.once('warning', resolve));
    rt.locks.onViolation(fail);
    rt.withOwner(() => m.lockSync());
    expect(String(await warned)).toContain('a listener for lock violations threw Error: later at:');
    await new Promise((resolve) => setTimeout(resolve, 10));
    process.off('unhandledRejection', hear);
    expect(unheard).toEqual([]);
  });
});

describe('Error.prepareStackTrace of the program', () => {
  it('may make anything of a stack, or throw: locks are taken and told of all the same', async () => {
    const before = Error.prepareStackTrace;
    const rt = await openRuntime({ locks: { stacks: 'all', order: 'off' } });
    const noted = observer();
    const m = rt.mutex('A', { maxHoldTimeMs: 60_000 }).withObserver(noted);
    const ways: readonly (typeof Error.prepareStackTrace)[] = [
      (_, frames) => frames,
      () => undefined,
      () => 5,
      () => {
        throw new Error('no stacks here');
      },
    ];
    try {
      for (const way of ways) {
        Error.prepareStackTrace = way;
        expect(await m.lock()).toBe(true);
        m.unlock();
        expect(m.lockSync()).toBe(true);
        const waits = rt.withOwner(() => m.lock({ timeoutMs: 1 }));
        expect(await waits).toBe(false);
        m.unlock();
      }
    } finally {
      Error.prepareStackTrace = before;
    }
    expect(m.isLocked).toBe(false);
    expect(noted.stacks).toHaveLength(2 * ways.length);
    for (const stack of noted.stacks.slice(0, 2)) expect(stack).toMatch(/^at .*observe\.test\.ts/);
    expect(noted.stacks.slice(2).every((stack) => stack === '')).toBe(true);
  });
});

describe('an observer of an atomic', () => {
  it('hears who makes it something other than 0, who makes it 0 again, and who found another value', async () => {
    const rt = await openRuntime();
    const noted = observer();
    const plain = rt.atomicInt32('n');
    const n = plain.withObserver(noted);
    const done = [
      n.add(0),
      n.compareAndSwap(0, 5),
      n.compareAndSwap(0, 6),
      n.add(-5),
      n.swap(7),
      n.swap(8),
      n.load(),
      n.add(-8),
    ];
    n.store(2 ** 32);
    n.store(3);
    plain.store(0);
    expect(done).toEqual([0, true, false, 0, 0, 7, 8, 0]);
    const [taken, given, busy] = ['acquired', 'released', 'wait'];
    expect(noted.notes.map(([what]) => what)).toEqual([taken, busy, given, taken, given, taken]);
    expect(new Set(noted.notes.map(([, id]) => id)).size).toBe(1);
    for (const stack of noted.stacks) expect(stack).toMatch(/^at .*observe\.test\.ts/);

    const flags = observer(true);
    const flag = rt.atomicBool('b').withObserver(flags).withObserver(noted);
    expect([flag.compareAndSwap(false, true), flag.compareAndSwap(false, true)]).toEqual([true, false]);
    flag.store(false);
    expect([flag.swap(true), flag.load()]).toEqual([false, true]);
    expect(flags.notes.map(([what]) => what)).toEqual([taken, busy, given, taken]);
    expect(thrownBy(() => plain.withObserver({} as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(thrownBy(() => flag.withObserver(5 as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    rt.monitor.trackAtomic('n', n);
    n.add(1);
    expect(rt.monitor.atomicOpCount().get('n')).toBe(1n);
  });
});

describe('an observer of a pool', () => {
  it('hears of each call, also one that fails, and changes nothing when it throws', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, { maxQueue: 1 });
    const [bad, noted] = [observer(true), observer()];
    expect(pool.withObserver(bad).withObserver(noted)).toBe(pool);
    const gate = gateOf(rt);
    const first = pool.run('holdLock', ['A', gate.name]);
    await gate.reached(1);
    const second = outcome(pool.run('throwHeld', ['B']));
    expect(await rejectionOf(pool.run('countForeign', ['x']))).toMatchObject({ code: 'ERR_QUEUE_FULL' });
    gate.open();
    expect(await first).toBe(true);
    expect(await second).toMatchObject({ ok: false });
    const end = ['wait', 'released'];
    expect(noted.notes.map(([what]) => what)).toEqual(['acquired', 'acquired', ...end, ...end]);
    expect(bad.notes).toEqual(noted.notes);
    for (const stack of noted.stacks) expect(stack).toMatch(/^at .*observe\.test\.ts/);
    for (const wait of noted.waits) expect(wait).toBeGreaterThan(0);
    expect(thrownBy(() => pool.withObserver({} as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});

describe('maxHoldTimeMs', () => {
  const listen = (rt: Runtime): LockViolation[] => {
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    return reports;
  };

  it('exceeded on the main thread is reported with where it was taken, once a hold', async () => {
    const rt = await openRuntime();
    const reports = listen(rt);
    const m = rt.mutex('A', { maxHoldTimeMs: 10 });
    for (let i = 1; i <= 2; i++) {
      await m.lock();
      await until(() => reports.length === i);
      await new Promise((resolve) => setTimeout(resolve, 30));
      m.unlock();
    }
    expect(reports).toHaveLength(2);
    expect(reports[0]).toMatchObject({ kind: 'hold-time', locks: ['A'], owner: 'the main thread' });
    expect(reports[0]!.message).toMatch(
      /has held lock 'A' for \d+ ms; its maxHoldTimeMs is 10\n {2}taken at /,
    );
    expect(reports[0]!.stack).toContain('observe.test.ts');
    await m.lock();
    m.unlock();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(reports).toHaveLength(2);
  });

  it('exceeded by a worker that never comes to its event loop is seen from outside', async () => {
    const rt = await openRuntime();
    const reports = listen(rt);
    const pool = await openLockPool(rt, 1);
    const gate = gateOf(rt);
    const holding = pool.run('holdLock', ['A', gate.name, { maxHoldTimeMs: 10 }]);
    await until(() => reports.length === 1);
    expect(reports[0]!.owner).toMatch(/^task 'holdLock' on worker 0/);
    expect(reports[0]!.stack).toContain('holdLock');
    gate.open();
    await holding;
  });

  it('exceeded by a thread that joined is reported there, whichever handles it takes and unlocks with; shorter holds are not', async () => {
    const rt = await openRuntime();
    const worker = new Worker(fixture('attaches-locks.mjs'), {
      workerData: { handle: rt.handle, what: 'holds' },
    });
    const reports = await new Promise((resolve) => worker.once('message', resolve));
    expect(reports).toEqual([
      expect.stringMatching(/has held lock 'B' for \d+ ms; its maxHoldTimeMs is 200$/),
      expect.stringMatching(/has held lock 'B' for \d+ ms; its maxHoldTimeMs is 200$/),
    ]);
  });
});

describe("stacks: 'all'", () => {
  it('tells where each lock was taken', async () => {
    const rt = await openRuntime({ locks: { stacks: 'all' } });
    const pool = await openLockPool(rt, 1);
    const a = rt.mutex('A');
    const gate = gateOf(rt);
    await a.lock();
    const inWorker = pool.run('lockBoth', ['B', 'A', gate.name]);
    await gate.reached(1);
    gate.open();
    await until(() => rt.locks.snapshot().pending.length === 1);
    const error = await rejectionOf(rt.mutex('B').lock());
    expect(error.cycle[0].heldSince).toContain('observe.test.ts');
    expect(error.cycle[1].heldSince).toContain('lockBoth');
    expect(error.message).toContain('        taken\n');
    a.unlock();
    await inWorker;
  });
});
