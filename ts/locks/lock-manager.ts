import { InvalidTypeError, type LockOrderError } from '../errors.ts';
import { describe, func, string } from '../options.ts';
import { graphOf } from './hierarchy.ts';
import type { HoldWatch } from './hold-watch.ts';
import type { LockGraph } from './lock-graph.ts';
import type { LockMeter, LockMetrics } from './lock-meter.ts';
import type { OrderChecker } from './order-checks.ts';
import { declaredRules, type HierarchyRule, RuleSet } from './order-rules.ts';
import type { DeadlockResolver } from './resolver.ts';
import { snapshotOf } from './snapshot.ts';
import type { LockSpace } from './space.ts';
import type { LockManagerSnapshot, LockViolation } from './types.ts';
import type { Violations } from './violations.ts';

/** A lock, by itself or by its {@link ContextMutex.id}. */
export type LockReference = number | { readonly id: number };

/**
 * The order of locks: which may be taken while which are held. It is declared with rules, and learned from what the program does: an edge from every held
 * lock to the one that is taken. A ring of edges is a deadlock that can happen, whether or not it has.
 */
export interface LockHierarchy {
  /**
   * What is wrong with the caller taking this lock now, under the locks that it holds; undefined when nothing is. Takes and learns nothing, blocks
   * nobody. Of several faults it is the one that mode `'throw'` refuses the lock for; where `fault.severity` is `'gated'` or `'same-owner'` there is none
   * such, and the lock would be taken and the fault reported. Undefined for a lock whose mode is `'off'`.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything that is no lock of this runtime.
   */
  validateOrder(lock: LockReference): LockOrderError | undefined;
  /**
   * Learns that the caller takes this lock under the locks that it holds, as `lock()` does by itself. Faults are reported, not thrown. The lock does not count as
   * held by it. Learns nothing of a lock whose mode is `'off'`.
   *
   * @param stack - where, if not here
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything that is no lock of this runtime.
   */
  recordAcquisition(lock: LockReference, stack?: string): void;
  /** The order as it is now, of all threads: plain data that can be drawn. */
  visualizeHierarchy(): LockGraph;
}

/** What can be seen and set of all locks of a runtime. */
export class LockManager implements LockHierarchy {
  readonly #space: LockSpace;
  #declarations = 0;
  readonly #order: OrderChecker;
  readonly #violations: Violations;
  readonly #watch: HoldWatch | undefined;
  /** Decides whose wait a deadlock costs. */
  readonly resolver: DeadlockResolver;

  /** @internal */
  constructor(
    space: LockSpace,
    order: OrderChecker,
    resolver: DeadlockResolver,
    violations: Violations,
    watch?: HoldWatch,
  ) {
    this.#watch = watch;
    this.#space = space;
    this.#order = order;
    this.#violations = violations;
    this.resolver = resolver;
  }

  /**
   * The locks that are held, and that are waited for, in all threads, in the shape of `navigator.locks.query()`. Blocks nobody: each lock is as it was
   * when it was looked at.
   */
  snapshot(): LockManagerSnapshot {
    return snapshotOf(this.#space);
  }

  /** What was counted of metered locks, and of deadlocks, in all threads: one read of shared memory. See {@link ContextMutex.metered}. */
  metrics(): LockMetrics {
    return this.#space.meter.metrics();
  }

  /** @internal What counts. */
  get meter(): LockMeter {
    return this.#space.meter;
  }

  /**
   * Meters all locks, in every handle that any thread opens from now on.
   *
   * @throws {MemoryFullError} ERR_MEMORY_FULL.
   */
  meterAll(): void {
    this.#space.meter.meterAll();
  }

  /**
   * Calls back for each thing that is reported rather than thrown: deadlocks and faults of order in mode `'report'`, locks held longer than their
   * `maxHoldTimeMs`, owners that ended while they held a lock. Of threads that attached, only in that thread. With no listener they become warnings
   * of the process.
   *
   * @returns a function that stops it
   */
  onViolation(listener: (violation: LockViolation) => void): () => void {
    func(listener, 'onViolation(): the listener');
    return this.#violations.listen(listener);
  }

  /** @internal Milliseconds after which a hold of any lock is reported, whatever the lock's own limit; 0: no such limit. */
  get holdCeilingMs(): number {
    return this.#watch?.ceilingMs ?? 0;
  }

  /** @internal */
  set holdCeilingMs(ms: number) {
    if (this.#watch !== undefined) this.#watch.ceilingMs = ms;
  }

  // ---- order ---------------------------------------------------------------------------------------------------------------------------------

  validateOrder(lock: LockReference): LockOrderError | undefined {
    const address = this.#addressOf(lock, 'validateOrder()');
    const owner = this.#space.owners.current();
    return owner === 0 ? undefined : this.#order.validate(owner, address);
  }

  recordAcquisition(lock: LockReference, stack?: string): void {
    const address = this.#addressOf(lock, 'recordAcquisition()');
    if (stack !== undefined) string(stack, 'recordAcquisition(): the stack');
    const owner = this.#space.owners.current();
    if (owner !== 0) this.#order.record(owner, address, stack);
  }

  visualizeHierarchy(): LockGraph {
    return graphOf(this.#space, this.#order.view, declaredRules(this.#space.kernel));
  }

  /** The declared rules. */
  get rules(): readonly HierarchyRule[] {
    return declaredRules(this.#space.kernel).rules;
  }

  /**
   * Declares an order in the place of the one that was declared before, for all threads. Taking locks against it is a fault from the first time on. An
   * empty list takes all rules back.
   *
   * @throws {HeddleError} ERR_LOCK_ORDER naming the rules that contradict each other; ERR_RESOURCE_LIMIT for more than 4096 names; ERR_MEMORY_FULL.
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything that is no list of rules.
   */
  declareRules(rules: readonly HierarchyRule[]): void {
    new RuleSet(rules).publish(this.#space.kernel);
    this.#declarations++;
  }

  /** @internal How often rules were declared here. */
  get declarations(): number {
    return this.#declarations;
  }

  /**
   * Forgets what was learned, and which cycles were reported, in all threads; rules stay.
   *
   * @returns false when so many resets came close together that some of it could not be forgotten yet
   */
  resetOrder(): boolean {
    const { context } = this.#order;
    return context === 0 || this.#space.kernel.calls.resetOrder(context) !== 0;
  }

  /** How large the learned order is, and whether anything of it was lost for want of room. */
  orderStatistics(): OrderStatistics {
    const { view } = this.#order;
    return {
      lockEdges: view.edges('lock').length,
      classEdges: view.edges('class').length,
      overflows: view.overflows,
      truncatedSearches: view.truncated,
    };
  }

  /** Address of a lock of this runtime. */
  #addressOf(lock: LockReference, what: string): number {
    const address = typeof lock === 'object' && lock !== null ? lock.id : lock;
    if (typeof address === 'number' && this.#space.isLock(address)) return address;
    throw new InvalidTypeError(`${what} takes a lock of this runtime or its id, not ${describe(lock)}`);
  }
}

/** Numbers of the learned order. */
export interface OrderStatistics {
  /** Pairs of locks of which one was taken under the other. */
  readonly lockEdges: number;
  /** The same for classes of locks, as soon as there are any. */
  readonly classEdges: number;
  /** Edges and searches for which there was no room: raise `memoryBytes`. Each is reported once for a thread. */
  readonly overflows: number;
  /**
   * Searches that ended before all rings through an edge were looked at: of each, one of the shortest was found, and at most sixteen. Reported once
   * for a thread.
   */
  readonly truncatedSearches: number;
}
