/**
 * Who waits for whom: the graph in which a cycle is a deadlock. Nothing of it is stored but what each owner waits for; edges are followed
 * through the words that say so anyway:
 *
 * | edge | from an owner that | to the owner that |
 * | --- | --- | --- |
 * | LOCK | waits for a lock (OWNER_WAITING) | stands in the lock's word |
 * | TASK | joins a fork (OWNER_WAITING), awaits calls of a pool (OWNER_AWAITS) | is the task in that slot, on the agent that claimed it |
 * | TASK | the same, where that task has no owner | blocks the thread of that task, which needs its event loop |
 * | TASK | awaits a call that is queued while no worker of its pool can go on (OWNER_BEHIND) | of those that such a worker waits with, one that stands for all |
 * | THREAD | shares its thread with an owner whose wait blocks it (AGENT_BLOCKED) | is that owner |
 * | FLOW | waits for one more lock, in another of its flows (a FLOW record among OWNER_AWAITS) | stands in the lock's word |
 *
 * An owner needs all its edges to go, so a cycle through any of them is a deadlock. All but FLOW: who waits for several locks at once may still unlock in another flow, so a
 * cycle through such a wait is for people to judge. One without is looked for first. For the same reason there is no LOCK or FLOW edge from an owner to itself: one
 * of its flows has the lock that another waits for, and goes on. (A flow that asks for what its own owner has is told so before it waits.) A queued call needs any worker, so that edge is there only while it is
 * known of each of them that it leads back to who awaits the call: its thread finds that out (ts/locks/queue-wait.ts) and says it with setBehind(),
 * for as long as that one waits as it did then.
 *
 * | words of an owner | while it goes | while it waits |
 * | --- | --- | --- |
 * | OWNER_WAITING | 0 | what it waits for |
 * | OWNER_EPOCH | e | e + 1 |
 * | OWNER_CANCEL | anything but e + 1 | e + 1 once the wait was aborted |
 *
 * **None is missed.** An owner publishes its wait, then follows the edges from itself. In a cycle every owner waits, and had what it holds
 * before it published; so the one that published last finds every edge in place.
 *
 * **Each has one who acts.** Owners that publish at once may both find the cycle. Of those in it the one with the lowest number keeps the hash of the last
 * cycle that was dealt with; who finds one puts its hash there with a CAS, and who finds it there already leaves it alone. (Numbers taken in the order of
 * publishing cannot tell the last: one may have taken its number and not shown it yet.)
 *
 * **None is invented.** A look takes time, and edges that existed one after another are no cycle (the phantom). So the path found is looked
 * through a second time: each owner with the same epoch, each edge to the same owner. An owner that waits does nothing else, so an edge that
 * was there both times was there between, and at the moment between the two looks all of them were. (FLOW edges come and go without an epoch of the owner, so that its
 * other waits stand: one more reason for doubt.)
 *
 * Aborting somebody else's wait: OWNER_CANCEL = the epoch of that wait, so it never hits a later one; then the lock's sequence, and all who sleep on
 * it; then the bell of its thread, where event loops wait that sleep on no lock of their own (mutex.ts says why none is lost).
 *
 * The search is depth-first with a path and a set of seen owners in scratch memory of the caller:
 *
 *   | path: 16 bytes a step ...            (half) | seen: hash set of owner ids, u32 each  (half) |
 *
 * Model: shared design, "waitfor".
 */

