import { InvalidTypeError, TaskAbortedError } from '../errors.ts';
import { describe } from '../options.ts';
import type { MapOptions, RunOptions, Settled } from './types.ts';

/** What `mapOver` needs of its pool. */
export interface MapHost<I = unknown> {
  run(input: I, options: RunOptions | undefined): Promise<unknown>;
  readonly defaultConcurrency: number;
  /** False while `run` would refuse a call because the queue is full. */
  hasRoom(): boolean;
  /** Calls back whenever there may be room again, until the returned function is called. */
  whenRoom(callback: () => void): () => void;
}

/** Of a pool whose queue has no bound. */
export const ALWAYS_ROOM: Pick<MapHost, 'hasRoom' | 'whenRoom'> = {
  hasRoom: () => true,
  whenRoom: () => () => undefined,
};

type Source<I> = Iterable<I> | AsyncIterable<I>;

interface Entry<I> {
  readonly index: number;
  readonly input: I;
  outcome: { ok: true; value: unknown } | { ok: false; reason: unknown } | undefined;
}

/**
 * Runs a task over every item of an iterable, at most `concurrency` at once. The source is asked for the next item only when there is room, in
 * the pool's queue too, and the consumer's pace is the pace of it all. When the consumer stops early, the signal fires, or (without `settle`)
 * a task fails, what is under way is cancelled and the source is closed: at once, also while a next() waits or none was asked for.
 */
export function mapOver<I>(
  host: MapHost<I>,
  source: Source<I>,
  options: MapOptions,
): AsyncGenerator<unknown, void, undefined> {
  const { ordered = true, concurrency = host.defaultConcurrency, settle = false, signal } = options;
  const stop = new AbortController();
  const runOptions: RunOptions = {
    signal: stop.signal,
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    ...(options.qos === undefined ? {} : { qos: options.qos }),
    ...(options.idempotent === undefined ? {} : { idempotent: options.idempotent }),
    ...(options.abortGraceMs === undefined ? {} : { abortGraceMs: options.abortGraceMs }),
  };
  const running = new Set<Entry<I>>();
  const finished: Entry<I>[] = [];
  /** None before the consumer has asked for an item. */
  let from: { readonly iterator: AnyIterator<I>; readonly isAsync: boolean } | undefined;
  let next = 0;
  let exhausted = false;
  let pulling = false;
  let closed = false;
  let failed = false;
  /** An item that found the queue filled by others since it was asked for. */
  let held: { readonly input: I } | undefined;
  let sourceError: { reason: unknown } | undefined;
  let sourceEnd: Promise<unknown> | undefined;
  let wake: (() => void) | undefined;
  // One sleeper, woken by whatever happens: promises raced again and again would pile up on the slow ones.
  const changed = (): void => wake?.();

  const start = (input: I): void => {
    const entry: Entry<I> = { index: next++, input, outcome: undefined };
    const end = (outcome: Entry<I>['outcome']): void => {
      entry.outcome = outcome;
      if (!ordered) finished.push(entry);
      changed();
    };
    running.add(entry);
    host.run(input, runOptions).then(
      (value) => end({ ok: true, value }),
      (reason) => end({ ok: false, reason }),
    );
  };

  const accept = (step: IteratorResult<I>): void => {
    if (typeof step !== 'object' || step === null)
      throw new InvalidTypeError(`map(): the source's next() gave ${describe(step)}, not { value, done }`);
    if (step.done) exhausted = true;
    else if (closed) return;
    else if (host.hasRoom()) start(step.value);
    else held = { input: step.value };
  };

  const isHeldUp = (): boolean =>
    held !== undefined || (!exhausted && !pulling && running.size < concurrency && !host.hasRoom());

  /** Takes items while there is room. Returns when it would have to wait for the source or for room. */
  const fill = ({ iterator, isAsync }: NonNullable<typeof from>): void => {
    while (!closed && running.size < concurrency && host.hasRoom()) {
      if (held !== undefined) {
        start(held.input);
        held = undefined;
        continue;
      }
      if (exhausted || pulling) return;
      let step: IteratorResult<I> | Promise<IteratorResult<I>>;
      pulling = true;
      try {
        step = iterator.next();
        if (!isAsync) accept(step as IteratorResult<I>);
      } catch (error) {
        // A source whose next() fails has ended: it is not closed.
        exhausted = true;
        pulling = false;
        throw error;
      }
      if (!isAsync) {
        pulling = false;
        continue;
      }
      Promise.resolve(step)
        .then(accept)
        .catch((reason) => {
          exhausted = true;
          sourceError = { reason };
        })
        .then(() => {
          pulling = false;
          changed();
        });
    }
  };

  const takeEnded = (): Entry<I> | undefined => {
    if (!ordered) return finished.shift();
    for (const oldest of running) return oldest.outcome === undefined ? undefined : oldest;
    return undefined;
  };

  /** Cancels what is under way and closes the source; the sleeper sees that it is over. */
  const close = (): void => {
    closed = true;
    signal?.removeEventListener('abort', close);
    if (running.size > 0) stop.abort(new TaskAbortedError('map() ended early'));
    // A plain source that ends the map from its own next() cannot be closed there: it is when next() is back.
    const isInNext = pulling && from?.isAsync === false;
    if (from !== undefined && !exhausted && !isInNext) {
      const { iterator } = from;
      sourceEnd ??= (async () => iterator.return?.())();
      // Whoever asks for the next item hears of it; nobody may.
      sourceEnd.catch(() => undefined);
    }
    changed();
  };

  async function* items(): AsyncGenerator<unknown, void, undefined> {
    from = iteratorOf(source);
    if (signal?.aborted) closed = true;
    else signal?.addEventListener('abort', close, { once: true });
    try {
      for (;;) {
        if (!closed) {
          if (sourceError !== undefined) throw sourceError.reason;
          fill(from);
        }
        if (signal?.aborted) throw new TaskAbortedError('map() was aborted', { cause: signal.reason });
        if (closed) return;
        const entry = takeEnded();
        if (entry !== undefined) {
          running.delete(entry);
          yield present(entry, settle);
        } else if (running.size === 0 && exhausted && held === undefined) {
          return;
        } else {
          const stopWaiting = isHeldUp() ? host.whenRoom(changed) : undefined;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          wake = undefined;
          stopWaiting?.();
        }
      }
    } catch (error) {
      failed = true;
      throw error;
    } finally {
      close();
      // A source that is asked for an item may never answer; it learns of the end when it does. And what ended the map counts for more than a
      // source that cannot be closed.
      if (failed && !pulling) await sourceEnd?.catch(() => undefined);
      else if (!pulling) await sourceEnd;
    }
  }

  const generator = items();
  const endWith = generator.return.bind(generator);
  const failWith = generator.throw.bind(generator);
  // A generator looks at these only when the next() before them is over, which may wait for a task or for room.
  return Object.assign(generator, {
    return(value: undefined) {
      close();
      return endWith(value);
    },
    throw(error: unknown) {
      close();
      return failWith(error);
    },
  });
}

