import { Graph, layout } from '@dagrejs/dagre';
import type { LockEdge, LockGraph, LockNode } from './lock-graph.ts';
import { printable } from './printable.ts';

const CHARACTER_WIDTH = 7.5;
const LINE_HEIGHT = 16;
const MARGIN = 12;

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const escapeXml = (text: string): string =>
  printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

const round = (value: number): string => String(Math.round(value * 10) / 10);

/** The graph in layers: dagre places the nodes and bends the edges (K. Sugiyama's method), the rest is text. */
export function svgOf({ nodes, edges }: LockGraph): string {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'TB', nodesep: 24, ranksep: 48, marginx: MARGIN, marginy: MARGIN });
  for (const node of nodes) {
    const lines = linesOf(node);
    const width = Math.max(...lines.map(({ length }) => length)) * CHARACTER_WIDTH + 24;
    graph.setNode(String(node.address), { width, height: lines.length * LINE_HEIGHT + 12 });
  }
  for (const [i, { from, to, weight, rules }] of edges.entries()) {
    const label = weight === 0 ? rules.join(', ') : String(weight);
    graph.setEdge(
      String(from),
      String(to),
      { width: label.length * 6.5 + 6, height: 12, labelpos: 'c' },
      String(i),
    );
  }
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const size = { width: Math.max(width, 2 * MARGIN), height: Math.max(height, 2 * MARGIN) };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${round(size.width)}" height="${round(size.height)}" viewBox="0 0 ${round(size.width)} ${round(size.height)}" font-family="sans-serif" font-size="12">`,
    '<title>Lock order</title>',
    '<defs>',
    ...[
      ['arrow', '#57606a'],
      ['cycle', '#d1242f'],
    ].map(
      ([id, color]) =>
        `<marker id="${id}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="${color}"/></marker>`,
    ),
    '</defs>',
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...edges.map((edge, i) =>
      edgeShape(edge, graph.edge(String(edge.from), String(edge.to), String(i)) as Bent),
    ),
    ...nodes.map((node) => nodeShape(node, graph.node(String(node.address)) as Box)),
    '</svg>',
    '',
  ].join('\n');
}

function linesOf({ name, class: ofClass }: LockNode): string[] {
  return ofClass === undefined ? [name] : [name, `(${ofClass})`];
}

function nodeShape(node: LockNode, { x, y, width, height }: Box): string {
  const lines = linesOf(node);
  const radius = node.kind === 'class' ? 2 : height / 2;
  const text = lines.map((line, i) => {
    const offset = y + (i - (lines.length - 1) / 2) * LINE_HEIGHT + 4;
    return `<text x="${round(x)}" y="${round(offset)}" text-anchor="middle">${escapeXml(line)}</text>`;
  });
  return `<g><rect x="${round(x - width / 2)}" y="${round(y - height / 2)}" width="${round(width)}" height="${round(height)}" rx="${round(radius)}" fill="#f6f8fa" stroke="#57606a"/>${text.join('')}</g>`;
}

interface Bent {
  readonly points: readonly { readonly x: number; readonly y: number }[];
  readonly x?: number;
  readonly y?: number;
}

function edgeShape({ weight, isCyclic, rules }: LockEdge, { points, x, y }: Bent): string {
  const color = isCyclic ? '#d1242f' : '#57606a';
  const path = points.map((point, i) => `${i === 0 ? 'M' : 'L'}${round(point.x)} ${round(point.y)}`).join('');
  const label = weight === 0 ? rules.join(', ') : String(weight);
  const text =
    x === undefined || y === undefined
      ? ''
      : `<text x="${round(x)}" y="${round(y + 4)}" text-anchor="middle" font-size="10" fill="${color}" stroke="#ffffff" stroke-width="3" paint-order="stroke">${escapeXml(label)}</text>`;
  const dash = weight === 0 ? ' stroke-dasharray="4 3"' : '';
  return `<g><path d="${path}" fill="none" stroke="${color}" stroke-width="1.3"${dash} marker-end="url(#${isCyclic ? 'cycle' : 'arrow'})"/>${text}</g>`;
}
