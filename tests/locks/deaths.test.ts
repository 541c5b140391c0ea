// The scenarios "Death": whoever goes, no lock is lost and nobody waits for ever.
import { setTimeout as sleep } from 'node:timers/promises';
import workerThreads, { Worker } from 'node:worker_threads';
import type { LockViolation, Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import {
  fixture,
  gateOf,
  openRuntime,
  outcome,
  rejectionOf,
  runProgram,
  thrownBy,
  until,
} from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

/** Can a thread let another know of its end? */
const tellsThreads = 'postMessageToThread' in workerThreads;
const needsNode = tellsThreads ? '' : ' (needs Node 20.19 or 22.5)';

const pending = (rt: Runtime): number => rt.locks.snapshot().pending.length;

describe('Death', () => {
  it('holder exits: the lock is free and marked; one who repairs it ends that', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const m = rt.mutex('A');
    expect(await outcome(pool.run('exitHeld', ['A']))).toMatchObject({
      error: { code: 'ERR_WORKER_EXITED' },
    });
    expect(m.isLocked).toBe(false);
    expect(m.isAbandoned).toBe(true);
    for (let i = 0; i < 2; i++) {
      expect(await rejectionOf(m.lock())).toMatchObject({
        code: 'ERR_LOCK_ABANDONED',
        name: 'LockAbandonedError',
        resource: 'A',
      });
      expect(thrownBy(() => m.tryLockNow())).toMatchObject({ code: 'ERR_LOCK_ABANDONED' });
      expect(thrownBy(() => m.lockSync())).toMatchObject({ code: 'ERR_LOCK_ABANDONED' });
      expect(await rejectionOf(m.acquire())).toMatchObject({ code: 'ERR_LOCK_ABANDONED' });
      expect(await rejectionOf(m.runExclusive(() => 1))).toMatchObject({ code: 'ERR_LOCK_ABANDONED' });
    }
    const healer = rt.mutex('A', { onAbandoned: 'recover' });
    const guard = await healer.acquire();
    expect(guard.isAbandoned).toBe(true);
    expect(m.isAbandoned).toBe(true);
    guard.release();
    expect(m.isAbandoned).toBe(false);
    expect(await m.lock()).toBe(true);
    m.unlock();
  });

  it('holder exits while others wait: each is told, in workers and on the main thread', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 3);
    const gate = gateOf(rt);
    const dying = outcome(pool.run('exitHeld', ['A', gate.name]));
    await gate.reached(1);
    const waiting = [
      pool.run('takeSync', ['A']),
      pool.run('takeAsync', ['A']),
      rt.withOwner(() => outcome(rt.mutex('A').lock())),
      rt.withOwner(() => outcome(rt.mutex('A').lock())),
    ];
    await until(() => pending(rt) === 4);
    gate.open();
    expect(await dying).toMatchObject({ error: { code: 'ERR_WORKER_EXITED' } });
    const [sync, async, ...here] = await Promise.all(waiting);
    expect(sync).toMatchObject({ ok: false, code: 'ERR_LOCK_ABANDONED' });
    expect(async).toMatchObject({ ok: false, code: 'ERR_LOCK_ABANDONED' });
    for (const each of here) expect(each).toMatchObject({ ok: false, error: { code: 'ERR_LOCK_ABANDONED' } });
    expect(await pool.run('recoverLock', ['A'])).toEqual({ ok: true, value: [true, false] });
  });

  it('waiter exits: the others get the lock', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
    const other = await openLockPool(rt, 1);
    const m = rt.mutex('A');
    await m.lock();
    const gate = gateOf(rt);
    // Its wait is an async one, so that its thread can exit.
    const dead = outcome(pool.run('takeAsync', ['A']));
    await until(() => pending(rt) === 1);
    const exiting = outcome(pool.run('exitAt', [gate.name]));
    await gate.reached(1);
    const living = other.run('takeSync', ['A']);
    await until(() => pending(rt) === 2);
    gate.open();
    expect(await dead).toMatchObject({ error: { code: 'ERR_WORKER_EXITED' } });
    await exiting;
    await until(() => pending(rt) === 1);
    m.unlock();
    expect(await living).toEqual({ ok: true, value: true });
    expect(m.isAbandoned).toBe(false);
  });

  it('waiter is terminated while it blocks', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, { abortGraceMs: 0 });
    const m = rt.mutex('A');
    await m.lock();
    const dead = outcome(pool.run('takeSync', ['A']));
    await until(() => pending(rt) === 1);
    await pool.destroy();
    await dead;
    expect(pending(rt)).toBe(0);
    const other = await openLockPool(rt, 1);
    const living = other.run('takeSync', ['A']);
    await until(() => pending(rt) === 1);
    m.unlock();
    expect(await living).toEqual({ ok: true, value: true });
  });

  it('woken waiter exits before taking it: the next is woken', async () => {
    const rt = await openRuntime();
    const m = rt.mutex('A');
    for (let i = 0; i < 5; i++) {
      const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
      const other = await openLockPool(rt, 1);
      await m.lock();
      const gate = gateOf(rt);
      const dead = outcome(pool.run('takeAsync', ['A']));
      await until(() => pending(rt) === 1);
      // Blocks the event loop in which the wake-up arrives, and ends it there.
      const blocking = outcome(pool.run('exitAt', [gate.name]));
      await gate.reached(1);
      const living = other.run('takeSync', ['A']);
      await until(() => pending(rt) === 2);
      m.unlock();
      gate.open();
      await Promise.all([dead, blocking]);
      expect(await living).toEqual({ ok: true, value: true });
      await Promise.all([pool.destroy(), other.destroy()]);
    }
  });

  it('holder and waiter exit together', async () => {
    const rt = await openRuntime();
    for (let i = 0; i < 3; i++) {
      const pool = await openLockPool(rt, 3);
      const name = `lock ${i}`;
      const gate = gateOf(rt);
      const holder = outcome(pool.run('exitHeld', [name, gate.name]));
      await gate.reached(1);
      const waiter = outcome(pool.run('takeSync', [name]));
      await until(() => pending(rt) === 1);
      gate.open();
      await pool.destroy();
      await Promise.all([holder, waiter]);
      expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
      const healer = rt.mutex(name, { onAbandoned: 'recover' });
      expect(await healer.lock()).toBe(true);
      healer.unlock();
      expect(await rt.mutex(name).lock()).toBe(true);
      rt.mutex(name).unlock();
    }
  });

  it('at random: many holders exit, all that live get their locks', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 3);
    const healers = Array.from({ length: 3 }, (_, i) => rt.mutex(`m${i}`, { onAbandoned: 'recover' }));
    let died = 0;
    let stop = false;
    const here = (async () => {
      while (!stop) {
        for (const m of healers) {
          await m.runExclusive(() => undefined);
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    })();
    for (let round = 0; round < 6; round++) {
      const results = await Promise.all(
        Array.from({ length: 4 }, (_, i) =>
          outcome(pool.run('mortal', ['m', 3, 300, 1 + round * 17 + i * 7919])),
        ),
      );
      for (const result of results) {
        if (result.ok) continue;
        expect(result.error).toMatchObject({ code: 'ERR_WORKER_EXITED' });
        died++;
      }
    }
    stop = true;
    await here;
    expect(died).toBeGreaterThan(2);
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    for (const m of healers) {
      expect(await m.lock()).toBe(true);
      m.unlock();
    }
  });
});

