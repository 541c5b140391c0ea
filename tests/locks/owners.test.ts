// Who owns what, where several tasks go on in one worker.
import { expect, it } from 'vitest';
import { gateOf, openRuntime } from '../pool/harness.ts';
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
