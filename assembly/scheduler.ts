/**
 * Which task a worker runs next, and how tasks enter and leave the queues.
 *
 * Order of a look (`take`): for each QoS class from the highest: the newest of the worker's own deque, then the oldest of a submitter's,
 * then the oldest of another worker's. Every 61st look goes through the classes from the lowest, and to the submitters before the own
 * deque: no class and no submitter waits for ever behind a busy one. Victims among workers: the last that had something, then the others
 * from a random start. Where workers are placed on NUMA nodes, both submitters' queues and victims come node by node, near before far, and only
 * as far as the pool allows (placement.ts).
 */
import { BATCHES, dequeOf, FORKS, noteClass } from './agents';
import { and64, load32, load64, or64, store32 } from './atomics';
import { pushCompletion, ringDoorbell } from './completions';
import {
  closeUp,
  entryAt,
  newest,
  pop,
  popIf,
  push,
  STEAL_RETRY,
  setGap,
  sizeOf,
  steal,
  stealBatch,
  stealIf,
} from './deque';
import {
  AGENT_BATCH,
  AGENT_BIT,
  AGENT_CHOSEN,
  AGENT_HELD,
  AGENT_ID,
  AGENT_LANE,
  AGENT_POOL,
  AGENT_RANDOM,
  AGENT_REACH,
  AGENT_SEARCHING,
  AGENT_TICK,
  AGENT_VICTIM,
  CLASSES,
  COUNTER_CANCELLED,
  COUNTER_FORKS_STOLEN,
  COUNTER_NUMA_CROSSINGS,
  COUNTER_STEAL_ATTEMPTS,
  COUNTER_STEAL_SUCCESSES,
  LANE_AGENT,
  LANE_QUEUE,
  LINE,
  MAX_WORKERS,
  META_FORK_BIT,
  OWNER_POOL,
  POOL_BOUNDED,
  POOL_CLASS_MASK,
  POOL_ID,
  POOL_IDLE,
  POOL_JOINING,
  POOL_LOOPING,
  POOL_SEARCHING,
  POOL_SUBMITTER_HIGH,
  POOL_SUBMITTER_LANES,
  POOL_WORKER_HIGH,
  POOL_WORKER_LANES,
  ROW_COUNT,
  ROW_LOCAL,
  ROW_QUEUES,
  SLOT_LINK,
  SLOT_META,
  SLOT_OWNER,
  SLOT_STATE,
  STATE_STATUS_MASK,
} from './layout';
import {
  announceIdle,
  beginSearch,
  bit,
  endSearch,
  leaveIdle,
  unparkIfParked,
  wakeForFork,
  wakeForForkSlow,
  wakeOne,
} from './parking';
import { rowOf } from './placement';
import { anyForks, anyForksOf, anyForksWithin, anyQueued, anyQueuedFor, anyWithin } from './queued';
import { claim, claimPlaced, conclude, concludeCancelled, markForked, markQueued } from './slots';
import { count } from './stats';
import { SLOT_DROPPED } from './status';

/** Every how many looks the order is turned round (Go's number: prime, so it does not beat with a program's own rhythm). */
const AGING: u32 = 61;

/** Answers of submit(). */
const ACCEPTED: u32 = 1;
const NO_ROOM: u32 = 0;

/** Calls of touchStack(): deeper than anything below help(). */
const STACK_PROBE: u32 = 128; // model: 0

/** Answer of enterIdle(). */
const ENTER_RETRY: u32 = 1;

function spanOwnerOf(pool: usize): u32 {
  return OWNER_POOL + load<u32>(pool + POOL_ID); // plain: written when the pool was opened
}

/** Submitter: queues a filled slot in its lane and wakes a worker if one must be. 0 when the queue cannot grow. */
export function submit(pool: usize, lane: usize, qosClass: u32, queue: u32, slot: usize): u32 {
  noteClass(pool, qosClass);
  markQueued(slot);
  if (!push(dequeOf(lane, qosClass, queue), slot as u32, spanOwnerOf(pool))) return NO_ROOM;
  wakeOne(pool, queue);
  return ACCEPTED;
}

