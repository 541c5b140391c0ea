// Looks into the shared memory of a runtime with a kernel of its own: what is left when everything has ended, and what there is when
// something does not end. The names of words are those of assembly/layout.ts.
import { readFileSync } from 'node:fs';

/** The generated constants; Node 20 cannot import TypeScript. */
const L = Object.fromEntries(
  [
    ...readFileSync(new URL('../../build/generated/layout.ts', import.meta.url), 'utf8').matchAll(
      /^export const (\w+) = (-?\d+);$/gm,
    ),
  ].map(([, name, value]) => [name, Number(value)]),
);

const SLOT_STATES = ['free', 'queued', 'running', 'cancelled', 'done', 'failed', 'dropped', 'exited', 'lost'];
const ACTIVITIES = ['booting', 'running', 'searching', 'parked', 'idle', 'awaiting'];

const CELLS_DONE = new Set([L.SLOT_FREE, L.SLOT_DONE, L.SLOT_FAILED, L.SLOT_DROPPED, L.SLOT_EXITED]);

function open(handle) {
  const { exports: calls } = new WebAssembly.Instance(handle.module, { env: { memory: handle.memory } });
  const i32 = new Int32Array(handle.memory.buffer);
  const word = (address) => i32[address >>> 2] >>> 0;
  return { calls, word };
}

function* agentsOf({ word }) {
  for (let id = 1; id < L.MAX_AGENTS; id++) {
    const agent = L.AGENTS + id * L.AGENT_SIZE;
    const state = word(agent + L.AGENT_STATE);
    if (state !== L.AGENT_FREE) yield { id, agent, state };
  }
}

function* slotsOf({ word }, agent) {
  for (let span = word(agent + L.AGENT_SLOT_SPANS); span !== 0; span = word(span + L.SPAN_SLOTS_NEXT)) {
    for (let i = 1; i < L.SLOTS_PER_SPAN; i++) yield span + i * L.SLOT_SIZE;
  }
}

function spanOwners({ word }) {
  const owners = new Map();
  const end = word(L.HEADER_SPAN_COUNT);
  for (let span = word(L.HEADER_FIRST_SPAN); span < end; span++) {
    const owner = word(L.SPAN_TABLE + span * 4);
    if (owner !== 0) owners.set(owner, (owners.get(owner) ?? 0) + 1);
  }
  return owners;
}

/** What the tables of locks have: spans of the index and the tables of chunks, and chunks of both kinds. */
function lockSpans({ word }) {
  const tables = word(L.HEADER_LOCK_TABLES);
  if (tables === 0) return { shared: 0, lockChunks: 0, ownerChunks: 0 };
  const most = word(L.HEADER_LOCK_MAX);
  const indexBytes = 8 * 2 ** (33 - Math.clz32(most - 1));
  const lockChunks = (most >>> L.CHUNK_LOG2) + 1;
  const bytes = indexBytes + 4 * (lockChunks + L.MAX_OWNER_CHUNKS + L.NAME_SIZES);
  const used = (from, count) =>
    Array.from({ length: count }, (_, i) => word(tables + indexBytes + 4 * (from + i))).filter(
      (at) => at !== 0,
    ).length;
  const chunks = { lockChunks: used(0, lockChunks), ownerChunks: used(lockChunks, L.MAX_OWNER_CHUNKS) };
  const nameSpans = word(L.HEADER_LOCK_NAMES) === 0 ? 0 : 1;
  const shared = Math.ceil(bytes / L.SPAN_SIZE) + chunks.lockChunks + chunks.ownerChunks + nameSpans;
  return { shared, ...chunks };
}

/** What is written to those who gave up a wait for others, once one did (ts/locks/verdicts.ts). */
const verdictSpans = ({ word }) => (word(L.HEADER_VERDICTS) === 0 ? 0 : 2);

/** What the main thread keeps for its searches for deadlocks, once it has had one. */
const searchSpans = ({ word }) => (word(L.HEADER_LOCK_TABLES) === 0 ? 0 : 1);

