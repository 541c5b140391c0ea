/** The `model` build of the kernel, as a binary for the explorer. */
import { readFileSync } from 'node:fs';
import type { ModelExports } from '../../build/generated/model-exports.ts';
import type { Binary, Calls, Model, Steps, Thread, World } from './explorer/types.ts';

/** Bytes of the kernel's memory: what the layout has, and 88 spans of 512 bytes. */
export const MEMORY_BYTES = 65536;

export function openKernel(path: URL | string): Binary<ModelExports> {
  return {
    module: new WebAssembly.Module(readFileSync(path)),
    pages: 1,
    maximumPages: 65536,
    imports: (mutant) => ({ mutants: { chosen: mutant } }),
  };
}

export type KernelWorld = World<ModelExports>;
export type KernelModel<Fixture, State> = Model<ModelExports, Fixture, State>;
export type KernelThread<Fixture, State> = Thread<ModelExports, Fixture, State>;
export type KernelCalls = Calls<ModelExports>;
export type { Steps };
