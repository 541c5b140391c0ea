import type { Histogram } from '../kernel/histogram.ts';
import type { ResourceLimitsOption } from '../platform/port.ts';
import type { NUMAAffinitySpec } from '../policy/types.ts';
import type { QoSLevel } from '../qos.ts';
import type { PinResult } from '../systems/types.ts';

/** A module of tasks whose types are not known. */
export type AnyTasks = Record<string, (...args: any[]) => any>;

/** Names of the tasks in a module: its exported functions. */
export type TaskName<M> = {
  [K in keyof M]: M[K] extends (...args: any[]) => any ? K : never;
}[keyof M] &
  string;

/** Arguments of a task. */
export type TaskArguments<M, K extends keyof M> = M[K] extends (...args: infer A) => any ? A : never;

/** Names of the tasks that `map` can run: those that one argument is enough for. */
export type MapTaskName<M> = {
  [K in keyof M]: M[K] extends (item: any) => any ? K : never;
}[keyof M] &
  string;

/** Names of the tasks that `range` can run: those that begin with two numbers. */
export type RangeTaskName<M> = {
  [K in keyof M]: M[K] extends (start: number, end: number, ...args: any[]) => any
    ? Required<TaskArguments<M, K>>['length'] extends 0 | 1
      ? never
      : K
    : never;
}[keyof M] &
  string;

/** Arguments of a task of `range` beyond the two numbers. */
export type RangeArguments<M, K extends keyof M> = M[K] extends (
  start: number,
  end: number,
  ...args: infer A
) => any
  ? A
  : never;

/** How a call goes on after what it names: the arguments may be left out only where the task needs none. */
export type CallArguments<A extends readonly unknown[]> = [] extends A
  ? [args?: Readonly<A> | undefined, options?: RunOptions | undefined]
  : [args: Readonly<A>, options?: RunOptions | undefined];

/** What a task's promise resolves with. */
export type TaskResult<M, K extends keyof M> = M[K] extends (...args: any[]) => infer R ? Awaited<R> : never;

/** What applies to one call; all optional. */
export interface RunOptions {
  /** Cancels the task: dropped at once while it is queued, told (`aborted()`, `signal()`) while it runs. */
  readonly signal?: AbortSignal;
  /** Rejects with ERR_TASK_TIMEOUT after so many milliseconds from now, queueing included, and cancels as `signal` does. Default: none. */
  readonly timeoutMs?: number;
  /** QoS class. Default: the pool's. */
  readonly qos?: QoSLevel;
  /**
   * NUMA node that the task belongs to: workers there take it first, others as the pool's `numa` option allows. Default: none, any worker takes it. Of no
   * effect in a pool whose workers are not placed.
   */
  readonly numaNode?: number;
  /** Objects in the arguments to transfer rather than copy; they are detached here. A stream must be an argument itself. */
  readonly transferList?: readonly Transferable[];
  /** May run more than once: the pool's `retry` policy applies to it. Default false. */
  readonly idempotent?: boolean;
  /** May run in a pool of another runtime that helps this one: see docs/numa.md. Default false. */
  readonly shareable?: boolean;
  /** Terminates the worker when the task still runs so many milliseconds after it was cancelled. Default: the pool's; without one, only when the pool closes. */
  readonly abortGraceMs?: number;
}

/** Options of `pool.map`. */
export interface MapOptions {
  /** Yield results in the order of the inputs. Default true. */
  readonly ordered?: boolean;
  /** Most inputs taken and not yet yielded. Default: 4 for each call that can run at once (threads times `concurrentTasksPerWorker`), at least 16. */
  readonly concurrency?: number;
  /** Yield `{ status, ... }` records rather than fail on the first failure. Default false. */
  readonly settle?: boolean;
  /** Ends the iteration with an AbortError; cancels what is under way and closes the source at once, whether or not an item is being waited for. */
  readonly signal?: AbortSignal;
  /** Limit of each task, as in {@link RunOptions}. */
  readonly timeoutMs?: number;
  readonly qos?: QoSLevel;
  readonly idempotent?: boolean;
  readonly abortGraceMs?: number;
}

/** What `pool.map` yields with `settle: true`. */
export type Settled<I, R> =
  | { readonly index: number; readonly input: I; readonly status: 'fulfilled'; readonly value: R }
  | { readonly index: number; readonly input: I; readonly status: 'rejected'; readonly reason: unknown };

/** The half-open interval of `pool.range`. */
export interface RangeBounds {
  readonly from: number;
  readonly to: number;
  /** Most iterations that one call of the task gets, and the least that is split off. Default: about 64 pieces a thread. */
  readonly grain?: number;
}

