// A thread ends and nobody is told: what it was woken for goes with it. Whoever waits behind it looks for itself after a while.
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import { HEADER_LOCK_LOOK_MS } from '../../build/generated/layout.ts';
import { fixture, isPending, openRuntime, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

/** A thread that joined, waits first for lock A in its event loop, and then comes to nothing. */
async function deafWaiter(rt: Runtime): Promise<Worker> {
  const worker = new Worker(fixture('attaches-locks.mjs'), {
    workerData: { handle: rt.handle, what: 'deaf' },
  });
  await new Promise((resolve) => worker.once('message', resolve));
  return worker;
}

const waiters = (rt: Runtime): number => rt.mutex('A').snapshot().waiters.length;

/** `task` waits behind the deaf one, which takes the wake-up with it. */
async function waitBehind(rt: Runtime, task: string): Promise<{ taken: Promise<unknown> }> {
  const pool = await openLockPool(rt, 1);
  const m = rt.mutex('A');
  // The first wait of a worker takes so long to begin that the lock is kept for it, and then all are woken.
  expect(m.lockSync()).toBe(true);
  const first = pool.run(task, ['A']);
  await until(() => waiters(rt) === 1);
  m.unlock();
  await first;

  expect(m.lockSync()).toBe(true);
  const worker = await deafWaiter(rt);
  const taken = pool.run(task, ['A']);
  await until(() => waiters(rt) === 2);
  // It says that it waits before it sleeps.
  await sleep(50);
  m.unlock();
  await worker.terminate();
  return { taken };
}

describe('a wake-up that a thread took with it, of whose end nobody was told', () => {
  it.each(['takeSync', 'takeAsync'])('%s waits behind it, and has the lock all the same', async (task) => {
    const rt = await openRuntime();
    const { taken } = await waitBehind(rt, task);
    expect(await taken).toEqual({ ok: true, value: true });
  });

  it('is gone for good where nobody looks again', async () => {
    const rt = await openRuntime();
    const words = new Int32Array(rt.handle.memory.buffer);
    words[HEADER_LOCK_LOOK_MS >>> 2] = 0;
    const { taken } = await waitBehind(rt, 'takeSync');
    await sleep(2000);
    const m = rt.mutex('A');
    expect(m.isLocked).toBe(false);
    expect(await isPending(taken)).toBe(true);
    Atomics.notify(words, m.id >>> 2);
    expect(await taken).toEqual({ ok: true, value: true });
  });
});
