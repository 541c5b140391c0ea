import { ErrorKinds } from '../pool/rejections.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import type { PoolMetrics, WorkerMetrics } from '../pool/types.ts';
import { DurationTotals, mergeCounts } from './totals.ts';

/** What `taskpool.worker.active` calls what a worker does. */
export type WorkerState = 'idle' | 'busy' | 'parked';

const STATES: Readonly<Record<WorkerMetrics['state'], WorkerState>> = {
  booting: 'idle',
  running: 'busy',
  searching: 'idle',
  parked: 'parked',
  idle: 'parked',
  awaiting: 'busy',
};

/** What only ever grows. */
export class PoolTotals {
  submitted = 0;
  completed = 0;
  cancelled = 0;
  stealAttempts = 0;
  stealSuccesses = 0;
  numaCrossings = 0;
  readonly rejections: Map<string, number> = new Map();
  readonly run: DurationTotals;
  readonly wait: DurationTotals;
  readonly #kinds: ErrorKinds;

  constructor(boundsNs: readonly number[], kinds: ErrorKinds) {
    this.#kinds = kinds;
    this.run = new DurationTotals(boundsNs);
    this.wait = new DurationTotals(boundsNs);
  }

  add(metrics: PoolMetrics): void {
    this.submitted += metrics.submitted;
    this.completed += metrics.completed;
    this.stealAttempts += metrics.stealAttempts;
    this.stealSuccesses += metrics.stealSuccesses;
    this.cancelled += metrics.contextCancels;
    this.numaCrossings += metrics.numaCrossings;
    this.#addRejections(metrics.rejections);
    this.run.add(metrics.runHistogram);
    this.wait.add(metrics.waitHistogram);
  }

  merge(other: PoolTotals): void {
    this.submitted += other.submitted;
    this.completed += other.completed;
    this.stealAttempts += other.stealAttempts;
    this.stealSuccesses += other.stealSuccesses;
    this.cancelled += other.cancelled;
    this.numaCrossings += other.numaCrossings;
    this.#addRejections(other.rejections);
    this.run.merge(other.run);
    this.wait.merge(other.wait);
  }

  #addRejections(counts: ReadonlyMap<string, number>): void {
    mergeCounts(this.rejections, counts, (kind) => this.#kinds.nameOf(kind));
  }
}

/** What a group of pools is at one moment. */
export interface GroupReading {
  readonly totals: PoolTotals;
  /** Tasks in queues, by class. */
  readonly queued: ReadonlyMap<string, number>;
  /** Workers by node (-1: not placed) and state. */
  readonly workers: ReadonlyMap<number, Readonly<Record<WorkerState, number>>>;
  /** Of the workers on average, 0 to 1; 0 without any. */
  readonly utilization: number;
  readonly pressure: number;
}

/**
 * The pools of one name: one set of series. A pool that ends leaves its counts behind as long as another of its name goes on, as a counter that falls
 * reads like a restart.
 */
export class PoolGroup {
  readonly #boundsNs: readonly number[];
  readonly #pools = new Set<TaskPool<never>>();
  /** Of all of them together, those that have ended as well. */
  readonly #kinds = new ErrorKinds();
  readonly #ended: PoolTotals;
  /** When the first of them came, in milliseconds since 1970. */
  readonly sinceMs: number = Date.now();

  constructor(boundsNs: readonly number[]) {
    this.#boundsNs = boundsNs;
    this.#ended = new PoolTotals(boundsNs, this.#kinds);
  }

  add(pool: TaskPool<never>): void {
    this.#pools.add(pool);
  }

  /** A pool has ended. False when none is left. */
  end(pool: TaskPool<never>): boolean {
    if (this.#pools.delete(pool)) this.#ended.add(pool.metrics());
    return this.#pools.size > 0;
  }

  read(): GroupReading {
    const totals = new PoolTotals(this.#boundsNs, this.#kinds);
    totals.merge(this.#ended);
    const queued = new Map<string, number>();
    const workers = new Map<number, Record<WorkerState, number>>();
    let utilization = 0;
    let threads = 0;
    let open = 0;
    let capacity = 0;
    for (const pool of this.#pools) {
      const metrics = pool.metrics();
      totals.add(metrics);
      mergeCounts(queued, new Map(Object.entries(metrics.queueDepths)));
      for (const { numaNode = -1, state } of metrics.workers) {
        const states = workers.get(numaNode) ?? { idle: 0, busy: 0, parked: 0 };
        states[STATES[state]]++;
        workers.set(numaNode, states);
      }
      // A pool that has no worker now has none in any state.
      if (metrics.workers.length === 0 && !workers.has(-1)) workers.set(-1, { idle: 0, busy: 0, parked: 0 });
      utilization += metrics.workerUtilization * metrics.threads;
      threads += metrics.threads;
      open += metrics.outstanding;
      capacity += metrics.capacity;
    }
    return {
      totals,
      queued,
      workers,
      utilization: threads === 0 ? 0 : utilization / threads,
      pressure: capacity === 0 ? 0 : open / capacity,
    };
  }
}
