import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const AGAIN = 20;
const NODES = 8;
const CORES_PER_NODE = 16;
const CPUS = NODES * CORES_PER_NODE * 2;

/** @type {import('../cases/case.d.ts').Case} */
export const detection = {
  id: 'detection',
  title: 'Detection of the machine at start',
  note: 'What createRuntime() does by default before anything else: topology, control groups, QoS class. Each turn is a new process. First: nothing is compiled or cached yet. Again: the median of 20 more. Everything: packages, cores and caches as well, which are read only when somebody asks. The large machine is a folder of files as Linux shows them: 8 nodes, 128 cores, 256 CPUs.',
  metrics: [
    { key: 'first', label: 'first', unit: 'ms', better: 'lower' },
    { key: 'again', label: 'again', unit: 'ms', better: 'lower' },
    { key: 'everything', label: 'everything', unit: 'ms', better: 'lower' },
  ],
  rounds: { quick: 3, full: 11 },
  // Making the large machine and taking it away again is 5,000 files: most of a minute where there is only a slow disk for them.
  timeoutMs: 180_000,
  ownProcess: true,
  isolate: true,
  variants: () => [
    { key: 'here', label: 'this machine', params: { isLarge: false } },
    { key: 'large', label: '256 CPUs on 8 nodes', params: { isLarge: true } },
  ],
  includes: ({ id }) => id === 'heddle',
  async turn(_, { isLarge }) {
    const { NodeSystems } = await import('heddle');
    const root = isLarge ? largeMachine() : '/';
    try {
      const detect = () => NodeSystems.detect({ root });
      const [first, systems] = timed(detect);
      const again = Array.from({ length: AGAIN }, () => timed(detect)[0]).sort((a, b) => a - b);
      const topology = await systems.getTopologyHints();
      const [everything] = timed(() => [topology.packages, topology.cores, topology.caches]);
      if (isLarge && (topology.cpus.length !== CPUS || topology.cores.length !== CPUS / 2))
        throw new Error('the large machine was read wrong');
      return { first, again: again[AGAIN / 2], everything };
    } finally {
      if (isLarge) rmSync(root, { recursive: true });
    }
  },
};

function timed(fn) {
  const begin = performance.now();
  const value = fn();
  return [performance.now() - begin, value];
}

/** In memory where the system has a folder for that, as sysfs is. */
const FOLDERS = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Folder of a machine whose core n of node k has the CPUs k*16+n and 128 more. */
function largeMachine() {
  const root = mkdtempSync(join(FOLDERS, 'heddle-detection-'));
  const made = new Set();
  const write = (path, text) => {
    const full = join(root, path);
    const folder = dirname(full);
    if (!made.has(folder)) mkdirSync(folder, { recursive: true });
    made.add(folder);
    writeFileSync(full, `${text}\n`);
  };
  const half = CPUS / 2;
  write('sys/devices/system/cpu/online', `0-${CPUS - 1}`);
  write('sys/devices/system/node/online', `0-${NODES - 1}`);
  for (let node = 0; node < NODES; node++) {
    const first = node * CORES_PER_NODE;
    const last = first + CORES_PER_NODE - 1;
    const list = `${first}-${last},${half + first}-${half + last}`;
    const folder = `sys/devices/system/node/node${node}`;
    write(`${folder}/cpulist`, list);
    write(`${folder}/distance`, Array.from({ length: NODES }, (_, to) => (to === node ? 10 : 32)).join(' '));
    write(`${folder}/meminfo`, `Node ${node} MemTotal: 67108864 kB`);
    for (let core = first; core <= last; core++) {
      for (const cpu of [core, half + core]) {
        const folder = `sys/devices/system/cpu/cpu${cpu}`;
        write(`${folder}/topology/physical_package_id`, node >> 2);
        write(`${folder}/topology/core_id`, core - first);
        write(`${folder}/topology/thread_siblings_list`, `${core},${half + core}`);
        for (const [index, [level, type, size, shared]] of [
          [1, 'Data', '48K', `${core},${half + core}`],
          [1, 'Instruction', '32K', `${core},${half + core}`],
          [2, 'Unified', '2048K', `${core},${half + core}`],
          [3, 'Unified', '65536K', list],
        ].entries()) {
          write(`${folder}/cache/index${index}/level`, level);
          write(`${folder}/cache/index${index}/type`, type);
          write(`${folder}/cache/index${index}/size`, size);
          write(`${folder}/cache/index${index}/shared_cpu_list`, shared);
        }
      }
    }
  }
  return root;
}

/** @type {import('../suites/pool-goals.mjs').Goal[]} */
export const detectionGoals = [
  {
    goal: 'detection at start, this machine',
    target: 'at most 20 ms',
    where: ['detection', 'here'],
    measure(results) {
      const own = results.summary('detection', 'here', 'heddle', 'first');
      if (!own) return undefined;
      return {
        value: `${own.median.toFixed(1)} ms (${own.min.toFixed(1)}-${own.max.toFixed(1)})`,
        reached: own.median <= 20,
      };
    },
  },
];
