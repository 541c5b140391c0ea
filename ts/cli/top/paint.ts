/** Words in colours, and pictures made of characters, for a terminal of whatever width. */

/** What a piece of text is. The terminal's own colours, so that it looks as its user likes it. */
export type Style = 'plain' | 'dim' | 'bold' | 'good' | 'warm' | 'bad' | 'accent';

const CODES: Readonly<Record<Style, string>> = {
  plain: '',
  dim: '2',
  bold: '1',
  good: '32',
  warm: '33',
  bad: '31',
  accent: '36',
};

/** A piece of a line. */
export interface Span {
  readonly text: string;
  readonly style: Style;
}

export const span = (text: string, style: Style = 'plain'): Span => ({ text, style });

const LEVELS = '▁▂▃▄▅▆▇█';

/** One column for a share of 0 to 1: nothing at all for 0. */
export function level(share: number): string {
  if (!(share > 0)) return ' ';
  return LEVELS[Math.min(LEVELS.length - 1, Math.floor(share * LEVELS.length))]!;
}

/** The last values as columns, the newest at the right, the greatest of them full. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width);
  const most = Math.max(...shown, 0);
  const columns = shown.map((value) => (value > 0 ? level(Math.max(value / most - 1e-9, 1e-9)) : ' '));
  return columns.join('').padStart(width);
}

/** A line as text of exactly `width` columns: what stood there before is gone without being erased, as that would take the last column with it. */
export function paintFull(line: readonly Span[], width: number, colors: boolean): string {
  const used = columns(line.map(({ text }) => text).join(''));
  return paint([...line, span(' '.repeat(Math.max(0, width - used)))], width, colors, false);
}

/** A line as text of at most `width` columns. */
export function paint(line: readonly Span[], width: number, colors: boolean, trims: boolean = true): string {
  let left = width;
  let text = '';
  for (const piece of line) {
    if (left <= 0) break;
    const cut = shorten(piece.text, left);
    left -= columns(cut);
    const code = CODES[piece.style];
    text += colors && code !== '' ? `\x1b[${code}m${cut}\x1b[0m` : cut;
  }
  return trims ? text.trimEnd() : text;
}

/** Columns that a text takes: wide characters take two. */
export function columns(text: string): number {
  let sum = 0;
  for (const char of text)
    sum += /[ᄀ-ᅟ⺀-꓏가-힣豈-﫿︰-﹏＀-｠￠-￦]|\p{Emoji_Presentation}/u.test(char) ? 2 : 1;
  return sum;
}

/** Cut to so many columns, with a mark where something is missing. */
export function shorten(text: string, width: number): string {
  if (columns(text) <= width) return text;
  let cut = '';
  for (const char of text) {
    if (columns(cut + char) > width - 1) break;
    cut += char;
  }
  return width > 0 ? `${cut}…` : '';
}

/** As wide as it must be. */
export function pad(text: string, width: number): string {
  const cut = shorten(text, width);
  return cut + ' '.repeat(Math.max(0, width - columns(cut)));
}
