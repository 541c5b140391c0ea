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
 * An entry may outlive its task (slots.ts) and then stand for the slot's next task, in a queue where that one does not belong. So in a placed pool
 * a claim asks again (`mayTake`), between the look at the state and its CAS. To drop such an entry is right: whoever is not allowed to take a task never
 * holds the entry that stands where the task belongs.
 */
import {
  META_PLACED_BIT,
  POOL_BOUNDED,
  POOL_QUEUES,
  POOL_ROWS,
  POOL_WORKER_QUEUES,
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

/** Before workers start: worker `index` stands on the node of `queue`. */
export function placeWorker(pool: usize, index: u32, queue: u32): void {
  const row = rowOf(pool, queue);
  store<u8>(pool + POOL_WORKER_QUEUES + index, queue);
  store<u64>(row + ROW_LOCAL, load<u64>(row + ROW_LOCAL) | ((1 as u64) << index));
}

/** Before workers start: those on the node of `from` look into `queue`, after all that was added before. */
export function addReach(pool: usize, from: u32, queue: u32): void {
  const row = rowOf(pool, from);
  const count = load<u32>(row + ROW_COUNT);
  store<u8>(row + ROW_QUEUES + count, queue);
  store<u32>(row + ROW_COUNT, count + 1);
}

/** Before workers start, when all are placed and all reaches are there: who may take from which queue. */
export function sealPlacement(pool: usize): void {
  const queues = load<u32>(pool + POOL_QUEUES);
  let bounded: u32 = 0;
  for (let queue: u32 = 0; queue < queues; queue++) {
    let may: u64 = 0;
    for (let from: u32 = 1; from < queues; from++) {
      const row = rowOf(pool, from);
      const local = load<u64>(row + ROW_LOCAL);
      if (reaches(row, queue)) may |= local;
      else if (local != 0) bounded = 1;
    }
    store<u64>(rowOf(pool, queue) + ROW_MAY, may);
  }
  store<u32>(pool + POOL_BOUNDED, bounded);
}

/** Do workers of this row look into `queue`? Plain, here and below: a row does not change while workers run. */
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
