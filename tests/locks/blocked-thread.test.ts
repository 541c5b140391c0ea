// A thread that blocks takes its event loop along: what that was given of other locks must not be lost meanwhile.
import type { ContextMutex, Runtime, TaskPool } from 'heddle';
import { describe, expect, it } from 'vitest';
import { WORD_HANDOFF } from '../../build/generated/layout.ts';
import { gateOf, openRuntime, turn, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

const waiting = (rt: Runtime, count: number): Promise<void> =>
  until(() => rt.locks.snapshot().pending.length >= count);

/** Lets a task of the pool wait for the lock, which the main thread holds, until it is kept for that task. */
async function reserve(rt: Runtime, pool: TaskPool, m: ContextMutex): Promise<{ run: Promise<unknown> }> {
  const words = new Int32Array(rt.handle.memory.buffer);
  const isKept = (): boolean => (Atomics.load(words, m.id >>> 2) & WORD_HANDOFF) !== 0;
  for (let run = pool.run('countAsync', [m.name, 1]); ; await turn()) {
    if (isKept()) return { run };
    await waiting(rt, 1);
    // It wakes, finds the lock taken again, and asks for it once it has waited for long enough.
    m.unlock();
    if (m.tryLockNow()) continue;
    await run;
    await m.lock();
    run = pool.run('countAsync', [m.name, 1]);
  }
}

describe('a thread that blocks', () => {
  it('gives up what is kept for its event loop: the very lock that it blocks for', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 });
    const m = rt.mutex('L');
    await m.lock();
    const { run } = await reserve(rt, pool, m);
    const blocking = pool.run('countSync', ['L', 1]);
    await waiting(rt, 2);
    m.unlock();
    expect(await blocking).toBe(1);
    expect(await run).toBe(1);
  });

  it('gives up what is kept for its event loop: a lock that its holder waits for', async () => {
    const rt = await openRuntime();
    const [pool, other] = [
      await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 }),
      await openLockPool(rt, 1),
    ];
    const m = rt.mutex('L');
    await m.lock();
    const gate = gateOf(rt);
    const holder = other.run('lockBoth', ['M', 'L', gate.name]);
    await gate.reached(1);
    const { run } = await reserve(rt, pool, m);
    const blocking = pool.run('countSync', ['M', 1]);
    await waiting(rt, 2);
    gate.open();
    await waiting(rt, 3);
    m.unlock();
    expect(await holder).toEqual({ ok: true, value: true });
    expect(await blocking).toBe(1);
    expect(await run).toBe(1);
  });

  it('takes no wake-up of another lock', async () => {
    const rt = await openRuntime();
    const [pool, other] = [
      await openLockPool(rt, 1, { concurrentTasksPerWorker: 2 }),
      await openLockPool(rt, 1),
    ];
    const m = rt.mutex('L');
    await m.lock();
    const gate = gateOf(rt);
    const holder = other.run('lockBoth', ['M', 'L', gate.name]);
    await gate.reached(1);
    // First in the row of those who sleep on L.
    const first = pool.run('countAsync', ['L', 1]);
    await waiting(rt, 1);
    const blocking = pool.run('countSync', ['M', 1]);
    await waiting(rt, 2);
    gate.open();
    await waiting(rt, 3);
    m.unlock();
    expect(await holder).toEqual({ ok: true, value: true });
    expect(await blocking).toBe(1);
    expect(await first).toBe(1);
  });

  it('takes none while it joins', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2, { concurrentTasksPerWorker: 20 });
    const m = rt.mutex('L');
    await m.lock();
    // On both workers, most probably.
    const first = Array.from({ length: 8 }, () => pool.run('countAsync', ['L', 1]));
    await waiting(rt, 8);
    const joining = pool.run('joinUser', ['L']);
    await waiting(rt, 9);
    m.unlock();
    expect(await joining).toBe(true);
    expect(await Promise.all(first)).toEqual(first.map(() => 1));
  });
});
