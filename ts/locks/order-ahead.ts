// What taking a lock would close, before it is taken: the rings that the check would find, and how grave they are.
import { SIGHT_GATE_COUNT } from '../../build/generated/layout.ts';
import type { OrderEdge, OrderGranularity, OrderSeverity } from './order-view.ts';

/** As many as the check finds of one edge, and as many steps along edges as it makes for them. */
const RINGS_MOST = 16;
const STEPS_MOST = 1 << 16;

/** An edge "held -> taken" that an acquisition would make, or see again. */
export interface EdgeAhead {
  readonly granularity: OrderGranularity;
  readonly from: number;
  readonly to: number;
  /** Who would take the lock, as edges know owners. */
  readonly owner: number;
  /** Ids of the locks that would be held besides. */
  readonly gates: readonly number[];
}

/** A ring that it would close: the edge, then those on the way back from the lock to the held one. */
export interface RingAhead {
  readonly granularity: OrderGranularity;
  readonly severity: OrderSeverity;
  readonly edges: readonly [EdgeAhead, ...OrderEdge[]];
}

/** The rings that one edge would close, the shortest first. `edges`: all that there are. */
export function ringsAhead(edge: EdgeAhead, edges: readonly OrderEdge[]): RingAhead[] {
  const sight = sightAhead(
    edge,
    edges.find(({ from, to }) => from === edge.from && to === edge.to),
  );
  const { granularity } = edge;
  return waysBack(edge, edges).map((back) => ({
    granularity,
    severity: severityOf(sight, back),
    edges: [edge, ...back],
  }));
}

type Sight = Pick<EdgeAhead, 'granularity' | 'owner' | 'gates'>;

/** What would be known of the edge: of one that there is, what this look bears out. */
function sightAhead({ granularity, owner, gates }: EdgeAhead, known: OrderEdge | undefined): Sight {
  if (known === undefined) return { granularity, owner, gates: gates.slice(0, SIGHT_GATE_COUNT) };
  return {
    granularity,
    owner: known.owner === owner ? owner : 0,
    gates: known.gates.filter((gate) => gates.includes(gate)),
  };
}

/** As severityOf() in assembly/order-search.ts. */
function severityOf({ granularity, owner, gates }: Sight, back: readonly OrderEdge[]): OrderSeverity {
  if (gates.some((gate) => back.every((edge) => edge.gates.includes(gate)))) return 'gated';
  if (owner !== 0 && back.every((edge) => edge.owner === owner)) return 'same-owner';
  return granularity === 'lock' ? 'certain' : 'possible';
}

/** A way that was begun, from its last node back to its first. */
interface Way {
  readonly node: number;
  /** Led there from the node before. */
  readonly edge?: OrderEdge;
  readonly before?: Way;
  readonly length: number;
}

/**
 * All ways from `to` to `from` that meet no node twice, the shortest first, as far as the check looks for them. Of those that were begun the one goes on that can be
 * shortest in the end (P. Hart, N. Nilsson, B. Raphael, A*, 1968); the first one only ever comes nearer, whatever else there is.
 */
function waysBack({ from, to }: EdgeAhead, edges: readonly OrderEdge[]): OrderEdge[][] {
  const taken = edges.filter(({ isRefused }) => !isRefused);
  const distances = distancesTo(from, taken);
  const shortest = distances.get(to);
  if (shortest === undefined) return [];
  const out = grouped(taken, 'from');
  const found: OrderEdge[][] = [];
  /** By the least length that they can have in the end. */
  const begun: Way[][] = [];
  begun[shortest] = [{ node: to, length: 0 }];
  let steps = 0;
  for (let least = shortest; least < begun.length; ) {
    const way = begun[least]?.pop();
    if (way === undefined) {
      least++;
      continue;
    }
    if (way.node === from) {
      if (found.push(edgesOf(way)) === RINGS_MOST) break;
      continue;
    }
    if (found.length > 0 && steps > STEPS_MOST) break;
    for (const edge of out.get(way.node) ?? []) {
      steps++;
      const distance = distances.get(edge.to);
      if (distance === undefined) continue;
      const length = way.length + 1;
      // One that comes nearer with every step meets no node twice.
      if (length + distance > shortest && isOnWay(way, edge.to)) continue;
      (begun[length + distance] ??= []).push({ node: edge.to, edge, before: way, length });
    }
  }
  return found;
}

/** How many edges each node is away from `target`, of those that lead there. */
function distancesTo(target: number, edges: readonly OrderEdge[]): Map<number, number> {
  const into = grouped(edges, 'to');
  const distances = new Map([[target, 0]]);
  for (const [node, distance] of distances)
    for (const { from } of into.get(node) ?? []) if (!distances.has(from)) distances.set(from, distance + 1);
  return distances;
}

function grouped(edges: readonly OrderEdge[], end: 'from' | 'to'): Map<number, OrderEdge[]> {
  const groups = new Map<number, OrderEdge[]>();
  for (const edge of edges) {
    const group = groups.get(edge[end]);
    if (group === undefined) groups.set(edge[end], [edge]);
    else group.push(edge);
  }
  return groups;
}

function isOnWay(last: Way, node: number): boolean {
  for (let way: Way | undefined = last; way !== undefined; way = way.before)
    if (way.node === node) return true;
  return false;
}

function edgesOf(last: Way): OrderEdge[] {
  const edges: OrderEdge[] = [];
  for (let way = last; way.edge !== undefined; way = way.before!) edges.push(way.edge);
  return edges.reverse();
}
