import type { LockContext } from '../locks/types.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import type { Runnable } from '../pool/types.ts';
import type { QoSLevel } from '../qos.ts';
import type { ContainerContext, NUMACoordinator, NUMAPolicy } from './types.ts';

/** What a call may take with it: a signal, a time limit, a class, an owner of locks. */
export type Context = LockContext;

/** How hard a node is pressed, in the words of the Compute Pressure API. */
export type PressureLevel = 'nominal' | 'fair' | 'serious' | 'critical';

/**
 * A queued task that was taken out for good. Whoever has it must settle it; its outcome is that of the submitter's promise.
 *
 * Nothing stays pending: a task that is not settled within the thief's time (`timeoutMs` of `trySteal`, 30 s by default; none while `run()` is under way), or
 * whose object is dropped, is queued again if nobody has looked at its `args`, and ends with ERR_WORKER_EXITED otherwise, as the task of a worker that died:
 * one that is idempotent runs again where the pool's `retry` says so.
 */
export interface StolenTask extends Runnable {
  /** Its arguments. To look at them is to begin with the task. */
  readonly args: readonly unknown[];
  readonly qos: QoSLevel;
  /** NUMA node that it belongs to, if any. */
  readonly numaNode: number | undefined;
  /** May it run in another process, or on another machine? As its submitter said. */
  readonly shareable: boolean;
  /** Aborted when the submitter has its answer already: the call was cancelled, timed out, or its pool has closed. */
  readonly signal: AbortSignal;
  /**
   * Runs it, settles it, and resolves when that is done. Never rejects.
   *
   * @param runner - runs it; default: the task module is loaded into the calling thread, and the task is called there. Such a task has no worker around
   * it: what `heddle/task` offers throws.
   */
  run(runner?: (name: string, args: readonly unknown[]) => unknown): Promise<void>;
  /** Settles it with a result. Only the first settling counts: false when it was settled. */
  resolve(value: unknown): boolean;
  /** Settles it with a failure. Only the first settling counts: false when it was settled. */
  reject(error: unknown): boolean;
  /** Puts it into the queue again. False when it was settled. */
  giveBack(): boolean;
}

/** One worker as others steal from it. */
export interface WorkStealer {
  /**
   * Takes out a queued task that this worker would take next, if there is one: at once, without blocking. Forks, pieces of a `range`, calls whose arguments travel by
   * message port, and calls that a holder of locks awaits stay where they are. Whether it may run where the thief is, by {@link WorkStealer.getNUMAPolicy} and the
   * task's `numaNode`, is for the thief to look at; `LocalCoordinator.trySteal` does.
   *
   * @param ctx - `qos`: tasks of this class only; `timeoutMs`: how long the thief may sit on the task; after `signal` is aborted nothing is taken
   */
  trySteal(ctx?: Context): StolenTask | undefined;
  /** NUMA node that the worker is placed on; -1 where workers are not placed. */
  nodeAffinity(): number;
  /** Moving average of its busy time, 0 to 1. */
  currentLoad(): number;
  /** Calls back for each task that {@link WorkStealer.trySteal} took. */
  registerStealCallback(callback: (task: Runnable) => void): void;
  /** The same worker, limited to tasks of one class. */
  withQoS(level: QoSLevel): WorkStealer;
  /** The container that it runs in. */
  getContainerContext(): ContainerContext;
  /** Where its tasks are to run. */
  getNUMAPolicy(): NUMAPolicy;
  /** The coordinator that its pool is registered with, if any. */
  getClusterCoordinator(): ClusterCoordinator | undefined;
}

/** Lets pools help each other: of one process, or of many machines. */
export interface ClusterCoordinator {
  /** A task that somebody else cannot run soon, near `numaNode` first (-1: anywhere); undefined when there is none. */
  trySteal(ctx: Context, numaNode: number): Promise<StolenTask | undefined>;
  /** Tells how hard a node is pressed. */
  reportPressure(node: number, level: PressureLevel): void;
  /** Lets a pool take part. The pool calls it: see `TaskPool.registerClusterCoordinator`. */
  registerPool(pool: TaskPool<never>): void;
  /** The NUMA nodes that tasks are placed on. */
  getNUMACoordinator(): NUMACoordinator;
  /** The workers of all pools that take part. */
  getWorkStealers(): readonly WorkStealer[];
}
