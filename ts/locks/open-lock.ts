import {
  CHECK_INHERIT,
  CHECK_OFF,
  CHECK_REPORT,
  CHECK_THROW,
  HEADER_LOCK_MAX,
  LOCK_CLASS,
  LOCK_FLAG_CLASS,
  LOCK_FLAG_ORDER_KEY,
  LOCK_FLAG_REENTRANT,
  LOCK_FLAGS,
  LOCK_HOLD_MS,
  LOCK_ID,
  LOCK_NAME_MOST,
  LOCK_ORDER,
  LOCK_ORDER_MODE_SHIFT,
  LOCK_WAITS_MODE_SHIFT,
  LOCKS_BUSY,
  LOCKS_FULL,
  LOCKS_NO_MEMORY,
} from '../../build/generated/layout.ts';
import { HeddleError, InvalidRangeError, InvalidTypeError, MemoryFullError } from '../errors.ts';
import { boolean, checkOptions, describe, integer, number, object, oneOf, string } from '../options.ts';
import type { LockSpace } from './space.ts';
import type { CheckMode, MutexOptions } from './types.ts';

const MODES: Readonly<Record<CheckMode, number>> = {
  off: CHECK_OFF,
  report: CHECK_REPORT,
  throw: CHECK_THROW,
};
const MODE_NAMES = Object.keys(MODES);

/** CHECK_* of a mode. */
export function modeNumber(mode: CheckMode | undefined): number {
  return mode === undefined ? CHECK_INHERIT : MODES[mode];
}

const LONGEST_HOLD_MS = 2 ** 31 - 1;

const CHECKS = {
  class: string,
  order: number(-Number.MAX_VALUE, Number.MAX_VALUE),
  reentrant: boolean,
  maxHoldTimeMs: integer(1, LONGEST_HOLD_MS),
  onAbandoned: oneOf('throw', 'recover'),
  checks(value: unknown, what: string): void {
    object(value, what);
    checkOptions(
      value as NonNullable<MutexOptions['checks']>,
      { order: oneOf(...MODE_NAMES), waits: oneOf(...MODE_NAMES) },
      what,
    );
  },
};

const encoder = new TextEncoder();
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Finds or makes a lock, which this thread has open from now on. Returns its address.
 *
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong option, or when the lock exists with another value of an option given here.
 * @throws {HeddleError} ERR_RESOURCE_LIMIT beyond `maxLocks`, ERR_MEMORY_FULL, ERR_WORKER_EXITED when a thread ended in the middle of making one.
 */
export function openByName(space: LockSpace, name: string, options: MutexOptions): number {
  checkOptions(options, CHECKS, 'mutex()');
  const classId = options.class === undefined ? 0 : openClass(space, options.class);
  const flags = flagsOf(options);
  const address = find(space, name, 'lock', flags, classId, options.order ?? 0, options.maxHoldTimeMs ?? 0);
  try {
    assertAlike(space, name, address, options, classId, flags);
  } catch (error) {
    space.unpin(address);
    throw error;
  }
  return address;
}

/**
 * Checks options for a lock that this thread has open already.
 *
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT, as {@link openByName}.
 */
export function openAgain(space: LockSpace, name: string, address: number, options: MutexOptions): void {
  checkOptions(options, CHECKS, 'mutex()');
  const classId = options.class === undefined ? 0 : openClass(space, options.class);
  assertAlike(space, name, address, options, classId, flagsOf(options));
}

function flagsOf(options: MutexOptions): number {
  return (
    (options.reentrant ? LOCK_FLAG_REENTRANT : 0) |
    (options.order === undefined ? 0 : LOCK_FLAG_ORDER_KEY) |
    (modeNumber(options.checks?.order) << LOCK_ORDER_MODE_SHIFT) |
    (modeNumber(options.checks?.waits) << LOCK_WAITS_MODE_SHIFT)
  );
}

