import { PolicyInvalidError } from '../errors.ts';
import type { HierarchyRule } from '../locks/order-rules.ts';
import { assertPlaceable } from '../pool/placement.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import type { RetryOptions } from '../pool/types.ts';
import type { QoSLevel } from '../qos.ts';
import type { AppliedPolicy, LockPolicy, SystemsHost } from '../systems/provider.ts';
import type { NUMAPolicy, TopologyHints } from '../systems/types.ts';
import { Lever } from './lever.ts';
import { defaultLockPolicy, type ResolvedPolicy, resolvePolicy } from './resolve.ts';
import { isResource } from './resource.ts';
import { describeCycle, RuleGraph } from './rule-graph.ts';
import { validSpec } from './validator.ts';

/** What a {@link PolicyBoard} is told of the process, and what it tells. */
export interface PolicyBoardOptions {
  /** Id of the container that the process runs in, as far as it is known. */
  readonly containerId?: () => string | undefined;
  /** The machine, with the NUMA nodes that there are; undefined: not known. */
  readonly topology?: () => TopologyHints | undefined;
  /** What is in force where no policy says anything. */
  readonly defaults?: LockPolicy;
}

interface PoolLevers {
  readonly retry: Lever<RetryOptions | undefined>;
  readonly qos: Lever<QoSLevel>;
  readonly affinity: Lever<NUMAPolicy | undefined>;
}

interface Host {
  readonly host: SystemsHost;
  readonly rules: Lever<readonly HierarchyRule[]>;
  readonly holdMs: Lever<number>;
  readonly pools: Map<TaskPool<never>, PoolLevers>;
}

/**
 * The policies that a process follows, in the order in which they came, and the runtimes that they govern. Of each setting the latest policy that says something of it
 * counts; rules of all of them hold together. Calls that run and locks that are held go on as they are.
 */
export class PolicyBoard {
  readonly #options: PolicyBoardOptions;
  readonly #hosts = new Set<Host>();
  #applied: readonly ResolvedPolicy[] = [];

  constructor(options: PolicyBoardOptions = {}) {
    this.#options = options;
  }

