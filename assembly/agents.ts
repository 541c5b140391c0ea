/**
 * Agents, pools and lanes: records that threads work in. The runtime's main thread makes and unmakes them; a worker only uses its own.
 *
 * A lane belongs to a pool and a place in it (worker index, or submitter index), not to a thread: when a worker dies the next one at the
 * same index takes over its lane, and a thief that still looks at it looks at a live deque.
 */
import { cas32, load32, or32, store32 } from './atomics';
import { initDeque } from './deque';
import {
  AGENT_BATCH,
  AGENT_BIT,
  AGENT_ID,
  AGENT_KIND,
  AGENT_LANE,
  AGENT_NODE,
  AGENT_POOL,
  AGENT_RANDOM,
  AGENT_REACH,
  AGENT_SIZE,
  AGENT_STATE,
  AGENTS,
  CLASSES,
  DEQUE_SIZE,
  HEADER_FIRST_SPAN,
  HEADER_MAGIC,
  HEADER_SPAN_COUNT,
  HEADER_VERSION,
  LANE_AGENT,
  LANE_DEQUES,
  LANE_KIND,
  LANE_POOL,
  LANE_QUEUE,
  LANE_QUEUES,
  LAYOUT_VERSION,
  MAGIC,
  MAX_AGENTS,
  MAX_POOLS,
  MAX_SPANS,
  MAX_SUBMITTERS,
  OWNER_POOL,
  POOL_CLASS_MASK,
  POOL_ID,
  POOL_QUEUES,
  POOL_SIZE,
  POOL_STATE,
  POOL_SUBMITTER_HIGH,
  POOL_SUBMITTER_LANES,
  POOL_WORKER_HIGH,
  POOL_WORKER_LANES,
  POOL_WORKER_QUEUES,
  POOL_WORKERS,
  POOLS,
  ROW_COUNT,
  ROW_LOCAL,
  ROW_MAY,
  SPAN_SHIFT,
  SPAN_SIZE,
  SPAN_TABLE,
} from './layout';
import { reachOf, rowOf } from './placement';
import { claimSpans, releaseAllOf } from './spans';
import { AGENT_FREE, AGENT_LIVE, KIND_SUBMITTER, KIND_WORKER, POOL_FREE, POOL_OPEN } from './status';

/** Makes the header and the span table in zeroed memory of `bytes`. Called once, before any other thread sees the memory. */
export function initMemory(bytes: f64): bool {
  const spans = min<u32>((bytes / (SPAN_SIZE as f64)) as u32, MAX_SPANS);
  const first = (SPAN_TABLE + (spans << 2) + SPAN_SIZE - 1) >> SPAN_SHIFT;
  if (spans <= first + 1) return false;
  store<u32>(HEADER_VERSION, LAYOUT_VERSION);
  store<u32>(HEADER_SPAN_COUNT, spans);
  store<u32>(HEADER_FIRST_SPAN, first);
  store32(HEADER_MAGIC, MAGIC);
  return true;
}

/** Claims a free agent record. Returns its address, or 0 when all are taken. Id 0 is never given out: it means nobody. */
export function claimAgent(kind: u32, node: u32): usize {
  for (let id: u32 = 1; id < MAX_AGENTS; id++) {
    const agent: usize = AGENTS + id * AGENT_SIZE;
    // mutant CLAIM_AGENT_WITHOUT_CAS: { if (load32(agent + AGENT_STATE) != AGENT_FREE) continue; store32(agent + AGENT_STATE, AGENT_LIVE); store<u32>(agent + AGENT_ID, id); return agent; }
    if (load32(agent + AGENT_STATE) == AGENT_FREE && cas32(agent + AGENT_STATE, AGENT_FREE, AGENT_LIVE)) {
      // Everything but the state: the last user's counters, lists and words are gone with it.
      memory.fill(agent + 4, 0, AGENT_SIZE - 4);
      store<u32>(agent + AGENT_ID, id);
      store<u32>(agent + AGENT_KIND, kind);
      store<u32>(agent + AGENT_NODE, node);
      store<u32>(agent + AGENT_RANDOM, (id * 0x9e3779b9) | 1);
      store<u32>(agent + AGENT_BATCH, 1);
      return agent;
    }
  }
  return 0;
}

/** Address of agent `id`. */
export function agentAt(id: u32): usize {
  return AGENTS + id * AGENT_SIZE;
}

/**
 * Opens a pool whose submitters have `queues` queues of each class: 1, or one more than the NUMA nodes that it tells apart. Returns its address, or 0
 * when all are taken.
 */
