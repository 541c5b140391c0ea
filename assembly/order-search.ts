/**
 * Cycles through one edge. First, breadth first and backwards from the edge's start, how far every node is from there; if the edge's end is
 * not among them there is no cycle. Then all simple paths from the end to the start, the shortest first: depth first with a limit that grows to the
 * least length that was cut off (R. Korf, Depth-first iterative-deepening, 1985, with the distances as the exact heuristic). The first path only
 * descends along the distances, so a shortest cycle is found whatever the size of the graph. Simple paths can be exponentially many: after
 * CYCLES_AT_ONCE cycles, or STEPS_MOST edges beyond the first, it stops, says so and counts in ROOT_TRUNCATED.
 *
 * The search holds no lock and uses marks of its own thread. It sees every edge that was linked before it began, which is what the proof in
 * order-graph.ts needs; later ones it may see or not.
 *
 * A cycle is known by the sum of the hashes of its edges: the same wherever one starts in it, and different in the other direction. The set of known
 * cycles is shared, so of all threads that find one the first reports it. Each severity counts as a cycle of its own as long as no graver
 * one was reported.
 */
import { add32, cas64, load32, load64, or32, store32 } from './atomics';
// model: import { store64 } from './atomics';
import {
  CONTEXT_ANSWER,
  CONTEXT_ANSWER_ROOM,
  CONTEXT_ANSWERED,
  CONTEXT_LONG,
  CONTEXT_MARKS,
  CONTEXT_SCRATCH,
  CONTEXT_STAMP,
  CONTEXT_TENTATIVE,
  CYCLES_NEXT,
  CYCLES_PER_PAGE,
  CYCLES_SLOTS,
  CYCLES_USED,
  EDGE_CYCLIC_BIT,
  EDGE_FROM,
  EDGE_NEXT_IN,
  EDGE_NEXT_OUT,
  EDGE_REFUSED_BIT,
  EDGE_TO,
  NODE_ID_MASK,
  NODE_IN,
  NODE_OUT,
  NOTE_SIGHT,
  OWNER_MANY,
  ROOT_CLASSES,
  ROOT_CYCLES,
  ROOT_HIGH,
  ROOT_INSTANCES,
  ROOT_LIVES,
  ROOT_OVERFLOWS,
  ROOT_RULES_VERSION,
  ROOT_TRUNCATED,
  SIGHT_GATE_COUNT,
  SIGHT_GATES,
  SIGHT_OWNER,
} from './layout';
import { edgeAt, ensureRun, findOrClaim, isCurrent, mix, nodeAt, noteAt } from './order-memory';
import { sightIn } from './order-sights';
import { releaseSpans } from './spans';
import {
  CYCLE_CERTAIN,
  CYCLE_GATED,
  CYCLE_POSSIBLE,
  CYCLE_SAME_OWNER,
  GRAPH_OF_CLASSES,
  GRAPH_OF_LOCKS,
} from './status';

const CYCLES_AT_ONCE: u32 = 16;
const STEPS_MOST: u32 = 1 << 16;
/** An edge that leads nowhere is a small part of a step: there may be as many of these as locks under one. */
const STEP_PARTS: u32 = 16;
/** So many nodes are always measured, to find cycles beside the shortest. */
const MEASURED_AT_LEAST: u32 = 4096;

/** Marks of a node: the search that measured it; how far it is, with PATH_BIT while it is on the path. Plain: this thread's own. */
const _MARK_STAMP: u32 = 0;
const MARK_DISTANCE: u32 = 4;
const PATH_BIT: u32 = 1 << 31;

function markAt(context: usize, id: u32): usize {
  return (load<u32>(context + CONTEXT_MARKS) as usize) + ((id as usize) << 3);
}

