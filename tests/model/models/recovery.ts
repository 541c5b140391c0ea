/**
 * What happens when a thread is gone (assembly/recovery.ts, and the parts of ts/pool/crew.ts and ts/pool/submissions.ts that go with it). A worker
 * dies before any of its writes and at any decision; then the main thread, which is the only one that recovers, does its work while others go on.
 *
 *     worker   take ... claim ... run ... finish ...     (dies somewhere)
 *     another        take ... run ... finish / join
 *     main                                    recover - drain - sweep - (tick, isReferenced) - reap - give away again
 *     then           a successor takes over the lane, more tasks come, and everything that is left runs; the books are looked at
 *
 * Why these programs suffice. What a worker may leave behind is listed in recovery.ts: entries in its deques, an entry beyond a bottom, a note of
 * what it held, a claimed slot, an outcome that was stored and not sent, bits in sets, a wake-up for another, spans, blocks. For each there is a
 * program in which it occurs, alone with the main thread (all interleavings), and one with another worker in the same deques. Reaping has
 * programs of its own that begin when the thread is dead already, because what matters there is who still looks: a thief between CAS and
 * claim, a thread that publishes an outcome, one that reads a result. Two deaths are there because the second may happen in the middle of
 * the first recovery, and because what was rescued once can be lost once more.
 */
import {
  AGENT_ARENA,
  AGENT_DOORBELL,
  AGENT_HELD,
  AGENT_PARK,
  AGENT_RETURNS,
  AGENT_TICK,
  BELL_ARMED,
  BELL_RUNG,
  BLOCK_LINK,
  CANCEL_ABORTED,
  DEQUE_SIZE,
  LANE_COMPLETED,
  LANE_DEQUES,
  META_FORK_BIT,
  MUTANT_CLAIM_RUNNING,
  MUTANT_CLAIMED_FORGOTTEN,
  MUTANT_DROPPED_ANONYMOUS,
  MUTANT_FORGETS_FIRST,
  MUTANT_FORK_RESCUED,
  MUTANT_HELD_AFTER,
  MUTANT_HELD_FORGOTTEN,
  MUTANT_KEEPS_IDLE,
  MUTANT_KEEPS_SEARCHING,
  MUTANT_META_FIRST,
  MUTANT_NO_DRAIN,
  MUTANT_NO_REPAIR,
  MUTANT_NO_RING_AGAIN,
  MUTANT_NO_SWEEP,
  MUTANT_NO_WAKE_ALL,
  MUTANT_NOT_BEYOND,
  MUTANT_NOT_LOST,
  MUTANT_NOTIFY_PARKED_ONLY,
  MUTANT_OWNER_BEFORE_LINK,
  MUTANT_READ_AFTER_OUTCOME,
  MUTANT_REAP_KEEPS_SPANS,
  MUTANT_REFERENCES_IGNORED,
  MUTANT_REPAIR_KEEPS_TOP,
  MUTANT_RESULT_KEPT,
  MUTANT_RESULTS_IGNORED,
  MUTANT_RETURNS_SILENTLY,
  MUTANT_RUNNING_IGNORED,
  MUTANT_SWEEP_FIRST,
  MUTANT_TICKS_FIRST,
  MUTANT_TICKS_HOLDING,
  MUTANT_TICKS_IGNORED,
  PARK_PARKED,
  SLOT_DONE,
  SLOT_EXITED,
  SLOT_STATE,
  SLOT_TAGS,
  SLOT_VALUES,
  TAG_PACKED,
  TAG_RETURNED,
  TAG_UNDEFINED,
} from '../../../build/generated/layout.model.ts';
import type { Outcome } from '../explorer/types.ts';
import type { KernelModel, KernelWorld, Steps } from '../kernel.ts';
import {
  bury,
  buryAll,
  describePool,
  drain,
  fill,
  forkOne,
  joinOne,
  makePool,
  type Pool,
  type PoolNotes,
  type PoolThread,
  type Program,
  poolNotes,
  reapAll,
  runOne,
  settle,
  submit,
  work,
} from '../mortal-pool.ts';

const ALL = Number.POSITIVE_INFINITY;

interface Notes extends PoolNotes {
  /** How joins ended. */
  readonly joined: (readonly [slot: number, how: 'here' | 'lost' | number])[];
  /** What a thread saw or got that matters at the end. */
  readonly seen: number[];
}

type Thread = PoolThread<Notes>;
type RecoveryModel = KernelModel<Pool, Notes>;