/** When a failed task marked `idempotent` is run again. */
export interface RetryOptions {
  /** Most runs of one task, the first included. */
  readonly attempts: number;
  /** Wait before the second run, in milliseconds; doubled for each further one. Default 0. */
  readonly backoffMs?: number;
  /** The wait varies by up to so many percent at random. Default 0. */
  readonly jitterPercent?: number;
}

/** A call, as plain data. */
export interface Runnable<N extends string = string> {
  readonly name: N;
  readonly args?: readonly unknown[];
}

/** A call of a task of a module, as plain data: the arguments may be left out only where the task needs none. */
export type TaskRunnable<M> = {
  [K in TaskName<M>]: [] extends TaskArguments<M, K>
    ? { readonly name: K; readonly args?: Readonly<TaskArguments<M, K>> }
    : { readonly name: K; readonly args: Readonly<TaskArguments<M, K>> };
}[TaskName<M>];

/** Options of a pool. */
export interface PoolOptions {
  /** The module whose exported functions are the tasks: a URL, a `file:` or `http:` string, or an absolute path. */
  readonly tasks: URL | string;
  /** Name for errors, metrics and thread names. Default 'pool'. */
  readonly name?: string;
  /** Workers that always stand ready, at least 0. Default 1. */
  readonly minThreads?: number;
  /** Most workers, at most 64. Default: as many as affinity, cpuset and cpu quota let run at once. */
  readonly maxThreads?: number;
  /** Milliseconds after which an idle worker above `minThreads` ends. Default 5000; Infinity: never. */
  readonly idleTimeout?: number;
  /** Most tasks accepted beyond those that can run; one more is rejected with ERR_QUEUE_FULL. Default Infinity. */
  readonly maxQueue?: number;
  /**
   * Queue length at which `needsDrain` is emitted; `drain` follows at half of it. One above `maxQueue` counts as `maxQueue`. Default:
   * `maxQueue`, at most 16384.
   */
  readonly highWaterMark?: number;
  /** Async tasks that one worker has under way at once. Default 1. */
  readonly concurrentTasksPerWorker?: number;
  /**
   * Places workers on NUMA nodes: each stands on a node, pinned to its CPUs where the host can, takes what belongs near before what belongs far, and
   * nothing beyond `allowedDistance`. `true`: all nodes, any distance. Default: the policy in force if it says something of nodes, else workers are
   * not placed. Changed while the pool runs, by `setConfig` or a policy, each worker ends when it comes to rest and another starts in its place. On a machine of one node there is nothing to place, and it costs nothing.
   */
  readonly numa?: NUMAAffinitySpec | boolean;
  /** Gives the threads the priority of the pool's QoS class (docs/numa.md), where the host can, also when the class is changed. Default false. */
  readonly threadPriority?: boolean;
  /** QoS class of calls that name none. Default: `limits.qosLevel` of the runtime, else 'Burstable'. */
  readonly qos?: QoSLevel;
  /** For tasks marked idempotent. Default: no retry. */
  readonly retry?: RetryOptions;
  /** See {@link RunOptions.abortGraceMs}. Default: a cancelled task is ended by force only when the pool closes. */
  readonly abortGraceMs?: number;
  /** Error classes of yours that come back from a task as themselves (`instanceof` holds), by `name`. */
  readonly errorTypes?: readonly (new (
    ...args: never[]
  ) => Error)[];
  /** Records what workers do, for `pool.trace()`: true, or how many events each worker keeps (default 65536). */
  readonly trace?: boolean | { readonly capacity: number };
  /**
   * Whether the error of a failed task also shows where it was submitted. A stack costs microseconds, so 'sampled' (default) takes one for at
   * most one call each millisecond: every call of a slow stream, some of a fast one.
   */
  readonly submitStacks?: 'always' | 'sampled' | 'never';
  /** Cloned into every worker: `workerData` of node:worker_threads, and `context().workerData`. */
  readonly workerData?: unknown;
  /** V8 limits of each worker, in MiB (Node). Default: V8's, with 16 MiB of stack for deep fork/join. */
  readonly resourceLimits?: ResourceLimitsOption;
  /** As in `new Worker` of node:worker_threads. */
  readonly execArgv?: readonly string[];
  readonly argv?: readonly string[];
  /** As in `new Worker`: an object of strings, or SHARE_ENV. */
  readonly env?: Record<string, string | undefined> | symbol;
  /** What workers print goes to the pool's `stdout` and `stderr` events, not to those of the process; where nobody listens it is dropped (Node). */
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /**
   * Makes the worker thread, for bundlers: `() => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })`, where worker.js is
   * `import 'heddle/worker'`.
   */
  readonly worker?: () => unknown;
}

