import { type Remote, releaseProxy, transfer, wrap } from 'comlink';
import {
  AGENT_ACTIVITY,
  AGENT_BATCH,
  AGENT_BIT,
  AGENT_ID,
  AGENT_PARK,
  AGENT_TICK,
  AGENT_TRACE,
  COUNTER_BORN_MS,
  COUNTER_COMPLETED,
  COUNTER_FAILED,
  KIND_WORKER,
  MAX_WORKERS,
  OWNER_SHARED,
  PARK_PARKED,
  POOL_WORKERS,
  SPAN_SIZE,
  TRACE_CAPACITY,
  WORKER_AWAITING,
  WORKER_BOOTING,
  WORKER_REVOKED,
  WORKER_RUNNING,
} from '../../build/generated/layout.ts';
import { reviveError } from '../codec/error-codec.ts';
import { HeddleError, InvalidTypeError, MemoryFullError, WorkerExitedError } from '../errors.ts';
import type { PoolWorkers } from '../locks/space.ts';
import type { PinRequest, PinResult } from '../platform/pin.ts';
import type { PlatformWorker, ValuePort, WorkerEvents, WorkerThreadOptions } from '../platform/port.ts';
import type { Agent } from '../runtime/agent.ts';
import { isThreadPlacer } from '../systems/numa/placer.ts';
import type { BootReply, WorkerControl } from '../worker/messages.ts';
import { copyTraceRing, readTraceRing, type TraceCopy, traceRingBytes } from '../worker/trace-ring.ts';
import { addAgent, busyMsOf, emptyTally, isRunning, readWorker, type Tally } from './metrics.ts';
import type { Placement } from './placement.ts';
import type {
  PoolOptions,
  TraceEvent,
  WorkerDiagnostics,
  WorkerExit,
  WorkerMetrics,
  WorkerOutput,
} from './types.ts';

/** What the crew asks of its pool. */
export interface CrewHost {
  readonly agent: Agent;
  readonly epoch: number;
  readonly pool: number;
  /** Lane of the pool's own thread, which takes over what a dead worker had queued. */
  readonly lane: number;
  readonly name: string;
  readonly options: PoolOptions;
  readonly tasksUrl: string;
  readonly traceCapacity: number;
  /** Where the first workers stand; undefined: they are not placed. */
  readonly placement: Placement | undefined;
  /** The channel of a new worker; the crew detaches it when the worker is gone. */
  attach(agentId: number, port: ValuePort): void;
  detach(agentId: number): void;
  /** Outcomes of a dead worker that only the submitter can find. */
  sweep(agentId: number): void;
  /** The module is loaded in a first worker: these are its tasks. */
  learnTasks(names: readonly string[]): void;
  onStart(id: number, threadId: number): void;
  onExit(exit: WorkerExit): void;
  onOutput(stream: 'stdout' | 'stderr', output: WorkerOutput): void;
  /** A worker was added or is gone. */
  onSizeChanged(): void;
  /** A worker that was wanted could not start. `fatal`: none can. */
  onStartFailure(error: unknown, fatal: boolean): void;
  /** No worker can be started for tasks that none of those that run may take. */
  onUnmanned(error: unknown): void;
  /** Another placement is in force. */
  onPlaced(): void;
  /** A thread could not be given its priority. */
  onPriorityRefused(reason: string): void;
}

type State = 'booting' | 'ready' | 'stopping';

interface Member {
  readonly id: number;
  /** Where it stands, all its life: by which bank of the kernel's rows, and at which place; undefined: it is not placed. */
  readonly stand: Stand | undefined;
  /** The kernel's id of its thread, once it has booted; 0 where that is not known. */
  kernelThread: number;
  readonly agent: number;
  readonly agentId: number;
  readonly worker: PlatformWorker;
  readonly control: Remote<WorkerControl>;
  readonly ring: number;
  state: State;
  /** The pool wanted it to end. */
  expected: boolean;
  /** It was recovered before its end was told. */
  isRecovered: boolean;
  readonly gone: Promise<void>;
  setGone: () => void;
  /** The thread ended before its answer to the boot message was seen: it had run tasks, or it had not. */
  passBoot: () => void;
  failBoot: (error: unknown) => void;
  /** For the idle timeout: completed tasks at the last look. */
  seen: number;
  /** What pinning brought about, once it has booted. */
  pin: PinResult | undefined;
  /** Takes it out of the NUMA coordinator again. */
  disown: (() => void) | undefined;
}

/** The placement in force, and where in the pool's record it stands. */
interface Standing {
  readonly placement: Placement;
  readonly bank: number;
}

interface Stand extends Standing {
  readonly place: number;
}

/** An agent whose thread is gone, and what the other workers were doing then: recovery.ts says when its memory may be given back. */
interface Zombie {
  readonly agent: number;
  readonly ticks: ReadonlyMap<number, number>;
}

/** Starts that may fail in a row before the pool gives up. */
const START_FAILURES_MOST = 3;
const REAP_AGAIN_MS = 50;
/** A worker in the middle of a long task does not answer; its output is then given up. */
const FLUSH_MOST_MS = 200;
const SHORT_BATCH = 8;
/** How long there must be something queued before another worker is started. */
const GROW_AFTER_MS = 2;
/** The same after a start that failed: where no worker is left, and where others go on. */
const GROW_AGAIN_MS = 50;
const GROW_LATER_MS = 1000;
/** Least time between two looks for workers that do nothing. */
const LOOK_AGAIN_MS = 50;
/** Before a worker is started in place of one that died without having run a task; doubled for each one in a row. */
const REST_MS = 50;
const REST_MOST_MS = 30_000;
/** A worker that has lived as long has died of something else than its start. */
const LONG_LIFE_MS = 60_000;
/** So many deaths in a row are told, once. */
const IDLE_DEATHS_TOLD = 3;

