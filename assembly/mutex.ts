/**
 * The mutex: one word of its record (picture: layout.ts) says who has it and what others want of it.
 *
 *    31  30                12 11        3  2  1  0
 *   +---+--------------------+-----------+--+--+--+
 *   | 0 |  owner, 0 = free   | sequence  |A |H |C |
 *   +---+--------------------+-----------+--+--+--+
 *
 * | bit | means | set by | cleared by |
 * | --- | --- | --- | --- |
 * | C contended | somebody sleeps, or is about to | a waiter, before it sleeps (prepareWait) | the unlock that wakes one; a lock that goes to a waiter keeps it |
 * | H handoff | kept for the waiter whose id is in LOCK_HANDOFF | that waiter (requestHandoff) | that waiter: when it takes the lock, when it gives up; recovery, when it is dead |
 * | A abandoned | its holder ended while it held it | recovery, or the end of an owner (abandon) | unlock by whoever took it in spite of that (takeAbandoned) |
 * | sequence | - | a canceller adds one (bump) | never |
 *
 * | owner | H | A | state | who may take it |
 * | --- | --- | --- | --- | --- |
 * | 0 | 0 | 0 | free | anybody: barging |
 * | 0 | 1 | 0 | reserved | the waiter in LOCK_HANDOFF |
 * | 0 | any | 1 | abandoned | who asks for it with takeAbandoned(); others are told |
 * | id | any | any | held | nobody |
 *
 * The first three are one test, "nothing but a sequence": that is the fast path of tryLock(). unlock() has the same shape: the owner and
 * nothing else. So an uncontended pair is two CAS and wakes nobody.
 *
 * **No wake-up is lost.** A waiter sets C with a CAS on a held word, then sleeps on that very word. The holder's unlock is a CAS from the
 * whole word: either it sees C and wakes one, or the waiter's CAS fails and it looks again, or the word has changed before it sleeps and it
 * does not sleep. Whoever was woken and takes the lock sets C, since others may sleep still; whoever was woken and gives up wakes the next
 * (leaveWait), whatever the word says. The next sees to C itself.
 *
 * **No cancel is lost.** A waiter reads the word, then looks whether it was cancelled, then sleeps on the word that it read. A canceller
 * writes that it is cancelled, then changes the word (the sequence), then wakes all. Either the waiter's look comes after the first, or the
 * word that it sleeps on has changed, or it sleeps already and is woken. (Flag before word loses a cancel.) The sequence has 9 bits: 512 cancels
 * between a waiter's read of the word and its sleep would bring the same word again.
 *
 * **Nobody starves.** Barging keeps a lock moving while its waiters wake up, and could keep it from them. A waiter that is older than about
 * a millisecond reserves it, and so does one that spins and has been passed over a few times (spinLock): the next unlock leaves the lock to it and
 * wakes all, as nobody knows where in the queue it sleeps. Only one can
 * hold the reservation; LOCK_HANDOFF is set with a CAS before H and cleared after it, so H always speaks of the waiter that stands there.
 *
 * **Death at any point.** The owner's record names the lock before the CAS that takes or frees it (OWNER_PENDING) and lists those it holds. So a
 * dead owner's locks are those of its list and the pending one, as far as their word says so: recovery marks them abandoned and wakes all who
 * wait. If the word of the pending one is not the dead's, it had not taken it, or had freed it and perhaps woken nobody yet: recovery wakes all.
 * Reservations and waits of the dead are undone as by a cancel, and wake all likewise. So a wake-up that it swallowed is sent again. Who spins has
 * published no wait: it names the lock as pending before it reserves it.
 *
 * Model: shared design, "cancelmutex". The sequence there is part of the held word only; here it outlives the holder, so that a lock which was
 * freed and taken again between read and sleep is no trap.
 */
import { cas32, load32, notifyAll, notifyOne, store32, wait32 } from './atomics';
import {
  LOCK_DEPTH,
  LOCK_FLAGS,
  LOCK_HANDOFF,
  LOCK_NEXT,
  LOCK_PREV,
  LOCK_TAKEN_COUNT,
  LOCK_TEXT,
  LOCK_WORD,
  OWNER_HELD,
  OWNER_PENDING,
  OWNER_WORD,
  WORD_ABANDONED,
  WORD_CONTENDED,
  WORD_HANDOFF,
  WORD_OWNER_MASK,
  WORD_OWNER_SHIFT,
  WORD_SEQ_MASK,
  WORD_SEQ_ONE,
} from './layout';
import {
  LOCK_ABANDONED,
  LOCK_BUSY,
  LOCK_CLOSED,
  LOCK_FLAG_REENTRANT,
  LOCK_NOT_OWNER,
  LOCK_OWN,
  LOCK_RELEASED,
  LOCK_TAKEN,
} from './status';

