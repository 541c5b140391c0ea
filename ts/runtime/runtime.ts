import { createClock } from '../clock.ts';
import { HeddleError, InvalidTypeError } from '../errors.ts';
import { compileKernel, createMemory, initialiseMemory, instantiateKernel } from '../kernel/kernel.ts';
import { ContextMutex } from '../locks/context-mutex.ts';
import type { LockManager } from '../locks/lock-manager.ts';
import type { LockOwner } from '../locks/owners.ts';
import type { LocksOptions, MutexOptions } from '../locks/types.ts';
import { AtomicMonitor, type ConcurrencyMonitor } from '../metrics/atomic-monitor.ts';
import { checkOptions, describe, integer } from '../options.ts';
import type { Lifeline, Lifelines, Platform, WatchedWorker } from '../platform/port.ts';
import { limitsCheck, ResourceBudget } from '../policy/resource-budget.ts';
import type { LockPolicyCRD, LockPolicyResource } from '../policy/types.ts';
import { makeTaskPool, type TaskPool } from '../pool/task-pool.ts';
import type { AnyTasks, PoolOptions } from '../pool/types.ts';
import { instrumenterCheck, systemsCheck } from '../systems/check.ts';
import type { AppliedPolicy, ConcurrencyInstrumenter, SystemsProvider } from '../systems/provider.ts';
import type { ResourceLimit } from '../systems/types.ts';
import { type Agent, createAgent } from './agent.ts';
import { type AISchedulerOptions, AIWorkScheduler } from './ai-scheduler.ts';
import { recoverAttached } from './attach.ts';
import { type AtomicBool, type AtomicInt32, type Cells, createCells } from './cells.ts';
import { forgetRuntime, noteRuntime } from './live-runtimes.ts';
import { configureLocks, locksCheck, RuntimeLocks } from './locks.ts';
import { createSharedArrays, type SharedArrays, type SharedArrayType } from './shared-arrays.ts';

/** Options of a runtime. */
export interface RuntimeOptions {
  /**
   * Shared memory to reserve, in bytes, from 4 MiB to 4 GiB. It is address space: pages cost memory from their first use. Default: 1 GiB in
   * Node, 256 MiB in browsers.
   */
  readonly memoryBytes?: number;
  /** What is checked of locks, and how many there may be. */
  readonly locks?: LocksOptions;
  /**
   * Limits that are enforced: asking for more is ERR_RESOURCE_LIMIT. `memoryMB`: `memoryBytes`. `maxLocks`: `locks.maxLocks`, and so the locks that are opened.
   * `maxGoroutines`, `cpuMillicores`: workers of all pools together, each pool with its `maxThreads`; a pool that names none gets its default, at most what is left. `qosLevel`:
   * the class of pools that name none. Default: those of `systems`, which has none unless it was told some.
   */
  readonly limits?: ResourceLimit;
  /** What the runtime knows of the machine and the container. Default: what is detected, `NodeSystems` or `BrowserSystems`. */
  readonly systems?: SystemsProvider;
}

/** What another thread needs to join a runtime; structured-cloneable. */
export interface RuntimeHandle {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly epoch: number;
  /** By which the thread that made the runtime hears of the end of those that join. */
  readonly lifeline?: Lifeline | undefined;
}

/** How often threads that joined are looked after, where none has told that it ended. */
const LOOK_MS = 1000;
const LEAST_BYTES = 4 * 2 ** 20;
const MOST_BYTES = 4 * 2 ** 30;

