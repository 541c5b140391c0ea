import type { Runtime, TaskPool } from '../index.node.ts';
import type { MapSettings } from './map-settings.ts';
import type { TaskRef } from './task-name.ts';
import { type TimedTasks, timedModule, untimedName } from './timed-task.ts';
import { UsageError } from './usage-error.ts';

/** A task that ignores its timeout for so long loses its worker: nothing else stops a loop. */
const ABORT_GRACE_MS = 100;
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
  const { threads, trace, retries, timeout } = settings;
  const capacity = Math.floor(TRACE_BYTES_MOST / threads / TRACE_EVENT_BYTES);
  let pool: TaskPool<TimedTasks>;
  try {
    pool = await runtime.createPool<TimedTasks>({
      tasks: timedModule(task),
      name: 'map',
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: settings.concurrency,
      ...(trace === undefined ? {} : { trace: { capacity: Math.min(TRACE_EVENTS_MOST, capacity) } }),
      ...(retries === 0 ? {} : { retry: { attempts: retries + 1 } }),
      ...(timeout === undefined ? {} : { abortGraceMs: ABORT_GRACE_MS }),
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

/** The message of the first cause. */
function rootMessage(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return root instanceof Error ? root.message : String(root);
}
