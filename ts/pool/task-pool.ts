import { MAX_WORKERS } from '../../build/generated/layout.ts';
import { type PlainError, reviveError } from '../codec/error-codec.ts';
import {
  HeddleError,
  InvalidRangeError,
  InvalidTypeError,
  QueueFullError,
  TaskAbortedError,
  TaskTimeoutError,
} from '../errors.ts';
import { turnOf } from '../kernel/kernel.ts';
import {
  abortSignal,
  anything,
  array,
  boolean,
  checkOptions,
  describe,
  func,
  integer,
  integerOrInfinity,
  number,
  object,
  oneOf,
  string,
} from '../options.ts';
import { classOf, QOS_LEVELS } from '../qos.ts';
import type { Agent } from '../runtime/agent.ts';
import type { FromWorker } from '../worker/messages.ts';
import { Crew } from './crew.ts';
import { Emitter } from './events.ts';
import { LinkedCall } from './linked-call.ts';
import { mapOver } from './map.ts';
import { toHistogram } from './metrics.ts';
import { PortValues } from './port-values.ts';
import { RetryPolicy } from './retry.ts';
import { SignalHub } from './signals.ts';
import { closedError, type SubmissionHost, Submissions } from './submissions.ts';
import type {
  AnyTasks,
  MapOptions,
  PoolConfig,
  PoolEvents,
  PoolMetrics,
  PoolOptions,
  RangeBounds,
  Runnable,
  RunOptions,
  Settled,
  StandaloneOptions,
  TaskArguments,
  TaskName,
  TaskResult,
  TraceEvent,
  WorkerDiagnostics,
} from './types.ts';

const NO_ARGS: readonly unknown[] = Object.freeze([]);
const ONE_DAY_MS = 2 ** 31 - 1;

const retryCheck = (value: unknown, what: string): void => {
  object(value, what);
  const retry = value as NonNullable<PoolOptions['retry']>;
  checkOptions(
    retry,
    { attempts: integer(1, 1000), backoffMs: number(0, ONE_DAY_MS), jitterPercent: number(0, 100) },
    what,
  );
  if (retry.attempts === undefined)
    throw new InvalidTypeError(`${what} needs attempts, the most runs of one task`);
};

const traceCheck = (value: unknown, what: string): void => {
  if (typeof value === 'boolean') return;
  object(value, what);
  checkOptions(value as { capacity: number }, { capacity: integer(16, 2 ** 24) }, what);
};

const tasksCheck = (value: unknown, what: string): void => {
  if (typeof value === 'string' || (typeof value === 'object' && value !== null)) return;
  throw new InvalidTypeError(`${what} must be a URL or a string, not ${describe(value)}`);
};

const errorTypesCheck = (value: unknown, what: string): void => {
  array(value, what);
  for (const type of value as unknown[]) func(type, `${what}: each entry`);
};

const CONFIG_CHECKS = {
  minThreads: integer(0, MAX_WORKERS),
  maxThreads: integer(1, MAX_WORKERS),
  idleTimeout: number(0, Number.POSITIVE_INFINITY),
  maxQueue: integerOrInfinity(0),
  highWaterMark: integerOrInfinity(1),
  retry: retryCheck,
  abortGraceMs: number(0, ONE_DAY_MS),
  qos: oneOf(...QOS_LEVELS),
};

const POOL_CHECKS = {
  ...CONFIG_CHECKS,
  tasks: tasksCheck,
  name: string,
  concurrentTasksPerWorker: integer(1, 4096),
  errorTypes: errorTypesCheck,
  trace: traceCheck,
  submitStacks: oneOf('always', 'sampled', 'never'),
  workerData: anything,
  resourceLimits: object,
  execArgv: array,
  argv: array,
  env: object,
  stdout: boolean,
  stderr: boolean,
  worker: func,
};

