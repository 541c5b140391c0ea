/**
 * A topological order of a graph, as a hint: every node has a place, and an edge that leads from a lower to a higher place needs no search.
 * After D. J. Pearce, P. H. J. Kelly, A dynamic topological sort algorithm for directed acyclic graphs, ACM JEA 11 (2007).
 *
 *     GRAPH_LOCK    i64: version << 12 | context that moves nodes, 0 for none        nobody waits for it: see order-graph.ts
 *     GRAPH_PLAN    { node, place } x GRAPH_PLAN_COUNT                                what the holder is about to write
 *
 * The order covers the edges that are not LOOSE. An edge is *settled* when it is linked in both lists and, after that,
 *
 *   (a) its ends were seen in order at two looks at GRAPH_LOCK with the same version and no holder, or
 *   (b) the holder of the lock put them in order, or
 *   (c) it was marked loose, with GRAPH_LOOSE raised before.
 *
 * Invariant: while nobody holds the lock, each edge that was settled by (a) or (b) leads upwards. A holder keeps it: it walks all linked edges
 * that are not loose between the places of the two ends, whether their maker has settled them or not, and gives out the same places again: first
 * what reaches the lower end, then what the upper end reaches, each in the old order. Edges that lead out of or into this region keep their
 * direction, because nodes of the first kind only move down to places of the region, and those of the second only up.
 *
 * Whoever dies with the lock held has written nothing (GRAPH_PLAN_COUNT is 0), or a whole plan: recovery writes it again and unlocks.
 */
import { cas64, load32, load64, store32 } from './atomics';
import {
  CONTEXT_INDEX,
  CONTEXT_SCRATCH,
  EDGE_DEAD_BIT,
  EDGE_FROM,
  EDGE_LOOSE_BIT,
  EDGE_NEXT_IN,
  EDGE_NEXT_OUT,
  EDGE_SIGHT,
  EDGE_TO,
  GRAPH_LOCK,
  GRAPH_PLACE_NEXT,
  GRAPH_PLAN,
  GRAPH_PLAN_COUNT,
  GRAPH_STAMP,
  NODE_ID_MASK,
  NODE_IN,
  NODE_MARK,
  NODE_OUT,
  NODE_PLACE,
  ROOT_HIGH,
  SPAN_SIZE,
} from './layout';
import { edgeAt, ensureRun, isCurrent, knownNode, nodeAt } from './order-memory';

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
  return load32(from + NODE_PLACE) < load32(to + NODE_PLACE);
}

/**
 * Holder of the lock: makes from -> to lead upwards, from a moment at which it does not. `scratch` holds u64 { place, node }: what `to` reaches
 * from the left, what reaches `from` from the right, then the plan.
 */
export function arrange(graph: usize, context: usize, from: usize, to: usize): u32 {
  const nodes = load32(graph + GRAPH_PLACE_NEXT) + 2;
  if (!ensureRun(context + CONTEXT_SCRATCH, (nodes as u64) * 24)) return NO_ROOM;
  const scratch: usize = load<u32>(context + CONTEXT_SCRATCH); // plain: owner only
  const lowest = load32(to + NODE_PLACE);
  const highest = load32(from + NODE_PLACE);
  const stamp = nextStamp(graph);
  const forward = walkForward(graph, scratch, from, to, lowest, highest, stamp);
  if (forward == 0) return CYCLE;
  const right = scratch + ((nodes as usize) << 3);
  const backward = walkBackward(graph, right, from, lowest, highest, stamp);
  sort(scratch, forward);
  sort(right, backward);
  plan(graph, scratch, forward, right, backward, right + ((backward as usize) << 3));
  return ARRANGED;
}

/** A mark that no node has. Plain, as NODE_MARK: only the holder of the lock touches them. */
function nextStamp(graph: usize): u32 {
  let stamp = load<u32>(graph + GRAPH_STAMP) + 1;
  // Stays below the marks of order-removal.ts.
  if (stamp >> 31 != 0) {
    stamp = 1;
    clearMarks(graph);
  }
  store<u32>(graph + GRAPH_STAMP, stamp);
  return stamp;
}

function clearMarks(graph: usize): void {
  const high = load32((graph & ~(SPAN_SIZE - 1)) + ROOT_HIGH); // the root is a span, and its graphs stand in it
  for (let id: u32 = 1; id <= high; id++) {
    const node = knownNode(graph, id);
    if (node != 0) store<u32>(node + NODE_MARK, 0);
  }
}

function entryOf(node: usize, place: u32): u64 {
  return ((place as u64) << 32) | (node as u64);
}

/** What `to` reaches inside the region; only edges that are not settled yet lead out of it at its lower end. Returns how many, or 0 when `from` is among them. */
function walkForward(
  graph: usize,
  list: usize,
  from: usize,
  to: usize,
  lowest: u32,
  highest: u32,
  stamp: u32,
): u32 {
  store<u64>(list, entryOf(to, load32(to + NODE_PLACE)));
  store<u32>(to + NODE_MARK, stamp);
  let count: u32 = 1;
  for (let i: u32 = 0; i < count; i++) {
    const node: usize = load<u32>(list + ((i as usize) << 3));
    let edge = load32(node + NODE_OUT);
    while (edge != 0) {
      const at = edgeAt(graph, edge);
      edge = load32(at + EDGE_NEXT_OUT);
      if ((load32(at + EDGE_SIGHT) & (EDGE_LOOSE_BIT | EDGE_DEAD_BIT)) != 0) continue;
      const reference = load32(at + EDGE_TO);
      const next = nodeAt(graph, reference & NODE_ID_MASK);
      const place = load32(next + NODE_PLACE);
      if (place > highest || place < lowest || load<u32>(next + NODE_MARK) == stamp) continue;
      if (!isCurrent(next, reference) || !isCurrent(node, load32(at + EDGE_FROM))) continue;
      if (next == from) return 0;
      store<u32>(next + NODE_MARK, stamp);
      store<u64>(list + ((count as usize) << 3), entryOf(next, place));
      count++;
    }
  }
  return count;
}

