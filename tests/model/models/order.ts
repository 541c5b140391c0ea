/**
 * The learned order of locks (assembly/order-*.ts): threads that insert edges of one ring at once, as checkOrder() does.
 *
 *   inserter   checkOrder: slot of the set -> lists of both ends -> look at the places (a), or the order lock (b), or loose (c) -> search
 *
 * Why these programs suffice: an edge is settled by (a), (b) or (c), and which of them it is depends on the places and on who has the lock. Rings of two
 * and three edges over nodes whose places are made beforehand, in all orders that differ, make every combination: both upwards until the
 * other has moved, both downwards at once, one upwards while another moves the nodes. The patience of a thread at a held lock is one look
 * here, so (c) is as likely as the others. Deaths: of any inserter, at any access; the edge that it had begun is settled by its rescuer.
 */
import {
  CONTEXT_ANSWER,
  CONTEXT_ANSWERED,
  CONTEXT_MARKS,
  CONTEXT_SCRATCH,
  EDGE_DEAD_BIT,
  EDGE_FROM,
  EDGE_NEXT_OUT,
  EDGE_NOTES,
  EDGE_SIZE,
  EDGE_TO,
  EDGES_PER_PAGE_LOG2,
  GRAPH_EDGE_PAGES,
  GRAPH_LOCK,
  GRAPH_NODE_PAGES,
  HEADER_ORDER,
  MUTANT_ORDER_CYCLE_UNCLAIMED,
  MUTANT_ORDER_DOWNWARD_IS_RING,
  MUTANT_ORDER_EDGE_LEFT,
  MUTANT_ORDER_HALF_LINKED,
  MUTANT_ORDER_LOOSE_IGNORED,
  MUTANT_ORDER_LOOSE_UNMARKED,
  MUTANT_ORDER_LOOSE_UNSEARCHED,
  MUTANT_ORDER_ONE_LOOK,
  MUTANT_ORDER_PLAN_LEFT,
  MUTANT_ORDER_SETTLE_FIRST,
  MUTANT_ORDER_TABLE_UNSEALED,
  NODE_ID_MASK,
  NODE_OUT,
  NODE_SIZE,
  NOTE_SIGHT,
  NOTE_SIZE,
  ORDER_AGAINST_BIT,
  ORDER_CYCLE_BIT,
  ORDER_NEW_BIT,
  ORDER_OVERFLOW_BIT,
  OWNER_ORDER,
  OWNER_SHARED,
  ROOT_CYCLES,
  ROOT_INSTANCES,
} from '../../../build/generated/layout.model.ts';
import {
  type KernelModel,
  type KernelThread,
  type KernelWorld,
  MEMORY_BYTES,
  type Steps,
} from '../kernel.ts';

export interface Fixture {
  /** A context and a word for a held lock, for each thread and one more. */
  readonly contexts: readonly number[];
  readonly held: readonly number[];
}

export interface State {
  /** Answers of each thread. */
  readonly bits: number[][];
  /** A table was half moved when its mover had been recovered. */
  isHalfMoved: boolean;
}

export type Pair = readonly [held: number, taken: number];

export const state = (): State => ({ bits: [[], [], [], []], isHalfMoved: false });

/** `before`: what is learned before the threads begin, by nobody of them. Nodes have places in the order in which they appear there. */
export function setup(threads: number, before: readonly Pair[], owners = 5): (world: KernelWorld) => Fixture {
  return ({ calls, u32 }) => {
    calls.initMemory(MEMORY_BYTES);
    const span = calls.claimSpans(1, OWNER_SHARED) >>> 0;
    const contexts: number[] = [];
    const held: number[] = [];
    for (let i = 0; i <= threads; i++) {
      contexts.push(calls.openOrder(i + 1) >>> 0);
      held.push(span + 4 * i);
    }
    for (const [outer, inner] of before) {
      u32[held[threads]! >>> 2] = outer;
      calls.checkOrder(contexts[threads]!, held[threads]!, 1, inner, owners, 1);
    }
    return { contexts, held };
  };
}

