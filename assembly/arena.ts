/**
 * Payload blocks. Every agent carves blocks from spans of its own and is the only one that touches its free lists, so allocating needs
 * no atomic. A reader that is done with another agent's block pushes it on that agent's return stack (Treiber: one CAS); the owner
 * takes the whole stack with one exchange when a free list runs dry.
 *
 * A block is in exactly one place: a free list (owner only), a return stack, or referenced by one slot. An agent that dies leaves its
 * spans marked as its own; recovery.ts gives them back once no slot points into them.
 */
import { add32, cas32, exchange32, load32 } from './atomics';
import {
  AGENT_ARENA,
  AGENT_ARENA_STRIDE,
  AGENT_ID,
  AGENT_PRESSURE,
  AGENT_RETURNS,
  AGENT_SIZE,
  AGENTS,
  BLOCK_BYTES,
  BLOCK_CLASS,
  BLOCK_CLASSES,
  BLOCK_HEADER,
  BLOCK_LARGE,
  BLOCK_LINK,
  BLOCK_MAX_LOG2,
  BLOCK_MIN_LOG2,
  BLOCK_OWNER,
  BLOCK_SPANS_SHIFT,
  HEADER_PRESSURE,
  SPAN_SHIFT,
  SPAN_SIZE,
} from './layout';
import { claimSpans, releaseSpans } from './spans';

// model: import { store32 } from './atomics';

function freeList(agent: usize, sizeClass: u32): usize {
  return agent + AGENT_ARENA + sizeClass * AGENT_ARENA_STRIDE;
}

/** Address of the payload of a block of at least `bytes`, or 0 when the memory is full. Only `agent`'s own thread may call it. */
export function allocate(agent: usize, bytes: u32): usize {
  // Compared before the header is added: a size near 2^32 must not wrap to a small one.
  if (bytes > ((1 as u32) << BLOCK_MAX_LOG2) - BLOCK_HEADER) return allocateLarge(agent, bytes);
  const total = bytes + BLOCK_HEADER;
  let log2: u32 = 32 - clz(total - 1);
  if (log2 < BLOCK_MIN_LOG2) log2 = BLOCK_MIN_LOG2;
  const sizeClass = log2 - BLOCK_MIN_LOG2;
  let block = popFree(agent, sizeClass);
  if (block == 0) block = allocateSlow(agent, sizeClass, log2);
  if (block == 0) return 0;
  store<u32>(block + BLOCK_BYTES, bytes); // plain: published with the slot that will point here
  return block + BLOCK_HEADER;
}

/** Plain accesses: only the owner touches its free lists. */
function popFree(agent: usize, sizeClass: u32): usize {
  const list = freeList(agent, sizeClass);
  const block: usize = load<u32>(list);
  if (block != 0) store<u32>(list, load<u32>(block + BLOCK_LINK));
  return block;
}

/** A block from what readers returned, from a span, or from a larger class when the memory is full. Returns 0 when there is none. */
function allocateSlow(agent: usize, sizeClass: u32, log2: u32): usize {
  takeReturns(agent);
  let block = popFree(agent, sizeClass);
  if (block == 0) block = carve(agent, sizeClass, log2);
  if (block == 0 && trim(agent)) block = carve(agent, sizeClass, log2);
  // Its header keeps the larger class, so it goes back there.
  for (let larger = sizeClass + 1; block == 0 && larger < BLOCK_CLASSES; larger++)
    block = popFree(agent, larger);
  return block;
}

/** Cuts the next block of a class off a span. */
function carve(agent: usize, sizeClass: u32, log2: u32): usize {
  const place = freeList(agent, sizeClass) + 4;
  let block: usize = load<u32>(place); // plain: owner only
  if (block == 0) {
    block = claimSpans(1, load<u32>(agent + AGENT_ID));
    if (block == 0) return 0;
  }
  store<u32>(block + BLOCK_OWNER, load<u32>(agent + AGENT_ID));
  store<u32>(block + BLOCK_CLASS, sizeClass);
  const next = block + ((1 as u32) << log2);
  // A span's last block ends where the next span begins, which is another's.
  store<u32>(place, (next & (SPAN_SIZE - 1)) == 0 ? 0 : (next as u32));
  return block;
}

function allocateLarge(agent: usize, bytes: u32): usize {
  if (bytes > 0xfff00000) return 0;
  takeReturns(agent);
  const count = (bytes + BLOCK_HEADER + SPAN_SIZE - 1) >> SPAN_SHIFT;
  const owner = load<u32>(agent + AGENT_ID);
  let block = claimSpans(count, owner);
  if (block == 0 && trim(agent)) block = claimSpans(count, owner);
  if (block == 0) return 0;
  store<u32>(block + BLOCK_OWNER, owner);
  store<u32>(block + BLOCK_CLASS, BLOCK_LARGE | (count << BLOCK_SPANS_SHIFT));
  store<u32>(block + BLOCK_BYTES, bytes);
  return block + BLOCK_HEADER;
}

