import {
  CANCEL_ABORTED,
  CANCEL_CLOSED,
  CANCEL_GRACED,
  CANCEL_TIMEOUT,
  CANCEL_WAS_RUNNING,
  META_CLASS_MASK,
  META_CLASS_SHIFT,
  META_COUNT_PACKED,
  META_COUNT_SHIFT,
  META_FUNCTION_MASK,
  META_PLACED_BIT,
  META_PORT_BIT,
  META_RANGE_BIT,
  POOL_WORKER_LANES,
  POOL_WORKER_QUEUES,
  SLOT_CANCEL,
  SLOT_CANCELLED,
  SLOT_DONE,
  SLOT_EXITED,
  SLOT_FAILED,
  SLOT_FREE,
  SLOT_LINK,
  SLOT_META,
  SLOT_OWNER,
  SLOT_QUEUED,
  SLOT_QUEUED_AT,
  SLOT_RUNNING,
  SLOT_STATE,
  SLOT_TAGS,
  STATE_AGENT_MASK,
  STATE_AGENT_SHIFT,
  STATE_STATUS_MASK,
  TAG_PORT,
} from '../../build/generated/layout.ts';
import { appendStack, type PlainError, reviveError } from '../codec/error-codec.ts';
import { isMoved } from '../codec/move.ts';
import { NEEDS_PORT, NO_MEMORY } from '../codec/slot-values.ts';
import {
  MemoryFullError,
  PoolClosedError,
  TaskAbortedError,
  TaskTimeoutError,
  WorkerExitedError,
} from '../errors.ts';
import { turnOf } from '../kernel/kernel.ts';
import { classOf, QOS_LEVELS } from '../qos.ts';
import type { Agent } from '../runtime/agent.ts';
import type { Drainable } from '../runtime/pump.ts';
import type { PortValues } from './port-values.ts';
import { noteRefused, Rejections } from './rejections.ts';
import type { RetryPolicy } from './retry.ts';
import type { SignalHub } from './signals.ts';
import { Lease, type Lender, lenderClosed, StolenCall } from './stolen-call.ts';
import type { RunOptions } from './types.ts';

type Resolve = (value: unknown) => void;

/** Would a thief take a call that is shareable or not, and belongs to this NUMA node or to none? `call` stands for the same call each time. */
export type Accepts = (shareable: boolean, numaNode: number | undefined, call: object) => boolean;

/** What a call came to. */
interface Outcome {
  readonly ok: boolean;
  readonly value: unknown;
}

/** What a call needs beyond its slot; most calls need nothing. */
interface Extra {
  readonly name: string;
  readonly options: RunOptions;
  /** Kept only where the call may be run again, or its arguments travel by port. */
  args: readonly unknown[] | undefined;
  readonly range: boolean;
  readonly submitStack: Error | undefined;
  resolve: Resolve;
  attempt: number;
  settled: boolean;
  slot: number;
  /** Queue of its NUMA node, 0 for none. */
  queue: number;
  stopTimer: (() => void) | undefined;
  stopSignal: (() => void) | undefined;
  stopGrace: (() => void) | undefined;
}

/** Arguments are kept for another run, as they are now; those that were handed over are gone. */
function isRepeatable({ options, args }: Extra): boolean {
  return options.idempotent === true && options.transferList === undefined && !args!.some(isMoved);
}

/** What the pool lends to its submissions. */
export interface SubmissionHost {
  readonly agent: Agent;
  readonly pool: number;
  readonly lane: number;
  readonly poolName: string;
  readonly taskNames: readonly string[];
  readonly errorTypes: ReadonlyMap<string, ErrorConstructor>;
  readonly portValues: PortValues;
  readonly retry: RetryPolicy;
  readonly signals: SignalHub;
  readonly submitStacks: 'always' | 'sampled' | 'never';
  defaultClass: number;
  abortGraceMs: number | undefined;
  /** A task did not stop within its grace: end its worker. */
  terminateWorker(agentId: number): void;
  /** Are the workers' tasks a few microseconds long? */
  runsShortTasks(): boolean;
  /** Called after outcomes came home. */
  onSettled(): void;
  /** A call was queued that was accepted some time ago: the workers may have ended meanwhile. */
  onQueuedLate(): void;
  /** @throws {PlacementError} when no worker may take from this queue any more. */
  assertManned(queue: number): void;
  /** Exit facts of the worker that was this agent, for the error of its tasks. */
  exitOf(agentId: number): { exitCode: number; threadId: number; error: unknown } | undefined;
  /** Was the worker that was this agent recovered before its end is told? */
  isEnding(agentId: number): boolean;
}

/** The executor is shared: a closure for each call would cost more than the call. */
let captured: Resolve;
const capture = (resolve: Resolve): void => {
  captured = resolve;
};

const NO_OPTIONS: RunOptions = Object.freeze({});
/** Stands for a call that had no extra and was settled while its slot was out: the slot still has to come home. */
const SETTLED: Extra = Object.freeze({
  name: '',
  options: NO_OPTIONS,
  args: undefined,
  range: false,
  submitStack: undefined,
  resolve: () => undefined,
  attempt: 1,
  settled: true,
  slot: 0,
  queue: 0,
  stopTimer: undefined,
  stopSignal: undefined,
  stopGrace: undefined,
});
/** Least time between two stacks, by mode. */
const STACK_INTERVALS_MS = { always: Number.NEGATIVE_INFINITY, sampled: 1, never: Number.NaN };
/** So many calls that stay where they are are looked at for one that may be taken. */
const REFUSED_MOST = 64;
/** Timers keep their delay in 32 bits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The calls of one pool from one thread: from `run` to the settled promise. A call's promise is kept as its resolve function at the ordinal of
 * its slot; it is rejected by resolving it with a rejected promise, so a call that succeeds never makes a reject function live on.
 */
