/**
 * Chase-Lev deque of slot addresses. The owner pushes and pops at the bottom without a CAS (save for the last entry); thieves take the
 * oldest entry at the top with one CAS. Source of the algorithm: D. Chase, Y. Lev, "Dynamic circular work-stealing deque" (SPAA 2005);
 * with sequentially consistent accesses no fence is needed. Picture: layout.ts, DEQUE_*.
 *
 * A submitter never pops, so its deque is a queue of one producer and many takers, and a thief may take several entries with one CAS
 * on top (`stealBatch`): no pop can race for the entries in between.
 *
 * Indices are 32-bit and wrap; only their differences mean anything.
 *
 * Growth: the owner copies the live entries to a buffer twice (at first 64 times) as large, then publishes it with one store of the
 * buffer word. A thief that still reads the old buffer finds the same entry at the same index there, because old buffers are neither
 * written nor freed until the pool is gone.
 *
 * Why no entry is taken twice: an entry at index i leaves either through the CAS of top from i to i+1, which succeeds once, or through
 * a pop that saw top < i after it had published bottom = i; a thief that could still take i must have read bottom > i before that, and
 * then its CAS needs top = i, which the pop's later read of top would have seen. Model-checked: tests/model/models/deque.ts.
 */
import { cas32, load32, store32 } from './atomics';
import {
  BATCH_MOST,
  BUFFER_LOG2_MASK,
  DEQUE_BOTTOM,
  DEQUE_BUFFER,
  DEQUE_HEADER,
  DEQUE_INITIAL_LOG2,
  DEQUE_MAX_LOG2,
  DEQUE_SPAN_LOG2,
  DEQUE_TOP,
  DEQUE_TOP_SEEN,
  SPAN_SHIFT,
} from './layout';
import { claimSpans } from './spans';

/** steal() lost a race; there may be more. No slot has this address. */
export const STEAL_RETRY: u32 = 1;

function cell(buffer: u32, index: u32): usize {
  const mask = ((1 as u32) << (buffer & BUFFER_LOG2_MASK)) - 1;
  return (buffer & ~BUFFER_LOG2_MASK) + ((index & mask) << 2);
}

/** Makes an empty deque in zeroed memory. */
export function initDeque(deque: usize): void {
  store32(deque + DEQUE_BUFFER, ((deque + DEQUE_HEADER) as u32) | DEQUE_INITIAL_LOG2);
}

/** Entries now in the deque, as seen at one moment between the two reads. */
export function sizeOf(deque: usize): u32 {
  const top = load32(deque + DEQUE_TOP);
  const size = load32(deque + DEQUE_BOTTOM) - top;
  return (size as i32) < 0 ? 0 : size;
}

/** Owner: is there room for `count` more entries by the last look at top? */
function hasRoom(deque: usize, count: u32): bool {
  const bottom = load<u32>(deque + DEQUE_BOTTOM); // plain: only the owner writes it
  const buffer = load<u32>(deque + DEQUE_BUFFER); // plain: only the owner writes it
  // mutant ROOM_FOR_ONE_MORE: return bottom + count - load<u32>(deque + DEQUE_TOP_SEEN) - 1 <= (1 as u32) << (buffer & BUFFER_LOG2_MASK);
  return bottom + count - load<u32>(deque + DEQUE_TOP_SEEN) <= (1 as u32) << (buffer & BUFFER_LOG2_MASK);
}

/** Owner: looks at top again, and grows if it must. False when the deque is at its largest or the memory is full. */
function makeRoom(deque: usize, count: u32, spanOwner: u32): bool {
  const top = load32(deque + DEQUE_TOP);
  store<u32>(deque + DEQUE_TOP_SEEN, top); // plain: owner only
  if (hasRoom(deque, count)) return true;
  return grow(deque, load<u32>(deque + DEQUE_BUFFER), top, load<u32>(deque + DEQUE_BOTTOM), spanOwner);
}

