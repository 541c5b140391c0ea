/**
 * How edges were first seen: by whom, under which other locks, with which stack. Many edges are seen alike, so a sight is interned: found by its
 * content, made once and never changed. An edge refers to one, and changes to another when a later look differs: a second owner
 * makes it OWNER_MANY's, and a lock that was not held this time is no gate any more. So the gates of an edge are the locks that were held at every
 * look, except that no more than SIGHT_GATE_COUNT, the outermost, are ever kept: a cycle may be called graver than it is, never less grave.
 *
 * Texts (names, stacks) are interned in the same way, and stay for ever: who interns says how many there may be. Two threads that intern the same at
 * once may make it twice, which costs only its memory.
 *
 * **Sights that no edge refers to** are collected when enough were made, by who purges a graph (order-removal.ts), at a moment at which nobody else is
 * inside who began before. It marks those that edges refer to. Of the others it takes those that stand in chains out of them, into limbo, and frees
 * those that were in limbo before. Who was inside when a sight went to limbo may have given it to an edge still; but has left by the next collection,
 * which then marks it. Who begins later finds it in no chain, and does not trust what its context kept, since ROOT_SIGHT_ROUND was bumped.
 * A collector that dies loses at most one sight.
 */
import { add32, cas32, cas64, load32, load64, store32 } from './atomics';
import {
  CONTEXT_HELD,
  CONTEXT_HELD_COUNT,
  CONTEXT_PLAIN_OWNER,
  CONTEXT_PLAIN_ROUND,
  CONTEXT_PLAIN_SIGHT,
  CONTEXT_SCRATCH,
  CONTEXT_SIGHT,
  CONTEXT_UNSEEN,
  EDGE_DEAD_BIT,
  EDGE_NEXT_OUT,
  EDGE_SIGHT_MASK,
  GRAPH_EDGE_NEXT,
  NODE_OUT,
  NOTE_SIGHT,
  OWNER_MANY,
  OWNER_ORDER,
  ROOT_CLASSES,
  ROOT_HIGH,
  ROOT_INSTANCES,
  ROOT_OVERFLOWS,
  ROOT_SIGHT_FREE,
  ROOT_SIGHT_HEADS,
  ROOT_SIGHT_MADE,
  ROOT_SIGHT_NEXT,
  ROOT_SIGHT_PAGES,
  ROOT_SIGHT_ROUND,
  ROOT_TEXT,
  ROOT_TEXT_HEADS,
  ROOT_TEXT_USED,
  SIGHT_GATE_COUNT,
  SIGHT_GATES,
  SIGHT_HASH,
  SIGHT_HEADS,
  SIGHT_LIMBO_BIT,
  SIGHT_NEXT,
  SIGHT_OWNER,
  SIGHT_PAGES,
  SIGHT_SIZE,
  SIGHT_STACK,
  SIGHTS_PER_PAGE_LOG2,
  SPAN_SIZE,
  TEXT_BYTES,
  TEXT_HASH,
  TEXT_HEADS,
  TEXT_LENGTH,
  TEXT_MOST,
  TEXT_NEXT,
} from './layout';
import { edgeAt, ensureRun, enter, findOrClaim, knownNode, leave, mix, noteAt } from './order-memory';
import { claimSpans, releaseSpans } from './spans';

/** Address of a sight, or 0 for sight 0. */
function sightAt(at: usize, sight: u32): usize {
  if (sight == 0) return 0;
  const page: usize = load32(at + ROOT_SIGHT_PAGES + ((sight >> SIGHTS_PER_PAGE_LOG2) << 2));
  return page + (sight & ((1 << SIGHTS_PER_PAGE_LOG2) - 1)) * SIGHT_SIZE;
}

/** The sight in the NOTE_SIGHT of an edge, as sightAt(). */
export function sightIn(at: usize, word: u32): usize {
  if ((word & EDGE_DEAD_BIT) != 0) return 0;
  return sightAt(at, word & EDGE_SIGHT_MASK);
}

