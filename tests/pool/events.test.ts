import type { PoolOptions } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, openPool, outcome, rejectionOf, runProgram, thrownBy, until } from './harness.ts';

describe('needsDrain and drain', () => {
  it('come once each as the queue fills and empties', async () => {
    const { rt, pool } = await openPool({ highWaterMark: 10 });
    const events: [string, number][] = [];
    pool.on('needsDrain', () => events.push(['needsDrain', pool.metrics().outstanding]));
    pool.on('drain', () => events.push(['drain', pool.metrics().outstanding]));
    for (let round = 0; round < 2; round++) {
      const gate = gateOf(rt);
      const calls = Array.from({ length: 40 }, () => pool.run('hold', [gate.name]));
      expect(events.map(([name]) => name)).toEqual(['needsDrain']);
      expect(events[0]![1]).toBeGreaterThanOrEqual(10);
      expect(events[0]![1]).toBeLessThanOrEqual(12);
      gate.open();
      await Promise.all(calls);
      expect(events.map(([name]) => name)).toEqual(['needsDrain', 'drain']);
      expect(events[1]![1]).toBeLessThanOrEqual(6);
      events.length = 0;
    }
  });

  it('come for calls that leave the queue by their signal', async () => {
    const { rt, pool } = await openPool({ highWaterMark: 10 });
    let drained = 0;
    pool.on('drain', () => drained++);
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const abort = new AbortController();
    const calls = Array.from({ length: 30 }, () =>
      rejectionOf(pool.run('echo', [1], { signal: abort.signal })),
    );
    abort.abort();
    await Promise.all(calls);
    await until(() => drained === 1);
    expect(gate.waiting).toBe(1);
    gate.open();
    await blocking;
  });

  it('let a producer keep the queue short', async () => {
    const { pool } = await openPool({ highWaterMark: 50 });
    let most = 0;
    let full = false;
    pool.on('needsDrain', () => (full = true));
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 2000; i++) {
      calls.push(pool.run('echo', [i]));
      most = Math.max(most, pool.metrics().outstanding);
      if (!full) continue;
      await new Promise<void>((resolve) => pool.once('drain', resolve));
      full = false;
    }
    await Promise.all(calls);
    expect(most).toBeLessThanOrEqual(55);
  });
});

describe('maxQueue', () => {
  it.each([0, 1, 7])('of %i takes so many beyond those that can run', async (maxQueue) => {
    const { rt, pool } = await openPool({ maxQueue, minThreads: 2, maxThreads: 2 });
    const gate = gateOf(rt);
    const accepted = Array.from({ length: 2 + maxQueue }, (_, i) => pool.run('hold', [gate.name, i]));
    await gate.reached(2);
    for (const call of [pool.run('echo', [1]), pool.run('echo', [1], { timeoutMs: 1000 })]) {
      const error = await rejectionOf(call);
      expect(error).toMatchObject({ code: 'ERR_QUEUE_FULL', name: 'QueueFullError', resource: 'pool' });
    }
    gate.open();
    expect(await Promise.all(accepted)).toEqual(accepted.map((_, i) => i));
    expect(await pool.run('echo', ['room'])).toBe('room');
    expect(pool.metrics().submitted).toBe(2 + maxQueue + 1);
  });
});

