import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerContext, NodeSystems } from 'heddle';
import { describe, expect, it } from 'vitest';
import { sharedPath } from '../shared.ts';
import { cgroup2, machine, tree } from './trees.ts';

const FOUR = machine({ 0: [0, 1], 1: [2, 3] });
const MEMINFO = { 'proc/meminfo': 'MemTotal:       4194304 kB\n' };
const GIB = 2 ** 30;

/** The container on a machine of four CPUs and 4 GiB. */
function context(files: Readonly<Record<string, string>>): ContainerContext {
  return NodeSystems.detect({ root: tree({ ...FOUR, ...MEMINFO, ...files }) }).getContainerContext();
}

const reasons = ({ degradations }: ContainerContext): string =>
  degradations.map(({ what, reason }) => `${what} ${reason}`).join('\n');

/** What is told but that the group itself was not recorded. */
const withoutFolders = ({ degradations }: ContainerContext): readonly unknown[] =>
  degradations.filter(({ reason }) => !/whose folder is gone|though control groups are mounted/.test(reason));

/** Files of version 1 for this process in `path`, with mounts as Docker makes them. */
function cgroup1(
  path: string,
  root: string,
  limits: Readonly<Record<string, string>>,
): Record<string, string> {
  const files: Record<string, string> = {
    'proc/self/cgroup': `4:memory:${path}\n3:cpuset:${path}\n2:cpu,cpuacct:${path}\n1:name=systemd:/\n`,
    'proc/self/mountinfo': ['cpu,cpuacct', 'cpuset', 'memory']
      .map(
        (name, i) =>
          `${i + 7} 5 0:${i + 6} ${root} /sys/fs/cgroup/${name} rw shared:7 - cgroup cgroup rw,${name}\n`,
      )
      .join(''),
  };
  for (const [name, text] of Object.entries(limits)) files[`sys/fs/cgroup/${name}`] = text;
  return files;
}

