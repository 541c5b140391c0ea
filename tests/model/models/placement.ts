/**
 * Placed workers (assembly/placement.ts): nobody takes what it may not, and whoever may take something is woken for it.
 *
 * Worker i stands on a node of its own, whose queue has the number i + 1; `reach` says which queues it looks into, its own first. What is to hold at
 * the end: each task ran once at most, on a worker that may take it; one that did not run stands in a queue where it belongs, and all
 * who may take it are busy for ever.
 *
 * Why these programs suffice. parking.ts is modelled on its own; what placement adds is who counts as a searcher, a sleeper and a queue. Two workers that
 * share nothing show that each is seen apart. A worker that reaches two others, which do not reach each other, is all that "one searcher for several
 * queues" speaks of. Entries where they do not belong come from a recovery only; one is put there by hand, which is what recovery.ts does. Of a death
 * placement has two questions: who else may be woken for what the dead was to run, and into which queue goes what it held.
 */
import {
  AGENT_BATCH,
  BATCH_MOST,
  KIND_WORKER,
  LANE_DEQUES,
  META_PLACED_BIT,
  MUTANT_ANY_SEARCHER_WILL_DO,
  MUTANT_BATCHES_FROM_ANY_NODE,
  MUTANT_BOUNDED_LATE,
  MUTANT_HANDOFF_BY_THE_LAST,
  MUTANT_HANDOFF_TO_ONE,
  MUTANT_LOOKS_IF_THE_LAST,
  MUTANT_NO_WAKE_ALL,
  MUTANT_RESCUED_ANYWHERE,
  MUTANT_STEALS_BEYOND,
  MUTANT_STEALS_FROM_PLACED,
  MUTANT_TAKES_ANY,
  MUTANT_WAKE_ANY_NODE,
  OWNER_POOL,
  SLOT_DONE,
  SLOT_EXITED,
  SLOT_LINK,
  SLOT_META,
} from '../../../build/generated/layout.model.ts';
import type { Outcome } from '../explorer/types.ts';
import {
  type KernelModel,
  type KernelThread,
  type KernelWorld,
  MEMORY_BYTES,
  type Steps,
} from '../kernel.ts';
import {
  addSubmitter,
  describePool,
  fillForks,
  fillSlots,
  idOf,
  nearWrap,
  type Part,
  type Place,
  type Pool,
  putToSleep,
  statusOf,
  type WorkerOptions,
  work,
} from '../pool.ts';

interface Fixture extends Pool {
  readonly slots: readonly number[];
  /** Queue of each task; of a fork, that of its worker. */
  readonly queues: readonly number[];
  /** Queues that each worker looks into. */
  readonly reach: readonly (readonly number[])[];
  readonly rescuer: Place;
}

interface State {
  /** Tasks that each thread ran. */
  readonly ran: number[][];
  /** Workers that never come back. */
  readonly busy: Set<number>;
}

type Thread = KernelThread<Fixture, State>;
type Run = (thread: Thread) => Steps;

const state = (): State => ({ ran: [[], [], [], [], []], busy: new Set() });

interface Shape {
  readonly reach: readonly (readonly number[])[];
  /** Queues of the submitter's tasks. */
  readonly tasks: readonly number[];
  readonly batch?: number;
  /** Worker whose only fork comes after the tasks. */
  readonly forker?: number;
  /** The pool is placed while it runs: worker 0 is there and was not placed; the others come. */
  readonly moved?: boolean;
}

