import { InvalidTypeError } from '../errors.ts';

/** A value to hand over rather than copy: see {@link move}. */
export interface Moved<T> {
  readonly value: T;
  readonly transfer: readonly Transferable[];
}

const MARK: unique symbol = Symbol.for('heddle.moved');

/**
 * Marks a value as moved: what is in `transfer` changes threads without a copy and is detached here. A task returns
 * `move(result, [result.buffer])`; without `move` nothing is ever detached.
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
  return { [MARK]: true, value, transfer: list } as unknown as T;
}

function transferableOf(value: unknown): Transferable[] {
  if (ArrayBuffer.isView(value)) return value.buffer instanceof ArrayBuffer ? [value.buffer] : [];
  return typeof value === 'object' && value !== null ? [value as Transferable] : [];
}

/** Was this made by {@link move}? */
export function isMoved(value: unknown): value is Moved<unknown> {
  return typeof value === 'object' && value !== null && (value as { [MARK]?: true })[MARK] === true;
}
