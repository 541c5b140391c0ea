// What the pools of the chaos run. Every task notes that it began, and that it ended, in arrays that belong to the referee and not to
// heddle; every result follows from the arguments.
import { isDeepStrictEqual } from 'node:util';
import { aborted, context, fork, join, move, runtime, signal, yieldNow } from 'heddle/task';
import { valueFrom } from './values.mjs';
import { nameOf, section } from './world-locks.mjs';

const pauseCell = new Int32Array(new SharedArrayBuffer(4));
/** Blocks the thread for a moment. */
const pause = (ms) => Atomics.wait(pauseCell, 0, 0, ms);

let book;
const openBook = () => {
  book ??= context().workerData;
  return book;
};
/** Every sabotaged run has its fault in one of so many calls. */
const RARE = 11;
const isFaulty = (name, index) => openBook().sabotage === name && index % RARE === RARE - 1;

function begin(index) {
  const { starts } = openBook();
  Atomics.add(starts, index, 1);
  if (isFaulty('twice', index)) Atomics.add(starts, index, 1);
}
function end(index) {
  Atomics.add(openBook().ends, index, 1);
}

class ChaosError extends Error {
  constructor(index) {
    super(`chaos ${index}`);
    this.name = 'ChaosError';
    this.index = index;
  }
}

// ---- values ------------------------------------------------------------------------------------------------------------------------------

export function triple(index, x) {
  begin(index);
  end(index);
  return isFaulty('lie', index) ? x * 3 + 1 : x * 3;
}

export function busy(index, x, rounds) {
  begin(index);
  let sum = x;
  for (let i = 0; i < rounds; i++) sum = (Math.imul(sum, 31) + i) | 0;
  end(index);
  return sum;
}

export function sleepy(index, x, ms) {
  begin(index);
  pause(ms);
  end(index);
  return x;
}

export function shout(index, text) {
  begin(index);
  end(index);
  return `${text}!${text.length}`;
}

export function codec(index, seed, value) {
  begin(index);
  if (!isDeepStrictEqual(value, valueFrom(seed)))
    throw new Error(`the arguments of seed ${seed} came changed`);
  const result = valueFrom(seed + 1);
  end(index);
  return result;
}

/** Every byte counts, at its place. */
const digest = (bytes) => {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum = (sum + bytes[i] * ((i & 1023) + 1)) | 0;
  return sum;
};

export function digestOf(index, bytes) {
  begin(index);
  const sum = digest(bytes);
  end(index);
  return { sum, length: bytes.length };
}

export function makeBytes(index, length, fill, moved) {
  begin(index);
  const bytes = new Uint8Array(length).fill(fill);
  bytes[length - 1] = fill ^ 255;
  end(index);
  return moved ? move(bytes) : bytes;
}

export function negate(index, numbers) {
  begin(index);
  for (let i = 0; i < numbers.length; i++) numbers[i] = -numbers[i];
  end(index);
  return move(numbers);
}

/** Memory that is the caller's and not heddle's: travels by port. */
export function touchForeign(index, shared, blob) {
  begin(index);
  const before = Atomics.add(shared, 0, 1);
  end(index);
  return { before, size: blob.size };
}

export async function negateLater(index, numbers) {
  begin(index);
  await yieldNow();
  for (let i = 0; i < numbers.length; i++) numbers[i] = -numbers[i];
  end(index);
  return move(numbers);
}

// ---- async ---------------------------------------------------------------------------------------------------------------------------------

export async function later(index, x, yields, ms) {
  begin(index);
  for (let i = 0; i < yields; i++) await yieldNow();
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  const { task } = context();
  end(index);
  return `${x} ${task}`;
}

/** Async or not, as it is told: the worker learns the mode of a function as it goes. */
export function sometimes(index, x, isLater) {
  begin(index);
  end(index);
  return isLater ? Promise.resolve(x) : x;
}

// ---- failures ---------------------------------------------------------------------------------------------------------------------------------

export function fail(index) {
  begin(index);
  end(index);
  throw new ChaosError(index);
}

