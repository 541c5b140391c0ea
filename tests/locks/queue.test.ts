// A holder of locks awaits a call that no worker begins, as all of them wait, in the end, for that holder.
import type { DeadlockError, LockViolation, PoolOptions, Runtime, TaskPool } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, isPending, openRuntime, outcome, rejectionOf, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

type Told = { ok: boolean; value?: boolean; code?: string; message?: string; cycle?: DeadlockError['cycle'] };

const waiting = (rt: Runtime, count: number): Promise<void> =>
  until(() => rt.locks.snapshot().pending.length >= count);

/** So long that the queue was looked at several times. */
const looks = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 120));

/** All places of a pool are taken by tasks that want the lock, while its holder awaits one more call. */
async function stuck(
  rt: Runtime,
  pool: TaskPool,
  task: string,
  places: number,
): Promise<{ count: unknown; told: Told[] }> {
  let told: Promise<unknown>[] = [];
  const count = await rt.mutex('A').runExclusive(async () => {
    told = Array.from({ length: places }, () => pool.run(task, ['A']));
    await waiting(rt, places);
    return pool.run('countForeign', ['x']);
  });
  return { count, told: (await Promise.all(told)) as Told[] };
}

describe('lock -> pool.run -> the queue, whose workers all want the lock', () => {
  it.each([
    ['takeSync', 2, 1],
    ['takeAsync', 2, 1],
    ['takeAsync', 1, 3],
  ] as const)(
    '%s on %i workers with %i places: one gives up, and the call is run',
    async (task, workers, places) => {
      const rt = await openRuntime();
      const pool = await openLockPool(rt, workers, { name: 'bank', concurrentTasksPerWorker: places });
      const { count, told } = await stuck(rt, pool, task, workers * places);
      expect(count).toBe(true);
      const victims = told.filter(({ ok }) => !ok);
      expect(victims).toHaveLength(1);
      const [{ code, cycle, message }] = victims as [Told];
      expect(code).toBe('ERR_DEADLOCK');
      expect(cycle).toMatchObject([
        { wait: 'lock', lock: 'A' },
        {
          wait: 'task',
          holds: ['A'],
          waitsFor: expect.stringMatching(/^task .*, which is queued while all workers of its pool wait$/),
        },
      ]);
      expect(message).toContain("waits for lock 'A'");
      // Where the holder awaits nobody has written down; it is not where the victim waits.
      expect(cycle![0]!.stack).toContain(task);
      expect(cycle![1]!.stack).toBeUndefined();
      for (const each of told.filter(({ ok }) => ok)) expect(each.value).toBe(true);
      expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
    },
  );

  it('by way of another lock, whose holder is in another pool', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const other = await openLockPool(rt, 1);
    const gate = gateOf(rt);
    const far = other.run('lockBoth', ['B', 'A', gate.name]) as Promise<Told>;
    await gate.reached(1);
    let near: Promise<Told> | undefined;
    const count = await rt.mutex('A').runExclusive(async () => {
      gate.open();
      near = pool.run('takeSync', ['B']) as Promise<Told>;
      await waiting(rt, 2);
      return pool.run('countForeign', ['x']);
    });
    expect(count).toBe(true);
    const told = await Promise.all([far, near!]);
    const [victim] = told.filter(({ ok }) => !ok);
    expect(told.filter(({ ok }) => ok)).toHaveLength(1);
    expect(victim).toMatchObject({ code: 'ERR_DEADLOCK' });
    expect(victim!.cycle).toHaveLength(3);
  });

  it('two holders crosswise, each with a queued call in a pool whose worker waits for the other', async () => {
    const rt = await openRuntime();
    const pools = [await openLockPool(rt, 1), await openLockPool(rt, 1)] as const;
    const taking: Promise<unknown>[] = [];
    let arrived = 0;
    const holder = (mine: string, other: string, pool: TaskPool): Promise<unknown> =>
      rt.mutex(mine).runExclusive(async () => {
        arrived++;
        await until(() => arrived === 2);
        taking.push(pool.run('takeSync', [other]));
        await waiting(rt, 2);
        return pool.run('countForeign', ['x']);
      });
    const counts = await Promise.all([holder('A', 'B', pools[0]), holder('B', 'A', pools[1])]);
    expect(counts).toEqual([true, true]);
    const told = (await Promise.all(taking)) as Told[];
    const victims = told.filter(({ ok }) => !ok);
    expect(victims).toHaveLength(1);
    expect(victims[0]).toMatchObject({ code: 'ERR_DEADLOCK' });
    expect(victims[0]!.cycle).toHaveLength(4);
  });

  it("mode 'report': reported once, and everybody waits on until the call is cancelled", async () => {
    const rt = await openRuntime({ locks: { waits: 'report' } });
    const pool = await openLockPool(rt, 1, { name: 'bank' });
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const cancel = new AbortController();
    let taking: Promise<unknown> | undefined;
    const gone = await rt.mutex('A').runExclusive(async () => {
      taking = pool.run('takeSync', ['A']);
      await waiting(rt, 1);
      const call = outcome(pool.run('countForeign', ['x'], { signal: cancel.signal }));
      await until(() => reports.length > 0);
      await looks();
      cancel.abort();
      return call;
    });
    expect(gone).toMatchObject({ error: { code: 'ERR_TASK_ABORTED' } });
    expect(await taking).toEqual({ ok: true, value: true });
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatchObject({ kind: 'deadlock', locks: ['A'] });
    expect(reports[0]!.message).toContain(
      "waits for task 'countForeign', which is queued while all workers of its pool wait",
    );
  });

  it('a thread without owners is told of it, as another flow may unlock', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const m = rt.mutex('A');
    await m.lock();
    const taking = pool.run('takeSync', ['A']);
    const call = outcome(pool.run('countForeign', ['x']));
    await until(() => reports.some(({ message }) => message.includes('is queued while all workers')));
    m.unlock();
    expect(await taking).toEqual({ ok: true, value: true });
    expect(await call).toEqual({ ok: true, value: true });
    for (const { message } of reports) expect(message).toContain('nobody gave up');
  });
});

