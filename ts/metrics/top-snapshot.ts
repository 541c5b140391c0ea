import type { Histogram } from '../kernel/histogram.ts';
import type { LockEntry } from '../locks/types.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import type { WorkerMetrics } from '../pool/types.ts';
import type { QoSLevel } from '../qos.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** Upper bound in milliseconds (null: none) and count of each bucket that holds something. */
export type TopBuckets = readonly (readonly [toMs: number | null, count: number])[];

/** One worker. */
export type TopWorker = Pick<
  WorkerMetrics,
  'id' | 'threadId' | 'state' | 'busyMs' | 'completed' | 'failed' | 'stealSuccesses'
>;

/** One pool. Counts are since it was opened. */
export interface TopPool {
  readonly name: string;
  readonly threads: number;
  /** Calls that can run at once when all workers are there. */
  readonly capacity: number;
  readonly outstanding: number;
  readonly submitted: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly forks: number;
  readonly stealAttempts: number;
  readonly stealSuccesses: number;
  readonly queues: Readonly<Record<QoSLevel, number>>;
  readonly run: TopBuckets;
  readonly wait: TopBuckets;
  readonly workers: readonly TopWorker[];
}

/** One runtime. */
export interface TopRuntime {
  readonly usedBytes: number;
  readonly pools: readonly TopPool[];
  /** Of each at most 100. */
  readonly held: readonly LockEntry[];
  readonly pending: readonly LockEntry[];
  /** How many there are of each. */
  readonly heldCount: number;
  readonly pendingCount: number;
  readonly deadlocks: number;
}

/** A process at one moment, as `heddle top` gets it. */
export interface TopSnapshot {
  readonly version: 1;
  readonly pid: number;
  /** What runs, for people. */
  readonly title: string;
  readonly upMs: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly atMs: number;
  readonly rssBytes: number;
  readonly runtimes: readonly TopRuntime[];
}

const LOCKS_MOST = 100;

function bucketsOf({ buckets }: Histogram): TopBuckets {
  return buckets.map(({ toMs, count }) => [Number.isFinite(toMs) ? toMs : null, count]);
}

function poolOf(pool: TaskPool<never>): TopPool {
  const metrics = pool.metrics();
  return {
    name: pool.name,
    threads: metrics.threads,
    capacity: metrics.capacity,
    outstanding: metrics.outstanding,
    submitted: metrics.submitted,
    completed: metrics.completed,
    failed: metrics.failed,
    cancelled: metrics.contextCancels,
    forks: metrics.forks,
    stealAttempts: metrics.stealAttempts,
    stealSuccesses: metrics.stealSuccesses,
    queues: metrics.queueDepths,
    run: bucketsOf(metrics.runHistogram),
    wait: bucketsOf(metrics.waitHistogram),
    workers: metrics.workers.map(
      ({ id, threadId, state, busyMs, completed, failed, stealSuccesses }): TopWorker => ({
        id,
        threadId,
        state,
        busyMs,
        completed,
        failed,
        stealSuccesses,
      }),
    ),
  };
}

/** What is to be seen of a runtime. Reads shared memory, asks nobody. */
export function topRuntime(runtime: Runtime): TopRuntime {
  const { held, pending } = runtime.locks.snapshot();
  return {
    usedBytes: runtime.usedBytes,
    pools: runtime.pools.map(poolOf),
    held: held.slice(0, LOCKS_MOST),
    pending: pending.slice(0, LOCKS_MOST),
    heldCount: held.length,
    pendingCount: pending.length,
    deadlocks: runtime.locks.metrics().deadlocks,
  };
}
