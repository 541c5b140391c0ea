import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';

const made: string[] = [];

afterAll(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-systems-'));
  made.push(folder);
  return folder;
}

/** Writes files below a root that goes with the test file. */
export function tree(files: Readonly<Record<string, string>>): string {
  const root = newFolder();
  write(root, files);
  return root;
}

/** Writes more files below a root. */
export function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

/** Files of a machine with so many CPUs on each node. */
export function machine(nodes: Readonly<Record<number, readonly number[]>>): Record<string, string> {
  const files: Record<string, string> = {};
  const ids = Object.keys(nodes).map(Number);
  const cpus = Object.values(nodes).flat();
  files['sys/devices/system/cpu/online'] = `${cpus.join(',')}\n`;
  files['sys/devices/system/node/online'] = `${ids.join(',')}\n`;
  for (const [row, id] of ids.entries()) {
    const folder = `sys/devices/system/node/node${id}`;
    files[`${folder}/cpulist`] = `${nodes[id]!.join(',')}\n`;
    files[`${folder}/distance`] = `${ids.map((_, column) => (row === column ? 10 : 20)).join(' ')}\n`;
    files[`${folder}/meminfo`] = `Node ${id} MemTotal:     1048576 kB\n`;
    for (const cpu of nodes[id]!) {
      const topology = `sys/devices/system/cpu/cpu${cpu}/topology`;
      files[`${topology}/physical_package_id`] = `${row}\n`;
      files[`${topology}/core_id`] = `${cpu}\n`;
      files[`${topology}/thread_siblings_list`] = `${cpu}\n`;
    }
  }
  return files;
}

/** Files of control groups in version 2 for this process in `path`. */
export function cgroup2(path: string, limits: Readonly<Record<string, string>> = {}): Record<string, string> {
  const files: Record<string, string> = {
    'proc/self/cgroup': `0::${path}\n`,
    'proc/self/mountinfo': '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n',
  };
  for (const [name, text] of Object.entries(limits)) files[`sys/fs/cgroup${name}`] = text;
  return files;
}

/** Unpacks a recording; returns the root of the recorded machine. Undefined when tar or bzip2 is missing. */
export function unpack(archive: string): string | undefined {
  const folder = newFolder();
  const { status } = spawnSync('tar', ['xjf', archive, '-C', folder]);
  if (status !== 0) return undefined;
  const [inner] = readdirSync(folder);
  return join(folder, inner ?? '');
}

/** Can recordings be unpacked here? Says so when not. */
export function canUnpack(): boolean {
  const missing = ['tar', 'bzip2'].filter((name) => spawnSync(name, ['--help']).error !== undefined);
  if (missing.length > 0) console.warn(`Tests are skipped: they need ${missing.join(' and ')}`);
  return missing.length === 0;
}
