/**
 * A park word per agent, the idle and the searching set of a pool: who sleeps, who looks for work, and who must be woken.
 *
 * Park word:
 * | value | meaning | set by | left by |
 * | --- | --- | --- | --- |
 * | EMPTY | awake, nothing pending | the agent | unpark -> TOKEN, preparePark -> PARKED |
 * | TOKEN | told to look again | anyone (unpark) | the agent, before it looks |
 * | PARKED | asleep, or about to be | the agent (preparePark) | unpark -> TOKEN (and notify), the agent itself -> EMPTY |
 *
 * Idle and searching sets are bitmaps rather than counts, so that a dead worker's part in them can be taken out.
 *
 * Waking is throttled, as in Go's scheduler and Tokio's: a new task wakes one idle worker, and only if nobody is searching; the
 * last searcher that finds work wakes the next. What makes it safe:
 *   1. A submitter publishes its task (store of bottom), then looks at the searching and the idle set.
 *   2. A worker that found nothing enters the idle set, leaves the searching set, and if no other searcher is left looks at all queues
 *      again, before it sleeps.
 * Either the submitter sees the searcher, who will look at the queues after leaving the set; or it sees the idle bit and wakes; or the
 * worker's second look comes after the task was published. If the submitter saw another searcher, that one takes step 2 later.
 * Where not every worker may take everything, all this holds for each queue by itself (placement.ts).
 * Model: shared design, "park".
 */
import { and64, cas32, cas64, exchange32, load32, load64, notifyAll, or64, store32, wait32 } from './atomics';
import {
  AGENT_PARK,
  AGENT_SIZE,
  AGENTS,
  LANE_QUEUE,
  POOL_IDLE,
  POOL_JOINING,
  POOL_LOOPING,
  POOL_SEARCHING,
  POOL_WORKERS,
  ROW_LOCAL,
  ROW_MAY,
  SLOT_OWNER,
} from './layout';
import { rowOf } from './placement';
import { PARK_EMPTY, PARK_PARKED, PARK_TOKEN } from './status';

/** Tells an agent to look again. Notifies only when it sleeps: V8 takes one lock for the whole process on every notify. */
export function unpark(agent: usize): void {
  // mutant UNPARK_NOTIFIES_FIRST: { if (load32(agent + AGENT_PARK) == PARK_PARKED) notifyAll(agent + AGENT_PARK); store32(agent + AGENT_PARK, PARK_TOKEN); return; }
  if (exchange32(agent + AGENT_PARK, PARK_TOKEN) == PARK_PARKED) notifyAll(agent + AGENT_PARK);
}

/** As unpark(), for callers that know that only a sleeping agent cares. Pairs with preparePark(). */
export function unparkIfParked(agent: usize): void {
  if (load32(agent + AGENT_PARK) == PARK_PARKED) unpark(agent);
}

/** The agent says that it is about to sleep. False when a token was there: look again instead. */
export function preparePark(agent: usize): bool {
  // mutant PARK_OVER_TOKEN: { store32(agent + AGENT_PARK, PARK_PARKED); return true; }
  if (cas32(agent + AGENT_PARK, PARK_EMPTY, PARK_PARKED)) return true;
  store32(agent + AGENT_PARK, PARK_EMPTY);
  return false;
}

/** Blocks the thread until unpark() or the timeout (nanoseconds; negative: none). After preparePark(). */
export function blockParked(agent: usize, timeoutNs: i64): void {
  wait32(agent + AGENT_PARK, PARK_PARKED, timeoutNs);
}

/** The agent is awake again and takes its token, if any. True when it was unparked. */
export function finishPark(agent: usize): bool {
  return exchange32(agent + AGENT_PARK, PARK_EMPTY) == PARK_TOKEN;
}

export function bit(index: u32): u64 {
  return (1 as u64) << index;
}

/**
 * Wakes one idle worker that may take from `queue`, one of the queue's own node if there is one, unless somebody who may searches already. Called
 * after a task was published there (step 1 above).
 */
export function wakeOne(pool: usize, queue: u32): void {
  // mutant WAKE_NOBODY: return;
  // The usual answer first: all are busy. Pairs with announceIdle().
  if (load64(pool + POOL_IDLE) != 0) wakeSlow(pool, rowOf(pool, queue));
}

function wakeSlow(pool: usize, row: usize): void {
  // mutant WAKE_ANY_NODE: row = rowOf(pool, 0);
  const may = load<u64>(row + ROW_MAY); // plain: placeWorker()
  while (true) {
    const idle = load64(pool + POOL_IDLE) & may;
    // mutant WAKE_UNTHROTTLED: if (idle != 0) { wake(pool, ctz(idle), 0); return; }
    if (idle == 0) return;
    const searching = load64(pool + POOL_SEARCHING);
    // mutant ANY_SEARCHER_WILL_DO: if (searching != 0) return;
    if ((searching & may) != 0) return;
    // mutant LOOPING_IS_FIRM: { if (wake(pool, ctz(idle), 0)) return; continue; }
    const firm = idle & ~load64(pool + POOL_LOOPING);
    if (firm != 0) {
      const near = firm & load<u64>(row + ROW_LOCAL); // plain: as above
      if (wake(pool, ctz(near != 0 ? near : firm), searching)) return;
    } else {
      // All of them may be busy on their event loops: each is told, none is relied on as the searcher, and we look on.
      wakeLooping(pool, ctz(idle));
    }
  }
}

