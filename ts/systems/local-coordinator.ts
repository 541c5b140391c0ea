import { InvalidTypeError, PoolClosedError, WorkerExitedError } from '../errors.ts';
import { abortSignal, anything, checkOptions, describe, integer, number, oneOf } from '../options.ts';
import { wasRefused } from '../pool/rejections.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import { QOS_LEVELS } from '../qos.ts';
import type { ClusterCoordinator, Context, PressureLevel, StolenTask, WorkStealer } from './cluster.ts';
import type { NUMACoordinator, NUMAPolicy } from './types.ts';

const LEVELS: readonly PressureLevel[] = ['nominal', 'fair', 'serious', 'critical'];
const CONTEXT_CHECKS = {
  signal: abortSignal,
  timeoutMs: number(0, Number.POSITIVE_INFINITY),
  qos: oneOf(...QOS_LEVELS),
  owner: anything,
};

/** Where a thief is that is placed nowhere, as `nodeAffinity()` says. */
const NO_NODE = -1;

type Pool = TaskPool<never>;
type AnyPool = TaskPool<any>;

/** A task that was taken for a helper, and what stands for its call whoever has it. */
interface Taken {
  readonly task: StolenTask;
  readonly call: object;
}

/**
 * Lets pools of one process help each other: while one has more calls than it can run at once and another could run more, the second takes calls of the
 * first. Pools take part once it is registered with them:
 *
 * ```ts
 * const coordinator = new LocalCoordinator(rt.systems.getNUMACoordinator());
 * pool.registerClusterCoordinator(coordinator);
 * other.registerClusterCoordinator(coordinator);
 * ```
 *
 * A pool runs another's task only if it has the same task module (by URL). Pools of different runtimes share no memory, so between them go only calls
 * that are `shareable`. Calls that belong to a NUMA node stay in their pool. The calls of a helper run with its `workerData`, `env` and limits.
 */
export class LocalCoordinator implements ClusterCoordinator {
  readonly #numa: NUMACoordinator;
  readonly #pools = new Set<Pool>();
  readonly #pressure = new Map<number, PressureLevel>();
  /** Helpers that could not run a call, by what stands for it. */
  readonly #refusals = new WeakMap<object, WeakSet<Pool>>();
  #isHelpDue = false;

  /** @param numa - of the systems of a runtime */
  constructor(numa: NUMACoordinator) {
    this.#numa = numa;
  }

