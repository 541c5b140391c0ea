import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explore, open, print, replay, sampleMany, shrink } from './explorer/explore.ts';
import type { Machine } from './explorer/machine.ts';
import type { Found, Limits } from './explorer/search.ts';
import type { Model, Steps, Thread } from './explorer/types.ts';
import { makeToy, type Toy } from './toy.ts';

const toy = makeToy();

type ToyThread<State> = Thread<Toy, undefined, State>;
type ToyModel<State> = Model<Toy, undefined, State>;

const X = 64;
const Y = 128;
const Z = 192;

const base = {
  name: 'toy',
  structure: 'toy',
  property: 'none',
  setup: () => undefined,
  check: () => undefined,
  bounds: [Number.POSITIVE_INFINITY],
};

function run<State>(model: ToyModel<State>, limits: Partial<Limits> = {}): Found & { machine: Machine } {
  const machine = open(toy, model);
  return { ...explore(machine, { bound: Number.POSITIVE_INFINITY, ...limits }), machine };
}

/** n accesses of one word each; `shared`: the other threads do the same there. */
function* stores(thread: ToyThread<unknown>, n: number, address: number): Steps {
  for (let i = 0; i < n; i++) yield thread.call.store(address, thread.id);
}

const binomial = (n: number, k: number): number => (k === 0 ? 1 : (binomial(n - 1, k - 1) * n) / k);

describe('counts of interleavings', () => {
  it.each([1, 2, 3, 4, 5])('two threads with %i conflicting accesses each: all orders, once', (n) => {
    let ended = 0;
    const { executions, complete } = run(
      {
        ...base,
        threads: [
          { name: 'a', run: (thread) => stores(thread, n, X) },
          { name: 'b', run: (thread) => stores(thread, n, X) },
        ],
      },
      { noCache: true, onExecution: () => ended++ },
    );
    expect(complete).toBe(true);
    expect(executions).toBe(binomial(2 * n, n));
    // The first look, before it was known that the accesses conflict, counts apart.
    expect(ended).toBe(executions);
  });

  it('three threads: multinomial', () => {
    const { executions } = run(
      {
        ...base,
        threads: ['a', 'b', 'c'].map((name) => ({
          name,
          run: (thread: ToyThread<unknown>) => stores(thread, 2, X),
        })),
      },
      { noCache: true },
    );
    expect(executions).toBe(90);
  });

  it('accesses of different words are one execution', () => {
    const { executions, steps } = run({
      ...base,
      threads: [
        { name: 'a', run: (thread) => stores(thread, 5, X) },
        { name: 'b', run: (thread) => stores(thread, 5, Y) },
      ],
    });
    expect(executions).toBe(1);
    expect(steps).toBe(0);
  });

  it.each([undefined, { threads: [0] }])(
    'a thread that does nothing takes no order from the others (deaths: %o)',
    (kill) => {
      const ends = new Set<string>();
      const { executions, complete, steps } = run(
        {
          ...base,
          threads: [
            { name: 'idle', *run() {} },
            { name: 'a', run: (thread) => stores(thread, 3, X) },
            { name: 'b', run: (thread) => stores(thread, 3, X) },
          ],
          check: ({ u32 }, _fixture, _state, { finished, killed }) => {
            ends.add(`${u32[X >>> 2]} ${finished} ${killed}`);
            return undefined;
          },
          ...(kill === undefined ? {} : { kill }),
        },
        { noCache: true, noSleep: true },
      );
      expect(complete).toBe(true);
      expect([...ends].sort()).toEqual(
        kill === undefined ? ['1 0,1,2 ', '2 0,1,2 '] : ['1 0,1,2 ', '1 1,2 0', '2 0,1,2 ', '2 1,2 0'],
      );
      if (kill === undefined) expect([executions, steps]).toEqual([binomial(6, 3), 6 * binomial(6, 3)]);
    },
  );

  it('a conflict of two threads is expected of a third, so the search starts anew once', () => {
    const searches = (threads: number): number => {
      let anew = 0;
      const machine = open(toy, {
        ...base,
        threads: Array.from({ length: threads }, (_, i) => ({
          name: `t${i}`,
          *run({ call }: ToyThread<undefined>): Steps {
            // Each comes to X only when all before it were there.
            if ((yield call.cas(Y, i, i + 1)) === i) yield call.add(X, 1);
          },
        })),
      });
      explore(machine, { bound: 2, noWarmUp: true, onSearch: () => anew++ });
      return anew;
    };
    expect(searches(5)).toBe(searches(3));
  });

  it.each([
    [0, 2],
    [1, 10],
    [2, 42],
  ])('a bound of %i preemptions', (bound, expected) => {
    // Two threads of five: with no preemption 2 orders; with one, the first is cut at 4 places; with two, the second too.
    const { executions } = run(
      {
        ...base,
        threads: [
          { name: 'a', run: (thread) => stores(thread, 5, X) },
          { name: 'b', run: (thread) => stores(thread, 5, X) },
        ],
      },
      { noCache: true, bound },
    );
    expect(executions).toBe(expected);
  });
});

