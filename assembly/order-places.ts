/**
 * An order of the nodes of a graph, as a hint: every node has a place, and an edge that leads from a lower to a higher place needs no search. Kept
 * after D. J. Pearce, P. H. J. Kelly, A dynamic topological sort algorithm for directed acyclic graphs, ACM JEA 11 (2007): an edge that leads
 * downwards is put right by a search between the places of its ends only. Two things are different. Places are 64-bit labels with room in between and need
 * not be distinct, as in P. F. Dietz, D. D. Sleator, Two algorithms for maintaining order in a list, STOC 1987. So it is enough to move one
 * side, what the upper end reaches or what reaches the lower one; both are walked in turns, and the one that comes to its end first is moved
 * (B. Alpern et al., Incremental evaluation of computational circuits, SODA 1990).
 *
 *     GRAPH_LOCK    i64: version << 12 | context that moves nodes, 0 for none        nobody waits for it: see order-graph.ts
 *     GRAPH_PLAN    { node, 0, place } x GRAPH_PLAN_COUNT                             what the holder is about to write
 *
 * The order covers the edges that are not LOOSE. An edge is *settled* when it is linked in both lists and, after that,
 *
 *   (a) its ends were seen in order at two looks at GRAPH_LOCK with the same version and no holder, or
 *   (b) the holder of the lock put them in order, or
 *   (c) it was marked loose, with GRAPH_LOOSE raised before.
 *
 * Invariant: while nobody holds the lock, each edge that was settled by (a) or (b) leads upwards, to a strictly higher place. A holder keeps it. Say
 * u -> v leads downwards. It walks all linked edges that are not loose, whether their maker has settled them or not: forwards from v as
 * long as places are not above u's, and backwards from u as long as they are not below v's. If the first walk is done and did not meet the
 * second, its nodes move, in their old order, to places between u's and the lowest of those that they lead to outside the walk, which are above
 * u's. Edges among them keep their direction, edges out of them lead to higher places still, edges into them come from where they
 * came from while their ends went up. The other way round for the second walk. If there is no room left between the two places, all
 * nodes get new ones in the same order.
 *
 * Whoever dies with the lock held has written nothing (GRAPH_PLAN_COUNT is 0), or a whole plan: recovery writes it again and unlocks.
 */
import { cas64, load32, load64, store32, store64 } from './atomics';
import {
  CONTEXT_INDEX,
  CONTEXT_SCRATCH,
  EDGE_DEAD_BIT,
  EDGE_FROM,
  EDGE_LOOSE_BIT,
  EDGE_NEXT_IN,
  EDGE_NEXT_OUT,
  EDGE_TO,
  GRAPH_LOCK,
  GRAPH_PLACED,
  GRAPH_PLAN,
  GRAPH_PLAN_COUNT,
  GRAPH_ROOT,
  GRAPH_STAMP,
  NODE_ID_MASK,
  NODE_IN,
  NODE_MARK,
  NODE_OUT,
  NODE_PLACE,
  NOTE_SIGHT,
  ROOT_HIGH,
} from './layout';
import {
  edgeAt,
  ensureRun,
  isCurrent,
  knownNode,
  nodeAt,
  noteAt,
  PLACE_FIRST,
  PLACE_STEP,
} from './order-memory';

const HOLDER_MASK: u64 = 0xfff;

/** Answers of arrange(). */
export const ARRANGED: u32 = 0;
/** There is a path back: no order exists. */
export const CYCLE: u32 = 1;
/** No memory for the search. */
export const NO_ROOM: u32 = 2;

/** The lock word as it is now. */
export function lockWord(graph: usize): u64 {
  return load64(graph + GRAPH_LOCK);
}

export function isHeld(word: u64): bool {
  return (word & HOLDER_MASK) != 0;
}

/** One try. True when the caller holds the lock now. */
export function tryLock(graph: usize, context: usize, seen: u64): bool {
  return !isHeld(seen) && cas64(graph + GRAPH_LOCK, seen, seen | (load<u32>(context + CONTEXT_INDEX) as u64));
}

/** The holder's: a new version, so that looks which began before do not count. */
export function unlock(graph: usize): void {
  const word = load64(graph + GRAPH_LOCK);
  cas64(graph + GRAPH_LOCK, word, (word | HOLDER_MASK) + 1);
}

/** Does this context hold the lock? For recovery. */
export function holds(graph: usize, context: usize): bool {
  return (load64(graph + GRAPH_LOCK) & HOLDER_MASK) == (load<u32>(context + CONTEXT_INDEX) as u64);
}

