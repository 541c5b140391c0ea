import { HeddleError, TaskAbortedError, TaskTimeoutError } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, openPool, outcome, rejectionOf, until } from './harness.ts';

describe('a signal that has fired already', () => {
  it('rejects with an AbortError and its reason; the task never runs', async () => {
    const { rt, pool } = await openPool();
    const error = await rejectionOf(pool.run('count', ['ran'], { signal: AbortSignal.abort('the reason') }));
    expect(error).toBeInstanceOf(TaskAbortedError);
    expect(error).toBeInstanceOf(HeddleError);
    expect(error).toMatchObject({
      name: 'AbortError',
      code: 'ERR_TASK_ABORTED',
      cause: 'the reason',
      resource: 'count',
    });
    await pool.run('echo', [1]);
    expect(rt.atomicInt32('ran').load()).toBe(0);
  });

  it('passes the very reason object on', async () => {
    const { pool } = await openPool();
    const reason = { any: 'object' };
    const error = await rejectionOf(pool.run('echo', [1], { signal: AbortSignal.abort(reason) }));
    expect(error.cause).toBe(reason);
  });
});

describe('a queued task', () => {
  it('never runs once it is cancelled, and rejects at once', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const abort = new AbortController();
    const queued = Array.from({ length: 100 }, () =>
      outcome(pool.run('count', ['ran'], { signal: abort.signal })),
    );
    const kept = pool.run('count', ['kept']);
    abort.abort('not needed');
    // The worker is still blocked: the rejections do not wait for it.
    for (const result of await Promise.all(queued)) {
      expect(result).toMatchObject({ ok: false, error: { name: 'AbortError', cause: 'not needed' } });
    }
    expect(gate.waiting).toBe(1);
    gate.open();
    await blocking;
    expect(await kept).toBe(1);
    expect(rt.atomicInt32('ran').load()).toBe(0);
    expect(pool.metrics().contextCancels).toBe(100);
  });

  it('rejects with ERR_TASK_TIMEOUT when its time runs out in the queue', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const error = await rejectionOf(pool.run('count', ['ran'], { timeoutMs: 20 }));
    expect(error).toBeInstanceOf(TaskTimeoutError);
    expect(error).toMatchObject({ name: 'TimeoutError', code: 'ERR_TASK_TIMEOUT', resource: 'count' });
    expect(error.message).toContain('20 ms');
    gate.open();
    await blocking;
    await pool.run('echo', [1]);
    expect(rt.atomicInt32('ran').load()).toBe(0);
  });
});

describe('a running task', () => {
  it('sees aborted() and may stop; its caller has the answer already', async () => {
    const { rt, pool } = await openPool();
    const abort = new AbortController();
    const call = outcome(pool.run('untilAborted', ['t'], { signal: abort.signal }));
    await until(() => rt.atomicInt32('t:in').load() === 1);
    abort.abort(new Error('why'));
    const result = await call;
    expect(result).toMatchObject({ ok: false, error: { name: 'AbortError', cause: { message: 'why' } } });
    expect(await pool.run('echo', ['next'])).toBe('next');
    expect(rt.atomicInt32('t:out').load()).toBe(1);
  });

  it('sees aborted() after its time ran out', async () => {
    const { rt, pool } = await openPool();
    const error = await rejectionOf(pool.run('untilAborted', ['t'], { timeoutMs: 30 }));
    expect(error.code).toBe('ERR_TASK_TIMEOUT');
    await pool.run('echo', [1]);
    expect(rt.atomicInt32('t:out').load()).toBe(1);
  });

  it('sees no aborted() of a task before or after it', async () => {
    const { rt, pool } = await openPool();
    const abort = new AbortController();
    const call = outcome(pool.run('untilAborted', ['t'], { signal: abort.signal }));
    await until(() => rt.atomicInt32('t:in').load() === 1);
    abort.abort();
    await call;
    expect(await Promise.all([pool.run('abortedNow'), pool.run('abortedNow')])).toEqual([false, false]);
  });

  it('gets its signal() when it is async', async () => {
    const { rt, pool } = await openPool();
    const abort = new AbortController();
    const call = outcome(pool.run('untilSignal', ['t'], { signal: abort.signal }));
    await until(() => rt.atomicInt32('t:in').load() === 1);
    abort.abort('stop');
    expect(await call).toMatchObject({ ok: false, error: { cause: 'stop' } });
    await until(() => rt.atomicInt32('t:AbortError:ERR_TASK_ABORTED').load() === 1);
    expect(await pool.run('echo', ['next'])).toBe('next');
  });

  it.each([1, 2])('has a turn of the event loop from its signal on, of %i places', async (places) => {
    const { rt, pool } = await openPool({ concurrentTasksPerWorker: places });
    for (let n = 1; n <= 20; n++) {
      const abort = new AbortController();
      const call = outcome(pool.run('stopsInATurn', ['t'], { signal: abort.signal }));
      await until(() => rt.atomicInt32('t:in').load() === n);
      abort.abort();
      expect(await call).toMatchObject({ ok: false, error: { name: 'AbortError' } });
      await until(() => rt.atomicInt32('t:stopped').load() === n);
    }
  });

  it('learns from its signal() that its time ran out', async () => {
    const { rt, pool } = await openPool();
    expect(await rejectionOf(pool.run('untilSignal', ['t'], { timeoutMs: 30 }))).toMatchObject({
      code: 'ERR_TASK_TIMEOUT',
    });
    await until(() => rt.atomicInt32('t:TimeoutError:ERR_TASK_TIMEOUT').load() === 1);
  });

  it('is told alone: other async tasks of its worker go on', async () => {
    const { rt, pool } = await openPool({ concurrentTasksPerWorker: 3 });
    const abort = new AbortController();
    const gate = gateOf(rt);
    const others = [1, 2].map((n) => pool.run('holdAsync', [gate.name, n]));
    const call = outcome(pool.run('untilSignal', ['t'], { signal: abort.signal }));
    await gate.reached(2);
    await until(() => rt.atomicInt32('t:in').load() === 1);
    abort.abort();
    await call;
    await until(() => rt.atomicInt32('t:AbortError:ERR_TASK_ABORTED').load() === 1);
    gate.open();
    expect(await Promise.all(others)).toEqual([1, 2]);
  });

  it('is told through all its forks', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const abort = new AbortController();
    const call = outcome(pool.run('forksUntilAborted', ['t', 5], { signal: abort.signal }));
    await until(() => rt.atomicInt32('t:in').load() === 2);
    abort.abort();
    expect(await call).toMatchObject({ ok: false, error: { name: 'AbortError' } });
    await until(() => rt.atomicInt32('t:out').load() === 5);
    expect(await pool.run('abortedNow')).toBe(false);
  });

  it('that never settles gives its place back when its time runs out', async () => {
    const { pool } = await openPool();
    const thread = await pool.run('myThread');
    for (let i = 0; i < 5; i++) {
      expect(await rejectionOf(pool.run('never', [], { timeoutMs: 10 }))).toMatchObject({
        code: 'ERR_TASK_TIMEOUT',
      });
      expect(await pool.run('myThread')).toBe(thread);
    }
  });

  it('that settles in spite of its cancel changes nothing', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const abort = new AbortController();
    const call = outcome(pool.run('hold', [gate.name, 'too late'], { signal: abort.signal }));
    await gate.reached(1);
    abort.abort();
    expect(await call).toMatchObject({ ok: false, error: { name: 'AbortError' } });
    gate.open();
    expect(await pool.run('echo', [1])).toBe(1);
    const { submitted, completed, failed, outstanding } = pool.metrics();
    expect({ submitted, completed, failed, outstanding }).toEqual({
      submitted: 2,
      completed: 1,
      failed: 1,
      outstanding: 0,
    });
  });
});