  /** Governs a runtime from now on, and its pools. Returns what ends that, without undoing anything. */
  attach(host: SystemsHost): () => void {
    const { locks } = host;
    const governed: Host = {
      host,
      rules: new Lever<readonly HierarchyRule[]>({
        read: () => locks.rules,
        write: (rules) => locks.declareRules(rules),
        isSame: sameJson,
        mark: () => locks.declarations,
      }),
      holdMs: new Lever({
        read: () => locks.holdCeilingMs,
        write: (ms) => {
          locks.holdCeilingMs = ms;
        },
        isSame: Object.is,
      }),
      pools: new Map(),
    };
    this.#govern(governed, true);
    this.#hosts.add(governed);
    const stop = host.onPoolOpened((pool) => this.#governPool(poolsOf(governed).get(pool)!, true));
    return () => {
      stop();
      this.#hosts.delete(governed);
    };
  }

  /** The policy in force, with all defaults filled in. */
  get current(): LockPolicy {
    return merge(this.#options.defaults ?? defaultLockPolicy(), this.#applied);
  }

  /**
   * Follows a policy from now on.
   *
   * @param policy - the spec, or the object of Kubernetes
   * @throws {PolicyInvalidError} ERR_POLICY_INVALID with all faults; nothing was changed.
   * @throws {MemoryFullError} ERR_MEMORY_FULL when there is no room for the rules; nothing was changed.
   * @throws {PlacementError} ERR_RESOURCE_LIMIT when the workers of an open pool, or of any, may stand nowhere; nothing was changed.
   */
  apply(policy: unknown): AppliedPolicy {
    const spec = validSpec(policy, this.#options.topology?.()?.nodes);
    const resolved = resolvePolicy(spec);
    const own = this.#options.containerId?.();
    if (resolved.containerID !== undefined && !isContainer(resolved.containerID, own)) {
      return new Applied(this.current, undefined, otherContainer(resolved.containerID, own));
    }
    this.#assertRulesFit(resolved, isResource(policy) ? 'spec.rules' : 'rules');
    const before = this.#applied;
    const levers = [...this.#hosts].flatMap(leversOf).map((lever) => lever.save());
    this.#applied = [...before, resolved];
    try {
      this.#assertPlacesFit(resolved);
      this.#governAll(true);
    } catch (error) {
      this.#applied = before;
      try {
        callAll(levers);
      } catch {
        // What kept the policy out is what is told.
      }
      throw error;
    }
    return new Applied(this.current, () => this.#undo(resolved), undefined);
  }

  #undo(policy: ResolvedPolicy): void {
    this.#applied = this.#applied.filter((each) => each !== policy);
    this.#governAll(false);
  }

  /** The rules of a policy may go together, and still contradict those of the program or of a policy before it. A runtime may come later, so the defaults count too. */
  #assertRulesFit(policy: ResolvedPolicy, path: string): void {
    const policies = [...this.#applied, policy];
    if (policies.every(({ rules }) => rules === undefined)) return;
    const { defaults = defaultLockPolicy() } = this.#options;
    for (const base of [defaults.rules, ...[...this.#hosts].map(({ rules }) => rules.base)]) {
      const all = rulesOver(base, policies);
      const faults = new RuleGraph(all).cycles().map((cycle) => {
        const last = cycle.steps.reduce((a, b) => (b.rule > a.rule ? b : a));
        const index = (policy.rules ?? []).findIndex(({ name }) => name === all[last.rule]!.name);
        return {
          path: index < 0 ? '' : `${path}[${index}].order[${last.at}]`,
          reason: `contradicts rules that are in force: ${describeCycle(cycle, (rule) => all[rule]!.name)}`,
        };
      });
      if (faults.length > 0) throw new PolicyInvalidError('the LockPolicy cannot be applied', faults);
    }
  }

  /** Asked of the machine, as pools may come later, and of all pools before any is moved: workers that move are started anew. */
  #assertPlacesFit({ numaAffinity }: ResolvedPolicy): void {
    const topology = this.#options.topology?.();
    if (numaAffinity !== undefined && topology !== undefined) assertPlaceable(topology, numaAffinity);
    const affinity = last(this.#applied, 'numaAffinity');
    if (affinity === undefined) return;
    for (const { host } of this.#hosts) for (const pool of host.pools()) pool.assertMovable(affinity);
  }

  #governAll(isNew: boolean): void {
    callAll([...this.#hosts].map((governed) => () => this.#govern(governed, isNew)));
  }

  #govern(governed: Host, isNew: boolean): void {
    const { rules, holdMs } = governed;
    const ruling = this.#applied.filter((each) => each.rules !== undefined);
    const known = new Set(governed.pools.keys());
    callAll([
      () => rules.move(ruling.length === 0 ? undefined : { value: rulesOver(rules.base, ruling) }, isNew),
      () => holdMs.move(asWanted(last(this.#applied, 'maxHoldTimeMs')), isNew),
      ...[...poolsOf(governed)].map(
        ([pool, levers]) =>
          () =>
            this.#governPool(levers, isNew || !known.has(pool)),
      ),
    ]);
  }

  #governPool(levers: PoolLevers, isNew: boolean): void {
    const retry = last(this.#applied, 'retryPolicy');
    const wanted = retry && {
      attempts: retry.attempts,
      backoffMs: retry.backoffBaseMs,
      jitterPercent: retry.jitterPercent,
    };
    callAll([
      () => levers.retry.move(asWanted(wanted), isNew),
      () => levers.qos.move(asWanted(last(this.#applied, 'qosClass')), isNew),
      () => levers.affinity.move(asWanted(last(this.#applied, 'numaAffinity')), isNew),
    ]);
  }
}

/** Calls all of them, whatever some throw; then throws the first of that. One setting that cannot be moved is no reason to leave others where they are. */
function callAll(calls: readonly (() => void)[]): void {
  const errors: unknown[] = [];
  for (const call of calls) {
    try {
      call();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** Rules of the program and of policies together, each once. */
function rulesOver(
  base: readonly HierarchyRule[],
  policies: readonly ResolvedPolicy[],
): readonly HierarchyRule[] {
  const all = [...base];
  for (const rule of policies.flatMap(({ rules = [] }) => rules))
    if (!all.some((each) => sameJson(each, rule))) all.push(rule);
  return all;
}

function leversOf(governed: Host): Lever<never>[] {
  const ofPools = [...poolsOf(governed).values()].flatMap(({ retry, qos, affinity }) => [
    retry,
    qos,
    affinity,
  ]);
  return [governed.rules, governed.holdMs, ...ofPools] as Lever<never>[];
}

/** The pools that are open now. */
function poolsOf({ host, pools }: Host): ReadonlyMap<TaskPool<never>, PoolLevers> {
  const open = new Set(host.pools());
  for (const pool of [...pools.keys()]) if (!open.has(pool)) pools.delete(pool);
  for (const pool of open) if (!pools.has(pool)) pools.set(pool, leversOfPool(pool));
  return pools;
}

function leversOfPool(pool: TaskPool<never>): PoolLevers {
  return {
    retry: new Lever<RetryOptions | undefined>({
      read: () => pool.retry,
      write: (retry) => {
        pool.retry = retry;
      },
      isSame: sameJson,
      // The program's is another object.
      mark: () => pool.retry,
    }),
    qos: new Lever({
      read: () => pool.qos,
      write: (qos) => pool.setConfig({ qos }),
      isSame: Object.is,
      mark: () => pool.qosChanges,
    }),
    affinity: new Lever<NUMAPolicy | undefined>({
      read: () => pool.affinity,
      write: (affinity) => {
        pool.affinity = affinity;
      },
      isSame: sameJson,
    }),
  };
}

function asWanted<T>(value: T | undefined): { readonly value: T } | undefined {
  return value === undefined ? undefined : { value };
}

/** What the latest policy says that says anything. */
function last<K extends keyof ResolvedPolicy>(
  policies: readonly ResolvedPolicy[],
  field: K,
): ResolvedPolicy[K] | undefined {
  return policies.findLast((each) => each[field] !== undefined)?.[field];
}

function merge(defaults: LockPolicy, policies: readonly ResolvedPolicy[]): LockPolicy {
  return {
    qosClass: last(policies, 'qosClass') ?? defaults.qosClass,
    numaAffinity: last(policies, 'numaAffinity') ?? defaults.numaAffinity,
    rules: rulesOver(defaults.rules, policies),
    retryPolicy: last(policies, 'retryPolicy') ?? defaults.retryPolicy,
    maxHoldTimeMs: last(policies, 'maxHoldTimeMs') ?? defaults.maxHoldTimeMs,
    containerID: last(policies, 'containerID') ?? defaults.containerID,
  };
}

/** Both are written by `JSON.stringify` with their keys in one order. */
function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Container runtimes write `containerd://<id>`, and people the first dozen digits. */
function isContainer(wanted: string, own: string | undefined): boolean {
  if (own === undefined) return false;
  const bare = (id: string): string => id.replace(/^[a-z][a-z0-9+.-]*:\/\//, '');
  return bare(own) === bare(wanted) || (bare(wanted).length >= 12 && bare(own).startsWith(bare(wanted)));
}

function otherContainer(wanted: string, own: string | undefined): string {
  return own === undefined
    ? `the policy is for container ${wanted}, and it is not known which container this process runs in`
    : `the policy is for container ${wanted}, and this process runs in ${own}`;
}

class Applied implements AppliedPolicy {
  readonly policy: LockPolicy;
  readonly reason: string | undefined;
  #undo: (() => void) | undefined;

  constructor(policy: LockPolicy, undo: (() => void) | undefined, reason: string | undefined) {
    this.policy = policy;
    this.#undo = undo;
    this.reason = reason;
  }

  get isInForce(): boolean {
    return this.#undo !== undefined;
  }

  undo(): void {
    this.#undo?.();
    this.#undo = undefined;
  }

  [Symbol.dispose](): void {
    this.undo();
  }
}