/** Does the order hold for from -> to, now that the edge is linked? */
export function isUpward(from: usize, to: usize): bool {
  return load64(from + NODE_PLACE) < load64(to + NODE_PLACE);
}

/** What a walk has come to: nodes as { node, 0, place }, how many, and the nearest place outside. In the holder's scratch, before its nodes. */
const WALK_COUNT: usize = 0;
const WALK_BEYOND: usize = 8;
const WALK_NODES: usize = 16;
const ENTRY_LOG2: usize = 4;
const ENTRY_PLACE: usize = 8;

/** Above all places. */
const PLACE_END: u64 = u64.MAX_VALUE;

/** Holder of the lock: makes from -> to lead upwards, from a moment at which it does not. */
export function arrange(graph: usize, context: usize, from: usize, to: usize): u32 {
  const nodes = load32(graph + GRAPH_PLACED) + 2;
  // Two walks, and a plan as long as both.
  if (!ensureRun(context + CONTEXT_SCRATCH, ((nodes as u64) << (ENTRY_LOG2 + 2)) + 64)) return NO_ROOM;
  const forward: usize = load<u32>(context + CONTEXT_SCRATCH); // plain, the whole scratch: owner only
  const backward = forward + WALK_NODES + ((nodes as usize) << ENTRY_LOG2);
  const into = backward + WALK_NODES + ((nodes as usize) << ENTRY_LOG2);
  const side = walk(graph, forward, backward, from, to, nextStamp(graph));
  if (side == MET) return CYCLE;
  const isDone = side == FORWARD ? planUp(graph, forward, from, into) : planDown(graph, backward, to, into);
  if (!isDone) {
    spread(graph, into);
    // There is room now, and everything else is as it was.
    return arrange(graph, context, from, to);
  }
  carryOut(graph);
  return ARRANGED;
}

/** A mark that no node has, and one more. Plain, as NODE_MARK: only the holder of the lock touches them. */
function nextStamp(graph: usize): u32 {
  let stamp = load<u32>(graph + GRAPH_STAMP) + 2;
  // Stays below the marks of order-removal.ts.
  if (stamp >> 31 != 0) {
    stamp = 2;
    clearMarks(graph);
  }
  store<u32>(graph + GRAPH_STAMP, stamp);
  return stamp;
}

function highestId(graph: usize): u32 {
  return load32((load<u32>(graph + GRAPH_ROOT) as usize) + ROOT_HIGH); // plain: never changes
}

function clearMarks(graph: usize): void {
  const high = highestId(graph);
  for (let id: u32 = 1; id <= high; id++) {
    const node = knownNode(graph, id);
    if (node != 0) store<u32>(node + NODE_MARK, 0);
  }
}

// ---- the walk ---------------------------------------------------------------------------------------------------------------------------------------

const MET: u32 = 0;
const FORWARD: u32 = 1;
const BACKWARD: u32 = 2;

function append(list: usize, node: usize, place: u64): void {
  const count = load<u32>(list + WALK_COUNT);
  const entry = list + WALK_NODES + ((count as usize) << ENTRY_LOG2);
  store<u32>(entry, node as u32);
  store<u64>(entry + ENTRY_PLACE, place);
  store<u32>(list + WALK_COUNT, count + 1);
}

function nodeOf(list: usize, i: u32): usize {
  return load<u32>(list + WALK_NODES + ((i as usize) << ENTRY_LOG2));
}

/**
 * Lists what `to` reaches, and what reaches `from`, between their places. Returns which walk is complete, or MET when there is a path from `to` to `from`.
 *
 * The walks take turns, an edge each. That finds the shorter one, and it is faster than one alone: a walk mostly waits for memory, and this way two
 * do. Edge 0 stands for "none now": its words are 0, and the place of node 0 is.
 */
