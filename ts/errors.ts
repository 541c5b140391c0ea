/**
 * Every error that Heddle itself raises. Decide by `code`, which is stable; messages are for people and may change.
 *
 * Messages say what was attempted, what state stood in the way, and what was wanted instead.
 *
 * @module
 */

/** The stable codes, one for each kind of failure. */
export const ErrorCode = {
  /** A wait would close a cycle of owners that wait for each other. */
  DEADLOCK: 'ERR_DEADLOCK',
  /** A lock was taken against the declared or the learned order. */
  LOCK_ORDER: 'ERR_LOCK_ORDER',
  /** The owner of a lock died while it held the lock. */
  LOCK_ABANDONED: 'ERR_LOCK_ABANDONED',
  /** A lock was released by someone who does not hold it. */
  NOT_OWNER: 'ERR_NOT_OWNER',
  /** The worker that ran the task is gone. */
  WORKER_EXITED: 'ERR_WORKER_EXITED',
  /** The task was cancelled through its signal, or by the pool. */
  TASK_ABORTED: 'ERR_TASK_ABORTED',
  /** The task did not finish within its `timeoutMs`. */
  TASK_TIMEOUT: 'ERR_TASK_TIMEOUT',
  /** The queue holds `maxQueue` tasks already. */
  QUEUE_FULL: 'ERR_QUEUE_FULL',
  /** The pool was shut down or destroyed. */
  POOL_CLOSED: 'ERR_POOL_CLOSED',
  /** Shared memory has no block of the wanted size left. */
  MEMORY_FULL: 'ERR_MEMORY_FULL',
  /** More workers, locks or memory were asked for than is allowed. */
  RESOURCE_LIMIT: 'ERR_RESOURCE_LIMIT',
  /** A policy document does not validate. */
  POLICY_INVALID: 'ERR_POLICY_INVALID',
  /** No coordinator of the cluster answers. */
  CLUSTER_UNAVAILABLE: 'ERR_CLUSTER_UNAVAILABLE',
  /** The page is not cross-origin isolated, so it has no shared memory. */
  NOT_ISOLATED: 'ERR_NOT_ISOLATED',
  /** An option or an argument has the wrong type, range or content. */
  INVALID_ARGUMENT: 'ERR_INVALID_ARGUMENT',
} as const;

/** Any of the values of {@link ErrorCode}. */
export type HeddleErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];
/** Any of the values of {@link ErrorCode}. */
export type ErrorCode = HeddleErrorCode;

/** What every error of Heddle may carry beside its message. */
export interface HeddleErrorOptions {
  /** What failed: the name of a pool, a task, a lock, an option. */
  readonly resource?: string | undefined;
  /** The reason behind the failure: an error, or any value such as `signal.reason`. */
  readonly cause?: unknown;
}

// A registered symbol, so that a second copy of the package (a bundled worker beside an unbundled page) is recognised too.
const brand: unique symbol = Symbol.for('heddle.error');

/** On the prototype, so that it is neither an own property of the error nor `Error` in the first line of its stack. */
function describeClass(prototype: object, name: string): void {
  Object.defineProperty(prototype, 'name', {
    value: name,
    writable: true,
    configurable: true,
    enumerable: false,
  });
  Object.defineProperty(prototype, brand, { value: true });
}

/** `new Error(message, { cause: undefined })` would make an own `cause`; this leaves it away. */
function nativeOptions(options: HeddleErrorOptions): ErrorOptions | undefined {
  return 'cause' in options && options.cause !== undefined ? { cause: options.cause } : undefined;
}

/**
 * Base of the errors of Heddle.
 *
 * `error instanceof HeddleError` holds for every one of them, for {@link InvalidTypeError} and {@link InvalidRangeError} also,
 * which extend `TypeError` and `RangeError`.
 */
export class HeddleError extends Error {
  static {
    describeClass(HeddleError.prototype, 'HeddleError');
  }

  /** Stable, for programs: one of {@link ErrorCode}. */
  readonly code: HeddleErrorCode;
  /** What failed: the name of a pool, a task, a lock, an option. Absent where nothing has a name. */
  declare readonly resource?: string;

  /**
   * @param code - one of {@link ErrorCode}
   * @param message - action, state, what was wanted
   * @param options - `resource` and `cause`
   */
  constructor(code: HeddleErrorCode, message: string, options: HeddleErrorOptions = {}) {
    super(message, nativeOptions(options));
    this.code = code;
    if (options.resource !== undefined) this.resource = options.resource;
  }

