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

type Op =
  | readonly ['load' | 'read' | 'increment', number]
  | readonly ['copy', number, number]
  | readonly ['store' | 'write' | 'add', number, number]
  | readonly ['cas', number, number, number];
type Program = readonly (readonly Op[])[];

const WORDS = [X, Y, Z];
const address = fc.constantFrom(...WORDS);
const value = fc.integer({ min: 0, max: 2 });
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.tuple(fc.constantFrom('load' as const, 'read' as const, 'increment' as const), address),
  fc.tuple(fc.constant('copy' as const), address, address),
  fc.tuple(fc.constantFrom('store' as const, 'write' as const, 'add' as const), address, value),
  fc.tuple(fc.constant('cas' as const), address, value, value),
);
const programs: fc.Arbitrary<Program> = fc.integer({ min: 2, max: 3 }).chain((n) =>
  // A thread may do nothing at all.
  fc.array(fc.array(op, { maxLength: n === 2 ? 4 : 2 }), { minLength: n, maxLength: n }),
);

/** What ends can be told apart by: memory, what each thread that lives has read, who is dead. */
const endOf = (memory: readonly number[], reads: readonly (readonly number[])[], dead: number): string =>
  `${memory.join(',')} | ${reads.map((list, t) => ((dead >> t) & 1 ? 'dead' : list.join(','))).join(' | ')}`;

/** What a thread does, one access at a time. `get` and `put` go through a register that its caller does not see. */
type Access = readonly [
  kind: 'load' | 'store' | 'add' | 'cas' | 'get' | 'put',
  address: number,
  a: number,
  b: number,
];

function accessesOf([kind, where, a = 0, b = 0]: Op): Access[] {
  if (kind === 'increment')
    return [
      ['get', where, 1, 0],
      ['put', where, 0, 0],
    ];
  if (kind === 'copy')
    return [
      ['get', where, 0, 0],
      ['put', a, 0, 0],
    ];
  return [[kind === 'read' ? 'load' : kind === 'write' ? 'store' : kind, where, a, b]];
}

/** All ends by trying every interleaving. `kill`: thread 0 may die anywhere, also when it has done all and has not returned. */
function allEnds(program: Program, bound: number, kill: boolean): Set<string> {
  const ends = new Set<string>();
  const todo = program.map((ops) => ops.flatMap(accessesOf));
  const memory = WORDS.map(() => 0);
  const at = program.map(() => 0);
  const register = program.map(() => 0);
  const reads: number[][] = program.map(() => []);
  const act = (t: number): (() => void) => {
    const [kind, where, a, b] = todo[t]![at[t]!]!;
    const word = WORDS.indexOf(where);
    const before = memory[word]!;
    const held = register[t]!;
    const isSeen = kind === 'load' || kind === 'add' || kind === 'cas';
    if (isSeen) reads[t]!.push(before);
    if (kind === 'store') memory[word] = a;
    else if (kind === 'add') memory[word] = before + a;
    else if (kind === 'cas' && before === a) memory[word] = b;
    else if (kind === 'get') register[t] = before + a;
    else if (kind === 'put') memory[word] = held;
    at[t]!++;
    return () => {
      at[t]!--;
      memory[word] = before;
      register[t] = held;
      if (isSeen) reads[t]!.pop();
    };
  };
  const step = (running: number, preemptions: number, dead: number): void => {
    const live = [...program.keys()].filter((t) => at[t]! < todo[t]!.length && ((dead >> t) & 1) === 0);
    if (kill && dead === 0) step(running === 0 ? -1 : running, preemptions, 1);
    if (live.length === 0) {
      ends.add(endOf(memory, reads, dead));
      return;
    }
    for (const t of live) {
      const cost = running >= 0 && t !== running && live.includes(running) ? 1 : 0;
      if (preemptions + cost > bound) continue;
      const undo = act(t);
      step(t, preemptions + cost, dead);
      undo();
    }
  };
  step(-1, 0, 0);
  return ends;
}

function* perform({ call, state, id }: ToyThread<number[][]>, ops: readonly Op[]): Steps {
  for (const [kind, where, a = 0, b = 0] of ops) {
    if (kind === 'store' || kind === 'write' || kind === 'copy') yield call[kind](where, a);
    else if (kind === 'increment') yield call.increment(where);
    else if (kind === 'load' || kind === 'read') state[id]!.push(yield call[kind](where));
    else state[id]!.push(yield kind === 'add' ? call.add(where, a) : call.cas(where, a, b));
  }
}

