/**
 * Lock order, lowest part: where its things stand, who may still look at what was taken away, and what a thread has of its own.
 *
 *     HEADER_ORDER -> root span -> graph of locks    -> pages of nodes, pages of edges, table
 *                              '-> graph of classes  -> the same
 *                              '-> contexts, one span for each thread that takes locks
 *
 * Nothing of it exists before the first thread asks for it, and all of it grows by pages: a page is claimed, filled with zeros and put in its
 * place with one CAS, and the loser of a race gives its page back. Nodes, edges and sights never move, so a number is a reference for ever.
 *
 * **Grace periods** (Fraser's epochs, simplified). A thread writes ROOT_EPOCH into its CONTEXT_ACTIVE before it looks at a graph, and 0 when it
 * is done. Who takes something out of reach bumps the epoch afterwards and keeps the new number with it. Once every context is idle or has
 * begun at that number or later, nobody can still see the thing: whoever began later found it gone, since the bump came after. A thread that
 * has read the epoch and not stored it yet has not looked at anything yet either, and will look after we have unlinked.
 */
import { add32, cas32, cas64, load32, load64, store32 } from './atomics';
import {
  CONTEXT_ACTIVE,
  CONTEXT_AGENT,
  CONTEXT_ANSWERED,
  CONTEXT_BATCHES,
  CONTEXT_INDEX,
  CONTEXT_LONG,
  CONTEXT_MARKS,
  CONTEXT_NEXT,
  CONTEXT_PENDING,
  CONTEXT_SCRATCH,
  CONTEXT_SPANS,
  CONTEXT_STATE,
  EDGE_BATCH,
  EDGE_DEAD_BIT,
  EDGE_NOTES,
  EDGE_PAGE_SPANS,
  EDGE_PAGES,
  EDGE_SIGHT_MASK,
  EDGE_SIZE,
  EDGES_PER_PAGE_LOG2,
  GRAPH_EDGE_NEXT,
  GRAPH_EDGE_PAGES,
  GRAPH_FREE,
  GRAPH_NODE_PAGES,
  GRAPH_PLACED,
  GRAPH_ROOT,
  HEADER_ORDER,
  INFO_PAGES,
  INFO_SIZE,
  INFOS_PER_PAGE_LOG2,
  NODE_GENERATION_MASK,
  NODE_ID_BITS,
  NODE_ID_MASK,
  NODE_LIFE,
  NODE_PLACE,
  NODE_SIZE,
  NODES_PER_PAGE_LOG2,
  NOTE_SIGHT,
  NOTE_SIZE,
  OWNER_ORDER,
  ROOT_CLASSES,
  ROOT_CONTEXT_COUNT,
  ROOT_CONTEXTS,
  ROOT_EPOCH,
  ROOT_HIGH,
  ROOT_INFO_PAGES,
  ROOT_INSTANCES,
  ROOT_RETIRED,
  ROOT_SPANS,
  RUN_EPOCH,
  RUN_NEXT,
  RUN_SPANS,
  SPAN_SHIFT,
  SPAN_SIZE,
} from './layout';
import { claimSpans, releaseSpans } from './spans';
import { CONTEXT_FREE, CONTEXT_LIVE } from './status';

/** Address of the root, or 0 when there is none yet. */
export function root(): usize {
  return load32(HEADER_ORDER);
}

/** A run of zeroed spans, or 0. */
export function claimZeroed(spans: u32): usize {
  const run = claimSpans(spans, OWNER_ORDER);
  // A span may have held something else.
  if (run != 0) memory.fill(run, 0, spans << SPAN_SHIFT);
  return run;
}

/** The run in `place`, which is put there if there is none. Returns 0 when the memory is full. */
export function findOrClaim(place: usize, spans: u32): usize {
  const known: usize = load32(place);
  if (known != 0) return known;
  const run = claimZeroed(spans);
  if (run == 0) return load32(place);
  if (cas32(place, 0, run as u32)) return run;
  releaseSpans(run, spans);
  return load32(place);
}

/** The root, made if there is none. Returns 0 when the memory is full. */
export function openRoot(): usize {
  const known = root();
  if (known != 0) return known;
  const made = claimZeroed(ROOT_SPANS);
  if (made == 0) return root();
  store<u32>(made + ROOT_EPOCH, 1); // plain: published by the CAS
  store<u32>(made + ROOT_INSTANCES + GRAPH_EDGE_NEXT, 1); // edge 0 means none
  store<u32>(made + ROOT_CLASSES + GRAPH_EDGE_NEXT, 1);
  store<u32>(made + ROOT_INSTANCES + GRAPH_ROOT, made as u32);
  store<u32>(made + ROOT_CLASSES + GRAPH_ROOT, made as u32);
  if (cas32(HEADER_ORDER, 0, made as u32)) return made;
  releaseSpans(made, ROOT_SPANS);
  return root();
}