import { agentAt } from './agents';
import { add32, cas32, load32, notifyAll, store32 } from './atomics';
import {
  AGENT_BLOCKED,
  AGENT_LOCK_BELL,
  LOCK_WORD,
  MAX_OWNER_CHUNKS,
  OWNER_AWAITS,
  OWNER_BEHIND,
  OWNER_BEHIND_EPOCH,
  OWNER_CANCEL,
  OWNER_CLAIM,
  OWNER_EPOCH,
  OWNER_FLAGS,
  OWNER_KIND,
  OWNER_NEXT,
  OWNER_SIZE,
  OWNER_SLOT,
  OWNER_WAITING,
  POOL_WORKER_HIGH,
  POOL_WORKERS,
  SLOT_CANCEL,
  SLOT_STATE,
  STATE_STATUS_MASK,
  STEP_EDGE,
  STEP_EPOCH,
  STEP_OWNER,
  STEP_SIZE,
  STEP_TARGET,
  WAIT_SLOT_BIT,
  WORD_OWNER_MASK,
  WORD_OWNER_SHIFT,
} from './layout';
import { bump } from './mutex';
import { agentOf, chunkOf, ownerAt, ownerId, usedRecords } from './owners';
import { claimant } from './slots';
import {
  CYCLE_NO_ROOM,
  EDGE_LOCK,
  EDGE_TASK,
  EDGE_THREAD,
  OWNER_FLAG_CLASS_SHIFT,
  OWNER_KIND_AWAIT,
  OWNER_KIND_FLOW,
  OWNER_KIND_TASK,
  SLOT_QUEUED,
  SLOT_RUNNING,
} from './status';

// ---- publishing --------------------------------------------------------------------------------------------------------------------------------

/** The epoch of an owner goes on. 0 in OWNER_CANCEL is no epoch: a wait with that one would count as aborted. */
function nextEpoch(owner: usize): u32 {
  const epoch = add32(owner + OWNER_EPOCH, 1) + 1;
  // mutant EPOCH_OF_NOBODY: return epoch;
  return epoch != 0 ? epoch : add32(owner + OWNER_EPOCH, 1) + 1;
}

/**
 * An owner is about to wait for `target`: a lock, or a slot with WAIT_SLOT_BIT. `blocks`: its thread does nothing else meanwhile. Returns the
 * epoch of the wait.
 */
export function beginWait(owner: usize, target: u32, flags: u32, blocks: u32): u32 {
  const own = load<u8>(owner + OWNER_FLAGS) >> (OWNER_FLAG_CLASS_SHIFT as u8); // plain: this thread writes it
  store<u8>(owner + OWNER_FLAGS, ((own as u32) << OWNER_FLAG_CLASS_SHIFT) | flags); // plain: published by what follows
  const epoch = nextEpoch(owner);
  store32(owner + OWNER_WAITING, target);
  if (blocks != 0) store32(agentOf(owner) + AGENT_BLOCKED, owner as u32);
  return epoch;
}

/** The wait is over, however it ended. */
export function endWait(owner: usize): void {
  const agent = agentOf(owner);
  if (load32(agent + AGENT_BLOCKED) == (owner as u32)) store32(agent + AGENT_BLOCKED, 0);
  store32(owner + OWNER_WAITING, 0);
  add32(owner + OWNER_EPOCH, 1);
}

/** Was the wait that the owner is in aborted by another thread? Call it after prepareWait(). */
export function isAborted(owner: usize): u32 {
  return load32(owner + OWNER_CANCEL) == load<u32>(owner + OWNER_EPOCH) ? 1 : 0; // plain epoch: this thread writes it
}

/** Aborts the wait `epoch` of an owner, if it is in it still. */
export function abortWait(owner: usize, epoch: u32): void {
  if (load32(owner + OWNER_EPOCH) != epoch) return;
  // mutant ABORT_WORD_FIRST: { wakeWait(owner); store32(owner + OWNER_CANCEL, epoch); return; }
  // Pairs with isAborted(): the flag first, then the word.
  store32(owner + OWNER_CANCEL, epoch);
  wakeWait(owner);
}

/** Wakes an owner that waits, to look at what has changed for it. */
function wakeWait(owner: usize): void {
  const target = load32(owner + OWNER_WAITING);
  if (target != 0 && (target & WAIT_SLOT_BIT) == 0) bump(target);
  const bell = agentOf(owner) + AGENT_LOCK_BELL;
  add32(bell, 1);
  notifyAll(bell);
}

