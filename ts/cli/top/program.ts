import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { UsageError } from '../usage-error.ts';
import { findTargets, tryConnect } from './attach.ts';

const LOOK_EVERY_MS = 30;
/** How much of what the program prints is kept for the end. */
const OUTPUT_MOST = 256 * 1024;

/** A program that was started to be watched. What it prints is kept, as the screen is in use. */
export class Program {
  readonly #child: ChildProcess;
  readonly #folder: string;
  #output = '';
  #isGone = false;
  readonly #ended: Promise<unknown>;

  constructor(command: readonly string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), 'heddle-top-'));
    this.#child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, HEDDLE_TOP: this.#folder },
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_MOST);
      });
    }
    this.#ended = once(this.#child, 'close')
      .catch((error: Error) => {
        this.#output += `cannot start ${command[0]}: ${error.message}\n`;
      })
      .finally(() => {
        this.#isGone = true;
        rmSync(this.#folder, { recursive: true, force: true });
      });
  }

  /**
   * Waits until it has loaded heddle.
   *
   * @throws {UsageError} when it ended before.
   */
  async connect(signal: AbortSignal): Promise<Socket> {
    while (!this.#isGone && !signal.aborted) {
      for (const target of findTargets(this.#folder)) {
        const socket = await tryConnect(target);
        if (socket !== undefined) return socket;
      }
      await delay(LOOK_EVERY_MS);
    }
    throw new UsageError(
      `the program ended before it had loaded heddle${this.#output === '' ? '' : `; it printed:\n${this.#output}`}`,
    );
  }

  /** What it has printed, or the end of it. */
  get output(): string {
    return this.#output;
  }

  /** Ends it, if it runs. Returns its exit code, 128 and the signal's number as shells have it. */
  async end(): Promise<number> {
    if (!this.#isGone) this.#child.kill('SIGTERM');
    return this.exitCode();
  }

  /** Waits for its end. */
  async exitCode(): Promise<number> {
    await this.#ended;
    const { exitCode, signalCode } = this.#child;
    return exitCode ?? (signalCode === null ? 127 : 128 + constants.signals[signalCode]);
  }
}
