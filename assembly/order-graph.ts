/**
 * The learned order: edges "held -> taken", inserted by racing threads, each of which must find the cycles that it closes.
 *
 *     takeEdge -> insertEdge (the set: an edge exists once) -> link (lists of both ends) -> settle -> search, if need be
 *
 * **Insert first, then search.** Two threads that insert a -> b and b -> a may both search before either has inserted, and both find nothing. After
 * insertion the last one to finish linking finds all other edges of its cycle linked.
 *
 * **When no search is needed.** order-places.ts says what it means that an edge is settled, by (a) a look, (b) the lock, (c) as a loose one, and
 * that those of (a) and (b) lead upwards. Take the edges of a cycle in the order in which they are settled, and the last one, e = u -> v. All others are
 * linked and settled.
 *   1. None of them is loose. Then they lead upwards from v to u, so e leads downwards and was not settled by (a). By (b), the
 *      holder's walk from v meets u: e becomes loose, and is searched for. By (c) it is searched for.
 *   2. One of them, x -> y, is loose. If e is settled by (a) or (b), its look at GRAPH_LOOSE comes after it was linked. Either it sees the count raised,
 *      and searches; or the count was raised after the look, and e was linked by then: but x -> y is settled by searching after that, and finds the cycle.
 * Hence: e is searched for if it is loose, or if GRAPH_LOOSE is not 0 at the look; in every other case there is nothing to find.
 * The search may be left out as well when the order shows that no loose edge can be on a path from v back to u: such a path leads upwards
 * from v to the start of its first loose edge and upwards to u from the end of its last one.
 *
 * **Nobody waits.** Who finds the lock held for a while settles by (c). The next holder arranges such edges and makes them ordinary ones; who has an
 * edge that needs no lock takes it nevertheless while such edges wait, because they cost everybody a search.
 *
 * **A thread that dies** has noted in its context which edge it was linking; order-recovery.ts links and settles it. Until then it may stand in one list
 * or none; nobody relies on it, and its cycle is found when it is settled.
 */
import { add32, and32, cas32, load32, load64, or32, store32 } from './atomics';
import {
  BACK_LISTED,
  CONTEXT_PENDING,
  CONTEXT_PENDING_GRAPH,
  CONTEXT_SLOT,
  CONTEXT_SLOT_NOW,
  CONTEXT_STRICT,
  CONTEXT_TICKS,
  EDGE_BACK_BIT,
  EDGE_BATCH,
  EDGE_CYCLIC_BIT,
  EDGE_DEAD_BIT,
  EDGE_FROM,
  EDGE_LOOSE_BIT,
  EDGE_NEXT_IN,
  EDGE_NEXT_OUT,
  EDGE_REFUSED_BIT,
  EDGE_TO,
  EDGE_UNSEARCHED_BIT,
  GRAPH_BACK_HIGH,
  GRAPH_BACK_LIST,
  GRAPH_LOOSE,
  GRAPH_LOST,
  GRAPH_QUEUE,
  GRAPH_QUEUE_HEAD,
  GRAPH_QUEUE_TAIL,
  NODE_ID_MASK,
  NODE_IN,
  NODE_OUT,
  NODE_PLACE,
  NOTE_SIGHT,
  NOTE_WEIGHT,
  QUEUE_SIZE,
  ROOT_HIGH,
  ROOT_OVERFLOWS,
  ROOT_RESETS,
} from './layout';
import {
  edgeAt,
  ensurePlace,
  findNode,
  findOrClaim,
  knownNode,
  nodeAt,
  noteAt,
  referenceTo,
  takeEdge,
  untakeEdge,
} from './order-memory';
import {
  ARRANGED,
  arrange,
  CYCLE,
  isHeld,
  isUpward,
  lockWord,
  NO_ROOM,
  tryLock,
  unlock,
} from './order-places';
import { searchCycles, TRUNCATED_BIT, UNSEARCHED } from './order-search';
import { firstSight, narrow } from './order-sights';
import { findEdge, insertEdge, tendTable } from './order-table';
import {
  ORDER_AGAINST_BIT,
  ORDER_CYCLE_BIT,
  ORDER_NEW_BIT,
  ORDER_OVERFLOW_BIT,
  ORDER_TRUNCATED_BIT,
} from './status';