/** One shared memory and all that lives in it: pools, atomics, arrays. */
export class Runtime implements AsyncDisposable {
  readonly #agent: Agent;
  readonly #epoch: number;
  readonly #cells: Cells;
  readonly #arrays: SharedArrays;
  readonly #locks: RuntimeLocks;
  readonly #pools = new Set<TaskPool<never>>();
  readonly #opening = new Set<TaskPool<never>>();
  /** Threads of the user's that {@link Runtime.watch} was told of. */
  readonly #watched = new Set<WatchedWorker>();
  /** From the first look at {@link Runtime.handle} on: nobody can have joined before. */
  #lifelines: Lifelines | undefined;
  #stopLooking: (() => void) | undefined;
  readonly #poolListeners = new Set<(pool: TaskPool<never>) => void>();
  #monitor: AtomicMonitor | undefined;
  readonly #instrumenters = new Set<ConcurrencyInstrumenter>();
  readonly #leaveSystems: () => void;
  #disposed = false;

  /** @internal Use {@link createRuntime}. */
  constructor(agent: Agent, epoch: number, locks: LocksOptions) {
    this.#agent = agent;
    this.#epoch = epoch;
    this.#cells = createCells(agent.kernel, agent.address);
    this.#arrays = createSharedArrays(agent.kernel);
    this.#locks = new RuntimeLocks(agent, locks, {
      taskName: (address, id) => {
        for (const pool of this.#pools) {
          const task = pool.address === address ? pool.tasks[id] : undefined;
          if (task !== undefined) return { task, pool: pool.name };
        }
        return undefined;
      },
      recoverEnded: () => this.#recoverEnded(),
      workersOf: (address) => {
        for (const pool of this.#pools) if (pool.address === address) return pool.allWorkers;
        return undefined;
      },
    });
    this.#leaveSystems = agent.systems.attach({
      locks: this.#locks.manager,
      pools: () => [...this.#pools, ...this.#opening],
      onPoolOpened: (listener) => {
        this.#poolListeners.add(listener);
        return () => this.#poolListeners.delete(listener);
      },
    });
    try {
      this.#locks.begin(locks);
    } catch (error) {
      this.#leaveSystems();
      this.#locks.close();
      throw error;
    }
  }

  /**
   * Opens a pool of worker threads over a module of tasks. Resolves when the first worker has loaded the module.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for an unknown option or a wrong type, and for a task module that cannot be loaded.
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT for a value out of range.
   * @throws {HeddleError} ERR_RESOURCE_LIMIT for more than 32 pools or 254 threads, and beyond `limits`; ERR_POOL_CLOSED after `dispose`.
   *
   * What an instrumenter throws is thrown on; the pool is closed then.
   */
  async createPool<M = AnyTasks>(options: PoolOptions): Promise<TaskPool<M>> {
    this.#assertOpen('open a pool');
    const pool = await makeTaskPool<M>(this.#agent, this.#epoch, options);
    try {
      await this.#open(pool as never);
      const cluster = this.systems.getClusterCoordinator();
      if (cluster !== undefined) pool.registerClusterCoordinator(cluster);
      let measured = this.systems.instrumentPool(pool as never) as unknown as TaskPool<M>;
      for (const instrumenter of this.#instrumenters) measured = measured.instrument(instrumenter);
      return measured;
    } catch (error) {
      // A policy in force that cannot hold for this pool, or an instrumenter that throws: nobody else has the pool.
      await pool.destroy();
      throw error;
    }
  }

  /** The module of a pool may take for ever to load: until then the pool is one that opens, and goes with the runtime. */
  async #open(pool: TaskPool<never>): Promise<void> {
    this.#opening.add(pool);
    try {
      // Before there are workers: those of a policy that names places start where it wants them.
      for (const listener of this.#poolListeners) listener(pool);
      if (!this.#disposed) await pool.open();
      // Before it is no longer one that opens: policies govern it in between, too.
      if (!this.#disposed) this.#pools.add(pool);
      pool.whenClosed(() => this.#pools.delete(pool));
    } catch (error) {
      this.#assertOpen('open a pool');
      throw error;
    } finally {
      this.#opening.delete(pool);
    }
    if (!this.#disposed) return;
    await pool.destroy();
    this.#assertOpen('open a pool');
  }

  /**
   * Opens a pool for numeric work, with all of its workers ready, and a critical section for what they share: see {@link AIWorkScheduler}. Its name is the
   * pool's, `'ai'` unless `options.name` says otherwise, and that of its lock.
   *
   * @throws what {@link Runtime.createPool} and {@link Runtime.mutex} throw.
   */
  async aiScheduler<M = AnyTasks>(options: AISchedulerOptions): Promise<AIWorkScheduler<M>> {
    if (typeof options !== 'object' || options === null)
      throw new InvalidTypeError(`aiScheduler() takes an options object, not ${describe(options)}`);
    const { lock, ...poolOptions } = options;
    const name = options.name ?? 'ai';
    const mutex = this.mutex(name, lock);
    const pool = await this.createPool<M>({ name, ...poolOptions });
    try {
      await pool.scale(pool.maxThreads);
    } catch (error) {
      await pool.destroy();
      throw error;
    }
    return new AIWorkScheduler(pool, mutex);
  }

  /**
   * The AtomicInt32 of this name: the same cell in every thread.
   *
   * @throws {HeddleError} ERR_INVALID_ARGUMENT when the name is empty, too long, or another kind's; ERR_RESOURCE_LIMIT beyond 1024 atomics.
   */
  atomicInt32(name: string): AtomicInt32 {
    this.#assertOpen('open an atomic');
    return this.#cells.int32(name);
  }

  /** The AtomicBool of this name, as {@link Runtime.atomicInt32}. */
  atomicBool(name: string): AtomicBool {
    this.#assertOpen('open an atomic');
    return this.#cells.bool(name);
  }

  /**
   * A typed array in shared memory, zeroed. It passes to tasks by reference, at a cost that does not depend on its size. It takes whole units of
   * 64 KiB, and lives until {@link Runtime.free}.
   *
   * @param type - `Float64Array` or another typed array constructor
   * @param length - number of elements
   * @throws {MemoryFullError} ERR_MEMORY_FULL when no such run of shared memory is free.
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything that is no typed array constructor.
   */
  alloc<T>(type: SharedArrayType<T>, length: number): T {
    this.#assertOpen('allocate');
    return this.#arrays.alloc(type, length);
  }

  /**
   * Gives the memory of an array from {@link Runtime.alloc} back. Nobody may use the array afterwards.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything that `alloc` did not return, and for a second call.
   */
  free(array: ArrayBufferView): void {
    this.#arrays.free(array);
  }

  /**
   * The mutex of this name: the same lock in every thread. What `options` does not say is as it was where the lock was first opened.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong option, or when the lock exists with another value of an option that is given.
   * @throws {HeddleError} ERR_RESOURCE_LIMIT beyond `locks.maxLocks`, ERR_MEMORY_FULL, ERR_POOL_CLOSED after `dispose`; ERR_WORKER_EXITED when a thread ended while it
   * made a lock: try again once its end was told.
   */
  mutex(name: string, options: MutexOptions = {}): ContextMutex {
    this.#assertOpen('open a lock');
    const mutex = new ContextMutex(this.#locks.space.open(name, options), options);
    let measured = this.systems.instrumentMutex(mutex);
    for (const instrumenter of this.#instrumenters) measured = instrumenter.instrumentMutex(measured);
    return measured;
  }

  /**
   * Runs `fn` as an owner of locks of its own: locks that it takes are its, and so are those of everything asynchronous that comes of it. For each request of a
   * server, say. The owner ends when `fn` returns, or when the promise that it returned settles; locks that it holds then are freed, marked
   * abandoned, and reported.
   *
   * In a browser no store follows async code: there only what runs before the first `await` knows its owner. Take the owner that `fn` is called with, and pass it
   * as `ctx.owner`.
   *
   * @param name - for reports
   * @returns what `fn` returned
   */
  withOwner<R>(fn: (owner: LockOwner) => R, name?: string): R {
    this.#assertOpen('make an owner');
    return this.#locks.space.owners.run(fn, name);
  }

  /**
   * An owner of locks to pass as `ctx.owner`. Ends with its `end()`.
   *
   * @param name - for reports
   */
  createOwner(name?: string): LockOwner {
    this.#assertOpen('make an owner');
    return this.#locks.space.owners.explicit(name);
  }

  /** All locks of the runtime: who holds them, what is reported, how deadlocks are resolved. */
  get locks(): LockManager {
    return this.#locks.manager;
  }

  /**
   * Follows a policy from now on, with all runtimes that share its `systems`: rules of the lock order, the longest time that a lock may be held; retries, class and NUMA
   * affinity of all pools, present and future, and with `threadPriority` the priority of their threads. Calls that run and locks that are held go on as they are. Of several policies the latest that says something of a setting counts; their
   * rules hold together, with those of the program.
   *
   * @param policy - the spec, or an object of Kubernetes (`apiVersion`, `kind`, `metadata`, `spec`); {@link parseLockPolicy} reads one from text
   * @returns what undoes it: `undo()`, or `using`. What the program itself has set since then stays.
   * @throws {PolicyInvalidError} ERR_POLICY_INVALID with all faults; nothing was changed.
   * @throws {MemoryFullError} ERR_MEMORY_FULL when there is no room for the rules; nothing was changed.
   * @throws {PlacementError} ERR_RESOURCE_LIMIT when the workers of an open pool could stand nowhere; nothing was changed.
   */
  applyLockPolicy(policy: LockPolicyCRD | LockPolicyResource): AppliedPolicy {
    this.#assertOpen('apply a policy');
    return this.#agent.systems.applyLockPolicy(policy);
  }

  /** Counts operations on atomics. */
  get monitor(): ConcurrencyMonitor {
    this.#monitor ??= new AtomicMonitor();
    return this.#monitor;
  }

  /**
   * Instruments all that there is: the pools that are open and those that will be, the mutexes that {@link Runtime.mutex} gives out from now on, and the locks that tasks
   * open ({@link LockManager.meterAll}). Atomics only one by one. Of several instrumenters each gets what the one before made of a pool or a mutex.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no instrumenter; ERR_MEMORY_FULL, ERR_POOL_CLOSED.
   */
  instrument(instrumenter: ConcurrencyInstrumenter): void {
    this.#assertOpen('instrument');
    instrumenterCheck(instrumenter, 'instrument(): the instrumenter');
    for (const pool of this.#pools) pool.instrument(instrumenter);
    this.#instrumenters.add(instrumenter);
    this.locks.meterAll();
    instrumenter.instrumentLocks?.(this.locks);
  }

  /** The pools that are open. */
  get pools(): readonly TaskPool<never>[] {
    return [...this.#pools];
  }

  /** What the runtime knows of the machine and the container, and tells of failures and violations. */
  get systems(): SystemsProvider {
    return this.#agent.systems;
  }

  /** Lets a bare worker thread join: post it there, and call {@link attachRuntime}. */
  get handle(): RuntimeHandle {
    const { module, memory } = this.#agent.kernel;
    if (this.#lifelines === undefined && !this.#disposed) {
      const { platform } = this.#agent;
      this.#lifelines = platform.openLifelines((threadId) => this.#recover(threadId));
      // Who cannot tell its own thread cannot tell that another has ended.
      if (platform.kernelThreadId() !== 0) this.#lookForEnds();
    }
    return { module, memory, epoch: this.#epoch, lifeline: this.#lifelines?.lifeline };
  }

  /**
   * Tells the runtime of a worker thread of yours that joins with {@link attachRuntime}. When it is gone, however it ended, locks that it held are freed and
   * marked abandoned. On Linux, and from Node 20.19 and 22.5 on elsewhere, that happens without this as well; what is left for it is a thread on another system
   * that is terminated in an older Node, as it joins, or while the thread that made the runtime blocks in {@link ContextMutex.lockSync}. Node only.
   *
   * @param worker - a `Worker` of node:worker_threads that runs
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything else, and in browsers.
   */
  watch(worker: unknown): void {
    const watched = this.#agent.platform.watchWorker(worker, (threadId) => {
      this.#watched.delete(watched);
      this.#recover(threadId);
    });
    this.#watched.add(watched);
  }

  /** A thread that joined is gone. */
  #recover(threadId: number): void {
    this.#recoverWhere((thread) => thread === threadId);
  }

  #recoverWhere(isGone: (threadId: number, kernelThread: number) => boolean): void {
    recoverAttached(this.#agent.kernel, isGone, (agentId) => this.#locks.receive({ kind: 'gone', agentId }));
  }

  /** Threads that joined, as far as the operating system tells. */
  #recoverSilent(): void {
    const { platform } = this.#agent;
    this.#recoverWhere(
      (_, kernelThread) => kernelThread !== 0 && platform.hasKernelThreadEnded(kernelThread),
    );
  }

  /** A thread that dies as it joins may take its message with it. */
  #lookForEnds(): void {
    this.#stopLooking = this.#agent.platform.timer(() => {
      this.#recoverSilent();
      this.#lookForEnds();
    }, LOOK_MS);
  }

  /** This thread blocks, and hears of no end: looks for itself. */
  #recoverEnded(): void {
    for (const pool of this.#pools) pool.recoverEnded();
    for (const { threadId, hasEnded } of this.#watched) if (hasEnded()) this.#recover(threadId);
    this.#recoverSilent();
  }

  /** Bytes of shared memory in use, in units of 64 KiB. */
  get usedBytes(): number {
    return this.#agent.kernel.calls.usedSpans() * 2 ** 16;
  }

  /** Destroys all pools, those that open among them; who waits for a lock in this thread is told ERR_POOL_CLOSED. May be called again. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#lifelines?.close();
    this.#stopLooking?.();
    this.#locks.close();
    this.#cells.close();
    forgetRuntime(this);
    this.#leaveSystems();
    await Promise.all([...this.#pools, ...this.#opening].map((pool) => pool.destroy()));
  }

  /** {@link Runtime.dispose} */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #assertOpen(action: string): void {
    if (this.#disposed)
      throw new HeddleError('ERR_POOL_CLOSED', `cannot ${action}: the runtime was disposed`);
  }
}

/**
 * Makes a runtime on a platform.
 *
 * @param detect - finds out about the system when no option says
 * @throws {NotIsolatedError} ERR_NOT_ISOLATED where there is no shared memory.
 */
export async function openRuntime(
  platform: Platform,
  detect: () => SystemsProvider,
  options: RuntimeOptions = {},
): Promise<Runtime> {
  checkOptions(
    options,
    {
      memoryBytes: integer(LEAST_BYTES, MOST_BYTES),
      locks: locksCheck,
      limits: limitsCheck,
      systems: systemsCheck,
    },
    'createRuntime()',
  );
  const systems = options.systems ?? detect();
  const limits = options.limits ?? systems.getResourceLimit();
  limitsCheck(limits, "createRuntime(): getResourceLimit() of 'systems'");
  const budget = new ResourceBudget(limits);
  const usual = platform.defaultMemoryBytes;
  const bytes = budget.memoryBytes(options.memoryBytes, usual);
  const maxLocks = budget.maxLocks(options.locks?.maxLocks);
  const memory = createMemory(bytes);
  const kernel = instantiateKernel(await compileKernel(), memory);
  initialiseMemory(kernel);
  const locks = { ...options.locks, ...(maxLocks === undefined ? {} : { maxLocks }) };
  configureLocks(kernel, locks);
  const offset = platform.clockOffset();
  const epoch = performance.now() + offset;
  const agent = createAgent(kernel, platform, systems, createClock(offset, epoch));
  agent.budget = budget;
  const runtime = new Runtime(agent, epoch, locks);
  noteRuntime(runtime);
  return runtime;
}
