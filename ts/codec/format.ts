/**
 * The bytes of a packed value. Nothing but the packer and the unpacker knows a tag.
 *
 *     0        1            5
 *     | flags  | inline u32 | values ...  | pad to 8 | big binary | pad | big binary | ...
 *     <------------ inline bytes -------->
 *
 * A value is a tag, then what the tag says. Numbers are little-endian and unaligned. The first ranges hold a small
 * value in the tag itself:
 *
 *     0x00..0x7f  integer 0..127
 *     0x80..0xaf  string of 0..47 Latin-1 characters, one byte each, follow
 *     0xb0..0xbf  array of 0..15 values follow
 *     0xc0..      see Tag
 *
 * Objects (all but primitives) are numbered in the order in which their tags come, from 0; `REF` names one again.
 * A record (plain object) gives its keys once per message, as a shape, and the next one with the same keys names the shape.
 * What is nested deeper than `MAX_INLINE_DEPTH` leaves only an empty shell where it belongs; the contents
 * of the shells follow after the root, in order, so that neither side recurses without bound.
 *
 * @module
 */

/** Bytes before the first value. */
export const HEADER_BYTES = 5;
/** Flag: a `REF` occurs, so the unpacker must keep a table of objects. */
export const HAS_REFS_BIT = 1;
/** Binaries of at least this many bytes go behind the inline bytes and are copied straight from their source. */
export const BIG_BINARY_BYTES = 512;
const BIG_ALIGN_BYTES = 8;
/** Deeper objects are left to the end of the message. */
export const MAX_INLINE_DEPTH = 100;
/** Longest Latin-1 or UTF-16 string whose characters are written one by one. */
export const MAX_SHORT_STRING = 47;
/** Longest array whose length is in its tag. */
export const MAX_SHORT_ARRAY = 15;
/** Records with more keys than this write their keys out each time. */
export const MAX_SHAPE_KEYS = 64;
/** A shape fits in this many 32-bit words, or it is none. */
export const MAX_SHAPE_WORDS = 255;
/** A message numbers at most this many shapes; further ones are written out each time. */
export const MAX_SHAPES = 0xffff;

/** First tag of the short strings. */
export const SHORT_STRING = 0x80;
/** First tag of the short arrays. */
export const SHORT_ARRAY = 0xb0;

/** Tags above the ranges that carry their value. */
export const Tag = {
  NULL: 0xc0,
  UNDEFINED: 0xc1,
  TRUE: 0xc2,
  FALSE: 0xc3,
  /** i8 */
  INT8: 0xc4,
  /** i16 */
  INT16: 0xc5,
  /** i32 */
  INT32: 0xc6,
  /** f64 */
  FLOAT64: 0xc7,
  /** i64 */
  BIGINT64: 0xc8,
  /** sign u8, then the magnitude in hexadecimal as a string value */
  BIGINT: 0xc9,
  /** length u32, bytes: all below 0x80 */
  ASCII: 0xca,
  /** byte length u32, bytes: well-formed */
  UTF8: 0xcb,
  /** length in code units u32, code units u16: whatever UTF-8 cannot hold */
  UTF16: 0xcc,
  /** length u8, code units u16 */
  UTF16_SHORT: 0xcd,
  /** id u32 */
  REF: 0xd0,
  /** length u32, values */
  ARRAY: 0xd1,
  /** length u32, values or HOLE; then extra properties: count u32, key and value each */
  ARRAY_ODD: 0xd2,
  /** length u32; count u32, key and value each */
  ARRAY_SPARSE: 0xd3,
  /** an absent element, only inside ARRAY_ODD */
  HOLE: 0xd4,
  /** words u8, hash u32, the shape's words; then the values of a record */
  RECORD_DEF: 0xd5,
  /** number of a shape u8; values */
  RECORD8: 0xd6,
  /** number of a shape u16; values */
  RECORD16: 0xd7,
  /** count u32, key and value each */
  RECORD_KEYS: 0xd8,
  EMPTY_RECORD: 0xd9,
  /** count u32, key and value each */
  MAP: 0xda,
  /** count u32, values */
  SET: 0xdb,
  /** f64 */
  DATE: 0xdc,
  /** source and flags: string values */
  REGEXP: 0xdd,
  /** the primitive: a value */
  BOXED: 0xde,
  /** type, name, message: values; then see the error part of the packer */
  ERROR: 0xdf,
  /** byte length u32, bytes */
  BUFFER: 0xe0,
  /** byte length u32; the bytes are the next big binary */
  BUFFER_BIG: 0xe1,
  /** kind u8, byte offset u32, length u32, then the buffer: a value */
  VIEW: 0xe2,
  /** kind u8, byte offset u32, length u32: a view over the runtime's memory */
  SHARED_VIEW: 0xe3,
  /** the buffer of the runtime's memory */
  SHARED_BUFFER: 0xe4,
  /** shells whose contents follow after the root */
  LATER_RECORD: 0xe5,
  LATER_ARRAY: 0xe6,
  LATER_MAP: 0xe7,
  LATER_SET: 0xe8,
  LATER_ERROR: 0xe9,
} as const;

/** Kinds of views in the order of their number; those that the platform lacks are undefined. */
export const VIEW_NAMES: readonly string[] = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
  'DataView',
];

/** Number of the kind `DataView`, whose length is in bytes. */
export const DATA_VIEW_KIND: number = VIEW_NAMES.indexOf('DataView');

/**
 * Where the next big binary begins.
 *
 * @param end - of what comes before it, from the start of the message; may exceed 31 bits
 */
export function alignBig(end: number): number {
  return Math.ceil(end / BIG_ALIGN_BYTES) * BIG_ALIGN_BYTES;
}
