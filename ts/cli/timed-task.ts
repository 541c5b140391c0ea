import type { TaskRef } from './task-name.ts';

/** Argument of a timed task. */
export interface TimedInput {
  readonly input: string;
  /**
   * Shared memory for what is under way, in milliseconds: NaN before the task starts, then the time of its start on the process's monotonic clock,
   * negative, and how long it took when it has ended.
   */
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
 * form, which calls the task with the input alone and leaves in shared memory when it started and how long it took, whether it returned or threw.
 *
 * An async task that was told to stop ends then, whatever it does: others may be under way in its worker, which need not end for it.
 */
export function timedModule({ url, name }: TaskRef): string {
  const source = `
import { signal } from ${JSON.stringify(new URL('../task.ts', import.meta.url).href)};
import ${JSON.stringify(dataUrl(PRINT_TO_STDERR))};
import * as module from ${JSON.stringify(url)};
export * from ${JSON.stringify(url)};
${name === 'default' ? '' : 'const { default: unnamed } = module;\nexport { unnamed as default };'}
const task = module[${JSON.stringify(name)}];
const now = () => Number(process.hrtime.bigint()) / 1e6;
const untilStopped = (outcome) => new Promise((resolve, reject) => {
  const stop = signal();
  const giveUp = () => reject(stop.reason);
  if (stop.aborted) giveUp();
  stop.addEventListener('abort', giveUp, { once: true });
  outcome.then(resolve, reject);
});
function timed({ input, times, place }) {
  const start = now();
  times[place] = -start;
  // A task that was given up may end when its place is another's.
  const end = () => { if (times[place] === -start) times[place] = now() - start; };
  let waits = false;
  try {
    const value = task(input);
    waits = value !== null && typeof value === 'object' && typeof value.then === 'function';
    return waits ? untilStopped(Promise.resolve(value).finally(end)) : value;
  } finally {
    if (!waits) end();
  }
}
export { timed as ${JSON.stringify(name)}, task as ${JSON.stringify(untimedName(name))} };
`;
  return dataUrl(source);
}

function dataUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
