// One thread of tests/locks/order-races.test.ts: the raw kernel over the shared memory.
import { parentPort, workerData } from 'node:worker_threads';

const { module, memory, layout, part, options } = workerData;
const { exports: kernel } = new WebAssembly.Instance(module, { env: { memory } });
const i32 = new Int32Array(memory.buffer);
const u32 = new Uint32Array(memory.buffer);

const context = kernel.openOrder(options.agent) >>> 0;
const held = options.held >>> 2;
const check = (outer, lock) => {
  u32[held] = outer;
  return kernel.checkOrder(context, options.held, 1, lock, options.agent, 1);
};

/** All threads go on together: a barrier that spins, so that they leave it at the same moment. */
const barrier = (round) => {
  const place = options.barrier >>> 2;
  Atomics.add(i32, place, 1);
  const target = round * options.threads;
  let spins = 0;
  // Another thread may have no core: then this one gives its own away.
  while (Atomics.load(i32, place) < target)
    if (++spins % 500 === 0) Atomics.wait(i32, options.sleep >>> 2, 0, 0.01);
};

/** The cycles of the last answer, each as its ids from the least. */
function readCycles() {
  const start = u32[(context + layout.CONTEXT_ANSWER) >>> 2] >>> 2;
  const count = u32[(context + layout.CONTEXT_ANSWERED) >>> 2];
  const root = u32[layout.HEADER_ORDER >>> 2];
  const cycles = [];
  for (let i = start; i < start + count; i += 3 + u32[i + 2]) {
    const ids = [];
    for (let k = 0; k < u32[i + 2]; k++) {
      const edge = u32[i + 3 + k];
      const page =
        u32[
          (root +
            layout.ROOT_INSTANCES +
            layout.GRAPH_EDGE_PAGES +
            (edge >>> layout.EDGES_PER_PAGE_LOG2) * 4) >>>
            2
        ];
      const record = page + (edge & ((1 << layout.EDGES_PER_PAGE_LOG2) - 1)) * layout.EDGE_SIZE;
      ids.push(u32[(record + layout.EDGE_FROM) >>> 2] & layout.NODE_ID_MASK);
    }
    const least = ids.indexOf(Math.min(...ids));
    cycles.push([...ids.slice(least), ...ids.slice(0, least)].join('-'));
  }
  return cycles;
}

/** Who saw an edge of the graph of locks, and the locks that were held besides. */
function sightOf(edge) {
  const root = u32[layout.HEADER_ORDER >>> 2];
  const pages = (root + layout.ROOT_INSTANCES + layout.GRAPH_EDGE_PAGES) >>> 2;
  const page = u32[pages + (edge >>> layout.EDGES_PER_PAGE_LOG2)];
  const note = page + layout.EDGE_NOTES + (edge & ((1 << layout.EDGES_PER_PAGE_LOG2) - 1)) * layout.NOTE_SIZE;
  const sight = Atomics.load(u32, (note + layout.NOTE_SIGHT) >>> 2) & layout.EDGE_SIGHT_MASK;
  const sights = u32[((root + layout.ROOT_SIGHT_PAGES) >>> 2) + (sight >>> layout.SIGHTS_PER_PAGE_LOG2)];
  const at = (sights + (sight & ((1 << layout.SIGHTS_PER_PAGE_LOG2) - 1)) * layout.SIGHT_SIZE) >>> 2;
  const gates = u32.slice(at + layout.SIGHT_GATES / 4, at + layout.SIGHT_GATES / 4 + layout.SIGHT_GATE_COUNT);
  return [
    u32[at + layout.SIGHT_OWNER / 4],
    ...[...gates].filter((gate) => gate !== 0).map((gate) => gate & layout.NODE_ID_MASK),
  ];
}

const parts = {
  /** In each round every thread inserts one edge of a ring, all at once. */
  ring() {
    const found = [];
    for (let round = 1; round <= options.rounds; round++) {
      const base = round * options.threads;
      const from = base + options.index;
      const to = base + ((options.index + 1) % options.threads);
      barrier(round);
      const bits = check(from, to);
      if ((bits & layout.ORDER_CYCLE_BIT) !== 0) found.push(...readCycles());
    }
    return { found };
  },

  /** Edges along one order from every thread: none may be lost, and none may be found against it. */
  grow() {
    let against = 0;
    let state = options.seed | 1;
    const random = (below) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    barrier(1);
    const made = [];
    for (let i = 0; i < options.edges; i++) {
      const a = 1 + random(options.locks);
      const b = 1 + random(options.locks);
      if (a === b) continue;
      // A fixed order of the ids that is not their own: by a multiplication that permutes them.
      const rank = (id) => Math.imul(id, 0x9e3779b1) >>> 0;
      const [outer, inner] = rank(a) < rank(b) ? [a, b] : [b, a];
      if ((check(outer, inner) & layout.ORDER_AGAINST_BIT) !== 0) against++;
      made.push(outer * 65_536 + inner);
    }
    return { against, made };
  },

  /** Random edges over few locks, cycles everywhere, and locks that go. */
  churn() {
    let state = options.seed | 1;
    const random = (below) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    barrier(1);
    for (let i = 0; i < options.steps; i++) {
      const a = 1 + random(options.locks);
      const b = 1 + random(options.locks);
      // Each thread removes only locks of its own, which nobody takes meanwhile: as a mutex would.
      const own = options.locks + 1 + options.index;
      const what = random(20);
      if (what === 0) kernel.forgetLock(context, own);
      else if (what < 8) check(own, a);
      else if (what < 12) check(a, own);
      else if (a !== b) check(a, b);
    }
    return {};
  },

  /**
   * Edges that come and go, each seen by an owner of its own, so that what was written down of them is collected all the time; and beside them one that
   * is always seen alike, and must be known as that.
   */
  sights() {
    const base = 100 + options.index * 10;
    const [gate, outer, inner, shortly] = [base, base + 1, base + 2, base + 3];
    let wrong = 0;
    barrier(1);
    for (let i = 0; i < options.steps; i++) {
      u32[held] = shortly;
      kernel.checkOrder(context, options.held, 1, 1 + (i % 5), 1000 + i * options.threads + options.index, 1);
      kernel.forgetLock(context, shortly);
      if (i % 3 !== 0) continue;
      u32[held] = gate;
      u32[held + 1] = outer;
      kernel.checkOrder(context, options.held, 2, inner, 1 + options.index, 1);
      const edge = kernel.edgeBetween(context, layout.GRAPH_OF_LOCKS, outer, inner);
      const [owner, ...gates] = sightOf(edge);
      if (edge === 0 || owner !== 1 + options.index || gates.join() !== `${gate}`) wrong++;
      kernel.forgetLock(context, i % 2 === 0 ? outer : inner);
    }
    return { wrong };
  },
};

parentPort.postMessage('ready');
parentPort.once('message', () => parentPort.postMessage(parts[part]()));
