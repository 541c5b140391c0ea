/**
 * One task is one slot of 64 bytes that belongs to its submitter (picture: layout.ts). Its state word holds the status, the agent that
 * claimed it and a generation, so one CAS says who runs it:
 *
 * | from | to | by | how |
 * | --- | --- | --- | --- |
 * | FREE | QUEUED | submitter | store, published by the push |
 * | QUEUED | RUNNING(agent) | the worker that took it from a queue | CAS |
 * | QUEUED | CANCELLED | submitter | CAS |
 * | CANCELLED | DROPPED | whoever meets it in a queue | CAS |
 * | RUNNING(agent) | DONE, FAILED | that agent | store |
 * | RUNNING(agent) | EXITED | recovery, once that agent is dead | store |
 * | QUEUED (a fork) | LOST | recovery, for what a dead thief may have held | CAS |
 * | DONE FAILED DROPPED EXITED | FREE | submitter | store |
 *
 * Queue entries are only hints: a slot may stand in several queues (recovery queues again what may be lost), because whoever loses the
 * CAS drops its entry. Entries that outlive their task meet the slot FREE, RUNNING, or QUEUED for its next task, where claiming it early
 * is as good as later. Memory of slots never becomes anything else, so such a late look is always at a state word.
 *
 * A fork that its own submitter pops runs in place and leaves QUEUED for FREE without a claim: it is in no other queue. That is why a joiner
 * must never claim a fork that somebody else took from the deque, not even one that stays unclaimed for long: the taker may wake up when
 * the slot stands for the next fork, claim that, and both would run it. Only when the taker is dead recovery makes the slot LOST, which
 * nobody can claim and only its joiner runs; and that slot is never used again, because an entry for it may still be about.
 */
import { add32, cas32, load32, store32 } from './atomics';
import {
  AGENT_ID,
  AGENT_SLOT_SPANS,
  HEADER_FREE_SLOT_SPANS,
  LANE_POOL,
  OWNER_SLOTS,
  OWNER_SLOTS_FREE,
  SLOT_CANCEL,
  SLOT_OWNER,
  SLOT_SIZE,
  SLOT_STATE,
  SPAN_SIZE,
  SPAN_SLOTS_NEXT,
  STATE_AGENT_MASK,
  STATE_AGENT_SHIFT,
  STATE_GENERATION_SHIFT,
  STATE_STATUS_MASK,
} from './layout';
import { mayTake } from './placement';
import { changeOwner, claimFreed, claimSpans } from './spans';
import {
  CANCEL_TOO_LATE,
  CANCEL_WAS_QUEUED,
  CANCEL_WAS_RUNNING,
  SLOT_CANCELLED,
  SLOT_LOST,
  SLOT_QUEUED,
  SLOT_RUNNING,
} from './status';

/**
 * Owner: adds a span of slots. Returns the address of its header (slot 0; the others follow), or 0 when the memory is full. A death on the
 * way leaves a fresh span the agent's own, which reap() gives back, and costs at most one that was slots before.
 */
export function addSlotSpan(agent: usize): usize {
  let span = load32(HEADER_FREE_SLOT_SPANS) != 0 ? claimFreed(OWNER_SLOTS_FREE, OWNER_SLOTS) : 0;
  if (span != 0) {
    add32(HEADER_FREE_SLOT_SPANS, -1);
  } else {
    span = claimSpans(1, load<u32>(agent + AGENT_ID));
    if (span == 0) return 0;
    // A span may have held payloads: a slot's state must be well-formed before anyone can meet it.
    memory.fill(span, 0, SPAN_SIZE);
  }
  // mutant OWNER_BEFORE_LINK: changeOwner(span, OWNER_SLOTS);
  store<u32>(span + SPAN_SLOTS_NEXT, load32(agent + AGENT_SLOT_SPANS));
  // Publishes the span. Pairs with the walk in recovery.ts.
  store32(agent + AGENT_SLOT_SPANS, span as u32);
  changeOwner(span, OWNER_SLOTS);
  return span;
}

/** Recovery: a dead agent's span of slots waits for its next owner. It never becomes anything else. */
export function freeSlotSpan(span: usize): void {
  // mutant SLOTS_BECOME_MEMORY: { changeOwner(span, 0); return; }
  changeOwner(span, OWNER_SLOTS_FREE);
  add32(HEADER_FREE_SLOT_SPANS, 1);
}

function queuedNext(slot: usize): u32 {
  const state = load<u32>(slot + SLOT_STATE); // plain: a free slot's state is its submitter's
  // mutant NO_GENERATION: return ((state >> STATE_GENERATION_SHIFT) << STATE_GENERATION_SHIFT) | SLOT_QUEUED;
  return (((state >> STATE_GENERATION_SHIFT) + 1) << STATE_GENERATION_SHIFT) | SLOT_QUEUED;
}

/**
 * Submitter: marks a free slot as queued, with its next generation. Atomic, so that it publishes the arguments too: after a death an old
 * entry may still lead here before the push does.
 */
export function markQueued(slot: usize): void {
  store32(slot + SLOT_STATE, queuedNext(slot));
}

/** Worker: as markQueued() for a fork. Plain: no old entry leads to a fork's slot (a LOST one is never used again), so the push publishes it. */
export function markForked(slot: usize): void {
  store<u32>(slot + SLOT_STATE, queuedNext(slot));
}

