import type { QoSLevel } from '../qos.ts';
import { findGroups, type Groups } from './cgroup-groups.ts';
import { readCpuLimits, readCpuset, readMemoryLimits } from './cgroup-limits.ts';
import { type Environment, readWhereabouts } from './container.ts';
import { formatIdList, intersect, parseIdList } from './id-lists.ts';
import { type Reading, show } from './reading.ts';
import { type Allowed, memTotal } from './sysfs.ts';
import type { ContainerContext } from './types.ts';
import { workersFor } from './workers.ts';

/** What is read of the container each time. */
export interface ContainerSources {
  readonly env: Environment;
  readonly qosClass: QoSLevel | undefined;
  /** CPUs to assume where neither affinity nor cpuset is told: those that are online. */
  readonly cpus: readonly number[];
  /** The affinity to count with in the place of that which is told now. */
  readonly affinity: readonly number[] | undefined;
  /** The machine's memory where it is not told. */
  readonly totalBytes: number | undefined;
}

/**
 * What affinity and cpuset leave of the machine. The affinity of a process lies within its cpuset, but recordings may lack either.
 *
 * @param known - the affinity to count with in the place of that which is told now: that of a thread is not that of its process once it was pinned
 */
export function readAllowed(
  reading: Reading,
  groups: Groups | undefined,
  known: readonly number[] | undefined,
): Allowed {
  // Of the calling thread, as those that it starts inherit it: /proc/self tells of the first thread, which may be pinned.
  const status =
    reading.optional('/proc/thread-self/status') ?? reading.text('/proc/self/status', 'affinity') ?? '';
  const affinity = (field: string): number[] | undefined => {
    const list = new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status)?.[1];
    const ids = list === undefined ? undefined : parseIdList(list);
    if (list !== undefined && ids === undefined)
      reading.note(
        'affinity',
        `has ${field} ${show(list)}, not a list of ids; all are assumed`,
        '/proc/self/status',
      );
    return ids;
  };
  const cpuset = readCpuset(reading, groups?.of.cpuset);
  return {
    cpus: both(known ?? affinity('Cpus_allowed_list'), cpuset.cpus),
    nodes: both(affinity('Mems_allowed_list'), cpuset.nodes),
  };
}

function both(
  a: readonly number[] | undefined,
  b: readonly number[] | undefined,
): readonly number[] | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const common = intersect(a, b);
  // While a cpuset changes, one may be read before and the other after.
  return common.length > 0 ? common : a;
}

/** Reads the container that this process runs in. Never throws: what cannot be read is told. */
export function readContainerContext(reading: Reading, sources: ContainerSources): ContainerContext {
  const groups = findGroups(reading);
  const allowed = readAllowed(reading, groups, sources.affinity).cpus;
  let allowedCpus = intersect(sources.cpus, allowed);
  if (allowedCpus.length === 0) {
    reading.note(
      'allowed cpus',
      `are ${formatIdList(allowed ?? []) || 'none'}, of which none is online; ${formatIdList(sources.cpus)} are assumed`,
    );
    allowedCpus = [...sources.cpus];
  }
  const cpu = { ...readCpuLimits(reading, groups), allowedCpus };
  const { containerId, kubernetes, ...whereabouts } = readWhereabouts(
    reading,
    groups,
    sources.env,
    sources.qosClass,
  );
  const totalBytes = memTotal(reading, '/proc/meminfo', 'memory') ?? sources.totalBytes;
  return {
    ...whereabouts,
    ...(containerId === undefined ? {} : { containerId }),
    ...(groups === undefined
      ? {}
      : {
          cgroup: {
            version: groups.version,
            paths: Object.fromEntries(Object.entries(groups.of).map(([name, { path }]) => [name, path])),
          },
        }),
    cpu,
    memory: readMemoryLimits(reading, groups, totalBytes),
    ...(kubernetes === undefined ? {} : { kubernetes }),
    workers: workersFor(allowedCpus.length, cpu.quotaCpus),
    degradations: reading.degradations,
  };
}
