import { CELL_OPERATIONS, CELL_TRACKED } from '../../build/generated/layout.ts';
import { InvalidTypeError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { describe, string } from '../options.ts';
import { type AtomicBool, type AtomicInt32, cellOf } from '../runtime/cells.ts';

/** Counts operations on atomics, in all threads. Atomics that nobody tracks are not counted. */
export interface ConcurrencyMonitor {
  /**
   * Counts the operations on an atomic from now on, by whatever thread, through whatever handle: loads, stores, swaps, adds, compare-and-swaps that failed
   * too. There is no end to it but the runtime's.
   *
   * @param name - under which the count is told
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no atomic of heddle, or a name that stands for another one.
   */
  trackAtomic(name: string, atomic: AtomicInt32 | AtomicBool): void;
  /** Operations on each tracked atomic since anybody began to track it. */
  atomicOpCount(): Map<string, bigint>;
}

/** A cell whose operations are counted beside it, in shared memory. */
export class TrackedCell {
  readonly #kernel: Kernel;
  readonly #address: number;
  readonly #operations: BigUint64Array;
  readonly #isClosed: () => boolean;

  constructor(atomic: AtomicInt32 | AtomicBool) {
    const cell = cellOf(atomic);
    if (cell === undefined)
      throw new InvalidTypeError(`trackAtomic() takes an atomic of a runtime, not ${describe(atomic)}`);
    this.#kernel = cell.kernel;
    this.#address = cell.address;
    this.#isClosed = cell.isClosed;
    this.#operations = new BigUint64Array(cell.kernel.memory.buffer, cell.address + CELL_OPERATIONS, 1);
    Atomics.store(cell.kernel.i32, (cell.address + CELL_TRACKED) >>> 2, 1);
  }

  /** Since anybody began to track it. */
  get operations(): bigint {
    return Atomics.load(this.#operations, 0);
  }

  /** Was its runtime disposed? */
  get isClosed(): boolean {
    return this.#isClosed();
  }

  isSame(other: TrackedCell): boolean {
    return this.#kernel === other.#kernel && this.#address === other.#address;
  }
}

/** The monitor of a runtime. */
export class AtomicMonitor implements ConcurrencyMonitor {
  readonly #cells = new Map<string, TrackedCell>();

  trackAtomic(name: string, atomic: AtomicInt32 | AtomicBool): void {
    string(name, 'trackAtomic(): the name');
    const cell = new TrackedCell(atomic);
    const known = this.#cells.get(name);
    if (known !== undefined && !known.isSame(cell)) {
      throw new InvalidTypeError(`trackAtomic(): '${name}' stands for another atomic already`, {
        resource: name,
      });
    }
    this.#cells.set(name, known ?? cell);
  }

  atomicOpCount(): Map<string, bigint> {
    return new Map([...this.#cells].map(([name, cell]) => [name, cell.operations]));
  }
}
