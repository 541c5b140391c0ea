import { getPriority, setPriority } from 'node:os';
import { kernelThreadId } from './kernel-thread.ts';

/** The lowest priority there is, as Unix counts it. */
const NICEST = 19;

/**
 * Sets the priority of a thread of this process (Linux), as Unix counts it and on top of what the process has: `nice -n 5 node` stays behind others by at least 5.
 *
 * @returns why it could not be had: EACCES, as to get ahead takes a right
 */
export function setNiceness(niceness: number, kernelThread: number = kernelThreadId()): string | undefined {
  if (process.platform !== 'linux' || kernelThread === 0) return 'this system tells no ids of threads';
  try {
    const wanted = Math.min(NICEST, getPriority(process.pid) + niceness);
    if (getPriority(kernelThread) !== wanted) setPriority(kernelThread, wanted);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
