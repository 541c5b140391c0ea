/**
 * How workers and pools end (assembly/agents.ts, stopSearch() in assembly/scheduler.ts; ts/pool/crew.ts, ts/pool/task-pool.ts), against what goes on
 * meanwhile: a submitter that wakes the very worker that leaves, tasks in the deque of one that leaves, and records that are
 * given out again.
 *
 *     main    submit ----------- (exit event) recover, reap, closePool, openPool, join again
 *     leaver  woken ... stopSearch ... gone
 *     other   parked ... woken ... takes
 *
 * Only the main thread makes and unmakes pools, so a pool that closes meets a late worker, or nobody; but the records are claimed with a CAS, and
 * the model lets two threads claim them. Why these programs suffice: a leaver matters to others by three things, its bit as a searcher, the
 * entries of its deque, and the records that it still uses; each program is one of them. The first two end in the recovery of the leaver, so one of
 * them has it die on the way too.
 */
import {
  AGENT_ID,
  KIND_WORKER,
  MUTANT_CLAIM_AGENT_WITHOUT_CAS,
  MUTANT_CLOSE_EARLY,
  MUTANT_CLOSE_FREES_FIRST,
  MUTANT_KEEPS_SEARCHING,
  MUTANT_LANE_KEEPS_ENTRIES,
  MUTANT_LEAVER_FORGOTTEN,
  MUTANT_NO_DRAIN,
  MUTANT_NO_WAKE_ALL,
  MUTANT_OPEN_KEEPS_WORDS,
  MUTANT_OPEN_POOL_WITHOUT_CAS,
  MUTANT_STOP_SEARCH_SILENT,
  OWNER_POOL,
  POOL_ID,
  POOL_IDLE,
  POOL_SEARCHING,
  POOL_SUBMITTER_HIGH,
  POOL_SUBMITTER_LANES,
  POOL_WORKER_LANES,
  SPAN_SIZE,
  SPAN_TABLE,
} from '../../../build/generated/layout.model.ts';
import {
  type KernelModel,
  type KernelThread,
  type KernelWorld,
  MEMORY_BYTES,
  type Steps,
} from '../kernel.ts';
import {
  bury,
  describePool,
  drain,
  execute,
  makePool,
  type Pool,
  type PoolNotes,
  poolNotes,
  settle,
  submit,
  work,
} from '../mortal-pool.ts';

const ALL = Number.POSITIVE_INFINITY;

const common = { structure: 'scale-down and shutdown', state: poolNotes, describe: describePool };

/** Words of the models themselves, in the scratch memory: a worker is gone; a worker is told to stop. */
const EXITED = 0;
const STOP = 64;

type ModelThread = KernelModel<Pool, PoolNotes>['threads'][number];

/** Two workers that sleep, and no task. */
function twoAsleep(world: KernelWorld): Pool {
  const fixture = makePool(world, { workers: 2, tasks: 0 });
  for (const { agent } of fixture.workers) {
    world.calls.enterIdle(agent, 0);
    world.calls.preparePark(agent);
  }
  return fixture;
}

const leaver: ModelThread = {
  name: 'leaver',
  *run({ call, fixture }) {
    const { agent } = fixture.workers[0]!;
    // A message tells it to stop; it may be woken as well.
    yield call.finishPark(agent);
    yield call.exitIdle(agent);
    yield call.stopSearch(agent);
  },
};

const other: ModelThread = {
  name: 'other',
  *run(thread) {
    const { call, fixture } = thread;
    const { agent } = fixture.workers[1]!;
    yield call.block(agent, -1);
    yield call.finishPark(agent);
    yield call.exitIdle(agent);
    yield* work(thread);
  },
};

