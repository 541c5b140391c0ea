import type { TaskRef } from './task-name.ts';

/** Argument of a timed task. */
export interface TimedInput {
  readonly input: string;
  /** Shared memory for the durations of what is under way, in milliseconds. */
  readonly times: Float64Array;
  /** The place of this input in `times`. */
  readonly place: number;
}

/** What a pool over {@link timedModule} runs. */
export type TimedTasks = Record<string, (input: TimedInput) => unknown>;

// A task may print; stdout belongs to the results. Imported first, so it holds while the module loads.
const PRINT_TO_STDERR = `
import process from 'node:process';
process.stdout.write = process.stderr.write.bind(process.stderr);
`;

/** Name of the task itself beside its timed form: it is a task still, so it may fork itself. */
export function untimedName(name: string): string {
  return `${name} (inner)`;
}

/**
 * A module that exports what the task's module exports, so that its functions may fork one another; but under the task's name stands its timed
 * form, which calls the task with the input alone and leaves in shared memory how long that took, whether it returned or threw.
 */
export function timedModule({ url, name }: TaskRef): string {
  const source = `
import ${JSON.stringify(dataUrl(PRINT_TO_STDERR))};
import * as module from ${JSON.stringify(url)};
export * from ${JSON.stringify(url)};
${name === 'default' ? '' : 'const { default: unnamed } = module;\nexport { unnamed as default };'}
const task = module[${JSON.stringify(name)}];
function timed({ input, times, place }) {
  const start = performance.now();
  const end = () => { times[place] = performance.now() - start; };
  let value;
  try {
    value = task(input);
    if (value === null || typeof value !== 'object' || typeof value.then !== 'function') return value;
  } finally {
    end();
  }
  return Promise.resolve(value).finally(end);
}
export { timed as ${JSON.stringify(name)}, task as ${JSON.stringify(untimedName(name))} };
`;
  return dataUrl(source);
}

function dataUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