describe('finds', () => {
  const counter = (call: 'increment' | 'add'): ToyModel<undefined> => ({
    ...base,
    state: () => undefined,
    threads: ['a', 'b'].map((name) => ({
      name,
      *run(thread: ToyThread<undefined>): Steps {
        yield call === 'add' ? thread.call.add(X, 1) : thread.call.increment(X);
      },
    })),
    check: ({ u32 }) => (u32[X >>> 2] === 2 ? undefined : `counted ${u32[X >>> 2]}`),
    describe: (address) => (address === X ? 'counter' : undefined),
  });

  it('a lost update, with one preemption', () => {
    const found = run(counter('increment'), { bound: 1 });
    expect(found.failure).toMatchObject({ kind: 'check', message: 'counted 1', preemptions: 1 });
    expect(run(counter('increment'), { bound: 0 }).failure).toBeUndefined();
    expect(run(counter('add'))).toMatchObject({ failure: undefined, complete: true });
  });

  it('and prints the interleaving, the same when it is replayed elsewhere', () => {
    const { failure, machine } = run(counter('increment'));
    const first = replay(machine, failure!);
    expect(first.failure).toEqual(failure);
    const elsewhere = open(toy, counter('increment'));
    const again = replay(elsewhere, JSON.parse(JSON.stringify(failure)));
    expect(again.failure).toEqual(failure);
    const text = print(machine, first);
    expect(print(elsewhere, again)).toBe(text);
    expect(text).toMatch(/increment {2}load counter: 0/);
    expect(text).toMatch(/store counter: 0 -> 1/);
    expect(text).toMatch(/store counter: 1\n/);
  });

  it('a lost wake-up as a deadlock', () => {
    // The waiter looks at the flag, then waits for a bell that may have rung already.
    const model = (expected: number): ToyModel<undefined> => ({
      ...base,
      threads: [
        {
          name: 'waiter',
          *run({ call }) {
            if ((yield call.load(X)) === 0) yield call.wait(Y, expected, 0);
          },
        },
        {
          name: 'waker',
          *run({ call }) {
            yield call.store(X, 1);
            if (expected === 0) yield call.store(Y, 1);
            yield call.notify(Y);
          },
        },
      ],
    });
    // With a bell that keeps its state the wait returns at once; without it, the ring is lost.
    expect(run(model(0))).toMatchObject({ failure: undefined, complete: true });
    const silent: ToyModel<undefined> = {
      ...model(0),
      threads: [
        model(0).threads[0]!,
        {
          name: 'waker',
          *run({ call }) {
            yield call.store(X, 1);
            yield call.notify(Y);
          },
        },
      ],
    };
    expect(run(silent).failure).toMatchObject({ kind: 'deadlock', message: 'waiter: waits for ever' });
    expect(run({ ...silent, rests: () => true })).toMatchObject({ failure: undefined, complete: true });
    // A spurious wake-up would help, but nobody may rely on it; on a timeout one may.
    expect(run({ ...silent, spurious: 1 }).failure?.kind).toBe('deadlock');
    const timed: ToyModel<undefined> = {
      ...silent,
      threads: [
        {
          name: 'waiter',
          *run({ call }) {
            if ((yield call.load(X)) === 0) yield call.wait(Y, 0, 1);
          },
        },
        silent.threads[1]!,
      ],
    };
    expect(run(timed)).toMatchObject({ failure: undefined, complete: true });
  });

  it('all results of a wait', () => {
    const seen = new Set<string>();
    const model = (finite: number): ToyModel<number[]> => ({
      ...base,
      state: () => [],
      threads: [
        {
          name: 'waiter',
          *run({ call, state }) {
            state.push(yield call.wait(X, 0, finite));
          },
        },
        {
          name: 'waker',
          *run({ call }) {
            yield call.store(X, 1);
            yield call.notify(X);
          },
        },
      ],
      check: (_world, _fixture, state) => {
        seen.add(`${state[0]}`);
        return undefined;
      },
    });
    run(model(0));
    expect([...seen].sort()).toEqual(['0', '1']);
    run(model(1));
    expect([...seen].sort()).toEqual(['0', '1', '2']);
  });

  it('a deadlock of two locks taken in turn', () => {
    function* both({ call, id }: ToyThread<undefined>): Steps {
      for (const lock of id === 0 ? [X, Y] : [Y, X]) {
        while ((yield call.cas(lock, 0, 1)) !== 0) yield call.wait(lock, 1, 0);
      }
      for (const lock of [X, Y]) {
        yield call.store(lock, 0);
        yield call.notify(lock);
      }
    }
    const { failure } = run({
      ...base,
      threads: [
        { name: 'a', run: both },
        { name: 'b', run: both },
      ],
    });
    expect(failure).toMatchObject({ kind: 'deadlock', message: 'a, b: waits for ever' });
  });

  it('a spin that nobody ends, and not one that ends', () => {
    function* spin({ call }: ToyThread<undefined>): Steps {
      while ((yield call.load(X)) === 0) yield call.relax();
    }
    function* spinBlindly({ call }: ToyThread<undefined>): Steps {
      while ((yield call.load(X)) === 0);
    }
    const other = (address: number) => ({
      name: 'other',
      *run({ call }: ToyThread<undefined>): Steps {
        yield call.store(address, 1);
      },
    });
    for (const run_ of [spin, spinBlindly]) {
      const spinner = { name: 'spinner', run: run_ };
      expect(run({ ...base, threads: [spinner, other(X)] })).toMatchObject({
        failure: undefined,
        complete: true,
      });
      const setter = { name: 'setter', run: other(X).run };
      expect(
        run({
          ...base,
          threads: [
            spinner,
            {
              name: 'clearer',
              *run({ call }) {
                if ((yield call.load(X)) === 1) yield call.store(X, 0);
              },
            },
            setter,
          ],
        }).failure,
      ).toMatchObject({ kind: 'livelock' });
    }
  });

  it('the ABA problem of a stack without versions', () => {
    // X: head; node n is the word at n, its next. Pop by CAS of the head from n to what n's next was.
    const [A, B] = [256, 320];
    function* pop({ call }: ToyThread<number[]>): Generator<never, number, any> {
      const head: number = yield call.load(X) as never;
      if (head === 0) return 0;
      const next: number = yield call.load(head) as never;
      return (yield call.cas(X, head, next) as never) === head ? head : -1;
    }
    const { failure } = run<number[]>(
      {
        ...base,
        setup: ({ u32 }) => {
          [u32[X >>> 2], u32[A >>> 2]] = [A, B];
        },
        state: () => [],
        threads: [
          {
            name: 'one',
            *run(thread) {
              yield* pop(thread);
            },
          },
          {
            name: 'two',
            *run(thread) {
              const first = yield* pop(thread);
              const second = yield* pop(thread);
              if (first !== A || second !== B) return;
              // A goes back, B does not: two keeps it.
              yield thread.call.store(A, 0);
              yield thread.call.cas(X, 0, A);
              thread.state.push(B);
            },
          },
        ],
        check: ({ u32 }, _, kept) =>
          u32[X >>> 2] === kept[0] ? 'a node that is in use stands in the stack' : undefined,
      },
      { bound: 1 },
    );
    expect(failure).toMatchObject({ kind: 'check', preemptions: 1 });
  });

  it('a race of plain accesses', () => {
    // The writer publishes too early; the reader then reads a word that is not written.
    const model = (order: readonly number[]): ToyModel<number[]> => ({
      ...base,
      state: () => [],
      threads: [
        {
          name: 'writer',
          *run({ call }) {
            for (const address of order) yield address === X ? call.write(X, 7) : call.store(Y, 1);
          },
        },
        {
          name: 'reader',
          *run({ call, state }) {
            if ((yield call.load(Y)) === 1) state.push(yield call.read(X));
          },
        },
      ],
      check: (_world, _fixture, state) => (state[0] === 0 ? 'read before it was written' : undefined),
    });
    expect(run(model([X, Y]))).toMatchObject({ failure: undefined, complete: true });
    expect(run(model([Y, X])).failure).toMatchObject({ kind: 'check' });
  });

  it('a race of a plain access where an atomic one by the same thread was expected', () => {
    const seen = new Set<string>();
    const model: ToyModel<number[]> = {
      ...base,
      state: () => [],
      threads: [
        {
          name: 'late',
          *run({ call, state }) {
            if ((yield call.load(Y)) === 1) state.push(yield call.load(X), yield call.read(X));
          },
        },
        {
          name: 'writer',
          *run({ call }) {
            yield call.store(X, 1);
            yield call.store(Y, 1);
          },
        },
        {
          name: 'other',
          *run({ call }) {
            yield call.store(X, 2);
          },
        },
      ],
      check: (_world, _fixture, state) => {
        seen.add(state.join());
        return undefined;
      },
    };
    for (const bound of [2, Number.POSITIVE_INFINITY]) {
      seen.clear();
      expect(run(model, { bound, noWarmUp: true }).complete).toBe(true);
      expect(seen).toContain('1,2');
    }
  });

  it.each([0, 4])('a race with byte %i of an access of eight', (offset) => {
    const seen = new Set<number>();
    const model: ToyModel<number[]> = {
      ...base,
      state: () => [],
      threads: [
        {
          name: 'writer',
          *run({ call }) {
            yield call.writeTwo(X, 1);
          },
        },
        {
          name: 'reader',
          *run({ call, state }) {
            state.push(yield call.read(X + offset));
          },
        },
      ],
      check: (_world, _fixture, state) => {
        seen.add(state[0]!);
        return undefined;
      },
    };
    expect(run(model).complete).toBe(true);
    expect([...seen].sort()).toEqual([0, 1]);
  });

  it('a trap, and an error of the model', () => {
    const thread = (body: (thread: ToyThread<undefined>) => Steps) => [{ name: 'a', run: body }];
    function* traps({ call }: ToyThread<undefined>): Steps {
      yield call.trap();
    }
    // biome-ignore lint/correctness/useYield: it throws before it could
    function* throws(): Steps {
      throw new Error('as it was told');
    }
    expect(run({ ...base, threads: thread(traps) }).failure).toMatchObject({
      kind: 'exception',
      message: 'unreachable',
    });
    expect(run({ ...base, threads: thread(throws) }).failure).toMatchObject({
      kind: 'exception',
      message: 'as it was told',
    });
  });

  it('what does not hold in between', () => {
    const model: ToyModel<undefined> = {
      ...base,
      threads: [
        {
          name: 'a',
          *run({ call }) {
            yield call.add(X, 1);
            yield call.add(X, -1);
          },
        },
        {
          name: 'b',
          *run({ call }) {
            yield call.add(X, 1);
            yield call.add(X, -1);
          },
        },
      ],
      invariant: ({ u32 }) => (u32[X >>> 2]! > 1 ? 'both are in' : undefined),
    };
    expect(run(model).failure).toMatchObject({ kind: 'check', message: 'both are in' });
  });
});

