/**
 * Payload blocks (assembly/arena.ts) and the spans under them (assembly/spans.ts). A span of the model has four small blocks of 128 bytes, or two
 * of 256, so free lists run dry, spans fill up and the memory is full within a few calls.
 *
 *     owner                        reader A          reader B
 *     allocate ---- block ------->
 *     takeReturns <-- release ----
 *     takeReturns <-- release ----------------------
 *     tidy, trim --- span --> span table <--- claimSpans --- another agent
 *
 * Whoever gets a block writes its own mark into it, whoever gives it away looks whether the mark is still there; at the end every block that was
 * carved is in one hand, in one free list or on the stack of returns, and every span has the owner that its holder is.
 *
 * Why these programs suffice: what threads share of an arena is one word, the head of the returns. Its moves are push (two readers, or one
 * with two blocks) and take-all (the owner, any time); the programs have both pairs, and a push of a block that came back and was given out again, so
 * the head can have the same value twice. The free lists are the owner's alone. A reader that dies may lose the block in its hand; it has two, so that
 * there is another below. Spans move by CAS on one word each; a run of two against another
 * run that overlaps it, or against single spans, has all the ways in which two claims can meet.
 */
import {
  AGENT_ARENA,
  AGENT_ARENA_STRIDE,
  AGENT_PRESSURE,
  AGENT_RETURNS,
  BLOCK_CLASS,
  BLOCK_CLASSES,
  BLOCK_HEADER,
  BLOCK_LINK,
  BLOCK_MIN_LOG2,
  HEADER_FIRST_SPAN,
  HEADER_PRESSURE,
  HEADER_SPAN_COUNT,
  HEADER_SPAN_HINT,
  KIND_WORKER,
  MUTANT_CLAIM_FREED_WITHOUT_CAS,
  MUTANT_CLAIM_WITHOUT_CAS,
  MUTANT_LOSER_KEEPS,
  MUTANT_LOSER_RELEASES_ALL,
  MUTANT_RETURN_BY_EXCHANGE,
  MUTANT_RETURN_BY_STORE,
  MUTANT_RETURN_LINKS_LATE,
  MUTANT_SLOTS_BECOME_MEMORY,
  MUTANT_TAKE_BY_STORE,
  MUTANT_TRIM_IN_USE,
  MUTANT_TRIM_LEAVES_LINKS,
  OWNER_SLOTS,
  OWNER_SLOTS_FREE,
  SPAN_SIZE,
  SPAN_TABLE,
} from '../../../build/generated/layout.model.ts';
import {
  type KernelModel,
  type KernelThread,
  type KernelWorld,
  MEMORY_BYTES,
  type Steps,
} from '../kernel.ts';

interface Fixture {
  readonly agents: readonly number[];
  /** Payloads that were allocated before the threads start, all of agent 0. */
  readonly given: readonly number[];
  readonly firstSpan: number;
}

/** What each thread has at its end: payloads, or addresses of spans. */
interface State {
  readonly held: number[][];
  readonly wrong: string[];
  /** How many blocks a mortal reader has begun to give back. */
  begun: number;
}

type Worker = KernelThread<Fixture, State>;

const state = (): State => ({ held: [[], [], []], wrong: [], begun: 0 });

/** Agents 0 and up, `spans` spans in all, and `given` small blocks in the hands of readers. */
function setup(agents: number, spans: number, given: number): (world: KernelWorld) => Fixture {
  return ({ calls, u32 }) => {
    calls.initMemory(MEMORY_BYTES);
    const firstSpan = u32[HEADER_FIRST_SPAN >>> 2]!;
    u32[HEADER_SPAN_COUNT >>> 2] = firstSpan + spans;
    const ids = Array.from({ length: agents }, () => calls.claimAgent(KIND_WORKER, 0));
    const blocks = Array.from({ length: given }, (_, i) => {
      const payload = calls.allocate(ids[0]!, 100);
      u32[payload >>> 2] = mark(2, i);
      return payload;
    });
    return { agents: ids, given: blocks, firstSpan };
  };
}

const mark = (id: number, nth: number): number => 0xb0000000 + id * 256 + nth;

/** Gives back a block that was given before the start. */
function* giveBack({ call, fixture, state }: Worker, agent: number, nth: number): Steps {
  const payload = fixture.given[nth]!;
  const found: number = yield call.readPlain(payload);
  if (found >>> 0 !== mark(2, nth)) state.wrong.push(`block ${nth} was in another hand too`);
  yield call.release(fixture.agents[agent]!, payload);
}

