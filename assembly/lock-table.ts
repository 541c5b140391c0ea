/**
 * Locks by name and by number. A lock is a record of 64 bytes that never moves (picture: layout.ts); records stand in
 * chunks of one span, found through a table of chunks. Classes of locks are entries of the same table, so that locks and classes share one
 * dense numbering, 1, 2, 3, ...: nodes of the order graph are numbers.
 *
 * The index is a hash table with open addressing. A bucket of 8 bytes is empty, removed, or (hash, number). Who looks for a name that is there walks
 * from its bucket to the first empty one, and waits for nobody. Who adds or removes one holds HEADER_LOCK_GATE, a spin lock with the holder's number.
 *
 * **Who has it open.** LOCK_FLAGS counts the threads that have a lock open, and its turns: each time a record becomes another lock. All three are
 * one word, so the count is raised with a CAS that fails when the record has become another since its name was compared:
 *
 * | step | count | done by |
 * | --- | --- | --- |
 * | open, by name | n -> n + 1, only where n > 0 | anybody, by CAS (pinNamed) |
 * | open, where nobody has it open or there is none | 0 -> 1 | holder of the gate |
 * | close | n -> n - 1 | who had it open (unpinLock); at 0 it sweeps |
 * | sweep | 0 -> FREE, when it is free and sound | holder of the gate |
 *
 * So nobody takes a lock that is gone: a sweep needs a count of 0, and from 0 only the holder of the gate raises it. A lock that is held, or abandoned, stays
 * though nobody has it open, and is found again by its name. Between sweep and reuse the order graph forgets the number.
 *
 * **Removed buckets** are emptied as soon as the next bucket is empty, as no walk goes on from there. So a walk is short however many names come and go.
 *
 * **Death** of the holder of the gate: each store leaves a table that is sound, at the cost of a number and the bytes of a name; recovery opens the gate. The
 * count of a thread that died stays raised: locks that it had open keep their names. A count of 255 is never changed again.
 *
 * Cost of a lock: 64 bytes of record, 16 of index, and its name with 4 bytes more in units of 16.
 */
import { add32, cas32, load32, load64, store32, store64 } from './atomics';
import {
  AGENT_ID,
  AGENT_SPARE_LOCK,
  CHUNK_LOG2,
  CHUNK_RECORDS,
  GATE_SPINS,
  HEADER_LOCK_COUNT,
  HEADER_LOCK_FREE,
  HEADER_LOCK_GATE,
  HEADER_LOCK_MAX,
  HEADER_LOCK_MODES,
  HEADER_LOCK_NAMES,
  HEADER_LOCK_STRATEGY,
  HEADER_LOCK_TABLES,
  LOCK_CLASS,
  LOCK_DEPTH,
  LOCK_FLAGS,
  LOCK_HANDOFF,
  LOCK_HOLD_MS,
  LOCK_ID,
  LOCK_NAME,
  LOCK_NEXT,
  LOCK_ORDER,
  LOCK_SIZE,
  LOCK_TAKEN_COUNT,
  LOCK_TURN_MASK,
  LOCK_TURN_ONE,
  LOCK_USER_ONE,
  LOCK_USERS_MASK,
  LOCK_WORD,
  MAX_OWNER_CHUNKS,
  NAME_SIZES,
  NAME_UNIT_LOG2,
  OWNER_SHARED,
  SPAN_SHIFT,
  SPAN_SIZE,
  WORD_SEQ_MASK,
} from './layout';
import { claimSpans, releaseSpans } from './spans';
import { LOCK_FLAG_CLASS, LOCK_FLAG_FREE, LOCKS_BUSY, LOCKS_FULL, LOCKS_NO_MEMORY } from './status';

// model: import { relax } from './schedule';

/** A bucket whose lock is gone, and which a walk goes past. */
const REMOVED: u64 = 0xffffffff;

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

/** Place of the first free block for names of so many units. */
function freeNames(units: u32): usize {
  return ownerChunk(MAX_OWNER_CHUNKS) + (units << 2);
}