/** Wakes the workers of a pool that wait for locks, so that they see that their tasks were cancelled. Call it after that is written. */
export function wakeBlocked(pool: usize): void {
  const high = load32(pool + POOL_WORKER_HIGH);
  for (let i: u32 = 0; i < high; i++) {
    const id = load32(pool + POOL_WORKERS + (i << 2));
    if (id == 0) continue;
    const owner: usize = load32(agentAt(id) + AGENT_BLOCKED);
    if (owner == 0) continue;
    const target = load32(owner + OWNER_WAITING);
    // mutant WAKES_SLEEPERS_ONLY: { if (target != 0 && (target & WAIT_SLOT_BIT) == 0) notifyAll(target + LOCK_WORD); continue; }
    if (target != 0 && (target & WAIT_SLOT_BIT) == 0) bump(target);
  }
}

/** An owner awaits one more call: `node` is a record of kind AWAIT whose OWNER_SLOT is the slot. */
export function addAwait(owner: usize, node: usize): void {
  store<u32>(node + OWNER_NEXT, load<u32>(owner + OWNER_AWAITS)); // plain: published by the store
  nextEpoch(owner);
  store32(owner + OWNER_AWAITS, node as u32);
}

/** The call has an outcome, or is awaited no more. */
export function removeAwait(owner: usize, node: usize): void {
  if (unlink(owner, node)) nextEpoch(owner);
}

/**
 * An owner that waits for a lock waits for one more, in another flow: `node` is a record of kind FLOW that says so by itself. The owner's own wait lasts, and so
 * does its epoch.
 */
export function addFlow(owner: usize, node: usize): void {
  store<u32>(node + OWNER_NEXT, load<u32>(owner + OWNER_AWAITS)); // plain: published by the store
  store32(owner + OWNER_AWAITS, node as u32);
}

/** That wait is over. */
export function removeFlow(owner: usize, node: usize): void {
  unlink(owner, node);
}

function unlink(owner: usize, node: usize): bool {
  let place = owner + OWNER_AWAITS;
  while (true) {
    const at: usize = load32(place);
    if (at == 0) return false;
    if (at == node) break;
    place = at + OWNER_NEXT;
  }
  // Its own OWNER_NEXT stays, for a walk that stands on it.
  store32(place, load<u32>(node + OWNER_NEXT));
  return true;
}

/** The call of an AWAIT record, which is queued, goes on only when `behind` does, whose wait is `epoch`. 0: or when others do. */
export function setBehind(node: usize, behind: usize, epoch: u32): void {
  store32(node + OWNER_BEHIND, 0);
  store32(node + OWNER_BEHIND_EPOCH, epoch);
  store32(node + OWNER_BEHIND, behind as u32);
}

// ---- edges -------------------------------------------------------------------------------------------------------------------------------------

/** The owner that is the task in a slot, or 0: nobody runs it, or it has no owner, so it holds nothing and waits for nothing. */
export function ownerOfSlot(slot: usize): usize {
  // mutant TASK_UNSEEN: return 0;
  if ((load32(slot + SLOT_STATE) & STATE_STATUS_MASK) != SLOT_RUNNING) return 0;
  const agentId = claimant(slot);
  for (let i: u32 = 0; i < MAX_OWNER_CHUNKS; i++) {
    const chunk = chunkOf(i, agentId);
    if (chunk == 0) continue;
    const used = usedRecords(chunk);
    for (let record: u32 = 1; record <= used; record++) {
      const owner = chunk + record * OWNER_SIZE;
      if (load32(owner + OWNER_KIND) == OWNER_KIND_TASK && load<u32>(owner + OWNER_SLOT) == (slot as u32))
        return owner;
    }
  }
  return 0;
}

/**
 * Who must go on before the task in a slot does: its owner. One without an owner holds nothing and waits for nothing itself, but it may be async, and need the
 * event loop of its thread: then it is the owner that blocks the thread. 0: nobody.
 */
