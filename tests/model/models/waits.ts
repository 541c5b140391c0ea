/**
 * The wait-for graph (assembly/waits.ts): who closes a cycle finds it, nobody else acts, and no cycle is found that is none. ../locks.ts has what the
 * threads do.
 *
 * Why these programs suffice: an edge is published before its owner searches, whatever kind it has. So for each kind two threads that close a cycle of one
 * such edge and one for a lock make every pair of steps of two searches meet; a third thread lengthens the path, a death takes edges out of it.
 */
import {
  AGENT_ID,
  LOCK_TAKEN,
  LOCK_WORD,
  MUTANT_ALL_ACT,
  MUTANT_FLOWS_LEFT_OUT,
  MUTANT_LOOK_BEFORE_PUBLISHING,
  MUTANT_NOTHING_PENDING,
  MUTANT_ONE_LOOK,
  MUTANT_OWNERLESS_GOES_ON,
  MUTANT_PENDING_FORGOTTEN,
  MUTANT_QUEUED_GOES_ON,
  MUTANT_TASK_UNSEEN,
  MUTANT_WAITS_FOR_ITSELF,
  MUTANT_WAKES_SLEEPERS_ONLY,
  OWNER_CANCEL,
  OWNER_EPOCH,
  OWNER_KIND_AWAIT,
  OWNER_KIND_FLOW,
  OWNER_KIND_TASK,
  OWNER_WAITING,
  SLOT_CANCEL,
  SLOT_DONE,
  SLOT_QUEUED,
  SLOT_RUNNING,
  SLOT_STATE,
  STATE_AGENT_SHIFT,
  STEP_EPOCH,
  STEP_OWNER,
  STEP_SIZE,
  WAIT_SLOT_BIT,
} from '../../../build/generated/layout.model.ts';
import type { KernelModel, KernelWorld, Steps } from '../kernel.ts';
import {
  ALL,
  describe,
  type Fixture,
  leftovers,
  lock,
  nester,
  rescuer,
  SCRATCH_BYTES,
  type State,
  setup,
  state,
  type Thread,
  tell,
  told,
  unlock,
} from '../locks.ts';
import type { Part } from '../pool.ts';

/** Words of the model: a slot, and where the address of a record stands. */
const SLOT = 320;
const NODE = 384;
const slotOf = ({ inside }: Fixture): number => inside[0]! - 64 + SLOT;
const nodeOf = ({ inside }: Fixture): number => inside[0]! - 64 + NODE;

/** Owner 0 holds the lock and awaits a task without an owner, which needs the event loop of thread 1. */
function setupCall(world: KernelWorld): Fixture {
  const fixture = setup(2, 1, [[0, 0]])(world);
  runIn(world, fixture, 1);
  keepNode(world, fixture);
  return fixture;
}

/** The task in the slot runs in a thread. */
function runIn({ u32 }: KernelWorld, fixture: Fixture, thread: number): void {
  const agent = u32[(fixture.agents[thread]! + AGENT_ID) >>> 2]!;
  u32[(slotOf(fixture) + SLOT_STATE) >>> 2] = SLOT_RUNNING | (agent << STATE_AGENT_SHIFT);
}

/** A record by which owner 0 will await the task. */
function keepNode({ calls, u32 }: KernelWorld, fixture: Fixture): void {
  u32[nodeOf(fixture) >>> 2] = calls.claimOwner(fixture.agents[0]!, OWNER_KIND_AWAIT, slotOf(fixture), 0, 0);
}

/** Owner 1 is the task in the slot. */
function asTask(world: KernelWorld, fixture: Fixture): Fixture {
  const { calls, u32 } = world;
  const task = calls.claimOwner(fixture.agents[1]!, OWNER_KIND_TASK, slotOf(fixture), 0, 1);
  u32[(task + OWNER_EPOCH) >>> 2] = 0xffffffff;
  return { ...fixture, owners: [fixture.owners[0]!, task] };
}

