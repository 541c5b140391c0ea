import { InvalidRangeError, InvalidTypeError } from '../errors.ts';
import { array, checkOptions, describe, object } from '../options.ts';
import { BaseSystems, SYSTEMS_CHECKS, type SystemsOptions } from './base.ts';
import { uncontained } from './systems.browser.ts';
import { Topology } from './topology.ts';
import type {
  CacheHints,
  ContainerContext,
  CoreHints,
  Degradation,
  NodeHints,
  PackageHints,
  TopologyHints,
} from './types.ts';
import { workersFor } from './workers.ts';

/** Options of {@link StaticSystems}. */
export interface StaticSystemsOptions extends SystemsOptions {
  /** How many CPUs, or their ids. Default: 1. */
  readonly cpus?: number | readonly number[];
  /** Default: one node with all CPUs. */
  readonly nodes?: readonly NodeHints[];
  /** Rows and columns in the order of `nodes`; 10 is local. Default: 20 between any two nodes. */
  readonly distances?: readonly (readonly number[])[];
  /** Id of a node. Default: the first. */
  readonly currentNode?: number;
  /** Default: one package. */
  readonly packages?: readonly PackageHints[];
  /** Default: each CPU is a core. */
  readonly cores?: readonly CoreHints[];
  /** Default: none. */
  readonly caches?: readonly CacheHints[];
  /** What differs from no container at all. `workers` follows from CPUs and quota unless it is given. */
  readonly container?: Partial<ContainerContext>;
}

/** A system that is what it is told to be: for tests, for simulations, and where nothing can be read. */
export class StaticSystems extends BaseSystems {
  readonly #topology: TopologyHints;
  readonly #container: ContainerContext;

  /**
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong option.
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT for ids that do not fit together.
   */
  constructor(options: StaticSystemsOptions = {}) {
    checkOptions(
      options,
      {
        ...SYSTEMS_CHECKS,
        cpus: checkCpus,
        nodes: array,
        distances: array,
        currentNode: checkId,
        packages: array,
        cores: array,
        caches: array,
        container: object,
      },
      'new StaticSystems()',
    );
    super(options);
    const { cpus: told = 1, nodes, distances, packages, cores, caches, container = {} } = options;
    const cpus = typeof told === 'number' ? Array.from({ length: told }, (_, id) => id) : [...told];
    if (nodes !== undefined) checkNodes(nodes, distances);
    else if (distances !== undefined)
      throw new InvalidRangeError("new StaticSystems(): 'distances' needs 'nodes' to be between");
    this.#topology = new Topology({
      source: 'static',
      cpus,
      ...(nodes === undefined ? {} : { nodes }),
      ...(distances === undefined ? {} : { distances }),
      currentNode: options.currentNode,
      details: () => ({
        packages: packages ?? [{ id: 0, cpus }],
        cores: cores ?? cpus.map((id) => ({ id, packageId: 0, cpus: [id] })),
        caches: caches ?? [],
        degradations: [],
      }),
    });
    const plain = uncontained(cpus, options.qosClass);
    const cpu = { ...plain.cpu, ...container.cpu };
    this.#container = {
      ...plain,
      ...container,
      ...(options.qosClass === undefined ? {} : { qosClass: options.qosClass, qosSource: 'option' as const }),
      cpu,
      workers: container.workers ?? workersFor(cpu.allowedCpus.length, cpu.quotaCpus),
    };
  }

  protected override topology(): TopologyHints {
    return this.#topology;
  }

  protected override readTopology(): TopologyHints {
    return this.#topology;
  }

  protected override readContainer(): ContainerContext {
    return this.#container;
  }

  /** Nothing changes by itself. */
  protected override watch(): void {}

  /** Nobody but those who listen wants to know. */
  protected override warn(): void {}

  /** Tells those who listen of a degradation. */
  override degrade(degradation: Degradation): void {
    super.degrade(degradation);
  }
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

function checkId(value: unknown, what: string): void {
  if (!isId(value)) throw new InvalidTypeError(`${what} must be an id, not ${describe(value)}`);
}

function checkCpus(value: unknown, what: string): void {
  if (Array.isArray(value) ? value.length > 0 && value.every(isId) : isId(value) && value > 0) return;
  throw new InvalidTypeError(
    `${what} must be a number of CPUs or a list of their ids, not ${describe(value)}`,
  );
}

function checkNodes(
  nodes: readonly NodeHints[],
  distances: readonly (readonly number[])[] | undefined,
): void {
  if (nodes.length === 0 || !nodes.every((node) => isId(node?.id) && Array.isArray(node.cpus)))
    throw new InvalidTypeError("new StaticSystems(): 'nodes' must list nodes { id, cpus, memoryBytes }");
  if (new Set(nodes.map(({ id }) => id)).size < nodes.length)
    throw new InvalidRangeError("new StaticSystems(): two of the 'nodes' have the same id");
  if (
    distances !== undefined &&
    (distances.length !== nodes.length ||
      !distances.every(
        (row) =>
          Array.isArray(row) && row.length === nodes.length && row.every((each) => isId(each) && each > 0),
      ))
  ) {
    throw new InvalidRangeError(
      `new StaticSystems(): 'distances' must have ${nodes.length} rows of ${nodes.length} numbers above 0, as there are ${nodes.length} nodes`,
    );
  }
}
