// The scenarios "Waits" of lock-order and deadlock detectors: who waits for whom, across threads.
import { Worker } from 'node:worker_threads';
import {
  type Deadlock,
  type DeadlockError,
  type LockViolation,
  type Runtime,
  StaticSystems,
  type TaskPool,
} from 'heddle';
import { describe, expect, it } from 'vitest';
import { WORD_CONTENDED } from '../../build/generated/layout.ts';
import { fixture, gateOf, isPending, openRuntime, outcome, rejectionOf, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

type Told = { ok: boolean; value?: boolean; code?: string; message?: string; cycle?: DeadlockError['cycle'] };

const waiting = (rt: Runtime, count: number): Promise<void> =>
  until(() => rt.locks.snapshot().pending.length >= count);

/** Runs a task for each pair of locks, lets all take their first lock, then all their second. */
async function ring(
  rt: Runtime,
  pool: TaskPool,
  task: string,
  locks: readonly string[],
  ctx?: object,
): Promise<Told[]> {
  const gate = gateOf(rt);
  const runs = locks.map((lock, i) =>
    pool.run(task, [lock, locks[(i + 1) % locks.length], gate.name, ...(ctx === undefined ? [] : [ctx])]),
  ) as Promise<Told>[];
  await gate.reached(locks.length);
  gate.open();
  return Promise.all(runs);
}

/** One had to give up, with the whole cycle; the others got what they wanted. */
function expectOneVictim(results: readonly Told[], locks: readonly string[]): DeadlockError['cycle'] {
  const victims = results.filter(({ ok }) => !ok);
  expect(victims).toHaveLength(1);
  const { code, cycle } = victims[0]!;
  expect(code).toBe('ERR_DEADLOCK');
  expect(cycle!.map((party) => party.lock).sort()).toEqual([...locks].sort());
  // Each holds what the one before it waits for.
  for (const [i, party] of cycle!.entries()) {
    expect(cycle![(i + 1) % cycle!.length]!.holds).toContain(party.lock);
  }
  for (const other of results.filter(({ ok }) => ok)) expect(other.value).toBe(true);
  return cycle!;
}

describe('Waits', () => {
  it('A-B across two workers', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2, { name: 'bank' });
    const results = await ring(rt, pool, 'lockBoth', ['A', 'B']);
    expectOneVictim(results, ['A', 'B']);
    const { message } = results.find(({ ok }) => !ok)!;
    expect(message).toMatch(/^deadlock: 2 owners wait for each other\n/);
    expect(message).toMatch(/task 'lockBoth' on worker \d of pool 'bank'\n {6}holds {5}lock 'A'\n/);
    expect(message).toMatch(/waits for lock 'A'/);
    // Where each of the two waits.
    expect(message!.match(/at lockBoth .*locks\.mjs/g)).toHaveLength(2);
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
  });

  it('A-B between async tasks of one worker', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
    expectOneVictim(await ring(rt, pool, 'lockBothAsync', ['A', 'B']), ['A', 'B']);
  });

  it('worker and main thread', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const [a, b] = [rt.mutex('A'), rt.mutex('B')];
    await a.lock();
    const gate = gateOf(rt);
    const inWorker = pool.run('lockBoth', ['B', 'A', gate.name]) as Promise<Told>;
    await gate.reached(1);
    gate.open();
    await waiting(rt, 1);
    const error = await rejectionOf(b.lock());
    expect(error).toMatchObject({ code: 'ERR_DEADLOCK', name: 'DeadlockError', resource: 'B' });
    expect(error.cycle).toHaveLength(2);
    expect(error.cycle[0].label).toBe('the main thread');
    expect(error.cycle[1]).toMatchObject({ lock: 'A', holds: ['B'] });
    expect(error.cycle[1].stack).toContain('lockBoth');
    a.unlock();
    expect(await inWorker).toEqual({ ok: true, value: true });
  });

  it('ring of 8', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 8);
    const locks = Array.from({ length: 8 }, (_, i) => `lock ${i}`);
    const cycle = expectOneVictim(await ring(rt, pool, 'lockBoth', locks), locks);
    expect(cycle).toHaveLength(8);
  });

  it('owner with two waiters', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 3);
    const a = rt.mutex('A');
    await a.lock();
    const gate = gateOf(rt);
    const first = pool.run('lockBoth', ['B', 'A', gate.name]) as Promise<Told>;
    const second = pool.run('lockBoth', ['C', 'A', gate.name]) as Promise<Told>;
    await gate.reached(2);
    gate.open();
    await waiting(rt, 2);
    // One of the two waiters is in the cycle; the other only waits behind it.
    const error = await rejectionOf(rt.mutex('C').lock());
    expect(error.cycle.map((party: { lock: string }) => party.lock)).toEqual(['C', 'A']);
    a.unlock();
    expect(await Promise.all([first, second])).toEqual([
      { ok: true, value: true },
      { ok: true, value: true },
    ]);
  });

  it('lock -> pool.run -> the task wants the lock', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const m = rt.mutex('A');
    for (const task of ['takeSync', 'takeAsync']) {
      const told = await m.runExclusive(async () => (await pool.run(task, ['A'])) as Told);
      expect(told).toMatchObject({ ok: false, code: 'ERR_DEADLOCK' });
      expect(told.cycle).toHaveLength(2);
      const holder = told.cycle!.find((party) => party.wait === 'task');
      expect(holder).toMatchObject({ waitsFor: `task '${task}'`, holds: ['A'] });
    }
    const both = await m.runExclusive(() =>
      Promise.all([pool.run('countForeign', ['x']), pool.run('takeSync', ['A']).then((value) => value)]),
    );
    expect(both).toMatchObject([true, { ok: false, code: 'ERR_DEADLOCK' }]);
  });

  it('lock -> pool.run, not awaited: no deadlock', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    let told: unknown;
    let all: Promise<unknown> | undefined;
    await rt.mutex('A').runExclusive(async () => {
      void pool.run('takeSync', ['A']).then((value) => {
        told = value;
      });
      await waiting(rt, 1);
      await new Promise((resolve) => setTimeout(resolve, 30));
      all = Promise.all([pool.run('takeSync', ['A'])]);
    });
    await until(() => told !== undefined);
    expect(told).toEqual({ ok: true, value: true });
    expect(await all).toEqual([{ ok: true, value: true }]);
    expect(reports).toEqual([]);
  });

  it.each<[string, (run: () => Promise<unknown>) => Promise<unknown>]>([
    ['Promise.all', (run) => Promise.all([run()]).then(([told]) => told)],
    ['an async helper', async (run) => await run()],
  ])('lock -> pool.run, awaited only after the unlock, by %s: no deadlock', async (_name, start) => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const m = rt.mutex('A');
    const told = await rt.withOwner(async () => {
      await m.lock();
      const call = start(() => pool.run('takeSync', ['A']));
      await waiting(rt, 1);
      await new Promise((resolve) => setTimeout(resolve, 200));
      m.unlock();
      return call;
    });
    expect(told).toEqual({ ok: true, value: true });
    expect(reports).toEqual([]);
  });

  it('lock -> pool.run by a thread without owners: reported, as another flow may unlock', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const m = rt.mutex('A');
    await m.lock();
    const told = outcome(pool.run('takeSync', ['A']));
    await until(() => reports.length > 0);
    expect(reports[0]).toMatchObject({ kind: 'deadlock', locks: ['A'] });
    expect(reports[0]!.message).toContain('nobody gave up');
    m.unlock();
    expect(await told).toEqual({ ok: true, value: { ok: true, value: true } });
  });

  it.each([
    ['join while holding', 'joinHolding'],
    ['await of a fork while holding', 'awaitHolding'],
    ['await of a fork while a context holds', 'awaitHoldingInContext'],
  ])('%s', async (_, task) => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2);
    const told = (await pool.run(task, ['A'])) as Told;
    expect(told).toMatchObject({ ok: false, code: 'ERR_DEADLOCK' });
    expect(told.cycle!.map((party) => party.wait).sort()).toEqual(['lock', 'task']);
  });

  it('join while a context holds: it waits for its thread', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2);
    const told = (await pool.run('joinHoldingInContext', ['A'])) as Told;
    expect(told).toMatchObject({ ok: false, code: 'ERR_DEADLOCK' });
    expect(told.cycle!.map((party) => party.wait).sort()).toEqual(['lock', 'task', 'thread']);
  });

  it('a phantom (the cycle opens between two looks): many transfers, no order, none reported but real ones', async () => {
    const rt = await openRuntime({ locks: { order: 'off' } });
    const pool = await openLockPool(rt, 3);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    // With a gate around both, no deadlock can be.
    const results = await Promise.all(
      Array.from({ length: 3 }, (_, i) => pool.run('gatedTransfers', ['p', 3, 300, i + 1])),
    );
    expect(results).toEqual([300, 300, 300]);
    expect(reports).toEqual([]);
    expect(rt.locks.metrics().deadlocks).toBe(0);
  });

  it('who gives up is told the whole cycle, also when it has opened meanwhile', async () => {
    const rt = await openRuntime({ locks: { order: 'off', strategy: 'abort-youngest' } });
    const pool = await openLockPool(rt, 1);
    const [a, b] = [rt.mutex('A'), rt.mutex('B')];
    const [gate, later] = [gateOf(rt), gateOf(rt)];
    const elder = pool.run('lockBothThenHold', ['A', 'B', gate.name, { timeoutMs: 20 }, later.name]);
    await gate.reached(1);
    await rt.withOwner(async () => {
      await b.lock();
      const told = rejectionOf(a.lock());
      await waiting(rt, 1);
      gate.open();
      // The worker aborts our wait and gives its own up before this event loop hears of anything.
      const pause = new Int32Array(new SharedArrayBuffer(4));
      while (rt.atomicInt32(`${later.name}:in`).load() === 0) Atomics.wait(pause, 0, 0, 1);
      const error = await told;
      expect(error).toMatchObject({ code: 'ERR_DEADLOCK', resource: 'A' });
      expect(error.cycle.map(({ lock, holds }: DeadlockError['cycle'][number]) => [lock, holds])).toEqual([
        ['A', ['B']],
        ['B', ['A']],
      ]);
      expect(error.message).toMatch(/^deadlock: 2 owners wait for each other\n {2}the younger of /);
      b.unlock();
    }, 'the younger');
    later.open();
    expect(await elder).toBe(false);
  });

  it.each(['it', 'the other'])(
    'an owner that waits for two locks at once: reported; %s closes the cycle',
    async (last) => {
      const rt = await openRuntime({ locks: { order: 'off' } });
      const pool = await openLockPool(rt, 1);
      const reports: LockViolation[] = [];
      rt.locks.onViolation((violation) => reports.push(violation));
      const [a, b, c] = [rt.mutex('A'), rt.mutex('B'), rt.mutex('C')];
      const [first, other] = [rt.createOwner('first'), rt.createOwner('other')];
      await a.lock({ owner: first });
      await b.lock({ owner: other });
      const gate = gateOf(rt);
      const together = pool.run('lockTogether', ['C', ['A', 'B'], gate.name]);
      await gate.reached(1);
      const stop = new AbortController();
      const wantsC = (): Promise<boolean> => c.lock({ owner: other, signal: stop.signal });
      let waits = last === 'it' ? wantsC() : undefined;
      gate.open();
      await waiting(rt, last === 'it' ? 3 : 2);
      waits ??= wantsC();
      await until(() => reports.length > 0);
      expect(reports).toHaveLength(1);
      expect(reports[0]).toMatchObject({ kind: 'deadlock' });
      expect(reports[0]!.message).toContain('waits for several locks at once');
      expect([...reports[0]!.locks].sort()).toEqual(['B', 'C']);
      expect(reports[0]!.message.match(/at lockTogether .*locks\.mjs|at wantsC/g)).toHaveLength(2);
      expect(await isPending(waits)).toBe(true);
      stop.abort();
      expect(await waits).toBe(false);
      a.unlock({ owner: first });
      b.unlock({ owner: other });
      expect(await together).toEqual([true, true]);
      expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    },
  );

  it('a timed wait marked breakable', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const a = rt.mutex('A');
    await a.lock();
    const gate = gateOf(rt);
    const inWorker = pool.run('lockBoth', ['B', 'A', gate.name, { timeoutMs: 60_000 }]) as Promise<Told>;
    await gate.reached(1);
    gate.open();
    await waiting(rt, 1);
    const error = await rejectionOf(rt.mutex('B').lock());
    expect(error.cycle.map((party: { breakable: boolean }) => party.breakable)).toEqual([false, true]);
    expect(error.message).toContain('has a timeout or a signal');
    a.unlock();
    expect(await inWorker).toEqual({ ok: true, value: true });
  });

  it('a try is no cause of a deadlock, but part of one', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const a = rt.mutex('A');
    await a.lock();
    const gate = gateOf(rt);
    const inWorker = pool.run('lockBoth', ['B', 'A', gate.name]) as Promise<Told>;
    await gate.reached(1);
    gate.open();
    // The worker says in the word that it sleeps when it has looked for a ring, and before it does.
    const words = new Int32Array(rt.handle.memory.buffer);
    await until(() => (Atomics.load(words, a.id >>> 2) & WORD_CONTENDED) !== 0);
    expect(await rt.mutex('B').tryLock(5)).toBe(false);
    a.unlock();
    expect(await inWorker).toEqual({ ok: true, value: true });
  });
});

