import type { Group, Groups } from './cgroup-groups.ts';
import { type Reading, show } from './reading.ts';
import type { CpuContext, MemoryContext, Pressure, PressureReading } from './types.ts';

/** What cgroups-v2 takes when only a quota is given: Documentation/admin-guide/cgroup-v2.rst of the kernel. */
const DEFAULT_PERIOD_US = 100_000;
/** Version 1 writes "no limit" as a number near 2^63; nothing this large is meant. */
const UNLIMITED = 2 ** 53;

/** A limit, and the group that sets it. */
interface Limit {
  readonly value: number;
  /** Undefined: one that is not seen from here. */
  readonly folder: string | undefined;
}

/** The lowest limit of a group and those above it: each of them holds. */
function tightest(group: Group, limitOf: (folder: string) => number | undefined): Limit | undefined {
  let least: Limit | undefined;
  for (const folder of group.folders) {
    const value = limitOf(folder);
    if (value !== undefined && (least === undefined || value < least.value)) least = { value, folder };
  }
  return least;
}

// ---- processors --------------------------------------------------------------------------------------------------------------------

/** CPUs and nodes that the cpuset allows; undefined: it says nothing. */
export function readCpuset(
  reading: Reading,
  group: Group | undefined,
): { readonly cpus: number[] | undefined; readonly nodes: number[] | undefined } {
  const names = group?.version === 2 ? ['cpuset.', '.effective'] : ['cpuset.', ''];
  const find = (kind: 'cpus' | 'mems', what: string): number[] | undefined => {
    for (const folder of group?.folders ?? []) {
      const ids =
        reading.ids(`${folder}/${names.join(kind)}`, what) ??
        // Mounted as "cpuset", or with the option "noprefix".
        (group?.version === 1 ? reading.ids(`${folder}/${kind}`, what) : undefined);
      if (ids !== undefined && ids.length > 0) return ids;
    }
    return undefined;
  };
  return { cpus: find('cpus', 'cpuset cpus'), nodes: find('mems', 'cpuset nodes') };
}

/** Quota, throttling and pressure of the processors. */
export function readCpuLimits(reading: Reading, groups: Groups | undefined): Omit<CpuContext, 'allowedCpus'> {
  const group = groups?.of.cpu;
  const quota =
    group === undefined
      ? undefined
      : tightest(group, (folder) =>
          group.version === 2 ? quotaV2(reading, `${folder}/cpu.max`) : quotaV1(reading, folder),
        );
  const throttling =
    group === undefined
      ? undefined
      : readThrottling(reading, `${quota?.folder ?? group.folders[0]}/cpu.stat`, group.version);
  const pressure = readPressure(reading, groups, 'cpu');
  return {
    ...(quota === undefined ? {} : { quotaCpus: quota.value }),
    ...(throttling === undefined ? {} : { throttling }),
    ...(pressure === undefined ? {} : { pressure }),
  };
}

/** CPUs of `cpu.max`: `max`, `max PERIOD`, `QUOTA` or `QUOTA PERIOD` in microseconds. */
function quotaV2(reading: Reading, path: string): number | undefined {
  const text = reading.text(path, 'cpu quota');
  if (text === undefined) return undefined;
  const [quota, period = String(DEFAULT_PERIOD_US), ...more] = text.trim().split(/\s+/);
  if (quota === 'max' && more.length === 0) return undefined;
  return cpusOf(reading, quota ?? '', period, more.length === 0, path, text);
}

function quotaV1(reading: Reading, folder: string): number | undefined {
  const path = `${folder}/cpu.cfs_quota_us`;
  const quota = reading.text(path, 'cpu quota')?.trim();
  if (quota === undefined || quota === '-1') return undefined;
  const period = reading.text(`${folder}/cpu.cfs_period_us`, 'cpu quota')?.trim();
  if (period === undefined) {
    reading.note(
      'cpu quota',
      `is ${show(quota)} without a cpu.cfs_period_us beside it; none is assumed`,
      path,
    );
    return undefined;
  }
  return cpusOf(reading, quota, period, true, path, `${quota} of ${period}`);
}

function cpusOf(
  reading: Reading,
  quota: string,
  period: string,
  isWhole: boolean,
  path: string,
  text: string,
): number | undefined {
  const cpus = isWhole && /^\d+$/.test(quota) && /^\d+$/.test(period) ? Number(quota) / Number(period) : 0;
  if (cpus > 0 && Number.isFinite(cpus)) return cpus;
  reading.note(
    'cpu quota',
    `is ${show(text)}, which allows nothing or makes no sense; none is assumed`,
    path,
  );
  return undefined;
}

