/**
 * What a running task can call. The functions find the worker they run in by themselves; called outside a task they throw a TypeError with
 * code ERR_INVALID_ARGUMENT.
 *
 * ```ts
 * import { fork, join } from 'heddle/task';
 * export function fib(n: number): number {
 *   if (n < 2) return n;
 *   const left = fork(fib, n - 1);
 *   return fib(n - 2) + join(left);
 * }
 * ```
 *
 * @module
 */
import { InvalidTypeError } from './errors.ts';
import { type Forked, TASK_API, type TaskApi, type TaskContext, type TaskRuntime } from './task-contract.ts';

export { move } from './codec/move.ts';
export type { ContextMutex } from './locks/context-mutex.ts';
export type { LockOwner } from './locks/owners.ts';
export type { Guard, LockContext, LockObserver, LockSnapshot, MutexOptions } from './locks/types.ts';
export type { QoSLevel } from './qos.ts';
export type { AtomicBool, AtomicInt32 } from './runtime/cells.ts';
export type { SharedArrayType } from './runtime/shared-arrays.ts';
export type { Forked, TaskContext, TaskRuntime };

let found: TaskApi | undefined;

function api(caller: string): TaskApi {
  found ??= (globalThis as { [TASK_API]?: TaskApi })[TASK_API];
  if (found === undefined) {
    throw new InvalidTypeError(
      `${caller}() was called outside a heddle worker; it works only while a task runs`,
    );
  }
  return found;
}

/**
 * Starts a call that may run beside the rest of this task: it stands in this worker's queue, where any idle worker may steal it. Costs well
 * under a microsecond. Join or await it; what a task leaves unjoined is joined when it ends.
 *
 * @param fn - a function that the task module exports
 * @param args - copied if another worker takes the call; passed as they are if this one runs it
 * @returns a handle for {@link join}, or to await where the function is async
 * @throws {TypeError} ERR_INVALID_ARGUMENT when `fn` is not exported by the task module, or outside a task.
 */
export function fork<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Forked<R>;
export function fork(fn: unknown, a?: unknown, b?: unknown, c?: unknown): unknown {
  // biome-ignore lint/complexity/noArguments: a rest parameter would be an array for each call
  const count = arguments.length - 1;
  return (found ?? api('fork')).fork(
    fn,
    count,
    a,
    b,
    c,
    // biome-ignore lint/complexity/noArguments: as above
    count > 3 ? Array.prototype.slice.call(arguments, 1) : undefined,
  );
}

/**
 * The result of a forked call. Runs it here if nobody took it; otherwise runs other forks until its worker is done, and none of others' while a lock is held. Blocks this
 * thread, not the others. May be called again: the result stays.
 *
 * @throws what the call threw; ERR_WORKER_EXITED when the worker that took it is gone; ERR_INVALID_ARGUMENT for an async function (await
 * the handle instead), or outside a task.
 */
export function join<R>(handle: Forked<R>): R {
  return (found ?? api('join')).join(handle) as R;
}

/**
 * Was this task, or one that forked it, cancelled or timed out? A few nanoseconds: made for hot loops. Never blocks.
 *
 * @throws {TypeError} ERR_INVALID_ARGUMENT outside a task.
 */
export function aborted(): boolean {
  return (found ?? api('aborted')).aborted();
}

/**
 * A signal that fires when this task is cancelled, for async code. A task that never gives the event loop a turn sees no event: it polls
 * {@link aborted}. In a browser with several async tasks a worker, call it before the first `await`.
 *
 * @throws {TypeError} ERR_INVALID_ARGUMENT outside a task.
 */
export function signal(): AbortSignal {
  return api('signal').signal();
}

/**
 * Facts about this task and its worker.
 *
 * @throws {TypeError} ERR_INVALID_ARGUMENT outside a task.
 */
export function context(): TaskContext {
  return api('context').context();
}

/**
 * Gives the worker's event loop a turn: timers, sockets, cancels.
 *
 * @throws {TypeError} ERR_INVALID_ARGUMENT outside a task.
 */
export function yieldNow(): Promise<void> {
  return api('yieldNow').yieldNow();
}

/**
 * The runtime of this worker: shared atomics and arrays.
 *
 * @throws {TypeError} ERR_INVALID_ARGUMENT outside a heddle worker.
 */
export function runtime(): TaskRuntime {
  return api('runtime').runtime();
}