/** Gives a block back: to `agent`'s own lists when it is the owner, else to the owner's return stack. */
export function release(agent: usize, payload: usize): void {
  const block = payload - BLOCK_HEADER;
  const owner = load<u32>(block + BLOCK_OWNER); // plain: written once, before the block was published
  if (owner == load<u32>(agent + AGENT_ID)) {
    releaseOwn(agent, block);
    return;
  }
  const returns = AGENTS + owner * AGENT_SIZE + AGENT_RETURNS;
  while (true) {
    const head = load32(returns);
    // mutant RETURN_BY_EXCHANGE: { store<u32>(block + BLOCK_LINK, exchange32(returns, 0)); store32(returns, block as u32); return; }
    // mutant RETURN_LINKS_LATE: { if (!cas32(returns, head, block as u32)) continue; store<u32>(block + BLOCK_LINK, head); return; }
    store<u32>(block + BLOCK_LINK, head); // plain: published by the CAS below
    // mutant RETURN_BY_STORE: { store32(returns, block as u32); return; }
    if (cas32(returns, head, block as u32)) return;
  }
}

function releaseOwn(agent: usize, block: usize): void {
  const word = load<u32>(block + BLOCK_CLASS); // plain: written once
  if ((word & BLOCK_LARGE) == BLOCK_LARGE) {
    releaseSpans(block, word >> BLOCK_SPANS_SHIFT);
    return;
  }
  const list = freeList(agent, word);
  store<u32>(block + BLOCK_LINK, load<u32>(list)); // plain: owner only
  store<u32>(list, block as u32);
}

/** Takes back what readers returned. */
export function takeReturns(agent: usize): void {
  if (load32(agent + AGENT_RETURNS) == 0) return;
  // mutant TAKE_BY_STORE: { let stale: usize = load32(agent + AGENT_RETURNS); store32(agent + AGENT_RETURNS, 0); while (stale != 0) { const next: usize = load<u32>(stale + BLOCK_LINK); releaseOwn(agent, stale); stale = next; } return; }
  let block: usize = exchange32(agent + AGENT_RETURNS, 0);
  while (block != 0) {
    const next: usize = load<u32>(block + BLOCK_LINK); // plain: published by the CAS in release()
    releaseOwn(agent, block);
    block = next;
  }
}

/** In BLOCK_BYTES of a free block that is the first of its span, while trim() counts the free blocks of that span on top of it. */
const COUNTING: u32 = 0xf0000000;

/**
 * Owner: gives back the spans in which every block is free. Walks all free lists, so it is for a full memory only. True when it gave back any.
 * Tells the other agents too: they trim when they idle.
 */
function trim(agent: usize): bool {
  add32(HEADER_PRESSURE, 1);
  return trimLists(agent);
}

function trimLists(agent: usize): bool {
  let freed = false;
  for (let sizeClass: u32 = 0; sizeClass < BLOCK_CLASSES; sizeClass++) {
    const list = freeList(agent, sizeClass);
    const whole = COUNTING + (SPAN_SIZE >> (BLOCK_MIN_LOG2 + sizeClass));
    for (let block: usize = load<u32>(list); block != 0; block = load<u32>(block + BLOCK_LINK)) {
      if ((block & (SPAN_SIZE - 1)) == 0) store<u32>(block + BLOCK_BYTES, COUNTING);
    }
    for (let block: usize = load<u32>(list); block != 0; block = load<u32>(block + BLOCK_LINK)) {
      const first = block & ~(SPAN_SIZE - 1);
      const count = load<u32>(first + BLOCK_BYTES);
      if (count >= COUNTING) store<u32>(first + BLOCK_BYTES, count + 1);
    }
    // mutant TRIM_IN_USE: { if (dropWhole(list, whole - 1)) freed = true; continue; }
    if (dropWhole(list, whole)) freed = true;
  }
  return freed;
}

/** Takes the blocks of spans that are wholly free out of a list, then gives those spans back. */
function dropWhole(list: usize, whole: u32): bool {
  let kept: usize = 0;
  let spans: usize = 0;
  let block: usize = load<u32>(list);
  while (block != 0) {
    const next: usize = load<u32>(block + BLOCK_LINK);
    const first = block & ~(SPAN_SIZE - 1);
    // mutant TRIM_LEAVES_LINKS: if (block != first) { store<u32>(block + BLOCK_LINK, kept as u32); kept = block; block = next; continue; }
    if (load<u32>(first + BLOCK_BYTES) != whole) {
      store<u32>(block + BLOCK_LINK, kept as u32);
      kept = block;
    } else if (block == first) {
      store<u32>(block + BLOCK_LINK, spans as u32);
      spans = block;
    }
    block = next;
  }
  store<u32>(list, kept as u32);
  const any = spans != 0;
  while (spans != 0) {
    const next: usize = load<u32>(spans + BLOCK_LINK);
    releaseSpans(spans, 1);
    spans = next;
  }
  return any;
}

/** Worker, before it sleeps: takes back what readers returned, and gives memory back if somebody has run out of it since the last time. */
export function tidy(agent: usize): void {
  takeReturns(agent);
  const pressure = load32(HEADER_PRESSURE);
  if (load<u32>(agent + AGENT_PRESSURE) == pressure) return;
  store<u32>(agent + AGENT_PRESSURE, pressure); // plain: owner only
  trimLists(agent);
}
