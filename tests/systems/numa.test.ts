import { Worker } from 'node:worker_threads';
import {
  LocalCoordinator,
  NodeSystems,
  type NUMAAffinitySpec,
  type RunOptions,
  StaticSystems,
  type TaskPool,
} from 'heddle';
import { describe, expect, it } from 'vitest';
import { formatIdList } from '../../ts/systems/id-lists.ts';
import {
  fixture,
  openPoolOn,
  openRuntime,
  outcome,
  rejectionOf,
  runProgram,
  until,
} from '../pool/harness.ts';
import { machine, tree } from './trees.ts';

/** The machine of tests/numa/run.mjs: two nodes in a package, two further away, the last with memory only. */
const FOUR = {
  cpus: 8,
  nodes: [
    { id: 0, cpus: [0, 1], memoryBytes: 4e8 },
    { id: 1, cpus: [2, 3], memoryBytes: 4e8 },
    { id: 2, cpus: [4, 5, 6, 7], memoryBytes: 5e8 },
    { id: 3, cpus: [], memoryBytes: 2e8 },
  ],
  distances: [
    [10, 16, 32, 40],
    [16, 10, 32, 40],
    [32, 32, 10, 20],
    [40, 40, 20, 10],
  ],
};

async function placedPool(numa: NUMAAffinitySpec | true, threads: number, options = {}, machine = FOUR) {
  const rt = await openRuntime({ systems: new StaticSystems(machine) });
  const pool = await openPoolOn(rt, {
    tasks: fixture('placed.mjs'),
    numa,
    minThreads: threads,
    maxThreads: threads,
    ...options,
  });
  return { rt, pool };
}

const nodesOf = (pool: TaskPool): (number | undefined)[] =>
  pool.metrics().workers.map(({ numaNode }) => numaNode);

/** Runs a task and tells on which node. */
async function nodeOf(pool: TaskPool, options: RunOptions): Promise<number | undefined> {
  const id = await pool.run('where', [], options);
  return pool.metrics().workers.find((worker) => worker.id === id)?.numaNode;
}

