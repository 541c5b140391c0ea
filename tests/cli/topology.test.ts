import { describe, expect, it } from 'vitest';
import { paintFor } from '../../ts/cli/colours.ts';
import { topologyPicture } from '../../ts/cli/topology-picture.ts';
import { NodeSystems } from '../../ts/systems/systems.node.ts';
import { StaticSystems } from '../../ts/systems/systems.static.ts';
import { cgroup2, machine, tree } from '../systems/trees.ts';
import { heddle } from './run-heddle.ts';

const CPU = 'sys/devices/system/cpu';

/** Two packages of a node each, one node of memory only; a quota, an offline CPU, a file that makes no sense. */
const root = (): string =>
  tree({
    ...machine({ 0: [0, 1], 3: [2, 3], 7: [] }),
    ...cgroup2('/pod/box', { '/pod/cpu.max': '150000 100000', '/pod/box/memory.max': 'much' }),
    [`${CPU}/cpu9/online`]: '0',
    [`${CPU}/cpu2/topology/thread_siblings_list`]: '2-3\n',
    [`${CPU}/isolated`]: '1\n',
    ...Object.fromEntries(
      [0, 1, 2, 3].flatMap((cpu) => {
        const folder = `${CPU}/cpu${cpu}/cache/index3`;
        return [
          [`${folder}/level`, '3'],
          [`${folder}/type`, 'Unified'],
          [`${folder}/size`, '32768K'],
          [`${folder}/shared_cpu_list`, cpu < 2 ? '0-1' : '2-3'],
        ];
      }),
    ),
  });

describe('heddle topology', () => {
  it('draws a machine', async () => {
    const { code, stdout, stderr } = await heddle(['topology', '--root', root()]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toBe(`2 packages, 3 cores, 4 CPUs, 3 NUMA nodes, 3 GiB
├─ package 0
│  └─ node 0  1 GiB
│     └─ L3 32 MiB  2 cores  0 1  isolated: 1
├─ package 1
│  └─ node 3  1 GiB
│     └─ L3 32 MiB  1 core  2+3
└─ node 7  1 GiB  memory only
caches: L3 32 MiB

Distances
  node   0   3   7
     0  10  20  20
     3  20  10  20
     7  20  20  10

This process
  workers       2
  cpus          0-3; 9 offline
  node          0
  cpu quota     1.5 CPUs
  memory limit  none
  QoS class     Burstable (default)
  cgroup        v2 /pod/box
  container     no

Could not be read
  ! memory limit is 'much', which allows nothing or makes no sense; none is assumed (/sys/fs/cgroup/pod/box/memory.max)
`);
  });

  it('writes all of it as JSON', async () => {
    const { code, stdout } = await heddle(['topology', '--root', root(), '--json']);
    expect(code).toBe(0);
    const { topology, container } = JSON.parse(stdout) as Record<string, Record<string, unknown>>;
    expect(topology).toMatchObject({
      source: 'sysfs',
      cpus: [0, 1, 2, 3],
      offlineCpus: [9],
      nodes: [
        { id: 0, cpus: [0, 1] },
        { id: 3, cpus: [2, 3] },
        { id: 7, cpus: [] },
      ],
      cores: [{ cpus: [0] }, { cpus: [1] }, { cpus: [2, 3] }],
      caches: [
        { level: 3, sizeBytes: 2 ** 25, cpus: [0, 1] },
        { level: 3, sizeBytes: 2 ** 25, cpus: [2, 3] },
      ],
    });
    expect(container).toMatchObject({ workers: 2, cpu: { quotaCpus: 1.5 } });
  });

  it('shows this machine', async () => {
    const { code, stdout } = await heddle(['topology']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+ packages?, \d+ cores?/m);
  });

  it('refuses a root that is no folder, and unknown options', async () => {
    expect(await heddle(['topology', '--root', '/no/such/folder'])).toMatchObject({
      code: 2,
      stderr: "heddle: --root '/no/such/folder' is no folder\n",
    });
    expect((await heddle(['topology', '--roof'])).code).toBe(2);
  });

  it('fits a narrow terminal', async () => {
    const cpus = Array.from({ length: 64 }, (_, id) => id);
    const systems = NodeSystems.detect({ root: tree(machine({ 0: cpus })) });
    const picture = topologyPicture(
      await systems.getTopologyHints(),
      systems.getContainerContext(),
      50,
      (_, text) => text,
    );
    for (const line of picture.split('\n')) expect(line.length).toBeLessThanOrEqual(50);
    for (const cpu of cpus) expect(picture).toMatch(new RegExp(`\\b${cpu}\\b`));
  });

  it('says when the machine is assumed', async () => {
    const systems = new StaticSystems({ cpus: 2 });
    const topology = await systems.getTopologyHints();
    const picture = topologyPicture(topology, systems.getContainerContext(), 80, (_, text) => text);
    expect(picture).toMatch(/^Assumed: 1 package, 2 cores/);
  });

  it('paints only on terminals', () => {
    const stream = (isTTY: boolean): NodeJS.WriteStream =>
      ({ isTTY, hasColors: () => true }) as unknown as NodeJS.WriteStream;
    expect(paintFor(stream(false))('red', 'x')).toBe('x');
    expect(paintFor(stream(true))('red', 'x')).toBe('\u001b[31mx\u001b[39m');
  });
});