/** Allocates a block and keeps it. */
function* keep({ call, fixture, state, id }: Worker, agent: number, bytes = 100): Steps {
  const payload: number = yield call.allocate(fixture.agents[agent]!, bytes);
  if (payload === 0) return;
  yield call.writePlain(payload, mark(id, state.held[id]!.length));
  state.held[id]!.push(payload);
}

/** Everything that the agent's spans hold is somewhere, once; `lost` may be nowhere. */
function check(
  world: KernelWorld,
  fixture: Fixture,
  state: State,
  kept: readonly number[],
  lost?: number,
): string | undefined {
  const { u32 } = world;
  if (state.wrong.length > 0) return state.wrong.join('; ');
  const places = new Map<number, string>();
  const put = (block: number, place: string): string | undefined => {
    const other = places.get(block);
    if (other !== undefined) return `block ${block} is in ${other} and in ${place}`;
    places.set(block, place);
    return undefined;
  };
  const walk = (head: number, place: string): string | undefined => {
    let count = 0;
    for (let block = u32[head >>> 2]!; block !== 0; block = u32[(block + BLOCK_LINK) >>> 2]!) {
      const wrong = put(block, place);
      if (wrong !== undefined) return wrong;
      if (++count > 100) return `${place} has no end`;
    }
    return undefined;
  };
  for (const [id, held] of state.held.entries()) {
    for (const [nth, payload] of held.entries()) {
      if (u32[payload >>> 2]! !== mark(id, nth)) return `what thread ${id} wrote into a block is gone`;
      const wrong = put(payload - BLOCK_HEADER, `the hands of thread ${id}`);
      if (wrong !== undefined) return wrong;
    }
  }
  for (const nth of kept) {
    const payload = fixture.given[nth]!;
    if (u32[payload >>> 2] !== mark(2, nth)) return `what a reader still reads in block ${nth} is gone`;
    const wrong = put(payload - BLOCK_HEADER, 'the hands of a reader');
    if (wrong !== undefined) return wrong;
  }
  for (const [i, agent] of fixture.agents.entries()) {
    const wrong = walk(agent + AGENT_RETURNS, `the returns of ${i}`);
    if (wrong !== undefined) return wrong;
    for (let c = 0; c < BLOCK_CLASSES; c++) {
      const list = agent + AGENT_ARENA + c * AGENT_ARENA_STRIDE;
      const wrongToo = walk(list, `list ${c} of ${i}`);
      if (wrongToo !== undefined) return wrongToo;
      // What is not carved yet counts as free.
      const size = 1 << (BLOCK_MIN_LOG2 + c);
      const from = u32[(list + 4) >>> 2]!;
      if (from === 0) continue;
      for (let block = from; block % SPAN_SIZE !== 0; block += size) {
        const wrongAgain = put(block, `what ${i} has not carved yet`);
        if (wrongAgain !== undefined) return wrongAgain;
      }
    }
  }
  if (lost !== undefined && !places.has(lost)) put(lost, 'no place');
  const end = u32[HEADER_SPAN_COUNT >>> 2]!;
  for (let span = fixture.firstSpan; span < end; span++) {
    const owner = u32[(SPAN_TABLE >>> 2) + span]!;
    const first = span * SPAN_SIZE;
    const inside = [...places.keys()].filter((block) => block >= first && block < first + SPAN_SIZE);
    if (owner === 0) {
      if (inside.length > 0)
        return `span ${span - fixture.firstSpan} is free, and block ${inside[0]} in ${places.get(inside[0]!)}`;
      continue;
    }
    const sizeClass = u32[(first + BLOCK_CLASS) >>> 2]!;
    if (sizeClass >= BLOCK_CLASSES) continue;
    const expected = SPAN_SIZE >>> (BLOCK_MIN_LOG2 + sizeClass);
    if (inside.length !== expected)
      return `span ${span - fixture.firstSpan} has ${expected} blocks, of which ${expected - inside.length} are lost`;
  }
  return undefined;
}