/** Looks at a held lock, some ten microseconds, before the edge becomes a loose one: the search that it costs takes longer. */
const PATIENCE: u32 = 4096; // model: 1
/** Loose edges that a holder of the lock arranges beside its own. */
const DRAIN_MOST: u32 = 1024;

/**
 * Counts and, when it is new, learns an edge. `batch` tells the graphs of a context apart. Returns ORDER_*_BITs; the edge is left in `place`,
 * if that is not 0.
 */
export function learn(
  at: usize,
  graph: usize,
  batch: u32,
  context: usize,
  from: u32,
  to: u32,
  owner: u32,
  gateless: u32,
  weight: u32,
  place: usize,
): u32 {
  let edge = findEdge(graph, context, from, to);
  if (edge != 0) {
    if (place != 0) store<u32>(place, edge);
    return meetAgain(at, graph, context, edge, owner, gateless, weight);
  }
  const start = findNode(graph, from & NODE_ID_MASK);
  const end = findNode(graph, to & NODE_ID_MASK);
  edge = start == 0 || end == 0 ? 0 : takeEdge(graph, context, batch);
  if (edge == 0) return overflow(at);
  if (takesSlot(context, batch)) tendTable(at, graph, context);
  const record = edgeAt(graph, edge);
  // Plain: published by the CAS in insertEdge(). A slot of an earlier life of the record may lead here before: the pair is compared, and is right.
  store<u32>(record + EDGE_FROM, from);
  store<u32>(record + EDGE_TO, to);
  store<u32>(noteAt(graph, edge) + NOTE_WEIGHT, weight);
  store<u32>(noteAt(graph, edge) + NOTE_SIGHT, firstSight(at, context, owner, gateless));
  // From here on it may be in the set. Plain: recovery reads it when this thread is gone.
  store<u32>(context + CONTEXT_PENDING_GRAPH, graph as u32);
  store<u32>(context + CONTEXT_PENDING, edge);
  const present = insertEdge(at, graph, context, edge, from, to);
  if (present != edge) {
    store<u32>(context + CONTEXT_PENDING, 0);
    untakeEdge(context, batch, graph, edge);
    if (present == 0) return overflow(at);
    if (place != 0) store<u32>(place, present);
    return meetAgain(at, graph, context, present, owner, gateless, weight);
  }
  if (place != 0) store<u32>(place, edge);
  ensurePlace(graph, start);
  ensurePlace(graph, end);
  // mutant ORDER_SETTLE_FIRST: { const early = settle(at, graph, context, edge); linkOut(graph, edge); linkIn(graph, edge); store<u32>(context + CONTEXT_PENDING, 0); return early | ORDER_NEW_BIT; }
  linkOut(graph, edge);
  // mutant ORDER_HALF_LINKED: { const early = settle(at, graph, context, edge); linkIn(graph, edge); store<u32>(context + CONTEXT_PENDING, 0); return early | ORDER_NEW_BIT; }
  linkIn(graph, edge);
  const answer = settle(at, graph, context, edge);
  store<u32>(context + CONTEXT_PENDING, 0);
  return answer | ORDER_NEW_BIT;
}

/**
 * Will the edge that findEdge() did not find take a slot more, and is it time to count them? Not if it gets the slot of one that is gone; so a table in
 * which the same pairs come and go stays as it is.
 */
function takesSlot(context: usize, batch: u32): bool {
  if (load<u32>(context + CONTEXT_SLOT) != 0 && load<u32>(context + CONTEXT_SLOT_NOW) != 0) return false;
  const place = context + CONTEXT_TICKS + (batch << 2);
  const ticks = load<u32>(place); // plain: owner only
  store<u32>(place, ticks + 1);
  return (ticks & (EDGE_BATCH - 1)) == 0;
}

function overflow(at: usize): u32 {
  add32(at + ROOT_OVERFLOWS, 1);
  return ORDER_OVERFLOW_BIT;
}

