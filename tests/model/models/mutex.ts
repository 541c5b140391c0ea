/**
 * The mutex (assembly/mutex.ts) and the wait-for graph (assembly/waits.ts), as ts/locks/block.ts drives them.
 *
 *   locker      tryLock | beginWait .. (prepareWait .. isAborted .. wait32 .. requestHandoff)* .. endWait | critical section | unlock
 *   canceller   load what the victim waits for .. abortWait
 *   rescuer     recoverLocks, once a thread has died
 *
 * Mutual exclusion is a word that is 1 more inside. A wake-up that is lost is a deadlock, as nobody waits with a timeout.
 *
 * Why these programs suffice: a word has one holder, one reservation and any number of sleepers, who are alike. Three lockers make every pair of steps of
 * two meet with a third asleep; a canceller or a death adds one more hand on the word. Sleepers are woken by number, so the one that gives up stands before
 * and behind the one that must not be forgotten.
 */
import {
  AGENT_ID,
  KIND_ATTACHED,
  LOCK_HANDOFF,
  LOCK_TAKEN,
  LOCK_WORD,
  MUTANT_ABORT_WORD_FIRST,
  MUTANT_ALL_ACT,
  MUTANT_BARGES_RESERVED,
  MUTANT_CANCEL_KEEPS_SEQUENCE,
  MUTANT_CONTENDED_UNSAID,
  MUTANT_DEAD_WAITER_SILENT,
  MUTANT_DROPS_WAKE,
  MUTANT_FLAG_BEFORE_WORD,
  MUTANT_HANDOFF_WAKES_ONE,
  MUTANT_KEEPS_RESERVATION,
  MUTANT_LOCK_WITHOUT_CAS,
  MUTANT_LOOK_BEFORE_PUBLISHING,
  MUTANT_NOTHING_PENDING,
  MUTANT_ONE_LOOK,
  MUTANT_OWNERLESS_GOES_ON,
  MUTANT_PENDING_FORGOTTEN,
  MUTANT_PENDING_STAYS_LISTED,
  MUTANT_TAKES_UNCONTENDED,
  MUTANT_UNLOCK_WAKES_NOBODY,
  OWNER_EPOCH,
  OWNER_HELD,
  OWNER_KIND_AWAIT,
  OWNER_KIND_CONTEXT,
  OWNER_WAITING,
  SLOT_DONE,
  SLOT_RUNNING,
  SLOT_STATE,
  STATE_AGENT_SHIFT,
  WORD_ABANDONED,
  WORD_HANDOFF,
  WORD_OWNER_MASK,
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
  /** One owner a thread. */
  readonly owners: readonly number[];
  readonly locks: readonly number[];
  /** For each lock, how many are inside. */
  readonly inside: readonly number[];
  /** Memory of each thread's searches. */
  readonly scratch: readonly number[];
}

interface State {
  /** More than one was inside. */
  broken: boolean;
  /** By thread: waits that ended without the lock. */
  readonly gaveUp: number[];
  /** By thread: cycles that it found. */
  readonly found: number[];
  aborted: boolean;
}

type Thread = KernelThread<Fixture, State>;

const SCRATCH_BYTES = 1024;

/** `held`: which thread holds which lock already, as pairs. */
function setup(
  threads: number,
  locks: number,
  held: readonly (readonly [thread: number, lock: number])[] = [],
): (world: KernelWorld) => Fixture {
  return ({ calls, u8, scratch }) => {
    calls.initMemory(MEMORY_BYTES);
    calls.configureLocks(4, 0, 0);
    const agents = Array.from({ length: threads }, () => calls.claimAgent(KIND_ATTACHED, 0));
    const owners = agents.map((agent, i) => calls.claimOwner(agent, OWNER_KIND_CONTEXT, 0, 0, i));
    const addresses = Array.from({ length: locks }, (_, i) => {
      u8[scratch] = 65 + i;
      return calls.openLock(agents[0]!, scratch, 1, 0, 0, 0, 0);
    });
    for (const [thread, lock] of held) calls.tryLock(addresses[lock]!, owners[thread]!);
    return {
      agents,
      owners,
      locks: addresses,
      inside: addresses.map((_, i) => scratch + 64 + i * 64),
      scratch: agents.map((_, i) => scratch + SCRATCH_BYTES * (i % 3) + 512),
    };
  };
}