export function ownerAhead(slot: usize): usize {
  const owner = ownerOfSlot(slot);
  // mutant OWNERLESS_GOES_ON: return owner;
  if (owner != 0 || (load32(slot + SLOT_STATE) & STATE_STATUS_MASK) != SLOT_RUNNING) return owner;
  const blocker: usize = load32(agentAt(claimant(slot)) + AGENT_BLOCKED);
  if (blocker == 0) return 0;
  // A thread that blocks in a join looks for what was cancelled in its event loop, and gives it up.
  const isLookedFor =
    load32(slot + SLOT_CANCEL) != 0 && (load32(blocker + OWNER_WAITING) & WAIT_SLOT_BIT) != 0;
  return isLookedFor ? 0 : blocker;
}

/** The owner at the end of an AWAIT record's edge. */
function awaitedOwner(node: usize, slot: usize): usize {
  const runs = ownerAhead(slot);
  if (runs != 0) return runs;
  // mutant QUEUED_GOES_ON: return 0;
  const behind: usize = load32(node + OWNER_BEHIND);
  if (behind == 0 || (load32(slot + SLOT_STATE) & STATE_STATUS_MASK) != SLOT_QUEUED) return 0;
  return load32(behind + OWNER_EPOCH) == load32(node + OWNER_BEHIND_EPOCH) ? behind : 0;
}

function holderOf(lock: usize): usize {
  const holder = load32(lock + LOCK_WORD) & WORD_OWNER_MASK;
  return holder == 0 ? 0 : ownerAt(holder >> WORD_OWNER_SHIFT);
}

/** The owner at the end of the edge that OWNER_WAITING of `owner`, or of a FLOW record of it, is. */
function waitedFor(owner: usize, target: u32): usize {
  if (target == 0) return 0;
  if ((target & WAIT_SLOT_BIT) != 0) return ownerAhead(target & ~WAIT_SLOT_BIT);
  const holder = holderOf(target);
  // mutant WAITS_FOR_ITSELF: return holder;
  return holder == owner ? 0 : holder;
}

function blockerOf(owner: usize): usize {
  const blocker: usize = load32(agentOf(owner) + AGENT_BLOCKED);
  return blocker == owner ? 0 : blocker;
}

/** Is this one of the owner's AWAIT or FLOW records still? */
function isListed(owner: usize, node: usize, kind: u32): bool {
  let at: usize = load32(owner + OWNER_AWAITS);
  // A list that changes under us may lead in circles; an owner does not await more calls than it has records.
  for (let hops: u32 = 0; at != 0 && hops < 1 << 19; hops++) {
    if (at == node) return load32(node + OWNER_KIND) == kind;
    at = load32(at + OWNER_NEXT);
  }
  return false;
}

/*
 * STEP_EDGE of a step that is being followed: 0, EDGE_LOCK or EDGE_TASK by what OWNER_WAITING says, EDGE_THREAD, or the address of an AWAIT
 * or FLOW record, of which the one has WAIT_SLOT_BIT in STEP_TARGET and the other has not. They come in this order.
 */
const EDGE_NONE: u32 = 0;
const EDGE_WAITING: u32 = 1;

/**
 * Was the wait of this step's owner for a lock aborted? Then that edge is as good as gone. The others are not: if the owner waits in an event loop whose
 * thread is blocked, it does not hear of it before the thread goes on.
 */
function isGivenUp(step: usize, owner: usize, target: u32): bool {
  return (target & WAIT_SLOT_BIT) == 0 && load32(owner + OWNER_CANCEL) == load<u32>(step + STEP_EPOCH);
}

/**
 * Moves a step on to its next edge. Returns the owner at its end, or 0 when there is no further edge. `victim`: the caller's own, whose wait was aborted;
 * to it the wait stands. `skipped`: where to note that there was a FLOW record, which was left out; 0: none is.
 */