/** Owner 0 holds the lock and joins a task that is owner 1. */
function setupTask(world: KernelWorld): Fixture {
  const fixture = setup(2, 1, [[0, 0]])(world);
  runIn(world, fixture, 1);
  return asTask(world, fixture);
}

/** The same, and the task holds a second lock. */
function setupHolder(world: KernelWorld): Fixture {
  const fixture = setup(2, 2, [[0, 0]])(world);
  runIn(world, fixture, 1);
  const made = asTask(world, fixture);
  world.calls.tryLock(made.locks[1]!, made.owners[1]!);
  return made;
}

/** Owner 0 holds the lock and awaits a call that is queued; owner 1 is a task of the only worker. */
function setupQueued(world: KernelWorld): Fixture {
  const fixture = setup(2, 1, [[0, 0]])(world);
  world.u32[(slotOf(fixture) + SLOT_STATE) >>> 2] = SLOT_QUEUED;
  keepNode(world, fixture);
  return fixture;
}

/** Thread 1 is a worker of a pool, and owner 0 holds the lock. */
function setupPool(world: KernelWorld): Fixture & { readonly pool: number } {
  const fixture = setup(2, 1, [[0, 0]])(world);
  const pool = world.calls.openPool(1);
  world.calls.joinAsWorker(fixture.agents[1]!, pool, 0);
  return { ...fixture, pool };
}

/** Waits until the task in the slot has an outcome. */
function* outcome({ call, fixture }: Thread): Steps {
  const slot = slotOf(fixture);
  for (let now: number = yield call.load32(slot + SLOT_STATE); now !== SLOT_DONE; ) {
    yield call.wait32(slot + SLOT_STATE, now, -1n);
    now = yield call.load32(slot + SLOT_STATE);
  }
}

/** The task in the slot has an outcome. */
function* conclude({ call, fixture }: Thread): Steps {
  yield call.store32(slotOf(fixture) + SLOT_STATE, SLOT_DONE);
  yield call.notifyAll(slotOf(fixture) + SLOT_STATE);
}

/** Looks for a cycle, and aborts the wait of the next owner in it. */
function* breakUp({ call, fixture, state, id }: Thread): Part<boolean> {
  const scratch = fixture.scratch[id]!;
  const cycle: number = yield call.findCycle(fixture.owners[id]!, scratch, SCRATCH_BYTES, 1);
  if (cycle <= 0) return false;
  state.found[id]!++;
  const next: number = yield call.readPlain(scratch + STEP_SIZE + STEP_OWNER);
  const epoch: number = yield call.readPlain(scratch + STEP_SIZE + STEP_EPOCH);
  yield call.abortWait(yield call.ownerAt(next), epoch);
  return true;
}

const foundOf = ({ found }: State): number => found.reduce((sum, each) => sum + each, 0);

const foundNone = (world: KernelWorld, fixture: Fixture, state: State): string | undefined =>
  leftovers(world, fixture, state) ?? (foundOf(state) > 0 ? 'one was found that is none' : undefined);

/** The cycle is there in each execution, and nothing but a search ends it. */
const foundOnce = (world: KernelWorld, fixture: Fixture, state: State): string | undefined =>
  leftovers(world, fixture, state) ??
  (foundOf(state) === 1 ? undefined : `it was found ${foundOf(state)} times`);

/** When a thread dies the cycle may end by that. */
const foundAtMostOnce = (world: KernelWorld, fixture: Fixture, state: State): string | undefined =>
  leftovers(world, fixture, state) ?? (foundOf(state) > 1 ? 'it was found twice' : undefined);

const lookedEarly = {
  name: 'look before publishing',
  id: MUTANT_LOOK_BEFORE_PUBLISHING,
  why: 'neither sees the other wait',
};
const allAct = { name: 'all act', id: MUTANT_ALL_ACT, why: 'both see the cycle' };