/**
 * As setup(), but each thread has taken locks before: it has memory to search with, knows how its edges are seen, has taken numbers for
 * more of them, and there was a cycle. Claiming these is what most steps are about otherwise; the models without it, and those of spans, say that it may be raced for.
 */
function warm(threads: number, before: readonly Pair[]): (world: KernelWorld) => Fixture {
  return (world) => {
    const fixture = setup(threads, before)(world);
    const { calls, u32 } = world;
    u32[(u32[HEADER_ORDER >>> 2]! + ROOT_CYCLES) >>> 2] = calls.claimSpans(1, OWNER_ORDER) >>> 0;
    for (let i = 0; i < threads; i++) {
      const context = fixture.contexts[i]!;
      const [outer, inner] = WARM[i]!;
      u32[fixture.held[i]! >>> 2] = outer;
      calls.checkOrder(context, fixture.held[i]!, 1, inner, i + 1, 1);
      // As ensureRun() leaves them: the search itself would leave a cycle.
      for (const [place, spans] of [
        [CONTEXT_MARKS, 1],
        [CONTEXT_SCRATCH, SCRATCH_SPANS],
      ] as const) {
        u32[(context + place) >>> 2] = calls.claimSpans(spans, OWNER_ORDER) >>> 0;
        u32[(context + place + 4) >>> 2] = spans;
      }
    }
    return fixture;
  };
}

/** Enough for the few nodes there are. */
const SCRATCH_SPANS = 3;
/** Edges by which threads of models become warm: upwards, of nodes that no model asks about. */
const WARM: readonly Pair[] = [
  [10, 11],
  [10, 12],
  [10, 13],
];

/** Takes locks one under another, a pair each time. */
export function inserts(...pairs: readonly Pair[]): (thread: KernelThread<Fixture, State>) => Steps {
  return function* run({ call, fixture, state, id }) {
    for (const [outer, inner] of pairs) {
      yield call.writePlain(fixture.held[id]!, outer);
      state.bits[id]!.push(
        yield call.checkOrder(fixture.contexts[id]!, fixture.held[id]!, 1, inner, id + 1, 1),
      );
    }
  };
}

/** Every edge in the lists, as `from-to`. */
export function edgesOf({ u32 }: KernelWorld): string[] {
  const root = u32[HEADER_ORDER >>> 2]!;
  const graph = root + ROOT_INSTANCES;
  const nodes = u32[(graph + GRAPH_NODE_PAGES) >>> 2]!;
  const edges: string[] = [];
  for (let id = 1; id < 16; id++) {
    let edge = u32[(nodes + id * NODE_SIZE + NODE_OUT) >>> 2]!;
    while (edge !== 0) {
      const page = u32[(graph + GRAPH_EDGE_PAGES + (edge >>> EDGES_PER_PAGE_LOG2) * 4) >>> 2]!;
      const record = page + (edge & ((1 << EDGES_PER_PAGE_LOG2) - 1)) * EDGE_SIZE;
      const note = page + EDGE_NOTES + (edge & ((1 << EDGES_PER_PAGE_LOG2) - 1)) * NOTE_SIZE;
      const from = u32[(record + EDGE_FROM) >>> 2]! & NODE_ID_MASK;
      const to = u32[(record + EDGE_TO) >>> 2]! & NODE_ID_MASK;
      if ((u32[(note + NOTE_SIGHT) >>> 2]! & EDGE_DEAD_BIT) === 0) edges.push(`${from}-${to}`);
      edge = u32[(record + EDGE_NEXT_OUT) >>> 2]!;
    }
  }
  return edges;
}

export function isOrderLocked({ u32 }: KernelWorld): boolean {
  return (u32[(u32[HEADER_ORDER >>> 2]! + ROOT_INSTANCES + GRAPH_LOCK) >>> 2]! & 0xfff) !== 0;
}

/** Lengths of the cycles in the answer of a context's last call. */
function reportedBy({ u32 }: KernelWorld, context: number): number[] {
  const start = u32[(context + CONTEXT_ANSWER) >>> 2]! >>> 2;
  const words = u32[(context + CONTEXT_ANSWERED) >>> 2]!;
  const lengths: number[] = [];
  for (let i = 0; i < words; i += 3 + u32[start + i + 2]!) lengths.push(u32[start + i + 2]!);
  return lengths;
}