/** Room for a search among all nodes that exist now. Those that come later are not looked at: who links them searches later. */
function prepare(at: usize, context: usize): u32 {
  const nodes = load32(at + ROOT_HIGH) + 1;
  const before = load<u32>(context + CONTEXT_MARKS);
  if (!ensureRun(context + CONTEXT_MARKS, (nodes as u64) << 3)) return 0;
  // Queue of nodes, then the path: pairs { edge that led here, edge to try next }.
  if (!ensureRun(context + CONTEXT_SCRATCH, (nodes as u64) * 12 + 8)) return 0;
  let stamp = load<u32>(context + CONTEXT_STAMP) + 1;
  if (stamp == 0 || load<u32>(context + CONTEXT_MARKS) != before) {
    // New marks are zero, and old stamps must not come round.
    if (stamp == 0) memory.fill(load<u32>(context + CONTEXT_MARKS), 0, (nodes as usize) << 3);
    stamp = 1;
  }
  store<u32>(context + CONTEXT_STAMP, stamp);
  return nodes;
}

/** Was the edge taken, and not only refused? */
function isTaken(graph: usize, edge: u32): bool {
  return (load32(noteAt(graph, edge) + NOTE_SIGHT) & EDGE_REFUSED_BIT) == 0;
}

/** Is the edge there, between nodes as they are now? */
function isLive(graph: usize, edge: usize): bool {
  const from = load32(edge + EDGE_FROM);
  const to = load32(edge + EDGE_TO);
  return (
    isCurrent(nodeAt(graph, from & NODE_ID_MASK), from) && isCurrent(nodeAt(graph, to & NODE_ID_MASK), to)
  );
}

/**
 * Measures how far the nodes that reach `from` are from it, until `to` is among them and, beyond, as far as is cheap. True when `to` reaches `from`.
 */
function measure(graph: usize, context: usize, nodes: u32, from: u32, to: u32): bool {
  const stamp = load<u32>(context + CONTEXT_STAMP);
  const queue: usize = load<u32>(context + CONTEXT_SCRATCH);
  store<u32>(queue, from);
  store<u32>(markAt(context, from), stamp);
  store<u32>(markAt(context, from) + MARK_DISTANCE, 0);
  let count: u32 = 1;
  let found = false;
  for (let i: u32 = 0; i < count; i++) {
    if (found && count > MEASURED_AT_LEAST) break;
    const id = load<u32>(queue + ((i as usize) << 2));
    const further = load<u32>(markAt(context, id) + MARK_DISTANCE) + 1;
    let edge = load32(nodeAt(graph, id) + NODE_IN);
    while (edge != 0) {
      const record = edgeAt(graph, edge);
      const isOpen = isTaken(graph, edge);
      edge = load32(record + EDGE_NEXT_IN);
      const source = load32(record + EDGE_FROM) & NODE_ID_MASK;
      if (source >= nodes || load<u32>(markAt(context, source)) == stamp || !isOpen || !isLive(graph, record))
        continue;
      store<u32>(markAt(context, source), stamp);
      store<u32>(markAt(context, source) + MARK_DISTANCE, further);
      store<u32>(queue + ((count as usize) << 2), source);
      count++;
      if (source == to) found = true;
    }
  }
  return found;
}

/** Is there a path from node `from` to node `to`? Also true when there is no memory to find out. Looks at the graph as it is. */
export function reaches(at: usize, graph: usize, context: usize, from: u32, to: u32): bool {
  const nodes = prepare(at, context);
  if (nodes == 0) {
    add32(at + ROOT_OVERFLOWS, 1);
    return true;
  }
  return from < nodes && to < nodes && measure(graph, context, nodes, to, from);
}

/** Answer of searchCycles(): there was no memory to search with, or the way that was measured was gone before it was walked. */
export const UNSEARCHED: u32 = 0xffffffff;
/** Added to the answer: there may be more. */
export const TRUNCATED_BIT: u32 = 1 << 30;

/**
 * Finds the cycles through an edge that is linked, and answers with those that nobody reported. Returns how many there are at least, or UNSEARCHED.
 * If there is any, one of the shortest is among them.
 */
export function searchCycles(at: usize, graph: usize, context: usize, edge: u32): u32 {
  return walkCycles(at, graph, context, edge, false);
}

/** As searchCycles(), but answers with the shortest cycle, known or not, and remembers nothing. */
export function explainCycle(at: usize, graph: usize, context: usize, edge: u32): u32 {
  return walkCycles(at, graph, context, edge, true);
}

