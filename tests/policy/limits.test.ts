import { createRuntime, StaticSystems } from 'heddle';
import { describe, expect, it } from 'vitest';
import { openPoolOn, openRuntime, rejectionOf, TASKS, thrownBy } from '../pool/harness.ts';

const refusal = (message: RegExp): object => ({
  code: 'ERR_RESOURCE_LIMIT',
  message: expect.stringMatching(message),
});

describe('workers', () => {
  it('of all pools together are limited, and what a closed pool had is free again', async () => {
    const rt = await openRuntime({ limits: { maxGoroutines: 3 } });
    const first = await openPoolOn(rt, { name: 'first', maxThreads: 2 });
    expect(await rejectionOf(rt.createPool({ tasks: TASKS, name: 'second', maxThreads: 2 }))).toEqual(
      expect.objectContaining(
        refusal(
          /pool 'second' wants 2 workers; the runtime may have 3, of which other pools have 2 \(limits\.maxGoroutines is 3\)/,
        ),
      ),
    );
    await first.destroy();
    const second = await openPoolOn(rt, { name: 'second', maxThreads: 3 });
    expect(second.metrics().threads).toBe(3);
  });

  it('are limited in each runtime by itself, also where the limits are those of a provider that several share', async () => {
    const systems = new StaticSystems({ cpus: 8, limits: { maxGoroutines: 1 } });
    for (const rt of [await openRuntime({ systems }), await openRuntime({ systems })]) {
      await openPoolOn(rt, { maxThreads: 1 });
      expect(await rejectionOf(rt.createPool({ tasks: TASKS }))).toEqual(
        expect.objectContaining(refusal(/the runtime may have 1, of which other pools have 1/)),
      );
    }
  });

  it('are limited by the CPU quota, rounded up', async () => {
    const rt = await openRuntime({ limits: { cpuMillicores: 1500 } });
    expect(await rejectionOf(rt.createPool({ tasks: TASKS, maxThreads: 3 }))).toEqual(
      expect.objectContaining(refusal(/may have 2 \(limits\.cpuMillicores is 1500\)/)),
    );
    await openPoolOn(rt, { maxThreads: 2 });
  });

  it('that a pool does not name are those that are left', async () => {
    const rt = await openRuntime({ systems: new StaticSystems({ cpus: 8 }), limits: { maxGoroutines: 2 } });
    const pool = await rt.createPool({ tasks: TASKS });
    expect(await rejectionOf(pool.scale(3))).toEqual(expect.objectContaining(refusal(/^scale\(\): /)));
    expect(await rejectionOf(rt.createPool({ tasks: TASKS }))).toEqual(
      expect.objectContaining(refusal(/wants 1 worker; the runtime may have 2, of which other pools have 2/)),
    );
    await pool.scale(1);
    await openPoolOn(rt, { maxThreads: 1 });
    expect(thrownBy(() => pool.setConfig({ maxThreads: 2 }))).toEqual(
      expect.objectContaining(refusal(/^setConfig\(\): /)),
    );
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('of one pool are as many as a pool may have, however many are left', async () => {
    const systems = new StaticSystems({ cpus: 128 });
    const rt = await openRuntime({ systems, limits: { maxGoroutines: 1000 } });
    expect((await rt.createPool({ tasks: TASKS })).maxThreads).toBe(64);
  });

  it('are free again when a pool cannot be opened', async () => {
    const rt = await openRuntime({ limits: { maxGoroutines: 1 } });
    const missing = new URL('./no-such-module.mjs', import.meta.url);
    await rejectionOf(rt.createPool({ tasks: missing, maxThreads: 1 }));
    await openPoolOn(rt, { maxThreads: 1 });
  });
});

describe('memory and locks', () => {
  it('are as many as allowed, and more is refused', async () => {
    const limits = { memoryMB: 8, maxLocks: 2 };
    const rt = await openRuntime({ limits });
    expect(rt.handle.memory.buffer.byteLength).toBe(8 * 2 ** 20);
    rt.mutex('a');
    rt.mutex('b');
    expect(thrownBy(() => rt.mutex('c'))).toMatchObject({ code: 'ERR_RESOURCE_LIMIT' });
    expect(await rejectionOf(createRuntime({ limits, memoryBytes: 9 * 2 ** 20 }))).toEqual(
      expect.objectContaining(refusal(/memoryBytes is 9437184 \(9 MiB\), and limits\.memoryMB is 8/)),
    );
    expect(await rejectionOf(createRuntime({ limits, locks: { maxLocks: 3 } }))).toEqual(
      expect.objectContaining(refusal(/locks\.maxLocks is 3, and limits\.maxLocks is 2/)),
    );
    const less = await openRuntime({ limits, memoryBytes: 4 * 2 ** 20, locks: { maxLocks: 1 } });
    expect(less.handle.memory.buffer.byteLength).toBe(4 * 2 ** 20);
  });
});

it.each([2 ** 20 + 1, 1e9, 2 ** 32])(
  '%d locks are more than there can be, and no limit',
  async (maxLocks) => {
    const rt = await openRuntime({ limits: { maxLocks } });
    expect(rt.mutex('a').lockSync()).toBe(true);
    rt.mutex('a').unlock();
  },
);

it('qosLevel is the class of pools that name none', async () => {
  const rt = await openRuntime({ limits: { qosLevel: 'BestEffort' } });
  expect((await openPoolOn(rt)).qos).toBe('BestEffort');
  expect((await openPoolOn(rt, { qos: 'Guaranteed' })).qos).toBe('Guaranteed');
});

it('limits of the systems count where the option says nothing', async () => {
  const systems = new StaticSystems({ limits: { maxGoroutines: 1 } });
  const rt = await openRuntime({ systems });
  expect(await rejectionOf(rt.createPool({ tasks: TASKS, maxThreads: 2 }))).toMatchObject({
    code: 'ERR_RESOURCE_LIMIT',
  });
  const free = await openRuntime({ systems, limits: {} });
  await openPoolOn(free, { maxThreads: 2 });
});

it('limits of systems that are none are refused', async () => {
  const systems = Object.assign(new StaticSystems(), { getResourceLimit: () => ({ memoryMB: 0 }) });
  expect(await rejectionOf(createRuntime({ systems }))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringMatching(/getResourceLimit\(\) of 'systems': option 'memoryMB' must be/),
  });
});

it.each([
  { maxGoroutines: 0 },
  { cpuMillicores: 0 },
  { memoryMB: 0 },
  { maxLocks: 0 },
  { maxGoroutines: 1.5 },
  { qosLevel: 'Best' },
  { maxWorkers: 1 },
  null,
])('%j is no limit', async (limits) => {
  expect(await rejectionOf(createRuntime({ limits } as never))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
  });
});