function exploredEnds(program: Program, limits: Limits, kill: boolean): Set<string> {
  const ends = new Set<string>();
  const machine = open(toy, {
    ...base,
    state: () => program.map(() => []),
    threads: program.map((ops, t) => ({
      name: `t${t}`,
      run: (thread: ToyThread<number[][]>) => perform(thread, ops),
    })),
    check: ({ u32 }, _fixture, reads: number[][], { killed }) => {
      const memory = WORDS.map((word) => u32[word >>> 2]!);
      ends.add(endOf(memory, reads, killed.length));
      return undefined;
    },
    ...(kill ? { kill: { threads: [0] } } : {}),
  });
  // The first search finds what is visible; before it has, its executions may be within no bound.
  explore(machine, { ...limits, noWarmUp: true });
  ends.clear();
  expect(explore(machine, { ...limits, noWarmUp: true })).toMatchObject({
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

describe('reduction loses no end', () => {
  const sorted = (ends: Set<string>): string[] => [...ends].sort();

  it.each([0, 1, 2, Number.POSITIVE_INFINITY])('of random programs, preemptions %d', (bound) => {
    fc.assert(
      fc.property(programs, (program) => {
        const expected = sorted(allEnds(program, bound, false));
        for (const reduction of REDUCTIONS)
          expect(sorted(exploredEnds(program, { bound, ...reduction }, false))).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  it('of random programs in which a thread dies', () => {
    // A death at each access multiplies the executions: longer programs take seconds each.
    const short = programs.filter((program) => program.flatMap((ops) => ops.flatMap(accessesOf)).length <= 8);
    fc.assert(
      fc.property(short, (program) => {
        const bound = Number.POSITIVE_INFINITY;
        const expected = sorted(allEnds(program, bound, true));
        for (const reduction of REDUCTIONS)
          expect(sorted(exploredEnds(program, { bound, ...reduction }, true))).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  it('of random programs that wait and notify', () => {
    const sleeperOp = fc.oneof(
      fc.record({
        call: fc.constant('wait'),
        address: fc.constantFrom(X, Y),
        a: fc.integer({ min: 0, max: 1 }),
        b: fc.integer({ min: 0, max: 1 }),
      }),
      fc.record({
        call: fc.constant('notify'),
        address: fc.constantFrom(X, Y),
        a: fc.constant(0),
        b: fc.constant(0),
      }),
      fc.record({
        call: fc.constant('store'),
        address: fc.constantFrom(X, Y),
        a: fc.integer({ min: 0, max: 1 }),
        b: fc.constant(0),
      }),
      fc.record({
        call: fc.constant('load'),
        address: fc.constantFrom(X, Y),
        a: fc.constant(0),
        b: fc.constant(0),
      }),
    );
    // Without reduction three threads of three calls take half a minute; of two, less than a second.
    const sleepers = fc
      .integer({ min: 2, max: 3 })
      .chain((n) =>
        fc.array(fc.array(sleeperOp, { maxLength: n === 2 ? 3 : 2 }), { minLength: n, maxLength: n }),
      );
    fc.assert(
      fc.property(sleepers, fc.boolean(), fc.integer({ min: 0, max: 1 }), (program, kill, spurious) => {
        const endsWith = (reduction: Partial<Limits>): string[] => {
          const ends = new Set<string>();
          run<number[][]>(
            {
              ...base,
              state: () => program.map(() => []),
              threads: program.map((ops, t) => ({
                name: `t${t}`,
                *run({ call, state }: ToyThread<number[][]>): Steps {
                  for (const { call: name, address, a, b } of ops) {
                    if (name === 'store') yield call.store(address, a);
                    else if (name === 'wait') state[t]!.push(yield call.wait(address, a, b));
                    else state[t]!.push(yield name === 'load' ? call.load(address) : call.notify(address));
                  }
                },
              })),
              check: ({ u32 }, _fixture, results, { killed, waiting }) => {
                ends.add(
                  `${endOf([u32[X >>> 2]!, u32[Y >>> 2]!], results, killed.length)} waiting ${waiting}`,
                );
                return undefined;
              },
              rests: () => true,
              spurious,
              timeouts: 1,
              ...(kill ? { kill: { threads: [0] } } : {}),
            },
            { noWarmUp: true, ...reduction },
          );
          return sorted(ends);
        };
        const expected = endsWith({ noCache: true, noSleep: true });
        for (const reduction of REDUCTIONS) expect(endsWith(reduction)).toEqual(expected);
      }),
      { numRuns: 50 },
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
