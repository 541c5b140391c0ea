import type { Reading } from './reading.ts';

/** Resources that are limited by groups. */
export type Controller = 'cpu' | 'cpuset' | 'memory';

/** The control group of this process for one resource. */
export interface Group {
  readonly version: 1 | 2;
  /** As `/proc/self/cgroup` tells it. */
  readonly path: string;
  /** Its folder, then those of the groups above it up to the mount: each of them may limit it. */
  readonly folders: readonly string[];
}

/** The control groups of this process. */
export interface Groups {
  readonly version: 'v1' | 'v2' | 'hybrid';
  readonly of: Readonly<Partial<Record<Controller, Group>>>;
  /** In the hierarchy of version 2, where pressure is told, also when its controllers are in version 1. */
  readonly unified: Group | undefined;
}

interface Membership {
  /** Empty for version 2. */
  readonly controllers: readonly string[];
  readonly path: string;
}

interface Mount {
  readonly version: 1 | 2;
  /** Group that is seen at the mount point. */
  readonly root: string;
  readonly point: string;
  readonly controllers: readonly string[];
}

const CONTROLLERS: readonly Controller[] = ['cpu', 'cpuset', 'memory'];
/** Folders that are looked at for a group whose name is not known. */
const SEARCH_MOST = 512;

/** The control groups of this process, from `/proc/self/{cgroup,mountinfo}`: cgroups(7). Undefined where there are none. */
export function findGroups(reading: Reading): Groups | undefined {
  const mounts = readMounts(reading);
  const memberships = readMemberships(reading);
  if (mounts.length > 0 && memberships.length === 0)
    reading.note(
      'cgroup',
      'is not told, though control groups are mounted: no limits are seen',
      '/proc/self/cgroup',
    );
  if (mounts.length === 0) {
    const path = memberships.find((each) => each.path !== '/')?.path;
    if (path !== undefined)
      reading.note('cgroup mounts', `are not told, and the group is ${path}: its limits are not seen`);
    return undefined;
  }
  const of: Partial<Record<Controller, Group>> = {};
  for (const controller of CONTROLLERS) {
    const group =
      findGroup(reading, controller, 1, memberships, mounts) ??
      findGroup(reading, controller, 2, memberships, mounts);
    if (group !== undefined) of[controller] = group;
  }
  const hasV2 = mounts.some(({ version }) => version === 2);
  const hasV1 = mounts.some(({ version, controllers }) => version === 1 && controllers.length > 0);
  return {
    version: hasV1 ? (hasV2 ? 'hybrid' : 'v1') : 'v2',
    of,
    unified: hasV2 ? findGroup(reading, 'memory', 2, memberships, mounts) : undefined,
  };
}

function readMemberships(reading: Reading): Membership[] {
  const path = '/proc/self/cgroup';
  const text = reading.text(path, 'cgroup');
  if (text === undefined) {
    // Old kernels, and recordings: all that is told is the group of the cpuset.
    const cpuset = reading.text('/proc/self/cpuset', 'cgroup')?.trim();
    return cpuset?.startsWith('/')
      ? [
          { controllers: ['cpuset'], path: cpuset },
          { controllers: [], path: cpuset },
        ]
      : [];
  }
  const memberships: Membership[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const match = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    if (match === null)
      reading.note('cgroup', `has a line that makes no sense: '${line.slice(0, 60)}'`, path);
    else if (match[2] !== '') memberships.push({ controllers: match[2]!.split(','), path: match[3]! });
    // Only hierarchy 0 is that of version 2.
    else if (match[1] === '0') memberships.push({ controllers: [], path: match[3]! });
  }
  return memberships;
}

/** Blanks in paths of mounts are written as octal numbers: proc_pid_mountinfo(5). */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

function mountOf(type: string, root: string, point: string, options: string): Mount | undefined {
  if (type === 'cgroup2') return { version: 2, root, point, controllers: [] };
  if (type === 'cpuset') return { version: 1, root, point, controllers: ['cpuset'] };
  return type === 'cgroup' ? { version: 1, root, point, controllers: options.split(',') } : undefined;
}

