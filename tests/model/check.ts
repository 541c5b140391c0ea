/** Explores one model under one bound, samples it, or lets it reject its mutants. */
import { explore, open, sampleMany, shrink } from './explorer/explore.ts';
import type { Machine } from './explorer/machine.ts';
import type { Found, Sampling } from './explorer/search.ts';
import type { AnyModel, Binary, Failure } from './explorer/types.ts';

/** What one search of one model came to. */
export interface Row {
  readonly model: string;
  readonly structure: string;
  readonly property: string;
  readonly threads: number;
  /** Preemptions; null for all interleavings. */
  readonly bound: number | null;
  /** Random executions instead of a search. */
  readonly isSample: boolean;
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
  /** For each bound of each model. */
  readonly seconds: number;
  readonly onProgress?: (text: string) => void;
}

/** All executions with at most `bound` preemptions. */
export function checkBound(binary: Binary<any>, model: AnyModel<any>, bound: number, options: Options): Row {
  const shown = Number.isFinite(bound) ? bound : null;
  return toRow(binary, model, { bound: shown, isSample: false }, (machine) =>
    explore(machine, {
      bound,
      seconds: options.seconds,
      onProgress: (executions, steps) => options.onProgress?.(`${executions} executions, ${steps} steps`),
    }),
  );
}

/** Random executions. */
export function sampleModel(binary: Binary<any>, model: AnyModel<any>, sampling: Sampling): Row {
  return toRow(binary, model, { bound: null, isSample: true }, (machine) => sampleMany(machine, sampling));
}

function toRow(
  binary: Binary<any>,
  model: AnyModel<any>,
  how: Pick<Row, 'bound' | 'isSample'>,
  search: (machine: Machine) => Found,
): Row {
  const machine = open(binary, model);
  const started = performance.now();
  const { executions, steps, complete, failure } = search(machine);
  const seconds = (performance.now() - started) / 1000;
  return {
    model: model.name,
    structure: model.structure,
    property: model.property,
    threads: model.threads.length,
    ...how,
    executions,
    steps,
    seconds,
    complete,
    failure: failure === undefined ? undefined : shrink(machine, failure, 5),
  };
}

/** Looks for the mutants with ever more preemptions, so that each is found with the fewest. */
export function checkMutants(binary: Binary<any>, model: AnyModel<any>, options: Options): Verdict[] {
  const most = Math.max(...model.bounds.filter(Number.isFinite), 0);
  const last = model.bounds.includes(Number.POSITIVE_INFINITY) ? [Number.POSITIVE_INFINITY] : [];
  return (model.mutants ?? []).map((mutant) => {
    options.onProgress?.(`mutant: ${mutant.name}`);
    const machine = open(binary, model, mutant.id);
    let executions = 0;
    for (const bound of [...Array((mutant.preemptions ?? most) + 1).keys(), ...last]) {
      const found = explore(machine, { bound, seconds: options.seconds });
      executions += found.executions + found.earlierExecutions;
      if (found.failure !== undefined)
        return { mutant: mutant.name, why: mutant.why, failure: found.failure, executions };
    }
    return { mutant: mutant.name, why: mutant.why, failure: undefined, executions };
  });
}
