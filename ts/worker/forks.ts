import {
  CANCEL_ABORTED,
  META_ASYNC_BIT,
  META_CLASS_MASK,
  META_CLASS_SHIFT,
  META_COUNT_PACKED,
  META_COUNT_SHIFT,
  META_FORK_BIT,
  META_RANGE_BIT,
  SLOT_CANCEL,
  SLOT_DONE,
  SLOT_EXITED,
  SLOT_FAILED,
  SLOT_LINK,
  SLOT_LOST,
  SLOT_META,
  SLOT_OWNER,
  SLOT_QUEUED,
  SLOT_RUNNING,
  SLOT_STATE,
  SLOT_TAGS,
  SLOT_VALUES,
  STATE_AGENT_MASK,
  STATE_AGENT_SHIFT,
  STATE_STATUS_MASK,
  TAG_NUMBER,
} from '../../build/generated/layout.ts';
import { type PlainError, reviveError } from '../codec/error-codec.ts';
import { isMoved, unmoved } from '../codec/move.ts';
import { InvalidTypeError, WorkerExitedError } from '../errors.ts';
import type { TaskFunction, Worker } from './worker.ts';

/** Far longer than a thief needs from taking an entry to claiming it. */
const CLAIM_MS = 20;
const QUEUED = 0;
/** Its owner is taking it out of the deque; stays so when that ends half-way because the stack overflowed. */
const TAKING = 1;
const LOCAL = 2;
const FULFILLED = 3;
const REJECTED = 4;
/** Not in the deque yet; stays so when fork() ends half-way because the stack overflowed. */
const NEW = 5;
/** Somebody awaits it: its outcome is theirs. */
const AWAITED = 6;

/** The task that forked: a sync task's frame, or an async task's run. */
export interface Forker {
  readonly slot: number;
  /** Its newest fork that was not joined, linked to older ones. */
  forks: Fork | undefined;
  /** Address of its owner of locks, or 0. */
  owner: number;
}

/**
 * A forked call: join it, or await it. It stands in this worker's deque until it is joined here or stolen; up to three arguments are kept
 * as they are, so that a call nobody stole is never encoded and decoded again.
 */
export class Fork<T = unknown> implements PromiseLike<T> {
  readonly worker: Worker;
  readonly fn: TaskFunction;
  readonly count: number;
  readonly a: unknown;
  readonly b: unknown;
  readonly c: unknown;
  readonly rest: readonly unknown[] | undefined;
  /** 0 when it never entered the deque. */
  slot: number;
  state: number = NEW;
  /** Its arguments stand in a payload block, to be given back with the slot. */
  packed = false;
  value: unknown = undefined;
  /** The task that forked it, and its next older fork that was not joined. */
  owner: Forker;
  older: Fork | undefined;
  /** What all who await it get. */
  promise: Promise<unknown> | undefined = undefined;

  constructor(
    worker: Worker,
    slot: number,
    owner: Forker,
    fn: TaskFunction,
    count: number,
    a: unknown,
    b: unknown,
    c: unknown,
    rest: readonly unknown[] | undefined,
  ) {
    this.worker = worker;
    this.slot = slot;
    this.owner = owner;
    this.older = owner.forks;
    this.fn = fn;
    this.count = count;
    this.a = a;
    this.b = b;
    this.c = c;
    this.rest = rest;
  }

  get isSettled(): boolean {
    return this.state === FULFILLED || this.state === REJECTED;
  }

  /** What it returned, or throws what it threw. */
  outcome(): unknown {
    if (this.state === REJECTED) throw this.value;
    return this.value;
  }

  call(): unknown {
    switch (this.rest === undefined ? this.count : 4) {
      case 0:
        return this.fn();
      case 1:
        return this.fn(this.a);
      case 2:
        return this.fn(this.a, this.b);
      case 3:
        return this.fn(this.a, this.b, this.c);
      default:
        return this.fn(...(this.rest ?? []));
    }
  }

  // biome-ignore lint/suspicious/noThenProperty: a fork is awaited like a promise
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): PromiseLike<A | B> {
    return (this.worker.awaitFork(this) as Promise<T>).then(onFulfilled, onRejected);
  }
}