describe('control groups, version 2', () => {
  it('limits nothing where nothing is set', () => {
    const found = context(cgroup2('/a', { '/a/cpu.max': 'max 100000\n', '/a/memory.max': 'max\n' }));
    expect(found.cgroup).toEqual({ version: 'v2', paths: { cpu: '/a', cpuset: '/a', memory: '/a' } });
    expect(found.cpu).toEqual({ allowedCpus: [0, 1, 2, 3] });
    expect(found.memory).toEqual({ totalBytes: 4 * GIB });
    expect(found.workers).toBe(4);
    expect(found.degradations).toEqual([]);
  });

  it.each([
    [
      'a quota beyond all numbers',
      { '/a/cpu.max': `${'9'.repeat(400)} ${'9'.repeat(400)}\n` },
      {},
      /cpu quota/,
    ],
    [
      'a group, and no mount',
      {},
      { 'proc/self/mountinfo': 'x y z - cgroup2\n' },
      /the group is \/a: its limits/,
    ],
    ['a mount, and no group', {}, { 'proc/self/cgroup': '' }, /cgroup is not told/],
  ])('says so where it cannot see its limits: %s', (_, limits, files, reason) => {
    const found = context({ ...cgroup2('/a', limits), ...files });
    expect(reasons(found)).toMatch(reason);
    expect(found.workers).toBe(4);
  });

  it('takes the tightest limit of all groups above', () => {
    const found = context(
      cgroup2('/a/b/c', {
        '/a/cpu.max': '150000 100000\n',
        '/a/b/cpu.max': '300000 100000\n',
        '/a/b/c/cpu.max': 'max 100000\n',
        '/a/memory.max': '2147483648\n',
        '/a/b/memory.max': '1073741824\n',
        '/a/b/c/memory.max': '3221225472\n',
        '/a/b/memory.current': '536870912\n',
        '/a/b/c/memory.current': '1\n',
      }),
    );
    expect(found.cpu.quotaCpus).toBe(1.5);
    expect(found.workers).toBe(2);
    expect(found.memory).toMatchObject({ limitBytes: GIB, usedBytes: GIB / 2 });
  });

  it('takes a cpuset from the nearest group that has one', () => {
    const found = context(
      cgroup2('/a/b', { '/a/cpuset.cpus.effective': '1-2\n', '/a/cpuset.mems.effective': '0-1\n' }),
    );
    expect(found.cpu.allowedCpus).toEqual([1, 2]);
    expect(found.workers).toBe(2);
  });

  it('tells throttling and pressure', () => {
    const found = context(
      cgroup2('/a', {
        '/a/cpu.max': '50000 100000\n',
        '/a/cpu.stat': 'usage_usec 9\nnr_periods 10\nnr_throttled 3\nthrottled_usec 4500\n',
        '/a/cpu.pressure':
          'some avg10=1.50 avg60=2.00 avg300=3.25 total=2000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
        '/a/memory.pressure': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n',
      }),
    );
    expect(found.workers).toBe(1);
    expect(found.cpu.throttling).toEqual({ periods: 10, throttledPeriods: 3, throttledMs: 4.5 });
    expect(found.cpu.pressure?.some).toEqual({ avg10: 1.5, avg60: 2, avg300: 3.25, totalMs: 2 });
    expect(found.cpu.pressure?.full?.totalMs).toBe(0);
    expect(found.memory.pressure).toEqual({ some: { avg10: 0, avg60: 0, avg300: 0, totalMs: 0.007 } });
  });

  it.each([
    ['0 100000', /cpu quota is '0 100000', which allows nothing/],
    ['-5 100000', /cpu quota is '-5 100000'/],
    ['1e5 100000', /cpu quota is '1e5 100000'/],
  ])('goes on with a quota of %j, and says so', (text, reason) => {
    const found = context(cgroup2('/a', { '/a/cpu.max': text, '/cpu.max': '250000 100000' }));
    expect(reasons(found)).toMatch(reason);
    // What stands above it still counts.
    expect(found.cpu.quotaCpus).toBe(2.5);
  });

  it.each(['0', '-7', '1G', ''])('goes on with a memory limit of %j, and says so', (text) => {
    const found = context(cgroup2('/a', { '/a/memory.max': text }));
    expect(found.memory).toEqual({ totalBytes: 4 * GIB });
    expect(reasons(found)).toMatch(/memory limit is .*; none is assumed/);
  });

  it('takes a limit beyond the memory for none', () => {
    expect(context(cgroup2('/a', { '/a/memory.max': String(64 * GIB) })).memory).toEqual({
      totalBytes: 4 * GIB,
    });
  });

  it('goes on with a cpuset of CPUs that are not there, and says so', () => {
    const found = context(cgroup2('/a', { '/a/cpuset.cpus.effective': '7\n' }));
    expect(found.cpu.allowedCpus).toEqual([0, 1, 2, 3]);
    expect(reasons(found)).toMatch(/allowed cpus are 7, of which none is online; 0-3 are assumed/);
  });

  it('goes on with lines that make no sense, and says so', () => {
    const found = context({
      ...cgroup2('/a'),
      'proc/self/cgroup': 'nonsense\n0::/a\n',
      'sys/fs/cgroup/a/cpu.max': '1',
    });
    expect(reasons(found)).toContain("a line that makes no sense: 'nonsense'");
    expect(found.cpu.quotaCpus).toBe(1 / 100_000);
    expect(found.workers).toBe(1);
  });

  it('finds its group by its members where the names above are hidden', () => {
    const hidden = {
      ...cgroup2('/', { '/pod/box/cpu.max': '100000 100000', '/pod/box/cgroup.procs': '1\n77\n' }),
      'sys/fs/cgroup/cgroup.procs': '2\n',
      'sys/fs/cgroup/pod/cgroup.procs': '',
      'proc/self/status': 'Pid:\t77\n',
      'proc/self/mountinfo': '30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
    };
    expect(context(hidden).cpu.quotaCpus).toBe(1);
    const lost = context({
      ...hidden,
      'proc/self/status': 'Pid:\t78\n',
      'sys/fs/cgroup/cpu.max': '300000 100000',
    });
    expect(lost.cpu.quotaCpus).toBe(3);
    expect(reasons(lost)).toContain('is hidden below /sys/fs/cgroup (a mount of /../..)');
  });

  it('reads a group that stands outside of its namespace, next to it', () => {
    const found = context({
      ...cgroup2('/../other', { '/other/cpu.max': '200000 100000' }),
      'proc/self/mountinfo': '30 23 0:26 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
    });
    expect(found.cpu.quotaCpus).toBe(2);
  });

  it('says that it does not see the limits of a group beside the mount', () => {
    const found = context({
      ...cgroup2('/elsewhere', { '/cpu.max': '100000 100000' }),
      'proc/self/mountinfo': '30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
    });
    expect(found.cpu.quotaCpus).toBeUndefined();
    expect(reasons(found)).toContain(
      '/elsewhere, which is not below /docker/abc (mounted at /sys/fs/cgroup)',
    );
    // One group, told once.
    expect(found.degradations).toHaveLength(1);
  });

  it('sees the groups above where a mount of the group itself comes first', () => {
    const mounts = [
      '30 20 0:26 /a/b /mnt/b rw - cgroup2 cgroup2 rw',
      '31 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw',
    ];
    for (const lines of [mounts, mounts.toReversed()]) {
      const found = context({
        ...cgroup2('/a/b', { '/a/b/cpu.max': 'max 100000', '/a/cpu.max': '100000 100000' }),
        'proc/self/mountinfo': `${lines.join('\n')}\n`,
        'mnt/b/cpu.max': 'max 100000\n',
      });
      expect([found.cpu.quotaCpus, found.degradations]).toEqual([1, []]);
    }
  });

  it('goes on with an affinity that makes no sense, and says so', () => {
    const found = context({ 'proc/self/status': 'Cpus_allowed_list:\tgarbage\n' });
    expect(found.cpu.allowedCpus).toEqual([0, 1, 2, 3]);
    expect(found.degradations).toMatchObject([
      { what: 'affinity', reason: expect.stringContaining("Cpus_allowed_list 'garbage', not a list of ids") },
    ]);
  });
});

