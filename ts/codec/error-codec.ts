/**
 * Errors across threads. Structured clone keeps an error's name, message and stack; this keeps also its class, `code`, `cause`,
 * `errors` and own properties, and never fails itself, whatever was thrown.
 *
 * @module
 */

import * as heddle from '../errors.ts';

/** An error, or another thrown value, as plain data that any channel can carry. */
export interface PlainError {
  /** Tells a described error from an ordinary object; 0 is a thrown value that is no error, in `value`. */
  readonly $heddleError: 0 | 1;
  /** The nearest built-in class, such as `TypeError` or `DOMException`. */
  readonly type: string;
  /** Names of the classes above the built-in one, most derived first. */
  readonly classes: readonly string[];
  /** Name of the class of Heddle, such as `AbortError`; empty for none. */
  readonly heddle: string;
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  /** Own enumerable properties. */
  readonly own: readonly (readonly [key: string, value: unknown])[];
  /** `cause`, `errors` and `code` where they are not own enumerable properties. */
  readonly hidden: readonly (readonly [key: string, value: unknown])[];
  /** The value that was thrown, if it is no error. */
  readonly value?: unknown;
}

/** Classes that a revived error may have, by name. Their constructors are not called. */
export type ErrorTypes = ReadonlyMap<string, { readonly prototype: object }>;

/** A chain of causes is followed so far. */
const MAX_DEPTH = 50;
/** No more objects than this are copied out of the properties of one error. */
const MAX_OBJECTS = 10_000;
/** No more elements of one array, for its length may be any. */
const MAX_ELEMENTS = 1_000_000;

const BUILT_INS: ErrorTypes = new Map<string, { readonly prototype: object }>(
  [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError].map(
    (type) => [type.name, type],
  ),
);

// By the name on the prototype: the name of a class does not survive a minifier.
const HEDDLE_TYPES: ErrorTypes = new Map<string, { readonly prototype: object }>(
  [
    heddle.HeddleError,
    heddle.TaskAbortedError,
    heddle.TaskTimeoutError,
    heddle.PlacementError,
    heddle.WorkerExitedError,
    heddle.QueueFullError,
    heddle.PoolClosedError,
    heddle.MemoryFullError,
    heddle.NotIsolatedError,
    heddle.PolicyInvalidError,
    heddle.LockOrderError,
    heddle.DeadlockError,
    heddle.LockAbandonedError,
    heddle.NotOwnerError,
    heddle.DataCloneFailure,
    heddle.InvalidTypeError,
    heddle.InvalidRangeError,
  ].map((type) => [(type.prototype as Error).name, type]),
);

/** Names of the classes of errors that came from another thread and could not be given them: told again when the error goes on. */
const lostClasses = new WeakMap<object, readonly string[]>();

const HIDDEN_KEYS = ['cause', 'errors', 'code'] as const;

/** Runs something that a hostile object may make fail. */
function attempt<T>(action: () => T, otherwise: T): T {
  try {
    return action();
  } catch {
    return otherwise;
  }
}

function textOf(value: unknown): string {
  return attempt(() => (typeof value === 'string' ? value : String(value)), '[unreadable]');
}

/** Whether the value is an error: of this realm, or of another one. Never throws. */
export function isError(value: unknown): value is Error {
  if (typeof value !== 'object' || value === null) return false;
  return attempt(
    () => value instanceof Error || Object.prototype.toString.call(value) === '[object Error]',
    false,
  );
}

function prototypesOf(value: object): object[] {
  const chain: object[] = [];
  let at = attempt(() => Object.getPrototypeOf(value) as object | null, null);
  while (at !== null && at !== Object.prototype && chain.length < MAX_DEPTH) {
    chain.push(at);
    const from: object = at;
    at = attempt(() => Object.getPrototypeOf(from) as object | null, null);
  }
  return chain;
}

