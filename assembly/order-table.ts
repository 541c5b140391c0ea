/**
 * The set of edges by { from, to }: open addressing with linear probing, grown by three quarters whenever it is nine tenths
 * full, or made anew without the slots of edges that are gone when these are many, while everybody goes on.
 *
 *     table    | header, 64 bytes | slot | slot | slot | ...        slot: tag (8 bits of the hash) << 24 | edge
 *
 *     slot          may become          by
 *     0 empty       tag | edge          who inserts, as long as the table has no successor
 *     0 empty       SEALED              once it has one: who moves this slot, or who found its edge nowhere before it
 *     tag | edge    tag | another    who inserts the same pair of ids, when the edge that has it is of earlier locks with those ids
 *     SEALED        (never)
 *
 * A table that is full gets a successor, and insertions move chunks of slots there. An edge is found in the old table, or its probe ends
 * at a sealed slot and goes on in the successor; it is inserted there only after the empty slot that ended its probe was sealed, so nobody
 * can still insert the same edge in the old one: an edge is in the set once. Who sees no successor and fills an empty slot after one was
 * made either wins the slot before the mover comes, who then copies it, or finds it sealed. When all slots are moved the successor takes the
 * table's place, and the old one goes after its grace period.
 *
 * Slots of edges that were purged (order-removal.ts) stay until their ids meet again, or until the next move, which leaves them out. Until then such
 * a slot may name an edge that stands for another pair by now. A probe that meets it compares the pair in the edge, so it finds what is there
 * or goes on: never a wrong one.
 */
import { add32, cas32, load32, store32 } from './atomics';
import {
  CONTEXT_HASHES,
  CONTEXT_SLOT,
  CONTEXT_SLOT_NOW,
  CONTEXT_TABLE,
  EDGE_BATCH,
  EDGE_FROM,
  EDGE_TO,
  GRAPH_EDGE_NEXT,
  GRAPH_TABLE,
  HASHED_AT_ONCE,
  NODE_ID_MASK,
  SPAN_SHIFT,
  TABLE_CHUNK,
  TABLE_CLAIMED,
  TABLE_INITIAL_SPANS,
  TABLE_MOVED,
  TABLE_NEXT,
  TABLE_SEALED,
  TABLE_SIZE,
  TABLE_SLOTS,
  TABLE_USED,
} from './layout';
import { claimZeroed, edgeAt, mix, retire } from './order-memory';
import { releaseSpans } from './spans';

/** Spans of a table: the header says how many slots, the slots fill them. */
function spansOf(size: u32): u32 {
  return (TABLE_SLOTS + (size << 2) + (1 << SPAN_SHIFT) - 1) >> SPAN_SHIFT;
}

function newTable(spans: u32): usize {
  const table = claimZeroed(spans);
  // Plain: published by the CAS that puts it in its place.
  if (table != 0) store<u32>(table + TABLE_SIZE, ((spans << SPAN_SHIFT) - TABLE_SLOTS) >> 2);
  return table;
}

/** The graph's table, made if there is none. Returns 0 when the memory is full. */
export function openTable(graph: usize): usize {
  const known: usize = load32(graph + GRAPH_TABLE);
  if (known != 0) return known;
  const table = newTable(TABLE_INITIAL_SPANS);
  if (table == 0) return load32(graph + GRAPH_TABLE);
  if (cas32(graph + GRAPH_TABLE, 0, table as u32)) return table;
  releaseSpans(table, TABLE_INITIAL_SPANS);
  return load32(graph + GRAPH_TABLE);
}

/** Of the ids alone: the same for all generations, so that an edge can take the slot of one that is gone. */
export function hashOf(from: u32, to: u32): u64 {
  return mix((((from & NODE_ID_MASK) as u64) << 32) | ((to & NODE_ID_MASK) as u64));
}

/** Reads what findEdge() will read first, so that it comes near. Only a hint: the table may be gone already. */
export function touchSlot(graph: usize, from: u32, to: u32): u32 {
  const table: usize = load32(graph + GRAPH_TABLE);
  if (table == 0) return 0;
  const size = load<u32>(table + TABLE_SIZE);
  return load<u32>(
    (table + TABLE_SLOTS + ((((hashOf(from, to) >> 32) * (size as u64)) >> 32) << 2)) as usize,
  );
}

