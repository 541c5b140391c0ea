import { createRuntime, LockOrderError, type LockViolation, type Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';
import { openLockPool } from './harness.ts';

/** A runtime, and what it reports. */
async function open(
  options: NonNullable<Parameters<typeof createRuntime>[0]>['locks'] = {},
): Promise<{ rt: Runtime; reports: LockViolation[] }> {
  const rt = await createRuntime({ memoryBytes: 32 * 2 ** 20, locks: options });
  const reports: LockViolation[] = [];
  rt.locks.onViolation((violation) => reports.push(violation));
  return { rt, reports };
}

/** Takes locks one under the other, as an owner of its own, and lets them go. */
function nest(rt: Runtime, names: readonly string[], owner?: string): void {
  rt.withOwner(() => {
    const locks = names.map((name) => rt.mutex(name));
    const held: typeof locks = [];
    try {
      for (const lock of locks) {
        lock.lockSync();
        held.push(lock);
      }
    } finally {
      for (const lock of held.reverse()) lock.unlock();
    }
  }, owner);
}

const CLASSES = { a1: 'a', a2: 'a', b1: 'b', b2: 'b' };

describe('the order of locks', () => {
  it('report, the default: an inversion is taken, and reported once with both orders', async () => {
    const { rt, reports } = await open();
    await using _ = rt;
    nest(rt, ['a', 'b'], 'first');
    nest(rt, ['a', 'b'], 'first again');
    expect(reports).toEqual([]);
    for (let i = 0; i < 3; i++) nest(rt, ['b', 'a'], `second ${i}`);
    expect(reports.length).toBe(1);
    const [{ kind, locks, message, error, owner }] = reports as [LockViolation];
    expect({ kind, locks: [...locks].sort(), owner }).toEqual({
      kind: 'order',
      locks: ['a', 'b'],
      owner: 'second 0 of the main thread',
    });
    expect(error).toBeInstanceOf(LockOrderError);
    const { fault } = error as LockOrderError;
    expect(fault).toMatchObject({ kind: 'cycle', severity: 'certain', granularity: 'lock' });
    expect(fault.steps.map(({ held, taken, owner: who, isNow }) => [held, taken, who, isNow])).toEqual([
      ['b', 'a', 'second 0 of the main thread', true],
      ['a', 'b', 'first of the main thread', false],
    ]);
    for (const { stack } of fault.steps) expect(stack).toContain('hierarchy.test.ts');
    for (const { stack } of fault.steps) expect(stack).not.toMatch(/AsyncLocalStorage|runAsOwner|withOwner/);
    expect(message).toContain("lock order: 'b' -> 'a' -> 'b' (certain");
    expect(message).toContain('first of the main thread');
  });

  it("stacks 'off': who took the locks is told, and where only of the one that closed the ring", async () => {
    const { rt, reports } = await open({ stacks: 'off' });
    await using _ = rt;
    nest(rt, ['a', 'b'], 'first');
    nest(rt, ['b', 'a'], 'second');
    const { steps } = (reports[0]!.error as LockOrderError).fault;
    expect(steps.map(({ owner, stack }) => [owner, stack?.includes('hierarchy.test.ts')])).toEqual([
      ['second of the main thread', true],
      ['first of the main thread', undefined],
    ]);
  });

  it('throw: the lock is refused with ERR_LOCK_ORDER, each time, and is not taken', async () => {
    const { rt, reports } = await open({ order: 'throw' });
    await using _ = rt;
    nest(rt, ['a', 'b'], 'one');
    for (let i = 0; i < 3; i++) {
      expect(() => nest(rt, ['b', 'a'], `two ${i}`)).toThrow(
        expect.objectContaining({ code: 'ERR_LOCK_ORDER', resource: 'a' }),
      );
      expect(rt.mutex('a').snapshot().isLocked).toBe(false);
      expect(rt.mutex('b').snapshot().isLocked).toBe(false);
    }
    nest(rt, ['a', 'b'], 'three');
    await expect(
      rt.withOwner(async () => {
        using b = await rt.mutex('b').acquire();
        expect(b).toBeDefined();
        await rt.mutex('a').lock();
      }),
    ).rejects.toThrow(LockOrderError);
    expect(reports).toEqual([]);
  });

  it('throw: what is gated, or one owner alone, is reported and not refused', async () => {
    const { rt, reports } = await open({ order: 'throw' });
    await using _ = rt;
    nest(rt, ['gate', 'a', 'b'], 'one');
    nest(rt, ['gate', 'b', 'a'], 'two');
    rt.withOwner(() => {
      for (const [outer, inner] of [
        ['x', 'y'],
        ['y', 'x'],
      ] as const) {
        rt.mutex(outer).lockSync();
        rt.mutex(inner).lockSync();
        rt.mutex(inner).unlock();
        rt.mutex(outer).unlock();
      }
    });
    expect(reports.map(({ error }) => (error as LockOrderError).fault.severity)).toEqual([
      'gated',
      'same-owner',
    ]);
  });

  it('off, for the runtime or for one lock: nothing is learned', async () => {
    const { rt, reports } = await open({ order: 'off' });
    await using _ = rt;
    nest(rt, ['a', 'b']);
    nest(rt, ['b', 'a']);
    expect(rt.locks.visualizeHierarchy().edges).toEqual([]);
    expect(reports).toEqual([]);
    const other = await open();
    await using second = other.rt;
    second.mutex('b', { checks: { order: 'off' } });
    nest(second, ['a', 'b']);
    expect(second.locks.visualizeHierarchy().edges).toEqual([]);
  });

  it('one lock may be strict where the others are not', async () => {
    const { rt } = await open();
    await using _ = rt;
    rt.mutex('b', { checks: { order: 'throw' } });
    nest(rt, ['b', 'a'], 'one');
    expect(() => nest(rt, ['a', 'b'], 'two')).toThrow(LockOrderError);
  });

  it('tryLockNow adds no edge, and what it took is held', async () => {
    const { rt, reports } = await open();
    await using _ = rt;
    nest(rt, ['a', 'b'], 'one');
    rt.withOwner(() => {
      rt.mutex('b').lockSync();
      expect(rt.mutex('a').tryLockNow()).toBe(true);
      rt.mutex('c').lockSync();
      for (const name of ['c', 'a', 'b']) rt.mutex(name).unlock();
    });
    expect(reports).toEqual([]);
    const { nodes, edges } = rt.locks.visualizeHierarchy();
    const name = (address: number): string => nodes.find((node) => node.address === address)!.name;
    expect(edges.map(({ from, to }) => `${name(from)}-${name(to)}`).sort()).toEqual(['a-b', 'a-c', 'b-c']);
  });

  it('keys of a class: rising is right, falling is a fault with its own words', async () => {
    const { rt, reports } = await open({ order: 'throw' });
    await using _ = rt;
    for (const n of [1, 2, 3]) rt.mutex(`account ${n}`, { class: 'account', order: n });
    nest(rt, ['account 1', 'account 2', 'account 3']);
    nest(rt, ['account 1', 'account 3']);
    for (let i = 0; i < 2; i++) {
      let error: unknown;
      try {
        nest(rt, ['account 3', 'account 1']);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ code: 'ERR_LOCK_ORDER', fault: { kind: 'key', severity: 'certain' } });
      expect((error as Error).message).toContain('rising keys');
    }
    expect(reports).toEqual([]);
  });

  it('classes: an inversion between other locks of the same classes is possible', async () => {
    const { rt, reports } = await open();
    await using _ = rt;
    for (const n of [1, 2]) {
      rt.mutex(`account ${n}`, { class: 'account' });
      rt.mutex(`log ${n}`, { class: 'log' });
    }
    nest(rt, ['account 1', 'log 1'], 'one');
    nest(rt, ['log 2', 'account 2'], 'two');
    expect(reports.map(({ error }) => (error as LockOrderError).fault)).toMatchObject([
      { severity: 'possible', granularity: 'class', steps: [{ held: 'log' }, { held: 'account' }] },
    ]);
    // The same between the same locks is one report, not two.
    nest(rt, ['log 1', 'account 1'], 'three');
    expect(reports.map(({ error }) => (error as LockOrderError).fault.severity)).toEqual([
      'possible',
      'certain',
    ]);
  });

  it('validateOrder says what would be wrong, and changes nothing', async () => {
    const { rt, reports } = await open({ order: 'throw' });
    await using _ = rt;
    const [a, b, c] = ['a', 'b', 'c'].map((name) => rt.mutex(name)) as [never, never, never] as never as [
      ReturnType<Runtime['mutex']>,
      ReturnType<Runtime['mutex']>,
      ReturnType<Runtime['mutex']>,
    ];
    expect(rt.locks.validateOrder(a)).toBeUndefined();
    nest(rt, ['a', 'b']);
    nest(rt, ['b', 'c']);
    rt.withOwner(() => {
      c.lockSync();
      const error = rt.locks.validateOrder(a.id);
      expect(error).toBeInstanceOf(LockOrderError);
      expect(error!.fault.steps.map(({ held, taken, isNow }) => [held, taken, isNow])).toEqual([
        ['c', 'a', true],
        ['a', 'b', false],
        ['b', 'c', false],
      ]);
      expect(rt.locks.validateOrder(rt.mutex('d'))).toBeUndefined();
      c.unlock();
    });
    expect(rt.locks.orderStatistics()).toEqual({
      lockEdges: 2,
      classEdges: 0,
      overflows: 0,
      truncatedSearches: 0,
    });
    expect(reports).toEqual([]);
    expect(b.name).toBe('b');
  });

  /** Takes all but the last; what validateOrder() says of that one, and what becomes of it then. */
  function foretell(rt: Runtime, names: readonly string[], first: () => void = () => undefined) {
    return rt.withOwner(() => {
      first();
      const locks = names.map((name) => rt.mutex(name));
      const last = locks.pop()!;
      for (const lock of locks) lock.lockSync();
      try {
        const fault = rt.locks.validateOrder(last)?.fault;
        const ring = fault?.steps.map(({ held }) => held).join('-');
        const said = fault === undefined ? undefined : `${fault.severity} ${ring}`;
        try {
          last.lockSync();
          last.unlock();
          return { said, is: 'taken' };
        } catch (error) {
          const { severity, steps } = (error as LockOrderError).fault;
          return { said, is: `${severity} ${steps.map(({ held }) => held).join('-')}` };
        }
      } finally {
        for (const lock of locks.reverse()) lock.unlock();
      }
    }, 'who asks');
  }

  it.each<[string, string[], string, string | undefined, Record<string, string>?]>([
    ['certain', ['a b'], 'b a', 'certain b-a'],
    ['gated', ['gate a b'], 'gate b a', 'gated b-a'],
    ['gated only by some', ['gate a b', 'a b'], 'gate b a', 'certain b-a'],
    ['gated until now', ['gate a b'], 'b a', 'certain b-a'],
    ['gated, but a longer ring is not', ['gate a b', 'a c', 'c b'], 'gate b a', 'certain b-a-c'],
    ['gated under one held lock, not under another', ['gate a b', 'a c'], 'gate b c a', 'certain c-a'],
    ['possible', ['a1 b1'], 'b2 a2', 'possible b-a', CLASSES],
    ['classes, gated', ['gate a1 b1'], 'gate b2 a2', 'gated b-a', CLASSES],
    ['gated for these, possible for others', ['gate a1 b1', 'a2 b2'], 'gate b1 a1', 'possible b-a', CLASSES],
    ['none', ['a b'], 'a b', undefined],
  ])('validateOrder says what lock() will do: %s', async (_, learned, chain, said, classes = {}) => {
    const { rt, reports } = await open({ order: 'throw' });
    await using __ = rt;
    for (const [name, ofClass] of Object.entries(classes)) rt.mutex(name, { class: ofClass });
    for (const each of learned) nest(rt, each.split(' '));
    const isGrave = said !== undefined && /^(certain|possible)/.test(said);
    // Also when it was seen before.
    for (let i = 0; i < 3; i++)
      expect(foretell(rt, chain.split(' '))).toEqual({ said, is: isGrave ? said : 'taken' });
    const told = reports.map(({ error }) => (error as LockOrderError).fault.severity);
    if (said === undefined) expect(told).toEqual([]);
    else if (!isGrave) expect(told).toContain(said.split(' ')[0]);
  });

  it('validateOrder says what lock() will do: same-owner', async () => {
    const { rt, reports } = await open({ order: 'throw' });
    await using _ = rt;
    const nestHere = (): void => {
      for (const name of ['a', 'b']) rt.mutex(name).lockSync();
      for (const name of ['b', 'a']) rt.mutex(name).unlock();
    };
    expect(foretell(rt, ['b', 'a'], nestHere)).toEqual({ said: 'same-owner b-a', is: 'taken' });
    expect(reports.map(({ error }) => (error as LockOrderError).fault.severity)).toEqual(['same-owner']);
    expect(foretell(rt, ['b', 'a'])).toEqual({ said: 'certain b-a', is: 'certain b-a' });
  });

  it('validateOrder goes by what was taken, not by what was refused', async () => {
    const { rt } = await open({ order: 'throw' });
    await using _ = rt;
    nest(rt, ['a', 'b']);
    expect(() => nest(rt, ['b', 'a'])).toThrow(LockOrderError);
    expect(foretell(rt, ['a', 'b'])).toEqual({ said: undefined, is: 'taken' });
    expect(foretell(rt, ['a', 'c', 'b'])).toEqual({ said: undefined, is: 'taken' });
  });

  it('of an owner that holds more locks than are looked at, the newest ones count', async () => {
    const { rt, reports } = await open({ order: 'throw' });
    await using _ = rt;
    nest(rt, ['x', 'newest']);
    rt.withOwner(() => {
      for (let i = 0; i < 768; i++) rt.mutex(`held ${i}`, { checks: { order: 'off' } }).lockSync();
      rt.mutex('newest').lockSync();
      expect(() => rt.mutex('x').lockSync()).toThrow(LockOrderError);
    });
    expect(rt.locks.orderStatistics().overflows).toBeGreaterThan(0);
    expect(reports.map(({ kind }) => kind)).toContain('order');
  });

  it('throw: a ring is refused, however much was learned beside it', async () => {
    await using rt = await createRuntime({ locks: { order: 'throw' } });
    rt.locks.onViolation(() => undefined);
    nest(rt, ['g', 'h']);
    nest(rt, ['h', 'x']);
    const others = Array.from({ length: 33_000 }, (_, i) => rt.mutex(`other ${i}`));
    for (const top of ['g', 'h']) {
      rt.withOwner(() => {
        rt.mutex(top).lockSync();
        for (const other of others) {
          other.lockSync();
          other.unlock();
        }
        rt.mutex(top).unlock();
      });
    }
    for (let i = 0; i < 2; i++) expect(() => nest(rt, ['x', 'g'])).toThrow(LockOrderError);
  });

  it('says once that there are more rings than it reports', async () => {
    const { rt, reports } = await open();
    await using _ = rt;
    const names = Array.from({ length: 6 }, (_, i) => `l${i}`);
    for (const a of names) for (const b of names) if (a !== b) nest(rt, [a, b]);
    const cut = reports.filter(({ error }) => error?.code === 'ERR_RESOURCE_LIMIT');
    expect(cut.map(({ kind, message }) => [kind, message])).toEqual([
      ['order', expect.stringContaining('there may be more rings')],
    ]);
    expect(rt.locks.orderStatistics().truncatedSearches).toBeGreaterThan(0);
  });

  it('a node has the highest class of the tasks that were seen with it', async () => {
    const { rt } = await open();
    await using _ = rt;
    const pool = await openLockPool(rt, 1);
    nest(rt, ['e', 'f']);
    await pool.run('nest', [['a', 'b']], { qos: 'BestEffort' });
    await pool.run('nest', [['b', 'c']], { qos: 'Guaranteed' });
    await pool.run('nest', [['c', 'd']], { qos: 'BestEffort' });
    const levels = (): Record<string, string> =>
      Object.fromEntries(rt.locks.visualizeHierarchy().nodes.map(({ name, qosLevel }) => [name, qosLevel]));
    expect(levels()).toEqual({
      a: 'BestEffort',
      b: 'Guaranteed',
      c: 'Guaranteed',
      d: 'BestEffort',
      e: 'Burstable',
      f: 'Burstable',
    });
    // The same locks, seen again with another owner.
    await pool.run('nest', [['a', 'b']], { qos: 'Guaranteed' });
    expect(levels().a).toBe('Guaranteed');
  });

  it('recordAcquisition learns without taking, with a stack of its own', async () => {
    const { rt, reports } = await open();
    await using _ = rt;
    const [a, b] = [rt.mutex('a'), rt.mutex('b')];
    rt.withOwner(() => {
      a.lockSync();
      rt.locks.recordAcquisition(b, 'at elsewhere (file.js:1:1)');
      a.unlock();
    }, 'recorder');
    expect(b.snapshot().isLocked).toBe(false);
    expect(rt.locks.visualizeHierarchy().edges).toMatchObject([
      {
        from: a.id,
        to: b.id,
        weight: 1,
        owner: 'recorder of the main thread',
        stack: 'at elsewhere (file.js:1:1)',
      },
    ]);
    rt.withOwner(() => {
      b.lockSync();
      rt.locks.recordAcquisition(a);
      b.unlock();
    });
    expect(reports.length).toBe(1);
  });

  it.each(['runtime', 'lock'])(
    'off for the %s: validateOrder and recordAcquisition do not look',
    async (of) => {
      const { rt, reports } = await open(of === 'runtime' ? { order: 'off' } : {});
      await using _ = rt;
      const options = of === 'lock' ? { checks: { order: 'off' as const } } : {};
      const [a, b] = [rt.mutex('a', options), rt.mutex('b', options)];
      rt.locks.declareRules([{ name: 'rule', order: ['a', 'b'] }]);
      for (const [held, taken] of [
        [a, b],
        [b, a],
      ] as const) {
        rt.withOwner(() => {
          held.lockSync();
          rt.locks.recordAcquisition(taken);
          expect(rt.locks.validateOrder(taken)).toBeUndefined();
          held.unlock();
        });
      }
      expect(rt.locks.visualizeHierarchy().edges.filter(({ weight }) => weight > 0)).toEqual([]);
      expect(reports).toEqual([]);
    },
  );

  it('anything but a lock of this runtime is ERR_INVALID_ARGUMENT', async () => {
    const { rt } = await open();
    await using _ = rt;
    rt.mutex('a', { class: 'x' });
    for (const wrong of [
      0,
      1,
      -64,
      64,
      1.5,
      Number.NaN,
      2 ** 40,
      'a',
      null,
      undefined,
      {},
      rt.mutex('a').id + 64,
    ]) {
      expect(() => rt.locks.validateOrder(wrong as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
      );
      expect(() => rt.locks.recordAcquisition(wrong as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
      );
    }
  });

  it('resetOrder forgets what was learned and reported', async () => {
    const { rt, reports } = await open();
    await using _ = rt;
    for (let i = 1; i <= 2; i++) {
      nest(rt, ['a', 'b'], 'one');
      nest(rt, ['b', 'a'], 'two');
      expect(reports.length).toBe(i);
      expect(rt.locks.resetOrder()).toBe(true);
      expect(rt.locks.visualizeHierarchy().edges).toEqual([]);
    }
  });

  it('workers and the main thread share one order', async () => {
    const { rt, reports } = await open();
    await using _ = rt;
    await using pool = await openLockPool(rt, 1);
    nest(rt, ['a', 'b'], 'main');
    await pool.run('nest', [['b', 'a']]);
    // The worker posts its report.
    while (reports.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(reports.length).toBe(1);
    const { fault } = reports[0]!.error as LockOrderError;
    expect(fault.steps[0]!.owner).toMatch(/^task 'nest' on worker/);
    expect(fault.steps[1]!.owner).toBe('main of the main thread');
    expect(reports[0]!.error).toBeInstanceOf(LockOrderError);
  });

  it('throw in a task: the error comes home whole', async () => {
    const { rt } = await open({ order: 'throw' });
    await using _ = rt;
    await using pool = await openLockPool(rt, 1);
    nest(rt, ['a', 'b'], 'main');
    const error = await pool.run('nest', [['b', 'a']]).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(LockOrderError);
    expect((error as LockOrderError).fault.steps.map(({ held, taken }) => [held, taken])).toEqual([
      ['b', 'a'],
      ['a', 'b'],
    ]);
  });
});

describe('declared rules', () => {
  const rules = [
    { name: 'storage', order: ['catalog', 'table', 'page'] },
    { name: 'audit', order: ['page', 'journal'] },
  ];

  it('are checked first, by name and by class, with all that follows from them', async () => {
    const { rt, reports } = await open({ order: 'throw', rules });
    await using _ = rt;
    rt.mutex('page 7', { class: 'page' });
    nest(rt, ['catalog', 'table', 'page 7', 'journal']);
    for (const [names, broken] of [
      [['page 7', 'catalog'], ['storage']],
      [['table', 'catalog'], ['storage']],
      [
        ['journal', 'table'],
        ['storage', 'audit'],
      ],
    ] as const) {
      let error: unknown;
      try {
        nest(rt, names);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ code: 'ERR_LOCK_ORDER', fault: { kind: 'rule', rules: broken } });
      expect((error as Error).message).toContain(`'${names[1]}' is taken under '${names[0]}', against rule`);
    }
    expect(reports).toEqual([]);
  });

  it('are found broken the first time, before anything was learned, and in workers', async () => {
    const { rt } = await open({ order: 'throw', rules });
    await using _ = rt;
    await using pool = await openLockPool(rt, 1);
    await expect(pool.run('nest', [['journal', 'catalog']])).rejects.toMatchObject({
      code: 'ERR_LOCK_ORDER',
      fault: { kind: 'rule', rules: ['storage', 'audit'] },
    });
  });

  it('report tells of each pair once', async () => {
    const { rt, reports } = await open({ rules });
    await using _ = rt;
    for (let i = 0; i < 3; i++) nest(rt, ['page', 'table'], `owner ${i}`);
    expect(reports.length).toBe(1);
    nest(rt, ['page', 'catalog']);
    expect(reports.length).toBe(2);
  });

  it('may be declared later, replaced, and taken back', async () => {
    const { rt } = await open({ order: 'throw' });
    await using _ = rt;
    nest(rt, ['page', 'table']);
    rt.locks.declareRules(rules);
    expect(rt.locks.rules).toEqual(rules);
    expect(() => nest(rt, ['page', 'table'])).toThrow(LockOrderError);
    rt.locks.declareRules([{ name: 'turned', order: ['page', 'table'] }]);
    nest(rt, ['page', 'table']);
    rt.locks.declareRules([]);
    expect(rt.locks.rules).toEqual([]);
    nest(rt, ['page', 'table']);
  });

  it('that contradict each other are named at declaration, and change nothing', async () => {
    const { rt } = await open({ rules });
    await using _ = rt;
    const wrong = [...rules, { name: 'odd', order: ['journal', 'x', 'table'] }];
    let error: unknown;
    try {
      rt.locks.declareRules(wrong);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'ERR_LOCK_ORDER' });
    for (const part of ["'storage'", "'audit'", "'odd'", "'x' before 'table'"])
      expect((error as Error).message).toContain(part);
    expect(rt.locks.rules).toEqual(rules);
    await expect(createRuntime({ locks: { rules: wrong } })).rejects.toMatchObject({
      code: 'ERR_LOCK_ORDER',
    });
    expect(() => rt.locks.declareRules([{ name: 'self', order: ['a', 'a'] }])).toThrow(/contradicts itself/);
  });

  it.each([
    ['no list', 'x'],
    ['no rule', [1]],
    ['no name', [{ order: ['a', 'b'] }]],
    ['no order', [{ name: 'r' }]],
    ['a name that is no text', [{ name: 'r', order: ['a', 2] }]],
    ['an empty name', [{ name: 'r', order: ['a', ''] }]],
    ['an unknown key', [{ name: 'r', order: [], also: 1 }]],
  ])('%s is ERR_INVALID_ARGUMENT', async (_, wrong) => {
    const { rt } = await open();
    await using _rt = rt;
    expect(() => rt.locks.declareRules(wrong as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    );
  });
});
