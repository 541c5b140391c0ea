import { InvalidTypeError } from '../errors.ts';
import { describe } from '../options.ts';

type Listener = (...args: unknown[]) => void;

/**
 * A small typed emitter for Node and browsers alike. A listener that throws ends nothing: its error surfaces as an uncaught error of its own
 * turn, and the other listeners are called.
 */
export class Emitter<E extends { [K in keyof E]: unknown[] }> {
  readonly #listeners = new Map<keyof E, Set<Listener>>();

  /**
   * Adds a listener; adding it again changes nothing.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT when it is no function.
   */
  on<K extends keyof E>(event: K, listener: (...args: E[K]) => void): this {
    if (typeof listener !== 'function') {
      throw new InvalidTypeError(`on('${String(event)}') takes a function, not ${describe(listener)}`);
    }
    let set = this.#listeners.get(event);
    if (set === undefined) this.#listeners.set(event, (set = new Set()));
    set.add(listener as Listener);
    return this;
  }

  /** Adds a listener that is called once. */
  once<K extends keyof E>(event: K, listener: (...args: E[K]) => void): this {
    const wrapped = (...args: E[K]): void => {
      this.off(event, wrapped);
      listener(...args);
    };
    return this.on(event, wrapped);
  }

  /** Removes a listener that `on` added. */
  off<K extends keyof E>(event: K, listener: (...args: E[K]) => void): this {
    this.#listeners.get(event)?.delete(listener as Listener);
    return this;
  }

  /** How many listen. */
  listenerCount(event: keyof E): number {
    return this.#listeners.get(event)?.size ?? 0;
  }

  /** Calls all listeners. True when there was one. */
  protected emit<K extends keyof E>(event: K, ...args: E[K]): boolean {
    const set = this.#listeners.get(event);
    if (set === undefined || set.size === 0) return false;
    for (const listener of [...set]) {
      try {
        listener(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    return true;
  }
}