function openClass(space: LockSpace, name: string): number {
  const address = find(space, name, 'class', LOCK_FLAG_CLASS, 0, 0, 0);
  return space.kernel.u32[(address + LOCK_ID) >>> 2]!;
}

function find(
  space: LockSpace,
  name: string,
  what: 'lock' | 'class',
  flags: number,
  classId: number,
  order: number,
  holdMs: number,
): number {
  if (typeof name !== 'string')
    throw new InvalidTypeError(`the name of a ${what} must be a string, not ${describe(name)}`);
  // As bytes it would be the name of another.
  if (LONE_SURROGATE.test(name))
    throw new InvalidTypeError(`the name of a ${what} must be well-formed Unicode; ${describe(name)} is not`);
  const bytes = encoder.encode(name);
  if (bytes.length === 0 || bytes.length > LOCK_NAME_MOST) {
    throw new InvalidRangeError(
      `the name of a ${what} must have 1 to ${LOCK_NAME_MOST} bytes of UTF-8; ${describe(name)} has ${bytes.length}`,
    );
  }
  const { kernel, agent } = space;
  const text = kernel.calls.allocate(agent, bytes.length);
  if (text === 0) throw memoryFull(what, name);
  kernel.u8.set(bytes, text >>> 0);
  const address = space.atGate(
    () => kernel.calls.openLock(agent, text, bytes.length, flags, classId, order, holdMs) >>> 0,
  );
  kernel.calls.release(agent, text);
  if (address === LOCKS_FULL) {
    throw new HeddleError(
      'ERR_RESOURCE_LIMIT',
      `cannot make ${what} '${name}': the runtime has ${kernel.u32[HEADER_LOCK_MAX >>> 2]} locks and classes already; raise locks.maxLocks`,
      { resource: name },
    );
  }
  if (address === LOCKS_NO_MEMORY) throw memoryFull(what, name);
  if (address === LOCKS_BUSY) {
    throw new HeddleError(
      'ERR_WORKER_EXITED',
      `cannot make ${what} '${name}': a thread ended while it made one; try again once its end was told`,
      { resource: name },
    );
  }
  return address;
}

function memoryFull(what: string, name: string): MemoryFullError {
  return new MemoryFullError(`cannot make ${what} '${name}': the shared memory is full; raise memoryBytes`, {
    resource: name,
  });
}

/** What is said here must be what the lock was made with; what is not said may be anything. */
function assertAlike(
  space: LockSpace,
  name: string,
  lock: number,
  options: MutexOptions,
  classId: number,
  flags: number,
): void {
  const { u32, f64 } = space.kernel;
  const is = u32[(lock + LOCK_FLAGS) >>> 2]!;
  const clash = (option: string): never => {
    throw new InvalidTypeError(
      `cannot open lock '${name}': it exists with another value of option '${option}'`,
      { resource: name },
    );
  };
  if (options.reentrant !== undefined && (is & LOCK_FLAG_REENTRANT) !== (flags & LOCK_FLAG_REENTRANT))
    clash('reentrant');
  if (options.class !== undefined && u32[(lock + LOCK_CLASS) >>> 2] !== classId) clash('class');
  if (options.maxHoldTimeMs !== undefined && u32[(lock + LOCK_HOLD_MS) >>> 2] !== options.maxHoldTimeMs)
    clash('maxHoldTimeMs');
  if (options.order !== undefined) {
    const hasKey = (is & LOCK_FLAG_ORDER_KEY) !== 0;
    if (!hasKey || f64[(lock + LOCK_ORDER) >>> 3] !== options.order) clash('order');
  }
  const modes = (shift: number): boolean => ((is ^ flags) & (3 << shift)) !== 0;
  if (options.checks?.order !== undefined && modes(LOCK_ORDER_MODE_SHIFT)) clash('checks.order');
  if (options.checks?.waits !== undefined && modes(LOCK_WAITS_MODE_SHIFT)) clash('checks.waits');
}