function walkCycles(at: usize, graph: usize, context: usize, edge: u32, isExplaining: bool): u32 {
  const nodes = prepare(at, context);
  if (nodes == 0) {
    add32(at + ROOT_OVERFLOWS, 1);
    return UNSEARCHED;
  }
  const record = edgeAt(graph, edge);
  const from = load32(record + EDGE_FROM) & NODE_ID_MASK;
  const to = load32(record + EDGE_TO) & NODE_ID_MASK;
  if (!measure(graph, context, nodes, from, to)) return 0;
  const path = (load<u32>(context + CONTEXT_SCRATCH) as usize) + ((nodes as usize) << 2);
  const stamp = load<u32>(context + CONTEXT_STAMP);
  let limit = load<u32>(markAt(context, to) + MARK_DISTANCE);
  let found: u32 = 0;
  let steps: u32 = 0;
  // Not before the first cycle, to which every step leads, unless nodes on the way are removed meanwhile.
  let isCounting = false;
  while (limit != u32.MAX_VALUE) {
    // Depth first from `to`; the path holds, for each node on it, the edge that led there and the one to try next.
    let beyond = u32.MAX_VALUE;
    let depth: u32 = 0;
    store<u32>(path, edge);
    store<u32>(path + 4, load32(nodeAt(graph, to) + NODE_OUT));
    setOnPath(context, to, true);
    while (true) {
      const top = path + ((depth as usize) << 3);
      const trying = load<u32>(top + 4);
      if (trying == 0) {
        const here = load32(edgeAt(graph, load<u32>(top)) + EDGE_TO) & NODE_ID_MASK;
        setOnPath(context, here, false);
        isCounting = true;
        if (depth == 0) break;
        depth--;
        continue;
      }
      const next = edgeAt(graph, trying);
      store<u32>(top + 4, load32(next + EDGE_NEXT_OUT));
      const target = load32(next + EDGE_TO) & NODE_ID_MASK;
      const isMeasured = target < nodes && load<u32>(markAt(context, target)) == stamp;
      if (isCounting) steps += isMeasured ? STEP_PARTS : 1;
      if (steps > STEPS_MOST * STEP_PARTS) return truncated(at, found);
      if (!isMeasured) continue;
      const distance = load<u32>(markAt(context, target) + MARK_DISTANCE);
      if ((distance & PATH_BIT) != 0 || !isTaken(graph, trying) || !isLive(graph, next)) continue;
      const length = depth + 1 + distance;
      if (length > limit) {
        beyond = min(beyond, length);
        continue;
      }
      if (target != from) {
        depth++;
        store<u32>(path + ((depth as usize) << 3), trying);
        store<u32>(path + ((depth as usize) << 3) + 4, load32(nodeAt(graph, target) + NODE_OUT));
        setOnPath(context, target, true);
        continue;
      }
      // Shorter ones were found under a lower limit.
      if (length < limit) continue;
      if (found == CYCLES_AT_ONCE) return truncated(at, found);
      found++;
      isCounting = true;
      store<u32>(path + ((depth as usize) << 3) + 8, trying);
      report(at, graph, context, path, depth + 2, isExplaining);
      if (isExplaining) return 1;
    }
    limit = beyond;
  }
  return found;
}

function truncated(at: usize, found: u32): u32 {
  add32(at + ROOT_TRUNCATED, 1);
  return found == 0 ? UNSEARCHED : found | TRUNCATED_BIT;
}

function setOnPath(context: usize, id: u32, isOn: bool): void {
  const place = markAt(context, id) + MARK_DISTANCE;
  const distance = load<u32>(place) & ~PATH_BIT;
  store<u32>(place, isOn ? distance | PATH_BIT : distance);
}

// ---- reports ----------------------------------------------------------------------------------------------------------------------------------

/**
 * `path` has an edge in every second word. The report is written first, beyond the end of the answer, then the cycle is marked as known, then the answer
 * grows. A thread that dies in between leaves the report where order-recovery.ts finds it; so a cycle that is known was reported, or will be.
 */
