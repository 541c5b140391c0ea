import process from 'node:process';
import cliProgress, { type Options, type Params } from 'cli-progress';
import { bytes, count, duration, significant } from './format.ts';

/** How far a map is. */
export interface Tally {
  items: number;
  failed: number;
  /** Sizes of the inputs that are files. */
  bytes: number;
}

/** Shows how far a map is. */
export interface Progress {
  /** Writes to stdout where that is the same terminal, above the bar. */
  write(text: string): void;
  /** Removes the bar. */
  stop(): void;
}

const FRAMES_PER_SECOND = 10;
const BAR_SIZE = 28;
const CLEAR_LINE = '\r\x1b[2K';
/** Where the bar's library puts the cursor when it stops; it saves it only at the start, and text may have scrolled by since. */
const SAVE_CURSOR = '\x1b7';

/**
 * A bar on stderr when stderr is a terminal and nobody types the inputs there; otherwise undefined.
 *
 * @param tally - read for each frame
 * @param total - undefined while nobody knows it: then there are figures and no bar
 */
export function openProgress(tally: Readonly<Tally>, total: number | undefined): Progress | undefined {
  const isTyped = total === undefined && process.stdin.isTTY;
  if (!process.stderr.isTTY || isTyped) return undefined;
  let pending = '';
  const bar = new cliProgress.SingleBar({
    format: (options, params) => frame(options, params, tally, total),
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: BAR_SIZE,
    fps: FRAMES_PER_SECOND,
    clearOnComplete: true,
    forceRedraw: true,
    hideCursor: true,
    gracefulExit: false,
    synchronousUpdate: false,
  });
  const flush = (): void => {
    if (pending === '') return;
    process.stderr.write(CLEAR_LINE);
    process.stdout.write(pending);
    process.stderr.write(SAVE_CURSOR);
    pending = '';
  };
  bar.on('redraw-pre', flush);
  bar.start(1, 0);
  return {
    write(text) {
      pending += text;
    },
    stop() {
      process.stderr.write(CLEAR_LINE + SAVE_CURSOR);
      // Draws a last frame, and so writes what is pending.
      bar.stop();
    },
  };
}

/** One line, cut from the right at whole figures where the terminal is narrow. */
function frame(options: Options, params: Params, tally: Readonly<Tally>, total: number | undefined): string {
  const elapsed = Math.max(1, Date.now() - params.startTime);
  const perSecond = (amount: number): number => (amount / elapsed) * 1000;
  const figures: string[] = [];
  if (total === undefined) {
    figures.push(`${count(tally.items)} done`);
  } else {
    const share = total === 0 ? 1 : tally.items / total;
    figures.push(
      `${cliProgress.Format.BarFormat(share, options)} ${String(Math.floor(share * 100)).padStart(3)} %`,
    );
    figures.push(`${count(tally.items)} / ${count(total)}`);
  }
  if (tally.failed > 0) figures.push(`${count(tally.failed)} failed`);
  if (total !== undefined && tally.items > 0) {
    const left = (elapsed / tally.items) * (total - tally.items);
    figures.push(`${duration(Math.ceil(left / 1000) * 1000)} left`);
  }
  figures.push(`${significant(perSecond(tally.items))}/s`);
  if (tally.bytes > 0) figures.push(`${bytes(tally.bytes)}`, `${bytes(perSecond(tally.bytes))}/s`);
  while (figures.length > 1 && figures.join('  ').length >= params.maxWidth) figures.pop();
  return figures.join('  ');
}
