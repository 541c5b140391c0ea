/**
 * Values to bytes and back, for shared memory, by the rules of structured clone. One pass; what cannot be bytes is reported so
 * that the caller can take the MessagePort instead.
 *
 * What differs from structured clone, on purpose:
 * - Errors keep their class, `code`, `errors` and own properties (see error-codec.ts); what sits in those and cannot cross becomes
 *   a note, never a failure.
 * - A view of a subclass of a typed array that covers a part of its buffer, as Node's Buffer does, crosses as its own bytes alone,
 *   without the rest of the buffer.
 * - A Proxy is read through its traps; structured clone refuses it.
 * - Values may be nested to any depth.
 *
 * @module
 */

import { DataCloneFailure } from '../errors.ts';
import { isSameMemory } from '../kernel/same-memory.ts';
import { readSafeError } from './error-codec.ts';
import {
  alignBig,
  BIG_BINARY_BYTES,
  DATA_VIEW_KIND,
  HAS_REFS_BIT,
  HEADER_BYTES,
  MAX_INLINE_DEPTH,
  MAX_SHAPES,
  MAX_SHORT_ARRAY,
  MAX_SHORT_STRING,
  SHORT_ARRAY,
  SHORT_STRING,
  Tag,
  VIEW_NAMES,
} from './format.ts';
import { describeObject, isDetached, isResizable, isTrue, Kind, kindOf, unbox, viewName } from './kinds.ts';
import { PackShapes } from './shapes.ts';
import { isWellFormed } from './strings.ts';

export { setStringCodec } from './strings.ts';
export { createUnpacker, type Unpacker, type UnpackerOptions } from './unpack.ts';

/** Packs one value at a time. Belongs to one thread. */
export interface Packer {
  /**
   * Packs a value into private memory. Getters are called once. Does not block.
   *
   * @param value - anything
   * @param root - what the path of a failure begins with, such as `args` or `result`
   * @returns the length in bytes, or -1 when the value holds something that only structured clone over a MessagePort can carry:
   * a MessagePort, a Blob, a SharedArrayBuffer other than the runtime's, a CryptoKey, a WebAssembly.Module, a resizable
   * ArrayBuffer, any other object of the platform
   * @throws DataCloneFailure for what structured clone refuses too: functions, symbols, WeakMap, Promise, a detached
   * ArrayBuffer; `path` says where
   * @throws whatever a getter of the value throws
   */
  pack(value: unknown, root: string): number;
  /**
   * Copies what the last {@link pack} made, once; big binaries come straight from their source. Nothing may change them between.
   *
   * @param target - over shared memory, with room for the length at `offset`
   * @param offset - in bytes, a multiple of 8
   */
  copyTo(target: Uint8Array, offset: number): void;
}

/** A scratch buffer that grew beyond this many bytes is given up before the next value. */
const MAX_KEPT_SCRATCH = 1 << 20;
const INITIAL_SCRATCH = 1 << 14;
/** Up to so many objects a scan finds one faster than a Set. */
const SCAN_LIMIT = 16;
/** Up to so many bytes a loop over words copies faster than `set` with a view made for it. */
const LOOP_COPY_BYTES = 512;
const MAX_U32 = 0xffff_ffff;
/** The longest array that is written with a value for each index although more than half are absent. */
const MAX_HOLEY_ARRAY = 64;

const encoder = new TextEncoder();
const hasOwn = Object.prototype.hasOwnProperty;
const ObjectPrototype = Object.prototype;
const mapForEach = Map.prototype.forEach;
const setForEach = Set.prototype.forEach;

/** What was left to the end of the message, with the path that leads to it. */
interface Later {
  readonly value: object;
  readonly path: string;
}

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