describe('an owner that waits for one lock in several flows', () => {
  it('is no deadlock while one of them has it, for however long', async () => {
    const rt = await openRuntime();
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const [holder, owner] = [rt.createOwner(), rt.createOwner()];
    const m = rt.mutex('A');
    await m.lock({ owner: holder });
    const flows = [m.lock({ owner }), m.lock({ owner }), m.lock({ owner })];
    m.unlock({ owner: holder });
    expect(await flows[0]).toBe(true);
    // Longer than it takes until a wait is looked at again.
    await new Promise((resolve) => setTimeout(resolve, 2300));
    for (const flow of flows) {
      expect(await flow).toBe(true);
      m.unlock({ owner });
    }
    expect(reports).toEqual([]);
    expect(rt.locks.metrics().deadlocks).toBe(0);
  });
});

describe('asking again', () => {
  it('is ERR_DEADLOCK at once, on the main thread and in tasks', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    await m.lock();
    const error = await rejectionOf(m.lock());
    expect(error).toMatchObject({ code: 'ERR_DEADLOCK', resource: 'A' });
    expect(error.message).toContain('holds it already');
    expect(error.message).toContain('rt.withOwner');
    expect(await rejectionOf(m.acquire())).toMatchObject({ code: 'ERR_DEADLOCK' });
    expect(await m.tryLock()).toBe(false);
    expect(m.isLocked).toBe(true);
    m.unlock();
    await rt.withOwner(async () => {
      await m.lock();
      const inside = await rejectionOf(m.lock());
      expect(inside).toMatchObject({ code: 'ERR_DEADLOCK' });
      expect(inside.message).not.toContain('rt.withOwner');
      m.unlock();
    });
    const pool = await openLockPool(rt, 1);
    expect(await pool.run('lockTwice', ['A'])).toMatchObject({ ok: false, code: 'ERR_DEADLOCK' });
    expect(await pool.run('lockTwice', ['R', { reentrant: true }])).toEqual({ ok: true, value: true });
  });

  it('nested runExclusive is the same', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    const error = await rejectionOf(m.runExclusive(() => m.runExclusive(() => 1)));
    expect(error).toMatchObject({ code: 'ERR_DEADLOCK' });
    expect(m.isLocked).toBe(false);
  });

  it('a thread that would block itself is told', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    await rt.withOwner(async () => {
      await m.lock();
      let error: unknown;
      rt.withOwner(() => {
        try {
          m.lockSync();
        } catch (thrown) {
          error = thrown;
        }
      });
      expect(error).toMatchObject({ code: 'ERR_DEADLOCK' });
      m.unlock();
    });
    const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
    const gate = gateOf(rt);
    const other = gateOf(rt);
    const holding = pool.run('holdLockAsync', ['W', gate.name]);
    await gate.reached(1);
    other.open();
    expect(await pool.run('lockSyncAt', ['W', other.name])).toMatchObject({
      ok: false,
      code: 'ERR_DEADLOCK',
    });
    gate.open();
    expect(await holding).toBe(true);
  });
});

