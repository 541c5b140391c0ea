/** The deque (assembly/deque.ts): its owner pushes and pops, thieves steal; entries are numbers that nobody follows. */
import {
  BATCH_MOST,
  DEQUE_BOTTOM,
  DEQUE_BUFFER,
  DEQUE_HEADER,
  DEQUE_TOP,
  DEQUE_TOP_SEEN,
  MUTANT_BATCH_SHOWS_EARLY,
  MUTANT_CLOSES_TOP_FIRST,
  MUTANT_GROW_BEFORE_COPY,
  MUTANT_HELD_AFTER,
  MUTANT_NO_REPAIR,
  MUTANT_NOT_BEYOND,
  MUTANT_POP_LEAVES_BOTTOM,
  MUTANT_POP_LOOKS_FIRST,
  MUTANT_POP_WITHOUT_CAS,
  MUTANT_PUBLISH_BEFORE_WRITE,
  MUTANT_RECYCLE_BUFFER,
  MUTANT_REPAIR_KEEPS_TOP,
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
  /** The deque that all are after, and those of thieves that take in batches. */
  readonly deques: readonly number[];
  /** Where each thread notes what it is about to take. */
  readonly held: readonly number[];
}

interface State {
  /** What was to be pushed, and what surely was. */
  readonly offered: number[];
  readonly pushed: number[];
  /** By thread. */
  readonly taken: number[][];
  /** What a rescuer came upon: an entry may be among it twice, and one that was taken too. */
  readonly rescued: number[];
}

type DequeThread = KernelThread<Fixture, State>;

const STEAL_RETRY = 1;

function setup(world: KernelWorld): Fixture {
  const { calls, u32, scratch } = world;
  calls.initMemory(MEMORY_BYTES);
  const deques = [0, 1, 2].map(() => {
    const deque = calls.claimSpans(1, OWNER_SHARED);
    calls.initDeque(deque);
    // The indices wrap to 0 with the second push.
    for (const field of [DEQUE_TOP, DEQUE_BOTTOM, DEQUE_TOP_SEEN]) u32[(deque + field) >>> 2] = 0xffffffff;
    return deque;
  });
  return { deques, held: [0, 1, 2, 3].map((i) => scratch + i * 64) };
}

const state = (): State => ({ offered: [], pushed: [], taken: [[], [], [], []], rescued: [] });

function* push({ call, fixture, state }: DequeThread, ...entries: readonly number[]): Steps {
  for (const entry of entries) {
    state.offered.push(entry);
    if ((yield call.push(fixture.deques[0]!, entry, OWNER_SHARED)) === 1) state.pushed.push(entry);
  }
}

function* pop({ call, fixture, state, id }: DequeThread, which = 0): Steps {
  const entry: number = yield call.pop(fixture.deques[which]!);
  if (entry !== 0) state.taken[id]!.push(entry);
}

/** Takes back `entry` if it is the newest. */
function* popIf({ call, fixture, state, id }: DequeThread, entry: number): Steps {
  if ((yield call.popIf(fixture.deques[0]!, entry)) === 1) state.taken[id]!.push(entry);
}

/** Steals until it has got one, or found the deque empty. */
function* steal({ call, fixture, state, id }: DequeThread, which = 0): Steps {
  while (true) {
    const entry: number = yield call.steal(fixture.deques[which]!, fixture.held[id]!);
    if (entry === STEAL_RETRY) continue;
    if (entry !== 0) state.taken[id]!.push(entry);
    return;
  }
}

/** Takes up to three at once: the first to run, the others into deque `into`. */
function* stealBatch({ call, fixture, state, id }: DequeThread, into: number): Steps {
  const [from, own] = [fixture.deques[0]!, fixture.deques[into]!];
  while (true) {
    const entry: number = yield call.stealBatch(from, own, 3, OWNER_SHARED, fixture.held[id]!);
    if (entry === STEAL_RETRY) continue;
    if (entry !== 0) state.taken[id]!.push(entry);
    return;
  }
}

/** As recovery.ts does with the deque of a dead thread: what it was moving, then what stands there; then it is as new. */
function* drain({ call, fixture, state, id }: DequeThread, which: number): Steps {
  const deque = fixture.deques[which]!;
  for (let i = 0; i <= BATCH_MOST; i++) state.rescued.push(yield call.beyond(deque, i));
  while (true) {
    const entry: number = yield call.steal(deque, 0);
    if (entry === 0) break;
    if (entry !== STEAL_RETRY) state.rescued.push(entry);
  }
  yield call.repair(deque);
  // The next owner's entries must be seen.
  const next = 90 + id;
  state.offered.push(next);
  yield call.push(deque, next, OWNER_SHARED);
  state.pushed.push(next);
}

