import { InvalidTypeError } from '../errors.ts';
import { describe } from '../options.ts';

type Listener = (...args: unknown[]) => void;

/** The fault of a listener surfaces as an uncaught error of its own turn. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/**
 * A small typed emitter for Node and browsers alike. A listener that throws ends nothing: its error surfaces as an uncaught error of its own
 * turn, and the other listeners are called.
 */
export class Emitter<E extends { [K in keyof E]: unknown[] }> {
  /** By event: what was added, and what is called for it. */
  readonly #listeners = new Map<keyof E, Map<Listener, Listener>>();

  /**
   * Adds a listener; adding it again changes nothing.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT when it is no function.
   */
  on<K extends keyof E>(event: K, listener: (...args: E[K]) => void): this {
    if (typeof listener !== 'function') {
      throw new InvalidTypeError(`on('${String(event)}') takes a function, not ${describe(listener)}`);
    }
    this.#add(event, listener as Listener, listener as Listener);
    return this;
  }

  #add(event: keyof E, listener: Listener, call: Listener): void {
    let added = this.#listeners.get(event);
    if (added === undefined) {
      added = new Map();
      this.#listeners.set(event, added);
    }
    added.set(listener, call);
  }

  /** Adds a listener that is called once. */
  once<K extends keyof E>(event: K, listener: (...args: E[K]) => void): this {
    if (typeof listener !== 'function') return this.on(event, listener);
    this.#add(event, listener as Listener, (...args) => {
      this.off(event, listener);
      (listener as Listener)(...args);
    });
    return this;
  }

  /** Removes a listener that `on` or `once` added. */
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
    const added = this.#listeners.get(event);
    if (added === undefined || added.size === 0) return false;
    for (const call of [...added.values()]) {
      try {
        call(...args);
      } catch (error) {
        throwLater(error);
      }
    }
    return true;
  }
}