  /** Lets `instanceof HeddleError` see the argument errors; subclasses keep the ordinary rule. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // `this` is the class on the right of instanceof, which may be a subclass.
    return this === HeddleError
      ? isHeddleError(value)
      : Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

/**
 * The task was cancelled: its signal was aborted, or that of the task that forked it.
 * `name` is `'AbortError'`, `code` is `ERR_TASK_ABORTED`, `cause` is `signal.reason`.
 */
export class TaskAbortedError extends HeddleError {
  static {
    describeClass(TaskAbortedError.prototype, 'AbortError');
  }

  /** @param message - action, state, what was wanted */
  constructor(message = 'The task was aborted', options: HeddleErrorOptions = {}) {
    super(ErrorCode.TASK_ABORTED, message, options);
  }
}

/** The task did not finish within its `timeoutMs`. `name` is `'TimeoutError'`, `code` is `ERR_TASK_TIMEOUT`. */
export class TaskTimeoutError extends HeddleError {
  static {
    describeClass(TaskTimeoutError.prototype, 'TimeoutError');
  }

  /** @param message - action, state, what was wanted: with the limit in milliseconds */
  constructor(message: string, options: HeddleErrorOptions = {}) {
    super(ErrorCode.TASK_TIMEOUT, message, options);
  }
}

/** No worker may run the task, by the NUMA policy of its pool. `code` is `ERR_RESOURCE_LIMIT`. */
export class PlacementError extends HeddleError {
  static {
    describeClass(PlacementError.prototype, 'PlacementError');
  }

  /** @param message - action, state, what was wanted */
  constructor(message: string, options: HeddleErrorOptions = {}) {
    super(ErrorCode.RESOURCE_LIMIT, message, options);
  }
}

/** What {@link WorkerExitedError} tells of the worker. */
export interface WorkerExitedOptions extends HeddleErrorOptions {
  /** The worker's exit code, when the platform tells one. */
  readonly exitCode?: number | undefined;
  /** The worker's thread id, when the platform has one. */
  readonly threadId?: number | undefined;
}

/**
 * The worker that ran the task is gone (`process.exit` in a task, `terminate()`, heap limit, crash). The task may have
 * had effects; it is run again only if it was submitted as idempotent. `code` is `ERR_WORKER_EXITED`.
 */
export class WorkerExitedError extends HeddleError {
  static {
    describeClass(WorkerExitedError.prototype, 'WorkerExitedError');
  }

  /** The worker's exit code; `undefined` where the platform tells none. */
  readonly exitCode: number | undefined;
  /** The worker's thread id; `undefined` where the platform has none. */
  readonly threadId: number | undefined;

  /** @param message - action, state, what was wanted */
  constructor(message: string, options: WorkerExitedOptions = {}) {
    super(ErrorCode.WORKER_EXITED, message, options);
    this.exitCode = options.exitCode;
    this.threadId = options.threadId;
  }
}

/** The queue holds `maxQueue` tasks; wait for `drain`, or raise `maxQueue`. `code` is `ERR_QUEUE_FULL`. */
export class QueueFullError extends HeddleError {
  static {
    describeClass(QueueFullError.prototype, 'QueueFullError');
  }

  /** @param message - action, state (how many are queued), what was wanted */
  constructor(message: string, options: HeddleErrorOptions = {}) {
    super(ErrorCode.QUEUE_FULL, message, options);
  }
}

/** The pool or its runtime was shut down, so it takes no tasks; `destroy` and `dispose` drop those that are not done. `code` is `ERR_POOL_CLOSED`. */
export class PoolClosedError extends HeddleError {
  static {
    describeClass(PoolClosedError.prototype, 'PoolClosedError');
  }

  /** @param message - action, state, what was wanted */
  constructor(message = 'Cannot run the task: the pool is closed', options: HeddleErrorOptions = {}) {
    super(ErrorCode.POOL_CLOSED, message, options);
  }
}

/** Shared memory has no room for the value; raise `memoryBytes` of `createRuntime`. `code` is `ERR_MEMORY_FULL`. */
export class MemoryFullError extends HeddleError {
  static {
    describeClass(MemoryFullError.prototype, 'MemoryFullError');
  }

  /** @param message - action, state (bytes wanted, bytes free), what was wanted */
  constructor(message: string, options: HeddleErrorOptions = {}) {
    super(ErrorCode.MEMORY_FULL, message, options);
  }
}

/**
 * The page is not cross-origin isolated, so it cannot have shared memory. `code` is `ERR_NOT_ISOLATED`.
 * The default message names the two response headers that isolate a page.
 */
export class NotIsolatedError extends HeddleError {
  static {
    describeClass(NotIsolatedError.prototype, 'NotIsolatedError');
  }

