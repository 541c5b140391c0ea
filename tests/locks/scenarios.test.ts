// The scenarios of other detectors' test-suites under their names, as a program meets them: tasks in workers, each an owner of its own, and what is
// reported of them. (Abseil's are about the graph itself: order-scenarios.test.ts; "Waits" and "Death" have files of their own.)
import type { LockOrderError, LockViolation, MutexOptions, Runtime, TaskPool } from 'heddle';
import { describe, expect, it } from 'vitest';
import { gateOf, openRuntime, rejectionOf, thrownBy, until } from '../pool/harness.ts';
import { openLockPool } from './harness.ts';

type Told = { ok: boolean; code?: string };

interface Played {
  readonly rt: Runtime;
  readonly pool: TaskPool;
  readonly told: readonly Told[];
  /** The cycles that were reported: severity, and the locks or classes in it. */
  readonly cycles: readonly string[];
  readonly reports: readonly LockViolation[];
}

const cycleOf = ({ error }: LockViolation): string => {
  const { severity, steps } = (error as LockOrderError).fault;
  return `${severity} ${steps
    .map(({ held }) => held)
    .sort()
    .join('-')}`;
};

/** Plays programs (tests/fixtures/locks.mjs, `perform`) one after another, each as a task, on two workers in turn. */
async function play(
  programs: readonly string[],
  options: Readonly<Record<string, MutexOptions>> = {},
): Promise<Played> {
  const rt = await openRuntime();
  const pool = await openLockPool(rt, 2);
  const reports: LockViolation[] = [];
  rt.locks.onViolation((violation) => reports.push(violation));
  const told: Told[] = [];
  for (const program of programs) told.push((await pool.run('perform', [program, options])) as Told);
  // What a worker reports comes before the outcome of what it runs after.
  for (let i = 0; i < 2; i++) await Promise.all([pool.run('perform', ['end']), pool.run('perform', ['end'])]);
  expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
  const cycles = reports.filter(({ kind }) => kind === 'order').map(cycleOf);
  return { rt, pool, told, cycles, reports };
}

/** Plays programs, of which all went through, and says which cycles were reported. */
async function cyclesOf(
  programs: readonly string[],
  options?: Readonly<Record<string, MutexOptions>>,
): Promise<readonly string[]> {
  const { told, cycles } = await play(programs, options);
  expect(told.every(({ ok }) => ok)).toBe(true);
  return cycles;
}

