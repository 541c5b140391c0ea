/** Explores one model under one bound, samples it, or lets it reject its mutants. */
import { explore, open, sampleMany, shrink } from './explorer/explore.ts';
import type { Machine } from './explorer/machine.ts';
import type { Found, Sampling } from './explorer/search.ts';
import type { AnyModel, Binary, Failure, Mutant } from './explorer/types.ts';

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
  /** Of the last search, in which all conflicts were decisions. */
  readonly executions: number;
  readonly steps: number;
  /** Steps of all searches, warm-up too, and the seconds that they took. */
  readonly allSteps: number;
  readonly seconds: number;
  readonly complete: boolean;
  readonly failure: Failure | undefined;
}

export interface Verdict {
  readonly mutant: string;
  readonly why: string;
  /** How it was rejected, or undefined when it was not. */
  readonly failure: Failure | undefined;
  /** What failed instead: not what the mutant is to be seen by, or the model itself. */
  readonly instead?: Failure;
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
  const allSteps = machine.steps;
  return {
    model: model.name,
    structure: model.structure,
    property: model.property,
    threads: model.threads.length,
    ...how,
    executions,
    steps,
    allSteps,
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
      const { failure } = found;
      if (failure === undefined) continue;
      const verdict = { mutant: mutant.name, why: mutant.why, executions };
      return rejects(mutant, failure)
        ? { ...verdict, failure }
        : { ...verdict, failure: undefined, instead: failure };
    }
    return { mutant: mutant.name, why: mutant.why, failure: undefined, executions };
  });
}

/** An exception is a bug of the model, or of the explorer: it says nothing about the kernel. */
export function rejects(mutant: Mutant, failure: Failure): boolean {
  return failure.kind !== 'exception' && (mutant.sees === undefined || mutant.sees.test(failure.message));
}

/** How the failure of a replay differs from the one that was recorded, if it does. */
export function difference(recorded: Failure, again: Failure | undefined): string | undefined {
  if (again === undefined) return 'it does not fail any more';
  if (again.kind === recorded.kind && again.message === recorded.message) return undefined;
  const show = ({ kind, message }: Failure): string => `${kind}: ${message}`;
  return `it failed otherwise:\n  recorded  ${show(recorded)}\n  now       ${show(again)}`;
}
