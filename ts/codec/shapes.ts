/**
 * Shapes: the keys of a plain object as bytes, made once and then copied or compared a word at a time.
 * Both sides keep a small table of fixed size; a shape that falls out of it is made again.
 *
 *     | keys u8 | key | key | ... | zeros to a whole number of 32-bit words |
 *     key: length 0..127 u8, Latin-1 bytes
 *       or 0x80 + length, UTF-16 code units
 *
 * @module
 */

import { MAX_SHAPE_KEYS, MAX_SHAPE_WORDS } from './format.ts';

/** Slots come in pairs: the newest of its pair first, so that two shapes that fall together do not drive each other out. */
const TABLE_SIZE = 512;
const MAX_KEY_CHARS = 127;
const WIDE_KEY_BIT = 0x80;

const scratch: DataView = new DataView(new ArrayBuffer((MAX_SHAPE_WORDS + 1) * 4 + MAX_KEY_CHARS * 2));

/** A shape as the packer knows it. */
export interface PackShape {
  readonly keys: readonly string[];
  /** The bytes, as little-endian words. */
  readonly words: readonly number[];
  readonly hash: number;
  /** The last message that defined it, and its number there. */
  message: number;
  index: number;
}

/** A shape as the unpacker knows it. */
export interface ReadShape {
  readonly keys: readonly string[];
  readonly words: readonly number[];
  readonly hash: number;
  /** A key is `__proto__`, which an assignment would not store. */
  readonly hasProto: boolean;
}

function hashWords(words: readonly number[]): number {
  let hash = words.length;
  for (const word of words) hash = Math.imul(hash ^ word, 0x9e3779b1) ^ (hash >>> 15);
  return hash | 0;
}

/** The shape of the keys, or undefined where they are too many or too long for one. */
function makeShape(keys: string[]): PackShape | undefined {
  if (keys.length > MAX_SHAPE_KEYS) return undefined;
  let pos = 0;
  scratch.setUint8(pos++, keys.length);
  for (const key of keys) {
    // Objects list keys like '7' in numeric order, a Proxy need not: such keys are written out each time.
    const isIndexLike = key.charCodeAt(0) >= 0x30 && key.charCodeAt(0) <= 0x39;
    if (key.length > MAX_KEY_CHARS || isIndexLike) return undefined;
    let all = 0;
    for (let i = 0; i < key.length; i++) all |= key.charCodeAt(i);
    if (all <= 0xff) {
      scratch.setUint8(pos++, key.length);
      for (let i = 0; i < key.length; i++) scratch.setUint8(pos++, key.charCodeAt(i));
    } else {
      scratch.setUint8(pos++, WIDE_KEY_BIT | key.length);
      for (let i = 0; i < key.length; i++, pos += 2) scratch.setUint16(pos, key.charCodeAt(i), true);
    }
    if (pos > MAX_SHAPE_WORDS * 4) return undefined;
  }
  while (pos % 4 !== 0) scratch.setUint8(pos++, 0);
  const words: number[] = [];
  for (let i = 0; i < pos; i += 4) words.push(scratch.getInt32(i, true));
  return { keys, words, hash: hashWords(words), message: 0, index: 0 };
}

/** The packer's table. */
export class PackShapes {
  readonly #table: (PackShape | undefined)[] = new Array<PackShape | undefined>(TABLE_SIZE).fill(undefined);

  /**
   * The shape of `stack[base .. base + count)`, `count` > 0; undefined where the keys are too many or too long.
   *
   * @param stack - property names, as the engine gave them
   */
  find(stack: readonly string[], base: number, count: number): PackShape | undefined {
    const mix =
      Math.imul(endOf(stack[base] as string), 31) +
      Math.imul(endOf(stack[base + (count >> 1)] as string), 131) +
      Math.imul(endOf(stack[base + count - 1] as string), 7) +
      count;
    const slot = ((mix ^ (mix >>> 9)) << 1) & (TABLE_SIZE - 1);
    const table = this.#table;
    const newest = table[slot];
    if (newest !== undefined && hasKeys(newest, stack, base, count)) return newest;
    const older = table[slot + 1];
    if (older !== undefined && hasKeys(older, stack, base, count)) return older;
    const made = makeShape(stack.slice(base, base + count));
    if (made !== undefined) {
      table[slot + 1] = newest;
      table[slot] = made;
    }
    return made;
  }
}

/** Tells keys such as `id7` and `id8` apart. */
function endOf(key: string): number {
  const length = key.length;
  if (length < 2) return length === 0 ? 0 : key.charCodeAt(0);
  return Math.imul(key.charCodeAt(length - 1), 17) + Math.imul(key.charCodeAt(length - 2), 5) + length;
}

function hasKeys(shape: PackShape, stack: readonly string[], base: number, count: number): boolean {
  const keys = shape.keys;
  if (keys.length !== count) return false;
  for (let i = 0; i < count; i++) if (keys[i] !== stack[base + i]) return false;
  return true;
}

/** The unpacker's table. */
export class ReadShapes {
  readonly #table: (ReadShape | undefined)[] = new Array<ReadShape | undefined>(TABLE_SIZE).fill(undefined);

  /** The shape in `count` words of `view` at `pos`. The bytes decide; the hash only says where to look. */
  find(view: DataView, pos: number, count: number, hash: number): ReadShape {
    const slot = (hash << 1) & (TABLE_SIZE - 1);
    const table = this.#table;
    const newest = table[slot];
    if (newest !== undefined && hasWords(newest, view, pos, count, hash)) return newest;
    const older = table[slot + 1];
    if (older !== undefined && hasWords(older, view, pos, count, hash)) return older;
    const made = parseShape(view, pos, count, hash);
    table[slot + 1] = newest;
    table[slot] = made;
    return made;
  }
}

function hasWords(shape: ReadShape, view: DataView, pos: number, count: number, hash: number): boolean {
  const words = shape.words;
  if (shape.hash !== hash || words.length !== count) return false;
  for (let i = 0; i < count; i++) if (words[i] !== view.getInt32(pos + i * 4, true)) return false;
  return true;
}

function parseShape(view: DataView, start: number, count: number, hash: number): ReadShape {
  let pos = start;
  const keyCount = view.getUint8(pos++);
  // As keys of an object they become the engine's own property names, which it compares by address.
  const probe = Object.create(null) as { [key: string]: true };
  for (let k = 0; k < keyCount; k++) {
    const head = view.getUint8(pos++);
    let key = '';
    for (let i = head & MAX_KEY_CHARS; i > 0; i--) {
      if (head & WIDE_KEY_BIT) {
        key += String.fromCharCode(view.getUint16(pos, true));
        pos += 2;
      } else {
        key += String.fromCharCode(view.getUint8(pos++));
      }
    }
    probe[key] = true;
  }
  const keys = Object.keys(probe);
  const words: number[] = [];
  for (let i = 0; i < count; i++) words.push(view.getInt32(start + i * 4, true));
  return { keys, words, hash, hasProto: keys.includes('__proto__') };
}
