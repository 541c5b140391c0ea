import { InvalidRangeError, InvalidTypeError } from '../errors.ts';
import {
  anything,
  array,
  boolean,
  type Checks,
  checkOptions,
  describe,
  integer,
  number,
  object,
  oneOf,
  string,
} from '../options.ts';
import { QOS_LEVELS } from '../qos.ts';
import { BaseSystems, SYSTEMS_CHECKS, type SystemsOptions } from './base.ts';
import { formatIdList } from './id-lists.ts';
import { uncontained } from './systems.browser.ts';
import { Topology } from './topology.ts';
import type {
  CacheHints,
  ContainerContext,
  CoreHints,
  CpuContext,
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
        container: checkContainer,
      },
      'new StaticSystems()',
    );
    super(options);
    const { cpus: told = 1, nodes, distances, packages, cores, caches, container = {} } = options;
    const cpus = typeof told === 'number' ? Array.from({ length: told }, (_, id) => id) : [...told];
    if (typeof told !== 'number') assertDistinct(cpus, "'cpus' has");
    if (nodes !== undefined) checkNodes(nodes, distances);
    else if (distances !== undefined)
      throw new InvalidRangeError("new StaticSystems(): 'distances' needs 'nodes' to be between");
    assertFits(cpus, options);
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

const CONTAINER_CHECKS: Checks<ContainerContext> = {
  isContainer: boolean,
  containerId: string,
  cgroup: object,
  cpu: checkCpu,
  memory: object,
  kubernetes: object,
  qosClass: oneOf(...QOS_LEVELS),
  qosSource: string,
  workers: integer(1, Number.MAX_SAFE_INTEGER),
  degradations: array,
};

function checkContainer(value: unknown, what: string): void {
  object(value, what);
  checkOptions(value as ContainerContext, CONTAINER_CHECKS, what);
}

function checkCpu(value: unknown, what: string): void {
  object(value, what);
  checkOptions(
    value as CpuContext,
    {
      // A thousandth of a CPU is the least that control groups grant.
      quotaCpus: number(0.001, Number.POSITIVE_INFINITY),
      allowedCpus: checkIds,
      throttling: anything,
      pressure: anything,
    },
    what,
  );
}

function checkIds(value: unknown, what: string): void {
  if (!Array.isArray(value) || value.length === 0 || !value.every(isId))
    throw new InvalidTypeError(`${what} must be a list of ids, not ${describe(value)}`);
}

function assertDistinct(ids: readonly number[], whose: string): void {
  const seen = new Set<number>();
  const twice = ids.find((id) => seen.size === seen.add(id).size);
  if (twice !== undefined)
    throw new InvalidRangeError(`new StaticSystems(): ${whose} the id ${twice} more than once`);
}

/** Whatever names CPUs, nodes and packages names those that there are. */
function assertFits(cpus: readonly number[], options: StaticSystemsOptions): void {
  const {
    nodes = [{ id: 0, cpus: [] }],
    currentNode,
    packages = [{ id: 0, cpus: [] }],
    cores = [],
    caches = [],
    container = {},
  } = options;
  for (const [what, list] of Object.entries({ nodes, packages, cores, caches })) {
    for (const [i, each] of list.entries()) {
      if (!Array.isArray(each?.cpus) || !each.cpus.every(isId))
        throw new InvalidTypeError(`new StaticSystems(): '${what}[${i}]' needs 'cpus', a list of ids`);
      assertAmong(each.cpus, cpus, `'${what}[${i}].cpus'`, 'cpus');
    }
  }
  assertDistinct(
    nodes.flatMap((node) => node.cpus),
    "'nodes' have",
  );
  const packageIds = packages.map(({ id }) => id);
  for (const [i, core] of cores.entries())
    assertAmong([core.packageId], packageIds, `'cores[${i}].packageId'`, 'packages');
  if (currentNode !== undefined) {
    const ids = nodes.map(({ id }) => id);
    assertAmong([currentNode], ids, "'currentNode'", 'nodes');
  }
  assertAmong(container.cpu?.allowedCpus ?? [], cpus, "'container.cpu.allowedCpus'", 'cpus');
}

function assertAmong(ids: readonly number[], all: readonly number[], what: string, of: string): void {
  const known = new Set(all);
  const stray = ids.find((id) => !known.has(id));
  if (stray === undefined) return;
  throw new InvalidRangeError(
    `new StaticSystems(): ${what} names ${describe(stray)}, which is none of the ${of}: ${formatIdList(all)}`,
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