  registerPool(pool: TaskPool<never>): void {
    if (typeof pool?.stealers !== 'function')
      throw new InvalidTypeError(`registerPool() takes a TaskPool, not ${describe(pool)}`);
    if (this.#pools.has(pool) || !pool.standing.isOpen) return;
    this.#pools.add(pool);
    pool.whenClosed(() => this.#pools.delete(pool));
    pool.whenLeft(() => this.#pools.delete(pool));
    this.#helpSoon();
  }

  getNUMACoordinator(): NUMACoordinator {
    return this.#numa;
  }

  getWorkStealers(): readonly WorkStealer[] {
    return [...this.#pools].flatMap((pool) => pool.stealers());
  }

  /** How hard a node is pressed, by the last that told. */
  pressureOf(node: number): PressureLevel {
    return this.#pressure.get(node) ?? 'nominal';
  }

  reportPressure(node: number, level: PressureLevel): void {
    integer(0, 2 ** 31 - 1)(node, 'reportPressure(): node');
    oneOf(...LEVELS)(level, 'reportPressure(): level');
    this.#pressure.set(node, level);
    // Also when the pressure falls: who is idle now may help others.
    this.#helpSoon();
  }

  /**
   * Takes a task of the pool with the longest queue, of workers near `numaNode` first; -1, as `nodeAffinity()` says where nothing is placed: of any. Only what the
   * NUMA policy of that pool lets run on `numaNode`: on one of its preferred nodes where they are required, and not further than `allowedDistance`.
   *
   * Rejects with ERR_INVALID_ARGUMENT for a node that there is none.
   */
  async trySteal(ctx: Context, numaNode: number): Promise<StolenTask | undefined> {
    checkOptions(ctx, CONTEXT_CHECKS, 'trySteal()');
    // What has no node is near to none.
    const order = numaNode === NO_NODE ? [] : this.#numa.nearest(numaNode);
    const rank = (stealer: WorkStealer): number => {
      const at = order.indexOf(stealer.nodeAffinity());
      return at < 0 ? order.length : at;
    };
    for (const pool of this.#byQueue()) {
      for (const stealer of [...pool.poolStealers()].sort((a, b) => rank(a) - rank(b))) {
        const policy = stealer.getNUMAPolicy();
        const task = stealer.tryStealIf((_, node) => this.#mayGo(policy, node, numaNode), ctx);
        if (task !== undefined) return task;
      }
    }
    return undefined;
  }

  /** Does the policy of its pool let a call that belongs to `node`, or to none, run on node `to`? */
  #mayGo(policy: NUMAPolicy, node: number | undefined, to: number): boolean {
    if (policy.required && policy.preferredNodes.length > 0 && !policy.preferredNodes.includes(to))
      return false;
    if (node === undefined || node === to) return true;
    if (policy.fallbackStrategy === 'none') return false;
    if (policy.allowedDistance === 0) return true;
    return to !== NO_NODE && this.#numa.distance(node, to) <= policy.allowedDistance;
  }

  #byQueue(): Pool[] {
    const queued = new Map([...this.#pools].map((pool) => [pool, pool.standing.queued]));
    return [...this.#pools]
      .filter((pool) => queued.get(pool)! > 0)
      .sort((a, b) => queued.get(b)! - queued.get(a)!);
  }

  #helpSoon(): void {
    if (this.#isHelpDue) return;
    this.#isHelpDue = true;
    // A pool tells in the middle of a call, whose task is not queued yet.
    queueMicrotask(() => {
      this.#isHelpDue = false;
      this.#help();
    });
  }

  #help(): void {
    for (const needy of this.#byQueue()) {
      for (const helper of this.#pools) {
        if (helper !== needy) this.#move(needy, helper);
      }
    }
  }

  /** As many calls as the helper can run at once. */
  #move(needy: Pool, helper: Pool): void {
    const from = needy.standing;
    const { module, memory, spare } = helper.standing;
    if (module !== from.module) return;
    const isSameMemory = memory === from.memory;
    const most = Math.min(spare, from.queued);
    for (let moved = 0; moved < most; moved++) {
      const taken = this.#takeFrom(needy, helper, isSameMemory);
      if (taken === undefined) return;
      void this.#runOn(helper, taken).then(() => this.#helpSoon());
    }
  }

  #takeFrom(needy: Pool, helper: Pool, isSameMemory: boolean): Taken | undefined {
    // What was accepted last is what was taken.
    let call: object = helper;
    for (const stealer of needy.poolStealers()) {
      const task = stealer.tryStealIf((shareable, numaNode, candidate) => {
        call = candidate;
        if (numaNode !== undefined || !(isSameMemory || shareable)) return false;
        return this.#refusals.get(candidate)?.has(helper) !== true;
      });
      if (task !== undefined) return { task, call };
    }
    return undefined;
  }

  #runOn(helper: AnyPool, { task, call }: Taken): Promise<void> {
    return task.run(async (name, args) => {
      try {
        return await helper.run(name, args as never, { qos: task.qos, signal: task.signal });
      } catch (error) {
        if (wasRefused(error)) {
          // Nobody has begun with it: its own pool may have room for it. What is thrown settles nothing any more.
          const refusals = this.#refusals.get(call) ?? new WeakSet();
          this.#refusals.set(call, refusals.add(helper));
          task.giveBack();
        }
        if (!(error instanceof PoolClosedError)) throw error;
        // To the submitter the helper is a worker, and its end a death.
        throw new WorkerExitedError(
          `pool '${helper.name}', which ran task '${name}', was closed before the task ended`,
          {
            resource: name,
            cause: error,
          },
        );
      }
    });
  }
}
