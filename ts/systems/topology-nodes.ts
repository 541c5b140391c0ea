import { InvalidRangeError } from '../errors.ts';
import { describe } from '../options.ts';
import type { NUMACoordinator, PinResult, TopologyHints } from './types.ts';

/** Knows where the nodes are, and has no means to pin threads to them. */
export class TopologyNodes implements NUMACoordinator {
  readonly #read: () => TopologyHints;

  /** @param read - the topology as it is now */
  constructor(read: () => TopologyHints) {
    this.#read = read;
  }

  nodes(): readonly number[] {
    return this.#read().nodes.map(({ id }) => id);
  }

  distance(a: number, b: number): number {
    return this.#read().distance(a, b);
  }

  nearest(node: number): readonly number[] {
    const topology = this.#read();
    const distance = new Map(topology.nodes.map(({ id }) => [id, topology.distance(node, id)]));
    const others = [...distance.keys()].filter((id) => id !== node);
    return [node, ...others.sort((a, b) => distance.get(a)! - distance.get(b)! || a - b)];
  }

  pin(_threadId: number, node: number): Promise<PinResult> {
    const topology = this.#read();
    if (!topology.nodes.some(({ id }) => id === node))
      return Promise.reject(new InvalidRangeError(`pin() knows no NUMA node ${describe(node)}`));
    return Promise.resolve({
      isPinned: false,
      cpus: topology.cpus,
      memory: 'default',
      means: 'none',
      reason: 'this host has no means to pin threads',
    });
  }

  currentNode(): number {
    return this.#read().currentNode;
  }
}
