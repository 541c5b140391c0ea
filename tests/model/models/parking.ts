/**
 * Parking (assembly/parking.ts, and the idle protocol of assembly/scheduler.ts): who sleeps, who searches, who is woken.
 *
 *   submitter     submit: push, then look at idle and searching; CAS searching 0 -> bit, take the idle bit, unpark
 *   worker        take .. startSearch .. search .. enterIdle (idle bit, leave searching, look once more) .. preparePark .. block
 *                   ^                                                                                              |
 *                   +-- exitIdle .. finishPark <-------------------- unpark or timeout ---------------------------+
 *   forker        fork: push, then look at idle and joining
 *   joiner        status .. help .. enterJoin (joining bit, look once more) .. preparePark .. status .. block .. exitJoin
 *
 * A worker ends its thread when its task says that it is busy for ever; every other one sleeps at the end. What holds then (wrongAtRest): nobody
 * sleeps while a task is queued, the idle set is who sleeps, and when all sleep nobody counts as searching. A lost wake-up breaks the first,
 * a leaked bit one of the others (and the next submission would break the first).
 *
 * Why these programs suffice. Bits of the sets are alike, so a waker, the one it wakes and one that comes in between are all that an argument of
 * parking.ts speaks of: two submissions and one or two workers make them, a third worker makes the chain "the last searcher wakes the next". Busy
 * workers make every wake-up count: what one worker misses no other picks up. Sleeps that time out by themselves (naps), event loops that do not
 * answer (looping) and joins are programs of their own, because each is an argument of its own. A sleep may also end for nothing, once in each
 * execution, where the search stays small enough.
 */
import {
  AGENT_BATCH,
  AGENT_PARK,
  LANE_DEQUES,
  MUTANT_ANNOUNCE_BEFORE_OUTCOME,
  MUTANT_BATCH_WAKES_NOBODY,
  MUTANT_CHOSEN_AND_GONE,
  MUTANT_CLAIM_WITHOUT_UNPARK,
  MUTANT_FORK_WAKES_NO_JOINER,
  MUTANT_INDICES_COMPARED,
  MUTANT_JOIN_LOOKS_FIRST,
  MUTANT_KEEP_SEARCHING,
  MUTANT_KEEPS_IDLE,
  MUTANT_KEEPS_OTHERS_SEARCHING,
  MUTANT_KEEPS_SEARCHING,
  MUTANT_LOOK_BEFORE_ANNOUNCING,
  MUTANT_LOOPING_IS_FIRM,
  MUTANT_NO_HANDOFF,
  MUTANT_NO_SECOND_LOOK,
  MUTANT_NOT_BEYOND,
  MUTANT_NOTIFY_PARKED_ONLY,
  MUTANT_ONE_JOINER_TRIED,
  MUTANT_PARK_OVER_TOKEN,
  MUTANT_STATUS_BEFORE_PARK,
  MUTANT_WAKE_NOBODY,
  MUTANT_WAKE_UNTHROTTLED,
  MUTANT_WOKEN_STAYS_IDLE,
  OWNER_POOL,
  PARK_TOKEN,
  POOL_IDLE,
  POOL_SEARCHING,
  SLOT_DONE,
  SLOT_EXITED,
  SLOT_QUEUED,
} from '../../../build/generated/layout.model.ts';
import type { Outcome } from '../explorer/types.ts';
import type { KernelModel, KernelThread, KernelWorld, Steps } from '../kernel.ts';
import {
  addSubmitter,
  describePool,
  fillForks,
  fillSlots,
  helpUntilConcluded,
  openPool,
  type Part,
  type Place,
  type Pool,
  putToSleep,
  setOf,
  statusOf,
  type WorkerOptions,
  work,
  wrongAtRest,
} from '../pool.ts';

interface Fixture extends Pool {
  readonly slots: readonly number[];
  readonly rescuer: Place;
}

interface State {
  /** Tasks that each thread ran. */
  readonly ran: number[][];
}

type Thread = KernelThread<Fixture, State>;
type Run = (thread: Thread) => Steps;

const state = (): State => ({ ran: [[], [], [], [], [], []] });

