/** The lock word of {@link FutexMutex}. */
const FREE = 0;
const HELD = 1;
/** Held, and somebody may sleep. */
const CONTENDED = 2;

/**
 * The mutex that one writes with `Atomics` alone: three states (U. Drepper, "Futexes are tricky", 2011). It knows no owner, no name and no death.
 */
export class FutexMutex {
  #word;

  /** @param {Int32Array} word one cell of shared memory */
  constructor(word) {
    this.#word = word;
  }

  lockSync() {
    const word = this.#word;
    if (Atomics.compareExchange(word, 0, FREE, HELD) === FREE) return;
    while (Atomics.exchange(word, 0, CONTENDED) !== FREE) Atomics.wait(word, 0, CONTENDED);
  }

  unlock() {
    const word = this.#word;
    if (Atomics.sub(word, 0, 1) === HELD) return;
    Atomics.store(word, 0, FREE);
    Atomics.notify(word, 0, 1);
  }
}
