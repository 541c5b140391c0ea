import { InvalidTypeError } from '../errors.ts';

/** A value to hand over rather than copy: see {@link move}. */
export interface Moved<T> {
  readonly value: T;
  readonly transfer: readonly Transferable[];
}

const MARK: unique symbol = Symbol.for('heddle.moved');

/** What {@link move} makes. Each copy of this module has a class of its own, and all have the mark. */
class Marker<T> implements Moved<T> {
  static {
    Object.defineProperty(Marker.prototype, MARK, { value: true });
  }

  readonly value: T;
  readonly transfer: readonly Transferable[];
  /** A function, which nothing can clone: structured clone refuses a marker that nobody unwrapped, where it would pass for a record. */
  readonly unwrap = (): T => this.value;

  constructor(value: T, transfer: readonly Transferable[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

/**
 * Marks a value as moved: what is in `transfer` changes threads without a copy and is detached here. A task returns
 * `move(result, [result.buffer])`; without `move` nothing is ever detached. It counts for an argument itself and for the whole result, and
 * is refused inside of another value. Forks have no channel to hand anything over: what they get and return is the value, copied if stolen.
 *
 * @param value - what to return, or to pass as an argument
 * @param transfer - the ArrayBuffers, MessagePorts and other transferables in it; default: the value itself, or its buffer
 * @returns a marker that heddle unwraps; typed as the value, so task signatures stay as they are
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT when there is nothing to transfer.
 */
export function move<T>(value: T, transfer?: readonly Transferable[]): T {
  const list = transfer ?? transferableOf(value);
  if (list.length === 0) {
    throw new InvalidTypeError(
      'move() found nothing to transfer; pass the transferables as its second argument',
    );
  }
  return new Marker(value, list) as unknown as T;
}

function transferableOf(value: unknown): Transferable[] {
  if (ArrayBuffer.isView(value)) return value.buffer instanceof ArrayBuffer ? [value.buffer] : [];
  return typeof value === 'object' && value !== null ? [value as Transferable] : [];
}

/** Was this made by {@link move}? */
export function isMoved(value: unknown): value is Moved<unknown> {
  return typeof value === 'object' && value !== null && (value as { [MARK]?: true })[MARK] === true;
}

/** The value itself, if it was marked. */
export function unmoved(value: unknown): unknown {
  return isMoved(value) ? value.value : value;
}

/** Is this the prototype of what {@link move} makes, here or in another copy of the module? */
export function isMarkerPrototype(prototype: object): boolean {
  return Object.hasOwn(prototype, MARK);
}