/** An edge that is known. */
function meetAgain(
  at: usize,
  graph: usize,
  context: usize,
  edge: u32,
  owner: u32,
  gateless: u32,
  weight: u32,
): u32 {
  const note = noteAt(graph, edge);
  add32(note + NOTE_WEIGHT, weight);
  const changed = narrow(at, context, note, owner, gateless);
  const word = load32(note + NOTE_SIGHT);
  let answer: u32 = (word & EDGE_BACK_BIT) != 0 ? ORDER_AGAINST_BIT : 0;
  // Refused before, taken now: from here on it is an edge like others, and may be part of other cycles.
  if ((word & EDGE_REFUSED_BIT) != 0 && load<u32>(context + CONTEXT_STRICT) == 0) {
    and32(note + NOTE_SIGHT, ~EDGE_REFUSED_BIT);
    return answer | search(at, graph, context, edge);
  }
  if ((word & EDGE_UNSEARCHED_BIT) != 0) {
    and32(note + NOTE_SIGHT, ~EDGE_UNSEARCHED_BIT);
    return answer | search(at, graph, context, edge);
  }
  // What was harmless under a gate, or from one owner, may have become grave.
  if (changed && (word & EDGE_CYCLIC_BIT) != 0) {
    answer |= search(at, graph, context, edge) & ~ORDER_AGAINST_BIT;
  }
  return answer;
}

/** Puts an edge into the list of its start. */
export function linkOut(graph: usize, edge: u32): void {
  const record = edgeAt(graph, edge);
  push(nodeAt(graph, load32(record + EDGE_FROM) & NODE_ID_MASK) + NODE_OUT, record + EDGE_NEXT_OUT, edge);
}

/** Puts an edge into the list of its end. */
export function linkIn(graph: usize, edge: u32): void {
  const record = edgeAt(graph, edge);
  push(nodeAt(graph, load32(record + EDGE_TO) & NODE_ID_MASK) + NODE_IN, record + EDGE_NEXT_IN, edge);
}

/** Lists only grow at their heads; order-removal.ts takes edges of removed nodes out. */
function push(head: usize, next: usize, edge: u32): void {
  while (true) {
    const first = load32(head);
    store<u32>(next, first); // plain: published by the CAS
    if (cas32(head, first, edge)) return;
  }
}

/** Settles an edge that is linked, and finds what it closes. */
export function settle(at: usize, graph: usize, context: usize, edge: u32): u32 {
  const record = edgeAt(graph, edge);
  const from = nodeAt(graph, load32(record + EDGE_FROM) & NODE_ID_MASK);
  const to = nodeAt(graph, load32(record + EDGE_TO) & NODE_ID_MASK);
  for (let look: u32 = 0; look < PATIENCE; look++) {
    const word = lockWord(graph);
    if (isHeld(word)) continue;
    if (isUpward(from, to) && !isWaiting(graph)) {
      // The count is read inside the look, so that the two are true at one moment.
      const needsSearch = mayBeLoose(graph, from, to);
      // mutant ORDER_LOOSE_IGNORED: if (lockWord(graph) == word) return 0;
      // mutant ORDER_ONE_LOOK: return needsSearch ? search(at, graph, context, edge) : 0;
      if (lockWord(graph) != word) continue;
      return needsSearch ? search(at, graph, context, edge) : 0;
    }
    // mutant ORDER_DOWNWARD_IS_RING: if (!isUpward(from, to)) return ORDER_CYCLE_BIT;
    if (tryLock(graph, context, word)) return settleHeld(at, graph, context, edge, from, to);
  }
  makeLoose(graph, edge);
  // mutant ORDER_LOOSE_UNSEARCHED: return 0;
  return search(at, graph, context, edge);
}

/** Settles under the lock, which it lets go. */
function settleHeld(at: usize, graph: usize, context: usize, edge: u32, from: usize, to: usize): u32 {
  drain(at, graph, context);
  // Somebody may have arranged it between our look and our lock.
  const result = isUpward(from, to) ? ARRANGED : arrange(graph, context, from, to);
  if (result == CYCLE) makeBack(graph, edge);
  else if (result != ARRANGED) makeLoose(graph, edge);
  const needsSearch = result != ARRANGED || mayBeLoose(graph, from, to);
  unlock(graph);
  return needsSearch ? search(at, graph, context, edge) : 0;
}

