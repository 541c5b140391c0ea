import { Graph, layout } from '@dagrejs/dagre';
import type { RuleGraph } from '../policy/rule-graph.ts';
import { clean } from './format.ts';

const UP = 1;
const DOWN = 2;
const LEFT = 4;
const RIGHT = 8;
/** Box-drawing character by the directions in which a line leaves its cell. */
const LINES = ' ╵╷│╴┘┐┤╶└┌├─┴┬┼';
const BOX_HEIGHT = 3;
const GAP = 3;
/** Boxes and bends of a picture: more than anybody would look through, and laying them out takes seconds. */
const PLACES_MOST = 1000;

interface Place {
  /** Left edge and width, in columns. A bend of a long line is one column wide. */
  readonly x: number;
  readonly width: number;
  readonly row: number;
  readonly name: string | undefined;
}

/** A line from a box, or a bend, to the next row. */
interface Link {
  readonly from: string;
  readonly to: string;
}

/** From one name to another that is to be taken after it. */
type Step = readonly [from: string, to: string];

/** A line with the columns where it leaves and arrives. */
interface Wire extends Link {
  readonly fromX: number;
  readonly toX: number;
}

/**
 * Draws an order from top to bottom: whoever holds a lock may take those below that a line leads to. Steps that follow from others are left away. Undefined when
 * the picture is wider than `columns`, or too large altogether.
 */
export function drawOrder(order: RuleGraph, columns: number): string | undefined {
  const ranks = order.ranks();
  // Of names alone, before it is asked which steps they need.
  if (!mayFit(order, ranks, [], columns)) return undefined;
  const steps = directSteps(order, ranks);
  if (!mayFit(order, ranks, steps, columns)) return undefined;
  const { places, links } = placeAll(order, ranks, steps);
  const rows = 1 + Math.max(...[...places.values()].map(({ row }) => row));
  const width = Math.max(...[...places.values()].map(({ x, width: w }) => x + w));
  if (width > columns) return undefined;
  const wires = spread(links, places);
  const canvas = new Canvas(width);
  let y = 0;
  for (let row = 0; row < rows; row++) {
    for (const place of places.values()) if (place.row === row) drawPlace(canvas, place, y);
    y += BOX_HEIGHT;
    const between = wires.filter(({ from }) => places.get(from)!.row === row);
    if (between.length > 0) y += drawWires(canvas, between, places, y);
  }
  return canvas.toString();
}

/** False when one row is wider than that, whatever the layout, or there are too many places: told without a layout, which takes long for many. */
function mayFit(
  order: RuleGraph,
  ranks: ReadonlyMap<string, number>,
  steps: readonly Step[],
  columns: number,
): boolean {
  const rows = Math.max(0, ...ranks.values());
  const widths = new Array<number>(rows + 1).fill(-GAP);
  for (const name of order.names) widths[ranks.get(name)!]! += boxWidth(name) + GAP;
  /** How many more lines cross a row than the row before. */
  const crossing = new Array<number>(rows + 1).fill(0);
  for (const [from, to] of steps) {
    crossing[ranks.get(from)! + 1]! += 1;
    crossing[ranks.get(to)!]! -= 1;
  }
  let places = order.names.length;
  let bends = 0;
  for (let row = 1; row <= rows; row++) {
    bends += crossing[row]!;
    places += bends;
    if (widths[row]! + bends * (1 + GAP) > columns || places > PLACES_MOST) return false;
  }
  return true;
}

function boxWidth(name: string): number {
  return name.length + 4;
}

/** Layers and their order by dagre, with a bend in each row that a line crosses. */
function placeAll(
  order: RuleGraph,
  ranks: ReadonlyMap<string, number>,
  steps: readonly Step[],
): { places: Map<string, Place>; links: Link[] } {
  const graph = new Graph().setGraph({ rankdir: 'TB', nodesep: GAP, ranksep: 4, ranker: 'longest-path' });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const name of order.names) graph.setNode(`n${name}`, { width: boxWidth(name), height: 1 });
  const links: Link[] = [];
  const link = (from: string, to: string): void => {
    // Upside down: dagre lines up the ends of the ways, and ranks count from their beginnings.
    graph.setEdge(to, from);
    links.push({ from, to });
  };
  for (const [from, to] of steps) {
    let last = `n${from}`;
    for (let rank = ranks.get(from)! + 1; rank < ranks.get(to)!; rank++) {
      const bend = `b${rank} ${from} ${to}`;
      graph.setNode(bend, { width: 1, height: 1 });
      link(last, bend);
      last = bend;
    }
    link(last, `n${to}`);
  }
  layout(graph);
  const nodes = graph
    .nodes()
    .map((id) => ({ id, ...(graph.node(id) as { x: number; y: number; width: number }) }));
  const levels = [...new Set(nodes.map(({ y }) => y))].sort((a, b) => b - a);
  const left = Math.min(...nodes.map(({ x, width }) => x - width / 2));
  return {
    places: new Map(
      nodes.map(({ id, x, y, width }) => [
        id,
        {
          x: Math.round(x - width / 2 - left),
          width,
          row: levels.indexOf(y),
          name: id.startsWith('n') ? id.slice(1) : undefined,
        },
      ]),
    ),
    links,
  };
}