describe('deaths', () => {
  /** Writes three words; whoever comes after a death says how far it got. */
  const model = (seen: Set<string>, plain: boolean): ToyModel<undefined> => ({
    ...base,
    threads: [
      {
        name: 'victim',
        *run({ call }) {
          for (const address of [X, Y, Z]) yield plain ? call.write(address, 1) : call.store(address, 1);
        },
      },
      {
        name: 'rescuer',
        onDeath: true,
        *run({ call, dead }) {
          expect(dead).toEqual([0]);
          const values: number[] = [];
          for (const address of [X, Y, Z]) values.push(yield plain ? call.read(address) : call.load(address));
          seen.add(values.join(''));
        },
      },
    ],
    kill: { threads: [0] },
  });

  it.each([true, false])(
    'happen before every write and after the last (plain: %s), and not at all',
    (plain) => {
      const seen = new Set<string>();
      const ends = new Set<string>();
      const { complete } = run({
        ...model(seen, plain),
        check: ({ u32 }, _fixture, _state, { finished, killed }) => {
          ends.add(`${[X, Y, Z].map((a) => u32[a >>> 2]).join('')} ${finished} ${killed}`);
          return undefined;
        },
      });
      expect(complete).toBe(true);
      // The last: it has written all, and its caller does not know.
      expect([...seen].sort()).toEqual(['000', '100', '110', '111']);
      expect([...ends].sort()).toEqual(['000 1 0', '100 1 0', '110 1 0', '111 0 ', '111 1 0']);
    },
  );

  it('happen while a thread waits, and to more than one thread', () => {
    const ends = new Set<string>();
    run({
      ...base,
      threads: [
        {
          name: 'waiter',
          *run({ call }) {
            yield call.wait(X, 0, 0);
            yield call.store(Y, 1);
          },
        },
        {
          name: 'waker',
          *run({ call }) {
            yield call.store(X, 1);
            yield call.notify(X);
          },
        },
      ],
      kill: { threads: [0, 1], most: 2 },
      rests: () => true,
      check: ({ u32 }, _fixture, _state, { killed, waiting }) => {
        ends.add(`x${u32[X >>> 2]} y${u32[Y >>> 2]} killed ${[...killed].sort()} waiting ${waiting}`);
        return undefined;
      },
    });
    expect(ends).toContain('x1 y1 killed  waiting ');
    expect(ends).toContain('x0 y0 killed 0,1 waiting ');
    expect(ends).toContain('x1 y0 killed 1 waiting 0');
    expect(ends).toContain('x1 y0 killed 0 waiting ');
    expect(ends).toContain('x1 y1 killed 1 waiting ');
  });

  it('come in every order, and a rescuer is told that order', () => {
    const orders = new Set<string>();
    const storesTo = (name: string, address: number) => ({
      name,
      *run({ call }: ToyThread<string[]>): Steps {
        yield call.store(address, 1);
      },
    });
    const model: ToyModel<string[]> = {
      ...base,
      state: () => [],
      threads: [
        storesTo('a', X),
        storesTo('b', Y),
        storesTo('c', Z),
        {
          name: 'rescuer',
          onDeath: true,
          *run({ call, dead, state }) {
            yield call.load(Z);
            state.push(dead.join('+'));
          },
        },
      ],
      kill: { threads: [0, 1], most: 2 },
      check: ({ u32 }, _fixture, state, { killed }) => {
        // Both had done all when they died.
        if (killed.length === 2 && u32[X >>> 2] === 1 && u32[Y >>> 2] === 1) orders.add(`${state}`);
        return undefined;
      },
    };
    for (const bound of [0, Number.POSITIVE_INFINITY]) {
      orders.clear();
      expect(run(model, { bound }).complete).toBe(true);
      expect([...orders].sort()).toEqual(['0', '0+1', '1', '1+0']);
    }
  });

  it('come to a thread that stood still since before another death', () => {
    const seen = new Set<string>();
    const model: ToyModel<string[]> = {
      ...base,
      state: () => [],
      threads: [
        {
          name: 'a',
          *run({ call }) {
            yield call.store(Z, yield call.load(X));
            yield call.notify(Z);
          },
        },
        {
          name: 'b',
          *run({ call }) {
            yield call.store(X, 1);
            yield call.store(Y, 1);
          },
        },
        {
          name: 'rescuer',
          onDeath: true,
          *run({ call, dead, state }) {
            state.push(dead.join('+'));
            for (const address of [X, Y, Z]) state.push(`${yield call.load(address)}`);
            state.push(dead.join('+'));
          },
        },
      ],
      kill: { threads: [0, 1], most: 2 },
      check: (_world, _fixture, state) => {
        seen.add(state.join(' '));
        return undefined;
      },
    };
    for (const bound of [1, Number.POSITIVE_INFINITY]) {
      seen.clear();
      expect(run(model, { bound }).complete).toBe(true);
      // b had stored to X before a read it and died; b died before it stored to Y, and the rescuer had begun.
      expect(seen).toContain('0 1 0 1 0+1');
    }
  });
});

