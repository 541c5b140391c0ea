import { InvalidTypeError } from '../errors.ts';
import { ContextMutex } from '../locks/context-mutex.ts';
import type { LockManager } from '../locks/lock-manager.ts';
import { describe } from '../options.ts';
import { TaskPool } from '../pool/task-pool.ts';
import { type AtomicInt32, cellOf } from '../runtime/cells.ts';
import type { ConcurrencyInstrumenter } from '../systems/provider.ts';
import { TrackedCell } from './atomic-monitor.ts';
import type { Collector } from './collector.ts';

/**
 * The part of an instrumenter that all exporters share. What is measured is counted in shared memory in any case, or from now on; so a pool comes back as
 * it is, a mutex as a handle that counts, an atomic as it is.
 */
export class SharedInstrumenter implements ConcurrencyInstrumenter {
  /** @internal What the exporter reads. */
  protected readonly collector: Collector;

  /** @internal */
  constructor(collector: Collector) {
    this.collector = collector;
  }

  /**
   * Exports the pool's metrics until it ends. Pools of one name, of whatever runtime, are one set of series.
   *
   * @returns the same pool
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no pool.
   */
  instrumentPool<P extends TaskPool<never>>(pool: P): P {
    if (!(pool instanceof TaskPool))
      throw new InvalidTypeError(`instrumentPool() takes a pool, not ${describe(pool)}`);
    this.collector.addPool(pool as TaskPool<never>);
    return pool;
  }

  /**
   * Meters the lock, in all threads, and exports what is counted of all metered locks of its runtime. See `ContextMutex.metered`.
   *
   * @returns a handle of the same lock that counts
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no mutex; ERR_MEMORY_FULL.
   */
  instrumentMutex<M extends ContextMutex>(mutex: M): M {
    if (!(mutex instanceof ContextMutex))
      throw new InvalidTypeError(`instrumentMutex() takes a mutex, not ${describe(mutex)}`);
    const metered = mutex.metered();
    this.collector.addLocks(metered.meter);
    return metered as M;
  }

  /** Exports what is counted of the metered locks of a runtime, and its deadlocks, until it is disposed. */
  instrumentLocks(locks: LockManager): void {
    this.collector.addLocks(locks.meter);
  }

  /**
   * Counts the operations on the atomic, in all threads, and exports the count. See `ConcurrencyMonitor.trackAtomic`.
   *
   * @returns the same atomic
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no atomic of a runtime.
   */
  instrumentAtomic<A extends AtomicInt32>(atomic: A): A {
    const cell = new TrackedCell(atomic);
    this.collector.addAtomic(cellOf(atomic)!.name, cell);
    return atomic;
  }
}
