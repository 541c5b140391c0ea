import type { EventChannel } from '../platform/port.ts';
import { hearLateFault } from './late-faults.ts';
import type { LockViolation } from './types.ts';

type Listener = (violation: LockViolation) => unknown;

/** Passes reports on to who listens; to the host's warnings when nobody does. */
export class Violations {
  readonly #listeners = new Set<Listener>();
  readonly #warn: (violation: LockViolation) => void;
  readonly #tellHost: (violation: LockViolation) => boolean;

  readonly #channel: EventChannel;

  /**
   * @param channel - where the host lets others listen as well
   * @param tellHost - is told first; true: somebody has heard, so that no warning is needed
   */
  constructor(
    warn: (violation: LockViolation) => void,
    channel: EventChannel,
    tellHost: (violation: LockViolation) => boolean = () => false,
  ) {
    this.#warn = warn;
    this.#channel = channel;
    this.#tellHost = tellHost;
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  report(violation: LockViolation): void {
    if (this.#channel.hasSubscribers) this.#channel.publish(violation);
    let isHeard = false;
    try {
      isHeard = this.#tellHost(violation);
    } catch (error) {
      this.#warnOf('reportViolation()', error, violation);
    }
    if (this.#listeners.size === 0 && !isHeard) this.#warn(violation);
    for (const listener of [...this.#listeners]) {
      const warn = (error: unknown): void => this.#warnOf('a listener for lock violations', error, violation);
      try {
        hearLateFault(listener(violation), warn);
      } catch (error) {
        warn(error);
      }
    }
  }

  /** Whoever hears of a violation changes nothing for who locks, even by a fault of its own. */
  #warnOf(who: string, error: unknown, violation: LockViolation): void {
    let what = 'something';
    try {
      what = String(error);
    } catch {
      // It cannot be said.
    }
    this.#warn({ ...violation, message: `${who} threw ${what} at: ${violation.message}` });
  }
}
