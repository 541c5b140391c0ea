// Users and tasks that do what they should not.

import type { CallArguments, Runtime, TaskPool } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, openPool, outcome, rejectionOf, TASKS, until } from './harness.ts';

describe('calls inside calls', () => {
  it('a getter in the arguments may run another task', async () => {
    const { pool } = await openPool();
    const inner: Promise<unknown>[] = [];
    const outer = {
      before: 'x'.repeat(3000),
      get value() {
        inner.push(pool.run('echo', [{ text: 'y'.repeat(5000) }]));
        return 'got';
      },
      after: [1, 2, 3],
    };
    const result = await pool.run('echo', [outer]);
    expect(result).toEqual({ before: 'x'.repeat(3000), value: 'got', after: [1, 2, 3] });
    expect(await Promise.all(inner)).toEqual([{ text: 'y'.repeat(5000) }]);
  });

  const closings: [string, (rt: Runtime, pool: TaskPool) => Promise<void>][] = [
    ['destroy the pool', (_, pool) => pool.destroy()],
    ['shut the pool down', (_, pool) => pool.shutdown()],
    ['dispose of the runtime', (rt) => rt.dispose()],
  ];
  const argumentsOf: [string, (value: object) => CallArguments<unknown[]>][] = [
    ['in a block', (value) => [[value]]],
    ['with options', (value) => [[value], { timeoutMs: 10_000 }]],
    ['by port', (value) => [[value, new Blob(['x'])]]],
  ];
  for (const [what, close] of closings) {
    it.each(argumentsOf)(`a getter in the arguments may ${what}: %s`, async (_how, make) => {
      const { rt, pool } = await openPool();
      let closed: Promise<void> | undefined;
      const value = {
        get it() {
          closed ??= close(rt, pool);
          return 1;
        },
      };
      const call = outcome(pool.run('echo', ...make(value)));
      expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
      await closed;
      expect(pool.metrics()).toMatchObject({ outstanding: 0, threads: 0 });
    });
  }

  it('a listener of needsDrain may destroy the pool', async () => {
    const { rt, pool } = await openPool({ highWaterMark: 1 });
    const gate = gateOf(rt);
    let closed: Promise<void> | undefined;
    pool.on('needsDrain', () => {
      closed ??= pool.destroy();
    });
    const calls = Array.from({ length: 4 }, () => outcome(pool.run('hold', [gate.name])));
    for (const call of calls)
      expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
    await closed;
  });

  it('a listener of drain may run tasks', async () => {
    const { pool } = await openPool({ highWaterMark: 2 });
    const late: Promise<unknown>[] = [];
    pool.on('drain', () => late.push(pool.run('echo', ['from drain'])));
    await Promise.all(Array.from({ length: 8 }, (_, i) => pool.run('echo', [i])));
    expect(late.length).toBeGreaterThan(0);
    expect(await late[0]).toBe('from drain');
  });

  it('a listener of workerExit may destroy the pool', async () => {
    const { pool } = await openPool();
    let destroyed: Promise<void> | undefined;
    pool.on('workerExit', () => {
      destroyed ??= pool.destroy();
    });
    const calls = [pool.run('exit', [1]), pool.run('echo', [1]), pool.run('never')].map(outcome);
    const [first, ...others] = await Promise.all(calls);
    expect(first).toMatchObject({ ok: false, error: { code: 'ERR_WORKER_EXITED' } });
    for (const other of others)
      expect(other).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
    await destroyed;
    expect(pool.metrics().threads).toBe(0);
  });

  it('a listener of a signal may run and cancel', async () => {
    const { pool } = await openPool();
    const abort = new AbortController();
    const other = new AbortController();
    let inside: Promise<unknown> | undefined;
    abort.signal.addEventListener('abort', () => {
      other.abort('chained');
      inside = pool.run('echo', ['inside']);
    });
    const calls = [
      pool.run('echo', [1], { signal: abort.signal }),
      pool.run('echo', [2], { signal: other.signal }),
    ].map(outcome);
    abort.abort('first');
    expect(await Promise.all(calls)).toMatchObject([
      { ok: false, error: { cause: 'first' } },
      { ok: false, error: { cause: 'chained' } },
    ]);
    expect(await inside).toBe('inside');
  });

  it('a task may open a pool of its own', async () => {
    const { pool } = await openPool();
    expect(await pool.run('nestedPool', [TASKS.href, { deep: 1 }])).toEqual({ deep: 1 });
  });
});

describe('results that are strange', () => {
  it.each(['getter throws', 'then throws'])('a thenable: %s', async (kind) => {
    const { pool } = await openPool();
    const thread = await pool.run('myThread');
    const error = await rejectionOf(pool.run('strangeThenable', [kind]));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toBe(kind);
    expect(await pool.run('myThread')).toBe(thread);
  });

  it('a thenable that settles three times counts once', async () => {
    const { pool } = await openPool();
    expect(await pool.run('strangeThenable', ['many times'])).toBe('first');
    expect(pool.metrics()).toMatchObject({ completed: 1, failed: 0, outstanding: 0 });
  });

  it('a getter that throws', async () => {
    const { pool } = await openPool();
    expect(await rejectionOf(pool.run('returnGetter'))).toMatchObject({ message: 'getter in the result' });
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('proxies are read through, and their traps may throw', async () => {
    const { pool } = await openPool();
    expect(await pool.run('echo', [new Proxy([1, 2], {})])).toEqual([1, 2]);
    expect(await pool.run('echo', [new Proxy(new SharedArrayBuffer(8), {})])).toEqual({});
    const trap = new Proxy(
      { a: 1 },
      {
        get: () => {
          throw new Error('trap');
        },
      },
    );
    expect(await rejectionOf(pool.run('echo', [trap]))).toMatchObject({ message: 'trap' });
  });
});

describe('tasks that touch the worker', () => {
  it('junk on parentPort, and closing it, hurt nobody', async () => {
    const { pool } = await openPool();
    expect(await pool.run('postJunk')).toBe('posted');
    expect(await pool.run('echo', [1])).toBe(1);
    await pool.run('closeParentPort');
    expect(await pool.run('echo', [2])).toBe(2);
    await pool.shutdown();
    expect(pool.metrics().threads).toBe(0);
  });

  it('without the listeners for uncaught errors the worker ends, and is replaced', async () => {
    const { pool } = await openPool();
    const exits: unknown[] = [];
    pool.on('workerExit', (exit) => exits.push(exit));
    await pool.run('forgetListeners');
    await pool.run('throwLater', ['nobody hears it']);
    await until(() => exits.length === 1);
    expect(exits[0]).toMatchObject({ expected: false, error: { message: 'nobody hears it' } });
    expect(await pool.run('echo', [1])).toBe(1);
  });
});