  /** @param message - action, state, what was wanted */
  constructor(
    message: string = 'Cannot create shared memory: the page is not cross-origin isolated; serve it with the headers ' +
      '"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp"',
    options: HeddleErrorOptions = {},
  ) {
    super(ErrorCode.NOT_ISOLATED, message, options);
  }
}

/** One fault of a {@link PolicyInvalidError}. */
export interface PolicyFault {
  /** Where, such as `spec.retryPolicy.attempts`; empty for the document itself. */
  readonly path: string;
  /** What is wrong and what is wanted, in words that follow the path. */
  readonly reason: string;
  /** Where in the text, counted from 1, where the policy was read from one. */
  readonly line?: number;
  readonly column?: number;
}

/** A policy has faults; nothing was changed. `faults` has all of them. `code` is `ERR_POLICY_INVALID`. */
export class PolicyInvalidError extends HeddleError {
  static {
    describeClass(PolicyInvalidError.prototype, 'PolicyInvalidError');
  }

  /** Every fault, in the order of the document. */
  readonly faults: readonly PolicyFault[];

  /** @param message - action and state; the faults are added, a line each */
  constructor(message: string, faults: readonly PolicyFault[], options: HeddleErrorOptions = {}) {
    const lines = faults.map(({ path, reason, line, column }) => {
      const place = line === undefined ? '' : ` (line ${line}, column ${column})`;
      return `\n  ${path === '' ? 'the document' : path} ${reason}${place}`;
    });
    super(ErrorCode.POLICY_INVALID, `${message}:${lines.join('')}`, options);
    this.faults = faults;
  }
}

/** One step of a {@link LockOrderError}: a lock was taken while another was held. */
export interface LockOrderStep {
  /** Name of the lock, or of the class, that was held. */
  readonly held: string;
  /** Name of what was taken. */
  readonly taken: string;
  /** Who was first seen to do so, where that was written down. */
  readonly owner?: string;
  /** Where, in JavaScript: where `locks.stacks` is `'all'`. */
  readonly stack?: string;
  /** How often it was seen. */
  readonly count: number;
  /** Is it what the owner was about to do when the fault was found? */
  readonly isNow: boolean;
}

/** What {@link LockOrderError} says of the fault beside its message. */
export interface LockOrderFault {
  /** `'cycle'`: locks are taken in a ring. `'rule'`: against a declared rule. `'key'`: against the order of keys in a class. */
  readonly kind: 'cycle' | 'rule' | 'key';
  /**
   * `'certain'`: the same locks are taken in a ring by different owners, which can stop for ever, given bad luck; also faults against rules and keys.
   * `'possible'`: locks of the same classes are. `'gated'`: each time under one and the same other lock, which keeps the owners apart. `'same-owner'`: nobody
   * but one owner does.
   */
  readonly severity: 'certain' | 'possible' | 'gated' | 'same-owner';
  /** Are the steps between locks or between classes of locks? */
  readonly granularity: 'lock' | 'class';
  /** The ring: each takes what the next one holds, the last what the first holds. For a rule or a key, the one step against it. */
  readonly steps: readonly LockOrderStep[];
  /** Names of the rules that it breaks. */
  readonly rules: readonly string[];
}

/**
 * The lock would be taken against the declared or the learned order: the program can deadlock, even if it does not now. The lock was not taken. `code` is
 * `ERR_LOCK_ORDER`.
 */
export class LockOrderError extends HeddleError {
  static {
    describeClass(LockOrderError.prototype, 'LockOrderError');
  }

  /** What was found, for programs; the message says the same. */
  readonly fault: LockOrderFault;

  /** @param message - both orders as a person reads them */
  constructor(message: string, fault: LockOrderFault, options: HeddleErrorOptions = {}) {
    super(ErrorCode.LOCK_ORDER, message, options);
    this.fault = fault;
  }
}

/** One owner in a {@link DeadlockError}: it holds what the one before it in the cycle waits for. */
export interface DeadlockParty {
  /** Number of the owner. */
  readonly owner: number;
  /** Who it is, such as `task 'transfer' on worker 2 of pool 'bank'`. */
  readonly label: string;
  /** The locks that it holds, newest first; at least the one that the party before it waits for. */
  readonly holds: readonly string[];
  /** What it waits for: `lock 'a'`, a task that it joins or awaits, or the wait that blocks its thread. */
  readonly waitsFor: string;
  readonly wait: 'lock' | 'task' | 'thread';
  /** Name of the lock that it waits for, if it waits for one. */
  readonly lock?: string;
  /** The wait would end by itself: it has a timeout or a signal. */
  readonly breakable: boolean;
  /** Milliseconds since the runtime's epoch at which the owner began. */
  readonly bornMs: number;
  /** Of a task: its QoS level. */
  readonly qos?: string;
  /** Where it waits, as far as it is known. */
  readonly stack?: string;
  /** Where it took the lock that the party before it waits for, where `locks.stacks` is `'all'`. */
  readonly heldSince?: string;
}

/**
 * The wait would never end: its owner would wait for itself, over any number of owners and threads. The wait is given up, and its owner should
 * give up what it holds. `code` is `ERR_DEADLOCK`.
 */
export class DeadlockError extends HeddleError {
  static {
    describeClass(DeadlockError.prototype, 'DeadlockError');
  }

