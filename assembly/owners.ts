/**
 * Owners of locks: tasks, contexts, objects and threads, each a record of 64 bytes (picture: layout.ts). An owner belongs to one thread,
 * which alone takes locks for it; others read what it waits for, and recovery reads all of it once the thread is dead.
 *
 *   owner chunks: | chunk 0 | chunk 1 | 0 | ...      each one span: record 0 = whose it is, records 1..1023 owners
 *
 * A thread takes a chunk that a dead one left, or a new one, with a CAS on a word of record 0 or of the table, and is the only one that
 * gives out its records: a free list, then the next that was never used. So making an owner needs no atomic read-modify-write, but for
 * its epoch. A record stays an owner's record for ever and its epoch only grows, so a look at an owner that is gone sees another epoch.
 *
 * | kind | means | set by |
 * | --- | --- | --- |
 * | FREE | on its thread's free list, or never used | its thread, recovery |
 * | THREAD TASK CONTEXT EXPLICIT | an owner | its thread |
 * | AWAIT | a call that an owner awaits: an edge of the wait-for graph on its own | its thread |
 * | FLOW | one more wait of an owner that waits already | its thread |
 */
import { agentAt } from './agents';
import { add32, cas32, load32, store32 } from './atomics';
import {
  AGENT_ID,
  AGENT_OWNER_CARVE,
  AGENT_OWNER_FREE,
  AGENT_OWNER_LEFT,
  CHUNK_LOG2,
  CHUNK_RECORDS,
  HEADER_LOCK_TABLES,
  MAX_OWNER_CHUNKS,
  OWNER_AGENT,
  OWNER_AWAITS,
  OWNER_BORN,
  OWNER_CACHE,
  OWNER_CANCEL,
  OWNER_EPOCH,
  OWNER_FLAGS,
  OWNER_HELD,
  OWNER_ID_BITS,
  OWNER_KIND,
  OWNER_NEXT,
  OWNER_PENDING,
  OWNER_SIZE,
  OWNER_SLOT,
  OWNER_TEXT,
  OWNER_WAITING,
  OWNER_WORD,
  WORD_OWNER_SHIFT,
} from './layout';
import { ensureChunk, ensureTables, ownerChunk } from './lock-table';
import { OWNER_FLAG_CLASS_SHIFT, OWNER_KIND_FREE } from './status';

/** In record 0 of a chunk: the agent that gives out its records, or 0. */
const CHUNK_AGENT: u32 = 0;
/** How many of its records were ever used. */
const CHUNK_USED: u32 = 4;

/** Address of owner `id`, or 0 when there is no such chunk. */
export function ownerAt(id: u32): usize {
  const chunk: usize = load32(ownerChunk((id & ((1 << OWNER_ID_BITS) - 1)) >> CHUNK_LOG2));
  return chunk == 0 ? 0 : chunk + (id & (CHUNK_RECORDS - 1)) * OWNER_SIZE;
}

/** The number of an owner. */
export function ownerId(owner: usize): u32 {
  return load<u32>(owner + OWNER_WORD) >> WORD_OWNER_SHIFT; // plain: never changes
}

/** Makes an owner. `qosClass`: one more than CLASS_*, or 0. Returns its address, or 0 when the memory is full. Only `agent`'s own thread may call it. */
export function claimOwner(agent: usize, kind: u32, slot: usize, qosClass: u32, bornMs: f64): usize {
  let owner: usize = load<u32>(agent + AGENT_OWNER_FREE); // plain: owner only, as all that follows but the epoch and the kind
  if (owner != 0) {
    store<u32>(agent + AGENT_OWNER_FREE, load<u32>(owner + OWNER_NEXT));
  } else {
    owner = carve(agent);
    if (owner == 0) return 0;
  }
  store<u8>(owner + OWNER_AGENT, load<u32>(agent + AGENT_ID) as u8);
  store<u32>(owner + OWNER_HELD, 0);
  store<u32>(owner + OWNER_PENDING, 0);
  store<u32>(owner + OWNER_SLOT, slot as u32);
  store<u8>(owner + OWNER_FLAGS, (qosClass << OWNER_FLAG_CLASS_SHIFT) as u8);
  store<u32>(owner + OWNER_TEXT, 0);
  store<u32>(owner + OWNER_NEXT, 0);
  store<u32>(owner + OWNER_CACHE, 0);
  store<u32>(owner + OWNER_AWAITS, 0);
  store<f64>(owner + OWNER_BORN, bornMs);
  // From here on it may be met by its slot. Pairs with ownerOfSlot() in waits.ts.
  store32(owner + OWNER_KIND, kind);
  return owner;
}