function search(at: usize, graph: usize, context: usize, edge: u32): u32 {
  const found = searchCycles(at, graph, context, edge);
  if (found == 0) return 0;
  if (found != UNSEARCHED) {
    const isTruncated = (found & TRUNCATED_BIT) != 0;
    return ORDER_CYCLE_BIT | ORDER_AGAINST_BIT | (isTruncated ? ORDER_TRUNCATED_BIT : 0);
  }
  or32(noteAt(graph, edge) + NOTE_SIGHT, EDGE_UNSEARCHED_BIT);
  return ORDER_OVERFLOW_BIT;
}

// ---- loose edges --------------------------------------------------------------------------------------------------------------------------------

/** Are there loose edges that could be brought into the order? */
function isWaiting(graph: usize): bool {
  return (
    load32(graph + GRAPH_LOOSE) != 0 &&
    (load32(graph + GRAPH_QUEUE_HEAD) != load32(graph + GRAPH_QUEUE_TAIL) || load32(graph + GRAPH_LOST) != 0)
  );
}

/**
 * Could a path from `to` to `from` contain a loose edge? Reads the places, so the answer counts only if the order did not change meanwhile. An
 * edge that becomes loose later is searched for later, and then ours is linked.
 */
function mayBeLoose(graph: usize, from: usize, to: usize): bool {
  const loose = load32(graph + GRAPH_LOOSE);
  if (loose == 0) return false;
  const low = load64(from + NODE_PLACE);
  const high = load64(to + NODE_PLACE);
  const end = min(load32(graph + GRAPH_BACK_HIGH), BACK_LISTED);
  let listed: u32 = 0;
  let leaves = false;
  let arrives = false;
  for (let i: u32 = 0; i < end; i++) {
    const edge = load32(graph + GRAPH_BACK_LIST + (i << 2));
    if (edge == 0) continue;
    listed++;
    const record = edgeAt(graph, edge);
    if (load64(nodeAt(graph, load32(record + EDGE_FROM) & NODE_ID_MASK) + NODE_PLACE) >= high) leaves = true;
    if (load64(nodeAt(graph, load32(record + EDGE_TO) & NODE_ID_MASK) + NODE_PLACE) <= low) arrives = true;
  }
  // Some are counted and not listed, or not yet: nothing is known of them.
  return (leaves && arrives) || listed < loose;
}

/** Puts an edge out of the order until somebody has the lock. The count goes up first, so that it is never too low. */
function makeLoose(graph: usize, edge: u32): void {
  // mutant ORDER_LOOSE_UNMARKED: return;
  add32(graph + GRAPH_LOOSE, 1);
  or32(noteAt(graph, edge) + NOTE_SIGHT, EDGE_LOOSE_BIT);
  if (!enqueue(graph, edge)) store32(graph + GRAPH_LOST, 1);
}

/** Puts an edge that closes a cycle out of the order, as long as the cycle is one. */
function makeBack(graph: usize, edge: u32): void {
  add32(graph + GRAPH_LOOSE, 1);
  or32(noteAt(graph, edge) + NOTE_SIGHT, EDGE_LOOSE_BIT | EDGE_BACK_BIT);
  listBack(graph, edge);
}

function listBack(graph: usize, edge: u32): void {
  for (let i: u32 = 0; i < BACK_LISTED; i++) {
    const place = graph + GRAPH_BACK_LIST + (i << 2);
    if (load32(place) != 0 || !cas32(place, 0, edge)) continue;
    while (true) {
      const high = load32(graph + GRAPH_BACK_HIGH);
      if (high > i || cas32(graph + GRAPH_BACK_HIGH, high, i + 1)) return;
    }
  }
}

