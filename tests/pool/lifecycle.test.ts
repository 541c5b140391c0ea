import { Worker } from 'node:worker_threads';
import { createRuntime, type TaskPool, TaskPool as TaskPools, type WorkerExit } from 'heddle';
import { describe, expect, it } from 'vitest';
import { nodePlatform } from '../../ts/platform/node.ts';
import { TaskPool as SourcePool } from '../../ts/pool/task-pool.ts';
import { offerStandalonePools } from '../../ts/runtime/standalone.ts';
import { StaticSystems } from '../../ts/systems/systems.static.ts';
import {
  fixture,
  gateOf,
  isPending,
  openPool,
  openPoolOn,
  openRuntime,
  outcome,
  rejectionOf,
  TASKS,
  thrownBy,
  turn,
  until,
} from './harness.ts';

const exitsOf = (pool: TaskPool): WorkerExit[] => {
  const exits: WorkerExit[] = [];
  pool.on('workerExit', (exit) => exits.push(exit));
  return exits;
};

describe('scale', () => {
  it('goes up and down to the number given, and loses nothing', async () => {
    const { pool } = await openPool();
    const exits = exitsOf(pool);
    const calls: Promise<unknown>[] = [];
    for (const threads of [3, 1, 2, 4, 1]) {
      for (let i = 0; i < 50; i++) calls.push(pool.run('echo', [i]));
      await pool.scale(threads);
      await until(() => pool.metrics().threads === threads);
    }
    expect((await Promise.all(calls)).every((value, i) => value === i % 50)).toBe(true);
    expect(exits).toHaveLength(5);
    expect(exits.every((exit) => exit.expected)).toBe(true);
  });

  it('waits for the tasks of the surplus workers', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const gate = gateOf(rt);
    const held = [pool.run('hold', [gate.name, 1]), pool.run('hold', [gate.name, 2])];
    await gate.reached(2);
    const scaled = pool.scale(1);
    expect(await isPending(Promise.race([...held, scaled.then(() => pool.run('never'))]))).toBe(true);
    gate.open();
    expect(await Promise.all(held)).toEqual([1, 2]);
    await scaled;
    await until(() => pool.metrics().threads === 1);
  });

  it('waits for the async tasks of the surplus workers', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2, concurrentTasksPerWorker: 2 });
    const gate = gateOf(rt);
    const held = [1, 2, 3, 4].map((n) => pool.run('holdAsync', [gate.name, n]));
    await gate.reached(4);
    const scaled = pool.scale(1);
    await turn();
    gate.open();
    expect(await Promise.all(held)).toEqual([1, 2, 3, 4]);
    await scaled;
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('refuses numbers out of range', async () => {
    const { pool } = await openPool();
    for (const threads of [0, -1, 65, 1.5, Number.NaN]) {
      const error = await rejectionOf(pool.scale(threads));
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(await rejectionOf(pool.scale('2' as never))).toBeInstanceOf(TypeError);
    expect(pool.metrics().threads).toBe(1);
  });

  it('may be called again before it is done: the last one counts', async () => {
    const { pool } = await openPool();
    const all = [pool.scale(4), pool.scale(2), pool.scale(3)];
    await Promise.all(all);
    expect(pool.metrics().threads).toBe(3);
    expect(await pool.run('echo', [1])).toBe(1);
  });
});

