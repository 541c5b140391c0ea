import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ContainerContext, Degradation } from 'heddle';
import { NodeSystems } from 'heddle';
import { afterEach, describe, expect, it } from 'vitest';

/** Controllers that this machine mounts, with their mounts: in version 1 each has its own, in version 2 all have the same. */
function findMounts(): { readonly version: 1 | 2; readonly of: ReadonlyMap<string, string> } | undefined {
  let mountinfo: string;
  try {
    mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return undefined;
  }
  const of = new Map<string, string>();
  let unified: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const [, , , , point, ...rest] = line.split(' ');
    const type = rest[rest.indexOf('-') + 1];
    if (point !== undefined && type === 'cgroup2') unified = point;
    if (point !== undefined && type === 'cgroup')
      for (const option of rest.at(-1)?.split(',') ?? []) of.set(option, point);
  }
  if (of.has('cpu') && of.has('cpuset')) return { version: 1, of };
  if (unified === undefined) return undefined;
  return { version: 2, of: new Map(['cpu', 'cpuset', 'memory'].map((name) => [name, unified])) };
}

const mounts = findMounts();
const made: string[] = [];
const children = new Set<ChildProcess>();

/** Makes a group in the hierarchy of a controller and returns its folder. */
function makeGroup(controller: string, ...names: string[]): string {
  let folder = mounts!.of.get(controller)!;
  for (const name of names) {
    if (mounts!.version === 2) writeFileSync(join(folder, 'cgroup.subtree_control'), `+cpu +cpuset +memory`);
    folder = join(folder, name);
    if (made.includes(folder)) continue;
    mkdirSync(folder);
    made.push(folder);
  }
  return folder;
}

function removeGroups(): void {
  for (const folder of made.splice(0).reverse()) rmdirSync(folder);
}

/** Why no group can be made here; undefined when one can. */
function findObstacle(): string | undefined {
  if (mounts === undefined) return 'no control groups are mounted';
  try {
    for (const controller of ['cpu', 'cpuset']) makeGroup(controller, 'heddle-probe');
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    removeGroups();
  }
}

const obstacle = findObstacle();
if (obstacle !== undefined)
  console.warn(`Tests are skipped: they need control groups that this process may make: ${obstacle}`);

afterEach(async () => {
  for (const child of [...children]) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  children.clear();
  removeGroups();
});

interface Seen extends ContainerContext {
  readonly cpus: readonly number[];
  readonly sum: number;
  readonly faults: readonly Degradation[];
}

/** Starts the program in groups. Returns what asks it. */
function start(groups: readonly string[]): (word: 'see' | 'degraded') => Promise<Seen> {
  const script = fileURLToPath(new URL('./in-group.mjs', import.meta.url));
  const join = groups.map((folder) => `echo $$ > '${folder}/cgroup.procs' && `).join('');
  const child = spawn('sh', ['-c', `${join}exec '${process.execPath}' '${script}'`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.add(child);
  const lines = createInterface({ input: child.stdout });
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`the program in the group ended with ${code}`);
  });
  exited.catch(() => undefined);
  return async (word) => {
    const line = once(lines, 'line');
    child.stdin.write(`${word}\n`);
    const [text] = (await Promise.race([line, exited])) as [string];
    return JSON.parse(text) as Seen;
  };
}

function setQuota(folder: string, quotaUs: number): void {
  if (mounts!.version === 2) writeFileSync(join(folder, 'cpu.max'), `${quotaUs} 100000`);
  else writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(quotaUs));
}

const allCpus = NodeSystems.detect().getContainerContext().cpu.allowedCpus;
const name = `heddle-${process.pid}`;

describe.skipIf(obstacle !== undefined)(
  'control groups of this machine (needs the right to make some)',
  () => {
    it('counts workers by the tightest quota of nested groups', async () => {
      const outer = makeGroup('cpu', name);
      const inner = makeGroup('cpu', name, 'inner');
      setQuota(outer, 70_000);
      if (mounts!.version === 2) setQuota(inner, 400_000);
      const seen = await start([inner])('see');
      expect(seen.cpu.quotaCpus).toBe(0.7);
      expect(seen.workers).toBe(1);
      expect(seen.cgroup?.paths.cpu).toBe(`/${name}/inner`);
      expect(seen.cpu.throttling?.periods).toBeGreaterThanOrEqual(0);
      expect(seen.faults).toEqual([]);
      expect(seen.sum).toBe(42);
    });

    it('counts workers by a quota of more than a CPU, rounded up', async () => {
      const folder = makeGroup('cpu', name);
      setQuota(folder, 110_000);
      const seen = await start([folder])('see');
      expect(seen.cpu.quotaCpus).toBe(1.1);
      expect(seen.workers).toBe(Math.min(2, allCpus.length));
    });

    it.skipIf(mounts?.of.get('memory') === undefined)(
      'sees a memory limit, and what is used of it',
      async () => {
        const folder = makeGroup('memory', name);
        const limit = 2 ** 31;
        writeFileSync(
          join(folder, mounts!.version === 2 ? 'memory.max' : 'memory.limit_in_bytes'),
          String(limit),
        );
        const { memory } = await start([folder])('see');
        expect(memory.limitBytes).toBe(limit);
        expect(memory.usedBytes).toBeGreaterThan(2 ** 20);
        expect(memory.usedBytes).toBeLessThan(limit);
      },
    );

    it.skipIf(allCpus.length < 2)(
      'goes on in a cpuset that shrinks, and says so (needs two CPUs)',
      async () => {
        const folder = makeGroup('cpuset', name);
        const mems = readFileSync(
          join(mounts!.of.get('cpuset')!, mounts!.version === 2 ? 'cpuset.mems.effective' : 'cpuset.mems'),
          'utf8',
        );
        const [first, second] = allCpus;
        writeFileSync(join(folder, 'cpuset.mems'), mems);
        writeFileSync(join(folder, 'cpuset.cpus'), `${first},${second}`);
        const ask = start([folder]);
        const before = await ask('see');
        expect(before).toMatchObject({ workers: 2, cpus: [first, second], degradations: [], sum: 42 });

        writeFileSync(join(folder, 'cpuset.cpus'), String(second));
        const after = await ask('degraded');
        expect(after).toMatchObject({ workers: 1, cpus: [second], sum: 42 });
        expect(after.degradations).toMatchObject([
          { what: 'cpuset', reason: expect.stringContaining(`to ${second}: threads share what is left`) },
        ]);
      },
    );
  },
);

describe('this machine', () => {
  it('is read, and every fault has a reason', async () => {
    const systems = NodeSystems.detect();
    const container = systems.getContainerContext();
    const topology = await systems.getTopologyHints();
    for (const { what, reason } of [...container.degradations, ...topology.degradations])
      expect(`${what}: ${reason}`).toMatch(/^.+: .+$/);
    expect(container.cpu.allowedCpus).toEqual(topology.cpus);
    expect(container.workers).toBeLessThanOrEqual(availableParallelism());
  });
});
