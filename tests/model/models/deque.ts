/** The deque (assembly/deque.ts): its owner pushes and pops, thieves steal; entries are numbers that nobody follows. */
import {
  DEQUE_BOTTOM,
  DEQUE_BUFFER,
  DEQUE_HEADER,
  DEQUE_TOP,
  DEQUE_TOP_SEEN,
  MUTANT_GROW_BEFORE_COPY,
  MUTANT_POP_LEAVES_BOTTOM,
  MUTANT_POP_LOOKS_FIRST,
  MUTANT_POP_WITHOUT_CAS,
  MUTANT_PUBLISH_BEFORE_WRITE,
  MUTANT_RECYCLE_BUFFER,
  MUTANT_ROOM_FOR_ONE_MORE,
  MUTANT_STEAL_READS_LATE,
  MUTANT_STEAL_WITHOUT_CAS,
  OWNER_SHARED,
} from '../../../build/generated/layout.model.ts';
import {
  type KernelModel,
  type KernelThread,
  type KernelWorld,
  MEMORY_BYTES,
  type Steps,
} from '../kernel.ts';

interface Fixture {
  readonly deque: number;
  /** Where each thread notes what it is about to take. */
  readonly held: readonly number[];
}

interface State {
  readonly pushed: number[];
  /** By thread. */
  readonly taken: number[][];
}

const STEAL_RETRY = 1;

function setup(world: KernelWorld): Fixture {
  const { calls, u32, scratch } = world;
  calls.initMemory(MEMORY_BYTES);
  const deque = calls.claimSpans(1, OWNER_SHARED);
  calls.initDeque(deque);
  // The indices wrap to 0 with the second push.
  for (const field of [DEQUE_TOP, DEQUE_BOTTOM, DEQUE_TOP_SEEN]) u32[(deque + field) >>> 2] = 0xffffffff;
  return { deque, held: [0, 1, 2, 3].map((i) => scratch + i * 64) };
}

const state = (): State => ({ pushed: [], taken: [[], [], [], []] });

function* push({ call, fixture, state }: KernelThread<Fixture, State>, entry: number): Steps {
  state.pushed.push(entry);
  yield call.push(fixture.deque, entry, OWNER_SHARED);
}

function* pop({ call, fixture, state, id }: KernelThread<Fixture, State>): Steps {
  const entry: number = yield call.pop(fixture.deque);
  if (entry !== 0) state.taken[id]!.push(entry);
}

/** Steals until it has got one, or found the deque empty. */
function* steal({ call, fixture, state, id }: KernelThread<Fixture, State>): Steps {
  while (true) {
    const entry: number = yield call.steal(fixture.deque, fixture.held[id]!);
    if (entry === STEAL_RETRY) continue;
    if (entry !== 0) state.taken[id]!.push(entry);
    return;
  }
}

/** Each entry once, and thieves in order of age. */
function check({ calls }: KernelWorld, { deque }: Fixture, { pushed, taken }: State): string | undefined {
  const rest: number[] = [];
  while (true) {
    const entry = calls.pop(deque);
    if (entry === 0) break;
    rest.push(entry);
    if (rest.length > pushed.length) return `more entries come out than went in: ${rest.join(' ')}`;
  }
  const all = [...taken.flat(), ...rest].sort((a, b) => a - b);
  const expected = [...pushed].sort((a, b) => a - b);
  if (all.join(' ') === expected.join(' ')) return undefined;
  return `pushed ${pushed.join(' ')}; taken ${taken.map((list) => `[${list.join(' ')}]`).join(' ')}, left [${rest.join(' ')}]`;
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [DEQUE_TOP, 'top'],
  [DEQUE_BOTTOM, 'bottom'],
  [DEQUE_BUFFER, 'buffer'],
  [DEQUE_TOP_SEEN, 'top-seen'],
]);

function describe(address: number, { deque, held }: Fixture): string | undefined {
  const offset = address - deque;
  const name = NAMES.get(offset);
  if (name !== undefined) return name;
  if (offset >= DEQUE_HEADER && offset < DEQUE_HEADER + 64) return `cell ${(offset - DEQUE_HEADER) >>> 2}`;
  const note = held.indexOf(address);
  return note >= 0 ? `held ${note}` : undefined;
}

const common = { setup, state, check, describe };

export const dequeModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    name: 'deque',
    structure: 'deque',
    property: 'each entry is taken once; owner and thief race for the last ones',
    threads: [
      {
        name: 'owner',
        *run(thread) {
          yield* push(thread, 10);
          yield* push(thread, 20);
          yield* pop(thread);
          yield* pop(thread);
          yield* push(thread, 30);
          yield* pop(thread);
        },
      },
      {
        name: 'thief',
        *run(thread) {
          yield* steal(thread);
          yield* steal(thread);
        },
      },
    ],
    bounds: [3, Number.POSITIVE_INFINITY],
    quick: true,
    mutants: [
      { name: 'pop without CAS', id: MUTANT_POP_WITHOUT_CAS, why: 'owner and thief both get the last entry' },
      {
        name: 'publish before write',
        id: MUTANT_PUBLISH_BEFORE_WRITE,
        why: 'the thief reads the cell before it is written',
      },
      { name: 'pop looks first', id: MUTANT_POP_LOOKS_FIRST, why: 'the thief passes bottom unseen' },
      { name: 'steal without CAS', id: MUTANT_STEAL_WITHOUT_CAS, why: 'the owner took the entry meanwhile' },
      {
        name: 'steal reads late',
        id: MUTANT_STEAL_READS_LATE,
        why: 'the owner writes the cell again meanwhile',
      },
      {
        name: 'pop leaves bottom',
        id: MUTANT_POP_LEAVES_BOTTOM,
        why: 'the next push goes below top',
      },
    ],
  },
  {
    ...common,
    name: 'deque-growth',
    structure: 'deque',
    property: 'each entry is taken once while the buffer grows twice under the thief',
    threads: [
      {
        name: 'owner',
        *run(thread) {
          for (const entry of [10, 20, 30, 40, 50]) yield* push(thread, entry);
          yield* pop(thread);
        },
      },
      {
        name: 'thief',
        *run(thread) {
          yield* steal(thread);
          yield* steal(thread);
        },
      },
    ],
    bounds: [3, Number.POSITIVE_INFINITY],
    quick: true,
    mutants: [
      {
        name: 'grow before copy',
        id: MUTANT_GROW_BEFORE_COPY,
        why: 'the thief reads what is not copied yet',
      },
      { name: 'recycle buffer', id: MUTANT_RECYCLE_BUFFER, why: 'the thief still reads the old buffer' },
      { name: 'room for one more', id: MUTANT_ROOM_FOR_ONE_MORE, why: 'an entry is overwritten' },
    ],
  },
  {
    ...common,
    name: 'deque-two-thieves',
    structure: 'deque',
    property: 'each entry is taken once by the owner or by one of two thieves',
    threads: [
      {
        name: 'owner',
        *run(thread) {
          yield* push(thread, 10);
          yield* push(thread, 20);
          yield* pop(thread);
          yield* push(thread, 30);
          yield* pop(thread);
        },
      },
      {
        name: 'thief A',
        *run(thread) {
          yield* steal(thread);
        },
      },
      {
        name: 'thief B',
        *run(thread) {
          yield* steal(thread);
        },
      },
    ],
    bounds: [2, Number.POSITIVE_INFINITY],
    mutants: [{ name: 'steal without CAS', id: MUTANT_STEAL_WITHOUT_CAS, why: 'two thieves take the same' }],
  },
];