// ---- contexts ---------------------------------------------------------------------------------------------------------------------------------

/** A context for the calling thread, which says who it is. Returns 0 when the memory is full or 4095 threads have one. */
export function openContext(agent: u32): usize {
  const at = openRoot();
  if (at == 0) return 0;
  for (
    let context: usize = load32(at + ROOT_CONTEXTS);
    context != 0;
    context = load<u32>(context + CONTEXT_NEXT)
  ) {
    if (
      load32(context + CONTEXT_STATE) == CONTEXT_FREE &&
      cas32(context + CONTEXT_STATE, CONTEXT_FREE, CONTEXT_LIVE)
    ) {
      store32(context + CONTEXT_AGENT, agent);
      return context;
    }
  }
  return newContext(at, agent);
}

function newContext(at: usize, agent: u32): usize {
  const index = add32(at + ROOT_CONTEXT_COUNT, 1) + 1;
  if (index > 4095) return 0;
  const context = claimZeroed(CONTEXT_SPANS);
  if (context == 0) return 0;
  store<u32>(context + CONTEXT_STATE, CONTEXT_LIVE); // plain, all three: published by the CAS
  store<u32>(context + CONTEXT_AGENT, agent);
  store<u32>(context + CONTEXT_INDEX, index);
  while (true) {
    const head = load32(at + ROOT_CONTEXTS);
    store<u32>(context + CONTEXT_NEXT, head);
    if (cas32(at + ROOT_CONTEXTS, head, context as u32)) return context;
  }
}

/** Gives a context back: of a thread that ends, or of one that is gone once order-recovery.ts has repaired what it left. */
export function closeContext(context: usize): void {
  dropRun(context + CONTEXT_SCRATCH);
  dropRun(context + CONTEXT_MARKS);
  dropRun(context + CONTEXT_LONG);
  store32(context + CONTEXT_PENDING, 0);
  store32(context + CONTEXT_ANSWERED, 0);
  store32(context + CONTEXT_ACTIVE, 0);
  store32(context + CONTEXT_STATE, CONTEXT_FREE);
}

/** The context of agent `id`, or 0. */
export function contextOf(agent: u32): usize {
  const at = root();
  if (at == 0) return 0;
  for (
    let context: usize = load32(at + ROOT_CONTEXTS);
    context != 0;
    context = load<u32>(context + CONTEXT_NEXT)
  ) {
    if (load32(context + CONTEXT_STATE) == CONTEXT_LIVE && load32(context + CONTEXT_AGENT) == agent)
      return context;
  }
  return 0;
}

/** Grows the run { address, spans } at `place` to at least `bytes`. What was in it is lost. False when the memory is full. */
export function ensureRun(place: usize, bytes: u64): bool {
  const spans = ((bytes + SPAN_SIZE - 1) >> SPAN_SHIFT) as u32;
  if (load<u32>(place + 4) >= spans) return true; // plain: owner only
  dropRun(place);
  // Room to grow: the number of locks does.
  let got = spans + (spans >> 1);
  let run = claimZeroed(got);
  if (run == 0) {
    got = spans;
    run = claimZeroed(got);
  }
  if (run == 0) return false;
  store<u32>(place, run as u32);
  store<u32>(place + 4, got);
  return true;
}

/** Gives the run at `place` back, if there is one. */
export function dropRun(place: usize): void {
  const spans = load<u32>(place + 4);
  if (spans == 0) return;
  store<u32>(place + 4, 0);
  releaseSpans(load<u32>(place), spans);
  store<u32>(place, 0);
}

// ---- grace periods ----------------------------------------------------------------------------------------------------------------------------

/** Before the thread looks at a graph. */
export function enter(at: usize, context: usize): void {
  store32(context + CONTEXT_ACTIVE, load32(at + ROOT_EPOCH));
}

/** Afterwards. */
export function leave(at: usize, context: usize): void {
  store32(context + CONTEXT_ACTIVE, 0);
  if (load32(at + ROOT_RETIRED) != 0) freeRetired(at);
}

/** Ends a period: what was unlinked before may be reused once isQuiet() says so for the number that this returns. */
export function nextEpoch(at: usize): u32 {
  return add32(at + ROOT_EPOCH, 1) + 1;
}

