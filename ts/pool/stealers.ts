import { InvalidTypeError } from '../errors.ts';
import { abortSignal, anything, checkOptions, describe, number, oneOf } from '../options.ts';
import { classOf, QOS_LEVELS, type QoSLevel } from '../qos.ts';
import type { ClusterCoordinator, Context, StolenTask, WorkStealer } from '../systems/cluster.ts';
import type { ContainerContext, NUMAPolicy } from '../systems/types.ts';
import { throwLater } from './events.ts';
import type { Accepts } from './submissions.ts';
import type { Runnable } from './types.ts';

/** What the stealers of a pool ask of it. */
export interface StealerHost {
  /** Takes a queued call of these classes (a bit each) that worker `id` would take next, of those that the thief accepts. */
  takeOut(id: number, classes: number, leaseMs: number, accepts: Accepts): StolenTask | undefined;
  numaNodeOf(id: number): number | undefined;
  /** Milliseconds since the runtime began, those in which the worker ran tasks, until now, and whether it runs one; undefined when it is gone. */
  loadOf(
    id: number,
  ): { readonly now: number; readonly busyMs: number; readonly isRunning: boolean } | undefined;
  containerContext(): ContainerContext;
  numaPolicy(): NUMAPolicy;
  clusterCoordinator(): ClusterCoordinator | undefined;
}

/** How long a thief may sit on a task that it does not run. */
const LEASE_MS = 30_000;
/** The moving average forgets two thirds in so many milliseconds. */
const LOAD_WINDOW_MS = 1000;
const anyCall: Accepts = () => true;
const ALL_CLASSES = (1 << QOS_LEVELS.length) - 1;

const CONTEXT_CHECKS = {
  signal: abortSignal,
  timeoutMs: number(0, Number.POSITIVE_INFINITY),
  qos: oneOf(...QOS_LEVELS),
  owner: anything,
};

/** What all views of one worker share. */
class Observed {
  readonly callbacks: Set<(task: Runnable) => void> = new Set();
  #load = 0;
  #at = Number.NEGATIVE_INFINITY;
  #busyMs = 0;

  load(host: StealerHost, id: number): number {
    const facts = host.loadOf(id);
    if (facts === undefined) return 0;
    const { now, busyMs, isRunning } = facts;
    const passed = now - this.#at;
    if (passed === Number.POSITIVE_INFINITY) this.#load = isRunning ? 1 : 0;
    else if (passed > 0) {
      const share = Math.min(1, Math.max(0, (busyMs - this.#busyMs) / passed));
      this.#load += (1 - Math.exp(-passed / LOAD_WINDOW_MS)) * (share - this.#load);
    }
    this.#at = now;
    this.#busyMs = busyMs;
    return this.#load;
  }
}

/** A worker of a pool as others steal from it. */
export class PoolStealer implements WorkStealer {
  readonly #host: StealerHost;
  readonly #id: number;
  readonly #classes: number;
  readonly #observed: Observed;

  constructor(
    host: StealerHost,
    id: number,
    classes: number = ALL_CLASSES,
    observed: Observed = new Observed(),
  ) {
    this.#host = host;
    this.#id = id;
    this.#classes = classes;
    this.#observed = observed;
  }

  trySteal(ctx: Context = {}): StolenTask | undefined {
    return this.tryStealIf(anyCall, ctx);
  }

  /** @internal The first that the thief accepts. The others stay where they are. */
  tryStealIf(accepts: Accepts, ctx: Context = {}): StolenTask | undefined {
    checkOptions(ctx, CONTEXT_CHECKS, 'trySteal()');
    if (ctx.signal?.aborted === true) return undefined;
    const classes = ctx.qos === undefined ? this.#classes : this.#classes & (1 << classOf(ctx.qos));
    const task = this.#host.takeOut(this.#id, classes, ctx.timeoutMs ?? LEASE_MS, accepts);
    if (task === undefined) return undefined;
    for (const callback of this.#observed.callbacks) {
      try {
        callback({ name: task.name });
      } catch (error) {
        // The task is out of its queue: whoever took it must have it.
        throwLater(error);
      }
    }
    return task;
  }

  nodeAffinity(): number {
    return this.#host.numaNodeOf(this.#id) ?? -1;
  }

  currentLoad(): number {
    return this.#observed.load(this.#host, this.#id);
  }

  registerStealCallback(callback: (task: Runnable) => void): void {
    if (typeof callback !== 'function')
      throw new InvalidTypeError(`registerStealCallback() takes a function, not ${describe(callback)}`);
    this.#observed.callbacks.add(callback);
  }

  withQoS(level: QoSLevel): WorkStealer {
    oneOf(...QOS_LEVELS)(level, 'withQoS(): level');
    return new PoolStealer(this.#host, this.#id, 1 << classOf(level), this.#observed);
  }

  getContainerContext(): ContainerContext {
    return this.#host.containerContext();
  }

  getNUMAPolicy(): NUMAPolicy {
    return this.#host.numaPolicy();
  }

  getClusterCoordinator(): ClusterCoordinator | undefined {
    return this.#host.clusterCoordinator();
  }
}
