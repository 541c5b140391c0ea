/**
 * The lock order, where something goes: locks that are no more, all edges at once (assembly/order-removal.ts), and a table of edges that grows while its mover
 * dies (assembly/order-table.ts).
 *
 *   forgetter   forgetLock or resetOrder .. checkOrder
 *   inserter    checkOrder
 *
 * Why these programs suffice: an edge that goes is linked, half linked, or of a node that is taken again at once; one that inserts next to it and one that
 * removes it make every pair of steps of the two meet. What is freed is used again by who comes last.
 */
import {
  EDGE_FROM,
  EDGE_NEXT_IN,
  EDGE_NEXT_OUT,
  EDGE_SIZE,
  EDGE_TO,
  EDGES_PER_PAGE_LOG2,
  GRAPH_EDGE_PAGES,
  GRAPH_NODE_PAGES,
  GRAPH_TABLE,
  HEADER_ORDER,
  MUTANT_ORDER_ALWAYS_QUIET,
  MUTANT_ORDER_MOVE_LEFT,
  MUTANT_ORDER_NODE_STAYS,
  NODE_ID_MASK,
  NODE_IN,
  NODE_OUT,
  NODE_SIZE,
  ORDER_AGAINST_BIT,
  ORDER_CYCLE_BIT,
  ORDER_NEW_BIT,
  ORDER_OVERFLOW_BIT,
  ROOT_INSTANCES,
  TABLE_NEXT,
} from '../../../build/generated/layout.model.ts';
import type { KernelModel, KernelWorld } from '../kernel.ts';
import {
  common,
  edgesOf,
  type Fixture,
  inserts,
  isOrderLocked,
  manyPairs,
  type Pair,
  type State,
  setup,
} from './order.ts';

/** The last context takes locks when all is done. */
function insertLast({ calls, u32 }: KernelWorld, { contexts, held }: Fixture, [outer, inner]: Pair): number {
  u32[held.at(-1)! >>> 2] = outer;
  return calls.checkOrder(contexts.at(-1)!, held.at(-1)!, 1, inner, 9, 1);
}

/** Inserts an edge: does it close a ring? */
function isRing(world: KernelWorld, fixture: Fixture, pair: Pair): boolean {
  return (insertLast(world, fixture, pair) & ORDER_AGAINST_BIT) !== 0;
}

/** More than the last context has records for. */
const MORE: readonly Pair[] = [
  [5, 6],
  [5, 7],
  [5, 8],
  [6, 7],
  [6, 8],
  [7, 8],
  [5, 9],
  [6, 9],
];

/** The header is not written after set-up. */
const graphOf = ({ u32 }: KernelWorld): number => u32[HEADER_ORDER >>> 2]! + ROOT_INSTANCES;

/** Does an edge stand in a list that is not that of its end? */
function hasStrays(world: KernelWorld): boolean {
  const { u32 } = world;
  const graph = graphOf(world);
  const nodes = u32[(graph + GRAPH_NODE_PAGES) >>> 2]!;
  for (let id = 1; id < 16; id++) {
    for (const [head, end, next] of [
      [NODE_OUT, EDGE_FROM, EDGE_NEXT_OUT],
      [NODE_IN, EDGE_TO, EDGE_NEXT_IN],
    ] as const) {
      let edge = u32[(nodes + id * NODE_SIZE + head) >>> 2]!;
      for (let hops = 0; edge !== 0; hops++) {
        const page = u32[(graph + GRAPH_EDGE_PAGES + (edge >>> EDGES_PER_PAGE_LOG2) * 4) >>> 2]!;
        const record = page + (edge & ((1 << EDGES_PER_PAGE_LOG2) - 1)) * EDGE_SIZE;
        if (hops > 100 || (u32[(record + end) >>> 2]! & NODE_ID_MASK) !== id) return true;
        edge = u32[(record + next) >>> 2]!;
      }
    }
  }
  return false;
}

