/**
 * heddle for Node: a work-stealing thread pool over shared memory.
 *
 * @module
 */
import { nodePlatform, useNativeCodecs } from './platform/node.ts';
import { type AttachedRuntime, attachOn } from './runtime/attach.ts';
import { openRuntime, type Runtime, type RuntimeHandle, type RuntimeOptions } from './runtime/runtime.ts';
import { offerStandalonePools } from './runtime/standalone.ts';
import { NodeSystems } from './systems/systems.node.ts';

export * from './surface.ts';
export { NodeSystems, type NodeSystemsOptions } from './systems/systems.node.ts';

offerStandalonePools(nodePlatform, NodeSystems.detect);

useNativeCodecs();

/**
 * Makes a runtime: shared memory for pools, atomics and arrays.
 *
 * @throws {NotIsolatedError} ERR_NOT_ISOLATED where there is no SharedArrayBuffer.
 * @throws {MemoryFullError} ERR_MEMORY_FULL when the address space cannot be had.
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for an unknown option or a wrong value.
 */
export function createRuntime(options?: RuntimeOptions): Promise<Runtime> {
  return openRuntime(nodePlatform, NodeSystems.detect, options);
}

/**
 * Joins a runtime from a bare worker thread that got its `handle` by message.
 *
 * @param handle - `runtime.handle` of the thread that made it
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything else, or for the memory of another version of heddle.
 */
export function attachRuntime(handle: RuntimeHandle): AttachedRuntime {
  return attachOn(nodePlatform, handle);
}