const notes = (): Notes => ({ ...poolNotes(), joined: [], seen: [] });

const common = { structure: 'recovery', state: notes, describe: describePool };

const main = { name: 'main', onDeath: true, run: buryAll };

const settled = (world: KernelWorld, fixture: Pool, state: Notes, { killed }: Outcome): string | undefined =>
  settle(world, fixture, state, killed) ?? reapAll(world, fixture, killed);

const times = (count: number) =>
  function* (thread: Thread): Steps {
    for (let i = 0; i < count; i++) yield* runOne(thread);
  };

// ---- tasks -----------------------------------------------------------------------------------------------------------------------------

const NO_REPAIR = {
  name: 'no repair',
  id: MUTANT_NO_REPAIR,
  why: 'what the next owner of the deque pushes is below top',
};
const HELD_FORGOTTEN = {
  name: 'held forgotten',
  id: MUTANT_HELD_FORGOTTEN,
  why: 'dead between the CAS and the claim',
};
const CLAIMED_FORGOTTEN = {
  name: 'claimed forgotten',
  id: MUTANT_CLAIMED_FORGOTTEN,
  why: 'what it was running has no outcome',
};
const NO_SWEEP = { name: 'no sweep', id: MUTANT_NO_SWEEP, why: 'dead between the outcome and its way home' };

