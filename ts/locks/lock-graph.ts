import type { QoSLevel } from '../qos.ts';
import { dotOf } from './lock-graph-dot.ts';
import { mermaidOf } from './lock-graph-mermaid.ts';

/** A lock, or a class of locks. */
export interface LockNode {
  /** Its address in the shared memory. */
  readonly address: number;
  readonly name: string;
  readonly kind: 'lock' | 'class';
  /** Name of the lock's class. */
  readonly class?: string;
  /** NUMA node of its memory: 0, as the records of locks are bound to none. */
  readonly numaNode: number;
  /**
   * The highest level of the tasks that were seen to take it under others, or others under it, when that was learned; of a class, those of its locks.
   * Threads and contexts have none. `'Burstable'` when nobody with a level was seen.
   */
  readonly qosLevel: QoSLevel;
}

/** A lock was taken while another one was held. */
export interface LockEdge {
  /** Address of what was held. */
  readonly from: number;
  /** Address of what was taken. */
  readonly to: number;
  /** How often. Exact between locks that are taken right after one another; others lag behind by less than 64 for each chain of locks and thread. */
  readonly weight: number;
  /** Is it part of a reported cycle? */
  readonly isCyclic: boolean;
  /** Declared by a rule; `weight` is 0 for one that was never seen. */
  readonly rules: readonly string[];
  /** Names of the locks that were held besides every time, outermost first, at most four. */
  readonly gates: readonly string[];
  /** Who was first seen to do it, where that was written down. */
  readonly owner?: string;
  /** Where, unless `locks.stacks` is `'off'`. */
  readonly stack?: string;
}

/** The order of locks as it was when it was asked for: plain data, and pictures of it. */
export class LockGraph {
  readonly nodes: readonly LockNode[];
  readonly edges: readonly LockEdge[];

  /** @internal */
  constructor(nodes: readonly LockNode[], edges: readonly LockEdge[]) {
    this.nodes = nodes;
    this.edges = edges;
  }

  /** For Graphviz: cycles red, rules dashed, weights as labels, classes as boxes. */
  toDot(): string {
    return dotOf(this);
  }

  /** For Mermaid, as Markdown hosts draw it: a flowchart. */
  toMermaid(): string {
    return mermaidOf(this);
  }

  /**
   * A picture in layers, outer locks above inner ones; no scripts, no fonts of its own. Loads the library that makes the layout with its first call.
   * Meant for graphs that a person can look at: up to some hundred locks.
   */
  async toSvg(): Promise<string> {
    const { svgOf } = await import('./lock-graph-svg.ts');
    return svgOf(this);
  }

  /** The data alone. */
  toJSON(): { nodes: readonly LockNode[]; edges: readonly LockEdge[] } {
    return { nodes: this.nodes, edges: this.edges };
  }
}
