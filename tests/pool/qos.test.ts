import type { QoSLevel } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, openPool, outcome } from './harness.ts';

describe('QoS classes', () => {
  it('run from the highest to the lowest', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const log = rt.alloc(Int32Array, 100);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const calls: Promise<unknown>[] = [];
    const classes: [QoSLevel, number][] = [
      ['BestEffort', 3],
      ['Burstable', 2],
      ['Guaranteed', 1],
    ];
    for (let i = 0; i < 5; i++) {
      for (const [qos, mark] of classes) calls.push(pool.run('mark', [log, mark], { qos }));
    }
    gate.open();
    await Promise.all([blocking, ...calls]);
    const order = [...log.subarray(1, 16)];
    const firstOf = (mark: number): number => order.indexOf(mark);
    expect(order.slice(0, 5)).toEqual([1, 1, 1, 1, 1]);
    expect(firstOf(2)).toBeLessThan(firstOf(3));
    expect(order.slice(5, 10)).toEqual([2, 2, 2, 2, 2]);
  });

  it('default to Burstable', async () => {
    const { pool } = await openPool();
    expect(await pool.run('myContext')).toMatchObject({ qos: 'Burstable' });
  });

  it('let a lower class pass now and then: it is not starved', async () => {
    const { rt, pool } = await openPool();
    const log = rt.alloc(Int32Array, 3000);
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 10; i++) calls.push(pool.run('mark', [log, 3], { qos: 'BestEffort' }));
    for (let i = 0; i < 2000; i++) calls.push(pool.run('mark', [log, 1], { qos: 'Guaranteed' }));
    gate.open();
    await Promise.all([blocking, ...calls]);
    const order = [...log.subarray(1, 2011)];
    // One look in 61 starts from below; some of its looks fall to batches.
    expect(order.indexOf(3)).toBeLessThan(500);
    expect(order.lastIndexOf(3)).toBeLessThan(2000);
    expect(order.slice(0, 1000).filter((mark) => mark === 3).length).toBeLessThan(100);
  });

  it('keep the order of calls within a class on one worker', async () => {
    const { rt, pool } = await openPool();
    const log = rt.alloc(Int32Array, 2001);
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const calls = Array.from({ length: 2000 }, (_, i) => pool.run('mark', [log, i]));
    gate.open();
    await Promise.all([blocking, ...calls]);
    const order = [...log.subarray(1)];
    // Batches may be overtaken by the look that starts from below, by no more than a batch.
    expect(order.every((mark, at) => Math.abs(mark - at) <= 64)).toBe(true);
  });

  it('pass to forks', async () => {
    const { pool } = await openPool();
    expect(await pool.run('forkedContext', [], { qos: 'BestEffort' })).toMatchObject({ qos: 'BestEffort' });
    expect(await pool.run('forkedContext', [], { qos: 'Guaranteed' })).toMatchObject({ qos: 'Guaranteed' });
  });

  it('stay with the forks of an async task when tasks of another class ran meanwhile', async () => {
    const { pool } = await openPool();
    for (let round = 0; round < 3; round++) {
      await pool.run('contextAfterYields', [2], { qos: 'Guaranteed' });
      await pool.run('echo', [1], { qos: 'BestEffort' });
      const call = outcome(pool.run('forkAndRejectLater', ['class', 5], { qos: 'Guaranteed' }));
      expect(await call).toMatchObject({ ok: false, error: { message: 'after forking' } });
    }
    expect(pool.metrics()).toMatchObject({ queueDepth: 0, outstanding: 0 });
  });
});
