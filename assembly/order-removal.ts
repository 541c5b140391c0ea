/**
 * Nodes that go, and all edges at once. A lock that is no more must not be part of a cycle, and neither must the one that gets its id next.
 *
 *   removeNode()  raises the node's generation. From this step on none of its edges counts: each carries the generations of its ends.
 *   purge()       takes such edges out of the lists, under the order lock and only while no other thread looks at the graph, so that none is
 *                 half linked. Threads that begin meanwhile push at the heads of lists and walk past what is taken out, whose own links stay.
 *   free()        lets them be used again after a grace period.
 *
 * A generation has 10 bits. A node that had AGE_MOST of them since it was last purged may not be used again before it is: removeNode() says so.
 *
 *     NODE_LIFE     generation | generation at the last purge | STALE (to be purged)
 */
import { add32, cas32, load32, store32 } from './atomics';
import {
  BACK_LISTED,
  CONTEXT_BATCHES,
  EDGE_DEAD_BIT,
  EDGE_FROM,
  EDGE_LOOSE_BIT,
  EDGE_NEXT_IN,
  EDGE_NEXT_OUT,
  EDGE_SIGHT_MASK,
  EDGE_TO,
  GRAPH_BACK_HIGH,
  GRAPH_BACK_LIST,
  GRAPH_LIMBO,
  GRAPH_LIMBO_EPOCH,
  GRAPH_STALE,
  NODE_GENERATION_MASK,
  NODE_ID_BITS,
  NODE_ID_MASK,
  NODE_IN,
  NODE_LIFE,
  NODE_MARK,
  NODE_OUT,
  NODE_PURGED_SHIFT,
  NODE_STALE_BIT,
  NOTE_SIGHT,
  ROOT_HIGH,
  ROOT_INSTANCES,
  ROOT_RESETS,
  ROOT_SIGHT_ROUND,
} from './layout';
import { makeOrdinary } from './order-graph';
import { edgeAt, isQuiet, knownNode, nextEpoch, nodeAt, noteAt, pushFree } from './order-memory';
import { ARRANGED, arrange, isUpward, lockWord, tryLock, unlock } from './order-places';
import { collectSights } from './order-sights';

/** Nodes to purge that are worth a walk over all. */
const STALE_WORTH: u32 = 64; // model: 1
/** As many generations may pass between two purges of a node: beyond, it is not used again before one. */
const AGE_MOST: u32 = 500;

/** Takes a node out of a graph. False when its id must not be used again yet: try again later. */
export function removeNode(at: usize, graph: usize, context: usize, id: u32): bool {
  const node = knownNode(graph, id);
  if (node == 0) return true;
  // mutant ORDER_NODE_STAYS: return true;
  while (true) {
    const life = load32(node + NODE_LIFE);
    const generation = ((life & NODE_GENERATION_MASK) + 1) & NODE_GENERATION_MASK;
    const age = (generation - (life >> NODE_PURGED_SHIFT)) & NODE_GENERATION_MASK;
    // From the new generation on anybody may purge them.
    const hasEdges = (load32(node + NODE_OUT) | load32(node + NODE_IN)) != 0;
    if (age > AGE_MOST) {
      // What it has been used for since the last removal stays in sight until a purge succeeds.
      purge(at, graph, context);
      if (load32(node + NODE_LIFE) == life) return false;
      continue;
    }
    // Everything else of the word describes the lock that goes.
    const next = (life & (NODE_GENERATION_MASK << NODE_PURGED_SHIFT)) | generation | NODE_STALE_BIT;
    if (!cas32(node + NODE_LIFE, life, next)) continue;
    // Chains are known by ids.
    if (hasEdges) add32(at + ROOT_RESETS, 1);
    if ((life & NODE_STALE_BIT) == 0 && add32(graph + GRAPH_STALE, 1) + 1 >= STALE_WORTH)
      purge(at, graph, context);
    return true;
  }
}

/**
 * Purges all stale nodes, if nobody is in the way. Not inside enter() and leave().
 *
 * Only edges of generations before a snapshot are taken out, which is made before the epoch ends: whoever began before the epoch ended is done, and
 * whoever began after it reads generations of the snapshot or later. So nobody can be linking such an edge any more. The snapshot of a node stands
 * in its mark, which is the holder's of the lock.
 */