/** Worker: queues a fork in its own deque. 0 when the queue cannot grow. */
export function fork(pool: usize, deque: usize, slot: usize): u32 {
  markForked(slot);
  if (!push(deque, slot as u32, spanOwnerOf(pool))) return NO_ROOM;
  wakeForFork(pool, slot);
  return ACCEPTED;
}

/** Worker: takes back a fork that nobody stole, if it is its newest. */
export function takeBack(deque: usize, slot: usize): u32 {
  // mutant TAKE_BACK_UNSEEN: { popIf(deque, slot as u32); return 1; }
  return popIf(deque, slot as u32) ? 1 : 0;
}

/** Claims what was taken from a queue; sends cancelled tasks home. True when `agent` runs it now. */
function admit(agent: usize, slot: usize): bool {
  const id = load<u32>(agent + AGENT_ID);
  const row: usize = load<u32>(agent + AGENT_REACH); // plain: as in takeSubmitted()
  const pool: usize = load<u32>(agent + AGENT_POOL);
  if (row == 0 ? claim(slot, id, pool) : claimPlaced(slot, id, pool, row)) return true;
  if (concludeCancelled(slot, SLOT_DROPPED, id)) {
    count(agent + COUNTER_CANCELLED, 1);
    sendHome(slot);
  }
  return false;
}

/** Tells a task's submitter that it has an outcome. Not for forks of others: after its outcome a fork's slot is its joiner's again. */
export function sendHome(slot: usize): void {
  const lane: usize = load<u32>(slot + SLOT_OWNER); // plain: written before the slot was queued
  announce(slot, lane, load<u32>(slot + SLOT_META));
}

function announce(slot: usize, lane: usize, meta: u32): void {
  const owner: usize = load<u32>(lane + LANE_AGENT); // plain: written when the lane was taken over
  if ((meta & META_FORK_BIT) != 0) {
    // The joiner looks at the state word after it announced that it parks; we wrote the state before this look.
    unparkIfParked(owner);
  } else {
    // mutant RING_BEFORE_PUSH: { ringDoorbell(owner); pushCompletion(lane, slot); return; }
    pushCompletion(lane, slot);
    ringDoorbell(owner);
  }
}

/** Worker: the outcome of a task it ran. Publishes the result, sends the slot home. */
export function finish(slot: usize, status: u32): void {
  // Read before the outcome is published: from then on the slot of a fork may stand for another task.
  const lane: usize = load<u32>(slot + SLOT_OWNER);
  const meta = load<u32>(slot + SLOT_META);
  // mutant ANNOUNCE_BEFORE_OUTCOME: { announce(slot, lane, meta); conclude(slot, status); return; }
  // mutant READ_AFTER_OUTCOME: { conclude(slot, status); sendHome(slot); return; }
  conclude(slot, status);
  announce(slot, lane, meta);
}

function takeOwn(agent: usize, lane: usize, qosClass: u32, which: u32): usize {
  const deque = dequeOf(lane, qosClass, which);
  while (true) {
    const slot: usize = pop(deque);
    if (slot == 0 || admit(agent, slot)) return slot;
  }
}

/** The oldest of the submitters' queues of one class that this worker may take from: its own node's, then the others from near to far. */
function takeSubmitted(agent: usize, pool: usize, lane: usize, qosClass: u32, turned: bool): usize {
  const row: usize = load<u32>(agent + AGENT_REACH); // plain: written before the thread started
  if (row == 0) return takeQueued(agent, pool, lane, qosClass, 0, load<u32>(agent + AGENT_BATCH));
  const ranks = load<u32>(row + ROW_COUNT);
  // Every queue comes first at times: none waits for ever behind a busy one.
  const first = turned ? (load<u32>(agent + AGENT_TICK) / AGING) % ranks : 0;
  for (let i: u32 = 0; i < ranks; i++) {
    const rank = first + i < ranks ? first + i : first + i - ranks;
    const queue: u32 = load<u8>(row + ROW_QUEUES + rank);
    // A batch belongs to the worker's node from then on (placement.ts); and what is another node's had better stay there.
    const isOwn = rank == 0 || (queue == 0 && load<u32>(pool + POOL_BOUNDED) == 0);
    // mutant BATCHES_FROM_ANY_NODE: { const all = takeQueued(agent, pool, lane, qosClass, queue, load<u32>(agent + AGENT_BATCH)); if (all != 0) return all; continue; }
    const slot = takeQueued(agent, pool, lane, qosClass, queue, isOwn ? load<u32>(agent + AGENT_BATCH) : 1);
    if (slot == 0) continue;
    if (rank != 0 && queue != 0) count(agent + COUNTER_NUMA_CROSSINGS, 1);
    return slot;
  }
  return 0;
}