function readMounts(reading: Reading): Mount[] {
  const info = reading.text('/proc/self/mountinfo', 'cgroup mounts');
  const mounts: Mount[] = [];
  for (const line of (info ?? reading.text('/proc/mounts', 'cgroup mounts') ?? '').split('\n')) {
    // mountinfo: id parent device root point options [tags...] - type source options
    const split = line.indexOf(' - ');
    const before = (info === undefined ? line : line.slice(0, split)).split(' ');
    const after = line.slice(split + 3).split(' ');
    if (info !== undefined && (split < 0 || before.length < 6)) continue;
    const mount =
      info === undefined
        ? mountOf(before[2] ?? '', '/', unescaped(before[1] ?? ''), before[3] ?? '')
        : mountOf(after[0]!, unescaped(before[3]!), unescaped(before[4]!), after[2] ?? '');
    if (mount !== undefined) mounts.push(mount);
  }
  return mounts;
}

function findGroup(
  reading: Reading,
  controller: Controller,
  version: 1 | 2,
  memberships: readonly Membership[],
  mounts: readonly Mount[],
): Group | undefined {
  const { path } =
    memberships.find(({ controllers }) =>
      version === 1 ? controllers.includes(controller) : controllers.length === 0,
    ) ?? {};
  if (path === undefined) return undefined;
  // In version 2 all resources have one group.
  const what = version === 2 ? 'cgroup' : `cgroup of ${controller}`;
  const fitting = mounts.filter(
    (mount) => mount.version === version && (version === 2 || mount.controllers.includes(controller)),
  );
  // The mount that begins highest: the groups above the other ones limit it, too.
  let folders: readonly string[] | undefined;
  for (const { root, point } of fitting) {
    const below = placeBelow(root, path);
    if (below !== undefined && below.length >= (folders?.length ?? 0)) folders = foldersOf(point, below);
  }
  if (folders !== undefined) {
    if (reading.list(folders[0]!).length === 0)
      reading.note(what, `is ${path}, whose folder is gone: its limits are not seen`, folders[0]);
    return { version, path, folders };
  }
  // In a namespace of its own, below a mount from outside of it: the names on the way are hidden, the members are not.
  for (const { root, point } of fitting) {
    if (!isAbove(root, path)) continue;
    const below = searchMember(reading, point);
    if (below !== undefined) return { version, path, folders: foldersOf(point, below) };
    reading.note(
      what,
      `is hidden below ${point} (a mount of ${root}): only the limits at the mount are seen`,
    );
    return { version, path, folders: [point] };
  }
  if (fitting.length > 0) {
    reading.note(
      what,
      `is ${path}, which is not below ${fitting.map(({ root, point }) => `${root} (mounted at ${point})`).join(', ')}: its limits are not seen`,
    );
  }
  return undefined;
}

/** A path as the steps up from the root of the namespace, and the names after them. */
function split(path: string): { up: number; names: string[] } {
  const names = path.split('/').filter((name) => name !== '');
  const up = names.findIndex((name) => name !== '..');
  return up < 0 ? { up: names.length, names: [] } : { up, names: names.slice(up) };
}

/** Path of a group seen from the mount; undefined when it is not below the mount's root, or the names on the way are not known. */
function placeBelow(root: string, path: string): readonly string[] | undefined {
  const from = split(root);
  const to = split(path);
  if (from.up !== to.up || from.names.some((name, i) => to.names[i] !== name)) return undefined;
  return to.names.slice(from.names.length);
}

/** Is the root of the mount a group above the namespace that the path is in? */
function isAbove(root: string, path: string): boolean {
  const from = split(root);
  return from.names.length === 0 && from.up > split(path).up;
}

function foldersOf(point: string, below: readonly string[]): string[] {
  const folders: string[] = [];
  for (let length = below.length; length >= 0; length--)
    folders.push([point === '/' ? '' : point, ...below.slice(0, length)].join('/'));
  return folders;
}

/** The group below a mount that has this process as a member, breadth first. */
function searchMember(reading: Reading, point: string): readonly string[] | undefined {
  const pid = /^Pid:\s*(\d+)/m.exec(reading.optional('/proc/self/status') ?? '')?.[1];
  if (pid === undefined) return undefined;
  const queue: string[][] = [[]];
  for (const below of queue) {
    const folder = [point, ...below].join('/');
    const members = reading.optional(`${folder}/cgroup.procs`);
    if (members?.split('\n').includes(pid)) return below;
    if (members === undefined || queue.length > SEARCH_MOST) continue;
    // Files of a group are named after its controllers; whatever else is there may be a group.
    for (const name of reading.list(folder)) {
      if (
        !/^(?:cgroup|cpu|cpuset|cpuacct|memory|io|pids|hugetlb|misc|rdma|dmem)\.|^(?:tasks|notify_on_release)$/.test(
          name,
        )
      )
        queue.push([...below, name]);
    }
  }
  return undefined;
}