function report(at: usize, graph: usize, context: usize, path: usize, length: u32, always: bool): void {
  const severity = severityOf(at, graph, path, length);
  for (let i: u32 = 0; i < length; i++) {
    const sight = noteAt(graph, load<u32>(path + ((i as usize) << 3))) + NOTE_SIGHT;
    if ((load32(sight) & EDGE_CYCLIC_BIT) == 0) or32(sight, EDGE_CYCLIC_BIT);
  }
  const words = roomFor(context, length + 3);
  if (words == 0) {
    add32(at + ROOT_OVERFLOWS, 1);
    return;
  }
  store<u32>(words, graph == at + ROOT_CLASSES ? GRAPH_OF_CLASSES : GRAPH_OF_LOCKS);
  store<u32>(words + 4, severity);
  store<u32>(words + 8, length);
  for (let i: u32 = 0; i < length; i++)
    store<u32>(words + 12 + ((i as usize) << 2), load<u32>(path + ((i as usize) << 3)));
  const end = load<u32>(context + CONTEXT_ANSWERED) + length + 3;
  store<u32>(context + CONTEXT_TENTATIVE, end);
  if (always || claim(at, words)) store<u32>(context + CONTEXT_ANSWERED, end);
  store<u32>(context + CONTEXT_TENTATIVE, 0);
}

/** Recovery: a report that a thread was about to make when it died counts as made. */
export function finishReport(at: usize, context: usize): void {
  const end = load<u32>(context + CONTEXT_TENTATIVE);
  const answered = load<u32>(context + CONTEXT_ANSWERED);
  if (end > answered) {
    claim(at, (load<u32>(context + CONTEXT_ANSWER) as usize) + ((answered as usize) << 2));
    store<u32>(context + CONTEXT_ANSWERED, end);
  }
  store<u32>(context + CONTEXT_TENTATIVE, 0);
}

/** Place for so many words behind the answer, or 0. Moves a long answer to a run of its own. */
function roomFor(context: usize, words: u32): usize {
  const used = load<u32>(context + CONTEXT_ANSWERED); // plain, all of the answer: this thread's own
  let start: usize = load<u32>(context + CONTEXT_ANSWER);
  if (used + words > load<u32>(context + CONTEXT_ANSWER_ROOM)) {
    const long = context + CONTEXT_LONG;
    const old: usize = load<u32>(long);
    const oldSpans = load<u32>(long + 4);
    const room = (used + words) * 2;
    store<u32>(long + 4, 0);
    if (!ensureRun(long, (room as u64) << 2)) {
      store<u32>(long, old as u32);
      store<u32>(long + 4, oldSpans);
      return 0;
    }
    memory.copy(load<u32>(long), start, (used as usize) << 2);
    start = load<u32>(long);
    store<u32>(context + CONTEXT_ANSWER, start as u32);
    store<u32>(context + CONTEXT_ANSWER_ROOM, room);
    if (oldSpans != 0) releaseSpans(old, oldSpans);
  }
  return start + ((used as usize) << 2);
}

/** Gated when one other lock was held at every look at every edge; same-owner when nobody else took them. */
function severityOf(at: usize, graph: usize, path: usize, length: u32): u32 {
  const first = sightOf(at, graph, path);
  if (first == 0) return plainSeverity(at, graph);
  for (let g: u32 = 0; g < SIGHT_GATE_COUNT; g++) {
    const gate = load<u32>(first + SIGHT_GATES + (g << 2));
    if (gate != 0 && isGateOfAll(at, graph, path, length, gate)) return CYCLE_GATED;
  }
  const owner = load<u32>(first + SIGHT_OWNER);
  if (owner == OWNER_MANY) return plainSeverity(at, graph);
  for (let i: u32 = 1; i < length; i++) {
    const sight = sightOf(at, graph, path + ((i as usize) << 3));
    if (sight == 0 || load<u32>(sight + SIGHT_OWNER) != owner) return plainSeverity(at, graph);
  }
  return CYCLE_SAME_OWNER;
}

function plainSeverity(at: usize, graph: usize): u32 {
  return graph == at + ROOT_CLASSES ? CYCLE_POSSIBLE : CYCLE_CERTAIN;
}

