import { formatIdList, intersect } from '../systems/id-lists.ts';
import type {
  ContainerContext,
  CoreHints,
  NodeHints,
  PackageHints,
  TopologyHints,
} from '../systems/types.ts';
import type { Paint } from './colours.ts';
import { type Branch, drawTree } from './tree.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
const LOCAL = 10;
/** From twice the local distance on, memory is far. */
const FAR = 20;

/** 33554432 -> '32 MiB'. */
function size(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ${UNITS[unit]}`;
}

const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? '' : 's'}`;

/**
 * A machine as text: a tree of packages, nodes and cores, the distances, and what this process may use.
 *
 * @param width - columns of the terminal
 */
export function topologyPicture(
  topology: TopologyHints,
  container: ContainerContext,
  width: number,
  paint: Paint,
): string {
  const dim = (text: string): string => paint('dim', text);
  const lines = [
    paint('bold', headline(topology)),
    ...drawTree(branchesOf(topology, width, paint), dim),
    ...cacheLine(topology, dim),
  ];
  if (topology.nodes.length > 1)
    lines.push('', paint('bold', 'Distances'), ...distanceLines(topology, paint));
  lines.push('', paint('bold', 'This process'), ...processLines(topology, container, paint));
  const faults = [...topology.degradations, ...container.degradations];
  if (faults.length > 0) {
    lines.push('', paint('bold', 'Could not be read'));
    for (const { what, reason, path } of faults)
      lines.push(`  ${paint('yellow', '!')} ${what} ${reason}${path === undefined ? '' : dim(` (${path})`)}`);
  }
  return `${lines.join('\n')}\n`;
}

function headline({ packages, cores, cpus, nodes, source }: TopologyHints): string {
  const memory = nodes.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  const parts = [
    plural(packages.filter(({ cpus }) => cpus.length > 0).length, 'package'),
    plural(cores.length, 'core'),
    plural(cpus.length, 'CPU'),
    plural(nodes.length, 'NUMA node'),
    ...(memory > 0 ? [size(memory)] : []),
  ];
  return `${source === 'sysfs' ? '' : 'Assumed: '}${parts.join(', ')}`;
}

// ---- the tree ------------------------------------------------------------------------------------------------------------------------------------

interface Part {
  readonly cpus: readonly number[];
}

const isWithin = (inner: Part, outer: Part): boolean =>
  intersect(inner.cpus, outer.cpus).length === inner.cpus.length;

/** Packages hold nodes on most machines; on some, one node holds all packages. */
function branchesOf(topology: TopologyHints, width: number, paint: Paint): Branch[] {
  const nodes = topology.nodes.filter(({ cpus }) => cpus.length > 0);
  const packages = topology.packages.filter(({ cpus }) => cpus.length > 0);
  const room = Math.max(24, width - 12);
  const cores = (part: Part): Branch[] => coreBranches(topology, part, room, paint);
  const packagesFirst = nodes.every((node) => packages.some((each) => isWithin(node, each)));
  const outer: readonly (NodeHints | PackageHints)[] = packagesFirst ? packages : nodes;
  const inner: readonly (NodeHints | PackageHints)[] = packagesFirst ? nodes : packages;
  const name = (part: NodeHints | PackageHints): string =>
    'memoryBytes' in part ? nodeName(part, paint) : paint('cyan', `package ${part.id}`);
  const branches: Branch[] = outer.map((part) => {
    const within = inner.filter((each) => isWithin(each, part));
    const covered = within.flatMap(({ cpus }) => cpus);
    const rest = { cpus: part.cpus.filter((cpu) => !covered.includes(cpu)) };
    return {
      text: name(part),
      branches: [
        ...within.map((each) => ({ text: name(each), branches: cores(each) })),
        ...(rest.cpus.length > 0 ? cores(rest) : []),
      ],
    };
  });
  const bare = topology.nodes.filter(({ cpus }) => cpus.length === 0);
  for (const node of bare) {
    const kind = node.isDeviceMemory ? 'memory of a device' : 'memory only';
    branches.push({ text: `${nodeName(node, paint)}  ${paint('dim', kind)}` });
  }
  return branches;
}

function nodeName({ id, memoryBytes }: NodeHints, paint: Paint): string {
  return `${paint('green', `node ${id}`)}${memoryBytes > 0 ? `  ${size(memoryBytes)}` : ''}`;
}

/** Cores by the last cache that they share, each as its hardware threads: `0+16`. */
function coreBranches(topology: TopologyHints, part: Part, room: number, paint: Paint): Branch[] {
  const mine = topology.cores.filter((core) => intersect(core.cpus, part.cpus).length > 0);
  const last = Math.max(0, ...topology.caches.map(({ level }) => level));
  const groups: CoreGroup[] = [];
  const placed = new Set<CoreHints>();
  for (const cache of last > 1 ? topology.caches : []) {
    if (cache.level !== last || cache.type === 'instruction') continue;
    const cores = mine.filter((core) => !placed.has(core) && intersect(core.cpus, cache.cpus).length > 0);
    if (cores.length === 0) continue;
    for (const core of cores) placed.add(core);
    groups.push({ label: `L${last} ${size(cache.sizeBytes)}  `, cores });
  }
  const rest = mine.filter((core) => !placed.has(core));
  if (rest.length > 0) groups.push({ label: '', cores: rest });
  return together(groups).map(({ label, cores }) => ({
    text: coreLines(label, cores, topology, room, paint).join('\n'),
  }));
}

interface CoreGroup {
  readonly label: string;
  readonly cores: readonly CoreHints[];
}

/** Where each core has a last cache of its own, a line for each would tell nothing. */
function together(groups: readonly CoreGroup[]): readonly CoreGroup[] {
  const [first] = groups;
  if (first === undefined || !groups.every(({ cores, label }) => cores.length === 1 && label === first.label))
    return groups;
  const label = groups.length > 1 && first.label !== '' ? `${first.label.trimEnd()} each  ` : first.label;
  return [{ label, cores: groups.flatMap(({ cores }) => [...cores]) }];
}

/** `L3 32 MiB  8 cores  0+16 1+17 ...`; cores of different kinds on lines of their own, and as many lines as their names take. */
function coreLines(
  label: string,
  cores: readonly CoreHints[],
  topology: TopologyHints,
  room: number,
  paint: Paint,
): string[] {
  const blank = ' '.repeat(label.length);
  return [...new Set(cores.map(({ kind }) => kind))].flatMap((kind, i) => {
    const some = cores.filter((core) => core.kind === kind);
    const count = `${some.length} ${kind === undefined ? '' : `${kind} `}${some.length === 1 ? 'core' : 'cores'}`;
    const isolated = intersect(
      some.flatMap(({ cpus }) => [...cpus]),
      topology.isolatedCpus,
    );
    const note = isolated.length > 0 ? paint('yellow', `  isolated: ${formatIdList(isolated)}`) : '';
    const names = some.map(({ cpus }) => cpus.join('+'));
    const head = `${i === 0 ? paint('dim', label) : blank}${count}`;
    const isShort = label.length + count.length + 2 + names.join(' ').length <= room;
    if (isShort) return [`${head}  ${names.join(' ')}${note}`];
    return [`${head}${note}`, ...wrap(names, room - label.length).map((line) => blank + line)];
  });
}

/** Words in lines of no more than so many columns. */
function wrap(words: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}

/** Sizes of the caches, without those of the tree. */
function cacheLine({ caches }: TopologyHints, dim: (text: string) => string): string[] {
  const kinds = new Map<string, Set<number>>();
  for (const { level, type, sizeBytes } of caches) {
    const name = `L${level}${type === 'data' ? 'd' : type === 'instruction' ? 'i' : ''}`;
    kinds.set(name, (kinds.get(name) ?? new Set()).add(sizeBytes));
  }
  const texts = [...kinds].map(([name, sizes]) => `${name} ${[...sizes].map(size).join(' or ')}`);
  return texts.length === 0 ? [] : [dim(`caches: ${texts.join(', ')}`)];
}

// ---- the rest ------------------------------------------------------------------------------------------------------------------------------------

function distanceLines({ nodes, distances }: TopologyHints, paint: Paint): string[] {
  const ids = nodes.map(({ id }) => String(id));
  const left = Math.max(...ids.map((id) => id.length));
  const columns = ids.map((id, i) => Math.max(id.length, ...distances.map((row) => String(row[i]).length)));
  const colourOf = (distance: number): 'green' | 'yellow' | 'red' =>
    distance <= LOCAL ? 'green' : distance <= FAR ? 'yellow' : 'red';
  return [
    `  ${paint('dim', `${'node'.padEnd(left + 5)}${ids.map((id, i) => id.padStart(columns[i]!)).join('  ')}`)}`,
    ...distances.map((row, a) => {
      const cells = row.map((distance, b) =>
        paint(colourOf(distance), String(distance).padStart(columns[b]!)),
      );
      return `  ${paint('dim', `${ids[a]!.padStart(4)}`.padEnd(left + 5))}${cells.join('  ')}`;
    }),
  ];
}

function processLines(topology: TopologyHints, container: ContainerContext, paint: Paint): string[] {
  const { cpu, memory, cgroup, kubernetes } = container;
  const all = topology.onlineCpus;
  const isAll = topology.cpus.length === all.length;
  const rows: [string, string][] = [
    ['workers', String(container.workers)],
    [
      'cpus',
      `${formatIdList(topology.cpus)}${isAll ? '' : paint('yellow', ` of ${formatIdList(all)}`)}${topology.offlineCpus.length > 0 ? paint('dim', `; ${formatIdList(topology.offlineCpus)} offline`) : ''}`,
    ],
    ['node', String(topology.currentNode)],
    ['cpu quota', cpu.quotaCpus === undefined ? 'none' : plural(Number(cpu.quotaCpus.toFixed(3)), 'CPU')],
  ];
  if (cpu.throttling !== undefined && cpu.throttling.throttledPeriods > 0) {
    const { periods, throttledPeriods, throttledMs } = cpu.throttling;
    rows.push([
      'throttled',
      paint('red', `${throttledPeriods} of ${periods} periods, ${Math.round(throttledMs)} ms`),
    ]);
  }
  rows.push(['memory limit', memory.limitBytes === undefined ? 'none' : size(memory.limitBytes)]);
  if (memory.usedBytes !== undefined) rows.push(['memory used', size(memory.usedBytes)]);
  for (const [name, pressure] of [
    ['cpu pressure', cpu.pressure] as const,
    ['memory pressure', memory.pressure] as const,
  ])
    if (pressure !== undefined) rows.push([name, `${pressure.some.avg10} % of the last 10 s`]);
  rows.push(['QoS class', `${container.qosClass} ${paint('dim', `(${container.qosSource})`)}`]);
  if (cgroup !== undefined) {
    const paths = [...new Set(Object.values(cgroup.paths))];
    rows.push(['cgroup', `${cgroup.version} ${paths.join(' ')}`]);
  }
  rows.push(['container', container.containerId ?? (container.isContainer ? 'yes, its id is hidden' : 'no')]);
  if (kubernetes !== undefined) {
    const { namespace = '?', podName = '?', nodeName } = kubernetes;
    rows.push(['pod', `${namespace}/${podName}${nodeName === undefined ? '' : ` on ${nodeName}`}`]);
  }
  const left = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${paint('dim', name.padEnd(left))}  ${text}`);
}