function open(world: KernelWorld, shape: Shape): Fixture {
  const { reach, tasks, batch = 1, forker, moved = false } = shape;
  const placed = moved ? 0 : reach.length;
  const { calls, u32 } = world;
  calls.initMemory(MEMORY_BYTES);
  const pool = calls.openPool(reach.length + 1);
  calls.noteClass(pool, 0);
  for (const [index, queues] of reach.entries())
    if (index < placed) for (const queue of queues) calls.addReach(pool, index + 1, queue, 0);
  for (let index = 0; index < placed; index++) calls.placeWorker(pool, index, index + 1, 0);
  const submitter = addSubmitter(world, pool);
  const workers = reach.map((_, index) => {
    const agent = calls.claimAgent(KIND_WORKER, 0);
    const isThere = !moved || index === 0;
    const lane = isThere ? nearWrap(world, calls.joinAsWorker(agent, pool, index)) : 0;
    // It waits for its start.
    if (!isThere) calls.preparePark(agent);
    const place = { agent, id: idOf(world, agent), lane };
    u32[(agent + AGENT_BATCH) >>> 2] = batch;
    return place;
  });
  const slots = fillSlots(world, submitter, tasks.length);
  for (const [i, slot] of slots.entries()) {
    u32[(slot + SLOT_META) >>> 2] = META_PLACED_BIT;
    u32[(slot + SLOT_LINK) >>> 2] = tasks[i]!;
  }
  const queues = [...tasks];
  if (forker !== undefined) {
    slots.push(...fillForks(world, workers[forker]!, 1));
    queues.push(forker + 1);
  }
  return { pool, submitter, workers, slots, queues, reach, rescuer: addSubmitter(world, pool) };
}

const setup =
  (shape: Shape) =>
  (world: KernelWorld): Fixture =>
    open(world, shape);

/** These workers sleep when the threads start. */
const asleep =
  (shape: Shape, ...sleepers: number[]) =>
  (world: KernelWorld): Fixture => {
    const fixture = open(world, shape);
    putToSleep(
      world,
      sleepers.map((index) => fixture.workers[index]!),
    );
    return fixture;
  };

function queued(world: KernelWorld, fixture: Fixture, ...tasks: number[]): Fixture {
  for (const task of tasks)
    world.calls.submit(fixture.pool, fixture.submitter.lane, 0, fixture.queues[task]!, fixture.slots[task]!);
  return fixture;
}

function submits(...tasks: number[]): Run {
  return function* run({ call, fixture }) {
    for (const task of tasks)
      yield call.submit(fixture.pool, fixture.submitter.lane, 0, fixture.queues[task]!, fixture.slots[task]!);
  };
}

function worker(index: number, options: WorkerOptions & { readonly endless?: readonly number[] } = {}) {
  const run = (thread: Thread): Steps =>
    work(
      thread.call,
      thread.fixture.workers[index]!,
      function* runTask(slot): Part<'done' | 'busy'> {
        const task = thread.fixture.slots.indexOf(slot);
        thread.state.ran[index]!.push(task);
        if (options.endless?.includes(task) === true) {
          thread.state.busy.add(index);
          return 'busy';
        }
        yield thread.call.finish(slot, SLOT_DONE);
        return 'done';
      },
      options,
    );
  return { name: `worker ${'ABC'[index]}`, run };
}

/** Worker B comes when A runs. */
function comer(endless: readonly number[] = []) {
  const { run } = worker(1, { endless });
  return {
    name: 'worker B',
    *run(thread: Thread): Steps {
      const { agent } = thread.fixture.workers[1]!;
      yield thread.call.block(agent, -1);
      yield thread.call.finishPark(agent);
      yield* run(thread);
    },
  };
}

/** The pool's own thread: places worker B by the other bank and starts it; what is in `first` was submitted before, the rest is after. */
function moves(first: readonly number[], rest: readonly number[]) {
  return {
    name: 'pool',
    *run(thread: Thread): Steps {
      const { call, fixture } = thread;
      yield* submits(...first)(thread);
      const { agent } = fixture.workers[1]!;
      yield call.clearBank(fixture.pool, 1);
      for (const queue of fixture.reach[1]!) yield call.addReach(fixture.pool, 2, queue, 1);
      yield* submits(...rest.slice(0, 1))(thread);
      yield call.placeWorker(fixture.pool, 1, 2, 1);
      yield call.joinAsWorker(agent, fixture.pool, 1);
      yield call.unpark(agent);
      yield* submits(...rest.slice(1))(thread);
    },
  };
}