/** Has every context but `own` begun at `epoch` or later, or is it idle? Compared as a difference, so the number may wrap. */
export function isQuiet(at: usize, epoch: u32, own: usize): bool {
  // mutant ORDER_ALWAYS_QUIET: return true;
  for (
    let context: usize = load32(at + ROOT_CONTEXTS);
    context != 0;
    context = load<u32>(context + CONTEXT_NEXT)
  ) {
    if (context == own) continue;
    const active = load32(context + CONTEXT_ACTIVE);
    if (active != 0 && ((active - epoch) as i32) < 0) return false;
  }
  return true;
}

/** Gives a run of spans back once nobody can look at it. It must be out of reach. */
export function retire(at: usize, run: usize, spans: u32): void {
  store<u32>(run + RUN_SPANS, spans); // plain, both: published by the CAS
  store<u32>(run + RUN_EPOCH, nextEpoch(at));
  pushRetired(at, run);
}

function pushRetired(at: usize, run: usize): void {
  while (true) {
    const head = load32(at + ROOT_RETIRED);
    store<u32>(run + RUN_NEXT, head);
    if (cas32(at + ROOT_RETIRED, head, run as u32)) return;
  }
}

function freeRetired(at: usize): void {
  let run: usize = load32(at + ROOT_RETIRED);
  // Takes the whole list, so that no other thread frees the same.
  if (run == 0 || !cas32(at + ROOT_RETIRED, run as u32, 0)) return;
  while (run != 0) {
    const next: usize = load<u32>(run + RUN_NEXT);
    if (isQuiet(at, load<u32>(run + RUN_EPOCH), 0)) releaseSpans(run, load<u32>(run + RUN_SPANS));
    else pushRetired(at, run);
    run = next;
  }
}

// ---- nodes ------------------------------------------------------------------------------------------------------------------------------------

/** Address of a node, whose page must exist: it is in an edge, or findNode() made it. */
export function nodeAt(graph: usize, id: u32): usize {
  const page: usize = load<u32>(graph + GRAPH_NODE_PAGES + ((id >> NODES_PER_PAGE_LOG2) << 2)); // plain: written once, before the edge
  return page + (id & ((1 << NODES_PER_PAGE_LOG2) - 1)) * NODE_SIZE;
}

/** Address of a node, or 0 when the memory is full. */
export function findNode(graph: usize, id: u32): usize {
  const page = findOrClaim(graph + GRAPH_NODE_PAGES + ((id >> NODES_PER_PAGE_LOG2) << 2), 1);
  return page == 0 ? 0 : page + (id & ((1 << NODES_PER_PAGE_LOG2) - 1)) * NODE_SIZE;
}

/** Address of a node that was ever asked for with findNode(), or 0. */
export function knownNode(graph: usize, id: u32): usize {
  const page: usize = load32(graph + GRAPH_NODE_PAGES + ((id >> NODES_PER_PAGE_LOG2) << 2));
  return page == 0 ? 0 : page + (id & ((1 << NODES_PER_PAGE_LOG2) - 1)) * NODE_SIZE;
}

/** Distance of places at first, and where they begin: there is as much room below as above. */
export const PLACE_STEP: u64 = 1 << 40;
export const PLACE_FIRST: u64 = 1 << 62;

/** Gives a node a place at the end of the order, if it has none. */
export function ensurePlace(graph: usize, node: usize): void {
  if (load64(node + NODE_PLACE) != 0) return;
  const count = add32(graph + GRAPH_PLACED, 1) as u64;
  cas64(node + NODE_PLACE, 0, PLACE_FIRST + count * PLACE_STEP);
}

/** The node's id with its generation now. */
export function referenceTo(node: usize, id: u32): u32 {
  return ((load32(node + NODE_LIFE) & NODE_GENERATION_MASK) << NODE_ID_BITS) | id;
}

/** Does a reference mean the node as it is now, and not one that had its id before? */
export function isCurrent(node: usize, reference: u32): bool {
  return (load32(node + NODE_LIFE) & NODE_GENERATION_MASK) == reference >> NODE_ID_BITS;
}

/** Address of what is kept of a lock beside its node, or 0 when the memory is full. */
export function findInfo(at: usize, id: u32): usize {
  const index = id >> INFOS_PER_PAGE_LOG2;
  if (index >= INFO_PAGES) return 0;
  const page = findOrClaim(at + ROOT_INFO_PAGES + (index << 2), 1);
  return page == 0 ? 0 : page + (id & ((1 << INFOS_PER_PAGE_LOG2) - 1)) * INFO_SIZE;
}