function grow(deque: usize, buffer: u32, top: u32, bottom: u32, spanOwner: u32): bool {
  const old = buffer & BUFFER_LOG2_MASK;
  const log2 = old < DEQUE_SPAN_LOG2 ? DEQUE_SPAN_LOG2 : old + 1;
  if (log2 > DEQUE_MAX_LOG2) return false;
  const spans = max<u32>(1, ((4 as u32) << log2) >> SPAN_SHIFT);
  const address = claimSpans(spans, spanOwner);
  if (address == 0) return false;
  const larger = (address as u32) | log2;
  // mutant GROW_BEFORE_COPY: store32(deque + DEQUE_BUFFER, larger);
  for (let i = top; i != bottom; i++) store<u32>(cell(larger, i), load<u32>(cell(buffer, i)));
  // Publishes the copies. Pairs with the load in steal().
  store32(deque + DEQUE_BUFFER, larger);
  // mutant RECYCLE_BUFFER: for (let i = top; i != bottom; i++) store<u32>(cell(buffer, i), 0);
  return true;
}

/** Owner: puts `slot` at the bottom. False when there is no room. */
export function push(deque: usize, slot: u32, spanOwner: u32): bool {
  if (!hasRoom(deque, 1) && !makeRoom(deque, 1, spanOwner)) return false;
  const bottom = load<u32>(deque + DEQUE_BOTTOM); // plain: owner only
  // mutant PUBLISH_BEFORE_WRITE: store32(deque + DEQUE_BOTTOM, bottom + 1);
  // Plain: a thief that reads this cell while it is written holds an old top, and its CAS fails.
  store<u32>(cell(load<u32>(deque + DEQUE_BUFFER), bottom), slot);
  // Publishes the entry, and everything written into the slot before. Pairs with the load in steal().
  store32(deque + DEQUE_BOTTOM, bottom + 1);
  return true;
}

/** Owner: takes the newest entry, or 0. */
export function pop(deque: usize): u32 {
  const bottom = load<u32>(deque + DEQUE_BOTTOM) - 1; // plain: owner only
  // Top only grows, so "empty" is final for the owner: no need to announce a pop.
  if (((bottom - load32(deque + DEQUE_TOP)) as i32) < 0) return 0;
  return popSome(deque, bottom);
}

function popSome(deque: usize, bottom: u32): u32 {
  // mutant POP_LOOKS_FIRST: if (((bottom - load32(deque + DEQUE_TOP)) as i32) > 0) { store32(deque + DEQUE_BOTTOM, bottom); return load<u32>(cell(load<u32>(deque + DEQUE_BUFFER), bottom)); }
  // Announces the pop before the look at top. Pairs with the two loads in steal(): the thief sees the lower bottom, or we see its top.
  store32(deque + DEQUE_BOTTOM, bottom);
  const top = load32(deque + DEQUE_TOP);
  const slot = load<u32>(cell(load<u32>(deque + DEQUE_BUFFER), bottom)); // plain: only the owner writes cells
  return ((bottom - top) as i32) > 0 ? slot : popLast(deque, bottom, top, slot);
}

/** The entry at `bottom` is the last one, or a thief has it already. */
function popLast(deque: usize, bottom: u32, top: u32, slot: u32): u32 {
  // mutant POP_WITHOUT_CAS: return bottom == top ? slot : 0;
  // mutant POP_LEAVES_BOTTOM: if (bottom != top) return 0;
  const won = bottom == top && cas32(deque + DEQUE_TOP, top, top + 1);
  store32(deque + DEQUE_BOTTOM, bottom + 1);
  return won ? slot : 0;
}

/** Owner: the newest entry, which others may take meanwhile; 0 when there is none. */
export function newest(deque: usize): u32 {
  if (sizeOf(deque) == 0) return 0;
  return load<u32>(cell(load<u32>(deque + DEQUE_BUFFER), load<u32>(deque + DEQUE_BOTTOM) - 1)); // plain: owner only
}

/** Owner: takes the newest entry if it is `slot`. */
export function popIf(deque: usize, slot: u32): bool {
  const bottom = load<u32>(deque + DEQUE_BOTTOM) - 1; // plain: owner only
  if (load<u32>(cell(load<u32>(deque + DEQUE_BUFFER), bottom)) != slot) return false; // plain: owner only
  // Below an empty deque this may be an old entry; then top is above it, and the pop finds out.
  return popSome(deque, bottom) == slot;
}