const GONE: PinResult = {
  isPinned: false,
  cpus: [],
  memory: 'default',
  means: 'none',
  reason: 'the thread has ended',
};

/** The worker threads of one pool: starting, stopping, scaling, and burying. */
export class Crew {
  readonly #host: CrewHost;
  readonly #members = new Map<number, Member>();
  readonly #exits = new Map<number, { exitCode: number; threadId: number; error: unknown }>();
  readonly #ended: Tally = emptyTally();
  /** Traces of workers that ended, oldest first, and how many events they have. */
  readonly #endedTraces: TraceCopy[] = [];
  #endedEvents = 0;
  /** Most workers that there were at once. */
  #mostMembers = 0;
  readonly #waiters = new Set<{ check(): void; fail(error: unknown): void }>();
  readonly #keepAlive: { ref(): void; unref(): void };
  #held = 0;
  readonly #stopBeforeExit: () => void;
  /** Looks of all workers when their output was last flushed. */
  #flushedAt = 0;
  #zombies: Zombie[] = [];
  #names: readonly string[] = [];
  #startFailures = 0;
  /** Has the first worker started? */
  #isOpen = false;
  #closing = false;
  #burying = false;
  #growTimer: (() => void) | undefined;
  #idleTimer: (() => void) | undefined;
  #reapTimer: (() => void) | undefined;
  /** Until the next worker is started after one that died without having run a task. */
  #restTimer: (() => void) | undefined;
  /** Such deaths in a row. */
  #idleDeaths = 0;
  #standing: Standing | undefined;
  /** Comes into force when the last worker is gone that stands by the bank that it needs. */
  #next: Placement | undefined;
  #niceness: number | undefined;
  /** What can run at once, by affinity, cpuset and quota: spinning on the only processor takes it from those who would end the wait. */
  readonly #processors: number;
  minThreads: number;
  maxThreads: number;
  idleTimeout: number;
  concurrency: number;