/** Makes the tables if there are none. False when the memory is full. */
export function ensureTables(): bool {
  if (load32(HEADER_LOCK_TABLES) != 0) return true;
  const bytes = (buckets() << 3) + ((lockChunks() + MAX_OWNER_CHUNKS + NAME_SIZES) << 2);
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
  // mutant CHUNK_MADE_TWICE: { store32(place, fresh as u32); return fresh; }
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

/** Has this record that name? It may become another while we look; pinNamed() sees that. */
function isNamed(lock: usize, name: usize, length: u32, kind: u32): bool {
  if ((load32(lock + LOCK_FLAGS) & (LOCK_FLAG_CLASS | LOCK_FLAG_FREE)) != kind) return false;
  const own: usize = load<u32>(lock + LOCK_NAME); // plain, as the name: what is torn does not pass pinNamed()
  if (load<u32>(own) != length) return false;
  for (let i: u32 = 0; i < length; i++) if (load<u8>(own + 4 + i) != load<u8>(name + i)) return false;
  return true;
}

/** One thread more has the lock open, if it has that name and somebody has it open. Classes never go, and are not counted. */
function pinNamed(lock: usize, name: usize, length: u32, kind: u32): bool {
  while (true) {
    const flags = load32(lock + LOCK_FLAGS);
    if (!isNamed(lock, name, length, kind)) return false;
    if (kind != 0) return true;
    // mutant PINS_UNUSED: { if (cas32(lock + LOCK_FLAGS, flags, flags + LOCK_USER_ONE)) return true; continue; }
    if ((flags & LOCK_USERS_MASK) == 0) return false;
    // Of more threads than can be counted it stays open for ever.
    if ((flags & LOCK_USERS_MASK) == LOCK_USERS_MASK) return true;
    // mutant PINS_BLINDLY: { add32(lock + LOCK_FLAGS, LOCK_USER_ONE); return true; }
    // Fails when the record has become another since: its turn is part of the word.
    if (cas32(lock + LOCK_FLAGS, flags, flags + LOCK_USER_ONE)) return true;
  }
}

function bucketAt(place: u32): usize {
  return load32(HEADER_LOCK_TABLES) + ((place & (buckets() - 1)) << 3);
}

/**
 * Finds or makes the lock (or class, when `flags` has LOCK_FLAG_CLASS) with this name: `length` bytes of UTF-8 at `name`, at most
 * LOCK_NAME_MOST. The calling thread has it open from now on, until unpinLock(). The other arguments are written when it is made; the caller compares them
 * when it was there. Returns its address, LOCKS_FULL, LOCKS_NO_MEMORY, or LOCKS_BUSY: another thread is at the gate, call again.
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
  for (let probe: u32 = 0; probe < buckets(); probe++) {
    const entry = load64(bucketAt(h + probe));
    if (entry == 0) break;
    if (entry == REMOVED || ((entry >> 32) as u32) != h) continue;
    const lock = lockAt(entry as u32);
    if (pinNamed(lock, name, length, kind)) return lock;
  }
  if (!enterGate(agent)) return LOCKS_BUSY;
  const lock = openAtGate(agent, h, name, length, flags, classId, order, holdMs);
  leaveGate();
  return lock;
}

/** The same, by the one who alone may change the index. */
function openAtGate(
  agent: usize,
  h: u32,
  name: usize,
  length: u32,
  flags: u32,
  classId: u32,
  order: f64,
  holdMs: u32,
): usize {
  const kind = flags & LOCK_FLAG_CLASS;
  let place: usize = 0;
  for (let probe: u32 = 0; probe < buckets(); probe++) {
    const bucket = bucketAt(h + probe);
    const entry = load64(bucket);
    if (entry == 0 || entry == REMOVED) {
      if (place == 0) place = bucket;
      if (entry == 0) break;
      continue;
    }
    if (((entry >> 32) as u32) != h) continue;
    const lock = lockAt(entry as u32);
    if (!isNamed(lock, name, length, kind)) continue;
    // From 0 only we raise it, so this is no other lock now.
    if (kind == 0 && !pinNamed(lock, name, length, kind)) add32(lock + LOCK_FLAGS, LOCK_USER_ONE);
    return lock;
  }
  if (place == 0) return LOCKS_FULL;
  const fresh = newEntry(agent, name, length, flags, classId, order, holdMs);
  if (fresh <= LOCKS_BUSY) return fresh;
  // Publishes the record. Pairs with the load of whoever opens the name next.
  store64(place, ((h as u64) << 32) | load<u32>(fresh + LOCK_ID));
  store<u32>(agent + AGENT_SPARE_LOCK, 0); // plain: this thread only
  return fresh;
}

/** Tries a while to become the one who may change the index. */
function enterGate(agent: usize): bool {
  const self = load<u32>(agent + AGENT_ID);
  // mutant NO_GATE: return true;
  for (let i: u32 = 0; i < GATE_SPINS; i++) {
    if (load32(HEADER_LOCK_GATE) == 0 && cas32(HEADER_LOCK_GATE, 0, self)) return true;
    // model: relax();
  }
  return false;
}

function leaveGate(): void {
  store32(HEADER_LOCK_GATE, 0);
}

/** Recovery: a dead thread stands at the gate no more. */
export function openGateOf(agentId: u32): void {
  // mutant GATE_STAYS_SHUT: return;
  if (load32(HEADER_LOCK_GATE) == agentId) leaveGate();
}

/** The calling thread has the lock open no more. 1 when it was the last: sweepLock() then. */
export function unpinLock(lock: usize): u32 {
  while (true) {
    const flags = load32(lock + LOCK_FLAGS);
    const users = flags & LOCK_USERS_MASK;
    if (users == LOCK_USERS_MASK || users == 0) return 0;
    if (cas32(lock + LOCK_FLAGS, flags, flags - LOCK_USER_ONE)) return users == LOCK_USER_ONE ? 1 : 0;
  }
}

/**
 * Takes a lock out of the index that nobody has open and nobody holds: its name is gone. 1 when it was done: reuseLock() then, as soon as nothing else knows its number. 0 when it
 * stays, LOCKS_BUSY to call again.
 */
export function sweepLock(agent: usize, lock: usize): u32 {
  if (!enterGate(agent)) return LOCKS_BUSY;
  const flags = load32(lock + LOCK_FLAGS);
  // Sleepers and holders have it open, but for guards of handles that are closed, and for those that died.
  const idle = (load32(lock + LOCK_WORD) & ~WORD_SEQ_MASK) == 0 && load32(lock + LOCK_HANDOFF) == 0;
  // mutant SWEEPS_OPEN: { if (idle && (flags & (LOCK_FLAG_CLASS | LOCK_FLAG_FREE)) == 0) { store32(lock + LOCK_FLAGS, LOCK_FLAG_FREE); removeEntry(lock); } leaveGate(); return 0; }
  const gone = idle && (flags & (LOCK_USERS_MASK | LOCK_FLAG_CLASS | LOCK_FLAG_FREE)) == 0;
  if (gone) {
    store32(lock + LOCK_FLAGS, ((flags & LOCK_TURN_MASK) + LOCK_TURN_ONE) | LOCK_FLAG_FREE);
    removeEntry(lock);
  }
  leaveGate();
  return gone ? 1 : 0;
}

/** The number and the name's bytes of a lock that was swept may be another's. False: call again. */
export function reuseLock(agent: usize, lock: usize): bool {
  if (!enterGate(agent)) return false;
  const name: usize = load<u32>(lock + LOCK_NAME);
  const place = freeNames(unitsOf(load<u32>(name)));
  store<u32>(name, load32(place));
  store32(place, name as u32);
  store<u32>(lock + LOCK_NEXT, load32(HEADER_LOCK_FREE));
  store32(HEADER_LOCK_FREE, load<u32>(lock + LOCK_ID));
  leaveGate();
  return true;
}

/** Takes the bucket of a lock out of the index. At the gate. */
function removeEntry(lock: usize): void {
  const name: usize = load<u32>(lock + LOCK_NAME);
  const h = hash(name + 4, load<u32>(name), 0);
  const id = load<u32>(lock + LOCK_ID);
  let place = h;
  while ((load64(bucketAt(place)) as u32) != id) {
    if (load64(bucketAt(place)) == 0) return; // whoever made it died before its bucket was set
    place++;
  }
  store64(bucketAt(place), REMOVED);
  if (load64(bucketAt(place + 1)) != 0) return;
  // No walk goes on from here: backwards, what is removed is empty.
  for (let i: u32 = 0; i < buckets() && load64(bucketAt(place)) == REMOVED; i++)
    store64(bucketAt(place--), 0);
}

/** A record that nobody can find yet, at the gate. It stays this thread's spare until its bucket is set. Returns its address, LOCKS_FULL or LOCKS_NO_MEMORY. */
function newEntry(
  agent: usize,
  name: usize,
  length: u32,
  flags: u32,
  classId: u32,
  order: f64,
  holdMs: u32,
): usize {
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
  store<u32>(lock + LOCK_NAME, text as u32);
  store<u32>(lock + LOCK_CLASS, classId);
  store<f64>(lock + LOCK_ORDER, order);
  store<u32>(lock + LOCK_ID, id);
  store<u32>(lock + LOCK_HOLD_MS, holdMs);
  store<u32>(lock + LOCK_DEPTH, 0);
  store<u32>(lock + LOCK_TAKEN_COUNT, 0);
  const users = (flags & LOCK_FLAG_CLASS) != 0 ? 0 : LOCK_USER_ONE;
  store32(lock + LOCK_FLAGS, (load32(lock + LOCK_FLAGS) & LOCK_TURN_MASK) | users | flags);
  return lock;
}

/** A number that was given back, or the next; 0 when the runtime has as many as it may have. At the gate. */
function takeNumber(): u32 {
  const freed = load32(HEADER_LOCK_FREE);
  if (freed != 0) {
    store32(HEADER_LOCK_FREE, load<u32>(lockAt(freed) + LOCK_NEXT));
    return freed;
  }
  const count = load32(HEADER_LOCK_COUNT);
  if (count >= load<u32>(HEADER_LOCK_MAX)) return 0;
  store32(HEADER_LOCK_COUNT, count + 1);
  return count + 1;
}

/** Units of a name with its length. */
function unitsOf(length: u32): u32 {
  return (length + 3 + (1 << NAME_UNIT_LOG2)) >> NAME_UNIT_LOG2;
}

/** Keeps a name until reuseLock(). Returns its address, or 0 when the memory is full. At the gate. */
function keepName(name: usize, length: u32): usize {
  const units = unitsOf(length);
  const freed: usize = load32(freeNames(units));
  if (freed != 0) {
    store32(freeNames(units), load<u32>(freed));
    return writeName(freed, name, length);
  }
  const bytes = units << NAME_UNIT_LOG2;
  let cursor = load32(HEADER_LOCK_NAMES);
  // At the end of its span the cursor is 0 modulo the span's size: no room, whatever comes behind.
  if (((SPAN_SIZE - (cursor & (SPAN_SIZE - 1))) & (SPAN_SIZE - 1)) < bytes) {
    // Of the last span at most a name's length is lost.
    cursor = claimSpans(1, OWNER_SHARED) as u32;
    if (cursor == 0) return 0;
  }
  store32(HEADER_LOCK_NAMES, cursor + bytes);
  return writeName(cursor, name, length);
}

function writeName(to: usize, name: usize, length: u32): usize {
  store<u32>(to, length);
  memory.copy(to + 4, name, length);
  return to;
}

/** The highest number that a lock or class was ever given. */
export function lockCount(): u32 {
  return load32(HEADER_LOCK_COUNT);
}

/** Writes what the runtime allows and checks. Called once, before any other thread sees the memory. */
export function configureLocks(most: u32, modes: u32, strategy: u32): void {
  store32(HEADER_LOCK_MAX, most);
  store32(HEADER_LOCK_MODES, modes);
  store32(HEADER_LOCK_STRATEGY, strategy);
}