/** Worker i is thread i. */
function check(
  world: KernelWorld,
  { pool, slots, queues, reach }: Fixture,
  { ran, busy }: State,
  _outcome: Outcome,
): string | undefined {
  let left = 0;
  for (const [task] of slots.entries()) {
    const queue = queues[task]!;
    const who = ran.flatMap((tasks, index) => tasks.filter((other) => other === task).map(() => index));
    if (who.length > 1) return `task ${task} ran ${who.length} times`;
    const [by] = who;
    if (by !== undefined && !reach[by]!.includes(queue))
      return `task ${task} of queue ${queue} ran on worker ${by}, who may not take it`;
    if (by !== undefined) continue;
    const idle = reach.findIndex((all, index) => all.includes(queue) && !busy.has(index));
    if (idle >= 0) return `task ${task} of queue ${queue} did not run, though worker ${idle} may take it`;
    left++;
  }
  const depth = world.calls.queueDepth(pool);
  if (depth < left) return `${left} tasks did not run, and ${depth} are queued`;
  return undefined;
}

/** As check(), where one worker may be dead: what it was running has exited. */
function checkAfterDeath(
  world: KernelWorld,
  fixture: Fixture,
  state: State,
  outcome: Outcome,
): string | undefined {
  const { slots, queues } = fixture;
  const { killed } = outcome;
  const exited = [...slots.keys()].filter((task) => statusOf(world, slots[task]!) === SLOT_EXITED);
  if (exited.length > 0 && killed.length === 0) return `task ${exited[0]} exited, and nobody died`;
  const isHere = (task: number): boolean => !exited.includes(task);
  const here = [...slots.keys()].filter(isHere);
  for (const task of exited) {
    const by = state.ran.findIndex((tasks, index) => !killed.includes(index) && tasks.includes(task));
    if (by >= 0) return `task ${task} exited, and worker ${by} ran it`;
  }
  const left = {
    ...fixture,
    slots: here.map((task) => slots[task]!),
    queues: here.map((task) => queues[task]!),
  };
  const ran = state.ran.map((tasks) => tasks.filter(isHere).map((task) => here.indexOf(task)));
  return check(world, left, { ran, busy: new Set([...state.busy, ...killed]) }, outcome);
}

/** The dead is recovered. */
const burial = {
  name: 'burial',
  onDeath: true,
  *run({ call, fixture, dead }: Thread): Steps {
    yield call.recover(fixture.workers[dead[0]!]!.agent, fixture.rescuer.lane);
  },
};

const common = {
  structure: 'placement',
  state,
  check,
  describe: (address: number, fixture: Fixture) => describePool(fixture, fixture.slots, address),
  rests: () => true,
};

/** Each its own node and the tasks of no node. */
const APART = [
  [1, 0],
  [2, 0],
];
/** A reaches all; B and C only themselves. */
const WIDE = [[1, 0, 2, 3], [2], [3]];

