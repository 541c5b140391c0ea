/**
 * The mutex (assembly/mutex.ts), as ts/locks/block.ts drives it; ../locks.ts has what the threads do.
 *
 * Mutual exclusion is a word that is 1 more inside. A wake-up that is lost is a deadlock, as nobody waits with a timeout.
 *
 * Why these programs suffice: a word has one holder, one reservation and any number of sleepers, who are alike. Three lockers make every pair of steps of
 * two meet with a third asleep; a canceller or a death adds one more hand on the word. Sleepers are woken by number, so the one that gives up stands before
 * and behind the one that must not be forgotten.
 */
import {
  LOCK_HANDOFF,
  LOCK_TAKEN,
  LOCK_WORD,
  MUTANT_ABANDON_UNMARKED,
  MUTANT_ABORT_WORD_FIRST,
  MUTANT_BARGES_RESERVED,
  MUTANT_CANCEL_KEEPS_SEQUENCE,
  MUTANT_CONTENDED_UNSAID,
  MUTANT_DEAD_WAITER_SILENT,
  MUTANT_DROPS_WAKE,
  MUTANT_EPOCH_OF_NOBODY,
  MUTANT_FLAG_BEFORE_WORD,
  MUTANT_HANDOFF_WAKES_ONE,
  MUTANT_KEEPS_RESERVATION,
  MUTANT_LOCK_WITHOUT_CAS,
  MUTANT_NOTHING_PENDING,
  MUTANT_PENDING_FORGOTTEN,
  MUTANT_PENDING_STAYS_LISTED,
  MUTANT_SEQUENCE_CARRIES,
  MUTANT_SPIN_KEEPS_RESERVATION,
  MUTANT_SPINS_UNCONTENDED,
  MUTANT_SPINS_UNPENDING,
  MUTANT_TAKES_UNCONTENDED,
  MUTANT_UNLOCK_WAKES_NOBODY,
  OWNER_WAITING,
  WORD_HANDOFF,
} from '../../../build/generated/layout.model.ts';
import type { KernelModel } from '../kernel.ts';
import {
  ALL,
  canceller,
  critical,
  describe,
  type Fixture,
  leftovers,
  lock,
  locker,
  nester,
  rescuer,
  type State,
  setup,
  state,
  told,
  unlock,
} from '../locks.ts';

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
    check: (world, fixture, state) =>
      leftovers(world, fixture, state) ??
      (state.gaveUp.some((times) => times > 0) ? 'a wait ended, and nobody aborted it' : undefined),
    describe,
    spurious: 1,
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
      {
        name: 'an epoch that is none',
        id: MUTANT_EPOCH_OF_NOBODY,
        why: 'the wait counts as aborted from its beginning',
      },
    ],
  },
  {
    name: 'mutex-spin',
    structure: 'mutex',
    property: 'the same, when some look a while before they sleep and after they were woken',
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
      { name: 'B', run: locker(1, { spins: true }) },
      { name: 'C', run: locker(1, { spins: true }) },
    ],
    check: leftovers,
    describe,
    spurious: 1,
    bounds: [2, 3],
    mutants: [
      {
        name: 'spins uncontended',
        id: MUTANT_SPINS_UNCONTENDED,
        why: 'its unlock wakes nobody, another sleeps',
      },
    ],
  },
  {
    name: 'mutex-spin-reserved',
    structure: 'mutex',
    property: 'the same, when the lock is kept for some that spin, one of whom then goes without it',
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
      { name: 'B', run: locker(1, { spins: 'reserving' }) },
      {
        name: 'leaver',
        *run({ call, fixture }) {
          const [address, owner] = [fixture.locks[0]!, fixture.owners[2]!];
          if (((yield call.spinLock(address, owner, 1, 1, 0, 1)) as number) === LOCK_TAKEN)
            yield call.unlock(address, owner);
          else yield call.endSpin(address, owner);
        },
      },
    ],
    check: leftovers,
    describe,
    spurious: 1,
    bounds: [2, 3],
    mutants: [
      {
        name: 'spin keeps its reservation',
        id: MUTANT_SPIN_KEEPS_RESERVATION,
        why: 'nobody may take the lock any more',
      },
    ],
  },
  {
    name: 'mutex-spin-death',
    structure: 'mutex',
    property: 'one for whom a lock is kept while it spins may die anywhere',
    setup: setup(2, 1, [[0, 0]]),
    state,
    threads: [
      {
        name: 'other',
        *run(thread) {
          yield* unlock(thread, 0);
          yield* locker(1, { recovers: true })(thread);
        },
      },
      { name: 'mortal', run: locker(1, { recovers: true, spins: 'reserving' }) },
      rescuer,
    ],
    kill: { threads: [1] },
    check: leftovers,
    describe,
    spurious: 1,
    bounds: [1, 2],
    mutants: [
      {
        name: 'spins unpending',
        id: MUTANT_SPINS_UNPENDING,
        why: 'the lock stays reserved for the dead one',
      },
      {
        name: 'pending forgotten',
        id: MUTANT_PENDING_FORGOTTEN,
        why: 'the lock stays reserved for the dead one',
      },
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
    spurious: 1,
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
    spurious: 1,
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
    spurious: 1,
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
      spurious: 1,
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
              {
                name: 'the sequence carries',
                id: MUTANT_SEQUENCE_CARRIES,
                why: 'an owner with another number has the lock',
              },
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
    spurious: 1,
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
          if (yield* lock(thread, 0, { recovers: true })) {
            yield* critical(thread, 0);
            yield* unlock(thread, 0);
          }
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
    spurious: 1,
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
      {
        name: 'abandoned unmarked',
        id: MUTANT_ABANDON_UNMARKED,
        why: 'the next does not know what the dead one left',
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
    spurious: 1,
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
      { name: 'waiter', run: nester([0], { recovers: true }) },
      { name: 'C', run: nester([0], { recovers: true }) },
      {
        name: 'rescuer',
        onDeath: true,
        // Its wait ends when nobody else can go on: there are no other timeouts.
        *run({ call, fixture, dead }) {
          for (let next = 0; next < 2; ) {
            if (next < dead.length) yield call.recoverLocks(fixture.agents[dead[next++]!]!);
            else {
              yield call.wait32(told(fixture), 0, 1n);
              if (next === dead.length) return;
            }
          }
        },
      },
    ],
    kill: { threads: [0, 1], most: 2 },
    timeouts: 0,
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
];
