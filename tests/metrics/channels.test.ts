import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type RunOptions, StaticSystems, type TaskCallEvent, type TaskSettleEvent } from 'heddle';
import { afterEach, describe, expect, it } from 'vitest';
import { gateOf, openPoolOn, openRuntime, rejectionOf } from '../pool/harness.ts';

const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** What is published on a channel from now on. */
function listen<E>(name: string): E[] {
  const heard: E[] = [];
  const onMessage = (message: unknown): void => {
    heard.push(message as E);
  };
  subscribe(name, onMessage);
  stops.push(() => unsubscribe(name, onMessage));
  return heard;
}

describe('diagnostics channels', () => {
  it('tell of calls and of how they ended', async () => {
    const submitted = listen<TaskCallEvent>('heddle:task:submit');
    const settled = listen<TaskSettleEvent>('heddle:task:settle');
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'told' });
    await pool.run('add', [1, 2]);
    const error = await rejectionOf(pool.run('fail', ['no'], { qos: 'BestEffort' }));
    const mapped: number[] = [];
    for await (const n of pool.map('add', [3])) mapped.push(n as number);
    expect(submitted.map(({ pool: name, task }) => [name, task])).toEqual([
      ['told', 'add'],
      ['told', 'fail'],
      ['told', 'add'],
    ]);
    expect(submitted[0]).toEqual({ pool: 'told', task: 'add', args: [1, 2], options: undefined });
    expect(submitted[1]!.options).toEqual({ qos: 'BestEffort' });
    expect(settled.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(settled.map(({ call }) => call)).toEqual(submitted);
    expect(settled[0]!.call).toBe(submitted[0]);
    expect(settled[1]!.error).toBe(error);
    expect(settled.every(({ durationMs }) => durationMs > 0)).toBe(true);
  });

  const nodes = [0, 1].map((id) => ({ id, cpus: [2 * id, 2 * id + 1], memoryBytes: 1 }));
  const refused: [string, unknown[], RunOptions | undefined][] = [
    ['for a node that is none', [1], { numaNode: 9 }],
    ['with arguments that cannot be cloned', [() => 0], undefined],
    ['that was aborted before', [1], { signal: AbortSignal.abort() }],
  ];
  it.each(refused)('tell of a call %s that it was made and how it ended', async (_, args, options) => {
    const submitted = listen<TaskCallEvent>('heddle:task:submit');
    const settled = listen<TaskSettleEvent>('heddle:task:settle');
    const heard: string[] = [];
    const rt = await openRuntime({ systems: new StaticSystems({ cpus: 4, nodes }) });
    const pool = await openPoolOn(rt, { numa: true });
    pool.withObserver({
      lockAcquired: () => heard.push('acquired'),
      lockWait: () => heard.push('waited'),
      lockReleased: () => heard.push('released'),
    });
    const error = await rejectionOf(pool.run('echo', args, options));
    expect(settled.map(({ call, ok, error: told }) => [call, ok, told])).toEqual([
      [submitted[0], false, error],
    ]);
    expect(heard).toEqual(['acquired', 'waited', 'released']);
    expect(pool.metrics().rejections).toEqual(new Map([[error.code, 1]]));
  });

  it('tell of pools and their workers', async () => {
    const opened = listen('heddle:pool:open');
    const closed = listen('heddle:pool:close');
    const started = listen<{ threadId: number }>('heddle:worker:start');
    const exited = listen<{ threadId: number }>('heddle:worker:exit');
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'lives', minThreads: 2 });
    expect(opened).toEqual([{ pool: 'lives' }]);
    expect(started.length).toBe(2);
    expect(closed).toEqual([]);
    await pool.shutdown();
    expect(closed).toEqual([{ pool: 'lives' }]);
    expect(exited.map(({ threadId }) => threadId).sort()).toEqual(
      started.map(({ threadId }) => threadId).sort(),
    );
    expect(exited[0]).toMatchObject({ pool: 'lives', expected: true });
  });

  it('tell when the queue fills, and when it has fallen', async () => {
    const filled = listen('heddle:queue:fill');
    const drained = listen('heddle:queue:drain');
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'queue', highWaterMark: 2 });
    const gate = gateOf(rt);
    const calls = [pool.run('hold', [gate.name])];
    await gate.reached(1);
    for (let i = 0; i < 4; i++) calls.push(pool.run('add', [1, 2]));
    // Those that were there before the one that fills it.
    expect(filled).toEqual([{ pool: 'queue', outstanding: 2 }]);
    expect(drained).toEqual([]);
    gate.open();
    await Promise.all(calls);
    expect(drained.length).toBe(1);
  });

  it('tell of what is reported of locks', async () => {
    const violations = listen<{ kind: string }>('heddle:lock:violation');
    const rt = await openRuntime({ locks: { order: 'report' } });
    rt.locks.onViolation(() => undefined);
    const [a, b] = [rt.mutex('a'), rt.mutex('b')];
    for (const [first, second] of [
      [a, b],
      [b, a],
    ] as const) {
      await first.lock();
      await second.lock();
      second.unlock();
      first.unlock();
    }
    expect(violations.map(({ kind }) => kind)).toEqual(['order']);
  });

  it('leave a rejection that nobody handles one', async () => {
    listen('heddle:task:settle');
    const rt = await openRuntime();
    const pool = await openPoolOn(rt);
    const error = await rejectionOf(pool.run('fail', ['no']));
    expect(error).toBeInstanceOf(Error);
    const unhandled = new Promise((resolve) => {
      const before = process.listeners('unhandledRejection');
      process.removeAllListeners('unhandledRejection');
      process.once('unhandledRejection', (reason) => {
        for (const listener of before) process.on('unhandledRejection', listener);
        resolve(reason);
      });
    });
    void pool.run('fail', ['no']);
    expect(await unhandled).toMatchObject({ message: error.message });
  });

  it('hear nothing once nobody listens', async () => {
    const submitted = listen('heddle:task:submit');
    const rt = await openRuntime();
    const pool = await openPoolOn(rt);
    await pool.run('add', [1, 2]);
    stops.pop()!();
    expect(channel('heddle:task:submit').hasSubscribers).toBe(false);
    await pool.run('add', [1, 2]);
    expect(submitted.length).toBe(1);
  });
});