describe('abortGraceMs', () => {
  it('ends the worker of a task that does not stop, and blames only that task', async () => {
    const { rt, pool } = await openPool();
    const exits: unknown[] = [];
    pool.on('workerExit', (exit) => exits.push(exit));
    const abort = new AbortController();
    const runaway = outcome(pool.run('spinForEver', ['in'], { signal: abort.signal, abortGraceMs: 20 }));
    const queued = Array.from({ length: 20 }, (_, i) => pool.run('echo', [i]));
    await until(() => rt.atomicInt32('in').load() === 1);
    abort.abort('enough');
    expect(await runaway).toMatchObject({ ok: false, error: { name: 'AbortError', cause: 'enough' } });
    expect(await Promise.all(queued)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(exits).toMatchObject([{ expected: true }]);
  });

  it('of the pool applies to calls that name none', async () => {
    const { pool } = await openPool({ abortGraceMs: 10 });
    const gone = new Promise((resolve) => pool.once('workerExit', resolve));
    expect(await rejectionOf(pool.run('spinForEver', ['in'], { timeoutMs: 20 }))).toMatchObject({
      code: 'ERR_TASK_TIMEOUT',
    });
    await gone;
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('spares the worker of a task that stops in time', async () => {
    const { rt, pool } = await openPool();
    const thread = await pool.run('myThread');
    const abort = new AbortController();
    const call = outcome(pool.run('untilAborted', ['t'], { signal: abort.signal, abortGraceMs: 5_000 }));
    await until(() => rt.atomicInt32('t:in').load() === 1);
    abort.abort();
    await call;
    expect(await pool.run('myThread')).toBe(thread);
  });
});

describe('one signal for many calls', () => {
  it('adds one listener, and cancels them all', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const abort = new AbortController();
    let listeners = 0;
    const add = abort.signal.addEventListener.bind(abort.signal);
    abort.signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    const calls = Array.from({ length: 1000 }, () =>
      outcome(pool.run('echo', [1], { signal: abort.signal })),
    );
    expect(listeners).toBe(1);
    abort.abort();
    expect((await Promise.all(calls)).every((call) => !call.ok)).toBe(true);
    gate.open();
    await blocking;
  });

  it('that fires after all have settled changes nothing', async () => {
    const { pool } = await openPool();
    const abort = new AbortController();
    expect(await pool.run('echo', [1], { signal: abort.signal })).toBe(1);
    abort.abort();
    expect(await pool.run('echo', [2])).toBe(2);
    expect(pool.metrics().contextCancels).toBe(0);
  });
});