describe('a task that ends while it holds a lock', () => {
  for (const task of ['leaveHeld', 'throwHeld']) {
    it(`${task}: the lock is free and marked, and that is reported`, async () => {
      const rt = await openRuntime();
      const pool = await openLockPool(rt, 1, { name: 'tests' });
      const reports: LockViolation[] = [];
      const stop = rt.locks.onViolation((violation) => reports.push(violation));
      await outcome(pool.run(task, ['A']));
      expect(rt.mutex('A').isLocked).toBe(false);
      expect(await rejectionOf(rt.mutex('A').lock())).toMatchObject({ code: 'ERR_LOCK_ABANDONED' });
      await until(() => reports.length > 0);
      expect(reports).toEqual([
        {
          kind: 'left-held',
          message: `task '${task}' on worker 0 of pool 'tests' ended while it held lock 'A'; unlock in a finally block, or use a guard`,
          locks: ['A'],
          owner: `task '${task}' on worker 0 of pool 'tests'`,
        },
      ]);
      stop();
    });
  }

  it('so does a context, or an owner that is ended', async () => {
    const rt = await openRuntime();
    const reports: string[] = [];
    rt.locks.onViolation(({ message }) => reports.push(message));
    await rt.withOwner(() => rt.mutex('A').lock(), 'request 7');
    await rt
      .mutex('A')
      .tryLock()
      .catch(() => undefined);
    await until(() => reports.length === 1);
    const owner = rt.createOwner('mine');
    await rt.mutex('B').lock({ owner });
    owner.end();
    owner.end();
    expect(reports[0]).toContain("request 7 ended while it held lock 'A'");
    expect(reports[1]).toContain("lock 'B'");
    expect(reports).toHaveLength(2);
    expect(rt.mutex('B').isAbandoned).toBe(true);
  });
});

