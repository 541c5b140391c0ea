import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NodeSystems } from 'heddle';
import { beforeAll, describe, expect, it } from 'vitest';
import { sharedPath } from '../shared.ts';
import { canUnpack, unpack } from './trees.ts';

/** What hwloc read from a recording. */
interface Expected {
  readonly pus: readonly number[];
  readonly nodes: Readonly<
    Record<string, { readonly cpus: readonly number[]; readonly mem?: number; readonly mem_rounded?: number }>
  >;
  readonly packages: readonly { readonly os: number; readonly cpus: readonly number[] }[];
  readonly cores: readonly (readonly number[])[];
  readonly distances: {
    readonly nodes: readonly number[];
    readonly matrix: readonly (readonly number[])[];
  } | null;
  readonly cgroup: string | null;
}

const GIB = 2 ** 30;
const folder = sharedPath('data/topologies');
const isReady = folder !== undefined && canUnpack();
const names = isReady
  ? readdirSync(folder)
      .filter((name) => name.endsWith('.tar.bz2'))
      .map((name) => name.replace('.tar.bz2', ''))
  : [];

describe.skipIf(!isReady)('topology of recorded machines (needs ../shared/data, tar and bzip2)', () => {
  it('has recordings to read', () => {
    expect(names.length).toBeGreaterThanOrEqual(7);
  });

  describe.each(names)('%s', (name) => {
    let systems: NodeSystems;
    let root: string;
    let expected: Expected;

    beforeAll(() => {
      const unpacked = unpack(join(folder!, `${name}.tar.bz2`));
      expect(unpacked).toBeDefined();
      root = unpacked!;
      systems = NodeSystems.detect({ root });
      expected = JSON.parse(readFileSync(join(folder!, `${name}.expected.json`), 'utf8')) as Expected;
    });

    it('has the CPUs, packages and cores that hwloc read', async () => {
      const { cpus, packages, cores, source, degradations } = await systems.getTopologyHints();
      expect(source).toBe('sysfs');
      expect(degradations).toEqual([]);
      expect(cpus).toEqual(expected.pus);
      expect(packages).toEqual(
        expected.packages.map(({ os, cpus }) => ({ id: os, cpus })).sort((a, b) => a.id - b.id),
      );
      const byFirst = (a: readonly number[], b: readonly number[]): number => a[0]! - b[0]!;
      expect(cores.map((core) => core.cpus).sort(byFirst)).toEqual([...expected.cores].sort(byFirst));
    });

    it('has the nodes that hwloc read, and device memory as sysfs lists it', async () => {
      const topology = await systems.getTopologyHints();
      const nodes = topology.nodes.filter(({ isDeviceMemory }) => !isDeviceMemory);
      expect(nodes.map(({ id }) => id)).toEqual(Object.keys(expected.nodes).map(Number));
      for (const { id, cpus, memoryBytes } of nodes) {
        const { cpus: wanted, mem, mem_rounded } = expected.nodes[id]!;
        expect(cpus).toEqual(wanted);
        if (mem !== undefined) expect(memoryBytes).toBe(mem);
        else expect(Math.abs(memoryBytes - mem_rounded!)).toBeLessThanOrEqual(GIB / 2);
      }
      for (const { id, cpus } of topology.nodes) {
        if (nodes.some((node) => node.id === id)) continue;
        const listed = readFileSync(join(root, `sys/devices/system/node/node${id}/cpulist`), 'utf8');
        expect(listed.trim()).toBe('');
        expect(cpus).toEqual([]);
      }
    });

    it('has the distances that hwloc read', async () => {
      const topology = await systems.getTopologyHints();
      expect(topology.distances.length).toBe(topology.nodes.length);
      if (expected.distances === null) {
        expect(topology.distances).toEqual([[10]]);
        return;
      }
      const { nodes, matrix } = expected.distances;
      expect(nodes.map((a) => nodes.map((b) => topology.distance(a, b)))).toEqual(matrix);
    });

    it('is in the group that hwloc read', () => {
      const { cgroup } = systems.getContainerContext();
      if (expected.cgroup !== null) expect(cgroup?.paths.cpuset).toBe(expected.cgroup);
    });

    it('says how many workers make sense', () => {
      expect(systems.defaultWorkers()).toBe(expected.pus.length);
    });
  });

  it('tells the kinds of cores of a hybrid machine', async () => {
    const root = unpack(join(folder!, '20em64t-hybrid-1p6c2t+2ca4co1t.tar.bz2'))!;
    const { cores, caches } = await NodeSystems.detect({ root }).getTopologyHints();
    const of = (kind: string): number[] =>
      cores.filter((core) => core.kind === kind).flatMap(({ cpus }) => [...cpus]);
    expect(of('performance')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(of('efficiency')).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
    // Four small cores share a second-level cache; a large one has its own, for its two threads.
    expect(caches.filter(({ level }) => level === 2).map(({ cpus }) => cpus.length)).toEqual([
      2, 2, 2, 2, 2, 2, 4, 4,
    ]);
    expect(caches.find(({ level }) => level === 3)).toMatchObject({ type: 'unified', cpus: { length: 20 } });
  });
});
