import type { PoolOptions, Runtime, TaskPool } from 'heddle';
import { fixture, openPoolOn } from '../pool/harness.ts';

/** The module of the tests of locks. */
export const LOCK_TASKS: URL = fixture('locks.mjs');

/** A pool over that module on a runtime of the test. */
export function openLockPool(
  rt: Runtime,
  threads: number,
  options: Partial<PoolOptions> = {},
): Promise<TaskPool> {
  return openPoolOn(rt, { tasks: LOCK_TASKS, minThreads: threads, maxThreads: threads, ...options });
}