  /** The whole cycle, from the owner whose wait was given up: each waits for what the next one holds, the last for what the first holds. */
  readonly cycle: readonly DeadlockParty[];

  /** @param message - the cycle as a person reads it */
  constructor(message: string, cycle: readonly DeadlockParty[], options: HeddleErrorOptions = {}) {
    super(ErrorCode.DEADLOCK, message, options);
    this.cycle = cycle;
  }
}

/**
 * The last holder of the lock ended while it held it, so what the lock protects may be half changed. The lock is not held, and stays marked until
 * somebody takes it with `onAbandoned: 'recover'` and unlocks it. `code` is `ERR_LOCK_ABANDONED`.
 */
export class LockAbandonedError extends HeddleError {
  static {
    describeClass(LockAbandonedError.prototype, 'LockAbandonedError');
  }

  /** @param message - action, state, what was wanted */
  constructor(message: string, options: HeddleErrorOptions = {}) {
    super(ErrorCode.LOCK_ABANDONED, message, options);
  }
}

/** A lock was unlocked by someone who does not hold it: never locked, unlocked already, or another owner's. `code` is `ERR_NOT_OWNER`. */
export class NotOwnerError extends HeddleError {
  static {
    describeClass(NotOwnerError.prototype, 'NotOwnerError');
  }

  /** @param message - action, state (who holds it), what was wanted */
  constructor(message: string, options: HeddleErrorOptions = {}) {
    super(ErrorCode.NOT_OWNER, message, options);
  }
}

/**
 * A value cannot cross to another thread: a function, a symbol, a WeakMap, a Promise, and what else structured clone refuses.
 * `name` is `'DataCloneError'`, `code` is `ERR_INVALID_ARGUMENT`, `path` says where it sits.
 */
export class DataCloneFailure extends HeddleError {
  static {
    describeClass(DataCloneFailure.prototype, 'DataCloneError');
  }

  /** Where the value sits, such as `args[0].user.onClick` or `result`. */
  readonly path: string;

  /**
   * @param path - where the value sits
   * @param what - what it is, such as `a function`
   */
  constructor(path: string, what: string, options: HeddleErrorOptions = {}) {
    super(
      ErrorCode.INVALID_ARGUMENT,
      `Cannot copy ${path} to another thread: it is ${what}; pass a value that structured clone accepts`,
      options,
    );
    this.path = path;
  }
}

/** An option or argument of the wrong type. A `TypeError`, and `instanceof HeddleError`; `code` is `ERR_INVALID_ARGUMENT`. */
export class InvalidTypeError extends TypeError {
  static {
    describeClass(InvalidTypeError.prototype, 'TypeError');
  }

  /** Always `ERR_INVALID_ARGUMENT`. */
  readonly code: typeof ErrorCode.INVALID_ARGUMENT = ErrorCode.INVALID_ARGUMENT;
  /** The option or argument that is wrong. */
  declare readonly resource?: string;

  /** @param message - action, what was given, what was wanted */
  constructor(message: string, options: HeddleErrorOptions = {}) {
    super(message, nativeOptions(options));
    if (options.resource !== undefined) this.resource = options.resource;
  }
}

/** An option or argument out of range. A `RangeError`, and `instanceof HeddleError`; `code` is `ERR_INVALID_ARGUMENT`. */
export class InvalidRangeError extends RangeError {
  static {
    describeClass(InvalidRangeError.prototype, 'RangeError');
  }

  /** Always `ERR_INVALID_ARGUMENT`. */
  readonly code: typeof ErrorCode.INVALID_ARGUMENT = ErrorCode.INVALID_ARGUMENT;
  /** The option or argument that is wrong. */
  declare readonly resource?: string;

  /** @param message - action, what was given, what was wanted */
  constructor(message: string, options: HeddleErrorOptions = {}) {
    super(message, nativeOptions(options));
    if (options.resource !== undefined) this.resource = options.resource;
  }
}

/** Either of the errors for a wrong option or argument. */
export type InvalidArgumentError = InvalidTypeError | InvalidRangeError;

/**
 * Whether Heddle raised the value, whichever class it has and whichever copy of the package made it.
 *
 * @param value - anything; a Proxy that throws counts as no
 */
export function isHeddleError(value: unknown): value is HeddleError | InvalidArgumentError {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return value instanceof Error && (value as { [brand]?: unknown })[brand] === true;
  } catch {
    return false;
  }
}
