import {
  OWNER_BORN,
  OWNER_HELD,
  OWNER_KIND,
  OWNER_KIND_FREE,
  OWNER_KIND_THREAD,
} from '../../build/generated/layout.ts';
import type { LockSpace } from '../locks/space.ts';

/** Told once when the promise of a call, or one that came of it, is awaited. */
interface Link {
  awaited(): void;
}

let linkOfNext: Link | undefined;

/**
 * The promise of a call that was made under a lock. It says when it is awaited, by `await`, `Promise.all` and their like, which hand functions of the
 * engine to `then`; code that only attaches callbacks goes on and waits for nothing. Promises that come of it say it too.
 */
class LinkedPromise<T> extends Promise<T> {
  readonly #link: Link | undefined = linkOfNext;

  // biome-ignore lint/suspicious/noThenProperty: a promise has one
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    if (isNative(onFulfilled) && isNative(onRejected)) this.#link?.awaited();
    const outer = linkOfNext;
    linkOfNext = this.#link;
    try {
      return super.then(onFulfilled, onRejected);
    } finally {
      linkOfNext = outer;
    }
  }
}

function isNative(callback: unknown): boolean {
  return (
    typeof callback === 'function' && Function.prototype.toString.call(callback).includes('[native code]')
  );
}

/**
 * After this time of awaiting a call its owner counts as waiting for the task. A program that hands a promise to `Promise.all`, or to an async function of its own,
 * goes on and unlocks a while after, looks just like one that awaits: so it is given long, as a deadlock lasts, and who is told of one that is none does not get
 * its lock.
 */
const GRACE_MS = 1000;
/** An owner that is a whole thread has many flows: the one that awaits may be another than the one that holds. Nobody gives up for it. */
const THREAD_GRACE_MS = 250;

/** A call of a pool made by an owner that holds locks: while it is awaited, the owner waits for whoever runs it. */
export class LinkedCall implements Link {
  readonly #space: LockSpace;
  readonly #owner: number;
  readonly #bornMs: number;
  readonly #slot: number;
  /** Ends what goes on for it: the time of grace, then the wait. */
  #stop: (() => void) | undefined;
  #isAwaited = false;
  #done = false;

  constructor(space: LockSpace, owner: number, slot: number) {
    this.#space = space;
    this.#owner = owner;
    this.#bornMs = space.kernel.f64[(owner + OWNER_BORN) >>> 3]!;
    this.#slot = slot;
  }

  /** The promise to give to the caller. */
  follow<T>(promise: Promise<T>): Promise<T> {
    const outer = linkOfNext;
    linkOfNext = this;
    try {
      return new LinkedPromise<T>((resolve) => resolve(promise));
    } finally {
      linkOfNext = outer;
    }
  }

  awaited(): void {
    if (this.#isAwaited || this.#done) return;
    this.#isAwaited = true;
    const isThread = this.#space.kernel.u32[(this.#owner + OWNER_KIND) >>> 2] === OWNER_KIND_THREAD;
    this.#stop = this.#space.host.timer(() => this.#publish(), isThread ? THREAD_GRACE_MS : GRACE_MS);
  }

  #publish(): void {
    this.#stop = undefined;
    if (this.#done || this.#space.isClosed) return;
    const { u32, f64 } = this.#space.kernel;
    const owner = this.#owner;
    const lives =
      u32[(owner + OWNER_KIND) >>> 2] !== OWNER_KIND_FREE && f64[(owner + OWNER_BORN) >>> 3] === this.#bornMs;
    // It may have let go meanwhile.
    if (lives && u32[(owner + OWNER_HELD) >>> 2] !== 0)
      this.#stop = this.#space.detector.awaits(owner, this.#slot);
  }

  /** The call has an outcome. */
  end(): void {
    this.#done = true;
    this.#stop?.();
    this.#stop = undefined;
  }
}
