import { instantiateSync } from '@assemblyscript/loader';
import { KERNEL_BASE64 } from '../../build/generated/kernel-bytes.ts';
import type { KernelExports } from '../../build/generated/kernel-exports.ts';
import {
  HEADER_MAGIC,
  HEADER_VERSION,
  LAYOUT_VERSION,
  MAGIC,
  SLOT_STATE,
  SPAN_SHIFT,
  STATE_GENERATION_SHIFT,
} from '../../build/generated/layout.ts';
import { HeddleError, InvalidRangeError, MemoryFullError, NotIsolatedError } from '../errors.ts';

export type { KernelExports };

/**
 * One thread's view of the shared memory and the kernel over it. Word addresses: `u32[address >>> 2]`, `f64[address >>> 3]`; the shift
 * is unsigned because the kernel returns addresses above 2 GiB as negative numbers.
 */
export interface Kernel {
  readonly calls: KernelExports;
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly u8: Uint8Array;
}

/** For which of its calls a slot stands now: it grows with each, modulo 2^16. */
export function turnOf(kernel: Kernel, slot: number): number {
  return Atomics.load(kernel.i32, (slot + SLOT_STATE) >>> 2) >>> STATE_GENERATION_SHIFT;
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** Compiles the embedded kernel, once for each thread that asks. */
export function compileKernel(): Promise<WebAssembly.Module> {
  compiled ??= WebAssembly.compile(decodeBase64(KERNEL_BASE64));
  return compiled;
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/**
 * Reserves shared memory of `bytes` (rounded up to 64 KiB). The operating system commits its pages on first touch.
 *
 * @throws {NotIsolatedError} ERR_NOT_ISOLATED when there is no SharedArrayBuffer.
 * @throws {MemoryFullError} ERR_MEMORY_FULL when the address space cannot be had.
 */
export function createMemory(bytes: number): WebAssembly.Memory {
  if (typeof SharedArrayBuffer === 'undefined') {
    // A page says whether it is isolated; what says nothing is Node, or a program that runs in it.
    if ('crossOriginIsolated' in globalThis) throw new NotIsolatedError();
    throw new NotIsolatedError('cannot create shared memory: there is no SharedArrayBuffer in this process');
  }
  const pages = Math.ceil(bytes / 2 ** SPAN_SHIFT);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new MemoryFullError(
      `cannot reserve ${bytes} bytes of shared memory; ask for less with memoryBytes`,
      {
        cause,
      },
    );
  }
}

/** Instantiates the kernel over a memory for the calling thread. */
export function instantiateKernel(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernel {
  const { instance } = instantiateSync<Record<string, unknown>>(module, { env: { memory } });
  const { buffer } = memory;
  return {
    // The exports themselves: the loader's are wrapped in functions with rest parameters, which costs more than a lock.
    calls: instance.exports as unknown as KernelExports,
    memory,
    module,
    i32: new Int32Array(buffer),
    u32: new Uint32Array(buffer),
    f64: new Float64Array(buffer),
    u8: new Uint8Array(buffer),
  };
}

/**
 * Lays out fresh memory. Called once, by the thread that made it.
 *
 * @throws {InvalidRangeError} when the memory is too small for the kernel's tables.
 */
export function initialiseMemory(kernel: Kernel): void {
  if (kernel.calls.initMemory(kernel.memory.buffer.byteLength) === 0) {
    throw new InvalidRangeError(
      `cannot lay out ${kernel.memory.buffer.byteLength} bytes of shared memory; memoryBytes must be at least 4 MiB`,
    );
  }
}

/**
 * Checks that memory from another thread was laid out by this version of heddle.
 *
 * @throws {HeddleError} ERR_INVALID_ARGUMENT otherwise.
 */
export function verifyMemory(kernel: Kernel): void {
  const { u32 } = kernel;
  if (u32[HEADER_MAGIC >>> 2] === MAGIC && u32[HEADER_VERSION >>> 2] === LAYOUT_VERSION) return;
  throw new HeddleError(
    'ERR_INVALID_ARGUMENT',
    `cannot use this shared memory: it was not laid out by a heddle with memory layout ${LAYOUT_VERSION}`,
  );
}