export class Submissions implements Drainable, Lender {
  readonly #host: SubmissionHost;
  readonly #agent: Agent;
  readonly #lane: number;
  readonly #pool: number;
  readonly #resolves: (Resolve | undefined)[] = [];
  readonly #extras: (Extra | undefined)[] = [];
  /** Calls that found the shared memory full, in order. They are written when outcomes have freed some. */
  readonly #waiting: { extra: Extra; functionId: number; classNumber: number }[] = [];
  /** Slots whose queue could not grow, in order: they are queued when outcomes have freed some memory. */
  readonly #unqueued: number[] = [];
  /** Calls that were taken out of their queue, by slot. */
  readonly #taken = new Map<number, Lease>();
  /** Slots of calls that holders of locks wait for: who runs them must be known, so nobody takes them out. */
  readonly #kept = new Set<number>();
  /** Stands in queues where calls were taken out from between others: a slot that is never queued. 0 until there is one. */
  #gap = 0;
  /** Calls that wait for their next run. */
  readonly #inBackoff = new Set<Extra>();
  /** Calls whose promise is not settled. */
  #open = 0;
  /** Slots that are queued, running or on their way home; a cancelled call leaves its slot behind for a while. */
  #out = 0;
  #submitted = 0;
  #completed = 0;
  #failed = 0;
  #cancelled = 0;
  /** Calls that were rejected, refused ones included. */
  readonly rejections: Rejections = new Rejections();
  #now = 0;
  #sinceStamp = 0;
  #lastStackAt = Number.NEGATIVE_INFINITY;
  /** Least time between two stacks; NaN: none is taken, as no time is as long. */
  readonly #stackIntervalMs: number;
  /** No new call is taken. */
  #closed = false;
  /** Slot of the last call that was queued. */
  lastSlot = 0;

  constructor(host: SubmissionHost) {
    this.#host = host;
    this.#agent = host.agent;
    this.#lane = host.lane;
    this.#pool = host.pool;
    this.#stackIntervalMs = STACK_INTERVALS_MS[host.submitStacks];
    this.#now = host.agent.clock.now();
  }

  /** Calls accepted and not settled. */
  get outstanding(): number {
    return this.#open;
  }

  /** Slots that are not home. */
  get out(): number {
    return this.#out;
  }

  get isPrompt(): boolean {
    return this.#host.runsShortTasks();
  }

  get counts(): { submitted: number; completed: number; failed: number; cancelled: number } {
    return {
      submitted: this.#submitted,
      completed: this.#completed,
      failed: this.#failed,
      cancelled: this.#cancelled,
    };
  }

  /** Does a task that was cancelled still have its grace? */
  get hasGrace(): boolean {
    return this.#extras.some((extra) => extra?.stopGrace !== undefined);
  }

