import { type ConcurrencyInstrumenter, StaticSystems } from 'heddle';
import { prometheusInstrumenter } from 'heddle/metrics/prometheus';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { gateOf, openPool, openRuntime, rejectionOf, TASKS, thrownBy } from './harness.ts';

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

describe('an instrumenter among the parts of the systems', () => {
  it('measures what one of the runtime does: locks of tasks, cancels, crossings, how busy workers are', async () => {
    const registry = new Registry();
    const instrumenter = prometheusInstrumenter({ registry });
    const { rt, pool } = await openPool(
      {},
      { systems: new StaticSystems({ cpus: 2, parts: { instrumenter } }) },
    );
    const gate = gateOf(rt);
    const held = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const abort = new AbortController();
    const cancelled = rejectionOf(pool.run('echo', [1], { signal: abort.signal }));
    abort.abort();
    expect(await cancelled).toMatchObject({ code: 'ERR_TASK_ABORTED' });
    gate.open();
    await held;
    const text = await registry.metrics();
    expect(text).toContain('taskpool_task_cancelled_total{taskpool_name="pool"} 1');
    expect(text).toContain('taskpool_numa_crossings_total{taskpool_name="pool"} 0');
    const utilization = Number(/^taskpool_worker_utilization\{taskpool_name="pool"\} (.*)$/m.exec(text)?.[1]);
    expect(utilization).toBeGreaterThanOrEqual(0);
    expect(utilization).toBeLessThanOrEqual(1);
    expect(text).toContain('taskpool_lock_hold_time_seconds_count');
    expect(text).toContain('taskpool_deadlock_detected_total 0');
    instrumenter.dispose();
  });
});
