import { TaskAbortedError, TaskTimeoutError } from '../errors.ts';
import type { ContextMutex } from '../locks/context-mutex.ts';
import { type HierarchyRule, RuleSet } from '../locks/order-rules.ts';
import type { LockViolation } from '../locks/types.ts';
import {
  abortSignal,
  anything,
  array,
  type Checks,
  checkOptions,
  func,
  number,
  oneOf,
  string,
} from '../options.ts';
import { PolicyBoard } from '../policy/board.ts';
import { defaultLockPolicy } from '../policy/resolve.ts';
import { limitsCheck } from '../policy/resource-budget.ts';
import type { LockPolicyCRD, LockPolicyResource } from '../policy/types.ts';
import { LockPolicyValidator } from '../policy/validator.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import { QOS_LEVELS, type QoSLevel } from '../qos.ts';
import { partsCheck } from './check.ts';
import type { ClusterCoordinator, Context } from './cluster.ts';
import { DeadlockStrategies } from './deadlock-strategies.ts';
import { validateByNames } from './lock-order.ts';
import type {
  AppliedPolicy,
  ConcurrencyInstrumenter,
  DeadlockResolution,
  LockPolicy,
  SystemsHost,
  SystemsProvider,
} from './provider.ts';
import { TopologyNodes } from './topology-nodes.ts';
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

/** What a provider is put together from; each part may be left out. */
export interface SystemsParts {
  /** Default: knows the nodes and cannot pin. */
  readonly numa?: NUMACoordinator;
  /** Default: none. */
  readonly cluster?: ClusterCoordinator;
  /** Default: nothing is measured. */
  readonly instrumenter?: ConcurrencyInstrumenter;
}

/** What every provider can be told. */
export interface SystemsOptions {
  /** Class of this process. Default: that of the container. It moves no pool: `limits.qosLevel` does. */
  readonly qosClass?: QoSLevel;
  /** Declared order of locks, for runtimes that declare none of their own. Default: none. */
  readonly rules?: readonly HierarchyRule[];
  /** Name of the strategy for deadlocks. Default: as each runtime says. */
  readonly deadlockStrategy?: string;
  /** Limits to enforce on each runtime. Default: none. */
  readonly limits?: ResourceLimit;
  /** Other parts than those that are built in. */
  readonly parts?: SystemsParts;
}

/** The checks of {@link SystemsOptions}, for the options of subclasses. */
export const SYSTEMS_CHECKS: Checks<SystemsOptions> = {
  qosClass: oneOf(...QOS_LEVELS),
  rules: array,
  deadlockStrategy: string,
  limits: limitsCheck,
  parts: partsCheck,
};

/** What all providers have in common. A subclass says how the machine and the container are read. */
export abstract class BaseSystems implements SystemsProvider {
  readonly #options: SystemsOptions;
  readonly #rules: readonly HierarchyRule[];
  readonly #hosts = new Set<SystemsHost>();
  readonly #strategies: DeadlockStrategies;
  readonly #numa: NUMACoordinator;
  readonly #errorListeners = new Set<(error: unknown, metadata: Readonly<Record<string, unknown>>) => void>();
  readonly #violationListeners = new Set<(violation: LockViolation) => void>();
  readonly #degradationListeners = new Set<(degradation: Degradation) => void>();
  readonly #policies: PolicyBoard;