const poolModels: readonly KernelModel<Pool, PoolNotes>[] = [
  {
    ...common,
    name: 'leave-woken',
    property: 'a worker that leaves while a task wakes it hands the wake-up on; before its end is noticed',
    setup: twoAsleep,
    threads: [
      leaver,
      other,
      {
        name: 'main',
        *run(thread) {
          yield* submit(thread, 0);
        },
      },
    ],
    rests: (_waiting, { calls }, { pool }) => calls.anyQueued(pool) === 0,
    check: (world, fixture, notes) => settle(world, { ...fixture, tasks: 1 }, notes, []),
    bounds: [2, 3],
    quick: true,
    mutants: [
      {
        name: 'stop search silent',
        id: MUTANT_STOP_SEARCH_SILENT,
        why: 'the submitter saw a searcher, who leaves',
      },
    ],
  },
  {
    ...common,
    name: 'leave-woken-death',
    property: 'a worker that leaves while a task wakes it may die at any step: no task waits for it',
    setup: twoAsleep,
    threads: [
      leaver,
      other,
      {
        name: 'main',
        *run(thread) {
          const { call, world } = thread;
          yield* submit(thread, 0);
          yield call.wait32(world.scratch + EXITED, 0, -1n);
          yield* bury(thread, 0);
          yield* submit(thread, 1);
        },
      },
      {
        name: 'exit event',
        onDeath: true,
        *run({ call, world }) {
          yield call.store32(world.scratch + EXITED, 1);
          yield call.notifyAll(world.scratch + EXITED);
        },
      },
    ],
    kill: { threads: [0] },
    rests: (_waiting, { calls }, { pool }) => calls.anyQueued(pool) === 0,
    check: (world, fixture, notes, { killed }) =>
      settle(world, { ...fixture, tasks: notes.buried.length > 0 ? 2 : 1 }, notes, killed),
    bounds: [2],
    mutants: [
      { name: 'no wake all', id: MUTANT_NO_WAKE_ALL, why: 'the dead has swallowed the wake-up' },
      { name: 'keeps searching', id: MUTANT_KEEPS_SEARCHING, why: 'the dead passes for a searcher' },
    ],
  },
  {
    ...common,
    name: 'leave-with-batch',
    property:
      'what a worker that leaves had taken in a batch runs elsewhere, and what is submitted meanwhile too',
    setup: (world) => makePool(world, { workers: 1, tasks: 3, batch: 3 }),
    threads: [
      {
        name: 'leaver',
        *run(thread) {
          const { call, fixture, world } = thread;
          const { agent } = fixture.workers[0]!;
          yield call.startSearch(agent);
          const slot: number = yield call.take(agent);
          if (slot !== 0) yield* execute(thread, slot);
          yield call.stopSearch(agent);
          yield call.store32(world.scratch + EXITED, 1);
          yield call.notifyAll(world.scratch + EXITED);
        },
      },
      {
        name: 'main',
        *run(thread) {
          const { call, world } = thread;
          yield* submit(thread, 3);
          yield* drain(thread);
          yield call.wait32(world.scratch + EXITED, 0, -1n);
          const forgets: number = yield call.isMutant(MUTANT_LEAVER_FORGOTTEN);
          if (forgets === 0) yield* bury(thread, 0);
          else thread.state.buried.push(0);
        },
      },
    ],
    check(world, fixture, notes) {
      const left = settleEnd(world, fixture);
      return left ?? settle(world, { ...fixture, tasks: 4 }, notes, [0]);
    },
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'leaver forgotten',
        id: MUTANT_LEAVER_FORGOTTEN,
        why: 'the rest of its batch stays in a deque whose owner is gone',
      },
      { name: 'no drain', id: MUTANT_NO_DRAIN, why: 'as above, although the leaver was recovered' },
    ],
  },
  {
    ...common,
    name: 'close-and-reuse',
    property:
      'a pool whose record and lanes are used again knows nothing of the last one: no bit, no entry, no outcome; a task of that ran and came home, or neither',
    setup: (world) => makePool(world, { workers: 1, tasks: 1 }),
    threads: [
      {
        name: 'worker',
        *run(thread) {
          const { call, fixture, world } = thread;
          const { agent } = fixture.workers[0]!;
          while (true) {
            const stop: number = yield call.load32(world.scratch + STOP);
            if (stop !== 0) break;
            const slot: number = yield call.take(agent);
            if (slot !== 0) {
              yield* execute(thread, slot);
              continue;
            }
            const again: number = yield call.enterIdle(agent, 0);
            if (again !== 0) continue;
            const mayPark: number = yield call.preparePark(agent);
            if (mayPark !== 0) yield call.block(agent, -1);
            yield call.finishPark(agent);
            yield call.exitIdle(agent);
          }
          yield call.stopSearch(agent);
          yield call.store32(world.scratch + EXITED, 1);
          yield call.notifyAll(world.scratch + EXITED);
        },
      },
      {
        name: 'main',
        *run(thread) {
          const { call, fixture, world } = thread;
          const { agent } = fixture.workers[0]!;
          yield* submit(thread, 1);
          yield call.store32(world.scratch + STOP, 1);
          // What comes now runs if the worker has not looked yet.
          yield* submit(thread, 2);
          yield call.unpark(agent);
          const isEarly: number = yield call.isMutant(MUTANT_CLOSE_EARLY);
          if (isEarly === 0) yield call.wait32(world.scratch + EXITED, 0, -1n);
          yield call.recover(agent, 0);
          yield* drain(thread);
          yield call.reap(agent);
          yield call.closePool(fixture.pool);
          const pool: number = yield call.openPool(1);
          if (pool !== fixture.pool) thread.state.wrong.push('the pool came to another place');
          const lane: number = yield call.joinAsSubmitter(fixture.main, pool);
          const next: number = yield call.claimAgent(KIND_WORKER, 0);
          const own: number = yield call.joinAsWorker(next, pool, 0);
          if (lane === own) thread.state.wrong.push('one lane for two');
        },
      },
    ],
    check({ calls, u32 }, { pool, slots }, { wrong, ran, home }) {
      if (wrong.length > 0) return wrong.join('; ');
      for (const [set, name] of [
        [POOL_IDLE, 'idle'],
        [POOL_SEARCHING, 'searching'],
      ] as const)
        if (u32[(pool + set) >>> 2] !== 0) return `the new pool has a worker in its ${name} set`;
      if (calls.anyQueued(pool) !== 0) return 'the new pool has tasks';
      if (u32[(pool + POOL_SUBMITTER_HIGH) >>> 2] !== 1) return 'the new pool knows the last submitter';
      for (const lanes of [POOL_SUBMITTER_LANES, POOL_WORKER_LANES]) {
        const owner = u32[(SPAN_TABLE >>> 2) + u32[(pool + lanes) >>> 2]! / SPAN_SIZE]!;
        if (owner !== OWNER_POOL + u32[(pool + POOL_ID) >>> 2]!)
          return `a lane of the new pool belongs to ${owner}`;
      }
      for (const [task, slot] of slots.slice(0, 3).entries()) {
        const runs = ran.flat().filter((known) => known === slot).length;
        const came = home.filter(([known]) => known === slot).length;
        if (runs > 1) return `task ${task} ran twice`;
        if (came !== runs) return `task ${task} ran ${runs} times, and came home ${came} times`;
      }
      return undefined;
    },
    bounds: [2, 3],
    mutants: [
      {
        name: 'close early',
        id: MUTANT_CLOSE_EARLY,
        why: 'its last worker loses its wake-up with its record',
      },
      {
        name: 'open keeps words',
        id: MUTANT_OPEN_KEEPS_WORDS,
        why: 'its lanes are those of the last one, and free memory',
      },
      { name: 'lane keeps entries', id: MUTANT_LANE_KEEPS_ENTRIES, why: 'tasks of the last pool are queued' },
    ],
  },
];

