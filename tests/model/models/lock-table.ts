/**
 * Locks by name (assembly/lock-table.ts), as ts/locks/space.ts opens and forgets them.
 *
 *   user      openLock* .. looks at its lock .. unpinLock .. sweepLock* .. reuseLock*
 *   rescuer   recoverLocks, once a thread has died
 *
 * Whoever has a lock open finds its name in its record and itself counted, whatever others do; who has the same name open has the same lock.
 *
 * Why these programs suffice: a record is used by nobody, one or several, and may become another. One that closes while another opens makes every pair of
 * steps of the two ends of a lock's life; a third that wants another name makes the record that was swept another lock at once.
 */
import {
  KIND_ATTACHED,
  LOCK_FLAG_FREE,
  LOCK_FLAGS,
  LOCK_NAME,
  LOCK_TURN_MASK,
  LOCK_USERS_MASK,
  LOCKS_BUSY,
  LOCKS_NO_MEMORY,
  MUTANT_GATE_STAYS_SHUT,
  MUTANT_NO_GATE,
  MUTANT_PINS_BLINDLY,
  MUTANT_PINS_UNUSED,
  MUTANT_SWEEPS_OPEN,
} from '../../../build/generated/layout.model.ts';
import {
  type KernelModel,
  type KernelThread,
  type KernelWorld,
  MEMORY_BYTES,
  type Steps,
} from '../kernel.ts';
import type { Part } from '../pool.ts';

interface Fixture {
  readonly agents: readonly number[];
  /** Where the names stand: one letter each. */
  readonly names: readonly number[];
  /** Who has the first lock open at the beginning. */
  readonly first: number;
}

interface State {
  /** What a user found that should not be. */
  broken: string | undefined;
  /** By thread: what it has open at the end. */
  readonly open: number[];
}

type Thread = KernelThread<Fixture, State>;

const LETTERS = [65, 66];

function setup(threads: number, isOpen: boolean): (world: KernelWorld) => Fixture {
  return ({ calls, u8, u32, scratch }) => {
    calls.initMemory(MEMORY_BYTES);
    calls.configureLocks(4, 0, 0);
    const agents = Array.from({ length: threads }, () => calls.claimAgent(KIND_ATTACHED, 0));
    const names = LETTERS.map((letter, i) => {
      u8[scratch + 64 * i] = letter;
      return scratch + 64 * i;
    });
    const first = calls.openLock(agents[0]!, names[0]!, 1, 0, 0, 0, 0);
    // The next time that it becomes another lock, its turns wrap around.
    u32[(first + LOCK_FLAGS) >>> 2]! |= LOCK_TURN_MASK;
    // The tables are there in either case: who makes them is not the question.
    if (!isOpen) {
      calls.unpinLock(first);
      calls.sweepLock(agents[0]!, first);
      calls.reuseLock(agents[0]!, first);
    }
    return { agents, names, first };
  };
}

const state = (): State => ({ broken: undefined, open: [0, 0, 0] });

function* open({ call, fixture, id, state }: Thread, name: number): Part<number> {
  while (true) {
    const lock: number = yield call.openLock(fixture.agents[id]!, fixture.names[name]!, 1, 0, 0, 0, 0);
    if (lock === LOCKS_BUSY) continue;
    if (lock <= LOCKS_NO_MEMORY) state.broken = `thread ${id} gets no lock: ${lock}`;
    return lock;
  }
}

/** Looks at a lock that the thread has open. */
function* use({ call, id, state }: Thread, lock: number, name: number): Part<void> {
  const flags: number = yield call.load32(lock + LOCK_FLAGS);
  const text: number = yield call.load32(lock + LOCK_NAME);
  const letter = ((yield call.load32(text + 4)) as number) & 0xff;
  if ((flags & LOCK_FLAG_FREE) !== 0) state.broken = `thread ${id} has a lock open that is gone`;
  else if ((flags & LOCK_USERS_MASK) === 0) state.broken = `thread ${id} is not counted`;
  else if (letter !== LETTERS[name]) state.broken = `the lock of thread ${id} has become another`;
}

