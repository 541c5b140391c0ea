import { MAX_NODES, MAX_WORKERS } from '../../build/generated/layout.ts';
import { type PlainError, reviveError } from '../codec/error-codec.ts';
import {
  HeddleError,
  InvalidRangeError,
  InvalidTypeError,
  PoolClosedError,
  QueueFullError,
  TaskAbortedError,
  TaskTimeoutError,
} from '../errors.ts';
import { toHistogram } from '../kernel/histogram.ts';
import { turnOf } from '../kernel/kernel.ts';
import { assertObserver, Observed } from '../locks/observed.ts';
import type { PoolWorkers } from '../locks/space.ts';
import type { LockObserver } from '../locks/types.ts';
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
  positive,
  string,
  strings,
} from '../options.ts';
import type { ResourceLimitsOption } from '../platform/port.ts';
import type { WorkerShare } from '../policy/resource-budget.ts';
import { classOf, QOS_LEVELS, type QoSLevel } from '../qos.ts';
import type { Agent } from '../runtime/agent.ts';
import { instrumenterCheck } from '../systems/check.ts';
import type { ClusterCoordinator, PressureLevel, WorkStealer } from '../systems/cluster.ts';
import { NICENESS } from '../systems/numa/placer.ts';
import type { ConcurrencyInstrumenter } from '../systems/provider.ts';
import type { NUMAPolicy, TopologyHints } from '../systems/types.ts';
import type { FromWorker } from '../worker/messages.ts';
import { Crew } from './crew.ts';
import { Emitter } from './events.ts';
import { LinkedCall } from './linked-call.ts';
import { mapOver } from './map.ts';
import { assertNode, numaCheck, Placement, policyOf } from './placement.ts';
import { PoolChannels } from './pool-channels.ts';
import { PortValues } from './port-values.ts';
import { noteRefused } from './rejections.ts';
import { RetryPolicy } from './retry.ts';
import { SignalHub } from './signals.ts';
import { PoolStealer, type StealerHost } from './stealers.ts';
import { closedError, type SubmissionHost, Submissions } from './submissions.ts';
import type {
  AnyTasks,
  CallArguments,
  MapOptions,
  MapTaskName,
  PoolConfig,
  PoolEvents,
  PoolMetrics,
  PoolOptions,
  RangeArguments,
  RangeBounds,
  RangeTaskName,
  RetryOptions,
  RunOptions,
  Settled,
  StandaloneOptions,
  TaskArguments,
  TaskName,
  TaskResult,
  TaskRunnable,
  TraceEvent,
  WorkerDiagnostics,
} from './types.ts';
import { unstartedError } from './unstarted.ts';

const NO_ARGS: readonly unknown[] = Object.freeze([]);
const ONE_DAY_MS = 2 ** 31 - 1;
/** How long a pool that shuts down waits for cancelled tasks, where nothing says how long. */
const GRACE_MS = 1000;
const GRACE_LEAST_MS = 10;
/** Highest mark of a queue where none was asked for. */
const HIGH_WATER_MOST = 16384;

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

const limitsOfThreadCheck = (value: unknown, what: string): void => {
  object(value, what);
  checkOptions(
    value as ResourceLimitsOption,
    {
      maxOldGenerationSizeMb: positive,
      maxYoungGenerationSizeMb: positive,
      codeRangeSizeMb: positive,
      stackSizeMb: positive,
    },
    what,
  );
};

/** `SHARE_ENV` of node:worker_threads. */
const SHARE_ENV = Symbol.for('nodejs.worker_threads.SHARE_ENV');