// ---- taking ------------------------------------------------------------------------------------------------------------------------------------

/** Takes the lock if it is free. LOCK_TAKEN, LOCK_BUSY, LOCK_OWN, LOCK_ABANDONED or LOCK_CLOSED. */
export function tryLock(lock: usize, owner: usize): i32 {
  const mine = load<u32>(owner + OWNER_WORD); // plain: never changes
  const word = load32(lock + LOCK_WORD);
  // An address of 0 finds 0 in the null guard: nobody.
  if ((word & ~WORD_SEQ_MASK) != 0 || mine == 0) return trySlow(lock, owner, mine, 0);
  store<u32>(owner + OWNER_PENDING, lock as u32); // plain: read after this thread's death only
  // mutant LOCK_WITHOUT_CAS: { store32(lock + LOCK_WORD, word | mine); link(lock, owner); return LOCK_TAKEN; }
  if (!cas32(lock + LOCK_WORD, word, word | mine)) {
    store<u32>(owner + OWNER_PENDING, 0);
    return trySlow(lock, owner, mine, 0);
  }
  link(lock, owner);
  return LOCK_TAKEN;
}

/** Enters a lock just taken in its owner's list. All plain: this thread's only, and recovery's after its death. */
function link(lock: usize, owner: usize): void {
  const head: usize = load<u32>(owner + OWNER_HELD);
  store<u32>(lock + LOCK_NEXT, head as u32);
  store<u32>(lock + LOCK_PREV, 0);
  store<u32>(owner + OWNER_HELD, lock as u32);
  store<u32>(owner + OWNER_PENDING, 0);
  if (head != 0) store<u32>(head + LOCK_PREV, lock as u32);
  store<u32>(lock + LOCK_TAKEN_COUNT, load<u32>(lock + LOCK_TAKEN_COUNT) + 1);
}

/** Takes a lock out of its owner's list; its own LOCK_NEXT stays, so a walk that stands on it goes on. Plain, as above. */
function unlink(lock: usize, owner: usize): void {
  const next: usize = load<u32>(lock + LOCK_NEXT);
  const prev: usize = load<u32>(lock + LOCK_PREV);
  if (prev == 0) store<u32>(owner + OWNER_HELD, next as u32);
  else store<u32>(prev + LOCK_NEXT, next as u32);
  if (next != 0) store<u32>(next + LOCK_PREV, prev as u32);
}

/** May `mine` take a lock with this word? LOCK_TAKEN when it may. */
function verdict(lock: usize, mine: u32, word: u32): i32 {
  if (mine == 0) return LOCK_CLOSED;
  const holder = word & WORD_OWNER_MASK;
  if (holder == mine) return LOCK_OWN;
  if (holder != 0) return LOCK_BUSY;
  // mutant BARGES_RESERVED: return (word & WORD_ABANDONED) != 0 ? LOCK_ABANDONED : LOCK_TAKEN;
  if ((word & WORD_HANDOFF) != 0 && load32(lock + LOCK_HANDOFF) != mine >> WORD_OWNER_SHIFT) return LOCK_BUSY;
  return (word & WORD_ABANDONED) != 0 ? LOCK_ABANDONED : LOCK_TAKEN;
}

/** `keep`: bits that the word has when it is taken: WORD_CONTENDED by who may have slept, WORD_ABANDONED by who knows of it. */
function take(lock: usize, owner: usize, mine: u32, word: u32, keep: u32): bool {
  // Who spins may have reserved the lock, and is pending until it stops.
  const before = load<u32>(owner + OWNER_PENDING); // plain, as below
  store<u32>(owner + OWNER_PENDING, lock as u32); // plain: read after this thread's death only
  // mutant NOTHING_PENDING: store<u32>(owner + OWNER_PENDING, 0);
  // mutant TAKES_UNCONTENDED: { if (!cas32(lock + LOCK_WORD, word, (word & WORD_SEQ_MASK) | mine)) return false; if ((word & WORD_HANDOFF) != 0) store32(lock + LOCK_HANDOFF, 0); link(lock, owner); return true; }
  const taken = (word & (WORD_SEQ_MASK | WORD_CONTENDED)) | mine | keep;
  if (!cas32(lock + LOCK_WORD, word, taken)) {
    store<u32>(owner + OWNER_PENDING, before);
    return false;
  }
  // It was reserved for us: only now may another reserve it.
  if ((word & WORD_HANDOFF) != 0) store32(lock + LOCK_HANDOFF, 0);
  link(lock, owner);
  return true;
}

