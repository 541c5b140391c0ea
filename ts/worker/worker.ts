import {
  AGENT_ACTIVITY,
  AGENT_BATCH,
  AGENT_PARK,
  AGENT_RUN_HISTOGRAM,
  AGENT_WAIT_HISTOGRAM,
  BATCH_MOST,
  CANCEL_GRACED,
  COUNTER_BUSY_MS,
  COUNTER_COMPLETED,
  COUNTER_FAILED,
  COUNTER_FORKS,
  COUNTER_LOAD_MS,
  COUNTER_PARKS,
  COUNTER_SEEN_MS,
  COUNTER_STEAL_SUCCESSES,
  COUNTER_WAIT_MS,
  COUNTER_WAKEUPS,
  LANE_AGENT,
  META_ASYNC_BIT,
  META_CLASS_MASK,
  META_CLASS_SHIFT,
  META_FORK_BIT,
  META_FUNCTION_MASK,
  META_PORT_BIT,
  META_RANGE_BIT,
  PARK_PARKED,
  SLOT_DONE,
  SLOT_FAILED,
  SLOT_LOST,
  SLOT_META,
  SLOT_OWNER,
  SLOT_QUEUED_AT,
  SLOT_RUNNING,
  SLOT_TAGS,
  TAG_PORT,
  TRACE_PARK,
  TRACE_STEAL,
  TRACE_TASK,
  WORKER_AWAITING,
  WORKER_BOOTING,
  WORKER_IDLE,
  WORKER_PARKED,
  WORKER_RUNNING,
  WORKER_SEARCHING,
} from '../../build/generated/layout.ts';
import { type Clock, createClock } from '../clock.ts';
import { describeError, UNTOLD_NO_MEMORY, UNTOLD_NO_STACK } from '../codec/error-codec.ts';
import { isMoved, unmoved } from '../codec/move.ts';
import { createPacker, createUnpacker, findRefused } from '../codec/pack.ts';
import { NEEDS_PORT, SlotCodec, WRITTEN } from '../codec/slot-values.ts';
import { DataCloneFailure, InvalidTypeError, MemoryFullError, TaskAbortedError } from '../errors.ts';
import { type Kernel, turnOf } from '../kernel/kernel.ts';
import { SlotTable } from '../kernel/slot-table.ts';
import { ActiveOwner } from '../locks/owners.ts';
import type { ValuePort, WorkerPlatform } from '../platform/port.ts';
import { cancelWord, isWithin, TaskRun } from './context.ts';
import {
  abandonLeft,
  awaitLeft,
  beginAwait,
  dropLeft,
  endAwait,
  type Fork,
  type Forker,
  handOver,
  isOver,
  joinLeft,
  runAwaited,
  runRange,
  tellThieves,
  unlink,
} from './forks.ts';
import { WorkerLocks } from './locks.ts';
import type { BootOptions, ToWorker } from './messages.ts';
import { TraceRing } from './trace-ring.ts';

export type TaskFunction = (...args: unknown[]) => unknown;

/** How long tasks may follow one another before the thread's event loop gets a turn. */
const TURN_MS = 3;
/** How long the thread blocks before it leaves its idling to the event loop: a blocked thread wakes twice as fast. */
const BLOCK_MS = 1;
const SPIN_MOST_MS = 0.05;
const SPIN_LEAST_MS = 0.005;
/**
 * A sleep shorter than this should have been a spin. Where tasks are short most of a sleep is the waking of threads, on both sides: both would
 * stay asleep for each other, so there the bound is far above that.
 */
const NEAR_MISS_MS = 0.15;
const SHORT_NEAR_MISS_MS = 1;
const VAIN_SPINS_MOST = 8;
const REST_SLEEPS = 100;
const SPIN_ROUNDS = 8;
/** Tasks are timed in groups of up to so many while they are shorter than GROUP_BELOW_MS: a look at the clock costs more than some tasks. */
const GROUP_MOST = 16;
const GROUP_BELOW_MS = 0.005;
const SHORT_MS = 0.0125;
/** A steal takes no more tasks at once than make up about this much work. */
const BATCH_MS = 0.1;

const UNKNOWN = 0;
const SYNC = 1;
const ASYNC = 2;

/** Why the inner loop came back. */
type Pause = 'idle' | 'turn' | 'full' | 'yield';

/** An async task that is over, while other workers still run what it forked. */
interface Ending {
  readonly forks: readonly Fork[];
  conclude(): void;
}

/** One worker thread: takes tasks, runs them, sends their outcomes home, and idles in steps. */
export class Worker {
  readonly kernel: Kernel;
  readonly platform: WorkerPlatform;
  readonly clock: Clock;
  readonly agent: number;
  readonly pool: number;
  readonly lane: number;
  readonly id: number;
  readonly poolName: string;
  readonly workerData: unknown;
  readonly slots: SlotTable;
  readonly codec: SlotCodec;
  readonly functionIds: Map<unknown, number> = new Map();
  /** Error classes that the task module exports: what a stolen fork throws is of its class again. */
  readonly errorTypes: Map<string, { readonly prototype: object }> = new Map();
  /** At first something that nobody forks. */
  lastForked: unknown = Symbol('none');
  lastForkedId = 0;
  /** Deque and meta bits of the class of the task that runs: forks inherit it. */
  deque: number;
  classBits = -1;
  forkCount = 0;
  /** The plain task that runs now, or the async one for as long as it has not awaited. */
  running: Forker | undefined;
  /** The owner of locks that is the running task, once it has one. */
  readonly activeOwner: ActiveOwner = new ActiveOwner();
  /** Its locks; none until a task asks for the runtime. */
  readonly locks: WorkerLocks;

