/**
 * Records of owners (assembly/owners.ts), which threads take and give back, a chunk of them at a time.
 *
 *   thread    claimOwner (a chunk is full) .. claimOwner .. freeOwner .. claimOwner
 *   rescuer   recoverLocks, once a thread has died, then claimOwner
 *
 * Why these programs suffice: within its chunk a thread is alone, so threads meet only where one takes a chunk or leaves it. Both have used up theirs, so that
 * they race for the next, which is to be made, and whoever loses for the one after; the rescuer takes one that was left.
 */
import {
  AGENT_ID,
  CHUNK_LOG2,
  CHUNK_RECORDS,
  KIND_ATTACHED,
  MAX_OWNER_CHUNKS,
  MUTANT_CHUNK_BY_STORE,
  MUTANT_CHUNK_MADE_TWICE,
  MUTANT_LEAVES_CHUNK_FIRST,
  OWNER_AGENT,
  OWNER_EPOCH,
  OWNER_KIND,
  OWNER_KIND_CONTEXT,
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
}

interface State {
  /** By thread: the owners that it has at the end, if it comes to that. */
  readonly owners: number[][];
  full: boolean;
}

type Thread = KernelThread<Fixture, State>;

function setup({ calls }: KernelWorld): Fixture {
  calls.initMemory(MEMORY_BYTES);
  calls.configureLocks(4, 0, 0);
  const agents = [0, 1, 2].map(() => calls.claimAgent(KIND_ATTACHED, 0));
  for (const agent of agents.slice(0, 2))
    for (let record = 1; record < CHUNK_RECORDS; record++)
      calls.claimOwner(agent, OWNER_KIND_CONTEXT, 0, 0, 0);
  return { agents };
}

const state = (): State => ({ owners: [[], [], []], full: false });

/** Uses up what its chunk has left, takes the next. */
function* taker({ call, fixture, state, id }: Thread): Steps {
  const agent = fixture.agents[id]!;
  const first: number = yield call.claimOwner(agent, OWNER_KIND_CONTEXT, 0, 0, 0);
  const second: number = yield call.claimOwner(agent, OWNER_KIND_CONTEXT, 0, 0, 0);
  yield call.freeOwner(agent, first);
  const third: number = yield call.claimOwner(agent, OWNER_KIND_CONTEXT, 0, 0, 0);
  if (first === 0 || second === 0 || third === 0) state.full = true;
  state.owners[id]!.push(second, third);
}

/** Takes the next chunk. */
function* takeOne({ call, fixture, state, id }: Thread): Steps {
  const owner: number = yield call.claimOwner(fixture.agents[id]!, OWNER_KIND_CONTEXT, 0, 0, 0);
  if (owner === 0) state.full = true;
  state.owners[id]!.push(owner);
}

/** Each owner is one thread's, and found by its number; nobody dead has a chunk. */
function sound(
  { calls, u32, u8 }: KernelWorld,
  { agents }: Fixture,
  { owners, full }: State,
  killed: readonly number[],
): string | undefined {
  if (full) return 'there was no room';
  const seen = new Set<number>();
  for (const [thread, list] of owners.entries()) {
    if (killed.includes(thread)) continue;
    for (const owner of list) {
      if (seen.has(owner)) return 'two have the same owner';
      seen.add(owner);
      if (u8[owner + OWNER_AGENT] !== u32[(agents[thread]! + AGENT_ID) >>> 2])
        return "an owner is another thread's";
      if (u32[(owner + OWNER_KIND) >>> 2] !== OWNER_KIND_CONTEXT) return 'an owner was taken from its thread';
      if (u32[(owner + OWNER_EPOCH) >>> 2] === 0) return 'an owner has no epoch';
      if (calls.ownerAt(calls.ownerId(owner)) !== owner) return 'an owner is not found by its number';
    }
  }
  for (let i = 0; i < MAX_OWNER_CHUNKS; i++) {
    const chunk = calls.ownerAt(i << CHUNK_LOG2);
    if (chunk !== 0 && killed.some((dead) => u32[chunk >>> 2] === u32[(agents[dead]! + AGENT_ID) >>> 2]))
      return "a chunk is a dead thread's";
  }
  return undefined;
}

const common = {
  structure: 'owners of locks',
  setup,
  state,
};

export const ownerModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    name: 'owners-claim',
    property: 'two that need a chunk at once have one each, and every owner is found by its number',
    threads: [
      { name: 'A', run: taker },
      { name: 'B', run: taker },
    ],
    check: (world, fixture, notes) => sound(world, fixture, notes, []),
    bounds: [3, Number.POSITIVE_INFINITY],
    mutants: [
      { name: 'chunk by store', id: MUTANT_CHUNK_BY_STORE, why: 'both take it' },
      { name: 'chunk made twice', id: MUTANT_CHUNK_MADE_TWICE, why: 'the first is in no table' },
    ],
  },
  {
    ...common,
    name: 'owners-claim-death',
    property: 'one may die anywhere in that: its chunks are left, and nobody loses an owner to that',
    threads: [
      { name: 'mortal', run: taker },
      { name: 'B', run: takeOne },
      {
        name: 'rescuer',
        onDeath: true,
        *run(thread) {
          yield thread.call.recoverLocks(thread.fixture.agents[thread.dead[0]!]!);
          yield* takeOne(thread);
        },
      },
    ],
    kill: { threads: [0] },
    check: (world, fixture, notes, { killed }) => sound(world, fixture, notes, killed),
    bounds: [1, 2],
    mutants: [
      {
        name: 'leaves the chunk first',
        id: MUTANT_LEAVES_CHUNK_FIRST,
        why: 'what another takes there goes with the dead',
      },
    ],
  },
];
