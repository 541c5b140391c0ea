// What a worker runs on top of a join is no part of the task that joins.
import { describe, expect, it } from 'vitest';
import { type Gate, gateOf, openRuntime, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

describe('on top of a join', () => {
  /** One worker joins, one holds it up, one has a third task: only the first can take what that forks. */
  async function joining(task: string) {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 3);
    const held = gateOf(rt);
    const joins = pool.run(task, [held.name]);
    await held.reached(1);
    const away = (fork: string, name: string, gate?: Gate): Promise<unknown> =>
      pool.run('forkAway', [fork, name, ...(gate === undefined ? [] : [gate.name])]);
    return { rt, held, joins, away };
  }

  it.each(['joinInContext', 'joinInContextAsync'])(
    '%s: a foreign task is an owner of its own',
    async (task) => {
      const { held, joins, away } = await joining(task);
      // The second time it is known to be a plain function.
      for (const name of ['A', 'B'])
        expect(await away('whoHolds', name)).toMatch(/^task 'whoHolds' on worker/);
      held.open();
      expect(await joins).toBe(true);
    },
  );

  it.each(['joinInContext', 'joinInContextAsync'])(
    '%s: a foreign async task outlives the context below it',
    async (task) => {
      const { rt, held, joins, away } = await joining(task);
      const later = gateOf(rt);
      const foreign = away('lockLater', 'A', later);
      await later.reached(1);
      held.open();
      expect(await joins).toBe(true);
      later.open();
      expect(await foreign).toEqual({ ok: true, value: true });
    },
  );

  it.each(['joinInContext', 'joinInContextAsync'])(
    '%s: a foreign task that turns out to be async is itself',
    async (task) => {
      const { rt, held, joins, away } = await joining(task);
      const later = gateOf(rt);
      expect(await away('nameLater', 'A')).toBe('nameLater');
      const foreign = away('nameLater', 'B', later);
      await later.reached(1);
      held.open();
      expect(await joins).toBe(true);
      later.open();
      expect(await foreign).toBe('nameLater');
    },
  );

  it.each(['task', 'context', 'explicit'])(
    'nothing foreign begins while the lock is held by: %s',
    async (kind) => {
      const rt = await openRuntime({ locks: { order: 'off' } });
      const pool = await openLockPool(rt, 3);
      const held = gateOf(rt);
      const joins = pool.run('joinHoldingAs', [kind, 'A', held.name]);
      await held.reached(1);
      const foreign = pool.run('forkTakers', ['A', 3]);
      await until(() => rt.locks.snapshot().pending.length > 0);
      held.open();
      expect(await joins).toBe(true);
      expect(await foreign).toEqual(Array(3).fill({ ok: true, value: 0 }));
      expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    },
  );
});
