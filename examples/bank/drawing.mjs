// How the bank looks on a terminal; without colours it is plain text.

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** Functions that colour a text, or leave it as it is. */
export function painter(isColoured) {
  return Object.fromEntries(
    Object.entries(CODES).map(([name, code]) => [
      name,
      isColoured ? (text) => `\x1b[${code}m${text}\x1b[0m` : (text) => text,
    ]),
  );
}

/** A report of a deadlock or of a fault of order, set in a frame at its left: who in colour, stacks in the background. */
export function drawReport(text, paint) {
  return text
    .split('\n')
    .map((line, i) => `  ${paint.dim('│')} ${drawLine(line, i, paint)}`)
    .join('\n');
}

function drawLine(line, i, paint) {
  if (i === 0) return paint.red(line);
  if (/^\s+at /.test(line)) return paint.dim(line);
  if (/^\s+task /.test(line)) return paint.cyan(line);
  return line.replace(/'[^']+'/g, (name) => paint.yellow(name));
}

/**
 * The graph of locks as a table: how often the lock of a column was taken under the lock of a row. Above the diagonal the numbers rise; red is part of
 * a ring.
 */
export function drawTable({ nodes, edges }, accounts, paint) {
  const numberOf = new Map(nodes.map(({ address, name }) => [address, Number(name.split(' ')[1])]));
  const cells = new Map(edges.map((edge) => [`${numberOf.get(edge.from)} ${numberOf.get(edge.to)}`, edge]));
  const numbers = Array.from({ length: accounts }, (_, i) => i + 1);
  const width = Math.max(4, ...edges.map(({ weight }) => weight.toLocaleString('en').length)) + 2;
  const rows = numbers.map((from) => {
    const row = numbers.map((to) => {
      const edge = cells.get(`${from} ${to}`);
      const text = (edge?.weight.toLocaleString('en') ?? (from === to ? '\\' : '·')).padStart(width);
      if (edge === undefined) return paint.dim(text);
      return edge.isCyclic ? paint.red(text) : paint.green(text);
    });
    return `  ${from === 1 ? 'held ' : '     '}${paint.bold(String(from).padStart(3))} ${row.join('')}`;
  });
  const head = `  taken    ${numbers.map((n) => paint.bold(String(n).padStart(width))).join('')}`;
  const rings = edges.filter(({ isCyclic }) => isCyclic).length;
  const legend =
    rings === 0
      ? 'no ring: nobody can wait in a circle'
      : `${rings} of ${edges.length} edges stand in rings of locks, ${paint.red('red')} where there are colours`;
  return [`  ${paint.dim(`the lock graph: ${legend}`)}`, '', head, ...rows].join('\n');
}