describe('Exclusive', () => {
  it('AA', async () => {
    const { told, reports } = await play(['A A']);
    expect(told).toEqual([{ ok: false, code: 'ERR_DEADLOCK' }]);
    expect(reports).toEqual([]);
  });

  it.each([
    ['ABBA', ['A B', 'B A'], 'A-B'],
    ['ABBCCA', ['A B', 'B C', 'C A'], 'A-B-C'],
    ['ABCABC', ['A B', 'C A', 'B C'], 'A-B-C'],
    ['ABBCCDDA', ['A B', 'B C', 'C D', 'D A'], 'A-B-C-D'],
    ['ABCDBDDA', ['A B', 'C D', 'B D', 'D A'], 'A-B-D'],
    ['ABCDBCDA', ['A B', 'C D', 'B C', 'D A'], 'A-B-C-D'],
  ])('%s', async (_name, programs, ring) => {
    expect(await cyclesOf(programs)).toEqual([`certain ${ring}`]);
  });

  it('double_unlock', async () => {
    const { rt, told } = await play(['A -A -A']);
    expect(told).toEqual([{ ok: false, code: 'ERR_NOT_OWNER' }]);
    const m = rt.mutex('A');
    expect(m.lockSync()).toBe(true);
    m.unlock();
    expect(thrownBy(() => m.unlock())).toMatchObject({ code: 'ERR_NOT_OWNER' });
    expect(m.isLocked).toBe(false);
  });

  it('init_held: a lock that is held is not made anew', async () => {
    const { rt, pool } = await play(['A']);
    const m = rt.mutex('A');
    await m.lock();
    // Whoever makes it in another thread has the one that is held.
    expect(await pool.run('whoIsAt', ['A'])).toEqual({ owner: 'the main thread', waiters: [] });
    expect(await pool.run('openLock', ['A', { reentrant: true }])).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await pool.run('unlockOnly', ['A'])).toMatchObject({ code: 'ERR_NOT_OWNER' });
    expect(thrownBy(() => m.forget())).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', resource: 'A' });
    expect(thrownBy(() => rt.mutex('A', { reentrant: true }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(rt.mutex('A').id).toBe(m.id);
    expect(m.isLocked).toBe(true);
    m.unlock();
  });
});

describe('Zircon', () => {
  it('order invariant: three locks in one order, by whom ever, in all their parts', async () => {
    expect(await cyclesOf(['A B C', 'A C', 'B C', 'A B', 'A B C'])).toEqual([]);
    expect([...(await cyclesOf(['A B C', 'C A']))].sort()).toEqual(['certain A-B-C', 'certain A-C']);
  });

  it('several locks of one struct are separate classes', async () => {
    const struct = { a1: { class: 'a' }, b1: { class: 'b' }, a2: { class: 'a' }, b2: { class: 'b' } };
    expect(await cyclesOf(['a1 b1', 'a2 b2', 'a1 b2'], struct)).toEqual([]);
    expect(await cyclesOf(['a1 b1', 'b2 a2'], struct)).toEqual(['possible a-b']);
  });

  it('lock several in address order', async () => {
    const keyed = Object.fromEntries(
      ['A', 'B', 'C'].map((name, order) => [name, { class: 'account', order }]),
    );
    const { reports } = await play(['A B C', 'A C', 'B C'], keyed);
    expect(reports).toEqual([]);
    const against = await play(['C A'], keyed);
    expect(against.reports.map(({ error }) => (error as LockOrderError).fault.kind)).toEqual(['key']);
  });

  it('nested by an outer order', async () => {
    const nested = { B: { class: 'account' }, C: { class: 'account' } };
    expect(await cyclesOf(['A B C', 'A C B'], nested)).toEqual(['gated B-C']);
  });

  it('circular A-B-C-A plus D', async () => {
    expect(await cyclesOf(['A B', 'B C', 'C A', 'D A', 'C D'])).toEqual(['certain A-B-C', 'certain A-B-C-D']);
  });

  it('aliased lock: two handles of one lock are one lock', async () => {
    const { rt, pool, cycles } = await play(['A B']);
    expect(cycles).toEqual([]);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const alias = rt.mutex('A');
    const b = rt.mutex('B').withObserver({ lockAcquired() {}, lockReleased() {}, lockWait() {} });
    expect(alias.id).toBe(rt.mutex('A').id);
    b.lockSync();
    alias.lockSync();
    alias.unlock();
    b.unlock();
    expect(reports.map(cycleOf)).toEqual(['certain A-B']);
    expect(await pool.run('perform', ['A B'])).toEqual({ ok: true });
  });
});

describe('TSan', () => {
  it('two, three locks', async () => {
    expect(await cyclesOf(['A B', 'B A'])).toEqual(['certain A-B']);
    expect(await cyclesOf(['A B', 'B C', 'C A'])).toEqual(['certain A-B-C']);
  });

  it('private locks', async () => {
    expect(await cyclesOf(['A own1 B', 'A own2 B', 'own1 B', 'own2 B', 'A own1', 'A own2'])).toEqual([]);
  });

  it('four try-lock combinations', async () => {
    // The inner lock of neither, of one, of the other, of both is only tried for.
    expect(await cyclesOf(['A B', 'B A'])).toEqual(['certain A-B']);
    expect(await cyclesOf(['A ?B', 'B A'])).toEqual([]);
    expect(await cyclesOf(['A B', 'B ?A'])).toEqual([]);
    expect(await cyclesOf(['A ?B', 'B ?A'])).toEqual([]);
    // What was tried for is held: what comes under it is an edge.
    expect(await cyclesOf(['?A B', '?B A'])).toEqual(['certain A-B']);
  });

  it('all under one gate lock', async () => {
    expect(await cyclesOf(['G A B', 'G B A'])).toEqual(['gated A-B']);
    expect(await cyclesOf(['G A B', 'G B A', 'A B', 'B A'])).toEqual(['gated A-B', 'certain A-B']);
  });

  it('create/destroy in four threads', async () => {
    const rt = await openRuntime({ locks: { maxLocks: 32 } });
    const pool = await openLockPool(rt, 4);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    // This pair lives as long as we have it open, so both of its orders are seen.
    const kept = ['left 0', 'right 0'].map((name) => rt.mutex(name));
    const done = await Promise.all([0, 1, 2, 3].map((i) => pool.run('createAndDestroy', [300, i % 2 === 1])));
    expect(done).toEqual([300, 300, 300, 300]);
    await until(() => reports.some((violation) => cycleOf(violation).endsWith('left 0-right 0')));
    // The others come and go; both orders of one that lived long enough are reported, under the gate; nothing else is.
    for (const violation of reports) expect(cycleOf(violation)).toMatch(/^gated left (\d)-right \1$/);
    expect(reports.filter((violation) => cycleOf(violation) === 'gated left 0-right 0')).toHaveLength(1);
    for (const m of kept) expect(m.forget()).toBe(true);
    expect(rt.locks.snapshot()).toEqual({ held: [], pending: [] });
  });

  it('same-owner cycle', async () => {
    expect(await cyclesOf(['A B -B -A B A'])).toEqual(['same-owner A-B']);
  });

  it('address reuse', async () => {
    const { rt, pool } = await play([]);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const before = rt.mutex('A');
    const { id } = before;
    const b = rt.mutex('B');
    const nest = (outer: typeof b, inner: typeof b): void => {
      outer.lockSync();
      inner.lockSync();
      inner.unlock();
      outer.unlock();
    };
    rt.withOwner(() => nest(before, b));
    expect(before.forget()).toBe(true);
    // Another lock in the same place, in the other order.
    const after = rt.mutex('C');
    expect(after.id).toBe(id);
    rt.withOwner(() => nest(b, after));
    expect(await pool.run('perform', ['B C'])).toEqual({ ok: true });
    expect(reports).toEqual([]);
  });

  it('a real hang is reported', async () => {
    const rt = await openRuntime({ locks: { waits: 'report', order: 'off' } });
    const pool = await openLockPool(rt, 2, { abortGraceMs: 0 });
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const gate = gateOf(rt);
    const cancel = new AbortController();
    const { signal } = cancel;
    const runs = ['A B', 'B A'].map((pair) =>
      rejectionOf(pool.run('lockBoth', [...pair.split(' '), gate.name], { signal })),
    );
    await gate.reached(2);
    gate.open();
    await until(() => reports.length > 0);
    expect(reports[0]).toMatchObject({ kind: 'deadlock', error: { code: 'ERR_DEADLOCK' } });
    expect([...reports[0]!.locks].sort()).toEqual(['A', 'B']);
    expect(reports[0]!.message).toMatch(/^deadlock: 2 owners wait for each other\n/);
    cancel.abort();
    for (const error of await Promise.all(runs)) expect(error).toMatchObject({ code: 'ERR_TASK_ABORTED' });
    expect(reports).toHaveLength(1);
  });
});

describe('Helgrind', () => {
  it('dining philosophers', async () => {
    expect(await cyclesOf(['A B', 'B C', 'C D', 'D E', 'E A'])).toEqual(['certain A-B-C-D-E']);
  });

  it('deleting a lock in the middle', async () => {
    const rt = await openRuntime();
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    const nest = (outer: string, inner: string): void =>
      rt.withOwner(() => {
        const locks = [rt.mutex(outer), rt.mutex(inner)];
        for (const m of locks) m.lockSync();
        for (const m of locks.reverse()) m.unlock();
        for (const m of locks) m.forget();
      });
    const kept = ['A', 'B', 'D', 'E'].map((name) => rt.mutex(name));
    // C is gone as often as nobody has it open.
    for (const pair of ['A B', 'B C', 'C D', 'D E', 'E A']) nest(...(pair.split(' ') as [string, string]));
    expect(reports).toEqual([]);
    kept.push(rt.mutex('C'));
    nest('B', 'C');
    nest('C', 'D');
    expect(reports.map(cycleOf)).toEqual(['certain A-B-C-D-E']);
  });
});

describe('go-deadlock', () => {
  it('hard deadlock: the holder itself asks again, and two that have what the other wants', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 2);
    expect(await pool.run('lockTwice', ['A'])).toMatchObject({ ok: false, code: 'ERR_DEADLOCK' });
    const gate = gateOf(rt);
    const runs = [
      pool.run('lockBoth', ['A', 'B', gate.name]),
      pool.run('lockBoth', ['B', 'A', gate.name]),
    ] as Promise<Told>[];
    await gate.reached(2);
    gate.open();
    const told = await Promise.all(runs);
    expect(told.map(({ ok }) => ok).sort()).toEqual([false, true]);
    expect(told.find(({ ok }) => !ok)).toMatchObject({ code: 'ERR_DEADLOCK' });
  });

  it('transient holder gone by the time of the report', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 3);
    const reports: LockViolation[] = [];
    rt.locks.onViolation((violation) => reports.push(violation));
    // Always somebody has it, and always another: whoever waits, waits for one who is about to go.
    await Promise.all([
      ...[1, 2, 3].map(() => pool.run('countSync', ['A', 3000])),
      rt.withOwner(async () => {
        for (let i = 0; i < 50; i++) await rt.mutex('A').runExclusive(() => undefined);
      }),
    ]);
    expect(rt.atomicInt32('A:count').load()).toBe(9000);
    expect(reports).toEqual([]);
  });
});
