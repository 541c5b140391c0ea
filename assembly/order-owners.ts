/**
 * The checks of lock order as mutexes ask for them: by the record of an owner (owners.ts), whose held locks are a list through their records,
 * newest first. Only the owner's own thread changes that list and calls here, so all of it is read plainly.
 */
import { add32, cas32, load32 } from './atomics';
import {
  CLASSES,
  CONTEXT_ANSWERS,
  CONTEXT_HELD_MOST,
  INFO_CLASS,
  INFO_NAME,
  LOCK_CLASS,
  LOCK_FLAGS,
  LOCK_ID,
  LOCK_NAME,
  LOCK_NEXT,
  LOCK_ORDER,
  OWNER_CACHE,
  OWNER_FLAGS,
  OWNER_HELD,
  ROOT_CLASSED,
  ROOT_OWNERS,
} from './layout';
import { lockAt } from './lock-table';
import { tryLock } from './mutex';
import {
  beginClasses,
  chainAt,
  checkSlow,
  countSeen,
  describeLock,
  flushSlow,
  isCountFull,
  isSeen,
  keyOfChain,
  validateOrder,
} from './order';
import { findInfo, mix, root } from './order-memory';
import { LOCK_FLAG_ORDER_KEY, LOCK_TAKEN, LOCK_UNSEEN, OWNER_FLAG_CLASS_SHIFT } from './status';

/** Number of an owner: never another's, as long as the graph lives. */
function numberOf(at: usize, owner: usize): u32 {
  const known = load<u32>(owner + OWNER_CACHE);
  if (known != 0) return known;
  const made = add32(at + ROOT_OWNERS, 1) + 1;
  store<u32>(owner + OWNER_CACHE, made);
  return made;
}

/** Key of the chain that `owner`, which holds something, taking `lock` (addresses) makes. */
function chainOfOwner(at: usize, owner: usize, lock: usize): u64 {
  let held: usize = load<u32>(owner + OWNER_HELD);
  const newest = load<u32>(held + LOCK_ID);
  const id = load<u32>(lock + LOCK_ID);
  let next: usize = load<u32>(held + LOCK_NEXT);
  if (next == 0) return keyOfChain(at, newest, 1, 0, id);
  let count: u32 = 1;
  let sum: u64 = mix(newest as u64);
  for (held = next; held != 0; held = next) {
    count++;
    sum += mix(load<u32>(held + LOCK_ID) as u64);
    next = load<u32>(held + LOCK_NEXT);
  }
  return keyOfChain(at, newest, count, sum, id);
}

/**
 * Looks at `owner` taking `lock` (addresses). Returns ORDER_*_BITs, as checkOrder(). With `isStrict` what is against an order is found again
 * each time; without, a chain that was reported counts as seen.
 */
export function checkOwner(context: usize, owner: usize, lock: usize, isStrict: u32): u32 {
  if (load<u32>(owner + OWNER_HELD) == 0) return 0;
  const at = root();
  const key = chainOfOwner(at, owner, lock);
  const who = numberOf(at, owner);
  const isKnown = isSeen(context, key, who);
  if (isKnown && !countSeen(context, key)) return 0;
  const id = load<u32>(lock + LOCK_ID);
  if (!isKnown) {
    describeAll(at, context, owner, lock);
    noteClasses(at, owner, lock);
  }
  const held = context + CONTEXT_ANSWERS;
  const length = listHeld(context, owner, heldCount(owner));
  if (!isKnown) return checkSlow(at, context, key, held, length, id, who, isStrict);
  flushSlow(at, context, chainAt(context, key), held, length, id);
  return 0;
}

/**
 * Takes the lock if it is free and its owner holds nothing, or what it holds was seen with this lock before: what most calls find. LOCK_UNSEEN: nothing was
 * done, the order is to be checked first. `context` may be 0, if this thread has checked nothing yet.
 */