const RUN_CHECKS = {
  signal: abortSignal,
  timeoutMs: number(0, Number.POSITIVE_INFINITY),
  qos: oneOf(...QOS_LEVELS),
  numaNode: integer(0, 1023),
  transferList: array,
  idempotent: boolean,
  shareable: boolean,
  abortGraceMs: number(0, ONE_DAY_MS),
};

const MAP_CHECKS = {
  ordered: boolean,
  concurrency: integer(1, 2 ** 20),
  settle: boolean,
  signal: abortSignal,
  timeoutMs: number(0, Number.POSITIVE_INFINITY),
  qos: oneOf(...QOS_LEVELS),
  idempotent: boolean,
  abortGraceMs: number(0, ONE_DAY_MS),
};

type State = 'open' | 'closing' | 'closed';

let createStandalone: (options: StandaloneOptions) => Promise<unknown>;

/** Tells {@link TaskPool.create} how to make a runtime on this platform: called once by the package's entry. */
export function provideStandalone(create: (options: StandaloneOptions) => Promise<unknown>): void {
  createStandalone = create;
}

/**
 * A pool of worker threads that run the exported functions of one module. Tasks go through queues in shared memory; idle workers steal.
 *
 * Every promise it returns settles, whatever dies.
 */
export class TaskPool<M = AnyTasks> extends Emitter<PoolEvents> implements AsyncDisposable {
  /** For errors, metrics and thread names. */
  readonly name: string;
  readonly #agent: Agent;
  readonly #pool: number;
  readonly #crew: Crew;
  readonly #submissions: Submissions;
  readonly #host: SubmissionHost;
  readonly #portValues: PortValues;
  readonly #retry: RetryPolicy;
  readonly #ids = new Map<string, number>();
  readonly #onClosed: (() => void)[] = [];
  #names: readonly string[] = [];
  #state: State = 'open';
  #maxQueue: number;
  #highWaterMark: number;
  /** Calls that can run at once when all workers are there. */
  #capacity = 0;
  /** Open calls from which on a call must look closer: another worker could help, or calls queue up. */
  #crowdedAt = 0;
  #needsDrain = false;
  #released = false;
  #idle: (() => void)[] = [];
  #closed: Promise<void> | undefined;

  /**
   * Makes a runtime of its own and a pool on it; closing the pool closes both.
   *
   * @throws what `createRuntime` and `runtime.createPool` throw.
   */
  static create<M = AnyTasks>(options: StandaloneOptions): Promise<TaskPool<M>> {
    return createStandalone(options) as Promise<TaskPool<M>>;
  }

