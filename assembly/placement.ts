/**
 * Workers on NUMA nodes: who looks where, in which order, and who may take what. A pool whose workers are not placed has one queue and pays
 * nothing for any of this.
 *
 * What a task belongs to:
 *   - Queue 0 of a submitter: to no node. Queue 1 + n: to node n.
 *   - A worker's forks: to the worker's node.
 *   - A worker's batch: to the worker's node, because in a bounded pool (POOL_BOUNDED) a worker takes several at once from its own node's queue
 *     only, and one at a time from any other (scheduler.ts). So what may be taken from where depends on the place alone.
 *
 * In a bounded pool some worker may not take everything, and the rules of parking.ts hold for each queue by itself:
 *   1. Who queues something for q looks at the searchers and the sleepers that may take from q (ROW_MAY) and at no others.
 *   2. A worker that goes to sleep always looks again at every queue that it may take from: a searcher that is left need not be one for each of them.
 *   3. A searcher that found work, or stops, wakes one for each queue that it may take from and that is not empty: those who queued there saw it
 *      and woke nobody.
 * Either who queues sees such a searcher, who does 2 or 3 later; or a sleeper, which it wakes; or neither, and then each worker that may take it
 * does 2 after it was queued. Model: tests/model/models/placement.ts.
 *
 * A pool may be placed anew while it runs (ts/pool/crew.ts): its workers end when they come to rest, and others start in their places. What a worker looks into never
 * changes: the reach of the new ones stands in the other bank of rows, which is written when the last worker that stood by it is gone. So those of before and after take
 * from each other's deques what each may take. A worker that was not placed looks into the queue of no node, and once the pool is bounded it steals from nobody: it does
 * not know what the others stand for. Model: tests/model/models/placement.ts, "moved".
 *
 * An entry may outlive its task (slots.ts) and then stand for the slot's next task, in a queue where that one does not belong. So in a placed pool
 * a claim asks again (`mayTake`), between the look at the state and its CAS. To drop such an entry is right: whoever is not allowed to take a task never
 * holds the entry that stands where the task belongs.
 */
import { store32 } from './atomics';
import {
  MAX_NODES,
  META_PLACED_BIT,
  POOL_BOUNDED,
  POOL_QUEUES,
  POOL_ROWS,
  POOL_SECOND,
  POOL_WORKER_QUEUES,
  ROW_BANK,
  ROW_COUNT,
  ROW_LOCAL,
  ROW_MAY,
  ROW_QUEUES,
  ROW_SHIFT,
  SLOT_LINK,
  SLOT_META,
} from './layout';

/** Row of a queue (layout.ts, POOL_ROWS). */
export function rowOf(pool: usize, queue: u32): usize {
  return pool + POOL_ROWS + (queue << ROW_SHIFT);
}

/** Row of what the workers on a queue's node look into. */
function reachRow(pool: usize, queue: u32, bank: u32): usize {
  return rowOf(pool, queue + bank * ROW_BANK);
}

/**
 * While no worker stands by this bank: its rows are empty again. Others may run, and not all of them look where those will who come, so the pool is bounded from
 * now on; before anything is queued that only the new ones may take.
 */
export function clearBank(pool: usize, bank: u32): void {
  for (let queue: u32 = 1; queue <= MAX_NODES && queue <= ROW_BANK; queue++)
    store<u32>(reachRow(pool, queue, bank) + ROW_COUNT, 0);
  // mutant BOUNDED_LATE: return;
  store32(pool + POOL_BOUNDED, 1);
}

/** While no worker stands by this bank: those on the node of `from` look into `queue`, after all that was added before. */
export function addReach(pool: usize, from: u32, queue: u32, bank: u32): void {
  const row = reachRow(pool, from, bank);
  const count = load<u32>(row + ROW_COUNT);
  store<u8>(row + ROW_QUEUES + count, queue);
  store<u32>(row + ROW_COUNT, count + 1);
}

/**
 * While there is no worker `index`, before it joins: it stands on the node of `queue` and looks into what that bank says. Others may run. They read who may take what
 * with plain loads: a bit of a worker that is not there means nothing, and whoever meets the worker in a set of the pool has its bits, as they were written before.
 */
export function placeWorker(pool: usize, index: u32, queue: u32, bank: u32): void {
  const mask = (1 as u64) << index;
  const row = reachRow(pool, queue, bank);
  const queues = load<u32>(pool + POOL_QUEUES);
  for (let other: u32 = 0; other < queues; other++) {
    const mine = rowOf(pool, other);
    const may = reaches(row, other);
    if (!may) store32(pool + POOL_BOUNDED, 1);
    setBit(mine + ROW_MAY, mask, may);
    if (other != 0) setBit(mine + ROW_LOCAL, mask, other == queue);
  }
  setBit(pool + POOL_SECOND, mask, bank != 0);
  store<u8>(pool + POOL_WORKER_QUEUES + index, queue);
}

function setBit(word: usize, mask: u64, isSet: bool): void {
  const was = load<u64>(word);
  store<u64>(word, isSet ? was | mask : was & ~mask);
}

/** What worker `index` looks into; 0: it is not placed. Its own all its life. */
export function reachOf(pool: usize, index: u32): usize {
  const queue: u32 = load<u8>(pool + POOL_WORKER_QUEUES + index);
  if (queue == 0) return 0;
  return reachRow(pool, queue, ((load<u64>(pool + POOL_SECOND) >> index) & 1) as u32);
}

/** Do workers of this row look into `queue`? Plain, here and below: a reach does not change while workers stand by it. */
function reaches(row: usize, queue: u32): bool {
  const count = load<u32>(row + ROW_COUNT);
  for (let i: u32 = 0; i < count; i++) if ((load<u8>(row + ROW_QUEUES + i) as u32) == queue) return true;
  return false;
}

/** Queue that a slot's task belongs to. Means something only while the slot is queued; it may be any number otherwise. */
export function queueOf(slot: usize): u32 {
  return (load<u32>(slot + SLOT_META) & META_PLACED_BIT) != 0 ? load<u32>(slot + SLOT_LINK) : 0;
}

/** May a worker of this row take the task that is queued in `slot`? */
export function mayTake(row: usize, slot: usize): bool {
  // mutant TAKES_ANY: return true;
  return (load<u32>(slot + SLOT_META) & META_PLACED_BIT) == 0 || reaches(row, load<u32>(slot + SLOT_LINK));
}