function readThrottling(reading: Reading, path: string, version: 1 | 2): CpuContext['throttling'] {
  const text = reading.optional(path);
  const field = (name: string): number | undefined => {
    const digits = new RegExp(`^${name} (\\d+)$`, 'm').exec(text ?? '')?.[1];
    return digits === undefined ? undefined : Number(digits);
  };
  const periods = field('nr_periods');
  const throttledPeriods = field('nr_throttled');
  // Microseconds in version 2, nanoseconds in version 1.
  const throttled = version === 2 ? field('throttled_usec') : field('throttled_time');
  if (periods === undefined || throttledPeriods === undefined || throttled === undefined) return undefined;
  return { periods, throttledPeriods, throttledMs: throttled / (version === 2 ? 1e3 : 1e6) };
}

// ---- memory ------------------------------------------------------------------------------------------------------------------------

/** Limit, use and pressure of the memory. */
export function readMemoryLimits(
  reading: Reading,
  groups: Groups | undefined,
  totalBytes: number | undefined,
): MemoryContext {
  const group = groups?.of.memory;
  const file = group?.version === 2 ? 'memory.max' : 'memory.limit_in_bytes';
  let limit =
    group === undefined ? undefined : tightest(group, (folder) => bytesOf(reading, `${folder}/${file}`));
  const hidden = group?.version === 1 ? hierarchicalLimit(reading, group) : undefined;
  if (hidden !== undefined && hidden < (limit?.value ?? Number.POSITIVE_INFINITY))
    limit = { value: hidden, folder: undefined };
  // More than there is limits nothing.
  if (limit !== undefined && totalBytes !== undefined && limit.value >= totalBytes) limit = undefined;
  const usage = group?.version === 2 ? 'memory.current' : 'memory.usage_in_bytes';
  const used =
    group === undefined || (limit !== undefined && limit.folder === undefined)
      ? undefined
      : reading.optional(`${limit?.folder ?? group.folders[0]}/${usage}`);
  const pressure = readPressure(reading, groups, 'memory');
  return {
    ...(limit === undefined ? {} : { limitBytes: limit.value }),
    ...(used !== undefined && /^\d+\s*$/.test(used) ? { usedBytes: Number(used) } : {}),
    ...(totalBytes === undefined ? {} : { totalBytes }),
    ...(pressure === undefined ? {} : { pressure }),
  };
}

/** Version 1 tells the lowest limit of a group and of all above it, also of those that are not mounted here: Documentation/admin-guide/cgroup-v1/memory.rst of the kernel. */
function hierarchicalLimit(reading: Reading, group: Group): number | undefined {
  const text = reading.optional(`${group.folders[0]}/memory.stat`) ?? '';
  const digits = /^hierarchical_memory_limit (\d+)$/m.exec(text)?.[1];
  return digits === undefined || Number(digits) >= UNLIMITED ? undefined : Number(digits);
}

function bytesOf(reading: Reading, path: string): number | undefined {
  const text = reading.text(path, 'memory limit')?.trim();
  if (text === undefined || text === 'max' || text === '-1') return undefined;
  if (/^\d+$/.test(text) && Number(text) > 0) return Number(text) >= UNLIMITED ? undefined : Number(text);
  reading.note(
    'memory limit',
    `is ${show(text)}, which allows nothing or makes no sense; none is assumed`,
    path,
  );
  return undefined;
}

// ---- pressure ----------------------------------------------------------------------------------------------------------------------

/** Pressure of the group, else of the machine. Kernels may be built or started without it, which is no fault. */
function readPressure(
  reading: Reading,
  groups: Groups | undefined,
  resource: 'cpu' | 'memory',
): Pressure | undefined {
  const folder = groups?.unified?.folders[0];
  const text =
    (folder === undefined ? undefined : reading.optional(`${folder}/${resource}.pressure`)) ??
    reading.optional(`/proc/pressure/${resource}`) ??
    '';
  const some = pressureLine(text, 'some');
  const full = pressureLine(text, 'full');
  return some === undefined ? undefined : { some, ...(full === undefined ? {} : { full }) };
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, total in microseconds: Documentation/accounting/psi.rst of the kernel. */
function pressureLine(text: string, kind: 'some' | 'full'): PressureReading | undefined {
  const match = new RegExp(
    `^${kind} avg10=([\\d.]+) avg60=([\\d.]+) avg300=([\\d.]+) total=(\\d+)$`,
    'm',
  ).exec(text);
  if (match === null) return undefined;
  const [avg10, avg60, avg300, total] = match.slice(1).map(Number);
  return { avg10: avg10!, avg60: avg60!, avg300: avg300!, totalMs: total! / 1000 };
}