const envCheck = (value: unknown, what: string): void => {
  if (value === SHARE_ENV) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidTypeError(`${what} must be an object of strings or SHARE_ENV, not ${describe(value)}`);
  for (const [name, text] of Object.entries(value))
    if (text !== undefined) string(text, `${what}: '${name}'`);
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
  numa: numaCheck,
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
  resourceLimits: limitsOfThreadCheck,
  execArgv: strings,
  argv: strings,
  env: envCheck,
  stdout: boolean,
  stderr: boolean,
  worker: func,
  threadPriority: boolean,
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

/** A pool as a coordinator of its process sees it. */
export interface PoolStanding {
  readonly isOpen: boolean;
  /** Calls beyond those that can run at once. */
  readonly queued: number;
  /** Further calls that could run at once. */
  readonly spare: number;
  /** URL of the task module. */
  readonly module: string;
  /** Of the runtime. */
  readonly memory: WebAssembly.Memory;
}

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
  /** Of a machine with several NUMA nodes, when the pool was opened. */
  readonly #topology: TopologyHints | undefined;
  readonly #hasPriority: boolean;
  /** What the program says of places, and what policies say. */
  #numa: PoolOptions['numa'];
  #asked: NUMAPolicy | undefined;
  #toldOfPriority = false;
  #qosChanges = 0;
  readonly #tasksUrl: string;
  readonly #stealers = new Map<number, PoolStealer>();
  readonly #stealerHost: StealerHost;
  #coordinator: ClusterCoordinator | undefined;
  /** Told when another coordinator takes its place. */
  readonly #onLeft: (() => void)[] = [];
  /** Has it thrown? */
  #isFaultTold = false;
  #pressure: PressureLevel = 'nominal';
  readonly #share: WorkerShare | undefined;
  readonly #channels: PoolChannels;
  readonly #ids = new Map<string, number>();
  readonly #onClosed: (() => void)[] = [];
  #names: readonly string[] = [];
  #state: State = 'open';
  #maxQueue: number;
  /** Undefined: goes by `maxQueue`. */
  #highWaterMark: number | undefined;
  /** Calls that can run at once when all workers are there. */
  #capacity = 0;
  /** Open calls from which on a call must look closer: another worker could help, or calls queue up. */
  #crowdedAt = 0;
  #needsDrain = false;
  #released = false;
  #idle: (() => void)[] = [];
  /** Maps that wait for room in the queue. */
  readonly #roomWaits = new Set<() => void>();
  #closed: Promise<void> | undefined;
  /** The time of a shutdown is up. */
  #force: () => void = () => undefined;
  readonly #stopLimits: (() => void)[] = [];
  #stopGrace: (() => void) | undefined;

  /**
   * Makes a runtime of its own and a pool on it; closing the pool closes both.
   *
   * @throws what `createRuntime` and `runtime.createPool` throw.
   */
  static create<M = AnyTasks>(options: StandaloneOptions): Promise<TaskPool<M>> {
    return createStandalone(options) as Promise<TaskPool<M>>;
  }

  /** @internal Use `runtime.createPool` or {@link TaskPool.create}. */
  constructor(
    agent: Agent,
    epoch: number,
    options: PoolOptions,
    topology?: TopologyHints,
    share?: WorkerShare,
  ) {
    super();
    this.#share = share;
    this.#topology = topology;
    this.#numa = options.numa;
    this.#hasPriority = options.threadPriority === true;
    const placement = placementOf(agent, topology, options.numa, undefined);
    const { kernel, platform } = agent;
    this.name = options.name ?? 'pool';
    this.#agent = agent;
    this.#channels = new PoolChannels(platform, this.name);
    const tasksUrl = platform.moduleUrl(options.tasks);
    this.#tasksUrl = tasksUrl;
    // Room for a placement that may come while it runs.
    const nodes = topology?.nodes.length ?? 0;
    this.#pool = kernel.calls.openPool(nodes > MAX_NODES ? 1 : nodes + 1);
    if (this.#pool === 0)
      throw new HeddleError('ERR_RESOURCE_LIMIT', 'cannot open a pool: the runtime has 32 already');
    placement?.install(kernel, this.#pool, 0);
    const lane = kernel.calls.joinAsSubmitter(agent.address, this.#pool);
    if (lane === 0) {
      kernel.calls.closePool(this.#pool);
      throw new HeddleError('ERR_MEMORY_FULL', 'cannot open a pool: the shared memory is full');
    }
    this.#maxQueue = options.maxQueue ?? Number.POSITIVE_INFINITY;
    this.#highWaterMark = options.highWaterMark;
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
        this.#crew.manQueues();
      },
      assertManned: (queue) => {
        const { maxThreads, placement } = this.#crew;
        if (queue !== 0 && !placement!.isManned(queue, maxThreads))
          throw placement!.unmanned(queue, maxThreads);
      },
      exitOf: (agentId) => this.#crew.exitOf(agentId),
      isEnding: (agentId) => this.#crew.isEnding(agentId),
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
      placement,
      traceCapacity: options.trace === true ? 65536 : options.trace ? options.trace.capacity : 0,
      attach: (agentId, port) => this.#portValues.attach(agentId, port),
      detach: (agentId) =>
        this.#portValues.detach(agentId, (slot) => this.#submissions.claimantOf(slot) === agentId),
      sweep: (agentId) => this.#submissions.sweep(agentId),
      learnTasks: (names) => this.#learnTasks(names),
      onStart: (id, threadId) => this.#channels.workerStarted(id, threadId),
      onExit: (exit) => {
        this.#channels.workerExited(exit);
        this.emit('workerExit', exit);
      },
      onOutput: (stream, output) => this.emit(stream, output),
      onSizeChanged: () => this.#updateCapacity(),
      onStartFailure: (error, fatal) => {
        this.#report(error);
        if (!fatal) return;
        this.#submissions.rejectAll((task) => unstartedError(task, error));
        this.#onSettled();
      },
      onUnmanned: (error) =>
        this.#submissions.rejectUnmanned(
          (queue) => this.#crew.isManned(queue),
          (_queue, task) => unstartedError(task, error),
        ),
      onPlaced: () => this.#rejectUnmanned(),
      onPriorityRefused: (reason) => {
        if (!this.#toldOfPriority) platform.warn(`pool '${this.name}': a thread keeps its priority`, reason);
        this.#toldOfPriority = true;
      },
    });
    this.#setPriority(options.qos);
    this.#stealerHost = {
      takeOut: (id, classes, leaseMs, accepts) =>
        this.#state === 'closed' || this.#crew.agentOf(id) === 0
          ? undefined
          : this.#submissions.takeOut(
              id,
              classes,
              leaseMs,
              accepts,
              (queue) => (queue === 0 ? undefined : topology?.nodes[queue - 1]?.id),
              () => import(/* @vite-ignore */ /* webpackIgnore: true */ tasksUrl),
            ),
      numaNodeOf: (id) => this.#crew.nodeOf(id),
      loadOf: (id) => this.#crew.loadOf(id),
      containerContext: () => agent.systems.getContainerContext(),
      numaPolicy: () =>
        this.#crew.placement?.isBinding === true
          ? this.#crew.placement.policy
          : agent.systems.getNUMAPolicy(),
      clusterCoordinator: () => this.#coordinator ?? agent.systems.getClusterCoordinator(),
    };
    this.#updateCapacity();
    agent.pump.add(this.#submissions);
  }

  /** @internal Starts the first worker. */
  async open(): Promise<void> {
    try {
      await this.#crew.open();
    } catch (error) {
      await this.destroy();
      throw error;
    }
    this.#channels.poolOpened();
  }

  #learnTasks(names: readonly string[]): void {
    this.#names = names;
    for (const [id, name] of names.entries()) this.#ids.set(name, id);
  }

  #updateCapacity(): void {
    this.#capacity = this.#crew.maxThreads * this.#crew.concurrency;
    this.#crowdedAt = Math.min(this.#capacity, this.#crew.crowdedAt);
    this.#tellRoom();
  }

  // ---- calls -----------------------------------------------------------------------------------------------------------------------------

  /**
   * Runs a task. Never throws: every fault rejects. Never blocks.
   *
   * @param name - an exported function of the task module
   * @param rest - the arguments as an array, copied as structured clone does; typed arrays of `rt.alloc` pass by reference; `move(value)` and
   * `transferList` hand over. Then {@link RunOptions}.
   * @returns what the task returned
   *
   * Rejects with what the task threw (class, code, cause and own properties survive; the stack shows both threads), or with
   * ERR_INVALID_ARGUMENT (unknown task or option, a value that cannot be cloned: the message names its path), ERR_QUEUE_FULL, ERR_MEMORY_FULL,
   * ERR_TASK_ABORTED (name 'AbortError', cause `signal.reason`), ERR_TASK_TIMEOUT, ERR_WORKER_EXITED, ERR_POOL_CLOSED.
   */
  run<K extends TaskName<M>>(name: K, ...rest: CallArguments<TaskArguments<M, K>>): Promise<TaskResult<M, K>>;
  run(name: string, args: readonly unknown[] = NO_ARGS, options?: RunOptions): Promise<unknown> {
    const id = this.#ids.get(name);
    if (
      id === undefined ||
      this.#state !== 'open' ||
      options !== undefined ||
      !Array.isArray(args) ||
      this.#channels.wantsCalls
    ) {
      return this.#runChecked(name, args, options, false);
    }
    const { outstanding } = this.#submissions;
    if (outstanding >= this.#crowdedAt && this.#isFull(outstanding))
      return Promise.reject(this.#submissions.rejections.add(this.#queueFull()));
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
      const submit = (): Promise<unknown> => this.#runPlaced(id, args, options ?? {}, range);
      const callPool = this.#channels.wantsCalls
        ? () => this.#channels.call(name, args, options, submit)
        : submit;
      // A task that may run again has another slot then, so it is left out.
      const holder = options?.idempotent === true ? 0 : (this.#agent.locks?.holder() ?? 0);
      return holder === 0 ? callPool() : this.#runHolding(holder, callPool);
    } catch (error) {
      return Promise.reject(this.#submissions.rejections.add(noteRefused(error)));
    }
  }

  /** Into the queue of its node, whose workers may have to be started first. */
  #runPlaced(id: number, args: readonly unknown[], options: RunOptions, range: boolean): Promise<unknown> {
    const { placement } = this.#crew;
    if (options.numaNode === undefined) return this.#submissions.runWith(id, args, options, range);
    if (placement === undefined) {
      assertNode(this.#agent.systems.getNUMACoordinator().nodes(), options.numaNode, 'numaNode');
      return this.#submissions.runWith(id, args, options, range);
    }
    const queue = placement.queueFor(options.numaNode, this.#crew.maxThreads);
    const qos = options.qos ?? placement.classFor(options.numaNode);
    const result = this.#submissions.runWith(
      id,
      args,
      qos === undefined ? options : { ...options, qos },
      range,
      queue,
    );
    this.#crew.man(queue, this.#submissions.outstanding);
    return result;
  }

  #unknownTask(name: unknown): InvalidTypeError {
    return new InvalidTypeError(
      `pool '${this.name}' has no task ${describe(name)}; its module exports ${this.#names.join(', ')}`,
      typeof name === 'string' ? { resource: name } : {},
    );
  }

  /** More calls are open than workers: grow, tell, and say whether the queue is full. */
  #isFull(outstanding: number): boolean {
    const queued = outstanding - this.#capacity;
    if (this.#coordinator !== undefined) this.#tellPressure(queued + 1);
    const isFull = queued >= this.#maxQueue;
    if (!isFull && this.#crew.mayGrow) this.#crew.wantMore();
    if (queued + 1 >= this.#mark && !this.#needsDrain) {
      this.#needsDrain = true;
      this.#channels.queueFilled(true, outstanding);
      this.emit('needsDrain');
    }
    return isFull;
  }

  /** Length of the queue at which a producer should pause: no more than it may hold, so that whoever is refused hears of 'drain'. */
  get #mark(): number {
    return Math.max(1, Math.min(this.#highWaterMark ?? HIGH_WATER_MOST, this.#maxQueue));
  }

  #tellDrained(outstanding: number): void {
    this.#needsDrain = false;
    this.#channels.queueFilled(false, outstanding);
    this.emit('drain');
  }

  /** Would the queue take a call? A pool that is closing has another answer for it. */
  get #hasRoom(): boolean {
    return this.#state !== 'open' || this.#submissions.outstanding - this.#capacity < this.#maxQueue;
  }

  /** Fewer calls are open, or more may be. */
  #tellRoom(): void {
    if (this.#needsDrain) {
      const { outstanding } = this.#submissions;
      const queued = outstanding - this.#capacity;
      if (queued <= this.#mark / 2 && queued < this.#maxQueue) this.#tellDrained(outstanding);
    }
    if (this.#roomWaits.size > 0 && this.#hasRoom) for (const told of this.#roomWaits) told();
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
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT at once for an unknown task or option.
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT at once for an option out of range.
   * @throws {PoolClosedError} ERR_POOL_CLOSED at once.
   */
  submit(runnable: TaskRunnable<M>, options?: RunOptions): void {
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
   * no more than the queue has room for, and none is taken before the consumer makes room. Stopping the iteration cancels what is under way.
   *
   * @returns the results, in the order of the items unless `ordered: false`; with `settle: true` one {@link Settled} record an item, and no
   * failure ends the iteration. Throws what the first failing task threw, what the source threw, or an AbortError.
   */
  map<K extends MapTaskName<M>, I extends TaskArguments<M, K>[0] = TaskArguments<M, K>[0]>(
    name: K,
    source: Iterable<I> | AsyncIterable<I>,
    options: MapOptions & { readonly settle: true },
  ): AsyncIterableIterator<Settled<I, TaskResult<M, K>>>;
  map<K extends MapTaskName<M>, I extends TaskArguments<M, K>[0] = TaskArguments<M, K>[0]>(
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
      hasRoom: () => this.#hasRoom,
      whenRoom: (callback: () => void) => {
        this.#roomWaits.add(callback);
        return () => this.#roomWaits.delete(callback);
      },
    };
    return mapOver(host, source, options) as AsyncIterableIterator<never>;
  }

  /**
   * Runs a task over a range of integers: it is called as `(start, end, ...args)` for pieces of at most `grain` that cover `[from, to)` once. The
   * range is split only where another worker is hungry.
   *
   * @param rest - further arguments as an array, such as arrays of `rt.alloc`; then {@link RunOptions}. An argument that only a message port can carry, such
   * as a SharedArrayBuffer of your own, keeps the range in one worker
   *
   * Resolves when all of it is done; rejects with the first failure, after the pieces that had begun have ended.
   */
  range<K extends RangeTaskName<M>>(
    name: K,
    bounds: RangeBounds,
    ...rest: CallArguments<RangeArguments<M, K>>
  ): Promise<void>;
  async range(
    name: string,
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

  /** Most workers, as it is set now. */
  get maxThreads(): number {
    return this.#crew.maxThreads;
  }

  /** Reads what the workers count in shared memory. Costs microseconds, blocks nobody. */
  metrics(): PoolMetrics {
    const tally = this.#crew.tally();
    const workers = this.#crew.metrics();
    const { submitted, failed, completed, cancelled } = this.#submissions.counts;
    const depths = QOS_LEVELS.map((_, c) =>
      this.#state === 'closed' ? 0 : this.#agent.kernel.calls.queueDepthOf(this.#pool, c),
    );
    return {
      workerUtilization:
        workers.length === 0
          ? 0
          : workers.reduce((sum, worker) => sum + worker.utilization, 0) / workers.length,
      queueDepth: depths.reduce((sum, depth) => sum + depth, 0),
      queueDepths: Object.fromEntries(QOS_LEVELS.map((level, c) => [level, depths[c]!])) as Record<
        QoSLevel,
        number
      >,
      stealAttempts: tally.stealAttempts,
      stealSuccesses: tally.stealSuccesses,
      contextCancels: cancelled,
      numaCrossings: tally.numaCrossings,
      submitted,
      completed,
      failed,
      rejections: this.#submissions.rejections.counts,
      capacity: this.#capacity,
      outstanding: this.#submissions.outstanding,
      forks: tally.forks,
      forksStolen: tally.forksStolen,
      parks: tally.parks,
      wakeups: tally.wakeups,
      threads: workers.length,
      workers,
      waitHistogram: toHistogram(tally.wait, tally.waitMs),
      runHistogram: toHistogram(tally.run, tally.busyMs),
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

  // ---- helping each other ------------------------------------------------------------------------------------------------------------------

  /** The workers, as others steal from them: one for each that runs now. */
  stealers(): readonly WorkStealer[] {
    return this.poolStealers();
  }

  /** @internal The same, for coordinators of this process. */
  poolStealers(): readonly PoolStealer[] {
    return this.#crew.ids().map((id) => {
      let stealer = this.#stealers.get(id);
      if (stealer === undefined) {
        stealer = new PoolStealer(this.#stealerHost, id);
        this.#stealers.set(id, stealer);
      }
      return stealer;
    });
  }

  /**
   * Lets the pool take part in a cluster of pools that help each other: the coordinator may take tasks that are queued here and give this pool those of others.
   * Until then nobody does. The last one that is registered counts: those before let go of the pool.
   *
   * @throws {PoolClosedError} ERR_POOL_CLOSED
   */
  registerClusterCoordinator(coordinator: ClusterCoordinator): void {
    if (typeof coordinator?.registerPool !== 'function')
      throw new InvalidTypeError(
        `registerClusterCoordinator() takes a ClusterCoordinator, not ${describe(coordinator)}`,
      );
    this.#assertOpen('register a coordinator with');
    for (const left of this.#onLeft.splice(0)) left();
    this.#coordinator = coordinator;
    this.#isFaultTold = false;
    this.#pressure = 'nominal';
    coordinator.registerPool(this as never);
  }

  /** @internal Calls back when another coordinator is registered. */
  whenLeft(callback: () => void): void {
    this.#onLeft.push(callback);
  }

  /** @internal What a coordinator of this process needs to know. */
  get standing(): PoolStanding {
    const { outstanding } = this.#submissions;
    return {
      isOpen: this.#state === 'open',
      queued: Math.max(0, outstanding - this.#capacity),
      spare: this.#state === 'open' ? Math.max(0, this.#capacity - outstanding) : 0,
      module: this.#tasksUrl,
      memory: this.#agent.kernel.memory,
    };
  }

  /** Tells the coordinator when it changes how hard the pool is pressed. */
  #tellPressure(queued: number): void {
    const level: PressureLevel = queued <= 0 ? 'nominal' : queued >= this.#mark ? 'critical' : 'serious';
    if (level === this.#pressure) return;
    this.#pressure = level;
    const { platform, systems } = this.#agent;
    try {
      this.#coordinator?.reportPressure(systems.getNUMACoordinator().currentNode(), level);
    } catch (fault) {
      // Of the user's own: its first fault is told, and none holds up a call.
      if (!this.#isFaultTold) platform.warn(`pool '${this.name}': reportPressure()`, fault);
      this.#isFaultTold = true;
    }
  }

  /**
   * Lets an instrumenter measure the pool: `pool.instrument(otelInstrumenter())`. Those of `heddle/metrics/otel` and `heddle/metrics/prometheus` read what workers
   * count in shared memory anyway, when they are asked for metrics, so the pool is not slower for it.
   *
   * @returns what the instrumenter made of the pool; those two: this pool
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no instrumenter.
   */
  instrument(instrumenter: ConcurrencyInstrumenter): TaskPool<M> {
    instrumenterCheck(instrumenter, 'instrument(): the instrumenter');
    return instrumenter.instrumentPool(this as unknown as TaskPool<never>) as unknown as TaskPool<M>;
  }

  /**
   * Lets an observer hear of every call from now on, as {@link LockObserver} says. A pool that has one is slower by microseconds a call; others pay nothing.
   *
   * @returns this pool
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no observer.
   */
  withObserver(observer: LockObserver): this {
    assertObserver(observer);
    this.#channels.observe(new Observed(this.#pool, observer));
    return this;
  }

  // ---- life ----------------------------------------------------------------------------------------------------------------------------------

  /**
   * Resolves when `minThreads` workers take tasks; those that are missing are started, though starts may have failed before.
   *
   * @throws what the start of a worker comes to that is missing, as {@link TaskPool.scale} does.
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
      // Starts may have failed before: what is missing is tried again, and another failure is told here.
      this.#crew.adjust();
      await this.#crew.until(
        () => this.#state !== 'open' || this.#crew.readyCount >= this.#crew.minThreads,
        stop.signal,
      );
      this.#assertOpen('wait for the workers of');
    } finally {
      stopTimer?.();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #assertOpen(action: string): void {
    if (this.#state === 'open') return;
    throw new PoolClosedError(`cannot ${action} pool '${this.name}': it is closed`, { resource: this.name });
  }

  /**
   * Brings the pool to exactly `threads` workers and keeps it there. Resolves when they take tasks; surplus workers finish what they run.
   *
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT outside 1..64.
   * @throws {HeddleError} ERR_RESOURCE_LIMIT beyond the `limits` of the runtime; ERR_POOL_CLOSED, also when the pool closes meanwhile; what the start
   * of a worker comes to.
   */
  async scale(threads: number): Promise<void> {
    this.#assertOpen('scale');
    integer(1, MAX_WORKERS)(threads, 'scale(): threads');
    this.#share?.resize(threads, 'scale()');
    this.#crew.minThreads = threads;
    this.#crew.maxThreads = threads;
    this.#updateCapacity();
    this.#rejectUnmanned();
    this.#crew.adjust();
    await this.#crew.until(() => {
      const { minThreads, maxThreads, readyCount } = this.#crew;
      if (this.#state !== 'open' || minThreads !== threads) return true;
      // There may be more meanwhile.
      return maxThreads === threads ? readyCount === threads : readyCount >= threads;
    });
    this.#assertOpen('wait for the workers of');
  }

  /**
   * Changes what may change while the pool runs.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT; nothing is changed then.
   * @throws {HeddleError} ERR_RESOURCE_LIMIT beyond the `limits` of the runtime; nothing is changed then.
   * @throws {PlacementError} ERR_RESOURCE_LIMIT when `numa` lets workers stand nowhere; nothing is changed then.
   * @throws {PoolClosedError} ERR_POOL_CLOSED after the end of the pool; one that is shutting down may still be changed.
   */
  setConfig(config: Partial<PoolConfig>): void {
    checkOptions(config, CONFIG_CHECKS, 'setConfig()');
    if (this.#state === 'closed') this.#assertOpen('configure');
    const minThreads = config.minThreads ?? this.#crew.minThreads;
    const maxThreads = config.maxThreads ?? Math.max(this.#crew.maxThreads, minThreads);
    if (minThreads > maxThreads) {
      throw new InvalidRangeError(
        `setConfig(): minThreads (${minThreads}) must not exceed maxThreads (${maxThreads})`,
      );
    }
    const { numa = this.#numa } = config;
    const placement = config.numa === undefined ? undefined : this.#wanted(numa, undefined);
    this.#share?.resize(maxThreads, 'setConfig()');
    this.#crew.minThreads = minThreads;
    this.#crew.maxThreads = maxThreads;
    if (config.idleTimeout !== undefined) this.#crew.setIdleTimeout(config.idleTimeout);
    if (config.maxQueue !== undefined) this.#maxQueue = config.maxQueue;
    if (config.highWaterMark !== undefined) this.#highWaterMark = config.highWaterMark;
    if (config.retry !== undefined) this.#retry.options = config.retry;
    if (config.abortGraceMs !== undefined) this.#host.abortGraceMs = config.abortGraceMs;
    if (config.qos !== undefined) {
      this.#host.defaultClass = classOf(config.qos);
      this.#qosChanges++;
      this.#setPriority(config.qos);
    }
    if (config.numa !== undefined) {
      this.#numa = numa;
      this.#asked = undefined;
      this.#place(placement);
    }
    this.#updateCapacity();
    this.#rejectUnmanned();
    this.#crew.adjust();
  }

  /**
   * Where the workers are to stand when the program and the policies say these; undefined: where they stand.
   *
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT for a node that is none.
   * @throws {PlacementError} ERR_RESOURCE_LIMIT when no worker may stand anywhere.
   */
  #wanted(numa: PoolOptions['numa'], asked: NUMAPolicy | undefined): Placement | undefined {
    const topology = this.#topology;
    const placement = placementOf(this.#agent, topology, numa, asked);
    if (topology === undefined) return undefined;
    placement?.assertMovable();
    // Not to be placed any more means to run where the system likes, in a pool that has queues for nodes now.
    const loose = this.#crew.target === undefined ? undefined : new Placement(topology, policyOf({}), false);
    return placement ?? loose;
  }

  #place(placement: Placement | undefined): void {
    if (placement === undefined || this.#state === 'closed' || this.#crew.target?.isSame(placement) === true)
      return;
    this.#crew.place(placement);
  }

  #setPriority(qos: QoSLevel = 'Burstable'): void {
    this.#crew.setNiceness(this.#hasPriority ? NICENESS[qos] : undefined);
  }

  /** After the number of workers was changed: what no worker may run any more fails rather than wait for ever. */
  #rejectUnmanned(): void {
    const { maxThreads, placement } = this.#crew;
    if (placement === undefined) return;
    this.#submissions.rejectUnmanned(
      (queue) => placement.isManned(queue, maxThreads),
      (queue) => placement.unmanned(queue, maxThreads),
    );
  }

  /**
   * Takes no more calls, lets those accepted end, then ends the workers. A task that was cancelled and does not stop is ended with its worker: nobody waits for it.
   * It has its own grace, else the pool's `abortGraceMs`, else a second. Idempotent.
   *
   * @param timeoutMs - after so many milliseconds what is left is rejected with ERR_POOL_CLOSED and the workers are terminated; default:
   * wait for ever. Of several calls the limit that ends first counts.
   */
  async shutdown(timeoutMs: number = Number.POSITIVE_INFINITY): Promise<void> {
    number(0, Number.POSITIVE_INFINITY)(timeoutMs, 'shutdown(): timeoutMs');
    if (this.#state === 'closed') return this.#closed ?? this.destroy();
    if (this.#state === 'open') {
      this.#state = 'closing';
      this.#submissions.close();
      this.#tellRoom();
      this.#closed = this.#finish(
        new Promise((resolve) => {
          this.#force = () => resolve(true);
        }),
      );
    }
    if (timeoutMs <= ONE_DAY_MS) this.#stopLimits.push(this.#agent.platform.timer(this.#force, timeoutMs));
    return this.#closed;
  }

  async #finish(late: Promise<boolean>): Promise<void> {
    const settled = new Promise<boolean>((resolve) => {
      if (this.#submissions.outstanding === 0) resolve(false);
      else this.#idle.push(() => resolve(false));
    });
    let forced = await Promise.race([settled, late]);
    if (!forced) {
      const stopped = this.#crew.stopAll().then(() => false);
      this.#endCancelled();
      forced = await Promise.race([stopped, late]);
    }
    if (forced) await this.#tearDown();
    else this.#release();
  }

  /** No call is open: whatever a worker still runs was cancelled. */
  #endCancelled(): void {
    if (this.#state === 'closed') return;
    const graceMs = Math.max(GRACE_LEAST_MS, this.#host.abortGraceMs ?? GRACE_MS);
    this.#stopGrace = this.#agent.platform.timer(() => {
      if (!this.#submissions.hasGrace) this.#crew.terminateBusy();
      this.#endCancelled();
    }, graceMs);
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
    this.#submissions.close();
    this.#tellRoom();
    this.#submissions.rejectAll(() => closedError(this.name));
    await this.#crew.terminateAll();
    this.#release();
  }

  /** No worker is left and no call is open: gives the pool's memory back. */
  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#state = 'closed';
    this.#stopGrace?.();
    for (const stop of this.#stopLimits.splice(0)) stop();
    this.#share?.release();
    this.#submissions.drain();
    this.#submissions.abandon();
    this.#agent.pump.remove(this.#submissions);
    this.#crew.release();
    this.#portValues.close();
    this.#host.signals.close();
    this.#agent.kernel.calls.closePool(this.#pool);
    for (const idle of this.#idle.splice(0)) idle();
    // Who waits for it would wait for ever.
    if (this.#needsDrain) this.#tellDrained(0);
    this.#channels.poolClosed();
    for (const closed of this.#onClosed) closed();
  }

  /** @internal When a failed call of an idempotent task runs again; undefined: never. */
  get retry(): RetryOptions | undefined {
    return this.#retry.options;
  }

  /** @internal */
  set retry(options: RetryOptions | undefined) {
    this.#retry.options = options;
  }

  /** @internal Where policies want the workers; undefined: none says so. */
  get affinity(): NUMAPolicy | undefined {
    return this.#asked;
  }

  /** @internal Throws as {@link TaskPool.setConfig} does. */
  set affinity(asked: NUMAPolicy | undefined) {
    const placement = this.#wanted(this.#numa, asked);
    this.#asked = asked;
    this.#place(placement);
  }

  /** @internal Throws as setting {@link TaskPool.affinity} would. */
  assertMovable(asked: NUMAPolicy): void {
    this.#wanted(this.#numa, asked);
  }

  /** @internal Class of calls that name none. */
  get qos(): QoSLevel {
    return QOS_LEVELS.find((level) => classOf(level) === this.#host.defaultClass)!;
  }

  /** @internal How often that was set, also to what it was. */
  get qosChanges(): number {
    return this.#qosChanges;
  }

  /** @internal Recovers workers that have ended and whose end this thread was not told, as it blocks. */
  recoverEnded(): void {
    this.#crew.recoverEnded();
  }

  /** @internal Its workers, when there are as many as there may be, and all take tasks. */
  get allWorkers(): PoolWorkers | undefined {
    return this.#crew.allWorkers;
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
    if (this.#coordinator !== undefined) this.#tellPressure(outstanding - this.#capacity);
    this.#tellRoom();
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
    let isTold = false;
    try {
      isTold = systems.reportConcurrencyError(error, { pool: this.name, ...metadata });
    } catch (fault) {
      // A provider of the user's own: its faults are told, and change nothing.
      platform.warn(`pool '${this.name}': reportConcurrencyError()`, fault);
    }
    if (!this.emit('error', error) && !isTold) platform.warn(`pool '${this.name}'`, error);
  }
}

/** Where the workers of a pool stand, if they are to be placed: `topology` is that of a machine with several nodes. */
function placementOf(
  { systems }: Agent,
  topology: TopologyHints | undefined,
  numa: PoolOptions['numa'],
  asked: NUMAPolicy | undefined,
): Placement | undefined {
  if (topology === undefined) {
    // What the program says of one node may be wrong too. A policy may have been written for others.
    const { preferredNodes } = typeof numa === 'object' ? numa : {};
    for (const node of preferredNodes ?? [])
      assertNode(systems.getNUMACoordinator().nodes(), node, 'preferredNodes');
    return undefined;
  }
  if (asked !== undefined) return new Placement(topology, policyOf(asked));
  if (numa === false) return undefined;
  if (typeof numa === 'object') return new Placement(topology, policyOf(numa));
  const policy = systems.getNUMAPolicy();
  const isSilent = !policy.required && policy.preferredNodes.length === 0 && policy.allowedDistance === 0;
  return numa === undefined && isSilent ? undefined : new Placement(topology, policyOf(policy));
}

/** Of a machine with several NUMA nodes; undefined where there is nothing to place. */
async function topologyOf({ systems }: Agent): Promise<TopologyHints | undefined> {
  if (systems.getNUMACoordinator().nodes().length < 2) return undefined;
  const topology = await systems.getTopologyHints();
  return topology.nodes.length < 2 ? undefined : topology;
}

/** Makes a pool on a runtime's agent, which `open` opens; used by the runtime. */
export async function makeTaskPool<M>(
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
  const { budget, systems } = agent;
  const share = budget?.claim(options.name ?? 'pool', minThreads ?? 0, maxThreads, systems.defaultWorkers());
  const qos = options.qos ?? budget?.limits.qosLevel;
  const limited = {
    ...options,
    ...(qos === undefined ? {} : { qos }),
    ...(share === undefined ? {} : { maxThreads: share.threads }),
  };
  try {
    return new TaskPool<M>(agent, epoch, limited, await topologyOf(agent), share);
  } catch (error) {
    share?.release();
    throw error;
  }
}
