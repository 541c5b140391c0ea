import type { LockMeter } from '../locks/lock-meter.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import type { TrackedCell } from './atomic-monitor.ts';
import {
  ATOMIC_NAME,
  type BucketOption,
  boundsNs,
  ERROR_TYPE,
  type MetricKey,
  NUMA_NODE,
  POOL_NAME,
  QOS_CLASS,
  WORKER_STATE,
} from './definitions.ts';
import { PoolGroup } from './pool-group.ts';
import { DurationTotals } from './totals.ts';

export type Attributes = Readonly<Record<string, string>>;

/** One value of one series. */
export interface NumberPoint {
  readonly attributes: Attributes;
  readonly value: number;
}

/** One series of durations, in seconds. */
export interface DurationPoint {
  readonly attributes: Attributes;
  readonly count: number;
  readonly sum: number;
  /** Values in each bucket, not added up: one more than there are bounds. */
  readonly counts: readonly number[];
  /** When the count began, in milliseconds since 1970. */
  readonly sinceMs: number;
}

/** All series of one moment. */
export interface Reading {
  readonly numbers: ReadonlyMap<MetricKey, readonly NumberPoint[]>;
  readonly durations: ReadonlyMap<MetricKey, readonly DurationPoint[]>;
}

type AddNumber = (key: MetricKey, value: number, attributes: Attributes) => void;
type AddDurations = (key: MetricKey, totals: DurationTotals, sinceMs: number, attributes: Attributes) => void;

/** Names of pools, and of atomics, that have series of their own. Those that come later share one. */
const NAMES_MOST = 100;
/** The name that OpenTelemetry gives to what has none of its own. */
const OTHER = '_OTHER';

/** Where a named thing is counted: by its name as long as there are not too many. */
function nameIn(names: ReadonlyMap<string, unknown>, name: string): string {
  return names.has(name) || names.size < NAMES_MOST ? name : OTHER;
}

/**
 * What exporters read: the pools, locks and atomics that were instrumented. Reading goes over shared memory once; between two readings nothing is done. The
 * readings of one turn are one reading, as an exporter may ask for each metric by itself.
 */
export class Collector {
  readonly boundsNs: readonly number[];
  readonly #groups = new Map<string, PoolGroup>();
  #known = new WeakSet<TaskPool<never>>();
  readonly #meters = new Set<LockMeter>();
  #endedWaits: DurationTotals;
  #endedHolds: DurationTotals;
  #endedDeadlocks = 0;
  #locksSinceMs = 0;
  readonly #atomics = new Map<string, Set<TrackedCell>>();
  #reading: Reading | undefined;

  constructor(buckets: BucketOption) {
    this.boundsNs = boundsNs(buckets);
    this.#endedWaits = new DurationTotals(this.boundsNs);
    this.#endedHolds = new DurationTotals(this.boundsNs);
  }

