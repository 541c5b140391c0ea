import type { ContextMutex } from './locks/context-mutex.ts';
import type { LockOwner } from './locks/owners.ts';
import type { MutexOptions } from './locks/types.ts';
import type { QoSLevel } from './qos.ts';
import type { AtomicBool, AtomicInt32 } from './runtime/cells.ts';
import type { SharedArrayType } from './runtime/shared-arrays.ts';

/** Where a worker leaves what `heddle/task` calls. Registered, so that a task module bundled apart from the worker finds it too. */
export const TASK_API: unique symbol = Symbol.for('heddle.task') as never;

/** A forked call: `join` it, or await it. */
export interface Forked<T> extends PromiseLike<Awaited<T>> {
  /** Carries the type of the result; never there. */
  readonly resultType?: T;
}

/** What the running task can know about itself. */
export interface TaskContext {
  /** Name of the task. */
  readonly task: string;
  readonly qos: QoSLevel;
  /** Name of the pool. */
  readonly pool: string;
  /** The worker's place in the pool, 0..63. */
  readonly worker: number;
  readonly threadId: number;
  /** The pool's `workerData`. */
  readonly workerData: unknown;
}

/** The runtime, as a task sees it. */
export interface TaskRuntime {
  /** The AtomicInt32 of this name, the same cell in every thread of the runtime. */
  atomicInt32(name: string): AtomicInt32;
  /** The AtomicBool of this name, the same cell in every thread of the runtime. */
  atomicBool(name: string): AtomicBool;
  /** A typed array in shared memory; it passes by reference. */
  alloc<T>(type: SharedArrayType<T>, length: number): T;
  /** Gives the memory of {@link alloc} back. */
  free(array: ArrayBufferView): void;
  /** The mutex of this name: the same lock in every thread of the runtime. A task is an owner of its own; what it holds when it ends is freed, marked abandoned, and reported. */
  mutex(name: string, options?: MutexOptions): ContextMutex;
  /** Runs `fn` as an owner of locks of its own, for flows that run side by side in one task. */
  withOwner<R>(fn: (owner: LockOwner) => R, name?: string): R;
  /** An owner of locks to pass as `ctx.owner`. */
  createOwner(name?: string): LockOwner;
}

/** What a worker implements for `heddle/task`. */
export interface TaskApi {
  fork(
    fn: unknown,
    count: number,
    a: unknown,
    b: unknown,
    c: unknown,
    rest: readonly unknown[] | undefined,
  ): never;
  join(handle: unknown): unknown;
  aborted(): boolean;
  signal(): AbortSignal;
  context(): TaskContext;
  yieldNow(): Promise<void>;
  runtime(): TaskRuntime;
}