/** The steps that do not follow from others. */
function directSteps(order: RuleGraph, ranks: ReadonlyMap<string, number>): Step[] {
  const byRank = (a: string, b: string): number => ranks.get(a)! - ranks.get(b)!;
  const numbers = new Map(order.names.map((name, number) => [name, number]));
  /** All that comes after a name, by numbers: one bit each. */
  const after = new Map<string, Uint32Array>();
  const direct = new Map<string, Set<string>>();
  for (const name of order.names.toSorted(byRank).reverse()) {
    const reached = new Uint32Array(Math.ceil(order.names.length / 32));
    const next = new Set(order.from(name).map(({ to }) => to));
    after.set(name, reached);
    direct.set(name, next);
    // Whatever leads to a name has a lower rank, so it has been here before it.
    for (const to of [...next].sort(byRank)) {
      const number = numbers.get(to)!;
      if ((reached[number >>> 5]! >>> (number & 31)) & 1) {
        next.delete(to);
        continue;
      }
      reached[number >>> 5]! |= 1 << (number & 31);
      const further = after.get(to)!;
      for (let i = 0; i < reached.length; i++) reached[i]! |= further[i]!;
    }
  }
  return order.names.flatMap((name) => [...direct.get(name)!].map((to): Step => [name, to]));
}

/** Gives the lines of a box places of their own along its edge, from left to right by where they lead. */
function spread(links: readonly Link[], places: ReadonlyMap<string, Place>): Wire[] {
  const middle = (id: string): number => places.get(id)!.x + (places.get(id)!.width - 1) / 2;
  const port = (id: string, other: string, others: readonly string[]): number => {
    const sorted = [...others].sort((a, b) => middle(a) - middle(b));
    const { x, width } = places.get(id)!;
    if (width === 1) return x;
    const inner = width - 2;
    return x + 1 + Math.floor(((sorted.indexOf(other) + 0.5) * inner) / sorted.length);
  };
  return links.map((wire) => ({
    ...wire,
    fromX: port(
      wire.from,
      wire.to,
      [...links].filter(({ from }) => from === wire.from).map(({ to }) => to),
    ),
    toX: port(
      wire.to,
      wire.from,
      [...links].filter(({ to }) => to === wire.to).map(({ from }) => from),
    ),
  }));
}

function drawPlace(canvas: Canvas, { x, width, name }: Place, y: number): void {
  if (name === undefined) {
    for (let i = 0; i < BOX_HEIGHT; i++) canvas.line(x, y + i, UP | DOWN);
    return;
  }
  canvas.text(x, y, `┌${'─'.repeat(width - 2)}┐`);
  canvas.text(x, y + 1, `│ ${clean(name)} │`);
  canvas.text(x, y + 2, `└${'─'.repeat(width - 2)}┘`);
}

/** Draws the lines between two rows; lines that run side by side get tracks of their own. Returns the height. */
function drawWires(
  canvas: Canvas,
  wires: readonly Wire[],
  places: ReadonlyMap<string, Place>,
  y: number,
): number {
  const tracks: Wire[][] = [];
  const trackOf = new Map<Wire, number>();
  const span = ({ fromX, toX }: Wire): [number, number] => [Math.min(fromX, toX), Math.max(fromX, toX)];
  for (const wire of [...wires].sort((a, b) => span(a)[0] - span(b)[0])) {
    if (wire.fromX === wire.toX) continue;
    const [start, end] = span(wire);
    const isFree = (track: readonly Wire[]): boolean =>
      track.every((other) => span(other)[1] + 1 < start || end + 1 < span(other)[0]);
    let track = tracks.findIndex(isFree);
    if (track < 0) track = tracks.push([]) - 1;
    tracks[track]!.push(wire);
    trackOf.set(wire, track);
  }
  const height = tracks.length + 2;
  for (const wire of wires) {
    const { fromX, toX } = wire;
    const turn = y + (trackOf.get(wire) ?? 0) + (trackOf.has(wire) ? 1 : 0);
    if (places.get(wire.from)!.name !== undefined) canvas.text(fromX, y - 1, '┬');
    for (let row = y; row < turn; row++) canvas.line(fromX, row, UP | DOWN);
    if (fromX !== toX) {
      const right = toX > fromX;
      canvas.line(fromX, turn, UP | (right ? RIGHT : LEFT));
      for (let x = Math.min(fromX, toX) + 1; x < Math.max(fromX, toX); x++)
        canvas.line(x, turn, LEFT | RIGHT);
      canvas.line(toX, turn, DOWN | (right ? LEFT : RIGHT));
    } else canvas.line(fromX, turn, UP | DOWN);
    for (let row = turn + 1; row < y + height; row++) canvas.line(toX, row, UP | DOWN);
    if (places.get(wire.to)!.name !== undefined) canvas.text(toX, y + height - 1, '▼');
  }
  return height;
}

/** Cells of text. */
class Canvas {
  readonly #width: number;
  readonly #rows: string[][] = [];

  constructor(width: number) {
    this.#width = width;
  }

  #row(y: number): string[] {
    while (this.#rows.length <= y) this.#rows.push(Array.from({ length: this.#width }, () => ' '));
    return this.#rows[y]!;
  }

  text(x: number, y: number, text: string): void {
    for (const [i, char] of [...text].entries()) this.#row(y)[x + i] = char;
  }

  /** A piece of a line. Where two lines cross, the one that runs down stays whole. */
  line(x: number, y: number, directions: number): void {
    const row = this.#row(y);
    const known = LINES.indexOf(row[x]!);
    const isCrossing =
      (known === (UP | DOWN) && directions === (LEFT | RIGHT)) ||
      (known === (LEFT | RIGHT) && directions === (UP | DOWN));
    row[x] = isCrossing ? '│' : LINES[Math.max(0, known) | directions]!;
  }

  toString(): string {
    return this.#rows.map((row) => `${row.join('').trimEnd()}\n`).join('');
  }
}
