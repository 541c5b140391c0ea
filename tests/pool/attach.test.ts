import { Worker } from 'node:worker_threads';
import { attachRuntime } from 'heddle';
import { expect, it } from 'vitest';
import { fixture, openPool, openRuntime } from './harness.ts';

it('a bare thread that attaches shares atomics and arrays', async () => {
  const rt = await openRuntime();
  const array = rt.alloc(Int32Array, 4);
  const worker = new Worker(fixture('attaches.mjs'), {
    workerData: { handle: rt.handle, byteOffset: array.byteOffset },
  });
  const [code] = await new Promise<[number]>((resolve) => worker.once('exit', (exit) => resolve([exit])));
  expect(code).toBe(0);
  expect(rt.atomicInt32('attached').load()).toBe(41);
  expect(rt.atomicBool('seen').load()).toBe(true);
  expect([...array]).toEqual([7, 0, 0, 0]);
});

it('attachRuntime() refuses what is no handle', () => {
  expect(() => attachRuntime({} as never)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', name: 'TypeError' }),
  );
});

it('diagnostics() asks each worker, and leaves out one that ends meanwhile', async () => {
  const { pool } = await openPool({ minThreads: 2, maxThreads: 2 });
  const answers = await pool.diagnostics();
  expect(answers.map(({ threadId }) => threadId).sort()).toEqual(
    pool
      .metrics()
      .workers.map(({ threadId }) => threadId)
      .sort(),
  );
  for (const { asyncTasks, heapUsedBytes } of answers) {
    expect(asyncTasks).toBe(0);
    expect(heapUsedBytes).toBeGreaterThan(0);
  }
  const asked = pool.diagnostics();
  await pool.destroy();
  expect((await asked).length).toBeLessThanOrEqual(2);
});