function walk(graph: usize, forward: usize, backward: usize, from: usize, to: usize, stamp: u32): u32 {
  const lowest = load64(to + NODE_PLACE);
  const highest = load64(from + NODE_PLACE);
  store<u32>(forward + WALK_COUNT, 0);
  store<u32>(backward + WALK_COUNT, 0);
  append(forward, to, lowest);
  append(backward, from, highest);
  store<u32>(to + NODE_MARK, stamp);
  store<u32>(from + NODE_MARK, stamp + 1);
  let above = PLACE_END;
  let below: u64 = 0;
  let f: u32 = 0;
  let b: u32 = 0;
  let out = load32(to + NODE_OUT);
  let into = load32(from + NODE_IN);
  while (true) {
    while (out == 0) {
      if (++f == load<u32>(forward + WALK_COUNT)) {
        store<u64>(forward + WALK_BEYOND, above);
        return FORWARD;
      }
      out = load32(nodeOf(forward, f) + NODE_OUT);
    }
    while (into == 0) {
      if (++b == load<u32>(backward + WALK_COUNT)) {
        store<u64>(backward + WALK_BEYOND, below);
        return BACKWARD;
      }
      into = load32(nodeOf(backward, b) + NODE_IN);
    }
    const outgoing = edgeAt(graph, out);
    const incoming = edgeAt(graph, into);
    const after = nodeAt(graph, load32(outgoing + EDGE_TO) & NODE_ID_MASK);
    const before = nodeAt(graph, load32(incoming + EDGE_FROM) & NODE_ID_MASK);
    const afterPlace = load64(after + NODE_PLACE);
    const beforePlace = load64(before + NODE_PLACE);
    // Lower than it came from, or higher: an edge that is not settled, whose maker sees to it.
    if (afterPlace > highest) {
      // Of an edge that is not walked this may be too near, which does no harm.
      above = min(above, afterPlace);
    } else if (
      afterPlace >= lowest &&
      load<u32>(after + NODE_MARK) != stamp &&
      isWalked(graph, out, outgoing)
    ) {
      if (load<u32>(after + NODE_MARK) == stamp + 1) return MET;
      store<u32>(after + NODE_MARK, stamp);
      append(forward, after, afterPlace);
    }
    if (beforePlace < lowest) {
      below = max(below, beforePlace);
    } else if (
      beforePlace <= highest &&
      load<u32>(before + NODE_MARK) != stamp + 1 &&
      isWalked(graph, into, incoming)
    ) {
      if (load<u32>(before + NODE_MARK) == stamp) return MET;
      store<u32>(before + NODE_MARK, stamp + 1);
      append(backward, before, beforePlace);
    }
    out = load32(outgoing + EDGE_NEXT_OUT);
    into = load32(incoming + EDGE_NEXT_IN);
  }
}

/** Is it an edge of the order, between nodes as they are now? */
function isWalked(graph: usize, edge: u32, record: usize): bool {
  if ((load32(noteAt(graph, edge) + NOTE_SIGHT) & (EDGE_LOOSE_BIT | EDGE_DEAD_BIT)) != 0) return false;
  const from = load32(record + EDGE_FROM);
  const to = load32(record + EDGE_TO);
  return (
    isCurrent(nodeAt(graph, from & NODE_ID_MASK), from) && isCurrent(nodeAt(graph, to & NODE_ID_MASK), to)
  );
}

// ---- plans ------------------------------------------------------------------------------------------------------------------------------------------

/** So many parts of the room stay free on the far side of what is put there. */
const ROOM_SHIFT: u64 = 6;

/** Distance at which `count` nodes go into the room between two places, or 0 when they do not fit. */
function spacing(low: u64, high: u64, count: u64): u64 {
  const room = high - low;
  if (room <= count) return 0;
  // Close to the far end: what comes between the two next has nearly all of the room.
  return max<u64>(1, min<u64>(PLACE_STEP, min<u64>(room >> ROOM_SHIFT, room / (count + 1))));
}

/** The nodes of the forward walk go above `from`, as near as may be to what they lead to. */
function planUp(graph: usize, list: usize, from: usize, into: usize): bool {
  const count = load<u32>(list + WALK_COUNT);
  const low = load64(from + NODE_PLACE);
  const beyond = load<u64>(list + WALK_BEYOND);
  // With nothing above, far enough to leave room.
  const high = beyond == PLACE_END ? low + PLACE_STEP * ((count as u64) + 1) : beyond;
  if (high < low) return false;
  const space = spacing(low, high, count);
  if (space == 0) return false;
  sort(list + WALK_NODES, count);
  for (let i: u32 = 0; i < count; i++) propose(into, i, nodeOf(list, i), high - space * ((count - i) as u64));
  commit(graph, into, count);
  return true;
}

/** The nodes of the backward walk go below `to`, as near as may be to what leads to them. */
function planDown(graph: usize, list: usize, to: usize, into: usize): bool {
  const count = load<u32>(list + WALK_COUNT);
  const high = load64(to + NODE_PLACE);
  const beyond = load<u64>(list + WALK_BEYOND);
  const wish = PLACE_STEP * ((count as u64) + 1);
  // Place 0 is none at all.
  const low = beyond == 0 && high > wish ? high - wish : beyond;
  const space = spacing(low, high, count);
  if (space == 0) return false;
  sort(list + WALK_NODES, count);
  for (let i: u32 = 0; i < count; i++) propose(into, i, nodeOf(list, i), low + space * ((i + 1) as u64));
  commit(graph, into, count);
  return true;
}