export async function failLater(index) {
  begin(index);
  await yieldNow();
  end(index);
  throw Object.assign(new RangeError('late'), { index, code: 'E_CHAOS' });
}

/** Cannot be cloned. */
export function returnFunction(index) {
  begin(index);
  end(index);
  return { deep: [() => index] };
}

export function overflow(index) {
  begin(index);
  const dive = () => dive() + 1;
  dive();
}

export function throwAfterwards(index) {
  begin(index);
  setTimeout(() => {
    throw Object.assign(new Error(`afterwards ${index}`), { afterwards: true });
  }, 0);
  end(index);
  return index;
}

export function rejectAfterwards(index) {
  begin(index);
  void Promise.reject(Object.assign(new Error(`afterwards ${index}`), { afterwards: true }));
  end(index);
  return index;
}

/** Fails in its first runs. */
export function failFirst(index, times) {
  begin(index);
  if (Atomics.load(openBook().starts, index) <= times) throw new ChaosError(index);
  end(index);
  return index;
}

export function exitFirst(index, times) {
  begin(index);
  if (Atomics.load(openBook().starts, index) <= times) process.exit(7);
  end(index);
  return index;
}

// ---- cancelling ---------------------------------------------------------------------------------------------------------------------------------

export function untilAborted(index) {
  begin(index);
  while (!aborted()) pause(0.2);
  end(index);
  return 'aborted';
}

export async function untilSignal(index) {
  begin(index);
  const told = signal();
  if (!told.aborted) await new Promise((resolve) => told.addEventListener('abort', resolve, { once: true }));
  end(index);
  throw told.reason;
}

export function deaf(index) {
  begin(index);
  for (;;) pause(1);
}

export function deafBusy(index) {
  begin(index);
  for (;;);
}

export function deafLater(index) {
  begin(index);
  return new Promise(() => {});
}

// ---- deaths ----------------------------------------------------------------------------------------------------------------------------------------

export function exit(index, code) {
  begin(index);
  process.exit(code);
}

export async function exitLater(index, code) {
  begin(index);
  await yieldNow();
  process.exit(code);
}

/** Returns, and ends its worker soon after. */
export function exitSoon(index, code) {
  begin(index);
  setImmediate(() => process.exit(code));
  end(index);
  return index;
}

export function exhaustHeap(index) {
  begin(index);
  const hoard = [];
  for (;;) hoard.push(new Array(10_000).fill(hoard.length));
}

// ---- trees ----------------------------------------------------------------------------------------------------------------------------------------

/** fib(n), each node of the tree noted once. */
export function tree(index, n, work) {
  begin(index);
  if (n < 2) {
    for (let i = 0; i < work; i++) Math.sqrt(i);
    end(index);
    return n;
  }
  const left = fork(tree, index, n - 1, work);
  const right = tree(index, n - 2, work);
  const sum = join(left) + right;
  end(index);
  return sum;
}

/** A tree of payloads: what is forked and joined are blocks. */
export function textTree(index, depth, text) {
  begin(index);
  if (depth === 0) {
    end(index);
    return text;
  }
  const parts = Array.from({ length: 3 }, (_, i) => fork(textTree, index, depth - 1, `${text}.${i}`));
  const joined = (depth % 2 === 0 ? parts : parts.reverse()).map((part) => join(part));
  end(index);
  return joined.join('|');
}

export async function asyncTree(index, depth) {
  begin(index);
  if (depth === 0) {
    await yieldNow();
    end(index);
    return 1;
  }
  const left = fork(asyncTree, index, depth - 1);
  const right = fork(asyncTree, index, depth - 1);
  const sum = (await left) + (await right);
  end(index);
  return sum;
}