function takeQueued(agent: usize, pool: usize, lane: usize, qosClass: u32, queue: u32, most: u32): usize {
  const high = load32(pool + POOL_SUBMITTER_HIGH);
  for (let i: u32 = 0; i < high; i++) {
    const victim: usize = load32(pool + POOL_SUBMITTER_LANES + (i << 2));
    if (victim == 0) continue;
    const deque = dequeOf(victim, qosClass, queue);
    while (true) {
      // Long tasks one at a time: a batch would wait behind the first.
      const slot: usize = stealBatch(
        deque,
        dequeOf(lane, qosClass, BATCHES),
        most,
        spanOwnerOf(pool),
        agent + AGENT_HELD,
      );
      if (slot == 0) break;
      if (slot == STEAL_RETRY) continue;
      // mutant BATCH_WAKES_NOBODY: { if (admit(agent, slot)) return slot; continue; }
      // Between the CAS and the store that showed the rest of the batch, a searcher may have found nothing and gone to sleep.
      if (sizeOf(dequeOf(lane, qosClass, BATCHES)) != 0) wakeOne(pool, load<u32>(lane + LANE_QUEUE));
      if (admit(agent, slot)) return slot;
    }
  }
  return 0;
}

function nextRandom(agent: usize): u32 {
  let x = load<u32>(agent + AGENT_RANDOM); // plain: owner only. Xorshift32 (G. Marsaglia, 2003).
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  store<u32>(agent + AGENT_RANDOM, x);
  return x;
}

function stealFrom(agent: usize, pool: usize, index: u32, qosClass: u32, forksOnly: bool): usize {
  const lane: usize = load32(pool + POOL_WORKER_LANES + (index << 2));
  if (lane == 0) return 0;
  let slot = stealDeque(agent, dequeOf(lane, qosClass, FORKS));
  if (slot == 0 && !forksOnly) slot = stealDeque(agent, dequeOf(lane, qosClass, BATCHES));
  if (slot != 0) store<u32>(agent + AGENT_VICTIM, index); // plain: owner only
  return slot;
}

function stealDeque(agent: usize, deque: usize): usize {
  while (true) {
    const slot: usize = steal(deque, agent + AGENT_HELD);
    if (slot == 0) return 0;
    count(agent + COUNTER_STEAL_ATTEMPTS, 1);
    // mutant TICKS_HOLDING: store32(agent + AGENT_TICK, load<u32>(agent + AGENT_TICK) + 1);
    if (slot == STEAL_RETRY || !admit(agent, slot)) continue;
    count(agent + COUNTER_STEAL_SUCCESSES, 1);
    if ((load<u32>(slot + SLOT_META) & META_FORK_BIT) != 0) count(agent + COUNTER_FORKS_STOLEN, 1);
    return slot;
  }
}