/** New places for all nodes, in the order of the old ones. */
function spread(graph: usize, into: usize): void {
  const high = highestId(graph);
  const most = load32(graph + GRAPH_PLACED) + 1;
  let count: u32 = 0;
  for (let id: u32 = 1; id <= high && count < most; id++) {
    const node = knownNode(graph, id);
    if (node == 0 || load64(node + NODE_PLACE) == 0) continue;
    propose(into, count, node, load64(node + NODE_PLACE));
    count++;
  }
  sort(into, count);
  let place: u64 = PLACE_FIRST;
  let before: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const entry = into + ((i as usize) << ENTRY_LOG2) + ENTRY_PLACE;
    // What was equal stays so: nothing was known of it.
    if (load<u64>(entry) != before) place += PLACE_STEP;
    before = load<u64>(entry);
    store<u64>(entry, place);
  }
  commit(graph, into, count);
  carryOut(graph);
}

function propose(into: usize, i: u32, node: usize, place: u64): void {
  const entry = into + ((i as usize) << ENTRY_LOG2);
  store<u32>(entry, node as u32);
  store<u64>(entry + ENTRY_PLACE, place);
}

/** From here on the plan will be carried out, by us or by who comes when we are gone. */
function commit(graph: usize, plan: usize, count: u32): void {
  store<u32>(graph + GRAPH_PLAN, plan as u32); // plain: published by the count
  store32(graph + GRAPH_PLAN_COUNT, count);
}

/** Writes what the plan says; twice does no harm. */
export function carryOut(graph: usize): void {
  const count = load32(graph + GRAPH_PLAN_COUNT);
  const plan: usize = load<u32>(graph + GRAPH_PLAN);
  for (let i: u32 = 0; i < count; i++) {
    const entry = plan + ((i as usize) << ENTRY_LOG2);
    store64((load<u32>(entry) as usize) + NODE_PLACE, load<u64>(entry + ENTRY_PLACE));
  }
  store32(graph + GRAPH_PLAN_COUNT, 0);
}

/** Sorts entries by place: insertion for the few that there mostly are, otherwise a heap (Williams, 1964). Plain: the holder's own memory. */
function sort(list: usize, count: u32): void {
  if (count > 32) {
    heapSort(list, count);
    return;
  }
  for (let i: u32 = 1; i < count; i++) {
    const node = load<u32>(entryAt(list, i));
    const place = load<u64>(entryAt(list, i) + ENTRY_PLACE);
    let j = i;
    while (j > 0 && load<u64>(entryAt(list, j - 1) + ENTRY_PLACE) > place) {
      copyEntry(list, j - 1, j);
      j--;
    }
    propose(list, j, node, place);
  }
}

function entryAt(list: usize, i: u32): usize {
  return list + ((i as usize) << ENTRY_LOG2);
}

function copyEntry(list: usize, from: u32, to: u32): void {
  propose(list, to, load<u32>(entryAt(list, from)), load<u64>(entryAt(list, from) + ENTRY_PLACE));
}

function heapSort(list: usize, count: u32): void {
  for (let i = count >> 1; i > 0; i--) {
    sink(list, load<u32>(entryAt(list, i - 1)), load<u64>(entryAt(list, i - 1) + ENTRY_PLACE), i - 1, count);
  }
  for (let end = count - 1; end > 0; end--) {
    const node = load<u32>(entryAt(list, end));
    const place = load<u64>(entryAt(list, end) + ENTRY_PLACE);
    copyEntry(list, 0, end);
    sink(list, node, place, 0, end);
  }
}

function sink(list: usize, node: u32, place: u64, start: u32, count: u32): void {
  let i = start;
  while (true) {
    let child: u32 = 2 * i + 1;
    if (child >= count) break;
    if (
      child + 1 < count &&
      load<u64>(entryAt(list, child) + ENTRY_PLACE) < load<u64>(entryAt(list, child + 1) + ENTRY_PLACE)
    )
      child++;
    if (load<u64>(entryAt(list, child) + ENTRY_PLACE) <= place) break;
    copyEntry(list, child, i);
    i = child;
  }
  propose(list, i, node, place);
}