export function tryLockSeen(context: usize, lock: usize, owner: usize): i32 {
  if (load<u32>(owner + OWNER_HELD) == 0) return tryLock(lock, owner);
  if (context == 0) return LOCK_UNSEEN;
  const at = root();
  const key = chainOfOwner(at, owner, lock);
  if (!isSeen(context, key, load<u32>(owner + OWNER_CACHE)) || isCountFull(context, key)) return LOCK_UNSEEN;
  const answer = tryLock(lock, owner);
  // Who does not get it is checked again, and counted, on the slow way.
  if (answer == LOCK_TAKEN) countSeen(context, key);
  return answer;
}

/** What checkOwner() would find, without learning anything: see validateOrder(). */
export function validateOwner(context: usize, owner: usize, lock: usize): u32 {
  const at = root();
  describeAll(at, context, owner, lock);
  const count = listHeld(context, owner, heldCount(owner));
  return validateOrder(context, context + CONTEXT_ANSWERS, count, load<u32>(lock + LOCK_ID));
}

/** As validateOrder() wants it: ids of the held locks, outermost first, where answers will stand later. Returns how many. */
export function listHeld(context: usize, owner: usize, count: u32): u32 {
  // The innermost ones count if there are too many; takeDown() in order.ts reports that.
  const most = min(count, CONTEXT_HELD_MOST + 1);
  let held: usize = load<u32>(owner + OWNER_HELD);
  for (let i = most; i > 0 && held != 0; i--) {
    store<u32>(context + CONTEXT_ANSWERS + ((i - 1) << 2), load<u32>(held + LOCK_ID));
    held = load<u32>(held + LOCK_NEXT);
  }
  return most;
}

/** How many locks an owner holds. */
export function heldCount(owner: usize): u32 {
  let count: u32 = 0;
  for (let held: usize = load<u32>(owner + OWNER_HELD); held != 0; held = load<u32>(held + LOCK_NEXT))
    count++;
  return count;
}

/** Makes the graph know names, classes and keys of all locks in a chain. */
function describeAll(at: usize, context: usize, owner: usize, lock: usize): void {
  describeRecord(at, context, lock);
  for (let held: usize = load<u32>(owner + OWNER_HELD); held != 0; held = load<u32>(held + LOCK_NEXT))
    describeRecord(at, context, held);
}

/** Remembers of all locks in a chain that an owner of this class has to do with them. */
function noteClasses(at: usize, owner: usize, lock: usize): void {
  const qosClass = (load<u8>(owner + OWNER_FLAGS) as u32) >> OWNER_FLAG_CLASS_SHIFT;
  if (qosClass == 0) return;
  noteClassOf(at, lock, CLASSES + 1 - qosClass);
  for (let held: usize = load<u32>(owner + OWNER_HELD); held != 0; held = load<u32>(held + LOCK_NEXT))
    noteClassOf(at, held, CLASSES + 1 - qosClass);
}

function noteClassOf(at: usize, lock: usize, level: u32): void {
  raiseClass(at, load<u32>(lock + LOCK_ID), level);
  const ofClass = load<u32>(lock + LOCK_CLASS);
  if (ofClass != 0) raiseClass(at, ofClass, level);
}

function raiseClass(at: usize, id: u32, level: u32): void {
  const info = findInfo(at, id);
  while (info != 0) {
    const known = load32(info + INFO_CLASS);
    if (known >= level || cas32(info + INFO_CLASS, known, level)) return;
  }
}

/** Tells the graph what a lock's record says, once. */
function describeRecord(at: usize, context: usize, lock: usize): void {
  const id = load<u32>(lock + LOCK_ID);
  const info = findInfo(at, id);
  if (info == 0 || load32(info + INFO_NAME) != 0) return;
  const ofClass = load<u32>(lock + LOCK_CLASS);
  const isKeyed = load<u32>(lock + LOCK_FLAGS) & LOCK_FLAG_ORDER_KEY;
  if (ofClass != 0) {
    describeRecord(at, context, lockAt(ofClass));
    if (load32(at + ROOT_CLASSED) == 0) beginClasses(context);
  }
  describeLock(id, load<u32>(lock + LOCK_NAME), ofClass, isKeyed, load<f64>(lock + LOCK_ORDER));
}