function takeStolen(agent: usize, pool: usize, qosClass: u32, forksOnly: bool): usize {
  const high = load32(pool + POOL_WORKER_HIGH);
  if (high < 2) return 0;
  const row: usize = load<u32>(agent + AGENT_REACH); // plain: as in takeSubmitted()
  if (row != 0) return takeStolenPlaced(agent, pool, row, qosClass, forksOnly);
  // Others are placed meanwhile (placement.ts).
  // mutant STEALS_FROM_PLACED: return stealFrom(agent, pool, 1, qosClass, forksOnly);
  if (load32(pool + POOL_BOUNDED) != 0) return 0;
  const self = load<u32>(agent + AGENT_BIT);
  const last = load<u32>(agent + AGENT_VICTIM);
  if (last != self && last < high) {
    const slot = stealFrom(agent, pool, last, qosClass, forksOnly);
    if (slot != 0) return slot;
  }
  const start = nextRandom(agent) % high;
  for (let i: u32 = 0; i < high; i++) {
    let index = start + i;
    if (index >= high) index -= high;
    if (index == self || index == last) continue;
    const slot = stealFrom(agent, pool, index, qosClass, forksOnly);
    if (slot != 0) return slot;
  }
  return 0;
}

/** Node by node from near to far, as far as the worker's row reaches; on each node the last victim first, then from a random start. */
function takeStolenPlaced(agent: usize, pool: usize, row: usize, qosClass: u32, forksOnly: bool): usize {
  const self = load<u32>(agent + AGENT_BIT);
  const last = load<u32>(agent + AGENT_VICTIM);
  const start = nextRandom(agent) & (MAX_WORKERS - 1);
  const ranks = load<u32>(row + ROW_COUNT);
  for (let rank: u32 = 0; rank < ranks; rank++) {
    const queue: u32 = load<u8>(row + ROW_QUEUES + rank);
    if (queue == 0) continue;
    // mutant STEALS_BEYOND: { const beyond = stealFrom(agent, pool, self == 0 ? 1 : 0, qosClass, forksOnly); if (beyond != 0) return beyond; }
    let left = load<u64>(rowOf(pool, queue) + ROW_LOCAL) & ~bit(self);
    if (last != self && (left & bit(last)) != 0) {
      const slot = stealFrom(agent, pool, last, qosClass, forksOnly);
      if (slot != 0) return crossed(agent, slot, rank);
      left &= ~bit(last);
    }
    left = rotr<u64>(left, start);
    while (left != 0) {
      const index = ((ctz(left) as u32) + start) & (MAX_WORKERS - 1);
      left &= left - 1;
      const slot = stealFrom(agent, pool, index, qosClass, forksOnly);
      if (slot != 0) return crossed(agent, slot, rank);
    }
  }
  return 0;
}

/** Counts what came from another node. */
function crossed(agent: usize, slot: usize, rank: u32): usize {
  if (rank != 0) count(agent + COUNTER_NUMA_CROSSINGS, 1);
  return slot;
}

/** One look through all queues. Returns a claimed slot, or 0. */
export function look(agent: usize): usize {
  const pool: usize = load<u32>(agent + AGENT_POOL);
  const lane: usize = load<u32>(agent + AGENT_LANE);
  const tick = load<u32>(agent + AGENT_TICK) + 1;
  // Atomic: recovery.ts reads it to know that this worker holds no entry from an earlier look.
  store32(agent + AGENT_TICK, tick);
  const classes = load32(pool + POOL_CLASS_MASK);
  const turned = tick % AGING == 0;
  for (let i: u32 = 0; i < CLASSES; i++) {
    const qosClass = turned ? CLASSES - 1 - i : i;
    if (((classes >> qosClass) & 1) == 0) continue;
    let slot: usize = 0;
    if (turned) slot = takeSubmitted(agent, pool, lane, qosClass, true);
    if (slot == 0) slot = takeOwn(agent, lane, qosClass, FORKS);
    if (slot == 0) slot = takeOwn(agent, lane, qosClass, BATCHES);
    if (slot == 0 && !turned) slot = takeSubmitted(agent, pool, lane, qosClass, false);
    if (slot == 0) slot = takeStolen(agent, pool, qosClass, false);
    if (slot != 0) return slot;
  }
  return 0;
}

/** Worker: the next task, claimed, or 0. Ends the worker's search when it finds one, and wakes the next worker as parking.ts says. */
export function take(agent: usize): usize {
  const slot = look(agent);
  if (slot != 0 && load<u32>(agent + AGENT_SEARCHING) != 0) foundWork(agent);
  return slot;
}

