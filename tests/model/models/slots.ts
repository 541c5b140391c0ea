/**
 * States of a slot (assembly/slots.ts): who may move it from where, when several want to.
 *
 *   submitter     cancel: load state, CAS QUEUED -> CANCELLED, or write the cancel word of a running task and unpark its worker
 *   worker        take: steal, CAS QUEUED -> RUNNING(agent), or CAS CANCELLED -> DROPPED and send it home; finish: store DONE
 *   joiner        fork, takeBack (pop, no claim) or wait until concluded; then the slot stands for its next task
 *
 * Why these programs suffice: each move is one CAS or a store by the only one who may, so what can go wrong is two who want to move at once, or one
 * who comes late and meets the slot's next task. Programs have one slot, in one queue or (as recovery may leave it) in two; the second task of
 * the slot is the latest that a late one can meet, because a claim looks at the state word twice.
 */
import {
  CANCEL_ABORTED,
  CANCEL_TOO_LATE,
  CANCEL_WAS_QUEUED,
  CANCEL_WAS_RUNNING,
  LANE_COMPLETED,
  LANE_DEQUES,
  MUTANT_CANCEL_BY_STORE,
  MUTANT_CLAIM_BY_STORE,
  MUTANT_CLAIM_FOR_ANY_POOL,
  MUTANT_DROP_BY_STORE,
  MUTANT_HELD_FORGOTTEN,
  MUTANT_JOINER_CLAIMS,
  MUTANT_LOST_BY_STORE,
  MUTANT_NO_GENERATION,
  MUTANT_NOT_LOST,
  MUTANT_READ_AFTER_OUTCOME,
  MUTANT_REUSE_LOST,
  MUTANT_TAKE_BACK_UNSEEN,
  MUTANT_UNPARK_BEFORE_CANCEL,
  MUTANT_UNPARK_NOTIFIES_FIRST,
  OWNER_POOL,
  SLOT_CANCEL,
  SLOT_DONE,
  SLOT_DROPPED,
  SLOT_EXITED,
  SLOT_FAILED,
  SLOT_LINK,
  SLOT_META,
  SLOT_OWNER,
  SLOT_QUEUED,
  SLOT_QUEUED_AT,
} from '../../../build/generated/layout.model.ts';
import type { KernelModel, KernelThread, KernelWorld, Steps } from '../kernel.ts';
import {
  addPool,
  addSubmitter,
  describePool,
  drain,
  fillForks,
  fillSlots,
  helpUntilConcluded,
  openPool,
  type Part,
  type Place,
  type Pool,
  statusOf,
} from '../pool.ts';

interface Fixture extends Pool {
  readonly slot: number;
  /** A second pool of the same threads. */
  readonly other?: Pool;
  readonly rescuer?: Place;
}

interface State {
  /** Tasks that each thread ran, by the number in SLOT_QUEUED_AT, or 0. */
  readonly ran: number[][];
  /** What cancel() said. */
  answer: number;
}

type Thread = KernelThread<Fixture, State>;

const state = (): State => ({ ran: [[], [], [], []], answer: -1 });
const describe = (address: number, fixture: Fixture): string | undefined =>
  describePool(fixture, [fixture.slot], address);
const common = { structure: 'slots', state, describe };
const ALL = Number.POSITIVE_INFINITY;

/** One task, queued in the lanes of `entries` submitters. */
function queued(workers: number, entries: number): (world: KernelWorld) => Fixture {
  return (world) => {
    const pool = openPool(world, workers);
    const slot = fillSlots(world, pool.submitter, 1)[0]!;
    world.calls.submit(pool.pool, pool.submitter.lane, 0, 0, slot);
    for (let i = 1; i < entries; i++)
      world.calls.push(addSubmitter(world, pool.pool).lane + LANE_DEQUES, slot, OWNER_POOL);
    return { ...pool, slot };
  };
}

/** Worker `index` looks once, and runs what it gets. */
function* lookOnce({ call, fixture, state, id }: Thread, { agent }: Place): Part<void> {
  const slot: number = yield call.take(agent);
  if (slot === 0) return;
  state.ran[id]!.push(yield call.load32(slot + SLOT_QUEUED_AT));
  yield call.finish(slot, SLOT_DONE);
}

const worker = (index: number) => ({
  name: `worker ${'AB'[index]}`,
  *run(thread: Thread): Steps {
    yield* lookOnce(thread, thread.fixture.workers[index]!);
  },
});

const canceller = {
  name: 'submitter',
  *run({ call, fixture, state }: Thread): Steps {
    state.answer = yield call.cancel(fixture.slot, CANCEL_ABORTED);
  },
};