const RING2: readonly Pair[] = [
  [1, 2],
  [2, 1],
];
const RING3: readonly Pair[] = [
  [1, 2],
  [2, 3],
  [3, 1],
];

/** A ring, each edge by a thread of its own: reported once, by the time that all are done. */
const ring = (edges: readonly Pair[]): Pick<KernelModel<Fixture, State>, 'threads' | 'check'> => ({
  threads: edges.map((pair, i) => ({ name: `inserter ${'ABC'[i]}`, run: inserts(pair) })),
  check(world, { contexts }, { bits }) {
    const all = bits.flat();
    if (all.some((each) => (each & ORDER_OVERFLOW_BIT) !== 0)) return 'there was no room';
    if (all.some((each) => (each & ORDER_NEW_BIT) === 0)) return 'an edge was not new';
    const reports = contexts.slice(0, edges.length).flatMap((context) => reportedBy(world, context));
    if (reports.length !== 1) return `the ring was reported ${reports.length} times`;
    if (reports[0] !== edges.length) return `a ring of ${reports[0]} was reported`;
    if (!all.some((each) => (each & ORDER_AGAINST_BIT) !== 0)) return 'nobody was told that it is a fault';
    const linked = edgesOf(world);
    const missing = edges.filter(([from, to]) => !linked.includes(`${from}-${to}`));
    if (missing.length > 0) return `${missing.length} edges are not in the graph`;
    if (isOrderLocked(world)) return 'the order lock is held still';
    return undefined;
  },
});

/** Nothing to find, and nothing must be found. */
const acyclic = (
  threads: readonly (readonly Pair[])[],
): Pick<KernelModel<Fixture, State>, 'threads' | 'check'> => ({
  threads: threads.map((pairs, i) => ({ name: `inserter ${'ABC'[i]}`, run: inserts(...pairs) })),
  check(world, _fixture, { bits }) {
    if (bits.flat().some((each) => (each & (ORDER_CYCLE_BIT | ORDER_AGAINST_BIT)) !== 0))
      return 'a cycle was found where there is none';
    const linked = edgesOf(world);
    const twice = linked.find((edge, i) => linked.indexOf(edge) !== i);
    if (twice !== undefined) return `${twice} is there twice`;
    for (const [from, to] of threads.flat())
      if (!linked.includes(`${from}-${to}`)) return `${from}-${to} is not in the graph`;
    return undefined;
  },
});

export const common = { structure: 'order', state };

/** Nodes 1, 2, 3 have rising places, and 4 and 5 are something else. */
const RISING: readonly Pair[] = [
  [1, 4],
  [2, 4],
  [3, 5],
];
/** Falling: every edge of the ring 1 -> 2 -> 3 -> 1 but the last leads downwards. */
const FALLING: readonly Pair[] = [
  [3, 5],
  [2, 4],
  [1, 4],
];

const settledFirst = {
  name: 'search before insertion',
  id: MUTANT_ORDER_SETTLE_FIRST,
  why: 'each searches before the other has inserted',
};
const halfLinked = {
  name: 'search while half linked',
  id: MUTANT_ORDER_HALF_LINKED,
  why: 'a walk backwards does not see the edge',
};

/** Who died had inserted its edge, perhaps; both threads together, or who came after it, the ring. */
function checkAfterDeath(world: KernelWorld, { contexts }: Fixture, { bits }: State): string | undefined {
  const linked = edgesOf(world);
  const isWhole = linked.includes('1-2') && linked.includes('2-1');
  const reports = contexts.slice(0, 2).flatMap((context) => reportedBy(world, context));
  if (isWhole && reports.length === 0) return 'the ring is there, and nobody reported it';
  if (!isWhole && reports.length > 0) return 'a ring was reported that is not there';
  if (bits.flat().some((each) => (each & ORDER_OVERFLOW_BIT) !== 0)) return 'there was no room';
  if (isOrderLocked(world)) return 'the order lock is held still';
  return undefined;
}