describe('scale and ready, when the pool closes', () => {
  it.each(['destroy', 'shutdown'] as const)(
    'reject where %s is called meanwhile, and afterwards',
    async (close) => {
      const { pool } = await openPool();
      const scaled = rejectionOf(pool.scale(4));
      const ready = rejectionOf(pool.ready());
      const closed = pool[close]();
      for (const error of [await scaled, await ready, await rejectionOf(pool.ready())])
        expect(error).toMatchObject({
          code: 'ERR_POOL_CLOSED',
          message: expect.stringContaining('wait for'),
        });
      await closed;
      const error = await rejectionOf(pool.scale(2));
      expect(error).toMatchObject({
        code: 'ERR_POOL_CLOSED',
        message: "cannot scale pool 'pool': it is closed",
      });
      expect(thrownBy(() => pool.setConfig({ maxQueue: 5 }))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    },
  );
});

describe('scale and ready, when setConfig is called meanwhile', () => {
  it('end when there are as many, though there may be more', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    pool.setConfig({ maxThreads: 3 });
    const held = [1, 2, 3].map((n) => pool.run('hold', [gate.name, n]));
    await gate.reached(3);
    const scaled = pool.scale(2);
    pool.setConfig({ maxThreads: 4 });
    await scaled;
    gate.open();
    expect(await Promise.all(held)).toEqual([1, 2, 3]);
  });

  it('end when what they wait for is no longer wanted, though no worker comes or goes', async () => {
    const entry = new URL('../../build/worker.node.js', import.meta.url);
    let made = 0;
    // All but the first never boot.
    const worker = () =>
      made++ === 0 ? new Worker(entry) : new Worker('setInterval(() => undefined, 1000)', { eval: true });
    const { pool } = await openPool({ worker });
    const scaled = pool.scale(2);
    const ready = pool.ready();
    pool.setConfig({ minThreads: 1 });
    await Promise.all([scaled, ready]);
    expect(pool.metrics().threads).toBe(2);
  });
});

describe('workers come and go by themselves', () => {
  it('up to maxThreads under load, down to minThreads when idle', async () => {
    const { rt, pool } = await openPool({ minThreads: 1, maxThreads: 3, idleTimeout: 30 });
    const exits = exitsOf(pool);
    const gate = gateOf(rt);
    const held = Array.from({ length: 5 }, (_, i) => pool.run('hold', [gate.name, i]));
    await gate.reached(3);
    expect(pool.metrics().threads).toBe(3);
    gate.open();
    expect(await Promise.all(held)).toEqual([0, 1, 2, 3, 4]);
    await until(() => exits.length === 2);
    expect(exits.every((exit) => exit.expected && exit.exitCode === 0)).toBe(true);
    await until(() => pool.metrics().threads === 1);
    expect(await pool.run('echo', ['again'])).toBe('again');
  });

  it('not up for tasks that one worker does in time', async () => {
    const { pool } = await openPool({ minThreads: 1, maxThreads: 4 });
    for (let i = 0; i < 200; i++) await pool.run('echo', [i]);
    expect(pool.metrics().threads).toBe(1);
  });

  it('not down while they are busy', async () => {
    const { rt, pool } = await openPool({ minThreads: 0, maxThreads: 1, idleTimeout: 10 });
    const gate = gateOf(rt);
    const held = pool.run('holdAsync', [gate.name, 'safe']);
    await gate.reached(1);
    const blocked = gateOf(rt);
    for (let i = 0; i < 30; i++) await turn();
    gate.open();
    expect(await held).toBe('safe');
    const sync = pool.run('hold', [blocked.name, 'safe too']);
    await blocked.reached(1);
    for (let i = 0; i < 30; i++) await turn();
    blocked.open();
    expect(await sync).toBe('safe too');
  });

  it('to none with minThreads 0, and back', async () => {
    const { pool } = await openPool({ minThreads: 0, maxThreads: 2, idleTimeout: 10 });
    for (let round = 0; round < 3; round++) {
      await until(() => pool.metrics().threads === 0);
      expect(await Promise.all([1, 2, 3].map((n) => pool.run('echo', [n])))).toEqual([1, 2, 3]);
    }
  });

  it('never down with idleTimeout Infinity', async () => {
    const { rt, pool } = await openPool({
      minThreads: 1,
      maxThreads: 2,
      idleTimeout: Number.POSITIVE_INFINITY,
    });
    const gate = gateOf(rt);
    const held = [pool.run('hold', [gate.name]), pool.run('hold', [gate.name])];
    await gate.reached(2);
    gate.open();
    await Promise.all(held);
    for (let i = 0; i < 30; i++) await turn();
    expect(pool.metrics().threads).toBe(2);
  });
});

