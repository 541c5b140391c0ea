import { formatIdList, intersect } from './id-lists.ts';
import { Reading, type SystemFiles } from './reading.ts';
import { readDetails } from './sysfs-details.ts';
import { assumedDistances, Topology } from './topology.ts';
import type { NodeHints } from './types.ts';

const CPUS = '/sys/devices/system/cpu';
const NODES = '/sys/devices/system/node';

/** What affinity and cpuset leave of the machine; undefined: everything. */
export interface Allowed {
  readonly cpus: readonly number[] | undefined;
  readonly nodes: readonly number[] | undefined;
}

/** A node before anything is left away. */
interface RawNode extends NodeHints {
  /** CPUs as its files name them: also those that are offline or not allowed. */
  readonly listedCpus: readonly number[];
}

/**
 * The topology that Linux tells in `/sys/devices/system/{cpu,node}`; undefined where it tells none. Files and their formats:
 * Documentation/ABI/stable/sysfs-devices-node and sysfs-devices-system-cpu of the kernel.
 *
 * @param allowed - what this process may use; ids that are not online are left away
 * @param currentCpu - where the calling thread runs, if known
 */
export function readSysfs(
  files: SystemFiles,
  allowed: Allowed,
  currentCpu: number | undefined,
): Topology | undefined {
  const reading = new Reading(files);
  const present = idsOfFolders(reading, CPUS, 'cpu');
  const online = onlineCpus(reading, present);
  if (online.length === 0) return undefined;
  let cpus = intersect(online, allowed.cpus);
  if (cpus.length === 0) {
    reading.note(
      'allowed cpus',
      `are ${formatIdList(allowed.cpus ?? []) || 'none'}, of which none is online (${formatIdList(online)}); all online ones are assumed`,
    );
    cpus = online;
  }
  const all = readNodes(reading, cpus);
  let nodes = all.filter(({ id }) => allowed.nodes === undefined || allowed.nodes.includes(id));
  if (nodes.length === 0) {
    reading.note(
      'allowed nodes',
      `are ${formatIdList(allowed.nodes ?? []) || 'none'}, which are not there; all are assumed`,
    );
    nodes = all;
  }
  return new Topology({
    source: 'sysfs',
    cpus,
    onlineCpus: online,
    offlineCpus: present.filter((id) => !online.includes(id)),
    isolatedCpus: intersect(cpus, reading.ids(`${CPUS}/isolated`, 'isolated cpus') ?? []),
    nodes: nodes.map(({ listedCpus: _, ...node }) => node),
    distances: readDistances(reading, all, nodes),
    currentNode: all.find(({ listedCpus }) => listedCpus.includes(currentCpu ?? -1))?.id,
    degradations: reading.degradations,
    details: () =>
      readDetails(
        new Reading(files),
        cpus,
        online,
        nodes.map(({ listedCpus }) => listedCpus),
      ),
  });
}

/** Ids of folders such as `cpu12`, rising. */
function idsOfFolders(reading: Reading, folder: string, prefix: string): number[] {
  return reading
    .list(folder)
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b);
}

/** The list; where there is none, each CPU's own flag, which those that cannot be switched off (often cpu0) do not have. */
function onlineCpus(reading: Reading, present: readonly number[]): number[] {
  const listed = reading.ids(`${CPUS}/online`, 'online cpus');
  if (listed !== undefined && listed.length > 0) return listed;
  return present.filter((id) => reading.integer(`${CPUS}/cpu${id}/online`, 'online cpus') !== 0);
}

function readNodes(reading: Reading, cpus: readonly number[]): RawNode[] {
  const folders = idsOfFolders(reading, NODES, 'node');
  const online = reading.ids(`${NODES}/online`, 'online nodes');
  const isTold = online !== undefined && online.length > 0;
  if (online?.length === 0 && folders.length > 0)
    reading.note('online nodes', 'are none; all that have a folder are assumed', `${NODES}/online`);
  const ids = isTold ? folders.filter((id) => online.includes(id)) : folders;
  // Kernels without NUMA have no such folder.
  if (ids.length === 0)
    return [
      { id: 0, cpus, listedCpus: cpus, memoryBytes: memTotal(reading, '/proc/meminfo', 'memory') ?? 0 },
    ];
  const devices = deviceNodes(reading);
  const lists = ids.map((id) => {
    const folder = `${NODES}/node${id}`;
    return reading.idsOrMap(`${folder}/cpulist`, `${folder}/cpumap`, `cpus of node ${id}`);
  });
  // A node may be memory only, but not every node.
  const areEmpty = lists.every((list) => list?.length === 0);
  return ids.map((id, i) => {
    const folder = `${NODES}/node${id}`;
    let listed = lists[i];
    if (listed === undefined || areEmpty) {
      listed = idsOfFolders(reading, folder, 'cpu');
      reading.note(
        `cpus of node ${id}`,
        'are not listed; those with a link in the folder of the node are assumed',
        folder,
      );
    }
    return {
      id,
      cpus: intersect(cpus, listed),
      listedCpus: listed,
      memoryBytes: memTotal(reading, `${folder}/meminfo`, `memory of node ${id}`) ?? 0,
      ...(devices.has(id) ? { isDeviceMemory: true as const } : {}),
    };
  });
}

/** `MemTotal` of a meminfo file, in bytes. */
export function memTotal(reading: Reading, path: string, what: string): number | undefined {
  const text = reading.text(path, what);
  if (text === undefined) return undefined;
  const kib = /MemTotal:\s*(\d+) kB/.exec(text)?.[1];
  if (kib !== undefined) return Number(kib) * 1024;
  reading.note(what, 'is not told: there is no MemTotal', path);
  return undefined;
}

/** NVIDIA's driver shows the memory of some GPUs as nodes: https://docs.nvidia.com, "numa_status" of the driver's proc files. */
function deviceNodes(reading: Reading): Set<number> {
  const gpus = '/proc/driver/nvidia/gpus';
  const nodes = new Set<number>();
  for (const gpu of reading.list(gpus)) {
    const id = /^Node:\s*(\d+)/m.exec(reading.text(`${gpus}/${gpu}/numa_status`, 'nodes of GPUs') ?? '')?.[1];
    if (id !== undefined) nodes.add(Number(id));
  }
  return nodes;
}

/** A row tells the distances to the nodes that are online, in their order; it does not count in node numbers. */
function readDistances(reading: Reading, all: readonly RawNode[], nodes: readonly RawNode[]): number[][] {
  if (all.length === 1) return assumedDistances(1);
  const columns = nodes.map((node) => all.indexOf(node));
  const rows: number[][] = [];
  for (const { id } of nodes) {
    const path = `${NODES}/node${id}/distance`;
    const text = reading.text(path, 'node distances');
    const row = text?.replace(/\0/g, '').trim().split(/\s+/).map(Number);
    if (row?.length !== all.length || !row.every((each) => Number.isInteger(each) && each > 0)) {
      reading.note(
        'node distances',
        `${text === undefined ? 'are not told' : `do not fit ${all.length} nodes`}; all nodes are taken for equally far`,
        path,
      );
      return assumedDistances(nodes.length);
    }
    rows.push(columns.map((column) => row[column]!));
  }
  return rows;
}
