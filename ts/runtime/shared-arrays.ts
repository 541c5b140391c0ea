import { OWNER_SHARED, SPAN_SIZE } from '../../build/generated/layout.ts';
import { InvalidRangeError, InvalidTypeError, MemoryFullError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { isSameMemory } from '../kernel/same-memory.ts';
import { describe } from '../options.ts';

/** A typed array's constructor, such as `Float64Array`. */
export interface SharedArrayType<T> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
}

/** Typed arrays in the shared memory. */
export interface SharedArrays {
  alloc<T>(type: SharedArrayType<T>, length: number): T;
  free(array: ArrayBufferView): void;
}

/** Bytes before an array that say how many spans it has: a cache line, so that the array starts on one. */
const HEADER_BYTES = 64;

/** In the second word of the header, with the block's own address in the third: an address inside an array does not pass for its start. */
const MARK = 0x61727279;

/** Whole spans of 64 KiB that belong to no thread, so an array outlives whoever made it. */
export function createSharedArrays(kernel: Kernel): SharedArrays {
  return {
    alloc(type, length) {
      if (typeof type !== 'function' || typeof type.BYTES_PER_ELEMENT !== 'number') {
        throw new InvalidTypeError(
          `alloc() takes a typed array constructor such as Float64Array, not ${describe(type)}`,
        );
      }
      if (!Number.isInteger(length) || length < 0) {
        throw new InvalidRangeError(
          `alloc() takes a length that is an integer of 0 or more, not ${describe(length)}`,
        );
      }
      const spans = Math.ceil((HEADER_BYTES + length * type.BYTES_PER_ELEMENT) / SPAN_SIZE);
      const block = spans > 65535 ? 0 : kernel.calls.claimSpans(spans, OWNER_SHARED);
      if (block === 0) {
        throw new MemoryFullError(
          `cannot allocate ${length * type.BYTES_PER_ELEMENT} bytes for a ${type.name}: the shared memory of ${
            kernel.memory.buffer.byteLength
          } bytes has no such run left; raise memoryBytes`,
        );
      }
      kernel.i32[block >>> 2] = spans;
      kernel.i32[(block >>> 2) + 1] = MARK;
      kernel.i32[(block >>> 2) + 2] = block;
      const start = (block >>> 0) + HEADER_BYTES;
      // A span may have held something else: an array starts as zeros, as every typed array does.
      kernel.u8.fill(0, start, start + length * type.BYTES_PER_ELEMENT);
      return new type(kernel.memory.buffer, start, length);
    },
    free(array) {
      const isOurs = ArrayBuffer.isView(array) && isSameMemory(kernel.memory.buffer, array.buffer);
      const start = isOurs ? array.byteOffset : 0;
      const block = start - HEADER_BYTES;
      const word = block >>> 2;
      if (
        start % SPAN_SIZE !== HEADER_BYTES ||
        kernel.calls.ownerOf(start) !== OWNER_SHARED ||
        kernel.i32[word + 1] !== MARK ||
        kernel.i32[word + 2] !== (block | 0)
      ) {
        throw new InvalidTypeError(
          'free() takes an array that alloc() of this runtime returned, and only once',
        );
      }
      kernel.i32[word + 1] = 0;
      kernel.calls.releaseSpans(block, kernel.i32[word]!);
    },
  };
}
