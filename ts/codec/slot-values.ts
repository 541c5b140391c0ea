import {
  BLOCK_BYTES,
  BLOCK_HEADER,
  META_COUNT_PACKED,
  META_COUNT_SHIFT,
  SLOT_BLOCK,
  SLOT_INLINE_BYTES,
  SLOT_INLINE_VALUES,
  SLOT_TAGS,
  SLOT_VALUES,
  TAG_FALSE,
  TAG_NULL,
  TAG_NUMBER,
  TAG_PACKED,
  TAG_RETURNED,
  TAG_SHARED,
  TAG_TEXT,
  TAG_TRUE,
  TAG_UNDEFINED,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { isSameMemory } from '../kernel/same-memory.ts';
import { isMoved } from './move.ts';
import type { Packer, Unpacker } from './pack.ts';

/** A value that shared memory cannot carry; it travels by MessagePort. */
export const NEEDS_PORT = -1;
/** No block large enough is free. */
export const NO_MEMORY = -2;
/** The value was written. */
export const WRITTEN = 0;

type Task = (...args: unknown[]) => unknown;
type View = { readonly buffer: ArrayBufferLike; readonly byteOffset: number; readonly byteLength: number };
type ViewConstructor = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => View;

/** Typed arrays that a slot can refer to, by index; `DataView` counts bytes. */
const VIEWS: readonly [ViewConstructor, number][] = [
  [Int8Array, 1],
  [Uint8Array, 1],
  [Uint8ClampedArray, 1],
  [Int16Array, 2],
  [Uint16Array, 2],
  [Int32Array, 4],
  [Uint32Array, 4],
  [Float32Array, 4],
  [Float64Array, 8],
  [BigInt64Array, 8],
  [BigUint64Array, 8],
  [DataView, 1],
];
const VIEW_INDEX = new Map<unknown, number>(VIEWS.map(([view], index) => [view, index]));

/**
 * The same number, as an integer where it is one: what is read from a Float64Array is a double to the engine, and a loop to a double bound
 * runs up to 1.4 times as long as one to an integer. -0 stays a double.
 */
function asInteger(value: number): number {
  const integer = value | 0;
  return integer === value && (integer !== 0 || 1 / value > 0) ? integer : value;
}

/**
 * Arguments and results in slots. Up to four primitives, or one short text, stand in the slot itself, each with a tag byte; typed arrays over
 * the shared memory as a reference; everything else is packed into a block of the writer's arena.
 */
export class SlotCodec {
  readonly #calls: Kernel['calls'];
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #u8: Uint8Array;
  readonly #buffer: ArrayBufferLike;
  readonly #agent: number;
  readonly #packer: Packer;
  readonly #unpacker: Unpacker;

  constructor(kernel: Kernel, agent: number, packer: Packer, unpacker: Unpacker) {
    this.#calls = kernel.calls;
    this.#i32 = kernel.i32;
    this.#f64 = kernel.f64;
    this.#u8 = kernel.u8;
    this.#buffer = kernel.memory.buffer;
    this.#agent = agent;
    this.#packer = packer;
    this.#unpacker = unpacker;
  }

  /**
   * Writes the arguments of a task. Returns the count field of SLOT_META, or NEEDS_PORT, or NO_MEMORY.
   *
   * @throws {DataCloneFailure} with the path of a value that no thread can be given.
   */
  writeArguments(slot: number, args: readonly unknown[]): number {
    const count = args.length;
    if (count > SLOT_INLINE_VALUES) return this.#packArguments(slot, args);
    let tags = 0;
    for (let i = 0; i < count; i++) {
      const value = args[i];
      let tag: number;
      if (typeof value === 'number') {
        this.#f64[(slot >>> 3) + SLOT_VALUES / 8 + i] = value;
        tag = TAG_NUMBER;
      } else {
        tag = this.#writeInline(slot, i, value, count === 1);
        if (tag < 0) return this.#packArguments(slot, args);
        if (tag > 255) {
          // Text: its length is the second tag byte.
          this.#i32[(slot + SLOT_TAGS) >>> 2] = tag;
          return 1;
        }
      }
      tags |= tag << (i << 3);
    }
    this.#i32[(slot + SLOT_TAGS) >>> 2] = tags;
    return count;
  }

  /** Tag of a value that fits, with a text's length above it; -1 when it must be packed. */
  #writeInline(slot: number, index: number, value: unknown, alone: boolean): number {
    switch (typeof value) {
      case 'undefined':
        return TAG_UNDEFINED;
      case 'boolean':
        return value ? TAG_TRUE : TAG_FALSE;
      case 'string':
        return alone && value.length <= SLOT_INLINE_BYTES ? this.#writeText(slot, value) : -1;
      case 'object':
        if (value === null) return TAG_NULL;
        return ArrayBuffer.isView(value) && isSameMemory(this.#buffer, value.buffer)
          ? this.#writeView(slot, index, value)
          : -1;
      default:
        return -1;
    }
  }

  #writeText(slot: number, text: string): number {
    const start = slot + SLOT_VALUES;
    const bytes = this.#u8;
    const length = text.length;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 255) return -1;
      bytes[(start >>> 0) + i] = unit;
    }
    return TAG_TEXT | ((length + 1) << 8);
  }

  #writeView(slot: number, index: number, view: View): number {
    const kind = VIEW_INDEX.get(view.constructor);
    if (kind === undefined) return -1;
    const at = ((slot + SLOT_VALUES) >>> 2) + index * 2;
    this.#i32[at] = view.byteOffset;
    this.#i32[at + 1] = view.byteLength / VIEWS[kind]![1];
    return TAG_SHARED + kind;
  }

  #packArguments(slot: number, args: readonly unknown[]): number {
    for (const value of args) if (isMoved(value)) return NEEDS_PORT;
    const length = this.#packer.pack(args, 'args');
    if (length < 0) return NEEDS_PORT;
    const block = this.#calls.allocate(this.#agent, length);
    if (block === 0) return NO_MEMORY;
    this.#packer.copyTo(this.#u8, block >>> 0);
    this.#i32[(slot + SLOT_BLOCK) >>> 2] = block;
    return META_COUNT_PACKED;
  }

  /**
   * Arguments as a task would get them, whatever becomes of the originals. Undefined for what only a port can carry.
   *
   * @throws {DataCloneFailure} as {@link writeArguments}.
   */
  copyArguments(args: readonly unknown[]): readonly unknown[] | undefined {
    const length = this.#packer.pack(args, 'args');
    if (length < 0) return undefined;
    const bytes = new Uint8Array(length);
    this.#packer.copyTo(bytes, 0);
    return this.#unpacker.unpack(bytes, 0, length) as unknown[];
  }

  /** Calls a task with the arguments in its slot. */
  invoke(task: Task, slot: number, meta: number): unknown {
    const tags = this.#i32[(slot + SLOT_TAGS) >>> 2]!;
    switch (meta >>> META_COUNT_SHIFT) {
      case 0:
        return task();
      case 1:
        return task(this.#readInline(slot, 0, tags));
      case 2:
        return task(this.#readInline(slot, 0, tags), this.#readInline(slot, 1, tags >>> 8));
      default:
        return task(...this.readArguments(slot, meta));
    }
  }

  /** The arguments in a slot as an array. */
  readArguments(slot: number, meta: number): unknown[] {
    const count = meta >>> META_COUNT_SHIFT;
    if (count === META_COUNT_PACKED)
      return this.#unpackBlock(this.#i32[(slot + SLOT_BLOCK) >>> 2]!) as unknown[];
    const tags = this.#i32[(slot + SLOT_TAGS) >>> 2]!;
    const args: unknown[] = [];
    for (let i = 0; i < count; i++) args.push(this.#readInline(slot, i, tags >>> (i << 3)));
    return args;
  }

  #unpackBlock(block: number): unknown {
    const bytes = this.#i32[(block - BLOCK_HEADER + BLOCK_BYTES) >>> 2]! >>> 0;
    return this.#unpacker.unpack(this.#u8, block >>> 0, bytes);
  }

  #readInline(slot: number, index: number, tags: number): unknown {
    const tag = tags & 255;
    if (tag === TAG_NUMBER) return asInteger(this.#f64[(slot >>> 3) + SLOT_VALUES / 8 + index]!);
    switch (tag) {
      case TAG_UNDEFINED:
        return undefined;
      case TAG_NULL:
        return null;
      case TAG_FALSE:
        return false;
      case TAG_TRUE:
        return true;
      case TAG_TEXT:
        return this.#readText(slot, ((tags >>> 8) & 255) - 1);
      default:
        return this.#readView(slot, index, tag - TAG_SHARED);
    }
  }

  #readText(slot: number, length: number): string {
    const start = (slot + SLOT_VALUES) >>> 0;
    let text = '';
    for (let i = 0; i < length; i++) text += String.fromCharCode(this.#u8[start + i]!);
    return text;
  }

  #readView(slot: number, index: number, kind: number): View {
    const at = ((slot + SLOT_VALUES) >>> 2) + index * 2;
    return new VIEWS[kind]![0](this.#buffer, this.#i32[at]! >>> 0, this.#i32[at + 1]! >>> 0);
  }

  /**
   * Writes a result over the arguments. Returns WRITTEN, NEEDS_PORT or NO_MEMORY.
   *
   * @throws {DataCloneFailure} with the path of a value that no thread can be given.
   */
  writeResult(slot: number, value: unknown): number {
    if (typeof value === 'number') {
      this.#f64[(slot >>> 3) + SLOT_VALUES / 8] = value;
      this.#i32[(slot + SLOT_TAGS) >>> 2] = TAG_NUMBER;
      return WRITTEN;
    }
    const tag = this.#writeInline(slot, 0, value, true);
    if (tag >= 0) {
      this.#i32[(slot + SLOT_TAGS) >>> 2] = tag;
      return WRITTEN;
    }
    if (isMoved(value)) return NEEDS_PORT;
    const length = this.#packer.pack(value, 'result');
    if (length < 0) return NEEDS_PORT;
    const block = this.#calls.allocate(this.#agent, length);
    if (block === 0) return NO_MEMORY;
    this.#packer.copyTo(this.#u8, block >>> 0);
    this.#i32[(slot + SLOT_VALUES) >>> 2] = block;
    this.#i32[(slot + SLOT_TAGS) >>> 2] = TAG_PACKED;
    return WRITTEN;
  }

  /** Takes the result out of a slot; gives its block back. Not for TAG_PORT. */
  readResult(slot: number): unknown {
    const tags = this.#i32[(slot + SLOT_TAGS) >>> 2]!;
    if (tags === TAG_NUMBER) return asInteger(this.#f64[(slot >>> 3) + SLOT_VALUES / 8]!);
    if (tags !== TAG_PACKED) return this.#readInline(slot, 0, tags);
    const block = this.#i32[(slot + SLOT_VALUES) >>> 2]!;
    try {
      return this.#unpackBlock(block);
    } finally {
      // The slot forgets the block last: as long as it refers to it, recovery does not take the arena of a dead worker away. It says before
      // that the block is on its way: if this thread dies here, recovery does not give it back a second time.
      this.#i32[(slot + SLOT_TAGS) >>> 2] = TAG_RETURNED;
      this.#calls.release(this.#agent, block);
      this.#i32[(slot + SLOT_TAGS) >>> 2] = TAG_UNDEFINED;
    }
  }

  /** Gives the block of packed arguments back, if there is one. */
  releaseArguments(slot: number, meta: number): void {
    if (meta >>> META_COUNT_SHIFT !== META_COUNT_PACKED) return;
    const block = this.#i32[(slot + SLOT_BLOCK) >>> 2]!;
    if (block === 0) return;
    this.#i32[(slot + SLOT_BLOCK) >>> 2] = 0;
    this.#calls.release(this.#agent, block);
  }
}