  /** @internal Use `runtime.createPool` or {@link TaskPool.create}. */
  constructor(agent: Agent, epoch: number, options: PoolOptions) {
    super();
    const { kernel, platform } = agent;
    this.name = options.name ?? 'pool';
    this.#agent = agent;
    const tasksUrl = platform.moduleUrl(options.tasks);
    this.#pool = kernel.calls.openPool(1);
    if (this.#pool === 0)
      throw new HeddleError('ERR_RESOURCE_LIMIT', 'cannot open a pool: the runtime has 32 already');
    const lane = kernel.calls.joinAsSubmitter(agent.address, this.#pool);
    if (lane === 0) {
      kernel.calls.closePool(this.#pool);
      throw new HeddleError('ERR_MEMORY_FULL', 'cannot open a pool: the shared memory is full');
    }
    this.#maxQueue = options.maxQueue ?? Number.POSITIVE_INFINITY;
    this.#highWaterMark = options.highWaterMark ?? Math.max(1, Math.min(this.#maxQueue, 16384));
    this.#retry = new RetryPolicy(options.retry);
    this.#portValues = new PortValues(
      (slot) => turnOf(this.#agent.kernel, slot),
      (agentId, message) => this.#onReport(agentId, message),
    );
    const pool = this;
    this.#host = {
      agent,
      pool: this.#pool,
      lane,
      poolName: this.name,
      get taskNames() {
        return pool.#names;
      },
      errorTypes: new Map(
        (options.errorTypes ?? []).map((type) => [type.name, type as unknown as ErrorConstructor]),
      ),
      portValues: this.#portValues,
      retry: this.#retry,
      signals: new SignalHub(),
      submitStacks: options.submitStacks ?? 'sampled',
      defaultClass: classOf(options.qos ?? 'Burstable'),
      abortGraceMs: options.abortGraceMs,
      terminateWorker: (agentId) => this.#crew.terminate(agentId),
      runsShortTasks: () => this.#crew.runsShortTasks,
      onSettled: () => this.#onSettled(),
      onQueuedLate: () => {
        if (this.#submissions.outstanding >= this.#crew.crowdedAt) this.#crew.wantMore();
      },
      exitOf: (agentId) => this.#crew.exitOf(agentId),
    };
    this.#submissions = new Submissions(this.#host);
    this.#crew = new Crew({
      agent,
      epoch,
      pool: this.#pool,
      lane,
      name: this.name,
      options,
      tasksUrl,
      traceCapacity: options.trace === true ? 65536 : options.trace ? options.trace.capacity : 0,
      attach: (agentId, port) => this.#portValues.attach(agentId, port),
      detach: (agentId) =>
        this.#portValues.detach(agentId, (slot) => this.#submissions.claimantOf(slot) === agentId),
      sweep: (agentId) => this.#submissions.sweep(agentId),
      learnTasks: (names) => this.#learnTasks(names),
      onExit: (exit) => {
        this.emit('workerExit', exit);
      },
      onSizeChanged: () => this.#updateCapacity(),
      onStartFailure: (error, fatal) => {
        this.#report(error);
        if (!fatal) return;
        this.#submissions.rejectAll(() => error);
        this.#onSettled();
      },
    });
    this.#updateCapacity();
    agent.pump.add(this.#submissions);
  }

  /** @internal Starts the first worker. */
  async open(): Promise<this> {
    try {
      await this.#crew.open();
    } catch (error) {
      await this.destroy();
      throw error;
    }
    return this;
  }

  #learnTasks(names: readonly string[]): void {
    this.#names = names;
    for (const [id, name] of names.entries()) this.#ids.set(name, id);
  }

  #updateCapacity(): void {
    this.#capacity = this.#crew.maxThreads * this.#crew.concurrency;
    this.#crowdedAt = Math.min(this.#capacity, this.#crew.crowdedAt);
  }

  // ---- calls -----------------------------------------------------------------------------------------------------------------------------

