// What a process with pools does: each test runs one of its own.

import { describe, expect, it } from 'vitest';
import { runProgram } from './harness.ts';

describe('a process', () => {
  it('does not exit while a call is outstanding, and exits by itself when none is', async () => {
    const result = await runProgram('outstanding.mjs');
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(result.stdout).toContain('slow: 150');
    expect(result.stdout).toContain('submitted: 1');
    expect(result.stdout).toContain('retried: 3');
    expect(result.stdout).toContain('mapped: 6');
    expect(result.stdout).toContain('end of main');
    expect(result.lingeredMs).toBeLessThan(2000);
  });

  it('does not exit while a call waits for memory', async () => {
    const result = await runProgram('waits-for-memory.mjs');
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(result.stdout.split('\n').slice(0, 2)).toEqual(['ERR_TASK_TIMEOUT', 'length: 2500000']);
    expect(result.lingeredMs).toBeLessThan(2000);
  });

  it('exits at once though pools are open, tasks have left timers and workers idle', async () => {
    const result = await runProgram('open-pools.mjs');
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(result.lingeredMs).toBeLessThan(2000);
  });

  it('exits after a shutdown, a destroy, a dispose and a failed start', async () => {
    const result = await runProgram('closed-pools.mjs');
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(result.stdout).toContain('end of main');
    expect(result.lingeredMs).toBeLessThan(2000);
  });

  it('exits though streams that were handed to tasks were not read to their end', async () => {
    const result = await runProgram('streams.mjs');
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(result.stdout).toContain(
      'ReadableStream WritableStream TransformStream ReadableStream ab true AbortError false',
    );
    expect(result.lingeredMs).toBeLessThan(2000);
  });

  it('without SharedArrayBuffer is told so, and of no page', async () => {
    const result = await runProgram('no-shared-memory.mjs');
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const error = JSON.parse(result.stdout.split('\n')[0]!) as { message: string };
    expect(error).toMatchObject({ name: 'NotIsolatedError', code: 'ERR_NOT_ISOLATED' });
    expect(error.message).toContain('no SharedArrayBuffer');
    expect(error.message).not.toContain('page');
  });

  it('shows what tasks print', async () => {
    const result = await runProgram('printing.mjs');
    expect(result.code).toBe(0);
    const lines = result.stdout.trim().split('\n');
    for (let i = 0; i < 200; i++) expect(lines).toContain(`line ${i}`);
    expect(lines).toContain('raw');
    expect(result.stderr.trim()).toBe('to stderr');
  });

  it('uses no CPU while its pools are idle', async () => {
    const result = await runProgram('idle.mjs');
    expect(result.code).toBe(0);
    // Two workers for two seconds; V8 and the event loops need a little now and then.
    expect(Number(result.stdout)).toBeLessThan(30);
  });

  it('uses no CPU to watch a busy worker that may end as soon as it is idle', async () => {
    const result = await runProgram('idle-timeout.mjs');
    expect(result.code).toBe(0);
    expect(Number(result.stdout)).toBeLessThan(60);
  });

  it('keeps timers of tasks ticking at their rate, idle and busy', async () => {
    const result = await runProgram('ticking.mjs');
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const { idle, busy } = JSON.parse(result.stdout) as { idle: number; busy: number };
    // 40 ticks each, wanted every 10 ms.
    expect(idle).toBeGreaterThanOrEqual(9);
    expect(idle).toBeLessThan(14);
    expect(busy).toBeGreaterThanOrEqual(9);
    expect(busy).toBeLessThan(20);
  });

  // Seconds on a quiet machine; where others hold the processors each call waits for two threads to get their turn.
  it('does not grow with 300,000 calls one after another', { timeout: 250_000 }, async () => {
    const result = await runProgram('sequential.mjs', ['--expose-gc'], 240_000);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const { heap, shared } = JSON.parse(result.stdout) as { heap: number; shared: number };
    expect(shared).toBe(0);
    expect(heap).toBeLessThan(1.5 * 2 ** 20);
  });

  it('does not grow with calls that have a signal, a time limit, or fail', async () => {
    const result = await runProgram('sequential-options.mjs', ['--expose-gc'], 60_000);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const { heap, shared } = JSON.parse(result.stdout) as { heap: number; shared: number };
    expect(shared).toBeLessThanOrEqual(2 ** 17);
    expect(heap).toBeLessThan(1.5 * 2 ** 20);
  });

  it('does not grow with pools that are made and destroyed', async () => {
    const result = await runProgram('many-pools.mjs', ['--expose-gc'], 60_000);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const { heap, shared, handles } = JSON.parse(result.stdout.split('\n')[0]!) as Record<string, number>;
    expect(shared).toBe(0);
    expect(handles).toBe(0);
    expect(heap).toBeLessThan(2 * 2 ** 20);
    expect(result.lingeredMs).toBeLessThan(2000);
  });

  it('does not grow with runtimes that are made and disposed', async () => {
    const result = await runProgram('many-runtimes.mjs', ['--expose-gc'], 60_000);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const { heap } = JSON.parse(result.stdout) as { heap: number };
    // 2 KiB each.
    expect(heap).toBeLessThan(400 * 2 ** 10);
  });

  it('is not ended by a task that throws, whoever waits for it', async () => {
    const result = await runProgram('late-handler.mjs');
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain('handled: too far');
  });
});