/** What the dead thread was about to take. */
function* readNote({ call, fixture, state, dead }: DequeThread): Steps {
  state.rescued.push(yield call.load32(fixture.held[dead[0]!]!));
}

/** Stands for a slot that is never queued. */
const GAP = 999;

/** The word that says whose an entry is, as the slot's state does. */
const claimOf = ({ held }: Fixture, entry: number): number => held[0]! + 1024 + entry * 4;

/** Claims an entry that was come upon. */
function* claim({ call, fixture, state, id }: DequeThread, entry: number): Steps {
  if (entry === 0 || entry === GAP) return;
  if ((yield call.cas32(claimOf(fixture, entry), 0, 1)) === 1) state.taken[id]!.push(entry);
}

/** As takeFrom() in scheduler.ts: entry `index`, counted from the first of all. */
function* takeFrom(thread: DequeThread, index: number): Steps {
  const { call, fixture } = thread;
  const deque = fixture.deques[0]!;
  const at = (index - 1) >>> 0;
  const entry: number = yield call.entryAt(deque, at);
  if (entry === 0) return;
  yield* claim(thread, entry);
  yield call.setGap(deque, at, GAP);
  yield call.closeUp(deque, (at + 1) >>> 0, GAP);
}

/** Steals one, or up to three, and claims them. */
function* stealAndClaim(thread: DequeThread, batch: boolean): Steps {
  const { call, fixture, id } = thread;
  const [from, own] = [fixture.deques[0]!, fixture.deques[1]!];
  const note = fixture.held[id]!;
  for (let entry = STEAL_RETRY; entry === STEAL_RETRY; ) {
    entry = batch ? yield call.stealBatch(from, own, 3, OWNER_SHARED, note) : yield call.steal(from, note);
    if (entry !== STEAL_RETRY) yield* claim(thread, entry);
  }
  for (let entry = -1; batch && entry !== 0; ) {
    entry = yield call.pop(own);
    yield* claim(thread, entry);
  }
}

/** Entries may stand twice, as one of them claims; those that nobody claimed are there, in order. */
function checkClosed(world: KernelWorld, fixture: Fixture, state: State): string | undefined {
  const { pushed, taken } = state;
  const got = taken.flat();
  const rest = drainAll(world, [fixture.deques[0]!], 2 * pushed.length)
    .filter((entry) => entry !== GAP && world.u32[claimOf(fixture, entry) >>> 2] === 0)
    .reverse();
  const story = `pushed ${pushed.join(' ')}; taken [${got.join(' ')}]; left [${rest.join(' ')}]`;
  if (new Set(got).size !== got.length) return `an entry twice: ${story}`;
  if (pushed.some((entry) => !got.includes(entry) && !rest.includes(entry))) return `an entry lost: ${story}`;
  if (rest.some((entry, i) => i > 0 && entry < rest[i - 1]!)) return `an entry overtaken: ${story}`;
  return undefined;
}

/** Takes out what is left. */
function drainAll({ calls }: KernelWorld, deques: readonly number[], most: number): number[] {
  const rest: number[] = [];
  for (const deque of deques) {
    while (rest.length <= most) {
      const entry = calls.pop(deque);
      if (entry === 0) break;
      rest.push(entry);
    }
  }
  return rest;
}

/** No entry twice, none lost, none from nowhere. */
function check(world: KernelWorld, { deques }: Fixture, state: State): string | undefined {
  const { offered, pushed, taken, rescued } = state;
  const rest = drainAll(world, deques, offered.length);
  const got = [...taken.flat(), ...rest];
  const story = (): string =>
    `pushed ${pushed.join(' ')}; taken ${taken.map((list) => `[${list.join(' ')}]`).join(' ')}; left [${rest.join(' ')}]; rescued [${rescued.join(' ')}]`;
  if (new Set(got).size !== got.length) return `an entry twice: ${story()}`;
  if (pushed.some((entry) => !got.includes(entry) && !rescued.includes(entry)))
    return `an entry lost: ${story()}`;
  if (got.some((entry) => !offered.includes(entry))) return `an entry from nowhere: ${story()}`;
  return undefined;
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [DEQUE_TOP, 'top'],
  [DEQUE_BOTTOM, 'bottom'],
  [DEQUE_BUFFER, 'buffer'],
  [DEQUE_TOP_SEEN, 'top-seen'],
]);

