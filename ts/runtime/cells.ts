import {
  CELL_BOOL,
  CELL_INT32,
  CELL_KIND_CLASH,
  CELL_NAME_CAPACITY,
  CELL_TABLE_FULL,
  MAX_CELLS,
  OWNER_SHARED,
} from '../../build/generated/layout.ts';
import { HeddleError, InvalidRangeError, InvalidTypeError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { assertObserver, Observed } from '../locks/observed.ts';
import type { LockObserver } from '../locks/types.ts';
import { describe } from '../options.ts';
import { CellWatch } from './observed-cells.ts';

/** A 32-bit integer that all threads of a runtime share. Sequentially consistent; no method blocks. */
export interface AtomicInt32 {
  /** Adds `delta` (an int32; sums wrap around) and returns the **new** value. */
  add(delta: number): number;
  /** Stores `replacement` if the cell holds `expected`. True when it did. */
  compareAndSwap(expected: number, replacement: number): boolean;
  /** The value now. */
  load(): number;
  /** Stores `value`. */
  store(value: number): void;
  /** Stores `value` and returns the value before. */
  swap(value: number): number;
  /**
   * The same cell, told to an observer: it hears of what is done through the handle that this returns, as {@link LockObserver} says.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no observer.
   */
  withObserver(observer: LockObserver): AtomicInt32;
}

/** A boolean that all threads of a runtime share. Sequentially consistent; no method blocks. */
export interface AtomicBool {
  /** The value now. */
  load(): boolean;
  /** Stores `value`. */
  store(value: boolean): void;
  /** Stores `value` and returns the value before. */
  swap(value: boolean): boolean;
  /** Stores `replacement` if the cell holds `expected`. True when it did. */
  compareAndSwap(expected: boolean, replacement: boolean): boolean;
  /** As {@link AtomicInt32.withObserver}. */
  withObserver(observer: LockObserver): AtomicBool;
}

/** Where an atomic is. */
export interface CellPlace {
  readonly kernel: Kernel;
  readonly address: number;
  readonly name: string;
  /** Was its runtime disposed? */
  isClosed(): boolean;
}

const places = new WeakMap<object, CellPlace>();

/** Where an atomic of a runtime is; undefined for anything else. */
export function cellOf(atomic: unknown): CellPlace | undefined {
  return typeof atomic === 'object' && atomic !== null ? places.get(atomic) : undefined;
}

class Int32Cell implements AtomicInt32 {
  readonly #calls: Kernel['calls'];
  readonly #cell: number;

  constructor(kernel: Kernel, cell: number, place: CellPlace) {
    this.#calls = kernel.calls;
    this.#cell = cell;
    places.set(this, place);
  }

  add(delta: number): number {
    return this.#calls.cellAdd(this.#cell, delta);
  }

  compareAndSwap(expected: number, replacement: number): boolean {
    return this.#calls.cellCas(this.#cell, expected, replacement) !== 0;
  }

  load(): number {
    return this.#calls.cellLoad(this.#cell);
  }

  store(value: number): void {
    this.#calls.cellStore(this.#cell, value);
  }

  swap(value: number): number {
    return this.#calls.cellSwap(this.#cell, value);
  }

  withObserver(observer: LockObserver): AtomicInt32 {
    return new ObservedInt32(this, observer);
  }
}

class BoolCell implements AtomicBool {
  readonly #calls: Kernel['calls'];
  readonly #cell: number;

  constructor(kernel: Kernel, cell: number, place: CellPlace) {
    this.#calls = kernel.calls;
    this.#cell = cell;
    places.set(this, place);
  }

  load(): boolean {
    return this.#calls.cellLoad(this.#cell) !== 0;
  }

  store(value: boolean): void {
    this.#calls.cellStore(this.#cell, value ? 1 : 0);
  }

  swap(value: boolean): boolean {
    return this.#calls.cellSwap(this.#cell, value ? 1 : 0) !== 0;
  }

  compareAndSwap(expected: boolean, replacement: boolean): boolean {
    return this.#calls.cellCas(this.#cell, expected ? 1 : 0, replacement ? 1 : 0) !== 0;
  }

  withObserver(observer: LockObserver): AtomicBool {
    return new ObservedBool(this, observer);
  }
}

/** Who is to hear of the cell of an atomic. */
function watchOf(atomic: object, observer: LockObserver): CellWatch {
  assertObserver(observer);
  return new CellWatch(new Observed(places.get(atomic)!.address, observer));
}

class ObservedInt32 implements AtomicInt32 {
  readonly #cell: AtomicInt32;
  readonly #watch: CellWatch;

  constructor(cell: AtomicInt32, observer: LockObserver) {
    this.#cell = cell;
    this.#watch = watchOf(cell, observer);
    places.set(this, places.get(cell)!);
  }

  add(delta: number): number {
    const sum = this.#cell.add(delta);
    this.#watch.changed(((sum - delta) | 0) !== 0, sum !== 0);
    return sum;
  }

  compareAndSwap(expected: number, replacement: number): boolean {
    const had = this.#cell.compareAndSwap(expected, replacement);
    return this.#watch.exchanged(had, (expected | 0) !== 0, (replacement | 0) !== 0);
  }

  load(): number {
    return this.#cell.load();
  }

  store(value: number): void {
    this.swap(value);
  }

  swap(value: number): number {
    const before = this.#cell.swap(value);
    this.#watch.changed(before !== 0, (value | 0) !== 0);
    return before;
  }

  withObserver(observer: LockObserver): AtomicInt32 {
    return new ObservedInt32(this, observer);
  }
}

class ObservedBool implements AtomicBool {
  readonly #cell: AtomicBool;
  readonly #watch: CellWatch;

  constructor(cell: AtomicBool, observer: LockObserver) {
    this.#cell = cell;
    this.#watch = watchOf(cell, observer);
    places.set(this, places.get(cell)!);
  }

  load(): boolean {
    return this.#cell.load();
  }

  store(value: boolean): void {
    this.swap(value);
  }

  swap(value: boolean): boolean {
    const before = this.#cell.swap(value);
    this.#watch.changed(before, Boolean(value));
    return before;
  }

  compareAndSwap(expected: boolean, replacement: boolean): boolean {
    const had = this.#cell.compareAndSwap(expected, replacement);
    return this.#watch.exchanged(had, Boolean(expected), Boolean(replacement));
  }

  withObserver(observer: LockObserver): AtomicBool {
    return new ObservedBool(this, observer);
  }
}

/** Finds and makes the cells of a runtime for one thread. */
export interface Cells {
  int32(name: string): AtomicInt32;
  bool(name: string): AtomicBool;
  /** The runtime is gone: what is there stays usable, and nobody reads its counts any more. */
  close(): void;
}

/** `agent` lends the memory in which a name is handed to the kernel; a thread that is none (0) claims a span for the moment. */
export function createCells(kernel: Kernel, agent: number): Cells {
  const encoder = new TextEncoder();
  const find = (name: string, kind: number): number => {
    if (typeof name !== 'string')
      throw new InvalidTypeError(`an atomic's name must be a string, not ${describe(name)}`);
    const bytes = encoder.encode(name);
    if (bytes.length === 0 || bytes.length > CELL_NAME_CAPACITY) {
      throw new InvalidRangeError(
        `an atomic's name must have 1 to ${CELL_NAME_CAPACITY} bytes of UTF-8; ${describe(name)} has ${bytes.length}`,
      );
    }
    const { calls } = kernel;
    const text = agent === 0 ? calls.claimSpans(1, OWNER_SHARED) : calls.allocate(agent, bytes.length);
    if (text === 0)
      throw new HeddleError('ERR_MEMORY_FULL', `cannot make atomic '${name}': the shared memory is full`);
    kernel.u8.set(bytes, text >>> 0);
    const cell = kernel.calls.findCell(text, bytes.length, kind);
    if (agent === 0) calls.releaseSpans(text, 1);
    else calls.release(agent, text);
    if (cell === CELL_TABLE_FULL) {
      throw new HeddleError(
        'ERR_RESOURCE_LIMIT',
        `cannot make atomic '${name}': the runtime has ${MAX_CELLS} already`,
      );
    }
    if (cell === CELL_KIND_CLASH) {
      throw new InvalidTypeError(`cannot open atomic '${name}': it exists with another type`, {
        resource: name,
      });
    }
    return cell;
  };
  let isClosed = false;
  const place = (address: number, name: string): CellPlace => ({
    kernel,
    address,
    name,
    isClosed: () => isClosed,
  });
  return {
    int32(name) {
      const cell = find(name, CELL_INT32);
      return new Int32Cell(kernel, cell, place(cell, name));
    },
    bool(name) {
      const cell = find(name, CELL_BOOL);
      return new BoolCell(kernel, cell, place(cell, name));
    },
    close() {
      isClosed = true;
    },
  };
}
