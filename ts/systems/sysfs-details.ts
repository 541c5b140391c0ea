import { intersect } from './id-lists.ts';
import type { Reading } from './reading.ts';
import type { TopologyDetails } from './topology.ts';
import type { CacheHints, CoreHints, PackageHints } from './types.ts';

const CPUS = '/sys/devices/system/cpu';

/** Cores of one machine whose capacity is less than that of the greatest by a quarter or more are small ones; turbo of chosen cores makes less. */
const SMALL = 0.8;

/**
 * Packages, cores and caches as Linux tells them in `/sys/devices/system/cpu/cpu<n>/{topology,cache}`.
 *
 * @param cpus - those that this process may use
 * @param online - all that are online
 * @param nodes - CPUs of each node whose memory this process may use: their packages are listed even if none of these CPUs may be used
 */
export function readDetails(
  reading: Reading,
  cpus: readonly number[],
  online: readonly number[],
  nodes: readonly (readonly number[])[],
): TopologyDetails {
  const packageOf = new Map(online.map((cpu) => [cpu, packageIdOf(reading, cpu)]));
  const ids = new Set(cpus.map((cpu) => packageOf.get(cpu)!));
  for (const node of nodes) for (const cpu of node) if (packageOf.has(cpu)) ids.add(packageOf.get(cpu)!);
  const packages: PackageHints[] = [...ids]
    .sort((a, b) => a - b)
    .map((id) => ({ id, cpus: cpus.filter((cpu) => packageOf.get(cpu) === id) }));
  return {
    packages,
    cores: readCores(reading, cpus, packageOf),
    caches: readCaches(reading, cpus),
    degradations: reading.degradations,
  };
}

/** Some ARM boards and guests tell -1, or nothing: one package then. */
function packageIdOf(reading: Reading, cpu: number): number {
  return Math.max(0, reading.integer(`${CPUS}/cpu${cpu}/topology/physical_package_id`, 'packages') ?? 0);
}

function readCores(
  reading: Reading,
  cpus: readonly number[],
  packageOf: ReadonlyMap<number, number>,
): CoreHints[] {
  const kinds = readKinds(reading, cpus);
  const cores: CoreHints[] = [];
  const seen = new Set<number>();
  for (const cpu of cpus) {
    if (seen.has(cpu)) continue;
    const folder = `${CPUS}/cpu${cpu}/topology`;
    // Numbers of cores repeat in other packages, and on some in other dies; the list of siblings does not lie.
    const siblings = reading.idsOrMap(`${folder}/core_cpus_list`, `${folder}/core_cpus`, 'cores') ??
      reading.idsOrMap(`${folder}/thread_siblings_list`, `${folder}/thread_siblings`, 'cores') ?? [cpu];
    const threads = intersect(cpus, siblings).filter((each) => !seen.has(each));
    const own = threads.includes(cpu) ? threads : [cpu];
    for (const each of own) seen.add(each);
    const kind = kinds.get(cpu);
    cores.push({
      id: reading.integer(`${folder}/core_id`, 'cores') ?? cpu,
      packageId: packageOf.get(cpu) ?? 0,
      cpus: own,
      ...(kind === undefined ? {} : { kind }),
    });
  }
  return cores;
}

/**
 * Kind of each CPU of a hybrid machine; nothing for others. Intel's kernels list them as event sources; elsewhere the capacity tells (ARM), or the base
 * frequency.
 */
function readKinds(
  reading: Reading,
  cpus: readonly number[],
): ReadonlyMap<number, 'performance' | 'efficiency'> {
  const what = 'kinds of cores';
  const large = reading.ids('/sys/devices/cpu_core/cpus', what);
  const small = reading.ids('/sys/devices/cpu_atom/cpus', what);
  if (large !== undefined && small !== undefined) {
    return new Map([
      ...large.map((cpu) => [cpu, 'performance'] as const),
      ...small.map((cpu) => [cpu, 'efficiency'] as const),
    ]);
  }
  for (const file of ['cpu_capacity', 'cpufreq/base_frequency']) {
    const values = cpus.map((cpu) => reading.integer(`${CPUS}/cpu${cpu}/${file}`, what));
    if (values.some((value) => value === undefined || value <= 0)) continue;
    const greatest = Math.max(...(values as number[]));
    if (!values.some((value) => value! < greatest * SMALL)) continue;
    return new Map(
      cpus.map((cpu, i) => [cpu, values[i]! < greatest * SMALL ? 'efficiency' : 'performance'] as const),
    );
  }
  return new Map();
}

const TYPES: Readonly<Record<string, CacheHints['type']>> = {
  Data: 'data',
  Instruction: 'instruction',
  Unified: 'unified',
};

function readCaches(reading: Reading, cpus: readonly number[]): CacheHints[] {
  const caches: CacheHints[] = [];
  /** By index, the CPUs whose cache was read already: it is the same one. */
  const covered = new Map<string, Set<number>>();
  for (const cpu of cpus) {
    for (const index of reading.list(`${CPUS}/cpu${cpu}/cache`)) {
      if (!/^index\d+$/.test(index)) continue;
      let done = covered.get(index);
      if (done === undefined) covered.set(index, (done = new Set()));
      if (done.has(cpu)) continue;
      const folder = `${CPUS}/cpu${cpu}/cache/${index}`;
      const type = TYPES[reading.text(`${folder}/type`, 'caches')?.trim() ?? ''];
      const level = reading.integer(`${folder}/level`, 'caches');
      if (type === undefined || level === undefined) continue;
      const shared = reading.idsOrMap(`${folder}/shared_cpu_list`, `${folder}/shared_cpu_map`, 'caches') ?? [
        cpu,
      ];
      for (const each of shared) done.add(each);
      caches.push({
        level,
        type,
        sizeBytes: sizeOf(reading.text(`${folder}/size`, 'caches') ?? ''),
        cpus: intersect(cpus, [...shared, cpu]),
      });
    }
  }
  return caches.sort((a, b) => a.level - b.level || a.cpus[0]! - b.cpus[0]!);
}

/** `4096K`, `32M`; 0 for what is not told. */
function sizeOf(text: string): number {
  const [, digits, unit = ''] = /^(\d+)([KMG]?)/.exec(text.trim()) ?? [];
  return digits === undefined ? 0 : Number(digits) * 1024 ** ['', 'K', 'M', 'G'].indexOf(unit);
}
