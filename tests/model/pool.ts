/** A pool as the models need it, and what its threads do in TypeScript (ts/worker/worker.ts, ts/worker/forks.ts), call for call. */
import {
  AGENT_DOORBELL,
  AGENT_ID,
  AGENT_PARK,
  CLASSES,
  DEQUE_BOTTOM,
  DEQUE_BUFFER,
  DEQUE_HEADER,
  DEQUE_SIZE,
  DEQUE_TOP,
  DEQUE_TOP_SEEN,
  KIND_SUBMITTER,
  KIND_WORKER,
  LANE_COMPLETED,
  LANE_DEQUES,
  LANE_QUEUES,
  META_FORK_BIT,
  MUTANT_STATUS_BEFORE_PARK,
  POOL_IDLE,
  POOL_JOINING,
  POOL_LOOPING,
  POOL_SEARCHING,
  SLOT_CANCEL,
  SLOT_DONE,
  SLOT_LINK,
  SLOT_LOST,
  SLOT_META,
  SLOT_OWNER,
  SLOT_SIZE,
  SLOT_STATE,
  STATE_AGENT_MASK,
  STATE_AGENT_SHIFT,
  STATE_GENERATION_SHIFT,
  STATE_STATUS_MASK,
} from '../../build/generated/layout.model.ts';
import type { Call } from './explorer/types.ts';
import { type KernelCalls, type KernelThread, type KernelWorld, MEMORY_BYTES } from './kernel.ts';

/** A thread's place in a pool. */
export interface Place {
  readonly agent: number;
  readonly id: number;
  readonly lane: number;
}

export interface Pool {
  readonly pool: number;
  readonly submitter: Place;
  readonly workers: readonly Place[];
}

/** Part of a thread that comes to a value. */
export type Part<T> = Generator<Call, T, any>;

/** Initialises the memory and opens a pool; tasks of class 0 are known. */
export function openPool(world: KernelWorld, workers: number): Pool {
  world.calls.initMemory(MEMORY_BYTES);
  return addPool(world, workers);
}

export function addPool(world: KernelWorld, workers: number): Pool {
  const { calls } = world;
  const pool = calls.openPool(1);
  calls.noteClass(pool, 0);
  const submitter = addSubmitter(world, pool);
  const places = Array.from({ length: workers }, (_, index) => {
    const agent = calls.claimAgent(KIND_WORKER, 0);
    return { agent, id: idOf(world, agent), lane: nearWrap(world, calls.joinAsWorker(agent, pool, index)) };
  });
  return { pool, submitter, workers: places };
}

/** In set-up: the indices of a new lane's deques wrap to 0 with the first push. */
export function nearWrap({ calls, u32 }: KernelWorld, lane: number): number {
  for (let queue = 0; queue < u32[(lane + LANE_QUEUES) >>> 2]!; queue++) {
    for (let qosClass = 0; qosClass < CLASSES; qosClass++) {
      const deque = calls.dequeOf(lane, qosClass, queue);
      for (const field of [DEQUE_TOP, DEQUE_BOTTOM, DEQUE_TOP_SEEN]) u32[(deque + field) >>> 2] = 0xffffffff;
    }
  }
  return lane;
}

/** State of a free slot that is queued with the last generation; that of its second task wraps to 0. */
export const LAST_GENERATION = (0xfffffffe << STATE_GENERATION_SHIFT) >>> 0;

export function addSubmitter(world: KernelWorld, pool: number): Place {
  const agent = world.calls.claimAgent(KIND_SUBMITTER, 0);
  return { agent, id: idOf(world, agent), lane: nearWrap(world, world.calls.joinAsSubmitter(agent, pool)) };
}

export function idOf({ u32 }: KernelWorld, agent: number): number {
  return u32[(agent + AGENT_ID) >>> 2]!;
}

/** Slots of `from`, filled and not queued yet. */
export function fillSlots({ calls, u32 }: KernelWorld, from: Place, count: number): number[] {
  const span = calls.addSlotSpan(from.agent);
  return Array.from({ length: count }, (_, i) => {
    const slot = span + (i + 1) * SLOT_SIZE;
    u32[(slot + SLOT_OWNER) >>> 2] = from.lane;
    u32[(slot + SLOT_STATE) >>> 2] = LAST_GENERATION;
    return slot;
  });
}

