import type { Observed } from '../locks/observed.ts';

/**
 * A cell as programs lock with it: whoever makes it something other than 0 or false has it, and who makes it that again gives it back. Each operation is that of the
 * cell itself, so what is heard is what this very operation did.
 */
export class CellWatch {
  readonly #observed: Observed;

  constructor(observed: Observed) {
    this.#observed = observed;
  }

  changed(from: boolean, to: boolean): void {
    if (!from && to) this.#observed.acquired();
    else if (from && !to) this.#observed.released();
  }

  /** A compareAndSwap of `from` to `to`. */
  exchanged(had: boolean, from: boolean, to: boolean): boolean {
    if (had) this.changed(from, to);
    else this.#observed.waited(0);
    return had;
  }
}