/** Forks of both kinds, awaited together, one by one, the first only, or not at all. */
export async function scatter(index, forks, yields, how) {
  begin(index);
  const handles = Array.from({ length: forks }, (_, i) =>
    i % 2 === 0 ? fork(leafLater, index, i) : fork(leaf, index, i, 'none'),
  );
  for (let i = 0; i < yields; i++) await (i % 3 === 2 ? yieldNow() : undefined);
  if (how === 'throw') throw new ChaosError(index);
  if (how === 'never') await new Promise(() => {});
  let sum = 0;
  if (how === 'all') for (const i of await Promise.all(handles)) sum += i;
  if (how === 'backwards') for (const handle of handles.reverse()) sum += await handle;
  if (how === 'forwards') for (const handle of handles) sum += await handle;
  if (how === 'twice') for (const i of await Promise.all([...handles, ...handles])) sum += i / 2;
  if (how === 'first') sum = await handles[0];
  end(index);
  return sum;
}

/** Wrong use: a sync task joins, or leaves, async forks. */
export function misjoin(index, forks, how) {
  begin(index);
  const handles = Array.from({ length: forks }, (_, i) =>
    i % 2 === 0 ? fork(leafTimer, index, i) : fork(leaf, index, i, 'none'),
  );
  if (how === 'join') for (const handle of handles) join(handle);
  if (how === 'backwards') for (const handle of handles.reverse()) join(handle);
  end(index);
}

/** Asks nothing of its task, which may be over. */
export async function leafTimer(index, i) {
  begin(index);
  await new Promise((resolve) => setTimeout(resolve, i % 3));
  end(index);
  return i;
}

export async function leafLater(index, i) {
  begin(index);
  for (let n = i % 4; n > 0; n--) await yieldNow();
  end(index);
  return i;
}

/** One leaf of a wide tree throws, exits, or overflows the stack; `how` is 'throw', 'exit', 'overflow' or 'leave'. */
export function wide(index, leaves, bad, how) {
  begin(index);
  const handles = Array.from({ length: leaves }, (_, i) => fork(leaf, index, i, i === bad ? how : 'none'));
  if (how === 'leave') {
    end(index);
    return leaves;
  }
  let sum = 0;
  for (const handle of handles) sum += join(handle);
  end(index);
  return sum;
}

export function leaf(index, i, how) {
  begin(index);
  if (how === 'throw') throw new ChaosError(index);
  if (how === 'exit') process.exit(8);
  if (how === 'overflow') overflow(index);
  if (i % 3 === 0) pause(0.05);
  end(index);
  return i;
}

/** Forks that only end when the tree is cancelled. */
export function abortedTree(index, forks) {
  begin(index);
  const handles = Array.from({ length: forks }, () => fork(untilAborted, index));
  for (const handle of handles) join(handle);
  end(index);
  return 'aborted';
}

// ---- ranges and maps ----------------------------------------------------------------------------------------------------------------------------------

export function cover(start, stop, cells, index, bad) {
  begin(index);
  for (let i = start; i < stop; i++) Atomics.add(cells, i, 1);
  if (bad >= start && bad < stop) throw new ChaosError(index);
  end(index);
}

export function square({ index, x }) {
  begin(index);
  end(index);
  return x * x;
}

export async function squareLater({ index, x, bad }) {
  begin(index);
  await yieldNow();
  end(index);
  if (bad) throw new ChaosError(index);
  return x * x;
}

// ---- shared memory -------------------------------------------------------------------------------------------------------------------------------------

export function bump(index, name, times) {
  begin(index);
  const cell = runtime().atomicInt32(name);
  for (let i = 0; i < times; i++) {
    if (i % 2 === 0) cell.add(1);
    else for (let seen = cell.load(); !cell.compareAndSwap(seen, seen + 1); seen = cell.load());
  }
  end(index);
  return times;
}

/** A lock made of an atomic around a plain counter; `shared` is [counter, ...]. */
export function guarded(index, name, shared) {
  begin(index);
  const lock = runtime().atomicBool(name);
  while (!lock.compareAndSwap(false, true)) if (aborted()) return -1;
  const value = shared[0] + 1;
  shared[0] = value;
  lock.store(false);
  end(index);
  return value;
}

