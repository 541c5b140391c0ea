import { InvalidRangeError } from '../errors.ts';
import { describe } from '../options.ts';
import { formatIdList } from './id-lists.ts';
import type { CacheHints, CoreHints, Degradation, NodeHints, PackageHints, TopologyHints } from './types.ts';

/** What ACPI calls local; every distance is relative to it. */
const LOCAL = 10;
/** What is assumed between two nodes of which nothing is known. */
const REMOTE = 20;

/** Distances where none are known: all other nodes equally far. */
export function assumedDistances(nodes: number): number[][] {
  return Array.from({ length: nodes }, (_, a) =>
    Array.from({ length: nodes }, (_, b) => (a === b ? LOCAL : REMOTE)),
  );
}

/** What is known of a topology; what is left out is assumed. */
export interface TopologyParts {
  readonly source: TopologyHints['source'];
  readonly cpus: readonly number[];
  readonly onlineCpus?: readonly number[];
  readonly offlineCpus?: readonly number[];
  readonly isolatedCpus?: readonly number[];
  readonly nodes?: readonly NodeHints[];
  readonly distances?: readonly (readonly number[])[];
  readonly currentNode?: number | undefined;
  readonly degradations?: readonly Degradation[];
  /** Read when first asked for: nobody needs these to start. */
  readonly details?: () => TopologyDetails;
}

/** The parts of a topology that take many files to read. */
export interface TopologyDetails {
  readonly packages: readonly PackageHints[];
  readonly cores: readonly CoreHints[];
  readonly caches: readonly CacheHints[];
  readonly degradations: readonly Degradation[];
}

/** A machine of one package and one node, each CPU a core. */
function assumedDetails(cpus: readonly number[]): TopologyDetails {
  return {
    packages: [{ id: 0, cpus }],
    cores: cpus.map((id) => ({ id, packageId: 0, cpus: [id] })),
    caches: [],
    degradations: [],
  };
}

/** {@link TopologyHints} of what is known. */
export class Topology implements TopologyHints {
  readonly source: TopologyHints['source'];
  readonly cpus: readonly number[];
  readonly onlineCpus: readonly number[];
  readonly offlineCpus: readonly number[];
  readonly isolatedCpus: readonly number[];
  readonly nodes: readonly NodeHints[];
  readonly distances: readonly (readonly number[])[];
  readonly currentNode: number;
  readonly #degradations: readonly Degradation[];
  readonly #read: () => TopologyDetails;
  #details: TopologyDetails | undefined;

  constructor(parts: TopologyParts) {
    this.source = parts.source;
    this.cpus = parts.cpus;
    this.onlineCpus = parts.onlineCpus ?? parts.cpus;
    this.offlineCpus = parts.offlineCpus ?? [];
    this.isolatedCpus = parts.isolatedCpus ?? [];
    this.nodes = parts.nodes ?? [{ id: 0, cpus: parts.cpus, memoryBytes: 0 }];
    this.distances = parts.distances ?? assumedDistances(this.nodes.length);
    const current = parts.currentNode;
    this.currentNode = this.nodes.some(({ id }) => id === current) ? current! : this.nodes[0]!.id;
    this.#degradations = parts.degradations ?? [];
    this.#read = parts.details ?? (() => assumedDetails(this.cpus));
  }

  get packages(): readonly PackageHints[] {
    return this.#known().packages;
  }

  get cores(): readonly CoreHints[] {
    return this.#known().cores;
  }

  get caches(): readonly CacheHints[] {
    return this.#known().caches;
  }

  get degradations(): readonly Degradation[] {
    const { degradations } = this.#known();
    return degradations.length === 0 ? this.#degradations : [...this.#degradations, ...degradations];
  }

  distance(a: number, b: number): number {
    return this.distances[this.#indexOf(a)]![this.#indexOf(b)]!;
  }

  #indexOf(node: number): number {
    const index = this.nodes.findIndex(({ id }) => id === node);
    if (index >= 0) return index;
    throw new InvalidRangeError(
      `no NUMA node has the id ${describe(node)}; there are ${formatIdList(this.nodes.map(({ id }) => id))}`,
    );
  }

  #known(): TopologyDetails {
    this.#details ??= this.#read();
    return this.#details;
  }
}
