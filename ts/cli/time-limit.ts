import process from 'node:process';
import { TaskTimeoutError } from '../errors.ts';
import type { TimedInput } from './timed-task.ts';

/**
 * A time limit for each task that counts from its start: an input that waits for a worker, or for another to be started because the last one had
 * to be ended, loses nothing. When a task starts, its timed form leaves the time at its place.
 */
export class TimeLimit {
  readonly #task: string;
  readonly #limitMs: number;
  readonly #outer: AbortSignal;
  /** Of the calls under way, which may be hundreds: one listener passes an abort on to all of them. */
  readonly #stops = new Set<AbortController>();

  /** @param outer - fires the signal of every call */
  constructor(task: string, limitMs: number, outer: AbortSignal) {
    this.#task = task;
    this.#limitMs = limitMs;
    this.#outer = outer;
    const onOuter = (): void => {
      for (const stop of this.#stops) stop.abort(outer.reason);
    };
    outer.addEventListener('abort', onOuter, { once: true });
  }

  /**
   * Makes a call whose signal fires when its task has run for too long, or when the outer one fires.
   *
   * @throws {TaskTimeoutError} when the task has run for too long, and what the call throws.
   */
  async run<T>({ times, place }: TimedInput, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    this.#stops.add(stop);
    if (this.#outer.aborted) stop.abort(this.#outer.reason);
    let late: TaskTimeoutError | undefined;
    const look = (): void => {
      const startMs = -times[place]!;
      // NaN: it has not started. Below 0: it has ended, and its outcome is on its way.
      const leftMs = startMs > 0 ? startMs + this.#limitMs - nowMs() : this.#limitMs;
      if (leftMs > 0) {
        timer = setTimeout(look, leftMs);
        return;
      }
      late = new TaskTimeoutError(`task '${this.#task}' did not finish within ${this.#limitMs} ms`, {
        resource: this.#task,
      });
      stop.abort(late);
    };
    let timer = setTimeout(look, this.#limitMs);
    try {
      return await call(stop.signal);
    } catch (error) {
      throw late ?? error;
    } finally {
      clearTimeout(timer);
      this.#stops.delete(stop);
    }
  }
}

/** The clock that all threads of the process share. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