export function purge(at: usize, graph: usize, context: usize): void {
  if (!tryLock(graph, context, lockWord(graph))) return;
  const high = load32(at + ROOT_HIGH);
  let stale: u32 = 0;
  for (let id: u32 = 1; id <= high; id++) if (takeSnapshot(knownNode(graph, id))) stale++;
  add32(at + ROOT_SIGHT_ROUND, 1);
  const now = nextEpoch(at);
  if (stale != 0 && isQuiet(at, now, context)) {
    free(at, graph, context);
    // Nothing leaves limbo before all lists are clean, also if we do not come to the end of this.
    store32(graph + GRAPH_LIMBO_EPOCH, 0);
    for (let id: u32 = 1; id <= high; id++) {
      const node = knownNode(graph, id);
      if (node != 0 && isMarked(node)) purgeOthers(graph, node);
    }
    for (let id: u32 = 1; id <= high; id++) {
      const node = knownNode(graph, id);
      if (node != 0 && isMarked(node)) purgeOwn(graph, node);
    }
    for (let id: u32 = 1; id <= high; id++) {
      const node = knownNode(graph, id);
      if (node != 0 && isMarked(node)) endPurge(node);
    }
    add32(graph + GRAPH_STALE, -stale);
    retryBack(graph, context);
    store32(graph + GRAPH_LIMBO_EPOCH, nextEpoch(at));
    if (graph == at + ROOT_INSTANCES) collectSights(at, context);
  }
  unlock(graph);
}

/** Set in a mark that holds a generation; the stamps of walks stay below. */
const SNAPSHOT_BIT: u32 = 1 << 31;

function takeSnapshot(node: usize): bool {
  if (node == 0) return false;
  const life = load32(node + NODE_LIFE);
  const isStale = (life & NODE_STALE_BIT) != 0;
  store<u32>(node + NODE_MARK, isStale ? SNAPSHOT_BIT | (life & NODE_GENERATION_MASK) : 0);
  return isStale;
}

function isMarked(node: usize): bool {
  return (load<u32>(node + NODE_MARK) & SNAPSHOT_BIT) != 0;
}

/**
 * Takes the node's old edges out of the lists of their other ends, unless those are to be purged themselves: their lists must stay whole until
 * they have had their turn here, because they lead to the lists of others.
 */
function purgeOthers(graph: usize, node: usize): void {
  for (let edge = load32(node + NODE_OUT); edge != 0; ) {
    const record = edgeAt(graph, edge);
    edge = load32(record + EDGE_NEXT_OUT);
    const other = nodeAt(graph, load32(record + EDGE_TO) & NODE_ID_MASK);
    if (!isMarked(other) && isOldEdge(graph, record)) sweep(graph, other + NODE_IN, EDGE_NEXT_IN, false);
  }
  for (let edge = load32(node + NODE_IN); edge != 0; ) {
    const record = edgeAt(graph, edge);
    edge = load32(record + EDGE_NEXT_IN);
    const other = nodeAt(graph, load32(record + EDGE_FROM) & NODE_ID_MASK);
    if (!isMarked(other) && isOldEdge(graph, record)) sweep(graph, other + NODE_OUT, EDGE_NEXT_OUT, false);
  }
}

/** Then out of its own. Every old edge is in a list of a marked node, so here it goes to limbo. */
function purgeOwn(graph: usize, node: usize): void {
  sweep(graph, node + NODE_OUT, EDGE_NEXT_OUT, true);
  sweep(graph, node + NODE_IN, EDGE_NEXT_IN, true);
}

/** The node is purged as of its snapshot; it stays stale when it was removed again since. */
function endPurge(node: usize): void {
  const generation = load<u32>(node + NODE_MARK) & NODE_GENERATION_MASK;
  store<u32>(node + NODE_MARK, 0);
  while (true) {
    const life = load32(node + NODE_LIFE);
    const isSame = (life & NODE_GENERATION_MASK) == generation;
    const kept =
      life & ~(NODE_GENERATION_MASK << NODE_PURGED_SHIFT) & (isSame ? ~NODE_STALE_BIT : u32.MAX_VALUE);
    if (cas32(node + NODE_LIFE, life, kept | (generation << NODE_PURGED_SHIFT))) return;
  }
}

function isOldEdge(graph: usize, record: usize): bool {
  return isOld(graph, load32(record + EDGE_FROM)) || isOld(graph, load32(record + EDGE_TO));
}

/** Is it of a generation before the snapshot? Generations in use span less than half of all: AGE_MOST. */
function isOld(graph: usize, reference: u32): bool {
  const mark = load<u32>(nodeAt(graph, reference & NODE_ID_MASK) + NODE_MARK);
  if ((mark & SNAPSHOT_BIT) == 0) return false;
  const age = (mark - (reference >> NODE_ID_BITS)) & NODE_GENERATION_MASK;
  return age != 0 && age <= NODE_GENERATION_MASK >> 1;
}