const taskModels: readonly RecoveryModel[] = [
  {
    ...common,
    name: 'death-alone',
    property: 'a worker dies at any step of taking a batch, running and finishing; each task has one outcome',
    setup: (world) => makePool(world, { workers: 1, tasks: 3, batch: 3 }),
    threads: [{ name: 'worker', run: times(3) }, main],
    kill: { threads: [0] },
    check: settled,
    bounds: [3, ALL],
    quick: true,
    mutants: [
      NO_REPAIR,
      { name: 'not beyond', id: MUTANT_NOT_BEYOND, why: 'the rest of a batch is lost' },
      { name: 'held after', id: MUTANT_HELD_AFTER, why: 'dead between the CAS and the note' },
      HELD_FORGOTTEN,
      { name: 'no drain', id: MUTANT_NO_DRAIN, why: 'what it had taken in a batch stays in its deque' },
      CLAIMED_FORGOTTEN,
      NO_SWEEP,
      { name: 'sweep first', id: MUTANT_SWEEP_FIRST, why: 'an outcome on its way comes home twice' },
    ],
  },
  {
    ...common,
    name: 'death-beside',
    property: 'a worker dies at any step while another takes from the same queue and from its deque',
    setup: (world) => makePool(world, { workers: 2, tasks: 3, batch: 3 }),
    threads: [{ name: 'worker', run: times(1) }, { name: 'another', run: times(1) }, main],
    kill: { threads: [0] },
    check: settled,
    bounds: [2],
    mutants: [HELD_FORGOTTEN, CLAIMED_FORGOTTEN],
  },
  {
    ...common,
    name: 'death-of-thief',
    property:
      'a worker dies at any step of stealing from another, who takes the same entry; what is queued twice runs once',
    // The task is in the deque of worker 1.
    setup(world) {
      const fixture = makePool(world, { workers: 3, tasks: 1 });
      world.calls.stealBatch(fixture.lane + LANE_DEQUES, batchesOf(fixture, 1), 1, 1, world.scratch);
      world.calls.push(batchesOf(fixture, 1), fixture.slots[0]!, 1);
      return fixture;
    },
    threads: [
      { name: 'thief', run: times(1) },
      { name: 'owner', run: times(1) },
      {
        name: 'main, then a worker',
        onDeath: true,
        *run(thread) {
          yield* buryAll(thread);
          yield* runOne(thread, 2);
        },
      },
    ],
    kill: { threads: [0] },
    check: settled,
    bounds: [2],
    mutants: [
      { ...HELD_FORGOTTEN, preemptions: 2 },
      { name: 'held after', id: MUTANT_HELD_AFTER, why: 'dead between the CAS and the note', preemptions: 2 },
      {
        name: 'claim running',
        id: MUTANT_CLAIM_RUNNING,
        why: 'what is queued again may be running elsewhere',
        preemptions: 3,
      },
    ],
  },
  {
    ...common,
    name: 'death-of-owner',
    property: 'a worker dies at any step of taking its last entry, while a thief takes it',
    setup(world) {
      const fixture = makePool(world, { workers: 2, tasks: 1 });
      world.calls.stealBatch(fixture.lane + LANE_DEQUES, batchesOf(fixture, 0), 1, 1, world.scratch);
      world.calls.push(batchesOf(fixture, 0), fixture.slots[0]!, 1);
      return fixture;
    },
    threads: [{ name: 'owner', run: times(1) }, { name: 'thief', run: times(1) }, main],
    kill: { threads: [0] },
    check: settled,
    bounds: [2],
    quick: 1,
    mutants: [
      NO_REPAIR,
      {
        name: 'repair keeps top',
        id: MUTANT_REPAIR_KEEPS_TOP,
        why: 'a late thief takes what the next owner pushed',
      },
      { name: 'not beyond', id: MUTANT_NOT_BEYOND, why: 'what it was popping is lost' },
    ],
  },
  {
    ...common,
    name: 'deaths',
    property: 'two workers die, the second perhaps while the first is recovered; each task has one outcome',
    setup: (world) => makePool(world, { workers: 2, tasks: 2, batch: 3 }),
    threads: [{ name: 'worker', run: times(1) }, { name: 'another', run: times(1) }, main],
    kill: { threads: [0, 1], most: 2 },
    check: settled,
    bounds: [2],
    mutants: [HELD_FORGOTTEN, CLAIMED_FORGOTTEN],
  },
  {
    ...common,
    name: 'death-sleeping',
    property: 'a worker that was woken for a task dies at any step; another is woken for it',
    setup: sleepers,
    threads: [
      { name: 'worker', run: sleeper },
      { name: 'another', run: sleeper },
      {
        name: 'main',
        *run(thread) {
          const { call, world } = thread;
          yield* submit(thread, 0);
          yield call.wait32(world.scratch, 0, -1n);
          yield* bury(thread, 0);
        },
      },
      exitEvent(),
    ],
    kill: { threads: [0] },
    rests: (_waiting, { calls }, { pool }) => calls.anyQueued(pool) === 0,
    check: (world, fixture, state, { killed }) => settle(world, { ...fixture, tasks: 1 }, state, killed),
    bounds: [2],
    mutants: [{ name: 'no wake all', id: MUTANT_NO_WAKE_ALL, why: 'the dead has swallowed the wake-up' }],
  },
  {
    ...common,
    name: 'death-in-sets',
    property:
      'a worker dies at any step of waking, taking, and going to sleep; nobody takes it for an idle one or a searcher',
    setup: sleepers,
    threads: [
      { name: 'worker', run: sleeper },
      { name: 'another', run: sleeper },
      {
        name: 'main',
        *run(thread) {
          const { call, world } = thread;
          yield* submit(thread, 0);
          yield call.wait32(world.scratch, 0, -1n);
          yield* bury(thread, 0);
          yield* submit(thread, 1);
        },
      },
      exitEvent(),
    ],
    kill: { threads: [0] },
    rests: (_waiting, { calls }, { pool }) => calls.anyQueued(pool) === 0,
    check: (world, fixture, state, { killed }) =>
      settle(world, { ...fixture, tasks: state.buried.length > 0 ? 2 : 1 }, state, killed),
    bounds: [2],
    mutants: [
      { name: 'keeps idle', id: MUTANT_KEEPS_IDLE, why: 'the next task wakes the dead' },
      { name: 'keeps searching', id: MUTANT_KEEPS_SEARCHING, why: 'the dead passes for a searcher' },
    ],
  },
  {
    ...common,
    name: 'death-and-bell',
    property:
      'a worker dies at any step of finishing and ringing; the submitter misses no outcome of another either',
    setup(world) {
      const fixture = makePool(world, { workers: 2, tasks: 2 });
      world.calls.armDoorbell(fixture.main);
      return fixture;
    },
    threads: [
      { name: 'worker', run: times(1) },
      { name: 'another', run: times(1) },
      // The submitter's event loop does one thing at a time: it answers a ring, or hears that a worker is gone.
      {
        name: 'main',
        *run(thread) {
          const { call, fixture, state } = thread;
          let isHome = false;
          while (!isHome) {
            yield call.wait32(fixture.main + AGENT_DOORBELL, BELL_ARMED, -1n);
            yield* enterLoop(thread);
            yield call.quietDoorbell(fixture.main);
            yield* drain(thread);
            yield call.armDoorbell(fixture.main);
            yield* drain(thread);
            // What the other half of the loop brought home counts; it is not at it now.
            isHome = state.home.length >= 2;
            yield* leaveLoop(thread);
          }
        },
      },
      {
        name: 'main hears of the end',
        onDeath: true,
        *run(thread) {
          yield* enterLoop(thread);
          yield* bury(thread, 0);
          yield* leaveLoop(thread);
        },
      },
    ],
    kill: { threads: [0] },
    // Nobody is left for a task that was queued again, but no outcome may lie about.
    rests: (_waiting, { u32 }, { lane }) => u32[(lane + LANE_COMPLETED) >>> 2] === 0,
    check: settled,
    bounds: [2],
    mutants: [
      NO_SWEEP,
      {
        name: 'no ring again',
        id: MUTANT_NO_RING_AGAIN,
        why: 'the submitter waits on a bell that is rung already',
      },
    ],
  },
  {
    ...common,
    name: 'death-and-cancel',
    property: 'a worker dies at any step of sending a cancelled task home; the submitter hears of it once',
    setup: (world) => makePool(world, { workers: 1, tasks: 1 }),
    threads: [
      { name: 'worker', run: times(1) },
      { name: 'main', run: (thread) => waitForOutcome(thread, true) },
      exitEvent(true),
    ],
    kill: { threads: [0] },
    check: settled,
    bounds: [3, ALL],
    quick: 2,
    mutants: [
      {
        name: 'dropped anonymous',
        id: MUTANT_DROPPED_ANONYMOUS,
        why: 'dead between the drop and its way home, and nobody knows whose it was',
      },
    ],
  },
];