function sightOf(at: usize, graph: usize, step: usize): usize {
  const word = load32(noteAt(graph, load<u32>(step)) + NOTE_SIGHT);
  return sightIn(at, word);
}

function isGateOfAll(at: usize, graph: usize, path: usize, length: u32, gate: u32): bool {
  for (let i: u32 = 1; i < length; i++) {
    const sight = sightOf(at, graph, path + ((i as usize) << 3));
    if (sight == 0) return false;
    let has = false;
    for (let g: u32 = 0; g < SIGHT_GATE_COUNT; g++)
      has = has || load<u32>(sight + SIGHT_GATES + (g << 2)) == gate;
    if (!has) return false;
  }
  return true;
}

/** `words`: a report. True for the first who asks about its cycle, and again when it has become graver. */
function claim(at: usize, words: usize): bool {
  const isOfClasses = load<u32>(words) == GRAPH_OF_CLASSES;
  const graph = at + (isOfClasses ? ROOT_CLASSES : ROOT_INSTANCES);
  const severity = load<u32>(words + 4);
  const length = load<u32>(words + 8);
  let hash: u64 = (load32(at + ROOT_LIVES) as u64) << 1;
  for (let i: u32 = 0; i < length; i++) {
    const record = edgeAt(graph, load<u32>(words + 12 + ((i as usize) << 2)));
    hash += mix(((load32(record + EDGE_FROM) as u64) << 32) | (load32(record + EDGE_TO) as u64));
  }
  if (isOfClasses) hash++;
  for (let graver = severity + 1; graver <= CYCLE_CERTAIN; graver++)
    if (isKnown(at, keyOf(hash, graver), false)) return false;
  return !isKnown(at, keyOf(hash, severity), true);
}

function keyOf(hash: u64, severity: u32): u64 {
  const key = mix(hash + ((severity as u64) << 60));
  return key == 0 ? 1 : key;
}

/** Is this the first time that `kind` of fault is found between these two? */
export function isFirst(at: usize, kind: u32, held: u32, lock: u32): bool {
  const pair = mix(((held as u64) << 32) | (lock as u64));
  const when = (load32(at + ROOT_LIVES) as u64) + ((load32(at + ROOT_RULES_VERSION) as u64) << 32);
  return !isKnown(at, keyOf(mix(pair + when), kind), true);
}

/** Looks a hash up, and adds it if wanted. When there is no page for it, it counts as new: rather twice than not at all. */
function isKnown(at: usize, key: u64, wantsAdding: bool): bool {
  let link = at + ROOT_CYCLES;
  while (true) {
    const page = wantsAdding ? findOrClaim(link, 1) : (load32(link) as usize);
    if (page == 0) return false;
    // A page takes no more when it is seven eighths full; what is in it is found all the same.
    const isFull = load32(page + CYCLES_USED) > CYCLES_PER_PAGE - CYCLES_PER_PAGE / 8;
    let i = ((key >> 32) as u32) % CYCLES_PER_PAGE;
    while (true) {
      const place = page + CYCLES_SLOTS + ((i as usize) << 3);
      const known = load64(place);
      if (known == key) return true;
      if (known == 0) {
        if (!wantsAdding || isFull) break;
        // mutant ORDER_CYCLE_UNCLAIMED: { store64(place, key); return false; }
        if (!cas64(place, 0, key)) continue;
        add32(page + CYCLES_USED, 1);
        return false;
      }
      if (++i == CYCLES_PER_PAGE) i = 0;
    }
    link = page + CYCLES_NEXT;
  }
}

/** Forgets which cycles were reported. Hashes also depend on ROOT_LIVES, so a late report of before is no report of now. */
export function forgetCycles(at: usize): void {
  for (let page: usize = load32(at + ROOT_CYCLES); page != 0; page = load32(page + CYCLES_NEXT)) {
    for (let i: u32 = 0; i < CYCLES_PER_PAGE; i++) {
      const place = page + CYCLES_SLOTS + ((i as usize) << 3);
      const known = load64(place);
      if (known != 0) cas64(place, known, 0);
    }
    store32(page + CYCLES_USED, 0);
  }
}
