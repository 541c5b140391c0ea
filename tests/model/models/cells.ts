/**
 * Atomics by name (assembly/cells.ts): finding or making a cell, and its operations. In the model build a hash has four bits, so names that
 * share one are easily had, and the table has two cells.
 *
 *   finder        findCell: load claim .. CAS 0 -> identity .. settle length, then the name word by word (CAS 0 -> word)
 *   operations    one atomic access each, between two tickets from a clock
 *
 * Why these programs suffice: a cell is claimed by one CAS and named by one CAS a word, so two finders make every race for a claim and for a word:
 * the same name, names that differ in the first word, and names that share one. A third name finds the table full. An operation is one access;
 * two threads show whether it is one. A death leaves a cell claimed and some of its words settled: whoever comes must not wait for the rest.
 */
import {
  CELL_BOOL,
  CELL_INT32,
  CELL_KIND_CLASH,
  CELL_TABLE_FULL,
  CELL_VALUE,
  MUTANT_ADD_IN_TWO_STEPS,
  MUTANT_CAS_IN_TWO_STEPS,
  MUTANT_CLAIM_OR_NEXT,
  MUTANT_CLAIM_UNSEEN,
  MUTANT_NAME_AWAITED,
  MUTANT_NAME_BY_STORE,
  MUTANT_SWAP_IN_TWO_STEPS,
} from '../../../build/generated/layout.model.ts';
import type { Outcome } from '../explorer/types.ts';
import {
  type KernelModel,
  type KernelThread,
  type KernelWorld,
  MEMORY_BYTES,
  type Steps,
} from '../kernel.ts';

/** Low bits of FNV-1a, as the model build takes them. */
function identity(name: string): number {
  let h = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name))
    h = BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n);
  return Number(h & 12n);
}

/** Another name, of the same length and beginning, that has the same identity as `name` in the model build. */
function twin(name: string, beginning: number): string {
  for (let i = 33; i < 127; i++) {
    const other = name.slice(0, beginning) + String.fromCharCode(i).repeat(name.length - beginning);
    if (other !== name && identity(other) === identity(name)) return other;
  }
  throw new Error(`no name is like ${name}`);
}

const NAME = 'abcdefgh';

interface Fixture {
  /** Address of each name. */
  readonly names: readonly number[];
  readonly clock: number;
  readonly cell: number;
}

interface Operation {
  readonly kind: 'add' | 'swap' | 'cas' | 'load';
  readonly args: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly result: number;
}

interface State {
  readonly found: number[];
  readonly history: Operation[][];
}

const state = (): State => ({ found: [], history: [[], [], []] });

function setup(names: readonly string[]): (world: KernelWorld) => Fixture {
  return ({ calls, u8, scratch }) => {
    calls.initMemory(MEMORY_BYTES);
    const addresses = names.map((name, i) => {
      const address = scratch + 64 + i * 64;
      u8.set(new TextEncoder().encode(name), address);
      return address;
    });
    return { names: addresses, clock: scratch, cell: 0 };
  };
}

function finds(name: number, kind = CELL_INT32): (thread: KernelThread<Fixture, State>) => Steps {
  return function* run({ call, fixture, state, id }) {
    state.found[id] = yield call.findCell(fixture.names[name]!, NAME.length, kind);
  };
}

const isCell = (found: number): boolean => found !== CELL_TABLE_FULL && found !== CELL_KIND_CLASH;

/** A name is one cell, and stays it; other names have other cells. */
function checkFound(
  { calls }: KernelWorld,
  { names }: Fixture,
  { found }: State,
  asked: readonly number[],
): string | undefined {
  for (const [i, cell] of found.entries()) {
    if (!isCell(cell)) return `thread ${i} found no cell: ${cell}`;
    if (calls.findCell(names[asked[i]!]!, NAME.length, CELL_INT32) !== cell)
      return `name ${asked[i]} is another cell now`;
    for (const [j, other] of found.entries())
      if ((cell === other) !== (asked[i] === asked[j]))
        return `threads ${i} and ${j} have ${cell} and ${other}`;
  }
  return undefined;
}