// ---- random programs against an oracle that knows no reduction ---------------------------------------------------------------------------

type SimpleOp =
  | readonly ['load' | 'read' | 'increment' | 'notify', number]
  | readonly ['copy', number, number]
  | readonly ['store' | 'write' | 'add', number, number]
  | readonly ['cas' | 'wait', number, number, number];
/** The other calls only if the compare-exchange succeeds, or the load says the first value. */
type Op = SimpleOp | readonly ['when' | 'if', number, number, number, readonly SimpleOp[]];
type Program = readonly (readonly Op[])[];

const WORDS = [X, Y, Z];
const address = fc.constantFrom(...WORDS);
const value = fc.integer({ min: 0, max: 2 });
const simpleOp: fc.Arbitrary<SimpleOp> = fc.oneof(
  fc.tuple(fc.constantFrom('load' as const, 'read' as const, 'increment' as const), address),
  fc.tuple(fc.constant('copy' as const), address, address),
  fc.tuple(fc.constantFrom('store' as const, 'write' as const, 'add' as const), address, value),
  fc.tuple(fc.constant('cas' as const), address, value, value),
);
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 3, arbitrary: simpleOp },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constantFrom('when' as const, 'if' as const),
      address,
      value,
      value,
      fc.array(simpleOp, { minLength: 1, maxLength: 2 }),
    ),
  },
);
const sleeperOp: fc.Arbitrary<Op> = fc.oneof(
  fc.tuple(fc.constant('wait' as const), fc.constantFrom(X, Y), fc.constantFrom(0, 1), fc.constantFrom(0, 1)),
  fc.tuple(fc.constantFrom('notify' as const, 'load' as const), fc.constantFrom(X, Y)),
  fc.tuple(fc.constant('store' as const), fc.constantFrom(X, Y), fc.constantFrom(0, 1)),
);

