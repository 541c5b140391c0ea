import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LocalCoordinator, type TaskPool } from 'heddle';
import { describe, expect, it } from 'vitest';
import {
  fixture,
  gateOf,
  openPool,
  openPoolOn,
  openRuntime,
  outcome,
  rejectionOf,
  thrownBy,
  until,
} from './harness.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const steal = (pool: TaskPool, ctx = {}) => pool.stealers()[0]!.trySteal(ctx);

/** A pool of one worker that is busy until the gate opens. */
async function busyPool(options = {}) {
  const { rt, pool } = await openPool(options);
  const gate = gateOf(rt);
  const held = pool.run('hold', [gate.name, 'held']);
  // Some tests close the pool meanwhile.
  held.catch(() => undefined);
  await gate.reached(1);
  return { rt, pool, gate, held };
}

describe('a stolen task', () => {
  it('is taken out for good, and its outcome settles the promise', async () => {
    const { pool, gate, held } = await busyPool();
    const calls = [1, 2, 3].map((n) => pool.run('add', [n, 10]));
    const first = steal(pool)!;
    expect([first.name, first.args, first.qos, first.shareable, first.numaNode]).toEqual([
      'add',
      [1, 10],
      'Burstable',
      false,
      undefined,
    ]);
    expect(first.resolve('elsewhere')).toBe(true);
    expect(first.resolve('again')).toBe(false);
    expect(first.reject(new Error('late'))).toBe(false);
    expect(first.giveBack()).toBe(false);
    expect(await calls[0]).toBe('elsewhere');
    const why = new RangeError('why');
    steal(pool)!.reject(why);
    expect(await rejectionOf(calls[1]!)).toBe(why);
    expect(pool.metrics().queueDepth).toBe(1);
    gate.open();
    expect(await calls[2]).toBe(13);
    expect(await held).toBe('held');
    expect(steal(pool)).toBeUndefined();
    expect(pool.metrics()).toMatchObject({ completed: 3, failed: 1, outstanding: 0, queueDepth: 0 });
  });

  it('runs in the calling thread, or with a runner', async () => {
    const { pool, gate } = await busyPool();
    const calls = [pool.run('add', [1, 2]), pool.run('fail', ['type']), pool.run('add', [3, 4])];
    const settled = calls.map(outcome);
    await steal(pool)!.run();
    await steal(pool)!.run();
    await steal(pool)!.run(async (name, args) => [name, args]);
    expect(await settled[0]).toEqual({ ok: true, value: 3 });
    expect((await settled[1])!.ok).toBe(false);
    expect(await settled[2]).toEqual({ ok: true, value: ['add', [3, 4]] });
    gate.open();
  });

  it('goes back into the queue when it is given back', async () => {
    const { pool, gate } = await busyPool();
    const call = pool.run('echo', [{ deep: [1] }]);
    expect(steal(pool)!.giveBack()).toBe(true);
    expect(pool.metrics().queueDepth).toBe(1);
    gate.open();
    expect(await call).toEqual({ deep: [1] });
  });

  it('that nobody settles is queued again if nobody has looked at it', async () => {
    const { pool, gate } = await busyPool();
    const call = pool.run('echo', [1]);
    expect(steal(pool, { timeoutMs: 1 })).toBeDefined();
    await until(() => pool.metrics().queueDepth === 1);
    gate.open();
    expect(await call).toBe(1);
  });

  it('that its thief drops is queued again', async () => {
    const { pool, gate } = await busyPool();
    const call = pool.run('echo', [1]);
    expect(steal(pool, { timeoutMs: Number.POSITIVE_INFINITY })).toBeDefined();
    await until(() => {
      collectGarbage();
      return pool.metrics().queueDepth === 1;
    });
    gate.open();
    expect(await call).toBe(1);
  });

  it('that nobody settles ends as that of a dead worker if it may have begun', async () => {
    const { pool, gate } = await busyPool();
    const call = pool.run('echo', [1]);
    const task = steal(pool, { timeoutMs: 1 })!;
    expect(task.args).toEqual([1]);
    expect(await rejectionOf(call)).toMatchObject({ code: 'ERR_WORKER_EXITED', resource: 'echo' });
    expect(task.resolve(1)).toBe(false);
    gate.open();
  });

  it('that is idempotent runs again then', async () => {
    const { pool, gate } = await busyPool({ retry: { attempts: 2 } });
    const call = pool.run('echo', [1], { idempotent: true });
    expect(steal(pool, { timeoutMs: 1 })!.args).toEqual([1]);
    await until(() => pool.metrics().queueDepth === 1);
    gate.open();
    expect(await call).toBe(1);
  });

  it('is told when its call is cancelled; the promise does not wait for the thief', async () => {
    const { pool, gate } = await busyPool();
    const abort = new AbortController();
    const call = pool.run('echo', [1], { signal: abort.signal });
    const task = steal(pool)!;
    abort.abort();
    expect(await rejectionOf(call)).toMatchObject({ code: 'ERR_TASK_ABORTED' });
    expect(task.signal.aborted).toBe(true);
    expect(task.giveBack()).toBe(false);
    gate.open();
    await pool.shutdown();
  });

  it('of a pool that is destroyed is settled and told', async () => {
    const { pool } = await busyPool();
    const call = pool.run('echo', [1]);
    const task = steal(pool)!;
    const rejected = rejectionOf(call);
    await pool.destroy();
    expect(await rejected).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(task.signal.aborted).toBe(true);
    expect([task.resolve(1), task.giveBack()]).toEqual([false, false]);
    expect(pool.stealers()).toEqual([]);
  });

  it('is waited for by shutdown()', async () => {
    const { pool, gate, held } = await busyPool();
    const call = pool.run('echo', [1]);
    const task = steal(pool)!;
    gate.open();
    await held;
    const closing = pool.shutdown();
    task.resolve('late');
    await closing;
    expect(await call).toBe('late');
  });

  it('gives its memory back, in any number', async () => {
    const { rt, pool, gate } = await busyPool();
    const text = 'x'.repeat(3000);
    for (let round = 0; round < 50; round++) {
      const calls = Array.from({ length: 100 }, () => pool.run('echo', [text]));
      for (let task = steal(pool); task !== undefined; task = steal(pool)) task.resolve(task.args[0]);
      await Promise.all(calls);
    }
    expect(rt.usedBytes).toBeLessThan(6 * 2 ** 20);
    gate.open();
  });

  it('is no piece of a range, and no call by port', async () => {
    const { rt, pool, gate } = await busyPool();
    const seen = rt.alloc(Int32Array, 8);
    const range = pool.range('cover', { from: 0, to: 8 }, [seen, rt.alloc(Int32Array, 8)]);
    const bytes = new ArrayBuffer(8);
    const port = pool.run('firstAndLength', [new Uint8Array(bytes)], { transferList: [bytes] });
    const plain = pool.run('echo', [1]);
    const task = steal(pool)!;
    expect(task.name).toBe('echo');
    expect(steal(pool)).toBeUndefined();
    task.resolve(2);
    const later = Array.from({ length: 40 }, (_, i) => pool.run('echo', [i]));
    for (let i = 0; i < 40; i++) expect(steal(pool)!.resolve(i)).toBe(true);
    expect(await Promise.all(later)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    gate.open();
    expect(await plain).toBe(2);
    expect(await port).toEqual([0, 8]);
    await range;
    expect([...seen]).toEqual(Array(8).fill(1));
  });
});

describe('a call that a holder of locks may wait for', () => {
  it('stays, and its slot is free for thieves afterwards', async () => {
    const { rt, pool, gate } = await busyPool();
    const mutex = rt.mutex('held');
    await mutex.lock();
    const kept = pool.run('echo', [1]);
    mutex.unlock();
    expect(steal(pool)).toBeUndefined();
    gate.open();
    expect(await kept).toBe(1);
    const gate2 = gateOf(rt);
    const held = pool.run('hold', [gate2.name]);
    await gate2.reached(1);
    const calls = Array.from({ length: 4 }, () => pool.run('echo', [2]));
    for (let i = 0; i < 4; i++) expect(steal(pool)!.resolve(i)).toBe(true);
    expect(await Promise.all(calls)).toEqual([0, 1, 2, 3]);
    gate2.open();
    await held;
  });
});

describe('a stealer', () => {
  it('stands for one worker', async () => {
    const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const stealers = pool.stealers();
    expect(stealers.length).toBe(2);
    expect(pool.stealers()[0]).toBe(stealers[0]);
    const [stealer] = stealers;
    expect(stealer!.nodeAffinity()).toBe(-1);
    expect(stealer!.getContainerContext().workers).toBeGreaterThan(0);
    expect(stealer!.getNUMAPolicy().fallbackStrategy).toBe('nearest');
    expect(stealer!.getClusterCoordinator()).toBeUndefined();
  });

  it('takes only what it is asked for', async () => {
    const { pool, gate } = await busyPool();
    const calls = [
      pool.run('echo', ['low'], { qos: 'BestEffort' }),
      pool.run('echo', ['high'], { qos: 'Guaranteed' }),
    ];
    const seen: string[] = [];
    const [stealer] = pool.stealers();
    stealer!.registerStealCallback(({ name }) => seen.push(name));
    expect(stealer!.withQoS('Burstable').trySteal()).toBeUndefined();
    expect(stealer!.trySteal({ signal: AbortSignal.abort() })).toBeUndefined();
    const low = stealer!.withQoS('BestEffort').trySteal()!;
    const high = stealer!.trySteal({ qos: 'Guaranteed' })!;
    expect([low.args, high.args, seen]).toEqual([['low'], ['high'], ['echo', 'echo']]);
    low.resolve(1);
    high.resolve(2);
    expect(await Promise.all(calls)).toEqual([1, 2]);
    gate.open();
  });

  it('refuses nonsense', async () => {
    const { pool } = await openPool();
    const [stealer] = pool.stealers();
    for (const wrong of [
      () => stealer!.trySteal({ timeoutMs: -1 }),
      () => stealer!.withQoS('Gold' as never),
      () => stealer!.registerStealCallback(1 as never),
      () => pool.registerClusterCoordinator({} as never),
    ])
      expect(thrownBy(wrong)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  it('knows how busy its worker is', async () => {
    const { pool, gate, held } = await busyPool();
    const [stealer] = pool.stealers();
    expect(stealer!.currentLoad()).toBe(1);
    gate.open();
    await held;
    await until(() => stealer!.currentLoad() < 0.5);
    expect(stealer!.currentLoad()).toBeGreaterThanOrEqual(0);
    await pool.destroy();
    expect(stealer!.currentLoad()).toBe(0);
  });
});

describe('LocalCoordinator', () => {
  async function twoPools(options = {}, other = {}) {
    const rt = await openRuntime();
    const coordinator = new LocalCoordinator(rt.systems.getNUMACoordinator());
    const needy = await openPoolOn(rt, { name: 'needy', ...options });
    const helper = await openPoolOn(rt, { name: 'helper', ...other });
    for (const pool of [needy, helper]) pool.registerClusterCoordinator(coordinator);
    return { rt, coordinator, needy, helper };
  }

  it('lets an idle pool run what another has queued', async () => {
    const { rt, coordinator, needy, helper } = await twoPools();
    const gate = gateOf(rt);
    const held = needy.run('hold', [gate.name]);
    await gate.reached(1);
    const pools = await Promise.all(Array.from({ length: 20 }, () => needy.run('myPool', [])));
    expect(new Set(pools)).toEqual(new Set(['helper']));
    gate.open();
    await held;
    expect(needy.metrics()).toMatchObject({ outstanding: 0, completed: 21 });
    expect(helper.metrics().completed).toBe(20);
    expect(coordinator.getWorkStealers().length).toBe(2);
    expect(needy.stealers()[0]!.getClusterCoordinator()).toBe(coordinator);
    await until(() => coordinator.pressureOf(coordinator.getNUMACoordinator().currentNode()) === 'nominal');
  });

  it('passes arrays of the runtime by reference', async () => {
    const { rt, needy } = await twoPools();
    const gate = gateOf(rt);
    const held = needy.run('hold', [gate.name]);
    await gate.reached(1);
    const array = rt.alloc(Float64Array, 4);
    await needy.run('fill', [array, 7]);
    expect([...array]).toEqual([7, 7, 7, 7]);
    gate.open();
    await held;
  });

  it('moves nothing to a pool of another module', async () => {
    const { rt, needy, helper } = await twoPools({}, { tasks: fixture('placed.mjs') });
    const gate = gateOf(rt);
    const held = needy.run('hold', [gate.name]);
    await gate.reached(1);
    const call = needy.run('myPool', []);
    await helper.run('echo', [1]);
    gate.open();
    await held;
    expect(await call).toBe('needy');
  });

  it('moves between runtimes only what is shareable', async () => {
    const { rt, coordinator, needy, helper } = await twoPools();
    await helper.shutdown();
    const other = await openPool({ name: 'other' });
    other.pool.registerClusterCoordinator(coordinator);
    const gate = gateOf(rt);
    const held = needy.run('hold', [gate.name]);
    await gate.reached(1);
    const [kept, shared] = [needy.run('myPool', []), needy.run('myPool', [], { shareable: true })];
    const settled = outcome(kept);
    expect(await Promise.race([shared, settled.then(() => 'never')])).toBe('other');
    gate.open();
    await held;
    expect(await kept).toBe('needy');
  });

  it.each([1, 8, 40])('leaves %i calls that may not move where they stand', async (count) => {
    const { rt, coordinator, needy, helper } = await twoPools();
    await helper.shutdown();
    const { pool } = await openPool({ name: 'other' });
    pool.registerClusterCoordinator(coordinator);
    const gate = gateOf(rt);
    const held = needy.run('hold', [gate.name]);
    await gate.reached(1);
    const order: number[] = [];
    const stay = Array.from({ length: count }, (_, i) =>
      needy.run('echo', [i]).then((n) => order.push(n as number)),
    );
    // Those that move come in between and behind.
    for (let round = 0; round < 5; round++) {
      const moved = Array.from({ length: 60 }, () => needy.run('myPool', [], { shareable: true }));
      stay.push(needy.run('echo', [count + round]).then((n) => order.push(n as number)));
      expect(new Set(await Promise.all(moved))).toEqual(new Set(['other']));
    }
    // What was taken out of the middle leaves next to nothing behind.
    expect(needy.metrics().queueDepth).toBeLessThan(2 * (count + 5) + 10);
    gate.open();
    await Promise.all([held, ...stay]);
    expect(order).toEqual(Array.from({ length: count + 5 }, (_, i) => i));
    await needy.shutdown();
  });

  it('takes a call back that the helper has no room for', async () => {
    const big = await openRuntime({ memoryBytes: 64 * 2 ** 20 });
    const small = await openRuntime({ memoryBytes: 4 * 2 ** 20 });
    const needy = await openPoolOn(big, { name: 'needy' });
    const helper = await openPoolOn(small, { name: 'helper' });
    const coordinator = new LocalCoordinator(big.systems.getNUMACoordinator());
    for (const pool of [needy, helper]) pool.registerClusterCoordinator(coordinator);
    const gate = gateOf(big);
    const held = needy.run('hold', [gate.name]);
    await gate.reached(1);
    const bytes = new Uint8Array(8 * 2 ** 20).fill(7);
    const large = [1, 2, 3].map(() => needy.run('echo', [bytes], { shareable: true }));
    const fits = needy.run('myPool', [], { shareable: true });
    expect(await fits).toBe('helper');
    await until(() => (helper.metrics().rejections.get('ERR_MEMORY_FULL') ?? 0) === 3);
    expect(helper.metrics().completed).toBe(1);
    gate.open();
    for (const back of await Promise.all(large)) expect((back as Uint8Array).at(-1)).toBe(7);
    await held;
    expect(needy.metrics()).toMatchObject({ failed: 0, outstanding: 0 });
  });

  it('makes of a helper that dies what a worker that dies is', async () => {
    const { rt, needy, helper } = await twoPools({ retry: { attempts: 2 } });
    const gate = gateOf(rt);
    const held = needy.run('hold', [gate.name]);
    await gate.reached(1);
    expect(await rejectionOf(needy.run('exit', [3]))).toMatchObject({
      code: 'ERR_WORKER_EXITED',
      exitCode: 3,
    });
    const gate2 = gateOf(rt);
    const stuck = needy.run('hold', [gate2.name]);
    const again = rejectionOf(stuck);
    await gate2.reached(1);
    await helper.destroy();
    expect(await again).toMatchObject({ code: 'ERR_WORKER_EXITED' });
    gate.open();
    await held;
    await needy.shutdown();
  });

  it('ends what a helper runs for a pool that closes', async () => {
    const { rt, needy, helper } = await twoPools();
    const gate = gateOf(rt);
    const held = rejectionOf(needy.run('hold', [gate.name]));
    await gate.reached(1);
    const stuck = rejectionOf(needy.run('untilAborted', ['closing']));
    await until(() => helper.metrics().outstanding === 1);
    await needy.destroy();
    expect(await held).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    expect(await stuck).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    await until(() => helper.metrics().outstanding === 0);
    await helper.shutdown();
  });

  it('lets go of a pool that goes over to another one', async () => {
    const { rt, coordinator, needy, helper } = await twoPools();
    const second = new LocalCoordinator(rt.systems.getNUMACoordinator());
    helper.registerClusterCoordinator(second);
    expect(coordinator.getWorkStealers()).toEqual(needy.stealers());
    expect(second.getWorkStealers()).toEqual(helper.stealers());
    const gate = gateOf(rt);
    const held = needy.run('hold', [gate.name]);
    await gate.reached(1);
    const kept = needy.run('myPool', []);
    await helper.run('echo', [1]);
    expect(needy.metrics().queueDepth).toBe(1);
    needy.registerClusterCoordinator(second);
    expect(await kept).toBe('helper');
    gate.open();
    await held;
  });

  it('gives a task to whoever asks', async () => {
    const { rt, coordinator, needy, helper } = await twoPools();
    await helper.destroy();
    const gate = gateOf(rt);
    const held = needy.run('hold', [gate.name]);
    await gate.reached(1);
    const call = needy.run('echo', [1]);
    const node = coordinator.getNUMACoordinator().nodes()[0]!;
    const task = await coordinator.trySteal({}, node);
    expect(task!.name).toBe('echo');
    task!.resolve('far away');
    expect(await call).toBe('far away');
    const [stealer] = needy.stealers();
    const another = needy.run('echo', [2]);
    (await coordinator.trySteal({}, stealer!.nodeAffinity()))!.resolve('anywhere');
    expect(await another).toBe('anywhere');
    expect(await coordinator.trySteal({}, node)).toBeUndefined();
    gate.open();
    await held;
  });

  it('refuses nonsense', async () => {
    const { coordinator } = await twoPools();
    for (const wrong of [
      () => coordinator.reportPressure(-1, 'nominal'),
      () => coordinator.reportPressure(0, 'high' as never),
      () => coordinator.registerPool({} as never),
    ])
      expect(thrownBy(wrong)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(await rejectionOf(coordinator.trySteal({}, 99))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});
