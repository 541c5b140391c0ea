import {
  BrowserSystems,
  createRuntime,
  type Deadlock,
  type Degradation,
  InvalidRangeError,
  InvalidTypeError,
  type LockViolation,
  NodeSystems,
  StaticSystems,
  type SystemsOptions,
  TaskAbortedError,
  TaskTimeoutError,
} from 'heddle';
import { describe, expect, it } from 'vitest';
import { openPoolOn, openRuntime } from '../pool/harness.ts';
import { machine, tree } from './trees.ts';

type Systems = NodeSystems | BrowserSystems | StaticSystems;

/** Every provider there is, made with options that all of them take. */
const PROVIDERS: readonly (readonly [string, (options?: SystemsOptions) => Systems])[] = [
  ['NodeSystems', (options) => NodeSystems.detect(options)],
  [
    'NodeSystems of a recorded machine',
    (options) => NodeSystems.detect({ ...options, root: tree(machine({ 0: [0, 1], 2: [4] })) }),
  ],
  ['BrowserSystems', (options) => BrowserSystems.detect({ ...options, cpus: 4 })],
  [
    'StaticSystems',
    (options) =>
      new StaticSystems({
        ...options,
        cpus: [0, 1, 4],
        nodes: [
          { id: 0, cpus: [0, 1], memoryBytes: 2 ** 30 },
          { id: 2, cpus: [4], memoryBytes: 2 ** 30 },
        ],
        distances: [
          [10, 17],
          [17, 10],
        ],
      }),
  ],
];

const RULES = [{ name: 'money', order: ['ledger', 'account'] }];

