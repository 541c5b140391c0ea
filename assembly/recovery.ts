/**
 * What is done when a thread is gone. Only the runtime's main thread recovers and reaps, one agent at a time, after the platform has said
 * that the thread ended; everything here may run while other workers go on.
 *
 * `recover` makes whole at once what others wait for:
 *   1. The agent leaves the pool's sets. The searching set is emptied altogether, because the dead may have set a bit for another in
 *      the middle of waking it; step 5 makes up for a searcher that lost its bit.
 *   2. Entries in its deques go on in the rescuer's lane; its own forks are forgotten, their parent is dead.
 *   3. Entries that it had taken but not claimed are queued again: the word AGENT_HELD, and the cells beyond the bottom of its deques. A
 *      slot that is queued twice is harmless (slots.ts), so "may have been lost" is enough.
 *   4. Every slot it was running becomes EXITED and goes home. (Outcomes that it had stored but not pushed are found by their submitter,
 *      which looks through its slots after it drained its stack.) Its forks that others run or are about to are cancelled: the task above
 *      them, whose word would tell them, is over.
 *   5. All workers are told to look again, and all submitters notified: a wake-up that the dead had swallowed, not yet sent, or half sent
 *      (the word says TOKEN or RUNG, but it died before it notified) is sent.
 * Before all that, its locks are given back (lock-recovery.ts).
 *
 * `reap` gives its memory back, later: when no other thread runs a task of its slots, no result in its arena is unread, and every
 * worker has started a new look or sleeps since (so none still holds an entry of its deques). Its slots stay slots.
 */
import { agentAt, BATCHES, dequeOf, FORKS } from './agents';
import { release } from './arena';
import { add32, and64, cas32, load32, store32 } from './atomics';
import { ringAgain } from './completions';
import { beyond, push, repair, STEAL_RETRY, steal } from './deque';
import {
  AGENT_BIT,
  AGENT_HELD,
  AGENT_ID,
  AGENT_KERNEL_THREAD,
  AGENT_KIND,
  AGENT_LANE,
  AGENT_POOL,
  AGENT_SLOT_SPANS,
  AGENT_STATE,
  AGENT_THREAD,
  BATCH_MOST,
  CLASSES,
  HEADER_NOWHERE,
  HEADER_RECOVERIES,
  LANE_AGENT,
  LANE_QUEUES,
  MAX_AGENTS,
  META_CLASS_MASK,
  META_CLASS_SHIFT,
  META_FORK_BIT,
  OWNER_POOL,
  OWNER_SLOTS,
  OWNER_SLOTS_FREE,
  POOL_ID,
  POOL_IDLE,
  POOL_JOINING,
  POOL_LOOPING,
  POOL_SEARCHING,
  POOL_SUBMITTER_HIGH,
  POOL_SUBMITTER_LANES,
  POOL_WORKER_HIGH,
  POOL_WORKERS,
  SLOT_CANCEL,
  SLOT_META,
  SLOT_SIZE,
  SLOT_STATE,
  SLOT_TAGS,
  SLOT_VALUES,
  SLOTS_PER_SPAN,
  SPAN_SHIFT,
  SPAN_SIZE,
  SPAN_SLOTS_NEXT,
  STATE_GENERATION_SHIFT,
  STATE_STATUS_MASK,
} from './layout';
import { recoverLocks } from './lock-recovery';
import { recoverOrder } from './order-recovery';
import { bit, wakeAll } from './parking';
import { queueOf } from './placement';
import { sendHome } from './scheduler';
import { claimant, conclude, concludeCancelled, freeSlotSpan, markLost, poolOf, slotAt } from './slots';
import { releaseAllOf, spanLimit, spanOwner } from './spans';
import {
  AGENT_DEAD,
  AGENT_FREE,
  CANCEL_ABORTED,
  SLOT_CANCELLED,
  SLOT_DONE,
  SLOT_DROPPED,
  SLOT_EXITED,
  SLOT_FAILED,
  SLOT_QUEUED,
  SLOT_RUNNING,
  TAG_PACKED,
  TAG_RETURNED,
} from './status';

function status(slot: usize): u32 {
  return load32(slot + SLOT_STATE) & STATE_STATUS_MASK;
}

/** Could this word be the address of a slot? Cells of a deque that were never written hold anything. */
function isSlot(word: u32): bool {
  if ((word & (SLOT_SIZE - 1)) != 0 || (word & (SPAN_SIZE - 1)) == 0) return false;
  const span = word >> SPAN_SHIFT;
  if (span >= spanLimit()) return false;
  const owner = spanOwner(word);
  return owner == OWNER_SLOTS || owner == OWNER_SLOTS_FREE;
}