describe('no deadlock, and nobody gives up', () => {
  /** All but what the test lets go wait for the lock, and the holder awaits one more call. */
  async function notStuck(
    options: Partial<PoolOptions>,
    workers: number,
    wanting: number,
    task: string,
    letGo: (rt: Runtime, pool: TaskPool) => { before?: Promise<unknown>; after?: () => void },
  ): Promise<void> {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, workers, options);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    let told: Promise<unknown>[] = [];
    const { after } = letGo(rt, pool);
    const count = await rt.mutex('A').runExclusive(async () => {
      told = Array.from({ length: wanting }, () => pool.run(task, ['A']));
      await waiting(rt, wanting);
      const call = pool.run('countForeign', ['x']);
      void looks().then(after);
      return call;
    });
    expect(count).toBe(true);
    for (const each of await Promise.all(told)) expect(each).toEqual({ ok: true, value: true });
    expect(reports).toEqual([]);
  }

  it('one worker runs a task that has nothing to do with it', () =>
    notStuck({}, 2, 1, 'takeSync', (rt, pool) => {
      const gate = gateOf(rt);
      void pool.run('waitAtGate', [gate.name]);
      return { after: gate.open };
    }));

  it('one place of a worker is taken by a task that has nothing to do with it', () =>
    notStuck({ concurrentTasksPerWorker: 2 }, 1, 1, 'takeAsync', (rt, pool) => {
      const gate = gateOf(rt);
      void pool.run('holdLockAsync', ['C', gate.name]);
      return { after: gate.open };
    }));

  it('one waits for another lock, whose holder goes on', () =>
    notStuck({}, 2, 1, 'takeSync', (rt, pool) => {
      const owner = rt.createOwner();
      const b = rt.mutex('B');
      b.tryLockNow();
      b.unlock();
      void b.lock({ owner });
      void pool.run('takeSync', ['B']);
      return { after: () => b.unlock({ owner }) };
    }));

  it('the pool may have one more worker', () =>
    notStuck({ minThreads: 1, maxThreads: 2 }, 1, 1, 'takeSync', () => ({})));

  it('the call is not awaited', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    let calls: Promise<unknown>[] = [];
    await rt.mutex('A').runExclusive(async () => {
      calls = [pool.run('takeSync', ['A']), pool.run('countForeign', ['x'])];
      await waiting(rt, 1);
      await looks();
    });
    expect(await Promise.all(calls)).toEqual([{ ok: true, value: true }, true]);
  });
});

it('a queue with no room refuses the call at once: nobody waits for room', async () => {
  const rt = await openRuntime();
  const pool = await openLockPool(rt, 1, { maxQueue: 1 });
  let told: Promise<unknown>[] = [];
  await rt.mutex('A').runExclusive(async () => {
    told = [pool.run('takeSync', ['A']), pool.run('takeSync', ['A'])];
    await waiting(rt, 1);
    expect(await rejectionOf(pool.run('countForeign', ['x']))).toMatchObject({ code: 'ERR_QUEUE_FULL' });
    expect(await isPending(told[0]!)).toBe(true);
  });
  expect(await Promise.all(told)).toEqual([
    { ok: true, value: true },
    { ok: true, value: true },
  ]);
});
