/** The explorer's front door: open a machine, explore it, replay and print what was found. */

import { Machine, type Step } from './machine.ts';
import { depthFirst, type Found, type Limits, Replay, type Sampling, sample } from './search.ts';
import { type AnyModel, type Binary, type Failure, KIND_NAMES } from './types.ts';

export function open(binary: Binary<any>, model: AnyModel<any>, mutant = 0): Machine {
  return new Machine(binary, model, mutant);
}

/** All interleavings with at most `limits.bound` preemptions. */
export function explore(machine: Machine, limits: Limits): Found {
  return depthFirst(machine, limits);
}

export function sampleMany(machine: Machine, sampling: Sampling): Found {
  return sample(machine, sampling);
}

export interface Replayed {
  readonly failure: Failure | undefined;
  readonly steps: readonly Step[];
}

/** Plays the schedule of a failure again, with all its steps noted. */
export function replay(machine: Machine, failure: Failure): Replayed {
  machine.setVisible(failure.visible);
  machine.trace = [];
  const again = machine.execute(new Replay(failure.schedule, true));
  const steps = machine.trace;
  machine.trace = undefined;
  return { failure: again, steps };
}

const show = (value: bigint): string => (value < 4096n ? String(value) : `0x${value.toString(16)}`);

/** The interleaving as text, one column a thread: call, access, name of the address, value before and after. */
export function print(machine: Machine, { failure, steps }: Replayed, all = false): string {
  const { model, fixture } = machine;
  const names = model.threads.map(({ name }) => name);
  const width = 46;
  const lines: string[] = [];
  if (failure !== undefined) {
    lines.push(`${model.name}: ${failure.kind}: ${failure.message}`, '');
  }
  lines.push(`${'step'.padStart(5)}  ${names.map((name) => name.padEnd(width)).join('')}`.trimEnd());
  let count = 0;
  let lastCall = '';
  for (const step of steps) {
    if (step.kind >= 0 && !step.visible && !all) continue;
    count++;
    const column = ' '.repeat(step.thread * width);
    if (step.kind < 0) {
      lines.push(`${String(count).padStart(5)}  ${column}dies`);
      continue;
    }
    const call = `${step.thread}:${step.call}`;
    const head = (call === lastCall ? '' : step.call).padEnd(10);
    lastCall = call;
    const where = model.describe?.(step.address, fixture) ?? `0x${step.address.toString(16)}`;
    const value =
      step.after === step.before ? show(step.before) : `${show(step.before)} -> ${show(step.after)}`;
    lines.push(`${String(count).padStart(5)}  ${column}${head} ${KIND_NAMES[step.kind]} ${where}: ${value}`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * The same failure with as few preemptions as searches of `seconds` in all find; the failure itself when they find none.
 */
export function shrink(machine: Machine, failure: Failure, seconds: number): Failure {
  const until = performance.now() + seconds * 1000;
  for (let bound = 0; bound < failure.preemptions; bound++) {
    const left = (until - performance.now()) / 1000;
    if (left <= 0) break;
    machine.setVisible(failure.visible);
    const found = depthFirst(machine, { bound, seconds: left });
    if (found.failure?.kind === failure.kind) return found.failure;
  }
  return failure;
}