const state = (): State => ({ broken: false, gaveUp: [0, 0, 0, 0], found: [0, 0, 0, 0], aborted: false });

interface Manner {
  /** Asks that the lock be kept for it as soon as it was woken once; at once. */
  readonly handoff?: 'woken' | 'at once';
  /** Takes abandoned locks. */
  readonly recovers?: boolean;
  /** Looks for deadlocks. */
  readonly detects?: boolean;
  /** Its thread does nothing else while it waits. */
  readonly blocks?: boolean;
}

/** block.ts. True with the lock; false when the wait was aborted, or closes a cycle. */
function* lock({ call, fixture, state, id, world }: Thread, which: number, manner: Manner): Part<boolean> {
  const address = fixture.locks[which]!;
  const owner = fixture.owners[id]!;
  const take = manner.recovers ? call.takeAbandoned : call.tryLock;
  if (((yield take(address, owner)) as number) === LOCK_TAKEN) return true;
  const flagFirst = world.calls.mutant(MUTANT_FLAG_BEFORE_WORD) !== 0;
  const looksFirst = world.calls.mutant(MUTANT_LOOK_BEFORE_PUBLISHING) !== 0;
  let cycle = 0;
  if (manner.detects && looksFirst)
    cycle = yield call.findCycle(owner, fixture.scratch[id]!, SCRATCH_BYTES, 1);
  yield call.beginWait(owner, address, 0, manner.blocks ? 1 : 0);
  if (manner.detects && !looksFirst)
    cycle = yield call.findCycle(owner, fixture.scratch[id]!, SCRATCH_BYTES, 1);
  if (cycle > 0) {
    state.found[id]!++;
    yield call.leaveWait(address, owner);
    yield call.endWait(owner);
    return false;
  }
  if (manner.handoff === 'at once') yield call.requestHandoff(address, owner);
  while (true) {
    let aborted = 0;
    if (flagFirst) aborted = yield call.isAborted(owner);
    let word: number = yield call.prepareWait(address, owner);
    if (word < 0 && word !== LOCK_TAKEN && manner.recovers) word = yield call.takeAbandoned(address, owner);
    if (word === LOCK_TAKEN) {
      yield call.endWait(owner);
      return true;
    }
    if (!flagFirst) aborted = yield call.isAborted(owner);
    if (aborted !== 0) {
      yield call.leaveWait(address, owner);
      yield call.endWait(owner);
      state.gaveUp[id]!++;
      return false;
    }
    if (word >= 0) yield call.wait32(address + LOCK_WORD, word, -1n);
    if (manner.handoff === 'woken') yield call.requestHandoff(address, owner);
  }
}

function* unlock({ call, fixture, id }: Thread, which: number): Part<void> {
  yield call.unlock(fixture.locks[which]!, fixture.owners[id]!);
}

/** Inside the lock. Who finds it abandoned puts right what the dead one left. */
function* critical({ call, fixture, state }: Thread, which: number): Part<void> {
  const word = fixture.inside[which]!;
  const isAbandoned = ((yield call.load32(fixture.locks[which]! + LOCK_WORD)) as number) & WORD_ABANDONED;
  if (isAbandoned !== 0) yield call.store32(word, 0);
  if (((yield call.add32(word, 1)) as number) !== 0) state.broken = true;
  yield call.add32(word, -1);
}

function locker(times: number, manner: Manner = {}): (thread: Thread) => Steps {
  return function* run(thread) {
    for (let i = 0; i < times; i++) {
      if (!(yield* lock(thread, 0, manner))) continue;
      yield* critical(thread, 0);
      yield* unlock(thread, 0);
    }
  };
}

/** Aborts the wait of a thread, if it waits. */
function canceller(victim: number): (thread: Thread) => Steps {
  return function* run({ call, fixture, state }) {
    const owner = fixture.owners[victim]!;
    const epoch: number = yield call.load32(owner + OWNER_EPOCH);
    if (((yield call.load32(owner + OWNER_WAITING)) as number) === 0) return;
    yield call.abortWait(owner, epoch);
    if (((yield call.load32(owner + OWNER_EPOCH)) as number) === epoch) state.aborted = true;
  };
}

const rescuer = {
  name: 'rescuer',
  onDeath: true,
  *run({ call, fixture, dead }: Thread): Steps {
    yield call.recoverLocks(fixture.agents[dead[0]!]!);
  },
};