function foundWork(agent: usize): void {
  const pool: usize = load<u32>(agent + AGENT_POOL);
  store<u32>(agent + AGENT_SEARCHING, 0); // plain: owner only
  // mutant NO_HANDOFF: { endSearch(pool, bit(load<u32>(agent + AGENT_BIT))); return; }
  const wasLast = endSearch(pool, bit(load<u32>(agent + AGENT_BIT)));
  if (load64(pool + POOL_IDLE) == 0) return;
  // mutant HANDOFF_BY_THE_LAST: { if (wasLast) handOn(agent, pool); return; }
  if (wasLast || load32(pool + POOL_BOUNDED) != 0) handOn(agent, pool);
}

/** What this worker looks into, in a bounded pool. One that is not placed was there before the pool was. */
function boundedReach(agent: usize, pool: usize): usize {
  const row: usize = load<u32>(agent + AGENT_REACH); // plain: as in takeSubmitted()
  return row != 0 ? row : rowOf(pool, 0);
}

/** Who leaves the searching set wakes another for what is still queued: one in all, or in a bounded pool one for each queue. */
function handOn(agent: usize, pool: usize): void {
  if (load32(pool + POOL_BOUNDED) == 0) {
    if (anyQueued(pool)) wakeOne(pool, 0);
    return;
  }
  const row = boundedReach(agent, pool);
  const ranks = load<u32>(row + ROW_COUNT);
  for (let rank: u32 = 0; rank < ranks; rank++) {
    const queue: u32 = load<u8>(row + ROW_QUEUES + rank);
    if (!anyQueuedFor(pool, queue)) continue;
    wakeOne(pool, queue);
    // mutant HANDOFF_TO_ONE: return;
  }
}

/** Worker: may it spin? Only one searcher at a time, others sleep at once. */
export function startSearch(agent: usize): u32 {
  if (load<u32>(agent + AGENT_SEARCHING) != 0) return 1;
  const lane: usize = load<u32>(agent + AGENT_LANE);
  if (
    !beginSearch(
      load<u32>(agent + AGENT_POOL),
      bit(load<u32>(agent + AGENT_BIT)),
      load<u32>(lane + LANE_QUEUE),
    )
  )
    return 0;
  store<u32>(agent + AGENT_SEARCHING, 1); // plain: owner only
  return 1;
}

/** Worker: spins through at most `rounds` looks. Returns a claimed slot, or 0. */
export function search(agent: usize, rounds: u32): usize {
  for (let i: u32 = 0; i < rounds; i++) {
    const slot = take(agent);
    if (slot != 0) return slot;
    pause();
  }
  return 0;
}

/** A short wait that reads only the worker's own line: looks at others' lines take them from who writes there. */
function pause(): void {
  // model: return;
  for (let i: u32 = 0; i < 64; i++) load32(0);
}

/** Worker: about to sleep; `looping`: on an event loop that async tasks may keep busy. 0: it may park. ENTER_RETRY: something was queued meanwhile, it is awake again and searching. */
export function enterIdle(agent: usize, looping: u32): u32 {
  const pool: usize = load<u32>(agent + AGENT_POOL);
  const mask = bit(load<u32>(agent + AGENT_BIT));
  if (looping != 0) or64(pool + POOL_LOOPING, mask);
  store<u32>(agent + AGENT_SEARCHING, 0); // plain: owner only
  // mutant NO_SECOND_LOOK: { announceIdle(pool, mask); return 0; }
  // mutant LOOK_BEFORE_ANNOUNCING: if (!anyQueued(pool)) { announceIdle(pool, mask); return 0; }
  const isLast = announceIdle(pool, mask);
  // mutant LOOKS_IF_THE_LAST: { if (!isLast || !anyWithin(pool, boundedReach(agent, pool))) return 0; leaveIdle(pool, mask); store<u32>(agent + AGENT_SEARCHING, 1); return ENTER_RETRY; }
  if (
    load32(pool + POOL_BOUNDED) != 0
      ? !anyWithin(pool, boundedReach(agent, pool))
      : !isLast || !anyQueued(pool)
  )
    return 0;
  leaveIdle(pool, mask);
  store<u32>(agent + AGENT_SEARCHING, 1); // plain: owner only
  return ENTER_RETRY;
}

