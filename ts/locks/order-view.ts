import {
  CHAIN_COUNT_SHIFT,
  CHAIN_COUNTED,
  CHAIN_EDGE_MASK,
  CHAIN_SIZE,
  CHAINS,
  CONTEXT_ANSWER,
  CONTEXT_ANSWERED,
  CONTEXT_CHAINS,
  CONTEXT_LIVE,
  CONTEXT_NEXT,
  CONTEXT_STATE,
  CYCLE_CERTAIN,
  CYCLE_GATED,
  CYCLE_POSSIBLE,
  EDGE_BACK_BIT,
  EDGE_CYCLIC_BIT,
  EDGE_DEAD_BIT,
  EDGE_FROM,
  EDGE_NEXT_OUT,
  EDGE_NOTES,
  EDGE_REFUSED_BIT,
  EDGE_SIGHT_MASK,
  EDGE_SIZE,
  EDGE_TO,
  EDGES_PER_PAGE_LOG2,
  GRAPH_EDGE_PAGES,
  GRAPH_NODE_PAGES,
  GRAPH_OF_LOCKS,
  HEADER_ORDER,
  INFO_CLASS,
  INFO_NAME,
  INFO_SIZE,
  INFOS_PER_PAGE_LOG2,
  NODE_CLASS,
  NODE_GENERATION_MASK,
  NODE_ID_BITS,
  NODE_ID_MASK,
  NODE_LIFE,
  NODE_OUT,
  NODE_SIZE,
  NODES_PER_PAGE_LOG2,
  NOTE_SIGHT,
  NOTE_SIZE,
  NOTE_WEIGHT,
  ROOT_CLASSED,
  ROOT_CLASSES,
  ROOT_CONTEXTS,
  ROOT_HIGH,
  ROOT_INFO_PAGES,
  ROOT_INSTANCES,
  ROOT_OVERFLOWS,
  ROOT_SIGHT_PAGES,
  ROOT_TRUNCATED,
  SIGHT_GATE_COUNT,
  SIGHT_GATES,
  SIGHT_OWNER,
  SIGHT_SIZE,
  SIGHT_STACK,
  SIGHTS_PER_PAGE_LOG2,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { QOS_LEVELS, type QoSLevel } from '../qos.ts';

/** Edges lead from lock to lock, or from class to class. */
export type OrderGranularity = 'lock' | 'class';

/** How bad a cycle is; the meaning of each is in {@link LockOrderCycle}. */
export type OrderSeverity = 'certain' | 'possible' | 'gated' | 'same-owner';

/** An edge as it stands in the shared memory. */
export interface OrderEdge {
  readonly edge: number;
  readonly from: number;
  readonly to: number;
  readonly weight: number;
  /** Who saw it; 0 when several did, or when it is not known. */
  readonly owner: number;
  /** Locks that were held besides, every time. */
  readonly gates: readonly number[];
  /** Stack of the first look that was recorded, or ''. */
  readonly stack: string;
  /** It closed a cycle. */
  readonly isBack: boolean;
  /** Nobody took it: whoever wanted to was refused. */
  readonly isRefused: boolean;
  /** It is part of a reported cycle. */
  readonly isCyclic: boolean;
}

/** A cycle in an answer of the kernel: each edge begins where the one before ends. */
export interface OrderCycle {
  readonly granularity: OrderGranularity;
  readonly severity: OrderSeverity;
  readonly edges: readonly OrderEdge[];
}

const decoder = new TextDecoder();

/**
 * Reads the lock order from the shared memory, without a lock: each word is read as it is, an edge that appears meanwhile may be missing, and
 * one that goes may still be there.
 */
export class OrderView {
  readonly #kernel: Kernel;
  readonly #context: number;

  constructor(kernel: Kernel, context: number) {
    this.#kernel = kernel;
    this.#context = context >>> 0;
  }

  #word(address: number): number {
    return Atomics.load(this.#kernel.u32, address >>> 2);
  }

  get #root(): number {
    return this.#word(HEADER_ORDER);
  }

  #graph(granularity: OrderGranularity): number {
    return this.#root + (granularity === 'lock' ? ROOT_INSTANCES : ROOT_CLASSES);
  }

  /** Highest id of a lock or a class with a name or an edge. */
  get highestId(): number {
    return this.#word(this.#root + ROOT_HIGH);
  }

  /** Has any lock a class? */
  get hasClasses(): boolean {
    return this.#word(this.#root + ROOT_CLASSED) !== 0;
  }

  /** Edges that could not be kept, and searches that could not be made, for want of room. */
  get overflows(): number {
    return this.#word(this.#root + ROOT_OVERFLOWS);
  }

  /** Searches that ended before they had found all cycles through an edge. */
  get truncated(): number {
    return this.#word(this.#root + ROOT_TRUNCATED);
  }

  /** Name of a lock or a class, or undefined when it was not described. */
  nameOf(id: number): string | undefined {
    const info = this.#paged(this.#root + ROOT_INFO_PAGES, INFOS_PER_PAGE_LOG2, INFO_SIZE, id);
    return info === 0 ? undefined : this.#text(this.#word(info + INFO_NAME)) || undefined;
  }

  /** Highest level of the owners that were seen with a lock, or with a lock of a class; undefined when none of them has one. */
  levelOf(id: number): QoSLevel | undefined {
    const info = this.#paged(this.#root + ROOT_INFO_PAGES, INFOS_PER_PAGE_LOG2, INFO_SIZE, id);
    return info === 0 ? undefined : QOS_LEVELS[QOS_LEVELS.length - this.#word(info + INFO_CLASS)];
  }

  /** Id of a lock's class, or 0. */
  classOf(id: number): number {
    const node = this.#paged(this.#graph('lock') + GRAPH_NODE_PAGES, NODES_PER_PAGE_LOG2, NODE_SIZE, id);
    return node === 0 ? 0 : this.#word(node + NODE_CLASS);
  }

  #paged(pages: number, log2: number, size: number, index: number): number {
    const page = this.#word(pages + (index >>> log2) * 4);
    return page === 0 ? 0 : page + (index & ((1 << log2) - 1)) * size;
  }

  #text(address: number): string {
    if (address === 0) return '';
    const length = this.#word(address);
    // A copy, because a decoder takes no shared memory.
    return decoder.decode(this.#kernel.u8.slice(address + 4, address + 4 + length));
  }

  /** One edge by its number. */
  edge(granularity: OrderGranularity, edge: number): OrderEdge {
    const record = this.#record(granularity, edge);
    const note = this.#note(granularity, edge);
    const word = this.#word(note + NOTE_SIGHT);
    const sight = (word & EDGE_DEAD_BIT) === 0 ? word & EDGE_SIGHT_MASK : 0;
    const at =
      sight === 0 ? 0 : this.#paged(this.#root + ROOT_SIGHT_PAGES, SIGHTS_PER_PAGE_LOG2, SIGHT_SIZE, sight);
    const gates: number[] = [];
    for (let i = 0; at !== 0 && i < SIGHT_GATE_COUNT; i++) {
      const gate = this.#word(at + SIGHT_GATES + i * 4);
      if (gate !== 0) gates.push(gate & NODE_ID_MASK);
    }
    return {
      edge,
      from: this.#word(record + EDGE_FROM) & NODE_ID_MASK,
      to: this.#word(record + EDGE_TO) & NODE_ID_MASK,
      weight: this.#word(note + NOTE_WEIGHT),
      owner: at === 0 ? 0 : this.#word(at + SIGHT_OWNER),
      gates,
      stack: at === 0 ? '' : this.#text(this.#word(at + SIGHT_STACK)),
      isBack: (word & EDGE_BACK_BIT) !== 0,
      isRefused: (word & EDGE_REFUSED_BIT) !== 0,
      isCyclic: (word & EDGE_CYCLIC_BIT) !== 0,
    };
  }

  #record(granularity: OrderGranularity, edge: number): number {
    const page = this.#word(this.#graph(granularity) + GRAPH_EDGE_PAGES + (edge >>> EDGES_PER_PAGE_LOG2) * 4);
    return page + (edge & ((1 << EDGES_PER_PAGE_LOG2) - 1)) * EDGE_SIZE;
  }

  #note(granularity: OrderGranularity, edge: number): number {
    const page = this.#word(this.#graph(granularity) + GRAPH_EDGE_PAGES + (edge >>> EDGES_PER_PAGE_LOG2) * 4);
    return page + EDGE_NOTES + (edge & ((1 << EDGES_PER_PAGE_LOG2) - 1)) * NOTE_SIZE;
  }

  /** Does a reference mean the node as it is now? */
  #isCurrent(graph: number, reference: number): boolean {
    const node = this.#paged(
      graph + GRAPH_NODE_PAGES,
      NODES_PER_PAGE_LOG2,
      NODE_SIZE,
      reference & NODE_ID_MASK,
    );
    return node !== 0 && (this.#word(node + NODE_LIFE) & NODE_GENERATION_MASK) === reference >>> NODE_ID_BITS;
  }

  /** Every edge of a graph, with what seen chains have counted beside it. */
  edges(granularity: OrderGranularity): OrderEdge[] {
    if (this.#root === 0) return [];
    const graph = this.#graph(granularity);
    const counted = granularity === 'lock' ? this.#counted() : new Map<number, number>();
    const edges: OrderEdge[] = [];
    for (let id = 1; id <= this.highestId; id++) {
      const node = this.#paged(graph + GRAPH_NODE_PAGES, NODES_PER_PAGE_LOG2, NODE_SIZE, id);
      if (node === 0) continue;
      for (let edge = this.#word(node + NODE_OUT); edge !== 0; ) {
        const record = this.#record(granularity, edge);
        const isLive =
          (this.#word(this.#note(granularity, edge) + NOTE_SIGHT) & EDGE_DEAD_BIT) === 0 &&
          this.#isCurrent(graph, this.#word(record + EDGE_FROM)) &&
          this.#isCurrent(graph, this.#word(record + EDGE_TO));
        if (isLive) {
          const found = this.edge(granularity, edge);
          edges.push({ ...found, weight: found.weight + (counted.get(edge) ?? 0) });
        }
        edge = this.#word(record + EDGE_NEXT_OUT);
      }
    }
    return edges;
  }

  /** What chains that were seen again have not added to their newest edges yet. */
  #counted(): Map<number, number> {
    const counted = new Map<number, number>();
    let context = this.#word(this.#root + ROOT_CONTEXTS);
    for (; context !== 0; context = this.#word(context + CONTEXT_NEXT)) {
      if (this.#word(context + CONTEXT_STATE) !== CONTEXT_LIVE) continue;
      for (let i = 0; i < CHAINS; i++) {
        const word = this.#word(context + CONTEXT_CHAINS + i * CHAIN_SIZE + CHAIN_COUNTED);
        const edge = word & CHAIN_EDGE_MASK;
        if (edge !== 0) counted.set(edge, (counted.get(edge) ?? 0) + (word >>> CHAIN_COUNT_SHIFT));
      }
    }
    return counted;
  }

  /** The cycles in the answer of the context's last call. Whoever takes them tells of them: they are not in it any more. */
  takeCycles(): OrderCycle[] {
    const words = this.#answer();
    const cycles: OrderCycle[] = [];
    for (let i = 0; i < words.length; ) {
      const granularity: OrderGranularity = words[i] === GRAPH_OF_LOCKS ? 'lock' : 'class';
      const length = words[i + 2]!;
      const edges = Array.from(words.subarray(i + 3, i + 3 + length), (edge) => this.edge(granularity, edge));
      cycles.push({ granularity, severity: severityOf(words[i + 1]!), edges });
      i += 3 + length;
    }
    Atomics.store(this.#kernel.u32, (this.#context + CONTEXT_ANSWERED) >>> 2, 0);
    return cycles;
  }

  /** The words of the answer of the context's last call. */
  #answer(): Uint32Array {
    const start = this.#word(this.#context + CONTEXT_ANSWER) >>> 2;
    return this.#kernel.u32.subarray(start, start + this.#word(this.#context + CONTEXT_ANSWERED));
  }
}

function severityOf(code: number): OrderSeverity {
  if (code === CYCLE_CERTAIN) return 'certain';
  if (code === CYCLE_POSSIBLE) return 'possible';
  return code === CYCLE_GATED ? 'gated' : 'same-owner';
}