/**
 * Claims a slot that was met in a queue of `pool`. True when `agentId` runs it from now on; false when it was cancelled, is somebody else's, or
 * has gone over to another pool since it was queued here.
 */
export function claim(slot: usize, agentId: u32, pool: usize): bool {
  const state = load32(slot + SLOT_STATE);
  // mutant CLAIM_RUNNING: if ((state & STATE_STATUS_MASK) == SLOT_RUNNING) return true;
  // mutant CLAIM_FOR_ANY_POOL: return (state & STATE_STATUS_MASK) == SLOT_QUEUED && cas32(slot + SLOT_STATE, state, state - SLOT_QUEUED + SLOT_RUNNING + (agentId << STATE_AGENT_SHIFT));
  if ((state & STATE_STATUS_MASK) != SLOT_QUEUED || poolOf(slot) != pool) return false;
  // mutant CLAIM_BY_STORE: { store32(slot + SLOT_STATE, state - SLOT_QUEUED + SLOT_RUNNING + (agentId << STATE_AGENT_SHIFT)); return true; }
  // Pairs with the CAS in cancel(): one of the two happens.
  return cas32(slot + SLOT_STATE, state, state - SLOT_QUEUED + SLOT_RUNNING + (agentId << STATE_AGENT_SHIFT));
}

/** As claim(), for a worker whose node is `row` of a placed pool: false also when the task does not belong where the worker may take from. */
export function claimPlaced(slot: usize, agentId: u32, pool: usize, row: usize): bool {
  const state = load32(slot + SLOT_STATE);
  if ((state & STATE_STATUS_MASK) != SLOT_QUEUED || poolOf(slot) != pool || !mayTake(row, slot)) return false;
  return cas32(slot + SLOT_STATE, state, state - SLOT_QUEUED + SLOT_RUNNING + (agentId << STATE_AGENT_SHIFT));
}

/** Pool whose task a queued slot holds. Plain: written before the slot was queued; if it changed since, the generation did too. */
export function poolOf(slot: usize): usize {
  return load<u32>(load<u32>(slot + SLOT_OWNER) + LANE_POOL);
}

/** Moves a claimed slot to its outcome. Publishes the result written before. */
export function conclude(slot: usize, status: u32): void {
  const state = load<u32>(slot + SLOT_STATE); // plain: only the claiming agent may move a running slot
  store32(slot + SLOT_STATE, (state & ~STATE_STATUS_MASK) | status);
}

/** Moves a cancelled slot to `status` if nobody else did. `agentId` says who sends it home, in case that one dies before it has. */
export function concludeCancelled(slot: usize, status: u32, agentId: u32): bool {
  const state = load32(slot + SLOT_STATE);
  if ((state & STATE_STATUS_MASK) != SLOT_CANCELLED) return false;
  // mutant DROPPED_ANONYMOUS: return cas32(slot + SLOT_STATE, state, (state & ~STATE_STATUS_MASK) | status);
  // mutant DROP_BY_STORE: { store32(slot + SLOT_STATE, (state & ~STATE_STATUS_MASK) | status | (agentId << STATE_AGENT_SHIFT)); return true; }
  return cas32(
    slot + SLOT_STATE,
    state,
    (state & ~STATE_STATUS_MASK) | status | (agentId << STATE_AGENT_SHIFT),
  );
}

/** Recovery: takes a queued fork out of everybody's reach but its joiner's. */
export function markLost(slot: usize): void {
  // mutant NOT_LOST: return;
  const state = load32(slot + SLOT_STATE);
  // mutant LOST_BY_STORE: { if ((state & STATE_STATUS_MASK) == SLOT_QUEUED) store32(slot + SLOT_STATE, (state & ~STATE_STATUS_MASK) | SLOT_LOST); return; }
  if ((state & STATE_STATUS_MASK) == SLOT_QUEUED)
    cas32(slot + SLOT_STATE, state, (state & ~STATE_STATUS_MASK) | SLOT_LOST);
}

/** Submitter: cancels its own slot for `reason`. CANCEL_WAS_QUEUED: it will not run. CANCEL_WAS_RUNNING: its worker was told. */
export function cancel(slot: usize, reason: u32): u32 {
  while (true) {
    const state = load32(slot + SLOT_STATE);
    const status = state & STATE_STATUS_MASK;
    if (status == SLOT_QUEUED) {
      // mutant CANCEL_BY_STORE: { store32(slot + SLOT_STATE, (state & ~STATE_STATUS_MASK) | SLOT_CANCELLED); return CANCEL_WAS_QUEUED; }
      if (cas32(slot + SLOT_STATE, state, (state & ~STATE_STATUS_MASK) | SLOT_CANCELLED))
        return CANCEL_WAS_QUEUED;
      continue;
    }
    if (status != SLOT_RUNNING) return CANCEL_TOO_LATE;
    // Pairs with aborted(), and with the look at the word that a worker takes after it announced that it parks.
    store32(slot + SLOT_CANCEL, reason);
    return CANCEL_WAS_RUNNING;
  }
}

/** Agent that claimed the slot, or 0. */
export function claimant(slot: usize): u32 {
  return (load32(slot + SLOT_STATE) >> STATE_AGENT_SHIFT) & STATE_AGENT_MASK;
}

/** Address of slot `index` (1..) of a span. */
export function slotAt(span: usize, index: u32): usize {
  return span + index * SLOT_SIZE;
}
