/**
 * Spans of 64 KiB, each with one owner word in the span table. Claiming a span is one CAS from 0 to the owner, giving it back is one
 * store of 0, so a thread may die between any two steps and every span still says whose it is.
 *
 * A run of spans is claimed from its first to its last; a loser gives back what it had. Two threads that race for overlapping runs may
 * both give up one place and look further: neither waits for the other.
 */
import { cas32, load32, store32 } from './atomics';
import { HEADER_FIRST_SPAN, HEADER_SPAN_COUNT, HEADER_SPAN_HINT, SPAN_SHIFT, SPAN_TABLE } from './layout';

function entry(span: u32): usize {
  return SPAN_TABLE + (span << 2);
}

/** Claims `count` neighbouring spans for `owner`. Returns the address of the first byte, or 0 when no such run is free. */
export function claimSpans(count: u32, owner: u32): usize {
  const first = load<u32>(HEADER_FIRST_SPAN); // plain: never changes once the memory is initialised
  const end = load<u32>(HEADER_SPAN_COUNT); // plain: as above
  let hint = load32(HEADER_SPAN_HINT);
  if (hint < first || hint >= end) hint = first;
  const found = claimBetween(hint, end, count, owner);
  if (found != 0) return found;
  // The second look starts at the front and runs past the hint, so that a run across the hint is found too.
  return claimBetween(first, min(end, hint + count), count, owner);
}

function claimBetween(from: u32, end: u32, count: u32, owner: u32): usize {
  let span = from;
  while (span + count <= end) {
    let taken: u32 = 0;
    // mutant CLAIM_WITHOUT_CAS: { while (taken < count && load32(entry(span + taken)) == 0) { store32(entry(span + taken), owner); taken++; } if (taken == count) return (span as usize) << SPAN_SHIFT; releaseRun(span, taken); span += taken + 1; continue; }
    while (taken < count && load32(entry(span + taken)) == 0 && cas32(entry(span + taken), 0, owner)) taken++;
    if (taken == count) {
      store32(HEADER_SPAN_HINT, span + count);
      return (span as usize) << SPAN_SHIFT;
    }
    // mutant LOSER_KEEPS: { span += taken + 1; continue; }
    // mutant LOSER_RELEASES_ALL: taken = count;
    releaseRun(span, taken);
    span += taken + 1;
  }
  return 0;
}

function releaseRun(span: u32, count: u32): void {
  for (let i: u32 = 0; i < count; i++) store32(entry(span + i), 0);
}

/** Gives back `count` spans that start at `address`. Only their owner, or the one who recovers it, may. */
export function releaseSpans(address: usize, count: u32): void {
  const span = (address >> SPAN_SHIFT) as u32;
  releaseRun(span, count);
  // A lower hint keeps the memory compact; losing a race on it costs a longer search only.
  if (span < load32(HEADER_SPAN_HINT)) store32(HEADER_SPAN_HINT, span);
}

/** Owner of the span that holds `address`. */
export function spanOwner(address: usize): u32 {
  return load32(entry((address >> SPAN_SHIFT) as u32));
}

/** Takes over one span of owner `from`. Returns its address, or 0 when there is none. */
export function claimFreed(from: u32, owner: u32): usize {
  const end = load<u32>(HEADER_SPAN_COUNT); // plain: never changes
  for (let span = load<u32>(HEADER_FIRST_SPAN); span < end; span++) {
    // mutant CLAIM_FREED_WITHOUT_CAS: if (load32(entry(span)) == from) { store32(entry(span), owner); return (span as usize) << SPAN_SHIFT; }
    if (load32(entry(span)) == from && cas32(entry(span), from, owner)) return (span as usize) << SPAN_SHIFT;
  }
  return 0;
}

/** Gives one span that the caller owns to another owner. */
export function changeOwner(address: usize, owner: u32): void {
  store32(entry((address >> SPAN_SHIFT) as u32), owner);
}

/** Gives back every span that `owner` still has. */
export function releaseAllOf(owner: u32): void {
  const end = load<u32>(HEADER_SPAN_COUNT); // plain: never changes
  for (let span = load<u32>(HEADER_FIRST_SPAN); span < end; span++) {
    if (load32(entry(span)) == owner) {
      store32(entry(span), 0);
      if (span < load32(HEADER_SPAN_HINT)) store32(HEADER_SPAN_HINT, span);
    }
  }
}

/** Spans that have an owner. */
export function usedSpans(): u32 {
  let used: u32 = 0;
  const end = load<u32>(HEADER_SPAN_COUNT); // plain: never changes
  for (let span = load<u32>(HEADER_FIRST_SPAN); span < end; span++) if (load32(entry(span)) != 0) used++;
  return used;
}

/** One more than the last span of the memory. */
export function spanLimit(): u32 {
  return load<u32>(HEADER_SPAN_COUNT); // plain: never changes
}