  /**
   * Runs a task. Never throws: every fault rejects. Never blocks.
   *
   * @param name - an exported function of the task module
   * @param args - copied as structured clone does; typed arrays of `rt.alloc` pass by reference; `move(value)` and `transferList` hand over
   * @param options - see {@link RunOptions}
   * @returns what the task returned
   *
   * Rejects with what the task threw (class, code, cause and own properties survive; the stack shows both threads), or with
   * ERR_INVALID_ARGUMENT (unknown task or option, a value that cannot be cloned: the message names its path), ERR_QUEUE_FULL, ERR_MEMORY_FULL,
   * ERR_TASK_ABORTED (name 'AbortError', cause `signal.reason`), ERR_TASK_TIMEOUT, ERR_WORKER_EXITED, ERR_POOL_CLOSED.
   */
  run<K extends TaskName<M>>(
    name: K,
    args?: Readonly<TaskArguments<M, K>>,
    options?: RunOptions,
  ): Promise<TaskResult<M, K>>;
  run(name: string, args: readonly unknown[] = NO_ARGS, options?: RunOptions): Promise<unknown> {
    const id = this.#ids.get(name);
    if (id === undefined || this.#state !== 'open' || options !== undefined || !Array.isArray(args)) {
      return this.#runChecked(name, args, options, false);
    }
    const { outstanding } = this.#submissions;
    if (outstanding >= this.#crowdedAt && this.#isFull(outstanding)) return Promise.reject(this.#queueFull());
    const holder = this.#agent.locks?.holder() ?? 0;
    if (holder !== 0) return this.#runHolding(holder, () => this.#submissions.run(id, args));
    return this.#submissions.run(id, args);
  }

  /** A call by an owner that holds locks: when it is awaited, the owner waits for the task. */
  #runHolding(holder: number, run: () => Promise<unknown>): Promise<unknown> {
    this.#submissions.lastSlot = 0;
    const promise = run();
    const slot = this.#submissions.lastSlot;
    if (slot === 0) return promise;
    const call = new LinkedCall(this.#agent.locks!.space, holder, slot);
    this.#submissions.beforeSettling(slot, () => call.end());
    return call.follow(promise);
  }

  #runChecked(
    name: string,
    args: readonly unknown[],
    options: RunOptions | undefined,
    range: boolean,
  ): Promise<unknown> {
    try {
      if (this.#state !== 'open') throw closedError(this.name);
      const id = this.#ids.get(name);
      if (id === undefined) throw this.#unknownTask(name);
      if (!Array.isArray(args))
        throw new InvalidTypeError(`run() takes the arguments as an array, not ${describe(args)}`);
      if (options !== undefined) checkOptions(options, RUN_CHECKS, 'run()');
      const { outstanding } = this.#submissions;
      if (outstanding >= this.#crowdedAt && this.#isFull(outstanding)) throw this.#queueFull();
      const run = (): Promise<unknown> => this.#submissions.runWith(id, args, options ?? {}, range);
      // A task that may run again has another slot then, so it is left out.
      const holder = options?.idempotent === true ? 0 : (this.#agent.locks?.holder() ?? 0);
      return holder === 0 ? run() : this.#runHolding(holder, run);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #unknownTask(name: unknown): InvalidTypeError {
    return new InvalidTypeError(
      `pool '${this.name}' has no task ${describe(name)}; its module exports ${this.#names.join(', ')}`,
      { resource: String(name) },
    );
  }

  /** More calls are open than workers: grow, tell, and say whether the queue is full. */
  #isFull(outstanding: number): boolean {
    const queued = outstanding - this.#capacity;
    if (queued >= this.#maxQueue) return true;
    if (this.#crew.mayGrow) this.#crew.wantMore();
    if (queued >= this.#highWaterMark && !this.#needsDrain) {
      this.#needsDrain = true;
      this.emit('needsDrain');
    }
    return false;
  }

  #queueFull(): QueueFullError {
    return new QueueFullError(
      `pool '${this.name}' has ${this.#submissions.outstanding} open calls: its queue of ${this.#maxQueue} is full; wait for 'drain', or use map()`,
      { resource: this.name },
    );
  }

  /**
   * Runs a task and forgets it. A failure is an `error` event of the pool, and goes to `reportConcurrencyError` of the runtime's systems.
   *
   * @throws {HeddleError} at once for what `run` would reject with before the task is queued.
   */
  submit(runnable: Runnable<TaskName<M>>, options?: RunOptions): void {
    if (typeof runnable !== 'object' || runnable === null) {
      throw new InvalidTypeError(`submit() takes { name, args }, not ${describe(runnable)}`);
    }
    if (this.#state !== 'open') throw closedError(this.name);
    if (!this.#ids.has(runnable.name)) throw this.#unknownTask(runnable.name);
    if (options !== undefined) checkOptions(options, RUN_CHECKS, 'submit()');
    this.#runChecked(runnable.name, runnable.args ?? NO_ARGS, options, false).catch((error) =>
      this.#report(error, { task: runnable.name }),
    );
  }

  /**
   * Runs a task on every item of an iterable, sync or async; each item is the task's only argument. At most `concurrency` items are under way,
   * and none is taken before the consumer makes room. Stopping the iteration cancels what is under way.
   *
   * @returns the results, in the order of the items unless `ordered: false`; with `settle: true` one {@link Settled} record an item, and no
   * failure ends the iteration. Throws what the first failing task threw, what the source threw, or an AbortError.
   */
  map<K extends TaskName<M>, I extends TaskArguments<M, K>[0] = TaskArguments<M, K>[0]>(
    name: K,
    source: Iterable<I> | AsyncIterable<I>,
    options: MapOptions & { readonly settle: true },
  ): AsyncIterableIterator<Settled<I, TaskResult<M, K>>>;
  map<K extends TaskName<M>, I extends TaskArguments<M, K>[0] = TaskArguments<M, K>[0]>(
    name: K,
    source: Iterable<I> | AsyncIterable<I>,
    options?: MapOptions,
  ): AsyncIterableIterator<TaskResult<M, K>>;
  map(
    name: string,
    source: Iterable<unknown> | AsyncIterable<unknown>,
    options: MapOptions = {},
  ): AsyncIterableIterator<never> {
    checkOptions(options, MAP_CHECKS, 'map()');
    if (!this.#ids.has(name)) throw this.#unknownTask(name);
    const host = {
      run: (input: unknown, runOptions: RunOptions | undefined) =>
        this.#runChecked(name, [input], runOptions, false),
      defaultConcurrency: Math.max(16, 4 * this.#capacity),
    };
    return mapOver(host, source, options) as AsyncIterableIterator<never>;
  }

  /**
   * Runs a task over a range of integers: it is called as `(start, end, ...args)` for pieces of at most `grain` that cover `[from, to)` once. The
   * range is split only where another worker is hungry.
   *
   * @param args - further arguments, such as arrays of `rt.alloc`
   *
   * Resolves when all of it is done; rejects with the first failure, after the pieces that had begun have ended.
   */
  async range<K extends TaskName<M>>(
    name: K,
    bounds: RangeBounds,
    args: readonly unknown[] = NO_ARGS,
    options?: RunOptions,
  ): Promise<void> {
    checkOptions(bounds, { from: anything, to: anything, grain: anything }, 'range()');
    if (!Array.isArray(args)) {
      throw new InvalidTypeError(`range() takes further arguments as an array, not ${describe(args)}`);
    }
    const { from, to } = bounds;
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || to < from) {
      throw new InvalidRangeError(
        `range() takes integers from <= to, not ${describe(from)} and ${describe(to)}`,
      );
    }
    const grain = bounds.grain ?? Math.max(1, Math.ceil((to - from) / (64 * this.#crew.maxThreads)));
    if (!Number.isSafeInteger(grain) || grain < 1) {
      throw new InvalidRangeError(`range() takes a grain of 1 or more, not ${describe(grain)}`);
    }
    await this.#runChecked(name, [...args, from, to, grain], options, true);
  }

  // ---- looking -----------------------------------------------------------------------------------------------------------------------------

  /** Names of the tasks, sorted. */
  get tasks(): readonly string[] {
    return this.#names;
  }

  /** Reads what the workers count in shared memory. Costs microseconds, blocks nobody. */
  metrics(): PoolMetrics {
    const tally = this.#crew.tally();
    const workers = this.#crew.metrics();
    const { submitted, failed, completed, cancelled } = this.#submissions.counts;
    return {
      workerUtilization:
        workers.length === 0
          ? 0
          : workers.reduce((sum, worker) => sum + worker.utilization, 0) / workers.length,
      queueDepth: this.#state === 'closed' ? 0 : this.#agent.kernel.calls.queueDepth(this.#pool),
      stealAttempts: tally.stealAttempts,
      stealSuccesses: tally.stealSuccesses,
      contextCancels: cancelled,
      numaCrossings: tally.numaCrossings,
      submitted,
      completed,
      failed,
      outstanding: this.#submissions.outstanding,
      forks: tally.forks,
      forksStolen: tally.forksStolen,
      parks: tally.parks,
      wakeups: tally.wakeups,
      threads: workers.length,
      workers,
      waitHistogram: toHistogram(tally.wait),
      runHistogram: toHistogram(tally.run),
    };
  }

  /** What the workers did, oldest first, as far as their rings reach back. Empty unless the pool was opened with `trace`. */
  trace(): TraceEvent[] {
    return this.#crew.trace();
  }

  /**
   * Asks each worker what only its own thread knows. A worker in the middle of a long task answers after it: for what can be seen without
   * asking there is {@link TaskPool.metrics}.
   */
  diagnostics(): Promise<WorkerDiagnostics[]> {
    return this.#crew.diagnostics();
  }

  // ---- life ----------------------------------------------------------------------------------------------------------------------------------

  /**
   * Resolves when `minThreads` workers take tasks.
   *
   * @throws {HeddleError} ERR_TASK_ABORTED, ERR_TASK_TIMEOUT, or ERR_POOL_CLOSED when the pool closes meanwhile.
   */
  async ready(options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {}): Promise<void> {
    checkOptions(options, { signal: abortSignal, timeoutMs: number(0, ONE_DAY_MS) }, 'ready()');
    const { signal, timeoutMs } = options;
    const stop = new AbortController();
    const onAbort = (): void =>
      stop.abort(new TaskAbortedError('ready() was aborted', { cause: signal?.reason }));
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const stopTimer =
      timeoutMs === undefined
        ? undefined
        : this.#agent.platform.timer(
            () =>
              stop.abort(new TaskTimeoutError(`pool '${this.name}' was not ready within ${timeoutMs} ms`)),
            timeoutMs,
          );
    try {
      if (stop.signal.aborted) throw stop.signal.reason;
      await this.#crew.until(
        () => this.#state !== 'open' || this.#crew.readyCount >= this.#crew.minThreads,
        stop.signal,
      );
      if (this.#state !== 'open') throw closedError(this.name);
    } finally {
      stopTimer?.();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /**
   * Brings the pool to exactly `threads` workers and keeps it there. Resolves when they take tasks; surplus workers finish what they run.
   *
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT outside 1..64.
   */
  async scale(threads: number): Promise<void> {
    if (this.#state !== 'open') throw closedError(this.name);
    integer(1, MAX_WORKERS)(threads, 'scale(): threads');
    this.#crew.minThreads = threads;
    this.#crew.maxThreads = threads;
    this.#updateCapacity();
    this.#crew.adjust();
    await this.#crew.until(
      () => this.#state !== 'open' || this.#crew.minThreads !== threads || this.#crew.readyCount === threads,
    );
  }

  /**
   * Changes what may change while the pool runs.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT; nothing is changed then.
   */
  setConfig(config: Partial<PoolConfig>): void {
    checkOptions(config, CONFIG_CHECKS, 'setConfig()');
    const minThreads = config.minThreads ?? this.#crew.minThreads;
    const maxThreads = config.maxThreads ?? Math.max(this.#crew.maxThreads, minThreads);
    if (minThreads > maxThreads) {
      throw new InvalidRangeError(
        `setConfig(): minThreads (${minThreads}) must not exceed maxThreads (${maxThreads})`,
      );
    }
    this.#crew.minThreads = minThreads;
    this.#crew.maxThreads = maxThreads;
    if (config.idleTimeout !== undefined) this.#crew.setIdleTimeout(config.idleTimeout);
    if (config.maxQueue !== undefined) this.#maxQueue = config.maxQueue;
    if (config.highWaterMark !== undefined) this.#highWaterMark = config.highWaterMark;
    if (config.retry !== undefined) this.#retry.options = config.retry;
    if (config.abortGraceMs !== undefined) this.#host.abortGraceMs = config.abortGraceMs;
    if (config.qos !== undefined) this.#host.defaultClass = classOf(config.qos);
    this.#updateCapacity();
    this.#crew.adjust();
  }

  /**
   * Takes no more calls, lets those accepted end, then ends the workers. Idempotent.
   *
   * @param timeoutMs - after so many milliseconds what is left is rejected with ERR_POOL_CLOSED and the workers are terminated; default:
   * wait for ever
   */
  async shutdown(timeoutMs: number = Number.POSITIVE_INFINITY): Promise<void> {
    number(0, Number.POSITIVE_INFINITY)(timeoutMs, 'shutdown(): timeoutMs');
    if (this.#state !== 'open') return this.#closed ?? this.destroy();
    this.#state = 'closing';
    let stopTimer: (() => void) | undefined;
    const late = new Promise<boolean>((resolve) => {
      if (timeoutMs <= ONE_DAY_MS) stopTimer = this.#agent.platform.timer(() => resolve(true), timeoutMs);
    });
    const settled = new Promise<boolean>((resolve) => {
      if (this.#submissions.outstanding === 0) resolve(false);
      else this.#idle.push(() => resolve(false));
    });
    this.#closed = this.#finish(Promise.race([settled, late]), late, () => stopTimer?.());
    return this.#closed;
  }

  async #finish(settled: Promise<boolean>, late: Promise<boolean>, stopTimer: () => void): Promise<void> {
    let forced = await settled;
    if (!forced) forced = await Promise.race([this.#crew.stopAll().then(() => false), late]);
    stopTimer();
    if (forced) await this.#tearDown();
    else this.#release();
  }

  /**
   * Rejects every open call with ERR_POOL_CLOSED and terminates the workers. Resolves when they are gone. Idempotent.
   */
  destroy(): Promise<void> {
    if (this.#state === 'closed') return this.#closed ?? Promise.resolve();
    this.#closed = this.#tearDown();
    return this.#closed;
  }

  async #tearDown(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#submissions.rejectAll(() => closedError(this.name));
    await this.#crew.terminateAll();
    this.#release();
  }

  /** No worker is left and no call is open: gives the pool's memory back. */
  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#state = 'closed';
    this.#submissions.drain();
    this.#submissions.abandon();
    this.#agent.pump.remove(this.#submissions);
    this.#crew.release();
    this.#portValues.close();
    this.#host.signals.close();
    this.#agent.kernel.calls.closePool(this.#pool);
    for (const idle of this.#idle.splice(0)) idle();
    for (const closed of this.#onClosed) closed();
  }

  /** @internal Address of its record. */
  get address(): number {
    return this.#pool;
  }

  /** @internal */
  whenClosed(callback: () => void): void {
    this.#onClosed.push(callback);
  }

  /** {@link TaskPool.destroy} after what was accepted has ended: `await using pool = …` loses nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  // ---- what comes back -----------------------------------------------------------------------------------------------------------------------

  #onSettled(): void {
    const { outstanding } = this.#submissions;
    if (this.#needsDrain && outstanding - this.#capacity <= this.#highWaterMark / 2) {
      this.#needsDrain = false;
      this.emit('drain');
    }
    if (outstanding === 0 && this.#idle.length > 0) for (const idle of this.#idle.splice(0)) idle();
  }

  #onReport(_agentId: number, message: FromWorker): void {
    if (message.kind === 'locks') this.#agent.locks?.receive(message.message);
    if (message.kind === 'uncaught')
      this.#report(reviveError(message.error as PlainError, this.#host.errorTypes));
  }

  /** Tells of a failure that belongs to no promise. */
  #report(error: unknown, metadata?: Readonly<Record<string, unknown>>): void {
    const { platform, systems } = this.#agent;
    const isTold = systems.reportConcurrencyError(error, { pool: this.name, ...metadata });
    if (!this.emit('error', error) && !isTold) platform.warn(`pool '${this.name}'`, error);
  }
}

/** Opens a pool on a runtime's agent; used by the runtime. */
export async function openTaskPool<M>(
  agent: Agent,
  epoch: number,
  options: PoolOptions,
): Promise<TaskPool<M>> {
  checkOptions(options, POOL_CHECKS, 'createPool()');
  if (options.tasks === undefined)
    throw new InvalidTypeError("createPool() needs the option 'tasks': the URL of the task module");
  const { minThreads, maxThreads } = options;
  if (minThreads !== undefined && maxThreads !== undefined && minThreads > maxThreads) {
    throw new InvalidRangeError(
      `createPool(): minThreads (${minThreads}) must not exceed maxThreads (${maxThreads})`,
    );
  }
  return new TaskPool<M>(agent, epoch, options).open();
}
