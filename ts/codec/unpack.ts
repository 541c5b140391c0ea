/**
 * Bytes back to values: the other side of pack.ts. Reads straight from shared memory; nothing of the result refers to it,
 * except views that crossed by reference.
 *
 * @module
 */

import { copyOf } from './buffers.ts';
import { createErrorShell, type ErrorTypes, fillErrorShell } from './error-codec.ts';
import {
  alignBig,
  HAS_REFS_BIT,
  HEADER_BYTES,
  MAX_SHAPES,
  SHORT_ARRAY,
  SHORT_STRING,
  Tag,
  VIEW_NAMES,
} from './format.ts';
import { fillRecord } from './records.ts';
import { type ReadShape, ReadShapes } from './shapes.ts';
import { latin1Slice, utf8Slice, utf16Slice } from './strings.ts';

/** What an unpacker needs to know. */
export interface UnpackerOptions {
  /** The user's error classes, by name: errors of them get their prototype back. Default: none. */
  readonly errorTypes?: ErrorTypes | undefined;
}

/** Unpacks one value at a time. Belongs to one thread. */
export interface Unpacker {
  /**
   * The value that a packer wrote. Does not block and runs no code of the user.
   *
   * @param source - over shared memory; best always the same one
   * @param offset - where the message begins, in bytes, a multiple of 8
   * @param length - in bytes, what `pack` returned
   * @throws Error if the bytes are not a message
   */
  unpack(source: Uint8Array, offset: number, length: number): unknown;
}

/**
 * Short strings are cut out of a string made of this many bytes at once, which costs a third of making each one. A cut of 13
 * characters or more keeps that string alive, so it is no longer than this.
 */
const WINDOW_BYTES = 256;

type Record = { [key: string]: unknown };
type ViewConstructor = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => ArrayBufferView;

const VIEWS: readonly (ViewConstructor | undefined)[] = VIEW_NAMES.map(
  (name) => (globalThis as unknown as { [name: string]: ViewConstructor | undefined })[name],
);

function store(target: object, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    (target as Record)[key] = value;
  }
}

class Reader {
  private readonly memory: WebAssembly.Memory | undefined;
  private readonly errorTypes: ErrorTypes | undefined;
  private readonly table = new ReadShapes();
  private source = new Uint8Array(0);
  private view = new DataView(this.source.buffer);
  private pos = 0;
  private start = 0;
  private inlineEnd = 0;
  private bigPos = 0;

  private window = '';
  private windowStart = 0;
  private windowEnd = 0;

  /** Objects by number, if the message refers back to any. */
  private refs: unknown[] | undefined;
  private shapes: ReadShape[] = [];
  private shapeCount = 0;
  private later: object[] = [];

  constructor(memory: WebAssembly.Memory | undefined, errorTypes: ErrorTypes | undefined) {
    this.memory = memory;
    this.errorTypes = errorTypes;
  }

  unpack(source: Uint8Array, offset: number): unknown {
    if (this.source !== source) {
      this.source = source as Uint8Array<ArrayBuffer>;
      this.view = new DataView(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength);
    }
    this.start = offset;
    this.refs = ((source[offset] as number) & HAS_REFS_BIT) === 0 ? undefined : [];
    this.inlineEnd = offset + this.view.getUint32(offset + 1, true);
    this.bigPos = this.inlineEnd;
    this.pos = offset + HEADER_BYTES;
    this.shapeCount = 0;
    this.windowEnd = 0;
    if (this.later.length > 0) this.later = [];
    const value = this.read();
    if (this.later.length > 0) this.readLater();
    this.window = '';
    this.refs = undefined;
    return value;
  }

  /** The next value. */
  read(): unknown {
    const tag = this.source[this.pos++] as number;
    if (tag < SHORT_STRING) return tag;
    if (tag < SHORT_ARRAY) return this.shortString(tag - SHORT_STRING);
    if (tag < Tag.NULL) return this.elements(this.number([]), tag - SHORT_ARRAY);
    return this.tagged(tag);
  }

  private tagged(tag: number): unknown {
    const view = this.view;
    const pos = this.pos;
    switch (tag) {
      case Tag.NULL:
        return null;
      case Tag.UNDEFINED:
        return undefined;
      case Tag.TRUE:
        return true;
      case Tag.FALSE:
        return false;
      case Tag.INT8:
        this.pos = pos + 1;
        return view.getInt8(pos);
      case Tag.INT16:
        this.pos = pos + 2;
        return view.getInt16(pos, true);
      case Tag.INT32:
        this.pos = pos + 4;
        return view.getInt32(pos, true);
      case Tag.FLOAT64:
        this.pos = pos + 8;
        return view.getFloat64(pos, true);
      case Tag.RECORD8:
        this.pos = pos + 1;
        return this.record(this.number({}), this.shapes[view.getUint8(pos)] as ReadShape);
      case Tag.RECORD_DEF:
        return this.record(this.number({}), this.shapeDefinition());
      default:
        return this.rare(tag);
    }
  }