function present<I>(entry: Entry<I>, settle: boolean): unknown {
  const { index, input } = entry;
  const outcome = entry.outcome!;
  if (!settle) {
    if (!outcome.ok) throw outcome.reason;
    return outcome.value;
  }
  const record: Settled<I, unknown> = outcome.ok
    ? { index, input, status: 'fulfilled', value: outcome.value }
    : { index, input, status: 'rejected', reason: outcome.reason };
  return record;
}

interface AnyIterator<I> {
  next(): IteratorResult<I> | Promise<IteratorResult<I>>;
  return?(): unknown;
}

function iteratorOf<I>(source: Source<I>): { iterator: AnyIterator<I>; isAsync: boolean } {
  const iterable = source as Partial<AsyncIterable<I> & Iterable<I>> | null | undefined;
  if (typeof iterable?.[Symbol.asyncIterator] === 'function') {
    return { iterator: checked((source as AsyncIterable<I>)[Symbol.asyncIterator]()), isAsync: true };
  }
  if (typeof iterable?.[Symbol.iterator] === 'function') {
    return { iterator: checked((source as Iterable<I>)[Symbol.iterator]()), isAsync: false };
  }
  throw new InvalidTypeError(`map() takes an iterable or an async iterable, not ${describe(source)}`);
}

function checked<I>(iterator: AnyIterator<I>): AnyIterator<I> {
  if (typeof iterator?.next === 'function') return iterator;
  throw new InvalidTypeError(`map(): the source's iterator has no next(); it is ${describe(iterator)}`);
}
