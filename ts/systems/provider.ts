import type { ContextMutex } from '../locks/context-mutex.ts';
import type { LockManager } from '../locks/lock-manager.ts';
import type { HierarchyRule } from '../locks/order-rules.ts';
import type { DeadlockResolver } from '../locks/resolver.ts';
import type { LockViolation } from '../locks/types.ts';
import type { LockPolicyCRD, LockPolicyResource } from '../policy/types.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import type { QoSLevel } from '../qos.ts';
import type { AtomicInt32 } from '../runtime/cells.ts';
import type { ClusterCoordinator, Context } from './cluster.ts';
import type {
  ContainerContext,
  CRDValidator,
  Degradation,
  LockValidationResult,
  NUMACoordinator,
  NUMAPolicy,
  ResourceLimit,
  RetryConfig,
  TopologyHints,
} from './types.ts';

/** The policy in force, with all defaults filled in. */
export interface LockPolicy {
  /** Where no policy says one: that of the process, which moves no pool. */
  readonly qosClass: QoSLevel;
  readonly numaAffinity: NUMAPolicy;
  readonly rules: readonly HierarchyRule[];
  readonly retryPolicy: RetryConfig;
  /** Held longer is reported; undefined: no limit. */
  readonly maxHoldTimeMs: number | undefined;
  /** The container that it is meant for; undefined: any. */
  readonly containerID: string | undefined;
}

/** A policy that was applied. Disposing it is {@link AppliedPolicy.undo}. */
export interface AppliedPolicy extends Disposable {
  /** What was in force once it had been applied, all policies together. */
  readonly policy: LockPolicy;
  /** False once it was undone, and for a policy that is not for this process. */
  readonly isInForce: boolean;
  /** Why it is not followed, if it is for another container than this process's. */
  readonly reason: string | undefined;
  /**
   * Puts back what was in force before. Later policies stay in force. A second call does nothing.
   *
   * @throws {PlacementError} ERR_RESOURCE_LIMIT when the workers of a pool may not stand where the policies that are left want them: those workers stay where they
   * are, all else is put back, and another call tries again.
   * @throws {MemoryFullError} ERR_MEMORY_FULL when there is no room for the rules that were in force before, likewise.
   */
  undo(): void;
}

/** Decorates primitives so that they are measured. What comes back has the type of what was given. */
export interface ConcurrencyInstrumenter {
  /** The mutex, measured. */
  instrumentMutex<M extends ContextMutex>(mutex: M): M;
  /** The pool, measured. */
  instrumentPool<P extends TaskPool<never>>(pool: P): P;
  /** The atomic, its operations counted. */
  instrumentAtomic<A extends AtomicInt32>(atomic: A): A;
  /** All locks of a runtime are metered from now on: `Runtime.instrument` tells it. */
  instrumentLocks?(locks: LockManager): void;
}

/** What a provider may do to a runtime that uses it. */
export interface SystemsHost {
  readonly locks: LockManager;
  /** The pools that are open now, or about to open. */
  pools(): Iterable<TaskPool<never>>;
  /** Calls back when a pool is about to open: it has no worker yet. What the callback throws keeps it from opening. Returns a function that stops it. */
  onPoolOpened(listener: (pool: TaskPool<never>) => void): () => void;
}

/** What decides about deadlocks, by the names of strategies: see {@link DeadlockResolver}. */
export type DeadlockResolution = Pick<DeadlockResolver, 'strategy' | 'resolve' | 'registerStrategy'>;

/**
 * All that a runtime wants to know of the system around it, and tells to it. `NodeSystems` reads the machine, `BrowserSystems` the page,
 * `StaticSystems` is told everything. No method blocks, and none but those that say so throws.
 */
export interface SystemsProvider {
  // ---- policies
  /** Retries of the policy in force. */
  getRetryPolicy(): RetryConfig;
  /** Where tasks are to run, by the policy in force. */
  getNUMAPolicy(): NUMAPolicy;
  /** The policy in force. */
  getLockPolicy(): LockPolicy;
  /** The class of this process: of the policy in force, else of the container. Pools follow policies only. */
  getQOSClass(): QoSLevel;
  /** Limits that are enforced on each of the runtimes that use this provider, by itself. */
  getResourceLimit(): ResourceLimit;

  // ---- resources
  /**
   * The machine, read anew.
   *
   * @throws {TaskAbortedError} ERR_TASK_ABORTED (rejects) when `ctx.signal` fires first.
   * @throws {TaskTimeoutError} ERR_TASK_TIMEOUT (rejects) when `ctx.timeoutMs` passes first.
   */
  getTopologyHints(ctx?: Context): Promise<TopologyHints>;
  /** The container, read anew. What cannot be read is told in `degradations`. */
  getContainerContext(): ContainerContext;

  // ---- errors
  /**
   * Tells of a failure that belongs to no promise, such as that of a submitted task.
   *
   * @param metadata - where it comes from: `pool`, `task`, `threadId`, ...
   * @returns false when nobody listened, so that the caller may warn
   */
  reportConcurrencyError(error: unknown, metadata: Readonly<Record<string, unknown>>): boolean;
  /** Name of the strategy for deadlocks. */
  getDeadlockStrategy(): string;

  // ---- coordination
  /** Every pool takes part in it, as by `pool.registerClusterCoordinator()`. Undefined: pools do not help each other. */
  getClusterCoordinator(): ClusterCoordinator | undefined;
  /** Decides about deadlocks, for all runtimes that use this provider. */
  getDeadlockResolver(): DeadlockResolution;
  /** The NUMA nodes: distances, neighbours, pinning. */
  getNUMACoordinator(): NUMACoordinator;

  // ---- metrics
  /** The mutex, measured; itself where nothing measures. */
  instrumentMutex<M extends ContextMutex>(mutex: M): M;
  /** The pool, measured; itself where nothing measures. */
  instrumentPool<P extends TaskPool<never>>(pool: P): P;

  // ---- lock order
  /**
   * May `incoming` be taken under `current`? By the declared rules and the learned order of the runtimes that use this provider; by names.
   *
   * @param current - names of the locks that are held, or of their classes
   * @param incoming - name of the lock that is to be taken, or of its class
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything but names.
   */
  validateLockOrder(current: readonly string[], incoming: string): LockValidationResult;
  /** The declared rules. */
  getHierarchyRules(): readonly HierarchyRule[];
  /**
   * Tells of something about locks that should not be.
   *
   * @returns false when nobody listened, so that the caller may warn
   */
  reportViolation(violation: LockViolation): boolean;

  // ---- Kubernetes
  /** Checks policy documents. */
  getCRDValidator(): CRDValidator;
  /**
   * Changes the running process: rules, hold time, retries, affinity, class.
   *
   * @param policy - the spec, or an object of Kubernetes
   * @throws {PolicyInvalidError} ERR_POLICY_INVALID naming each fault; nothing was changed then.
   */
  applyLockPolicy(policy: LockPolicyCRD | LockPolicyResource): AppliedPolicy;

  // ---- its own life
  /** Worker threads that a pool has by default: see {@link ContainerContext.workers}. */
  defaultWorkers(): number;
  /** Calls back for each degradation that shows up while running, such as a cpuset that shrinks. Returns a function that stops it. */
  onDegradation(listener: (degradation: Degradation) => void): () => void;
  /** A runtime uses this provider from now on. Called by `createRuntime`. Returns what is to be called when the runtime is disposed. */
  attach(host: SystemsHost): () => void;
}
