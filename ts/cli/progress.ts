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

/**
 * A bar on stderr when stderr is a terminal; otherwise undefined.
 *
 * @param tally - read for each frame
 * @param total - undefined while nobody knows it: then there are figures and no bar
 */
export function openProgress(tally: Readonly<Tally>, total: number | undefined): Progress | undefined {
  if (!process.stderr.isTTY) return undefined;
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
    process.stderr.write('\r\x1b[2K');
    process.stdout.write(pending);
    pending = '';
  };
  bar.on('redraw-pre', flush);
  bar.start(1, 0);
  return {
    write(text) {
      pending += text;
    },
    stop() {
      bar.stop();
      flush();
    },
  };
}

/** One line, cut from the right at whole figures where the terminal is narrow. */
function frame(options: Options, params: Params, tally: Readonly<Tally>, total: number | undefined): string {
  const elapsed = Math.max(1, Date.now() - params.startTime);
  const perSecond = (amount: number): number => (amount / elapsed) * 1000;
  const figures: string[] = [];
  if (total === undefined) {
    figures.push(count(tally.items));
  } else {
    const share = total === 0 ? 1 : tally.items / total;
    figures.push(
      `${cliProgress.Format.BarFormat(share, options)} ${String(Math.floor(share * 100)).padStart(3)} %`,
    );
    figures.push(`${count(tally.items)} / ${count(total)}`);
  }
  if (tally.failed > 0) figures.push(`${count(tally.failed)} failed`);
  if (total !== undefined && tally.items > 0) {
    figures.push(`${duration((elapsed / tally.items) * (total - tally.items))} left`);
  }
  figures.push(`${significant(perSecond(tally.items))}/s`);
  if (tally.bytes > 0) figures.push(`${bytes(tally.bytes)}`, `${bytes(perSecond(tally.bytes))}/s`);
  while (figures.length > 1 && figures.join('  ').length >= params.maxWidth) figures.pop();
  return figures.join('  ');
}
