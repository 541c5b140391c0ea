// A task that never took a lock has no owner, and waits all the same where somebody blocks the thread of its event loop.
import type { DeadlockError } from 'heddle';
import { describe, expect, it } from 'vitest';
import { fixture, gateOf, openPoolOn, openRuntime, outcome, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

/** Words, as fixtures/ownerless.mjs has them. */
const [HOLDER, OCCUPIED, LEAF, FAIL, RELEASE] = [0, 1, 3, 4, 5] as const;

type Told = { ok: boolean; code?: string; message?: string; cycle?: DeadlockError['cycle'] };

describe('lock -> async task that takes no lock -> its thread, which blocks for the lock', () => {
  it('the holder awaits the task: who blocks the thread gives up', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
    const gate = gateOf(rt);
    let blocks: Promise<unknown> | undefined;
    const awaited = await rt.mutex('A').runExclusive(async () => {
      const call = pool.run('waitAtGateAsync', [gate.name]);
      await gate.reached(1);
      blocks = pool.run('takeSync', ['A']);
      void blocks.then(() => gate.open());
      return call;
    });
    expect(awaited).toBe(true);
    const { ok, code, cycle, message } = (await blocks) as Told;
    expect([ok, code]).toEqual([false, 'ERR_DEADLOCK']);
    expect(cycle).toMatchObject([
      { wait: 'lock', lock: 'A' },
      {
        wait: 'task',
        holds: ['A'],
        waitsFor: expect.stringMatching(/^task .*waitAtGateAsync.*, whose thread is blocked$/),
      },
    ]);
    expect(message).toContain('whose thread is blocked');
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
  });

  it.each(['the lock', 'the fork'])(
    'a failed task waits for its fork: %s is waited for last',
    async (last) => {
      const rt = await openRuntime();
      const words = new Int32Array(new SharedArrayBuffer(64));
      const pool = await openPoolOn(rt, {
        tasks: fixture('ownerless.mjs'),
        minThreads: 2,
        maxThreads: 2,
        concurrentTasksPerWorker: 8,
        workerData: words,
      });
      await pool.ready();
      const word = (at: number) => (): boolean => Atomics.load(words, at) !== 0;
      const holds = pool.run('hold');
      await until(word(HOLDER));
      const occupies: Promise<unknown>[] = [];
      while (!word(OCCUPIED)()) {
        occupies.push(pool.run('occupy'));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const leaves = outcome(pool.run('leave'));
      await until(word(LEAF));
      if (last === 'the lock') {
        Atomics.store(words, FAIL, 1);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const blocks = pool.run('block');
      if (last === 'the fork') {
        await until(() => rt.locks.snapshot().pending.length > 0);
        Atomics.store(words, FAIL, 1);
      }
      Atomics.store(words, RELEASE, 1);
      expect(await leaves).toMatchObject({ error: { message: 'left' } });
      expect(await holds).toBe('held');
      expect(['had it', 'ERR_DEADLOCK']).toContain(await blocks);
      await Promise.all(occupies);
      expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    },
  );
});