  private rare(tag: number): unknown {
    switch (tag) {
      case Tag.EMPTY_RECORD:
        return this.number({});
      case Tag.RECORD16:
        return this.record(this.number({}), this.shapes[this.u16()] as ReadShape);
      case Tag.RECORD_KEYS:
        return this.pairs(this.number({}), this.u32());
      case Tag.ARRAY:
        return this.elements(this.number([]), this.u32());
      case Tag.ARRAY_ODD:
        return this.oddArray(this.number([]));
      case Tag.ARRAY_SPARSE:
        return this.sparseArray(this.number([]));
      case Tag.MAP:
        return this.map(this.number(new Map()));
      case Tag.SET:
        return this.set(this.number(new Set()));
      case Tag.REF:
        return (this.refs as unknown[])[this.u32()];
      case Tag.ERROR:
        return this.error();
      default:
        return this.leaf(tag);
    }
  }

  private leaf(tag: number): unknown {
    const view = this.view;
    const pos = this.pos;
    switch (tag) {
      case Tag.ASCII: {
        const length = this.u32();
        this.pos = pos + 4 + length;
        return utf8OrLatin1(this.source, pos + 4, pos + 4 + length, true);
      }
      case Tag.UTF8: {
        const length = this.u32();
        this.pos = pos + 4 + length;
        return utf8OrLatin1(this.source, pos + 4, pos + 4 + length, false);
      }
      case Tag.UTF16: {
        const length = this.u32();
        this.pos = pos + 4 + length * 2;
        return utf16Slice(view, pos + 4, length);
      }
      case Tag.UTF16_SHORT: {
        const length = view.getUint8(pos);
        this.pos = pos + 1 + length * 2;
        return utf16Slice(view, pos + 1, length);
      }
      case Tag.BIGINT64:
        this.pos = pos + 8;
        return view.getBigInt64(pos, true);
      case Tag.BIGINT: {
        this.pos = pos + 1;
        const magnitude = BigInt(`0x${this.read() as string}`);
        return view.getUint8(pos) === 1 ? -magnitude : magnitude;
      }
      case Tag.DATE:
        this.pos = pos + 8;
        return this.number(new Date(view.getFloat64(pos, true)));
      case Tag.REGEXP:
        return this.number(new RegExp(this.read() as string, this.read() as string));
      case Tag.BOXED:
        return this.number(Object(this.read()) as object);
      case Tag.BUFFER:
      case Tag.BUFFER_BIG:
        return this.number(this.buffer(tag));
      case Tag.VIEW:
        return this.arrayBufferView();
      case Tag.SHARED_VIEW:
        return this.number(this.sharedView());
      case Tag.SHARED_BUFFER:
        return this.number(this.sharedBuffer());
      default:
        return this.shell(tag);
    }
  }

  private shell(tag: number): unknown {
    let shell: object;
    switch (tag) {
      case Tag.LATER_RECORD:
        shell = {};
        break;
      case Tag.LATER_ARRAY:
        shell = [];
        break;
      case Tag.LATER_MAP:
        shell = new Map();
        break;
      case Tag.LATER_SET:
        shell = new Set();
        break;
      case Tag.LATER_ERROR:
        shell = new Error();
        break;
      default:
        throw new Error(
          `Cannot unpack the value at byte ${this.pos - 1 - this.start}: tag 0x${tag.toString(16)} is unknown; the bytes are no packed value`,
        );
    }
    this.later.push(shell);
    return this.number(shell);
  }

  private readLater(): void {
    const later = this.later;
    // Grows while it is read.
    for (let i = 0; i < later.length; i++) this.readInto(later[i] as object);
    this.later = [];
  }

  private readInto(shell: object): void {
    const tag = this.source[this.pos++] as number;
    if (Array.isArray(shell)) {
      if (tag === Tag.ARRAY) this.elements(shell, this.u32());
      else if (tag === Tag.ARRAY_ODD) this.oddArray(shell);
      else if (tag === Tag.ARRAY_SPARSE) this.sparseArray(shell);
      else this.elements(shell, tag - SHORT_ARRAY);
    } else if (tag === Tag.MAP) this.map(shell as Map<unknown, unknown>);
    else if (tag === Tag.SET) this.set(shell as Set<unknown>);
    else if (tag === Tag.ERROR) this.fillError(shell as Error, this.errorHead());
    else if (tag === Tag.RECORD_DEF) this.record(shell as Record, this.shapeDefinition());
    else if (tag === Tag.RECORD8) this.record(shell as Record, this.shapes[this.u8()] as ReadShape);
    else if (tag === Tag.RECORD16) this.record(shell as Record, this.shapes[this.u16()] as ReadShape);
    else if (tag === Tag.RECORD_KEYS) this.pairs(shell, this.u32());
  }

  /** Gives an object its number. */
  private number<T extends object>(value: T): T {
    this.refs?.push(value);
    return value;
  }

  private u8(): number {
    return this.source[this.pos++] as number;
  }

  private u16(): number {
    const value = this.view.getUint16(this.pos, true);
    this.pos += 2;
    return value;
  }

  private u32(): number {
    const value = this.view.getUint32(this.pos, true);
    this.pos += 4;
    return value;
  }

