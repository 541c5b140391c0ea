import { Worker } from 'node:worker_threads';
import type { TaskPool } from 'heddle';
import { describe, expect, it } from 'vitest';
import { openPool, runProgram, until } from './harness.ts';

/** More than a stream takes at once. */
const LINE = 'x'.repeat(100_000);

function textOf(pool: TaskPool, stream: 'stdout' | 'stderr'): () => string {
  const pieces: Uint8Array[] = [];
  pool.on(stream, ({ chunk }) => pieces.push(chunk));
  return () => Buffer.concat(pieces).toString();
}

describe('what workers print, with the options stdout and stderr', () => {
  it('comes as events, whole, and nothing is lost when they end', async () => {
    const { pool } = await openPool({ stdout: true, stderr: true });
    const [out, err] = [textOf(pool, 'stdout'), textOf(pool, 'stderr')];
    for (let i = 0; i < 20; i++) await pool.run('log', [LINE]);
    await pool.run('logError', ['to stderr']);
    await pool.shutdown();
    expect(out()).toBe(`${LINE}\n`.repeat(20));
    expect(err()).toBe('to stderr\n');
  });

  it('tells who printed it', async () => {
    const { pool } = await openPool({ stdout: true });
    const told = new Promise((resolve) => pool.once('stdout', resolve));
    const threadId = await pool.run('myThread');
    await pool.run('log', ['here']);
    expect(await told).toMatchObject({ id: 0, threadId });
  });

  it('is dropped where nobody listens: workers end, and others start', async () => {
    const { pool } = await openPool({
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: 10,
      stdout: true,
      stderr: true,
    });
    for (let round = 0; round < 3; round++) {
      await pool.run('log', [LINE]);
      await pool.run('logError', [LINE]);
      await until(() => pool.metrics().threads === 0);
    }
    await pool.run('log', [LINE]);
    await pool.shutdown();
  });

  it('keeps no process alive, and comes before its end', async () => {
    const result = await runProgram('printing-diverted.mjs');
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout.trim().split('\n')).toEqual(['end of main', 'told: from a task']);
  });
});

it('a stream of a worker of the user that nobody reads does not keep the worker from ending', async () => {
  const entry = new URL('../../build/worker.node.js', import.meta.url);
  const { pool } = await openPool({ worker: () => new Worker(entry, { stdout: true, stderr: true }) });
  for (let i = 0; i < 5; i++) await pool.run('log', [LINE]);
  await pool.shutdown();
  expect(pool.metrics().threads).toBe(0);
});
