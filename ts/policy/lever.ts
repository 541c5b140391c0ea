/** A setting of the running process that a program and policies may both change. */
export interface Setting<T> {
  read(): T;
  write(value: T): void;
  isSame(a: T, b: T): boolean;
  /** Something that is another thing each time the setting was set, also to what it was. */
  mark?(): unknown;
}

/**
 * A setting as policies move it: it remembers what was set before the first of them, and puts exactly that back after the last. What the program itself sets meanwhile
 * stays until a policy is applied anew, and is what the undoing of policies then comes back to.
 */
export class Lever<T> {
  readonly #setting: Setting<T>;
  /** What policies wrote last. */
  #written: { readonly value: T } | undefined;
  /** The mark of that: with another one the program has set it since, if to the same. */
  #mark: unknown;
  /** What there was without policies. */
  #below: { readonly value: T } | undefined;

  constructor(setting: Setting<T>) {
    this.#setting = setting;
  }

  /** What there is without policies. */
  get base(): T {
    const now = this.#setting.read();
    return this.#written === undefined || this.#isForeign(now) ? now : this.#below!.value;
  }

  /**
   * Moves it to what policies want now; `undefined`: they want nothing.
   *
   * @param isNew - a policy was applied, so it counts for more than what the program has set meanwhile
   */
  move(wanted: { readonly value: T } | undefined, isNew: boolean): void {
    const now = this.#setting.read();
    if (this.#written === undefined) {
      if (wanted === undefined) return;
      this.#below = { value: now };
    } else if (this.#isForeign(now)) {
      this.#below = { value: now };
      if (!isNew) {
        this.#written = wanted === undefined ? undefined : { value: now };
        this.#mark = this.#setting.mark?.();
        return;
      }
    }
    const next = wanted ?? this.#below!;
    if (!this.#setting.isSame(now, next.value)) this.#setting.write(next.value);
    this.#written = wanted;
    this.#mark = this.#setting.mark?.();
    if (wanted === undefined) this.#below = undefined;
  }

  /** Remembers where it is. Returns what brings exactly that back. */
  save(): () => void {
    const value = this.#setting.read();
    const written = this.#written;
    const below = this.#below;
    const mark = this.#isForeign(value) ? { value: this.#mark } : undefined;
    return () => {
      if (!this.#setting.isSame(this.#setting.read(), value)) this.#setting.write(value);
      this.#written = written;
      this.#below = below;
      this.#mark = mark === undefined ? this.#setting.mark?.() : mark.value;
    };
  }

  #isForeign(now: T): boolean {
    if (this.#written === undefined) return false;
    return this.#mark !== this.#setting.mark?.() || !this.#setting.isSame(now, this.#written.value);
  }
}
