import { existsSync, readlinkSync } from 'node:fs';

const THREADS = '/proc/self/task';

/** The operating system's id of the calling thread; 0 where it cannot be read: anywhere but on Linux. */
export function kernelThreadId(): number {
  try {
    return Number(readlinkSync('/proc/thread-self').split('/').at(-1));
  } catch {
    return 0;
  }
}

/** Is there no thread of this id in the process any more? False where that cannot be read. An id is used again once the system is through with all others. */
export function hasKernelThreadEnded(id: number): boolean {
  return !existsSync(`${THREADS}/${id}`) && existsSync(THREADS);
}
