import { MAX_NODES, MAX_WORKERS, ROW_BANK } from '../../build/generated/layout.ts';
import { InvalidRangeError, PlacementError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { describe, object } from '../options.ts';
import { lockPolicySchema } from '../policy/schema.ts';
import { checkStructure, pathOf } from '../policy/structural.ts';
import type { NUMAAffinitySpec } from '../policy/types.ts';
import type { QoSLevel } from '../qos.ts';
import type { NodeHints, NUMAPolicy, TopologyHints } from '../systems/types.ts';

/** Queue of tasks that may run anywhere. */
export const ANYWHERE = 0;

const SPEC_SCHEMA = lockPolicySchema.properties.numaAffinity;

/** Checks the option `numa` of a pool: what a policy may say of nodes, a pool may. */
export function numaCheck(value: unknown, what: string): void {
  if (typeof value === 'boolean') return;
  object(value, what);
  checkStructure(value, SPEC_SCHEMA, [], (keys, reason) => {
    throw new InvalidRangeError(`${what}: ${pathOf(keys)} ${reason}`);
  });
}

/**
 * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT when `node` is none of `ids`.
 */
export function assertNode(ids: readonly number[], node: number, what: string): void {
  if (!ids.includes(node))
    throw new InvalidRangeError(
      `${what}: there is no NUMA node ${describe(node)}; this machine has ${ids.join(', ')}`,
      { resource: what },
    );
}

/** A spec with its defaults. */
export function policyOf(spec: NUMAAffinitySpec): NUMAPolicy {
  const required = spec.required ?? false;
  return {
    required,
    preferredNodes: spec.preferredNodes ?? [],
    allowedDistance: spec.allowedDistance ?? 0,
    fallbackStrategy: required ? 'none' : (spec.fallbackStrategy ?? 'nearest'),
    ...(spec.qosOverride == null ? {} : { qosOverride: spec.qosOverride }),
  };
}

/**
 * Spreads workers over nodes in proportion to their CPUs, so that every first few of them are spread as evenly as can be: each time the
 * node goes next whose share is furthest behind (smooth weighted round-robin, as in nginx's upstream module).
 */
function* spread(nodes: readonly NodeHints[]): IterableIterator<NodeHints> {
  const total = nodes.reduce((sum, { cpus }) => sum + cpus.length, 0);
  const behind = nodes.map(() => 0);
  while (true) {
    let best = 0;
    for (const [i, { cpus }] of nodes.entries()) {
      behind[i]! += cpus.length;
      if (behind[i]! > behind[best]!) best = i;
    }
    behind[best]! -= total;
    yield nodes[best]!;
  }
}

/**
 * Where the workers of a pool stand, and who may take what (assembly/placement.ts): made once, from the machine and a {@link NUMAPolicy}. Places are numbered:
 * those of a pool of n workers are the first n.
 *
 * A task with `numaNode` belongs to that node, any other to none. A worker takes what belongs to its own node, then what belongs to none, then to other
 * nodes: with strategy `'nearest'` from near to far, with `'any'` in no such order, with `'none'` not at all; never further than `allowedDistance`.
 */
export class Placement {
  readonly policy: NUMAPolicy;
  /** Ids of the nodes; the queue of the node at `i` is `i + 1`. */
  readonly nodeIds: readonly number[];
  readonly #nodes: readonly NodeHints[];
  readonly #topology: TopologyHints;
  /** Workers are pinned to their nodes; else any may run anywhere, and tasks belong to no node. */
  readonly isBinding: boolean;
  /** Queue of the node of each place. */
  readonly #queues: readonly number[];
  /** Queues that workers on a node look into, by its queue. */
  readonly #reach: readonly (readonly number[])[];

  /**
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT for a preferred node that is none.
   * @throws {PlacementError} ERR_RESOURCE_LIMIT when no worker may stand anywhere, or for a machine of more than 31 nodes.
   */
  constructor(topology: TopologyHints, policy: NUMAPolicy, isBinding = true) {
    this.policy = policy;
    this.isBinding = isBinding;
    this.#topology = topology;
    this.#nodes = topology.nodes;
    this.nodeIds = topology.nodes.map(({ id }) => id);
    if (this.nodeIds.length > MAX_NODES)
      throw new PlacementError(
        `cannot place workers on ${this.nodeIds.length} NUMA nodes: a pool tells ${MAX_NODES} apart`,
      );
    for (const node of policy.preferredNodes) this.#queueOf(node, 'preferredNodes');
    this.#queues = this.#plan();
    this.#reach = [[], ...this.#nodes.map((node) => this.#reachOf(node))];
  }

  /** Queues of each class that a submitter has. */
  get queueCount(): number {
    return this.nodeIds.length + 1;
  }

  /** Says the same of every place as another? */
  isSame(other: Placement): boolean {
    const words = (placement: Placement): string =>
      JSON.stringify([
        placement.isBinding,
        placement.policy,
        placement.nodeIds,
        placement.#queues,
        placement.#reach,
      ]);
    return words(this) === words(other);
  }

  /** Id of the node of a place. */
  nodeOf(place: number): number {
    return this.nodeIds[this.#queues[place]! - 1]!;
  }

  #within(a: number, b: number): boolean {
    const { allowedDistance } = this.policy;
    return a === b || allowedDistance === 0 || this.#topology.distance(a, b) <= allowedDistance;
  }

  /** Node of each worker index: as many on the preferred nodes as these have CPUs, then on the next best, round and round. */
  #plan(): number[] {
    const withCpus = this.#nodes.filter(({ cpus }) => cpus.length > 0);
    const plan: NodeHints[] = [];
    const rings = this.#rings(withCpus);
    if (rings.length === 0)
      throw new PlacementError(
        `cannot place workers: no preferred node (${this.policy.preferredNodes.join(', ')}) has CPUs that this process may use, and the policy allows no other`,
      );
    while (plan.length < MAX_WORKERS) {
      for (const ring of rings) {
        const most = ring.reduce((sum, { cpus }) => sum + cpus.length, 0);
        let count = 0;
        for (const node of spread(ring)) {
          if (count++ === most || plan.length === MAX_WORKERS) break;
          plan.push(node);
        }
      }
    }
    return plan.map(({ id }) => this.nodeIds.indexOf(id) + 1);
  }

  /** Groups of nodes that are equally good for workers, the best first. */
  #rings(nodes: readonly NodeHints[]): NodeHints[][] {
    const { preferredNodes, fallbackStrategy } = this.policy;
    if (preferredNodes.length === 0) return [[...nodes]];
    const preferred = preferredNodes.flatMap((id) => nodes.filter((node) => node.id === id));
    const others = nodes.filter(
      ({ id }) => !preferredNodes.includes(id) && preferredNodes.some((to) => this.#within(to, id)),
    );
    const away = ({ id }: NodeHints): number =>
      Math.min(...preferredNodes.map((to) => this.#topology.distance(to, id)));
    const rings = preferred.length === 0 ? [] : [preferred];
    if (fallbackStrategy === 'nearest')
      rings.push(...[...others].sort((a, b) => away(a) - away(b)).map((node) => [node]));
    else if (fallbackStrategy === 'any' && others.length > 0) rings.push(others);
    return rings;
  }

  #reachOf({ id }: NodeHints): number[] {
    const own = this.nodeIds.indexOf(id);
    const { fallbackStrategy } = this.policy;
    // Equally far ones in another order for each node, so that not all go to the same one first.
    const others = this.nodeIds.map((_, i) => (own + i) % this.nodeIds.length).slice(1);
    const allowed = others.filter((i) => this.#within(id, this.nodeIds[i]!));
    const far = (i: number): number => this.#topology.distance(id, this.nodeIds[i]!);
    if (fallbackStrategy === 'nearest') allowed.sort((a, b) => far(a) - far(b));
    return [own + 1, ANYWHERE, ...(fallbackStrategy === 'none' ? [] : allowed.map((i) => i + 1))];
  }

  /** Writes who may take what into a bank of a pool's record. While no worker stands by that bank. */
  install(kernel: Kernel, pool: number, bank: number): void {
    for (const [from, queues] of this.#reach.entries())
      for (const queue of queues) kernel.calls.addReach(pool, from, queue, bank);
  }

  /** Before worker `index` joins: it has a place. */
  stand(kernel: Kernel, pool: number, bank: number, index: number, place: number): void {
    kernel.calls.placeWorker(pool, index, this.#queues[place]!, bank);
  }

  /**
   * @throws {PlacementError} ERR_RESOURCE_LIMIT for a machine on which no running pool can be placed.
   */
  assertMovable(): void {
    if (this.nodeIds.length > ROW_BANK)
      throw new PlacementError(
        `cannot place a running pool on ${this.nodeIds.length} NUMA nodes: ${ROW_BANK} are the most`,
      );
  }

  #queueOf(node: number, what: string): number {
    assertNode(this.nodeIds, node, what);
    return this.nodeIds.indexOf(node) + 1;
  }

  /** May the worker of a place take from `queue`? */
  mayTake(place: number, queue: number): boolean {
    return this.#reach[this.#queues[place]!]!.includes(queue);
  }

  /** May one of the first `workers` workers take from `queue`? */
  isManned(queue: number, workers: number): boolean {
    for (let place = 0; place < workers; place++) if (this.mayTake(place, queue)) return true;
    return false;
  }

  /**
   * Queue for a task of node `node`.
   *
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT for the id of no node.
   * @throws {PlacementError} ERR_RESOURCE_LIMIT when none of the first `workers` workers may run it.
   */
  queueFor(node: number | undefined, workers: number): number {
    if (node === undefined) return ANYWHERE;
    const queue = this.#queueOf(node, 'numaNode');
    if (!this.isBinding) return ANYWHERE;
    if (!this.isManned(queue, workers)) throw this.unmanned(queue, workers);
    return queue;
  }

  unmanned(queue: number, workers: number): PlacementError {
    const { allowedDistance, fallbackStrategy } = this.policy;
    const nodes = [...new Set(Array.from({ length: workers }, (_, place) => this.nodeOf(place)))].sort(
      (a, b) => a - b,
    );
    const limit =
      fallbackStrategy === 'none' ? 'tasks stay on their node' : `allowedDistance is ${allowedDistance}`;
    return new PlacementError(
      `no worker may run a task of NUMA node ${this.nodeIds[queue - 1]}: the ${workers} workers are for node ${nodes.join(', ')}, and ${limit}`,
      { resource: `numaNode ${this.nodeIds[queue - 1]}` },
    );
  }

  /** Class of a task of node `node` that names none, or undefined for the pool's. */
  classFor(node: number | undefined): QoSLevel | undefined {
    const { preferredNodes, qosOverride } = this.policy;
    if (node === undefined || !this.isBinding || preferredNodes.length === 0 || preferredNodes.includes(node))
      return undefined;
    return qosOverride;
  }
}

/**
 * Can the workers of a pool be placed by a policy? On a machine of one node there is nothing to place.
 *
 * @throws as the constructor of {@link Placement}.
 */
export function assertPlaceable(topology: TopologyHints, policy: NUMAPolicy): void {
  if (topology.nodes.length > 1) new Placement(topology, policyOf(policy));
}