/** Worker: awake again, it searches. */
export function exitIdle(agent: usize): void {
  leaveIdle(load<u32>(agent + AGENT_POOL), bit(load<u32>(agent + AGENT_BIT)));
  store<u32>(agent + AGENT_SEARCHING, 1); // plain: owner only
}

/**
 * Takes stack before help() takes an entry from a deque: a stack overflow between that and the claim would lose the entry, and the thread
 * lives on. Returns more than 0. The null guard is read so that no optimiser knows the depth.
 */
function touchStack(depth: u32): u32 {
  return depth == 0 ? load32(0) + 1 : touchStack(depth - 1) + 1;
}

/** A worker in a join: its own newest fork or another worker's oldest, claimed, or 0. Forks only: a join starts no foreign call. */
export function help(agent: usize): usize {
  if (touchStack((load32(LINE - 4) & 15) + STACK_PROBE) == 0) return 0;
  const pool: usize = load<u32>(agent + AGENT_POOL);
  const lane: usize = load<u32>(agent + AGENT_LANE);
  store<u32>(agent + AGENT_CHOSEN, 0); // plain: owner only
  store32(agent + AGENT_TICK, load<u32>(agent + AGENT_TICK) + 1);
  const classes = load32(pool + POOL_CLASS_MASK);
  for (let c: u32 = 0; c < CLASSES; c++) {
    if (((classes >> c) & 1) == 0) continue;
    let slot = takeOwn(agent, lane, c, FORKS);
    if (slot == 0) slot = takeStolen(agent, pool, c, true);
    if (slot != 0) return slot;
  }
  return 0;
}

/**
 * A worker in a join that holds a lock: its own newest fork, claimed, if the task in slot `root` forked it, directly or not; else 0. Anything else may
 * want the lock, on top of the stack that holds it.
 */
export function helpOwn(agent: usize, root: usize): usize {
  if (touchStack((load32(LINE - 4) & 15) + STACK_PROBE) == 0) return 0;
  const lane: usize = load<u32>(agent + AGENT_LANE);
  const classes = load32((load<u32>(agent + AGENT_POOL) as usize) + POOL_CLASS_MASK);
  store32(agent + AGENT_TICK, load<u32>(agent + AGENT_TICK) + 1);
  for (let c: u32 = 0; c < CLASSES; c++) {
    if (((classes >> c) & 1) == 0) continue;
    const deque = dequeOf(lane, c, FORKS);
    while (true) {
      const slot: usize = newest(deque);
      if (slot == 0 || !descends(slot, root) || !popIf(deque, slot as u32)) break;
      if (admit(agent, slot)) return slot;
    }
  }
  return 0;
}

/** Plain: a fork's parent is written before it is queued, by this very thread. */
function descends(slot: usize, root: usize): bool {
  let at = slot;
  while (at != 0 && (load<u32>(at + SLOT_META) & META_FORK_BIT) != 0) {
    at = load<u32>(at + SLOT_LINK);
    if (at == root) return true;
  }
  return false;
}

/** A worker in a join is about to sleep. 0: it may park. 1: a worker has a fork to steal, it is awake again. */
export function enterJoin(agent: usize): u32 {
  const pool: usize = load<u32>(agent + AGENT_POOL);
  // mutant JOIN_LOOKS_FIRST: if (!anyForks(pool)) { or64(pool + POOL_JOINING, bit(load<u32>(agent + AGENT_BIT))); return 0; }
  // Pairs with wakeForFork(): the forker sees the bit, or we see its fork.
  or64(pool + POOL_JOINING, bit(load<u32>(agent + AGENT_BIT)));
  if (load32(pool + POOL_BOUNDED) != 0 ? !anyForksWithin(pool, boundedReach(agent, pool)) : !anyForks(pool))
    return 0;
  exitJoin(agent);
  return 1;
}

