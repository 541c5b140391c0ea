import {
  HEADER_DEADLOCKS,
  HEADER_LOCK_METERS,
  HISTOGRAM_BUCKETS,
  LOCK_FLAG_METERED,
  LOCK_FLAGS,
  MAX_AGENTS,
  METER_ALL_BIT,
  METER_HOLD_MS,
  METER_HOLDS,
  METER_SIZE,
  METER_SPANS,
  METER_WAIT_MS,
  METER_WAITS,
  OWNER_SHARED,
  SPAN_SIZE,
} from '../../build/generated/layout.ts';
import { MemoryFullError } from '../errors.ts';
import { type Histogram, toHistogram } from '../kernel/histogram.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** What was counted of the metered locks of a runtime, in all its threads, since the first of them was metered. */
export interface LockMetrics {
  /** Times that somebody had to wait, with or without success. A lock that was had at once is not among them. */
  readonly waitHistogram: Histogram;
  /** How long locks were held. */
  readonly holdHistogram: Histogram;
  /** Deadlocks that were found, metered or not; what became of them is the strategy's. */
  readonly deadlocks: number;
}

/**
 * Counts waits for locks and holds of them, for one thread. The counts stand in shared memory, a row for each thread, made when the first lock is metered
 * (picture: assembly/layout.ts). Only handles of metered locks come here.
 */
export class LockMeter {
  readonly #kernel: Kernel;
  readonly #agentId: number;
  /** The runtime was disposed. */
  isClosed = false;

  constructor(kernel: Kernel, agentId: number) {
    this.#kernel = kernel;
    this.#agentId = agentId;
  }

  /** Are the waits and holds of this lock counted? */
  meters(lock: number): boolean {
    const { u32 } = this.#kernel;
    const table = u32[HEADER_LOCK_METERS >>> 2]!;
    if (table === 0) return false;
    return (table & METER_ALL_BIT) !== 0 || (u32[(lock + LOCK_FLAGS) >>> 2]! & LOCK_FLAG_METERED) !== 0;
  }

  /**
   * Meters a lock in all handles that are opened from now on, in every thread.
   *
   * @throws {MemoryFullError} ERR_MEMORY_FULL.
   */
  meter(lock: number): void {
    this.#open();
    Atomics.or(this.#kernel.i32, (lock + LOCK_FLAGS) >>> 2, LOCK_FLAG_METERED);
  }

  /**
   * Meters every lock.
   *
   * @throws {MemoryFullError} ERR_MEMORY_FULL.
   */
  meterAll(): void {
    this.#open();
    Atomics.or(this.#kernel.i32, HEADER_LOCK_METERS >>> 2, METER_ALL_BIT);
  }

  #open(): void {
    const { calls, i32, u8 } = this.#kernel;
    if (Atomics.load(i32, HEADER_LOCK_METERS >>> 2) !== 0) return;
    const table = calls.claimSpans(METER_SPANS, OWNER_SHARED) >>> 0;
    if (table === 0) throw new MemoryFullError('cannot meter locks: the shared memory is full');
    u8.fill(0, table, table + METER_SPANS * SPAN_SIZE);
    // Another thread may have made one meanwhile.
    if (Atomics.compareExchange(i32, HEADER_LOCK_METERS >>> 2, 0, table) !== 0)
      calls.releaseSpans(table, METER_SPANS);
  }

  /** A wait has ended. */
  addWait(ms: number): void {
    this.#add(METER_WAITS, METER_WAIT_MS, ms);
  }

  /** A hold has ended. */
  addHold(ms: number): void {
    this.#add(METER_HOLDS, METER_HOLD_MS, ms);
  }

  #add(histogram: number, sum: number, ms: number): void {
    const { calls } = this.#kernel;
    const row = this.#row(this.#agentId);
    calls.recordDuration(row + histogram, ms * 1e6, 1);
    calls.addCounter(row + sum, ms);
  }

  #row(agentId: number): number {
    return (this.#kernel.u32[HEADER_LOCK_METERS >>> 2]! & ~METER_ALL_BIT) + agentId * METER_SIZE;
  }

  /** What all threads have counted. */
  metrics(): LockMetrics {
    const { u32, f64 } = this.#kernel;
    const waits = new Float64Array(HISTOGRAM_BUCKETS);
    const holds = new Float64Array(HISTOGRAM_BUCKETS);
    let waitMs = 0;
    let holdMs = 0;
    if (u32[HEADER_LOCK_METERS >>> 2] !== 0) {
      for (let id = 1; id < MAX_AGENTS; id++) {
        const row = this.#row(id);
        waitMs += f64[(row + METER_WAIT_MS) >>> 3]!;
        holdMs += f64[(row + METER_HOLD_MS) >>> 3]!;
        for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
          waits[i]! += u32[((row + METER_WAITS) >>> 2) + i]!;
          holds[i]! += u32[((row + METER_HOLDS) >>> 2) + i]!;
        }
      }
    }
    return {
      waitHistogram: toHistogram(waits, waitMs),
      holdHistogram: toHistogram(holds, holdMs),
      deadlocks: u32[HEADER_DEADLOCKS >>> 2]!,
    };
  }

  /** A deadlock was found. */
  addDeadlock(): void {
    Atomics.add(this.#kernel.i32, HEADER_DEADLOCKS >>> 2, 1);
  }
}