/** Programs of two or three threads; a thread may do nothing at all. `most`: accesses in all, since each multiplies the interleavings. */
const programsOf = (arbitrary: fc.Arbitrary<Op>, most: number): fc.Arbitrary<Program> =>
  fc
    .integer({ min: 2, max: 3 })
    .chain((n) =>
      fc.array(fc.array(arbitrary, { maxLength: n === 2 ? 4 : 2 }), { minLength: n, maxLength: n }),
    )
    .filter((program) => program.flatMap((ops) => ops.flatMap(accessesOf)).length <= most);

/** What else may happen. */
interface Events {
  /** Threads that may die, and how many of them. */
  readonly kill?: { readonly threads: readonly number[]; readonly most: number };
  /** The last thread starts when one has died, and asks before each of its calls and after the last who died so far. */
  readonly rescuer?: boolean;
  readonly spurious?: number;
}

/** What ends can be told apart by: memory, what each thread that lives has seen, who is dead, who waits. */
const endOf = (
  memory: readonly number[],
  seen: readonly (readonly unknown[])[],
  dead: readonly number[],
  waiting: readonly number[],
): string =>
  `${memory} | ${seen.map((list, t) => (dead.includes(t) ? 'dead' : list.join())).join(' | ')} | ${waiting}`;

/**
 * What a thread does, one access at a time. `get` and `put` go through a register that its caller does not see; `when` and `if` leave
 * `skip` accesses out if they fail; `ask` notes who died; `return` is the end of a thread that may die before it.
 */
