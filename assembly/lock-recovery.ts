/**
 * What a dead thread leaves in locks: those that its owners held, what they were about to do, what they waited for. Called by recover() for every
 * agent that died, and by the thread that made the runtime for threads that joined it on their own.
 *
 * For each owner of the agent, in this order: the lock that it was in the middle of taking or giving back (OWNER_PENDING), which must leave its
 * list before it is free; then its list; then its wait. Each leaves the word as if the owner had ended alive, and wakes all who sleep on that
 * lock, so a wake-up that the dead one had been given is given again. Whether a half-done step took place is read from the word: see mutex.ts.
 *
 * A second recovery of the same agent finds nothing: the records are free then.
 */
import { load32, store32 } from './atomics';
import {
  AGENT_BLOCKED,
  AGENT_ID,
  HEADER_LOCK_TABLES,
  MAX_OWNER_CHUNKS,
  OWNER_KIND,
  OWNER_SIZE,
  OWNER_WAITING,
  WAIT_SLOT_BIT,
} from './layout';
import { openGateOf } from './lock-table';
import { abandonHeld, endWaitOfDead, settlePending } from './mutex';
import { chunkOf, forgetOwner, leaveChunk, usedRecords } from './owners';
import { OWNER_KIND_FREE } from './status';

/** Gives back all that the owners of a dead agent had. Returns how many locks were abandoned. */
export function recoverLocks(agent: usize): u32 {
  if (load32(HEADER_LOCK_TABLES) == 0) return 0;
  const id = load<u32>(agent + AGENT_ID);
  openGateOf(id);
  store32(agent + AGENT_BLOCKED, 0);
  let abandoned: u32 = 0;
  for (let i: u32 = 0; i < MAX_OWNER_CHUNKS; i++) {
    const chunk = chunkOf(i, id);
    if (chunk == 0) continue;
    // mutant LEAVES_CHUNK_FIRST: leaveChunk(chunk);
    const used = usedRecords(chunk);
    for (let record: u32 = 1; record <= used; record++)
      abandoned += recoverOwner(chunk + record * OWNER_SIZE);
    leaveChunk(chunk);
  }
  return abandoned;
}

function recoverOwner(owner: usize): u32 {
  if (load32(owner + OWNER_KIND) == OWNER_KIND_FREE) return 0;
  let abandoned = settlePending(owner) ? 1 : 0;
  abandoned += abandonHeld(owner);
  const target = load32(owner + OWNER_WAITING);
  if (target != 0 && (target & WAIT_SLOT_BIT) == 0) endWaitOfDead(target, owner);
  forgetOwner(owner);
  return abandoned;
}