/** What becomes of the numbers of locks: `open` have a name, `free` are on the list for the next ones, `spare` are kept by a thread, `lost` are none of these. */
function lockNumbers({ calls, word }) {
  const free = new Set();
  for (let id = word(L.HEADER_LOCK_FREE); id !== 0; id = word((calls.lockAt(id) >>> 0) + L.LOCK_NEXT)) {
    // A list that meets itself would never end.
    if (free.has(id)) return { open: 0, free: free.size, spare: 0, lost: Infinity };
    free.add(id);
  }
  const spare = new Set();
  for (let id = 1; id < L.MAX_AGENTS; id++) {
    const kept = word(L.AGENTS + id * L.AGENT_SIZE + L.AGENT_SPARE_LOCK);
    if (kept !== 0) spare.add(kept);
  }
  let open = 0;
  let lost = 0;
  for (let id = 1; id <= word(L.HEADER_LOCK_COUNT); id++) {
    if (free.has(id) || spare.has(id)) continue;
    if ((word((calls.lockAt(id) >>> 0) + L.LOCK_FLAGS) & L.LOCK_FLAG_FREE) === 0) open++;
    else lost++;
  }
  return { open, free: free.size, spare: spare.size, lost };
}

/**
 * What is wrong with the tables of locks of a runtime that has so many names at the end, and had one more at once for each of so many threads.
 * Each number is accounted for, but for `deathsMost`: what a thread had open, or had just taken out of the index, when it died.
 */
export function auditLocks(handle, names, threadsMost, deathsMost) {
  const kernel = open(handle);
  const wrong = [];
  const { lockChunks, ownerChunks } = lockSpans(kernel);
  const count = kernel.word(L.HEADER_LOCK_COUNT);
  const most = names + threadsMost + deathsMost;
  if (count > most) wrong.push(`${count} numbers were given out, ${most} at most expected`);
  const numbers = lockNumbers(kernel);
  if (numbers.open + numbers.lost > names + deathsMost)
    wrong.push(`of ${count} numbers ${JSON.stringify(numbers)}, for ${names} names`);
  if (lockChunks > 1) wrong.push(`${lockChunks} chunks of locks`);
  if (ownerChunks > threadsMost) wrong.push(`${ownerChunks} chunks of owners for ${threadsMost} threads`);
  if (kernel.word(L.HEADER_LOCK_GATE) !== 0) wrong.push('somebody stands at the gate');
  return wrong;
}

/** Spans that the order of six locks may take: its root, pages, and a context for each thread, some still with the scratch of its last search. */
const ORDER_SPANS_MOST = 200;

function ownerName(owner) {
  if (owner === L.OWNER_ORDER) return 'the order of locks';
  if (owner === L.OWNER_SHARED) return 'an array';
  if (owner === L.OWNER_SLOTS) return 'slots';
  if (owner === L.OWNER_SLOTS_FREE) return 'free slots';
  return owner >= L.OWNER_POOL ? `pool ${owner - L.OWNER_POOL}` : `agent ${owner}`;
}

/**
 * What a runtime without pools and arrays must have given back. Runs in the thread that made the runtime, which is the only agent left.
 * Returns one line for each thing that is still there.
 */