function describe(address: number, { agents, firstSpan }: Fixture): string | undefined {
  for (const [i, agent] of agents.entries()) {
    if (address === agent + AGENT_RETURNS) return `returns of ${i}`;
    if (address === agent + AGENT_PRESSURE) return `seen pressure ${i}`;
  }
  if (address === HEADER_PRESSURE) return 'pressure';
  if (address === HEADER_SPAN_HINT) return 'hint';
  if (address >= SPAN_TABLE && address < SPAN_TABLE + 1024) {
    const span = ((address - SPAN_TABLE) >>> 2) - firstSpan;
    if (span >= 0) return `owner of span ${span}`;
  }
  if (address < firstSpan * SPAN_SIZE) return undefined;
  const block = (address - firstSpan * SPAN_SIZE) >>> 7;
  const field = address & 127;
  const name = field === BLOCK_LINK ? 'link' : field === BLOCK_HEADER ? 'payload' : `+${field}`;
  return `block ${block} ${name}`;
}

const ALL = Number.POSITIVE_INFINITY;

export const arenaModels: readonly KernelModel<Fixture, State>[] = [
  {
    name: 'arena-returns',
    structure: 'payload arena',
    property:
      'a block is in one hand, and none is lost, while its owner takes returns and a reader pushes them',
    // One span: two blocks with the reader, two to be carved. The third and fourth need what came back.
    setup: setup(2, 1, 2),
    state,
    threads: [
      {
        name: 'owner',
        *run(thread) {
          yield* keep(thread, 0);
          yield* keep(thread, 0);
          yield* keep(thread, 0);
          yield* keep(thread, 0);
        },
      },
      {
        name: 'reader',
        *run(thread) {
          yield* giveBack(thread, 1, 0);
          yield* giveBack(thread, 1, 1);
        },
      },
    ],
    check: (world, fixture, state) => check(world, fixture, state, []),
    describe,
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'return by store',
        id: MUTANT_RETURN_BY_STORE,
        why: 'the owner has taken the old head meanwhile',
      },
      {
        name: 'return links late',
        id: MUTANT_RETURN_LINKS_LATE,
        why: 'the owner takes a block that leads to nothing, or to what it led to before',
      },
      {
        name: 'take by load and store',
        id: MUTANT_TAKE_BY_STORE,
        why: 'what came back between the two is lost',
      },
    ],
  },
  {
    name: 'arena-returns-death',
    structure: 'payload arena',
    property:
      'a reader may die anywhere in giving a block back: that one is lost at most, and comes back when its owner ends',
    setup: setup(2, 1, 2),
    state,
    threads: [
      {
        name: 'owner',
        *run(thread) {
          yield* keep(thread, 0);
          yield* keep(thread, 0);
          yield* keep(thread, 0);
        },
      },
      {
        name: 'reader',
        *run(thread) {
          for (const nth of [0, 1]) {
            thread.state.begun++;
            yield* giveBack(thread, 1, nth);
          }
        },
      },
    ],
    kill: { threads: [1] },
    check(world, fixture, state, { killed }) {
      const { calls, u32 } = world;
      const { begun } = state;
      // It still had those that it had not begun to give back.
      const kept = [0, 1].slice(begun);
      const last = killed.length > 0 && begun > 0 ? fixture.given[begun - 1]! - BLOCK_HEADER : undefined;
      const wrong = check(world, fixture, state, kept, last);
      if (wrong !== undefined) return wrong;
      for (const agent of fixture.agents) {
        calls.recover(agent, 0);
        calls.reap(agent);
      }
      return u32[(SPAN_TABLE >>> 2) + fixture.firstSpan] === 0 ? undefined : 'the span did not come back';
    },
    describe,
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'return by exchange',
        id: MUTANT_RETURN_BY_EXCHANGE,
        why: 'the others are in no place meanwhile',
      },
      { name: 'return links late', id: MUTANT_RETURN_LINKS_LATE, why: 'what is below it is lost too' },
    ],
  },
  {
    name: 'arena-two-readers',
    structure: 'payload arena',
    property:
      'a block is in one hand, and none is lost, with two readers; one gives a block back, gets it again, and gives it back',
    setup: setup(3, 1, 3),
    state,
    threads: [
      {
        name: 'owner',
        *run(thread) {
          const { call, fixture } = thread;
          yield* keep(thread, 0);
          const payload: number = yield call.allocate(fixture.agents[0]!, 100);
          // The head of the returns may now be what it was before.
          if (payload !== 0) yield call.release(fixture.agents[2]!, payload);
          yield* keep(thread, 0);
        },
      },
      {
        name: 'reader A',
        *run(thread) {
          yield* giveBack(thread, 1, 0);
          yield* giveBack(thread, 1, 1);
        },
      },
      {
        name: 'reader B',
        *run(thread) {
          yield* giveBack(thread, 2, 2);
        },
      },
    ],
    check: (world, fixture, state) => check(world, fixture, state, []),
    describe,
    bounds: [2, ALL],
    mutants: [
      { name: 'return by store', id: MUTANT_RETURN_BY_STORE, why: 'the other reader pushed meanwhile' },
      { name: 'return links late', id: MUTANT_RETURN_LINKS_LATE, why: 'the other block hangs on nothing' },
    ],
  },
  {
    name: 'arena-trim',
    structure: 'payload arena',
    property:
      'a span is given back when all its blocks are, and another agent that has run out of memory gets it',
    // One span, all four blocks with a reader who gives back three or four; another agent wants memory.
    setup: setup(3, 1, 4),
    state,
    threads: [
      {
        name: 'owner',
        *run(thread) {
          const { call, fixture } = thread;
          yield call.tidy(fixture.agents[0]!);
          yield* keep(thread, 0);
          yield call.tidy(fixture.agents[0]!);
        },
      },
      {
        name: 'another',
        *run(thread) {
          yield* keep(thread, 1);
          yield* keep(thread, 1);
        },
      },
      {
        name: 'reader',
        *run(thread) {
          for (const nth of [0, 1, 2, 3]) yield* giveBack(thread, 2, nth);
        },
      },
    ],
    check: (world, fixture, state) => check(world, fixture, state, []),
    describe,
    bounds: [2, ALL],
    mutants: [
      { name: 'trim in use', id: MUTANT_TRIM_IN_USE, why: 'the last block of the span is still in a hand' },
      {
        name: 'trim leaves links',
        id: MUTANT_TRIM_LEAVES_LINKS,
        why: 'the owner allocates from a span of another',
      },
    ],
  },
  {
    name: 'arena-trim-in-use',
    structure: 'payload arena',
    property: 'a span stays while a reader has one of its blocks, whatever came back',
    setup: setup(2, 2, 4),
    state,
    threads: [
      {
        name: 'owner',
        *run(thread) {
          const { call, fixture } = thread;
          yield* keep(thread, 0, 200);
          yield call.tidy(fixture.agents[0]!);
          yield* keep(thread, 0, 1000);
          yield* keep(thread, 0);
        },
      },
      {
        name: 'reader',
        *run(thread) {
          for (const nth of [0, 2, 3]) yield* giveBack(thread, 1, nth);
        },
      },
    ],
    check: (world, fixture, state) => check(world, fixture, state, [1]),
    describe,
    bounds: [3, ALL],
    quick: true,
    mutants: [{ name: 'trim in use', id: MUTANT_TRIM_IN_USE, why: 'a block of the span is still in a hand' }],
  },
];

