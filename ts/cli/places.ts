/** Numbers from 0 on, the lowest ones used again: places in a table for what is under way. */
export class Places {
  readonly #free: number[] = [];
  #next = 0;

  /** A number that nobody holds. */
  take(): number {
    return this.#free.pop() ?? this.#next++;
  }

  /** Gives a number back. */
  release(place: number): void {
    this.#free.push(place);
  }
}
