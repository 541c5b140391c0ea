/** Is anything queued? Looks through the queues of a pool, each at its own moment. */
import { BATCHES, dequeOf, FORKS } from './agents';
import { load32 } from './atomics';
import { sizeOf } from './deque';
import {
  CLASSES,
  LANE_QUEUES,
  POOL_SUBMITTER_HIGH,
  POOL_SUBMITTER_LANES,
  POOL_WORKER_HIGH,
  POOL_WORKER_LANES,
  POOL_WORKER_QUEUES,
  ROW_COUNT,
  ROW_QUEUES,
} from './layout';

/** In all deques of a lane. */
function laneSize(lane: usize): u32 {
  let size: u32 = 0;
  const deques = CLASSES * load<u32>(lane + LANE_QUEUES);
  for (let i: u32 = 0; i < deques; i++) size += sizeOf(dequeOf(lane, i % CLASSES, i / CLASSES));
  return size;
}

/** Anywhere in the pool? */
export function anyQueued(pool: usize): bool {
  const submitters = load32(pool + POOL_SUBMITTER_HIGH);
  for (let i: u32 = 0; i < submitters; i++) {
    const lane: usize = load32(pool + POOL_SUBMITTER_LANES + (i << 2));
    if (lane != 0 && laneSize(lane) != 0) return true;
  }
  const workers = load32(pool + POOL_WORKER_HIGH);
  for (let i: u32 = 0; i < workers; i++) {
    const lane: usize = load32(pool + POOL_WORKER_LANES + (i << 2));
    if (lane != 0 && laneSize(lane) != 0) return true;
  }
  return false;
}

/** In a placed pool: what belongs to `queue`, in the submitters' queues or in the deques of the workers on its node? */
export function anyQueuedFor(pool: usize, queue: u32): bool {
  const submitters = load32(pool + POOL_SUBMITTER_HIGH);
  for (let i: u32 = 0; i < submitters; i++) {
    const lane: usize = load32(pool + POOL_SUBMITTER_LANES + (i << 2));
    if (lane == 0) continue;
    for (let c: u32 = 0; c < CLASSES; c++) if (sizeOf(dequeOf(lane, c, queue)) != 0) return true;
  }
  return queue != 0 && (anyOn(pool, queue, FORKS) || anyOn(pool, queue, BATCHES));
}

/** In the deques of one kind of the workers on the node of `queue`? */
function anyOn(pool: usize, queue: u32, which: u32): bool {
  const workers = load32(pool + POOL_WORKER_HIGH);
  for (let i: u32 = 0; i < workers; i++) {
    const lane: usize = load32(pool + POOL_WORKER_LANES + (i << 2));
    if (lane == 0 || (load<u8>(pool + POOL_WORKER_QUEUES + i) as u32) != queue) continue;
    for (let c: u32 = 0; c < CLASSES; c++) if (sizeOf(dequeOf(lane, c, which)) != 0) return true;
  }
  return false;
}

/** In a queue that workers of this row may take from? */
export function anyWithin(pool: usize, row: usize): bool {
  const count = load<u32>(row + ROW_COUNT);
  for (let i: u32 = 0; i < count; i++) if (anyQueuedFor(pool, load<u8>(row + ROW_QUEUES + i))) return true;
  return false;
}

/** Forks, anywhere in the pool? */
export function anyForks(pool: usize): bool {
  const workers = load32(pool + POOL_WORKER_HIGH);
  for (let i: u32 = 0; i < workers; i++) {
    const lane: usize = load32(pool + POOL_WORKER_LANES + (i << 2));
    if (lane == 0) continue;
    for (let c: u32 = 0; c < CLASSES; c++) if (sizeOf(dequeOf(lane, c, FORKS)) != 0) return true;
  }
  return false;
}

/** Forks on the node of `queue`? */
export function anyForksOf(pool: usize, queue: u32): bool {
  return queue != 0 && anyOn(pool, queue, FORKS);
}

/** Forks that workers of this row may take? */
export function anyForksWithin(pool: usize, row: usize): bool {
  const count = load<u32>(row + ROW_COUNT);
  for (let i: u32 = 0; i < count; i++) if (anyForksOf(pool, load<u8>(row + ROW_QUEUES + i))) return true;
  return false;
}

/** Entries in all queues of the pool. */
export function queueDepth(pool: usize): u32 {
  let size: u32 = 0;
  const submitters = load32(pool + POOL_SUBMITTER_HIGH);
  for (let i: u32 = 0; i < submitters; i++) {
    const lane: usize = load32(pool + POOL_SUBMITTER_LANES + (i << 2));
    if (lane != 0) size += laneSize(lane);
  }
  const workers = load32(pool + POOL_WORKER_HIGH);
  for (let i: u32 = 0; i < workers; i++) {
    const lane: usize = load32(pool + POOL_WORKER_LANES + (i << 2));
    if (lane != 0) size += laneSize(lane);
  }
  return size;
}

/** Entries of a lane in the queues of one class. */
function laneSizeOf(lane: usize, c: u32): u32 {
  let size: u32 = 0;
  const queues = load<u32>(lane + LANE_QUEUES);
  for (let q: u32 = 0; q < queues; q++) size += sizeOf(dequeOf(lane, c, q));
  return size;
}

/** Entries in the pool's queues of class `c`. */
export function queueDepthOf(pool: usize, c: u32): u32 {
  let size: u32 = 0;
  const submitters = load32(pool + POOL_SUBMITTER_HIGH);
  for (let i: u32 = 0; i < submitters; i++) {
    const lane: usize = load32(pool + POOL_SUBMITTER_LANES + (i << 2));
    if (lane != 0) size += laneSizeOf(lane, c);
  }
  const workers = load32(pool + POOL_WORKER_HIGH);
  for (let i: u32 = 0; i < workers; i++) {
    const lane: usize = load32(pool + POOL_WORKER_LANES + (i << 2));
    if (lane != 0) size += laneSizeOf(lane, c);
  }
  return size;
}