/** All locks are free, nobody has reserved one. */
function leftovers({ u32 }: KernelWorld, { locks, owners }: Fixture, { broken }: State): string | undefined {
  if (broken) return 'two were inside';
  for (const each of locks) {
    if ((u32[(each + LOCK_WORD) >>> 2]! & WORD_OWNER_MASK) !== 0) return 'a lock is left';
    if (u32[(each + LOCK_HANDOFF) >>> 2] !== 0) return 'a lock is reserved for ever';
  }
  for (const owner of owners) {
    if (u32[(owner + OWNER_HELD) >>> 2] !== 0) return 'an owner lists a lock that it gave back';
    if (u32[(owner + OWNER_WAITING) >>> 2] !== 0) return 'an owner waits for ever';
  }
  return undefined;
}

const describe = (address: number, { locks, owners, inside }: Fixture): string | undefined => {
  for (const [i, at] of locks.entries()) {
    if (address === at + LOCK_WORD) return `word of ${'ABC'[i]}`;
    if (address === at + LOCK_HANDOFF) return `handoff of ${'ABC'[i]}`;
    if (address >= at && address < at + 64) return `lock ${'ABC'[i]} + ${address - at}`;
  }
  for (const [i, at] of owners.entries())
    if (address >= at && address < at + 64) return `owner ${i} + ${address - at}`;
  for (const [i, at] of inside.entries()) if (address === at) return `inside ${'ABC'[i]}`;
  return undefined;
};

const ALL = Number.POSITIVE_INFINITY;

/** Takes locks one after the other, gives them back in the other order; starts over when it closed a cycle. */
function nester(order: readonly number[], manner: Manner): (thread: Thread) => Steps {
  return function* run(thread) {
    const had: number[] = [];
    for (const which of order) {
      if (yield* lock(thread, which, manner)) had.push(which);
      else break;
    }
    for (const which of had.reverse()) yield* unlock(thread, which);
  };
}

/** A call that owner 0 awaits: a task without an owner, which needs the event loop of thread 1. Its slot, and the record of the edge. */
const CALL = { slot: 320, node: 384 };

function setupCall(world: KernelWorld): Fixture {
  const fixture = setup(2, 1, [[0, 0]])(world);
  const { calls, u32 } = world;
  const base = fixture.inside[0]! - 64;
  const agent = u32[(fixture.agents[1]! + AGENT_ID) >>> 2]!;
  u32[(base + CALL.slot + SLOT_STATE) >>> 2] = SLOT_RUNNING | (agent << STATE_AGENT_SHIFT);
  const node = calls.claimOwner(fixture.agents[0]!, OWNER_KIND_AWAIT, base + CALL.slot, 0, 0);
  u32[(base + CALL.node) >>> 2] = node;
  return fixture;
}