function* close({ call, fixture, id }: Thread, lock: number): Part<void> {
  if (((yield call.unpinLock(lock)) as number) === 0) return;
  let swept: number = LOCKS_BUSY;
  while (swept === LOCKS_BUSY) swept = yield call.sweepLock(fixture.agents[id]!, lock);
  if (swept !== 1) return;
  while (((yield call.reuseLock(fixture.agents[id]!, lock)) as number) === 0);
}

function user(name: number, closes: boolean): (thread: Thread) => Steps {
  return function* run(thread) {
    const lock = yield* open(thread, name);
    yield* use(thread, lock, name);
    if (closes) yield* close(thread, lock);
    else thread.state.open[thread.id] = lock;
  };
}

const closer = {
  name: 'closer',
  *run(thread: Thread): Steps {
    yield* close(thread, thread.fixture.first);
  },
};

const rescuer = {
  name: 'rescuer',
  onDeath: true,
  *run({ call, fixture, dead }: Thread): Steps {
    yield call.recoverLocks(fixture.agents[dead[0]!]!);
  },
};

/** Whatever became of it, the names that are open are found, and a new one is. The last agent has done nothing, so it has no spare. */
function sound(
  { calls }: KernelWorld,
  { agents, names }: Fixture,
  { broken, open: kept }: State,
): string | undefined {
  if (broken !== undefined) return broken;
  const again = names.map((name) => calls.openLock(agents.at(-1)!, name, 1, 0, 0, 0, 0));
  if (again.some((lock) => lock <= LOCKS_BUSY)) return `a name cannot be opened: ${again.join(' ')}`;
  if (again[0] === again[1]) return 'two names are one lock';
  const strays = kept.filter((lock) => lock !== 0 && !again.includes(lock));
  return strays.length === 0 ? undefined : 'a lock that is open is not found by its name';
}

export const lockTableModels: readonly KernelModel<Fixture, State>[] = [
  {
    name: 'lock-table-open',
    structure: 'locks by name',
    property: 'two that open a new name at once have one lock',
    setup: setup(2, false),
    state,
    threads: [
      { name: 'one', run: user(0, false) },
      { name: 'other', run: user(0, false) },
    ],
    check: (world, fixture, notes) =>
      notes.open[0] === notes.open[1] ? sound(world, fixture, notes) : 'one name is two locks',
    bounds: [2, 3],
    quick: true,
    mutants: [{ name: 'no gate', id: MUTANT_NO_GATE, why: 'both make it' }],
  },
  {
    name: 'lock-table-close',
    structure: 'locks by name',
    property: 'whoever opens a name while it is closed has that lock or a new one, never one that is gone',
    setup: setup(3, true),
    state,
    threads: [closer, { name: 'same name', run: user(0, true) }, { name: 'other name', run: user(1, false) }],
    check: sound,
    bounds: [2],
    quick: 1,
    mutants: [
      { name: 'opens what nobody has open', id: MUTANT_PINS_UNUSED, why: 'it is swept all the same' },
      { name: 'counts itself blindly', id: MUTANT_PINS_BLINDLY, why: 'the record has become another' },
      { name: 'sweeps what is open', id: MUTANT_SWEEPS_OPEN, why: 'somebody opened it meanwhile' },
    ],
  },
  {
    name: 'lock-table-death',
    structure: 'locks by name',
    property: 'a thread may die anywhere in opening and closing: names are opened and closed as before',
    setup: setup(3, true),
    state,
    threads: [closer, { name: 'other name', run: user(1, true) }, rescuer],
    check: sound,
    kill: { threads: [0, 1] },
    bounds: [1, 2],
    quick: true,
    mutants: [{ name: 'gate stays shut', id: MUTANT_GATE_STAYS_SHUT, why: 'nobody gets through any more' }],
  },
];