/** The second deque of a worker's lane: what it took in a batch. */
function batchesOf({ workers }: Pool, worker: number): number {
  return workers[worker]!.lane + LANE_DEQUES + DEQUE_SIZE;
}

/** Two workers that sleep, and no task. */
function sleepers(world: KernelWorld): Pool {
  const fixture = makePool(world, { workers: 2, tasks: 0 });
  for (const { agent } of fixture.workers) {
    world.calls.enterIdle(agent, 0);
    world.calls.preparePark(agent);
  }
  return fixture;
}

/** A worker that sleeps at first. */
function* sleeper(thread: Thread): Steps {
  const { call, fixture, id } = thread;
  const { agent } = fixture.workers[id]!;
  yield call.block(agent, -1);
  yield call.finishPark(agent);
  yield call.exitIdle(agent);
  yield* work(thread);
}

/** Threads that are the same event loop take turns. */
function* enterLoop({ call, world }: Thread): Steps {
  while (true) {
    const was: number = yield call.exchange32(world.scratch, 1);
    if (was === 0) return;
    yield call.wait32(world.scratch, 1, -1n);
  }
}

function* leaveLoop({ call, world }: Thread): Steps {
  yield call.store32(world.scratch, 0);
  yield call.notifyAll(world.scratch);
}

/** The platform says that a thread is gone. `bell`: to a main thread that sleeps at its doorbell. */
function exitEvent(bell = false): RecoveryModel['threads'][number] {
  return {
    name: 'exit event',
    onDeath: true,
    *run({ call, world, fixture }) {
      yield call.store32(world.scratch, 1);
      if (!bell) {
        yield call.notifyAll(world.scratch);
        return;
      }
      yield call.store32(fixture.main + AGENT_DOORBELL, BELL_RUNG);
      yield call.notifyAll(fixture.main + AGENT_DOORBELL);
    },
  };
}

/** As ts/runtime/pump.ts: drains, arms, drains, waits, until the outcome of the only task is home. */
function* waitForOutcome(thread: Thread, cancels: boolean): Steps {
  const { call, world, fixture, state } = thread;
  if (cancels) yield call.cancel(fixture.slots[0]!, CANCEL_ABORTED);
  let isBuried = false;
  for (;;) {
    yield call.armDoorbell(fixture.main);
    // The worker's end may have been told before the bell was armed.
    const exited: number = yield call.load32(world.scratch);
    if (exited !== 0 && !isBuried) {
      isBuried = true;
      yield* bury(thread, 0);
      // The rescued task has no worker any more: the end of the model runs it.
      return;
    }
    yield* drain(thread);
    if (state.home.length > 0) return;
    yield call.wait32(fixture.main + AGENT_DOORBELL, BELL_ARMED, -1n);
    yield call.quietDoorbell(fixture.main);
  }
}

// ---- forks -----------------------------------------------------------------------------------------------------------------------------