function propertyLabel(key: string): string {
  return IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function entryLabel(key: unknown): string {
  if (typeof key === 'string') return `.get(${JSON.stringify(key)})`;
  return typeof key === 'object' || typeof key === 'function' ? '.get(...)' : `.get(${String(key)})`;
}

class Writer {
  private readonly memory: WebAssembly.Memory | undefined;
  private shared: ArrayBufferLike | undefined;
  private buf: Uint8Array<ArrayBuffer> = new Uint8Array(INITIAL_SCRATCH);
  private view: DataView<ArrayBuffer> = new DataView(this.buf.buffer);
  private words: Int32Array = new Int32Array(this.buf.buffer);
  private pos = 0;

  // Objects by number; beyond SCAN_LIMIT also in a Set, and in a Map from the first one that comes twice.
  private count = 0;
  private readonly seen: unknown[] = [];
  private seenSet: Set<unknown> | undefined;
  private seenMap: Map<unknown, number> | undefined;
  private hasRefs = false;
  private needsPort = false;

  // Keys and values of the records that are being written, each with its own range.
  private readonly keys: string[] = [];
  private readonly values: unknown[] = [];
  private top = 0;
  private highest = 0;

  private readonly shapes = new PackShapes();
  private message = 0;
  private shapeCount = 0;

  // Where we are: at each depth a key, an index, or a label that is ready.
  private depth = 0;
  private readonly path: (string | number)[] = [];
  private root = '';
  private later: Later[] = [];

  private bigs: Uint8Array[] = [];
  private inlineBytes = 0;
  private target: Uint8Array | undefined;
  private targetWords: Int32Array = this.words;
  private inheritsKeys = false;
  /** Says why the platform refuses an object that is left to it, or undefined; only while the one that is refused is looked for. */
  private readonly refusal: ((value: object) => string | undefined) | undefined;

  constructor(memory: WebAssembly.Memory | undefined, refusal?: (value: object) => string | undefined) {
    this.refusal = refusal;
    this.memory = memory;
    this.shared = memory?.buffer;
  }

  pack(value: unknown, root: string): number {
    if (this.buf.length > MAX_KEPT_SCRATCH) {
      this.useScratch(new Uint8Array(INITIAL_SCRATCH));
    }
    this.pos = HEADER_BYTES;
    this.root = root;
    this.message++;
    this.inheritsKeys = hasEnumerableKeys(ObjectPrototype);
    if (this.bigs.length > 0) this.bigs = [];
    try {
      if (root === 'args' && Array.isArray(value)) this.arguments(value);
      else this.write(value);
      if (this.later.length > 0) this.writeLater();
      if (this.needsPort) {
        this.bigs = [];
        return -1;
      }
      return this.finish();
    } finally {
      this.release();
    }
  }

  copyTo(target: Uint8Array, offset: number): void {
    const length = this.inlineBytes;
    if (length <= LOOP_COPY_BYTES && ((target.byteOffset | offset) & 3) === 0) this.copyWords(target, offset);
    else target.set(this.buf.subarray(0, length), offset);
    if (this.bigs.length > 0) this.copyBigs(target, offset);
  }

  private copyWords(target: Uint8Array, offset: number): void {
    if (this.target !== target) {
      this.target = target;
      this.targetWords = new Int32Array(target.buffer, target.byteOffset, target.byteLength >> 2);
    }
    const { buf, words, targetWords, inlineBytes } = this;
    const count = inlineBytes >> 2;
    const first = offset >> 2;
    for (let i = 0; i < count; i++) targetWords[first + i] = words[i] as number;
    for (let i = count << 2; i < inlineBytes; i++) target[offset + i] = buf[i] as number;
  }

  private copyBigs(target: Uint8Array, offset: number): void {
    let at = this.inlineBytes;
    for (const bytes of this.bigs) {
      at = alignBig(at);
      target.set(bytes, offset + at);
      at += bytes.length;
    }
    this.bigs = [];
  }

  private finish(): number {
    this.buf[0] = this.hasRefs ? HAS_REFS_BIT : 0;
    this.view.setUint32(1, this.pos, true);
    this.inlineBytes = this.pos;
    let length = this.pos;
    for (const bytes of this.bigs) {
      if (bytes.length === 0)
        throw new DataCloneFailure(this.root, 'holding an ArrayBuffer that a getter detached');
      length = alignBig(length) + bytes.length;
    }
    return length;
  }

  /** Lets go of everything that belongs to the caller, except the big binaries. */
  private release(): void {
    const seen = this.seen;
    for (let i = 0, n = Math.min(this.count, seen.length); i < n; i++) seen[i] = undefined;
    if (seen.length > SCAN_LIMIT) seen.length = SCAN_LIMIT;
    this.count = 0;
    this.seenSet = undefined;
    this.seenMap = undefined;
    this.hasRefs = false;
    this.needsPort = false;
    const values = this.values;
    for (let i = 0; i < this.highest; i++) values[i] = undefined;
    this.top = 0;
    this.highest = 0;
    this.shapeCount = 0;
    this.depth = 0;
    if (this.later.length > 0) this.later = [];
  }

  private ensure(bytes: number): void {
    if (this.pos + bytes > this.buf.length) this.grow(bytes);
  }

  private grow(bytes: number): void {
    const buf = new Uint8Array(alignBig(Math.max(this.buf.length * 2, this.pos + bytes)));
    buf.set(this.buf.subarray(0, this.pos));
    this.useScratch(buf);
  }

  private useScratch(buf: Uint8Array<ArrayBuffer>): void {
    this.buf = buf;
    this.view = new DataView(buf.buffer);
    this.words = new Int32Array(buf.buffer);
  }

  private pathHere(): string {
    let path = this.root;
    for (let i = 0; i < this.depth; i++) {
      const step = this.path[i] as string | number;
      path +=
        typeof step === 'number'
          ? `[${step}]`
          : step.startsWith('.get(') || step.startsWith('.keys()')
            ? step
            : propertyLabel(step);
    }
    return path;
  }

  private fail(what: string): never {
    throw new DataCloneFailure(this.pathHere(), what);
  }

  private byte(byte: number): void {
    this.buf[this.pos++] = byte;
  }

  private u32(value: number): void {
    this.view.setUint32(this.pos, value, true);
    this.pos += 4;
  }

  private write(value: unknown): void {
    // Room for any value of fixed size.
    if (this.pos + 16 > this.buf.length) this.grow(16);
    switch (typeof value) {
      case 'string':
        this.string(value);
        return;
      case 'number':
        this.number(value);
        return;
      case 'object':
        if (value === null) this.byte(Tag.NULL);
        else this.object(value);
        return;
      case 'boolean':
        this.byte(value ? Tag.TRUE : Tag.FALSE);
        return;
      case 'undefined':
        this.byte(Tag.UNDEFINED);
        return;
      case 'bigint':
        this.bigint(value);
        return;
      case 'function':
        this.fail('a function');
        return;
      default:
        this.fail('a symbol');
    }
  }

  private number(value: number): void {
    const view = this.view;
    const pos = this.pos;
    // The second test tells -0, which an integer cannot be.
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) {
      view.setUint8(pos, Tag.FLOAT64);
      view.setFloat64(pos + 1, value, true);
      this.pos = pos + 9;
    } else if (value >= 0 && value < 0x80) {
      view.setUint8(pos, value);
      this.pos = pos + 1;
    } else if (value >= -0x80 && value < 0x80) {
      view.setUint8(pos, Tag.INT8);
      view.setInt8(pos + 1, value);
      this.pos = pos + 2;
    } else if (value >= -0x8000 && value < 0x8000) {
      view.setUint8(pos, Tag.INT16);
      view.setInt16(pos + 1, value, true);
      this.pos = pos + 3;
    } else {
      view.setUint8(pos, Tag.INT32);
      view.setInt32(pos + 1, value, true);
      this.pos = pos + 5;
    }
  }

  private bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      this.byte(Tag.BIGINT64);
      this.view.setBigInt64(this.pos, value, true);
      this.pos += 8;
      return;
    }
    this.byte(Tag.BIGINT);
    this.byte(value < 0n ? 1 : 0);
    this.string((value < 0n ? -value : value).toString(16));
  }

  private string(text: string): void {
    const length = text.length;
    if (length > MAX_SHORT_STRING) {
      this.longString(text);
      return;
    }
    if (this.pos + 2 + length * 2 + 16 > this.buf.length) this.grow(2 + length * 2 + 16);
    const buf = this.buf;
    let at = this.pos;
    buf[at++] = SHORT_STRING + length;
    let all = 0;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      buf[at++] = code;
      all |= code;
    }
    if (all > 0xff) this.shortWideString(text);
    else this.pos = at;
  }

  private shortWideString(text: string): void {
    this.byte(Tag.UTF16_SHORT);
    this.byte(text.length);
    this.codeUnits(text);
  }

  private codeUnits(text: string): void {
    for (let i = 0; i < text.length; i++, this.pos += 2)
      this.view.setUint16(this.pos, text.charCodeAt(i), true);
  }

  private longString(text: string): void {
    const length = text.length;
    this.ensure(length + 5);
    const start = this.pos + 5;
    const written = this.encode(text, start, start + length);
    if (written.read === length) {
      this.byte(Tag.ASCII);
      this.u32(length);
      this.pos = start + length;
    } else if (isWellFormed(text)) {
      this.ensure(length * 3 + 5);
      const bytes = this.encode(text, start, start + length * 3).written;
      this.byte(Tag.UTF8);
      this.u32(bytes);
      this.pos = start + bytes;
    } else {
      this.ensure(length * 2 + 5);
      this.byte(Tag.UTF16);
      this.u32(length);
      this.codeUnits(text);
    }
  }

  private encode(text: string, start: number, end: number): { read: number; written: number } {
    return encoder.encodeInto(text, this.buf.subarray(start, end));
  }

  /** The number of an object that came before, or -1, and then it has the next number. */
  private note(value: object): number {
    const seen = this.seen;
    const count = this.count;
    if (count <= SCAN_LIMIT) {
      for (let i = 0; i < count; i++) if (seen[i] === value) return i;
      if (count === SCAN_LIMIT) this.seenSet = new Set(seen).add(value);
    } else {
      const set = this.seenSet as Set<unknown>;
      set.add(value);
      if (set.size === count) return this.numberOf(value);
    }
    seen[count] = value;
    this.count = count + 1;
    return -1;
  }

  private numberOf(value: object): number {
    let map = this.seenMap;
    if (map === undefined) {
      map = new Map();
      this.seenMap = map;
    }
    // Objects noted since the last call.
    for (let i = map.size; i < this.count; i++) map.set(this.seen[i], i);
    return map.get(value) as number;
  }

  /** True if the value came before and a reference stands for it now. */
  private isRepeated(value: object): boolean {
    const number = this.note(value);
    if (number < 0) return false;
    this.hasRefs = true;
    this.byte(Tag.REF);
    this.u32(number);
    return true;
  }

  /** The caller's list of arguments: extra properties of it mean nothing. */
  private arguments(args: readonly unknown[]): void {
    this.note(args);
    this.arrayHead(args.length);
    this.elements(args);
  }

  private object(value: object): void {
    if (this.isRepeated(value)) return;
    if (Array.isArray(value)) {
      if (this.depth >= MAX_INLINE_DEPTH) this.defer(value, Tag.LATER_ARRAY);
      else this.array(value);
      return;
    }
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === ObjectPrototype || prototype === null) {
      if (this.depth >= MAX_INLINE_DEPTH) this.defer(value, Tag.LATER_RECORD);
      else this.record(value);
      return;
    }
    this.special(value, prototype);
  }

  private defer(value: object, tag: number): void {
    this.byte(tag);
    this.later.push({ value, path: this.pathHere() });
  }

  private writeLater(): void {
    // Grows while it is read.
    for (let i = 0; i < this.later.length; i++) {
      const { value, path } = this.later[i] as Later;
      this.root = path;
      this.ensure(16);
      if (Array.isArray(value)) {
        this.array(value);
        continue;
      }
      const prototype = Object.getPrototypeOf(value) as object | null;
      const kind = prototype === null ? Kind.RECORD : kindOf(prototype);
      if (kind === Kind.MAP && isTrue(value, kind)) this.map(value as Map<unknown, unknown>);
      else if (kind === Kind.SET && isTrue(value, kind)) this.set(value as Set<unknown>);
      else if (kind === Kind.ERROR) this.errorBody(value as Error);
      else if (prototype === null || prototype === ObjectPrototype) this.record(value);
      else this.instance(value);
    }
  }

  private record(value: object): void {
    if (this.inheritsKeys) {
      this.instance(value);
      return;
    }
    const base = this.top;
    const keys = this.keys;
    const values = this.values;
    let top = base;
    // for-in reads keys and values through the engine's cache, and there is nothing to inherit.
    for (const key in value) {
      // A getter may pack something itself, but with another writer.
      values[top] = (value as { [key: string]: unknown })[key];
      keys[top++] = key;
    }
    this.writeRecord(base, top);
  }

  /** An instance of a class: its prototypes may have enumerable properties, a Proxy may list keys that for-in does not. */
  private instance(value: object): void {
    const base = this.top;
    let top = base;
    for (const key of Object.keys(value)) {
      const entry = (value as { [key: string]: unknown })[key];
      if (entry === undefined && !hasOwn.call(value, key)) continue;
      this.values[top] = entry;
      this.keys[top++] = key;
    }
    this.writeRecord(base, top);
  }

  private writeRecord(base: number, top: number): void {
    const count = top - base;
    if (count === 0) {
      this.byte(Tag.EMPTY_RECORD);
      return;
    }
    this.top = top;
    if (top > this.highest) this.highest = top;
    const shape = this.shapes.find(this.keys, base, count);
    if (shape === undefined) {
      this.byte(Tag.RECORD_KEYS);
      this.u32(count);
    } else if (shape.message !== this.message) {
      this.ensure(shape.words.length * 4 + 16);
      const view = this.view;
      let pos = this.pos;
      view.setUint8(pos, Tag.RECORD_DEF);
      view.setUint8(pos + 1, shape.words.length);
      view.setInt32(pos + 2, shape.hash, true);
      pos += 6;
      const words = shape.words;
      for (let i = 0; i < words.length; i++, pos += 4) view.setInt32(pos, words[i] as number, true);
      this.pos = pos;
      if (this.shapeCount < MAX_SHAPES) {
        shape.message = this.message;
        shape.index = this.shapeCount++;
      }
    } else if (shape.index < 0x100) {
      this.byte(Tag.RECORD8);
      this.byte(shape.index);
    } else {
      this.byte(Tag.RECORD16);
      this.view.setUint16(this.pos, shape.index, true);
      this.pos += 2;
    }
    const depth = this.depth++;
    const path = this.path;
    const keys = this.keys;
    const values = this.values;
    for (let i = base; i < top; i++) {
      const key = keys[i] as string;
      path[depth] = key;
      if (shape === undefined) this.string(key);
      this.write(values[i]);
    }
    this.depth = depth;
    this.top = base;
  }

  private arrayHead(length: number): void {
    this.ensure(16);
    if (length <= MAX_SHORT_ARRAY) {
      this.byte(SHORT_ARRAY + length);
    } else {
      this.byte(Tag.ARRAY);
      this.u32(length);
    }
  }

  private elements(array: readonly unknown[]): void {
    const depth = this.depth++;
    const path = this.path;
    const length = array.length;
    for (let i = 0; i < length; i++) {
      path[depth] = i;
      this.write(array[i]);
    }
    this.depth = depth;
  }

  private array(array: readonly unknown[]): void {
    const length = array.length;
    // There is no cheaper way to learn of extra properties, such as `index` of a match. It leaves strings out where they cost.
    const own = length <= 8 ? Object.keys(array).length : Object.values(array).length;
    if (own === length && isDense(array)) {
      this.arrayHead(length);
      this.elements(array);
      return;
    }
    if (length > MAX_HOLEY_ARRAY && own * 2 < length) this.sparseArray(array);
    else this.oddArray(array);
  }

  private oddArray(array: readonly unknown[]): void {
    const length = array.length;
    this.byte(Tag.ARRAY_ODD);
    this.u32(length);
    const extra = Object.keys(array).filter((key) => !isIndex(key, length));
    const depth = this.depth++;
    for (let i = 0; i < length; i++) {
      this.ensure(16);
      this.path[depth] = i;
      const value = array[i];
      if (value === undefined && !hasOwn.call(array, i)) this.byte(Tag.HOLE);
      else this.write(value);
    }
    this.depth = depth;
    this.pairs(array, extra);
  }

  private sparseArray(array: readonly unknown[]): void {
    this.byte(Tag.ARRAY_SPARSE);
    this.u32(array.length);
    this.pairs(array, Object.keys(array));
  }

  private pairs(from: object, keys: readonly string[]): void {
    this.ensure(16);
    this.u32(keys.length);
    const depth = this.depth++;
    for (const key of keys) {
      this.path[depth] = key;
      this.string(key);
      this.write((from as { [key: string]: unknown })[key]);
    }
    this.depth = depth;
  }

  /** Everything that is neither an array nor a plain object by its prototype. */
  private special(value: object, prototype: object): void {
    if (ArrayBuffer.isView(value)) {
      this.arrayBufferView(value, prototype);
      return;
    }
    const kind = kindOf(prototype);
    switch (isTrue(value, kind) ? kind : Kind.RECORD) {
      case Kind.RECORD:
        if (this.depth >= MAX_INLINE_DEPTH) this.defer(value, Tag.LATER_RECORD);
        else this.instance(value);
        return;
      case Kind.ERROR:
        this.error(value as Error);
        return;
      case Kind.DATE:
        this.byte(Tag.DATE);
        this.view.setFloat64(this.pos, Date.prototype.getTime.call(value), true);
        this.pos += 8;
        return;
      case Kind.REGEXP:
        this.byte(Tag.REGEXP);
        this.string((value as RegExp).source);
        this.string((value as RegExp).flags);
        return;
      case Kind.MAP:
        if (this.depth >= MAX_INLINE_DEPTH) this.defer(value, Tag.LATER_MAP);
        else this.map(value as Map<unknown, unknown>);
        return;
      case Kind.SET:
        if (this.depth >= MAX_INLINE_DEPTH) this.defer(value, Tag.LATER_SET);
        else this.set(value as Set<unknown>);
        return;
      case Kind.BOXED:
        this.boxed(value);
        return;
      case Kind.ARRAY_BUFFER:
        this.arrayBuffer(value as ArrayBuffer);
        return;
      case Kind.SHARED_ARRAY_BUFFER:
        if (this.isMemory(value as SharedArrayBuffer)) this.byte(Tag.SHARED_BUFFER);
        else this.leaveToPort(value);
        return;
      case Kind.HOST:
        this.leaveToPort(value);
        return;
      default:
        this.fail(describeObject(value));
    }
  }

  /** The walk goes on, so that a value that nothing can carry is found with its path all the same. */
  private leaveToPort(value: object): void {
    const refusal = this.refusal?.(value);
    if (refusal !== undefined) this.fail(refusal);
    this.needsPort = true;
    this.byte(Tag.NULL);
  }

  private boxed(value: object): void {
    const primitive = unbox(value);
    if (primitive === undefined) {
      this.instance(value);
      return;
    }
    this.byte(Tag.BOXED);
    this.write(primitive);
  }

  private map(map: Map<unknown, unknown>): void {
    this.byte(Tag.MAP);
    // All entries first: writing one may call a getter that changes the map.
    const entries: unknown[] = [];
    mapForEach.call(map, (value, key) => {
      entries.push(key, value);
    });
    this.u32(entries.length / 2);
    const depth = this.depth++;
    for (let i = 0; i < entries.length; i += 2) {
      this.path[depth] = `.keys()[${i / 2}]`;
      this.write(entries[i]);
      this.path[depth] = entryLabel(entries[i]);
      this.write(entries[i + 1]);
    }
    this.depth = depth;
  }

  private set(set: Set<unknown>): void {
    this.byte(Tag.SET);
    const members: unknown[] = [];
    setForEach.call(set, (member) => {
      members.push(member);
    });
    this.u32(members.length);
    const depth = this.depth++;
    for (let i = 0; i < members.length; i++) {
      this.path[depth] = `.keys()[${i}]`;
      this.write(members[i]);
    }
    this.depth = depth;
  }

  private error(error: Error): void {
    if (this.depth >= MAX_INLINE_DEPTH) this.defer(error, Tag.LATER_ERROR);
    else this.errorBody(error);
  }

  private errorBody(error: Error): void {
    const plain = readSafeError(error);
    this.byte(Tag.ERROR);
    this.string(plain.type);
    this.string(plain.name);
    this.string(plain.message);
    this.string(plain.stack);
    this.string(plain.heddle);
    this.ensure(16);
    this.u32(plain.classes.length);
    for (const name of plain.classes) this.string(name);
    this.entries(plain.own);
    this.entries(plain.hidden);
  }

  private entries(entries: readonly (readonly [string, unknown])[]): void {
    this.ensure(16);
    this.u32(entries.length);
    const depth = this.depth++;
    for (const [key, value] of entries) {
      this.path[depth] = key;
      this.string(key);
      this.write(value);
    }
    this.depth = depth;
  }

  private isMemory(buffer: ArrayBufferLike): boolean {
    if (this.memory === undefined) return false;
    if (buffer === this.shared) return true;
    // A memory that has grown has a new buffer object.
    this.shared = this.memory.buffer;
    return isSameMemory(this.shared, buffer);
  }

  private arrayBuffer(buffer: ArrayBuffer): void {
    if (isDetached(buffer)) this.fail('a detached ArrayBuffer');
    if (isResizable(buffer)) this.leaveToPort(buffer);
    else this.bytes(new Uint8Array(buffer));
  }

  private bytes(bytes: Uint8Array): void {
    const length = bytes.length;
    if (length > MAX_U32) {
      this.leaveToPort(bytes.buffer);
      return;
    }
    if (length >= BIG_BINARY_BYTES) {
      this.byte(Tag.BUFFER_BIG);
      this.u32(length);
      this.bigs.push(bytes);
      return;
    }
    this.ensure(length + 16);
    this.byte(Tag.BUFFER);
    this.u32(length);
    this.buf.set(bytes, this.pos);
    this.pos += length;
  }

  private arrayBufferView(view: ArrayBufferView, prototype: object): void {
    const name = viewName(view);
    const kind = VIEW_NAMES.indexOf(name);
    const buffer = view.buffer;
    const { byteOffset, byteLength } = view;
    const length = kind === DATA_VIEW_KIND ? byteLength : (view as Uint8Array).length;
    if (kind < 0) {
      this.leaveToPort(view);
      return;
    }
    if (!(buffer instanceof ArrayBuffer)) {
      if (this.isMemory(buffer)) this.viewHead(Tag.SHARED_VIEW, kind, byteOffset, length);
      else this.leaveToPort(view);
      return;
    }
    if (byteLength !== buffer.byteLength && isSubclass(prototype)) {
      this.viewHead(Tag.VIEW, kind, 0, length);
      // A number of its own, as every object has.
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      this.note(bytes);
      this.bytes(bytes);
      return;
    }
    this.viewHead(Tag.VIEW, kind, byteOffset, length);
    this.ensure(16);
    if (!this.isRepeated(buffer)) this.arrayBuffer(buffer);
  }

  private viewHead(tag: number, kind: number, byteOffset: number, length: number): void {
    this.byte(tag);
    this.byte(kind);
    this.u32(byteOffset);
    this.u32(length);
  }
}