function enterAgain(lock: usize): i32 {
  if ((load<u32>(lock + LOCK_FLAGS) & LOCK_FLAG_REENTRANT) == 0) return LOCK_OWN; // plain: never changes
  store<u32>(lock + LOCK_DEPTH, load<u32>(lock + LOCK_DEPTH) + 1); // plain: holder only
  return LOCK_TAKEN;
}

function trySlow(lock: usize, owner: usize, mine: u32, keep: u32): i32 {
  while (true) {
    const word = load32(lock + LOCK_WORD);
    const answer = verdict(lock, mine, word);
    if (answer == LOCK_OWN) return enterAgain(lock);
    if (answer != LOCK_TAKEN) return answer;
    if (take(lock, owner, mine, word, keep)) return LOCK_TAKEN;
  }
}

/** Takes a lock that is abandoned and free; it stays marked until it is unlocked. As tryLock() when it is not abandoned. */
export function takeAbandoned(lock: usize, owner: usize): i32 {
  const mine = load<u32>(owner + OWNER_WORD); // plain: never changes
  while (true) {
    const word = load32(lock + LOCK_WORD);
    const answer = verdict(lock, mine, word);
    if (answer == LOCK_OWN) return enterAgain(lock);
    if (answer != LOCK_TAKEN && answer != LOCK_ABANDONED) return answer;
    if (take(lock, owner, mine, word, word & WORD_ABANDONED)) return LOCK_TAKEN;
  }
}

/**
 * Looks at most `rounds` times, with `pause` loads of another line between: the holder must find the lock's line where it left it. Answers as
 * tryLock(). For who expects the lock soon. `slept`: the caller has slept on the lock, so others may sleep still, and their wake-up is its unlock.
 * `reserve`: it has been passed over often, so the lock is kept for it, until it has it or says endSpin(); it must not do anything else before.
 */
export function spinLock(lock: usize, owner: usize, rounds: u32, pause: u32, slept: u32, reserve: u32): i32 {
  const mine = load<u32>(owner + OWNER_WORD); // plain: never changes
  if (reserve != 0) {
    // Before the reservation: it publishes no wait, so recovery finds the lock here.
    store<u32>(owner + OWNER_PENDING, lock as u32); // plain: read after this thread's death only
    // mutant SPINS_UNPENDING: store<u32>(owner + OWNER_PENDING, 0);
    requestHandoff(lock, owner);
  }
  for (let i: u32 = 0; i < rounds; i++) {
    for (let j: u32 = 0; j < pause; j++) load32(0);
    const answer = verdict(lock, mine, load32(lock + LOCK_WORD));
    if (answer == LOCK_BUSY) continue;
    // mutant SPINS_UNCONTENDED: { if (trySlow(lock, owner, mine, 0) == LOCK_BUSY) continue; return LOCK_TAKEN; }
    const taken = trySlow(lock, owner, mine, slept != 0 ? WORD_CONTENDED : 0);
    if (taken != LOCK_BUSY) return taken;
  }
  return LOCK_BUSY;
}

/** Who has reserved a lock while it spun goes without it, or to sleep. */
export function endSpin(lock: usize, owner: usize): void {
  // mutant SPIN_KEEPS_RESERVATION: { store<u32>(owner + OWNER_PENDING, 0); return; }
  leaveWait(lock, owner);
  store<u32>(owner + OWNER_PENDING, 0); // plain: read after this thread's death only
}

// ---- waiting -----------------------------------------------------------------------------------------------------------------------------------

/**
 * One look of a waiter: takes the lock if it may, else says in the word that it will sleep and returns the word to sleep on. It must look whether it
 * was cancelled after this and before it sleeps. LOCK_TAKEN, LOCK_OWN, LOCK_ABANDONED, LOCK_CLOSED, or a word.
 */
