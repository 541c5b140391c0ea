// npm run test:numa: placement on a machine that has several NUMA nodes, a guest that a command of yours boots: HEDDLE_NUMA_VM, the path of it. Two boots of
// about half a minute each. Without the variable it says so and ends.
//
//   COMMAND --dir FOLDER --timeout SECONDS [--cgroup NAME=VALUE,NAME=VALUE...] -- PROGRAM ARGUMENT...
//
// It boots a Linux guest, runs the program there as root, in a copy of FOLDER, prints what the program prints, and ends with its exit code; with another
// code than 0 when the time is up. --cgroup: the program runs in a control group (version 2) with these settings. The guest has Node as `node`, sh, mount,
// unshare and taskset, and this machine:
//
//   node 0: CPUs 0-1    node 1: CPUs 2-3    node 2: CPUs 4-7    node 3: memory only
//   distances: 0-1 16, 2-3 20, 0-2 and 1-2 32, 0-3 and 1-3 40
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
      ? 'test:numa skipped: HEDDLE_NUMA_VM is not set to the path of a command that boots a guest'
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
