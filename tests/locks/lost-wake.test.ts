// A thread ends and nobody is told: what it was woken for goes with it. Whoever waits behind it looks for itself after a while.
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ContextMutex, Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import {
  AGENT_KERNEL_THREAD,
  AGENT_SIZE,
  AGENTS,
  HEADER_LOCK_LOOK_MS,
  MAX_AGENTS,
  WORD_HANDOFF,
} from '../../build/generated/layout.ts';
import { fixture, isPending, openRuntime, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

/** A thread that joined, waits first for the lock in its event loop, and then comes to nothing. Its end is told by nobody, and cannot be looked up. */
async function deafWaiter(rt: Runtime, name: string): Promise<Worker> {
  const worker = new Worker(fixture('attaches-locks.mjs'), {
    workerData: { handle: { ...rt.handle, lifeline: undefined }, what: 'deaf', name },
  });
  await new Promise((resolve) => worker.once('message', resolve));
  const words = new Uint32Array(rt.handle.memory.buffer);
  for (let id = 0; id < MAX_AGENTS; id++) words[(AGENTS + id * AGENT_SIZE + AGENT_KERNEL_THREAD) >>> 2] = 0;
  return worker;
}

/** `task` waits for a lock behind the deaf one, which takes the wake-up with it. */
async function waitBehind(
  rt: Runtime,
  task: string,
): Promise<{ taken: Promise<unknown>; lock: ContextMutex }> {
  const words = new Int32Array(rt.handle.memory.buffer);
  for (let n = 0; ; n++) {
    const pool = await openLockPool(rt, 1);
    // The first wait of a thread takes long to begin.
    const warm = rt.mutex(`warm ${n}`);
    expect(warm.lockSync()).toBe(true);
    const first = pool.run(task, [warm.name]);
    await until(() => warm.snapshot().waiters.length === 1);
    warm.unlock();
    await first;

    const lock = rt.mutex(`lock ${n}`);
    expect(lock.lockSync()).toBe(true);
    const worker = await deafWaiter(rt, lock.name);
    const taken = pool.run(task, [lock.name]);
    await until(() => lock.snapshot().waiters.length === 2);
    // It says that it waits before it sleeps.
    await sleep(50);
    const isKept = (Atomics.load(words, lock.id >>> 2) & WORD_HANDOFF) !== 0;
    if (!isKept) lock.unlock();
    await worker.terminate();
    if (!isKept) return { taken, lock };
    // One was so slow to begin its wait that the lock is kept for it: then all are woken, or, if it was the deaf one, none can have it.
    taken.catch(() => undefined);
  }
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
    const { taken, lock } = await waitBehind(rt, 'takeSync');
    await sleep(2000);
    expect(lock.isLocked).toBe(false);
    expect(await isPending(taken)).toBe(true);
    Atomics.notify(words, lock.id >>> 2);
    expect(await taken).toEqual({ ok: true, value: true });
  });
});
