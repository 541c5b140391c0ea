import { Buffer } from 'node:buffer';
import { MessageChannel } from 'node:worker_threads';

/** From so many bytes on it pays to leave a buffer unzeroed that is overwritten at once. */
const UNZEROED_BYTES = 2 ** 16;
/** From so many bytes on glibc gives what was freed back to the system at first (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD). */
const GIVEN_BACK_BYTES = 2 ** 17;
/** Just below the most that glibc lets these thresholds rise to by themselves (DEFAULT_MMAP_THRESHOLD_MAX, 32 MiB). */
const MOST_BYTES = 31 * 2 ** 20;

let keepsFreed = false;

/** A buffer that will be overwritten whole. */
export function makeBuffer(bytes: number): ArrayBuffer {
  if (bytes < UNZEROED_BYTES) return new ArrayBuffer(bytes);
  if (!keepsFreed && bytes >= GIVEN_BACK_BYTES) {
    keepsFreed = true;
    keepFreedMemory();
  }
  return Buffer.allocUnsafeSlow(bytes).buffer as ArrayBuffer;
}

/**
 * Memory that goes back to the system with each buffer comes back page fault by page fault, which is half the cost of copying a megabyte. glibc stops
 * giving back once it has seen a large block freed: up to twice its size then stays with each arena for the next buffers, unless MALLOC_TRIM_THRESHOLD_
 * or MALLOC_MMAP_THRESHOLD_ says otherwise (mallopt(3), "dynamic mmap threshold"). So it is shown one, which nobody ever touches. Elsewhere that does nothing.
 */
function keepFreedMemory(): void {
  const { port1, port2 } = new MessageChannel();
  try {
    const block = new ArrayBuffer(MOST_BYTES);
    // Freed with the channel, at once; what is only dropped waits for the garbage collector.
    port1.postMessage(block, [block]);
  } catch {
    // No room for it: it was only to make things faster.
  }
  port1.close();
  port2.close();
}
