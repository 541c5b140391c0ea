/**
 * One listener for each AbortSignal, however many calls use it: Node warns of leaks beyond ten listeners, and adding one costs more than a
 * task.
 */
export class SignalHub {
  readonly #listeners = new WeakMap<AbortSignal, Set<() => void>>();

  /** Calls `onAbort` when the signal fires. Returns a function that takes it back. */
  add(signal: AbortSignal, onAbort: () => void): () => void {
    let set = this.#listeners.get(signal);
    if (set === undefined) {
      const fresh = new Set<() => void>();
      const fire = (): void => {
        this.#listeners.delete(signal);
        for (const listener of fresh) listener();
      };
      signal.addEventListener('abort', fire, { once: true });
      this.#listeners.set(signal, fresh);
      set = fresh;
    }
    set.add(onAbort);
    const registered = set;
    return () => {
      registered.delete(onAbort);
    };
  }
}
