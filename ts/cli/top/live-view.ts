import type { Socket } from 'node:net';
import process from 'node:process';
import { duration } from '../format.ts';
import { watch } from './attach.ts';
import { History } from './history.ts';
import { paint, paintFull } from './paint.ts';
import { render } from './render.ts';
import { Screen } from './screen.ts';

const HINT = 'q quit   space pause';
/** Without a snapshot for so long the process is said to be busy. */
const SILENT_MS = 2000;
const CTRL_C = '\x03';
const CTRL_Z = '\x1a';

/** Does the terminal show colours, and does its user want them? */
export function wantsColors(): boolean {
  return process.stdout.isTTY === true && process.stdout.getColorDepth() > 1;
}

/** The view that stays on the terminal until the process ends, or its user has seen enough. */
export class LiveView {
  readonly #history = new History();
  readonly #screen = new Screen();
  readonly #socket: Socket;
  readonly #everyMs: number;
  readonly #colors: boolean = wantsColors();
  #isPaused = false;
  #seenAt = performance.now();

  constructor(socket: Socket, everyMs: number) {
    this.#socket = socket;
    this.#everyMs = everyMs;
  }

  /** Runs the view. Resolves with 'ended' when the process has ended, with 'left' when the user left, or `signal` fired. */
  async run(signal: AbortSignal): Promise<'ended' | 'left'> {
    let outcome: 'ended' | 'left' = 'ended';
    const leave = (): void => {
      outcome = 'left';
      this.#socket.destroy();
    };
    const onKey = (key: string): void => this.#onKey(key, leave);
    const onResize = (): void => {
      this.#screen.forget();
      this.#draw();
    };
    const onContinue = (): void => {
      this.#listen(onKey);
      this.#screen.open();
      this.#draw();
    };
    const timer = setInterval(() => this.#draw(), Math.max(500, this.#everyMs));
    this.#screen.open();
    this.#listen(onKey);
    process.stdout.on('resize', onResize);
    process.on('SIGCONT', onContinue);
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    this.#draw();
    try {
      await watch(this.#socket, this.#everyMs, (snapshot) => {
        this.#seenAt = performance.now();
        if (this.#isPaused) return;
        this.#history.add(snapshot);
        this.#draw();
      });
    } finally {
      clearInterval(timer);
      signal.removeEventListener('abort', leave);
      process.stdout.off('resize', onResize);
      process.off('SIGCONT', onContinue);
      this.#unlisten(onKey);
      this.#screen.close();
    }
    return outcome;
  }

  /** What was seen last, to stay on the terminal. */
  last(): string {
    const lines = render(this.#history, { width: this.#screen.width, height: undefined });
    return lines.map((line) => `${paint(line, this.#screen.width, this.#colors)}\n`).join('');
  }

  #listen(onKey: (key: string) => void): void {
    const { stdin } = process;
    if (!stdin.isTTY) return;
    stdin.setRawMode(true).setEncoding('utf8').on('data', onKey).resume();
  }

  #unlisten(onKey: (key: string) => void): void {
    const { stdin } = process;
    if (!stdin.isTTY) return;
    stdin.setRawMode(false).off('data', onKey).pause();
  }

  #onKey(keys: string, leave: () => void): void {
    for (const key of keys) {
      if (key === 'q' || key === 'Q' || key === CTRL_C) leave();
      else if (key === ' ' || key === 'p') this.#isPaused = !this.#isPaused;
      else if (key === CTRL_Z && process.platform !== 'win32') {
        process.stdin.setRawMode(false);
        process.stdin.removeAllListeners('data');
        this.#screen.close();
        process.kill(process.pid, 'SIGSTOP');
      }
    }
    this.#draw();
  }

  #draw(): void {
    const { width, height } = this.#screen;
    const silentMs = performance.now() - this.#seenAt;
    const status = this.#isPaused
      ? 'paused'
      : silentMs > Math.max(SILENT_MS, 4 * this.#everyMs)
        ? `no answer for ${duration(Math.floor(silentMs / 1000) * 1000)}: its main thread is busy`
        : undefined;
    const lines = render(this.#history, { width, height, status, hint: HINT });
    this.#screen.draw(
      Array.from({ length: height }, (_, row) => paintFull(lines[row] ?? [], width, this.#colors)),
    );
  }
}