/** A pool with `workers`, and `tasks` of its submitter. */
function setup(workers: number, tasks: number, batch = 1): (world: KernelWorld) => Fixture {
  return (world) => {
    const pool = openPool(world, workers);
    for (const { agent } of pool.workers) world.u32[(agent + AGENT_BATCH) >>> 2] = batch;
    return {
      ...pool,
      slots: fillSlots(world, pool.submitter, tasks),
      rescuer: addSubmitter(world, pool.pool),
    };
  };
}

/** Task i was queued by the submitter before anything else. */
function submitted(world: KernelWorld, fixture: Fixture, tasks: readonly number[]): Fixture {
  for (const task of tasks)
    world.calls.submit(fixture.pool, fixture.submitter.lane, 0, 0, fixture.slots[task]!);
  return fixture;
}

/** Submits tasks. */
function submits(...tasks: number[]): Run {
  return function* run({ call, fixture }) {
    for (const task of tasks)
      yield call.submit(fixture.pool, fixture.submitter.lane, 0, 0, fixture.slots[task]!);
  };
}

/** Runs a task; those in `endless` keep the worker busy for ever. */
function runTask({ call, fixture, state, id }: Thread, endless: readonly number[]) {
  return function* run(slot: number): Part<'done' | 'busy'> {
    const task = fixture.slots.indexOf(slot);
    state.ran[id]!.push(task);
    if (endless.includes(task)) return 'busy';
    yield call.finish(slot, SLOT_DONE);
    return 'done';
  };
}

/** Worker `index`. */
function works(index: number, options: WorkerOptions & { readonly endless?: readonly number[] } = {}): Run {
  return (thread) =>
    work(thread.call, thread.fixture.workers[index]!, runTask(thread, options.endless ?? []), options);
}

/** Threads of the workers are the first ones. */
function check(
  world: KernelWorld,
  fixture: Fixture,
  { ran }: State,
  { waiting }: Outcome,
): string | undefined {
  const wrong = wrongAtRest(
    world,
    fixture,
    waiting.filter((thread) => thread < fixture.workers.length),
  );
  if (wrong !== undefined) return wrong;
  return wrongRuns(world, fixture, ran);
}

/** Each task ran once; one that never ran is still queued while all workers are busy. */
function wrongRuns(
  world: KernelWorld,
  { slots }: Fixture,
  ran: readonly (readonly number[])[],
): string | undefined {
  const all = ran.flat();
  for (const [task, slot] of slots.entries()) {
    const times = all.filter((other) => other === task).length;
    if (times > 1) return `task ${task} ran ${times} times`;
    if (times === 0 && statusOf(world, slot) !== SLOT_QUEUED && statusOf(world, slot) !== 0)
      return `task ${task} never ran`;
  }
  return undefined;
}

/** Who was woken to search looks before another is woken. */
function throttled(world: KernelWorld, { pool, workers }: Fixture): string | undefined {
  const searching = setOf(world, pool, POOL_SEARCHING);
  const woken = workers.filter(
    ({ agent }, index) =>
      world.u32[(agent + AGENT_PARK) >>> 2] === PARK_TOKEN && (searching & (1 << index)) !== 0,
  );
  return woken.length < 2 ? undefined : 'two workers were woken at once';
}

const describe = (address: number, fixture: Fixture): string | undefined =>
  describePool(fixture, fixture.slots, address);

/** A wait may end for nothing. */
const common = { structure: 'parking', state, check, describe, rests: () => true, spurious: 1 };
const ALL = Number.POSITIVE_INFINITY;
const worker = (index: number, options: WorkerOptions & { readonly endless?: readonly number[] } = {}) => ({
  name: `worker ${'ABC'[index]}`,
  run: works(index, options),
});

// ---- tasks of a submitter ------------------------------------------------------------------------------------------------------------------

const submissionModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    name: 'park',
    property: 'a worker that goes to sleep meets every submission',
    setup: setup(1, 2),
    threads: [worker(0), { name: 'submitter', run: submits(0, 1) }],
    bounds: [3, ALL],
    quick: 2,
    mutants: [
      {
        name: 'no second look',
        id: MUTANT_NO_SECOND_LOOK,
        why: 'the submitter saw a searcher that never looked again',
      },
      {
        name: 'look before announcing',
        id: MUTANT_LOOK_BEFORE_ANNOUNCING,
        why: 'the submitter comes between the look and the idle bit',
      },
      { name: 'wake nobody', id: MUTANT_WAKE_NOBODY, why: 'the worker sleeps' },
      { name: 'claim without unpark', id: MUTANT_CLAIM_WITHOUT_UNPARK, why: 'the worker sleeps on' },
      { name: 'park over a token', id: MUTANT_PARK_OVER_TOKEN, why: 'the wake-up came before the sleep' },
      {
        name: 'indices compared',
        id: MUTANT_INDICES_COMPARED,
        why: 'bottom has wrapped to 0: the worker takes for empty what it does not sleep on',
      },
    ],
  },
  {
    ...common,
    name: 'park-nap',
    property: 'a sleep that ends by itself loses no wake-up and leaves no bit',
    setup: setup(1, 2),
    threads: [worker(0, { naps: 1 }), { name: 'submitter', run: submits(0, 1) }],
    bounds: [3, ALL],
    mutants: [
      { name: 'park over a token', id: MUTANT_PARK_OVER_TOKEN, why: 'the wake-up came before the sleep' },
    ],
  },
  {
    ...common,
    name: 'park-two',
    property: 'two workers run two tasks, the second although the first never ends',
    setup: setup(2, 2),
    threads: [
      worker(0, { endless: [0] }),
      worker(1, { endless: [0] }),
      { name: 'submitter', run: submits(0, 1) },
    ],
    bounds: [2, 3],
    quick: 1,
    mutants: [
      {
        name: 'no handoff',
        id: MUTANT_NO_HANDOFF,
        why: 'the submitter left it to the searcher, who is busy now',
      },
      { name: 'no second look', id: MUTANT_NO_SECOND_LOOK, why: 'the last searcher sleeps on the task' },
    ],
  },
  {
    ...common,
    name: 'park-throttle',
    property: 'at most one worker was woken and has not looked yet',
    setup: setup(2, 2),
    threads: [worker(0), worker(1), { name: 'submitter', run: submits(0, 1) }],
    invariant: throttled,
    // One that wakes for nothing searches beside the one that was woken.
    spurious: 0,
    bounds: [2],
    mutants: [
      { name: 'wake unthrottled', id: MUTANT_WAKE_UNTHROTTLED, why: 'the second submission wakes another' },
    ],
  },
  {
    ...common,
    name: 'park-two-nap',
    property: 'a waker may choose a worker that wakes by itself: its bit does not stay',
    setup: setup(2, 2),
    threads: [
      worker(0, { naps: 1, endless: [0] }),
      worker(1, { endless: [0] }),
      { name: 'submitter', run: submits(0, 1) },
    ],
    timeouts: 1,
    bounds: [2, 3],
    mutants: [
      { name: 'keep searching', id: MUTANT_KEEP_SEARCHING, why: 'a busy worker counts as searching' },
      {
        name: 'woken stays idle',
        id: MUTANT_WOKEN_STAYS_IDLE,
        why: 'a busy worker is woken instead of the one that sleeps',
      },
    ],
  },
  {
    ...common,
    name: 'park-two-submitters',
    property: 'two submitters wake two workers',
    setup: setup(2, 2),
    threads: [
      worker(0, { endless: [0] }),
      worker(1, { endless: [0] }),
      { name: 'submitter', run: submits(0) },
      {
        name: 'submitter 2',
        *run({ call, fixture }) {
          yield call.submit(fixture.pool, fixture.rescuer.lane, 0, 0, fixture.slots[1]!);
        },
      },
    ],
    spurious: 0,
    bounds: [2],
    mutants: [
      { name: 'no handoff', id: MUTANT_NO_HANDOFF, why: 'the second submitter left it to the searcher' },
    ],
  },
  {
    ...common,
    name: 'park-three',
    property: 'three workers run three tasks, although two never end',
    setup(world) {
      const fixture = setup(3, 3)(world);
      putToSleep(world, fixture.workers);
      return fixture;
    },
    threads: [
      worker(0, { asleep: 'sleeping', endless: [0, 1] }),
      worker(1, { asleep: 'sleeping', endless: [0, 1] }),
      worker(2, { asleep: 'sleeping', endless: [0, 1] }),
      { name: 'submitter', run: submits(0, 1, 2) },
    ],
    bounds: [2],
    mutants: [{ name: 'no handoff', id: MUTANT_NO_HANDOFF, why: 'the chain of wake-ups ends' }],
  },
  {
    ...common,
    name: 'park-three-throttle',
    property: 'of three workers, one of them awake, at most one was woken and has not looked yet',
    setup(world) {
      const fixture = setup(3, 2)(world);
      putToSleep(world, fixture.workers.slice(1));
      return fixture;
    },
    threads: [
      worker(0),
      worker(1, { asleep: 'sleeping' }),
      worker(2, { asleep: 'sleeping' }),
      { name: 'submitter', run: submits(0, 1) },
    ],
    invariant: throttled,
    spurious: 0,
    bounds: [2],
    mutants: [
      { name: 'wake unthrottled', id: MUTANT_WAKE_UNTHROTTLED, why: 'the second submission wakes another' },
      { name: 'no second look', id: MUTANT_NO_SECOND_LOOK, why: 'the submitter saw a searcher' },
    ],
  },
  {
    ...common,
    name: 'park-batch',
    property: 'the rest of a batch does not wait for who took it',
    setup: (world) => submitted(world, setup(2, 3, 3)(world), [0, 1, 2]),
    threads: [worker(0, { endless: [0] }), worker(1, { endless: [0] })],
    bounds: [3],
    quick: 1,
    mutants: [
      {
        name: 'batch wakes nobody',
        id: MUTANT_BATCH_WAKES_NOBODY,
        why: "the other looked while the batch was in nobody's deque",
      },
    ],
  },
  {
    ...common,
    name: 'park-looping',
    property: 'no wake-up relies on a worker whose event loop is busy',
    setup: setup(2, 1),
    threads: [
      {
        // Idle on an event loop that an async task keeps busy: it never answers once it is there.
        name: 'worker A',
        run: works(0, { looping: true, deaf: true, endless: [0] }),
      },
      worker(1),
      { name: 'submitter', run: submits(0) },
    ],
    check(world, fixture, { ran }, { waiting }) {
      if (waiting.includes(1) && world.calls.anyQueued(fixture.pool) !== 0)
        return 'B sleeps while a task is queued';
      return wrongRuns(world, fixture, ran);
    },
    bounds: [2, 3],
    quick: 1,
    mutants: [
      { name: 'looping is firm', id: MUTANT_LOOPING_IS_FIRM, why: 'A is the searcher and does not search' },
    ],
  },
  {
    ...common,
    name: 'park-looping-answers',
    property: 'workers whose event loops answer late lose no wake-up',
    setup: setup(2, 2),
    threads: [
      worker(0, { looping: true, endless: [0] }),
      worker(1, { looping: true, endless: [0] }),
      { name: 'submitter', run: submits(0, 1) },
    ],
    bounds: [2],
    mutants: [{ name: 'wake nobody', id: MUTANT_WAKE_NOBODY, why: 'the workers sleep' }],
  },
];