/** The edge of the one leads downwards, that of the other upwards. */
const racersAndRescuer: KernelModel<Fixture, State>['threads'] = [
  { name: 'inserter A', run: inserts([1, 2]) },
  { name: 'inserter B', run: inserts([2, 1]) },
  {
    name: 'rescuer',
    onDeath: true,
    *run({ call, dead }) {
      yield call.recoverOrder(dead[0]! + 1);
    },
  },
];

const edgeLeft = {
  name: 'its edge left alone',
  id: MUTANT_ORDER_EDGE_LEFT,
  why: 'it is linked, in no order, and searched for by nobody',
};

export const orderModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    ...ring(RING2),
    name: 'order-ring-2',
    property: 'of two threads that insert a -> b and b -> a one reports the cycle, once',
    setup: setup(2, RISING),
    bounds: [2, 3],
    quick: 1,
    mutants: [
      settledFirst,
      halfLinked,
      {
        name: 'a cycle unclaimed',
        id: MUTANT_ORDER_CYCLE_UNCLAIMED,
        why: 'both find it new, and both report it',
      },
    ],
  },
  {
    ...common,
    ...ring(RING2),
    name: 'order-ring-2-unplaced',
    property: 'the same, when neither lock has a place yet',
    setup: setup(2, [[4, 5]]),
    bounds: [3],
    mutants: [settledFirst],
  },
  {
    ...common,
    ...ring(RING3),
    name: 'order-ring-3',
    property: 'of three threads that insert a ring of three one reports it, once',
    setup: setup(3, RISING),
    bounds: [1, 2],
    mutants: [settledFirst],
  },
  {
    ...common,
    ...ring(RING3),
    name: 'order-ring-3-falling',
    property: 'the same, when two of the edges lead downwards: one has the lock, the other finds it held',
    setup: setup(3, FALLING),
    bounds: [1, 2],
    mutants: [
      settledFirst,
      {
        name: 'loose and not searched for',
        id: MUTANT_ORDER_LOOSE_UNSEARCHED,
        why: 'it closed the ring, and nobody looks',
      },
      {
        name: 'loose and not marked',
        id: MUTANT_ORDER_LOOSE_UNMARKED,
        why: 'it leads downwards in an order that others believe',
      },
      {
        name: 'loose edges ignored',
        id: MUTANT_ORDER_LOOSE_IGNORED,
        why: 'the ring closes over an edge outside the order',
      },
    ],
  },
  {
    ...common,
    name: 'order-look',
    property: 'places that are being changed are not believed: an edge that is settled leads upwards',
    // 6 leads to 1 and 2; three others lead to 3. So 3 -> 6 moves 6, 1 and 2 above 3, the one after the other.
    setup: setup(2, [
      [6, 1],
      [6, 2],
      [9, 8],
      [8, 7],
      [7, 3],
    ]),
    threads: [
      { name: 'inserter A', run: inserts([2, 1]) },
      { name: 'inserter B', run: inserts([3, 6]) },
    ],
    check({ calls, u32 }, { contexts, held }, { bits }) {
      if (bits.flat().some((each) => (each & ORDER_AGAINST_BIT) !== 0)) return 'there is no cycle yet';
      u32[held[2]! >>> 2] = 1;
      const last = calls.checkOrder(contexts[2]!, held[2]!, 1, 2, 9, 1);
      return (last & ORDER_AGAINST_BIT) === 0 ? '1 -> 2 after 2 -> 1 was not found to be a cycle' : undefined;
    },
    bounds: [2, 3],
    quick: 1,
    mutants: [
      {
        name: 'one look at the places',
        id: MUTANT_ORDER_ONE_LOOK,
        why: 'one end is read before it is moved, the other after',
      },
    ],
  },
  {
    ...common,
    ...acyclic([[[1, 2]], [[2, 3]], [[1, 3]]]),
    name: 'order-acyclic',
    property: 'edges that close no cycle are not said to, whatever the order in which they come',
    setup: setup(3, FALLING),
    bounds: [1, 2],
    mutants: [
      {
        name: 'down is round',
        id: MUTANT_ORDER_DOWNWARD_IS_RING,
        why: 'places only say where a search begins: an edge against them closes a ring if a path leads back',
      },
    ],
  },
  {
    ...common,
    ...acyclic([
      [
        [1, 2],
        [1, 3],
      ],
      [
        [1, 3],
        [1, 2],
      ],
    ]),
    name: 'order-same-edges',
    isLong: true,
    property: 'an edge that two threads insert at once is in the graph once, also while the set grows',
    // The set has 112 slots and a successor from 100 on: the batch that the threads begin makes it grow.
    setup: setup(2, manyPairs(93)),
    bounds: [2, 3],
    mutants: [
      {
        name: 'an open slot in the old table',
        id: MUTANT_ORDER_TABLE_UNSEALED,
        why: 'one thread inserts there, the other in the successor',
      },
    ],
  },
  {
    ...common,
    name: 'order-death',
    property: 'a thread that dies with an edge begun leaves a ring that is found, and no lock held',
    setup: warm(2, FALLING),
    threads: racersAndRescuer,
    kill: { threads: [0] },
    check: checkAfterDeath,
    bounds: [1, 2],
    mutants: [edgeLeft],
  },
  {
    ...common,
    name: 'order-death-upward',
    isLong: true,
    property: 'the same, when it is the one whose edge leads upwards, and the other gives out places',
    setup: warm(2, FALLING),
    threads: racersAndRescuer,
    kill: { threads: [1] },
    check: checkAfterDeath,
    bounds: [1, 2],
    mutants: [edgeLeft],
  },
  {
    ...common,
    name: 'order-death-cold',
    property:
      'the same when it was its first edge, and nobody inserts meanwhile: nothing that it was making stands in the way',
    setup: setup(2, FALLING),
    threads: [
      { name: 'inserter', run: inserts([1, 2], [2, 1]) },
      {
        name: 'rescuer',
        onDeath: true,
        *run(thread) {
          yield thread.call.recoverOrder(thread.dead[0]! + 1);
          yield* inserts([1, 2], [2, 1])(thread);
        },
      },
    ],
    kill: { threads: [0], most: 1 },
    check: checkAfterDeath,
    bounds: [3],
    mutants: [edgeLeft],
  },
  {
    ...common,
    name: 'order-death-places',
    property:
      'after the death of a thread that gives out places, no edge that leads back is taken for one of the order',
    // 2 < 3 < 4 < 1: the edge 1 -> 2 moves two nodes, whichever side it moves.
    setup: setup(2, [
      [2, 3],
      [4, 1],
    ]),
    threads: [
      { name: 'inserter', run: inserts([1, 2]) },
      {
        name: 'rescuer',
        onDeath: true,
        *run(thread) {
          yield thread.call.recoverOrder(thread.dead[0]! + 1);
          yield* inserts([3, 2], [1, 4])(thread);
        },
      },
    ],
    kill: { threads: [0], most: 1 },
    check(_world, _fixture, { bits }) {
      return bits[1]!.every((each) => (each & ORDER_CYCLE_BIT) !== 0)
        ? undefined
        : 'an edge that closes a ring with one that was there before was believed';
    },
    bounds: [3],
    mutants: [
      {
        name: 'places left half given out',
        id: MUTANT_ORDER_PLAN_LEFT,
        why: 'one of two nodes has moved past the other, and the edge between them leads downwards unsaid',
      },
    ],
  },
];

/** Pairs of 4 to 15 along their numbers, so that they close no cycle. */
export function manyPairs(count: number): Pair[] {
  const pairs: Pair[] = [
    [1, 14],
    [2, 14],
    [3, 15],
  ];
  for (let from = 1; from <= 12; from++)
    for (let to = Math.max(from + 1, 4); to <= 15 && pairs.length < count; to++)
      if (!pairs.some(([a, b]) => a === from && b === to)) pairs.push([from, to]);
  return pairs;
}