/**
 * Anyone: takes the oldest entry. 0 when empty, STEAL_RETRY when another was faster. The entry is noted at `held` before it is taken, so
 * that it is found again if the thief dies before it claims the slot.
 */
export function steal(deque: usize, held: usize): u32 {
  const top = load32(deque + DEQUE_TOP);
  const bottom = load32(deque + DEQUE_BOTTOM);
  if (((bottom - top) as i32) <= 0) return 0;
  // The buffer is read after bottom: an index below that bottom is in this buffer or in one published later.
  const slot = load<u32>(cell(load32(deque + DEQUE_BUFFER), top)); // plain: if it is overwritten meanwhile, top moved and the CAS fails
  // mutant STEAL_WITHOUT_CAS: { store32(deque + DEQUE_TOP, top + 1); return slot; }
  // mutant STEAL_READS_LATE: return cas32(deque + DEQUE_TOP, top, top + 1) ? load<u32>(cell(load32(deque + DEQUE_BUFFER), top)) : STEAL_RETRY;
  // mutant HELD_AFTER: { const won = cas32(deque + DEQUE_TOP, top, top + 1); store<u32>(held, slot); return won ? slot : STEAL_RETRY; }
  store<u32>(held, slot); // plain: read only once this thread is dead
  return cas32(deque + DEQUE_TOP, top, top + 1) ? slot : STEAL_RETRY;
}

/** Anyone: takes the oldest entry if it is `slot`, as steal() does. */
export function stealIf(deque: usize, slot: u32, held: usize): bool {
  const top = load32(deque + DEQUE_TOP);
  if (((load32(deque + DEQUE_BOTTOM) - top) as i32) <= 0) return false;
  if (load<u32>(cell(load32(deque + DEQUE_BUFFER), top)) != slot) return false; // plain: as in steal()
  store<u32>(held, slot); // plain: as in steal()
  return cas32(deque + DEQUE_TOP, top, top + 1);
}

/** Index of the oldest entry, if there is one. */
export function oldest(deque: usize): u32 {
  return load32(deque + DEQUE_TOP);
}

/** The entry at an index, not older than the oldest was a moment ago; 0 above the newest. For the owner, or at the top: others may find an entry that has gone. */
export function entryAt(deque: usize, index: u32): u32 {
  if (((load32(deque + DEQUE_BOTTOM) - index) as i32) <= 0) return 0;
  return load<u32>(cell(load32(deque + DEQUE_BUFFER), index)); // plain: as in steal()
}

/** Owner that never pops: puts a gap, a slot that is never queued, in the place of an entry whose slot has been claimed. Whoever meets it drops it. */
export function setGap(deque: usize, index: u32, gap: u32): void {
  // Plain: a thief that still reads the entry finds its slot claimed.
  store<u32>(cell(load<u32>(deque + DEQUE_BUFFER), index), gap);
}

/**
 * Owner that never pops: draws the entries below `end` together, upwards, over gaps, and top after them. In order: what stands below a run of gaps
 * that is as long is written again at the end of the run, then top goes there. A long row of gaps is never left, so gaps cannot pile up.
 *
 * Why no entry is lost: only gaps are written over, so an entry stays where it was until top has passed it. A thief passes it with the CAS of a top at which it
 * read it there; the owner passes it when it stands above the new top, and whoever finds that top reads it there, because it was written before. An entry that
 * a thief took meanwhile is left twice, which is harmless (slots.ts).
 */
export function closeUp(deque: usize, end: u32, gap: u32): void {
  let top = load32(deque + DEQUE_TOP);
  const buffer = load<u32>(deque + DEQUE_BUFFER); // plain: owner only
  let below: u32 = 0;
  let run: u32 = 0;
  let close = top;
  let target = top;
  for (let i = top; ((end - i) as i32) > 0; i++) {
    if (load<u32>(cell(buffer, i)) != gap) {
      below++;
      run = 0;
    } else if (++run >= below) {
      close = i + 1;
      target = close - below;
    }
  }
  // mutant CLOSES_TOP_FIRST: cas32(deque + DEQUE_TOP, top, target);
  let to = close;
  for (let i = close; i != top; i--) {
    const slot = load<u32>(cell(buffer, i - 1)); // plain: only the owner writes cells
    if (slot != gap) store<u32>(cell(buffer, --to), slot);
  }
  while (((target - top) as i32) > 0 && !cas32(deque + DEQUE_TOP, top, target))
    top = load32(deque + DEQUE_TOP);
}

