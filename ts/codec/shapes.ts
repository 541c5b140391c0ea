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

const TABLE_SIZE = 256;
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
    const first = stack[base] as string;
    const last = stack[base + count - 1] as string;
    const mix =
      count * 31 +
      first.length * 17 +
      last.length * 5 +
      first.charCodeAt(0) * 3 +
      last.charCodeAt(last.length - 1);
    const slot = mix & (TABLE_SIZE - 1);
    const known = this.#table[slot];
    if (known !== undefined && known.keys.length === count) {
      const keys = known.keys;
      let i = 0;
      while (i < count && keys[i] === stack[base + i]) i++;
      if (i === count) return known;
    }
    const made = makeShape(stack.slice(base, base + count));
    if (made !== undefined) this.#table[slot] = made;
    return made;
  }
}

/** The unpacker's table. */
export class ReadShapes {
  readonly #table: (ReadShape | undefined)[] = new Array<ReadShape | undefined>(TABLE_SIZE).fill(undefined);

  /** The shape in `count` words of `view` at `pos`. The bytes decide; the hash only says where to look. */
  find(view: DataView, pos: number, count: number, hash: number): ReadShape {
    const slot = hash & (TABLE_SIZE - 1);
    const known = this.#table[slot];
    if (known !== undefined && known.hash === hash && known.words.length === count) {
      const words = known.words;
      let i = 0;
      while (i < count && words[i] === view.getInt32(pos + i * 4, true)) i++;
      if (i === count) return known;
    }
    const made = parseShape(view, pos, count, hash);
    this.#table[slot] = made;
    return made;
  }
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