// ---- forks and joins -----------------------------------------------------------------------------------------------------------------------------

/** Slot 0 (Y) is a fork of worker A; slot 1 (X) one of worker B that A runs; slot 2 one of B that nobody concludes. */
function forkSetup(workers: number): (world: KernelWorld) => Fixture {
  return (world) => {
    const pool = openPool(world, workers);
    const [a, b] = pool.workers as [Place, Place];
    const y = fillForks(world, a, 1);
    const x = fillForks(world, b, 2);
    world.calls.markForked(x[0]!);
    world.calls.claim(x[0]!, a.id, pool.pool);
    return { ...pool, slots: [...y, ...x], rescuer: addSubmitter(world, pool.pool) };
  };
}

function* forks({ call, fixture }: Thread, index: number, task: number): Part<void> {
  yield call.fork(fixture.pool, forksOf(fixture, index), fixture.slots[task]!);
}

/** Deque of worker `index` for forks of class 0. */
function forksOf({ workers }: Fixture, index: number): number {
  return workers[index]!.lane + LANE_DEQUES;
}

function* joins(thread: Thread, index: number, task: number): Part<string> {
  const how = yield* helpUntilConcluded(
    thread,
    thread.fixture.workers[index]!,
    thread.fixture.slots[task]!,
    runTask(thread, []),
  );
  if (how !== 'concluded') thread.state.ran[thread.id]!.push(task);
  return how;
}