/** The sight with the six words at CONTEXT_SIGHT. Sight 0, which says least, when it is that or there is no room. */
function intern(at: usize, context: usize): u32 {
  const wanted = context + CONTEXT_SIGHT;
  let hash: u64 = 0;
  let any: u32 = 0;
  for (let i: u32 = 0; i < 6; i++) {
    const word = load<u32>(wanted + (i << 2)); // plain, here and below: a sight is written before its head points to it
    any |= word;
    hash = mix(hash ^ (word as u64));
  }
  if (any == 0) return 0;
  const head = at + ROOT_SIGHT_HEADS + (((hash as u32) % SIGHT_HEADS) << 2);
  for (let sight = load32(head); sight != 0; sight = nextOf(at, sight)) {
    const known = sightAt(at, sight);
    if (load<u32>(known + SIGHT_HASH) == ((hash >> 32) as u32) && memory.compare(known, wanted, 24) == 0)
      return sight;
  }
  const made = takeSight(at);
  if (made == 0) {
    add32(at + ROOT_OVERFLOWS, 1);
    store<u32>(context + CONTEXT_UNSEEN, 1);
    return 0;
  }
  const place = sightAt(at, made);
  memory.copy(place, wanted, 24);
  store<u32>(place + SIGHT_HASH, (hash >> 32) as u32);
  add32(at + ROOT_SIGHT_MADE, 1);
  while (true) {
    const first = load32(head);
    store<u32>(place + SIGHT_NEXT, first);
    if (cas32(head, first, made)) return made;
  }
}

/** The next sight in a chain, also in one that this sight does not stand in any more. */
function nextOf(at: usize, sight: u32): u32 {
  return load<u32>(sightAt(at, sight) + SIGHT_NEXT) & ~SIGHT_LIMBO_BIT;
}

/** A sight to write, or 0 when there is no room. */
function takeSight(at: usize): u32 {
  while (true) {
    const head = load64(at + ROOT_SIGHT_FREE);
    const sight = head as u32;
    if (sight == 0) break;
    // The tag changes with every pop, so that one that comes back meanwhile does not deceive the CAS.
    const next = load32(sightAt(at, sight) + SIGHT_NEXT);
    if (cas64(at + ROOT_SIGHT_FREE, head, (((head >> 32) + 1) << 32) | (next as u64))) return sight;
  }
  while (true) {
    const last = load32(at + ROOT_SIGHT_NEXT);
    const page = (last + 1) >> SIGHTS_PER_PAGE_LOG2;
    if (page >= SIGHT_PAGES) return 0;
    if (findOrClaim(at + ROOT_SIGHT_PAGES + (page << 2), 1) == 0) return 0;
    if (cas32(at + ROOT_SIGHT_NEXT, last, last + 1)) return last + 1;
  }
}

function freeSight(at: usize, sight: u32): void {
  const place = sightAt(at, sight) + SIGHT_NEXT;
  while (true) {
    const head = load64(at + ROOT_SIGHT_FREE);
    store32(place, head as u32);
    if (cas64(at + ROOT_SIGHT_FREE, head, (head & 0xffffffff00000000) | (sight as u64))) return;
  }
}

/** Is `reference` among the held locks of the acquisition that is looked at? */
function isHeldNow(context: usize, reference: u32): bool {
  const count = load<u32>(context + CONTEXT_HELD_COUNT);
  for (let i: u32 = 0; i < count; i++)
    if (load<u32>(context + CONTEXT_HELD + (i << 2)) == reference) return true;
  return false;
}

/** The sight of an edge that is seen for the first time: `from` is one of the held locks, the others are its gates. */
export function firstSight(at: usize, context: usize, owner: u32, from: u32): u32 {
  const wanted = context + CONTEXT_SIGHT;
  const round = load32(at + ROOT_SIGHT_ROUND);
  const count = load<u32>(context + CONTEXT_HELD_COUNT);
  if (count < 2) {
    // Nearly every edge: no need to look it up. Plain: the context is this thread's own.
    if (owner == OWNER_MANY) return 0;
    if (
      load<u32>(context + CONTEXT_PLAIN_OWNER) == owner &&
      load<u32>(context + CONTEXT_PLAIN_ROUND) == round
    )
      return load<u32>(context + CONTEXT_PLAIN_SIGHT);
  }
  memory.fill(wanted, 0, 24);
  store<u32>(wanted + SIGHT_OWNER, owner);
  let gates: u32 = 0;
  for (let i: u32 = 0; i < count && gates < SIGHT_GATE_COUNT; i++) {
    const held = load<u32>(context + CONTEXT_HELD + (i << 2));
    if (held == from) continue;
    store<u32>(wanted + SIGHT_GATES + (gates << 2), held);
    gates++;
  }
  const sight = intern(at, context);
  if (gates == 0 && sight != 0) {
    store<u32>(context + CONTEXT_PLAIN_OWNER, owner);
    store<u32>(context + CONTEXT_PLAIN_SIGHT, sight);
    store<u32>(context + CONTEXT_PLAIN_ROUND, round);
  }
  return sight;
}