  readonly #functions: readonly TaskFunction[];
  readonly #names: readonly string[];
  readonly #modes: Uint8Array;
  readonly #concurrency: number;
  /** May this machine run another thread while this one spins? */
  readonly maySpin: boolean;
  readonly port: ValuePort;
  readonly #trace: TraceRing | undefined;
  readonly #async = new Set<TaskRun>();
  readonly #awaitedForks = new Map<Fork, () => void>();
  readonly #endings = new Set<Ending>();
  readonly #wantedArguments = new Map<number, { run: TaskRun; meta: number; turn: number }>();
  #run: TaskRun | undefined;
  #stopping = false;
  #wake: (() => void) | undefined;
  /** A waitAsync on the park word that was not notified yet; it stays good for the next sleep. */
  #waiting = false;
  /** An async task was told that it is cancelled, and has had no turn of the event loop since. */
  #hasTold = false;
  #vainSpins = 0;
  /** Sleeps for which the spin window stays short. */
  #restFromSpinning = 0;
  #seenSteals = 0;
  #spinWindow = SPIN_MOST_MS;
  #groupSize = 1;
  #tasksAreShort = false;
  #completed = 0;
  #failed = 0;

  constructor(
    kernel: Kernel,
    platform: WorkerPlatform,
    options: BootOptions,
    functions: readonly TaskFunction[],
    names: readonly string[],
  ) {
    this.kernel = kernel;
    this.platform = platform;
    this.clock = createClock(platform.clockOffset(), options.epoch);
    this.agent = options.agent;
    this.pool = options.pool;
    this.lane = options.lane;
    this.id = options.id;
    this.poolName = options.poolName;
    this.workerData = options.workerData;
    this.slots = new SlotTable(kernel, options.agent);
    this.codec = new SlotCodec(
      kernel,
      options.agent,
      createPacker(kernel.memory),
      createUnpacker(kernel.memory),
    );
    this.deque = 0;
    this.#functions = functions;
    this.#names = names;
    this.#modes = new Uint8Array(functions.length);
    this.#concurrency = options.concurrency;
    this.maySpin = options.maySpin;
    this.port = platform.openPort(options.port);
    this.port.listen((message) => this.#receive(message as ToWorker));
    this.locks = new WorkerLocks(this);
    this.#trace = options.traced ? new TraceRing(kernel, options.agent, this.clock) : undefined;
    for (const [id, fn] of functions.entries()) {
      this.functionIds.set(fn, id);
      if (fn.prototype instanceof Error) this.errorTypes.set(fn.name, fn as never);
    }
  }

  // ---- the loop ----------------------------------------------------------------------------------------------------------------------

  /** Runs until `stop()` was called and nothing is under way. */
  async loop(): Promise<void> {
    if (!this.#mayBegin()) return;
    while (!(this.#stopping && this.#isFree)) {
      const pause = this.#stopping ? 'full' : this.#runTasks();
      this.#flushCounters();
      if (pause === 'yield') await undefined;
      else if (pause === 'turn') await this.#turn();
      else if (pause === 'idle') await this.#idle();
      else await this.#atLimit();
    }
    this.kernel.calls.stopSearch(this.agent);
    this.#setActivity(WORKER_IDLE);
  }

  /** False when the pool has stopped this worker in its start, and may end the thread at any moment: it must not take a task. */
  #mayBegin(): boolean {
    const activity = (this.agent + AGENT_ACTIVITY) >>> 2;
    return (
      Atomics.compareExchange(this.kernel.i32, activity, WORKER_BOOTING, WORKER_RUNNING) === WORKER_BOOTING
    );
  }

  /** Takes no further task. What is queued here goes on elsewhere. */
  stop(): void {
    this.#stopping = true;
    this.#wake?.();
  }

  get asyncTasks(): number {
    return this.#async.size + this.#endings.size;
  }

  /** Is nothing under way? */
  get #isFree(): boolean {
    return this.#async.size === 0 && this.#endings.size === 0;
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.platform.turn(() => {
        this.#hasTold = false;
        this.#lookAround();
        resolve();
      });
    });
  }

  /** Runs tasks until there is none, a turn is due, or no more async ones may start. */
  #runTasks(): Pause {
    const { calls, u32 } = this.kernel;
    this.#setActivity(WORKER_RUNNING);
    let now = this.clock.now();
    const turnAt = now + TURN_MS;
    let groupStart = this.#beginGroup(now);
    let inGroup = 0;
    let queuedAt = 0;
    for (;;) {
      if (this.#isFull()) {
        this.#endGroup(groupStart, inGroup, queuedAt);
        return 'full';
      }
      let slot = calls.take(this.agent);
      if (slot === 0) {
        now = this.#endGroup(groupStart, inGroup, queuedAt);
        inGroup = 0;
        slot = this.#spin(now);
        if (slot === 0) return 'idle';
        groupStart = this.#beginGroup(this.clock.now());
      }
      if (this.#trace !== undefined) this.#traceSteal(slot);
      if (inGroup === 0) queuedAt = u32[(slot + SLOT_QUEUED_AT) >>> 2]!;
      this.execute(slot);
      if (++inGroup >= this.#groupSize) {
        now = this.#endGroup(groupStart, inGroup, queuedAt);
        inGroup = 0;
        if (now >= turnAt) return 'turn';
        groupStart = this.#beginGroup(now);
      }
      if (this.#async.size > 0) {
        this.#endGroup(groupStart, inGroup, queuedAt);
        return this.#isFull() ? 'full' : now >= turnAt ? 'turn' : 'yield';
      }
    }
  }

  /** Notes that the task just taken came from another worker. */
  #traceSteal(slot: number): void {
    const { f64, i32 } = this.kernel;
    const steals = f64[(this.agent + COUNTER_STEAL_SUCCESSES) >>> 3]!;
    if (steals === this.#seenSteals) return;
    this.#seenSteals = steals;
    const now = this.clock.now();
    this.#trace!.add(TRACE_STEAL, i32[(slot + SLOT_META) >>> 2]! & META_FUNCTION_MASK, now, now);
  }

  /** Tasks that await forks do not count: the forks may be in our own deque. */
  #isFull(): boolean {
    return this.#async.size - this.#awaitedForks.size >= this.#concurrency;
  }

  /** Tasks run from `start` on. Returns it. */
  #beginGroup(start: number): number {
    const { f64 } = this.kernel;
    f64[(this.agent + COUNTER_LOAD_MS) >>> 3] = f64[(this.agent + COUNTER_BUSY_MS) >>> 3]! - start;
    return start;
  }

  /** Books a group of tasks that ended now. Returns now. */
  #endGroup(start: number, size: number, queuedAt: number): number {
    const now = this.clock.now();
    const { calls, f64, i32 } = this.kernel;
    if (size > 0) calls.addCounter(this.agent + COUNTER_BUSY_MS, now - start);
    f64[(this.agent + COUNTER_LOAD_MS) >>> 3] = f64[(this.agent + COUNTER_BUSY_MS) >>> 3]!;
    if (size === 0) return now;
    const elapsed = now - start;
    const mean = elapsed / size;
    if (size > 1 && mean >= GROUP_BELOW_MS) {
      // They were a group because tasks had been short; now one of them was not. The mean would hide it.
      calls.recordDuration(this.agent + AGENT_RUN_HISTOGRAM, GROUP_BELOW_MS * 1e6, size - 1);
      calls.recordDuration(
        this.agent + AGENT_RUN_HISTOGRAM,
        (elapsed - GROUP_BELOW_MS * (size - 1)) * 1e6,
        1,
      );
    } else {
      calls.recordDuration(this.agent + AGENT_RUN_HISTOGRAM, mean * 1e6, size);
    }
    if (queuedAt !== 0) {
      // Both are microseconds modulo 2^32.
      const waited = (((start * 1000) >>> 0) - queuedAt) | 0;
      const waitedUs = Math.max(0, waited);
      calls.recordDuration(this.agent + AGENT_WAIT_HISTOGRAM, waitedUs * 1000, size);
      calls.addCounter(this.agent + COUNTER_WAIT_MS, (waitedUs * size) / 1000);
    }
    if (this.#trace !== undefined) return now;
    this.#tasksAreShort = mean < SHORT_MS;
    this.#groupSize = mean < GROUP_BELOW_MS ? Math.min(GROUP_MOST, this.#groupSize * 2) : 1;
    i32[(this.agent + AGENT_BATCH) >>> 2] =
      mean === 0 ? BATCH_MOST : Math.min(BATCH_MOST, Math.max(1, BATCH_MS / mean));
    return now;
  }

  #flushCounters(): void {
    const { calls, f64 } = this.kernel;
    if (this.#completed > 0) calls.addCounter(this.agent + COUNTER_COMPLETED, this.#completed);
    if (this.#failed > 0) calls.addCounter(this.agent + COUNTER_FAILED, this.#failed);
    if (this.forkCount > 0) calls.addCounter(this.agent + COUNTER_FORKS, this.forkCount);
    this.#completed = 0;
    this.#failed = 0;
    this.forkCount = 0;
    f64[(this.agent + COUNTER_SEEN_MS) >>> 3] = this.clock.now();
  }

  #setActivity(activity: number): void {
    this.kernel.i32[(this.agent + AGENT_ACTIVITY) >>> 2] = activity;
  }

  // ---- idling, in steps ------------------------------------------------------------------------------------------------------------------

  /** Searches for a short while, if no other worker does. The window follows whether it paid. */
  #spin(now: number): number {
    const { calls } = this.kernel;
    if (!this.maySpin || calls.startSearch(this.agent) === 0) return 0;
    this.#setActivity(WORKER_SEARCHING);
    const until = now + this.#spinWindow;
    do {
      const slot = calls.search(this.agent, SPIN_ROUNDS);
      if (slot !== 0) {
        this.#spinWindow = Math.min(SPIN_MOST_MS, this.#spinWindow * 2);
        this.#vainSpins = 0;
        this.#setActivity(WORKER_RUNNING);
        return slot;
      }
    } while (this.clock.now() < until);
    this.#spinWindow = Math.max(SPIN_LEAST_MS, this.#spinWindow / 2);
    return 0;
  }

  /** Nothing to do: blocks for a moment where no async task needs the event loop, then idles on the event loop. */
  async #idle(): Promise<void> {
    const { calls } = this.kernel;
    calls.tidy(this.agent);
    if (calls.enterIdle(this.agent, this.#async.size) !== 0) return;
    const start = this.clock.now();
    calls.addCounter(this.agent + COUNTER_PARKS, 1);
    if (this.#async.size === 0 && this.maySpin && this.#blockShortly()) {
      calls.exitIdle(this.agent);
    } else {
      this.#setActivity(this.#async.size > 0 ? WORKER_AWAITING : WORKER_IDLE);
      await this.#sleep();
      calls.exitIdle(this.agent);
    }
    calls.addCounter(this.agent + COUNTER_WAKEUPS, 1);
    const now = this.clock.now();
    if (now - start < (this.#tasksAreShort ? SHORT_NEAR_MISS_MS : NEAR_MISS_MS)) this.#spinLonger();
    this.#trace?.add(TRACE_PARK, 0, start, now);
  }

  /**
   * Work came so soon after a sleep began that spinning longer would have met it, or would have if nobody had to be woken. Not so when the
   * longest spins miss it again and again: then whoever submits has to wait for the processor that spins.
   */
  #spinLonger(): void {
    if (this.#restFromSpinning > 0) this.#restFromSpinning--;
    else if (++this.#vainSpins < VAIN_SPINS_MOST) this.#spinWindow = SPIN_MOST_MS;
    else {
      this.#vainSpins = 0;
      this.#restFromSpinning = REST_SLEEPS;
      this.#spinWindow = SPIN_LEAST_MS;
    }
  }

  /** Blocks the thread for about a millisecond. True when it was woken. */
  #blockShortly(): boolean {
    const { calls } = this.kernel;
    if (calls.preparePark(this.agent) === 0) return true;
    this.#setActivity(WORKER_PARKED);
    calls.block(this.agent, BLOCK_MS);
    return calls.finishPark(this.agent) !== 0;
  }

  /** As many async tasks as may run are under way: their settling wakes us, or a cancel does. */
  async #atLimit(): Promise<void> {
    for (let i = 0; i < 4; i++) {
      await undefined;
      if (!this.#isFull() && !this.#stopping) return;
    }
    this.kernel.calls.stopSearch(this.agent);
    await this.#turn();
    if (this.#stopping ? this.#isFree || this.#ranForks() : !this.#isFull()) return;
    this.#setActivity(WORKER_AWAITING);
    await this.#sleep();
  }

  /** Stopping, it takes no task, but forks are parts of tasks that run, and there may be nobody else to run them. False when there is none. */
  #ranForks(): boolean {
    let ran = false;
    for (
      let slot = this.kernel.calls.help(this.agent);
      slot !== 0;
      slot = this.kernel.calls.help(this.agent)
    ) {
      this.execute(slot);
      ran = true;
    }
    return ran;
  }

  /** Idles on the event loop until somebody unparks this agent or something happens in this thread. Burns no CPU. */
  async #sleep(): Promise<void> {
    const { calls, i32 } = this.kernel;
    // Who was told to stop has a turn before the next look, which gives up who has not.
    if (this.#hasTold) return this.#turn();
    if (calls.preparePark(this.agent) !== 0) {
      // The park is announced: a cancel or an outcome from now on unparks us, one from before is seen here.
      if (!this.#lookAround() && !(this.#stopping && this.#isFree)) await this.#untilWoken(i32);
    }
    calls.finishPark(this.agent);
    if (!this.#hasTold) this.#lookAround();
  }

  async #untilWoken(i32: Int32Array): Promise<void> {
    if (!this.#waiting) {
      const wait = Atomics.waitAsync(i32, (this.agent + AGENT_PARK) >>> 2, PARK_PARKED);
      if (!wait.async) return;
      this.#waiting = true;
      void wait.value.then(() => {
        this.#waiting = false;
        this.#wake?.();
      });
    }
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  /**
   * Looks at what others may have changed: cancelled async tasks, concluded forks. True when something was. `blocked`: the task that blocks the thread
   * until what it forked has ended, or 0.
   */
  #lookAround(blocked = 0): boolean {
    let changed = false;
    for (const run of this.#async) {
      const word = cancelWord(this.kernel, run.slot);
      if (word === 0) continue;
      if (!run.told) {
        changed = true;
        this.#hasTold = true;
        run.abort(this.kernel);
        tellThieves(this, run);
      } else if (
        (word & CANCEL_GRACED) === 0 ||
        (blocked !== 0 && isWithin(this.kernel, run.slot, blocked))
      ) {
        // It was told a turn ago and still runs: its caller has its answer, so its place goes to others. Of a task that waits for it in this very
        // thread it has no grace: the event loop that it needs stands still until it has ended.
        changed = true;
        this.#giveUp(run);
      }
    }
    for (const [fork, concluded] of this.#awaitedForks) {
      if (this.kernel.calls.statusOf(fork.slot) < SLOT_DONE) continue;
      changed = true;
      this.#awaitedForks.delete(fork);
      endAwait(this, fork);
      concluded();
    }
    for (const ending of this.#endings) {
      if (!ending.forks.every((fork) => isOver(this, fork))) continue;
      changed = true;
      this.#endings.delete(ending);
      ending.conclude();
    }
    return changed;
  }

  // ---- running a task ----------------------------------------------------------------------------------------------------------------------

  /** Runs a claimed task and sends its outcome home, now or when it settles. */
  execute(slot: number): void {
    const meta = this.kernel.i32[(slot + SLOT_META) >>> 2]!;
    if ((meta & META_PORT_BIT) !== 0) {
      this.#fetchArguments(slot, meta);
      return;
    }
    const id = meta & META_FUNCTION_MASK;
    if (this.#modes[id] !== SYNC) {
      this.#executeAsync(slot, meta, id, undefined);
      return;
    }
    const outerFrame = this.running;
    const outerRun = this.#run;
    const outerBits = this.classBits;
    const frame: Forker = { slot, forks: undefined, owner: 0 };
    const outerOwner = this.activeOwner.enter(0);
    this.running = frame;
    this.#run = undefined;
    this.#enterClass(meta);
    const start = this.#trace === undefined ? 0 : this.clock.now();
    let value: unknown;
    let failed = false;
    try {
      value =
        (meta & META_RANGE_BIT) === 0
          ? this.codec.invoke(this.#functions[id]!, slot, meta)
          : this.#range(slot, meta, id);
      if (frame.forks !== undefined && !isThenable(value)) joinLeft(this, frame);
    } catch (error) {
      failed = true;
      value = error;
      abandonLeft(this, frame);
    }
    const run = this.#run as TaskRun | undefined;
    this.running = outerFrame;
    this.activeOwner.leave(outerOwner);
    this.#run = outerRun;
    this.#backToClass(outerBits);
    this.#trace?.add(TRACE_TASK, id, start, this.clock.now());
    if (!failed && isThenable(value)) {
      this.#becomeAsync(frame, id, value, run);
      return;
    }
    if (frame.owner !== 0) this.locks.endTask(frame);
    if (failed) this.#fail(slot, value, run);
    else this.#succeed(slot, value, run);
  }

  #range(slot: number, meta: number, id: number): undefined {
    runRange(this, this.#functions[id]!, id, this.codec.readArguments(slot, meta));
  }

  #enterClass(meta: number): void {
    const bits = meta & (META_CLASS_MASK << META_CLASS_SHIFT);
    if (bits === this.classBits) return;
    this.classBits = bits;
    this.deque = this.kernel.calls.dequeOf(this.lane, bits >>> META_CLASS_SHIFT, 0);
  }

  /** A task ended: what comes next forks for the task below it, which may be of another class, or for nobody (-1). */
  #backToClass(bits: number): void {
    if (bits >= 0) this.#enterClass(bits);
    else this.classBits = -1;
  }

  #executeAsync(slot: number, meta: number, id: number, args: readonly unknown[] | undefined): void {
    const run = new TaskRun(slot, this.#names[id]!);
    const outerFrame = this.running;
    const outerRun = this.#run;
    const outerBits = this.classBits;
    const outerOwner = this.activeOwner.enter(0);
    this.running = run;
    this.#run = run;
    this.#enterClass(meta);
    const fn = this.#functions[id]!;
    const begin = (): unknown => {
      if ((meta & META_RANGE_BIT) !== 0)
        return runRange(this, fn, id, args ?? this.codec.readArguments(slot, meta));
      return args === undefined ? this.codec.invoke(fn, slot, meta) : fn(...args);
    };
    const start = this.#trace === undefined ? 0 : this.clock.now();
    let value: unknown;
    let failed = false;
    try {
      value = this.platform.asyncStore === undefined ? begin() : this.platform.asyncStore.run(run, begin);
      if (!isThenable(value) && run.forks !== undefined) joinLeft(this, run);
    } catch (error) {
      failed = true;
      value = error;
      abandonLeft(this, run);
    }
    this.running = outerFrame;
    this.activeOwner.leave(outerOwner);
    this.#run = outerRun;
    this.#backToClass(outerBits);
    if (!failed && isThenable(value)) {
      this.#modes[id] = ASYNC;
      this.#follow(run, value, id, start);
      return;
    }
    if (run.owner !== 0) this.locks.endTask(run);
    if (failed) {
      this.#fail(slot, value, run);
    } else {
      if (this.#modes[id] === UNKNOWN && args === undefined) this.#modes[id] = SYNC;
      this.#succeed(slot, value, run);
    }
    this.#trace?.add(TRACE_TASK, id, start, this.clock.now());
  }

  /** A task that was taken for a plain function returned a promise: from now on it runs with a context that follows it. */
  #becomeAsync(frame: Forker, id: number, value: PromiseLike<unknown>, made: TaskRun | undefined): void {
    this.#modes[id] = ASYNC;
    const run = made ?? new TaskRun(frame.slot, this.#names[id]!);
    handOver(frame, run);
    run.loose = true;
    if (frame.owner !== 0) this.locks.moveOwner(frame, run);
    this.#follow(run, value, id, this.#trace === undefined ? 0 : this.clock.now());
  }

  #follow(run: TaskRun, value: PromiseLike<unknown>, id: number, start: number): void {
    this.#async.add(run);
    this.#markAsync(run.slot);
    const conclude = (failed: boolean, result: unknown): void => {
      this.#trace?.add(TRACE_TASK, id, start, this.clock.now());
      if (failed) this.#fail(run.slot, result, run);
      else this.#succeed(run.slot, result, run);
      this.#wake?.();
    };
    const succeed = (result: unknown): void => {
      if (run.owner !== 0) this.locks.endTask(run);
      if (run.done) return;
      this.#async.delete(run);
      conclude(false, result);
    };
    const fail = (error: unknown): void => {
      if (run.owner !== 0) this.locks.endTask(run);
      if (!run.done) this.#abandon(run, () => conclude(true, error));
    };
    // A thenable may be a fork, which looks for its task when it is asked.
    const store = this.platform.asyncStore;
    const settled =
      store === undefined ? Promise.resolve(value) : store.run(run, () => Promise.resolve(value));
    settled.then((result) => {
      if (run.forks === undefined || run.done) {
        succeed(result);
        return;
      }
      // What is run here runs as part of the task.
      const left = store === undefined ? awaitLeft(this, run) : store.run(run, () => awaitLeft(this, run));
      left.then(() => succeed(result), fail);
    }, fail);
  }

  /** Ends an async task that failed or was given up, whose locks were seen to. Its outcome goes home when no other worker runs any of its forks. */
  #abandon(run: TaskRun, conclude: () => void): void {
    run.done = true;
    this.#async.delete(run);
    const forks = dropLeft(this, run);
    if (forks.length === 0) {
      conclude();
      return;
    }
    this.#endings.add({ forks, conclude });
    // It counts no longer: there may be room for another task.
    this.#wake?.();
  }

  /**
   * Says in the slot of a fork that its outcome comes later than its call: join() refuses such a fork, wherever it runs. At once, because the
   * thread that joins may be the one whose event loop the fork needs.
   */
  #markAsync(slot: number): void {
    const { i32, calls } = this.kernel;
    const meta = i32[(slot + SLOT_META) >>> 2]!;
    if ((meta & META_FORK_BIT) === 0) return;
    Atomics.store(i32, (slot + SLOT_META) >>> 2, meta | META_ASYNC_BIT);
    calls.unparkIfParked(i32[(i32[(slot + SLOT_OWNER) >>> 2]! + LANE_AGENT) >>> 2]!);
  }

  #isAsync(slot: number): boolean {
    return (Atomics.load(this.kernel.i32, (slot + SLOT_META) >>> 2) & META_ASYNC_BIT) !== 0;
  }

  #succeed(slot: number, value: unknown, run: TaskRun | undefined): void {
    if (run !== undefined) run.done = true;
    let written: number;
    try {
      written = this.codec.writeResult(slot, value);
      // A fork's result is copied, marked or not.
      if (written === NEEDS_PORT && isMoved(value) && this.#isFork(slot))
        written = this.codec.writeResult(slot, value.value);
    } catch (error) {
      this.#fail(slot, error, run);
      return;
    }
    if (written !== WRITTEN) {
      try {
        this.#postValue(slot, value, written);
      } catch (error) {
        this.#fail(slot, error, run);
        return;
      }
    }
    this.#completed++;
    this.kernel.calls.finish(slot, SLOT_DONE);
  }

  #fail(slot: number, error: unknown, run: TaskRun | undefined): void {
    if (run !== undefined) run.done = true;
    this.#failed++;
    const plain = describeError(error);
    try {
      const written = this.codec.writeResult(slot, plain);
      if (written !== WRITTEN) this.#postValue(slot, plain, written);
    } catch {
      // What describeError() returns can be copied, so it found no room; a fork's error cannot go by port instead.
      this.codec.writeResult(slot, UNTOLD_NO_MEMORY);
    }
    this.kernel.calls.finish(slot, SLOT_FAILED);
  }

  #isFork(slot: number): boolean {
    return (this.kernel.i32[(slot + SLOT_META) >>> 2]! & META_FORK_BIT) !== 0;
  }

  /** Posts what shared memory cannot carry; the slot is concluded after it. */
  #postValue(slot: number, value: unknown, why: number): void {
    if (this.#isFork(slot)) {
      throw why === NEEDS_PORT
        ? new DataCloneFailure('result', 'a value that only a message port can carry, and forks have none')
        : new MemoryFullError('cannot return the result of a fork: the shared memory is full');
    }
    const plain = unmoved(value);
    const transfer = isMoved(value) ? value.transfer : [];
    try {
      this.port.post({ kind: 'value', slot, turn: turnOf(this.kernel, slot), value: plain }, transfer);
    } catch (cause) {
      const found = findRefused(plain, 'result', transfer);
      if (found !== undefined) throw found;
      throw new DataCloneFailure('result', cause instanceof Error ? cause.message : String(cause), { cause });
    }
    this.kernel.i32[(slot + SLOT_TAGS) >>> 2] = TAG_PORT;
  }

  /** A cancelled async task that did not stop: its slot goes home, what it still does is nobody's. */
  #giveUp(run: TaskRun): void {
    if (run.owner !== 0) this.locks.outliveTask(run);
    this.#abandon(run, () => {
      this.#failed++;
      // The call has been settled; a fork may still be awaited by a task that goes on.
      const isFork = this.#isFork(run.slot);
      const why = new TaskAbortedError(`task '${run.name}' was aborted`, { resource: run.name });
      if (!isFork || this.codec.writeResult(run.slot, describeError(why)) !== WRITTEN)
        this.codec.writeResult(run.slot, UNTOLD_NO_MEMORY);
      this.kernel.calls.finish(run.slot, SLOT_FAILED);
    });
  }

  // ---- arguments by port ---------------------------------------------------------------------------------------------------------------------

  #fetchArguments(slot: number, meta: number): void {
    // Counts as an async task, so that the worker does not claim more of these than it may run.
    const run = new TaskRun(slot, this.#names[meta & META_FUNCTION_MASK]!);
    this.#async.add(run);
    const turn = turnOf(this.kernel, slot);
    this.#wantedArguments.set(slot, { run, meta, turn });
    this.port.post({ kind: 'want', slot, turn }, []);
  }

  #receive(message: ToWorker): void {
    const wanted = this.#wantedArguments.get(message.slot);
    // The answer to a call that was given up, whose slot stands for another now.
    if (wanted === undefined || wanted.turn !== message.turn) return;
    this.#wantedArguments.delete(message.slot);
    const { run, meta } = wanted;
    if (run.done) return;
    if (message.kind === 'arguments') {
      this.#async.delete(run);
      this.#executeAsync(message.slot, meta, meta & META_FUNCTION_MASK, message.args);
    } else {
      this.#giveUp(run);
    }
    this.#flushCounters();
    this.#wake?.();
  }

  // ---- what tasks call -----------------------------------------------------------------------------------------------------------------------------

  /**
   * The task that calls.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT outside a task.
   */
  frame(caller: string): Forker {
    const frame = this.running ?? this.asyncRun();
    if (frame === undefined) {
      throw new InvalidTypeError(`${caller}() was called outside a task; it works only while a task runs`);
    }
    if (this.running === undefined) this.#reenter(frame as TaskRun, caller);
    return frame;
  }

  /** The rest of an async task calls: it must still be wanted, and its forks go to the deque of its class. */
  #reenter(run: TaskRun, caller: string): void {
    if (run.done && caller !== 'aborted') {
      throw new InvalidTypeError(
        `${caller}() was called by task '${run.name}' after it had ended or was given up`,
      );
    }
    if (!run.done) this.#enterClass(this.kernel.i32[(run.slot + SLOT_META) >>> 2]!);
  }

  /** The task whose async code calls. */
  asyncRun(): TaskRun | undefined {
    return (this.platform.asyncStore?.get() as TaskRun | undefined) ?? this.#onlyAsync();
  }

  /** Name of a task by its number. */
  nameOf(id: number): string | undefined {
    return this.#names[id];
  }

  /** Where no store follows a task's async code, the one async task under way is the one that calls. */
  #onlyAsync(): TaskRun | undefined {
    if (this.#async.size !== 1) return undefined;
    for (const run of this.#async) if (run.loose || this.platform.asyncStore === undefined) return run;
    return undefined;
  }

  /** The run of the task that calls, made now if it is a plain one. */
  currentRun(caller: string): TaskRun {
    const frame = this.frame(caller);
    if (frame instanceof TaskRun) return frame;
    if (this.#run === undefined) {
      const id = this.kernel.i32[(frame.slot + SLOT_META) >>> 2]! & META_FUNCTION_MASK;
      this.#run = new TaskRun(frame.slot, this.#names[id]!);
    }
    return this.#run;
  }

  /** Was the calling task cancelled? One load, or one for each fork above it. */
  isCancelled(): boolean {
    const frame = this.frame('aborted');
    return (frame instanceof TaskRun && frame.done) || cancelWord(this.kernel, frame.slot) !== 0;
  }

  /** A turn of the event loop. */
  yieldNow(): Promise<void> {
    this.frame('yieldNow');
    return new Promise((resolve) => this.platform.turn(resolve));
  }

  /** Waits for a fork without blocking the thread. */
  awaitFork(fork: Fork): Promise<unknown> {
    fork.promise ??= this.#concludeFork(fork).finally(() => unlink(fork));
    return fork.promise;
  }

  async #concludeFork(fork: Fork): Promise<unknown> {
    if (fork.isSettled) return fork.outcome();
    if (!beginAwait(this, fork)) {
      const stopWait = this.locks.awaitsTask(fork.slot);
      await new Promise<void>((resolve) => {
        this.#awaitedForks.set(fork, resolve);
        this.#wake?.();
      });
      stopWait?.();
      if (fork.isSettled) return fork.outcome();
    }
    return runAwaited(fork);
  }

  /**
   * Blocks in a join until another worker has concluded the fork, running own and stolen forks meanwhile. 'ours': the fork came back to
   * this worker; 'lost': its thief died before it had claimed it; the caller runs it in both cases. 'async': it runs as an async task, for
   * which nobody may block, unless `dropper` is the slot of the task that forked it and has told it to stop.
   */
  helpUntilConcluded(slot: number, dropper = 0): 'concluded' | 'ours' | 'lost' | 'async' {
    const { calls } = this.kernel;
    let spinUntil = 0;
    for (;;) {
      const status = calls.statusOf(slot);
      if (status >= SLOT_DONE) {
        calls.leaveJoin(this.agent);
        return status === SLOT_LOST ? 'lost' : 'concluded';
      }
      if (status === SLOT_RUNNING && this.#isAsync(slot)) {
        if (dropper === 0) {
          calls.leaveJoin(this.agent);
          return 'async';
        }
        // It may run here, and end only when it is told.
        if (this.#lookAroundInJoin(dropper)) continue;
      }
      const other = this.locks.areHeld
        ? calls.helpOwn(this.agent, this.running?.slot ?? 0)
        : calls.help(this.agent);
      if (other === slot) return 'ours';
      if (other !== 0 && this.#trace !== undefined) this.#traceSteal(other);
      if (other !== 0) {
        this.#executeNested(other);
        spinUntil = 0;
        continue;
      }
      const now = this.clock.now();
      if (spinUntil === 0) spinUntil = now + (this.maySpin ? SPIN_MOST_MS : 0);
      if (now < spinUntil) continue;
      // What was cancelled in this thread's event loop, which this join blocks, is not to wait for the join: in the end the join may wait for it.
      if (this.#async.size > 0 && this.#lookAroundInJoin(dropper)) continue;
      this.#sleepInJoin(slot, dropper !== 0);
      spinUntil = 0;
    }
  }

  /** As in the event loop's turn, on top of a task that blocks: what is told here is told outside of any task. */
  #lookAroundInJoin(blocked: number): boolean {
    const frame = this.running;
    const run = this.#run;
    const outerOwner = this.activeOwner.enter(0);
    this.running = undefined;
    this.#run = undefined;
    try {
      return this.#apart(() => this.#lookAround(blocked));
    } finally {
      this.running = frame;
      this.activeOwner.leave(outerOwner);
      this.#run = run;
    }
  }

  /** Runs what stands on top of a task that blocks, and is no part of it: neither its context of locks nor its async code goes on in there. */
  #apart<R>(fn: () => R): R {
    const store = this.platform.asyncStore;
    return this.locks.outside(store === undefined ? fn : () => store.run(undefined, fn));
  }

  /** Runs a task on top of a join. Only an overflowing stack makes that throw; the task then fails rather than stay claimed for ever. */
  #executeNested(slot: number): void {
    try {
      if (this.locks.isInContext || this.platform.asyncStore?.get() !== undefined) {
        this.#executeApart(slot);
      } else {
        this.execute(slot);
      }
    } catch {
      if (this.kernel.calls.statusOf(slot) >= SLOT_DONE) return;
      this.codec.writeResult(slot, UNTOLD_NO_STACK);
      this.kernel.calls.finish(slot, SLOT_FAILED);
    }
  }

  #executeApart(slot: number): void {
    this.#apart(() => this.execute(slot));
  }

  #sleepInJoin(slot: number, dropped: boolean): void {
    const { calls } = this.kernel;
    // Who holds a lock takes nobody's forks, so nobody need wake it for one.
    const helps = !this.locks.areHeld;
    if (helps && calls.enterJoin(this.agent) !== 0) return;
    this.locks.takeBackGranted();
    const stopWait = this.locks.joinsTask(slot);
    this.locks.standAside();
    if (calls.preparePark(this.agent) !== 0) {
      // The park is announced: whoever concludes the fork from now on, or goes on with it as an async task, unparks us.
      if (calls.statusOf(slot) < SLOT_DONE && (dropped || !this.#isAsync(slot))) {
        calls.addCounter(this.agent + COUNTER_PARKS, 1);
        calls.block(this.agent, -1);
      }
    }
    calls.finishPark(this.agent);
    stopWait?.();
    if (helps) calls.exitJoin(this.agent);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}