const joinAndFork: KernelModel<Fixture, State> = {
  ...common,
  name: 'join-and-fork',
  property:
    'a joiner that is woken for a fork, and whose own join is over, leaves the fork to another joiner',
  setup: forkSetup(3),
  threads: [
    {
      // Forks Y, concludes X, and computes for ever.
      name: 'worker A',
      *run(thread) {
        yield* forks(thread, 0, 0);
        thread.state.ran[thread.id]!.push(1);
        yield thread.call.finish(thread.fixture.slots[1]!, SLOT_DONE);
      },
    },
    {
      // Joins X, then computes for ever.
      name: 'worker B',
      *run(thread) {
        yield* joins(thread, 1, 1);
      },
    },
    {
      // In a join that nothing ends.
      name: 'worker C',
      *run(thread) {
        yield* joins(thread, 2, 2);
      },
    },
  ],
  check: (_world, _fixture, { ran }) =>
    [...ran[1]!, ...ran[2]!].includes(0) ? undefined : 'C sleeps in a join while a fork is queued',
  spurious: 0,
  bounds: [3, Number.POSITIVE_INFINITY],
  mutants: [
    { name: 'chosen and gone', id: MUTANT_CHOSEN_AND_GONE, why: 'B was chosen, but leaves its join' },
    {
      name: 'one joiner tried',
      id: MUTANT_ONE_JOINER_TRIED,
      why: 'B takes its bit out when it sees the fork, then leaves its join without a look',
    },
    { name: 'fork wakes no joiner', id: MUTANT_FORK_WAKES_NO_JOINER, why: 'both sleep' },
  ],
};

const joinModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    name: 'join',
    property: 'a joiner sleeps until its fork is concluded, and no longer',
    setup: forkSetup(2),
    threads: [
      {
        name: 'worker A',
        *run({ call, fixture, state, id }) {
          state.ran[id]!.push(1);
          yield call.finish(fixture.slots[1]!, SLOT_DONE);
        },
      },
      {
        name: 'worker B',
        *run(thread) {
          yield* joins(thread, 1, 1);
        },
      },
    ],
    rests: () => false,
    check: (world, fixture, { ran }) => wrongRuns(world, fixture, ran),
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'announce before outcome',
        id: MUTANT_ANNOUNCE_BEFORE_OUTCOME,
        why: 'the joiner was told of nothing',
      },
      {
        name: 'status before park',
        id: MUTANT_STATUS_BEFORE_PARK,
        why: 'the outcome comes in between, and nobody is parked',
      },
    ],
  },
  {
    ...common,
    name: 'join-steals',
    property: 'a worker that sleeps in a join runs the fork of a busy one',
    setup: forkSetup(2),
    threads: [
      {
        // Forks Y and computes for ever.
        name: 'worker A',
        *run(thread) {
          yield* forks(thread, 0, 0);
        },
      },
      {
        name: 'worker B',
        *run(thread) {
          yield* joins(thread, 1, 1);
        },
      },
    ],
    check: (_world, _fixture, { ran }) =>
      ran[1]!.includes(0) ? undefined : 'B sleeps while a fork is queued',
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'fork wakes no joiner', id: MUTANT_FORK_WAKES_NO_JOINER, why: 'B sleeps' },
      {
        name: 'join looks first',
        id: MUTANT_JOIN_LOOKS_FIRST,
        why: 'the fork comes between the look and the bit',
      },
    ],
  },
  {
    ...common,
    name: 'fork-join',
    property: 'forks run once each, by who forked them or by a thief, and the join ends',
    setup: (world) => {
      const pool = openPool(world, 2);
      return {
        ...pool,
        slots: fillForks(world, pool.workers[0]!, 2),
        rescuer: addSubmitter(world, pool.pool),
      };
    },
    threads: [
      {
        name: 'worker A',
        *run(thread) {
          const { call, fixture, state, id } = thread;
          yield* forks(thread, 0, 0);
          yield* forks(thread, 0, 1);
          for (const task of [1, 0]) {
            if ((yield call.takeBack(forksOf(fixture, 0), fixture.slots[task]!)) !== 0)
              state.ran[id]!.push(task);
            else yield* joins(thread, 0, task);
          }
        },
      },
      worker(1),
    ],
    check(world, fixture, { ran }, { finished, waiting }) {
      if (!finished.includes(0)) return 'the join does not end';
      if (waiting.length === 1 && world.calls.anyQueued(fixture.pool) !== 0)
        return 'something is left in a queue';
      const all = ran.flat().sort();
      return all.join() === '0,1' ? undefined : `ran ${all.join(' ')}`;
    },
    spurious: 0,
    bounds: [3, 4],
    quick: 2,
    mutants: [
      { name: 'announce before outcome', id: MUTANT_ANNOUNCE_BEFORE_OUTCOME, why: 'the joiner sleeps on' },
      { name: 'status before park', id: MUTANT_STATUS_BEFORE_PARK, why: 'the joiner sleeps on' },
    ],
  },
  joinAndFork,
  {
    ...joinAndFork,
    name: 'join-and-fork-waking',
    property: 'the same, when the sleep of a joiner may end for nothing',
    spurious: 1,
    bounds: [3],
  },
];