/** A worker in a join is awake again. */
export function exitJoin(agent: usize): void {
  const mask = bit(load<u32>(agent + AGENT_BIT));
  const was = and64((load<u32>(agent + AGENT_POOL) as usize) + POOL_JOINING, ~mask);
  if ((was & mask) == 0) store<u32>(agent + AGENT_CHOSEN, 1); // plain: owner only
}

/** A worker's join is over. If a forker chose it and it did not look since, another is chosen: the first may be busy for long. */
export function leaveJoin(agent: usize): void {
  if (load<u32>(agent + AGENT_CHOSEN) == 0) return;
  store<u32>(agent + AGENT_CHOSEN, 0); // plain: owner only
  const pool: usize = load<u32>(agent + AGENT_POOL);
  // mutant CHOSEN_AND_GONE: return;
  if (load32(pool + POOL_BOUNDED) == 0) {
    if (anyForks(pool)) wakeForForkSlow(pool, 0);
    return;
  }
  const row = boundedReach(agent, pool);
  const ranks = load<u32>(row + ROW_COUNT);
  for (let rank: u32 = 0; rank < ranks; rank++) {
    const queue: u32 = load<u8>(row + ROW_QUEUES + rank);
    if (anyForksOf(pool, queue)) wakeForForkSlow(pool, queue);
  }
}

/** Worker: gives up searching without having found or parked (it turns to its event loop, or leaves). */
export function stopSearch(agent: usize): void {
  if (load<u32>(agent + AGENT_SEARCHING) == 0) return;
  const pool: usize = load<u32>(agent + AGENT_POOL);
  store<u32>(agent + AGENT_SEARCHING, 0); // plain: owner only
  // mutant STOP_SEARCH_SILENT: { endSearch(pool, bit(load<u32>(agent + AGENT_BIT))); return; }
  const wasLast = endSearch(pool, bit(load<u32>(agent + AGENT_BIT)));
  if (wasLast || load32(pool + POOL_BOUNDED) != 0) handOn(agent, pool);
}

/** Are workers looking for work while this worker's deque is empty? Then it is worth splitting what it has. */
export function hungry(pool: usize, deque: usize): u32 {
  if ((load64(pool + POOL_IDLE) | load64(pool + POOL_SEARCHING) | load64(pool + POOL_JOINING)) == 0) return 0;
  return sizeOf(deque) == 0 ? 1 : 0;
}

/** For who is no worker of the pool: takes the oldest task of a deque out for good, if it is still `slot`. True when `thief` has claimed it. */
export function takeOldest(thief: usize, pool: usize, deque: usize, slot: usize): u32 {
  return stealIf(deque, slot as u32, thief + AGENT_HELD) && claimOut(thief, pool, slot) ? 1 : 0;
}

/**
 * A submitter takes a task out of its own queue for good, from between the others: the slot is claimed where it stands, and a gap stands there instead. True
 * when `submitter` has claimed it.
 */
export function takeFrom(submitter: usize, pool: usize, deque: usize, index: u32, gap: usize): u32 {
  const slot: usize = entryAt(deque, index);
  if (slot == 0) return 0;
  // Whoever else has taken the entry meanwhile has lost the slot, or we have.
  const isMine = claimOut(submitter, pool, slot);
  setGap(deque, index, gap as u32);
  closeUp(deque, index + 1, gap as u32);
  return isMine ? 1 : 0;
}

function claimOut(thief: usize, pool: usize, slot: usize): bool {
  const id = load<u32>(thief + AGENT_ID);
  if (claim(slot, id, pool)) return true;
  if (concludeCancelled(slot, SLOT_DROPPED, id)) sendHome(slot);
  return false;
}

/** Status of a slot. */
export function statusOf(slot: usize): u32 {
  return load32(slot + SLOT_STATE) & STATE_STATUS_MASK;
}
