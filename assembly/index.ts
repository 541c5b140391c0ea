/** The kernel's exports. Addresses are unsigned 32-bit numbers; JavaScript sees those above 2^31 as negative and shifts them with >>>. */
import { claimZeroed, openRoot } from './order-memory';
import { replaceRules } from './order-rules';
import { blockParked } from './parking';
import { count, record } from './stats';

export {
  agentAt,
  claimAgent,
  closePool,
  dequeOf,
  initMemory,
  joinAsSubmitter,
  joinAsWorker,
  openPool,
} from './agents';
export { allocate, release, takeReturns, tidy } from './arena';
export { cellAdd, cellCas, cellLoad, cellStore, cellSwap, findCell } from './cells';
export { armDoorbell, quietDoorbell, takeCompletions } from './completions';
export { entryAt, oldest } from './deque';
export { recoverLocks } from './lock-recovery';
export { configureLocks, lockAt, lockCount, openLock, reuseLock, sweepLock, unpinLock } from './lock-table';
export {
  abandonHeld,
  bump,
  endSpin,
  leaveWait,
  passWake,
  prepareWait,
  requestHandoff,
  spinLock,
  takeAbandoned,
  tryLock,
  unlock,
  waitLock,
} from './mutex';
export {
  beginClasses,
  checkOrder,
  describeLock,
  edgeBetween,
  explainOrder,
  forgetLock,
  internOrderText,
  keepStack,
  refuseOrder,
  resetOrder,
  validateOrder,
} from './order';
export { closeContext as closeOrder, contextOf as orderOf, openContext as openOrder } from './order-memory';
export { checkOwner, heldCount, listHeld, tryLockSeen, validateOwner } from './order-owners';
export { claimOwner, freeOwner, ownerAt, ownerId, usedOwners } from './owners';
export { finishPark, preparePark, unpark, unparkIfParked } from './parking';
export { addReach, clearBank, placeWorker } from './placement';
export { anyQueued, anyQueuedFor, queueDepth, queueDepthOf } from './queued';
export { isReferenced, reap, recover } from './recovery';
export {
  enterIdle,
  enterJoin,
  exitIdle,
  exitJoin,
  finish,
  fork,
  help,
  helpOwn,
  hungry,
  leaveJoin,
  search,
  startSearch,
  statusOf,
  stopSearch,
  submit,
  take,
  takeBack,
  takeFrom,
  takeOldest,
} from './scheduler';
export { addSlotSpan, cancel } from './slots';
export { claimSpans, releaseSpans, spanOwner as ownerOf, usedSpans } from './spans';
export {
  abortWait,
  addAwait,
  addFlow,
  beginWait,
  endWait,
  findCycle,
  isAborted,
  ownerAhead,
  ownerOfSlot,
  removeAwait,
  removeFlow,
  setBehind,
  wakeBlocked,
} from './waits';

/** A zeroed run of spans for compiled rules, or 0. */
export function claimOrderRun(spans: u32): usize {
  return openRoot() == 0 ? 0 : claimZeroed(spans);
}

/** Puts compiled rules in the place of the declared ones; 0 for none. */
export function declareRules(rules: usize, spans: u32): void {
  const at = openRoot();
  if (at != 0) replaceRules(at, rules, spans);
}

/** Adds to a counter of the calling thread's record. */
export function addCounter(counter: usize, delta: f64): void {
  count(counter, delta);
}

/** Counts `times` durations of `ns` nanoseconds in a histogram of the calling thread. */
export function recordDuration(histogram: usize, ns: f64, times: u32): void {
  record(histogram, ns, times);
}

/** Blocks the calling thread until it is unparked, at most `timeoutMs` (negative: for ever). Between preparePark() and finishPark(). */
export function block(agent: usize, timeoutMs: f64): void {
  blockParked(agent, timeoutMs < 0 ? -1 : ((timeoutMs * 1e6) as i64));
}