/** The edge from -> to, or 0; then `context`, if it is not 0, has the slot where it would stand, if that can be said. */
export function findEdge(graph: usize, context: usize, from: u32, to: u32): u32 {
  const hash = hashOf(from, to);
  const tag = (hash as u32) & 0xff000000;
  let table: usize = load32(graph + GRAPH_TABLE);
  if (context != 0) store<u32>(context + CONTEXT_SLOT, 0);
  while (table != 0) {
    const size = load<u32>(table + TABLE_SIZE); // plain: written before the table was published
    let i = (((hash >> 32) * (size as u64)) >> 32) as u32;
    for (let left = size; left != 0; left--) {
      const place = table + TABLE_SLOTS + (i << 2);
      const slot = load32(place);
      if (slot == 0) {
        if (context != 0) noteSlot(context, table, place, 0);
        return 0;
      }
      if (slot == TABLE_SEALED) break;
      if ((slot & 0xff000000) == tag) {
        const edge = edgeAt(graph, slot & 0xffffff);
        const itsFrom = load32(edge + EDGE_FROM);
        const itsTo = load32(edge + EDGE_TO);
        if (itsFrom == from && itsTo == to) return slot & 0xffffff;
        // Between earlier locks with these ids: its slot is as good as free.
        if (context != 0 && (((itsFrom ^ from) | (itsTo ^ to)) & NODE_ID_MASK) == 0)
          noteSlot(context, table, place, slot);
      }
      if (++i == size) i = 0;
    }
    table = load32(table + TABLE_NEXT);
  }
  return 0;
}

/** The first one counts, as long as the table has no successor. */
function noteSlot(context: usize, table: usize, place: usize, now: u32): void {
  if (load<u32>(context + CONTEXT_SLOT) != 0 || load32(table + TABLE_NEXT) != 0) return;
  store<u32>(context + CONTEXT_SLOT, place as u32); // plain, all three: the context is this thread's own
  store<u32>(context + CONTEXT_SLOT_NOW, now);
  store<u32>(context + CONTEXT_TABLE, table as u32);
}

/**
 * Inserts `edge`, whose FROM and TO are written, unless from -> to is there. Returns the edge that is in the set now, or 0 when the table is full and
 * cannot grow. The last findEdge() of the context was for the same pair.
 */
export function insertEdge(at: usize, graph: usize, context: usize, edge: u32, from: u32, to: u32): u32 {
  const hash = hashOf(from, to);
  const entry = ((hash as u32) & 0xff000000) | edge;
  // Where the search says, every other thread would put this pair as well.
  const place: usize = load<u32>(context + CONTEXT_SLOT);
  const now = load<u32>(context + CONTEXT_SLOT_NOW);
  if (place != 0 && cas32(place, now, entry)) {
    // A slot that was not empty may have been moved before we changed it.
    const next: usize =
      now == 0 ? 0 : (load32((load<u32>(context + CONTEXT_TABLE) as usize) + TABLE_NEXT) as usize);
    if (next != 0) copyTo(next, edge, hash);
    return edge;
  }
  return insertSlow(at, graph, context, hash, entry, from, to);
}

function insertSlow(at: usize, graph: usize, context: usize, hash: u64, entry: u32, from: u32, to: u32): u32 {
  let table = openTable(graph);
  while (table != 0) {
    const found = insertIn(graph, table, hash, entry, from, to);
    if (found != 0) return found;
    // Sealed, or full: on to its successor. Without one it is full and has to get one.
    if (load32(table + TABLE_NEXT) == 0) grow(graph, table);
    else moveChunk(at, graph, context, table);
    table = load32(table + TABLE_NEXT);
  }
  return 0;
}

/** Is `edge` the edge from -> to? */
function isEdge(graph: usize, edge: u32, from: u32, to: u32): bool {
  const at = edgeAt(graph, edge);
  return load32(at + EDGE_FROM) == from && load32(at + EDGE_TO) == to;
}

/** Returns the edge that is there now, or 0 when the successor has to be asked. */
function insertIn(graph: usize, table: usize, hash: u64, entry: u32, from: u32, to: u32): u32 {
  const size = load<u32>(table + TABLE_SIZE); // plain: written before the table was published
  let i = (((hash >> 32) * (size as u64)) >> 32) as u32;
  for (let left = size; left != 0; ) {
    const place = table + TABLE_SLOTS + (i << 2);
    const slot = load32(place);
    if (slot == 0) {
      const isOld = load32(table + TABLE_NEXT) != 0;
      // mutant ORDER_TABLE_UNSEALED: if (isOld) return 0;
      if (!cas32(place, 0, isOld ? TABLE_SEALED : entry)) continue; // somebody filled it: look at it again
      return isOld ? 0 : entry & 0xffffff;
    }
    if (slot == TABLE_SEALED) return 0;
    // A move may have put our edge there: its slot was that of an edge which was purged.
    if (slot == entry) return entry & 0xffffff;
    if ((slot & 0xff000000) == (entry & 0xff000000) && isEdge(graph, slot & 0xffffff, from, to))
      return slot & 0xffffff;
    if (++i == size) i = 0;
    left--;
  }
  return 0;
}

/** Called once in EDGE_BATCH insertions into slots that were empty: counts them, and lets the table grow. */
export function tendTable(at: usize, graph: usize, context: usize): void {
  const table = openTable(graph);
  if (table == 0) return;
  const next: usize = load32(table + TABLE_NEXT);
  if (next != 0) {
    add32(next + TABLE_USED, EDGE_BATCH);
    moveChunk(at, graph, context, table);
    return;
  }
  const size = load<u32>(table + TABLE_SIZE);
  if (add32(table + TABLE_USED, EDGE_BATCH) + EDGE_BATCH > size - size / 10) grow(graph, table);
}