export function auditEmpty(handle, peakCalls) {
  const kernel = open(handle);
  const { calls, word } = kernel;
  const wrong = [];
  const agents = [...agentsOf(kernel)];
  if (agents.length !== 1) {
    wrong.push(
      `agents ${agents.map(({ id, state }) => `${id}${state === L.AGENT_DEAD ? ' (dead)' : ''}`).join(', ')} are there, not one`,
    );
    return wrong;
  }
  for (let id = 0; id < L.MAX_POOLS; id++) {
    if (word(L.POOLS + id * L.POOL_SIZE + L.POOL_STATE) !== L.POOL_FREE) wrong.push(`pool ${id} is open`);
  }
  const [{ id, agent }] = agents;
  const states = new Map();
  for (const slot of slotsOf(kernel, agent)) {
    const state = word(slot + L.SLOT_STATE) & L.STATE_STATUS_MASK;
    if (!CELLS_DONE.has(state)) states.set(state, (states.get(state) ?? 0) + 1);
  }
  for (const [state, count] of states) wrong.push(`${count} slots are ${SLOT_STATES[state] ?? state}`);
  // A request that no memory can meet makes the arena give back every span whose blocks are all free.
  if (calls.allocate(agent, 0xffe00000 | 0) !== 0) wrong.push('4 GiB were allocated');
  let carved = 0;
  for (let sizeClass = 0; sizeClass < L.BLOCK_CLASSES; sizeClass++) {
    const list = agent + L.AGENT_ARENA + sizeClass * L.AGENT_ARENA_STRIDE;
    const place = word(list + 4);
    let free = 0;
    for (let block = word(list); block !== 0; block = word(block + L.BLOCK_LINK)) free++;
    const cut = (place & (L.SPAN_SIZE - 1)) >>> (L.BLOCK_MIN_LOG2 + sizeClass);
    if (place !== 0) carved++;
    if (free !== cut)
      wrong.push(`${cut - free} blocks of ${1 << (L.BLOCK_MIN_LOG2 + sizeClass)} bytes are not back`);
  }
  const slotSpansMost = Math.ceil(peakCalls / (L.SLOTS_PER_SPAN - 1)) + 1;
  const mostOf = new Map([
    [id, carved + searchSpans(kernel)],
    [L.OWNER_SLOTS, slotSpansMost],
    [L.OWNER_SLOTS_FREE, Infinity],
    [L.OWNER_SHARED, lockSpans(kernel).shared + verdictSpans(kernel)],
    [L.OWNER_ORDER, ORDER_SPANS_MOST],
  ]);
  for (const [owner, count] of spanOwners(kernel)) {
    const most = mostOf.get(owner) ?? 0;
    if (count > most) wrong.push(`${ownerName(owner)} has ${count} spans, ${most} expected`);
  }
  return wrong;
}

const OWNER_KINDS = {
  [L.OWNER_KIND_THREAD]: 'thread',
  [L.OWNER_KIND_TASK]: 'task',
  [L.OWNER_KIND_CONTEXT]: 'context',
};

/** Locks that are held, reserved, abandoned or waited for, and owners that hold one or wait. */
function* describeLocks(handle, { calls, word }) {
  if (word(L.HEADER_LOCK_TABLES) === 0) return;
  const bytes = new Uint8Array(handle.memory.buffer);
  const text = (at) => Buffer.from(bytes.slice(at + 4, at + 4 + word(at))).toString();
  for (let id = 1; id <= word(L.HEADER_LOCK_COUNT); id++) {
    const lock = calls.lockAt(id) >>> 0;
    const flags = word(lock + L.LOCK_FLAGS);
    if ((flags & L.LOCK_FLAG_FREE) !== 0) continue;
    const state = word(lock + L.LOCK_WORD);
    const parts = [
      `owner ${(state & L.WORD_OWNER_MASK) >>> L.WORD_OWNER_SHIFT}`,
      ...(state & L.WORD_CONTENDED ? ['contended'] : []),
      ...(state & L.WORD_HANDOFF ? ['handoff'] : []),
      ...(state & L.WORD_ABANDONED ? ['abandoned'] : []),
    ];
    yield `lock ${id} at ${lock.toString(16)} '${text(word(lock + L.LOCK_NAME))}': ${parts.join(' ')}, word ${state.toString(16)}, kept for ${word(lock + L.LOCK_HANDOFF)}, open ${
      (flags & L.LOCK_USERS_MASK) / L.LOCK_USER_ONE
    }, turn ${flags >>> L.LOCK_TURN_SHIFT}, taken ${word(lock + L.LOCK_TAKEN_COUNT)}`;
  }
  for (let i = 0; i < L.MAX_OWNER_CHUNKS; i++) {
    for (let record = 1; record <= calls.usedOwners(i); record++) {
      const owner = calls.ownerAt((i << L.CHUNK_LOG2) | record) >>> 0;
      const [kind, held, pending, waiting] = [
        L.OWNER_KIND,
        L.OWNER_HELD,
        L.OWNER_PENDING,
        L.OWNER_WAITING,
      ].map((at) => word(owner + at));
      if (kind === L.OWNER_KIND_FREE || (held === 0 && pending === 0 && waiting === 0)) continue;
      yield `owner ${(i << L.CHUNK_LOG2) | record}: ${OWNER_KINDS[kind] ?? `kind ${kind}`} of agent ${bytes[owner + L.OWNER_AGENT]}, holds ${held.toString(16)}, pending ${pending.toString(16)}, waits for ${waiting.toString(16)}, flags ${bytes[
        owner + L.OWNER_FLAGS
      ].toString(
        2,
      )}, slot ${word(owner + L.OWNER_SLOT).toString(16)}, cancel ${word(owner + L.OWNER_CANCEL)}`;
    }
  }
}