describe.each(PROVIDERS)('%s keeps the contract of SystemsProvider', (_, make) => {
  it('tells a topology that holds together', async () => {
    const systems = make();
    const topology = await systems.getTopologyHints();
    expect(topology.cpus.length).toBeGreaterThan(0);
    expect(topology.cpus).toEqual([...topology.cpus].sort((a, b) => a - b));
    for (const cpu of topology.cpus) expect(topology.onlineCpus).toContain(cpu);
    for (const cpu of topology.isolatedCpus) expect(topology.cpus).toContain(cpu);
    const ids = topology.nodes.map(({ id }) => id);
    expect(ids).toContain(topology.currentNode);
    for (const { cpus } of topology.nodes) for (const cpu of cpus) expect(topology.cpus).toContain(cpu);
    for (const a of ids) {
      expect(topology.distance(a, a)).toBe(10);
      for (const b of ids)
        expect(topology.distance(a, b)).toBe(topology.distances[ids.indexOf(a)]![ids.indexOf(b)]);
    }
    expect(() => topology.distance(0, 999)).toThrow(InvalidRangeError);
    const flat = (groups: readonly { readonly cpus: readonly number[] }[]): number[] =>
      groups.flatMap(({ cpus }) => [...cpus]).sort((a, b) => a - b);
    expect(flat(topology.cores)).toEqual(topology.cpus);
    expect(flat(topology.packages)).toEqual(topology.cpus);
    for (const cache of topology.caches) for (const cpu of cache.cpus) expect(topology.cpus).toContain(cpu);
  });

  it('gives a topology up when it is told to', async () => {
    const systems = make();
    const reason = new Error('enough');
    await expect(systems.getTopologyHints({ signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
      code: 'ERR_TASK_ABORTED',
      name: 'AbortError',
      cause: reason,
    });
    await expect(systems.getTopologyHints({ signal: AbortSignal.abort() })).rejects.toThrow(TaskAbortedError);
    await expect(systems.getTopologyHints({ timeoutMs: 0 })).rejects.toThrow(TaskTimeoutError);
    await expect(systems.getTopologyHints({ timeoutMs: -1 })).rejects.toThrow(InvalidRangeError);
    await expect(systems.getTopologyHints({ signal: 1 } as never)).rejects.toThrow(InvalidTypeError);
  });

  it('tells a container, and how many workers make sense', () => {
    const systems = make();
    const container = systems.getContainerContext();
    expect(container.cpu.allowedCpus.length).toBeGreaterThan(0);
    expect(container.workers).toBeGreaterThanOrEqual(1);
    expect(container.workers).toBeLessThanOrEqual(container.cpu.allowedCpus.length);
    expect(systems.defaultWorkers()).toBe(container.workers);
    expect(systems.getQOSClass()).toBe(container.qosClass);
  });

  it('takes the class that it is told', () => {
    const systems = make({ qosClass: 'Guaranteed' });
    expect(systems.getQOSClass()).toBe('Guaranteed');
    expect(systems.getContainerContext()).toMatchObject({ qosClass: 'Guaranteed', qosSource: 'option' });
    expect(systems.getLockPolicy().qosClass).toBe('Guaranteed');
  });

  it('has a policy in force, all defaults filled in', () => {
    const systems = make({ rules: RULES });
    const policy = systems.getLockPolicy();
    expect(policy.rules).toEqual(RULES);
    expect(policy.numaAffinity).toEqual({
      required: false,
      preferredNodes: [],
      allowedDistance: 0,
      fallbackStrategy: 'nearest',
    });
    expect(systems.getNUMAPolicy()).toEqual(policy.numaAffinity);
    expect(systems.getRetryPolicy()).toEqual(policy.retryPolicy);
    expect(policy.retryPolicy.attempts).toBeGreaterThanOrEqual(1);
  });

  it('passes on the limits that it is told', () => {
    expect(make().getResourceLimit()).toEqual({});
    expect(make({ limits: { maxLocks: 5 } }).getResourceLimit()).toEqual({ maxLocks: 5 });
  });

  it.each([
    { limits: { maxLocks: 'x' } },
    { limits: { maxLocks: -1 } },
    { limits: { memoryMB: 0 } },
    { limits: { cpuMillicores: Number.NaN } },
    { limits: { qosLevel: 'Best' } },
    { limits: { maxGoroutine: 2 } },
    { parts: { numa: 5 } },
    { parts: { numa: { nodes: () => [0] } } },
    { parts: { cluster: {} } },
    { parts: { instrumenter: {} } },
    { parts: { nuuma: undefined } },
  ])('refuses %j', (options) => {
    expect(() => make(options as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining(Object.keys(options)[0]!),
      }),
    );
  });

  it('knows the nodes', async () => {
    const systems = make();
    const numa = systems.getNUMACoordinator();
    const { nodes, currentNode } = await systems.getTopologyHints();
    expect(numa.nodes()).toEqual(nodes.map(({ id }) => id));
    expect(numa.nodes()).toContain(numa.currentNode());
    const near = numa.nearest(currentNode);
    expect(near[0]).toBe(currentNode);
    expect([...near].sort((a, b) => a - b)).toEqual(numa.nodes());
    for (let i = 1; i < near.length - 1; i++)
      expect(numa.distance(currentNode, near[i]!)).toBeLessThanOrEqual(
        numa.distance(currentNode, near[i + 1]!),
      );
    expect(() => numa.nearest(999)).toThrow(InvalidRangeError);
    await expect(numa.pin(0, 999)).rejects.toThrow(InvalidRangeError);
  });

  it('tells failures to those who listen, whatever they do', () => {
    const systems = make();
    expect(systems.reportConcurrencyError(new Error('unheard'), {})).toBe(false);
    const heard: unknown[] = [];
    const stop = systems.onConcurrencyError((error, metadata) => heard.push(error, metadata));
    const error = new Error('heard');
    expect(systems.reportConcurrencyError(error, { pool: 'p' })).toBe(true);
    expect(heard).toEqual([error, { pool: 'p' }]);
    stop();
    expect(systems.reportConcurrencyError(error, {})).toBe(false);
    expect(() => systems.onConcurrencyError(1 as never)).toThrow(InvalidTypeError);
    expect(() => systems.onDegradation(undefined as never)).toThrow(InvalidTypeError);
    expect(() => systems.onViolation({} as never)).toThrow(InvalidTypeError);
  });

  it('judges the order of locks by their names', () => {
    const systems = make({ rules: [...RULES, { name: 'audit', order: ['account', 'log'] }] });
    expect(systems.validateLockOrder([], 'account')).toEqual({ isValid: true, rules: [] });
    expect(systems.validateLockOrder(['ledger'], 'account').isValid).toBe(true);
    expect(systems.validateLockOrder(['account'], 'unknown').isValid).toBe(true);
    // It follows from two rules.
    expect(systems.validateLockOrder(['other', 'log'], 'ledger')).toEqual({
      isValid: false,
      rules: ['money', 'audit'],
      violation: {
        kind: 'order',
        locks: ['log', 'ledger'],
        message:
          "lock 'ledger' must not be taken under 'other', 'log': rules 'money', 'audit' put 'ledger' before 'log'",
      },
    });
    expect(() => systems.validateLockOrder('ledger' as never, 'a')).toThrow(InvalidTypeError);
    expect(() => systems.validateLockOrder([''], 'a')).toThrow(InvalidTypeError);
    expect(() => systems.validateLockOrder([], 7 as never)).toThrow(InvalidTypeError);
  });

  it('refuses rules that contradict each other, naming them', () => {
    const contradictory = [
      { name: 'one', order: ['a', 'b'] },
      { name: 'two', order: ['b', 'a'] },
    ];
    expect(() => make({ rules: contradictory })).toThrow(/rules 'one', 'two' contradict each other/);
  });

  it('declares its rules in every runtime that has none, and judges by what they learn', async () => {
    const systems = make({ rules: RULES });
    const rt = await openRuntime({ systems, locks: { order: 'report' } });
    expect(rt.systems).toBe(systems);
    expect(rt.locks.rules).toEqual(RULES);
    const own = await openRuntime({ systems, locks: { rules: [{ name: 'own', order: ['x', 'y'] }] } });
    expect(own.locks.rules).toEqual([{ name: 'own', order: ['x', 'y'] }]);
    expect(systems.getHierarchyRules().map(({ name }) => name)).toEqual(['money', 'own']);
    expect(systems.validateLockOrder(['y'], 'x').rules).toEqual(['own']);

    const [a, b, c] = ['a', 'b', 'c'].map((name) => rt.mutex(name));
    await a!.runExclusive(() => b!.runExclusive(() => undefined));
    await b!.runExclusive(() => c!.runExclusive(() => undefined));
    expect(systems.validateLockOrder(['a'], 'c').isValid).toBe(true);
    expect(systems.validateLockOrder(['c'], 'a')).toMatchObject({
      isValid: false,
      rules: [],
      violation: { locks: ['a', 'b', 'c'], message: expect.stringContaining("'a' is taken before 'b'") },
    });
    await rt.dispose();
    expect(systems.validateLockOrder(['c'], 'a').isValid).toBe(true);
  });

  it('hears the violations of its runtimes', async () => {
    const systems = make({ rules: RULES });
    const heard: LockViolation[] = [];
    systems.onViolation((violation) => heard.push(violation));
    const rt = await openRuntime({ systems, locks: { order: 'report' } });
    await rt.mutex('account').runExclusive(() => rt.mutex('ledger').runExclusive(() => undefined));
    expect(heard).toMatchObject([{ kind: 'order', locks: expect.arrayContaining(['account', 'ledger']) }]);
  });

  it('hears the failures of tasks that nobody waits for', async () => {
    const systems = make();
    const heard = new Promise<[unknown, unknown]>((resolve) => {
      systems.onConcurrencyError((error, metadata) => resolve([error, metadata]));
    });
    const rt = await openRuntime({ systems });
    const pool = await openPoolOn(rt, { name: 'shop' });
    pool.submit({ name: 'fail', args: ['no'] });
    const [error, metadata] = await heard;
    expect(error).toBeInstanceOf(Error);
    expect(metadata).toEqual({ pool: 'shop', task: 'fail' });
  });

  it('has one strategy for the deadlocks of all its runtimes', async () => {
    const systems = make();
    expect(systems.getDeadlockStrategy()).toBe('abort-requester');
    const resolver = systems.getDeadlockResolver();
    const party = { label: '', holds: [], waitsFor: '', wait: 'lock', breakable: false } as const;
    const deadlock: Deadlock = {
      cycle: [
        { ...party, owner: 7, bornMs: 5 },
        { ...party, owner: 8, bornMs: 9 },
      ],
      requester: 7,
      locks: [],
      message: '',
    };
    expect(resolver.resolve(deadlock)).toEqual({ abort: 7 });
    resolver.strategy = 'abort-youngest';
    expect(resolver.resolve(deadlock)).toEqual({ abort: 8 });

    const rt = await openRuntime({ systems });
    expect(rt.locks.resolver.strategy).toBe('abort-youngest');
    resolver.registerStrategy('mine', () => ({ report: true }));
    resolver.strategy = 'mine';
    expect(rt.locks.resolver.strategy).toBe('mine');
    expect(resolver.resolve(deadlock)).toEqual({ report: true });
    expect(rt.locks.resolver.resolve(deadlock)).toEqual({ report: true });
    resolver.registerStrategy('mine', () => {
      throw new Error('cannot decide');
    });
    expect(resolver.resolve(deadlock)).toEqual({ abort: 7 });
    expect(() => {
      resolver.strategy = 'none such';
    }).toThrow(InvalidTypeError);
    expect(() => resolver.registerStrategy('report-only', () => ({ report: true }))).toThrow(
      InvalidTypeError,
    );
    expect(() => resolver.registerStrategy('x', 1 as never)).toThrow(InvalidTypeError);
    expect(() => make({ deadlockStrategy: 'none such' })).toThrow(InvalidTypeError);
    expect(make({ deadlockStrategy: 'report-only' }).getDeadlockStrategy()).toBe('report-only');
  });
});