/** Every fork ran once, or its joiner learns that its thief is gone. */
function checkForks({ joined, ran, wrong }: Notes, { killed }: Outcome): string | undefined {
  if (wrong.length > 0) return wrong.join('; ');
  for (const [slot, how] of joined) {
    const runs = ran.flatMap((list, thread) => list.filter((known) => known === slot).map(() => thread));
    if (runs.length > 1) return `a fork ran in threads ${runs.join(' and ')}`;
    if (how === SLOT_EXITED) {
      if (killed.length === 0) return 'a fork exited, and nobody died';
      if (runs.some((thread) => !killed.includes(thread)))
        return `a fork exited, and thread ${runs[0]} ran it`;
    } else if (runs.length === 0) return `a fork was not run (${how})`;
  }
  return undefined;
}

function* joinAndNote(thread: Thread, nth: number): Steps {
  const how = yield* joinOne(thread, nth);
  thread.state.joined.push([thread.fixture.workers[thread.id]!.slots[nth]!, how]);
}

/** A pool in which worker 1 has slots for forks, and no task is queued. */
function forkPool(world: KernelWorld, workers: number, forkers: readonly number[]): Pool {
  const fixture = makePool(world, { workers, tasks: 0, forkers });
  world.calls.noteClass(fixture.pool, 0);
  return fixture;
}

const forkModels: readonly RecoveryModel[] = [
  {
    ...common,
    name: 'death-of-fork-thief',
    property: 'a thief of forks dies at any step; its victim joins each of them, and learns how it ended',
    setup: (world) => forkPool(world, 2, [1]),
    threads: [
      { name: 'thief', run: times(1) },
      {
        name: 'parent',
        *run(thread) {
          yield* forkOne(thread, 0);
          yield* forkOne(thread, 1);
          yield* joinAndNote(thread, 1);
          yield* joinAndNote(thread, 0);
        },
      },
      main,
    ],
    kill: { threads: [0] },
    check: (world, fixture, state, outcome) =>
      checkForks(state, outcome) ?? settled(world, fixture, state, outcome),
    bounds: [2],
    mutants: [
      { name: 'not lost', id: MUTANT_NOT_LOST, why: 'its joiner waits for ever' },
      { name: 'held after', id: MUTANT_HELD_AFTER, why: 'the fork that it took is not found' },
      HELD_FORGOTTEN,
      CLAIMED_FORGOTTEN,
      { name: 'no wake all', id: MUTANT_NO_WAKE_ALL, why: 'the joiner sleeps on' },
      {
        name: 'notify parked only',
        id: MUTANT_NOTIFY_PARKED_ONLY,
        why: 'dead between the token and the notify',
      },
      { name: 'fork rescued', id: MUTANT_FORK_RESCUED, why: 'its joiner runs it too, or waits for nobody' },
    ],
  },
  {
    ...common,
    name: 'death-of-fork-parent',
    property:
      'a worker dies at any step of forking and joining; its task has one outcome, and its forks run at most once',
    setup: (world) => makePool(world, { workers: 2, tasks: 1, forkers: [0] }),
    threads: [
      {
        name: 'parent',
        *run(thread) {
          const { call, fixture, state, id } = thread;
          const slot: number = yield call.take(fixture.workers[0]!.agent);
          if (slot === 0) return;
          state.ran[id]!.push(slot);
          yield* forkOne(thread, 0);
          yield* joinAndNote(thread, 0);
          yield call.finish(slot, SLOT_DONE);
        },
      },
      { name: 'thief', run: times(1) },
      main,
    ],
    kill: { threads: [0] },
    check: (world, fixture, state, outcome) =>
      checkForks(state, outcome) ?? settled(world, fixture, state, outcome),
    bounds: [2],
    mutants: [CLAIMED_FORGOTTEN],
  },
  {
    ...common,
    name: 'late-note',
    property: 'a note of the dead leads to a slot that a living worker uses for its next fork: it runs once',
    // Worker 0 is dead and had noted a slot that is now free, of worker 1, and was a task before.
    setup(world) {
      const fixture = forkPool(world, 3, [1]);
      const slot = fixture.workers[1]!.slots[0]!;
      world.u32[(fixture.workers[0]!.agent + AGENT_HELD) >>> 2] = slot;
      world.u32[(slot + 8) >>> 2] = fixture.workers[1]!.lane;
      return fixture;
    },
    threads: [
      {
        name: 'unused',
        *run() {},
      },
      {
        name: 'parent',
        *run(thread) {
          yield* forkOne(thread, 0);
          yield* joinAndNote(thread, 0);
        },
      },
      {
        name: 'main, then a worker',
        *run(thread) {
          yield thread.call.recover(thread.fixture.workers[0]!.agent, thread.fixture.lane);
          yield* runOne(thread, 2);
        },
      },
    ],
    check: (_world, _fixture, state, outcome) => checkForks(state, outcome),
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'meta first',
        id: MUTANT_META_FIRST,
        why: 'the fork passes for the task that the slot held before, and stands in two queues',
      },
    ],
  },
];