// ---- spans -----------------------------------------------------------------------------------------------------------------------------

/** Claims `count` spans and keeps them; every span says in its first word who has it. */
function* claimRun({ call, state, id }: Worker, count: number): Steps {
  const address: number = yield call.claimSpans(count, id + 1);
  if (address === 0) return;
  for (let i = 0; i < count; i++) {
    yield call.writePlain(address + i * SPAN_SIZE, mark(id, 0));
    state.held[id]!.push(address + i * SPAN_SIZE);
  }
}

function* releaseRun({ call, state, id }: Worker, count: number): Steps {
  const spans = state.held[id]!.splice(-count, count);
  if (spans.length === 0) return;
  for (const span of spans) {
    const found: number = yield call.readPlain(span);
    if (found >>> 0 !== mark(id, 0)) state.wrong.push(`thread ${id} shared a span`);
  }
  yield call.releaseSpans(spans[0]!, spans.length);
}

function checkSpans(
  { u32 }: KernelWorld,
  { firstSpan }: Fixture,
  { held, wrong }: State,
): string | undefined {
  if (wrong.length > 0) return wrong.join('; ');
  const end = u32[HEADER_SPAN_COUNT >>> 2]!;
  for (let span = firstSpan; span < end; span++) {
    const owner = u32[(SPAN_TABLE >>> 2) + span]!;
    const holders = held.flatMap((list, id) => (list.includes(span * SPAN_SIZE) ? [id + 1] : []));
    if (holders.length > 1) return `span ${span - firstSpan} is with ${holders.join(' and ')}`;
    if ((holders[0] ?? 0) !== owner)
      return `span ${span - firstSpan} belongs to ${owner}, and is with ${holders[0] ?? 'nobody'}`;
    if (owner !== 0 && u32[(span * SPAN_SIZE) >>> 2] !== mark(owner - 1, 0))
      return `what ${owner} wrote is gone`;
  }
  return undefined;
}