function wakeLooping(pool: usize, index: u64): void {
  const mask = (1 as u64) << index;
  if ((and64(pool + POOL_IDLE, ~mask) & mask) == 0) return;
  const agent = load32(pool + POOL_WORKERS + ((index as u32) << 2));
  unpark(AGENTS + agent * AGENT_SIZE);
}

/** Makes idle worker `index` a searcher beside `searching` and unparks it. False when a race was lost and the caller should look again. */
function wake(pool: usize, index: u64, searching: u64): bool {
  const mask = (1 as u64) << index;
  // mutant WAKE_UNTHROTTLED: { or64(pool + POOL_SEARCHING, mask); wakeLooping(pool, index); return true; }
  // The searching bit first: from here on the worker counts as searching, whoever wakes it.
  if (!cas64(pool + POOL_SEARCHING, searching, searching | mask)) return false;
  const was = and64(pool + POOL_IDLE, ~mask);
  if ((was & mask) == 0) {
    // mutant KEEP_SEARCHING: return false;
    // It woke by itself meanwhile. Withdraw the bit, even if the worker set it too: it looks again whenever it sees no other searcher.
    and64(pool + POOL_SEARCHING, ~mask);
    return false;
  }
  // mutant CLAIM_WITHOUT_UNPARK: return true;
  const agent = load32(pool + POOL_WORKERS + ((index as u32) << 2));
  unpark(AGENTS + agent * AGENT_SIZE);
  return true;
}

/** Called after `fork` was published: wakes an idle worker, or one that sleeps in a join. Pairs with enterJoin() in scheduler.ts. */
export function wakeForFork(pool: usize, fork: usize): void {
  if ((load64(pool + POOL_IDLE) | load64(pool + POOL_JOINING)) == 0) return;
  // Plain: the lane is the forker's own.
  wakeForForkSlow(pool, load<u32>(load<u32>(fork + SLOT_OWNER) + LANE_QUEUE));
}

/** As wakeForFork(), for a fork in the deque of some worker of a node. */
export function wakeForForkSlow(pool: usize, queue: u32): void {
  wakeOne(pool, queue);
  // mutant FORK_WAKES_NO_JOINER: return;
  while (true) {
    const joining = load64(pool + POOL_JOINING) & load<u64>(rowOf(pool, queue) + ROW_MAY); // plain: as in wakeSlow()
    if (joining == 0) return;
    const mask = joining & (0 - joining);
    // Whoever takes the bit out wakes: one notify for each sleep. A joiner that took its own out may leave without a look, so the next one, then.
    if ((and64(pool + POOL_JOINING, ~mask) & mask) == 0) {
      // mutant ONE_JOINER_TRIED: return;
      continue;
    }
    const agent = load32(pool + POOL_WORKERS + ((ctz(mask) as u32) << 2));
    unpark(AGENTS + agent * AGENT_SIZE);
    return;
  }
}

/**
 * Recovery: tells every worker of the pool to look again. Notifies in any case: the dead may have left a token in a word and died before
 * it notified.
 */
export function wakeAll(pool: usize, high: u32): void {
  for (let i: u32 = 0; i < high; i++) {
    const agent = load32(pool + POOL_WORKERS + (i << 2));
    if (agent == 0) continue;
    const park = AGENTS + agent * AGENT_SIZE + AGENT_PARK;
    // mutant NOTIFY_PARKED_ONLY: { unpark(AGENTS + agent * AGENT_SIZE); continue; }
    store32(park, PARK_TOKEN);
    notifyAll(park);
  }
}

/**
 * A worker that found nothing enters the idle set and leaves the searching set. Returns true when no other searcher is left: it must
 * look at the queues once more before it sleeps (step 2 above).
 */
export function announceIdle(pool: usize, mask: u64): bool {
  or64(pool + POOL_IDLE, mask);
  return (and64(pool + POOL_SEARCHING, ~mask) & ~mask) == 0;
}

/** The worker leaves the idle set and searches. */
export function leaveIdle(pool: usize, mask: u64): void {
  or64(pool + POOL_SEARCHING, mask);
  // mutant WOKEN_STAYS_IDLE: return;
  and64(pool + POOL_IDLE, ~mask);
  if ((load64(pool + POOL_LOOPING) & mask) != 0) and64(pool + POOL_LOOPING, ~mask);
}

/** A searcher found work. True when no other searcher is left: it must wake the next. */
export function endSearch(pool: usize, mask: u64): bool {
  return (and64(pool + POOL_SEARCHING, ~mask) & ~mask) == 0;
}

/** A worker starts to search on its own account, unless others that may take from its queue do already: one searcher finds what there is. */
export function beginSearch(pool: usize, mask: u64, queue: u32): bool {
  if (cas64(pool + POOL_SEARCHING, 0, mask)) return true;
  const searching = load64(pool + POOL_SEARCHING);
  if (searching == mask) return true;
  const rivals = load<u64>(rowOf(pool, queue) + ROW_MAY); // plain: as in wakeSlow()
  if ((searching & rivals & ~mask) != 0) return false;
  return cas64(pool + POOL_SEARCHING, searching, searching | mask);
}