describe('setConfig', () => {
  it('changes the limits of threads', async () => {
    const { pool } = await openPool();
    pool.setConfig({ minThreads: 3 });
    await pool.ready();
    await until(() => pool.metrics().threads === 3);
    pool.setConfig({ minThreads: 0, maxThreads: 1 });
    await until(() => pool.metrics().threads === 1);
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('starts the idle timeout that it sets', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2, idleTimeout: Number.POSITIVE_INFINITY });
    pool.setConfig({ minThreads: 1, idleTimeout: 10 });
    await until(() => pool.metrics().threads === 1);
  });

  it('shortens an idle timeout that runs', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2, idleTimeout: 60_000 });
    pool.setConfig({ minThreads: 1 });
    pool.setConfig({ idleTimeout: 10 });
    await until(() => pool.metrics().threads === 1);
  });

  it('changes the queue, the class, the grace and the retries', async () => {
    const { rt, pool } = await openPool();
    pool.setConfig({ qos: 'BestEffort', maxQueue: 0, retry: { attempts: 2 }, abortGraceMs: 10 });
    expect(await pool.run('myContext')).toMatchObject({ qos: 'BestEffort' });
    expect(await pool.run('failTimes', ['x', 1], { idempotent: true })).toBe(2);
    const gate = gateOf(rt);
    const held = pool.run('hold', [gate.name]);
    await gate.reached(1);
    expect(await rejectionOf(pool.run('echo', [1]))).toMatchObject({ code: 'ERR_QUEUE_FULL' });
    gate.open();
    await held;
    const gone = new Promise((resolve) => pool.once('workerExit', resolve));
    await rejectionOf(pool.run('spinForEver', ['in'], { timeoutMs: 10 }));
    await gone;
  });

  it('changes nothing when something is wrong', async () => {
    const { pool } = await openPool({ minThreads: 1, maxThreads: 2 });
    const set = pool.setConfig.bind(pool) as (config: unknown) => void;
    for (const config of [
      { maxThreads: 4, minThreads: 5 },
      { maxQueue: 0, speed: 9 },
      { maxQueue: 0, idleTimeout: -1 },
      { maxQueue: 0, retry: { attempts: 0 } },
      { maxQueue: 0, qos: 'Gold' },
      { tasks: TASKS },
      7,
    ]) {
      expect(thrownBy(() => set(config))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(await Promise.all([1, 2, 3, 4, 5].map((n) => pool.run('echo', [n])))).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('ready', () => {
  it('resolves when minThreads workers take tasks', async () => {
    const rt = await openRuntime();
    const pool = await rt.createPool({ tasks: TASKS, minThreads: 3, maxThreads: 3 });
    await pool.ready();
    const gate = gateOf(rt);
    const held = [1, 2, 3].map((n) => pool.run('hold', [gate.name, n]));
    expect(pool.metrics().threads).toBe(3);
    await gate.reached(3);
    gate.open();
    expect(await Promise.all(held)).toEqual([1, 2, 3]);
  });

  it('ends by signal, time limit, and when the pool closes', async () => {
    const { pool } = await openPool();
    pool.setConfig({ minThreads: 2 });
    expect(await rejectionOf(pool.ready({ signal: AbortSignal.abort('no') }))).toMatchObject({
      name: 'AbortError',
      cause: 'no',
    });
    pool.setConfig({ minThreads: 30 });
    expect(await rejectionOf(pool.ready({ timeoutMs: 1 }))).toMatchObject({ code: 'ERR_TASK_TIMEOUT' });
    const waiting = outcome(pool.ready());
    await pool.destroy();
    expect(await waiting).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
    expect(await rejectionOf(pool.ready())).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });
});

describe('shutdown', () => {
  it('lets everything accepted end, takes nothing more, then ends the workers', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const exits = exitsOf(pool);
    const gate = gateOf(rt);
    const calls = Array.from({ length: 50 }, (_, i) => pool.run('hold', [gate.name, i]));
    await gate.reached(2);
    const closed = pool.shutdown();
    expect(await rejectionOf(pool.run('echo', [1]))).toMatchObject({
      code: 'ERR_POOL_CLOSED',
      name: 'PoolClosedError',
    });
    expect(exits).toHaveLength(0);
    gate.open();
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    await closed;
    expect(exits).toHaveLength(2);
    expect(exits.every((exit) => exit.expected && exit.exitCode === 0)).toBe(true);
    expect(pool.metrics()).toMatchObject({ threads: 0, queueDepth: 0, outstanding: 0, completed: 50 });
  });

  it('rejects what is left when its time runs out', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const running = outcome(pool.run('hold', [gate.name]));
    const queued = outcome(pool.run('echo', [1]));
    await gate.reached(1);
    await pool.shutdown(20);
    for (const result of await Promise.all([running, queued])) {
      expect(result).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
    }
    expect(pool.metrics().threads).toBe(0);
  });

  it('of 0 ms rejects what has not ended', async () => {
    const { pool } = await openPool();
    const call = outcome(pool.run('never'));
    await pool.shutdown(0);
    expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
  });

  it('waits for retries', async () => {
    const { pool } = await openPool({ retry: { attempts: 3, backoffMs: 5 } });
    const call = pool.run('failTimes', ['x', 2], { idempotent: true });
    await Promise.all([pool.shutdown(), expect(call).resolves.toBe(3)]);
  });

  it('waits for a worker that dies meanwhile, and runs what it left', async () => {
    const { pool } = await openPool();
    const calls = [pool.run('exit', [1]), pool.run('echo', [2]), pool.run('echo', [3])].map(outcome);
    await pool.shutdown();
    expect(await Promise.all(calls)).toMatchObject([
      { ok: false, error: { code: 'ERR_WORKER_EXITED' } },
      { ok: true, value: 2 },
      { ok: true, value: 3 },
    ]);
  });

  it('ends workers whose tasks left timers', async () => {
    const { pool } = await openPool();
    await pool.run('startTicking', ['t', 10]);
    await pool.shutdown();
    expect(pool.metrics().threads).toBe(0);
  });

  it('ends workers that are starting', async () => {
    const rt = await openRuntime();
    const pool = await rt.createPool({ tasks: TASKS, minThreads: 8, maxThreads: 8 });
    await pool.shutdown();
    expect(pool.metrics().threads).toBe(0);
  });

  it('is the same promise’s end for all who call it', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const held = outcome(pool.run('hold', [gate.name]));
    await gate.reached(1);
    const all = [pool.shutdown(), pool.shutdown(), pool[Symbol.asyncDispose]()];
    expect(await isPending(Promise.race(all))).toBe(true);
    gate.open();
    await Promise.all(all);
    expect(await held).toMatchObject({ ok: true });
    await pool.shutdown();
    await pool.destroy();
    await pool[Symbol.asyncDispose]();
    await rt.dispose();
    await rt.dispose();
    await rt[Symbol.asyncDispose]();
  });

  it('ends a worker that runs only a task that was cancelled and does not stop', async () => {
    const { rt, pool } = await openPool();
    const exits = exitsOf(pool);
    const stop = new AbortController();
    const call = outcome(pool.run('spinForEver', ['in'], { signal: stop.signal }));
    await until(() => rt.atomicInt32('in').load() === 1);
    stop.abort();
    expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_TASK_ABORTED' } });
    await pool[Symbol.asyncDispose]();
    expect(exits).toMatchObject([{ expected: true }]);
    expect(pool.metrics().threads).toBe(0);
  });

  it('leaves a cancelled task the grace of its own', async () => {
    const { rt, pool } = await openPool({ abortGraceMs: 0 });
    const gate = gateOf(rt);
    const stop = new AbortController();
    const options = { signal: stop.signal, abortGraceMs: 60_000 };
    const call = outcome(pool.run('holdAndNote', [gate.name, 'out'], options));
    await gate.reached(1);
    stop.abort();
    await call;
    const closed = pool.shutdown();
    for (let i = 0; i < 50; i++) await turn();
    gate.open();
    await closed;
    expect(rt.atomicInt32('out').load()).toBe(1);
  });

  it('called again with a time ends then', async () => {
    const { pool } = await openPool();
    const call = outcome(pool.run('never'));
    const closed = pool.shutdown();
    await pool.shutdown(10);
    await closed;
    expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
    expect(pool.metrics().threads).toBe(0);
  });

  it('called again with a longer time ends at the shorter', async () => {
    const { pool } = await openPool();
    const call = outcome(pool.run('never'));
    void pool.shutdown(10);
    await pool.shutdown(60_000);
    expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
  });

  it('of no number rejects', async () => {
    const { pool } = await openPool();
    expect(await rejectionOf(pool.shutdown(-1))).toBeInstanceOf(RangeError);
    expect(await rejectionOf(pool.shutdown('now' as never))).toBeInstanceOf(TypeError);
    expect(await pool.run('echo', [1])).toBe(1);
  });
});

describe('destroy', () => {
  it('rejects every open call and ends the workers', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const exits = exitsOf(pool);
    const gate = gateOf(rt);
    const calls = Array.from({ length: 1000 }, (_, i) => outcome(pool.run('hold', [gate.name, i])));
    const extra = outcome(pool.run('echo', [1], { timeoutMs: 60_000, signal: new AbortController().signal }));
    await gate.reached(2);
    await pool.destroy();
    for (const result of [...(await Promise.all(calls)), await extra]) {
      expect(result).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED', resource: 'pool' } });
    }
    expect(exits).toHaveLength(2);
    expect(exits.every((exit) => exit.expected)).toBe(true);
    expect(pool.metrics()).toMatchObject({ threads: 0, queueDepth: 0, outstanding: 0 });
  });

  it('ends a shutdown that waits', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const held = outcome(pool.run('hold', [gate.name]));
    await gate.reached(1);
    const closing = pool.shutdown();
    await pool.destroy();
    await closing;
    expect(await held).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
  });

  it('may be called many times', async () => {
    const { pool } = await openPool();
    await Promise.all([pool.destroy(), pool.destroy(), pool.shutdown(), pool[Symbol.asyncDispose]()]);
    expect(pool.metrics().threads).toBe(0);
  });

  it('while a worker is dying settles everything', async () => {
    for (let round = 0; round < 5; round++) {
      const { pool } = await openPool();
      const calls = Array.from({ length: 20 }, (_, i) =>
        outcome(i % 5 === 0 ? pool.run('exit', [1]) : pool.run('echo', [i])),
      );
      for (let i = 0; i < round; i++) await turn();
      await pool.destroy();
      for (const result of await Promise.all(calls)) {
        if (!result.ok) expect(['ERR_POOL_CLOSED', 'ERR_WORKER_EXITED']).toContain(result.error.code);
      }
    }
  });
});