describe('needsDrain and drain of a pool with maxQueue', () => {
  const openFull = async (options: Partial<PoolOptions>, maxQueue: number): Promise<void> => {
    const { rt, pool } = await openPool(options);
    pool.setConfig({ maxQueue });
    const events: string[] = [];
    pool.on('needsDrain', () => events.push('needsDrain'));
    pool.on('drain', () => events.push('drain'));
    for (let round = 0; round < 2; round++) {
      const gate = gateOf(rt);
      const accepted = Array.from({ length: 1 + maxQueue }, () => pool.run('hold', [gate.name]));
      expect(await rejectionOf(pool.run('echo', [1]))).toMatchObject({ code: 'ERR_QUEUE_FULL' });
      expect(events).toEqual(['needsDrain']);
      const drained = new Promise<void>((resolve) => pool.once('drain', resolve));
      gate.open();
      await drained;
      expect(await pool.run('echo', ['room'])).toBe('room');
      await Promise.all(accepted);
      expect(events.slice(0, 2)).toEqual(['needsDrain', 'drain']);
      await until(() => events.length % 2 === 0);
      events.length = 0;
    }
  };

  it.each([0, 1, 5])('of %i come to whoever was refused', (maxQueue) => openFull({ maxQueue }, maxQueue));
  it('come after setConfig()', () => openFull({}, 5));
  it('come where highWaterMark is above it', () => openFull({ highWaterMark: 100 }, 3));

  it('tell a producer in time: it pauses before a call is refused', async () => {
    const { pool } = await openPool({ maxQueue: 8 });
    let isFull = false;
    pool.on('needsDrain', () => (isFull = true));
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 500; i++) {
      calls.push(pool.run('echo', [i]));
      if (isFull) await new Promise<void>((resolve) => pool.once('drain', resolve));
      isFull = false;
    }
    expect(await Promise.all(calls)).toEqual(calls.map((_, i) => i));
  });

  it('come when there is more room, and when the pool closes', async () => {
    const { rt, pool } = await openPool({ maxQueue: 1 });
    const gate = gateOf(rt);
    const calls = Array.from({ length: 2 }, () => outcome(pool.run('hold', [gate.name])));
    await rejectionOf(pool.run('echo', [1]));
    let drained = 0;
    pool.on('drain', () => drained++);
    pool.setConfig({ maxQueue: 10 });
    expect(drained).toBe(1);
    for (let i = 0; i < 9; i++) calls.push(outcome(pool.run('hold', [gate.name])));
    expect(await rejectionOf(pool.run('echo', [1]))).toMatchObject({ code: 'ERR_QUEUE_FULL' });
    await pool.destroy();
    expect(drained).toBe(2);
    await Promise.all(calls);
  });
});

describe('listeners', () => {
  it('are added once, removed, and called once with once()', async () => {
    const { pool } = await openPool();
    const calls: string[] = [];
    const always = (): void => void calls.push('always');
    const once = (): void => void calls.push('once');
    expect(pool.on('workerExit', always).on('workerExit', always).once('workerExit', once)).toBe(pool);
    await rejectionOf(pool.run('exit', [1]));
    await until(() => calls.length === 2);
    await rejectionOf(pool.run('exit', [1]));
    await until(() => calls.length === 3);
    expect(calls.sort()).toEqual(['always', 'always', 'once']);
    pool.off('workerExit', always);
    await rejectionOf(pool.run('exit', [1]));
    await pool.run('echo', [1]);
    expect(calls).toHaveLength(3);
  });

  it('added with once() can be removed with off()', async () => {
    const { pool } = await openPool();
    let calls = 0;
    const listener = (): void => void calls++;
    pool.once('workerExit', listener);
    pool.off('workerExit', listener);
    await rejectionOf(pool.run('exit', [1]));
    await pool.run('echo', [1]);
    expect(calls).toBe(0);
  });

  it('must be functions', async () => {
    const { pool } = await openPool();
    expect(thrownBy(() => pool.on('drain', 'x' as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  it('that throw end neither the pool nor the other listeners', async () => {
    const result = await runProgram('throwing-listener.mjs');
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout.trim().split('\n')).toEqual([
      'uncaught: from a listener',
      'second listener',
      'still 5',
    ]);
  });
});

describe('an error that nobody listens for', () => {
  it('is a warning of the process, and ends nothing', async () => {
    const result = await runProgram('nobody-listens.mjs');
    expect(result.code).toBe(0);
    expect(result.stderr).toContain('HeddleWarning');
    expect(result.stderr).toContain('too far');
    expect(result.stdout).toContain('still 5');
  });
});