/** Gives a table a successor, if the memory has room; only the graph's own, so that there are at most two. */
function grow(graph: usize, table: usize): void {
  if (load32(graph + GRAPH_TABLE) != (table as u32)) return;
  const size = load<u32>(table + TABLE_SIZE);
  const spans = spansOf(size);
  const grown = spans + max<u32>(1, (spans * 3) >> 2);
  // There are no more edges to move than numbers were given out, and less than an eighth of the slots is filled anew during the move.
  const enough = spansOf(load32(graph + GRAPH_EDGE_NEXT) * 2 + (size >> 3));
  const wanted = max(TABLE_INITIAL_SPANS, min(grown, enough));
  const next = newTable(wanted);
  if (next == 0) return;
  if (!cas32(table + TABLE_NEXT, 0, next as u32)) releaseSpans(next, wanted);
}

/** Moves the next chunk of slots to the successor; who moves the last one puts the successor in the table's place. */
function moveChunk(at: usize, graph: usize, context: usize, table: usize): void {
  const size = load<u32>(table + TABLE_SIZE);
  if (load32(table + TABLE_CLAIMED) >= size) return;
  const first = add32(table + TABLE_CLAIMED, TABLE_CHUNK);
  if (first >= size) return;
  const end = min(size, first + TABLE_CHUNK);
  let moved: u32 = 0;
  for (let i = first; i < end; i += HASHED_AT_ONCE)
    moved += moveSlots(graph, context, table, i, min(end, i + HASHED_AT_ONCE));
  add32(load32(table + TABLE_NEXT) + TABLE_USED, moved);
  if (add32(table + TABLE_MOVED, end - first) + (end - first) == size) replace(at, graph, table);
}

/**
 * Moves some slots; safe to do twice, and by two threads at once. Returns how many had an edge. First all hashes are made, which means to look at edges
 * all over the memory: without atomic operations in between the processor looks at several at once.
 */
function moveSlots(graph: usize, context: usize, table: usize, first: u32, end: u32): u32 {
  const hashes = context + CONTEXT_HASHES;
  for (let i = first; i < end; i++) {
    const slot = load32(table + TABLE_SLOTS + (i << 2));
    if (slot == 0 || slot == TABLE_SEALED) continue;
    const edge = edgeAt(graph, slot & 0xffffff);
    store<u64>(
      hashes + (((i - first) as usize) << 3),
      hashOf(load32(edge + EDGE_FROM), load32(edge + EDGE_TO)),
    );
  }
  let moved: u32 = 0;
  for (let i = first; i < end; i++) {
    const place = table + TABLE_SLOTS + (i << 2);
    let slot = load32(place);
    if (slot == 0) {
      if (cas32(place, 0, TABLE_SEALED)) continue;
      // Filled since: with a hash that was not made above.
      slot = load32(place);
      const edge = edgeAt(graph, slot & 0xffffff);
      if (slot != TABLE_SEALED)
        store<u64>(
          hashes + (((i - first) as usize) << 3),
          hashOf(load32(edge + EDGE_FROM), load32(edge + EDGE_TO)),
        );
    }
    if (slot == TABLE_SEALED) continue;
    const edge = slot & 0xffffff;
    if (load32(edgeAt(graph, edge) + EDGE_FROM) == 0) continue;
    copyTo(load32(table + TABLE_NEXT), edge, load<u64>(hashes + (((i - first) as usize) << 3)));
    moved++;
  }
  return moved;
}

function copyTo(table: usize, edge: u32, hash: u64): void {
  const entry = ((hash as u32) & 0xff000000) | edge;
  const size = load<u32>(table + TABLE_SIZE);
  let i = (((hash >> 32) * (size as u64)) >> 32) as u32;
  // There is room: grow() saw to it, and the successor gets no other edges than those that make the move go on.
  for (let left = size; left != 0; ) {
    const place = table + TABLE_SLOTS + (i << 2);
    const slot = load32(place);
    if (slot == entry) return;
    if (slot == 0) {
      if (cas32(place, 0, entry)) return;
      continue;
    }
    if (++i == size) i = 0;
    left--;
  }
}

function replace(at: usize, graph: usize, table: usize): void {
  if (cas32(graph + GRAPH_TABLE, table as u32, load32(table + TABLE_NEXT)))
    retire(at, table, spansOf(load<u32>(table + TABLE_SIZE)));
}

/** Ends a move whose movers may be gone: moves everything again, which changes nothing where it was done. */
export function finishMove(at: usize, graph: usize, context: usize): void {
  // mutant ORDER_MOVE_LEFT: return;
  const table: usize = load32(graph + GRAPH_TABLE);
  if (table == 0 || load32(table + TABLE_NEXT) == 0) return;
  store32(table + TABLE_CLAIMED, load<u32>(table + TABLE_SIZE));
  const size = load<u32>(table + TABLE_SIZE);
  for (let i: u32 = 0; i < size; i += HASHED_AT_ONCE)
    moveSlots(graph, context, table, i, min(size, i + HASHED_AT_ONCE));
  replace(at, graph, table);
}