/**
 * Takes what this acquisition, by `owner`, does not bear out from the sight of an edge. True when that changed it.
 */
export function narrow(at: usize, context: usize, note: usize, owner: u32, from: u32): bool {
  while (true) {
    const word = load32(note + NOTE_SIGHT);
    const known = sightIn(at, word);
    if (known == 0) return false;
    const wanted = context + CONTEXT_SIGHT;
    memory.copy(wanted, known, 24);
    let changed = false;
    if (load<u32>(known + SIGHT_OWNER) != owner && load<u32>(known + SIGHT_OWNER) != OWNER_MANY) {
      store<u32>(wanted + SIGHT_OWNER, OWNER_MANY);
      changed = true;
    }
    let kept: u32 = 0;
    for (let i: u32 = 0; i < SIGHT_GATE_COUNT; i++) {
      const gate = load<u32>(known + SIGHT_GATES + (i << 2));
      if (gate == 0) break;
      if (gate != from && isHeldNow(context, gate)) store<u32>(wanted + SIGHT_GATES + (kept++ << 2), gate);
      else changed = true;
    }
    if (!changed) return false;
    for (; kept < SIGHT_GATE_COUNT; kept++) store<u32>(wanted + SIGHT_GATES + (kept << 2), 0);
    const sight = intern(at, context);
    if (cas32(note + NOTE_SIGHT, word, (word & ~EDGE_SIGHT_MASK) | sight)) return true;
  }
}

/** Keeps a stack with an edge that has none. */
export function addStack(at: usize, context: usize, note: usize, stack: u32): void {
  while (true) {
    const word = load32(note + NOTE_SIGHT);
    if ((word & EDGE_DEAD_BIT) != 0) return;
    const known = sightAt(at, word & EDGE_SIGHT_MASK);
    const wanted = context + CONTEXT_SIGHT;
    if (known == 0) memory.fill(wanted, 0, 24);
    else memory.copy(wanted, known, 24);
    if (load<u32>(wanted + SIGHT_STACK) != 0) return;
    store<u32>(wanted + SIGHT_STACK, stack);
    const sight = intern(at, context);
    if (sight == 0 || cas32(note + NOTE_SIGHT, word, (word & ~EDGE_SIGHT_MASK) | sight)) return;
  }
}

/** Was it seen by several owners? */
export function isManys(at: usize, note: usize): bool {
  const word = load32(note + NOTE_SIGHT);
  const known = sightIn(at, word);
  return known == 0 || load<u32>(known + SIGHT_OWNER) == OWNER_MANY;
}

// ---- collection ---------------------------------------------------------------------------------------------------------------------------------

/** As many sights must have been made since the last collection, and a part of what there is to look at. */
const COLLECT_MADE: u32 = 2048;
const COLLECT_PART_LOG2: u32 = 3;

/** Holder of the lock of the graph of locks, while nobody is inside who began before ROOT_SIGHT_ROUND was bumped. */
export function collectSights(at: usize, context: usize): void {
  const high = load32(at + ROOT_SIGHT_NEXT);
  const edges = load32(at + ROOT_INSTANCES + GRAPH_EDGE_NEXT) + load32(at + ROOT_CLASSES + GRAPH_EDGE_NEXT);
  const made = load32(at + ROOT_SIGHT_MADE);
  if (made < max(COLLECT_MADE, (high + edges) >> COLLECT_PART_LOG2)) return;
  const bytes = markOf(0, high) + 4;
  if (!ensureRun(context + CONTEXT_SCRATCH, bytes as u64)) return;
  store32(at + ROOT_SIGHT_MADE, 0);
  const marks: usize = load<u32>(context + CONTEXT_SCRATCH);
  memory.fill(marks, 0, bytes);
  // Others may be purging the graph of classes: inside, we see no edge that is used again.
  enter(at, context);
  markSights(at, at + ROOT_INSTANCES, marks, high);
  markSights(at, at + ROOT_CLASSES, marks, high);
  leave(at, context);
  // One that was made since is not marked, but not in limbo either.
  for (let sight: u32 = 1; sight <= high; sight++) {
    const isInLimbo = (load32(sightAt(at, sight) + SIGHT_NEXT) & SIGHT_LIMBO_BIT) != 0;
    if (isInLimbo && !isMarked(marks, sight)) freeSight(at, sight);
  }
  for (let i: u32 = 0; i < SIGHT_HEADS; i++) sweepChain(at, at + ROOT_SIGHT_HEADS + (i << 2), marks, high);
}

