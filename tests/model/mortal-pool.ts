/**
 * A pool whose workers may die, as models use it: one submitter, workers, tasks that are queued before the threads start; and what each of them
 * does, written down after ts/pool and ts/worker, each access of TypeScript included.
 *
 * Thread i of a model is worker i, for as many as there are workers; further threads are the submitter, who also buries the dead.
 */
import {
  AGENT_BATCH,
  AGENT_DOORBELL,
  AGENT_HELD,
  AGENT_ID,
  AGENT_PARK,
  AGENT_RETURNS,
  AGENT_SLOT_SPANS,
  AGENT_STATE,
  AGENT_TICK,
  BATCH_MOST,
  DEQUE_BOTTOM,
  DEQUE_BUFFER,
  DEQUE_SIZE,
  DEQUE_TOP,
  HEADER_FIRST_SPAN,
  HEADER_SPAN_COUNT,
  KIND_SUBMITTER,
  KIND_WORKER,
  LANE_COMPLETED,
  LANE_DEQUES,
  META_FORK_BIT,
  MUTANT_NO_SWEEP,
  MUTANT_SWEEP_FIRST,
  OWNER_SLOTS,
  OWNER_SLOTS_FREE,
  POOL_IDLE,
  POOL_JOINING,
  POOL_LOOPING,
  POOL_SEARCHING,
  SLOT_CANCEL,
  SLOT_DONE,
  SLOT_DROPPED,
  SLOT_EXITED,
  SLOT_LINK,
  SLOT_LOST,
  SLOT_META,
  SLOT_OWNER,
  SLOT_SIZE,
  SLOT_STATE,
  SLOT_TAGS,
  SLOT_VALUES,
  SLOTS_PER_SPAN,
  SPAN_SIZE,
  SPAN_TABLE,
  STATE_AGENT_MASK,
  STATE_AGENT_SHIFT,
  STATE_STATUS_MASK,
  TAG_NUMBER,
} from '../../build/generated/layout.model.ts';
import type { Call } from './explorer/types.ts';
import { type KernelThread, type KernelWorld, MEMORY_BYTES, type Steps } from './kernel.ts';
import { LAST_GENERATION, nearWrap } from './pool.ts';

/** A part of a thread's code that comes to a result. */
export type Program<Result> = Generator<Call, Result, any>;

export interface PoolWorker {
  readonly agent: number;
  readonly id: number;
  readonly lane: number;
  /** Its slots, for forks. */
  readonly slots: readonly number[];
}

export interface Pool {
  readonly pool: number;
  readonly main: number;
  readonly lane: number;
  /** Slots of the submitter. The first `tasks` are queued before the threads start. */
  readonly slots: readonly number[];
  readonly tasks: number;
  readonly workers: readonly PoolWorker[];
  /** An agent that takes the place of the first who dies, in settle(). */
  readonly successor: number;
  readonly firstSpan: number;
}

export interface PoolNotes {
  /** By thread: the slots of the tasks that it ran. */
  readonly ran: number[][];
  /** Outcomes as the submitter saw them: pairs of slot and status. */
  readonly home: (readonly [slot: number, status: number])[];
  /** Workers that the submitter has buried. */
  readonly buried: number[];
  readonly wrong: string[];
}

export type PoolThread<Notes extends PoolNotes = PoolNotes> = KernelThread<Pool, Notes>;

export const poolNotes = (): PoolNotes => ({ ran: [[], [], [], []], home: [], buried: [], wrong: [] });

export interface PoolShape {
  readonly workers: number;
  readonly tasks: number;
  /** Most that a worker takes at once (1). */
  readonly batch?: number;
  /** Workers that have a span of slots. */
  readonly forkers?: readonly number[];
}

const slotsOf = (span: number): number[] =>
  Array.from({ length: SLOTS_PER_SPAN - 1 }, (_, i) => span + (i + 1) * SLOT_SIZE);