/** Puts a call into this worker's deque. `rest`: all arguments, when there are more than three. */
export function fork(
  worker: Worker,
  fn: TaskFunction,
  count: number,
  a: unknown,
  b: unknown,
  c: unknown,
  rest: readonly unknown[] | undefined,
): Fork {
  const run = worker.frame('fork');
  const id = fn === worker.lastForked ? worker.lastForkedId : lookUp(worker, fn);
  const slot = worker.slots.take();
  const handle =
    rest === undefined
      ? new Fork(worker, slot, run, fn, count, unmoved(a), unmoved(b), unmoved(c), undefined)
      : new Fork(worker, slot, run, fn, count, a, b, c, rest.some(isMoved) ? rest.map(unmoved) : rest);
  run.forks = handle;
  if (slot === 0) {
    handle.state = QUEUED;
    return handle;
  }
  const { i32, f64 } = worker.kernel;
  let encoded = count;
  if (count === 1 && typeof a === 'number') {
    f64[(slot + SLOT_VALUES) >>> 3] = a;
    i32[(slot + SLOT_TAGS) >>> 2] = TAG_NUMBER;
  } else if (count > 0) {
    encoded = encode(worker, handle);
    if (encoded < 0) {
      // Only this worker can run it: it waits for its join.
      worker.slots.put(slot);
      handle.slot = 0;
      handle.state = QUEUED;
      return handle;
    }
  }
  handle.packed = encoded === META_COUNT_PACKED;
  publish(worker, handle, slot, run.slot, id | (encoded << META_COUNT_SHIFT));
  return handle;
}

/** Puts the slot of a fork back. A lost one is given up: an entry for it may still be about, and would lead to its next task. */
function retire(worker: Worker, handle: Fork, lost = false): void {
  if (handle.packed)
    worker.codec.releaseArguments(handle.slot, worker.kernel.i32[(handle.slot + SLOT_META) >>> 2]!);
  if (!lost) worker.slots.put(handle.slot);
}

function publish(worker: Worker, handle: Fork, slot: number, parent: number, meta: number): void {
  const { i32, calls } = worker.kernel;
  i32[(slot + SLOT_OWNER) >>> 2] = worker.lane;
  i32[(slot + SLOT_META) >>> 2] = meta | META_FORK_BIT | worker.classBits;
  i32[(slot + SLOT_LINK) >>> 2] = parent;
  i32[(slot + SLOT_CANCEL) >>> 2] = 0;
  worker.forkCount++;
  if (calls.fork(worker.pool, worker.deque, slot) === 0) {
    retire(worker, handle);
    handle.slot = 0;
  }
  handle.state = QUEUED;
}

function encode(worker: Worker, handle: Fork): number {
  const args = handle.rest ?? [handle.a, handle.b, handle.c].slice(0, handle.count);
  return worker.codec.writeArguments(handle.slot, args);
}

function lookUp(worker: Worker, fn: TaskFunction): number {
  const id = worker.functionIds.get(fn);
  if (id === undefined) {
    throw new InvalidTypeError(
      `fork() takes a function that the task module exports, so that any worker can find it; ${
        typeof fn === 'function' ? `'${fn.name}' is not exported` : `got ${typeof fn}`
      }`,
    );
  }
  worker.lastForked = fn;
  worker.lastForkedId = id;
  return id;
}

/** The result of a fork. Runs it here if nobody stole it; otherwise helps with other work until its thief is done. */
export function join(worker: Worker, handle: Fork): unknown {
  const run = worker.frame('join');
  // What is no fork has no such slot and state, and is refused on the slow path.
  if (handle?.state === QUEUED && handle.slot !== 0) {
    handle.state = TAKING;
    if (worker.kernel.calls.takeBack(worker.deque, handle.slot) !== 0) {
      retire(worker, handle);
      if (run.forks === handle) run.forks = handle.older;
      handle.state = LOCAL;
      return runHere(handle);
    }
    handle.state = QUEUED;
  }
  return joinSlow(worker, handle);
}