/** Steps 1 to 5 above. `rescue` is a lane of the calling thread in the same pool, or 0 when the pool is being taken down. */
export function recover(agent: usize, rescue: usize): void {
  const pool: usize = load<u32>(agent + AGENT_POOL);
  const lane: usize = load<u32>(agent + AGENT_LANE);
  const id = load<u32>(agent + AGENT_ID);
  store32(agent + AGENT_STATE, AGENT_DEAD);
  recoverLocks(agent);
  recoverOrder(id);
  if (pool == 0) return; // it never joined one
  const index = load<u32>(agent + AGENT_BIT);
  store32(pool + POOL_WORKERS + (index << 2), 0);
  leaveSets(pool, bit(index));
  for (let c: u32 = 0; c < CLASSES; c++) {
    drain(dequeOf(lane, c, FORKS), pool, rescue);
    drain(dequeOf(lane, c, BATCHES), pool, rescue);
  }
  // mutant HELD_FORGOTTEN: store<u32>(agent + AGENT_HELD, 0);
  rescueEntry(load<u32>(agent + AGENT_HELD), pool, rescue);
  concludeClaimedBy(id);
  orphanForks(agent);
  add32(HEADER_RECOVERIES, 1);
  // mutant NO_WAKE_ALL: return;
  wakeAll(pool, load32(pool + POOL_WORKER_HIGH));
  const submitters = load32(pool + POOL_SUBMITTER_HIGH);
  for (let i: u32 = 0; i < submitters; i++) {
    const from: usize = load32(pool + POOL_SUBMITTER_LANES + (i << 2));
    if (from != 0) ringAgain(load<u32>(from + LANE_AGENT)); // plain: written when the lane was taken over
  }
}

function leaveSets(pool: usize, mask: u64): void {
  and64(pool + POOL_JOINING, ~mask);
  and64(pool + POOL_LOOPING, ~mask);
  // mutant KEEPS_SEARCHING: { and64(pool + POOL_IDLE, ~mask); return; }
  // mutant KEEPS_OTHERS_SEARCHING: { and64(pool + POOL_SEARCHING, ~mask); and64(pool + POOL_IDLE, ~mask); return; }
  and64(pool + POOL_SEARCHING, 0);
  // mutant KEEPS_IDLE: return;
  and64(pool + POOL_IDLE, ~mask);
}

function drain(deque: usize, pool: usize, rescue: usize): void {
  // mutant NO_DRAIN: return;
  // What a pop or a batch was taking comes first: the steals below do not move bottom.
  for (let i: u32 = 0; i <= BATCH_MOST; i++) rescueEntry(beyond(deque, i), pool, rescue);
  while (true) {
    // What is held is noted where nobody reads it: nobody recovers the one who recovers. Not at address 0: who has no owner takes locks with what stands there.
    const entry = steal(deque, HEADER_NOWHERE);
    if (entry == 0) break;
    if (entry != STEAL_RETRY) rescueEntry(entry, pool, rescue);
  }
  repair(deque);
}

/** Queues a slot again that may have been lost, or sends it home if it was cancelled meanwhile. A fork is left to its joiner. */
function rescueEntry(entry: u32, pool: usize, rescue: usize): void {
  if (!isSlot(entry)) return;
  const slot: usize = entry;
  // mutant META_FIRST: { if ((load<u32>(slot + SLOT_META) & META_FORK_BIT) == 0 && status(slot) == SLOT_QUEUED && poolOf(slot) == pool) push(dequeOf(rescue, 0, 0), entry, OWNER_POOL + load<u32>(pool + POOL_ID)); return; }
  // The state first: what was written before the slot was queued is true of the task that the state speaks of.
  const now = status(slot);
  const meta = load<u32>(slot + SLOT_META);
  // mutant FORK_RESCUED: { push(dequeOf(rescue, 0, 0), entry, OWNER_POOL + load<u32>(pool + POOL_ID)); return; }
  if ((meta & META_FORK_BIT) != 0) {
    // It may stand in its owner's deque after all: then its owner pops it, or a thief drops it and the owner finds it lost. Both are right.
    markLost(slot);
    return;
  }
  if (now == SLOT_CANCELLED && concludeCancelled(slot, SLOT_DROPPED, 0)) sendHome(slot);
  if (now != SLOT_QUEUED || rescue == 0 || poolOf(slot) != pool) return;
  const qosClass = (meta >> META_CLASS_SHIFT) & META_CLASS_MASK;
  // If the slot has moved on since the look at its state, this may be any number, and its entry is one too many.
  const queue = queueOf(slot);
  if (queue >= load<u32>(rescue + LANE_QUEUES)) return;
  // mutant RESCUED_ANYWHERE: { push(dequeOf(rescue, qosClass, 0), entry, OWNER_POOL + load<u32>(pool + POOL_ID)); return; }
  if (push(dequeOf(rescue, qosClass, queue), entry, OWNER_POOL + load<u32>(pool + POOL_ID))) return;
  // No room in a full memory: the task fails rather than be lost.
  const state = load32(slot + SLOT_STATE);
  if ((state & STATE_STATUS_MASK) != SLOT_QUEUED) return;
  if (cas32(slot + SLOT_STATE, state, (state & ~STATE_STATUS_MASK) | SLOT_EXITED)) sendHome(slot);
}

