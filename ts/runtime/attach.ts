import { InvalidTypeError } from '../errors.ts';
import { instantiateKernel, verifyMemory } from '../kernel/kernel.ts';
import { describe } from '../options.ts';
import { type AtomicBool, type AtomicInt32, createCells } from './cells.ts';
import type { RuntimeHandle } from './runtime.ts';
import { createSharedArrays, type SharedArrayType } from './shared-arrays.ts';

/** A runtime as a thread sees it that joined it. */
export interface AttachedRuntime {
  /** As {@link Runtime.atomicInt32}: the same cell as in every other thread. */
  atomicInt32(name: string): AtomicInt32;
  /** As {@link Runtime.atomicBool}. */
  atomicBool(name: string): AtomicBool;
  /** As {@link Runtime.alloc}. */
  alloc<T>(type: SharedArrayType<T>, length: number): T;
  /** As {@link Runtime.free}. */
  free(array: ArrayBufferView): void;
}

/**
 * Joins a runtime from a bare worker thread that got its `handle` by message.
 *
 * @param handle - `runtime.handle` of the thread that made it
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything else, or for the memory of another version of heddle.
 */
export function attachRuntime(handle: RuntimeHandle): AttachedRuntime {
  if (!(handle?.module instanceof WebAssembly.Module) || !(handle.memory instanceof WebAssembly.Memory)) {
    throw new InvalidTypeError(`attachRuntime() takes the handle of a runtime, not ${describe(handle)}`);
  }
  const kernel = instantiateKernel(handle.module, handle.memory);
  verifyMemory(kernel);
  const cells = createCells(kernel, 0);
  const arrays = createSharedArrays(kernel);
  return {
    atomicInt32: (name) => cells.int32(name),
    atomicBool: (name) => cells.bool(name),
    alloc: (type, length) => arrays.alloc(type, length),
    free: (array) => arrays.free(array),
  };
}