  /**
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for rules that are none, or the name of no strategy.
   * @throws {HeddleError} ERR_LOCK_ORDER when the rules contradict each other.
   */
  constructor(options: SystemsOptions) {
    this.#rules = new RuleSet(options.rules ?? []).rules;
    this.#options = options;
    this.#strategies = new DeadlockStrategies(options.deadlockStrategy);
    this.#numa = options.parts?.numa ?? new TopologyNodes(() => this.topology());
    const ownClass = (): QoSLevel => this.#ownClass();
    this.#policies = new PolicyBoard({
      containerId: () => this.readContainer().containerId,
      topology: () => this.#knownTopology(),
      defaults: {
        ...defaultLockPolicy(),
        rules: this.#rules,
        get qosClass() {
          return ownClass();
        },
      },
    });
  }

  /** The topology, without a new look at what cannot change. */
  protected abstract topology(): TopologyHints;
  /** Reads the machine anew. */
  protected abstract readTopology(): TopologyHints;
  /** Reads the container anew. */
  protected abstract readContainer(): ContainerContext;
  /** A first runtime uses this provider, or none does any more: time to watch for changes, or to stop that. */
  protected abstract watch(on: boolean): void;
  /** Warns when nobody listens. */
  protected abstract warn(message: string): void;

  // ---- policies ------------------------------------------------------------------------------------------------------------------------------

  getRetryPolicy(): RetryConfig {
    return this.getLockPolicy().retryPolicy;
  }

  getNUMAPolicy(): NUMAPolicy {
    return this.getLockPolicy().numaAffinity;
  }

  getLockPolicy(): LockPolicy {
    return this.#policies.current;
  }

  getQOSClass(): QoSLevel {
    return this.#policies.current.qosClass;
  }

  getResourceLimit(): ResourceLimit {
    return this.#options.limits ?? {};
  }

  getCRDValidator(): CRDValidator {
    return new LockPolicyValidator({ nodes: () => this.#knownTopology()?.nodes });
  }

  applyLockPolicy(policy: LockPolicyCRD | LockPolicyResource): AppliedPolicy {
    return this.#policies.apply(policy);
  }

  /** Undefined where the nodes are assumed and not read: a policy that names others may be right. */
  #knownTopology(): TopologyHints | undefined {
    const topology = this.topology();
    return topology.source === 'sysfs' || topology.source === 'static' ? topology : undefined;
  }

  #ownClass(): QoSLevel {
    return this.#options.qosClass ?? this.readContainer().qosClass;
  }

  // ---- resources -----------------------------------------------------------------------------------------------------------------------------

  async getTopologyHints(ctx: Context = {}): Promise<TopologyHints> {
    checkOptions(
      ctx,
      { signal: abortSignal, timeoutMs: number(0, Number.POSITIVE_INFINITY), owner: anything, qos: anything },
      'getTopologyHints()',
    );
    const { signal, timeoutMs = Number.POSITIVE_INFINITY } = ctx;
    const start = performance.now();
    signal?.aborted && this.#aborted(signal);
    const topology = this.readTopology();
    if (performance.now() - start > timeoutMs || timeoutMs === 0)
      throw new TaskTimeoutError(`cannot tell the topology: it took longer than ${timeoutMs} ms`);
    return topology;
  }

  #aborted(signal: AbortSignal): never {
    throw new TaskAbortedError('cannot tell the topology: the signal was aborted', { cause: signal.reason });
  }

  getContainerContext(): ContainerContext {
    return this.readContainer();
  }

  defaultWorkers(): number {
    return this.readContainer().workers;
  }

  // ---- what is reported ----------------------------------------------------------------------------------------------------------------------

  reportConcurrencyError(error: unknown, metadata: Readonly<Record<string, unknown>> = {}): boolean {
    return tell(this.#errorListeners, (listener) => listener(error, metadata));
  }

  /** Calls back for each failure that belongs to no promise. Returns a function that stops it. What a listener throws is an uncaught error. */
  onConcurrencyError(
    listener: (error: unknown, metadata: Readonly<Record<string, unknown>>) => void,
  ): () => void {
    return listen(this.#errorListeners, listener, 'onConcurrencyError()');
  }

  reportViolation(violation: LockViolation): boolean {
    return tell(this.#violationListeners, (listener) => listener(violation));
  }

  /** Calls back for each violation of every runtime that uses this provider. Returns a function that stops it. */
  onViolation(listener: (violation: LockViolation) => void): () => void {
    return listen(this.#violationListeners, listener, 'onViolation()');
  }

  onDegradation(listener: (degradation: Degradation) => void): () => void {
    return listen(this.#degradationListeners, listener, 'onDegradation()');
  }

  /** Tells of a degradation; warns when nobody listens. */
  protected degrade(degradation: Degradation): void {
    if (tell(this.#degradationListeners, (listener) => listener(degradation))) return;
    this.warn(`${degradation.what} ${degradation.reason}`);
  }

  // ---- locks ---------------------------------------------------------------------------------------------------------------------------------

  getDeadlockStrategy(): string {
    return this.#strategies.strategy;
  }

  getDeadlockResolver(): DeadlockResolution {
    return this.#strategies;
  }

  validateLockOrder(current: readonly string[], incoming: string): LockValidationResult {
    const orders = [...this.#hosts].map(({ locks }) => ({
      rules: locks.rules,
      graph: () => locks.visualizeHierarchy(),
    }));
    const own = { rules: this.#policies.current.rules, graph: () => undefined };
    return validateByNames([own, ...orders], current, incoming);
  }

  getHierarchyRules(): readonly HierarchyRule[] {
    const rules = [...this.#policies.current.rules];
    for (const { locks } of this.#hosts) {
      for (const rule of locks.rules)
        if (!rules.some((known) => JSON.stringify(known) === JSON.stringify(rule))) rules.push(rule);
    }
    return rules;
  }

  // ---- coordination and metrics --------------------------------------------------------------------------------------------------------------

  getClusterCoordinator(): ClusterCoordinator | undefined {
    return this.#options.parts?.cluster;
  }

  getNUMACoordinator(): NUMACoordinator {
    return this.#numa;
  }

  instrumentMutex<M extends ContextMutex>(mutex: M): M {
    return this.#options.parts?.instrumenter?.instrumentMutex(mutex) ?? mutex;
  }

  instrumentPool<P extends TaskPool<never>>(pool: P): P {
    return this.#options.parts?.instrumenter?.instrumentPool(pool) ?? pool;
  }

  // ---- runtimes ------------------------------------------------------------------------------------------------------------------------------

  /** The runtimes that use this provider. */
  get hosts(): ReadonlySet<SystemsHost> {
    return this.#hosts;
  }

  attach(host: SystemsHost): () => void {
    this.#hosts.add(host);
    if (this.#hosts.size === 1) this.watch(true);
    const leave: (() => void)[] = [];
    const detach = (): void => {
      if (!this.#hosts.delete(host)) return;
      for (const end of leave) end();
      if (this.#hosts.size === 0) this.watch(false);
    };
    try {
      if (this.#rules.length > 0 && host.locks.rules.length === 0) host.locks.declareRules(this.#rules);
      leave.push(this.#strategies.add(host.locks.resolver));
      leave.push(this.#policies.attach(host));
      const instrumenter = this.#options.parts?.instrumenter;
      if (instrumenter !== undefined) {
        host.locks.meterAll();
        instrumenter.instrumentLocks?.(host.locks);
      }
    } catch (error) {
      detach();
      throw error;
    }
    return detach;
  }
}

function listen<L>(listeners: Set<L>, listener: L, what: string): () => void {
  func(listener, `${what}: the listener`);
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tells all; true when there was one. A listener that throws keeps nobody else from hearing: its error surfaces in a turn of its own. */
function tell<L>(listeners: ReadonlySet<L>, call: (listener: L) => void): boolean {
  for (const listener of [...listeners]) {
    try {
      call(listener);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
  return listeners.size > 0;
}