type Access = readonly [
  kind:
    | 'load'
    | 'store'
    | 'add'
    | 'cas'
    | 'get'
    | 'put'
    | 'when'
    | 'if'
    | 'wait'
    | 'notify'
    | 'ask'
    | 'return',
  address: number,
  a: number,
  b: number,
  skip: number,
];

function accessesOf(op: Op): Access[] {
  const [kind, where, a = 0, b = 0] = op;
  if (kind === 'increment' || kind === 'copy') {
    return [
      ['get', where, kind === 'copy' ? 0 : 1, 0, 0],
      ['put', kind === 'copy' ? a : where, 0, 0, 0],
    ];
  }
  if (op[0] === 'when' || op[0] === 'if') {
    const inner = op[4].flatMap(accessesOf);
    return [[op[0], where, a, b, inner.length], ...inner];
  }
  const plain = { read: 'load', write: 'store' } as const;
  return [[kind === 'read' || kind === 'write' ? plain[kind] : (kind as Access[0]), where, a, b, 0]];
}

/** A state of the oracle. Sets are lists of threads. */
interface Now {
  readonly memory: readonly number[];
  readonly at: readonly number[];
  readonly register: readonly number[];
  readonly seen: readonly (readonly (number | string)[])[];
  readonly waiting: readonly number[];
  readonly notified: readonly number[];
  readonly dead: readonly number[];
  readonly running: number;
  readonly preemptions: number;
  readonly timeouts: number;
  readonly spurious: number;
}