/** What reaches `from` inside the region. */
function walkBackward(graph: usize, list: usize, from: usize, lowest: u32, highest: u32, stamp: u32): u32 {
  store<u64>(list, entryOf(from, load32(from + NODE_PLACE)));
  store<u32>(from + NODE_MARK, stamp);
  let count: u32 = 1;
  for (let i: u32 = 0; i < count; i++) {
    const node: usize = load<u32>(list + ((i as usize) << 3));
    let edge = load32(node + NODE_IN);
    while (edge != 0) {
      const at = edgeAt(graph, edge);
      edge = load32(at + EDGE_NEXT_IN);
      if ((load32(at + EDGE_SIGHT) & (EDGE_LOOSE_BIT | EDGE_DEAD_BIT)) != 0) continue;
      const reference = load32(at + EDGE_FROM);
      const next = nodeAt(graph, reference & NODE_ID_MASK);
      const place = load32(next + NODE_PLACE);
      if (place < lowest || place > highest || load<u32>(next + NODE_MARK) == stamp) continue;
      if (!isCurrent(next, reference) || !isCurrent(node, load32(at + EDGE_TO))) continue;
      store<u32>(next + NODE_MARK, stamp);
      store<u64>(list + ((count as usize) << 3), entryOf(next, place));
      count++;
    }
  }
  return count;
}

/** Sorts u64 upwards: insertion for the few that there mostly are, otherwise a heap (Williams, 1964). Plain: the caller's own memory. */
function sort(list: usize, count: u32): void {
  if (count > 32) {
    heapSort(list, count);
    return;
  }
  for (let i: u32 = 1; i < count; i++) {
    const value = load<u64>(list + ((i as usize) << 3));
    let j = i;
    while (j > 0 && load<u64>(list + ((j as usize) << 3) - 8) > value) {
      store<u64>(list + ((j as usize) << 3), load<u64>(list + ((j as usize) << 3) - 8));
      j--;
    }
    store<u64>(list + ((j as usize) << 3), value);
  }
}

function heapSort(list: usize, count: u32): void {
  for (let i = count >> 1; i > 0; i--) sink(list, i - 1, count);
  for (let end = count - 1; end > 0; end--) {
    const last = load<u64>(list + ((end as usize) << 3));
    store<u64>(list + ((end as usize) << 3), load<u64>(list));
    store<u64>(list, last);
    sink(list, 0, end);
  }
}

function sink(list: usize, start: u32, count: u32): void {
  const value = load<u64>(list + ((start as usize) << 3));
  let i = start;
  while (true) {
    let child: u32 = 2 * i + 1;
    if (child >= count) break;
    if (
      child + 1 < count &&
      load<u64>(list + ((child as usize) << 3)) < load<u64>(list + ((child as usize) << 3) + 8)
    )
      child++;
    const above = load<u64>(list + ((child as usize) << 3));
    if (above <= value) break;
    store<u64>(list + ((i as usize) << 3), above);
    i = child;
  }
  store<u64>(list + ((i as usize) << 3), value);
}

/** The places of both lists, merged upwards, go to the nodes of the backward list, then to those of the forward list. */
function plan(
  graph: usize,
  forward: usize,
  forwards: u32,
  backward: usize,
  backwards: u32,
  into: usize,
): void {
  const count = forwards + backwards;
  let f: u32 = 0;
  let b: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const node =
      i < backwards
        ? load<u32>(backward + ((i as usize) << 3))
        : load<u32>(forward + (((i - backwards) as usize) << 3));
    // The high half of an entry is its place.
    const low = f < forwards ? load<u32>(forward + ((f as usize) << 3) + 4) : u32.MAX_VALUE;
    const high = b < backwards ? load<u32>(backward + ((b as usize) << 3) + 4) : u32.MAX_VALUE;
    const place = min(low, high);
    if (low < high) f++;
    else b++;
    store<u32>(into + ((i as usize) << 3), node);
    store<u32>(into + ((i as usize) << 3) + 4, place);
  }
  store<u32>(graph + GRAPH_PLAN, into as u32);
  store32(graph + GRAPH_PLAN_COUNT, count); // publishes the plan, for who comes when we are gone
  carryOut(graph);
}

/** Writes what the plan says; twice does no harm. */
export function carryOut(graph: usize): void {
  const count = load32(graph + GRAPH_PLAN_COUNT);
  const from: usize = load<u32>(graph + GRAPH_PLAN);
  for (let i: u32 = 0; i < count; i++) {
    store32(
      (load<u32>(from + ((i as usize) << 3)) as usize) + NODE_PLACE,
      load<u32>(from + ((i as usize) << 3) + 4),
    );
  }
  store32(graph + GRAPH_PLAN_COUNT, 0);
}