export function makePool(world: KernelWorld, shape: PoolShape): Pool {
  const { calls, u32 } = world;
  calls.initMemory(MEMORY_BYTES);
  const pool = calls.openPool(1);
  const main = calls.claimAgent(KIND_SUBMITTER, 0);
  const lane = nearWrap(world, calls.joinAsSubmitter(main, pool));
  const slots = slotsOf(calls.addSlotSpan(main));
  const workers = Array.from({ length: shape.workers }, (_, index) => {
    const agent = calls.claimAgent(KIND_WORKER, 0);
    const own = nearWrap(world, calls.joinAsWorker(agent, pool, index));
    u32[(agent + AGENT_BATCH) >>> 2] = shape.batch ?? 1;
    const hasSlots = shape.forkers?.includes(index) ?? false;
    return {
      agent,
      id: u32[(agent + AGENT_ID) >>> 2]!,
      lane: own,
      slots: hasSlots ? slotsOf(calls.addSlotSpan(agent)) : [],
    };
  });
  const made = {
    pool,
    main,
    lane,
    slots,
    tasks: shape.tasks,
    workers,
    successor: calls.claimAgent(KIND_WORKER, 0),
    firstSpan: u32[HEADER_FIRST_SPAN >>> 2]!,
  };
  for (const slot of [...slots, ...workers.flatMap((worker) => worker.slots)])
    u32[(slot + SLOT_STATE) >>> 2] = LAST_GENERATION;
  for (const slot of slots.slice(0, shape.tasks)) {
    for (const [field, value] of taskWords(lane, 0)) u32[(slot + field) >>> 2] = value;
    calls.submit(pool, lane, 0, 0, slot);
  }
  return made;
}

/** What a submitter writes into a slot before it is queued. */
function taskWords(lane: number, meta: number): readonly (readonly [number, number])[] {
  return [
    [SLOT_OWNER, lane],
    [SLOT_META, meta],
    [SLOT_TAGS, TAG_NUMBER],
    [SLOT_CANCEL, 0],
  ];
}

export function* fill({ call }: PoolThread, slot: number, lane: number, meta = 0): Steps {
  for (const [field, value] of taskWords(lane, meta)) yield call.writePlain(slot + field, value);
}

/** The submitter queues its slot `nth`. */
export function* submit(thread: PoolThread, nth: number): Steps {
  const { call, fixture } = thread;
  const slot = fixture.slots[nth]!;
  yield* fill(thread, slot, fixture.lane);
  yield call.submit(fixture.pool, fixture.lane, 0, 0, slot);
}

// ---- workers ---------------------------------------------------------------------------------------------------------------------------

/** Runs a claimed task. */
export function* execute({ call, state, id }: PoolThread, slot: number): Steps {
  state.ran[id]!.push(slot);
  yield call.writePlain(slot + SLOT_VALUES, 1000 + id);
  yield call.finish(slot, SLOT_DONE);
}

/** One look, and what it found is run. */
export function* runOne(thread: PoolThread, worker = thread.id): Steps {
  const slot: number = yield thread.call.take(thread.fixture.workers[worker]!.agent);
  if (slot !== 0) yield* execute(thread, slot);
}