describe('control groups, version 1 and hybrid', () => {
  it('takes the tightest of nested limits', () => {
    const found = context(
      cgroup1('/docker/x', '/', {
        'cpu,cpuacct/docker/cpu.cfs_quota_us': '250000\n',
        'cpu,cpuacct/docker/cpu.cfs_period_us': '100000\n',
        'cpu,cpuacct/docker/x/cpu.cfs_quota_us': '-1\n',
        'cpu,cpuacct/docker/x/cpu.cfs_period_us': '100000\n',
        'cpu,cpuacct/docker/cpu.stat': 'nr_periods 4\nnr_throttled 2\nthrottled_time 3000000\n',
        'cpuset/docker/x/cpuset.cpus': '0,3\n',
        'memory/docker/x/memory.limit_in_bytes': '9223372036854771712\n',
        'memory/docker/memory.limit_in_bytes': '1073741824\n',
        'memory/docker/memory.usage_in_bytes': '1024\n',
      }),
    );
    expect(found.cgroup?.version).toBe('v1');
    expect(found.cpu).toEqual({
      quotaCpus: 2.5,
      allowedCpus: [0, 3],
      throttling: { periods: 4, throttledPeriods: 2, throttledMs: 3 },
    });
    expect(found.memory).toMatchObject({ limitBytes: GIB, usedBytes: 1024 });
    expect(found.workers).toBe(2);
    expect(found.degradations).toEqual([]);
  });

  it('reads a group through a mount that begins at it', () => {
    const found = context(
      cgroup1('/docker/x', '/docker/x', {
        'cpu,cpuacct/cpu.cfs_quota_us': '100000\n',
        'cpu,cpuacct/cpu.cfs_period_us': '50000\n',
      }),
    );
    expect(found.cpu.quotaCpus).toBe(2);
  });

  it('takes a memory limit from above that only the group itself tells', () => {
    const limits = (own: string, above: string) =>
      context(
        cgroup1('/docker/x', '/docker/x', {
          'cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
          'cpuset/cpuset.cpus': '0-3\n',
          'memory/memory.limit_in_bytes': `${own}\n`,
          'memory/memory.stat': `cache 0\nhierarchical_memory_limit ${above}\nhierarchical_memsw_limit 1\n`,
          'memory/memory.usage_in_bytes': '1024\n',
        }),
      ).memory;
    const none = '9223372036854771712';
    const hidden = limits(none, String(GIB));
    expect([hidden.limitBytes, hidden.usedBytes]).toEqual([GIB, undefined]);
    const own = limits(String(GIB / 2), String(GIB / 2));
    expect([own.limitBytes, own.usedBytes]).toEqual([GIB / 2, 1024]);
    expect(limits(none, none).limitBytes).toBeUndefined();
  });

  it('takes each controller from where it is', () => {
    const found = context({
      'proc/self/cgroup': '1:cpu:/one\n0::/two\n',
      'proc/self/mountinfo':
        '33 31 0:30 / /sys/fs/cgroup/my\\040cpu rw - cgroup cgroup rw,cpu\n34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n',
      'sys/fs/cgroup/my cpu/one/cpu.cfs_quota_us': '300000',
      'sys/fs/cgroup/my cpu/one/cpu.cfs_period_us': '100000',
      'sys/fs/cgroup/unified/two/memory.max': String(GIB),
      'sys/fs/cgroup/unified/two/cpu.max': '100000 100000',
      'sys/fs/cgroup/unified/two/cpu.pressure': 'some avg10=9.00 avg60=0.00 avg300=0.00 total=0\n',
    });
    expect(found.cgroup).toEqual({
      version: 'hybrid',
      paths: { cpu: '/one', cpuset: '/two', memory: '/two' },
    });
    expect(found.cpu.quotaCpus).toBe(3);
    expect(found.memory.limitBytes).toBe(GIB);
    expect(found.cpu.pressure?.some.avg10).toBe(9);
  });
});