/** All ends by trying every interleaving and every death at any time. */
function allEnds(program: Program, bound: number, events: Events): Set<string> {
  const ends = new Set<string>();
  const known = new Set<string>();
  const { kill, rescuer = false, spurious = 0 } = events;
  const last = program.length - 1;
  const ask: Access = ['ask', X, 0, 0, 0];
  const todo = program.map((ops, t): readonly Access[] => {
    if (rescuer && t === last) return [ask, ...ops.flatMap((op) => [...accessesOf(op), ask])];
    const accesses = ops.flatMap(accessesOf);
    return kill?.threads.includes(t) === true ? [...accesses, ['return', X, 0, 0, 0]] : accesses;
  });
  const put = <T>(list: readonly T[], t: number, item: T): readonly T[] => list.with(t, item);
  const without = (list: readonly number[], t: number): readonly number[] => list.filter((u) => u !== t);
  /** The next access of t, or its way on from a wait. */
  const act = (now: Now, t: number): Now => {
    const [kind, where, a, b, skip] = todo[t]![now.at[t]!]!;
    const word = WORDS.indexOf(where);
    const before = now.memory[word]!;
    const goOn = (more: Partial<Now>, saw?: number | string, by = 1): Now => ({
      ...now,
      at: put(now.at, t, now.at[t]! + by),
      seen: saw === undefined ? now.seen : put(now.seen, t, [...now.seen[t]!, saw]),
      ...more,
    });
    const memory = (value: number): Partial<Now> => ({ memory: put(now.memory, word, value) });
    switch (kind) {
      case 'load':
        return goOn({}, before);
      case 'store':
        return goOn(memory(a));
      case 'add':
        return goOn(memory(before + a), before);
      case 'cas':
      case 'when':
        return before === a ? goOn(memory(b), before) : goOn({}, before, 1 + skip);
      case 'if':
        return goOn({}, before, before === a ? 1 : 1 + skip);
      case 'get':
        return goOn({ register: put(now.register, t, before + a) });
      case 'put':
        return goOn(memory(now.register[t]!));
      case 'ask':
        return goOn({}, now.dead.join('+'));
      case 'notify': {
        const woken = now.waiting.filter(
          (u) => !now.notified.includes(u) && todo[u]![now.at[u]!]![1] === where,
        );
        return goOn({ notified: [...now.notified, ...woken].sort() }, woken.length);
      }
      case 'wait': {
        if (!now.waiting.includes(t))
          return before === a ? { ...now, waiting: [...now.waiting, t].sort() } : goOn({}, 1);
        const isTimeout = !now.notified.includes(t) && b !== 0;
        const isSpurious = !now.notified.includes(t) && b === 0;
        const more = {
          waiting: without(now.waiting, t),
          notified: without(now.notified, t),
          timeouts: now.timeouts - (isTimeout ? 1 : 0),
          spurious: now.spurious - (isSpurious ? 1 : 0),
        };
        return goOn(more, isTimeout ? 2 : 0);
      }
      default:
        return goOn({});
    }
  };
  const step = (now: Now): void => {
    const key = JSON.stringify(now);
    if (known.has(key)) return;
    known.add(key);
    const { dead, running, preemptions } = now;
    const live = [...program.keys()].filter(
      (t) =>
        now.at[t]! < todo[t]!.length && !dead.includes(t) && !(rescuer && t === last && dead.length === 0),
    );
    const idle = live.filter((t) => now.waiting.includes(t) && !now.notified.includes(t));
    const timed = idle.filter((t) => todo[t]![now.at[t]!]![3] !== 0);
    let runnable = live.filter((t) => !idle.includes(t) || (now.timeouts > 0 && timed.includes(t)));
    // When nothing else can happen, a timeout does.
    if (runnable.length === 0) runnable = timed;
    if (runnable.length === 0)
      ends.add(
        endOf(
          now.memory,
          now.seen,
          dead,
          idle.filter((t) => live.includes(t)),
        ),
      );
    if (now.spurious > 0) runnable = [...runnable, ...idle.filter((t) => !timed.includes(t))];
    if (kill !== undefined && dead.length < kill.most) {
      for (const t of kill.threads) {
        if (!live.includes(t)) continue;
        step({
          ...now,
          dead: [...dead, t],
          waiting: without(now.waiting, t),
          notified: without(now.notified, t),
          running: running === t ? -1 : running,
        });
      }
    }
    const couldGoOn = running >= 0 && runnable.includes(running) && !now.waiting.includes(running);
    for (const t of runnable) {
      const cost = couldGoOn && t !== running ? 1 : 0;
      if (preemptions + cost <= bound) step({ ...act(now, t), running: t, preemptions: preemptions + cost });
    }
  };
  step({
    memory: WORDS.map(() => 0),
    at: program.map(() => 0),
    register: program.map(() => 0),
    seen: program.map(() => []),
    waiting: [],
    notified: [],
    dead: [],
    running: -1,
    preemptions: 0,
    timeouts: 1,
    spurious,
  });
  return ends;
}

type Seen = (number | string)[][];

function* perform(thread: ToyThread<Seen>, ops: readonly Op[], asks: boolean): Steps {
  const { call, state, id } = thread;
  const seen = state[id]!;
  if (asks) seen.push(thread.dead.join('+'));
  for (const op of ops) {
    const [kind, where, a = 0, b = 0] = op;
    if (kind === 'store' || kind === 'write' || kind === 'copy') yield call[kind](where, a);
    else if (kind === 'increment') yield call.increment(where);
    else if (kind === 'load' || kind === 'read' || kind === 'notify') seen.push(yield call[kind](where));
    else if (kind === 'add') seen.push(yield call.add(where, a));
    else if (kind === 'wait') seen.push(yield call.wait(where, a, b));
    else {
      const before: number = yield kind === 'if' ? call.load(where) : call.cas(where, a, b);
      seen.push(before);
      if ((op[0] === 'when' || op[0] === 'if') && before === a) yield* perform(thread, op[4], false);
    }
    if (asks) seen.push(thread.dead.join('+'));
  }
}

function exploredEnds(program: Program, limits: Limits, events: Events): Set<string> {
  const ends = new Set<string>();
  const { kill, rescuer = false, spurious = 0 } = events;
  const machine = open(toy, {
    ...base,
    state: () => program.map(() => []),
    threads: program.map((ops, t) => {
      const isRescuer = rescuer && t === program.length - 1;
      return {
        name: `t${t}`,
        run: (thread: ToyThread<Seen>) => perform(thread, ops, isRescuer),
        ...(isRescuer ? { onDeath: true } : {}),
      };
    }),
    check: ({ u32 }, _fixture, seen: Seen, { killed, waiting }) => {
      const memory = WORDS.map((word) => u32[word >>> 2]!);
      ends.add(endOf(memory, seen, killed, waiting));
      return undefined;
    },
    rests: () => true,
    timeouts: 1,
    spurious,
    ...(kill === undefined ? {} : { kill }),
  });
  // The first search finds what is visible; before it has, its executions may be within no bound.
  explore(machine, { ...limits, noWarmUp: true });
  ends.clear();
  expect(explore(machine, { ...limits, noWarmUp: true })).toMatchObject({
    failure: undefined,
    complete: true,
    earlierExecutions: 0,
  });
  return ends;
}