describe('a closed pool', () => {
  it('refuses everything, and says so', async () => {
    const { pool } = await openPool({ name: 'warp' });
    await pool.shutdown();
    for (const call of [
      pool.run('echo', [1]),
      pool.run('nope' as never),
      pool.range('cover', { from: 0, to: 1 }),
      pool.scale(2),
      pool.ready(),
    ]) {
      const error = await rejectionOf(call);
      expect(error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
      expect(error.message).toContain('warp');
    }
    expect(pool.trace()).toEqual([]);
    expect(thrownBy(() => pool.setConfig({ maxThreads: 3 }))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(pool.metrics().threads).toBe(0);
  });
});

describe('the runtime', () => {
  it('destroys its pools when it is disposed, and opens no more', async () => {
    const rt = await openRuntime();
    const pools = [await openPoolOn(rt), await openPoolOn(rt)];
    const calls = pools.map((pool) => outcome(pool.run('never')));
    await rt.dispose();
    for (const result of await Promise.all(calls)) {
      expect(result).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
    }
    expect(await rejectionOf(rt.createPool({ tasks: TASKS }))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(thrownBy(() => rt.alloc(Uint8Array, 1))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(thrownBy(() => rt.atomicInt32('a'))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });

  it('disposed while a pool opens: no worker stays', async () => {
    const rt = await openRuntime();
    const opening = outcome(rt.createPool({ tasks: TASKS }));
    await rt.dispose();
    expect(await opening).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
  });

  it('disposed while a module loads that never ends to: the pool is not opened', async () => {
    const rt = await openRuntime();
    const begun = new SharedArrayBuffer(4);
    const tasks = fixture('never-loads.mjs');
    const opening = [
      outcome(rt.createPool({ tasks, maxThreads: 1, workerData: begun })),
      outcome(rt.createPool({ tasks, maxThreads: 1 })),
    ];
    await until(() => Atomics.load(new Int32Array(begun), 0) === 1);
    await rt.dispose();
    for (const result of await Promise.all(opening))
      expect(result).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
  });

  it('has at most 32 pools, and takes a new one where one was closed', async () => {
    const rt = await openRuntime();
    const pools = await Promise.all(
      Array.from({ length: 32 }, () =>
        rt.createPool({ tasks: fixture('typed.mjs'), minThreads: 0, maxThreads: 1 }),
      ),
    );
    expect(await rejectionOf(rt.createPool({ tasks: TASKS }))).toMatchObject({ code: 'ERR_RESOURCE_LIMIT' });
    expect(await Promise.all(pools.map((pool, i) => pool.run('double', [i])))).toEqual(
      pools.map((_, i) => 2 * i),
    );
    await pools[7]!.shutdown();
    const another = await openPoolOn(rt);
    expect(await another.run('echo', ['here'])).toBe('here');
  });

  it('is made by TaskPool.create, and goes with the pool', async () => {
    const pool = await TaskPools.create({ tasks: TASKS, memoryBytes: 8 * 2 ** 20, maxThreads: 1 });
    expect(await pool.run('echo', ['short'])).toBe('short');
    await pool[Symbol.asyncDispose]();
    expect(await rejectionOf(pool.run('echo', [1]))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(await rejectionOf(TaskPools.create({ tasks: TASKS, memoryBytes: 5 }))).toBeInstanceOf(RangeError);
    expect(await rejectionOf(TaskPools.create({} as never))).toBeInstanceOf(TypeError);
  });

  it('made by TaskPool.create goes when the pool cannot be opened', async () => {
    let attached = 0;
    let left = 0;
    class Counting extends StaticSystems {
      override attach(...args: Parameters<StaticSystems['attach']>): () => void {
        const leave = super.attach(...args);
        attached++;
        return () => {
          left++;
          leave();
        };
      }
    }
    offerStandalonePools(nodePlatform, () => new Counting());
    const bad = [{ tasks: TASKS, speed: 9 }, { tasks: 'relative.mjs' }, {}];
    for (const options of bad)
      expect(await rejectionOf(SourcePool.create(options as never))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
      });
    expect([attached, left]).toEqual([3, 3]);
  });

  it('is of use with `await using`', async () => {
    let pool: TaskPool;
    {
      await using rt = await createRuntime();
      await using scoped = await rt.createPool({ tasks: TASKS, maxThreads: 1 });
      pool = scoped;
      void scoped.run('count', ['x']);
    }
    expect(pool.metrics()).toMatchObject({ completed: 1, threads: 0 });
  });
});

describe('a task module', () => {
  it('may be TypeScript with a loader in execArgv', async () => {
    const { pool } = await openPool({
      tasks: fixture('typescript/tasks.ts'),
      execArgv: ['--import', fixture('typescript/register.mjs').href],
    });
    expect(await pool.run('twice', [4])).toBe(8);
  });

  it('may export functions by any name', async () => {
    const { pool } = await openPool({ tasks: fixture('odd-names.mjs') });
    expect(pool.tasks).toEqual(['__proto__', 'constructor', 'two words']);
    for (const name of pool.tasks) expect(await pool.run(name, [name])).toBe(name);
  });
});

describe('a task module that is wrong', () => {
  it.each([
    ['missing', fixture('missing.mjs'), /missing\.mjs/],
    ['throwing', fixture('throws-on-load.mjs'), /this module cannot be loaded/],
    ['without a function', fixture('no-function.mjs'), /exports no function/],
    ['a relative path', './tasks.mjs', /absolute path/],
    ['no URL at all', 5, /tasks/],
    ['left out', undefined, /tasks/],
  ])('%s: rejects with ERR_INVALID_ARGUMENT and says why', async (_name, tasks, message) => {
    const rt = await openRuntime();
    const error = await rejectionOf(rt.createPool({ tasks: tasks as never }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(error.message).toMatch(message);
  });

  it('keeps the error of the module as cause', async () => {
    const rt = await openRuntime();
    const error = await rejectionOf(rt.createPool({ tasks: fixture('throws-on-load.mjs') }));
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(error.cause).toMatchObject({ code: 'E_LOAD' });
  });

  it('leaves nothing behind', async () => {
    const rt = await openRuntime();
    await rejectionOf(rt.createPool({ tasks: fixture('missing.mjs') }));
    const before = rt.usedBytes;
    for (let i = 0; i < 5; i++) await rejectionOf(rt.createPool({ tasks: fixture('missing.mjs') }));
    expect(rt.usedBytes).toBe(before);
    expect(await (await openPoolOn(rt)).run('echo', [1])).toBe(1);
  });

  it('is found by URL, by file: string and by absolute path', async () => {
    const rt = await openRuntime();
    for (const tasks of [TASKS, TASKS.href, TASKS.pathname]) {
      const pool = await rt.createPool({ tasks, maxThreads: 1 });
      expect(await pool.run('echo', [1])).toBe(1);
    }
  });
});