describe('a worker that holds a lock', () => {
  it('starts no foreign work while it joins', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2);
    // The children are the task's own, so they may run on top of it; what others queue may not.
    const joined = pool.run('joinHoldingNothingForeign', ['A', 200]);
    const foreign = Array.from({ length: 50 }, () => pool.run('takeSync', ['A']));
    expect(await joined).toEqual(Array.from({ length: 200 }, () => true));
    for (const told of await Promise.all(foreign)) expect(told).toEqual({ ok: true, value: true });
  });
});

describe('strategies', () => {
  /** A task of each class, in this order; each has one lock and wants the other's. */
  async function deadlockOf(rt: Runtime, pool: TaskPool, classes: readonly string[]): Promise<Told[]> {
    const gate = gateOf(rt);
    const names = ['A', 'B'];
    const runs: Promise<Told>[] = [];
    for (const [i, qos] of classes.entries()) {
      runs.push(
        pool.run('lockBoth', [names[i], names[1 - i], gate.name], { qos: qos as never }) as Promise<Told>,
      );
      await gate.reached(i + 1);
    }
    gate.open();
    return Promise.all(runs);
  }

  it('abort-youngest takes the owner that began last', async () => {
    const rt = await openRuntime({ locks: { strategy: 'abort-youngest' } });
    const pool = await openLockPool(rt, 2);
    for (let i = 0; i < 5; i++) {
      const [first, second] = await deadlockOf(rt, pool, ['Burstable', 'Burstable']);
      expect(first).toEqual({ ok: true, value: true });
      expect(second).toMatchObject({ ok: false, code: 'ERR_DEADLOCK' });
      expect(second!.cycle).toHaveLength(2);
    }
  });

  it('abort-lowest-qos takes the task of the lowest class', async () => {
    const rt = await openRuntime();
    rt.locks.resolver.strategy = 'abort-lowest-qos';
    const pool = await openLockPool(rt, 2);
    for (const classes of [
      ['BestEffort', 'Guaranteed'],
      ['Guaranteed', 'BestEffort'],
    ]) {
      const results = await deadlockOf(rt, pool, classes);
      for (const [i, result] of results.entries()) expect(result.ok).toBe(classes[i] === 'Guaranteed');
    }
  });

  it('report-only and mode report report, and everybody waits on', async () => {
    for (const locks of [{ strategy: 'report-only' }, { waits: 'report' }] as const) {
      const rt = await openRuntime({ locks: { order: 'off', ...locks } });
      const pool = await openLockPool(rt, 1);
      const reports: LockViolation[] = [];
      rt.locks.onViolation((violation) => reports.push(violation));
      const a = rt.mutex('A');
      await a.lock();
      const gate = gateOf(rt);
      const inWorker = pool.run('lockBoth', ['B', 'A', gate.name]) as Promise<Told>;
      await gate.reached(1);
      gate.open();
      await waiting(rt, 1);
      const stop = new AbortController();
      const mine = rt.mutex('B').lock({ signal: stop.signal });
      await until(() => reports.length > 0);
      expect(reports).toHaveLength(1);
      expect(reports[0]).toMatchObject({ kind: 'deadlock', error: { code: 'ERR_DEADLOCK' } });
      // Either may be the one that finds it: the worker is seen to wait before it looks.
      expect([...reports[0]!.locks].sort()).toEqual(['A', 'B']);
      expect(await isPending(mine)).toBe(true);
      stop.abort();
      expect(await mine).toBe(false);
      a.unlock();
      expect(await inWorker).toEqual({ ok: true, value: true });
    }
  });

  it('a report of workers comes to the runtime', async () => {
    const rt = await openRuntime({ locks: { order: 'off', waits: 'report' } });
    const pool = await openLockPool(rt, 2);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const gate = gateOf(rt);
    const runs = [
      pool.run('lockBoth', ['A', 'B', gate.name, { timeoutMs: 100 }]),
      pool.run('lockBoth', ['B', 'A', gate.name, { timeoutMs: 100 }]),
    ];
    await gate.reached(2);
    gate.open();
    await Promise.all(runs);
    await until(() => reports.length > 0);
    expect(reports[0]).toMatchObject({
      kind: 'deadlock',
      error: { code: 'ERR_DEADLOCK', name: 'DeadlockError' },
    });
    expect(reports[0]!.message).toContain('lockBoth');
  });

  it('a registered one decides for workers too, in the thread of the runtime', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2);
    const seen: Deadlock[] = [];
    rt.locks.resolver.registerStrategy('the one that waits for B', (deadlock) => {
      seen.push(deadlock);
      return { abort: deadlock.cycle.find((party) => party.lock === 'B')!.owner };
    });
    rt.locks.resolver.strategy = 'the one that waits for B';
    for (let i = 0; i < 5; i++) {
      const [first, second] = await deadlockOf(rt, pool, ['Burstable', 'Burstable']);
      expect(first).toMatchObject({ ok: false, code: 'ERR_DEADLOCK' });
      expect(second).toEqual({ ok: true, value: true });
    }
    expect(seen).toHaveLength(5);
    expect(seen[0]!.locks.slice().sort()).toEqual(['A', 'B']);
  });

  const next = (worker: Worker): Promise<unknown> =>
    new Promise((resolve) => worker.once('message', resolve));

  /** Two threads that joined, each of which has one of the locks. */
  async function attachedRing(rt: Runtime, blocks: boolean): Promise<Worker[]> {
    const workers = [
      ['A', 'B'],
      ['B', 'A'],
    ].map(
      (names) =>
        new Worker(fixture('attaches-locks.mjs'), {
          workerData: { handle: rt.handle, what: 'ring', names, blocks },
        }),
    );
    await Promise.all(workers.map(next));
    return workers;
  }

  it.each([false, true])(
    'a registered one decides for threads that joined too; they block: %s',
    async (blocks) => {
      const rt = await openRuntime({ locks: { order: 'off' } });
      const askedBy: string[] = [];
      rt.locks.resolver.registerStrategy('the one that waits for B', (deadlock) => {
        askedBy.push(deadlock.cycle[0]!.lock!);
        return { abort: deadlock.cycle.find((party) => party.lock === 'B')!.owner };
      });
      rt.locks.resolver.strategy = 'the one that waits for B';
      for (const last of [0, 1]) {
        const workers = await attachedRing(rt, blocks);
        const ends = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
        const told = workers.map(next);
        workers[1 - last]!.postMessage('go');
        await until(() => rt.locks.snapshot().pending.length === 1);
        workers[last]!.postMessage('go');
        expect(await Promise.all(told)).toEqual(['ERR_DEADLOCK', 'ok']);
        await Promise.all(ends);
      }
      // Once each: as the one that closed it tells it, or the other, which publishes its wait before it looks, and may look after both have.
      expect(askedBy).toHaveLength(2);
      expect(askedBy.every((lock) => lock === 'A' || lock === 'B')).toBe(true);
      expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    },
  );

  it('a registered one is not asked once the runtime is disposed of: abort-requester decides', async () => {
    const rt = await openRuntime({ locks: { order: 'off' } });
    rt.locks.resolver.registerStrategy('nobody', () => ({ report: true }));
    rt.locks.resolver.strategy = 'nobody';
    const workers = await attachedRing(rt, false);
    await rt.dispose();
    const told = workers.map(next);
    for (const worker of workers) worker.postMessage('go');
    expect((await Promise.all(told)).sort()).toEqual(['ERR_DEADLOCK', 'ok']);
    expect(rt.locks.resolver.strategy).toBe('abort-requester');
  });

  it('a registered one that reports leaves all who wait, also those who asked and look again', async () => {
    const rt = await openRuntime({ locks: { order: 'off' } });
    const pool = await openLockPool(rt, 2);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    rt.locks.resolver.registerStrategy('nobody', () => ({ report: true }));
    rt.locks.resolver.strategy = 'nobody';
    const told = await ring(rt, pool, 'lockBoth', ['A', 'B'], { timeoutMs: 7000 });
    expect(told.some(({ ok, value }) => ok && value === false)).toBe(true);
    expect(told.every(({ ok }) => ok)).toBe(true);
    expect(reports).toHaveLength(1);
  });

  it('one that throws or answers nonsense is abort-requester', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2);
    const bad: readonly unknown[] = [
      () => {
        throw new Error('no');
      },
      () => undefined,
      () => ({ abort: 12345 }),
      () => 'abort',
      () => ({ report: false }),
      async () => ({ report: true }),
      async () => {
        throw new Error('no');
      },
      () => ({
        get abort() {
          throw new Error('no');
        },
      }),
      () =>
        new Proxy(
          {},
          {
            has: () => {
              throw new Error('no');
            },
            get: () => {
              throw new Error('no');
            },
          },
        ),
      (deadlock: { cycle: unknown[] }) => {
        deadlock.cycle.length = 0;
        return {};
      },
      (deadlock: { cycle: { owner: number }[] }) => ({ abort: deadlock.cycle.shift()!.owner }),
    ];
    for (const [i, strategy] of bad.entries()) {
      rt.locks.resolver.registerStrategy(`bad ${i}`, strategy as never);
      rt.locks.resolver.strategy = `bad ${i}`;
      expectOneVictim(await ring(rt, pool, 'lockBoth', ['A', 'B']), ['A', 'B']);
    }
  });

  it('one that would turn the cycle round changes nothing: it sees a frozen copy', async () => {
    const rt = await openRuntime({ locks: { order: 'off' } });
    const [a, b] = [rt.mutex('A'), rt.mutex('B')];
    const seen: Deadlock[] = [];
    const turns: Record<string, (cycle: Deadlock['cycle'][number][]) => Deadlock['cycle']> = {
      sort: (cycle) => cycle.sort((x, y) => x.bornMs - y.bornMs),
      reverse: (cycle) => cycle.reverse(),
      toSorted: (cycle) => [...cycle].sort((x, y) => x.bornMs - y.bornMs),
    };
    for (const [name, turned] of Object.entries(turns)) {
      rt.locks.resolver.registerStrategy(name, (deadlock) => {
        seen.push(deadlock);
        return { abort: turned(deadlock.cycle as Deadlock['cycle'][number][]).at(-1)!.owner };
      });
      rt.locks.resolver.strategy = name;
      const [old, young] = [rt.createOwner('old'), rt.createOwner('young')];
      await a.lock({ owner: old });
      // So that the epochs of the two owners' waits are not the same.
      expect(await a.lock({ owner: young, timeoutMs: 1 })).toBe(false);
      await b.lock({ owner: young });
      const first = outcome(a.lock({ owner: young }));
      const closes = outcome(b.lock({ owner: old }));
      const told = await Promise.race([first, closes]);
      expect(told).toMatchObject({ ok: false, error: { code: 'ERR_DEADLOCK' } });
      const victim = name === 'toSorted' ? young : old;
      expect((told as { error: DeadlockError }).error.cycle[0]!.label).toContain(
        victim === young ? 'young' : 'old',
      );
      (victim === young ? b : a).unlock({ owner: victim });
      expect(await (victim === young ? closes : first)).toMatchObject({ ok: true });
      for (const [m, owner] of victim === young
        ? [[a, old] as const, [b, old] as const]
        : [[a, young] as const, [b, young] as const])
        m.unlock({ owner });
    }
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    expect(seen).toHaveLength(3);
    for (const deadlock of seen)
      for (const part of [
        deadlock,
        deadlock.cycle,
        deadlock.locks,
        ...deadlock.cycle,
        deadlock.cycle[0]!.holds,
      ])
        expect(Object.isFrozen(part)).toBe(true);
  });

  it('one that fails leaves nobody in the queue: who was refused gets no lock later', async () => {
    const rt = await openRuntime({ locks: { order: 'off' } });
    rt.locks.resolver.registerStrategy('bad', () => ({
      get abort(): number {
        throw new Error('no');
      },
    }));
    rt.locks.resolver.strategy = 'bad';
    const [a, b] = [rt.mutex('A'), rt.mutex('B')];
    const [p, q] = [rt.createOwner('p'), rt.createOwner('q')];
    await a.lock({ owner: p });
    await b.lock({ owner: q });
    const waits = b.lock({ owner: p });
    expect(await rejectionOf(a.lock({ owner: q }))).toMatchObject({ code: 'ERR_DEADLOCK' });
    b.unlock({ owner: q });
    expect(await waits).toBe(true);
    b.unlock({ owner: p });
    a.unlock({ owner: p });
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
  });

  it('refuses names that are built in or unknown', async () => {
    const rt = await openRuntime();
    const { resolver } = rt.locks;
    expect(resolver.strategy).toBe('abort-requester');
    expect(() => resolver.registerStrategy('abort-youngest', () => ({ report: true }))).toThrow(/built in/);
    expect(() => {
      resolver.strategy = 'nobody knows it';
    }).toThrow(/abort-youngest/);
    expect(resolver.strategy).toBe('abort-requester');
    const strategy = 'abort-yongest';
    expect(await rejectionOf(openRuntime({ locks: { strategy } }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(/'abort-yongest'; there are abort-requester, /),
    });
  });

  it('options may name one that the provider has registered', async () => {
    const systems = new StaticSystems({ cpus: 2 });
    const seen: Deadlock[] = [];
    systems.getDeadlockResolver().registerStrategy('mine', (deadlock) => {
      seen.push(deadlock);
      return { abort: deadlock.requester };
    });
    const rt = await openRuntime({ systems, locks: { strategy: 'mine' } });
    expect(rt.locks.resolver.strategy).toBe('mine');
    const pool = await openLockPool(rt, 2);
    expectOneVictim(await ring(rt, pool, 'lockBoth', ['A', 'B']), ['A', 'B']);
    expect(seen).toHaveLength(1);
    expect(await rejectionOf(openRuntime({ systems, locks: { strategy: 'others' } }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });

  it('a victim in an event loop hears of it, though it sleeps on no lock of its own', async () => {
    const rt = await openRuntime({ locks: { strategy: 'abort-youngest' } });
    const pool = await openLockPool(rt, 1);
    const [l1, l2, l3] = [rt.mutex('1'), rt.mutex('2'), rt.mutex('3')];
    const gate = gateOf(rt);
    const inWorker = pool.run('lockBoth', ['2', '3', gate.name]) as Promise<Told>;
    await gate.reached(1);
    // x has 1 and wants 2, which the worker has; y, the youngest, has 3 and wants 1. The worker closes the cycle.
    const x = rt.createOwner('x');
    await l1.lock({ owner: x });
    const wantsTwo = l2.lock({ owner: x });
    const y = rt.createOwner('y');
    await l3.lock({ owner: y });
    const wantsOne = outcome(l1.lock({ owner: y }));
    gate.open();
    const told = await wantsOne;
    expect(told).toMatchObject({ ok: false, error: { code: 'ERR_DEADLOCK' } });
    expect((told as { error: DeadlockError }).error.cycle.map((party) => party.lock)).toEqual([
      '1',
      '2',
      '3',
    ]);
    l3.unlock({ owner: y });
    expect(await inWorker).toEqual({ ok: true, value: true });
    expect(await wantsTwo).toBe(true);
    l2.unlock({ owner: x });
    l1.unlock({ owner: x });
  });
});