describe('StaticSystems', () => {
  it('is what it is told to be', async () => {
    const systems = new StaticSystems({
      cpus: 8,
      container: { cpu: { allowedCpus: [0, 1, 2], quotaCpus: 1.2 } },
    });
    expect((await systems.getTopologyHints()).cpus).toHaveLength(8);
    expect(systems.defaultWorkers()).toBe(2);
    expect(new StaticSystems({ cpus: 8, container: { workers: 3 } }).defaultWorkers()).toBe(3);
    const heard: Degradation[] = [];
    systems.onDegradation((degradation) => heard.push(degradation));
    systems.degrade({ what: 'cpuset', reason: 'has shrunk' });
    expect(heard).toEqual([{ what: 'cpuset', reason: 'has shrunk' }]);
  });

  it.each([
    [{ cpus: 0 }],
    [{ cpus: [] }],
    [{ cpus: [1.5] }],
    [{ nodes: [] }],
    [{ nodes: [{ id: -1, cpus: [], memoryBytes: 0 }] }],
    [{ distances: [[10]] }],
    [{ nodes: [{ id: 0, cpus: [0], memoryBytes: 0 }], distances: [[10, 20]] }],
    [
      {
        nodes: [
          { id: 0, cpus: [0], memoryBytes: 0 },
          { id: 0, cpus: [1], memoryBytes: 0 },
        ],
      },
    ],
    [{ unknown: 1 }],
    [{ cpus: [0, 0] }],
    [{ currentNode: 7 }],
    [{ cpus: 2, nodes: [{ id: 0, cpus: [0, 1], memoryBytes: 1 }], currentNode: 1 }],
    [{ cpus: 2, nodes: [{ id: 0, cpus: [5], memoryBytes: 1 }] }],
    [{ cpus: 2, nodes: [{ id: 0, cpus: ['0'], memoryBytes: 1 }] }],
    [{ cpus: 2, nodes: [0, 1].map((id) => ({ id, cpus: [0], memoryBytes: 1 })) }],
    [{ cpus: 2, packages: [{ id: 0, cpus: [2] }] }],
    [{ cpus: 2, cores: [{ id: 0, packageId: 0, cpus: [2] }] }],
    [{ cpus: 2, cores: [{ id: 0, packageId: 1, cpus: [0] }] }],
    [{ cpus: 2, caches: [{ level: 1, type: 'data', sizeBytes: 1, cpus: [2] }] }],
    [{ container: { workers: 0 } }],
    [{ container: { workers: 'x' } }],
    [{ container: { qosClass: 'Best' } }],
    [{ container: { cpus: 1 } }],
    [{ container: { cpu: { quotaCpus: 0 } } }],
    [{ container: { cpu: { allowedCpus: [] } } }],
    [{ container: { cpu: { allowedCpus: [1] } } }],
  ])('refuses %j', (options) => {
    expect(() => new StaticSystems(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    );
  });
});

describe('createRuntime({ systems })', () => {
  it.each([
    ['quota', 2, { cpu: { allowedCpus: [0, 1, 2, 3], quotaCpus: 1.5 } }],
    ['cpuset', 3, { cpu: { allowedCpus: [0, 1, 2] } }],
  ])('lets a pool grow as far as the %s goes', async (_, workers, container) => {
    const rt = await openRuntime({ systems: new StaticSystems({ cpus: 4, container }) });
    const pool = await rt.createPool({ tasks: new URL('../fixtures/tasks.mjs', import.meta.url) });
    const gate = `systems-${workers}`;
    const calls = Array.from({ length: 6 }, (_, i) => pool.run('hold', [gate, i]));
    const inside = rt.atomicInt32(`${gate}:in`);
    await expect.poll(() => inside.load(), { timeout: 20_000 }).toBe(workers);
    expect(pool.metrics()).toMatchObject({ threads: workers, queueDepth: 6 - workers });
    rt.atomicInt32(gate).store(1);
    expect(await Promise.all(calls)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(pool.metrics().threads).toBe(workers);
  });

  it('refuses what is no provider, naming what is missing', async () => {
    await expect(createRuntime({ systems: {} as never })).rejects.toThrow(
      /must be a SystemsProvider, such as NodeSystems.detect\(\); an object has no \w+\(\)/,
    );
    await expect(createRuntime({ systems: 'linux' as never })).rejects.toThrow(InvalidTypeError);
  });

  it('detects the machine when nothing is said', async () => {
    const rt = await openRuntime();
    expect(rt.systems).toBeInstanceOf(NodeSystems);
  });
});