function concludeClaimedBy(id: u32): void {
  // mutant CLAIMED_FORGOTTEN: return;
  for (let other: u32 = 1; other < MAX_AGENTS; other++) {
    const agent = agentAt(other);
    if (load32(agent + AGENT_STATE) == AGENT_FREE) continue;
    for (
      let span: usize = load32(agent + AGENT_SLOT_SPANS);
      span != 0;
      span = load<u32>(span + SPAN_SLOTS_NEXT)
    ) {
      for (let i: u32 = 1; i < SLOTS_PER_SPAN; i++) {
        const slot = slotAt(span, i);
        if (status(slot) != SLOT_RUNNING || claimant(slot) != id) continue;
        conclude(slot, SLOT_EXITED);
        sendHome(slot);
      }
    }
  }
}

/** A worker's own slots are forks. One that is free or concluded by now does not mind the word. */
function orphanForks(agent: usize): void {
  for (
    let span: usize = load32(agent + AGENT_SLOT_SPANS);
    span != 0;
    span = load<u32>(span + SPAN_SLOTS_NEXT)
  ) {
    for (let i: u32 = 1; i < SLOTS_PER_SPAN; i++) {
      const slot = slotAt(span, i);
      const now = status(slot);
      if (now == SLOT_RUNNING || now == SLOT_QUEUED) store32(slot + SLOT_CANCEL, CANCEL_ABORTED);
    }
  }
}

/** Does anything still point into the memory of a dead agent? */
export function isReferenced(agent: usize): u32 {
  // mutant REFERENCES_IGNORED: return 0;
  const id = load<u32>(agent + AGENT_ID);
  for (
    let span: usize = load32(agent + AGENT_SLOT_SPANS);
    span != 0;
    span = load<u32>(span + SPAN_SLOTS_NEXT)
  ) {
    // mutant RUNNING_IGNORED: break;
    for (let i: u32 = 1; i < SLOTS_PER_SPAN; i++) if (status(slotAt(span, i)) == SLOT_RUNNING) return 1;
  }
  for (let other: u32 = 1; other < MAX_AGENTS; other++) {
    const from = agentAt(other);
    if (other == id || load32(from + AGENT_STATE) == AGENT_FREE) continue;
    for (
      let span: usize = load32(from + AGENT_SLOT_SPANS);
      span != 0;
      span = load<u32>(span + SPAN_SLOTS_NEXT)
    ) {
      for (let i: u32 = 1; i < SLOTS_PER_SPAN; i++) if (hasResultOf(slotAt(span, i), id)) return 1;
    }
  }
  return 0;
}

function hasResultOf(slot: usize, id: u32): bool {
  // mutant RESULTS_IGNORED: return false;
  const now = status(slot);
  if (now != SLOT_DONE && now != SLOT_FAILED) return false;
  const tag = load<u32>(slot + SLOT_TAGS) & 0xff;
  if (tag != TAG_PACKED && tag != TAG_RETURNED) return false;
  return spanOwner(load<u32>(slot + SLOT_VALUES)) == id;
}

/**
 * The result of a fork that nobody is left to read goes back to the arena of the worker that wrote it. One that its reader was just giving back
 * (TAG_RETURNED) may have gone back already: it is left until that worker ends, because a block that comes back twice would have two users.
 */
function releaseResult(agent: usize, slot: usize): void {
  // mutant RESULT_KEPT: return;
  const now = status(slot);
  if (now != SLOT_DONE && now != SLOT_FAILED) return;
  if ((load<u32>(slot + SLOT_TAGS) & 0xff) != TAG_PACKED) return;
  const block = load<u32>(slot + SLOT_VALUES);
  if (spanOwner(block) != load<u32>(agent + AGENT_ID)) release(agent, block);
  store<u32>(slot + SLOT_TAGS, 0);
}

/** Gives back all memory of a dead agent, and its id. The caller has seen that isReferenced() says 0 and that the workers moved on. */
export function reap(agent: usize): void {
  let span: usize = load32(agent + AGENT_SLOT_SPANS);
  while (span != 0) {
    const next: usize = load<u32>(span + SPAN_SLOTS_NEXT);
    // Free, but with their generations: a late look must never take an old task for a new one.
    for (let i: u32 = 1; i < SLOTS_PER_SPAN; i++) {
      releaseResult(agent, slotAt(span, i));
      const state = slotAt(span, i) + SLOT_STATE;
      store32(state, (load32(state) >> STATE_GENERATION_SHIFT) << STATE_GENERATION_SHIFT);
    }
    freeSlotSpan(span);
    span = next;
  }
  store32(agent + AGENT_SLOT_SPANS, 0);
  // mutant REAP_KEEPS_SPANS: { store32(agent + AGENT_STATE, AGENT_FREE); return; }
  releaseAllOf(load<u32>(agent + AGENT_ID));
  // Whoever claims the record writes them after the state: until then nobody may take it for this thread, which is gone.
  store<u32>(agent + AGENT_KIND, 0);
  store<u32>(agent + AGENT_THREAD, 0);
  store<u32>(agent + AGENT_KERNEL_THREAD, 0);
  store32(agent + AGENT_STATE, AGENT_FREE);
}
