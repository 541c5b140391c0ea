// The thread that made the runtime is inside lockSync(), where no event reaches it, while the holder goes: it must come back by itself.
import { Worker } from 'node:worker_threads';
import type { Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import { fixture, gateOf, openRuntime, outcome, thrownBy, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

const SMALL_HEAP = { resourceLimits: { maxOldGenerationSizeMb: 24 } };

describe('lockSync() of the thread that hears of ends, without a timeout', () => {
  it.each([
    ['exit', 3],
    ['heap', 1],
  ] as const)('holder exits: %s', async (how, exitCode) => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, SMALL_HEAP);
    const exits: unknown[] = [];
    pool.on('workerExit', (exit) => exits.push(exit));
    const dying = outcome(pool.run('dieWaitedFor', ['A', how]));
    const queued = pool.run('takeSync', ['B']);
    await until(() => rt.mutex('A').isLocked);

    expect(thrownBy(() => rt.mutex('A').lockSync())).toMatchObject({ code: 'ERR_LOCK_ABANDONED' });
    // The pool hears of it in its turn, with all that is known then, and once.
    expect(exits).toEqual([]);
    expect(await dying).toMatchObject({ error: { code: 'ERR_WORKER_EXITED', exitCode } });
    expect(exits).toMatchObject([{ exitCode, expected: false }]);
    expect(await queued).toEqual({ ok: true, value: true });
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    expect(exits).toHaveLength(1);
  });

  it('the holder waits for a task whose worker exits: it goes on, and unlocks', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2);
    const holding = pool.run('holdUntilJoined', ['A']);
    await until(() => rt.mutex('A').isLocked);
    const m = rt.mutex('A');
    expect(m.lockSync()).toBe(true);
    m.unlock();
    expect(await holding).toMatchObject({ ok: false, code: 'ERR_WORKER_EXITED' });
  });

  it('with a timeout that is shorter, or longer, than what it takes', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const dying = outcome(pool.run('dieWaitedFor', ['A', 'exit']));
    await until(() => rt.mutex('A').isLocked);
    expect(thrownBy(() => rt.mutex('A').lockSync({ timeoutMs: 60_000 }))).toMatchObject({
      code: 'ERR_LOCK_ABANDONED',
    });
    expect(await dying).toMatchObject({ error: { code: 'ERR_WORKER_EXITED' } });
    const gone = outcome(pool.run('holdLock', ['B', 'never']));
    await until(() => rt.mutex('B').isLocked);
    expect(rt.mutex('B').lockSync({ timeoutMs: 5 })).toBe(false);
    expect(rt.mutex('B').lockSync({ timeoutMs: 120 })).toBe(false);
    await pool.destroy();
    await gone;
  });

  const attach = async (rt: Runtime, what: string, isTold = true): Promise<Worker> => {
    const worker = new Worker(fixture('attaches-locks.mjs'), {
      workerData: { handle: rt.handle, what },
      ...SMALL_HEAP,
    });
    worker.on('error', () => undefined);
    if (isTold) rt.watch(worker);
    await new Promise((resolve) => worker.once('message', resolve));
    return worker;
  };

  it.each(['throw', 'heap'])('holder is a thread that joined, and was told of: %s', async (what) => {
    const rt = await openRuntime();
    const worker = await attach(rt, what);
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    expect(thrownBy(() => rt.mutex('A').lockSync())).toMatchObject({ code: 'ERR_LOCK_ABANDONED' });
    await ended;
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
  });

  const terminated = async (isTold: boolean): Promise<void> => {
    const rt = await openRuntime();
    const worker = await attach(rt, 'hang', isTold);
    const ended = worker.terminate();
    expect(thrownBy(() => rt.mutex('A').lockSync())).toMatchObject({ code: 'ERR_LOCK_ABANDONED' });
    await ended;
  };
  it('holder is a thread that was terminated just before', () => terminated(true));
  it.skipIf(process.platform !== 'linux')('the same, and nobody told of it (needs Linux)', () =>
    terminated(false),
  );
});

describe('lockSync() of the thread that knows a registered strategy', () => {
  /** The deadlock costs the wait of the party that says so of itself. */
  const openWith = async (label: string): Promise<{ rt: Runtime; asked: string[] }> => {
    const rt = await openRuntime({ locks: { order: 'off' } });
    const asked: string[] = [];
    rt.locks.resolver.registerStrategy('mine', ({ cycle }) => {
      asked.push(...cycle.map((party) => party.label));
      return { abort: cycle.find((party) => party.label.startsWith(label))!.owner };
    });
    rt.locks.resolver.strategy = 'mine';
    return { rt, asked };
  };
  // It would be blocked for ever where nobody decides.
  const LIMIT = { timeoutMs: 15_000 };

  it.each(['the main thread', 'task '])(
    'is part of a deadlock, which costs the wait of: %s',
    async (label) => {
      const { rt, asked } = await openWith(label);
      const pool = await openLockPool(rt, 1);
      const [a, b] = [rt.mutex('A'), rt.mutex('B')];
      await a.lock();
      const gate = gateOf(rt);
      const inWorker = pool.run('lockBoth', ['B', 'A', gate.name]);
      await gate.reached(1);
      gate.open();
      if (label === 'task ') {
        expect(b.lockSync(LIMIT)).toBe(true);
        b.unlock();
        expect(await inWorker).toMatchObject({ ok: false, code: 'ERR_DEADLOCK' });
      } else {
        expect(thrownBy(() => b.lockSync(LIMIT))).toMatchObject({ code: 'ERR_DEADLOCK' });
      }
      a.unlock();
      await inWorker;
      expect(asked).toHaveLength(2);
      expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    },
  );

  it('waits for those in a deadlock', async () => {
    const { rt, asked } = await openWith('task ');
    const pool = await openLockPool(rt, 2);
    const m = rt.mutex('A');
    const gate = gateOf(rt);
    const runs = [pool.run('lockBoth', ['A', 'B', gate.name]), pool.run('lockBoth', ['B', 'A', gate.name])];
    await gate.reached(2);
    gate.open();
    expect(m.lockSync(LIMIT)).toBe(true);
    m.unlock();
    const told = (await Promise.all(runs)) as { ok: boolean }[];
    expect(told.map(({ ok }) => ok).sort()).toEqual([false, true]);
    expect(asked).toHaveLength(2);
  });

  it('or blocks in another way for so long that abort-requester decides', async () => {
    const { rt, asked } = await openWith('task ');
    const pool = await openLockPool(rt, 2);
    const gate = gateOf(rt);
    const runs = [pool.run('lockBoth', ['A', 'B', gate.name]), pool.run('lockBoth', ['B', 'A', gate.name])];
    await gate.reached(2);
    gate.open();
    const nobody = new Int32Array(new SharedArrayBuffer(4));
    for (let i = 0; i < 400 && rt.locks.snapshot().held.length > 0; i++) Atomics.wait(nobody, 0, 0, 50);
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    const told = (await Promise.all(runs)) as { ok: boolean }[];
    expect(told.map(({ ok }) => ok).sort()).toEqual([false, true]);
    expect(asked).toEqual([]);
  });
});