function runHere(handle: Fork): unknown {
  try {
    const value = unmoved(handle.call());
    handle.value = value;
    handle.state = FULFILLED;
    return refuseAsync(handle, value);
  } catch (error) {
    handle.value = error;
    handle.state = REJECTED;
    throw error;
  }
}

function refuseAsync(handle: Fork, value: unknown): unknown {
  if (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  ) {
    throw asyncRefused(handle);
  }
  return value;
}

function asyncRefused(handle: Fork): InvalidTypeError {
  return new InvalidTypeError(
    `join() cannot wait for async task '${handle.fn.name}'; await the fork instead`,
  );
}

function joinSlow(worker: Worker, handle: Fork): unknown {
  if (!(handle instanceof Fork)) throw new InvalidTypeError('join() takes what fork() returned');
  if (handle.state === FULFILLED || handle.state === REJECTED) {
    unlink(handle);
    return handle.outcome();
  }
  if (handle.state !== QUEUED) throw new InvalidTypeError('join() of a fork that is being joined already');
  handle.state = handle.slot === 0 ? LOCAL : TAKING;
  const how = handle.slot === 0 ? 'concluded' : worker.helpUntilConcluded(handle.slot);
  if (how === 'async') {
    // It is left to its task, which may await it, or drops it in the end.
    handle.state = QUEUED;
    throw asyncRefused(handle);
  }
  unlink(handle);
  if (handle.slot === 0) return runHere(handle);
  handle.state = LOCAL;
  if (how === 'concluded') return takeOutcome(worker, handle, true);
  retire(worker, handle, how === 'lost');
  return runHere(handle);
}

/** The outcome of a fork that another worker concluded. `joined`: by join(), which refuses what came from a promise. */
export function takeOutcome(worker: Worker, handle: Fork, joined: boolean): unknown {
  const { slot } = handle;
  const status = worker.kernel.calls.statusOf(slot);
  const meta = worker.kernel.i32[(slot + SLOT_META) >>> 2]!;
  handle.slot = 0;
  handle.state = status === SLOT_DONE ? FULFILLED : REJECTED;
  try {
    if (status === SLOT_DONE) handle.value = worker.codec.readResult(slot);
    else if (status === SLOT_FAILED)
      handle.value = reviveError(worker.codec.readResult(slot) as PlainError | number, worker.errorTypes);
    else if (status === SLOT_EXITED) {
      handle.value = new WorkerExitedError(
        `the worker that had stolen a fork of '${handle.fn.name}' exited`,
        {
          resource: handle.fn.name,
        },
      );
    }
  } finally {
    worker.codec.releaseArguments(slot, meta);
    worker.slots.put(slot);
  }
  if (joined && (meta & META_ASYNC_BIT) !== 0) throw asyncRefused(handle);
  if (handle.state === REJECTED) throw handle.value;
  return handle.value;
}

/** The deque that a fork was put into: that of its class. */
function dequeOf(worker: Worker, handle: Fork): number {
  const meta = worker.kernel.i32[(handle.slot + SLOT_META) >>> 2]!;
  return worker.kernel.calls.dequeOf(worker.lane, (meta >>> META_CLASS_SHIFT) & META_CLASS_MASK, 0);
}

/**
 * A fork that is awaited from now on: its outcome belongs to who awaits it. True when it is the caller's to run, because nobody else has it.
 *
 * @throws {InvalidTypeError} when it is being joined.
 */
export function beginAwait(worker: Worker, handle: Fork): boolean {
  if (handle.state !== QUEUED) throw new InvalidTypeError('await of a fork that is being joined already');
  handle.state = AWAITED;
  if (handle.slot === 0) return true;
  if (worker.kernel.calls.takeBack(dequeOf(worker, handle), handle.slot) === 0) return false;
  retire(worker, handle);
  handle.slot = 0;
  return true;
}

/** Runs an awaited fork in this thread. */
export async function runAwaited(handle: Fork): Promise<unknown> {
  try {
    handle.value = unmoved(await handle.call());
    handle.state = FULFILLED;
  } catch (error) {
    handle.value = error;
    handle.state = REJECTED;
  }
  return handle.outcome();
}