  /** Reads a pool from now on, until it ends. Again: nothing. */
  addPool(pool: TaskPool<never>): void {
    if (this.#known.has(pool)) return;
    this.#known.add(pool);
    const name = nameIn(this.#groups, pool.name);
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new PoolGroup(this.boundsNs);
      this.#groups.set(name, group);
    }
    group.add(pool);
    pool.whenClosed(() => {
      if (!group.end(pool) && this.#groups.get(name) === group) this.#groups.delete(name);
      this.#reading = undefined;
    });
  }

  /** Reads the locks of a runtime from now on, until it is disposed. Again: nothing. */
  addLocks(meter: LockMeter): void {
    if (meter.isClosed) return;
    // Nobody may ever read, and a meter holds the memory of its runtime.
    this.#forgetEnded();
    if (this.#meters.size === 0) this.#locksSinceMs = Date.now();
    this.#meters.add(meter);
  }

  /** Reads an atomic from now on, until its runtime is disposed. Again: nothing. */
  addAtomic(name: string, cell: TrackedCell): void {
    this.#forgetEnded();
    const known = nameIn(this.#atomics, name);
    const cells = this.#atomics.get(known) ?? new Set();
    if (![...cells].some((other) => other.isSame(cell))) cells.add(cell);
    this.#atomics.set(known, cells);
  }

  /** Forgets everything. */
  clear(): void {
    this.#known = new WeakSet();
    this.#groups.clear();
    this.#meters.clear();
    this.#atomics.clear();
    this.#reading = undefined;
  }

  read(): Reading {
    if (this.#reading === undefined) {
      this.#reading = this.#readNow();
      queueMicrotask(() => {
        this.#reading = undefined;
      });
    }
    return this.#reading;
  }

  #readNow(): Reading {
    this.#forgetEnded();
    const numbers = new Map<MetricKey, NumberPoint[]>();
    const durations = new Map<MetricKey, DurationPoint[]>();
    const add: AddNumber = (key, value, attributes) => {
      listOf(numbers, key).push({ attributes, value });
    };
    const addDurations: AddDurations = (key, totals, sinceMs, attributes) => {
      const { counts, count, sumMs } = totals;
      listOf(durations, key).push({ attributes, count, sum: sumMs / 1000, counts, sinceMs });
    };
    for (const [name, group] of this.#groups) {
      const pool = { [POOL_NAME]: name };
      const { totals, queued, workers, utilization, pressure } = group.read();
      for (const [qos, size] of queued) add('queueSize', size, { ...pool, [QOS_CLASS]: qos });
      add('submitted', totals.submitted, pool);
      add('completed', totals.completed, pool);
      for (const [kind, count] of totals.rejections) add('rejected', count, { ...pool, [ERROR_TYPE]: kind });
      add('cancelled', totals.cancelled, pool);
      addDurations('duration', totals.run, group.sinceMs, pool);
      addDurations('queueTime', totals.wait, group.sinceMs, pool);
      for (const [node, states] of workers) {
        const placed = node < 0 ? pool : { ...pool, [NUMA_NODE]: String(node) };
        for (const [state, count] of Object.entries(states))
          add('workers', count, { ...placed, [WORKER_STATE]: state });
      }
      add('utilization', utilization, pool);
      add('stealAttempts', totals.stealAttempts, pool);
      add('stealSuccesses', totals.stealSuccesses, pool);
      add('numaCrossings', totals.numaCrossings, pool);
      add('pressure', pressure, pool);
    }
    this.#readLocks(add, addDurations);
    this.#readAtomics(add);
    return { numbers, durations };
  }

  /** Lets go of runtimes that are disposed. What their locks counted stays as long as there are others. */
  #forgetEnded(): void {
    for (const meter of this.#meters) {
      if (!meter.isClosed) continue;
      this.#meters.delete(meter);
      const metrics = meter.metrics();
      this.#endedWaits.add(metrics.waitHistogram);
      this.#endedHolds.add(metrics.holdHistogram);
      this.#endedDeadlocks += metrics.deadlocks;
    }
    if (this.#meters.size === 0) {
      // Nobody is left: the next runtime begins anew.
      this.#endedWaits = new DurationTotals(this.boundsNs);
      this.#endedHolds = new DurationTotals(this.boundsNs);
      this.#endedDeadlocks = 0;
    }
    for (const [name, cells] of this.#atomics) {
      for (const cell of cells) if (cell.isClosed) cells.delete(cell);
      if (cells.size === 0) this.#atomics.delete(name);
    }
  }

  #readLocks(add: AddNumber, addDurations: AddDurations): void {
    if (this.#meters.size === 0) return;
    const waits = new DurationTotals(this.boundsNs);
    const holds = new DurationTotals(this.boundsNs);
    let deadlocks = 0;
    for (const meter of this.#meters) {
      const metrics = meter.metrics();
      waits.add(metrics.waitHistogram);
      holds.add(metrics.holdHistogram);
      deadlocks += metrics.deadlocks;
    }
    waits.merge(this.#endedWaits);
    holds.merge(this.#endedHolds);
    addDurations('lockWaitTime', waits, this.#locksSinceMs, {});
    addDurations('lockHoldTime', holds, this.#locksSinceMs, {});
    add('deadlocks', deadlocks + this.#endedDeadlocks, {});
  }

  #readAtomics(add: AddNumber): void {
    for (const [name, cells] of this.#atomics) {
      const sum = [...cells].reduce((total, cell) => total + Number(cell.operations), 0);
      add('atomicOperations', sum, { [ATOMIC_NAME]: name });
    }
  }
}

function listOf<K, V>(map: Map<K, V[]>, key: K): V[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}
