import type { Observed } from '../locks/observed.ts';
import type { EventChannel, Platform } from '../platform/port.ts';
import type { RunOptions, WorkerExit } from './types.ts';

/** A call on `heddle:task:submit` and, the same object, on `heddle:task:settle`: every one of the first has one of the second. */
export interface TaskCallEvent {
  readonly pool: string;
  readonly task: string;
  readonly args: readonly unknown[];
  readonly options: RunOptions | undefined;
}

/** How a call ended, on `heddle:task:settle`. */
export interface TaskSettleEvent {
  readonly call: TaskCallEvent;
  readonly ok: boolean;
  /** What it was rejected with. */
  readonly error?: unknown;
  /** From the call to the outcome. */
  readonly durationMs: number;
}

/** A worker, on `heddle:worker:start`. */
export interface WorkerStartEvent {
  readonly pool: string;
  readonly id: number;
  readonly threadId: number;
}

/** What a pool tells whoever listens on the host's channels: in Node those of `node:diagnostics_channel`. Where nobody listens nothing is made. */
export class PoolChannels {
  readonly #pool: string;
  readonly #submit: EventChannel;
  readonly #settle: EventChannel;
  readonly #platform: Platform;
  readonly #observers: Observed[] = [];

  constructor(platform: Platform, pool: string) {
    this.#pool = pool;
    this.#platform = platform;
    this.#submit = platform.eventChannel('heddle:task:submit');
    this.#settle = platform.eventChannel('heddle:task:settle');
  }

  /** Does anybody want to hear of calls? All that is asked on the way of a call. */
  get wantsCalls(): boolean {
    return this.#submit.hasSubscribers || this.#settle.hasSubscribers || this.#observers.length > 0;
  }

  /** Somebody hears of every call from now on. */
  observe(observer: Observed): void {
    this.#observers.push(observer);
  }

  /** A call is about to be made. */
  call(
    task: string,
    args: readonly unknown[],
    options: RunOptions | undefined,
    run: () => Promise<unknown>,
  ): Promise<unknown> {
    const call: TaskCallEvent = { pool: this.#pool, task, args, options };
    if (this.#submit.hasSubscribers) this.#submit.publish(call);
    const begin = performance.now();
    const observers = [...this.#observers];
    for (const observer of observers) observer.acquired();
    const settle = (end: { readonly ok: boolean; readonly error?: unknown }): void => {
      for (const observer of observers) {
        observer.waited(performance.now() - begin);
        observer.released();
      }
      if (!this.#settle.hasSubscribers) return;
      const event: TaskSettleEvent = { call, ...end, durationMs: performance.now() - begin };
      this.#settle.publish(event);
    };
    let outcome: Promise<unknown>;
    try {
      outcome = run();
    } catch (error) {
      settle({ ok: false, error });
      throw error;
    }
    return outcome.then(
      (value) => {
        settle({ ok: true });
        return value;
      },
      (error) => {
        settle({ ok: false, error });
        throw error;
      },
    );
  }

  poolOpened(): void {
    this.#tell('heddle:pool:open', { pool: this.#pool });
  }

  poolClosed(): void {
    this.#tell('heddle:pool:close', { pool: this.#pool });
  }

  workerStarted(id: number, threadId: number): void {
    const event: WorkerStartEvent = { pool: this.#pool, id, threadId };
    this.#tell('heddle:worker:start', event);
  }

  workerExited(exit: WorkerExit): void {
    this.#tell('heddle:worker:exit', { pool: this.#pool, ...exit });
  }

  /** The queue has reached its high-water mark, or has fallen again. */
  queueFilled(isFull: boolean, outstanding: number): void {
    this.#tell(isFull ? 'heddle:queue:fill' : 'heddle:queue:drain', { pool: this.#pool, outstanding });
  }

  #tell(name: string, event: unknown): void {
    const channel = this.#platform.eventChannel(name);
    if (channel.hasSubscribers) channel.publish(event);
  }
}