/** A worker's loop, as ts/worker/worker.ts goes on for ever: takes, runs, parks when there is nothing. */
export function* work(thread: PoolThread, worker = thread.id): Steps {
  const { call, fixture } = thread;
  const { agent } = fixture.workers[worker]!;
  while (true) {
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
}

// ---- forks -----------------------------------------------------------------------------------------------------------------------------

/** Forks into the worker's slot `nth`. */
export function* forkOne(thread: PoolThread, nth: number, worker = thread.id): Steps {
  const { call, fixture } = thread;
  const { lane, slots } = fixture.workers[worker]!;
  yield* fill(thread, slots[nth]!, lane, META_FORK_BIT);
  yield call.fork(fixture.pool, lane + LANE_DEQUES, slots[nth]!);
}

/**
 * Joins the worker's slot `nth` as ts/worker/forks.ts does. Returns how it ended: 'here' (it ran in place), 'lost' (as well, and the slot is
 * never used again), or the status of the outcome.
 */
export function* joinOne(
  thread: PoolThread,
  nth: number,
  worker = thread.id,
): Program<'here' | 'lost' | number> {
  const { call, fixture, state, id } = thread;
  const { agent, lane, slots } = fixture.workers[worker]!;
  const slot = slots[nth]!;
  const took: number = yield call.takeBack(lane + LANE_DEQUES, slot);
  if (took !== 0) {
    state.ran[id]!.push(slot);
    return 'here';
  }
  while (true) {
    const status: number = yield call.statusOf(slot);
    if (status >= SLOT_DONE) {
      yield call.leaveJoin(agent);
      if (status !== SLOT_LOST) return status;
      state.ran[id]!.push(slot);
      return 'lost';
    }
    const other: number = yield call.help(agent);
    if (other === slot) {
      state.ran[id]!.push(slot);
      return 'here';
    }
    if (other !== 0) {
      yield* execute(thread, other);
      continue;
    }
    const again: number = yield call.enterJoin(agent);
    if (again !== 0) continue;
    const mayPark: number = yield call.preparePark(agent);
    if (mayPark !== 0) {
      const now: number = yield call.statusOf(slot);
      if (now < SLOT_DONE) yield call.block(agent, -1);
    }
    yield call.finishPark(agent);
    yield call.exitJoin(agent);
  }
}

// ---- the submitter ---------------------------------------------------------------------------------------------------------------------

/** Takes outcomes home. Returns how many. */
export function* drain({ call, fixture, state }: PoolThread): Program<number> {
  let slot: number = yield call.takeCompletions(fixture.lane);
  let count = 0;
  while (slot !== 0) {
    const next: number = yield call.readPlain(slot + SLOT_LINK);
    const word: number = yield call.readPlain(slot + SLOT_STATE);
    state.home.push([slot, word & STATE_STATUS_MASK]);
    slot = next;
    if (++count > MOST_AT_ONCE) {
      state.wrong.push('the outcomes lead in a circle');
      break;
    }
  }
  return count;
}

/** Submissions.sweep: outcomes that the dead had stored and not sent home. */
export function* sweep(thread: PoolThread, dead: number): Steps {
  const { call, fixture, state } = thread;
  const skips: number = yield call.isMutant(MUTANT_NO_SWEEP);
  const isFirst: number = yield call.isMutant(MUTANT_SWEEP_FIRST);
  if (isFirst === 0) yield* drain(thread);
  if (skips !== 0) return;
  for (const slot of fixture.slots) {
    const word: number = yield call.readPlain(slot + SLOT_STATE);
    if ((word & STATE_STATUS_MASK) < SLOT_DONE) continue;
    if (((word >>> STATE_AGENT_SHIFT) & STATE_AGENT_MASK) !== dead) continue;
    if (!state.home.some(([known]) => known === slot)) state.home.push([slot, word & STATE_STATUS_MASK]);
  }
  if (isFirst !== 0) yield* drain(thread);
}

/** Crew.#bury, as far as others depend on it. */
export function* bury(thread: PoolThread, worker: number): Steps {
  const { call, fixture, state } = thread;
  const { agent, id } = fixture.workers[worker]!;
  state.buried.push(worker);
  yield call.recover(agent, fixture.lane);
  yield* sweep(thread, id);
}

/** The submitter after the death of workers: buries them in order. */
export function* buryAll(thread: PoolThread): Steps {
  for (let i = 0; i < thread.dead.length; i++) yield* bury(thread, thread.dead[i]!);
}

// ---- the end ---------------------------------------------------------------------------------------------------------------------------

/** Far more outcomes than a model has. */
const MOST_AT_ONCE = 20;

/** Tasks that are submitted after everything. */
const MORE = 3;

/** Everything that is left to do happens, one thing after the other; then the books must be right. */
export function settle(
  world: KernelWorld,
  fixture: Pool,
  notes: PoolNotes,
  killed: readonly number[],
): string | undefined {
  const { calls, u32 } = world;
  const { pool, lane, workers, slots } = fixture;
  const { home } = notes;
  const ranLast: number[] = [];
  if (notes.wrong.length > 0) return notes.wrong.join('; ');
  const drainNow = (): boolean => {
    let count = 0;
    for (
      let slot = calls.takeCompletions(lane);
      slot !== 0 && count <= MOST_AT_ONCE;
      slot = u32[(slot + SLOT_LINK) >>> 2]!
    ) {
      home.push([slot, u32[(slot + SLOT_STATE) >>> 2]! & STATE_STATUS_MASK]);
      count++;
    }
    return count <= MOST_AT_ONCE;
  };
  for (const dead of killed.filter((worker) => !notes.buried.includes(worker))) {
    calls.recover(workers[dead]!.agent, lane);
    if (!drainNow()) return 'the outcomes lead in a circle';
    for (const slot of slots.slice(0, fixture.tasks)) {
      const word = u32[(slot + SLOT_STATE) >>> 2]!;
      const status = word & STATE_STATUS_MASK;
      if (status < SLOT_DONE || ((word >>> STATE_AGENT_SHIFT) & STATE_AGENT_MASK) !== workers[dead]!.id)
        continue;
      if (!home.some(([known]) => known === slot)) home.push([slot, status]);
    }
  }
  for (const dead of killed) {
    const mask = 1 << dead;
    for (const [set, name] of SETS)
      if ((u32[(pool + set) >>> 2]! & mask) !== 0) return `worker ${dead} is dead and in the ${name} set`;
  }
  // Successors take over the lanes of the dead, and more is submitted, so that what a death left there shows.
  const index = killed[0] ?? 0;
  let agent = workers[index]!.agent;
  if (killed.length > 0) {
    agent = fixture.successor;
    calls.joinAsWorker(agent, pool, index);
    u32[(agent + AGENT_BATCH) >>> 2] = BATCH_MOST;
  }
  const more = slots.slice(fixture.tasks, fixture.tasks + MORE);
  for (const slot of more) {
    for (const [field, value] of taskWords(lane, 0)) u32[(slot + field) >>> 2] = value;
    calls.submit(pool, lane, 0, 0, slot);
  }
  const alive = workers.filter((_, i) => !killed.includes(i) && i !== index).map((worker) => worker.agent);
  for (const taker of [agent, ...alive, agent]) {
    for (let slot = calls.take(taker); slot !== 0; slot = calls.take(taker)) {
      ranLast.push(slot);
      calls.finish(slot, SLOT_DONE);
      if (ranLast.length > 20) return 'entries come out without end';
    }
  }
  if (!drainNow()) return 'the outcomes lead in a circle';
  for (const [nth, slot] of slots.slice(0, fixture.tasks + MORE).entries()) {
    const outcomes = home.filter(([known]) => known === slot);
    const runs = [
      ...notes.ran.map((list, thread) => ({ list, thread })),
      { list: ranLast, thread: -1 },
    ].flatMap(({ list, thread }) => list.filter((known) => known === slot).map(() => thread));
    const wrong = judge(
      outcomes.map(([, status]) => status),
      runs,
      killed,
    );
    if (wrong !== undefined) return `task ${nth}: ${wrong}`;
  }
  return calls.anyQueued(pool) === 0 ? undefined : 'the queues are not empty';
}

const SETS = [
  [POOL_IDLE, 'idle'],
  [POOL_JOINING, 'joining'],
  [POOL_LOOPING, 'looping'],
  [POOL_SEARCHING, 'searching'],
] as const;

/** Each task has one outcome, and that is the right one. */
function judge(
  outcomes: readonly number[],
  runs: readonly number[],
  killed: readonly number[],
): string | undefined {
  if (outcomes.length === 0)
    return `no outcome; it ran in ${runs.length === 0 ? 'no thread' : runs.join(', ')}`;
  if (outcomes.length > 1) return `outcomes ${outcomes.join(' and ')}`;
  if (runs.length > 1) return `it ran in threads ${runs.join(' and ')}`;
  const [status] = outcomes;
  if (status === SLOT_DONE) return runs.length === 1 ? undefined : 'done, and nobody ran it';
  if (status === SLOT_DROPPED) return runs.length === 0 ? undefined : 'dropped, and it ran';
  if (status !== SLOT_EXITED) return `came home with status ${status}`;
  if (killed.length === 0) return 'exited, and nobody died';
  return runs.every((thread) => killed.includes(thread)) ? undefined : `exited, and thread ${runs[0]} ran it`;
}

/** Reaps the dead; then their memory is free and nothing of them is left. */
export function reapAll(
  { calls, u32 }: KernelWorld,
  fixture: Pool,
  killed: readonly number[],
  lostSpans = 0,
): string | undefined {
  // The dead may refer to each other's.
  for (const dead of [...killed, ...killed].map((worker) => fixture.workers[worker]!.agent)) {
    if (u32[(dead + AGENT_STATE) >>> 2] === 2 && calls.isReferenced(dead) === 0) calls.reap(dead);
  }
  let lost = 0;
  const end = u32[HEADER_SPAN_COUNT >>> 2]!;
  const linked = new Set<number>();
  for (const agent of [fixture.main, ...fixture.workers.map((worker) => worker.agent)]) {
    for (let span = u32[(agent + AGENT_SLOT_SPANS) >>> 2]!; span !== 0; span = u32[span >>> 2]!)
      linked.add(span);
  }
  for (let span = fixture.firstSpan; span < end; span++) {
    const owner = u32[(SPAN_TABLE >>> 2) + span]!;
    if (killed.some((worker) => fixture.workers[worker]!.id === owner))
      return `a span still belongs to ${owner}, who is dead`;
    if (owner === OWNER_SLOTS && !linked.has(span * SPAN_SIZE)) lost++;
    if (owner === OWNER_SLOTS_FREE && linked.has(span * SPAN_SIZE))
      return 'a span of slots is free and in use';
  }
  return lost > lostSpans ? `${lost} spans of slots are lost` : undefined;
}

// ---- names -----------------------------------------------------------------------------------------------------------------------------

const AGENT_WORDS: ReadonlyMap<number, string> = new Map([
  [AGENT_STATE, 'state'],
  [AGENT_PARK, 'park'],
  [AGENT_DOORBELL, 'bell'],
  [AGENT_RETURNS, 'returns'],
  [AGENT_HELD, 'held'],
  [AGENT_TICK, 'tick'],
]);
const SLOT_WORDS: ReadonlyMap<number, string> = new Map([
  [SLOT_STATE, 'state'],
  [SLOT_LINK, 'link'],
  [SLOT_OWNER, 'owner'],
  [SLOT_META, 'meta'],
  [SLOT_TAGS, 'tags'],
  [SLOT_CANCEL, 'cancel'],
  [SLOT_VALUES, 'value'],
]);
const DEQUE_WORDS: ReadonlyMap<number, string> = new Map([
  [DEQUE_TOP, 'top'],
  [DEQUE_BOTTOM, 'bottom'],
  [DEQUE_BUFFER, 'buffer'],
]);

export function describePool(address: number, fixture: Pool): string | undefined {
  const { pool, main, lane, workers, slots } = fixture;
  for (const [set, name] of SETS) if (address === pool + set) return name;
  for (const [agent, name] of [
    [main, 'main'] as const,
    ...workers.map((worker, i) => [worker.agent, `w${i}`] as const),
  ]) {
    if (address >= agent && address < agent + 2048)
      return `${name}.${AGENT_WORDS.get(address - agent) ?? `+${address - agent}`}`;
  }
  const lists = [['t', slots] as const, ...workers.map((worker, i) => [`f${i}:`, worker.slots] as const)];
  for (const [name, list] of lists) {
    for (const [nth, slot] of list.entries()) {
      if (address >= slot && address < slot + SLOT_SIZE)
        return `${name}${nth}.${SLOT_WORDS.get(address - slot) ?? `+${address - slot}`}`;
    }
  }
  for (const [from, name] of [
    [lane, 'main'] as const,
    ...workers.map((worker, i) => [worker.lane, `w${i}`] as const),
  ]) {
    if (address < from || address >= from + SPAN_SIZE) continue;
    if (address === from + LANE_COMPLETED) return `${name}.completed`;
    const at = address - from - LANE_DEQUES;
    if (at < 0) return undefined;
    const word = at % DEQUE_SIZE;
    const deque = from === lane ? 'queue' : at < DEQUE_SIZE ? 'forks' : 'batches';
    return `${name}.${deque}.${DEQUE_WORDS.get(word) ?? `cell${(word - 128) >>> 2}`}`;
  }
  return undefined;
}
