import {
  type ClusterCoordinator,
  createRuntime,
  LocalCoordinator,
  type PressureLevel,
  StaticSystems,
} from 'heddle';
import { expect, it } from 'vitest';
import { rejectionOf, runProgram, until } from '../pool/harness.ts';

const TASKS = new URL('../fixtures/tasks.mjs', import.meta.url);

/** A provider whose ears throw. */
const deaf = (): StaticSystems =>
  Object.assign(new StaticSystems(), {
    reportViolation: () => {
      throw new Error('no ear for violations');
    },
    reportConcurrencyError: () => {
      throw new Error('no ear for failures');
    },
  });

it('a provider that throws where it is told of a violation changes nothing for who locks', async () => {
  await using rt = await createRuntime({ systems: deaf() });
  const heard: string[] = [];
  rt.locks.onViolation((violation) => heard.push(violation.kind));
  const [a, b] = [rt.mutex('A'), rt.mutex('B')];
  for (const [first, second] of [
    [a, b],
    [b, a],
  ] as const) {
    expect(await first.lock()).toBe(true);
    expect(await second.lock()).toBe(true);
    second.unlock();
    first.unlock();
  }
  expect(heard).toEqual(['order']);
});

it('a provider that throws where it is told of a failure leaves the error event as it is', async () => {
  await using rt = await createRuntime({ systems: deaf() });
  await using pool = await rt.createPool({ tasks: TASKS });
  const errors: unknown[] = [];
  pool.on('error', (error) => errors.push(error));
  pool.submit({ name: 'fail', args: ['plain'] });
  await until(() => errors.length === 1);
  expect(await pool.run('echo', [1])).toBe(1);
});

/** A coordinator that hears of pressure, and does nothing else. */
const hearing = (hear: (level: PressureLevel) => void): ClusterCoordinator => ({
  registerPool: () => undefined,
  reportPressure: (_, level) => hear(level),
  trySteal: async () => undefined,
  getNUMACoordinator: () => new StaticSystems().getNUMACoordinator(),
  getWorkStealers: () => [],
});

it.each(['serious', 'nominal'])(
  'a coordinator that throws at %s pressure holds up no call',
  async (level) => {
    await using rt = await createRuntime();
    await using pool = await rt.createPool({ tasks: TASKS, maxThreads: 1 });
    await using other = await rt.createPool({ tasks: TASKS, maxThreads: 1 });
    const told: string[] = [];
    pool.registerClusterCoordinator(
      hearing((each) => {
        told.push(each);
        if (each === level) throw new Error('a fault of the coordinator');
      }),
    );
    for (let round = 0; round < 3; round++) {
      const calls = [1, 2, 3].map((i) => pool.run('echo', [i]));
      expect(await Promise.all(calls)).toEqual([1, 2, 3]);
      expect(await other.run('echo', [round])).toBe(round);
    }
    expect(told).toContain(level);
  },
);

it('a listener that throws where others steal does not keep the task from who took it', async () => {
  const { code, stdout, stderr } = await runProgram('steal-callback-throws.mjs');
  expect(stderr).toBe('');
  expect(stdout).toBe('uncaught: of the first\nheard: echo\n7\n');
  expect(code).toBe(0);
});

it('pools take part in the coordinator of their provider', async () => {
  const numa = new StaticSystems().getNUMACoordinator();
  const cluster = new LocalCoordinator(numa);
  await using rt = await createRuntime({ systems: new StaticSystems({ parts: { cluster } }) });
  await using pool = await rt.createPool({ tasks: TASKS, maxThreads: 1 });
  await pool.ready();
  expect(cluster.getWorkStealers()).toHaveLength(1);
  expect(cluster.getWorkStealers()[0]!.getClusterCoordinator()).toBe(cluster);
});

it('a task of a node that is none is refused, placed or not', async () => {
  await using rt = await createRuntime();
  await using pool = await rt.createPool({ tasks: TASKS, maxThreads: 1, numa: false });
  expect(await rejectionOf(pool.run('echo', [1], { numaNode: 77 }))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
  });
  const [node] = rt.systems.getNUMACoordinator().nodes();
  expect(await pool.run('echo', [1], { numaNode: node! })).toBe(1);
});