/** A ring in which a slot is filled first, and then passed by the tail, by whoever sees it filled. False when it is full. */
function enqueue(graph: usize, edge: u32): bool {
  const queue = findOrClaim(graph + GRAPH_QUEUE, 1);
  if (queue == 0) return false;
  while (true) {
    const tail = load32(graph + GRAPH_QUEUE_TAIL);
    if (tail - load32(graph + GRAPH_QUEUE_HEAD) >= QUEUE_SIZE) return false;
    const isOurs = cas32(queue + ((tail % QUEUE_SIZE) << 2), 0, edge);
    cas32(graph + GRAPH_QUEUE_TAIL, tail, tail + 1);
    // If the head has passed it was taken in already, or it came after that slot's turn, and nobody would look there for long.
    if (isOurs) return ((load32(graph + GRAPH_QUEUE_HEAD) - tail) as i32) <= 0;
  }
}

/** Holder of the lock: brings loose edges into the order, as far as it has room for them. */
function drain(at: usize, graph: usize, context: usize): void {
  if (load32(graph + GRAPH_LOOSE) == 0) return;
  const queue: usize = load32(graph + GRAPH_QUEUE);
  for (let tried: u32 = 0; queue != 0 && tried < DRAIN_MOST; tried++) {
    const head = load32(graph + GRAPH_QUEUE_HEAD);
    if (head == load32(graph + GRAPH_QUEUE_TAIL)) break;
    const place = queue + ((head % QUEUE_SIZE) << 2);
    const edge = load32(place);
    if (edge != 0 && !takeIn(at, graph, context, edge)) return;
    // In this order a holder that dies in between leaves an empty slot, which the next one passes.
    store32(place, 0);
    store32(graph + GRAPH_QUEUE_HEAD, head + 1);
  }
  if (load32(graph + GRAPH_LOST) != 0) findLost(at, graph, context);
}

/** Holder of the lock: gives a loose edge its place, or finds that it has none. False when there is no memory to find out. */
function takeIn(at: usize, graph: usize, context: usize, edge: u32): bool {
  const word = load32(noteAt(graph, edge) + NOTE_SIGHT);
  if ((word & EDGE_LOOSE_BIT) == 0 || (word & (EDGE_BACK_BIT | EDGE_DEAD_BIT)) != 0) return true;
  const record = edgeAt(graph, edge);
  const from = nodeAt(graph, load32(record + EDGE_FROM) & NODE_ID_MASK);
  const to = nodeAt(graph, load32(record + EDGE_TO) & NODE_ID_MASK);
  const result = isUpward(from, to) ? ARRANGED : arrange(graph, context, from, to);
  if (result == ARRANGED) {
    makeOrdinary(graph, edge);
  } else if (result == CYCLE) {
    or32(noteAt(graph, edge) + NOTE_SIGHT, EDGE_BACK_BIT);
    listBack(graph, edge);
    // Chains with it were taken for good: they must be looked at again.
    add32(at + ROOT_RESETS, 1);
  }
  return result != NO_ROOM;
}

/** Holder of the lock: the opposite of makeLoose(), in the opposite order. Not of an edge that is listed. */
export function makeOrdinary(graph: usize, edge: u32): void {
  and32(noteAt(graph, edge) + NOTE_SIGHT, ~(EDGE_LOOSE_BIT | EDGE_BACK_BIT));
  add32(graph + GRAPH_LOOSE, -1);
}

/** Holder of the lock: takes in all loose edges that did not fit into the queue. */
function findLost(at: usize, graph: usize, context: usize): void {
  // Before the look: whoever loses one from here on says so again.
  store32(graph + GRAPH_LOST, 0);
  const high = load32(at + ROOT_HIGH);
  for (let id: u32 = 1; id <= high; id++) {
    const node = knownNode(graph, id);
    if (node == 0) continue;
    for (let edge = load32(node + NODE_OUT); edge != 0; edge = load32(edgeAt(graph, edge) + EDGE_NEXT_OUT)) {
      if (takeIn(at, graph, context, edge)) continue;
      store32(graph + GRAPH_LOST, 1);
      return;
    }
  }
}

/** A node's reference, or 0 when there is no room for it. */
export function reference(graph: usize, id: u32): u32 {
  const node = findNode(graph, id);
  return node == 0 ? 0 : referenceTo(node, id);
}
