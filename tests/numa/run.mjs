// npm run test:numa: placement on a machine that has several NUMA nodes, a guest that HEDDLE_NUMA_VM boots (a command as tools/numa-vm of the shared
// folder). Two boots of about half a minute each. Without the variable it says so and ends.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const tool = process.env.HEDDLE_NUMA_VM;
if (tool === undefined || !existsSync(tool)) {
  console.log(
    tool === undefined
      ? 'test:numa skipped: HEDDLE_NUMA_VM is not set to the path of a numa-vm'
      : `test:numa skipped: there is no ${tool} (HEDDLE_NUMA_VM)`,
  );
  process.exit(0);
}
if (!existsSync(join(ROOT, 'build/index.node.js'))) {
  console.error('test:numa needs a build: npm run build');
  process.exit(2);
}

/** What the guest needs of the project: its memory has to hold it twice. */
const app = mkdtempSync(join(tmpdir(), 'heddle-numa-'));
const take = (path) => {
  mkdirSync(dirname(join(app, path)), { recursive: true });
  cpSync(join(ROOT, path), join(app, path), { recursive: true, dereference: true });
};
take('package.json');
take('build/chunks');
for (const name of readdirSync(join(ROOT, 'build')).filter((name) => name.endsWith('.js')))
  take(`build/${name}`);
for (const name of ['@assemblyscript/loader', 'comlink', 'koffi', '@koromix/koffi-linux-x64'])
  if (existsSync(join(ROOT, 'node_modules', name))) take(`node_modules/${name}`);
take('tests/numa/guest.mjs');
take('tests/numa/guest-tasks.mjs');

/** Sees the control group as a container does. */
const contained = [
  'unshare',
  '-Cm',
  'sh',
  '-c',
  'umount /sys/fs/cgroup; mount -t cgroup2 c /sys/fs/cgroup; exec "$@"',
  'sh',
];
const boots = [
  { name: 'four nodes', options: [], before: [], parts: ['placement', 'policy', 'koffi-is-missing'] },
  {
    name: 'a control group of CPUs 2-5 and two and a half CPUs of time',
    options: ['--cgroup', 'cpu.max=250000 100000,cpuset.cpus=2-5,cpuset.mems=1-2'],
    before: contained,
    parts: ['limits'],
  },
];

let failed = 0;
try {
  for (const { name, options, before, parts } of boots) {
    console.log(`# ${name}`);
    const { status, stderr } = spawnSync(
      tool,
      [
        '--dir',
        app,
        '--timeout',
        '240',
        ...options,
        '--',
        ...before,
        'node',
        'tests/numa/guest.mjs',
        ...parts,
      ],
      { stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' },
    );
    if (status === 0) continue;
    failed++;
    console.log(`not ok - the guest ended with ${status}\n${stderr}`);
  }
} finally {
  rmSync(app, { recursive: true, force: true });
}
console.log(failed === 0 ? 'test:numa passed' : `test:numa: ${failed} of ${boots.length} boots failed`);
process.exitCode = failed === 0 ? 0 : 1;