function nextEdge(step: usize, owner: usize, victim: usize, skipped: usize): usize {
  let edge = load<u32>(step + STEP_EDGE);
  if (edge == EDGE_NONE) {
    edge = EDGE_WAITING;
    const target = load32(owner + OWNER_WAITING);
    const next = waitedFor(owner, target);
    if (next != 0 && (owner == victim || !isGivenUp(step, owner, target)))
      return setEdge(step, (target & WAIT_SLOT_BIT) == 0 ? EDGE_LOCK : EDGE_TASK, target, next);
  }
  if (edge == EDGE_WAITING || edge == EDGE_LOCK || edge == EDGE_TASK) {
    edge = EDGE_THREAD;
    const next = blockerOf(owner);
    if (next != 0) return setEdge(step, EDGE_THREAD, 0, next);
  }
  let node: usize = edge == EDGE_THREAD ? load32(owner + OWNER_AWAITS) : load32(edge + OWNER_NEXT);
  for (let hops: u32 = 0; node != 0 && hops < 1 << 19; hops++) {
    const kind = load32(node + OWNER_KIND);
    if (kind == OWNER_KIND_AWAIT) {
      const slot = load<u32>(node + OWNER_SLOT);
      const next = awaitedOwner(node, slot);
      if (next != 0) return setEdge(step, node as u32, slot | WAIT_SLOT_BIT, next);
    } else if (kind != OWNER_KIND_FLOW) {
      return 0;
    } else if (skipped != 0) {
      store<u32>(skipped, 1);
    } else {
      const lock = load32(node + OWNER_WAITING);
      const next = waitedFor(owner, lock);
      if (next != 0) return setEdge(step, node as u32, lock, next);
    }
    node = load32(node + OWNER_NEXT);
  }
  return 0;
}

function setEdge(step: usize, edge: u32, target: u32, next: usize): usize {
  store<u32>(step + STEP_EDGE, edge);
  store<u32>(step + STEP_TARGET, target);
  return next;
}

/** Is the edge of this step there now, to the same owner? `isVictim`: it is the caller's own, whose wait was aborted; to it the wait stands. */
function holds(step: usize, next: usize, isVictim: bool): bool {
  const owner = ownerAt(load<u32>(step + STEP_OWNER));
  if (load32(owner + OWNER_EPOCH) != load<u32>(step + STEP_EPOCH)) return false;
  const edge = load<u32>(step + STEP_EDGE);
  const target = load<u32>(step + STEP_TARGET);
  // Somebody breaks the cycle here already.
  if (edge == EDGE_LOCK && !isVictim && isGivenUp(step, owner, target)) return false;
  if (edge == EDGE_THREAD) return blockerOf(owner) == next;
  if (edge == EDGE_LOCK || edge == EDGE_TASK)
    return load32(owner + OWNER_WAITING) == target && waitedFor(owner, target) == next;
  if ((target & WAIT_SLOT_BIT) == 0)
    return (
      isListed(owner, edge, OWNER_KIND_FLOW) &&
      load32(edge + OWNER_WAITING) == target &&
      waitedFor(owner, target) == next
    );
  return isListed(owner, edge, OWNER_KIND_AWAIT) && awaitedOwner(edge, target & ~WAIT_SLOT_BIT) == next;
}

// ---- the search -----------------------------------------------------------------------------------------------------------------------------------

/** Adds an owner to the set of those seen. 1: it was new; 0: it was there; -1: there is no room. */
function markSeen(seen: usize, capacity: u32, count: u32, id: u32): i32 {
  if (count >= capacity >> 1) return -1;
  let place = (id * 0x9e3779b1) & (capacity - 1);
  while (true) {
    const at = load<u32>(seen + (place << 2));
    if (at == id) return 0;
    if (at == 0) {
      store<u32>(seen + (place << 2), id);
      return 1;
    }
    place = (place + 1) & (capacity - 1);
  }
}

/**
 * A number for a wait. Stirred well, as the sum is compared with that of the same owners' last cycle: their epochs are a little higher then, and what is only
 * xored or multiplied cancels out (T. Mueller's integer hash, with constants found by C. Wellons' hash-prospector).
 */
function stir(id: u32, epoch: u32): u32 {
  let x = (id * 0x9e3779b1) ^ (epoch * 0x85ebca6b);
  x = (x ^ (x >> 16)) * 0x7feb352d;
  x = (x ^ (x >> 15)) * 0x846ca68b;
  return x ^ (x >> 16);
}

