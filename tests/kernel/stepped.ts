import { readFileSync } from 'node:fs';
import binaryen from 'binaryen';
import { HEADER_FIRST_SPAN, SPAN_SIZE } from '../../build/generated/layout.ts';
import type { Kernel, KernelExports } from '../../ts/kernel/kernel.ts';
import { createMemory, initialiseMemory } from '../../ts/kernel/kernel.ts';
import { MIB, word } from './harness.ts';

/** Thrown out of the kernel where a thread dies. */
export class Death extends Error {}

/** What happens at one step of a call. */
export type AtStep = { readonly step: number; readonly act: () => void };

/**
 * A kernel that stops before every atomic access and every plain store. There another agent may act, any number of calls long, before the
 * call goes on: a preempted thread. Or the call ends there for ever: a dead one. All agents share one JavaScript thread, so a preempted
 * call goes on when those that ran in its pause are done or stopped; orders in which two preempted calls take turns are not made.
 */
export class SteppedKernel {
  readonly kernel: Kernel;
  #count = 0;
  #at: AtStep | undefined;

  constructor(module: WebAssembly.Module, bytes: number) {
    const memory = createMemory(bytes);
    const step = (): void => this.#step();
    const { exports } = new WebAssembly.Instance(module, { env: { memory }, test: { step } });
    const { buffer } = memory;
    this.kernel = {
      calls: exports as unknown as KernelExports,
      memory,
      module,
      i32: new Int32Array(buffer),
      u32: new Uint32Array(buffer),
      f64: new Float64Array(buffer),
      u8: new Uint8Array(buffer),
    };
    initialiseMemory(this.kernel);
  }

  /** As fresh memory, but what no table speaks of holds what was there before. */
  reset(): void {
    this.kernel.u8.fill(0, 0, word(this.kernel, HEADER_FIRST_SPAN) * SPAN_SIZE);
    initialiseMemory(this.kernel);
    this.#count = 0;
    this.#at = undefined;
  }

  #step(): void {
    this.#count++;
    if (this.#count !== this.#at?.step) return;
    const { act } = this.#at;
    this.#at = undefined;
    act();
  }

  /** Runs a call; at one of its steps, if it has so many, something happens. Calls may nest. */
  run<T>(call: () => T, at?: AtStep): T {
    const outerCount = this.#count;
    const outerAt = this.#at;
    this.#count = 0;
    this.#at = at;
    try {
      return call();
    } finally {
      this.#count = outerCount;
      this.#at = outerAt;
    }
  }

  /** How many steps a call has. */
  stepsOf(call: () => void): number {
    const outer = this.#count;
    this.#count = 0;
    call();
    const count = this.#count;
    this.#count = outer;
    return count;
  }

  /** Runs a call that dies at `step`. False when it had fewer steps and came to its end. */
  kill(step: number, call: () => void): boolean {
    try {
      this.run(call, {
        step,
        act: () => {
          throw new Death();
        },
      });
      return false;
    } catch (error) {
      if (error instanceof Death) return true;
      throw error;
    }
  }
}

/** A function of the kernel that is made wrong: `file/name`, and the instruction with which it starts now. */
export interface Mutant {
  readonly name: string;
  readonly body: string;
}

export interface SteppedOptions {
  readonly mutant?: Mutant;
  /** Stops before plain loads too: for calls that read what somebody else may have written since. */
  readonly plainLoads?: boolean;
}

export function openStepped(options: SteppedOptions = {}): SteppedKernel {
  return new SteppedKernel(new WebAssembly.Module(assemble(options)), 4 * MIB);
}

let steppedText: string | undefined;

/** The debug kernel, in which every function of assembly/atomics.ts is still a function of its own, with calls of `step`. */
function instrument(): string {
  const module = binaryen.readBinary(
    readFileSync(new URL('../../build/kernel/kernel.debug.wasm', import.meta.url)),
  );
  module.setFeatures(binaryen.Features.All);
  let text = module.emitText();
  module.dispose();
  text = text.replace(
    '(import "env" "memory"',
    '(import "test" "step" (func $step))\n (import "env" "memory"',
  );
  // The body starts on the line after the header; accessors have no locals.
  text = text.replace(/(\n {1}\(func \$assembly\/atomics\/[^\n]*)/g, '$1\n  (call $step)');
  return withSteps(text, '(i32.store', '');
}

function assemble({ mutant, plainLoads = false }: SteppedOptions): Uint8Array<ArrayBuffer> {
  steppedText ??= instrument();
  const text = mutant === undefined ? steppedText : mutate(steppedText, mutant);
  const module = binaryen.parseText(plainLoads ? withSteps(text, '(i32.load', ' (result i32)') : text);
  module.setFeatures(binaryen.Features.All);
  if (!module.validate()) throw new Error('the stepped kernel is not valid');
  const binary = module.emitBinary();
  module.dispose();
  return Uint8Array.from(binary);
}

function mutate(text: string, { name, body }: Mutant): string {
  // The header, then the declarations of locals, each on a line.
  const start = new RegExp(`\\n \\(func \\$assembly/${name} [^\\n]*(\\n  \\(local [^\\n]*)*`).exec(text);
  if (start === null) throw new Error(`the kernel has no function ${name}`);
  const end = start.index + start[0].length;
  return `${text.slice(0, end)}\n  ${body}${text.slice(end)}`;
}

/** `(i32.store ...)` -> `(block (call $step) (i32.store ...))`; `result`: the block's type. */
function withSteps(text: string, instruction: string, result: string): string {
  let out = '';
  let from = 0;
  for (;;) {
    const at = text.indexOf(instruction, from);
    if (at < 0) return out + text.slice(from);
    let depth = 0;
    let end = at;
    do {
      if (text[end] === '(') depth++;
      else if (text[end] === ')') depth--;
      end++;
    } while (depth > 0);
    const operands = withSteps(text.slice(at + instruction.length, end), instruction, result);
    out += `${text.slice(from, at)}(block${result} (call $step) ${instruction}${operands})`;
    from = end;
  }
}