/** Raises the highest id. */
export function noteId(at: usize, id: u32): void {
  while (true) {
    const high = load32(at + ROOT_HIGH);
    if (high >= id || cas32(at + ROOT_HIGH, high, id)) return;
  }
}

// ---- edges ------------------------------------------------------------------------------------------------------------------------------------

/** Address of an edge that exists. */
export function edgeAt(graph: usize, edge: u32): usize {
  const page: usize = load<u32>(graph + GRAPH_EDGE_PAGES + ((edge >> EDGES_PER_PAGE_LOG2) << 2)); // plain: written before the edge
  return page + (edge & ((1 << EDGES_PER_PAGE_LOG2) - 1)) * EDGE_SIZE;
}

/** Address of the second part of an edge that exists: its weight, its sight. */
export function noteAt(graph: usize, edge: u32): usize {
  const page: usize = load<u32>(graph + GRAPH_EDGE_PAGES + ((edge >> EDGES_PER_PAGE_LOG2) << 2)); // plain: as above
  return page + EDGE_NOTES + (edge & ((1 << EDGES_PER_PAGE_LOG2) - 1)) * NOTE_SIZE;
}

/** A record for a new edge: one that was freed, or the next of the context's batch. Returns 0 when there is no room. */
export function takeEdge(graph: usize, context: usize, batch: u32): u32 {
  const place = context + CONTEXT_BATCHES + (batch << 3);
  let next = load<u32>(place); // plain: owner only
  if (next == load<u32>(place + 4)) {
    const freed = popFree(graph);
    if (freed != 0) return freed;
    next = newBatch(graph);
    if (next == 0) return 0;
    store<u32>(place + 4, (next | (EDGE_BATCH - 1)) + 1);
  }
  store<u32>(place, next + 1);
  return next;
}

/** Undoes a takeEdge() that was not used. */
export function untakeEdge(context: usize, batch: u32, graph: usize, edge: u32): void {
  const place = context + CONTEXT_BATCHES + (batch << 3);
  if (load<u32>(place) == edge + 1) store<u32>(place, edge);
  else pushFree(graph, edge, edge);
}

/** First edge of a batch whose page exists, or 0. A batch never crosses a page; the very first begins at 1. */
function newBatch(graph: usize): u32 {
  while (true) {
    const first = load32(graph + GRAPH_EDGE_NEXT);
    const end = (first | (EDGE_BATCH - 1)) + 1;
    const page = first >> EDGES_PER_PAGE_LOG2;
    // The last page is left out: its last edge with the last tag would look like TABLE_SEALED.
    if (page >= EDGE_PAGES - 1) return 0;
    if (findOrClaim(graph + GRAPH_EDGE_PAGES + (page << 2), EDGE_PAGE_SPANS) == 0) return 0;
    if (cas32(graph + GRAPH_EDGE_NEXT, first, end)) return first;
  }
}

/** The tag in the upper half changes with every pop, so that an edge which comes back meanwhile does not deceive the CAS. */
function popFree(graph: usize): u32 {
  while (true) {
    const head = load64(graph + GRAPH_FREE);
    const edge = head as u32;
    if (edge == 0) return 0;
    const next = load32(noteAt(graph, edge) + NOTE_SIGHT) & EDGE_SIGHT_MASK;
    if (cas64(graph + GRAPH_FREE, head, (((head >> 32) + 1) << 32) | (next as u64))) return edge;
  }
}

/** Puts a chain of dead edges, linked by NOTE_SIGHT, on the free list. */
export function pushFree(graph: usize, first: u32, last: u32): void {
  while (true) {
    const head = load64(graph + GRAPH_FREE);
    store32(noteAt(graph, last) + NOTE_SIGHT, EDGE_DEAD_BIT | (head as u32));
    if (cas64(graph + GRAPH_FREE, head, (head & 0xffffffff00000000) | (first as u64))) return;
  }
}

/** 64 bits into 64 bits that look random (Stafford's mix 13 of the finalizer of MurmurHash3). */
export function mix(value: u64): u64 {
  // biome-ignore lint/correctness/noPrecisionLoss: a 64-bit constant of AssemblyScript
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  // biome-ignore lint/correctness/noPrecisionLoss: as above
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

/** Is `id` one that a graph can have? */
export function isNodeId(id: u32): bool {
  return id != 0 && id <= NODE_ID_MASK;
}
