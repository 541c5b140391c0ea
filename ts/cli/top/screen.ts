import process from 'node:process';

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
/** Terminals that know it show what is between the two at once; others ignore it. */
const BEGIN_FRAME = '\x1b[?2026h';
const END_FRAME = '\x1b[?2026l';
const CLEAR = '\x1b[2J';

/**
 * The terminal's other screen. Only lines that have changed are written, in one write a frame, so nothing flickers. Whatever ends the process, the terminal is
 * as it was before.
 */
export class Screen {
  #shown: string[] = [];
  #isOpen = false;
  readonly #restore = (): void => this.close();

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#shown = [];
    process.on('exit', this.#restore);
    process.stdout.write(ENTER + CLEAR);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.#restore);
    process.stdout.write(LEAVE);
  }

  /** Everything is drawn anew the next time: the terminal has another size. */
  forget(): void {
    this.#shown = [];
    if (this.#isOpen) process.stdout.write(CLEAR);
  }

  get width(): number {
    return process.stdout.columns || 80;
  }

  get height(): number {
    return process.stdout.rows || 24;
  }

  /** Shows these lines, each as wide as the screen. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    let changes = '';
    for (const [row, line] of lines.entries()) {
      if (line !== this.#shown[row]) changes += `\x1b[${row + 1};1H${line}`;
    }
    this.#shown = [...lines];
    if (changes !== '') process.stdout.write(BEGIN_FRAME + changes + END_FRAME);
  }
}
