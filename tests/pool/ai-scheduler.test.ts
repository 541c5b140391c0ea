import { describe, expect, it } from 'vitest';
import { openRuntime, rejectionOf, TASKS } from './harness.ts';

describe('rt.aiScheduler()', () => {
  it('gives one pool, all of it ready, and one lock that tasks find by its name', async () => {
    const rt = await openRuntime();
    const ai = await rt.aiScheduler({ tasks: TASKS, maxThreads: 2, lock: { reentrant: true } });
    const pool = ai.parallelTaskPool();
    expect(ai.parallelTaskPool()).toBe(pool);
    expect([pool.name, pool.metrics().threads]).toEqual(['ai', 2]);
    const lock = ai.criticalSection();
    expect(ai.criticalSection()).toBe(lock);
    expect(rt.mutex(lock.name).id).toBe(lock.id);
    expect(await pool.run('echo', [7])).toBe(7);
    await ai[Symbol.asyncDispose]();
    expect(await rejectionOf(pool.run('echo', [7]))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });

  it('is named, and takes what a pool takes', async () => {
    const rt = await openRuntime();
    const ai = await rt.aiScheduler({ tasks: TASKS, name: 'k-means', maxThreads: 1 });
    expect([ai.parallelTaskPool().name, ai.criticalSection().name]).toEqual(['k-means', 'k-means']);
    expect(await rejectionOf(rt.aiScheduler({ tasks: TASKS, threads: 1 } as never))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await rejectionOf(rt.aiScheduler(undefined as never))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });
});