function isIndex(key: string, length: number): boolean {
  const index = Number(key);
  return index >= 0 && index < length && String(index >>> 0) === key;
}

function hasEnumerableKeys(value: object): boolean {
  for (const _ in value) return true;
  return false;
}

/** As many own keys as elements, and each element there, so none of the keys is another one. */
function isDense(array: readonly unknown[]): boolean {
  for (let i = 0; i < array.length; i++) if (array[i] === undefined && !hasOwn.call(array, i)) return false;
  return true;
}

const subclasses = new WeakMap<object, boolean>();
const TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object;

/** Whether a view's prototype is not that of the language, but one that inherits from it. */
function isSubclass(prototype: object): boolean {
  let answer = subclasses.get(prototype);
  if (answer === undefined) {
    const parent = Object.getPrototypeOf(prototype) as object | null;
    answer = parent !== TypedArrayPrototype && prototype !== DataView.prototype;
    subclasses.set(prototype, answer);
  }
  return answer;
}

/**
 * A packer for one thread. A getter that packs something itself, while its object is being packed, is fine.
 *
 * @param memory - the runtime's memory: views over it cross by reference
 */
export function createPacker(memory: WebAssembly.Memory | undefined): Packer {
  const main = new Writer(memory);
  let last = main;
  let depth = 0;
  return {
    pack(value, root) {
      const writer = depth === 0 ? main : new Writer(memory);
      depth++;
      try {
        const length = writer.pack(value, root);
        last = writer;
        return length;
      } finally {
        depth--;
      }
    },
    copyTo(target, offset) {
      last.copyTo(target, offset);
    },
  };
}

/**
 * The failure that names what in a value made structured clone refuse it; undefined when it cannot be found. Slow, and calls the value's
 * getters again: for a value that was refused.
 *
 * @param root - as for {@link Packer.pack}
 * @param transfer - what went along, and is refused by nobody
 */
export function findRefused(
  value: unknown,
  root: string,
  transfer: readonly unknown[],
): DataCloneFailure | undefined {
  const refusal = (part: object): string | undefined => {
    if (transfer.includes(part)) return undefined;
    try {
      structuredClone(part);
      return undefined;
    } catch (error) {
      return `${describeObject(part)} (${error instanceof Error ? error.message : String(error)})`;
    }
  };
  try {
    new Writer(undefined, refusal).pack(value, root);
  } catch (error) {
    if (error instanceof DataCloneFailure) return error;
    // A getter of the user's.
  }
  return undefined;
}