/** Nothing may be left in the deques of the worker that is gone. */
function settleEnd(
  { calls, u32 }: Parameters<NonNullable<(typeof poolModels)[0]['check']>>[0],
  fixture: Pool,
): string | undefined {
  const { lane } = fixture.workers[0]!;
  for (const which of [0, 1]) {
    const deque = calls.dequeOf(lane, 0, which);
    if (u32[deque >>> 2] !== u32[(deque + 64) >>> 2]) return 'a deque whose owner is gone has entries';
  }
  return undefined;
}

// ---- records ---------------------------------------------------------------------------------------------------------------------------

interface Records {
  readonly main: number;
}

interface Got {
  readonly agents: number[][];
  readonly pools: number[][];
  /** Lanes by pool, of the pools that are open at the end. */
  readonly lanes: (readonly [lane: number, pool: number])[][];
}

type RecordThread = KernelThread<Records, Got>;

/** Opens a pool and joins it. */
function* open({ call, state, id }: RecordThread): Steps {
  const agent: number = yield call.claimAgent(KIND_WORKER, 0);
  if (agent === 0) return;
  state.agents[id]!.push(agent);
  const pool: number = yield call.openPool(1);
  if (pool === 0) return;
  state.pools[id]!.push(pool);
  const lane: number = yield call.joinAsWorker(agent, pool, 0);
  if (lane !== 0) state.lanes[id]!.push([lane, pool]);
}

function* close({ call, state, id }: RecordThread): Steps {
  const pool = state.pools[id]!.pop();
  if (pool === undefined) return;
  state.lanes[id]!.pop();
  yield call.closePool(pool);
}

const recordModels: readonly KernelModel<Records, Got>[] = [
  {
    name: 'records',
    structure: 'scale-down and shutdown',
    property: 'no agent, pool or lane is given out twice while pools are opened and closed',
    setup({ calls, u32 }) {
      calls.initMemory(MEMORY_BYTES);
      // One pool is open already, so that the two threads meet in the other record.
      calls.openPool(1);
      return { main: u32[(calls.claimAgent(KIND_WORKER, 0) + AGENT_ID) >>> 2]! };
    },
    state: () => ({ agents: [[], []], pools: [[], []], lanes: [[], []] }),
    threads: [
      {
        name: 'A',
        *run(thread) {
          yield* open(thread);
          yield* close(thread);
        },
      },
      {
        name: 'B',
        *run(thread) {
          yield* open(thread);
        },
      },
    ],
    check({ u32 }, _fixture, { agents, pools, lanes }) {
      for (const [what, lists] of [
        ['agent', agents],
        ['pool', pools],
      ] as const) {
        const all = lists.flat();
        if (new Set(all).size !== all.length) return `one ${what} for two`;
      }
      for (const [lane, pool] of lanes.flat()) {
        const owner = u32[(SPAN_TABLE >>> 2) + lane / SPAN_SIZE]!;
        const id = u32[(pool + 4) >>> 2]!;
        if (owner !== OWNER_POOL + id) return `the lane of open pool ${id} belongs to ${owner}`;
      }
      return undefined;
    },
    bounds: [3],
    quick: 2,
    mutants: [
      {
        name: 'claim agent without CAS',
        id: MUTANT_CLAIM_AGENT_WITHOUT_CAS,
        why: 'two take the same record',
      },
      { name: 'open pool without CAS', id: MUTANT_OPEN_POOL_WITHOUT_CAS, why: 'two take the same record' },
      {
        name: 'close frees first',
        id: MUTANT_CLOSE_FREES_FIRST,
        why: 'the next pool of that number loses its lanes',
      },
    ],
  },
];

export const shutdownModels: readonly (KernelModel<Pool, PoolNotes> | KernelModel<Records, Got>)[] = [
  ...poolModels,
  ...recordModels,
];