/** As fillSlots(), for forks. */
export function fillForks(world: KernelWorld, from: Place, count: number): number[] {
  const slots = fillSlots(world, from, count);
  for (const slot of slots) world.u32[(slot + SLOT_META) >>> 2] = META_FORK_BIT;
  return slots;
}

export function statusOf({ u32 }: KernelWorld, slot: number): number {
  return u32[(slot + SLOT_STATE) >>> 2]! & STATE_STATUS_MASK;
}

/** Id of the agent that claimed a slot last. */
export function claimantOf({ u32 }: KernelWorld, slot: number): number {
  return (u32[(slot + SLOT_STATE) >>> 2]! >>> STATE_AGENT_SHIFT) & STATE_AGENT_MASK;
}

/** One of a pool's sets of workers, as far as models have workers. */
export function setOf({ u32 }: KernelWorld, pool: number, set: number): number {
  return u32[(pool + set) >>> 2]!;
}

/** A worker sleeps although something is queued, a set names one that is not in it, or a token is left: what is wrong in a pool at rest. */
export function wrongAtRest(
  world: KernelWorld,
  { pool, workers }: Pool,
  sleepers: readonly number[],
): string | undefined {
  if (sleepers.length > 0 && world.calls.anyQueued(pool) !== 0)
    return `worker ${sleepers.join(', ')} sleeps while a task is queued`;
  const mask = sleepers.reduce((sum, index) => sum | (1 << index), 0);
  const idle = setOf(world, pool, POOL_IDLE);
  if (idle !== mask) return `workers ${sleepers.join(', ')} sleep, and the idle set is ${idle.toString(2)}`;
  const searching = setOf(world, pool, POOL_SEARCHING);
  if (sleepers.length === workers.length && searching !== 0)
    return `all sleep, and the searching set is ${searching.toString(2)}`;
  const looping = setOf(world, pool, POOL_LOOPING);
  if ((looping & ~idle) !== 0)
    return `the looping set is ${looping.toString(2)}, the idle set ${idle.toString(2)}`;
  return undefined;
}

export interface WorkerOptions {
  /** Sleeps that may end by a timeout first, as the short one that blocks the thread does. */
  readonly naps?: number;
  /** Its event loop may be busy. */
  readonly looping?: boolean;
  /** It does not answer any more once it sleeps. */
  readonly deaf?: boolean;
  /** It sleeps already (putToSleep). 'waking': that sleep ends by itself. */
  readonly asleep?: 'sleeping' | 'waking';
}

/** In set-up: these workers sleep when the threads start. */
export function putToSleep({ calls }: KernelWorld, workers: readonly Place[]): void {
  for (const { agent } of workers) {
    calls.enterIdle(agent, 0);
    calls.preparePark(agent);
  }
}

/** The worker's loop: runs tasks, searches, sleeps. Ends when `run` says that the worker is busy for ever. */
export function* work(
  call: KernelCalls,
  { agent }: Place,
  run: (slot: number) => Part<'done' | 'busy'>,
  { naps = 0, looping = false, deaf = false, asleep }: WorkerOptions = {},
): Part<void> {
  if (asleep !== undefined) {
    if (asleep === 'sleeping') yield call.block(agent, -1);
    yield call.finishPark(agent);
    yield call.exitIdle(agent);
  }
  let napsLeft = naps;
  while (true) {
    let slot: number = yield call.take(agent);
    if (slot === 0 && (yield call.startSearch(agent)) !== 0) slot = yield call.search(agent, 1);
    if (slot !== 0) {
      if ((yield* run(slot)) === 'busy') return;
      continue;
    }
    if ((yield call.enterIdle(agent, looping ? 1 : 0)) !== 0) continue;
    let woken = false;
    if (napsLeft > 0) {
      napsLeft--;
      woken = true;
      if ((yield call.preparePark(agent)) !== 0) {
        yield call.block(agent, 1);
        woken = (yield call.finishPark(agent)) !== 0;
      }
    }
    if (!woken) {
      if ((yield call.preparePark(agent)) !== 0) {
        if (deaf) return;
        yield call.block(agent, -1);
      }
      yield call.finishPark(agent);
    }
    yield call.exitIdle(agent);
  }
}