export function openPool(queues: u32): usize {
  for (let id: u32 = 0; id < MAX_POOLS; id++) {
    const pool: usize = POOLS + id * POOL_SIZE;
    // mutant OPEN_POOL_WITHOUT_CAS: { if (load32(pool + POOL_STATE) != POOL_FREE) continue; store32(pool + POOL_STATE, POOL_OPEN); store<u32>(pool + POOL_ID, id); store<u32>(pool + POOL_QUEUES, queues); return pool; }
    if (load32(pool + POOL_STATE) == POOL_FREE && cas32(pool + POOL_STATE, POOL_FREE, POOL_OPEN)) {
      // mutant OPEN_KEEPS_WORDS: { store<u32>(pool + POOL_ID, id); return pool; }
      memory.fill(pool + 4, 0, POOL_SIZE - 4);
      store<u32>(pool + POOL_ID, id);
      store<u32>(pool + POOL_QUEUES, queues);
      store<u64>(rowOf(pool, 0) + ROW_MAY, ~(0 as u64));
      store<u64>(rowOf(pool, 0) + ROW_LOCAL, ~(0 as u64));
      // What workers look into that are not placed, in a pool that is bounded: queue 0.
      store<u32>(rowOf(pool, 0) + ROW_COUNT, 1);
      return pool;
    }
  }
  return 0;
}

/** Frees a pool and all its lanes. Only when none of its workers is alive and none of its submitters will touch it again. */
export function closePool(pool: usize): void {
  // mutant CLOSE_FREES_FIRST: store32(pool + POOL_STATE, POOL_FREE);
  releaseAllOf(OWNER_POOL + load<u32>(pool + POOL_ID));
  store32(pool + POOL_STATE, POOL_FREE);
}

function newLane(pool: usize, deques: u32): usize {
  const bytes = LANE_DEQUES + deques * DEQUE_SIZE;
  const spans = (bytes + SPAN_SIZE - 1) >> SPAN_SHIFT;
  const lane = claimSpans(spans, OWNER_POOL + load<u32>(pool + POOL_ID));
  if (lane == 0) return 0;
  // mutant LANE_KEEPS_ENTRIES: { for (let i: u32 = 0; i < deques; i++) initDeque(lane + LANE_DEQUES + i * DEQUE_SIZE); return lane; }
  memory.fill(lane, 0, bytes);
  for (let i: u32 = 0; i < deques; i++) initDeque(lane + LANE_DEQUES + i * DEQUE_SIZE);
  return lane;
}

/**
 * Puts an agent to work as worker `index` of a pool, on the lane that its predecessor left or on a new one. Returns the lane, or 0 when the
 * memory is full.
 */
export function joinAsWorker(agent: usize, pool: usize, index: u32): usize {
  const place = pool + POOL_WORKER_LANES + (index << 2);
  let lane: usize = load32(place);
  if (lane == 0) {
    lane = newLane(pool, CLASSES * 2);
    if (lane == 0) return 0;
  }
  const queue: u32 = load<u8>(pool + POOL_WORKER_QUEUES + index);
  describeLane(lane, KIND_WORKER, agent, pool, queue, 2);
  store<u32>(agent + AGENT_REACH, reachOf(pool, index) as u32);
  store<u32>(agent + AGENT_POOL, pool as u32);
  store<u32>(agent + AGENT_LANE, lane as u32);
  store<u32>(agent + AGENT_BIT, index);
  // Publish the lane, then the worker. Pairs with the scan in scheduler.ts.
  store32(place, lane as u32);
  store32(pool + POOL_WORKERS + (index << 2), load<u32>(agent + AGENT_ID));
  if (load32(pool + POOL_WORKER_HIGH) <= index) store32(pool + POOL_WORKER_HIGH, index + 1);
  return lane;
}

/** Gives a submitter its lane in a pool. Returns it, or 0 when the memory or the pool's table is full. */
export function joinAsSubmitter(agent: usize, pool: usize): usize {
  const queues = load<u32>(pool + POOL_QUEUES);
  for (let i: u32 = 0; i < MAX_SUBMITTERS; i++) {
    const place = pool + POOL_SUBMITTER_LANES + (i << 2);
    if (load32(place) != 0) continue;
    const lane = newLane(pool, CLASSES * queues);
    if (lane == 0) return 0;
    describeLane(lane, KIND_SUBMITTER, agent, pool, 0, queues);
    store32(place, lane as u32);
    if (load32(pool + POOL_SUBMITTER_HIGH) <= i) store32(pool + POOL_SUBMITTER_HIGH, i + 1);
    return lane;
  }
  return 0;
}

function describeLane(lane: usize, kind: u32, agent: usize, pool: usize, queue: u32, queues: u32): void {
  store<u32>(lane + LANE_KIND, kind);
  store<u32>(lane + LANE_AGENT, agent as u32);
  store<u32>(lane + LANE_POOL, pool as u32);
  store<u32>(lane + LANE_QUEUE, queue);
  store<u32>(lane + LANE_QUEUES, queues);
}

/**
 * A worker keeps what it forked and what it took in a batch apart: a join runs forks only, so it never starts a foreign call on top of the
 * stack that waits.
 */
export const FORKS: u32 = 0;
export const BATCHES: u32 = 1;

/** Deque of a class in a lane: of a worker FORKS or BATCHES, of a submitter that of a queue's number. */
export function dequeOf(lane: usize, qosClass: u32, queue: u32): usize {
  return lane + LANE_DEQUES + (queue * CLASSES + qosClass) * DEQUE_SIZE;
}

/** Says that tasks of a class exist in the pool. */
export function noteClass(pool: usize, qosClass: u32): void {
  const mask = (1 as u32) << qosClass;
  if ((load32(pool + POOL_CLASS_MASK) & mask) == 0) or32(pool + POOL_CLASS_MASK, mask);
}
