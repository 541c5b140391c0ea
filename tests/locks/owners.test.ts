// Who owns what, where several tasks go on in one worker.
import { expect, it } from 'vitest';
import { gateOf, openRuntime, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

it('an async task keeps its locks while another task of its worker begins to await a fork', async () => {
  const rt = await openRuntime();
  // Never full, so that whoever does not await the fork steals it.
  const pool = await openLockPool(rt, 2, { concurrentTasksPerWorker: 8 });
  for (let round = 0; round < 5; round++) {
    const held = gateOf(rt);
    const holders = [0, 1, 2, 3].map((i) => pool.run('holdLockAsync', [`lock ${i}`, held.name]));
    await held.reached(4);
    const forked = gateOf(rt);
    const awaiting = pool.run('awaitStolen', [forked.name]);
    await forked.reached(1);
    forked.open();
    held.open();
    expect(await Promise.all([...holders, awaiting])).toEqual([true, true, true, true, true]);
    expect(rt.locks.snapshot().held).toEqual([]);
  }
});

it.each(['off', 'waits', 'all'] as const)(
  "who has a name has it in every thread, stacks: '%s'",
  async (stacks) => {
    const rt = await openRuntime({ locks: { stacks, order: 'off' } });
    const pool = await openLockPool(rt, 1, { name: 'bank' });
    const [a, b] = [rt.mutex('A'), rt.mutex('B')];
    const clerk = rt.createOwner('clerk');
    await b.lock({ owner: clerk });
    const request = await rt.withOwner(async () => {
      await a.lock();
      // Who holds, and waits for nothing.
      const me = 'request 42 of the main thread';
      expect(await pool.run('whoIsAt', ['A'])).toEqual({ owner: me, waiters: [] });
      const stranger = (await pool.run('unlockOnly', ['A'])) as { code: string; message: string };
      expect(stranger.code).toBe('ERR_NOT_OWNER');
      expect(stranger.message).toContain('request 42 of the main thread holds it, not task ');
      // Who waits, and has waited.
      const waits = b.lock();
      await until(() => rt.locks.snapshot().pending.length === 1);
      expect(await pool.run('whoIsAt', ['B'])).toEqual({ owner: 'clerk of the main thread', waiters: [me] });
      b.unlock({ owner: clerk });
      await waits;
      expect(await pool.run('whoIsAt', ['B'])).toEqual({ owner: me, waiters: [] });
      b.unlock();
      // Part of a deadlock that a worker is told of.
      const gate = gateOf(rt);
      const told = pool.run('lockBoth', ['B', 'A', gate.name]) as Promise<{ message: string }>;
      await gate.reached(1);
      const closes = b.lock();
      gate.open();
      const { message } = await told;
      expect(message).toContain('  request 42 of the main thread\n');
      expect(message).toMatch(/ {2}task 'lockBoth' on worker 0 of pool 'bank'\n/);
      expect(await closes).toBe(true);
      b.unlock();
      a.unlock();
      return true;
    }, 'request 42');
    expect(request).toBe(true);
    clerk.end();
  },
);

it('the names of owners are no memory that is lost', async () => {
  const rt = await openRuntime();
  const m = rt.mutex('A');
  const round = async (i: number): Promise<void> => {
    const name = `request ${i} ${'x'.repeat(2000)}`;
    await rt.withOwner(async () => {
      await m.lock();
      const waits = rt.withOwner(() => m.lock().then(() => m.unlock()), `${name} waits`);
      m.unlock();
      await waits;
    }, name);
  };
  await round(0);
  const before = rt.usedBytes;
  for (let i = 1; i < 300; i++) await round(i);
  expect(rt.usedBytes).toBe(before);
});