function describe(address: number, { deques, held }: Fixture): string | undefined {
  for (const [i, deque] of deques.entries()) {
    const offset = address - deque;
    const name = NAMES.get(offset);
    if (name !== undefined) return `deque ${i} ${name}`;
    if (offset >= DEQUE_HEADER && offset < DEQUE_HEADER + 64)
      return `deque ${i} cell ${(offset - DEQUE_HEADER) >>> 2}`;
  }
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
          yield* push(thread, 10, 20);
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
          yield* push(thread, 10, 20, 30, 40, 50);
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
          yield* push(thread, 10, 20);
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
  {
    ...common,
    name: 'deque-pop-if',
    structure: 'deque',
    property: 'a fork is taken back or stolen, not both',
    threads: [
      {
        name: 'owner',
        *run(thread) {
          yield* push(thread, 10, 20);
          yield* popIf(thread, 20);
          yield* popIf(thread, 10);
          // Nothing stands there any more, or a thief has it.
          yield* popIf(thread, 20);
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
    mutants: [
      { name: 'pop without CAS', id: MUTANT_POP_WITHOUT_CAS, why: 'owner and thief both get the last entry' },
    ],
  },
  {
    ...common,
    name: 'deque-batch',
    structure: 'deque',
    property: 'entries taken in batches, and stolen on from the thief that took them: each once',
    threads: [
      {
        name: 'submitter',
        *run(thread) {
          yield* push(thread, 10, 20, 30, 40, 50);
        },
      },
      {
        name: 'worker',
        *run(thread) {
          yield* stealBatch(thread, 1);
          yield* pop(thread, 1);
          yield* stealBatch(thread, 1);
        },
      },
      {
        name: 'other',
        *run(thread) {
          yield* stealBatch(thread, 2);
          yield* steal(thread, 1);
        },
      },
    ],
    bounds: [2, Number.POSITIVE_INFINITY],
    quick: true,
    mutants: [
      {
        name: 'batch shows early',
        id: MUTANT_BATCH_SHOWS_EARLY,
        why: 'what it did not win stands in its deque all the same',
      },
    ],
  },
  ...[false, true].map(
    (batch): KernelModel<Fixture, State> => ({
      ...common,
      name: batch ? 'deque-gaps-batch' : 'deque-gaps',
      structure: 'deque',
      property: 'one that takes from between the others loses none, and lets none overtake',
      threads: [
        {
          name: 'submitter',
          *run(thread) {
            yield* push(thread, 10, 20, 30, 40);
            yield* takeFrom(thread, 2);
            yield* takeFrom(thread, 1);
          },
        },
        {
          name: 'thief',
          *run(thread) {
            yield* stealAndClaim(thread, batch);
            if (!batch) yield* stealAndClaim(thread, batch);
          },
        },
        {
          name: 'other',
          *run(thread) {
            yield* stealAndClaim(thread, false);
          },
        },
      ],
      check: checkClosed,
      bounds: [2, 3],
      quick: !batch,
      mutants: [
        {
          name: 'closes top first',
          id: MUTANT_CLOSES_TOP_FIRST,
          why: 'a thief takes what stood there, and what stood below is passed',
        },
      ],
    }),
  ),
  {
    ...common,
    name: 'deque-owner-dies',
    structure: 'deque',
    property: 'the owner dies anywhere: no entry is lost, and the deque serves its next owner',
    threads: [
      {
        name: 'owner',
        *run(thread) {
          yield* push(thread, 10, 20, 30);
          yield* pop(thread);
          yield* pop(thread);
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
      {
        name: 'rescuer',
        onDeath: true,
        *run(thread) {
          yield* drain(thread, 0);
        },
      },
    ],
    kill: { threads: [0] },
    bounds: [2, Number.POSITIVE_INFINITY],
    quick: 1,
    mutants: [
      { name: 'no repair', id: MUTANT_NO_REPAIR, why: 'bottom stays below top' },
      { name: 'not beyond', id: MUTANT_NOT_BEYOND, why: 'what it was popping is lost' },
      {
        name: 'repair keeps top',
        id: MUTANT_REPAIR_KEEPS_TOP,
        why: 'a thief that is late takes what the next owner pushed at the same index',
      },
    ],
  },
  {
    ...common,
    name: 'deque-thief-dies',
    structure: 'deque',
    property: 'a thief of one and of batches dies anywhere: no entry is lost',
    threads: [
      {
        name: 'submitter',
        *run(thread) {
          yield* push(thread, 10, 20, 30, 40, 50);
        },
      },
      {
        name: 'worker',
        *run(thread) {
          yield* stealBatch(thread, 1);
          yield* pop(thread, 1);
          yield* steal(thread);
        },
      },
      {
        name: 'other',
        *run(thread) {
          yield* steal(thread, 1);
        },
      },
      {
        name: 'rescuer',
        onDeath: true,
        *run(thread) {
          yield* readNote(thread);
          yield* drain(thread, 1);
        },
      },
    ],
    kill: { threads: [1] },
    bounds: [2, Number.POSITIVE_INFINITY],
    mutants: [
      { name: 'held after', id: MUTANT_HELD_AFTER, why: 'it dies between the CAS and the note' },
      { name: 'not beyond', id: MUTANT_NOT_BEYOND, why: 'the rest of a batch is in no deque yet' },
    ],
  },
];