function classNames(chain: object[]): string[] {
  return chain.map((prototype) =>
    attempt(() => {
      const name: unknown = (
        Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value as { name?: unknown }
      )?.name;
      return typeof name === 'string' ? name : '';
    }, ''),
  );
}

function heddleName(error: object, chain: object[]): string {
  if (!heddle.isHeddleError(error)) return '';
  const names = chain.map((prototype) =>
    attempt(() => Object.getOwnPropertyDescriptor(prototype, 'name')?.value, ''),
  );
  return (
    (names.find((name) => typeof name === 'string' && HEDDLE_TYPES.has(name)) as string | undefined) ?? ''
  );
}

/**
 * Reads what there is to know of an error. The values of `own` and `hidden` are as they were, not yet made safe.
 *
 * @param error - may throw from every accessor and trap
 */
export function readError(error: Error): PlainError {
  const chain = prototypesOf(error);
  const names = classNames(chain);
  const builtIn = names.findIndex((name) => BUILT_INS.has(name) || name === 'DOMException');
  const name = textOf(attempt(() => error.name, 'Error'));
  const message = textOf(attempt(() => error.message, ''));
  const stack = attempt<unknown>(() => error.stack, undefined);
  const keys = attempt(() => Object.keys(error), []);
  const read = (key: string): unknown =>
    attempt(() => (error as unknown as { [key: string]: unknown })[key], '[its getter threw]');
  return {
    $heddleError: 1,
    type: builtIn < 0 ? 'Error' : (names[builtIn] as string),
    classes:
      lostClasses.get(error) ??
      names.slice(0, builtIn < 0 ? undefined : builtIn).filter((each) => each !== ''),
    heddle: heddleName(error, chain),
    name,
    message,
    stack: typeof stack === 'string' ? stack : `${name}: ${message}`,
    own: keys.filter((key) => key !== 'message' && key !== 'stack').map((key) => [key, read(key)]),
    hidden: HIDDEN_KEYS.filter((key) => !keys.includes(key) && attempt(() => key in error, false))
      .map((key) => [key, read(key)] as const)
      .filter(([key, value]) => value !== undefined || key === 'cause'),
  };
}

/** Copies values out of an error: what cannot cross becomes a note in its place. */
class Sanitizer {
  readonly #seen = new Map<object, unknown>();
  readonly #onError: (error: Error, depth: number) => unknown;

  constructor(onError: (error: Error, depth: number) => unknown) {
    this.#onError = onError;
  }

  remember(from: object, to: object): void {
    this.#seen.set(from, to);
  }

  clean(value: unknown, depth: number): unknown {
    if (typeof value === 'function') return `[function ${textOf(attempt(() => value.name, ''))}]`;
    if (typeof value === 'symbol') return `[${textOf(value)}]`;
    if (typeof value !== 'object' || value === null) return value;
    const done = this.#seen.get(value);
    if (done !== undefined) return done;
    if (depth > MAX_DEPTH) return '[nested too deep]';
    if (this.#seen.size >= MAX_OBJECTS) return '[too many objects]';
    return attempt(
      () => (isError(value) ? this.#onError(value, depth) : this.#object(value, depth + 1)),
      '[unreadable]',
    );
  }

  #object(value: object, depth: number): unknown {
    if (ArrayBuffer.isView(value)) return value.buffer instanceof ArrayBuffer ? value : '[shared memory]';
    if (value instanceof Date || value instanceof RegExp || value instanceof ArrayBuffer) return value;
    if (Array.isArray(value)) {
      const list: unknown[] = [];
      this.#seen.set(value, list);
      const count = Math.min(value.length, MAX_ELEMENTS);
      for (let i = 0; i < count; i++) list.push(this.clean(value[i], depth));
      if (count < value.length) list.push(`[${value.length - count} more elements]`);
      return list;
    }
    if (value instanceof Map) {
      const map = new Map();
      this.#seen.set(value, map);
      for (const [key, entry] of value) map.set(this.clean(key, depth), this.clean(entry, depth));
      return map;
    }
    if (value instanceof Set) {
      const set = new Set();
      this.#seen.set(value, set);
      for (const member of value) set.add(this.clean(member, depth));
      return set;
    }
    const tag = Object.prototype.toString.call(value);
    if (tag !== '[object Object]') return tag;
    const record: { [key: string]: unknown } = {};
    this.#seen.set(value, record);
    for (const key of Object.keys(value)) {
      const entry = attempt<unknown>(() => (value as { [key: string]: unknown })[key], '[its getter threw]');
      define(record, key, this.clean(entry, depth), true);
    }
    return record;
  }
}

function define(target: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, key, { value, enumerable, writable: true, configurable: true });
}