/** An awaited fork that another worker has concluded: takes its outcome, or, when its thief died before it had claimed it, the fork back. */
export function endAwait(worker: Worker, handle: Fork): void {
  if (worker.kernel.calls.statusOf(handle.slot) !== SLOT_LOST) {
    try {
      takeOutcome(worker, handle, false);
    } catch {
      // It is kept for all who await it.
    }
    return;
  }
  retire(worker, handle, true);
  handle.slot = 0;
}

/**
 * Takes a fork out of its task's list if it is the newest; further down it stays until those above it are gone. So joins in any order cost
 * the same, and the list holds at most what the oldest fork that is not joined holds.
 */
export function unlink(handle: Fork): void {
  const { owner } = handle;
  if (owner.forks !== handle) return;
  let next = handle.older;
  while (next?.isSettled) next = next.older;
  owner.forks = next;
}

/** A task becomes an async one: its forks are those of the run. */
export function handOver(from: Forker, to: Forker): void {
  to.forks = from.forks;
  for (let handle = from.forks; handle !== undefined; handle = handle.older) handle.owner = to;
  from.forks = undefined;
}

/** Joins what a task forked and left. The first failure is thrown after all have ended. */
export function joinLeft(worker: Worker, owner: Forker): void {
  let failed = false;
  let first: unknown;
  let kept: Fork | undefined;
  while (owner.forks !== undefined) {
    const handle = owner.forks;
    owner.forks = handle.older;
    if (handle.isSettled || handle.state === AWAITED) continue;
    try {
      join(worker, handle);
    } catch (error) {
      if (!failed) first = error;
      failed = true;
      if (handle.state !== QUEUED) continue;
      // An async one: the task fails, and drops it.
      handle.older = kept;
      kept = handle;
    }
  }
  owner.forks = kept;
  if (failed) throw first;
}

/** As joinLeft() for an async task, whose thread goes on meanwhile. */
export async function awaitLeft(worker: Worker, owner: Forker): Promise<void> {
  const seen = new Set<Fork>();
  let failed = false;
  let first: unknown;
  const next = (): Fork | undefined => {
    let handle = owner.forks;
    while (handle !== undefined && (handle.isSettled || seen.has(handle))) handle = handle.older;
    return handle;
  };
  for (let handle = next(); handle !== undefined; handle = next()) {
    seen.add(handle);
    const isWatched = handle.promise !== undefined;
    try {
      await worker.awaitFork(handle);
    } catch (error) {
      // The failure of a fork that the task awaits is the task's affair.
      if (isWatched) continue;
      if (!failed) first = error;
      failed = true;
    }
  }
  owner.forks = undefined;
  if (failed) throw first;
}

/**
 * A fork that its owner was taking back when the stack overflowed: did it have it already? A thief that took it instead claims it within
 * microseconds, or is dead and recovery says so.
 */
function isInNobodysHands(worker: Worker, slot: number): boolean {
  const until = worker.clock.now() + CLAIM_MS;
  while (worker.clock.now() < until) if (worker.kernel.calls.statusOf(slot) !== SLOT_QUEUED) return false;
  return true;
}

/** Wakes the workers that run forks of a cancelled task: an async fork learns of it when its worker looks. */
export function tellThieves(worker: Worker, owner: Forker): void {
  const { i32, calls } = worker.kernel;
  for (let handle = owner.forks; handle !== undefined; handle = handle.older) {
    if (handle.slot === 0) continue;
    const state = Atomics.load(i32, (handle.slot + SLOT_STATE) >>> 2);
    if ((state & STATE_STATUS_MASK) !== SLOT_RUNNING) continue;
    calls.unpark(calls.agentAt((state >>> STATE_AGENT_SHIFT) & STATE_AGENT_MASK));
  }
}

/**
 * Drops what a failed or cancelled task forked and nobody took, and tells the rest to stop. Returns that rest: its slots must be back before
 * the task's own slot goes home, because they point there.
 */
