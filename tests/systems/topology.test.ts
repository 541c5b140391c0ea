import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidRangeError, InvalidTypeError, NodeSystems, type TopologyHints } from 'heddle';
import { describe, expect, it } from 'vitest';
import { formatIdList, parseIdList, parseIdMap } from '../../ts/systems/id-lists.ts';
import { openPoolOn, openRuntime, until } from '../pool/harness.ts';
import { cgroup2, machine, tree, write } from './trees.ts';

const NODE = 'sys/devices/system/node';
const CPU = 'sys/devices/system/cpu';

const read = (root: string): Promise<TopologyHints> => NodeSystems.detect({ root }).getTopologyHints();

describe('lists and maps of ids', () => {
  it.each([
    ['0-3,8\n', [0, 1, 2, 3, 8]],
    ['0-1\n\0', [0, 1]],
    ['\n', []],
    ['', []],
    ['7', [7]],
    ['3,1-2,2', [1, 2, 3]],
  ])('%j is %j', (text, ids) => {
    expect(parseIdList(text)).toEqual(ids);
  });

  it.each(['a', '1-', '-1', '3-1', '1,,2', '0-99999999999', '0 1'])('%j is no list', (text) => {
    expect(parseIdList(text)).toBeUndefined();
  });

  it.each([
    ['3f\n', [0, 1, 2, 3, 4, 5]],
    ['00000001,00000000\n', [32]],
    ['0000,0000000c\n\0', [2, 3]],
    ['0', []],
    ['80000000', [31]],
  ])('map %j is %j', (text, ids) => {
    expect(parseIdMap(text)).toEqual(ids);
  });

  it.each(['', 'xyz', '1,,2', '123456789'])('%j is no map', (text) => {
    expect(parseIdMap(text)).toBeUndefined();
  });

  it('are written as they are read', () => {
    for (const list of ['0-3,8', '', '5', '0,2,4-5']) expect(formatIdList(parseIdList(list)!)).toBe(list);
  });
});