const spanMutants = [
  { name: 'claim without CAS', id: MUTANT_CLAIM_WITHOUT_CAS, why: 'two claim the same span' },
  { name: 'loser keeps', id: MUTANT_LOSER_KEEPS, why: 'half a run stays with nobody' },
  { name: 'loser releases all', id: MUTANT_LOSER_RELEASES_ALL, why: "the winner's span is free" },
];

export const spanModels: readonly KernelModel<Fixture, State>[] = [
  {
    name: 'spans',
    structure: 'spans',
    property: 'a span has one owner and none is lost; two runs race for three spans',
    setup: setup(0, 3, 0),
    state,
    threads: [
      {
        name: 'A',
        *run(thread) {
          yield* claimRun(thread, 2);
          yield* releaseRun(thread, 2);
          yield* claimRun(thread, 1);
        },
      },
      {
        name: 'B',
        *run(thread) {
          yield* claimRun(thread, 1);
          yield* claimRun(thread, 2);
          yield* releaseRun(thread, 1);
        },
      },
    ],
    check: checkSpans,
    describe,
    bounds: [3, ALL],
    quick: true,
    mutants: spanMutants,
  },
  {
    name: 'spans-three',
    structure: 'spans',
    property: 'a span has one owner and none is lost; two runs and a single one race for four spans',
    setup: setup(0, 4, 0),
    state,
    threads: [
      {
        name: 'A',
        *run(thread) {
          yield* claimRun(thread, 2);
        },
      },
      {
        name: 'B',
        *run(thread) {
          yield* claimRun(thread, 2);
          yield* releaseRun(thread, 2);
        },
      },
      {
        name: 'C',
        *run(thread) {
          yield* claimRun(thread, 1);
        },
      },
    ],
    check: checkSpans,
    describe,
    bounds: [2, 3],
    mutants: spanMutants,
  },
  {
    name: 'slot-spans',
    structure: 'spans',
    property: 'a span of slots has one owner while two agents take the reaped ones and a third is reaped',
    setup(world) {
      const fixture = setup(3, 3, 0)(world);
      // Agent 2 is dead and has two spans.
      world.calls.addSlotSpan(fixture.agents[2]!);
      world.calls.addSlotSpan(fixture.agents[2]!);
      return fixture;
    },
    state,
    threads: [
      ...[0, 1].map((agent) => ({
        name: `agent ${agent}`,
        *run({ call, fixture, state, id }: Worker): Steps {
          for (let i = 0; i < 2; i++) {
            const span: number = yield call.addSlotSpan(fixture.agents[agent]!);
            if (span !== 0) state.held[id]!.push(span);
          }
        },
      })),
      {
        name: 'main',
        *run({ call, fixture }) {
          yield call.reap(fixture.agents[2]!);
        },
      },
    ],
    check({ u32 }, { firstSpan }, { held }) {
      const all = held.flat();
      if (new Set(all).size !== all.length)
        return `a span was given out twice: ${held.map((list) => list.join(' ')).join(' | ')}`;
      // What was slots stays slots: a late entry must meet a state word.
      for (const span of [firstSpan, firstSpan + 1]) {
        const owner = u32[(SPAN_TABLE >>> 2) + span];
        if (owner !== OWNER_SLOTS && owner !== OWNER_SLOTS_FREE) return `a span of slots belongs to ${owner}`;
      }
      for (const span of all) {
        const owner = u32[(SPAN_TABLE >>> 2) + span / SPAN_SIZE];
        if (owner !== OWNER_SLOTS) return `span ${span / SPAN_SIZE - firstSpan} belongs to ${owner}`;
      }
      return undefined;
    },
    describe,
    bounds: [2, 3],
    mutants: [
      {
        name: 'slots become memory',
        id: MUTANT_SLOTS_BECOME_MEMORY,
        why: 'a late entry leads to what is no state word any more',
      },
      {
        name: 'claim freed without CAS',
        id: MUTANT_CLAIM_FREED_WITHOUT_CAS,
        why: 'two agents take the same span',
      },
    ],
  },
];