/** Options of a pool that makes its own runtime. */
export interface StandaloneOptions extends PoolOptions {
  /** Shared memory to reserve: see `RuntimeOptions.memoryBytes`. */
  readonly memoryBytes?: number;
}

/** What `setConfig` may change while the pool runs. */
export type PoolConfig = Pick<
  PoolOptions,
  | 'minThreads'
  | 'maxThreads'
  | 'idleTimeout'
  | 'maxQueue'
  | 'highWaterMark'
  | 'retry'
  | 'abortGraceMs'
  | 'qos'
  | 'numa'
>;

/** What one worker did. */
export interface WorkerMetrics {
  /** Its place in the pool, 0..63. */
  readonly id: number;
  readonly threadId: number;
  /** NUMA node that it stands on; undefined where workers are not placed. */
  readonly numaNode: number | undefined;
  /** What pinning it to that node brought about; undefined where it was not tried. */
  readonly pin: PinResult | undefined;
  readonly state: 'booting' | 'running' | 'searching' | 'parked' | 'idle' | 'awaiting';
  /** Share of its life in which it ran tasks, 0..1. */
  readonly utilization: number;
  /** Milliseconds in which it ran tasks, until now. What an async task does after its first `await` is not among them. */
  readonly busyMs: number;
  readonly completed: number;
  readonly failed: number;
  readonly stealAttempts: number;
  readonly stealSuccesses: number;
  readonly forks: number;
  readonly parks: number;
  readonly wakeups: number;
}

/** What only a worker's own thread knows of itself. */
export interface WorkerDiagnostics {
  readonly threadId: number;
  /** Async tasks under way. */
  readonly asyncTasks: number;
  /** JavaScript heap in use, in bytes; undefined where the host does not tell. */
  readonly heapUsedBytes: number | undefined;
}

/** One read of shared memory; no worker is asked. Counts are since the pool began and include workers that ended. */
export interface PoolMetrics {
  /** Mean share of time in which living workers ran tasks, 0..1. */
  readonly workerUtilization: number;
  /** Tasks in queues now, forks included. */
  readonly queueDepth: number;
  /** The same for each class. */
  readonly queueDepths: Readonly<Record<QoSLevel, number>>;
  /** Looks into another worker's queue that found something, and those that got it. */
  readonly stealAttempts: number;
  readonly stealSuccesses: number;
  /** Tasks ended by signal or timeout. */
  readonly contextCancels: number;
  /** Tasks taken from the queue of another NUMA node. */
  readonly numaCrossings: number;
  /** Calls accepted, and how they ended. */
  readonly submitted: number;
  readonly completed: number;
  readonly failed: number;
  /**
   * Calls that were rejected, accepted or not, by the code of heddle's error or else the name of the error's class. Of classes beyond the first 32 as `_OTHER`.
   */
  readonly rejections: ReadonlyMap<string, number>;
  /** Calls accepted and not settled yet. */
  readonly outstanding: number;
  /** Calls that can run at once when all workers are there. */
  readonly capacity: number;
  /** Forks made inside tasks, and those that another worker took. */
  readonly forks: number;
  readonly forksStolen: number;
  readonly parks: number;
  readonly wakeups: number;
  readonly threads: number;
  readonly workers: readonly WorkerMetrics[];
  /** From submission to start. */
  readonly waitHistogram: Histogram;
  /** From start to end. */
  readonly runHistogram: Histogram;
}

/** One thing that a worker did, in milliseconds since the runtime began. */
export interface TraceEvent {
  /** A task or fork that it ran, a task or fork that it took from another worker's queue (an instant), a sleep. */
  readonly type: 'task' | 'steal' | 'park';
  readonly worker: number;
  readonly name?: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** Why a worker ended. */
export interface WorkerExit {
  readonly id: number;
  readonly threadId: number;
  readonly exitCode: number;
  /** True when the pool wanted it: scaled down, shut down, or a task outlived its grace. */
  readonly expected: boolean;
  readonly error?: unknown;
}

/** What a worker printed. */
export interface WorkerOutput {
  readonly id: number;
  readonly threadId: number;
  readonly chunk: Uint8Array;
}

/** Events of a pool and what their listeners get. */
export interface PoolEvents {
  /** The queue has fallen to half of `highWaterMark` after it had reached it, or the pool has closed. */
  drain: [];
  /** The queue is about to reach `highWaterMark`, or a call was refused as the queue is full. */
  needsDrain: [];
  workerExit: [WorkerExit];
  /** With the option of that name: a piece of what a worker printed. */
  stdout: [WorkerOutput];
  stderr: [WorkerOutput];
  /** A failure that belongs to no promise: of a `submit`, of a timer or late rejection in a worker, of a worker's start. */
  error: [unknown];
}
