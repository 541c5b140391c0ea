/**
 * Fresh buffers for what is unpacked. Zeroing a buffer that is overwritten at once costs as much as filling it; a platform that can do without
 * says so with {@link setBufferAllocator}.
 *
 * @module
 */

type Allocate = (bytes: number) => ArrayBuffer;

const zeroed: Allocate = (bytes) => new ArrayBuffer(bytes);
let allocate = zeroed;

/** Sets how this thread makes buffers that it will overwrite whole; `undefined` goes back to the portable way. */
export function setBufferAllocator(allocator: Allocate | undefined): void {
  allocate = allocator ?? zeroed;
}

/** An unshared copy of `bytes`. */
export function copyOf(bytes: Uint8Array): ArrayBuffer {
  const buffer = allocate(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}