function markSights(at: usize, graph: usize, marks: usize, high: u32): void {
  const nodes = load32(at + ROOT_HIGH);
  for (let id: u32 = 1; id <= nodes; id++) {
    const node = knownNode(graph, id);
    if (node == 0) continue;
    for (let edge = load32(node + NODE_OUT); edge != 0; edge = load32(edgeAt(graph, edge) + EDGE_NEXT_OUT)) {
      const word = load32(noteAt(graph, edge) + NOTE_SIGHT);
      const sight = word & EDGE_SIGHT_MASK;
      if ((word & EDGE_DEAD_BIT) != 0 || sight > high) continue;
      const place = markOf(marks, sight);
      store<u32>(place, load<u32>(place) | (1 << (sight & 31)));
    }
  }
}

function markOf(marks: usize, sight: u32): usize {
  return marks + ((sight >> 5) << 2);
}

function isMarked(marks: usize, sight: u32): bool {
  return (load<u32>(markOf(marks, sight)) & (1 << (sight & 31))) != 0;
}

/** Takes what is not marked out of a chain. Others push at its head meanwhile; nobody else takes sights out. */
function sweepChain(at: usize, head: usize, marks: usize, high: u32): void {
  let place = head;
  let sight = load32(place);
  while (sight != 0) {
    const link = sightAt(at, sight) + SIGHT_NEXT;
    const next = load32(link);
    if (sight > high || isMarked(marks, sight)) place = link;
    else if (cas32(place, sight, next)) store32(link, next | SIGHT_LIMBO_BIT);
    else {
      // Only a head changes: what was behind it is behind the new ones.
      place = head;
      sight = load32(place);
      continue;
    }
    sight = next;
  }
}

/** FNV-1a, 64 bits (Fowler, Noll, Vo). */
export function hashText(text: usize, length: u32): u64 {
  // biome-ignore lint/correctness/noPrecisionLoss: a 64-bit constant of AssemblyScript
  let hash: u64 = 0xcbf29ce484222325;
  for (let i: u32 = 0; i < length; i++) hash = (hash ^ load<u8>(text + i)) * 0x00000100000001b3;
  return hash;
}

/**
 * Address of { bytes u32, UTF-8 } with the first TEXT_MOST bytes of a text. 0 when it is new and there is no room, or with it all texts would take more
 * than `most` bytes.
 */
export function internText(at: usize, text: usize, length: u32, most: u32): usize {
  if (length > TEXT_MOST) length = TEXT_MOST;
  const hash = hashText(text, length);
  const head = at + ROOT_TEXT_HEADS + (((hash as u32) % TEXT_HEADS) << 2);
  for (let known: usize = load32(head); known != 0; known = load<u32>(known + TEXT_NEXT)) {
    if (
      load<u32>(known + TEXT_HASH) == ((hash >> 32) as u32) &&
      load<u32>(known + TEXT_LENGTH) == length &&
      memory.compare(known + TEXT_BYTES, text, length) == 0
    )
      return known + TEXT_LENGTH;
  }
  const bytes = (TEXT_BYTES + length + 7) & ~7;
  if (load32(at + ROOT_TEXT_USED) + bytes > most) return 0;
  const made = takeBytes(at, bytes);
  if (made == 0) return 0;
  add32(at + ROOT_TEXT_USED, bytes);
  store<u32>(made + TEXT_HASH, (hash >> 32) as u32);
  store<u32>(made + TEXT_LENGTH, length);
  memory.copy(made + TEXT_BYTES, text, length);
  while (true) {
    const first = load32(head);
    store<u32>(made + TEXT_NEXT, first);
    if (cas32(head, first, made as u32)) return made + TEXT_LENGTH;
  }
}

/** Memory for ever: cut off one span after another. The rest of a span that is too short for a text is lost. */
function takeBytes(at: usize, bytes: u32): usize {
  while (true) {
    const next = load32(at + ROOT_TEXT);
    // 0, or the first byte of the next span, which is another's: a span ends there.
    const room: u32 = next == 0 ? 0 : SPAN_SIZE - (next & (SPAN_SIZE - 1));
    if (room >= bytes && room != SPAN_SIZE) {
      if (cas32(at + ROOT_TEXT, next, next + bytes)) return next;
      continue;
    }
    const span = claimSpans(1, OWNER_ORDER);
    if (span == 0) return 0;
    // The span's first 8 bytes are left out, so that its start means an end.
    const first = span + 8;
    if (cas32(at + ROOT_TEXT, next, (first + bytes) as u32)) return first;
    releaseSpans(span, 1);
  }
}