/**
 * A worker takes up to `most` entries (at most half, rounded up) of a deque whose owner never pops. Returns the oldest; the rest go
 * to the bottom of the thief's own deque `into`, newest first, so that popping there goes on in order of age.
 */
export function stealBatch(deque: usize, into: usize, most: u32, spanOwner: u32, held: usize): u32 {
  const top = load32(deque + DEQUE_TOP);
  const size = load32(deque + DEQUE_BOTTOM) - top;
  // mutant INDICES_COMPARED: if (size + top <= top) return 0;
  if ((size as i32) <= 0) return 0;
  let count = min(min(most, BATCH_MOST), (size + 1) >> 1);
  if (count > 1 && !hasRoom(into, count) && !makeRoom(into, count, spanOwner)) count = 1;
  const buffer = load32(deque + DEQUE_BUFFER);
  const slot = load<u32>(cell(buffer, top)); // plain: as in steal()
  const own = load<u32>(into + DEQUE_BUFFER); // plain: the thief owns `into`
  const bottom = load<u32>(into + DEQUE_BOTTOM); // plain: as above
  // Cells beyond the bottom of `into` are invisible until it moves, so losing the race leaves no trace.
  for (let i: u32 = 1; i < count; i++) {
    store<u32>(cell(own, bottom + count - 1 - i), load<u32>(cell(buffer, top + i)));
  }
  // mutant BATCH_SHOWS_EARLY: if (count > 1) store32(into + DEQUE_BOTTOM, bottom + count - 1);
  // mutant HELD_AFTER: { if (!cas32(deque + DEQUE_TOP, top, top + count)) return STEAL_RETRY; store<u32>(held, slot); if (count > 1) store32(into + DEQUE_BOTTOM, bottom + count - 1); return slot; }
  store<u32>(held, slot); // plain: as in steal()
  if (!cas32(deque + DEQUE_TOP, top, top + count)) return STEAL_RETRY;
  // A thief that dies here holds entries that are in no deque; recovery.ts finds them in the cells beyond the bottom (`beyond`).
  if (count > 1) store32(into + DEQUE_BOTTOM, bottom + count - 1);
  return slot;
}

/**
 * Recovery: entry number `i` from one below the bottom of a dead thread's deque on, where a pop or a batch leaves what it was taking. May be
 * anything.
 */
export function beyond(deque: usize, i: u32): u32 {
  // mutant NOT_BEYOND: return 0;
  const buffer = load32(deque + DEQUE_BUFFER);
  if (i > ((1 as u32) << (buffer & BUFFER_LOG2_MASK)) - 1) return 0;
  return load<u32>(cell(buffer, load32(deque + DEQUE_BOTTOM) - 1 + i));
}

/**
 * Recovery, of a deque that was drained: makes it empty one entry further on. A pop that was cut short has lowered bottom, to top or below it,
 * while a thief may still be on its way to the CAS for the entry that stood there. Its CAS must fail: it would take what the next owner pushes at that index.
 */
export function repair(deque: usize): void {
  // mutant NO_REPAIR: return;
  // mutant REPAIR_KEEPS_TOP: { const top = load32(deque + DEQUE_TOP); if (((load32(deque + DEQUE_BOTTOM) - top) as i32) < 0) store32(deque + DEQUE_BOTTOM, top); return; }
  while (true) {
    const top = load32(deque + DEQUE_TOP);
    // Between the two steps bottom is below top, which everyone takes for empty.
    if (!cas32(deque + DEQUE_TOP, top, top + 1)) continue;
    store32(deque + DEQUE_BOTTOM, top + 1);
    return;
  }
}
