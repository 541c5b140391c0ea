import type { TaskRef } from './task-name.ts';

/** The task that the command runs. No identifier, so no export of a module in the usual style has the same name. */
export const TIMED_TASK = 'heddle map';

/** Its argument. */
export interface TimedInput {
  readonly input: string;
  /** Shared memory for the durations of what is under way, in milliseconds. */
  readonly times: Float64Array;
  /** The place of this input in `times`. */
  readonly place: number;
}

/** The tasks of the module, as far as the command calls them. */
export interface TimedTasks {
  [TIMED_TASK](input: TimedInput): unknown;
}

// A task may print; stdout belongs to the results. Imported first, so it holds while the module loads.
const PRINT_TO_STDERR = `
import process from 'node:process';
process.stdout.write = process.stderr.write.bind(process.stderr);
`;

/**
 * A module that exports what the task's module exports, so that its functions may fork one another, and beside it {@link TIMED_TASK}: it calls
 * the task with the input alone and leaves in shared memory how long that took, whether it returned or threw.
 */
export function timedModule({ url, name }: TaskRef): string {
  const source = `
import ${JSON.stringify(dataUrl(PRINT_TO_STDERR))};
import * as module from ${JSON.stringify(url)};
export * from ${JSON.stringify(url)};
const fallback = module.default;
export { fallback as default };
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
export { timed as ${JSON.stringify(TIMED_TASK)} };
`;
  return dataUrl(source);
}

function dataUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