/** Unlinks the old edges of a list. Others push at its head meanwhile; nobody else takes edges out. */
function sweep(graph: usize, head: usize, link: usize, buries: bool): void {
  let place = head;
  let edge = load32(place);
  while (edge != 0) {
    const record = edgeAt(graph, edge);
    const next = load32(record + link);
    if (!isOldEdge(graph, record)) place = record + link;
    else if (cas32(place, edge, next)) {
      if (buries) bury(graph, edge);
    } else {
      // Only a head changes: what was behind it is behind the new ones.
      place = head;
      edge = load32(place);
      continue;
    }
    edge = next;
  }
}

/** Into limbo, once, linked by NOTE_SIGHT: its own links must stay for who walks past it. */
function bury(graph: usize, edge: u32): void {
  const sight = noteAt(graph, edge) + NOTE_SIGHT;
  if ((load32(sight) & EDGE_DEAD_BIT) != 0) return;
  if ((load32(sight) & EDGE_LOOSE_BIT) != 0) unlist(graph, edge);
  store32(sight, EDGE_DEAD_BIT | load32(graph + GRAPH_LIMBO));
  store32(graph + GRAPH_LIMBO, edge);
}

/** A loose edge that goes. One in the queue stays there, and is passed when its turn comes. */
function unlist(graph: usize, edge: u32): void {
  for (let i: u32 = 0; i < BACK_LISTED; i++) {
    const place = graph + GRAPH_BACK_LIST + (i << 2);
    if (load32(place) == edge) store32(place, 0);
  }
  makeOrdinary(graph, edge);
}

/** With edges gone, an edge that closed a cycle may close none any more. */
function retryBack(graph: usize, context: usize): void {
  const end = min(load32(graph + GRAPH_BACK_HIGH), BACK_LISTED);
  let high: u32 = 0;
  for (let i: u32 = 0; i < end; i++) {
    const place = graph + GRAPH_BACK_LIST + (i << 2);
    const edge = load32(place);
    if (edge == 0) continue;
    const record = edgeAt(graph, edge);
    const from = nodeAt(graph, load32(record + EDGE_FROM) & NODE_ID_MASK);
    const to = nodeAt(graph, load32(record + EDGE_TO) & NODE_ID_MASK);
    if (isUpward(from, to) || arrange(graph, context, from, to) == ARRANGED) {
      store32(place, 0);
      makeOrdinary(graph, edge);
    } else {
      high = i + 1;
    }
  }
  cas32(graph + GRAPH_BACK_HIGH, end, high);
}

/** Holder of the lock: frees what has been in limbo long enough. */
function free(at: usize, graph: usize, context: usize): void {
  const first = load32(graph + GRAPH_LIMBO);
  const epoch = load32(graph + GRAPH_LIMBO_EPOCH);
  if (first == 0 || epoch == 0 || !isQuiet(at, epoch, context)) return;
  let last = first;
  while (true) {
    // No reference: no search takes it for an edge, and no move of the table keeps its slot.
    store32(edgeAt(graph, last) + EDGE_FROM, 0);
    store32(edgeAt(graph, last) + EDGE_TO, 0);
    const next = load32(noteAt(graph, last) + NOTE_SIGHT) & EDGE_SIGHT_MASK;
    if (next == 0) break;
    last = next;
  }
  store32(graph + GRAPH_LIMBO, 0);
  pushFree(graph, first, last);
}

/** Removes every node's edges: a generation more for all. False when a node could not get one; the others did. */
export function removeAll(at: usize, graph: usize, context: usize): bool {
  const high = load32(at + ROOT_HIGH);
  let all = true;
  for (let id: u32 = 1; id <= high; id++) if (!advance(graph, id)) all = false;
  purge(at, graph, context);
  return all;
}

/** As removeNode(), but the lock stays what it is. */
function advance(graph: usize, id: u32): bool {
  const node = knownNode(graph, id);
  if (node == 0 || (load32(node + NODE_OUT) | load32(node + NODE_IN)) == 0) return true;
  while (true) {
    const life = load32(node + NODE_LIFE);
    const generation = ((life & NODE_GENERATION_MASK) + 1) & NODE_GENERATION_MASK;
    if (((generation - (life >> NODE_PURGED_SHIFT)) & NODE_GENERATION_MASK) > AGE_MOST) return false;
    if (!cas32(node + NODE_LIFE, life, (life & ~NODE_GENERATION_MASK) | generation | NODE_STALE_BIT))
      continue;
    if ((life & NODE_STALE_BIT) == 0) add32(graph + GRAPH_STALE, 1);
    return true;
  }
}

/** Forgets the batches of a context that is gone: their edges were never used. */
export function dropBatches(context: usize): void {
  memory.fill(context + CONTEXT_BATCHES, 0, 16);
}