/** Owner 0 joins the task, which asks for its lock; then for the lock of the task, if that may die with it. */
const joins = (isMortal: boolean): KernelModel<Fixture, State>['threads'] => [
  {
    name: 'A joins',
    *run(thread) {
      const { call, fixture, world } = thread;
      const owner = fixture.owners[0]!;
      const looksFirst = world.calls.mutant(MUTANT_LOOK_BEFORE_PUBLISHING) !== 0;
      if (looksFirst) yield* breakUp(thread);
      yield call.beginWait(owner, slotOf(fixture) | WAIT_SLOT_BIT, 0, 1);
      if (!looksFirst) yield* breakUp(thread);
      yield* outcome(thread);
      yield call.endWait(owner);
      if (isMortal && (yield* lock(thread, 1, { recovers: true }))) yield* unlock(thread, 1);
      yield* unlock(thread, 0);
    },
  },
  {
    name: 'the task',
    *run(thread) {
      const { call, fixture } = thread;
      if (yield* lock(thread, 0, { detects: true })) yield* unlock(thread, 0);
      if (isMortal) yield* unlock(thread, 1);
      yield call.freeOwner(fixture.agents[1]!, fixture.owners[1]!);
      yield* conclude(thread);
    },
  },
];

export const waitsModels: readonly KernelModel<Fixture, State>[] = [
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
    check: (world, fixture, state) =>
      leftovers(world, fixture, state) ?? (foundOf(state) > 1 ? 'both gave up' : undefined),
    describe,
    spurious: 1,
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
    check: foundOnce,
    describe,
    spurious: 1,
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
    check: foundNone,
    describe,
    spurious: 1,
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
        *run(thread) {
          const { call, fixture } = thread;
          const owner = fixture.owners[0]!;
          yield call.addAwait(owner, yield call.load32(nodeOf(fixture)));
          yield* breakUp(thread);
          yield* outcome(thread);
          yield call.removeAwait(owner, yield call.load32(nodeOf(fixture)));
          yield* unlock(thread, 0);
        },
      },
      {
        name: 'B blocks',
        *run(thread) {
          if (yield* lock(thread, 0, { detects: true, blocks: true })) yield* unlock(thread, 0);
          // Its event loop goes on.
          yield* conclude(thread);
        },
      },
    ],
    check: foundOnce,
    describe,
    spurious: 1,
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
  {
    name: 'waits-two-death',
    structure: 'waits',
    property: 'A-B against B-A, and one of them may die anywhere: the other comes to its end',
    setup: setup(2, 2),
    state,
    threads: [
      { name: 'A then B', run: nester([0, 1], { detects: true, recovers: true }) },
      { name: 'B then A', run: nester([1, 0], { detects: true, recovers: true }) },
      rescuer,
    ],
    kill: { threads: [0, 1] },
    check: foundAtMostOnce,
    describe,
    bounds: [1, 2],
    mutants: [
      lookedEarly,
      {
        name: 'nothing pending',
        id: MUTANT_NOTHING_PENDING,
        why: 'a lock that was just taken is in no list, and is never freed',
      },
    ],
  },
  {
    name: 'waits-join',
    structure: 'waits',
    property: 'A joins a task that asks for its lock: one of the two finds it, once',
    setup: setupTask,
    state,
    threads: joins(false),
    check: foundOnce,
    describe,
    spurious: 1,
    bounds: [3, ALL],
    mutants: [
      { name: 'task unseen', id: MUTANT_TASK_UNSEEN, why: 'the edge of the join leads nowhere' },
      lookedEarly,
      allAct,
    ],
  },
  {
    name: 'waits-join-death',
    structure: 'waits',
    property:
      'the same, and the thread of the task may die anywhere: A comes to its end, and takes what the task held',
    setup: setupHolder,
    state,
    threads: [
      ...joins(true),
      {
        name: 'rescuer',
        onDeath: true,
        *run(thread) {
          const { call, fixture, dead } = thread;
          yield call.recoverLocks(fixture.agents[dead[0]!]!);
          // As recover() ends what the dead was running.
          yield* conclude(thread);
        },
      },
    ],
    kill: { threads: [1] },
    check: foundAtMostOnce,
    describe,
    bounds: [1, 2],
    mutants: [
      { name: 'task unseen', id: MUTANT_TASK_UNSEEN, why: 'the edge of the join leads nowhere' },
      {
        name: 'pending forgotten',
        id: MUTANT_PENDING_FORGOTTEN,
        why: 'a lock that was about to be given back is in no list, and is never freed',
      },
    ],
  },
  {
    name: 'waits-queued',
    structure: 'waits',
    property:
      'A awaits a call that is queued, and the only worker waits for the lock of A: whoever comes last finds it, once',
    setup: setupQueued,
    state,
    threads: [
      {
        name: 'A awaits',
        *run(thread) {
          const { call, fixture } = thread;
          const [owner, other] = fixture.owners as [number, number];
          const node: number = yield call.load32(nodeOf(fixture));
          yield call.addAwait(owner, node);
          yield* breakUp(thread);
          // ts/locks/queue-wait.ts: looks again by a timer, as long as the call is queued.
          for (let now: number = yield call.load32(slotOf(fixture) + SLOT_STATE); now !== SLOT_DONE; ) {
            const epoch: number = yield call.load32(other + OWNER_EPOCH);
            const waits = ((yield call.load32(other + OWNER_WAITING)) as number) === fixture.locks[0]!;
            if (waits && now === SLOT_QUEUED) {
              const again: number = yield call.load32(other + OWNER_EPOCH);
              const aborted: number = yield call.load32(other + OWNER_CANCEL);
              if (again === epoch && aborted !== epoch) {
                yield call.setBehind(node, other, epoch);
                if (!(yield* breakUp(thread))) yield call.setBehind(node, 0, 0);
              }
            }
            yield call.wait32(slotOf(fixture) + SLOT_STATE, now, 1n);
            now = yield call.load32(slotOf(fixture) + SLOT_STATE);
          }
          yield call.removeAwait(owner, node);
          yield call.freeOwner(fixture.agents[0]!, node);
          yield* unlock(thread, 0);
        },
      },
      {
        name: 'worker',
        *run(thread) {
          const { call, fixture } = thread;
          if (yield* lock(thread, 0, { detects: true })) yield* unlock(thread, 0);
          const agent: number = yield call.readPlain(fixture.agents[1]! + AGENT_ID);
          yield call.store32(slotOf(fixture) + SLOT_STATE, SLOT_RUNNING | (agent << STATE_AGENT_SHIFT));
          yield* conclude(thread);
        },
      },
    ],
    check: foundOnce,
    describe,
    spurious: 1,
    timeouts: 1,
    bounds: [3],
    mutants: [
      { name: 'queued goes on', id: MUTANT_QUEUED_GOES_ON, why: 'the edge to the only worker is missing' },
      allAct,
    ],
  },
  {
    name: 'waits-flows',
    structure: 'waits',
    property: 'of a cycle over one of two waits of an owner, which another flow may end, one tells, once',
    setup: setup(2, 3, [
      [0, 0],
      [1, 1],
    ]),
    state,
    threads: [
      {
        name: 'A in two flows',
        *run(thread) {
          const { call, fixture, state } = thread;
          const owner = fixture.owners[0]!;
          const wanted = fixture.locks[1]!;
          // One flow is about to have the third lock, the other waits for the second.
          yield call.beginWait(owner, fixture.locks[2]!, 0, 0);
          const flow: number = yield call.claimOwner(fixture.agents[0]!, OWNER_KIND_FLOW, owner, 0, 0);
          yield call.beginWait(flow, wanted, 0, 0);
          yield call.addFlow(owner, flow);
          const cycle: number = yield call.findCycle(owner, fixture.scratch[0]!, SCRATCH_BYTES, 1);
          if (cycle > 0) {
            state.found[0]!++;
            yield* tell(thread);
          }
          while (((yield call.load32(told(fixture))) as number) === 0)
            yield call.wait32(told(fixture), 0, -1n);
          // A third flow lets go of the first lock.
          yield* unlock(thread, 0);
          yield call.endWait(owner);
          for (let word: number = yield call.prepareWait(wanted, owner); word !== LOCK_TAKEN; ) {
            yield call.wait32(wanted + LOCK_WORD, word, -1n);
            word = yield call.prepareWait(wanted, owner);
          }
          yield call.endWait(flow);
          yield call.removeFlow(owner, flow);
          yield call.freeOwner(fixture.agents[0]!, flow);
          yield* unlock(thread, 1);
        },
      },
      {
        name: 'B',
        *run(thread) {
          if (yield* lock(thread, 0, { detects: true, tells: true })) yield* unlock(thread, 0);
          yield* unlock(thread, 1);
        },
      },
    ],
    check: foundOnce,
    describe,
    spurious: 1,
    bounds: [3],
    mutants: [
      { name: 'flows left out', id: MUTANT_FLOWS_LEFT_OUT, why: 'the edge of the second wait is missing' },
      allAct,
    ],
  },
  {
    name: 'waits-own-flow',
    structure: 'waits',
    property: 'an owner that waits for one lock in two flows, and has it in one of them, is no cycle',
    setup: setup(2, 1, [[1, 0]]),
    state,
    threads: [
      {
        name: 'A in two flows',
        *run(thread) {
          const { call, fixture, state } = thread;
          const owner = fixture.owners[0]!;
          const wanted = fixture.locks[0]!;
          yield call.beginWait(owner, wanted, 0, 0);
          const flow: number = yield call.claimOwner(fixture.agents[0]!, OWNER_KIND_FLOW, owner, 0, 0);
          yield call.beginWait(flow, wanted, 0, 0);
          yield call.addFlow(owner, flow);
          // Either flow may be the one that is first in the thread's queue.
          for (const record of [flow, owner]) {
            for (let word: number = yield call.prepareWait(wanted, owner); word !== LOCK_TAKEN; ) {
              yield call.wait32(wanted + LOCK_WORD, word, -1n);
              word = yield call.prepareWait(wanted, owner);
            }
            if (((yield call.findCycle(owner, fixture.scratch[0]!, SCRATCH_BYTES, 0)) as number) > 0)
              state.found[0]!++;
            yield call.endWait(record);
            if (record === flow) {
              yield call.removeFlow(owner, flow);
              yield call.freeOwner(fixture.agents[0]!, flow);
            }
            yield* unlock(thread, 0);
          }
        },
      },
      {
        name: 'B',
        *run(thread) {
          yield* unlock(thread, 0);
          if (yield* lock(thread, 0, { detects: true })) yield* unlock(thread, 0);
        },
      },
    ],
    check: foundNone,
    describe,
    spurious: 1,
    bounds: [2],
    mutants: [
      {
        name: 'waits for itself',
        id: MUTANT_WAITS_FOR_ITSELF,
        why: 'the flow that has the lock looks like a ring',
      },
    ],
  },
  {
    name: 'waits-cancelled',
    structure: 'waits',
    property: 'a worker that blocks for a lock which is never free hears that its task was cancelled',
    setup: setupPool,
    state,
    threads: [
      {
        name: 'canceller',
        *run({ call, fixture }) {
          yield call.store32(slotOf(fixture) + SLOT_CANCEL, 1);
          yield call.wakeBlocked((fixture as ReturnType<typeof setupPool>).pool);
        },
      },
      {
        name: 'worker',
        *run(thread) {
          yield* lock(thread, 0, { blocks: true, cancel: slotOf(thread.fixture) + SLOT_CANCEL });
        },
      },
    ],
    check: (_world, _fixture, { gaveUp }) => (gaveUp[1] === 1 ? undefined : 'it did not give up'),
    describe,
    spurious: 1,
    bounds: [3, ALL],
    mutants: [
      {
        name: 'wakes sleepers only',
        id: MUTANT_WAKES_SLEEPERS_ONLY,
        why: 'a worker about to sleep sleeps on',
      },
    ],
  },
];