  private shortString(length: number): string {
    const start = this.pos;
    const end = start + length;
    this.pos = end;
    if (end > this.windowEnd) this.loadWindow(start);
    const origin = this.windowStart;
    return this.window.slice(start - origin, end - origin);
  }

  private loadWindow(start: number): void {
    const end = Math.min(start + WINDOW_BYTES, this.inlineEnd);
    this.window = latin1Slice(this.source, start, end);
    this.windowStart = start;
    this.windowEnd = end;
  }

  private shapeDefinition(): ReadShape {
    const view = this.view;
    const pos = this.pos;
    const words = view.getUint8(pos);
    const shape = this.table.find(view, pos + 5, words, view.getInt32(pos + 1, true));
    this.pos = pos + 5 + words * 4;
    if (this.shapeCount < MAX_SHAPES) this.shapes[this.shapeCount++] = shape;
    return shape;
  }

  private record(record: Record, shape: ReadShape): Record {
    if (shape.hasProto) for (const key of shape.keys) store(record, key, this.read());
    else fillRecord(record, shape.keys, this);
    return record;
  }

  private pairs<T extends object>(target: T, count: number): T {
    for (let i = 0; i < count; i++) {
      const key = this.read() as string;
      store(target, key, this.read());
    }
    return target;
  }

  private elements(array: unknown[], length: number): unknown[] {
    for (let i = 0; i < length; i++) array.push(this.read());
    return array;
  }

  private oddArray(array: unknown[]): unknown[] {
    const length = this.u32();
    array.length = length;
    for (let i = 0; i < length; i++) {
      if (this.source[this.pos] === Tag.HOLE) this.pos++;
      else array[i] = this.read();
    }
    return this.pairs(array, this.u32());
  }

  private sparseArray(array: unknown[]): unknown[] {
    array.length = this.u32();
    return this.pairs(array, this.u32());
  }

  private map(map: Map<unknown, unknown>): Map<unknown, unknown> {
    const count = this.u32();
    for (let i = 0; i < count; i++) {
      const key = this.read();
      map.set(key, this.read());
    }
    return map;
  }

  private set(set: Set<unknown>): Set<unknown> {
    const count = this.u32();
    for (let i = 0; i < count; i++) set.add(this.read());
    return set;
  }

  private errorHead(): [type: string, name: string, message: string] {
    return [this.read() as string, this.read() as string, this.read() as string];
  }

  private error(): Error {
    const head = this.errorHead();
    return this.fillError(this.number(createErrorShell(...head)), head);
  }

  private fillError(shell: Error, [type, name, message]: [string, string, string]): Error {
    const stack = this.read() as string;
    const heddle = this.read() as string;
    const classes = this.elements([], this.u32()) as string[];
    const own = this.entries();
    const hidden = this.entries();
    fillErrorShell(
      shell,
      { $heddleError: 1, type, classes, heddle, name, message, stack, own, hidden },
      this.errorTypes,
    );
    return shell;
  }

  private entries(): [string, unknown][] {
    const entries: [string, unknown][] = [];
    for (let count = this.u32(); count > 0; count--) entries.push([this.read() as string, this.read()]);
    return entries;
  }

  private buffer(tag: number): ArrayBuffer {
    const length = this.u32();
    let from = this.pos;
    if (tag === Tag.BUFFER_BIG) {
      from = this.start + alignBig(this.bigPos - this.start);
      this.bigPos = from + length;
    } else {
      this.pos += length;
    }
    return copyOf(this.source.subarray(from, from + length));
  }

  private arrayBufferView(): ArrayBufferView {
    const kind = this.u8();
    const byteOffset = this.u32();
    const length = this.u32();
    const refs = this.refs;
    // The view's number comes before that of its buffer.
    const number = refs === undefined ? 0 : refs.push(undefined) - 1;
    const buffer = this.read() as ArrayBuffer;
    const view = new (VIEWS[kind] as ViewConstructor)(buffer, byteOffset, length);
    if (refs !== undefined) refs[number] = view;
    return view;
  }

  private sharedBuffer(): ArrayBufferLike {
    if (this.memory !== undefined) return this.memory.buffer;
    throw new Error(
      'Cannot unpack a view over shared memory: this unpacker was made without the memory of the runtime',
    );
  }

  private sharedView(): ArrayBufferView {
    const kind = this.u8();
    const byteOffset = this.u32();
    return new (VIEWS[kind] as ViewConstructor)(this.sharedBuffer(), byteOffset, this.u32());
  }
}

function utf8OrLatin1(bytes: Uint8Array, start: number, end: number, isAscii: boolean): string {
  return isAscii ? latin1Slice(bytes, start, end) : utf8Slice(bytes, start, end);
}

/**
 * An unpacker for one thread.
 *
 * @param memory - the runtime's memory, which views that crossed by reference lie over
 * @param options - `errorTypes`
 */
export function createUnpacker(
  memory: WebAssembly.Memory | undefined,
  options: UnpackerOptions = {},
): Unpacker {
  const reader = new Reader(memory, options.errorTypes);
  return {
    unpack: (source, offset) => reader.unpack(source, offset),
  };
}