/**
 * Worker.helpUntilConcluded(): in a join, until `fork` is concluded. `run` runs what is met meanwhile. 'ours': it came back; 'lost': its
 * thief is dead.
 */
export function* helpUntilConcluded(
  { call, world }: KernelThread<unknown, unknown>,
  { agent }: Place,
  fork: number,
  run: (slot: number) => Part<unknown>,
): Part<'concluded' | 'ours' | 'lost'> {
  while (true) {
    const status: number = yield call.statusOf(fork);
    if (status >= SLOT_DONE) {
      yield call.leaveJoin(agent);
      return status === SLOT_LOST ? 'lost' : 'concluded';
    }
    const other: number = yield call.help(agent);
    if (other === fork) return 'ours';
    if (other !== 0) {
      yield* run(other);
      continue;
    }
    if ((yield call.enterJoin(agent)) !== 0) continue;
    const isWrong = world.calls.mutant(MUTANT_STATUS_BEFORE_PARK) !== 0;
    const early: number = isWrong ? yield call.statusOf(fork) : 0;
    if ((yield call.preparePark(agent)) !== 0) {
      if ((isWrong ? early : yield call.statusOf(fork)) < SLOT_DONE) yield call.block(agent, -1);
    }
    yield call.finishPark(agent);
    yield call.exitJoin(agent);
  }
}

/** Takes all outcomes that came home to a lane; oldest first. */
export function* drain(call: KernelCalls, { lane }: Place): Part<number[]> {
  const slots: number[] = [];
  let slot: number = yield call.takeCompletions(lane);
  while (slot !== 0) {
    slots.push(slot);
    if (slots.length > 8) throw new Error(`the chain of outcomes has no end: ${slots.join(' ')}`);
    slot = yield call.load32(slot + SLOT_LINK);
  }
  return slots;
}

const WORDS: readonly [offset: number, name: string][] = [
  [AGENT_PARK, 'park'],
  [AGENT_DOORBELL, 'bell'],
];
const SETS: readonly [offset: number, name: string][] = [
  [POOL_IDLE, 'idle'],
  [POOL_JOINING, 'joining'],
  [POOL_LOOPING, 'looping'],
  [POOL_SEARCHING, 'searching'],
];
const SLOT_WORDS: readonly [offset: number, name: string][] = [
  [SLOT_STATE, 'state'],
  [SLOT_LINK, 'link'],
  [SLOT_CANCEL, 'cancel'],
  [SLOT_OWNER, 'owner'],
  [SLOT_META, 'meta'],
];
const DEQUE_WORDS: readonly [offset: number, name: string][] = [
  [DEQUE_TOP, 'top'],
  [DEQUE_BOTTOM, 'bottom'],
  [DEQUE_BUFFER, 'buffer'],
  [DEQUE_HEADER, 'cell 0'],
  [DEQUE_HEADER + 4, 'cell 1'],
];

/** Names the words of a pool for people. */
export function describePool(
  { pool, submitter, workers }: Pool,
  slots: readonly number[],
  address: number,
): string | undefined {
  const find = (base: number, words: readonly [number, string][], who: string): string | undefined => {
    const name = words.find(([offset]) => base + offset === address)?.[1];
    return name === undefined ? undefined : `${who}${name}`;
  };
  const places = [submitter, ...workers].map((place, i) => ({
    ...place,
    who: i === 0 ? 'S.' : `w${i - 1}.`,
  }));
  for (const { agent, lane, who } of places) {
    let found = find(agent, WORDS, who) ?? find(lane, [[LANE_COMPLETED, 'completed']], who);
    for (let i = 0; i < 2; i++)
      found ??= find(lane + LANE_DEQUES + i * DEQUE_SIZE, DEQUE_WORDS, `${who}${i === 0 ? '' : 'batch.'}`);
    if (found !== undefined) return found;
  }
  for (const [i, slot] of slots.entries()) {
    const found = find(slot, SLOT_WORDS, `slot ${i} `);
    if (found !== undefined) return found;
  }
  return find(pool, SETS, '');
}
