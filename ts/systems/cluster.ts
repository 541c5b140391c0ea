import type { LockContext } from '../locks/types.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import type { Runnable } from '../pool/types.ts';
import type { QoSLevel } from '../qos.ts';
import type { ContainerContext, NUMACoordinator, NUMAPolicy } from './types.ts';

/** What a call may take with it: a signal, a time limit, a class, an owner of locks. */
export type Context = LockContext;

/** How hard a node is pressed, in the words of the Compute Pressure API. */
export type PressureLevel = 'nominal' | 'fair' | 'serious' | 'critical';

/** A queued task that was taken out for good. Whoever has it must settle it; its outcome is that of the submitter's promise. */
export interface StolenTask extends Runnable {
  readonly args: readonly unknown[];
  /** Runs it in the calling thread, settles it, and resolves when that is done. */
  run(): Promise<void>;
  /** Settles it with a result. Only the first settling counts. */
  resolve(value: unknown): void;
  /** Settles it with a failure. Only the first settling counts. */
  reject(error: unknown): void;
}

/** One worker as others steal from it. */
export interface WorkStealer {
  /** Takes a queued task out, if there is one: at once, without blocking. */
  trySteal(ctx?: Context): StolenTask | undefined;
  /** NUMA node that the worker is placed on; -1 where workers are not placed. */
  nodeAffinity(): number;
  /** Moving average of its busy time, 0 to 1. */
  currentLoad(): number;
  /** Calls back for each task that {@link WorkStealer.trySteal} took. */
  registerStealCallback(callback: (task: Runnable) => void): void;
  /** The same worker, limited to tasks of one class. */
  withQoS(level: QoSLevel): WorkStealer;
  getContainerContext(): ContainerContext;
  getNUMAPolicy(): NUMAPolicy;
  getClusterCoordinator(): ClusterCoordinator | undefined;
}

/** Lets pools help each other: of one process, or of many machines. */
export interface ClusterCoordinator {
  /** A task that somebody else cannot run soon, near `numaNode` first; undefined when there is none. */
  trySteal(ctx: Context, numaNode: number): Promise<StolenTask | undefined>;
  /** Tells how hard a node is pressed. */
  reportPressure(node: number, level: PressureLevel): void;
  /** Lets a pool take part. The pool calls it: see `TaskPool.registerClusterCoordinator`. */
  registerPool(pool: TaskPool<never>): void;
  getNUMACoordinator(): NUMACoordinator;
  getWorkStealers(): readonly WorkStealer[];
}
