// The thread that made the runtime is inside lockSync(), where no event reaches it, while the holder goes: it must come back by itself.
import { Worker } from 'node:worker_threads';
import type { Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import { fixture, openRuntime, outcome, thrownBy, until } from '../pool/harness.ts';
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