export const mutexModels: readonly KernelModel<Fixture, State>[] = [
  {
    name: 'mutex',
    structure: 'mutex',
    property: 'one at a time is inside, and every waiter gets in',
    setup: setup(3, 1),
    state,
    threads: [
      { name: 'A', run: locker(1) },
      { name: 'B', run: locker(1) },
      { name: 'C', run: locker(1) },
    ],
    check: leftovers,
    describe,
    bounds: [2, 3],
    quick: true,
    mutants: [
      { name: 'lock without CAS', id: MUTANT_LOCK_WITHOUT_CAS, why: 'two find it free' },
      {
        name: 'takes it uncontended',
        id: MUTANT_TAKES_UNCONTENDED,
        why: 'its unlock wakes nobody, another sleeps',
      },
      { name: 'sleeps unsaid', id: MUTANT_CONTENDED_UNSAID, why: 'the unlock sees no sleeper' },
      { name: 'unlock wakes nobody', id: MUTANT_UNLOCK_WAKES_NOBODY, why: 'a sleeper sleeps on' },
    ],
  },
  {
    name: 'mutex-two',
    structure: 'mutex',
    property: 'two take turns, in all interleavings',
    setup: setup(2, 1),
    state,
    threads: [
      { name: 'A', run: locker(2) },
      { name: 'B', run: locker(2, { handoff: 'woken' }) },
    ],
    check: leftovers,
    describe,
    bounds: [3, ALL],
    mutants: [{ name: 'lock without CAS', id: MUTANT_LOCK_WITHOUT_CAS, why: 'two find it free' }],
  },
  {
    name: 'mutex-handoff',
    structure: 'mutex',
    property: 'a reserved lock goes to its waiter, nobody is forgotten meanwhile',
    setup: setup(3, 1, [[0, 0]]),
    state,
    threads: [
      {
        name: 'holder',
        *run(thread) {
          yield* critical(thread, 0);
          yield* unlock(thread, 0);
        },
      },
      { name: 'sleeper', run: locker(1) },
      { name: 'old', run: locker(1, { handoff: 'at once' }) },
    ],
    check: leftovers,
    describe,
    bounds: [2, 3],
    quick: true,
    mutants: [
      {
        name: 'handoff wakes one',
        id: MUTANT_HANDOFF_WAKES_ONE,
        why: 'it wakes the other, who may not take it',
      },
    ],
  },
  {
    name: 'mutex-reserved',
    structure: 'mutex',
    property: 'a lock that was reserved before it was unlocked goes to nobody else first',
    setup: setup(3, 1, [[0, 0]]),
    state,
    threads: [
      {
        name: 'holder',
        *run(thread) {
          const { call, fixture, state } = thread;
          const [address, owner] = [fixture.locks[0]!, fixture.owners[0]!];
          const word: number = yield call.load32(address + LOCK_WORD);
          const id: number = yield call.load32(address + LOCK_HANDOFF);
          yield* unlock(thread, 0);
          // It wants it back at once.
          if (((yield call.tryLock(address, owner)) as number) !== LOCK_TAKEN) return;
          if ((word & WORD_HANDOFF) !== 0) {
            const kept: number = yield call.ownerAt(id);
            if (((yield call.load32(kept + OWNER_WAITING)) as number) !== 0) state.broken = true;
          }
          yield* unlock(thread, 0);
        },
      },
      { name: 'old', run: locker(1, { handoff: 'at once' }) },
      { name: 'old too', run: locker(1, { handoff: 'at once' }) },
    ],
    check: (world, fixture, state) =>
      state.broken ? 'it was taken from the one it was kept for' : leftovers(world, fixture, state),
    invariant: ({ u32 }, { locks }) =>
      (u32[(locks[0]! + LOCK_WORD) >>> 2]! & WORD_HANDOFF) !== 0 &&
      u32[(locks[0]! + LOCK_HANDOFF) >>> 2] === 0
        ? 'reserved for nobody'
        : undefined,
    describe,
    bounds: [2],
    mutants: [{ name: 'barges', id: MUTANT_BARGES_RESERVED, why: 'the holder takes it back' }],
  },
  ...[1, 2].map(
    (victim): KernelModel<Fixture, State> => ({
      name: `mutex-cancel-${victim}`,
      structure: 'mutex',
      property: 'a wait that was aborted ends, and its wake-up goes to the next',
      setup: setup(4, 1, [[0, 0]]),
      state,
      threads: [
        {
          name: 'holder',
          *run(thread) {
            yield* unlock(thread, 0);
          },
        },
        { name: 'B', run: locker(1, victim === 1 ? { handoff: 'at once' } : {}) },
        { name: 'C', run: locker(1) },
        { name: 'canceller', run: canceller(victim) },
      ],
      check: leftovers,
      describe,
      bounds: [2],
      quick: victim === 1 ? 1 : false,
      mutants:
        victim === 1
          ? [
              {
                name: 'keeps its reservation',
                id: MUTANT_KEEPS_RESERVATION,
                why: 'nobody may take the lock any more',
              },
              { name: 'drops the wake-up', id: MUTANT_DROPS_WAKE, why: 'the next sleeps on' },
            ]
          : [{ name: 'unlock wakes nobody', id: MUTANT_UNLOCK_WAKES_NOBODY, why: 'a sleeper sleeps on' }],
    }),
  ),
  {
    name: 'mutex-cancel-kept',
    structure: 'mutex',
    property: 'a wait that was aborted ends though the lock is never free',
    setup: setup(3, 1, [[0, 0]]),
    state,
    threads: [
      { name: 'keeper', run: function* run() {} },
      { name: 'victim', run: locker(1) },
      { name: 'canceller', run: canceller(1) },
    ],
    check: (_world, _fixture, { aborted, gaveUp }) =>
      aborted && gaveUp[1] === 0 ? 'the victim sleeps on' : undefined,
    rests: (_waiting, _world, _fixture, { aborted }) => !aborted,
    describe,
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'flag before word', id: MUTANT_FLAG_BEFORE_WORD, why: 'a cancel between the two is lost' },
      { name: 'word before flag', id: MUTANT_ABORT_WORD_FIRST, why: 'the victim sees neither' },
      {
        name: 'keeps the sequence',
        id: MUTANT_CANCEL_KEEPS_SEQUENCE,
        why: 'a victim about to sleep sleeps on',
      },
    ],
  },
  {
    name: 'mutex-death',
    structure: 'mutex',
    property: 'a holder may die anywhere: its locks are freed and marked, everybody else gets in',
    setup: setup(3, 2, [[0, 1]]),
    state,
    threads: [
      {
        name: 'mortal',
        *run(thread) {
          if (yield* lock(thread, 0, { recovers: true })) yield* unlock(thread, 0);
          yield* unlock(thread, 1);
        },
      },
      { name: 'B', run: locker(1, { recovers: true }) },
      { name: 'C', run: locker(1, { recovers: true }) },
      rescuer,
    ],
    kill: { threads: [0] },
    check: leftovers,
    describe,
    bounds: [1, 2],
    quick: true,
    mutants: [
      {
        name: 'nothing pending',
        id: MUTANT_NOTHING_PENDING,
        why: 'a lock that was just taken is in no list',
      },
      {
        name: 'pending forgotten',
        id: MUTANT_PENDING_FORGOTTEN,
        why: 'a lock that was just taken is in no list',
      },
      {
        name: 'pending stays listed',
        id: MUTANT_PENDING_STAYS_LISTED,
        why: 'the list of the dead leads into that of the next holder',
      },
    ],
  },
  {
    name: 'mutex-death-waiter',
    structure: 'mutex',
    property: 'a waiter may die anywhere, woken or not: the next is woken',
    setup: setup(3, 1, [[0, 0]]),
    state,
    threads: [
      {
        name: 'holder',
        *run(thread) {
          yield* unlock(thread, 0);
        },
      },
      { name: 'mortal', run: locker(1, { recovers: true, handoff: 'at once' }) },
      { name: 'C', run: locker(1, { recovers: true }) },
      rescuer,
    ],
    kill: { threads: [1] },
    check: leftovers,
    describe,
    bounds: [1, 2],
    mutants: [
      {
        name: 'dead waiter silent',
        id: MUTANT_DEAD_WAITER_SILENT,
        why: 'the wake-up and the reservation are lost',
      },
    ],
  },
  {
    name: 'mutex-death-together',
    structure: 'mutex',
    property: 'a holder or a waiter may die, or one after the other',
    setup: setup(3, 1, [[0, 0]]),
    state,
    threads: [
      {
        name: 'holder',
        *run(thread) {
          yield* unlock(thread, 0);
        },
      },
      { name: 'waiter', run: locker(1, { recovers: true }) },
      { name: 'C', run: locker(1, { recovers: true }) },
      {
        name: 'rescuer',
        onDeath: true,
        *run({ call, fixture, dead }) {
          for (let i = 0; i < dead.length; i++) yield call.recoverLocks(fixture.agents[dead[i]!]!);
        },
      },
    ],
    kill: { threads: [0, 1] },
    check: leftovers,
    describe,
    bounds: [1, 2],
    mutants: [
      {
        name: 'dead waiter silent',
        id: MUTANT_DEAD_WAITER_SILENT,
        why: 'a wake-up that it was given is lost',
      },
    ],
  },
  {
    name: 'waits-two',
    structure: 'waits',
    property: 'A-B against B-A: the one that closes the cycle finds it, nobody else does',
    setup: setup(2, 2),
    state,
    threads: [
      { name: 'A then B', run: nester([0, 1], { detects: true }) },
      { name: 'B then A', run: nester([1, 0], { detects: true }) },
    ],
    check(world, fixture, state) {
      const found = state.found.reduce((sum, each) => sum + each, 0);
      return leftovers(world, fixture, state) ?? (found > 1 ? 'both gave up' : undefined);
    },
    describe,
    bounds: [2, ALL],
    quick: true,
    mutants: [
      {
        name: 'look before publishing',
        id: MUTANT_LOOK_BEFORE_PUBLISHING,
        why: 'neither sees the other wait',
      },
      { name: 'all act', id: MUTANT_ALL_ACT, why: 'both see the cycle' },
    ],
  },
  {
    name: 'waits-three',
    structure: 'waits',
    property: 'a ring of three: one finds it',
    setup: setup(3, 3, [
      [0, 0],
      [1, 1],
      [2, 2],
    ]),
    state,
    threads: [0, 1, 2].map((i) => ({
      name: 'ABC'[i]!,
      *run(thread: Thread) {
        if (yield* lock(thread, (i + 1) % 3, { detects: true })) yield* unlock(thread, (i + 1) % 3);
        yield* unlock(thread, i);
      },
    })),
    check(world, fixture, state) {
      const found = state.found.reduce((sum, each) => sum + each, 0);
      return leftovers(world, fixture, state) ?? (found !== 1 ? `${found} gave up` : undefined);
    },
    describe,
    bounds: [1, 2],
    mutants: [
      { name: 'look before publishing', id: MUTANT_LOOK_BEFORE_PUBLISHING, why: 'nobody sees all wait' },
      { name: 'all act', id: MUTANT_ALL_ACT, why: 'two see the cycle' },
    ],
  },
  {
    name: 'waits-phantom',
    structure: 'waits',
    property: 'a cycle whose edges never stood together is not found',
    setup: setup(2, 2),
    state,
    threads: [
      { name: 'A, B within', run: nester([0, 1], { detects: true }) },
      {
        // It has B when the other looks, and waits for A when the other looks on.
        name: 'B, then A',
        *run(thread) {
          for (const which of [1, 0])
            if (yield* lock(thread, which, { detects: true })) yield* unlock(thread, which);
        },
      },
    ],
    check(world, fixture, state) {
      const found = state.found.reduce((sum, each) => sum + each, 0);
      return leftovers(world, fixture, state) ?? (found > 0 ? 'a phantom was found' : undefined);
    },
    describe,
    bounds: [2, 3],
    mutants: [{ name: 'one look', id: MUTANT_ONE_LOOK, why: 'the edges were there one after another' }],
  },
  {
    name: 'waits-ownerless',
    structure: 'waits',
    property:
      'A awaits a task without an owner whose thread B blocks for the lock of A: whoever comes last finds it, nobody else does',
    setup: setupCall,
    state,
    threads: [
      {
        name: 'A awaits',
        *run({ call, fixture, state }) {
          const [owner, other] = fixture.owners as [number, number];
          const base = fixture.inside[0]! - 64;
          const slot = base + CALL.slot;
          yield call.addAwait(owner, yield call.load32(base + CALL.node));
          const cycle: number = yield call.findCycle(owner, fixture.scratch[0]!, SCRATCH_BYTES, 1);
          if (cycle > 0) {
            state.found[0]!++;
            yield call.abortWait(other, yield call.load32(other + OWNER_EPOCH));
          }
          for (let now: number = yield call.load32(slot + SLOT_STATE); now !== SLOT_DONE; ) {
            yield call.wait32(slot + SLOT_STATE, now, -1n);
            now = yield call.load32(slot + SLOT_STATE);
          }
          yield call.removeAwait(owner, yield call.load32(base + CALL.node));
          yield call.unlock(fixture.locks[0]!, owner);
        },
      },
      {
        name: 'B blocks',
        *run(thread) {
          const { call, fixture } = thread;
          if (yield* lock(thread, 0, { detects: true, blocks: true })) yield* unlock(thread, 0);
          // Its event loop goes on.
          const slot = fixture.inside[0]! - 64 + CALL.slot;
          yield call.store32(slot + SLOT_STATE, SLOT_DONE);
          yield call.notifyAll(slot + SLOT_STATE);
        },
      },
    ],
    check(world, fixture, state) {
      const found = state.found.reduce((sum, each) => sum + each, 0);
      return leftovers(world, fixture, state) ?? (found > 1 ? 'both acted' : undefined);
    },
    describe,
    bounds: [2, ALL],
    quick: true,
    mutants: [
      {
        name: 'ownerless goes on',
        id: MUTANT_OWNERLESS_GOES_ON,
        why: 'the edge to the blocked thread is missing',
      },
    ],
  },
];
