import { HEADER_NOWHERE } from '../../build/generated/layout.ts';

/** Buffers of shared memories that reached this thread by another way, such as a MessagePort, with this thread's own buffer of each. */
const known = new WeakMap<ArrayBufferLike, ArrayBufferLike>();
/** Others may write there too, at any time. */
const LOOKS = 8;
const NOTE = HEADER_NOWHERE >>> 2;

/**
 * Is `other` the runtime's memory? Whatever clones a shared buffer makes another object of it over the same bytes, so a note that is left in one
 * of them tells.
 *
 * @param own - this thread's buffer of the memory
 */
export function isSameMemory(own: ArrayBufferLike, other: ArrayBufferLike): boolean {
  if (other === own) return true;
  if (other.byteLength !== own.byteLength || other instanceof ArrayBuffer) return false;
  if (known.get(other) === own) return true;
  if (own.byteLength <= HEADER_NOWHERE) return false;
  const here = new Int32Array(own);
  const there = new Int32Array(other, 0, NOTE + 1);
  for (let look = 0, seen = 0; look < LOOKS; look++) {
    const note = (Math.random() * 2 ** 32) | 0;
    Atomics.store(here, NOTE, note);
    if (Atomics.load(there, NOTE) !== note || ++seen < 2) continue;
    known.set(other, own);
    return true;
  }
  return false;
}