function operate(
  ...operations: readonly [Operation['kind'], ...number[]][]
): (thread: KernelThread<Fixture, State>) => Steps {
  return function* run({ call, fixture, state, id }) {
    const { cell, clock } = fixture;
    for (const [kind, ...args] of operations) {
      const start: number = yield call.add32(clock, 1);
      let result: number;
      if (kind === 'add') result = yield call.cellAdd(cell, args[0]!);
      else if (kind === 'swap') result = yield call.cellSwap(cell, args[0]!);
      else if (kind === 'cas') result = yield call.cellCas(cell, args[0]!, args[1]!);
      else result = yield call.cellLoad(cell);
      state.history[id]!.push({ kind, args, start, end: yield call.add32(clock, 1), result });
    }
  };
}

function apply(
  { kind, args }: Operation,
  value: number,
): { readonly value: number; readonly result: number } {
  if (kind === 'add') return { value: value + args[0]!, result: value + args[0]! };
  if (kind === 'swap') return { value: args[0]!, result: value };
  if (kind === 'cas') return value === args[0] ? { value: args[1]!, result: 1 } : { value, result: 0 };
  return { value, result: value };
}

/** Is there an order of the operations that fits their times and results, and ends with `final`? Tries them all. */
function isLinearizable(rest: readonly Operation[], value: number, final: number): boolean {
  if (rest.length === 0) return value === final;
  const firstEnd = Math.min(...rest.map(({ end }) => end));
  return rest.some((operation) => {
    if (operation.start > firstEnd) return false;
    const after = apply(operation, value);
    if (after.result !== operation.result) return false;
    return isLinearizable(
      rest.filter((other) => other !== operation),
      after.value,
      final,
    );
  });
}

const ALL = Number.POSITIVE_INFINITY;
const common = { structure: 'cells', state };

/** `names[i]` is asked for by thread i. */
const finders = (...asked: number[]) => ({
  threads: asked.map((name, i) => ({ name: `finder ${'ABC'[i]}`, run: finds(name) })),
  check: (world: KernelWorld, fixture: Fixture, state: State) => checkFound(world, fixture, state, asked),
});

const foundModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    ...finders(0, 0),
    name: 'cells-same-name',
    property: 'two threads that make the same cell at once have the same',
    setup: setup([NAME]),
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'claim or next', id: MUTANT_CLAIM_OR_NEXT, why: 'who lost the race makes a second cell' },
    ],
  },
  {
    ...common,
    ...finders(0, 1),
    name: 'cells-other-name',
    property: 'names with the same hash have two cells, whoever comes first',
    setup: setup([NAME, twin(NAME, 0)]),
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'name by store', id: MUTANT_NAME_BY_STORE, why: 'both write their name into one cell' },
    ],
  },
  {
    ...common,
    ...finders(0, 1),
    name: 'cells-shared-beginning',
    property: 'names with the same hash that begin alike have two cells',
    setup: setup([NAME, twin(NAME, 4)]),
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'name by store', id: MUTANT_NAME_BY_STORE, why: 'both write their name into one cell' },
    ],
  },
  {
    ...common,
    ...finders(0, 1, 0),
    name: 'cells-three',
    property: 'two threads of one name and one of another, with the same hash, have two cells',
    setup: setup([NAME, twin(NAME, 4)]),
    bounds: [2, 3],
    mutants: [
      { name: 'name by store', id: MUTANT_NAME_BY_STORE, why: 'both write their name into one cell' },
    ],
  },
  {
    ...common,
    name: 'cells-other-hash',
    property: 'a cell that another name has claimed meanwhile is not taken; a full table says so',
    // The identity decides where the search starts: all of these start in the same place.
    setup: setup([NAME, otherHash(NAME), twin(NAME, 0)]),
    threads: [
      { name: 'finder A', run: finds(0) },
      { name: 'finder B', run: finds(1) },
    ],
    check(world, fixture, state) {
      const wrong = checkFound(world, fixture, state, [0, 1]);
      if (wrong !== undefined) return wrong;
      const third = world.calls.findCell(fixture.names[2]!, NAME.length, CELL_INT32);
      return third === CELL_TABLE_FULL ? undefined : `a third name found ${third}`;
    },
    bounds: [3, ALL],
    mutants: [{ name: 'claim unseen', id: MUTANT_CLAIM_UNSEEN, why: 'the cell belongs to the other name' }],
  },
  {
    ...common,
    name: 'cells-kinds',
    property: 'of two kinds of one name one is made, and the other told',
    setup: setup([NAME]),
    threads: [
      { name: 'finder A', run: finds(0, CELL_INT32) },
      { name: 'finder B', run: finds(0, CELL_BOOL) },
    ],
    check: (_world, _fixture, { found }) =>
      found.filter((cell) => cell === CELL_KIND_CLASH).length === 1 && found.filter(isCell).length === 1
        ? undefined
        : `they found ${found.join(' and ')}`,
    bounds: [3, ALL],
    quick: true,
    mutants: [{ name: 'claim unseen', id: MUTANT_CLAIM_UNSEEN, why: 'both have the cell as theirs' }],
  },
  {
    ...common,
    name: 'cells-operations',
    property: 'add, swap, cas and load are linearizable',
    setup(world) {
      const fixture = setup([NAME])(world);
      return { ...fixture, cell: world.calls.findCell(fixture.names[0]!, NAME.length, CELL_INT32) };
    },
    threads: [
      { name: 'thread A', run: operate(['add', 1], ['cas', 1, 5]) },
      { name: 'thread B', run: operate(['cas', 1, 7], ['swap', 1], ['load']) },
    ],
    check: ({ i32 }, { cell }, { history }) =>
      isLinearizable(history.flat(), 0, i32[(cell + CELL_VALUE) >>> 2]!)
        ? undefined
        : `no order fits ${JSON.stringify(history)}`,
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'add in two steps', id: MUTANT_ADD_IN_TWO_STEPS, why: 'what came in between is lost' },
      { name: 'cas in two steps', id: MUTANT_CAS_IN_TWO_STEPS, why: 'both succeed' },
      { name: 'swap in two steps', id: MUTANT_SWAP_IN_TWO_STEPS, why: 'what came in between is lost' },
    ],
  },
];