describe('threads that joined on their own', () => {
  const start = (rt: Runtime, what: string, handle = rt.handle): Worker =>
    new Worker(fixture('attaches-locks.mjs'), { workerData: { handle, what } });
  const said = (worker: Worker): Promise<unknown> =>
    new Promise((resolve) => worker.once('message', resolve));
  const gone = (worker: Worker): Promise<unknown> => new Promise((resolve) => worker.once('exit', resolve));

  it('share locks with all others', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const worker = start(rt, 'count');
    const ended = gone(worker);
    await Promise.all([pool.run('countSync', ['A', 1000]), said(worker)]);
    await ended;
    expect(rt.atomicInt32('A:count').load()).toBe(2000);
    expect(rt.locks.snapshot().held).toEqual([]);
  });

  for (const what of ['exit', 'end', 'detach']) {
    it(`give their locks back: ${what}`, async () => {
      const rt = await openRuntime();
      const worker = start(rt, what);
      await gone(worker);
      expect(rt.mutex('A').isLocked).toBe(false);
      expect(rt.mutex('A').isAbandoned).toBe(true);
    });
  }

  it('are seen to end by terminate() when the runtime was told of them', async () => {
    const rt = await openRuntime();
    const worker = start(rt, 'hang');
    rt.watch(worker);
    await said(worker);
    expect(rt.locks.snapshot().held).toEqual([
      { name: 'A', mode: 'exclusive', clientId: `thread ${worker.threadId}` },
    ]);
    const mine = outcome(rt.mutex('A').lock());
    await worker.terminate();
    expect(await mine).toMatchObject({ error: { code: 'ERR_LOCK_ABANDONED' } });
    expect(thrownBy(() => rt.watch({}))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  describe('are seen to end where nobody told the runtime of them', () => {
    it.skipIf(!tellsThreads)(`by terminate()${needsNode}`, async () => {
      const rt = await openRuntime();
      const worker = start(rt, 'hang');
      await said(worker);
      const mine = outcome(rt.mutex('A').lock());
      await until(() => pending(rt) === 1);
      await worker.terminate();
      expect(await mine).toMatchObject({ error: { code: 'ERR_LOCK_ABANDONED' } });
      expect(rt.locks.snapshot().held).toEqual([]);
    });

    it.skipIf(!tellsThreads)(`by terminate() while they wait${needsNode}`, async () => {
      const rt = await openRuntime();
      const m = rt.mutex('A');
      await m.lock();
      const worker = start(rt, 'block');
      await said(worker);
      await until(() => pending(rt) === 1);
      await worker.terminate();
      await until(() => pending(rt) === 0);
      m.unlock();
      expect(await m.lock()).toBe(true);
    });

    it.skipIf(!tellsThreads)(`at once after they took their first lock${needsNode}`, async () => {
      const rt = await openRuntime();
      const m = rt.mutex('A', { onAbandoned: 'recover' });
      for (let i = 0; i < 10; i++) {
        const worker = start(rt, 'hang');
        await until(() => m.isLocked);
        void worker.terminate();
        expect(await m.lock()).toBe(true);
        m.unlock();
      }
    });

    it.skipIf(process.platform !== 'linux')('where no message tells of it (needs Linux)', async () => {
      const rt = await openRuntime();
      const m = rt.mutex('A');
      const worker = start(rt, 'hang', { ...rt.handle, lifeline: undefined });
      await said(worker);
      const mine = outcome(m.lock());
      await until(() => pending(rt) === 1);
      await worker.terminate();
      expect(await mine).toMatchObject({ error: { code: 'ERR_LOCK_ABANDONED' } });
    });

    it.skipIf(!tellsThreads)(`when it was a thread that made the runtime${needsNode}`, async () => {
      const owner = new Worker(fixture('owns-runtime.mjs'));
      expect(await said(owner)).toEqual({ before: ['A'], code: 'ERR_LOCK_ABANDONED' });
      await owner.terminate();
    });

    it.skipIf(!tellsThreads)(`and not when they leave and join again${needsNode}`, async () => {
      const rt = await openRuntime();
      const worker = start(rt, 'again');
      expect(await said(worker)).toBe('locked');
      // Longer than it takes to look.
      await sleep(1200);
      expect(rt.mutex('A').isLocked).toBe(true);
      await worker.terminate();
      await until(() => !rt.mutex('A').isLocked);
    });

    it('and leave no listener behind when the runtime is disposed', async () => {
      const listeners = (): number => process.listenerCount('workerMessage');
      const before = listeners();
      const rt = await openRuntime();
      expect(listeners()).toBe(before);
      const worker = start(rt, 'hang');
      await said(worker);
      await rt.dispose();
      expect(listeners()).toBe(before);
      await worker.terminate();
      void rt.handle;
      expect(listeners()).toBe(before);
    });
  });
});

describe('a process', () => {
  it('lives while it waits for a lock of a worker, and no longer', async () => {
    const { code, stdout } = await runProgram('locks-keep-alive.mjs');
    expect(stdout).toBe('waiting\nlocked\nend of main\n');
    expect(code).toBe(0);
  });
});