/** How often the slot came home. */
function homecomings({ u32 }: KernelWorld, { submitter, slot }: Fixture): number {
  let count = 0;
  for (let at = u32[(submitter.lane + LANE_COMPLETED) >>> 2]!; at === slot && count < 3; count++)
    at = u32[(at + SLOT_LINK) >>> 2]!;
  return count;
}

/** The task was run once or dropped, and cancel() has said so. */
function checkCancel(world: KernelWorld, fixture: Fixture, { ran, answer }: State): string | undefined {
  const times = ran.flat().length;
  const status = statusOf(world, fixture.slot);
  if (times > 1) return 'the task ran twice';
  if (homecomings(world, fixture) !== 1) return `the task came home ${homecomings(world, fixture)} times`;
  if (status !== (times === 1 ? SLOT_DONE : SLOT_DROPPED))
    return `it ran ${times} times and is left ${status}`;
  if (answer === CANCEL_WAS_QUEUED && times !== 0) return 'cancelled before it ran, and it ran';
  if ((answer === CANCEL_WAS_RUNNING || answer === CANCEL_TOO_LATE) && times !== 1)
    return 'too late, and it did not run';
  const word = world.u32[(fixture.slot + SLOT_CANCEL) >>> 2]!;
  if ((word !== 0) !== (answer === CANCEL_WAS_RUNNING))
    return `the answer was ${answer}, the cancel word is ${word}`;
  return undefined;
}

/** A fork that the slot stands for from now on: `task`, 1 or 2. */
function* forkTask({ call, fixture }: Thread, task: number): Part<void> {
  const { pool, workers, slot } = fixture;
  yield call.store32(slot + SLOT_QUEUED_AT, task);
  yield call.fork(pool, workers[0]!.lane + LANE_DEQUES, slot);
}

/** Takes it back and runs it, or joins it. Says whether the slot may be used again. */
function* joinTask(thread: Thread, task: number): Part<boolean> {
  const { call, fixture, state, id, world } = thread;
  const { workers, slot, pool } = fixture;
  const ran = state.ran[id]!;
  if ((yield call.takeBack(workers[0]!.lane + LANE_DEQUES, slot)) !== 0) {
    ran.push(task);
    return true;
  }
  if (
    world.calls.mutant(MUTANT_JOINER_CLAIMS) !== 0 &&
    (yield call.claim(slot, workers[0]!.id, pool)) !== 0
  ) {
    ran.push(task);
    yield call.finish(slot, SLOT_DONE);
    return true;
  }
  const how = yield* helpUntilConcluded(thread, workers[0]!, slot, function* none() {});
  if (how !== 'concluded') ran.push(task);
  return how !== 'lost' || world.calls.mutant(MUTANT_REUSE_LOST) !== 0;
}

/** A worker with one slot for its forks. */
function forkSetup(workers: number): (world: KernelWorld) => Fixture {
  return (world) => {
    const pool = openPool(world, workers);
    return {
      ...pool,
      slot: fillForks(world, pool.workers[0]!, 1)[0]!,
      rescuer: addSubmitter(world, pool.pool),
    };
  };
}

function checkForks(_world: KernelWorld, _fixture: Fixture, { ran }: State): string | undefined {
  const all = ran.flat().sort();
  return all.join() === '1,2' ? undefined : `forks 1 and 2 ran: ${all.join(' ')}`;
}