/** Thread 0 may die: the others find what they asked for, and its name can be made a cell later. */
const mortal = (...asked: number[]) => ({
  ...finders(...asked),
  kill: { threads: [0] },
  check(world: KernelWorld, fixture: Fixture, { found, history }: State, { finished }: Outcome) {
    for (const thread of finished.filter((id) => id !== 0))
      if (found[thread] === undefined) return 'no answer';
    const dead = world.calls.findCell(fixture.names[asked[0]!]!, NAME.length, CELL_INT32);
    return checkFound(world, fixture, { found: [found[0] ?? dead, ...found.slice(1)], history }, asked);
  },
});

const deathModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    ...mortal(0, 0, 0),
    name: 'cells-death',
    property: 'a thread may die anywhere in making a cell: two others of the same name have it all the same',
    setup: setup([NAME]),
    bounds: [2, 3],
    mutants: [
      {
        name: 'name awaited',
        id: MUTANT_NAME_AWAITED,
        why: 'the dead has claimed the cell and not named it',
      },
    ],
  },
  {
    ...common,
    ...mortal(0, 1),
    name: 'cells-death-other-name',
    property:
      'a thread may die anywhere in making a cell: names with the same hash that begin alike have two',
    setup: setup([NAME, twin(NAME, 4)]),
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'name awaited',
        id: MUTANT_NAME_AWAITED,
        why: 'the dead has claimed the cell and not named it',
      },
      { name: 'name by store', id: MUTANT_NAME_BY_STORE, why: 'both write their name into one cell' },
    ],
  },
];

export const cellModels: readonly KernelModel<Fixture, State>[] = [...foundModels, ...deathModels];

/** A name with another identity whose search starts at the same of the two cells. */
function otherHash(name: string): string {
  for (let i = 33; i < 127; i++) {
    const other = String.fromCharCode(i).repeat(name.length);
    const start = (text: string): number => ((identity(text) === 0 ? 4 : identity(text)) >> 2) % 2;
    if (identity(other) !== identity(name) && start(other) === start(name)) return other;
  }
  throw new Error(`no name starts where ${name} does`);
}