export function dropLeft(worker: Worker, owner: Forker): Fork[] {
  const { i32, calls } = worker.kernel;
  const taken: Fork[] = [];
  if (owner.forks === undefined) return taken;
  Atomics.compareExchange(i32, (owner.slot + SLOT_CANCEL) >>> 2, 0, CANCEL_ABORTED);
  tellThieves(worker, owner);
  for (let handle: Fork | undefined = owner.forks; handle !== undefined; handle = handle.older) {
    const { state } = handle;
    if (handle.slot === 0) continue;
    if (state === AWAITED) {
      taken.push(handle);
      continue;
    }
    if (state !== QUEUED && state !== TAKING && state !== NEW) continue;
    handle.state = REJECTED;
    if (calls.takeBack(dequeOf(worker, handle), handle.slot) !== 0) retire(worker, handle);
    else if (state === NEW || (state === TAKING && isInNobodysHands(worker, handle.slot)))
      retire(worker, handle, true);
    else taken.push(handle);
  }
  owner.forks = undefined;
  return taken;
}

/** Has a fork that dropLeft() returned ended? Then its slot is back. */
export function isOver(worker: Worker, handle: Fork): boolean {
  // An awaited one is taken home by who awaits it.
  if (handle.slot === 0) return true;
  if (handle.state === AWAITED || worker.kernel.calls.statusOf(handle.slot) < SLOT_DONE) return false;
  endDropped(worker, handle);
  return true;
}

/** The outcome of a dropped fork is nobody's: its task has failed already, and the first failure is the one that counts. */
function endDropped(worker: Worker, handle: Fork): void {
  endAwait(worker, handle);
  handle.state = REJECTED;
}

/** Ends what a failed sync task forked: what others run is waited for. */
export function abandonLeft(worker: Worker, owner: Forker): void {
  if (owner.forks === undefined) return;
  for (const handle of dropLeft(worker, owner)) {
    if (handle.state === AWAITED) continue;
    if (worker.helpUntilConcluded(handle.slot, owner.slot) === 'ours') retire(worker, handle);
    else endDropped(worker, handle);
  }
}

/**
 * Runs a piece of `pool.range`: grain by grain, and while other workers are hungry and its deque is empty it forks the far half of what is
 * left. So a range is cut only as often as it is stolen.
 */
export function runRange(
  worker: Worker,
  fn: TaskFunction,
  functionId: number,
  args: readonly unknown[],
): void {
  const rest = args.slice(0, -3);
  const [from, to, grain] = args.slice(-3) as [number, number, number];
  const run = worker.frame('range');
  let low = from;
  let high = to;
  while (low < high && !worker.isCancelled()) {
    if (high - low >= 2 * grain && worker.kernel.calls.hungry(worker.pool, worker.deque) !== 0) {
      const middle = low + Math.ceil((high - low) / 2 / grain) * grain;
      forkRange(worker, run, fn, functionId, [...rest, middle, high, grain]);
      high = middle;
    }
    const end = Math.min(low + grain, high);
    const value = fn(low, end, ...rest);
    if (
      typeof value === 'object' &&
      value !== null &&
      typeof (value as { then?: unknown }).then === 'function'
    ) {
      throw new InvalidTypeError(
        `range() cannot wait for async task '${fn.name}'; its task must be a plain function`,
      );
    }
    low = end;
  }
}

function forkRange(
  worker: Worker,
  run: Forker,
  fn: TaskFunction,
  functionId: number,
  args: readonly unknown[],
): void {
  const slot = worker.slots.take();
  const local = (...all: unknown[]): void => runRange(worker, fn, functionId, all);
  const handle = new Fork(worker, slot, run, local, args.length, undefined, undefined, undefined, args);
  run.forks = handle;
  handle.state = QUEUED;
  if (slot === 0) return;
  const encoded = worker.codec.writeArguments(slot, args);
  if (encoded < 0) {
    worker.slots.put(slot);
    handle.slot = 0;
    return;
  }
  handle.packed = encoded === META_COUNT_PACKED;
  publish(worker, handle, slot, run.slot, functionId | (encoded << META_COUNT_SHIFT) | META_RANGE_BIT);
}
