/**
 * heddle for Node: a work-stealing thread pool over shared memory.
 *
 * @module
 */
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';
import type { TopServer, TopServerOptions } from './metrics/top-server.node.ts';
import { nodePlatform, useNativeCodecs } from './platform/node.ts';
import { type AttachedRuntime, attachOn } from './runtime/attach.ts';
import { openRuntime, type Runtime, type RuntimeHandle, type RuntimeOptions } from './runtime/runtime.ts';
import { offerStandalonePools } from './runtime/standalone.ts';
import { NodeSystems } from './systems/systems.node.ts';

export type { TopServer, TopServerOptions } from './metrics/top-server.node.ts';
export * from './surface.ts';
export { NodeSystems, type NodeSystemsOptions } from './systems/systems.node.ts';

offerStandalonePools(nodePlatform, NodeSystems.detect);

useNativeCodecs();

// `HEDDLE_TOP=1 node program.js`, or a folder for the socket: see serveTop().
const topFolder: string | undefined = process.env.HEDDLE_TOP;
if (topFolder !== undefined && topFolder !== '' && topFolder !== '0' && isMainThread) {
  void serveTop(topFolder === '1' ? {} : { folder: topFolder }).catch((error) =>
    nodePlatform.warn('heddle top', error),
  );
}

/**
 * Opens a local socket on which `heddle top` looks at this process. Only the same user may connect. With the environment variable `HEDDLE_TOP=1` it is opened
 * when heddle is loaded. Who asks for a socket that is open shares it: the last one closes it.
 *
 * Rejects with ERR_INVALID_ARGUMENT for a wrong option, or a folder that is not this user's alone; ERR_RESOURCE_LIMIT when the socket cannot be opened, with the
 * reason as `cause`.
 */
export async function serveTop(options?: TopServerOptions): Promise<TopServer> {
  const { serveTop: serve } = await import('./metrics/top-server.node.ts');
  return serve(options);
}

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