const recorded = sharedPath('data/cgroups');

describe.skipIf(recorded === undefined)('recorded control groups (needs ../shared/data)', () => {
  const text = (path: string): string => readFileSync(join(recorded!, path), 'utf8');

  it.each([
    ['cpu', 6, undefined],
    ['undefined', undefined, undefined],
    ['empty', undefined, /cpu quota is empty without a cpu.cfs_period_us/],
    ['invalid', undefined, /cpu quota is 'non-an-integer'/],
    ['undefined-period', undefined, /cpu quota is '800000' without a cpu.cfs_period_us/],
    ['zero-period', undefined, /cpu quota is '600000 of 0'/],
  ])('version 1: %s', (name, quota, reason) => {
    const files: Record<string, string> = {};
    for (const file of ['cpu.cfs_quota_us', 'cpu.cfs_period_us']) {
      const path = `cgroups/${name}/${file}`;
      if (existsSync(join(recorded!, path))) files[`cpu,cpuacct/x/${file}`] = text(path);
    }
    const found = context(cgroup1('/x', '/', files));
    expect(found.cpu.quotaCpus).toBe(quota);
    if (reason === undefined) expect(withoutFolders(found)).toEqual([]);
    else expect(reasons(found)).toMatch(reason);
  });

  it.each([
    ['set', 2.5, false],
    ['unset', undefined, false],
    ['only-max', 5, false],
    ['empty', undefined, true],
    ['invalid-max', undefined, true],
    ['invalid-period', undefined, true],
    ['too-few-fields', undefined, true],
    ['too-many-fields', undefined, true],
    ['zero-period', undefined, true],
  ])('version 2: %s', (name, quota, isBroken) => {
    const found = context(cgroup2('/x', { '/x/cpu.max': text(`cgroups/v2/${name}`) }));
    expect(found.cpu.quotaCpus).toBe(quota);
    expect(found.degradations.map(({ what }) => what)).toEqual(isBroken ? ['cpu quota'] : []);
  });

  it('translates the groups of a container', () => {
    const found = context({
      'proc/self/cgroup': text('proc/cgroups/cgroup'),
      'proc/self/mountinfo': text('proc/cgroups/mountinfo'),
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': text('cgroups/cpu/cpu.cfs_quota_us'),
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': text('cgroups/cpu/cpu.cfs_period_us'),
      'sys/fs/cgroup/memory/large/memory.limit_in_bytes': String(GIB),
    });
    expect(found.cgroup).toEqual({
      version: 'v1',
      paths: { cpu: '/docker', cpuset: '/', memory: '/docker/large' },
    });
    expect(found.cpu.quotaCpus).toBe(6);
    expect(found.workers).toBe(4);
    expect(found.memory.limitBytes).toBe(GIB);
  });

  it.each([
    ['cgroup-root', '/'],
    ['cgroup-subdir', '/Example'],
    ['cgroup-no-match', undefined],
    ['cgroup-invalid', undefined],
  ])('version 2: %s', (name, path) => {
    const found = context({
      'proc/self/cgroup': text(`proc/v2/${name}`),
      'proc/self/mountinfo': text('proc/v2/mountinfo-v2'),
    });
    expect(found.cgroup?.paths.cpu).toBe(path);
    expect(found.cgroup?.version).toBe('v2');
    expect(withoutFolders(found).length).toBe(name === 'cgroup-invalid' ? 1 : 0);
  });

  it('tells version 1 beside version 2', () => {
    const found = context({
      'proc/self/cgroup': '1:cpu:/a\n0::/b\n',
      'proc/self/mountinfo': text('proc/v2/mountinfo-v1-v2'),
    });
    expect(found.cgroup?.version).toBe('hybrid');
    expect(found.cgroup?.paths).toEqual({ cpu: '/a', cpuset: '/b', memory: '/b' });
  });

  it.each(['proc/invalid-cgroup', 'proc/invalid-mountinfo', 'proc/untranslatable'])(
    'never throws: %s',
    (folder) => {
      const files: Record<string, string> = {};
      for (const name of ['cgroup', 'mountinfo'])
        if (existsSync(join(recorded!, folder, name))) files[`proc/self/${name}`] = text(`${folder}/${name}`);
      expect(context(files).workers).toBe(4);
    },
  );
});

describe('without control groups', () => {
  it('reads what there is', () => {
    const root = tree({ ...FOUR, ...MEMINFO });
    const systems = NodeSystems.detect({ root });
    expect(systems.getContainerContext()).toMatchObject({ isContainer: false, workers: 4, degradations: [] });
    rmSync(root, { recursive: true });
    expect(systems.getContainerContext().workers).toBe(4);
  });
});
