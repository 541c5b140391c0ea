/**
 * Locks by name and by number. A lock is a record of 64 bytes that never moves and never goes (picture: layout.ts); records stand in
 * chunks of one span, found through a table of chunks. Classes of locks are entries of the same table, so that locks and classes share one
 * dense numbering, 1, 2, 3, ...: nodes of the order graph are numbers.
 *
 * The index is a hash table with open addressing that only grows. A bucket of 8 bytes goes from 0 to (hash, number) in one CAS:
 *
 *   1. look for the name from its bucket on: the same hash, then the same bytes
 *   2. at the first empty bucket: take a number, fill its record, and its name, which nobody else can see yet
 *   3. CAS the bucket. Lost to the same name: that is the lock, and our record is kept for this thread's next one. Lost to another: on.
 *
 * Nobody waits for anybody, and a name is found once: two threads that open the same name walk the same buckets, so the second CAS meets the
 * first. A death between 2 and 3 costs one number and the bytes of a name. With at most half of its buckets used, a walk is short.
 *
 * Cost of a lock: 64 bytes of record, 16 of index, 4 and its length in bytes of name.
 */
import { cas32, cas64, load32, load64, store32 } from './atomics';
import {
  AGENT_SPARE_LOCK,
  CHUNK_LOG2,
  CHUNK_RECORDS,
  HEADER_LOCK_COUNT,
  HEADER_LOCK_MAX,
  HEADER_LOCK_MODES,
  HEADER_LOCK_NAMES,
  HEADER_LOCK_STRATEGY,
  HEADER_LOCK_TABLES,
  LOCK_CLASS,
  LOCK_FLAGS,
  LOCK_HOLD_MS,
  LOCK_ID,
  LOCK_NAME,
  LOCK_ORDER,
  LOCK_SIZE,
  MAX_OWNER_CHUNKS,
  OWNER_SHARED,
  SPAN_SHIFT,
  SPAN_SIZE,
} from './layout';
import { claimSpans, releaseSpans } from './spans';
import { LOCK_FLAG_CLASS, LOCKS_FULL, LOCKS_NO_MEMORY } from './status';

/** Buckets of the index: the least power of two that is at least twice the locks. */
function buckets(): u32 {
  const most = load<u32>(HEADER_LOCK_MAX); // plain: never changes
  return (1 as u32) << (33 - clz(most - 1));
}

function lockChunk(chunk: u32): usize {
  return load32(HEADER_LOCK_TABLES) + (buckets() << 3) + (chunk << 2);
}

function lockChunks(): u32 {
  return (load<u32>(HEADER_LOCK_MAX) >> CHUNK_LOG2) + 1;
}

/** Place of the address of chunk `chunk` of owners. Only once there are tables. */
export function ownerChunk(chunk: u32): usize {
  return lockChunk(lockChunks() + chunk);
}

/** Makes the tables if there are none. False when the memory is full. */
export function ensureTables(): bool {
  if (load32(HEADER_LOCK_TABLES) != 0) return true;
  const bytes = (buckets() << 3) + ((lockChunks() + MAX_OWNER_CHUNKS) << 2);
  const spans = (bytes + SPAN_SIZE - 1) >> SPAN_SHIFT;
  const tables = claimSpans(spans, OWNER_SHARED);
  if (tables == 0) return load32(HEADER_LOCK_TABLES) != 0;
  memory.fill(tables, 0, bytes);
  // Publishes them. Whoever comes second gives its own back.
  if (!cas32(HEADER_LOCK_TABLES, 0, tables as u32)) releaseSpans(tables, spans);
  return true;
}

/** A chunk of records at `place`, made if there is none. 0 when the memory is full. */
export function ensureChunk(place: usize): usize {
  const chunk: usize = load32(place);
  if (chunk != 0) return chunk;
  const fresh = claimSpans(1, OWNER_SHARED);
  if (fresh == 0) return load32(place);
  memory.fill(fresh, 0, SPAN_SIZE);
  if (cas32(place, 0, fresh as u32)) return fresh;
  releaseSpans(fresh, 1);
  return load32(place);
}

/** Address of the lock or class with this number. */
export function lockAt(id: u32): usize {
  return load32(lockChunk(id >> CHUNK_LOG2)) + (id & (CHUNK_RECORDS - 1)) * LOCK_SIZE;
}

/** FNV-1a, 32 bits (Fowler, Noll, Vo), with the bits stirred once more, as neighbours in the index should not follow from alike names. */
function hash(name: usize, length: u32, kind: u32): u32 {
  let h: u32 = 0x811c9dc5 ^ kind;
  for (let i: u32 = 0; i < length; i++) h = (h ^ load<u8>(name + i)) * 0x01000193;
  h ^= h >> 15;
  h *= 0x2c1b3c6d;
  return h ^ (h >> 13);
}

function isNamed(lock: usize, name: usize, length: u32, kind: u32): bool {
  // All plain: written before the bucket that led here was published.
  if ((load<u32>(lock + LOCK_FLAGS) & LOCK_FLAG_CLASS) != kind) return false;
  const own: usize = load<u32>(lock + LOCK_NAME);
  if (load<u32>(own) != length) return false;
  for (let i: u32 = 0; i < length; i++) if (load<u8>(own + 4 + i) != load<u8>(name + i)) return false;
  return true;
}

