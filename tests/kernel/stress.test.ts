import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import * as layout from '../../build/generated/layout.ts';
import { KIND_WORKER, OWNER_SHARED, SPAN_SIZE } from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { joinSubmitter, joinWorker, MIB, openKernel, setIndices } from './harness.ts';

/** Ends a scenario that hangs: a lost wake-up must fail, not wait. */
const WATCHDOG_MS = 12_000;

type Part = 'owner' | 'thief' | 'submitter' | 'worker' | 'player' | 'trader' | 'namer';

interface Role {
  readonly part: Part;
  readonly options: Record<string, number>;
}

/** Runs the roles, a thread each, from one moment on. Resolves with their answers. */
async function play<Answer extends object>(
  kernel: Kernel,
  seed: number,
  roles: readonly Role[],
  during: () => Promise<void> = async () => undefined,
): Promise<Answer[]> {
  const threads = roles.map(
    ({ part, options }, i) =>
      new Worker(new URL('./stress-thread.mjs', import.meta.url), {
        workerData: {
          module: kernel.module,
          memory: kernel.memory,
          layout: { ...layout },
          part,
          options: { ...options, seed: seed + i },
        },
      }),
  );
  let watchdog: NodeJS.Timeout | undefined;
  const hung = new Promise<never>((_, reject) => {
    watchdog = setTimeout(() => reject(new Error('the threads hang')), WATCHDOG_MS);
  });
  const nextMessage = (thread: Worker): Promise<Answer> =>
    new Promise((resolve, reject) => {
      thread.once('message', resolve);
      thread.once('error', reject);
    });
  try {
    await Promise.race([Promise.all(threads.map(nextMessage)), hung]);
    const answers = Promise.all(threads.map(nextMessage));
    for (const thread of threads) thread.postMessage('go');
    await Promise.race([during(), answers, hung]);
    return await Promise.race([answers, hung]);
  } catch (cause) {
    throw new Error(`with seed ${seed}: ${(cause as Error).message}`, { cause });
  } finally {
    clearTimeout(watchdog);
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

/** A span of words for the test itself. */
function words(kernel: Kernel, spans = 1): number {
  const address = kernel.calls.claimSpans(spans, OWNER_SHARED);
  expect(address).not.toBe(0);
  kernel.u8.fill(0, address, address + spans * SPAN_SIZE);
  return address;
}

const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** HEDDLE_SEED runs the programs of a failure again; how the threads interleave is not in it. */
const newSeed = (): number => Number(process.env.HEDDLE_SEED ?? (Math.random() * 2 ** 31) | 0);

/** Each of the first `count` words at `marks` must be 1. */
function expectMarkedOnce(kernel: Kernel, marks: number, count: number, seed: number): void {
  const taken = kernel.i32.subarray(marks >>> 2, (marks >>> 2) + count);
  const wrong = taken.findIndex((times) => times !== 1);
  expect(wrong, `entry ${wrong} was taken ${taken[wrong]} times; seed ${seed}`).toBe(-1);
}

describe('the raw kernel under threads', () => {
  it('a deque with one owner and three thieves gives out each entry once', async () => {
    const seed = newSeed();
    const kernel = await openKernel(64 * MIB);
    const pool = kernel.calls.openPool(1);
    const submitter = joinSubmitter(kernel, pool);
    kernel.calls.submit(pool, submitter.lane, 0, 0, submitter.slots.take());
    const workers = [0, 1, 2, 3].map((index) => joinWorker(kernel, pool, index));
    setIndices(kernel, workers[0]!.lane, 0xfffff000);
    const stop = words(kernel);
    const most = 8 * MIB;
    const marks = words(kernel, (4 * most) / SPAN_SIZE);
    const [owner, ...thieves] = workers.map(({ agent, lane }) => ({
      agent,
      lane,
      pool,
      stop,
      marks,
      most,
    }));
    const answers = await play<{ pushed: number; local: number; count: number }>(
      kernel,
      seed,
      [
        { part: 'owner', options: owner! },
        ...thieves.map((options) => ({ part: 'thief' as const, options })),
      ],
      async () => {
        await pass(1500);
        Atomics.store(kernel.i32, stop >>> 2, 1);
      },
    );
    const { pushed, local } = answers[0]!;
    const stolen = answers.slice(1).reduce((sum, { count }) => sum + count, 0);
    expect(local + stolen).toBe(pushed);
    expect(stolen).toBeGreaterThan(0);
    expect(local).toBeGreaterThan(0);
    expectMarkedOnce(kernel, marks, pushed, seed);
  });

  it('tasks, completions and sleep: nothing is lost or doubled, and nobody sleeps on', async () => {
    const seed = newSeed();
    const kernel = await openKernel(64 * MIB);
    const pool = kernel.calls.openPool(1);
    const submitter = joinSubmitter(kernel, pool);
    const workers = [0, 1, 2].map((index) => joinWorker(kernel, pool, index));
    setIndices(kernel, submitter.lane, 0xfffff000);
    const stop = words(kernel);
    const quiet = stop + 64;
    const marks = words(kernel, (4 * 8 * MIB) / SPAN_SIZE);
    const shared = { pool, stop, quiet, marks, workers: workers.length, firstWorker: workers[0]!.agent };
    const answers = await play<{ submitted: number; waits: number; count: number; parks: number }>(
      kernel,
      seed,
      [
        { part: 'submitter', options: { ...shared, agent: submitter.agent, lane: submitter.lane } },
        ...workers.map(({ agent }, index) => ({
          part: 'worker' as const,
          options: { ...shared, agent, index },
        })),
      ],
      async () => {
        await pass(2000);
        // The submitter sends the workers home when it has everything.
        Atomics.store(kernel.i32, stop >>> 2, 1);
      },
    );
    const { submitted, waits } = answers[0]!;
    const taken = answers.slice(1);
    expect(taken.reduce((sum, { count }) => sum + count, 0)).toBe(submitted);
    expect(waits, 'the submitter never waited').toBeGreaterThan(0);
    expect(
      taken.reduce((sum, { parks }) => sum + parks, 0),
      'no worker ever slept',
    ).toBeGreaterThan(10);
    expectMarkedOnce(kernel, marks, submitted, seed);
  });

  it('two agents that wake each other never both sleep', async () => {
    const seed = newSeed();
    const kernel = await openKernel(4 * MIB);
    const agents = [0, 1].map(() => kernel.calls.claimAgent(KIND_WORKER, 0));
    const turn = words(kernel);
    const rounds = 20_000;
    const answers = await play<{ rounds: number }>(
      kernel,
      seed,
      [0, 1].map((me) => ({
        part: 'player' as const,
        options: { agent: agents[me]!, other: agents[1 - me]!, me, turn, rounds, stop: turn + 64 },
      })),
    );
    expect(answers).toEqual([{ rounds }, { rounds }]);
  });

  it('blocks that other threads give back are never in two hands', async () => {
    const seed = newSeed();
    const kernel = await openKernel(32 * MIB);
    const traders = 3;
    const agents = Array.from({ length: traders }, () => kernel.calls.claimAgent(KIND_WORKER, 0));
    const stop = words(kernel);
    const quiet = stop + 64;
    const capacity = 512;
    const rings = agents.map(() => words(kernel));
    const answers = await play<{ sent: number; received: number }>(
      kernel,
      seed,
      agents.map((agent, i) => ({
        part: 'trader' as const,
        options: {
          agent,
          outbox: rings[i]!,
          inbox: rings[(i + traders - 1) % traders]!,
          capacity,
          traders,
          stop,
          quiet,
        },
      })),
      async () => {
        await pass(1200);
        Atomics.store(kernel.i32, stop >>> 2, 1);
      },
    );
    const total = (key: 'sent' | 'received'): number => answers.reduce((sum, answer) => sum + answer[key], 0);
    expect(total('received'), `seed ${seed}`).toBe(total('sent'));
    expect(total('sent')).toBeGreaterThan(1000);
    for (const agent of agents) kernel.calls.reap(agent);
    expect(kernel.calls.usedSpans()).toBe(1 + traders);
  });

  it('threads that open the same names at once get the same cells', async () => {
    const seed = newSeed();
    const kernel = await openKernel(8 * MIB);
    const names = 700;
    const stop = words(kernel);
    const answers = await play<{ cells: number[] }>(
      kernel,
      seed,
      [0, 1, 2, 3].map(() => ({
        part: 'namer' as const,
        options: { agent: kernel.calls.claimAgent(KIND_WORKER, 0), names, stop },
      })),
    );
    for (const { cells } of answers) expect(cells, `seed ${seed}`).toEqual(answers[0]!.cells);
    expect(new Set(answers[0]!.cells).size).toBe(names);
    for (const cell of answers[0]!.cells) expect(kernel.calls.cellLoad(cell)).toBe(4);
  });
});