export function prepareWait(lock: usize, owner: usize): i32 {
  const mine = load<u32>(owner + OWNER_WORD); // plain: never changes
  while (true) {
    const word = load32(lock + LOCK_WORD);
    const answer = verdict(lock, mine, word);
    if (answer == LOCK_TAKEN) {
      if (take(lock, owner, mine, word, WORD_CONTENDED)) return LOCK_TAKEN;
      continue;
    }
    if (answer == LOCK_OWN) return enterAgain(lock);
    if (answer != LOCK_BUSY) return answer;
    if ((word & WORD_CONTENDED) != 0) return word as i32;
    // mutant CONTENDED_UNSAID: return word as i32;
    // Pairs with the CAS in unlock(): that one fails now, or we look again.
    if (cas32(lock + LOCK_WORD, word, word | WORD_CONTENDED)) return (word | WORD_CONTENDED) as i32;
  }
}

/** Blocks the thread while the lock has this word, at most `timeoutMs` (negative: for ever). */
export function waitLock(lock: usize, word: u32, timeoutMs: f64): void {
  wait32(lock + LOCK_WORD, word, timeoutMs < 0 ? -1 : ((timeoutMs * 1e6) as i64));
}

/** A waiter asks that the lock be kept for it. It takes it with its next look, or sleeps as before. */
export function requestHandoff(lock: usize, owner: usize): void {
  const id = load<u32>(owner + OWNER_WORD) >> WORD_OWNER_SHIFT; // plain: never changes
  if (load32(lock + LOCK_HANDOFF) != 0 || !cas32(lock + LOCK_HANDOFF, 0, id)) return;
  while (true) {
    const word = load32(lock + LOCK_WORD);
    if ((word & WORD_OWNER_MASK) == 0) {
      // Free: the next look is as good.
      store32(lock + LOCK_HANDOFF, 0);
      return;
    }
    if (cas32(lock + LOCK_WORD, word, word | WORD_HANDOFF)) return;
  }
}

/** Undoes a reservation. */
function retract(lock: usize, id: u32): void {
  if (load32(lock + LOCK_HANDOFF) != id) return;
  while (true) {
    const word = load32(lock + LOCK_WORD);
    if ((word & WORD_HANDOFF) == 0 || cas32(lock + LOCK_WORD, word, word & ~WORD_HANDOFF)) break;
  }
  // Last: from here on another may reserve it.
  store32(lock + LOCK_HANDOFF, 0);
}

/** A waiter goes without the lock: what it had asked for is undone, and a wake-up that was meant for it goes to the next. */
export function leaveWait(lock: usize, owner: usize): void {
  // mutant KEEPS_RESERVATION: { notifyOne(lock + LOCK_WORD); return; }
  retract(lock, load<u32>(owner + OWNER_WORD) >> WORD_OWNER_SHIFT);
  // mutant DROPS_WAKE: return;
  notifyOne(lock + LOCK_WORD);
}

/** A canceller, after it has written that a wait is cancelled: no waiter sleeps on, or goes to sleep, without having seen it. */
export function bump(lock: usize): void {
  // mutant CANCEL_KEEPS_SEQUENCE: { notifyAll(lock + LOCK_WORD); return; }
  while (true) {
    const word = load32(lock + LOCK_WORD);
    // mutant SEQUENCE_CARRIES: { if (cas32(lock + LOCK_WORD, word, word + WORD_SEQ_ONE)) break; continue; }
    const next = (word & ~WORD_SEQ_MASK) | ((word + WORD_SEQ_ONE) & WORD_SEQ_MASK);
    if (cas32(lock + LOCK_WORD, word, next)) break;
  }
  notifyAll(lock + LOCK_WORD);
}

/** A thread whose event loop slept on the lock and was woken in vain: the wake-up goes to the next. */
export function passWake(lock: usize): void {
  notifyOne(lock + LOCK_WORD);
}

// ---- giving back -------------------------------------------------------------------------------------------------------------------------------

/** LOCK_RELEASED, or LOCK_NOT_OWNER: nothing is changed then. */
export function unlock(lock: usize, owner: usize): i32 {
  const mine = load<u32>(owner + OWNER_WORD); // plain: never changes
  const word = load32(lock + LOCK_WORD);
  if ((word & WORD_OWNER_MASK) != mine || mine == 0) return LOCK_NOT_OWNER;
  const depth = load<u32>(lock + LOCK_DEPTH); // plain: holder only
  if (depth != 0) {
    store<u32>(lock + LOCK_DEPTH, depth - 1);
    return LOCK_RELEASED;
  }
  store<u32>(owner + OWNER_PENDING, lock as u32); // plain: read after this thread's death only
  unlink(lock, owner);
  if (word != (mine | (word & WORD_SEQ_MASK)) || !cas32(lock + LOCK_WORD, word, word & WORD_SEQ_MASK))
    unlockSlow(lock);
  store<u32>(owner + OWNER_PENDING, 0);
  return LOCK_RELEASED;
}