/** A record that was never used, of this thread's chunk or of a new one. */
function carve(agent: usize): usize {
  if (load<u32>(agent + AGENT_OWNER_LEFT) == 0 && !takeChunk(agent)) return 0;
  const owner: usize = load<u32>(agent + AGENT_OWNER_CARVE);
  const chunk = owner & ~(CHUNK_RECORDS * OWNER_SIZE - 1);
  // Before the record is anybody's: recovery looks at the records below this mark.
  store32(chunk + CHUNK_USED, ((owner - chunk) as u32) / OWNER_SIZE);
  store<u32>(agent + AGENT_OWNER_CARVE, (owner as u32) + OWNER_SIZE);
  store<u32>(agent + AGENT_OWNER_LEFT, load<u32>(agent + AGENT_OWNER_LEFT) - 1);
  return owner;
}

function takeChunk(agent: usize): bool {
  if (!ensureTables()) return false;
  const self = load<u32>(agent + AGENT_ID);
  for (let i: u32 = 0; i < MAX_OWNER_CHUNKS; i++) {
    const chunk = ensureChunk(ownerChunk(i));
    if (chunk == 0) return false;
    if (load32(chunk + CHUNK_AGENT) != 0) continue;
    // mutant CHUNK_BY_STORE: { store32(chunk + CHUNK_AGENT, self); useChunk(agent, chunk, i); return true; }
    if (!cas32(chunk + CHUNK_AGENT, 0, self)) continue;
    useChunk(agent, chunk, i);
    return true;
  }
  return false;
}

/** Numbers the records of a chunk that is this thread's now. */
function useChunk(agent: usize, chunk: usize, i: u32): void {
  for (let record: u32 = 1; record < CHUNK_RECORDS; record++) {
    const id = (i << CHUNK_LOG2) | record;
    const owner = chunk + record * OWNER_SIZE;
    store<u32>(owner + OWNER_WORD, id << WORD_OWNER_SHIFT);
    // 0 stands in OWNER_CANCEL and means no epoch.
    if (load<u32>(owner + OWNER_EPOCH) == 0) store<u32>(owner + OWNER_EPOCH, 1);
  }
  store<u32>(agent + AGENT_OWNER_CARVE, (chunk as u32) + OWNER_SIZE);
  store<u32>(agent + AGENT_OWNER_LEFT, CHUNK_RECORDS - 1);
}

/** Gives the record of an owner back that holds nothing and waits for nothing. Only `agent`'s own thread may call it. */
export function freeOwner(agent: usize, owner: usize): void {
  add32(owner + OWNER_EPOCH, 1);
  store32(owner + OWNER_KIND, OWNER_KIND_FREE);
  store<u32>(owner + OWNER_NEXT, load<u32>(agent + AGENT_OWNER_FREE)); // plain: owner only
  store<u32>(agent + AGENT_OWNER_FREE, owner as u32);
}

/** Recovery, and who looks for an owner: the chunk number `i` when it is `agentId`'s, or 0. */
export function chunkOf(i: u32, agentId: u32): usize {
  const chunk: usize = load32(ownerChunk(i));
  return chunk != 0 && load32(chunk + CHUNK_AGENT) == agentId ? chunk : 0;
}

/** The highest record of a chunk that was ever used. */
export function usedRecords(chunk: usize): u32 {
  return load32(chunk + CHUNK_USED);
}

/** Recovery: a chunk whose owners are all gone is anybody's. */
export function leaveChunk(chunk: usize): void {
  store32(chunk + CHUNK_AGENT, 0);
}

/** Recovery: the owner is gone. */
export function forgetOwner(owner: usize): void {
  store32(owner + OWNER_WAITING, 0);
  add32(owner + OWNER_EPOCH, 1);
  store32(owner + OWNER_CANCEL, 0);
  store32(owner + OWNER_KIND, OWNER_KIND_FREE);
}

/** The agent whose thread the owner belongs to. */
export function agentOf(owner: usize): usize {
  return agentAt(load<u8>(owner + OWNER_AGENT)); // plain: written at birth
}

/** The highest record of chunk `i` of owners that was ever used; 0 when there is no such chunk. */
export function usedOwners(i: u32): u32 {
  if (load32(HEADER_LOCK_TABLES) == 0) return 0;
  const chunk: usize = load32(ownerChunk(i));
  return chunk == 0 ? 0 : usedRecords(chunk);
}
