import type { TaskPool, WorkerExit } from 'heddle';
import { WorkerExitedError } from 'heddle';
import { describe, expect, it } from 'vitest';
import { fixture, gateOf, openPool, openRuntime, outcome, rejectionOf, until } from './harness.ts';

/** Numbers that look random and are the same in every run. */
function randomFrom(seed: number): () => number {
  let x = seed;
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x / 2 ** 32;
  };
}

const exitsOf = (pool: TaskPool): WorkerExit[] => {
  const exits: WorkerExit[] = [];
  pool.on('workerExit', (exit) => exits.push(exit));
  return exits;
};

describe('a worker that dies soon after each start', () => {
  it('is not started again and again while no call is made, and is told once', async () => {
    const rt = await openRuntime();
    const pool = await rt.createPool({ tasks: fixture('dies-soon.mjs'), minThreads: 1, maxThreads: 1 });
    const exits = exitsOf(pool);
    const errors: any[] = [];
    pool.on('error', (error) => errors.push(error));
    await new Promise((resolve) => setTimeout(resolve, 3000));
    // After 50, 100, 200, 400, 800 and 1600 ms.
    expect(exits.length).toBeGreaterThan(2);
    expect(exits.length).toBeLessThan(8);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: 'ERR_WORKER_EXITED', exitCode: 9 });
    for (let i = 0; i < 5; i++) {
      const ended = exits.length;
      const start = performance.now();
      expect(await pool.run('echo', [i])).toBe(i);
      expect(performance.now() - start).toBeLessThan(1000);
      await until(() => exits.length > ended);
    }
    await pool.ready();
  });
});

describe('a task that ends its worker', () => {
  it('is the only one that fails: queued tasks go on in another worker', async () => {
    const { pool } = await openPool();
    const exits = exitsOf(pool);
    const dying = outcome(pool.run('exit', [5]));
    const others = Array.from({ length: 50 }, (_, i) => pool.run('echo', [i]));
    const death = await dying;
    expect(death).toMatchObject({
      ok: false,
      error: { code: 'ERR_WORKER_EXITED', exitCode: 5, resource: 'exit', name: 'WorkerExitedError' },
    });
    expect(!death.ok && death.error).toBeInstanceOf(WorkerExitedError);
    expect(await Promise.all(others)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(exits).toHaveLength(1);
    expect(exits[0]).toMatchObject({ id: 0, exitCode: 5, expected: false });
  });

  it('is named in the error after an await too', async () => {
    const { pool } = await openPool();
    expect(await rejectionOf(pool.run('exitAfterAwait', [6]))).toMatchObject({
      code: 'ERR_WORKER_EXITED',
      exitCode: 6,
    });
  });

  it('takes the async tasks of its worker with it, and none of another worker', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2, concurrentTasksPerWorker: 2 });
    const gate = gateOf(rt);
    const held = [1, 2, 3].map((n) => outcome(pool.run('holdAsync', [gate.name, n])));
    await gate.reached(3);
    expect(await rejectionOf(pool.run('exit', [1]))).toMatchObject({ code: 'ERR_WORKER_EXITED' });
    gate.open();
    const results = await Promise.all(held);
    const lost = results.filter((result) => !result.ok);
    expect(lost).toHaveLength(1);
    expect(lost[0]).toMatchObject({ error: { code: 'ERR_WORKER_EXITED', resource: 'holdAsync' } });
  });

  it('leaves the pool with as many workers as before', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    await rejectionOf(pool.run('exit', [1]));
    await pool.ready();
    expect(pool.metrics().threads).toBe(2);
  });

  it('may be idle: a worker that exits between tasks is replaced and blames nobody', async () => {
    const { pool } = await openPool();
    const exits = exitsOf(pool);
    await pool.run('exitSoon', [4]);
    await until(() => exits.length === 1);
    expect(exits[0]).toMatchObject({ exitCode: 4, expected: false });
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('loses the value that it was about to send by port, not the call', async () => {
    const { pool } = await openPool();
    for (let round = 0; round < 5; round++) {
      const calls = Array.from({ length: 10 }, (_, i) =>
        outcome(i === 4 ? pool.run('exit', [1]) : pool.run('makeBytes', [1000 + i, true])),
      );
      const results = await Promise.all(calls);
      for (const [i, result] of results.entries()) {
        if (i === 4) expect(result).toMatchObject({ ok: false, error: { code: 'ERR_WORKER_EXITED' } });
        else if (result.ok) expect(result.value).toHaveLength(1000 + i);
        else throw result.error;
      }
    }
  });
});

describe('a heap that is full', () => {
  it('ends the worker with ERR_WORKER_EXITED and the cause; the pool goes on', async () => {
    const { pool } = await openPool({ resourceLimits: { maxOldGenerationSizeMb: 24 } });
    const queued = pool.run('exhaustHeap');
    const after = pool.run('echo', ['after']);
    const error = await rejectionOf(queued);
    expect(error).toMatchObject({ code: 'ERR_WORKER_EXITED', resource: 'exhaustHeap' });
    expect(error.cause.code).toBe('ERR_WORKER_OUT_OF_MEMORY');
    expect(await after).toBe('after');
  });
});

