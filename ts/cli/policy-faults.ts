import type { LocatedFault } from '../policy/document.ts';
import { clean, oneLine } from './format.ts';

const LONGEST_LINE = 110;

/**
 * What is wrong with a file, each fault with its line and a mark under what it is about:
 *
 *     bank.yaml:7:18: spec.retryPolicy.attempts must be 1 or more, not 0
 *       7 |     attempts: 0
 *         |               ^
 */
export function renderFaults(
  name: string,
  text: string,
  faults: readonly LocatedFault[],
  documents: number,
): string {
  const file = clean(name);
  if (faults.length === 0) return `${file}: valid${documents > 1 ? ` (${documents} policies)` : ''}\n`;
  const lines = text.split(/\r\n|[\r\n]/);
  const width = String(Math.max(...faults.map(({ line }) => line))).length;
  const shown = faults.map(({ path, reason, line, column, length }) => {
    const what = clean(`${path === '' ? 'the document' : path} ${oneLine(reason)}`);
    return `${file}:${line}:${column}: ${what}\n${excerpt(lines[line - 1] ?? '', line, column, length, width)}`;
  });
  return `${shown.join('\n')}\n${file}: ${faults.length} fault${faults.length === 1 ? '' : 's'}\n`;
}

function excerpt(source: string, line: number, column: number, length: number, width: number): string {
  // A long line is cut so that the place is in sight.
  const from = column > LONGEST_LINE - 20 ? column - 20 : 0;
  const piece = source
    .slice(from, from + LONGEST_LINE)
    .split('\t')
    .map(clean)
    .join('\t');
  // Tabs stay tabs in the line of marks, so that the mark stands under its place whatever their width is.
  const before = source.slice(from, column - 1).replace(/[^\t]/g, ' ');
  const marks = '^'.repeat(Math.max(1, Math.min(length, piece.length - (column - 1 - from))));
  const cut = from > 0 ? '…' : '';
  const indent = ' '.repeat(cut.length);
  return `  ${String(line).padStart(width)} | ${cut}${piece}\n  ${' '.repeat(width)} | ${indent}${before}${marks}\n`;
}