describe('placement of workers', () => {
  it('spreads them over the nodes by their CPUs', async () => {
    const { pool } = await placedPool(true, 8);
    expect(nodesOf(pool).toSorted()).toEqual([0, 0, 1, 1, 2, 2, 2, 2]);
    expect(new Set(nodesOf(pool).slice(0, 4))).toEqual(new Set([0, 1, 2]));
  });

  it('fills the preferred nodes, then the nearest', async () => {
    const { pool } = await placedPool({ preferredNodes: [1] }, 5);
    expect(nodesOf(pool)).toEqual([1, 1, 0, 0, 2]);
  });

  it('stays on them where they are required, and where the strategy is none', async () => {
    for (const spec of [{ required: true }, { fallbackStrategy: 'none' }] as const) {
      const { pool } = await placedPool({ preferredNodes: [1], ...spec }, 4);
      expect(nodesOf(pool)).toEqual([1, 1, 1, 1]);
    }
  });

  it('goes no further than allowed', async () => {
    const { pool } = await placedPool({ preferredNodes: [1], allowedDistance: 16 }, 6);
    expect(nodesOf(pool)).toEqual([1, 1, 0, 0, 1, 1]);
  });

  it('takes the next best for nodes without CPUs', async () => {
    const { pool } = await placedPool({ preferredNodes: [3] }, 2);
    expect(nodesOf(pool)).toEqual([2, 2]);
    const rt = await openRuntime({ systems: new StaticSystems(FOUR) });
    const refused = openPoolOn(rt, { numa: { preferredNodes: [3], required: true } });
    expect(await rejectionOf(refused)).toMatchObject({ name: 'PlacementError', code: 'ERR_RESOURCE_LIMIT' });
  });

  it('does nothing on a machine of one node, or when it is not asked for', async () => {
    const one = await placedPool(true, 1, {}, { cpus: 2 } as never);
    expect(nodesOf(one.pool)).toEqual([undefined]);
    const rt = await openRuntime({ systems: new StaticSystems(FOUR) });
    const pool = await openPoolOn(rt, { tasks: fixture('placed.mjs') });
    expect(nodesOf(pool)).toEqual([undefined]);
    expect(await pool.run('echo', [1], { numaNode: 3 })).toBe(1);
  });

  it.each([
    [{ preferredNodes: [7] }],
    [{ preferredNodes: ['a'] }],
    [{ preferredNodes: [0, 0] }],
    [{ preferredNodes: [1024] }],
    [{ allowedDistance: -1 }],
    [{ allowedDistance: 5 }],
    [{ allowedDistance: 256 }],
    [{ required: 'yes' }],
    [{ qosOverride: 'best' }],
    [{ fallbackStrategy: 'far' }],
    [{ unknown: 1 }],
    ['yes'],
  ])('refuses %j', async (numa) => {
    const rt = await openRuntime({ systems: new StaticSystems(FOUR) });
    const error = await rejectionOf(openPoolOn(rt, { numa } as never));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});

describe('placement of tasks', () => {
  it('runs a task within reach of its node only', async () => {
    const { pool } = await placedPool({ allowedDistance: 16 }, 6);
    const runs = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => ({
        wanted: i % 3,
        got: await nodeOf(pool, { numaNode: i % 3 }),
      })),
    );
    const reach = [[0, 1], [0, 1], [2]];
    expect(runs.filter(({ wanted, got }) => !reach[wanted]!.includes(got!))).toEqual([]);
  });

  it('keeps forks within reach too', async () => {
    const { pool } = await placedPool({ fallbackStrategy: 'none' }, 4, {});
    const nodes = nodesOf(pool);
    for (const node of [0, 1, 2]) {
      const ran: number[] = await pool.run('leaves', [6, 0.2], { numaNode: node });
      expect(ran.length).toBe(64);
      expect(new Set(ran.map((id) => nodes[id]))).toEqual(new Set([node]));
    }
    expect(pool.metrics().numaCrossings).toBe(0);
  });

  it('counts what goes to another node', async () => {
    const { rt, pool } = await placedPool(true, 2);
    const [first, second] = nodesOf(pool);
    expect(first).not.toBe(second);
    const words = rt.alloc(Int32Array, 2);
    const held = pool.run('holdAt', [words], { numaNode: first! });
    await until(() => words[1] === 1);
    const holder = pool.metrics().workers.find(({ state }) => state === 'running')!.numaNode;
    const before = pool.metrics().numaCrossings;
    // Whose worker is busy: the other takes it.
    expect(await nodeOf(pool, { numaNode: holder! })).not.toBe(holder);
    expect(pool.metrics().numaCrossings).toBe(before + 1);
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    await held;
  });

  it('starts a worker where one is needed', async () => {
    const { pool } = await placedPool({ allowedDistance: 10 }, 4, { minThreads: 0, idleTimeout: 20 });
    for (let round = 0; round < 3; round++) {
      for (const node of [2, 0, 1])
        expect(await nodeOf(pool, { numaNode: node }).then(() => node)).toBe(node);
      await until(() => pool.metrics().threads === 0);
    }
  });

  it('goes on where a worker died', async () => {
    const { pool } = await placedPool({ fallbackStrategy: 'none' }, 4);
    const calls = [0, 1, 2].flatMap((numaNode) => [
      outcome(pool.run('die', [], { numaNode })),
      ...Array.from({ length: 5 }, () => outcome(pool.run('echo', [numaNode], { numaNode }))),
    ]);
    const results = await Promise.all(calls);
    expect(results.filter(({ ok }) => !ok).length).toBe(3);
  });

  it('says at once what nobody may run', async () => {
    const { pool } = await placedPool({ preferredNodes: [0], required: true }, 1);
    expect(await rejectionOf(pool.run('where', [], { numaNode: 1 }))).toMatchObject({
      name: 'PlacementError',
      code: 'ERR_RESOURCE_LIMIT',
      message:
        'no worker may run a task of NUMA node 1: the 1 workers are for node 0, and tasks stay on their node',
    });
    expect(await rejectionOf(pool.run('where', [], { numaNode: 9 }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await nodeOf(pool, { numaNode: 0 })).toBe(0);
    expect(await nodeOf(pool, {})).toBe(0);
  });

  it('rejects what only workers could run that cannot be started', async () => {
    const rt = await openRuntime({ systems: new StaticSystems(FOUR) });
    let started = 0;
    const pool = await openPoolOn(rt, {
      tasks: fixture('placed.mjs'),
      numa: { fallbackStrategy: 'none' },
      minThreads: 1,
      maxThreads: 4,
      worker: () => {
        if (started++ > 0) throw new RangeError('no more threads');
        return new Worker(new URL('../../build/worker.node.js', import.meta.url));
      },
    });
    const errors: unknown[] = [];
    pool.on('error', (error) => errors.push(error));
    const here = nodesOf(pool)[0]!;
    const [other] = [0, 1, 2].filter((node) => node !== here);
    expect(await rejectionOf(pool.run('where', [], { numaNode: other! }))).toMatchObject({
      code: 'ERR_RESOURCE_LIMIT',
      message: "cannot run task 'where': no worker can be started: no more threads",
      cause: { message: 'no more threads' },
    });
    expect(await nodeOf(pool, { numaNode: here })).toBe(here);
    expect(errors.length).toBeGreaterThan(0);
  });

  it('rejects what is queued when those who might run it are scaled away', async () => {
    const { rt, pool } = await placedPool({ fallbackStrategy: 'none' }, 4);
    const words = rt.alloc(Int32Array, 2);
    const held = [0, 1, 2, 2].map((numaNode) => pool.run('holdAt', [words], { numaNode }));
    await until(() => words[1] === 4);
    const first = nodesOf(pool)[0]!;
    const calls = [0, 1, 2].map((numaNode) => outcome(pool.run('where', [], { numaNode })));
    const scaled = pool.scale(1);
    const others = await Promise.all(calls.filter((_, node) => node !== first));
    expect(others.map((result) => !result.ok && result.error.name)).toEqual([
      'PlacementError',
      'PlacementError',
    ]);
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    await Promise.all(held);
    await scaled;
    await until(() => pool.metrics().threads === 1);
    expect((await calls[first]!).ok).toBe(true);
    expect(nodesOf(pool)).toEqual([first]);
  });

  it('gives tasks of other nodes than the preferred the class of the policy', async () => {
    const { rt, pool } = await placedPool({ preferredNodes: [0], qosOverride: 'BestEffort' }, 1);
    const words = rt.alloc(Int32Array, 2);
    const held = pool.run('holdAt', [words]);
    await until(() => words[1] === 1);
    const calls = [pool.run('where', [], { numaNode: 1 }), pool.run('where', [], { numaNode: 0 })];
    const [stealer] = pool.stealers();
    // The far one waits in its own queue, which this worker looks into last.
    const near = stealer!.trySteal()!;
    expect([near.numaNode, near.qos]).toEqual([0, 'Burstable']);
    near.giveBack();
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    await Promise.all([held, ...calls]);
  });

  it('holds for thieves that ask a LocalCoordinator', async () => {
    const nodes = [0, 1, 2].map((id) => ({ id, cpus: [id], memoryBytes: 2 ** 30 }));
    const distances = [
      [10, 20, 40],
      [20, 10, 20],
      [40, 20, 10],
    ];
    const rt = await openRuntime({ systems: new StaticSystems({ cpus: 3, nodes, distances }) });
    const tasks = fixture('placed.mjs');
    const coordinator = new LocalCoordinator(rt.systems.getNUMACoordinator());
    const gotBy = async (numa: NUMAAffinitySpec, numaNode: number | undefined): Promise<number[]> => {
      const pool = await openPoolOn(rt, { tasks, numa });
      pool.registerClusterCoordinator(coordinator);
      const words = rt.alloc(Int32Array, 2);
      const held = pool.run('holdAt', [words]);
      await until(() => words[1] === 1);
      const call = pool.run('where', [], numaNode === undefined ? {} : { numaNode });
      const got: number[] = [];
      for (const thief of [-1, 0, 1, 2]) {
        const task = await coordinator.trySteal({}, thief);
        if (task !== undefined) got.push(thief);
        task?.giveBack();
      }
      Atomics.store(words, 0, 1);
      Atomics.notify(words, 0);
      await Promise.all([held, call]);
      await pool.shutdown();
      return got;
    };
    expect(await gotBy({ preferredNodes: [0] }, 0)).toEqual([-1, 0, 1, 2]);
    expect(await gotBy({ preferredNodes: [0], allowedDistance: 20 }, 0)).toEqual([0, 1]);
    expect(await gotBy({ preferredNodes: [0], fallbackStrategy: 'none' }, 0)).toEqual([0]);
    expect(await gotBy({ required: true, preferredNodes: [0] }, undefined)).toEqual([0]);
  });

  it('is told to thieves, and stealers know their node', async () => {
    const { pool } = await placedPool({ fallbackStrategy: 'none' }, 4);
    expect(pool.stealers().map((stealer) => stealer.nodeAffinity())).toEqual(nodesOf(pool));
    expect(pool.stealers()[0]!.getNUMAPolicy()).toEqual({
      required: false,
      preferredNodes: [],
      allowedDistance: 0,
      fallbackStrategy: 'none',
    });
  });
});

describe('the coordinator of this machine', () => {
  it('pins the calling thread and reads back what took effect', async () => {
    const systems = NodeSystems.detect();
    const numa = systems.getNUMACoordinator();
    const [node] = numa.nodes();
    const { cpus } = (await systems.getTopologyHints()).nodes.find(({ id }) => id === node)!;
    const { threadId } = await import('node:worker_threads');
    const result = await numa.pin(threadId, node!);
    if (process.platform === 'linux') expect(result).toMatchObject({ isPinned: true, cpus });
    else expect(result).toMatchObject({ isPinned: false, means: 'none' });
  });

  it('is there where the options leave another out by name', () => {
    const systems = NodeSystems.detect({ parts: { numa: undefined } } as never);
    expect(systems.getNUMACoordinator()).toHaveProperty('adopt');
  });

  const allowed = NodeSystems.detect().getContainerContext().cpu.allowedCpus;
  const mayNarrow = process.platform === 'linux' && allowed.length >= 2;

  it('pins the main thread alone: the process may use what it could before (needs Linux and two CPUs)', {
    skip: !mayNarrow,
  }, async () => {
    const half = Math.ceil(allowed.length / 2);
    const nodes = [allowed.slice(0, half), allowed.slice(half)];
    const { stdout, stderr } = await runProgram('pins-main.mjs', [tree(machine({ ...nodes }))]);
    expect(stderr).toBe('');
    const { before, pins, after, worker, stand, told } = JSON.parse(stdout);
    expect(before).toEqual({ cpus: allowed, nodes, workers: [allowed.length, allowed.length] });
    expect(pins).toMatchObject([
      { isPinned: true, cpus: nodes[1] },
      { isPinned: true, cpus: nodes[0] },
    ]);
    expect(after).toEqual(before);
    expect(told).toEqual([]);
    expect(worker).toEqual({ most: allowed.length, cpus: formatIdList(allowed) });
    expect(stand.toSorted((a: any, b: any) => a.numaNode - b.numaNode)).toEqual([
      { numaNode: 0, cpus: nodes[0] },
      { numaNode: 1, cpus: nodes[1] },
    ]);
  });

  it('answers plainly for threads that it does not know, and refuses nodes that are none', async () => {
    const numa = NodeSystems.detect().getNUMACoordinator();
    expect(await numa.pin(123_456, numa.nodes()[0]!)).toMatchObject({ isPinned: false, means: 'none' });
    expect(await rejectionOf(numa.pin(0, 99))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(await rejectionOf(numa.pin(-1, numa.nodes()[0]!))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  it('pins workers of pools', { skip: process.platform !== 'linux' }, async () => {
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { tasks: fixture('placed.mjs') });
    const numa = rt.systems.getNUMACoordinator();
    const [worker] = pool.metrics().workers;
    expect(worker!.pin).toBeUndefined();
    const result = await numa.pin(worker!.threadId, numa.nodes()[0]!);
    expect(result.isPinned).toBe(true);
    expect(pool.metrics().workers[0]!.pin).toEqual(result);
    await pool.shutdown();
    expect(await numa.pin(worker!.threadId, numa.nodes()[0]!)).toMatchObject({ isPinned: false });
  });

  it('gives threads the priority of the class', { skip: process.platform !== 'linux' }, async () => {
    const rt = await openRuntime();
    const options = { tasks: fixture('placed.mjs'), threadPriority: true };
    const mine = await openPoolOn(rt, options);
    const low = await openPoolOn(rt, { ...options, qos: 'BestEffort' });
    const base = await mine.run('niceness', []);
    expect(await low.run('niceness', [])).toBe(Math.min(base + 10, 19));
  });

  it('keeps threads behind where the process is', { skip: process.platform !== 'linux' }, async () => {
    const { stdout, stderr } = await runProgram('nice.mjs');
    // 2 more than this process has, and the share of the class on top; nobody takes 2 back.
    const { started, niced, guaranteed, bestEffort } = JSON.parse(stdout);
    expect(niced).toBe(Math.min(started + 2, 19));
    expect(guaranteed).toBe(niced);
    expect(bestEffort).toBe(Math.min(niced + 15, 19));
    expect(stderr).toBe('');
  });
});