  constructor(host: CrewHost) {
    this.#host = host;
    const { options } = host;
    // Of a provider that is not ours, it may be anything.
    this.#processors = Math.max(1, Math.trunc(host.agent.systems.defaultWorkers()) || 1);
    this.maxThreads =
      options.maxThreads ?? Math.min(MAX_WORKERS, Math.max(this.#processors, options.minThreads ?? 1));
    this.minThreads = options.minThreads ?? Math.min(1, this.maxThreads);
    this.idleTimeout = options.idleTimeout ?? 5000;
    this.concurrency = options.concurrentTasksPerWorker ?? 1;
    this.#standing = host.placement === undefined ? undefined : { placement: host.placement, bank: 0 };
    this.#keepAlive = host.agent.platform.keepAlive();
    this.#stopBeforeExit = host.agent.platform.beforeExit(() => this.#flushOutput());
  }

  get size(): number {
    return this.#members.size;
  }

  get readyCount(): number {
    let count = 0;
    for (const member of this.#members.values()) if (member.state === 'ready') count++;
    return count;
  }

  /** Places of the workers that take tasks, rising. */
  ids(): number[] {
    const ready = [...this.#members.values()].filter(({ state }) => state === 'ready');
    return ready.map(({ id }) => id).sort((a, b) => a - b);
  }

  /** Address of the agent of worker `id`, or 0. */
  agentOf(id: number): number {
    return this.#members.get(id)?.agent ?? 0;
  }

  /** How busy worker `id` has been since it began; undefined when it is gone. */
  loadOf(id: number): { now: number; busyMs: number; isRunning: boolean } | undefined {
    const agent = this.agentOf(id);
    if (agent === 0) return undefined;
    const { kernel, clock } = this.#host.agent;
    const now = clock.now();
    return { now, busyMs: busyMsOf(kernel, agent, now), isRunning: isRunning(kernel, agent) };
  }

  /** The workers, when there are as many as there may be, and all take tasks. */
  get allWorkers(): PoolWorkers | undefined {
    const members = [...this.#members.values()];
    if (this.#closing || members.length === 0 || members.length < this.maxThreads) return undefined;
    if (members.some(({ state, isRecovered }) => state !== 'ready' || isRecovered)) return undefined;
    return { agents: members.map(({ agentId }) => agentId), concurrency: this.concurrency };
  }

  /** Could another worker be started? */
  get mayGrow(): boolean {
    return !this.#closing && this.#members.size < this.maxThreads;
  }

  exitOf(agentId: number): { exitCode: number; threadId: number; error: unknown } | undefined {
    return this.#exits.get(agentId);
  }

  /** Starts the first worker, waits for it, then starts the rest of `minThreads`. */
  async open(): Promise<void> {
    await this.#hold(this.#start());
    this.#isOpen = true;
    for (let i = 1; i < this.minThreads; i++) void this.#startLater();
    this.#watchIdle();
  }

  /**
   * The process is about to exit: what workers have printed since the last time must get out first, as their output passes through this thread.
   */
  #flushOutput(): void {
    const ready = [...this.#members.values()].filter(({ state }) => state === 'ready');
    const ticks = ready.reduce((sum, member) => sum + this.#activityOf(member), 0);
    if (ticks === this.#flushedAt) return;
    this.#flushedAt = ticks;
    const flushed = Promise.all(ready.map(({ control }) => control.flush()));
    const late = new Promise((resolve) =>
      this.#host.agent.platform.timer(() => resolve(undefined), FLUSH_MOST_MS),
    );
    void this.#hold(Promise.race([flushed, late])).catch(() => undefined);
  }

  /** Keeps the process alive while it waits. */
  async #hold<T>(promise: Promise<T>): Promise<T> {
    if (this.#held++ === 0) this.#keepAlive.ref();
    try {
      return await promise;
    } finally {
      if (--this.#held === 0) this.#keepAlive.unref();
    }
  }

  async #startLater(queue = 0): Promise<void> {
    // Who hears of an outcome while a worker is buried may call again. The burial ends with a look at what is wanted, and until then the dead
    // worker's record must not be another's.
    if (this.#burying || !this.#hasPlace(queue)) return;
    try {
      await this.#start(queue);
    } catch (error) {
      this.#startFailures++;
      this.#failWaiting(error);
      if (!this.#closing)
        this.#host.onStartFailure(
          error,
          this.#members.size === 0 && this.#startFailures >= START_FAILURES_MOST,
        );
      this.#tryAgain(error);
    }
  }

  /**
   * Starts a worker. Resolves when it takes tasks.
   *
   * @throws {HeddleError} ERR_RESOURCE_LIMIT, ERR_MEMORY_FULL, ERR_INVALID_ARGUMENT for a module that cannot be loaded, ERR_WORKER_EXITED.
   */
  async #start(queue = 0): Promise<void> {
    const { agent, pool, options, epoch } = this.#host;
    const { kernel, platform } = agent;
    this.#reapZombies();
    const { id, stand } = this.#freePlace(queue);
    const address = kernel.calls.claimAgent(KIND_WORKER, stand?.placement.nodeOf(stand.place) ?? 0);
    if (address === 0)
      throw new HeddleError(
        'ERR_RESOURCE_LIMIT',
        'cannot start a worker: 255 threads take part in the runtime',
      );
    const ring = this.#traceRing(address);
    stand?.placement.stand(kernel, pool, stand.bank, id, stand.place);
    const lane = ring < 0 ? 0 : kernel.calls.joinAsWorker(address, pool, id);
    if (lane === 0) {
      this.#releaseRing(ring);
      kernel.calls.reap(address);
      throw new MemoryFullError('cannot start a worker: the shared memory is full');
    }
    const agentId = kernel.i32[(address + AGENT_ID) >>> 2]!;
    kernel.f64[(address + COUNTER_BORN_MS) >>> 3] = agent.clock.now();
    const channel = platform.channel();
    let member: Member | undefined;
    let setGone = (): void => undefined;
    const gone = new Promise<void>((resolve) => {
      setGone = resolve;
    });
    const worker = this.#startThread(
      address,
      ring,
      channel.local,
      {
        name: `${this.#host.name}-${id}`,
        workerData: options.workerData,
        ...(options.resourceLimits === undefined ? {} : { resourceLimits: options.resourceLimits }),
        ...(options.execArgv === undefined ? {} : { execArgv: options.execArgv }),
        ...(options.argv === undefined ? {} : { argv: options.argv }),
        ...(options.env === undefined ? {} : { env: options.env }),
        ...(options.stdout === undefined ? {} : { stdout: options.stdout }),
        ...(options.stderr === undefined ? {} : { stderr: options.stderr }),
      },
      {
        onExit: (exitCode, error) => member !== undefined && this.#bury(member, exitCode, error),
        onOutput: (stream, chunk) =>
          this.#host.onOutput(stream, { id, threadId: member?.worker.threadId ?? 0, chunk }),
      },
    );
    let passBoot!: () => void;
    let failBoot!: (error: unknown) => void;
    const ended = new Promise<undefined>((resolve, reject) => {
      passBoot = () => resolve(undefined);
      failBoot = reject;
    });
    member = {
      id,
      stand,
      kernelThread: 0,
      agent: address,
      agentId,
      worker,
      control: wrap<WorkerControl>(worker.endpoint),
      ring,
      state: 'booting',
      expected: false,
      isRecovered: false,
      gone,
      setGone,
      passBoot,
      failBoot,
      seen: 0,
      pin: undefined,
      disown: undefined,
    };
    this.#members.set(id, member);
    this.#mostMembers = Math.max(this.#mostMembers, this.#members.size);
    this.#host.onSizeChanged();
    this.#exits.delete(agentId);
    this.#host.attach(agentId, channel.local);
    const niceness = this.#niceness;
    const booted = this.#boot(member, lane, channel.remote, epoch);
    booted.catch(() => undefined);
    try {
      const reply = await Promise.race([booted, ended]);
      if (reply === undefined) return;
      if (!reply.ok) throw this.#moduleError(reviveError(reply.error));
      if (this.#names.length === 0) {
        this.#names = reply.names;
        this.#host.learnTasks(reply.names);
      }
      this.#startFailures = 0;
      this.#adopt(member, reply.pin);
      member.kernelThread = reply.kernelThread;
      if (this.#niceness !== niceness) this.#renice(member);
      else if (reply.priorityRefused !== undefined) this.#host.onPriorityRefused(reply.priorityRefused);
      if (member.state === 'booting') member.state = 'ready';
      if (this.#isOutOfPlace(member)) this.#stop(member);
      this.#host.onStart(id, worker.threadId);
      this.#notifyChanged();
    } catch (error) {
      member.expected = true;
      await member.worker.terminate();
      throw this.#startFault(error);
    }
  }

  /** Starts the thread of an agent; takes the agent back when that fails at once. */
  #startThread(
    address: number,
    ring: number,
    port: ValuePort,
    threadOptions: WorkerThreadOptions,
    events: WorkerEvents,
  ): PlatformWorker {
    const { agent, options } = this.#host;
    try {
      return agent.platform.startWorker(options.worker, threadOptions, events);
    } catch (error) {
      port.close();
      this.#releaseRing(ring);
      agent.kernel.calls.recover(address, this.#host.lane);
      agent.kernel.calls.reap(address);
      throw this.#startFault(error);
    }
  }

  /** `workerData` is the only value of the user's that goes to a worker before its first task. */
  #startFault(error: unknown): unknown {
    if ((error as { name?: unknown } | null)?.name !== 'DataCloneError') return error;
    const why = (error as Error).message;
    return new InvalidTypeError(`createPool(): option 'workerData' cannot be cloned: ${why}`, {
      resource: 'workerData',
      cause: error,
    });
  }

  #releaseRing(ring: number): void {
    if (ring <= 0) return;
    const spans = Math.ceil(traceRingBytes(this.#host.traceCapacity) / SPAN_SIZE);
    this.#host.agent.kernel.calls.releaseSpans(ring, spans);
  }

  #boot(member: Member, lane: number, remote: Transferable, epoch: number): Promise<BootReply> {
    const { agent, pool, name, options, tasksUrl } = this.#host;
    const { kernel, platform } = agent;
    return member.control.boot(
      transfer(
        {
          module: kernel.module,
          memory: kernel.memory,
          epoch,
          agent: member.agent,
          pool,
          lane,
          id: member.id,
          poolName: name,
          tasks: tasksUrl,
          workerData: options.workerData,
          concurrency: this.concurrency,
          maySpin: platform.parallelism() > 1 && this.#processors > 1,
          traced: member.ring !== 0,
          pin: this.#pinRequest(member),
          niceness: this.#niceness,
          port: remote,
        },
        [remote],
      ),
    ) as Promise<BootReply>;
  }

  #pinRequest({ stand }: Member): PinRequest | undefined {
    const numa = this.#host.agent.systems.getNUMACoordinator();
    if (!isThreadPlacer(numa)) return undefined;
    if (stand?.placement.isBinding !== true) return numa.loose();
    const node = stand.placement.nodeOf(stand.place);
    // The cpuset may have shrunk since: then the thread says why it is not pinned.
    return numa.nodes().includes(node) ? numa.request(node) : { node, cpus: [] };
  }

  /** The coordinator may pin it from now on. */
  #adopt(member: Member, pin: PinResult | undefined): void {
    member.pin = pin;
    const numa = this.#host.agent.systems.getNUMACoordinator();
    if (!isThreadPlacer(numa)) return;
    member.disown = numa.adopt(member.worker.threadId, async (request) => {
      member.pin = await Promise.race([member.control.pin(request), member.gone.then(() => GONE)]);
      return member.pin;
    });
  }

  #startError(member: Member, exitCode: number, cause: unknown): WorkerExitedError {
    const { threadId } = member.worker;
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    return new WorkerExitedError(
      `a worker of pool '${this.#host.name}' exited while it started (exit code ${exitCode})${why}`,
      { exitCode, threadId, cause },
    );
  }

  #moduleError(cause: unknown): InvalidTypeError {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new InvalidTypeError(`cannot load the task module ${this.#host.tasksUrl}: ${why}`, {
      resource: this.#host.tasksUrl,
      cause,
    });
  }

  /** Of a placed pool: may another worker start, one who may take from `queue`? It needs a place, and those who stand elsewhere count until they are gone. */
  #hasPlace(queue: number): boolean {
    if (this.#standing === undefined) return true;
    return this.#members.size < this.maxThreads && this.#findPlace(queue) >= 0;
  }

  /** A place that is taken is so until its worker is gone. Those of a placed pool are the first `maxThreads`. */
  #findPlace(queue: number): number {
    const standing = this.#standing;
    const taken = new Set<number>();
    for (const { id, stand } of this.#members.values()) {
      if (standing === undefined) taken.add(id);
      else if (stand?.placement === standing.placement) taken.add(stand.place);
    }
    const end = standing === undefined ? MAX_WORKERS : this.maxThreads;
    for (let place = 0; place < end; place++)
      if (!taken.has(place) && (queue === 0 || standing!.placement.mayTake(place, queue))) return place;
    return -1;
  }

  #freePlace(queue: number): { readonly id: number; readonly stand: Stand | undefined } {
    const place = this.#findPlace(queue);
    let id = place;
    if (this.#members.has(id))
      id = Array.from({ length: MAX_WORKERS }, (_, i) => i).findIndex((i) => !this.#members.has(i));
    if (place >= 0 && id >= 0)
      return { id, stand: this.#standing === undefined ? undefined : { ...this.#standing, place } };
    throw new HeddleError('ERR_RESOURCE_LIMIT', `cannot start a worker: a pool has at most ${MAX_WORKERS}`);
  }

  /** Address of a fresh ring, 0 when nothing is traced, -1 when the memory is full. */
  #traceRing(agent: number): number {
    const { traceCapacity } = this.#host;
    const { kernel } = this.#host.agent;
    if (traceCapacity === 0) return 0;
    const spans = Math.ceil(traceRingBytes(traceCapacity) / SPAN_SIZE);
    const ring = kernel.calls.claimSpans(spans, OWNER_SHARED);
    if (ring === 0) return -1;
    kernel.u8.fill(0, ring >>> 0, (ring >>> 0) + 64);
    kernel.i32[(ring + TRACE_CAPACITY) >>> 2] = traceCapacity;
    kernel.i32[(agent + AGENT_TRACE) >>> 2] = ring;
    return ring;
  }

  /** Wakes whoever waits for the crew to change. */
  #notifyChanged(): void {
    for (const { check } of [...this.#waiters]) check();
  }

  /** A worker that somebody waits for cannot be started. */
  #failWaiting(error: unknown): void {
    for (const { fail } of [...this.#waiters]) fail(error);
  }

  /** Resolves when `condition` holds, which is asked whenever a worker came or went. Rejects when a worker cannot be started meanwhile. */
  async until(condition: () => boolean, signal?: AbortSignal): Promise<void> {
    await this.#hold(
      new Promise<void>((resolve, reject) => {
        const stop = (): void => {
          this.#waiters.delete(waiter);
          signal?.removeEventListener('abort', onAbort);
        };
        const fail = (error: unknown): void => {
          stop();
          reject(error);
        };
        const onAbort = (): void => fail(signal!.reason);
        const check = (): void => {
          if (!condition()) return;
          stop();
          resolve();
        };
        const waiter = { check, fail };
        this.#waiters.add(waiter);
        signal?.addEventListener('abort', onAbort, { once: true });
        check();
      }),
    );
  }

  // ---- scaling -------------------------------------------------------------------------------------------------------------------------

  /** Does some worker take tasks in batches? It does where they are a few microseconds long. */
  get runsShortTasks(): boolean {
    const { i32 } = this.#host.agent.kernel;
    for (const { agent } of this.#members.values()) {
      if (i32[(agent + AGENT_BATCH) >>> 2]! >= SHORT_BATCH) return true;
    }
    return false;
  }

  /** Open calls from which on another worker could help, or Infinity when none may be started. */
  get crowdedAt(): number {
    return this.mayGrow ? this.#members.size * this.concurrency : Number.POSITIVE_INFINITY;
  }

  /** There is more work than workers: starts another one soon, unless the queue has emptied by then; the first one at once. */
  wantMore(): void {
    if (this.#growTimer !== undefined || !this.mayGrow) return;
    if (this.#members.size === 0) {
      void this.#startLater();
      this.#watchIdle();
    }
    this.#growTimer = this.#host.agent.platform.timer(() => {
      this.#growTimer = undefined;
      const queue = this.mayGrow ? this.#neediest() : -1;
      if (queue < 0) return;
      void this.#startLater(queue);
      this.#watchIdle();
      this.wantMore();
    }, this.#growDelay());
  }

  /** A task was queued for a NUMA node: starts a worker that may take it if there is none, or soon if those that may are not enough. */
  man(queue: number, outstanding: number): void {
    if (this.#standing === undefined || this.#closing) return;
    let eligible = 0;
    for (const member of this.#members.values()) if (this.#mayTake(member, queue)) eligible++;
    if (eligible === 0) void this.#startLater(queue);
    else if (outstanding >= eligible * this.concurrency && this.#hasPlace(queue)) this.wantMore();
  }

  /** Starts a worker for each queue that has tasks and nobody who may take them. */
  manQueues(): void {
    const { agent, pool } = this.#host;
    if (this.#standing === undefined || this.#closing) return;
    for (let queue = 1; queue < this.#standing.placement.queueCount; queue++)
      if (agent.kernel.calls.anyQueuedFor(pool, queue) !== 0) this.man(queue, 0);
  }

  /** Others go on where a worker cannot be started; those who run may not take every task of a placed pool. */
  #tryAgain(error: unknown): void {
    if (this.#standing === undefined || this.#closing) return;
    if (this.#startFailures >= START_FAILURES_MOST) this.#host.onUnmanned(error);
    else this.#host.agent.platform.timer(() => this.manQueues(), GROW_AGAIN_MS);
  }

  /** Is there a worker who may take from `queue`? */
  isManned(queue: number): boolean {
    for (const member of this.#members.values()) if (this.#mayTake(member, queue)) return true;
    return false;
  }

  /** May it take from the queue of a node, and will it? */
  #mayTake({ stand, state }: Member, queue: number): boolean {
    return state !== 'stopping' && stand?.placement.mayTake(stand.place, queue) === true;
  }

  /** A queue with tasks that a worker who is not there could take; 0 for any, -1 for none. */
  #neediest(): number {
    const { agent, pool } = this.#host;
    const { calls } = agent.kernel;
    if (this.#standing === undefined) return calls.anyQueued(pool) === 0 ? -1 : 0;
    for (let queue = 0; queue < this.#standing.placement.queueCount; queue++)
      if (calls.anyQueuedFor(pool, queue) !== 0 && this.#hasPlace(queue)) return queue;
    return -1;
  }

  #growDelay(): number {
    if (this.#startFailures === 0) return GROW_AFTER_MS;
    return this.#members.size === 0 ? GROW_AGAIN_MS : GROW_LATER_MS;
  }

  /** Counts from now. */
  setIdleTimeout(ms: number): void {
    this.idleTimeout = ms;
    this.#idleTimer?.();
    this.#idleTimer = undefined;
  }

  /** Brings the crew within its limits, now. */
  adjust(): void {
    if (this.#closing || !this.#isOpen) return;
    for (let n = this.#living().length; n < this.minThreads; n++) void this.#startLater();
    const surplus = this.#living().length - this.maxThreads;
    if (surplus > 0) {
      const living = this.#living();
      // The first are those that the placement counts on.
      if (this.#standing !== undefined) living.sort((a, b) => (a.stand?.place ?? 0) - (b.stand?.place ?? 0));
      for (const member of living.slice(-surplus)) this.#stop(member);
    }
    this.#watchIdle();
    this.#notifyChanged();
  }

  // ---- placing anew ------------------------------------------------------------------------------------------------------------------------

  /** Where workers that start now stand; undefined: they are not placed. */
  get placement(): Placement | undefined {
    return this.#standing?.placement;
  }

  /**
   * Places the workers of a running pool: each ends when it comes to rest, and another starts where the placement says. A thread that starts on its node has all
   * its memory there, and what a worker may take never changes while it runs (assembly/placement.ts).
   */
  place(placement: Placement): void {
    this.#next = placement;
    this.#move();
  }

  #move(): void {
    const next = this.#next;
    if (next === undefined || this.#closing) return;
    // Those who are not placed stand by none, and are told apart from those who are by a bank that is not the first.
    const bank = this.#standing === undefined ? 1 : 1 - this.#standing.bank;
    for (const { stand } of this.#members.values()) if (stand?.bank === bank) return;
    this.#next = undefined;
    const { agent, pool } = this.#host;
    agent.kernel.calls.clearBank(pool, bank);
    next.install(agent.kernel, pool, bank);
    this.#standing = { placement: next, bank };
    this.#host.onPlaced();
    // One that starts is told when it has: to end it in its start would look as if it had failed.
    for (const member of this.#members.values()) if (member.state === 'ready') this.#stop(member);
    this.adjust();
    this.manQueues();
  }

  #isOutOfPlace({ stand }: Member): boolean {
    return stand?.placement !== this.#standing?.placement;
  }

  /** The placement in force, or that which comes as soon as it can. */
  get target(): Placement | undefined {
    return this.#next ?? this.placement;
  }

  /** Gives the threads that run and those that will a priority, as Unix counts it and on top of the process's; undefined: leaves them as they are. */
  setNiceness(niceness: number | undefined): void {
    if (this.#niceness === niceness) return;
    this.#niceness = niceness;
    for (const member of this.#members.values()) this.#renice(member);
  }

  /** From here, as the thread may be in the middle of a long task. */
  #renice({ kernelThread }: Member): void {
    if (this.#niceness === undefined || kernelThread === 0) return;
    const reason = this.#host.agent.platform.setThreadNiceness(kernelThread, this.#niceness);
    if (reason !== undefined) this.#host.onPriorityRefused(reason);
  }

  #living(): Member[] {
    return [...this.#members.values()].filter((member) => member.state !== 'stopping');
  }

  #stop(member: Member): void {
    if (member.state === 'stopping') return;
    const { i32 } = this.#host.agent.kernel;
    member.state = 'stopping';
    member.expected = true;
    // One that still starts need not end its start. Whether it does is not ours to know: its answer may be on its way while it runs tasks.
    const activity = (member.agent + AGENT_ACTIVITY) >>> 2;
    if (Atomics.compareExchange(i32, activity, WORKER_BOOTING, WORKER_REVOKED) === WORKER_BOOTING) {
      void member.worker.terminate();
      return;
    }
    member.worker.dropUnread();
    member.control.stop().catch(() => undefined);
    // It may be blocked; the message waits until it looks.
    this.#host.agent.kernel.calls.unpark(member.agent);
  }

  /** Looks from time to time for workers that had nothing to do, while there are more than `minThreads`. */
  #watchIdle(leastMs = 0): void {
    if (this.#idleTimer !== undefined || !Number.isFinite(this.idleTimeout) || this.#closing) return;
    if (this.#members.size <= this.minThreads) return;
    for (const member of this.#members.values()) member.seen = this.#activityOf(member);
    this.#idleTimer = this.#host.agent.platform.timer(
      () => {
        this.#idleTimer = undefined;
        const idle = this.#living().filter(
          (member) =>
            member.state === 'ready' && this.#isIdle(member) && member.seen === this.#activityOf(member),
        );
        const surplus = this.#living().length - this.minThreads;
        if (surplus > 0) for (const member of idle.slice(0, surplus)) this.#stop(member);
        this.#watchIdle(LOOK_AGAIN_MS);
      },
      Math.max(this.idleTimeout, leastMs),
    );
  }

  #isIdle(member: Member): boolean {
    const metrics = this.#metricsOf(member);
    return metrics.state === 'idle' || metrics.state === 'parked';
  }

  #activityOf(member: Member): number {
    return this.#host.agent.kernel.i32[(member.agent + AGENT_TICK) >>> 2]!;
  }

  // ---- the end ----------------------------------------------------------------------------------------------------------------------------

  /** Ends the worker that is agent `agentId`, wherever it is. */
  terminate(agentId: number): void {
    for (const member of this.#members.values()) {
      if (member.agentId !== agentId) continue;
      member.expected = true;
      void member.worker.terminate();
    }
  }

  /**
   * Recovers what workers had that have ended, while this thread blocks and is not told. The rest of their burial waits for the event loop: it tells people.
   */
  recoverEnded(): void {
    for (const member of this.#members.values()) {
      if (member.isRecovered || !member.worker.hasEnded()) continue;
      member.isRecovered = true;
      this.#recover(member);
    }
  }

  /** Was it recovered, and is its end still to be told? */
  isEnding(agentId: number): boolean {
    for (const member of this.#members.values()) if (member.agentId === agentId) return member.isRecovered;
    return false;
  }

  #recover(member: Member): void {
    const { agent, lane } = this.#host;
    agent.kernel.calls.recover(member.agent, this.#closing ? 0 : lane);
    agent.locks?.receive({ kind: 'gone', agentId: member.agentId });
  }

  #bury(member: Member, exitCode: number, error: unknown): void {
    const { agent } = this.#host;
    const { kernel } = agent;
    // Its answer may still be under way: one that has looked for tasks had started.
    const booting = member.state === 'booting' && this.#activityOf(member) === 0;
    const diedIdle = !booting && !member.expected && this.#hasRunNothing(member);
    this.#burying = true;
    this.#members.delete(member.id);
    this.#host.onSizeChanged();
    this.#exits.set(member.agentId, { exitCode, threadId: member.worker.threadId, error });
    addAgent(this.#ended, kernel, member.agent);
    this.#host.detach(member.agentId);
    if (!member.isRecovered) this.#recover(member);
    // Noted after the recovery: from here on nobody can take anything from the dead worker's deques.
    const ticks = new Map([...this.#members.values()].map((other) => [other.agent, this.#activityOf(other)]));
    this.#zombies.push({ agent: member.agent, ticks });
    this.#host.sweep(member.agentId);
    member.disown?.();
    member.control[releaseProxy]();
    if (booting) member.failBoot(this.#startError(member, exitCode, error));
    else member.passBoot();
    member.setGone();
    // After all that others wait for: it may be large.
    this.#keepTrace(member);
    this.#host.onExit({
      id: member.id,
      threadId: member.worker.threadId,
      exitCode,
      expected: member.expected,
      ...(error === undefined ? {} : { error }),
    });
    this.#burying = false;
    this.#move();
    this.#reapZombies();
    this.#notifyChanged();
    if (this.#closing || (booting && this.#startFailures >= START_FAILURES_MOST)) return;
    if (this.#names.length === 0) return;
    // Where no call waits for a worker, one that dies soon after each start would be started again and again.
    if (diedIdle) this.#rest(exitCode, error);
    else {
      this.#idleDeaths = 0;
      this.adjust();
    }
    if (kernel.calls.anyQueued(this.#host.pool) !== 0) {
      if (this.#living().length === 0 && this.maxThreads > 0) void this.#startLater();
      else this.wantMore();
      this.manQueues();
    }
  }

  /** Has it died without a task, having done none in its short life? */
  #hasRunNothing({ agent }: Member): boolean {
    const { kernel, clock } = this.#host.agent;
    const { f64, i32 } = kernel;
    const activity = i32[(agent + AGENT_ACTIVITY) >>> 2]!;
    return (
      activity !== WORKER_RUNNING &&
      activity !== WORKER_AWAITING &&
      f64[(agent + COUNTER_COMPLETED) >>> 3] === 0 &&
      f64[(agent + COUNTER_FAILED) >>> 3] === 0 &&
      clock.now() - f64[(agent + COUNTER_BORN_MS) >>> 3]! < LONG_LIFE_MS
    );
  }

  /** Starts what is missing later: the longer, the more have died in a row. A call starts a worker at once, as ever. */
  #rest(exitCode: number, cause: unknown): void {
    if (this.#restTimer !== undefined) return;
    const waitMs = Math.min(REST_MS * 2 ** this.#idleDeaths, REST_MOST_MS);
    this.#restTimer = this.#host.agent.platform.timer(() => {
      this.#restTimer = undefined;
      this.adjust();
    }, waitMs);
    if (++this.#idleDeaths !== IDLE_DEATHS_TOLD) return;
    const message = `workers of pool '${this.#host.name}' end soon after their start, without a task (exit code ${exitCode}): more and more time passes between starts that no call asks for`;
    this.#host.onStartFailure(new WorkerExitedError(message, { exitCode, cause }), false);
  }

  /** Of workers that ended as many events are kept as the rings of all had that there ever were at once. */
  #keepTrace({ id, ring }: Member): void {
    if (ring === 0) return;
    const most = this.#mostMembers * this.#host.traceCapacity;
    try {
      const copy = copyTraceRing(this.#host.agent.kernel, ring, id);
      this.#endedTraces.push(copy);
      this.#endedEvents += copy.events;
      while (this.#endedEvents > most) this.#endedEvents -= this.#endedTraces.shift()!.events;
    } catch (error) {
      this.#host.agent.platform.warn(`pool '${this.#host.name}': the trace of a worker is lost`, error);
    }
    this.#releaseRing(ring);
  }

  #reapZombies(): void {
    const { kernel } = this.#host.agent;
    this.#zombies = this.#zombies.filter(({ agent, ticks }) => {
      for (const [other, tick] of ticks) {
        const lives = [...this.#members.values()].some((member) => member.agent === other);
        if (!lives) continue;
        const parked = Atomics.load(kernel.i32, (other + AGENT_PARK) >>> 2) === PARK_PARKED;
        if (!parked && Atomics.load(kernel.i32, (other + AGENT_TICK) >>> 2) === tick) return true;
      }
      if (kernel.calls.isReferenced(agent) !== 0) return true;
      kernel.calls.reap(agent);
      return false;
    });
    // The others move on soon; until then somebody may hold an entry of the dead worker's deques.
    if (this.#zombies.length === 0 || this.#reapTimer !== undefined) return;
    this.#reapTimer = this.#host.agent.platform.timer(() => {
      this.#reapTimer = undefined;
      this.#reapZombies();
    }, REAP_AGAIN_MS);
  }

  /** Lets every worker finish what it runs and end. */
  async stopAll(): Promise<void> {
    this.#close();
    const members = [...this.#members.values()];
    for (const member of members) this.#stop(member);
    await this.#hold(Promise.all(members.map((member) => member.gone)));
  }

  /** Ends the workers that were told to stop and still run something. */
  terminateBusy(): void {
    const { i32 } = this.#host.agent.kernel;
    for (const member of this.#members.values()) {
      const activity = i32[(member.agent + AGENT_ACTIVITY) >>> 2]!;
      if (member.state === 'stopping' && (activity === WORKER_RUNNING || activity === WORKER_AWAITING))
        void member.worker.terminate();
    }
  }

  /** Ends every worker, wherever it is. */
  async terminateAll(): Promise<void> {
    this.#close();
    const members = [...this.#members.values()];
    const { u32 } = this.#host.agent.kernel;
    for (const member of members) {
      member.expected = true;
      // Nobody wakes it from here on: Node 20 may crash where a thread is notified that is just being taken down (nodejs/node#57910).
      const index = u32[(member.agent + AGENT_BIT) >>> 2]!;
      Atomics.store(u32, (this.#host.pool + POOL_WORKERS + 4 * index) >>> 2, 0);
      void member.worker.terminate();
    }
    await this.#hold(Promise.all(members.map((member) => member.gone)));
  }

  #close(): void {
    this.#closing = true;
    this.#growTimer?.();
    this.#idleTimer?.();
    this.#reapTimer?.();
    this.#restTimer?.();
    this.#stopBeforeExit();
  }

  /** After the last worker is gone and no call is open: gives back what is left. */
  release(): void {
    const { kernel } = this.#host.agent;
    for (const { agent } of this.#zombies) kernel.calls.reap(agent);
    this.#zombies = [];
  }

  // ---- looking ------------------------------------------------------------------------------------------------------------------------------

  #metricsOf(member: Member): WorkerMetrics {
    return readWorker(this.#host.agent.kernel, member.agent, {
      id: member.id,
      threadId: member.worker.threadId,
      booting: member.state === 'booting',
      numaNode: this.#nodeOf(member),
      pin: member.pin,
      now: this.#host.agent.clock.now(),
    });
  }

  #nodeOf({ stand }: Member): number | undefined {
    return stand?.placement.isBinding === true ? stand.placement.nodeOf(stand.place) : undefined;
  }

  /** Node of worker `id`; undefined when it is not placed, or gone. */
  nodeOf(id: number): number | undefined {
    const member = this.#members.get(id);
    return member === undefined ? undefined : this.#nodeOf(member);
  }

  /** Counters of all workers, ended ones included. */
  tally(): Tally {
    const tally = emptyTally();
    const { kernel } = this.#host.agent;
    for (const member of this.#members.values()) addAgent(tally, kernel, member.agent);
    for (const key of Object.keys(tally) as (keyof Tally)[]) {
      const ended = this.#ended[key];
      if (typeof ended === 'number') (tally[key] as number) += ended;
      else for (const [i, n] of ended.entries()) (tally[key] as Float64Array)[i]! += n;
    }
    return tally;
  }

  metrics(): WorkerMetrics[] {
    return [...this.#members.values()].sort((a, b) => a.id - b.id).map((member) => this.#metricsOf(member));
  }

  /** Asks every worker that has started; one that ends before it answers is left out. */
  async diagnostics(): Promise<WorkerDiagnostics[]> {
    const ready = [...this.#members.values()].filter(({ state }) => state === 'ready');
    const answers = ready.map(({ control, gone }) =>
      Promise.race([control.diagnostics(), gone.then(() => undefined)]),
    );
    const known = await this.#hold(Promise.all(answers));
    return known.filter((answer) => answer !== undefined);
  }

  trace(): TraceEvent[] {
    const { kernel } = this.#host.agent;
    const events: TraceEvent[] = [];
    for (const { memory, worker } of this.#endedTraces) readTraceRing(memory, 0, worker, this.#names, events);
    for (const { ring, id } of this.#members.values())
      if (ring !== 0) readTraceRing(kernel, ring, id, this.#names, events);
    return events.sort((a, b) => a.startMs - b.startMs);
  }
}