describe('errors that no task caught', () => {
  it('throw in a timer: an error event, and the worker goes on', async () => {
    const { pool } = await openPool();
    const thread = await pool.run('myThread');
    const errors: any[] = [];
    pool.on('error', (error) => errors.push(error));
    expect(await pool.run('throwLater', ['in a timer'])).toBe('returned');
    await until(() => errors.length === 1);
    expect(errors[0]).toBeInstanceOf(RangeError);
    expect(errors[0]).toMatchObject({ message: 'in a timer', code: 'E_LATE' });
    expect(await pool.run('myThread')).toBe(thread);
  });

  it('a rejection that nobody handles: an error event, and the worker goes on', async () => {
    const { pool } = await openPool();
    const thread = await pool.run('myThread');
    const errors: any[] = [];
    pool.on('error', (error) => errors.push(error));
    expect(await pool.run('rejectLater', ['unhandled'])).toBe('returned');
    await until(() => errors.length === 1);
    expect(errors[0]).toMatchObject({ message: 'unhandled' });
    expect(await pool.run('myThread')).toBe(thread);
  });

  it('are no errors of the task that runs meanwhile', async () => {
    const { rt, pool } = await openPool({ concurrentTasksPerWorker: 2 });
    const errors: unknown[] = [];
    pool.on('error', (error) => errors.push(error));
    const gate = gateOf(rt);
    const held = pool.run('holdAsync', [gate.name, 'unharmed']);
    await gate.reached(1);
    await pool.run('throwLater', ['beside']);
    await until(() => errors.length === 1);
    gate.open();
    expect(await held).toBe('unharmed');
  });
});

describe('a module that cannot be loaded twice', () => {
  it('fails the calls and says so rather than leave them pending', async () => {
    const rt = await openRuntime();
    const pool = await rt.createPool({
      tasks: fixture('loads-once.mjs'),
      minThreads: 1,
      maxThreads: 1,
      workerData: new Int32Array(new SharedArrayBuffer(4)),
    });
    const errors: any[] = [];
    pool.on('error', (error) => errors.push(error));
    expect(await pool.run('echo', [1])).toBe(1);
    const calls = [pool.run('exit'), pool.run('echo', [2]), pool.run('echo', [3])].map(outcome);
    const results = await Promise.all(calls);
    expect(results[0]).toMatchObject({ ok: false, error: { code: 'ERR_WORKER_EXITED' } });
    for (const result of results.slice(1)) {
      expect(result).toMatchObject({ ok: false, error: { code: 'ERR_INVALID_ARGUMENT' } });
    }
    expect(errors.length).toBeGreaterThan(0);
    expect(errors[0].message).toContain('loads-once.mjs');
    await pool.shutdown(1000);
  });

  it('ends a shutdown that waits for them', async () => {
    const rt = await openRuntime();
    const pool = await rt.createPool({
      tasks: fixture('loads-once.mjs'),
      minThreads: 1,
      maxThreads: 1,
      workerData: new Int32Array(new SharedArrayBuffer(4)),
    });
    pool.on('error', () => undefined);
    const calls = [pool.run('exit'), pool.run('echo', [2]), pool.run('echo', [3])].map(outcome);
    await pool.shutdown();
    expect((await Promise.all(calls)).map(({ ok }) => ok)).toEqual([false, false, false]);
  });
});

describe('many deaths', () => {
  it('300 tasks of which some exit their worker: each has its own outcome, no memory is lost', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const random = randomFrom(42);
    const round = async (tasks: number, deaths: number): Promise<void> => {
      const calls = Array.from({ length: tasks }, (_, i) => {
        const dies = random() < deaths;
        if (dies) return outcome(pool.run('exit', [3])).then((result) => [dies, i, result] as const);
        const text = 'x'.repeat(Math.floor(random() * 5000));
        const call = i % 3 === 0 ? pool.run('fib', [10]) : pool.run('echo', [{ i, text }]);
        return outcome(call).then((result) => {
          if (result.ok && i % 3 !== 0) expect(result.value).toEqual({ i, text });
          if (result.ok && i % 3 === 0) expect(result.value).toBe(55);
          return [dies, i, result] as const;
        });
      });
      for (const [dies, , result] of await Promise.all(calls)) {
        if (dies) expect(result).toMatchObject({ ok: false, error: { code: 'ERR_WORKER_EXITED' } });
        else if (!result.ok) throw result.error;
      }
    };
    await round(300, 0.05);
    await pool.ready();
    await round(300, 0);
    const before = rt.usedBytes;
    await round(300, 0.05);
    await round(300, 0.05);
    await pool.ready();
    // The memory of the dead comes back once no living worker can still be looking at it.
    for (let i = 0; i < 200 && rt.usedBytes > before; i++) await round(4, 0);
    expect(pool.metrics()).toMatchObject({ queueDepth: 0, outstanding: 0, threads: 2 });
    expect(rt.usedBytes - before).toBeLessThanOrEqual(8 * 2 ** 16);
  });
});
