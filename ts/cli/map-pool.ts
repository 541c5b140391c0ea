import type { Runtime, TaskPool } from '../index.node.ts';
import type { MapSettings } from './map-settings.ts';
import type { TaskRef } from './task-name.ts';
import { type TimedTasks, timedModule, untimedName } from './timed-task.ts';
import { UsageError } from './usage-error.ts';

/** A task that holds its thread for so long after its timeout loses its worker: nothing else stops a loop. */
const ABORT_GRACE_MS = 100;
const GRACE_MOST_MS = 2 ** 31 - 1;
/** Memory for the trace of all workers together, and what one event takes there. */
const TRACE_BYTES_MOST = 192 * 2 ** 20;
const TRACE_EVENT_BYTES = 24;
const TRACE_EVENTS_MOST = 2 ** 20;

/**
 * Opens a pool for a task. Resolves when all its workers stand ready.
 *
 * @throws {UsageError} when the module cannot be loaded, or has no such task.
 */
export async function openPool(
  runtime: Runtime,
  task: TaskRef,
  settings: MapSettings,
): Promise<TaskPool<TimedTasks>> {
  const { threads, concurrency, trace, retries, timeout } = settings;
  const capacity = Math.floor(TRACE_BYTES_MOST / threads / TRACE_EVENT_BYTES);
  let pool: TaskPool<TimedTasks>;
  try {
    pool = await runtime.createPool<TimedTasks>({
      tasks: timedModule(task),
      name: 'map',
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: concurrency,
      ...(trace === undefined ? {} : { trace: { capacity: Math.min(TRACE_EVENTS_MOST, capacity) } }),
      ...(retries === 0 ? {} : { retry: { attempts: retries + 1 } }),
      ...(timeout === undefined ? {} : { abortGraceMs: graceMs(timeout, concurrency) }),
    });
  } catch (error) {
    throw new UsageError(`cannot load ${task.module}: ${rootMessage(error)}`);
  }
  const untimed = untimedName(task.name);
  // The timed form is always there, the task itself only when the module has it.
  if (!pool.tasks.includes(untimed)) {
    const names = pool.tasks.filter((name) => name !== task.name);
    const exported = names.length === 0 ? 'it exports no function' : `it exports ${names.join(', ')}`;
    throw new UsageError(
      task.name === ''
        ? `name a function of ${task.module} as ${task.module}#<export>; ${exported}`
        : `${task.module} exports no function '${task.name}'; ${exported}`,
    );
  }
  await pool.ready();
  return pool;
}

/**
 * An async task ends when its worker hears of the timeout, unless another holds the thread. Beside others it may have the limit once more: when that
 * is over, so is the time of all that wait for the thread, and the worker takes along nobody who had some left.
 */
function graceMs(timeoutMs: number, concurrency: number): number {
  return Math.min(GRACE_MOST_MS, ABORT_GRACE_MS + (concurrency === 1 ? 0 : timeoutMs));
}

/** The message of the first cause. */
function rootMessage(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return root instanceof Error ? root.message : String(root);
}
