/**
 * heddle for browsers: a work-stealing thread pool over shared memory, on pages that are cross-origin isolated.
 *
 * @module
 */
import { assertIsolated, browserPlatform } from './platform/browser.ts';
import { type AttachedRuntime, attachOn } from './runtime/attach.ts';
import { openRuntime, type Runtime, type RuntimeHandle, type RuntimeOptions } from './runtime/runtime.ts';
import { offerStandalonePools } from './runtime/standalone.ts';
import { BrowserSystems } from './systems/systems.browser.ts';

export * from './surface.ts';

offerStandalonePools(browserPlatform, BrowserSystems.detect);

/**
 * Makes a runtime: shared memory for pools, atomics and arrays.
 *
 * @throws {NotIsolatedError} ERR_NOT_ISOLATED on a page that is not cross-origin isolated.
 * @throws {MemoryFullError} ERR_MEMORY_FULL when the address space cannot be had.
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for an unknown option or a wrong value.
 */
export async function createRuntime(options?: RuntimeOptions): Promise<Runtime> {
  assertIsolated();
  return openRuntime(browserPlatform, BrowserSystems.detect, options);
}

/**
 * Joins a runtime from a bare worker thread that got its `handle` by message.
 *
 * @param handle - `runtime.handle` of the thread that made it
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything else, or for the memory of another version of heddle.
 */
export function attachRuntime(handle: RuntimeHandle): AttachedRuntime {
  return attachOn(browserPlatform, handle);
}