// ---- reaping ---------------------------------------------------------------------------------------------------------------------------

/** Crew.#bury and #reapZombies: the dead is reaped when nobody looks at what it had. Returns whether it was. */
function* buryAndReap(thread: Thread, dead: number, others: readonly number[]): Program<boolean> {
  const { call, fixture } = thread;
  const { agent } = fixture.workers[dead]!;
  const isFirst: number = yield call.isMutant(MUTANT_TICKS_FIRST);
  const isIgnored: number = yield call.isMutant(MUTANT_TICKS_IGNORED);
  const ticks: number[] = [];
  if (isFirst === 0) yield* bury(thread, dead);
  for (const other of others) {
    const tick: number = yield call.load32(fixture.workers[other]!.agent + AGENT_TICK);
    ticks.push(tick);
  }
  if (isFirst !== 0) yield* bury(thread, dead);
  for (const [i, other] of others.entries()) {
    const parked: number = yield call.load32(fixture.workers[other]!.agent + AGENT_PARK);
    const tick: number = yield call.load32(fixture.workers[other]!.agent + AGENT_TICK);
    if (parked !== PARK_PARKED && tick === ticks[i] && isIgnored === 0) return false;
  }
  const referenced: number = yield call.isReferenced(agent);
  if (referenced !== 0) return false;
  yield call.reap(agent);
  return true;
}

/** As fork, with a number that says which fork it is. */
function* forkNumber(thread: Thread, worker: number, slot: number, value: number): Steps {
  const { call, fixture } = thread;
  const { lane } = fixture.workers[worker]!;
  yield* fill(thread, slot, lane, META_FORK_BIT);
  yield call.writePlain(slot + SLOT_VALUES, value);
  yield call.fork(fixture.pool, lane + LANE_DEQUES, slot);
}

/** In set-up: worker 0 forked into its first slot, and is gone. */
function deadParent(world: KernelWorld): Pool {
  const fixture = forkPool(world, 3, [0]);
  const { u32, calls } = world;
  const { lane, slots } = fixture.workers[0]!;
  const slot = slots[0]!;
  u32[(slot + 8) >>> 2] = lane;
  u32[(slot + 12) >>> 2] = META_FORK_BIT;
  u32[(slot + SLOT_VALUES) >>> 2] = 1;
  calls.fork(fixture.pool, lane + LANE_DEQUES, slot);
  return fixture;
}

/** A block that agent `owner` has filled with a result, in the slot. */
function putResult({ calls, u32 }: KernelWorld, owner: number, slot: number): number {
  const payload = calls.allocate(owner, 100);
  u32[payload >>> 2] = 777;
  u32[(slot + SLOT_VALUES) >>> 2] = payload;
  u32[(slot + SLOT_TAGS) >>> 2] = TAG_PACKED;
  u32[(slot + SLOT_STATE) >>> 2] = SLOT_DONE | (1 << 16);
  return payload;
}

/** Codec.readResult. */
function* readResult({ call, state }: Thread, reader: number, slot: number): Steps {
  const tags: number = yield call.readPlain(slot + SLOT_TAGS);
  if (tags !== TAG_PACKED) return;
  const payload: number = yield call.readPlain(slot + SLOT_VALUES);
  const value: number = yield call.readPlain(payload);
  if (value !== 777) state.wrong.push(`a result of ${value} was read`);
  const isFirst: number = yield call.isMutant(MUTANT_FORGETS_FIRST);
  const isSilent: number = yield call.isMutant(MUTANT_RETURNS_SILENTLY);
  if (isFirst !== 0) yield call.writePlain(slot + SLOT_TAGS, TAG_UNDEFINED);
  else if (isSilent === 0) yield call.writePlain(slot + SLOT_TAGS, TAG_RETURNED);
  yield call.release(reader, payload);
  if (isFirst === 0) yield call.writePlain(slot + SLOT_TAGS, TAG_UNDEFINED);
}

/** The blocks that came back to an agent: on its stack of returns, and taken from there into a free list; or what is wrong with them. */
function returnsOf({ u32 }: KernelWorld, agent: number): number[] | string {
  const blocks: number[] = [];
  for (const head of [AGENT_RETURNS, AGENT_ARENA]) {
    for (let block = u32[(agent + head) >>> 2]!; block !== 0; block = u32[(block + BLOCK_LINK) >>> 2]!) {
      if (blocks.includes(block)) return 'a block came back twice';
      blocks.push(block);
    }
  }
  return blocks;
}