function unlockSlow(lock: usize): void {
  while (true) {
    const word = load32(lock + LOCK_WORD);
    if ((word & WORD_HANDOFF) != 0) {
      // C stays: the one that it is kept for is not the only one that may sleep.
      if (!cas32(lock + LOCK_WORD, word, word & (WORD_SEQ_MASK | WORD_HANDOFF | WORD_CONTENDED))) continue;
      // mutant HANDOFF_WAKES_ONE: { notifyOne(lock + LOCK_WORD); return; }
      // Who sleeps has set C, and nothing has cleared it since; who spins needs no call.
      if ((word & WORD_CONTENDED) != 0) notifyAll(lock + LOCK_WORD);
      return;
    }
    if (!cas32(lock + LOCK_WORD, word, word & WORD_SEQ_MASK)) continue;
    // mutant UNLOCK_WAKES_NOBODY: return;
    if ((word & WORD_CONTENDED) != 0) notifyOne(lock + LOCK_WORD);
    return;
  }
}

// ---- owners that end -----------------------------------------------------------------------------------------------------------------------------

/** Frees a lock that an owner leaves behind, marks it, and wakes all who wait. False when the owner does not hold it. */
function abandon(lock: usize, mine: u32): bool {
  while (true) {
    const word = load32(lock + LOCK_WORD);
    if ((word & WORD_OWNER_MASK) != mine) return false;
    store<u32>(lock + LOCK_DEPTH, 0); // plain: published by the CAS
    store<u32>(lock + LOCK_TEXT, 0);
    // mutant ABANDON_UNMARKED: { if (cas32(lock + LOCK_WORD, word, word & (WORD_SEQ_MASK | WORD_HANDOFF))) break; continue; }
    const freed = (word & (WORD_SEQ_MASK | WORD_HANDOFF)) | WORD_ABANDONED;
    if (cas32(lock + LOCK_WORD, word, freed)) break;
  }
  notifyAll(lock + LOCK_WORD);
  return true;
}

/** An owner ends, or recovery finds it dead: its locks are free, and abandoned. Returns how many it held. */
export function abandonHeld(owner: usize): u32 {
  const mine = load<u32>(owner + OWNER_WORD);
  let count: u32 = 0;
  while (true) {
    const lock: usize = load<u32>(owner + OWNER_HELD);
    if (lock == 0) break;
    // First out of the list: once it is free its next holder writes LOCK_NEXT.
    const next = load<u32>(lock + LOCK_NEXT);
    store<u32>(owner + OWNER_PENDING, lock as u32);
    store<u32>(owner + OWNER_HELD, next);
    if (abandon(lock, mine)) count++;
  }
  store<u32>(owner + OWNER_PENDING, 0);
  return count;
}

/** Recovery: what a dead owner was about to do with a lock is finished for it. True when it held that lock. */
export function settlePending(owner: usize): bool {
  // mutant PENDING_FORGOTTEN: return false;
  const lock: usize = load<u32>(owner + OWNER_PENDING);
  if (lock == 0) return false;
  const mine = load<u32>(owner + OWNER_WORD);
  retract(lock, mine >> WORD_OWNER_SHIFT);
  // mutant PENDING_STAYS_LISTED: return abandon(lock, mine);
  dropFromList(lock, owner);
  const held = abandon(lock, mine);
  if (!held) notifyAll(lock + LOCK_WORD);
  store<u32>(owner + OWNER_PENDING, 0);
  return held;
}

/** It may stand in the list still, or already; once it is free its next holder writes LOCK_NEXT. All plain: the owner is dead. */
function dropFromList(lock: usize, owner: usize): void {
  let place = owner + OWNER_HELD;
  while (true) {
    const at: usize = load<u32>(place);
    if (at == 0) return;
    if (at == lock) {
      store<u32>(place, load<u32>(lock + LOCK_NEXT));
      return;
    }
    place = at + LOCK_NEXT;
  }
}

/** Recovery: a dead owner waits no more. */
export function endWaitOfDead(lock: usize, owner: usize): void {
  // mutant DEAD_WAITER_SILENT: return;
  retract(lock, load<u32>(owner + OWNER_WORD) >> WORD_OWNER_SHIFT);
  notifyAll(lock + LOCK_WORD);
}
