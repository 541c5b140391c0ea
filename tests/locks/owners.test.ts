// Who owns what, where several tasks go on in one worker.
import { expect, it } from 'vitest';
import { gateOf, openRuntime } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

it('an async task keeps its locks while another task of its worker begins to await a fork', async () => {
  const rt = await openRuntime();
  const pool = await openLockPool(rt, 2, { concurrentTasksPerWorker: 3 });
  const held = gateOf(rt);
  // Of three places in a worker four holders leave one free in neither: whichever worker awaits the fork has a holder beside it.
  const holders = [0, 1, 2, 3].map((i) => pool.run('holdLockAsync', [`lock ${i}`, held.name]));
  await held.reached(4);
  const forked = gateOf(rt);
  const awaiting = pool.run('awaitStolen', [forked.name]);
  await forked.reached(1);
  forked.open();
  held.open();
  expect(await Promise.all([...holders, awaiting])).toEqual([true, true, true, true, true]);
  expect(rt.locks.snapshot().held).toEqual([]);
});