export function allocate(index, length) {
  begin(index);
  const array = runtime().alloc(Float64Array, length);
  for (let i = 0; i < length; i++) array[i] = index + i;
  end(index);
  return array;
}

export function release(index, array) {
  begin(index);
  runtime().free(array);
  end(index);
  return array.length;
}

export function fill(index, array, value) {
  begin(index);
  array.fill(value);
  end(index);
  return array;
}

// ---- locks ------------------------------------------------------------------------------------------------------------------------------------------------

/** Sabotaged: so many of the locks do not lock for tasks. */
const UNLOCKED = 3;
const NO_LOCK = {
  id: 0,
  isAbandoned: false,
  lock: async () => true,
  lockSync: () => true,
  unlock: () => undefined,
};

/** A lock that recovers from deaths; sabotaged: one that does not lock. */
function lockOf(i) {
  if (i < UNLOCKED && openBook().sabotage === 'unlocked') return NO_LOCK;
  return runtime().mutex(nameOf(i), { onAbandoned: 'recover' });
}

/** Under the lock: sees whether anybody else is. */
function guardedStep(i, m, during) {
  const steps = section(openBook().guarded, i, m);
  steps.next();
  during();
  // Long enough for somebody to come, however slow the machine is.
  if (m === NO_LOCK) pause(5);
  const wrong = steps.next().value;
  if (wrong !== undefined) throw new Error(wrong);
}

/** An async task of this very worker may have it: then nobody can wait for it here. */
function lockUnlessHere(m) {
  try {
    return m.lockSync();
  } catch (error) {
    if (error.code === 'ERR_DEADLOCK' && error.cycle.some(({ wait }) => wait === 'thread')) return false;
    throw error;
  }
}

/** Takes a lock again and again, blocking. */
export function lockSync(index, i, rounds, ms) {
  begin(index);
  const m = lockOf(i);
  let had = 0;
  for (let n = 0; n < rounds && !aborted(); n++) {
    if (!lockUnlessHere(m)) break;
    try {
      guardedStep(i, m, () => ms > 0 && pause(ms));
      had++;
    } finally {
      m.unlock();
    }
  }
  end(index);
  return had;
}

export async function lockAsync(index, i, rounds, yields) {
  begin(index);
  const m = lockOf(i);
  let had = 0;
  for (let n = 0; n < rounds && !aborted(); n++) {
    if (!(await m.lock())) break;
    try {
      const steps = section(openBook().guarded, i, m);
      steps.next();
      // One that was given up has no more turns, and must not leave half of it.
      for (let k = 0; k < yields && !aborted(); k++) await yieldNow();
      const wrong = steps.next().value;
      if (wrong !== undefined) throw new Error(wrong);
      had++;
    } finally {
      m.unlock();
    }
  }
  end(index);
  return had;
}

/** Takes two locks in any order. What would close a deadlock gives up. */
export function lockTwo(index, i, j) {
  begin(index);
  const [outer, inner] = [lockOf(i), lockOf(j)];
  let result = 'neither';
  if (lockUnlessHere(outer)) {
    try {
      result = 'one';
      guardedStep(i, outer, () => undefined);
      try {
        if (inner.lockSync()) {
          try {
            guardedStep(j, inner, () => pause(0.1));
            result = 'both';
          } finally {
            inner.unlock();
          }
        }
      } catch (error) {
        if (error.code !== 'ERR_DEADLOCK') throw error;
        result = 'deadlock';
      }
    } finally {
      outer.unlock();
    }
  }
  end(index);
  return result;
}

/** Ends its worker in the middle of a section. */
export function exitLocked(index, i, code) {
  begin(index);
  const m = lockOf(i);
  if (!lockUnlessHere(m)) {
    end(index);
    return 'no lock';
  }
  guardedStep(i, m, () => process.exit(code));
}

/** A name that comes and goes. */
export function lockOnce(index, name) {
  begin(index);
  const m = runtime().mutex(name, { onAbandoned: 'recover' });
  if (m.lockSync()) m.unlock();
  m.forget();
  end(index);
  return name;
}
