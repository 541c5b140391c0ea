import {
  LOCK_BUSY,
  LOCK_TAKEN,
  LOCK_TAKEN_COUNT,
  OWNER_FLAG_BREAKABLE,
  OWNER_FLAG_TRY,
  WORD_OWNER_MASK,
  WORD_OWNER_SHIFT,
} from '../../build/generated/layout.ts';
import {
  CANCELLED,
  HANDOFF_MS,
  type LockCore,
  TIMED_OUT,
  type WaitLimits,
  type WaitResult,
} from './lock-core.ts';

/** Looks of one call of the kernel, and the loads between two of them: at first short, then so long that the holder gets on meanwhile. */
const SPIN_ROUNDS = 4;
const PAUSE_FIRST = 32;
const PAUSE_MOST = 4096;
/** How long a lock is spun for that goes round, before the thread sleeps; also after it was woken and found the lock taken again. */
const SPIN_MS = 0.1;
/** Calls without any sign of the lock going round after which spinning ends: its holder holds it for long, or does not run. */
const QUIET_MOST = 6;
/** How often others may take a lock that is spun for before it is kept for who spins: two threads that want it all the time get about as much of it. */
const PASSED_MOST = 16;

/**
 * How long the thread that hears of the ends of others sleeps at a time. Who holds the lock may have ended, or who it waits for in turn, or they wait for
 * this thread to say whose wait a deadlock costs; the news stand in the event loop that this blocks.
 */
const LOOK_MS = 50;

/** Spins for a lock that goes round. An answer of the kernel; LOCK_BUSY: it should sleep. `slept`: it has, so others may sleep too. */
function spin(core: LockCore, owner: number, slept: number): number {
  const { kernel, host } = core.space;
  if (!host.maySpin) return LOCK_BUSY;
  const { calls, u32 } = kernel;
  const counter = (core.address + LOCK_TAKEN_COUNT) >>> 2;
  const until = host.clock.now() + SPIN_MS;
  const first = u32[counter]!;
  let seen = first;
  let quiet = 0;
  let pause = PAUSE_FIRST;
  let reserves = 0;
  let answer = LOCK_BUSY;
  do {
    answer = calls.spinLock(core.address, owner, SPIN_ROUNDS, pause, slept, reserves);
    if (answer !== LOCK_BUSY) break;
    const count = u32[counter]!;
    quiet = count === seen ? quiet + 1 : 0;
    seen = count;
    if (reserves === 0 && (count - first) >>> 0 > PASSED_MOST) {
      reserves = 1;
      pause = PAUSE_FIRST;
    } else if (pause < PAUSE_MOST) pause *= 2;
  } while (quiet < QUIET_MOST && host.clock.now() < until);
  if (reserves !== 0 && answer !== LOCK_TAKEN) calls.endSpin(core.address, owner);
  return answer;
}

/**
 * Waits for a lock and blocks the thread meanwhile.
 *
 * @throws {DeadlockError} ERR_DEADLOCK
 */
export function blockFor(core: LockCore, owner: number, limits: WaitLimits): WaitResult {
  const spun = spin(core, owner, 0);
  return spun === LOCK_BUSY ? sleepFor(core, owner, limits) : (spun as WaitResult);
}

function sleepFor(core: LockCore, owner: number, limits: WaitLimits): WaitResult {
  const { space, address } = core;
  const { detector, kernel } = space;
  const { calls } = kernel;
  const holder = holderOf(core);
  // Who holds it can only unlock when this thread goes on.
  if (holder !== 0 && space.isOwn(holder)) throw detector.errorOfThread(owner, holder, address);
  space.takeBackGranted();
  const flags = (limits.until === undefined ? 0 : OWNER_FLAG_BREAKABLE) | (limits.tries ? OWNER_FLAG_TRY : 0);
  const record = detector.begin(owner, address, flags, true, detector.captureStack(owner, true));
  let result: WaitResult | undefined;
  try {
    const error = limits.tries ? undefined : detector.check(record, address);
    if (error !== undefined) throw error;
    space.standAside();
    result = sleepUntil(core, owner, record, limits);
    return result;
  } finally {
    if (result !== LOCK_TAKEN) calls.leaveWait(address, owner);
    detector.end(record);
  }
}

function holderOf(core: LockCore): number {
  const { calls, i32 } = core.space.kernel;
  const holder = Atomics.load(i32, core.address >>> 2) & WORD_OWNER_MASK;
  return holder === 0 ? 0 : calls.ownerAt(holder >>> WORD_OWNER_SHIFT) >>> 0;
}

function sleepUntil(core: LockCore, owner: number, record: number, { until, tries }: WaitLimits): WaitResult {
  const { space, address } = core;
  const { host, detector, kernel } = space;
  const { calls } = kernel;
  const start = host.clock.now();
  const { lookAgainMs } = space;
  const restMs = host.recoverEnded === undefined ? lookAgainMs : LOOK_MS;
  let lookedAt = start;
  let checkedAt = start;
  for (;;) {
    const word = calls.prepareWait(address, owner);
    if (word < 0) return word as WaitResult;
    // After the look at the word: whoever aborts or cancels us from now on changes it.
    if (record !== 0 && calls.isAborted(record) !== 0) throw detector.errorOfVictim(record, address);
    if (host.isTaskCancelled()) return CANCELLED;
    const left = until === undefined ? -1 : until - host.clock.now();
    if (until !== undefined && left <= 0) return TIMED_OUT;
    const sleepMs = left < 0 ? restMs : Math.min(left, restMs);
    calls.waitLock(address, word, Number.isFinite(sleepMs) ? sleepMs : -1);
    const now = host.clock.now();
    if (now - lookedAt >= restMs) {
      lookedAt = now;
      host.recoverEnded?.();
      space.answer();
    }
    if (now - checkedAt >= lookAgainMs) {
      checkedAt = now;
      const error = tries ? undefined : detector.check(record, address);
      if (error !== undefined) throw error;
    }
    const again = spin(core, owner, 1);
    if (again !== LOCK_BUSY) return again as WaitResult;
    // A reservation is undone by recovery only for a wait that its owner has published.
    if (record === owner && host.clock.now() - start >= HANDOFF_MS) calls.requestHandoff(address, owner);
  }
}
