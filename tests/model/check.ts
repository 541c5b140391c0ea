/** Explores one model under each of its bounds, then lets it reject its mutants. */
import { explore, open, shrink } from './explorer/explore.ts';
import type { AnyModel, Binary, Failure } from './explorer/types.ts';

/** What one model under one bound came to. */
export interface Row {
  readonly model: string;
  readonly structure: string;
  readonly property: string;
  readonly threads: number;
  /** Preemptions; null for all interleavings. */
  readonly bound: number | null;
  readonly executions: number;
  readonly steps: number;
  readonly seconds: number;
  readonly complete: boolean;
  readonly failure: Failure | undefined;
}

export interface Verdict {
  readonly mutant: string;
  readonly why: string;
  /** How it was rejected, or undefined when it was not. */
  readonly failure: Failure | undefined;
  readonly executions: number;
}

export interface Options {
  /** Instead of the model's own. */
  readonly bound?: number;
  /** For each bound of each model. */
  readonly seconds: number;
  readonly onProgress?: (text: string) => void;
}

export function checkBound(binary: Binary<any>, model: AnyModel<any>, bound: number, options: Options): Row {
  const machine = open(binary, model);
  const started = performance.now();
  const found = explore(machine, {
    bound,
    seconds: options.seconds,
    onProgress: (executions, steps) => options.onProgress?.(`${executions} executions, ${steps} steps`),
  });
  const seconds = (performance.now() - started) / 1000;
  return {
    model: model.name,
    structure: model.structure,
    property: model.property,
    threads: model.threads.length,
    bound: Number.isFinite(bound) ? bound : null,
    executions: found.executions,
    steps: found.steps,
    seconds,
    complete: found.complete,
    failure: found.failure === undefined ? undefined : shrink(machine, found.failure, 5),
  };
}

/** Looks for the mutants with ever more preemptions, so that each is found with the fewest. */
export function checkMutants(binary: Binary<any>, model: AnyModel<any>, options: Options): Verdict[] {
  const most = Math.max(...model.bounds.filter(Number.isFinite), 0);
  return (model.mutants ?? []).map((mutant) => {
    options.onProgress?.(`mutant: ${mutant.name}`);
    const machine = open(binary, model, mutant.id);
    let executions = 0;
    for (let bound = 0; bound <= (mutant.preemptions ?? most); bound++) {
      const found = explore(machine, { bound, seconds: options.seconds });
      executions += found.executions + found.earlierExecutions;
      if (found.failure !== undefined)
        return { mutant: mutant.name, why: mutant.why, failure: found.failure, executions };
    }
    return { mutant: mutant.name, why: mutant.why, failure: undefined, executions };
  });
}