export const placementModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    name: 'placed-wake',
    property: 'a task wakes a worker that may take it',
    setup: asleep({ reach: APART, tasks: [2, 1] }, 0, 1),
    threads: [
      worker(0, { asleep: 'sleeping' }),
      worker(1, { asleep: 'sleeping' }),
      { name: 'submitter', run: submits(0, 1) },
    ],
    bounds: [2, 3],
    quick: true,
    mutants: [
      { name: 'wake any node', id: MUTANT_WAKE_ANY_NODE, why: 'A is woken for the task of B, who sleeps on' },
      {
        name: 'any searcher will do',
        id: MUTANT_ANY_SEARCHER_WILL_DO,
        why: 'A was woken for its task and counts as the searcher for that of B',
      },
    ],
  },
  {
    ...common,
    name: 'placed-sleep',
    property: 'a worker that goes to sleep meets every task that it may take',
    setup: setup({ reach: APART, tasks: [2, 1] }),
    threads: [worker(0), worker(1), { name: 'submitter', run: submits(0, 1) }],
    bounds: [2],
    mutants: [
      {
        name: 'looks if the last',
        id: MUTANT_LOOKS_IF_THE_LAST,
        why: 'the searcher that is left may not take what was queued meanwhile',
      },
    ],
  },
  {
    ...common,
    name: 'placed-handoff',
    property: 'a searcher that finds work wakes one for each queue that it leaves',
    setup: asleep({ reach: WIDE, tasks: [1, 2, 3] }, 1, 2),
    threads: [
      worker(0, { endless: [0, 1, 2] }),
      worker(1, { asleep: 'sleeping' }),
      worker(2, { asleep: 'sleeping' }),
      { name: 'submitter', run: submits(0, 1, 2) },
    ],
    bounds: [1, 2],
    mutants: [
      { name: 'handoff to one', id: MUTANT_HANDOFF_TO_ONE, why: 'B is woken and C sleeps on its task' },
    ],
  },
  {
    ...common,
    name: 'placed-handoff-nap',
    property: 'it does so also while another searches, who may not take all of it',
    setup: asleep({ reach: WIDE, tasks: [1, 3] }, 1, 2),
    threads: [
      worker(0, { endless: [0, 1] }),
      worker(1, { asleep: 'waking' }),
      worker(2, { asleep: 'sleeping' }),
      { name: 'submitter', run: submits(0, 1) },
    ],
    bounds: [1, 2],
    mutants: [
      {
        name: 'handoff by the last',
        id: MUTANT_HANDOFF_BY_THE_LAST,
        why: 'B searches too and may not take the task of C',
      },
    ],
  },
  {
    ...common,
    name: 'placed-batch',
    property: 'what a worker took at once stays within reach of who may take from it',
    // C may take from A, and from B neither directly nor by way of A.
    setup: (world) =>
      queued(
        world,
        open(world, { reach: [[1, 0, 2], [2], [3, 1]], tasks: [2, 2, 2], batch: BATCH_MOST }),
        0,
        1,
        2,
      ),
    threads: [
      worker(0, { endless: [0, 1, 2] }),
      {
        // Busy all the time.
        name: 'worker B',
        *run({ call, fixture }) {
          yield call.statusOf(fixture.slots[0]!);
        },
      },
      worker(2, { endless: [0, 1, 2] }),
    ],
    check(world, fixture, state, outcome) {
      state.busy.add(1);
      return check(world, fixture, state, outcome);
    },
    bounds: [2],
    quick: true,
    mutants: [
      {
        name: 'batches from any node',
        id: MUTANT_BATCHES_FROM_ANY_NODE,
        why: 'C meets a task of B in the deque of A, and it is lost',
      },
    ],
  },
  {
    ...common,
    name: 'placed-stale',
    property: 'an entry where its task does not belong is dropped',
    setup(world) {
      const fixture = queued(world, open(world, { reach: APART, tasks: [2] }), 0);
      // As recovery leaves it for the slot's last task, which was one of A's node.
      world.calls.push(world.calls.dequeOf(fixture.rescuer.lane, 0, 1), fixture.slots[0]!, OWNER_POOL);
      return fixture;
    },
    threads: [worker(0), worker(1)],
    bounds: [2, 3],
    quick: true,
    mutants: [{ name: 'takes any', id: MUTANT_TAKES_ANY, why: 'A runs a task of B' }],
  },
  {
    ...common,
    name: 'placed-forks',
    property: 'nobody steals from beyond its reach',
    setup: setup({ reach: [...APART, [3, 2]], tasks: [], forker: 1 }),
    threads: [
      worker(0),
      {
        name: 'worker B',
        *run({ call, fixture, state }) {
          yield call.fork(fixture.pool, fixture.workers[1]!.lane + LANE_DEQUES, fixture.slots[0]!);
          state.busy.add(1);
        },
      },
      worker(2),
    ],
    bounds: [2],
    mutants: [{ name: 'steals beyond', id: MUTANT_STEALS_BEYOND, why: 'A runs a fork of B' }],
  },
  {
    ...common,
    name: 'placed-moved',
    property: 'a worker that comes meets what it may take, beside one that was not placed',
    // A looks into the queue of no node.
    setup: setup({ reach: [[0], [2, 0]], tasks: [0, 2, 2], moved: true }),
    threads: [worker(0), comer(), moves([0], [1, 2])],
    bounds: [1, 2],
    quick: true,
    mutants: [
      {
        name: 'bounded late',
        id: MUTANT_BOUNDED_LATE,
        why: 'A sees that something is queued, and looks for ever where it may not take it',
      },
    ],
  },
  {
    ...common,
    name: 'placed-moved-theft',
    property: 'one that was not placed takes nothing from those who are',
    setup: setup({ reach: [[0], [2, 0]], tasks: [2, 2, 2], batch: BATCH_MOST, moved: true }),
    threads: [worker(0), comer([0, 1, 2]), moves([], [0, 1, 2])],
    bounds: [1, 2],
    quick: true,
    mutants: [{ name: 'steals from placed', id: MUTANT_STEALS_FROM_PLACED, why: 'A runs a task of B' }],
  },
  {
    ...common,
    name: 'placed-death',
    property: 'what a dead worker had queued goes on where it belongs',
    setup(world) {
      const fixture = queued(
        world,
        open(world, {
          reach: [
            [1, 0],
            [2, 0],
            [3, 2],
          ],
          tasks: [2, 2, 2],
          batch: BATCH_MOST,
        }),
        0,
        1,
        2,
      );
      // It has taken two, and runs the first when it dies.
      world.calls.take(fixture.workers[1]!.agent);
      return fixture;
    },
    threads: [
      worker(0),
      {
        name: 'burial of B',
        *run({ call, fixture, state }) {
          state.busy.add(1);
          state.ran[1]!.push(0);
          yield call.recover(fixture.workers[1]!.agent, fixture.rescuer.lane);
        },
      },
      worker(2),
    ],
    bounds: [1, 2],
    mutants: [
      {
        name: 'rescued anywhere',
        id: MUTANT_RESCUED_ANYWHERE,
        why: 'A meets a task of B where everybody looks, and it is lost',
      },
    ],
  },
  {
    ...common,
    name: 'placed-death-woken',
    property: 'a worker that was woken for a task may die at any step: another that may take it runs it',
    // B reaches the node of A.
    setup: asleep({ reach: [[1], [2, 1]], tasks: [1] }, 0, 1),
    threads: [
      worker(0, { asleep: 'sleeping' }),
      worker(1, { asleep: 'sleeping' }),
      { name: 'submitter', run: submits(0) },
      burial,
    ],
    kill: { threads: [0] },
    check: checkAfterDeath,
    bounds: [2],
    mutants: [{ name: 'no wake all', id: MUTANT_NO_WAKE_ALL, why: 'the dead has swallowed the wake-up' }],
  },
  {
    ...common,
    name: 'placed-death-taking',
    property:
      'a worker may die at any step of taking, running and going to sleep: what is left stays in its queue',
    setup: (world) =>
      queued(world, open(world, { reach: APART, tasks: [2, 2, 2], batch: BATCH_MOST }), 0, 1, 2),
    threads: [worker(0), worker(1), burial],
    kill: { threads: [1] },
    check: checkAfterDeath,
    bounds: [1, 2],
    quick: 0,
    mutants: [
      {
        name: 'rescued anywhere',
        id: MUTANT_RESCUED_ANYWHERE,
        why: 'A meets a task of B where everybody looks, and it is lost',
      },
    ],
  },
];