/**
 * Finds or makes the lock (or class, when `flags` has LOCK_FLAG_CLASS) with this name: `length` bytes of UTF-8 at `name`, at most
 * LOCK_NAME_MOST. The other arguments are written when it is made; the caller compares them when it was there. Returns its address,
 * LOCKS_FULL or LOCKS_NO_MEMORY.
 */
export function openLock(
  agent: usize,
  name: usize,
  length: u32,
  flags: u32,
  classId: u32,
  order: f64,
  holdMs: u32,
): usize {
  if (!ensureTables()) return LOCKS_NO_MEMORY;
  const kind = flags & LOCK_FLAG_CLASS;
  const h = hash(name, length, kind);
  const index: usize = load32(HEADER_LOCK_TABLES);
  const mask = buckets() - 1;
  let fresh: u32 = 0;
  for (let probe: u32 = 0; probe <= mask; probe++) {
    const bucket = index + (((h + probe) & mask) << 3);
    let entry = load64(bucket);
    if (entry == 0) {
      if (fresh == 0) {
        fresh = newEntry(agent, name, length, flags, classId, order, holdMs);
        if (fresh <= LOCKS_NO_MEMORY) return fresh;
        fresh = load<u32>(fresh + LOCK_ID);
      }
      // Publishes the record. Pairs with the load of whoever opens the name next.
      if (cas64(bucket, 0, ((h as u64) << 32) | fresh)) {
        store<u32>(agent + AGENT_SPARE_LOCK, 0); // plain: this thread only
        return lockAt(fresh);
      }
      entry = load64(bucket);
    }
    if (((entry >> 32) as u32) != h) continue;
    const lock = lockAt(entry as u32);
    if (isNamed(lock, name, length, kind)) return lock;
  }
  return LOCKS_FULL;
}

/** A record that nobody can find yet. It stays this thread's spare until its bucket is set. Returns its address, LOCKS_FULL or LOCKS_NO_MEMORY. */
function newEntry(
  agent: usize,
  name: usize,
  length: u32,
  flags: u32,
  classId: u32,
  order: f64,
  holdMs: u32,
): u32 {
  let id = load<u32>(agent + AGENT_SPARE_LOCK); // plain: this thread only
  if (id == 0) {
    id = takeNumber();
    if (id == 0) return LOCKS_FULL;
    store<u32>(agent + AGENT_SPARE_LOCK, id);
  }
  if (ensureChunk(lockChunk(id >> CHUNK_LOG2)) == 0) return LOCKS_NO_MEMORY;
  const text = keepName(name, length);
  if (text == 0) return LOCKS_NO_MEMORY;
  const lock = lockAt(id);
  // All plain: published with the bucket.
  store<u32>(lock + LOCK_FLAGS, flags);
  store<u32>(lock + LOCK_NAME, text as u32);
  store<u32>(lock + LOCK_CLASS, classId);
  store<f64>(lock + LOCK_ORDER, order);
  store<u32>(lock + LOCK_ID, id);
  store<u32>(lock + LOCK_HOLD_MS, holdMs);
  return lock as u32;
}

/** The next number, or 0 when the runtime has as many as it may have. */
function takeNumber(): u32 {
  while (true) {
    const count = load32(HEADER_LOCK_COUNT);
    if (count >= load<u32>(HEADER_LOCK_MAX)) return 0;
    if (cas32(HEADER_LOCK_COUNT, count, count + 1)) return count + 1;
  }
}

/** Keeps a name for ever. Returns its address, or 0 when the memory is full. */
function keepName(name: usize, length: u32): usize {
  const bytes = (length + 7) & ~3;
  while (true) {
    const cursor = load32(HEADER_LOCK_NAMES);
    const room = (SPAN_SIZE - (cursor & (SPAN_SIZE - 1))) & (SPAN_SIZE - 1);
    if (room < bytes) {
      // Of the last span at most a name's length is lost.
      const span = claimSpans(1, OWNER_SHARED);
      if (span == 0) return 0;
      if (!cas32(HEADER_LOCK_NAMES, cursor, (span as u32) + bytes)) {
        releaseSpans(span, 1);
        continue;
      }
      return writeName(span, name, length);
    }
    // At the end of its span the cursor is 0 modulo the span's size: no room, whatever comes behind.
    if (cas32(HEADER_LOCK_NAMES, cursor, cursor + bytes)) return writeName(cursor, name, length);
  }
}

function writeName(to: usize, name: usize, length: u32): usize {
  store<u32>(to, length);
  memory.copy(to + 4, name, length);
  return to;
}

/** Locks and classes that were given a number. */
export function lockCount(): u32 {
  return load32(HEADER_LOCK_COUNT);
}

/** Writes what the runtime allows and checks. Called once, before any other thread sees the memory. */
export function configureLocks(most: u32, modes: u32, strategy: u32): void {
  store32(HEADER_LOCK_MAX, most);
  store32(HEADER_LOCK_MODES, modes);
  store32(HEADER_LOCK_STRATEGY, strategy);
}