describe('topology from sysfs', () => {
  it('takes sparse ids, and nodes without CPUs or memory', async () => {
    const root = tree(machine({ 1: [2, 3], 40: [], 7: [9] }));
    write(root, {
      [`${NODE}/online`]: '1,7,40\n',
      [`${NODE}/node7/meminfo`]: 'Node 7 MemTotal:     0 kB\n',
    });
    const topology = await read(root);
    expect(topology.nodes).toEqual([
      { id: 1, cpus: [2, 3], memoryBytes: 2 ** 30 },
      { id: 7, cpus: [9], memoryBytes: 0 },
      { id: 40, cpus: [], memoryBytes: 2 ** 30 },
    ]);
    expect(topology.currentNode).toBe(1);
    expect(topology.degradations).toEqual([]);
  });

  it('leaves out CPUs and nodes that are offline, also the first', async () => {
    const root = tree(machine({ 0: [0, 1], 1: [2, 3] }));
    write(root, {
      [`${CPU}/online`]: '1-3\n',
      [`${NODE}/online`]: '1\n',
      [`${NODE}/node1/distance`]: '10\n',
      [`${CPU}/isolated`]: '3\n',
    });
    const topology = await read(root);
    expect(topology.cpus).toEqual([1, 2, 3]);
    expect(topology.offlineCpus).toEqual([0]);
    expect(topology.isolatedCpus).toEqual([3]);
    expect(topology.nodes.map(({ id }) => id)).toEqual([1]);
    expect(topology.distance(1, 1)).toBe(10);
  });

  it('reads maps where there are no lists', async () => {
    const root = tree(machine({ 0: [0], 1: [1] }));
    rmSync(join(root, NODE, 'node1/cpulist'));
    rmSync(join(root, CPU, 'cpu0/topology/thread_siblings_list'));
    write(root, {
      [`${NODE}/node1/cpumap`]: '00000002\n',
      [`${CPU}/cpu0/topology/thread_siblings`]: '00000003\n',
    });
    const { nodes, cores, degradations } = await read(root);
    expect(nodes[1]!.cpus).toEqual([1]);
    expect(cores.map(({ cpus }) => cpus)).toEqual([[0, 1]]);
    expect(degradations).toEqual([]);
  });

  it('keeps to the affinity and the nodes of the process', async () => {
    const root = tree(machine({ 0: [0, 1], 1: [2, 3] }));
    write(root, { 'proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t1-2\nMems_allowed_list:\t1\n' });
    const topology = await read(root);
    expect(topology.cpus).toEqual([1, 2]);
    expect(topology.onlineCpus).toEqual([0, 1, 2, 3]);
    expect(topology.nodes).toEqual([{ id: 1, cpus: [2], memoryBytes: 2 ** 30 }]);
    expect(topology.distances).toEqual([[10]]);
  });

  it('knows the node that the calling thread runs on', async () => {
    const root = tree(machine({ 0: [0], 3: [1] }));
    const fields = Array.from({ length: 50 }, (_, i) => String(i + 3));
    fields[36] = '1';
    write(root, { 'proc/thread-self/stat': `12 (a) b (c) ${fields.join(' ')}\n` });
    expect((await read(root)).currentNode).toBe(3);
  });

  it.each([
    ['distances that do not fit', { [`${NODE}/node0/distance`]: '10 20 30\n' }, /do not fit 2 nodes/],
    ['no distances', { [`${NODE}/node0/distance`]: '' }, /do not fit 2 nodes/],
    ['CPUs that make no sense', { [`${NODE}/node0/cpulist`]: 'many\n' }, /'many', not a list of ids/],
    [
      'no CPUs on any node',
      { [`${NODE}/node0/cpulist`]: '\n', [`${NODE}/node1/cpulist`]: '\n' },
      /are not listed; those with a link/,
    ],
    ['no nodes in the list of nodes', { [`${NODE}/online`]: '\n' }, /are none; all that have a folder/],
    ['no memory', { [`${NODE}/node0/meminfo`]: 'nothing\n' }, /no MemTotal/],
    [
      'a package that makes no sense',
      { [`${CPU}/cpu0/topology/physical_package_id`]: 'x' },
      /'x', not a number/,
    ],
    [
      'an affinity to CPUs that are not there',
      { 'proc/self/status': 'Cpus_allowed_list:\t40-41\n' },
      /40-41, of which none is online \(0-3\)/,
    ],
    [
      'an affinity to nodes that are not there',
      { 'proc/self/status': 'Mems_allowed_list:\t9\n' },
      /are 9, which are not there/,
    ],
  ])('goes on with %s, and says so', async (_, files, reason) => {
    const root = tree(machine({ 0: [0, 1], 1: [2, 3] }));
    write(root, files);
    const topology = await read(root);
    expect(topology.cpus).toEqual([0, 1, 2, 3]);
    expect(topology.nodes.map(({ id }) => id)).toEqual([0, 1]);
    expect(topology.distance(0, 1)).toBe(20);
    expect(topology.degradations.map((each) => each.reason).join('\n')).toMatch(reason);
  });

  it('goes on where a file cannot be read, and says which', async () => {
    const root = tree(machine({ 0: [0, 1] }));
    rmSync(join(root, NODE, 'node0/meminfo'));
    mkdirSync(join(root, NODE, 'node0/meminfo'));
    const { nodes, degradations } = await read(root);
    expect(nodes).toEqual([{ id: 0, cpus: [0, 1], memoryBytes: 0 }]);
    expect(degradations).toMatchObject(
      [{ what: 'memory of node 0', path: '/sys/devices/system/node/node0/meminfo', reason: /EISDIR/ }].map(
        (each) => ({ ...each, reason: expect.stringMatching(each.reason) }),
      ),
    );
  });

  it('counts CPUs where there is no list and no node', async () => {
    const root = tree({
      [`${CPU}/cpu0/topology/core_id`]: '0',
      [`${CPU}/cpu1/online`]: '0\n',
      [`${CPU}/cpu2/online`]: '1\n',
      'proc/meminfo': 'MemTotal:       2048 kB\n',
    });
    const { cpus, offlineCpus, nodes } = await read(root);
    expect(cpus).toEqual([0, 2]);
    expect(offlineCpus).toEqual([1]);
    expect(nodes).toEqual([{ id: 0, cpus: [0, 2], memoryBytes: 2 ** 21 }]);
  });

  it('assumes one CPU where nothing is told, and says so', async () => {
    const systems = NodeSystems.detect({ root: tree({}) });
    const topology = await systems.getTopologyHints();
    expect(topology).toMatchObject({ source: 'os', cpus: [0], nodes: [{ id: 0, cpus: [0] }] });
    expect(topology.degradations).toHaveLength(1);
    expect(systems.defaultWorkers()).toBe(1);
  });

  it('survives files that vanish between two looks', async () => {
    const root = tree(machine({ 0: [0, 1] }));
    const systems = NodeSystems.detect({ root });
    const before = await systems.getTopologyHints();
    rmSync(root, { recursive: true });
    expect(before.cores).toHaveLength(2);
    expect(before.caches).toEqual([]);
    expect((await systems.getTopologyHints()).source).toBe('os');
    expect(systems.getContainerContext().workers).toBeGreaterThanOrEqual(1);
  });

  it('tells what has become less, each thing once', () => {
    const root = tree({
      ...machine({ 0: [0, 1, 2, 3] }),
      ...cgroup2('/a', { '/a/cpuset.cpus.effective': '0-3' }),
    });
    const systems = NodeSystems.detect({ root });
    const heard: string[] = [];
    systems.onDegradation(({ what, reason }) => heard.push(`${what} ${reason}`));
    const change = (files: Readonly<Record<string, string>>): readonly string[] => {
      write(root, files);
      systems.checkLimits();
      return heard.splice(0);
    };
    expect(change({})).toEqual([]);
    expect(change({ 'sys/fs/cgroup/a/cpuset.cpus.effective': '0-2' })).toEqual([
      'cpuset has shrunk from 0-3 to 0-2: threads share what is left; 3 workers would do',
    ]);
    expect(change({})).toEqual([]);
    expect(change({ 'sys/fs/cgroup/a/cpu.max': '150000 100000' })).toEqual([
      'cpu quota has shrunk from none to 1.5 CPUs: 2 workers would do',
    ]);
    expect(change({ 'sys/fs/cgroup/a/cpu.max': '250000 100000' })).toEqual([]);
    expect(
      change({ 'sys/fs/cgroup/a/cpuset.cpus.effective': '5-6', 'sys/fs/cgroup/a/cpu.max': 'broken' }),
    ).toEqual([
      'allowed cpus are 5-6, of which none is online; 0-3 are assumed',
      "cpu quota is 'broken', which allows nothing or makes no sense; none is assumed",
    ]);
    expect(change({})).toEqual([]);
    expect(systems.defaultWorkers()).toBe(4);
    expect(change({ 'sys/fs/cgroup/a/cpu.max': '0 100000' })).toEqual([
      "cpu quota is '0 100000', which allows nothing or makes no sense; none is assumed",
    ]);
    // Compared with what was known last.
    expect(
      change({ 'sys/fs/cgroup/a/cpuset.cpus.effective': '2', 'sys/fs/cgroup/a/cpu.max': '50000 100000' }),
    ).toEqual([
      'cpuset has shrunk from 0-2 to 2: threads share what is left; 1 worker would do',
      'cpu quota has shrunk from 2.5 to 0.5 CPUs: 1 worker would do',
    ]);
  });

  it('tells an open runtime what has vanished, each thing once, and calls nothing a change that comes back', async () => {
    const root = tree({
      ...machine({ 0: [0, 1, 2, 3] }),
      'proc/self/status': 'Cpus_allowed_list:\t0-3\nMems_allowed_list:\t0\n',
      'proc/meminfo': 'MemTotal: 16000000 kB\n',
    });
    const group = cgroup2('/pod', {
      '/pod/cpu.max': '150000 100000',
      '/pod/memory.max': '1073741824',
      '/pod/cpuset.cpus.effective': '0-3',
    });
    write(root, group);
    const systems = NodeSystems.detect({ root, watchMs: 10 });
    const heard: string[] = [];
    systems.onDegradation(({ what, reason }) => heard.push(`${what} ${reason}`));
    const pool = await openPoolOn(await openRuntime({ systems }));
    expect(systems.getContainerContext()).toMatchObject({ workers: 2, degradations: [] });
    for (const [path, told] of [
      ['sys/fs/cgroup/pod', 'cgroup is /pod, whose folder is gone: its limits are not seen'],
      ['proc/self/cgroup', 'cgroup is not told, though control groups are mounted: no limits are seen'],
      ['proc/self/mountinfo', 'cgroup mounts are not told, and the group is /pod: its limits are not seen'],
    ] as const) {
      rmSync(join(root, path), { recursive: true });
      await until(() => heard.length > 0);
      systems.checkLimits();
      expect(heard.splice(0)).toEqual([told]);
      const { workers, memory, degradations } = systems.getContainerContext();
      expect([workers, memory.limitBytes]).toEqual([4, undefined]);
      expect(degradations.map(({ what, reason }) => `${what} ${reason}`)).toEqual([told]);
      expect(await pool.run('add', [1, 2])).toBe(3);
      write(root, group);
      systems.checkLimits();
      expect([heard, systems.defaultWorkers()]).toEqual([[], 2]);
    }
    rmSync(join(root, 'sys/devices'), { recursive: true });
    await until(() => heard.length > 0);
    systems.checkLimits();
    expect(heard.filter((each) => each.startsWith('topology is not told'))).toHaveLength(1);
    expect(heard.filter((each) => each.includes('shrunk'))).toEqual([]);
    expect(await pool.run('add', [1, 2])).toBe(3);
    heard.length = 0;
    write(root, machine({ 0: [0, 1, 2, 3] }));
    systems.checkLimits();
    expect(heard).toEqual([]);
  });

  it('refuses ids of no node', async () => {
    const systems = NodeSystems.detect({ root: tree(machine({ 0: [0], 4: [1] })) });
    const topology = await systems.getTopologyHints();
    expect(() => topology.distance(0, 1)).toThrow(InvalidRangeError);
    expect(() => topology.distance(0, 1)).toThrow('no NUMA node has the id 1; there are 0,4');
    const numa = systems.getNUMACoordinator();
    expect(numa.nearest(4)).toEqual([4, 0]);
    expect(() => numa.nearest(2)).toThrow(InvalidRangeError);
    await expect(numa.pin(1, 2)).rejects.toThrow(InvalidRangeError);
  });

  it('refuses wrong options', () => {
    expect(() => NodeSystems.detect({ roots: '/' } as never)).toThrow(InvalidTypeError);
    expect(() => NodeSystems.detect({ root: 1 } as never)).toThrow(InvalidTypeError);
    expect(() => NodeSystems.detect({ watchMs: 0 })).toThrow(InvalidRangeError);
    expect(() => NodeSystems.detect({ qosClass: 'best' as never })).toThrow(InvalidRangeError);
  });
});