/**
 * {@link readError} for a channel that carries errors itself: the values are safe to send, and the errors among them are left
 * as errors.
 */
export function readSafeError(error: Error): PlainError {
  const plain = readError(error);
  const sanitizer = new Sanitizer((nested) => nested);
  const clean = ([key, value]: readonly [string, unknown]): [string, unknown] => [
    key,
    sanitizer.clean(value, 0),
  ];
  return { ...plain, own: plain.own.map(clean), hidden: plain.hidden.map(clean) };
}

function describeNested(error: Error, depth: number, sanitizer: Sanitizer): PlainError {
  const read = readError(error);
  const own: [string, unknown][] = [];
  const hidden: [string, unknown][] = [];
  const plain: PlainError = { ...read, own, hidden };
  // First, so that a cause that leads back here finds it.
  sanitizer.remember(error, plain);
  for (const [key, value] of read.own) own.push([key, sanitizer.clean(value, depth + 1)]);
  for (const [key, value] of read.hidden) hidden.push([key, sanitizer.clean(value, depth + 1)]);
  return plain;
}

/**
 * Describes whatever was thrown as plain data: name, message, stack, class, `code`, `cause`, `errors`, own properties.
 * Structured clone and the packer carry it. Never throws: what cannot cross is replaced by a note such as `[function f]`,
 * values nested more than 50 deep or beyond 10,000 objects likewise, and the rest of an array after a million elements.
 *
 * @param thrown - an error or any other value
 */
export function describeError(thrown: unknown): PlainError {
  const sanitizer: Sanitizer = new Sanitizer((nested, depth) => describeNested(nested, depth, sanitizer));
  if (isError(thrown)) return describeNested(thrown, 0, sanitizer);
  return {
    $heddleError: 0,
    type: '',
    classes: [],
    heddle: '',
    name: '',
    message: '',
    stack: '',
    own: [],
    hidden: [],
    value: sanitizer.clean(thrown, 0),
  };
}

/**
 * An error without properties yet, so that what follows can refer to it.
 *
 * @param type - the built-in class, as {@link PlainError.type}
 */
export function createErrorShell(type: string, name: string, message: string): Error {
  // A DOMException keeps its name and message where no property can set them.
  if (type === 'DOMException' && typeof DOMException !== 'undefined') return new DOMException(message, name);
  return new Error(message);
}

function prototypeFor(plain: PlainError, errorTypes: ErrorTypes | undefined): object {
  for (const each of plain.classes) {
    const listed = errorTypes?.get(each);
    if (listed !== undefined) return listed.prototype;
  }
  return (HEDDLE_TYPES.get(plain.heddle) ?? BUILT_INS.get(plain.type) ?? Error).prototype;
}

/**
 * Gives a shell its class and its properties.
 *
 * @param shell - from {@link createErrorShell}
 * @param plain - `own` and `hidden` hold the final values
 * @param errorTypes - the user's classes, by name
 */