// ---- deaths ------------------------------------------------------------------------------------------------------------------------------------------

const rescuer = {
  name: 'rescuer',
  onDeath: true,
  *run({ call, fixture, dead }: Thread): Steps {
    yield call.recover(fixture.workers[dead[0]!]!.agent, fixture.rescuer.lane);
  },
};

const rescuerThatSubmits = (task: number) => ({
  ...rescuer,
  *run(thread: Thread): Steps {
    yield* rescuer.run(thread);
    const { call, fixture } = thread;
    yield call.submit(fixture.pool, fixture.rescuer.lane, 0, 0, fixture.slots[task]!);
  },
});

/** Slot 0 is a fork of worker A, slot 1 a task of the rescuer. */
const forkerSetup = (world: KernelWorld): Fixture => forker(world, 2);

/** Worker C; it has no thread. */
const C = 2;

function forker(world: KernelWorld, workers: number): Fixture {
  const pool = openPool(world, workers);
  const place = addSubmitter(world, pool.pool);
  return {
    ...pool,
    slots: [...fillForks(world, pool.workers[0]!, 1), ...fillSlots(world, place, 1)],
    rescuer: place,
  };
}

/** As check(), where worker A may be dead: each task has one outcome, unless the others are all busy. */
function checkAfterDeath(
  world: KernelWorld,
  fixture: Fixture,
  { ran }: State,
  { waiting, killed }: Outcome,
): string | undefined {
  const sleepers = waiting.filter((thread) => thread < fixture.workers.length);
  const wrong = wrongAtRest(world, fixture, sleepers);
  if (wrong !== undefined) return wrong;
  for (const [task, slot] of fixture.slots.entries()) {
    const status = statusOf(world, slot);
    const living = ran.filter((_, thread) => !killed.includes(thread)).flat();
    const times = living.filter((other) => other === task).length;
    if (times > 1) return `task ${task} ran ${times} times`;
    if (status === SLOT_EXITED && (times !== 0 || killed.length === 0)) return `task ${task} exited, and ran`;
    if (status === 0 && killed.length === 0) continue;
    if (status !== SLOT_DONE && status !== SLOT_EXITED) return `task ${task} is left ${status}`;
  }
  return undefined;
}

const deathModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    name: 'park-death',
    property: 'a worker may die at any step of searching and going to sleep: the next submission is run',
    setup: setup(2, 1),
    threads: [worker(0), worker(1), rescuerThatSubmits(0)],
    kill: { threads: [0] },
    check: checkAfterDeath,
    spurious: 0,
    bounds: [2],
    mutants: [
      { name: 'wake nobody', id: MUTANT_WAKE_NOBODY, why: 'the worker sleeps' },
      { name: 'keeps idle', id: MUTANT_KEEPS_IDLE, why: 'the next submission wakes the dead' },
      { name: 'keeps searching', id: MUTANT_KEEPS_SEARCHING, why: 'the dead passes for a searcher' },
    ],
  },
  {
    ...common,
    name: 'park-death-waker',
    property: 'a worker may die at any step of waking another: that one, or the next submission, is not lost',
    setup: forkerSetup,
    threads: [
      {
        name: 'worker A',
        *run(thread) {
          yield* forks(thread, 0, 0);
        },
      },
      worker(1),
      rescuerThatSubmits(1),
    ],
    kill: { threads: [0] },
    check(world, fixture, { ran }, { waiting, killed }) {
      const wrong = wrongAtRest(world, fixture, waiting);
      if (wrong !== undefined || killed.length === 0) return wrong;
      return ran[1]!.includes(1) ? undefined : 'what was submitted after the death is not run';
    },
    bounds: [2],
    mutants: [
      {
        name: 'notify the parked only',
        id: MUTANT_NOTIFY_PARKED_ONLY,
        why: 'the dead had written the token and not notified',
      },
    ],
  },
  {
    ...common,
    name: 'park-death-withdrawing',
    property:
      'a worker may die when it has made one a searcher that woke by itself: a busy one is not waited for while another sleeps',
    // B and C sleep; B's sleep ends by itself, and it runs the fork for ever. C has no thread: whoever wakes it takes it out of the idle set.
    setup(world) {
      const fixture = forker(world, 3);
      putToSleep(world, fixture.workers.slice(1));
      return fixture;
    },
    threads: [
      {
        name: 'worker A',
        *run(thread) {
          yield* forks(thread, 0, 0);
        },
      },
      worker(1, { asleep: 'waking', endless: [0] }),
      rescuerThatSubmits(1),
    ],
    kill: { threads: [0] },
    check(world, { pool, slots }, _state, { killed }) {
      if (killed.length === 0 || statusOf(world, slots[1]!) !== SLOT_QUEUED) return undefined;
      const isAsleep = (setOf(world, pool, POOL_IDLE) & (1 << C)) !== 0;
      return isAsleep ? 'what was submitted after the death waits, and worker C sleeps' : undefined;
    },
    bounds: [2],
    mutants: [
      {
        name: 'keeps others searching',
        id: MUTANT_KEEPS_OTHERS_SEARCHING,
        why: 'the dead did not withdraw the bit of a worker that is busy now',
      },
    ],
  },
  {
    ...common,
    name: 'park-death-batch',
    property: 'a worker may die at any step of taking a batch: what it took is run, or has exited',
    setup(world) {
      const fixture = setup(2, 3, 3)(world);
      putToSleep(world, fixture.workers.slice(1));
      // Queued as if whoever submits them was about to wake B.
      for (const slot of fixture.slots) {
        world.calls.markQueued(slot);
        world.calls.push(fixture.submitter.lane + LANE_DEQUES, slot, OWNER_POOL);
      }
      return fixture;
    },
    threads: [worker(0), worker(1, { asleep: 'sleeping' }), rescuer],
    kill: { threads: [0] },
    check: checkAfterDeath,
    spurious: 0,
    bounds: [2],
    mutants: [{ name: 'not beyond', id: MUTANT_NOT_BEYOND, why: "the batch is in nobody's deque" }],
  },
  {
    ...common,
    name: 'join-death',
    property: 'the thief of a fork may die anywhere: the join ends, with its outcome or with LOST or EXITED',
    setup: (world) => {
      const pool = openPool(world, 2);
      return {
        ...pool,
        slots: fillForks(world, pool.workers[1]!, 1),
        rescuer: addSubmitter(world, pool.pool),
      };
    },
    threads: [
      worker(0),
      {
        name: 'worker B',
        *run(thread) {
          const { call, fixture, state, id } = thread;
          yield* forks(thread, 1, 0);
          if ((yield call.takeBack(forksOf(fixture, 1), fixture.slots[0]!)) !== 0) state.ran[id]!.push(0);
          else yield* joins(thread, 1, 0);
        },
      },
      rescuer,
    ],
    kill: { threads: [0] },
    check(world, { slots }, { ran }, { finished, killed }) {
      if (!finished.includes(1)) return 'the join does not end';
      const status = statusOf(world, slots[0]!);
      const times = ran[1]!.length;
      if (times > 1) return 'the joiner ran the fork twice';
      if (times === 1) return ran[0]!.length === 0 || killed.length > 0 ? undefined : 'both ran the fork';
      return status === SLOT_DONE || status === SLOT_EXITED ? undefined : `the fork is left ${status}`;
    },
    spurious: 0,
    bounds: [3],
    mutants: [
      {
        name: 'notify the parked only',
        id: MUTANT_NOTIFY_PARKED_ONLY,
        why: 'the thief had written the token and not notified',
      },
      {
        name: 'announce before outcome',
        id: MUTANT_ANNOUNCE_BEFORE_OUTCOME,
        why: 'the joiner was told of nothing',
      },
    ],
  },
];

export const parkingModels: readonly KernelModel<Fixture, State>[] = [
  ...submissionModels,
  ...joinModels,
  ...deathModels,
];