export const orderRemovalModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    name: 'order-forget',
    property:
      'a lock that goes takes its edges along while others insert: the next with its number is in no ring with them',
    // 1 -> 2 -> 3, and 2 goes.
    setup: setup(2, [
      [1, 2],
      [2, 3],
    ]),
    threads: [
      { name: 'inserter', run: inserts([3, 1]) },
      {
        name: 'forgetter',
        *run(thread) {
          const { call, fixture } = thread;
          yield call.forgetLock(fixture.contexts[1]!, 2);
          yield* inserts([2, 1])(thread);
        },
      },
    ],
    check(world, fixture, { bits }) {
      if (bits.flat().some((each) => (each & ORDER_OVERFLOW_BIT) !== 0)) return 'there was no room';
      if ((bits[1]![0]! & ORDER_CYCLE_BIT) !== 0) return 'a ring was found with a lock that is gone';
      if ((bits[1]![0]! & ORDER_NEW_BIT) === 0) return 'an edge of a lock that is gone counts as known';
      if (isOrderLocked(world)) return 'the order lock is held still';
      // Now 3 -> 1 and 2 -> 1.
      if (isRing(world, fixture, [2, 3])) return '2 -> 3 closes no ring';
      if (!isRing(world, fixture, [1, 2])) return '1 -> 2 closes a ring with 2 -> 1';
      if (!isRing(world, fixture, [1, 3])) return '1 -> 3 closes a ring with 3 -> 1';
      return undefined;
    },
    bounds: [2, 3],
    mutants: [
      {
        name: 'node stays',
        id: MUTANT_ORDER_NODE_STAYS,
        why: 'the next with the number has the edges of the last',
      },
    ],
  },
  {
    ...common,
    name: 'order-reset',
    property: 'whoever inserts while all is forgotten is heard or not: what is in the graph then is whole',
    setup: setup(2, [[2, 3]]),
    threads: [
      { name: 'inserter', run: inserts([1, 2], [3, 4]) },
      {
        name: 'forgetter',
        *run({ call, fixture }) {
          yield call.resetOrder(fixture.contexts[1]!);
          yield call.resetOrder(fixture.contexts[1]!);
        },
      },
    ],
    check(world, fixture, { bits }) {
      if (bits.flat().some((each) => (each & (ORDER_OVERFLOW_BIT | ORDER_CYCLE_BIT)) !== 0))
        return 'there was no room, or a ring was found';
      if (isOrderLocked(world)) return 'the order lock is held still';
      // Freed records are used again.
      for (const pair of MORE) insertLast(world, fixture, pair);
      if (hasStrays(world)) return 'an edge stands in a list of another';
      for (const [from, to] of [
        [1, 2],
        [2, 3],
        [3, 4],
      ] as const) {
        insertLast(world, fixture, [from, to]);
        if (!isRing(world, fixture, [to, from]))
          return `${to} -> ${from} closes a ring with ${from} -> ${to}`;
      }
      return undefined;
    },
    bounds: [2, 3],
    mutants: [
      {
        name: 'always quiet',
        id: MUTANT_ORDER_ALWAYS_QUIET,
        why: 'an edge goes while somebody links it',
      },
    ],
  },
  {
    ...common,
    name: 'order-death-grows',
    property:
      'a thread may die anywhere while the set of edges grows: each edge is there once, whoever asks next',
    // One more batch makes the set grow; the next two edges move it.
    setup: setup(2, manyPairs(97)),
    threads: [
      { name: 'inserter', run: inserts([1, 2], [1, 3], [2, 3]) },
      {
        name: 'rescuer',
        onDeath: true,
        *run(thread) {
          const { call, world, state, dead } = thread;
          yield call.recoverOrder(dead[0]! + 1);
          // Nobody else inserts, so a move that is not at its end now never will be.
          const table: number = yield call.readPlain(graphOf(world) + GRAPH_TABLE);
          if (((yield call.readPlain(table + TABLE_NEXT)) as number) !== 0) state.isHalfMoved = true;
          yield* inserts([1, 2], [1, 3], [2, 3])(thread);
        },
      },
    ],
    kill: { threads: [0] },
    check(world, fixture, { bits, isHalfMoved }) {
      if (isHalfMoved) return 'the table is half moved';
      const linked = edgesOf(world);
      const twice = linked.find((edge, i) => linked.indexOf(edge) !== i);
      if (twice !== undefined) return `${twice} is there twice`;
      if (bits.flat().some((each) => (each & (ORDER_OVERFLOW_BIT | ORDER_CYCLE_BIT)) !== 0))
        return 'there was no room, or a ring was found';
      const pairs: Pair[] = [...manyPairs(97), [1, 2], [1, 3], [2, 3]];
      for (const pair of pairs) {
        if (!linked.includes(pair.join('-'))) return `${pair.join(' -> ')} is not in the graph`;
        if ((insertLast(world, fixture, pair) & ORDER_NEW_BIT) !== 0)
          return `${pair.join(' -> ')} is not in the set`;
      }
      return undefined;
    },
    bounds: [3],
    mutants: [
      { name: 'move left', id: MUTANT_ORDER_MOVE_LEFT, why: 'nobody moves what the dead had claimed' },
    ],
  },
];
