/**
 * heddle for Node: a work-stealing thread pool over shared memory.
 *
 * @module
 */
import { nodePlatform, useNativeCodecs } from './platform/node.ts';
import type { TaskPool as Pool } from './pool/task-pool.ts';
import type { AnyTasks, PoolOptions } from './pool/types.ts';
import { openRuntime, type Runtime, type RuntimeOptions } from './runtime/runtime.ts';
import { createStandalonePool } from './runtime/standalone.ts';

export * from './surface.ts';

useNativeCodecs();

/**
 * Makes a runtime: shared memory for pools, atomics and arrays.
 *
 * @throws {NotIsolatedError} ERR_NOT_ISOLATED where there is no SharedArrayBuffer.
 * @throws {MemoryFullError} ERR_MEMORY_FULL when the address space cannot be had.
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for an unknown option or a wrong value.
 */
export function createRuntime(options?: RuntimeOptions): Promise<Runtime> {
  return openRuntime(nodePlatform, options);
}

/** A pool of worker threads: see the class for what it does, and {@link TaskPool.create} for the short way to one. */
export type TaskPool<M = AnyTasks> = Pool<M>;
export const TaskPool: {
  /** Makes a runtime of its own and a pool on it; closing the pool closes both. Throws what `createRuntime` and `createPool` throw. */
  create<M = AnyTasks>(options: PoolOptions & RuntimeOptions): Promise<Pool<M>>;
} = {
  create: (options) => createStandalonePool(nodePlatform, options),
};
