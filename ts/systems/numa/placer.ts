import type { PinRequest, PinResult } from '../../platform/pin.ts';
import type { QoSLevel } from '../../qos.ts';
import type { NUMACoordinator } from '../types.ts';

/** A coordinator that pins the threads of pools, each by its own hand: a system call about memory is about the thread that makes it. */
export interface ThreadPlacer extends NUMACoordinator {
  /** What to ask a thread for that is to stand on `node`; undefined: this is not the machine that the process runs on. */
  request(node: number): PinRequest | undefined;
  /**
   * What to ask a new thread for that is to stand on no node; undefined: nothing. Threads inherit the CPUs of the one that starts them, and that one may be pinned.
   */
  loose(): PinRequest | undefined;
  /** A thread that can pin itself. Returns a function that takes it back. */
  adopt(threadId: number, pin: (request: PinRequest) => Promise<PinResult>): () => void;
}

export function isThreadPlacer(numa: NUMACoordinator): numa is ThreadPlacer {
  return 'request' in numa && 'loose' in numa && 'adopt' in numa;
}

/**
 * Priority of a thread by QoS class, as Unix counts it, on top of the process's: who is behind gets less of a busy processor. To be ahead of others takes a right that few have, so
 * the highest class is where every thread starts.
 */
export const NICENESS: Readonly<Record<QoSLevel, number>> = { Guaranteed: 0, Burstable: 5, BestEffort: 15 };
