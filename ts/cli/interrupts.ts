import { constants } from 'node:os';
import process from 'node:process';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Calls back with an exit code when nobody reads stdout any more. It never stops listening: what is on its way to a closed pipe may fail when a command has ended. */
export function whenUnread(listener: (exitCode: number) => void): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    listener(128 + constants.signals.SIGPIPE);
  });
}

/**
 * Turns Ctrl-C, and a reader of stdout that went away, into an AbortSignal. A second Ctrl-C does what it does without this: end the process.
 */
export class Interrupts {
  readonly #controller = new AbortController();
  readonly #stop: (() => void)[] = [];
  /** 128 and the signal's number, as shells have it; undefined while nothing came. */
  exitCode: number | undefined;
  /** What came, for people. */
  reason: string | undefined;

  constructor() {
    for (const signal of SIGNALS) {
      const listener = (): void => this.#interrupt(`by ${signal}`, 128 + constants.signals[signal]);
      process.on(signal, listener);
      this.#stop.push(() => process.off(signal, listener));
    }
    whenUnread((code) => this.#interrupt('as nobody reads the results', code));
  }

  /** Aborted by the first of them. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Stops listening. */
  dispose(): void {
    for (const stop of this.#stop.splice(0)) stop();
  }

  #interrupt(reason: string, exitCode: number): void {
    this.reason ??= reason;
    this.exitCode ??= exitCode;
    this.dispose();
    this.#controller.abort(new Error(`interrupted ${reason}`));
  }
}
