/**
 * Bytes to strings. `TextDecoder` refuses views over shared memory in browsers, so the portable way copies first;
 * a platform that can read shared memory directly says so with {@link setStringCodec}.
 *
 * @module
 */

/** Reads strings from bytes, which may lie in shared memory. */
export interface StringCodec {
  /** One character for each byte, for bytes 0..255. */
  latin1Slice(bytes: Uint8Array, start: number, end: number): string;
  /** Well-formed UTF-8; a byte order mark is a character like any other. */
  utf8Slice(bytes: Uint8Array, start: number, end: number): string;
}

// An argument list much longer than this overflows the stack of some engines.
const APPLY_CHARS = 4096;
const fromCharCodes = String.fromCharCode as (this: void, ...codes: number[]) => string;

const utf8Decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Works everywhere. `TextDecoder('latin1')` is windows-1252 and would turn 0x80..0x9f into other characters. */
const portable: StringCodec = {
  latin1Slice(bytes, start, end) {
    let text = '';
    for (let from = start; from < end; from += APPLY_CHARS) {
      const part = bytes.subarray(from, Math.min(from + APPLY_CHARS, end));
      text += Reflect.apply(fromCharCodes, undefined, part);
    }
    return text;
  },
  utf8Slice(bytes, start, end) {
    return utf8Decoder.decode(bytes.slice(start, end));
  },
};

let current = portable;

/**
 * Sets how this thread reads strings; a platform adapter calls it once, before anything is unpacked.
 *
 * @param codec - must accept views over shared memory; `undefined` goes back to the portable one
 */
export function setStringCodec(codec: StringCodec | undefined): void {
  current = codec ?? portable;
}

/** The characters of Latin-1 bytes. */
export function latin1Slice(bytes: Uint8Array, start: number, end: number): string {
  return current.latin1Slice(bytes, start, end);
}

/** The characters of UTF-8 bytes. */
export function utf8Slice(bytes: Uint8Array, start: number, end: number): string {
  return current.utf8Slice(bytes, start, end);
}

/** The characters of little-endian UTF-16 bytes: any code units, lone surrogates too. */
export function utf16Slice(view: DataView, start: number, length: number): string {
  let text = '';
  for (let done = 0; done < length; done += APPLY_CHARS) {
    const codes: number[] = [];
    const stop = Math.min(length, done + APPLY_CHARS);
    for (let i = done; i < stop; i++) codes.push(view.getUint16(start + i * 2, true));
    text += fromCharCodes(...codes);
  }
  return text;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether UTF-8 can hold the string. */
export function isWellFormed(text: string): boolean {
  const native = (text as { isWellFormed?: () => boolean }).isWellFormed;
  return native === undefined ? !LONE_SURROGATE.test(text) : native.call(text);
}
