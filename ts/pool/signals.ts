/** So many signals that no open call uses keep their listener: the next call with one of them needs none. */
const RESTING_MOST = 8;

interface Watched {
  readonly calls: Set<() => void>;
  readonly fire: () => void;
}

/**
 * One listener for each AbortSignal, however many calls use it: Node warns of leaks beyond ten listeners, and adding one costs more than a
 * task. A signal may live far longer than the pool, so what no call needs is taken back: all but a few at once, those when the pool closes.
 */
export class SignalHub {
  readonly #watched = new Map<AbortSignal, Watched>();
  /** Signals that no open call uses, longest first. */
  readonly #resting = new Set<AbortSignal>();

  /** Calls `onAbort` when the signal fires. Returns a function that takes it back. */
  add(signal: AbortSignal, onAbort: () => void): () => void {
    const watched = this.#watched.get(signal) ?? this.#watch(signal);
    this.#resting.delete(signal);
    watched.calls.add(onAbort);
    return () => {
      if (watched.calls.delete(onAbort) && watched.calls.size === 0 && this.#watched.get(signal) === watched)
        this.#rest(signal);
    };
  }

  #watch(signal: AbortSignal): Watched {
    const calls = new Set<() => void>();
    const fire = (): void => {
      this.#watched.delete(signal);
      this.#resting.delete(signal);
      for (const call of calls) call();
    };
    const watched: Watched = { calls, fire };
    signal.addEventListener('abort', fire, { once: true });
    this.#watched.set(signal, watched);
    return watched;
  }

  #rest(signal: AbortSignal): void {
    this.#resting.add(signal);
    if (this.#resting.size <= RESTING_MOST) return;
    for (const longest of this.#resting) {
      this.#forget(longest);
      return;
    }
  }

  #forget(signal: AbortSignal): void {
    const watched = this.#watched.get(signal);
    if (watched !== undefined) signal.removeEventListener('abort', watched.fire);
    this.#watched.delete(signal);
    this.#resting.delete(signal);
  }

  /** The pool has no open call and takes none: no signal knows it any more. */
  close(): void {
    for (const signal of [...this.#resting]) this.#forget(signal);
  }
}