/** The state of a runtime in words, for a report of what hangs. */
export function describeMemory(handle) {
  const kernel = open(handle);
  const { calls, word } = kernel;
  const lines = [];
  const bits = (address) => [word(address + 4), word(address)].map((half) => half.toString(16)).join(':');
  for (const { id, agent, state } of agentsOf(kernel)) {
    const slots = new Map();
    const samples = [];
    for (const slot of slotsOf(kernel, agent)) {
      const value = word(slot + L.SLOT_STATE);
      const status = value & L.STATE_STATUS_MASK;
      if (status === L.SLOT_FREE) continue;
      const name = SLOT_STATES[status] ?? status;
      slots.set(name, (slots.get(name) ?? 0) + 1);
      if (
        (status === L.SLOT_QUEUED || status === L.SLOT_RUNNING || status === L.SLOT_CANCELLED) &&
        samples.length < 12
      ) {
        const claimant = (value >>> L.STATE_AGENT_SHIFT) & L.STATE_AGENT_MASK;
        samples.push(
          `${slot.toString(16)} ${name}${claimant === 0 ? '' : ` by ${claimant}`} meta ${word(slot + L.SLOT_META).toString(16)} cancel ${word(slot + L.SLOT_CANCEL)}`,
        );
      }
    }
    lines.push(
      `agent ${id}: ${state === L.AGENT_DEAD ? 'dead' : 'live'} kind ${word(agent + L.AGENT_KIND)} bit ${word(agent + L.AGENT_BIT)} ${
        ACTIVITIES[word(agent + L.AGENT_ACTIVITY)]
      } park ${word(agent + L.AGENT_PARK)} bell ${word(agent + L.AGENT_DOORBELL)} tick ${word(agent + L.AGENT_TICK)} searching ${word(
        agent + L.AGENT_SEARCHING,
      )} held ${word(agent + L.AGENT_HELD).toString(16)} slots ${JSON.stringify(Object.fromEntries(slots))}`,
    );
    for (const sample of samples) lines.push(`    ${sample}`);
  }
  for (let id = 0; id < L.MAX_POOLS; id++) {
    const pool = L.POOLS + id * L.POOL_SIZE;
    if (word(pool + L.POOL_STATE) === L.POOL_FREE) continue;
    lines.push(
      `pool ${id}: idle ${bits(pool + L.POOL_IDLE)} joining ${bits(pool + L.POOL_JOINING)} looping ${bits(pool + L.POOL_LOOPING)} searching ${bits(
        pool + L.POOL_SEARCHING,
      )} queued ${calls.queueDepth(pool)}`,
    );
    const lane = (table, i, deques, kind) => {
      const address = word(pool + table + i * 4);
      if (address === 0) return;
      const sizes = Array.from({ length: deques }, (_, d) => {
        const deque = address + L.LANE_DEQUES + d * L.DEQUE_SIZE;
        return word(deque + L.DEQUE_BOTTOM) - word(deque + L.DEQUE_TOP);
      });
      const outcomes = word(address + L.LANE_COMPLETED);
      if (sizes.some((size) => size !== 0) || outcomes !== 0)
        lines.push(`    ${kind} ${i}: deques ${sizes.join(' ')}, outcomes ${outcomes.toString(16)}`);
    };
    for (let i = 0; i < word(pool + L.POOL_SUBMITTER_HIGH); i++)
      lane(L.POOL_SUBMITTER_LANES, i, 3, 'submitter');
    for (let i = 0; i < word(pool + L.POOL_WORKER_HIGH); i++) lane(L.POOL_WORKER_LANES, i, 6, 'worker');
  }
  lines.push(...describeLocks(handle, kernel));
  lines.push(
    `spans: ${[...spanOwners(kernel)].map(([owner, count]) => `${ownerName(owner)} ${count}`).join(', ')}`,
  );
  return lines;
}