  /** A promise that is rejected with what `make` returns. */
  async #reject(make: () => unknown): Promise<never> {
    throw this.rejections.add(make());
  }

  /** A call without options: the hot path. */
  run(functionId: number, args: readonly unknown[]): Promise<unknown> {
    // The clock is read for every call of a slow stream, and for one in 32 of a fast one.
    if (this.#out < 32 || (++this.#sinceStamp & 31) === 0) this.#now = this.#agent.clock.now();
    if (this.#now - this.#lastStackAt >= this.#stackIntervalMs) {
      return this.runWith(functionId, args, NO_OPTIONS, false);
    }
    const slot = this.#agent.slots.take();
    if (slot === 0) return this.runWith(functionId, args, NO_OPTIONS, false);
    let count: number;
    try {
      count = this.#agent.codec.writeArguments(slot, args);
    } catch (error) {
      this.#agent.slots.put(slot);
      return this.#reject(() => error);
    }
    if (count < 0) {
      this.#agent.slots.put(slot);
      return this.runWith(functionId, args, NO_OPTIONS, false);
    }
    if (count === META_COUNT_PACKED && this.#waiting.length > 0) {
      this.#giveBack(slot, count << META_COUNT_SHIFT);
      return this.runWith(functionId, args, NO_OPTIONS, false);
    }
    if (this.#closed) {
      this.#giveBack(slot, count << META_COUNT_SHIFT);
      return this.#reject(() => closedError(this.#host.poolName));
    }
    const promise = new Promise<unknown>(capture as never);
    this.#resolves[this.#agent.slots.ordinal(slot)] = captured;
    this.#open++;
    this.#submitted++;
    const classNumber = this.#host.defaultClass;
    this.#fill(slot, functionId | (classNumber << META_CLASS_SHIFT) | (count << META_COUNT_SHIFT));
    this.#enqueue(slot, classNumber, 0);
    return promise;
  }

  /** From here on no call is taken: the user's own code, in the arguments of one or before it, may have closed the pool. */
  close(): void {
    this.#closed = true;
  }

  /** A slot with arguments that are not submitted is free again. */
  #giveBack(slot: number, meta: number): void {
    this.#agent.codec.releaseArguments(slot, meta);
    this.#host.portValues.forget(slot);
    this.#agent.slots.put(slot);
  }

  #fill(slot: number, meta: number): void {
    const { i32, u32 } = this.#agent.kernel;
    i32[(slot + SLOT_OWNER) >>> 2] = this.#lane;
    i32[(slot + SLOT_META) >>> 2] = meta;
    i32[(slot + SLOT_CANCEL) >>> 2] = 0;
    u32[(slot + SLOT_QUEUED_AT) >>> 2] = this.#now * 1000;
  }

  #enqueue(slot: number, classNumber: number, node: number): void {
    this.#out++;
    this.lastSlot = slot;
    if (this.#agent.kernel.calls.submit(this.#pool, this.#lane, classNumber, node, slot) === 0)
      this.#noRoom(slot);
    this.#agent.pump.start();
  }

  /** The queue could not grow: the memory is full. While other calls are under way the slot waits for what they free. */
  #noRoom(slot: number): void {
    this.#unqueued.push(slot);
    if (this.#out === this.#unqueued.length) this.#retryUnqueued();
  }

  #retryUnqueued(): void {
    const { kernel } = this.#agent;
    while (this.#unqueued.length > 0) {
      const slot = this.#unqueued[0]!;
      const classNumber = (kernel.i32[(slot + SLOT_META) >>> 2]! >>> META_CLASS_SHIFT) & META_CLASS_MASK;
      if (kernel.calls.statusOf(slot) === SLOT_CANCELLED) {
        this.#unqueued.shift();
        this.#takeBack(slot);
        this.#home(slot);
      } else if (kernel.calls.submit(this.#pool, this.#lane, classNumber, this.#queueOf(slot), slot) !== 0) {
        this.#unqueued.shift();
        this.#host.onQueuedLate();
      } else if (this.#out > this.#unqueued.length) {
        return;
      } else {
        this.#unqueued.shift();
        this.#takeBack(slot);
        this.#settleWith(slot, () => this.#queueMemoryFull());
        this.#host.onSettled();
      }
    }
  }

  /** A slot that stands in no queue is free again. */
  #takeBack(slot: number): void {
    const { i32 } = this.#agent.kernel;
    i32[(slot + SLOT_STATE) >>> 2] = (i32[(slot + SLOT_STATE) >>> 2]! & ~STATE_STATUS_MASK) | SLOT_FREE;
  }

  /** Queue that a slot, not sent home yet, belongs to. */
  #queueOf(slot: number): number {
    const { i32 } = this.#agent.kernel;
    return (i32[(slot + SLOT_META) >>> 2]! & META_PLACED_BIT) === 0 ? 0 : i32[(slot + SLOT_LINK) >>> 2]!;
  }

  /** Rejects the calls that are queued for a NUMA node whose tasks nobody may run any more, and those that wait to be queued there. */
  rejectUnmanned(
    isManned: (queue: number) => boolean,
    error: (queue: number, task: string) => unknown,
  ): void {
    const { kernel, slots } = this.#agent;
    for (const slot of slots.all()) {
      if (kernel.i32[(slot + SLOT_OWNER) >>> 2] !== this.#lane) continue;
      const extra = this.#extras[slots.ordinal(slot)];
      if (extra === undefined || extra.settled || extra.queue === 0 || isManned(extra.queue)) continue;
      if (kernel.calls.statusOf(slot) === SLOT_QUEUED)
        this.#cancelExtra(extra, CANCEL_CLOSED, () => error(extra.queue, extra.name));
    }
    for (const { extra } of [...this.#waiting]) {
      if (extra.settled || extra.queue === 0 || isManned(extra.queue)) continue;
      this.#settleExtra(extra, () => error(extra.queue, extra.name));
      this.#stopWaiting(extra);
      this.#host.onSettled();
    }
  }

  #queueMemoryFull(): MemoryFullError {
    return new MemoryFullError(
      `cannot queue a task of pool '${this.#host.poolName}': the shared memory is full; raise memoryBytes`,
    );
  }

  /** A call with options, or one that did not fit the hot path. `range`: a piece of pool.range. */
  runWith(
    functionId: number,
    args: readonly unknown[],
    options: RunOptions,
    range: boolean,
    queue = 0,
  ): Promise<unknown> {
    this.#now = this.#agent.clock.now();
    const name = this.#host.taskNames[functionId]!;
    const { signal } = options;
    if (signal?.aborted) return this.#reject(() => this.#abortError(name, signal.reason));
    if (this.#closed) return this.#reject(() => closedError(this.#host.poolName));
    const promise = new Promise<unknown>(capture as never);
    const extra: Extra = {
      name,
      options,
      args,
      range,
      submitStack: this.#submitStack(),
      resolve: captured,
      attempt: 1,
      settled: false,
      slot: 0,
      queue,
      stopTimer: undefined,
      stopSignal: undefined,
      stopGrace: undefined,
    };
    const classNumber = options.qos === undefined ? this.#host.defaultClass : classOf(options.qos);
    this.#open++;
    this.#submitted++;
    try {
      if (!this.#write(extra, functionId, classNumber, true)) this.#wait(extra, functionId, classNumber);
    } catch (error) {
      this.#open--;
      this.#submitted--;
      // A shutdown that its arguments began waits for it.
      if (this.#closed) this.#host.onSettled();
      return this.#reject(() => noteRefused(error));
    }
    if (extra.settled) return promise;
    if (extra.slot !== 0) extra.args = isRepeatable(extra) ? this.#snapshot(args) : undefined;
    this.#watch(extra);
    return promise;
  }

  #submitStack(): Error | undefined {
    if (!(this.#now - this.#lastStackAt >= this.#stackIntervalMs)) return undefined;
    this.#lastStackAt = this.#now;
    return new Error('submitted');
  }

  /** Puts a call into a slot and queues it, unless it was settled meanwhile. False when the memory is full. */
  #write(extra: Extra, functionId: number, classNumber: number, isNew = false): boolean {
    const { slots, codec } = this.#agent;
    const slot = slots.take();
    if (slot === 0) return false;
    const args = extra.args!;
    let count: number;
    let meta = functionId | (classNumber << META_CLASS_SHIFT);
    try {
      count = extra.options.transferList === undefined ? codec.writeArguments(slot, args) : NEEDS_PORT;
      if (count === NEEDS_PORT) this.#host.portValues.offer(slot, args, extra.options.transferList);
    } catch (error) {
      slots.put(slot);
      throw error;
    }
    if (count === NO_MEMORY) {
      slots.put(slot);
      return false;
    }
    if (count === NEEDS_PORT) meta |= META_PORT_BIT;
    else meta |= count << META_COUNT_SHIFT;
    // Those that wait for memory are not overtaken by what takes of it.
    const isBehind = this.#waiting.length > 0 && this.#waiting[0]!.extra !== extra;
    if (count === META_COUNT_PACKED && isBehind && this.#out > 0) {
      this.#giveBack(slot, meta);
      return false;
    }
    if (extra.settled || (isNew && this.#closed)) {
      this.#giveBack(slot, meta);
      if (extra.settled) return true;
      throw closedError(this.#host.poolName);
    }
    if (extra.range) meta |= META_RANGE_BIT;
    if (extra.queue !== 0) {
      meta |= META_PLACED_BIT;
      this.#agent.kernel.i32[(slot + SLOT_LINK) >>> 2] = extra.queue;
    }
    const ordinal = slots.ordinal(slot);
    this.#resolves[ordinal] = extra.resolve;
    this.#extras[ordinal] = extra;
    extra.slot = slot;
    this.#fill(slot, meta);
    this.#enqueue(slot, classNumber, extra.queue);
    return true;
  }

  /** Back-pressure: with calls under way memory will come back; with none it will not. */
  #wait(extra: Extra, functionId: number, classNumber: number): void {
    if (this.#out === 0) {
      throw new MemoryFullError(
        `cannot run task '${extra.name}': its arguments do not fit the shared memory (${this.#agent.kernel.memory.buffer.byteLength} bytes); raise memoryBytes`,
      );
    }
    // The caller may change its values from now on.
    if (!extra.args!.some(isMoved)) extra.args = this.#snapshot(extra.args!);
    this.#waiting.push({ extra, functionId, classNumber });
    // What is under way may be of calls that were cancelled, for which nobody keeps the process alive.
    this.#agent.pump.start();
  }

  /**
   * A copy that later changes of the caller do not reach, made as the task's own is made; values that cannot be cloned stay as they are and
   * fail where they are written.
   */
  #snapshot(args: readonly unknown[]): readonly unknown[] {
    if (args.every((value) => typeof value !== 'object' || value === null)) return args.slice();
    try {
      return this.#agent.codec.copyArguments(args) ?? structuredClone(args);
    } catch {
      return args;
    }
  }

  #stopWaiting(extra: Extra): void {
    this.#inBackoff.delete(extra);
    const index = this.#waiting.findIndex((entry) => entry.extra === extra);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  #retryWaiting(): void {
    while (this.#waiting.length > 0) {
      const { extra, functionId, classNumber } = this.#waiting[0]!;
      try {
        if (!this.#write(extra, functionId, classNumber)) {
          if (this.#out > 0) return;
          throw new MemoryFullError(
            `cannot run task '${extra.name}': its arguments do not fit the shared memory; raise memoryBytes`,
          );
        }
        if (!isRepeatable(extra)) extra.args = undefined;
        this.#host.onQueuedLate();
      } catch (error) {
        // One that runs again has begun before.
        if (extra.attempt === 1) noteRefused(error);
        if (!extra.settled) this.#settleExtra(extra, () => error);
      }
      // Getters of its arguments may have cancelled it.
      if (this.#waiting[0]?.extra === extra) this.#waiting.shift();
    }
  }

  #watch(extra: Extra): void {
    const { signal, timeoutMs } = extra.options;
    if (signal !== undefined) {
      extra.stopSignal = this.#host.signals.add(signal, () =>
        this.#cancelExtra(extra, CANCEL_ABORTED, () => this.#abortError(extra.name, signal.reason)),
      );
    }
    if (timeoutMs !== undefined && timeoutMs !== Number.POSITIVE_INFINITY) {
      extra.stopTimer = this.#agent.platform.timer(
        () =>
          this.#cancelExtra(
            extra,
            CANCEL_TIMEOUT,
            () =>
              new TaskTimeoutError(`task '${extra.name}' did not finish within ${timeoutMs} ms`, {
                resource: extra.name,
              }),
          ),
        timeoutMs,
      );
    }
  }

  /** Calls back when the call in a slot has its outcome, before anybody else hears of it. Until then it stays where it is queued: no thief gets it. */
  beforeSettling(slot: number, callback: () => void): void {
    const ordinal = this.#agent.slots.ordinal(slot);
    const resolve = this.#resolves[ordinal];
    if (resolve === undefined) return;
    this.#kept.add(slot);
    const wrapped = (value: unknown): void => {
      this.#kept.delete(slot);
      callback();
      resolve(value);
    };
    this.#resolves[ordinal] = wrapped;
    const extra = this.#extras[ordinal];
    if (extra !== undefined) extra.resolve = wrapped;
  }

  #abortError(name: string, cause: unknown): TaskAbortedError {
    return new TaskAbortedError(`task '${name}' was aborted`, { resource: name, cause });
  }

  /** The cancel ladder: settle at once; drop what is queued; tell what runs; end its worker after the grace, if asked. */
  #cancelExtra(extra: Extra, reason: number, error: () => unknown): void {
    if (extra.settled) return;
    this.#cancelled++;
    const { slot } = extra;
    this.#settleExtra(extra, error);
    this.#host.onSettled();
    if (slot === 0) {
      this.#stopWaiting(extra);
      return;
    }
    const lease = this.#taken.get(slot);
    if (lease !== undefined) {
      // The slot stays with the thief until it has stopped.
      lease.abort(error());
      return;
    }
    const { kernel } = this.#agent;
    const graceMs = extra.options.abortGraceMs ?? this.#host.abortGraceMs;
    const word = graceMs === undefined ? reason : reason | CANCEL_GRACED;
    if (kernel.calls.cancel(slot, word) !== CANCEL_WAS_RUNNING) return;
    const claimant = this.#claimant(slot);
    if (claimant === 0) return;
    kernel.calls.unpark(kernel.calls.agentAt(claimant));
    // It, or a fork of it, may wait for a lock.
    kernel.calls.wakeBlocked(this.#pool);
    if (graceMs === undefined) return;
    extra.stopGrace = this.#agent.platform.timer(() => {
      // It may have ended meanwhile, with its outcome still on its way.
      if (kernel.calls.statusOf(slot) === SLOT_RUNNING) this.#host.terminateWorker(claimant);
    }, graceMs);
  }

  /** Id of the agent that claimed a slot, or 0. */
  claimantOf(slot: number): number {
    return this.#claimant(slot);
  }

  #claimant(slot: number): number {
    const state = Atomics.load(this.#agent.kernel.i32, (slot + SLOT_STATE) >>> 2);
    return (state >>> STATE_AGENT_SHIFT) & STATE_AGENT_MASK;
  }

  /** Rejects a call; its slot, if it has one, comes home later. */
  #settleExtra(extra: Extra, error: () => unknown): void {
    extra.settled = true;
    this.#open--;
    extra.stopTimer?.();
    extra.stopSignal?.();
    if (extra.slot !== 0) this.#resolves[this.#agent.slots.ordinal(extra.slot)] = undefined;
    this.#failed++;
    extra.resolve(this.#reject(() => this.#withSubmitStack(extra, error())));
    if (this.#open === 0) this.#agent.pump.letGo();
  }

  #withSubmitStack(extra: Extra | undefined, error: unknown): unknown {
    if (extra?.submitStack !== undefined) appendStack(error, 'submitted', extra.submitStack.stack ?? '');
    return error;
  }

  /** Takes outcomes home. */
  drain(): number {
    const { kernel } = this.#agent;
    const { i32 } = kernel;
    let slot = kernel.calls.takeCompletions(this.#lane);
    let count = 0;
    while (slot !== 0) {
      const next = i32[(slot + SLOT_LINK) >>> 2]!;
      this.#home(slot);
      slot = next;
      count++;
    }
    if (count > 0) this.#onHome();
    return count;
  }

  /** Slots came home: something has become free. */
  #onHome(): void {
    if (this.#unqueued.length > 0) this.#retryUnqueued();
    if (this.#waiting.length > 0) this.#retryWaiting();
    this.#host.onSettled();
  }

  // ---- stealing from outside ---------------------------------------------------------------------------------------------------------------

  get poolName(): string {
    return this.#host.poolName;
  }

  /**
   * Takes out a queued call that worker `index` would take next, of the classes in `classes` (a bit each), the first that the thief accepts. Calls that it does not
   * accept, and those that stay, stand where they stood.
   */
  takeOut(
    index: number,
    classes: number,
    leaseMs: number,
    accepts: Accepts,
    numaNodeOf: (queue: number) => number | undefined,
    load: () => Promise<Record<string, unknown>>,
  ): StolenCall | undefined {
    const { kernel, codec, platform } = this.#agent;
    const { calls, i32, u8 } = kernel;
    const mayTake = (slot: number): boolean => {
      const meta = i32[(slot + SLOT_META) >>> 2]!;
      if ((meta & (META_RANGE_BIT | META_PORT_BIT)) !== 0 || this.#kept.has(slot)) return false;
      const call = this.#resolves[this.#agent.slots.ordinal(slot)];
      return call !== undefined && accepts(this.#isShareable(slot), numaNodeOf(this.#queueOf(slot)), call);
    };
    const worker = i32[(this.#pool + POOL_WORKER_LANES + (index << 2)) >>> 2]!;
    const own = u8[this.#pool + POOL_WORKER_QUEUES + index]!;
    let slot = 0;
    for (let c = 0; c < QOS_LEVELS.length && slot === 0; c++) {
      if (((classes >>> c) & 1) === 0) continue;
      if (worker !== 0) slot = this.#takeOldest(calls.dequeOf(worker, c, 1), mayTake);
      if (slot === 0) slot = this.#takeFirst(calls.dequeOf(this.#lane, c, own), mayTake);
      if (slot === 0 && own !== 0) slot = this.#takeFirst(calls.dequeOf(this.#lane, c, 0), mayTake);
    }
    if (slot === 0) return undefined;
    const meta = i32[(slot + SLOT_META) >>> 2]!;
    const lease = new Lease(
      this,
      slot,
      turnOf(kernel, slot),
      this.#host.taskNames[meta & META_FUNCTION_MASK]!,
    );
    const stolen = new StolenCall(lease, {
      args: codec.readArguments(slot, meta),
      qos: QOS_LEVELS[(meta >>> META_CLASS_SHIFT) & META_CLASS_MASK]!,
      numaNode: numaNodeOf(this.#queueOf(slot)),
      shareable: this.#isShareable(slot),
      load,
    });
    this.#taken.set(slot, lease);
    if (leaseMs <= LONGEST_TIMER_MS)
      lease.expireAfter(
        (expire) => platform.timer(expire, leaseMs),
        `who had it did not settle it within ${leaseMs} ms`,
      );
    return stolen;
  }

  #isShareable(slot: number): boolean {
    return this.#extras[this.#agent.slots.ordinal(slot)]?.options.shareable === true;
  }

  /** Of what a worker has taken in a batch: only the oldest can be had. 0 when it may not be taken. */
  #takeOldest(deque: number, mayTake: (slot: number) => boolean): number {
    const { calls } = this.#agent.kernel;
    while (true) {
      const slot = calls.entryAt(deque, calls.oldest(deque));
      if (slot === 0 || (calls.statusOf(slot) === SLOT_QUEUED && !mayTake(slot))) return 0;
      if (calls.takeOldest(this.#agent.address, this.#pool, deque, slot) !== 0) return slot;
    }
  }

  /** Of a queue of this thread: the first of its oldest calls that may be taken. 0 when there is none. */
  #takeFirst(deque: number, mayTake: (slot: number) => boolean): number {
    const { kernel, address, slots } = this.#agent;
    const { calls } = kernel;
    let refused = 0;
    for (let at = calls.oldest(deque); refused < REFUSED_MOST; at = (at + 1) | 0) {
      const slot = calls.entryAt(deque, at);
      if (slot === 0) return 0;
      if (slot === this.#gap) continue;
      if (calls.statusOf(slot) === SLOT_QUEUED && !mayTake(slot)) {
        refused++;
      } else if (refused === 0 && at === calls.oldest(deque)) {
        if (calls.takeOldest(address, this.#pool, deque, slot) !== 0) return slot;
      } else {
        if (this.#gap === 0) this.#gap = slots.take();
        if (this.#gap === 0) return 0;
        if (calls.takeFrom(address, this.#pool, deque, at, this.#gap) !== 0) return slot;
      }
    }
    return 0;
  }

  #requeue(slot: number): void {
    const { kernel } = this.#agent;
    const classNumber = (kernel.i32[(slot + SLOT_META) >>> 2]! >>> META_CLASS_SHIFT) & META_CLASS_MASK;
    if (kernel.calls.submit(this.#pool, this.#lane, classNumber, this.#queueOf(slot), slot) === 0)
      this.#noRoom(slot);
    else this.#host.onQueuedLate();
  }

  /** Is the lease's call still the one that its slot stands for? */
  #endLease(lease: Lease): boolean {
    if (this.#taken.get(lease.slot) !== lease) return false;
    this.#taken.delete(lease.slot);
    return true;
  }

  requeueTaken(lease: Lease): boolean {
    if (!this.#endLease(lease)) return false;
    const extra = this.#extras[this.#agent.slots.ordinal(lease.slot)];
    if (extra?.settled === true || this.#resolves[this.#agent.slots.ordinal(lease.slot)] === undefined) {
      // Cancelled meanwhile: there is nothing left to run.
      this.#finishTaken(lease.slot, { ok: false, value: undefined });
      return false;
    }
    try {
      this.#host.assertManned(this.#queueOf(lease.slot));
    } catch (error) {
      this.#finishTaken(lease.slot, { ok: false, value: error });
      return true;
    }
    this.#requeue(lease.slot);
    return true;
  }

  settleTaken(lease: Lease, ok: boolean, value: unknown): boolean {
    if (!this.#endLease(lease)) return false;
    const isOpen = this.#resolves[this.#agent.slots.ordinal(lease.slot)] !== undefined;
    this.#finishTaken(lease.slot, { ok, value });
    return isOpen;
  }

  #finishTaken(slot: number, outcome: Outcome): void {
    this.#takeBack(slot);
    this.#conclude(slot, outcome);
    this.#onHome();
  }

  #home(slot: number): void {
    const { kernel, slots, codec } = this.#agent;
    const status = kernel.i32[(slot + SLOT_STATE) >>> 2]! & STATE_STATUS_MASK;
    const ordinal = slots.ordinal(slot);
    const resolve = this.#resolves[ordinal];
    const extra = this.#extras[ordinal];
    if (
      status === SLOT_DONE &&
      extra === undefined &&
      resolve !== undefined &&
      kernel.i32[(slot + SLOT_TAGS) >>> 2] !== TAG_PORT
    ) {
      this.#resolves[ordinal] = undefined;
      codec.releaseArguments(slot, kernel.i32[(slot + SLOT_META) >>> 2]!);
      const value = codec.readResult(slot);
      slots.put(slot);
      this.#out--;
      this.#open--;
      this.#completed++;
      resolve(value);
      return;
    }
    this.#homeSlow(slot, status);
  }

  #homeSlow(slot: number, status: number): void {
    const { kernel } = this.#agent;
    const meta = kernel.i32[(slot + SLOT_META) >>> 2]!;
    const functionId = meta & META_FUNCTION_MASK;
    const tag = kernel.i32[(slot + SLOT_TAGS) >>> 2];
    if (
      (status === SLOT_DONE || status === SLOT_FAILED) &&
      tag === TAG_PORT &&
      this.#host.portValues.isDue(slot, this.#claimant(slot))
    ) {
      // The value is still on its way; the slot comes home again when it is here, or when its worker is gone. By then the call may be settled.
      this.#host.portValues.whenHere(slot, () => {
        this.#home(slot);
        this.#onHome();
      });
      return;
    }
    const claimant = this.#claimant(slot);
    // How its worker ended is not told yet. When it is, the sweep finds the slot.
    if (status === SLOT_EXITED && this.#host.isEnding(claimant)) return;
    let outcome: Outcome;
    try {
      outcome = this.#outcome(slot, status, tag === TAG_PORT, functionId, claimant);
    } catch (error) {
      outcome = { ok: false, value: error };
    }
    this.#conclude(slot, outcome);
  }

  /** A slot is home, with what its call came to. */
  #conclude(slot: number, outcome: Outcome): void {
    const { kernel, slots, codec } = this.#agent;
    const ordinal = slots.ordinal(slot);
    const meta = kernel.i32[(slot + SLOT_META) >>> 2]!;
    const functionId = meta & META_FUNCTION_MASK;
    const resolve = this.#resolves[ordinal];
    const extra = this.#extras[ordinal];
    this.#resolves[ordinal] = undefined;
    this.#extras[ordinal] = undefined;
    codec.releaseArguments(slot, meta);
    this.#host.portValues.forget(slot);
    slots.put(slot);
    this.#out--;
    extra?.stopGrace?.();
    // The call was settled before its slot came home.
    if (resolve === undefined) return;
    if (outcome.ok) {
      extra?.stopTimer?.();
      extra?.stopSignal?.();
      if (extra !== undefined) extra.settled = true;
      this.#open--;
      this.#completed++;
      resolve(outcome.value);
      return;
    }
    if (extra !== undefined && this.#mayRetry(extra, outcome.value)) {
      this.#runAgain(extra, functionId, (meta >>> META_CLASS_SHIFT) & META_CLASS_MASK);
      return;
    }
    if (extra !== undefined) {
      this.#settleExtra({ ...extra, slot: 0 }, () => outcome.value);
      extra.settled = true;
      return;
    }
    this.#open--;
    this.#failed++;
    resolve(this.#reject(() => outcome.value));
  }

  #outcome(slot: number, status: number, byPort: boolean, functionId: number, claimant: number): Outcome {
    const { codec } = this.#agent;
    const name = this.#host.taskNames[functionId] ?? '?';
    if (status === SLOT_EXITED) return { ok: false, value: this.#exitError(name, claimant) };
    if (status !== SLOT_DONE && status !== SLOT_FAILED) return { ok: false, value: undefined };
    if (byPort) {
      const arrived = this.#host.portValues.take(slot);
      if (arrived === undefined) return { ok: false, value: this.#exitError(name, claimant) };
      return status === SLOT_DONE
        ? { ok: true, value: arrived.value }
        : { ok: false, value: reviveError(arrived.value as PlainError | number, this.#host.errorTypes) };
    }
    const value = codec.readResult(slot);
    return status === SLOT_DONE
      ? { ok: true, value }
      : { ok: false, value: reviveError(value as PlainError | number, this.#host.errorTypes) };
  }

  #exitError(name: string, agentId: number): WorkerExitedError {
    const exit = this.#host.exitOf(agentId);
    const why = exit === undefined ? '' : ` (exit code ${exit.exitCode})`;
    return new WorkerExitedError(`the worker that ran task '${name}' exited before the task ended${why}`, {
      resource: name,
      exitCode: exit?.exitCode,
      threadId: exit?.threadId,
      cause: exit?.error,
    });
  }

  #mayRetry(extra: Extra, error: unknown): boolean {
    if (extra.options.idempotent !== true || extra.settled || extra.args === undefined) return false;
    return this.#host.retry.allows(extra.attempt, error);
  }

  #runAgain(extra: Extra, functionId: number, classNumber: number): void {
    extra.attempt++;
    extra.slot = 0;
    this.#inBackoff.add(extra);
    const again = (): void => {
      // A call that was cancelled or closed meanwhile has been taken out.
      if (!this.#inBackoff.has(extra)) return;
      try {
        this.#host.assertManned(extra.queue);
        if (this.#write(extra, functionId, classNumber)) this.#host.onQueuedLate();
        else this.#wait(extra, functionId, classNumber);
      } catch (error) {
        if (!extra.settled) this.#settleExtra(extra, () => error);
        this.#host.onSettled();
      } finally {
        this.#inBackoff.delete(extra);
      }
    };
    const waitMs = this.#host.retry.waitMs(extra.attempt);
    if (waitMs > 0) this.#agent.platform.timer(again, waitMs);
    else again();
  }

  #settleWith(slot: number, error: () => unknown): void {
    const ordinal = this.#agent.slots.ordinal(slot);
    const resolve = this.#resolves[ordinal];
    const extra = this.#extras[ordinal];
    this.#resolves[ordinal] = undefined;
    this.#extras[ordinal] = undefined;
    this.#agent.codec.releaseArguments(slot, this.#agent.kernel.i32[(slot + SLOT_META) >>> 2]!);
    this.#agent.slots.put(slot);
    this.#out--;
    if (extra !== undefined) {
      extra.slot = 0;
      this.#settleExtra(extra, error);
    } else if (resolve !== undefined) {
      this.#open--;
      this.#failed++;
      resolve(this.#reject(error));
    }
  }

  /**
   * After a recovery: outcomes that a dead worker had stored but not sent home, and tasks that could not be queued again. The stack has
   * been drained, so a slot that has an outcome and still an open call is one of those.
   */
  sweep(deadAgentId: number): void {
    this.drain();
    const { kernel, slots } = this.#agent;
    for (const slot of slots.all()) {
      if (kernel.i32[(slot + SLOT_OWNER) >>> 2] !== this.#lane) continue;
      const status = kernel.i32[(slot + SLOT_STATE) >>> 2]! & STATE_STATUS_MASK;
      const ordinal = slots.ordinal(slot);
      if (status < SLOT_DONE) continue;
      if (this.#claimant(slot) !== deadAgentId) continue;
      if (this.#resolves[ordinal] === undefined && this.#extras[ordinal] === undefined) continue;
      if (this.#host.portValues.isAwaited(slot)) continue;
      this.#home(slot);
    }
    this.#onHome();
  }

  /** Settles every open call with `error`, which is given its task: nothing stays pending. Slots that are queued are dropped. */
  rejectAll(error: (task: string) => unknown): void {
    const { kernel, slots } = this.#agent;
    for (const slot of slots.all()) {
      const ordinal = slots.ordinal(slot);
      const resolve = this.#resolves[ordinal];
      const extra = this.#extras[ordinal];
      if (
        kernel.i32[(slot + SLOT_OWNER) >>> 2] !== this.#lane ||
        (resolve === undefined && extra === undefined)
      )
        continue;
      kernel.calls.cancel(slot, CANCEL_CLOSED);
      if (resolve === undefined) continue;
      this.#resolves[ordinal] = undefined;
      if (extra !== undefined) {
        if (!extra.settled) this.#settleExtra(extra, () => error(extra.name));
      } else {
        const name = this.#host.taskNames[kernel.i32[(slot + SLOT_META) >>> 2]! & META_FUNCTION_MASK]!;
        this.#extras[ordinal] = SETTLED;
        this.#open--;
        this.#failed++;
        resolve(this.#reject(() => error(name)));
      }
    }
    for (const lease of this.#taken.values()) lease.abort(lenderClosed(this.#host.poolName));
    for (const { extra } of this.#waiting)
      if (!extra.settled) this.#settleExtra(extra, () => error(extra.name));
    for (const extra of this.#inBackoff)
      if (!extra.settled) this.#settleExtra(extra, () => error(extra.name));
    this.#waiting.length = 0;
    this.#inBackoff.clear();
  }

  /** After all workers are gone and recovered: gives back every slot that is still out. The calls are settled. */
  abandon(): void {
    const { kernel, slots, codec } = this.#agent;
    for (const slot of slots.all()) {
      if (kernel.i32[(slot + SLOT_OWNER) >>> 2] !== this.#lane) continue;
      const state = (slot + SLOT_STATE) >>> 2;
      const status = kernel.i32[state]! & STATE_STATUS_MASK;
      kernel.i32[(slot + SLOT_OWNER) >>> 2] = 0;
      if (status === SLOT_FREE) continue;
      const ordinal = slots.ordinal(slot);
      const wasOut =
        this.#resolves[ordinal] !== undefined || this.#extras[ordinal] !== undefined || status < SLOT_DONE;
      this.#resolves[ordinal] = undefined;
      this.#extras[ordinal] = undefined;
      if (!wasOut) continue;
      codec.releaseArguments(slot, kernel.i32[(slot + SLOT_META) >>> 2]!);
      kernel.i32[state] = kernel.i32[state]! & ~STATE_STATUS_MASK;
      slots.put(slot);
    }
    if (this.#gap !== 0) slots.put(this.#gap);
    this.#gap = 0;
    this.#out = 0;
    this.#unqueued.length = 0;
    this.#taken.clear();
    this.#kept.clear();
  }
}

export const closedError = (poolName: string): PoolClosedError =>
  new PoolClosedError(`cannot run the task: pool '${poolName}' is closed`, { resource: poolName });
