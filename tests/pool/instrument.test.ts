import type { ConcurrencyInstrumenter } from 'heddle';
import { describe, expect, it } from 'vitest';
import { openPool, openRuntime, rejectionOf, TASKS, thrownBy } from './harness.ts';

const IDLE: ConcurrencyInstrumenter = {
  instrumentMutex: (mutex) => mutex,
  instrumentPool: (pool) => pool,
  instrumentAtomic: (atomic) => atomic,
};

describe('an instrumenter', () => {
  it.each(['instrumentMutex', 'instrumentPool', 'instrumentAtomic'] as const)(
    'needs %s()',
    async (method) => {
      const { rt, pool } = await openPool();
      const wrong = { ...IDLE, [method]: undefined } as never;
      for (const call of [
        () => rt.instrument(wrong),
        () => pool.instrument(wrong),
        () => rt.instrument(1 as never),
      ])
        expect(thrownBy(call)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect(thrownBy(() => rt.instrument(wrong)).message).toContain(method);
    },
  );

  it('that throws leaves no pool behind', async () => {
    const rt = await openRuntime({ limits: { maxGoroutines: 1 } });
    const why = new Error('why');
    let isBroken = true;
    rt.instrument({
      ...IDLE,
      instrumentPool(pool) {
        if (isBroken) throw why;
        return pool;
      },
    });
    expect(await rejectionOf(rt.createPool({ tasks: TASKS }))).toBe(why);
    expect([...rt.pools]).toEqual([]);
    isBroken = false;
    // Its share of the limits is free again.
    const pool = await rt.createPool({ tasks: TASKS });
    expect(await pool.run('echo', [1])).toBe(1);
  });
});
