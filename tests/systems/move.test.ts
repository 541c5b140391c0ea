/** Placing a pool anew while it runs: by a policy, and by setConfig(). */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { getPriority } from 'node:os';
import { type NUMAAffinitySpec, StaticSystems, type TaskPool } from 'heddle';
import { describe, expect, it } from 'vitest';
import {
  fixture,
  openPoolOn,
  openRuntime,
  outcome,
  rejectionOf,
  thrownBy,
  turn,
  until,
} from '../pool/harness.ts';

const MACHINE = {
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

async function machine(options = {}, threads = 2) {
  const rt = await openRuntime({ systems: new StaticSystems(MACHINE) });
  const pool = await openPoolOn(rt, {
    tasks: fixture('placed.mjs'),
    minThreads: threads,
    maxThreads: threads,
    ...options,
  });
  await pool.ready();
  return { rt, pool };
}

const nodesOf = (pool: TaskPool): (number | undefined)[] =>
  pool.metrics().workers.map(({ numaNode }) => numaNode);

/** Resolves when all workers stand on these nodes and take tasks. */
const standOn = (pool: TaskPool, ...nodes: (number | undefined)[]): Promise<void> =>
  until(() => {
    const { workers } = pool.metrics();
    return (
      workers.every(({ state }) => state !== 'booting') &&
      JSON.stringify(nodesOf(pool).toSorted()) === JSON.stringify(nodes)
    );
  });

/** Makes workers wait until `open()`. */
function gate(rt: Awaited<ReturnType<typeof machine>>['rt']) {
  const words = rt.alloc(Int32Array, 2);
  return {
    words,
    reached: (count: number) => until(() => Atomics.load(words, 1) === count),
    open() {
      Atomics.store(words, 0, 1);
      Atomics.notify(words, 0);
    },
  };
}

describe('a policy', () => {
  it('moves the workers of an open pool, and undone lets them go', async () => {
    const { rt, pool } = await machine();
    expect(nodesOf(pool)).toEqual([undefined, undefined]);
    const applied = rt.applyLockPolicy({ numaAffinity: { preferredNodes: [1], required: true } });
    await standOn(pool, 1, 1);
    expect(await pool.run('echo', [1])).toBe(1);
    expect(await rejectionOf(pool.run('echo', [1], { numaNode: 2 }))).toMatchObject({
      name: 'PlacementError',
    });
    expect(await pool.run('echo', [2], { numaNode: 1 })).toBe(2);
    const later = await openPoolOn(rt, { tasks: fixture('placed.mjs') });
    expect(nodesOf(later)).toEqual([1]);
    applied.undo();
    await standOn(pool, undefined, undefined);
    await standOn(later, undefined);
    for (const each of [pool, later]) expect(await each.run('echo', [3], { numaNode: 2 })).toBe(3);
  });

  it('is put over what the program says, and undone leaves that', async () => {
    const { rt, pool } = await machine({ numa: { preferredNodes: [2] } });
    const first = rt.applyLockPolicy({ numaAffinity: { preferredNodes: [0] } });
    await standOn(pool, 0, 0);
    const second = rt.applyLockPolicy({ numaAffinity: { preferredNodes: [1] } });
    await standOn(pool, 1, 1);
    first.undo();
    expect(nodesOf(pool)).toEqual([1, 1]);
    second.undo();
    await standOn(pool, 2, 2);
  });

  it('is put aside by the program until the next one, and undone comes back to the program', async () => {
    const { rt, pool } = await machine();
    const first = rt.applyLockPolicy({ numaAffinity: { preferredNodes: [0] } });
    pool.setConfig({ numa: { preferredNodes: [2] } });
    await standOn(pool, 2, 2);
    const second = rt.applyLockPolicy({ numaAffinity: { preferredNodes: [1] } });
    await standOn(pool, 1, 1);
    second.undo();
    first.undo();
    await standOn(pool, 2, 2);
  });

  it('leaves alone what runs, and the rest goes on at once where it may', async () => {
    const { rt, pool } = await machine({ numa: { preferredNodes: [2] } });
    const held = gate(rt);
    const running = pool.run('holdAt', [held.words]);
    await held.reached(1);
    // Its node is no longer allowed while it waits.
    const far = [0, 1].map(() => outcome(pool.run('holdAt', [held.words], { numaNode: 2 })));
    await held.reached(2);
    using _ = rt.applyLockPolicy({
      numaAffinity: { preferredNodes: [0], allowedDistance: 16, required: true },
    });
    expect(await Promise.race(far)).toMatchObject({ ok: false, error: { name: 'PlacementError' } });
    expect(nodesOf(pool)).toEqual([2, 2]);
    held.open();
    await running;
    expect((await Promise.all(far)).map(({ ok }) => ok)).toContain(true);
    await standOn(pool, 0, 0);
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('runs calls meanwhile on workers that have come to rest', async () => {
    const { rt, pool } = await machine();
    const held = gate(rt);
    const running = pool.run('holdAt', [held.words]);
    await held.reached(1);
    const policies = [[1], [0], [2], [1]].map((preferredNodes) =>
      rt.applyLockPolicy({ numaAffinity: { preferredNodes } }),
    );
    // One worker of the first placement is still busy.
    expect(await pool.run('echo', ['free'])).toBe('free');
    held.open();
    await running;
    await standOn(pool, 1, 1);
    for (const policy of policies) policy.undo();
    await standOn(pool, undefined, undefined);
    expect(await pool.run('echo', ['end'])).toBe('end');
  });

  it('loses no call, however often it comes and goes', async () => {
    const { rt, pool } = await machine({ minThreads: 0, maxThreads: 4 });
    const affinities: NUMAAffinitySpec[] = [
      { preferredNodes: [1] },
      { preferredNodes: [2], fallbackStrategy: 'none' },
      { allowedDistance: 16 },
      { preferredNodes: [0], allowedDistance: 20 },
      { preferredNodes: [1], fallbackStrategy: 'any' },
    ];
    const settled: Promise<{ ok: boolean }>[] = [];
    for (let round = 0; round < 30; round++) {
      const applied = rt.applyLockPolicy({ numaAffinity: affinities[round % affinities.length]! });
      for (let i = 0; i < 40; i++)
        settled.push(
          outcome(
            pool.run(
              i % 8 === 0 ? 'leaves' : 'spin',
              i % 8 === 0 ? [3, 0.1] : [0.1],
              i % 3 === 0 ? {} : { numaNode: i % 3 },
            ),
          ),
        );
      // Some at once, some when some work is done.
      await settled[round * 20];
      if (round % 2 === 0) applied.undo();
    }
    const results = await Promise.all(settled);
    const errors = results.flatMap((result) =>
      result.ok ? [] : [(result as { error?: Error }).error!.name],
    );
    expect(errors.filter((name) => name !== 'PlacementError')).toEqual([]);
    expect(results.filter(({ ok }) => ok).length).toBeGreaterThan(400);
    expect(pool.metrics().outstanding).toBe(0);
  });

  it('that an open pool cannot follow changes nothing', async () => {
    const { rt, pool } = await machine({ numa: { preferredNodes: [2] } });
    const policy = { qosClass: 'Guaranteed', numaAffinity: { preferredNodes: [3], required: true } } as const;
    expect(thrownBy(() => rt.applyLockPolicy(policy))).toMatchObject({
      code: 'ERR_RESOURCE_LIMIT',
      name: 'PlacementError',
    });
    expect([pool.qos, rt.systems.getNUMAPolicy().preferredNodes]).toEqual(['Burstable', []]);
    expect(nodesOf(pool)).toEqual([2, 2]);
  });
});

describe('a pool that opens under a policy', () => {
  /** Opens a pool of three workers; what its workers did. */
  async function openUnder(systems: StaticSystems, affinity: NUMAAffinitySpec | undefined, options: object) {
    const rt = await openRuntime({ systems });
    if (affinity !== undefined) rt.applyLockPolicy({ numaAffinity: affinity });
    const told: string[] = [];
    const listeners = ['start', 'exit'].map((what) => {
      const listener = (): unknown => told.push(what);
      subscribe(`heddle:worker:${what}`, listener);
      return () => unsubscribe(`heddle:worker:${what}`, listener);
    });
    const pool = await openPoolOn(rt, { tasks: fixture('placed.mjs'), minThreads: 3, ...options });
    expect(await pool.run('echo', [1])).toBe(1);
    await pool.scale(3);
    for (const stop of listeners) stop();
    return { pool, told };
  }

  it.each([
    [{ preferredNodes: [0], required: true }, {}, [0, 0, 0]],
    [{ preferredNodes: [0], required: true }, { numa: { preferredNodes: [2] } }, [0, 0, 0]],
    [{ preferredNodes: [0] }, { numa: false }, [0, 0, 1]],
    [{ preferredNodes: [1], fallbackStrategy: 'any' }, { numa: true }, [1, 1, 2]],
    [{ qosOverride: 'BestEffort' }, {}, [0, 1, 2]],
  ] as const)('%j has its workers there from the first on (%j)', async (affinity, options, nodes) => {
    const { pool, told } = await openUnder(new StaticSystems(MACHINE), affinity, options);
    expect(told).toEqual(['start', 'start', 'start']);
    expect(nodesOf(pool).toSorted()).toEqual(nodes);
    await pool.destroy();
  });

  it('of the provider itself stays on the nodes that are required', async () => {
    class Required extends StaticSystems {
      override getNUMAPolicy = () =>
        ({ required: true, preferredNodes: [0], allowedDistance: 0, fallbackStrategy: 'nearest' }) as const;
    }
    const { pool, told } = await openUnder(new Required(MACHINE), undefined, {});
    expect([nodesOf(pool), told]).toEqual([
      [0, 0, 0],
      ['start', 'start', 'start'],
    ]);
    expect(await rejectionOf(pool.run('echo', [1], { numaNode: 1 }))).toMatchObject({
      name: 'PlacementError',
    });
  });

  it('that comes while it opens follows it, and what is undone', async () => {
    const rt = await openRuntime({ systems: new StaticSystems(MACHINE) });
    const opening = openPoolOn(rt, { tasks: fixture('placed.mjs'), minThreads: 3 });
    await turn();
    const applied = rt.applyLockPolicy({ numaAffinity: { preferredNodes: [2], required: true } });
    const pool = await opening;
    await standOn(pool, 2, 2, 2);
    expect(await pool.run('echo', [1], { numaNode: 2 })).toBe(1);
    applied.undo();
    await standOn(pool, undefined, undefined, undefined);
    expect(await pool.run('echo', [1], { numaNode: 0 })).toBe(1);
  });
});

describe('a policy that cannot be followed', () => {
  it('by any pool is refused before there is one', async () => {
    const systems = new StaticSystems(MACHINE);
    const refused = { code: 'ERR_RESOURCE_LIMIT', name: 'PlacementError' };
    const policy = { numaAffinity: { preferredNodes: [3], required: true }, qosClass: 'Guaranteed' } as const;
    expect(thrownBy(() => systems.applyLockPolicy(policy))).toMatchObject(refused);
    expect(systems.getLockPolicy()).toEqual(new StaticSystems(MACHINE).getLockPolicy());
    const rt = await openRuntime({ systems });
    expect(thrownBy(() => rt.applyLockPolicy(policy))).toMatchObject(refused);
    const pool = await openPoolOn(rt, { tasks: fixture('placed.mjs') });
    expect([pool.qos, nodesOf(pool)]).toEqual(['Burstable', [undefined]]);
    // One node is no place to choose.
    const one = new StaticSystems({ cpus: 2 });
    expect(one.applyLockPolicy({ numaAffinity: { required: true } }).isInForce).toBe(true);
  });

  it('any more by one pool is taken back everywhere else, and by that pool once it can', async () => {
    const [first, second, ...rest] = MACHINE.nodes;
    const smaller = new StaticSystems({
      ...MACHINE,
      nodes: [first!, { ...second!, cpus: [] }, ...rest],
    });
    let hasShrunk = false;
    class Shrinking extends StaticSystems {
      override getTopologyHints = () => (hasShrunk ? smaller.getTopologyHints() : super.getTopologyHints());
    }
    const rt = await openRuntime({ systems: new Shrinking(MACHINE) });
    const options = { tasks: fixture('placed.mjs') };
    const low = rt.applyLockPolicy({
      numaAffinity: { preferredNodes: [1], required: true },
      retryPolicy: { attempts: 3 },
    });
    const high = rt.applyLockPolicy({
      numaAffinity: { preferredNodes: [0] },
      retryPolicy: { attempts: 7 },
      qosClass: 'Guaranteed',
      maxHoldTime: '1s',
    });
    const before = await openPoolOn(rt, options);
    hasShrunk = true;
    const stuck = await openPoolOn(rt, options);
    hasShrunk = false;
    const after = await openPoolOn(rt, options);
    const settings = (pool: TaskPool) => [pool.retry?.attempts, pool.qos, pool.affinity?.preferredNodes];
    for (let times = 1; times <= 2; times++) {
      expect(thrownBy(() => high.undo())).toMatchObject({ name: 'PlacementError' });
      expect(high.isInForce).toBe(true);
      expect(settings(stuck)).toEqual([3, 'Burstable', [0]]);
      for (const pool of [before, after]) expect(settings(pool)).toEqual([3, 'Burstable', [1]]);
      expect(rt.locks.holdCeilingMs).toBe(0);
      for (const pool of [before, after]) await standOn(pool, 1);
      expect(nodesOf(stuck)).toEqual([0]);
    }
    // The pool that stays behind keeps no other from opening.
    const later = await openPoolOn(rt, options);
    expect(nodesOf(later)).toEqual([1]);
    low.undo();
    high.undo();
    expect([low.isInForce, high.isInForce]).toEqual([false, false]);
    for (const pool of [before, stuck, after, later]) {
      expect(settings(pool)).toEqual([undefined, 'Burstable', undefined]);
      await standOn(pool, undefined);
      expect(await pool.run('echo', [1])).toBe(1);
    }
  });
});

describe('setConfig({ numa })', () => {
  it('places and lets go', async () => {
    const { pool } = await machine();
    pool.setConfig({ numa: true });
    await standOn(pool, 0, 2);
    pool.setConfig({ numa: false });
    await standOn(pool, undefined, undefined);
  });

  it.each([[{ preferredNodes: [9] }], [{ preferredNodes: ['a'] }], ['yes'], [{ unknown: 1 }]])(
    'refuses %j, and changes nothing',
    async (numa) => {
      const { pool } = await machine({ numa: { preferredNodes: [2] } });
      const fault = thrownBy(() => pool.setConfig({ qos: 'BestEffort', numa } as never));
      expect(fault).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect([pool.qos, ...nodesOf(pool)]).toEqual(['Burstable', 2, 2]);
    },
  );

  it('knows the node of a machine that has one', async () => {
    const rt = await openRuntime({ systems: new StaticSystems({ cpus: 2 }) });
    const numa = { preferredNodes: [7] };
    const refusal = {
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(/no NUMA node 7; this machine has 0/),
    };
    expect(await rejectionOf(openPoolOn(rt, { tasks: fixture('placed.mjs'), numa }))).toMatchObject(refusal);
    const pool = await openPoolOn(rt, { tasks: fixture('placed.mjs') });
    expect(thrownBy(() => pool.setConfig({ numa }))).toMatchObject(refusal);
  });

  it('does nothing on a machine of one node', async () => {
    const rt = await openRuntime({ systems: new StaticSystems({ cpus: 2 }) });
    const pool = await openPoolOn(rt, { tasks: fixture('placed.mjs') });
    pool.setConfig({ numa: true });
    using _ = rt.applyLockPolicy({ numaAffinity: { preferredNodes: [0], required: true } });
    expect(await pool.run('echo', [1])).toBe(1);
    expect(pool.metrics().workers.map(({ numaNode, id }) => [numaNode, id])).toEqual([[undefined, 0]]);
  });

  it('keeps the limits of the pool and its size', async () => {
    const { pool } = await machine({ maxThreads: 3, minThreads: 3 }, 3);
    let most = 0;
    pool.on('workerExit', () => {
      most = Math.max(most, pool.metrics().threads);
    });
    for (const node of [0, 1, 2, 0])
      pool.setConfig({ numa: { preferredNodes: [node], fallbackStrategy: 'none' } });
    await standOn(pool, 0, 0, 0);
    expect(most).toBeLessThanOrEqual(3);
    await pool.scale(1);
    await standOn(pool, 0);
  });
});

describe('the priority of threads', {
  skip: process.platform !== 'linux' || process.getuid?.() !== 0,
}, () => {
  it('follows the class, also of a thread in the middle of a task, and comes back', async () => {
    const { rt, pool } = await machine({ threadPriority: true }, 1);
    const base = await pool.run('niceness', []);
    // On top of the process's, which may be of less urgency already; 19 is the least there is.
    const low = Math.min(getPriority() + 15, 19);
    const held = gate(rt);
    const running = pool.run('holdAt', [held.words]);
    await held.reached(1);
    const applied = rt.applyLockPolicy({ qosClass: 'BestEffort' });
    held.open();
    await running;
    expect(await pool.run('niceness', [])).toBe(low);
    const later = await openPoolOn(rt, { tasks: fixture('placed.mjs'), threadPriority: true });
    expect(await later.run('niceness', [])).toBe(low);
    applied.undo();
    for (const each of [pool, later]) expect(await each.run('niceness', [])).toBe(base);
  });

  it('is left alone where the pool does not ask for it', async () => {
    const { rt, pool } = await machine({}, 1);
    const base = await pool.run('niceness', []);
    using _ = rt.applyLockPolicy({ qosClass: 'BestEffort' });
    expect(await pool.run('niceness', [])).toBe(base);
  });
});