const reapModels: readonly RecoveryModel[] = [
  {
    ...common,
    name: 'reap-and-thief',
    property: 'a late thief of a dead worker does not take what its slots hold next',
    setup: deadParent,
    threads: [
      {
        name: 'unused',
        *run() {},
      },
      {
        name: 'thief',
        *run({ call, fixture, state }) {
          const slot: number = yield call.take(fixture.workers[1]!.agent);
          if (slot === 0) return;
          const value: number = yield call.readPlain(slot + SLOT_VALUES);
          if (value !== 1) state.wrong.push(`the thief got fork ${value}`);
          yield call.finish(slot, SLOT_DONE);
        },
      },
      {
        name: 'main, then a worker',
        *run(thread) {
          const { call, fixture, state } = thread;
          const isReaped = yield* buryAndReap(thread, 0, [1]);
          if (!isReaped) return;
          const span: number = yield call.addSlotSpan(fixture.workers[2]!.agent);
          yield* forkNumber(thread, 2, span + 64, 2);
          const mine: number = yield call.takeBack(fixture.workers[2]!.lane + LANE_DEQUES, span + 64);
          if (mine === 0) state.seen.push(2);
        },
      },
    ],
    // Its own fork may be stolen by the thief; then it is the thief's, and `wrong` says so only if it was taken from the dead.
    check: (_world, _fixture, { wrong, seen }) =>
      wrong.length > 0 && seen.length === 0 ? `${wrong.join('; ')}, and its owner ran it too` : undefined,
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'ticks first',
        id: MUTANT_TICKS_FIRST,
        why: 'the thief has begun its look between the note and the recovery',
      },
      {
        name: 'ticks ignored',
        id: MUTANT_TICKS_IGNORED,
        why: 'the thief holds an entry that it has not claimed',
      },
      {
        name: 'ticks while it holds an entry',
        id: MUTANT_TICKS_HOLDING,
        why: 'the thief seems to have moved on, and claims what the slot holds next',
      },
    ],
  },
  {
    ...common,
    name: 'reap-and-outcome',
    property:
      'a thief that publishes the outcome of a fork touches nothing of its slot afterwards; the parent is dead',
    // The thief runs the fork already.
    setup(world) {
      const fixture = deadParent(world);
      world.calls.take(fixture.workers[1]!.agent);
      return fixture;
    },
    threads: [
      {
        name: 'unused',
        *run() {},
      },
      {
        name: 'thief',
        *run({ call, fixture }) {
          // A join in the fork looks for other forks.
          yield call.help(fixture.workers[1]!.agent);
          yield call.finish(fixture.workers[0]!.slots[0]!, SLOT_DONE);
        },
      },
      {
        name: 'main',
        *run(thread) {
          const { call, fixture } = thread;
          const isReaped = yield* buryAndReap(thread, 0, [1]);
          if (!isReaped) return;
          const span: number = yield call.addSlotSpan(fixture.main);
          yield* fill(thread, span + 64, fixture.lane);
          yield call.submit(fixture.pool, fixture.lane, 0, 0, span + 64);
        },
      },
    ],
    check({ calls, u32 }, { lane }) {
      const slot = calls.takeCompletions(lane);
      return slot === 0 ? undefined : `a task came home with status ${u32[(slot + SLOT_STATE) >>> 2]! & 15}`;
    },
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'finish reads late',
        id: MUTANT_READ_AFTER_OUTCOME,
        why: 'the slot is the task of another by then, and is sent home unrun',
      },
      {
        name: 'running ignored',
        id: MUTANT_RUNNING_IGNORED,
        why: 'the slot is given away while its fork runs',
      },
      { name: 'references ignored', id: MUTANT_REFERENCES_IGNORED, why: 'as above' },
    ],
  },
  {
    ...common,
    name: 'reap-and-reader',
    property: 'the arena of a dead thief stays until its results are read and given back',
    // Worker 0 is dead; its result stands in the first slot of worker 1, who joins.
    setup(world) {
      const fixture = forkPool(world, 3, [1]);
      putResult(world, fixture.workers[0]!.agent, fixture.workers[1]!.slots[0]!);
      return fixture;
    },
    threads: [
      {
        name: 'unused',
        *run() {},
      },
      {
        name: 'reader',
        *run(thread) {
          const { call, fixture } = thread;
          yield call.help(fixture.workers[1]!.agent);
          yield* readResult(thread, fixture.workers[1]!.agent, fixture.workers[1]!.slots[0]!);
        },
      },
      {
        name: 'main, then a worker',
        *run(thread) {
          const { call, fixture, state } = thread;
          const isReaped = yield* buryAndReap(thread, 0, [1]);
          if (!isReaped) return;
          const payload: number = yield call.allocate(fixture.workers[2]!.agent, 100);
          yield call.writePlain(payload, 888);
          state.seen.push(payload);
        },
      },
    ],
    check(world, fixture, { wrong, seen }) {
      if (wrong.length > 0) return wrong.join('; ');
      const returns = returnsOf(world, fixture.workers[2]!.agent);
      if (typeof returns === 'string') return returns;
      if (returns.length > 0) return 'a block came back to somebody who still has it';
      const [payload] = seen;
      return payload === undefined || world.u32[payload >>> 2] === 888
        ? undefined
        : 'the memory has two users';
    },
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'forgets first', id: MUTANT_FORGETS_FIRST, why: 'the block goes back into memory of another' },
      { name: 'results ignored', id: MUTANT_RESULTS_IGNORED, why: 'the result is overwritten' },
    ],
  },
  {
    ...common,
    name: 'death-of-reader',
    property:
      "a joiner dies at any step of reading its thief's result; the block comes back to the thief once, or at the latest when the thief ends",
    setup(world) {
      const fixture = forkPool(world, 2, [0]);
      putResult(world, fixture.workers[1]!.agent, fixture.workers[0]!.slots[0]!);
      return fixture;
    },
    threads: [
      {
        name: 'reader',
        *run(thread) {
          yield* readResult(thread, thread.fixture.workers[0]!.agent, thread.fixture.workers[0]!.slots[0]!);
        },
      },
      {
        // Takes what came back, twice.
        name: 'thief',
        *run({ call, fixture }) {
          yield call.tidy(fixture.workers[1]!.agent);
          yield call.tidy(fixture.workers[1]!.agent);
        },
      },
      {
        name: 'main',
        onDeath: true,
        *run(thread) {
          yield* buryAndReap(thread, 0, []);
        },
      },
    ],
    kill: { threads: [0] },
    check(world, fixture, { wrong }, { killed }) {
      if (wrong.length > 0) return wrong.join('; ');
      const returns = returnsOf(world, fixture.workers[1]!.agent);
      if (typeof returns === 'string') return returns;
      const tag = world.u32[(fixture.workers[0]!.slots[0]! + SLOT_TAGS) >>> 2];
      // One that the dead was just giving back may be left.
      if (returns.length !== 1 && (tag !== TAG_RETURNED || killed.length === 0)) return 'the block is lost';
      // The thief ends too: nothing of the dead reader holds its memory.
      world.calls.recover(fixture.workers[1]!.agent, fixture.lane);
      return reapAll(world, fixture, [...killed, 1]);
    },
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'result kept', id: MUTANT_RESULT_KEPT, why: 'nobody is left to give it back' },
      {
        name: 'returns silently',
        id: MUTANT_RETURNS_SILENTLY,
        why: 'the block comes back a second time',
      },
    ],
  },
  {
    ...common,
    name: 'death-and-spans',
    property:
      'a worker dies at any step of taking memory: spans, a span of slots, blocks; all of it comes back',
    setup: (world) => makePool(world, { workers: 2, tasks: 0 }),
    threads: [
      {
        name: 'worker',
        *run({ call, fixture }) {
          const { agent } = fixture.workers[0]!;
          yield call.addSlotSpan(agent);
          yield call.allocate(agent, 1000);
          yield call.allocate(agent, 100);
        },
      },
      {
        name: 'another',
        *run({ call, fixture }) {
          yield call.addSlotSpan(fixture.workers[1]!.agent);
        },
      },
      {
        name: 'main',
        onDeath: true,
        *run(thread) {
          yield* buryAndReap(thread, 0, []);
        },
      },
    ],
    kill: { threads: [0] },
    check: settled,
    bounds: [2],
    mutants: [
      { name: 'keeps spans', id: MUTANT_REAP_KEEPS_SPANS, why: 'memory of the dead is lost' },
      { name: 'owner before link', id: MUTANT_OWNER_BEFORE_LINK, why: 'a span of slots belongs to nobody' },
    ],
  },
];

export const recoveryModels: readonly RecoveryModel[] = [...taskModels, ...forkModels, ...reapModels];