/** With each reduction alone, with all, and with none. */
const REDUCTIONS: readonly Partial<Limits>[] = [
  {},
  { noCache: true },
  { noSleep: true },
  { noCache: true, noSleep: true },
];

/** `reductions`: without the recognition of states, programs in which much may happen take seconds each. */
function expectAllEnds(program: Program, bound: number, events: Events, reductions = REDUCTIONS): void {
  const sorted = (ends: Set<string>): string[] => [...ends].sort();
  const expected = sorted(allEnds(program, bound, events));
  for (const reduction of reductions)
    expect(sorted(exploredEnds(program, { bound, ...reduction }, events))).toEqual(expected);
}

// The seed is fixed: the same programs in each run.
describe.each([0, 1, 2, Number.POSITIVE_INFINITY])('reduction loses no end, preemptions %d', (bound) => {
  const runs = { seed: 1, numRuns: 50 };
  const CACHED = [{}, { noSleep: true }];

  it('of random programs', () => {
    fc.assert(
      fc.property(programsOf(op, 10), (program) => expectAllEnds(program, bound, {})),
      runs,
    );
  });

  it('of random programs in which a thread dies', () => {
    const kill = { threads: [0], most: 1 };
    fc.assert(
      fc.property(programsOf(op, 8), (program) => expectAllEnds(program, bound, { kill })),
      runs,
    );
  });

  it('of random programs in which the last thread looks after one that died', () => {
    const kill = { threads: [0], most: 1 };
    fc.assert(
      fc.property(programsOf(simpleOp, 8), (program) =>
        expectAllEnds(program, bound, { kill, rescuer: true }, CACHED),
      ),
      runs,
    );
  });

  it('of random programs in which the last of three threads looks after two that died', () => {
    const kill = { threads: [0, 1], most: 2 };
    const three = programsOf(simpleOp, 7).filter(({ length }) => length === 3);
    fc.assert(
      fc.property(three, (program) => expectAllEnds(program, bound, { kill, rescuer: true }, CACHED)),
      runs,
    );
  });

  it('of random programs that wait and notify', () => {
    fc.assert(
      fc.property(
        programsOf(sleeperOp, 6),
        fc.boolean(),
        fc.integer({ min: 0, max: 1 }),
        (program, dies, spurious) =>
          expectAllEnds(
            program,
            bound,
            { spurious, ...(dies ? { kill: { threads: [0], most: 1 } } : {}) },
            CACHED,
          ),
      ),
      runs,
    );
  });
});

describe('random schedules', () => {
  const racy: ToyModel<undefined> = {
    ...base,
    threads: ['a', 'b', 'c'].map((name) => ({
      name,
      *run({ call }: ToyThread<undefined>): Steps {
        for (let i = 0; i < 4; i++) yield call.increment(X);
      },
    })),
    check: ({ u32 }) => (u32[X >>> 2]! < 5 ? `counted ${u32[X >>> 2]}` : undefined),
  };

  it.each([undefined, 3])('the same seed, the same schedule (PCT depth %s)', (depth) => {
    const schedules = (seed: number): string[] => {
      const machine = open(toy, racy);
      const list: string[] = [];
      const sampling = depth === undefined ? { seed, executions: 20 } : { seed, executions: 20, depth };
      sampleMany(machine, { ...sampling, onExecution: () => list.push(machine.schedule.join('')) });
      return list;
    };
    expect(schedules(7)).toEqual(schedules(7));
    expect(schedules(7)).not.toEqual(schedules(8));
  });

  it.each([undefined, 4])('finds a failure, which replays and shrinks (PCT depth %s)', (depth) => {
    const machine = open(toy, racy);
    const sampling = { seed: 1, executions: 5000 };
    const { failure } = sampleMany(machine, depth === undefined ? sampling : { ...sampling, depth });
    expect(failure).toMatchObject({ kind: 'check' });
    expect(replay(machine, failure!).failure).toMatchObject({ message: failure!.message });
    // One preemption loses as much: a thread stores an old count at the end.
    const small = shrink(machine, failure!, 5);
    expect(small.preemptions).toBe(1);
    expect(failure!.preemptions).toBeGreaterThan(1);
    expect(replay(machine, small).failure).toMatchObject({ kind: 'check', message: small.message });
  });
});