export const slotModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    name: 'slot-cancel',
    property: 'cancel against start against finish: one outcome, and cancel() says which',
    setup: queued(1, 1),
    threads: [worker(0), canceller],
    check(world, fixture, state) {
      if (state.ran.flat().length === 0 && statusOf(world, fixture.slot) !== SLOT_DROPPED)
        return 'nobody has it';
      return checkCancel(world, fixture, state);
    },
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'claim by store', id: MUTANT_CLAIM_BY_STORE, why: 'a cancelled task runs' },
      { name: 'cancel by store', id: MUTANT_CANCEL_BY_STORE, why: 'a running task is dropped' },
    ],
  },
  {
    ...common,
    name: 'slot-two-entries',
    property: 'a slot in two queues, as recovery may leave it, has one outcome, cancelled or not',
    setup: queued(2, 2),
    threads: [worker(0), worker(1), canceller],
    check: checkCancel,
    bounds: [2, ALL],
    quick: true,
    mutants: [
      { name: 'claim by store', id: MUTANT_CLAIM_BY_STORE, why: 'two workers run it' },
      { name: 'drop by store', id: MUTANT_DROP_BY_STORE, why: 'two workers send it home' },
    ],
  },
  {
    ...common,
    name: 'slot-cancel-running',
    property: 'the worker of a running async task that is cancelled does not sleep on it',
    setup(world) {
      const fixture = queued(1, 1)(world);
      world.calls.take(fixture.workers[0]!.agent);
      return fixture;
    },
    threads: [
      {
        name: 'worker A',
        *run({ call, fixture }) {
          const { agent } = fixture.workers[0]!;
          while (((yield call.load32(fixture.slot + SLOT_CANCEL)) as number) === 0) {
            if ((yield call.preparePark(agent)) !== 0) {
              // The park is announced: who cancels from now on unparks us.
              if (((yield call.load32(fixture.slot + SLOT_CANCEL)) as number) === 0)
                yield call.block(agent, -1);
            }
            yield call.finishPark(agent);
          }
          yield call.finish(fixture.slot, SLOT_FAILED);
        },
      },
      {
        name: 'submitter',
        *run({ call, fixture, state, world }) {
          const { agent } = fixture.workers[0]!;
          if (world.calls.mutant(MUTANT_UNPARK_BEFORE_CANCEL) !== 0) yield call.unpark(agent);
          state.answer = yield call.cancel(fixture.slot, CANCEL_ABORTED);
          if (world.calls.mutant(MUTANT_UNPARK_BEFORE_CANCEL) === 0 && state.answer === CANCEL_WAS_RUNNING)
            yield call.unpark(agent);
        },
      },
    ],
    check: (world, fixture) =>
      statusOf(world, fixture.slot) === SLOT_FAILED ? undefined : 'the task was not told',
    spurious: 1,
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'wake before the word',
        id: MUTANT_UNPARK_BEFORE_CANCEL,
        why: 'the worker wakes, sees nothing, and sleeps again',
      },
      {
        name: 'notify before the token',
        id: MUTANT_UNPARK_NOTIFIES_FIRST,
        why: 'the worker was not asleep yet, and finds no token',
      },
    ],
  },
  {
    ...common,
    name: 'slot-generations',
    property: 'who met a slot late does not claim its next task for the wrong pool',
    setup(world) {
      const fixture = queued(2, 2)(world);
      return { ...fixture, other: addPool(world, 1) };
    },
    threads: [
      worker(0),
      {
        // Runs the first task; its submitter uses the slot again, in another pool.
        name: 'others',
        *run(thread) {
          const { call, fixture } = thread;
          const { slot, other } = fixture;
          yield* lookOnce(thread, fixture.workers[1]!);
          if ((yield* drain(call, fixture.submitter)).length === 0) return;
          yield call.store32(slot + SLOT_OWNER, other!.submitter.lane);
          yield call.store32(slot + SLOT_QUEUED_AT, 2);
          yield call.submit(other!.pool, other!.submitter.lane, 0, 0, slot);
        },
      },
    ],
    check(world, { slot }, { ran }) {
      if (ran[0]!.includes(2)) return 'a worker of the first pool runs a task of the second';
      const isAgain = statusOf(world, slot) === SLOT_QUEUED;
      const all = ran.flat();
      return all.length === 1 && (isAgain || statusOf(world, slot) === SLOT_DONE)
        ? undefined
        : `ran ${all.join(' ')}, state ${statusOf(world, slot)}`;
    },
    bounds: [3, ALL],
    quick: true,
    mutants: [
      { name: 'no generation', id: MUTANT_NO_GENERATION, why: 'the CAS of a late claim fits the next task' },
      {
        name: 'claim for any pool',
        id: MUTANT_CLAIM_FOR_ANY_POOL,
        why: 'the old entry leads to the next task',
      },
    ],
  },
  {
    ...common,
    name: 'slot-take-back',
    property: 'a fork is run by its owner or by its thief, and so is the next one on the same slot',
    setup: forkSetup(2),
    threads: [
      {
        name: 'worker A',
        *run(thread) {
          for (const task of [1, 2]) {
            yield* forkTask(thread, task);
            yield* joinTask(thread, task);
          }
        },
      },
      worker(1),
    ],
    check: checkForks,
    spurious: 1,
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'joiner claims',
        id: MUTANT_JOINER_CLAIMS,
        why: 'the slow thief claims the next fork, which its owner pops',
      },
      { name: 'take back unseen', id: MUTANT_TAKE_BACK_UNSEEN, why: 'a thief has the fork' },
    ],
  },
  {
    ...common,
    name: 'slot-used-again',
    property: 'who concludes a fork does not send home what its slot stands for next',
    setup(world) {
      const fixture = forkSetup(2)(world);
      const { workers, slot, pool } = fixture;
      world.calls.markForked(slot);
      world.calls.claim(slot, workers[1]!.id, pool);
      return fixture;
    },
    threads: [
      {
        // The fork is concluded; its slot stands for a call to the pool next.
        name: 'worker A',
        *run(thread) {
          const { call, fixture } = thread;
          const { slot, rescuer } = fixture;
          yield* joinTask(thread, 1);
          yield call.store32(slot + SLOT_OWNER, rescuer!.lane);
          yield call.store32(slot + SLOT_META, 0);
          yield call.markQueued(slot);
        },
      },
      {
        name: 'worker B',
        *run({ call, fixture }) {
          yield call.finish(fixture.slot, SLOT_DONE);
        },
      },
    ],
    check: ({ u32 }, { rescuer }) =>
      u32[(rescuer!.lane + LANE_COMPLETED) >>> 2] === 0 ? undefined : 'a queued task came home',
    spurious: 1,
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'read after outcome',
        id: MUTANT_READ_AFTER_OUTCOME,
        why: 'the slot stands for another task by then',
      },
    ],
  },
  {
    ...common,
    name: 'slot-take-back-death',
    property: 'the thief may die anywhere: each fork is run once by the living, or has exited',
    setup: forkSetup(2),
    threads: [
      {
        name: 'worker A',
        *run(thread) {
          for (const task of [1, 2]) {
            yield* forkTask(thread, task);
            if (!(yield* joinTask(thread, task))) return;
          }
        },
      },
      worker(1),
      {
        name: 'rescuer',
        onDeath: true,
        *run({ call, fixture }) {
          yield call.recover(fixture.workers[1]!.agent, fixture.rescuer!.lane);
        },
      },
    ],
    kill: { threads: [1] },
    check(world, { slot }, { ran }, { finished, killed }) {
      if (!finished.includes(0)) return 'the join does not end';
      const living = [...ran[0]!, ...(killed.length === 0 ? ran[1]! : [])];
      if (new Set(living).size !== living.length) return `forks ran: ${living.join(' ')}`;
      const status = statusOf(world, slot);
      return status === SLOT_EXITED && killed.length === 0 ? 'a fork has exited, and nobody died' : undefined;
    },
    bounds: [3],
    quick: 1,
    mutants: [
      { name: 'joiner claims', id: MUTANT_JOINER_CLAIMS, why: 'the slow thief claims the next fork' },
      { name: 'not lost', id: MUTANT_NOT_LOST, why: 'the fork is in no queue, and its joiner waits' },
      { name: 'held forgotten', id: MUTANT_HELD_FORGOTTEN, why: 'dead between the CAS and the claim' },
    ],
  },
  {
    ...common,
    name: 'slot-lost',
    property: 'a fork that a dead thief may have held is run once, although another thief holds it still',
    setup(world) {
      const fixture = forkSetup(3)(world);
      world.u32[(fixture.slot + SLOT_QUEUED_AT) >>> 2] = 1;
      world.calls.fork(fixture.pool, fixture.workers[0]!.lane + LANE_DEQUES, fixture.slot);
      return fixture;
    },
    threads: [
      {
        name: 'worker A',
        *run(thread) {
          if (!(yield* joinTask(thread, 1))) return;
          yield* forkTask(thread, 2);
          yield* joinTask(thread, 2);
        },
      },
      worker(1),
      {
        name: 'worker C',
        *run(thread) {
          yield* lookOnce(thread, thread.fixture.workers[2]!);
        },
      },
      {
        name: 'rescuer',
        onDeath: true,
        *run({ call, fixture }) {
          yield call.recover(fixture.workers[2]!.agent, fixture.rescuer!.lane);
        },
      },
    ],
    kill: { threads: [2] },
    check(_world, _fixture, { ran }, { finished, killed }) {
      if (!finished.includes(0)) return 'the join does not end';
      const living = [...ran[0]!, ...ran[1]!, ...(killed.length === 0 ? ran[2]! : [])];
      return new Set(living).size === living.length ? undefined : `forks ran: ${living.join(' ')}`;
    },
    bounds: [2],
    mutants: [
      {
        name: 'reuse lost',
        id: MUTANT_REUSE_LOST,
        why: 'the other thief claims the next fork, which its owner pops',
      },
      {
        name: 'lost by store',
        id: MUTANT_LOST_BY_STORE,
        why: 'the other thief claims it meanwhile, and the joiner runs it too',
      },
    ],
  },
];
