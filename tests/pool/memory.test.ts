import { createRuntime } from 'heddle';
import { describe, expect, it } from 'vitest';
import {
  gateOf,
  openPool,
  openPoolOn,
  openRuntime,
  outcome,
  rejectionOf,
  TASKS,
  thrownBy,
} from './harness.ts';

const SPAN = 2 ** 16;

describe('arrays that were cloned', () => {
  it('are the runtime’s, whichever way they came', async () => {
    const { rt, pool } = await openPool();
    const array = rt.alloc(Int32Array, 10).fill(3);
    const byPort = (await pool.run('echo', [{ array, other: new SharedArrayBuffer(4) }])) as {
      array: Int32Array;
    };
    expect(byPort.array.buffer).not.toBe(array.buffer);
    byPort.array[0] = 5;
    expect(array[0]).toBe(5);
    const back = (await pool.run('echo', [structuredClone({ array })])) as { array: Int32Array };
    expect(back.array.buffer).toBe(array.buffer);
    await pool.run('release', [byPort.array]);
    expect(thrownBy(() => rt.free(array))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    rt.free(structuredClone(rt.alloc(Int32Array, 10)));
  });

  it('of another memory of the same size are not', async () => {
    const { rt, pool } = await openPool({}, { memoryBytes: 4 * 2 ** 20 });
    const array = rt.alloc(Uint8Array, 8).fill(1);
    const foreign = new Uint8Array(new SharedArrayBuffer(4 * 2 ** 20), array.byteOffset, 8);
    expect(thrownBy(() => rt.free(foreign))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await pool.run('fill', [foreign, 7]);
    expect([foreign[0], array[0]]).toEqual([7, 1]);
  });
});

describe('rt.alloc', () => {
  it.each([
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
  ])('passes %s by reference, both ways', async (type) => {
    const { rt, pool } = await openPool();
    const array = rt.alloc<any>(type as never, 100);
    expect(array).toBeInstanceOf(type);
    expect(array).toHaveLength(100);
    const one = typeof array[0] === 'bigint' ? 1n : 1;
    await pool.run('fill', [array, one]);
    expect(array.every((value: unknown) => value === one)).toBe(true);
    const back = (await pool.run('echo', [array])) as Int8Array;
    expect(back.buffer).toBe(array.buffer);
    expect(back.byteOffset).toBe(array.byteOffset);
    expect(back).toHaveLength(100);
    expect(back).toBeInstanceOf(type);
  });

  it('passes views of arrays, and arrays deep inside a value, by reference', async () => {
    const { rt, pool } = await openPool();
    const array = rt.alloc(Float64Array, 1000);
    await pool.run('fill', [array.subarray(10, 20), 5]);
    expect(array.reduce((a, b) => a + b)).toBe(50);
    const deep = (await pool.run('echo', [{ list: [array.subarray(3, 7)], name: 'x' }])) as {
      list: Float64Array[];
    };
    expect(deep.list[0]!.buffer).toBe(array.buffer);
    expect(deep.list[0]).toHaveLength(4);
    expect(deep.list[0]!.byteOffset).toBe(array.byteOffset + 24);
  });

  it('passes an array of the shared memory to workers as shared memory', async () => {
    const { rt, pool } = await openPool();
    expect(await pool.run('arrayBuffer', [rt.alloc(Uint8Array, 9)])).toBe(9);
  });

  it('gives zeros, also where something was before', async () => {
    const rt = await openRuntime({ memoryBytes: 4 * 2 ** 20 });
    for (let i = 0; i < 100; i++) {
      const array = rt.alloc(Uint8Array, 500_000);
      expect(array.every((byte) => byte === 0)).toBe(true);
      array.fill(255);
      rt.free(array);
    }
  });

  it('gives arrays that do not overlap', async () => {
    const rt = await openRuntime();
    const arrays = Array.from({ length: 50 }, (_, i) => rt.alloc(Uint8Array, 1 + i * 3000).fill(i));
    expect(arrays.every((array, i) => array.every((byte) => byte === i))).toBe(true);
  });

  it('takes spans, and free gives them back', async () => {
    const rt = await openRuntime();
    const before = rt.usedBytes;
    const small = rt.alloc(Uint8Array, 1);
    const exact = rt.alloc(Uint8Array, SPAN);
    const empty = rt.alloc(Float64Array, 0);
    expect(rt.usedBytes).toBe(before + 4 * SPAN);
    for (const array of [small, exact, empty]) rt.free(array);
    expect(rt.usedBytes).toBe(before);
  });

  it('lives on in the results of tasks, and is freed anywhere', async () => {
    const { rt, pool } = await openPool();
    await pool.run('echo', [1]);
    const before = rt.usedBytes;
    const array = (await pool.run('allocate', [1000])) as Float64Array;
    expect(array).toHaveLength(1000);
    await pool.run('fill', [array, 2]);
    expect(array[999]).toBe(2);
    rt.free(array);
    const mine = rt.alloc(Float64Array, 10);
    await pool.run('release', [mine]);
    expect(rt.usedBytes).toBe(before);
    expect(await rejectionOf(pool.run('release', [mine]))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  it('outlives the worker that made it', async () => {
    const { rt, pool } = await openPool();
    const array = (await pool.run('allocate', [1000])) as Float64Array;
    await pool.run('fill', [array, 3]);
    await rejectionOf(pool.run('exit', [0]));
    await pool.run('echo', [1]);
    await pool.shutdown();
    expect(array.every((value) => value === 3)).toBe(true);
    rt.free(array);
  });

  it('throws ERR_MEMORY_FULL when there is no room, and recovers', async () => {
    const rt = await openRuntime({ memoryBytes: 4 * 2 ** 20 });
    const before = rt.usedBytes;
    const arrays: Uint8Array[] = [];
    const error = thrownBy(() => {
      for (;;) arrays.push(rt.alloc(Uint8Array, 100_000));
    });
    expect(error).toMatchObject({ code: 'ERR_MEMORY_FULL', name: 'MemoryFullError' });
    expect(arrays.length).toBeGreaterThan(10);
    for (const array of arrays) rt.free(array);
    expect(rt.usedBytes).toBe(before);
    expect(thrownBy(() => rt.alloc(Float64Array, 2 ** 32))).toMatchObject({ code: 'ERR_MEMORY_FULL' });
    expect(thrownBy(() => rt.alloc(Uint8Array, 2 ** 53 - 1))).toMatchObject({ code: 'ERR_MEMORY_FULL' });
  });

  it('refuses what is no typed array and no length', async () => {
    const rt = await openRuntime();
    const alloc = rt.alloc.bind(rt) as (...args: unknown[]) => unknown;
    for (const args of [
      [Array, 3],
      [undefined, 3],
      ['Uint8Array', 1],
      [Uint8Array, -1],
      [Uint8Array, 1.5],
      [Uint8Array, '3'],
      [Uint8Array],
    ]) {
      expect(thrownBy(() => alloc(...args))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
  });
});

describe('rt.free', () => {
  it('refuses a second time, and what alloc did not return', async () => {
    const rt = await openRuntime();
    const array = rt.alloc(Float64Array, 10);
    rt.free(array);
    const used = rt.usedBytes;
    const other = await openRuntime();
    const foreign = other.alloc(Float64Array, 10);
    for (const wrong of [
      array,
      new Float64Array(10),
      foreign,
      undefined,
      7,
      array.buffer,
      new DataView(new ArrayBuffer(8)),
    ]) {
      expect(thrownBy(() => rt.free(wrong as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(rt.usedBytes).toBe(used);
    other.free(foreign);
  });

  it('refuses an array that was freed and whose place is taken by another thing', async () => {
    const rt = await openRuntime();
    const first = rt.alloc(Float64Array, 10);
    rt.free(first);
    const inside = rt.alloc(Uint8Array, 3 * SPAN).fill(1);
    const used = rt.usedBytes;
    // Same place, same header: only a whole array of the same place may be freed, and that is `inside`.
    if (first.byteOffset !== inside.byteOffset) {
      expect(thrownBy(() => rt.free(first))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(rt.usedBytes).toBe(used);
    rt.free(inside);
  });
});

describe('a memory that is full', () => {
  it('holds calls back while others are under way, and runs them all', async () => {
    const { rt, pool } = await openPool({}, { memoryBytes: 8 * 2 ** 20 });
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const calls = Array.from({ length: 40 }, (_, i) => pool.run('echo', [new Uint8Array(2 ** 20).fill(i)]));
    expect(pool.metrics().outstanding).toBe(41);
    gate.open();
    const results = (await Promise.all(calls)) as Uint8Array[];
    expect(
      results.every((bytes, i) => bytes.length === 2 ** 20 && bytes[0] === i && bytes.at(-1) === i),
    ).toBe(true);
    await blocking;
    expect(pool.metrics()).toMatchObject({ outstanding: 0, submitted: 41, completed: 41, failed: 0 });
  });

  it('cancels a call that waits for it', async () => {
    const { rt, pool } = await openPool({}, { memoryBytes: 8 * 2 ** 20 });
    const gate = gateOf(rt);
    const blocking = pool.run('hold', [gate.name]);
    await gate.reached(1);
    const abort = new AbortController();
    const calls = Array.from({ length: 20 }, () =>
      outcome(pool.run('echo', [new Uint8Array(2 ** 20)], { signal: abort.signal })),
    );
    const timed = outcome(pool.run('echo', [new Uint8Array(2 ** 20)], { timeoutMs: 10 }));
    expect(await timed).toMatchObject({ ok: false, error: { code: 'ERR_TASK_TIMEOUT' } });
    abort.abort();
    for (const result of await Promise.all(calls)) {
      expect(result).toMatchObject({ ok: false, error: { name: 'AbortError' } });
    }
    gate.open();
    await blocking;
    expect(await pool.run('echo', ['fits'])).toBe('fits');
    await pool.shutdown();
  });

  it('rejects with ERR_MEMORY_FULL what can never fit', async () => {
    const { pool } = await openPool({}, { memoryBytes: 4 * 2 ** 20 });
    expect(await rejectionOf(pool.run('echo', [new Uint8Array(8 * 2 ** 20)]))).toMatchObject({
      code: 'ERR_MEMORY_FULL',
    });
    expect(
      await rejectionOf(pool.run('echo', [new Uint8Array(8 * 2 ** 20)], { timeoutMs: 5000 })),
    ).toMatchObject({ code: 'ERR_MEMORY_FULL' });
    expect(await pool.run('echo', [1])).toBe(1);
    expect(pool.metrics().outstanding).toBe(0);
  });

  it('does not keep a result from its caller', async () => {
    const { pool } = await openPool({}, { memoryBytes: 4 * 2 ** 20 });
    const bytes = (await pool.run('makeBytes', [16 * 2 ** 20, false])) as Uint8Array;
    expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([16 * 2 ** 20, 7, 9]);
  });

  it('settles calls that wait for it when the pool is destroyed', async () => {
    const { rt, pool } = await openPool({}, { memoryBytes: 8 * 2 ** 20 });
    const gate = gateOf(rt);
    const calls = [outcome(pool.run('hold', [gate.name]))];
    await gate.reached(1);
    for (let i = 0; i < 20; i++) calls.push(outcome(pool.run('echo', [new Uint8Array(2 ** 20)])));
    await pool.destroy();
    for (const result of await Promise.all(calls)) {
      expect(result).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
    }
  });
});

describe('accounting', () => {
  it('returns to its start when pools are made and destroyed', { timeout: 120_000 }, async () => {
    const rt = await openRuntime();
    const cycle = async (i: number): Promise<void> => {
      const pool = await rt.createPool({ tasks: TASKS, minThreads: 1, maxThreads: 1 });
      await Promise.all([pool.run('echo', [{ i, text: 'x'.repeat(5000) }]), pool.run('fib', [8])]);
      if (i % 3 === 0) await pool.destroy();
      else if (i % 3 === 1) await pool.shutdown();
      else {
        void outcome(pool.run('never'));
        await pool.shutdown(0);
      }
    };
    for (let i = 0; i < 3; i++) await cycle(i);
    const before = rt.usedBytes;
    for (let i = 0; i < 50; i++) await cycle(i);
    expect(rt.usedBytes).toBe(before);
  });

  it('does not grow with sequential calls of any size', async () => {
    const { rt, pool } = await openPool();
    const call = (i: number): Promise<unknown> =>
      pool.run('echo', [{ i, bytes: new Uint8Array((i * 7919) % 50_000) }]);
    for (let i = 0; i < 500; i++) await call(i);
    const before = rt.usedBytes;
    for (let i = 0; i < 2000; i++) await call(i);
    expect(rt.usedBytes).toBeLessThanOrEqual(before + 2 * SPAN);
  });

  it('gives back what cancelled, failed and dead tasks held', async () => {
    const { rt, pool } = await openPool();
    const bytes = new Uint8Array(300_000);
    const cycle = async (): Promise<void> => {
      const abort = new AbortController();
      const calls = [
        outcome(pool.run('fail', [bytes])),
        outcome(pool.run('exit', [bytes])),
        outcome(pool.run('echo', [bytes], { signal: abort.signal })),
        outcome(pool.run('never', [bytes], { timeoutMs: 1 })),
      ];
      abort.abort();
      await Promise.all(calls);
    };
    for (let i = 0; i < 3; i++) await cycle();
    for (let i = 0; i < 100; i++) await pool.run('echo', [i]);
    const before = rt.usedBytes;
    for (let i = 0; i < 20; i++) await cycle();
    // The memory of the dead comes back once no living worker can still be looking at it.
    for (let i = 0; i < 100 && rt.usedBytes > before; i++) await pool.run('echo', [i]);
    expect(rt.usedBytes).toBeLessThanOrEqual(before);
  });
});

describe('createRuntime', () => {
  it.each([
    [{ memoryBytes: 1000 }, RangeError],
    [{ memoryBytes: 2 ** 33 }, RangeError],
    [{ memoryBytes: '1 GB' }, TypeError],
    [{ memory: 1 }, TypeError],
    [5, TypeError],
  ])('refuses %j', async (options, type) => {
    const error = await outcome(createRuntime(options as never));
    expect(error).toMatchObject({ ok: false, error: { code: 'ERR_INVALID_ARGUMENT' } });
    expect(!error.ok && error.error).toBeInstanceOf(type);
  });

  it('takes 4 GiB of address space, and works in its upper half', async () => {
    const rt = await openRuntime({ memoryBytes: 4 * 2 ** 30 });
    const lower = rt.alloc(Uint8Array, 2 ** 31);
    const pool = await openPoolOn(rt);
    const upper = rt.alloc(Float64Array, 1000).fill(2);
    expect(upper.byteOffset).toBeGreaterThan(2 ** 31);
    const text = 'x'.repeat(10_000);
    const results = await Promise.all(Array.from({ length: 100 }, (_, i) => pool.run('echo', [{ i, text }])));
    expect(results).toEqual(Array.from({ length: 100 }, (_, i) => ({ i, text })));
    expect(await pool.run('sum', [upper])).toBe(2000);
    expect(await pool.run('fib', [12])).toBe(144);
    expect(((await pool.run('echo', [upper])) as Float64Array).byteOffset).toBe(upper.byteOffset);
    await rejectionOf(pool.run('exit', [{ text }]));
    expect(await pool.run('echo', [{ text }])).toEqual({ text });
    rt.free(upper);
    rt.free(lower);
  });

  it('gives atomics by name', async () => {
    const rt = await openRuntime();
    expect(rt.atomicInt32('a').add(2 ** 31 - 1)).toBe(2 ** 31 - 1);
    expect(rt.atomicInt32('a').add(1)).toBe(-(2 ** 31));
    expect(rt.atomicInt32('b').load()).toBe(0);
    expect(thrownBy(() => rt.atomicBool('a'))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', resource: 'a' });
    for (const name of ['', 'x'.repeat(1000), 5, undefined]) {
      expect(thrownBy(() => rt.atomicInt32(name as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
  });
});
