import { InvalidTypeError } from '../errors.ts';
import { describe } from '../options.ts';
import { tellObserver } from './late-faults.ts';
import { cleanStack } from './stacks.ts';
import type { LockObserver } from './types.ts';

/**
 * Is it an observer?
 *
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT
 */
export function assertObserver(observer: unknown): void {
  const it = observer as Partial<LockObserver> | null | undefined;
  const has = (['lockAcquired', 'lockReleased', 'lockWait'] as const).every(
    (name) => typeof it?.[name] === 'function',
  );
  if (!has) throw new InvalidTypeError(`withObserver() takes a LockObserver, not ${describe(observer)}`);
}

/** Something that is no mutex, as an observer hears of it. What the observer throws changes nothing. */
export class Observed {
  readonly #id: number;
  readonly #observer: LockObserver;

  constructor(id: number, observer: LockObserver) {
    this.#id = id;
    this.#observer = observer;
  }

  acquired(): void {
    const stack = cleanStack(new Error());
    tellObserver(() => this.#observer.lockAcquired(this.#id, stack));
  }

  released(): void {
    tellObserver(() => this.#observer.lockReleased(this.#id));
  }

  waited(ms: number): void {
    tellObserver(() => this.#observer.lockWait(this.#id, ms));
  }
}