export function fillErrorShell(shell: Error, plain: PlainError, errorTypes: ErrorTypes | undefined): void {
  const isDom = typeof DOMException !== 'undefined' && shell instanceof DOMException;
  if (!isDom) Object.setPrototypeOf(shell, prototypeFor(plain, errorTypes));
  if (plain.classes.length > 0 && errorTypes?.has(plain.classes[0]!) !== true)
    lostClasses.set(shell, plain.classes);
  define(shell, 'stack', plain.stack, false);
  if (attempt(() => shell.message, '') !== plain.message) define(shell, 'message', plain.message, false);
  for (const [key, value] of plain.own) define(shell, key, value, true);
  for (const [key, value] of plain.hidden) {
    // An accessor of the class may tell `code` already.
    if (key === 'code' && attempt(() => (shell as { code?: unknown }).code === value, false)) continue;
    define(shell, key, value, false);
  }
  if (attempt(() => shell.name, '') !== plain.name) define(shell, 'name', plain.name, false);
}

function isPlainError(value: unknown): value is PlainError {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, '$heddleError');
}

/** Turns described errors, which may lie anywhere in a value, back into errors. */
class Reviver {
  readonly #seen = new Map<object, unknown>();
  readonly #errorTypes: ErrorTypes | undefined;

  constructor(errorTypes: ErrorTypes | undefined) {
    this.#errorTypes = errorTypes;
  }

  revive(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
    if (this.#seen.has(value)) return this.#seen.get(value);
    if (isPlainError(value)) return this.#error(value);
    this.#seen.set(value, value);
    if (value instanceof Map) {
      const entries = [...value];
      value.clear();
      for (const [key, entry] of entries) value.set(this.revive(key), this.revive(entry));
    } else if (value instanceof Set) {
      const members = [...value];
      value.clear();
      for (const member of members) value.add(this.revive(member));
    } else {
      for (const key of Object.keys(value)) {
        const before = (value as { [key: string]: unknown })[key];
        const after = this.revive(before);
        if (after !== before) define(value, key, after, true);
      }
    }
    return value;
  }

  #error(plain: PlainError): unknown {
    if (plain.$heddleError === 0) return this.revive(plain.value);
    const shell = createErrorShell(plain.type, plain.name, plain.message);
    this.#seen.set(plain, shell);
    const own = plain.own.map(([key, value]) => [key, this.revive(value)] as const);
    const hidden = plain.hidden.map(([key, value]) => [key, this.revive(value)] as const);
    fillErrorShell(shell, { ...plain, own, hidden }, this.#errorTypes);
    return shell;
  }
}

/** Stands for an error that could not be told, because the shared memory is full: numbers always fit. */
export const UNTOLD_NO_MEMORY = 1;
/** Stands for an error that could not be told, because the stack was used up. */
export const UNTOLD_NO_STACK = 2;

function untoldError(plain: unknown): Error {
  if (plain === UNTOLD_NO_STACK) return new RangeError('Maximum call stack size exceeded');
  return new heddle.MemoryFullError(
    'a task failed, and its error does not fit the shared memory; raise memoryBytes',
  );
}

/**
 * The error or value that {@link describeError} described, or what an `UNTOLD_*` number stands for.
 *
 * @param plain - is used up: values inside it become part of the result
 * @param errorTypes - classes by name: an error of such a class is given its prototype, without a call of the constructor, so
 * `instanceof` holds. Errors of Heddle and of the language need no entry; any other class becomes the nearest of those
 */
export function reviveError(plain: PlainError | number, errorTypes?: ErrorTypes): unknown {
  if (typeof plain === 'number') return untoldError(plain);
  return new Reviver(errorTypes).revive(plain);
}

/**
 * Joins the stack of the place that submitted a task to that of the error, which comes from another thread.
 *
 * @param error - changed in place; anything but an error, or a frozen one, is left alone
 * @param label - names the seam, such as `submitted by pool.run("resize")`
 * @param stack - of an Error made at the place; its first line, the message, is left away
 */
export function appendStack(error: unknown, label: string, stack: string): void {
  if (!isError(error)) return;
  const frames = stack.slice(stack.indexOf('\n    at ') + 1);
  attempt(
    () => define(error, 'stack', `${textOf(error.stack)}\n    --- ${label} ---\n${frames}`, false),
    undefined,
  );
}
