// One thread of tests/linearizability/record.ts: plays its part of many short games on shared objects, and notes when each call began and
// ended by a clock that all threads share.
//
// Its log is words of { name, argument, argument, result count, results..., from, to }, behind one word that says how far it is written. `to`
// stays 0 until the call has returned, so that of a thread that was killed one call is left open.
import { parentPort, workerData } from 'node:worker_threads';

const { module, memory, thread, threads, seed, rounds, logWords, log, shared, game, objects } = workerData;
const { most, pace, victim } = workerData;
const { exports: calls } = new WebAssembly.Instance(module, { env: { memory } });
const words = new Int32Array(log);
/** Clock, then three words of the barrier. */
const clock = new Int32Array(shared);
const CLOCK = 0;
const ARRIVED = 1;
const ROUND = 2;
const AWAKE = 3;

/** Mulberry32 (T. Ettinger). */
let state = (seed + thread * 7919) | 0;
function random(below) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

/** Waits for the others, asleep if it takes long; then, for a moment, until all are awake: they should be off together. */
function barrier(round) {
  if (Atomics.add(clock, ARRIVED, 1) === threads * (round + 1) - 1) {
    Atomics.store(clock, ROUND, round + 1);
    Atomics.notify(clock, ROUND);
  }
  for (let spins = 0; Atomics.load(clock, ROUND) <= round; spins++)
    if (spins > 1000) Atomics.wait(clock, ROUND, round, 5);
  Atomics.add(clock, AWAKE, 1);
  for (let spins = 0; spins < 5000 && Atomics.load(clock, AWAKE) < threads * (round + 1); spins++);
}

/** Lets others come between: a call is short against the time that a thread needs to start. */
function dawdle() {
  for (let n = random(pace + 1); n > 0; n--) Atomics.load(clock, ROUND);
}

const now = () => Atomics.add(clock, CLOCK, 1) + 1;

/** Where the last entry of the log begins, and where the next one will. */
let at = 1;
function note(name, a, b, act) {
  const start = at;
  words[start] = name;
  words[start + 1] = a;
  words[start + 2] = b;
  words[start + 3] = 0;
  words[start + 4] = now();
  words[start + 5] = 0;
  // Published before the call: one that never returns may have taken effect.
  Atomics.store(words, 0, start + 6);
  dawdle();
  const result = act();
  dawdle();
  const to = now();
  words[start + 3] = result | 0;
  words[start + 5] = to;
  at = start + 6;
  return result;
}

/** What a batch took beside its first entry stands in the thief's own deque, which nobody else looks at. */
function noteRest(own) {
  for (let entry = calls.pop(own); entry !== 0; entry = calls.pop(own)) {
    words[at] = REST;
    words[at + 3] = entry;
    at += 6;
    Atomics.store(words, 0, at);
  }
}

const [PUSH, POP, STEAL, BATCH, ADD, LOAD, STORE, SWAP, CAS, , REST, TRY_LOCK, LOCK, UNLOCK] = Array.from(
  { length: 14 },
  (_, i) => i + 1,
);
const RETRY = 1;
const SPANS = 3;

/** Calls in this round. One that is to be killed goes on until it is. */
const lasts = () => (thread === victim ? 100_000 : 1 + random(most));

const games = {
  /** Thread 0 owns the deque; the others steal. */
  deque(deque, round) {
    for (let n = lasts(); n > 0; n--) {
      if (thread === 0) {
        // Entries are addresses: never 0 and never 1.
        const entry = 64 * (round * 64 + n + 1);
        if (random(2) === 0) note(PUSH, entry, 0, () => (calls.push(deque, entry, SPANS) ? 1 : 0));
        else note(POP, 0, 0, () => calls.pop(deque));
      } else {
        note(STEAL, 0, 0, () => calls.steal(deque, objects.held + thread * 64));
      }
    }
  },
  /** A submitter's deque: its owner pushes only, the others take batches. */
  batches(deque, round) {
    const own = objects.own + thread * objects.size;
    for (let n = lasts(); n > 0; n--) {
      if (thread === 0) {
        const entry = 64 * (round * 64 + n + 1);
        note(PUSH, entry, 0, () => (calls.push(deque, entry, SPANS) ? 1 : 0));
      } else {
        const limit = 1 + random(5);
        const taken = note(BATCH, limit, 0, () =>
          calls.stealBatch(deque, own, limit, SPANS, objects.held + thread * 64),
        );
        if (taken !== 0 && taken !== RETRY) noteRest(own);
      }
    }
  },
  int32(cell) {
    for (let n = lasts(); n > 0; n--) {
      const a = random(3);
      const b = random(3);
      switch (random(5)) {
        case 0:
          note(ADD, a, 0, () => calls.cellAdd(cell, a));
          break;
        case 1:
          note(LOAD, 0, 0, () => calls.cellLoad(cell));
          break;
        case 2:
          note(STORE, a, 0, () => calls.cellStore(cell, a));
          break;
        case 3:
          note(SWAP, a, 0, () => calls.cellSwap(cell, a));
          break;
        default:
          note(CAS, a, b, () => calls.cellCas(cell, a, b));
      }
    }
  },
  /** Nobody ends a round with the lock. */
  mutex(lock) {
    const owner = objects.own + thread * objects.ownerSize;
    for (let n = lasts(); n > 0; n--) {
      const what = random(4);
      if (what === 0) note(TRY_LOCK, 0, 0, () => calls.tryLock(lock, owner));
      else if (what === 1) note(LOCK, 0, 0, () => lockBlocking(lock, owner));
      else note(UNLOCK, 0, 0, () => calls.unlock(lock, owner));
    }
    note(UNLOCK, 0, 0, () => calls.unlock(lock, owner));
  },
  bool(cell) {
    for (let n = lasts(); n > 0; n--) {
      const a = random(2);
      switch (random(4)) {
        case 0:
          note(LOAD, 0, 0, () => calls.cellLoad(cell));
          break;
        case 1:
          note(STORE, a, 0, () => calls.cellStore(cell, a));
          break;
        case 2:
          note(SWAP, a, 0, () => calls.cellSwap(cell, a));
          break;
        default:
          note(CAS, a, 1 - a, () => calls.cellCas(cell, a, 1 - a));
      }
    }
  },
};

/** Takes a lock as ts/locks/block.ts does, without what is of other waits. */
function lockBlocking(lock, owner) {
  for (;;) {
    const answer = calls.prepareWait(lock, owner);
    if (answer < 0) return answer;
    calls.waitLock(lock, answer, -1);
  }
}

const END = 10;
parentPort.postMessage('ready');
parentPort.once('message', () => {
  for (let round = 0; round < rounds && at < logWords - 64 * most; round++) {
    barrier(round);
    games[game](objects.first + round * objects.size, round);
    // The end of a round, so that the log can be cut.
    words[at] = END;
    at += 6;
    Atomics.store(words, 0, at);
  }
  parentPort.postMessage('done');
});