/** Is it the caller who deals with this cycle? Whoever asks first. */
function claimCycle(scratch: usize, steps: i32): bool {
  // mutant ALL_ACT: return true;
  let hash: u32 = 1;
  let lowest: u32 = 0xffffffff;
  for (let i: i32 = 0; i < steps; i++) {
    const step = scratch + i * STEP_SIZE;
    const id = load<u32>(step + STEP_OWNER);
    // A sum, as each finds the cycle from its own place.
    hash += stir(id, load<u32>(step + STEP_EPOCH));
    lowest = min(lowest, id);
  }
  const claim = ownerAt(lowest) + OWNER_CLAIM;
  while (true) {
    const last = load32(claim);
    if (last == hash) return false;
    if (cas32(claim, last, hash)) return true;
  }
}

/**
 * Looks for a cycle through `start`, which waits; with `claims` only for one that nobody has found before, without also where the wait of `start` was aborted. `scratch`: `bytes` (a power of two, at least 64 KiB) that are the caller's alone. Returns how many
 * steps the cycle has, from `start`, each STEP_SIZE bytes from `scratch` on; 0 when there is none; CYCLE_NO_ROOM when `bytes` are too few.
 */
export function findCycle(start: usize, scratch: usize, bytes: u32, claims: u32): i32 {
  const victim: usize = claims == 0 ? start : 0;
  // At the end of the half of the steps.
  const skipped = scratch + (bytes >> 1) - STEP_SIZE;
  store<u32>(skipped, 0);
  let found = search(start, scratch, bytes, victim, skipped);
  // mutant FLOWS_LEFT_OUT: store<u32>(skipped, 0);
  if (found == 0 && load<u32>(skipped) != 0) found = search(start, scratch, bytes, victim, 0);
  if (found <= 0) return found;
  // mutant ONE_LOOK: return found;
  // The second look. If an edge is gone there is nothing to report: whoever closes a cycle later looks for itself.
  for (let i: i32 = 0; i < found; i++) {
    const next = i + 1 < found ? ownerAt(load<u32>(scratch + (i + 1) * STEP_SIZE + STEP_OWNER)) : start;
    if (!holds(scratch + i * STEP_SIZE, next, claims == 0 && i == 0)) return 0;
  }
  if (claims != 0 && !claimCycle(scratch, found)) return 0;
  for (let i: i32 = 0; i < found; i++) {
    const step = scratch + i * STEP_SIZE;
    if (load<u32>(step + STEP_EDGE) > EDGE_THREAD && (load<u32>(step + STEP_TARGET) & WAIT_SLOT_BIT) != 0)
      store<u32>(step + STEP_EDGE, EDGE_TASK);
  }
  return found;
}

/** The first look. All plain: scratch memory is the caller's alone. */
function search(start: usize, scratch: usize, bytes: u32, victim: usize, skipped: usize): i32 {
  const half = bytes >> 1;
  const seen = scratch + half;
  const steps = half / STEP_SIZE - 1;
  memory.fill(seen, 0, half);
  let count: u32 = 0;
  let depth: u32 = 1;
  pushStep(scratch, start);
  while (depth != 0) {
    const step = scratch + (depth - 1) * STEP_SIZE;
    const next = nextEdge(step, ownerAt(load<u32>(step + STEP_OWNER)), victim, skipped);
    if (next == start) return depth as i32;
    if (next == 0) {
      depth--;
      continue;
    }
    const fresh = markSeen(seen, half >> 2, count, ownerId(next));
    if (fresh < 0 || depth >= steps) return CYCLE_NO_ROOM;
    if (fresh == 0) continue;
    count++;
    pushStep(scratch + depth * STEP_SIZE, next);
    depth++;
  }
  return 0;
}

function pushStep(step: usize, owner: usize): void {
  store<u32>(step + STEP_OWNER, ownerId(owner));
  // Before its edges: an edge that was read with another epoch does not stand.
  store<u32>(step + STEP_EPOCH, load32(owner + OWNER_EPOCH));
  store<u32>(step + STEP_EDGE, EDGE_NONE);
}
