import { describe, expect, it } from 'vitest';
import { type Outcome, openPool, outcome, turn, until } from './harness.ts';

/** Numbers that look random and are the same in every run. */
function randomFrom(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return Math.floor((x / 2 ** 32) * below);
  };
}

/** A call, and whether an outcome is right for it. */
interface Step {
  readonly call: Promise<Outcome>;
  readonly right: (result: Outcome) => boolean;
  readonly what: string;
}

const failedWith =
  (...codes: string[]) =>
  (result: Outcome): boolean =>
    !result.ok && codes.includes(result.error?.code);

describe('everything at once', () => {
  it('each call has exactly its outcome, and all memory comes back', async () => {
    const seed = 20_261_122;
    const random = randomFrom(seed);
    const { rt, pool } = await openPool(
      { minThreads: 1, maxThreads: 3, idleTimeout: 20, concurrentTasksPerWorker: 2, retry: { attempts: 2 } },
      { memoryBytes: 64 * 2 ** 20 },
    );
    pool.on('error', (error) => expect.fail(`error event: ${String(error)}`));
    let settled = 0;
    let made = 0;

    const step = (): Step => {
      const n = made++;
      const exited = failedWith('ERR_WORKER_EXITED');
      const kind = random(100);
      const done = (promise: Promise<unknown>): Promise<Outcome> =>
        outcome(promise).then((result) => {
          settled++;
          return result;
        });
      // An async task may share its worker with one that exits; a sync one may not.
      if (kind < 25) {
        return { call: done(pool.run('echo', [n])), right: (r) => r.ok && r.value === n, what: 'echo' };
      }
      if (kind < 45) {
        const text = String(n).repeat(random(3000));
        const right = (r: Outcome): boolean => r.ok && r.value.n === n && r.value.text === text;
        return { call: done(pool.run('echo', [{ n, text }])), right, what: 'object' };
      }
      if (kind < 55) {
        const right = (r: Outcome): boolean => (r.ok && r.value === n) || exited(r);
        return { call: done(pool.run('echoAsync', [n])), right, what: 'async' };
      }
      if (kind < 65) {
        return {
          call: done(pool.run('fib', [9])),
          right: (r) => (r.ok && r.value === 34) || exited(r),
          what: 'fib',
        };
      }
      if (kind < 72) {
        return { call: done(pool.run('fail', ['range'])), right: failedWith('E_FAR'), what: 'fail' };
      }
      if (kind < 80) {
        const abort = new AbortController();
        const call = done(pool.run('echo', [n], { signal: abort.signal }));
        if (random(2) === 0) abort.abort();
        else void turn().then(() => abort.abort());
        const right = (r: Outcome): boolean => (r.ok && r.value === n) || failedWith('ERR_TASK_ABORTED')(r);
        return { call, right, what: 'cancelled' };
      }
      if (kind < 84) {
        const right = (r: Outcome): boolean => failedWith('ERR_TASK_TIMEOUT')(r) || exited(r);
        return { call: done(pool.run('never', [], { timeoutMs: random(20) })), right, what: 'never' };
      }
      if (kind < 90) {
        const length = 2 + random(5000);
        const right = (r: Outcome): boolean =>
          (r.ok && r.value.length === length && r.value[0] === 7) || exited(r);
        return { call: done(pool.run('makeBytes', [length, true])), right, what: 'moved' };
      }
      if (kind < 94) {
        const name = `retry${n % 900}`;
        const call = done(pool.run('failTimes', [name, 0], { idempotent: true }));
        return { call, right: (r) => r.ok, what: 'retry' };
      }
      if (kind < 97) {
        const call = done(pool.run('untilAborted', ['s'], { timeoutMs: random(10) }));
        return { call, right: (r) => failedWith('ERR_TASK_TIMEOUT')(r) || exited(r), what: 'sync cancel' };
      }
      if (kind < 98) {
        const call = done(pool.run('spinForEver', ['s'], { timeoutMs: random(10), abortGraceMs: random(5) }));
        return { call, right: (r) => failedWith('ERR_TASK_TIMEOUT')(r) || exited(r), what: 'grace' };
      }
      return { call: done(pool.run('exit', [1])), right: exited, what: 'exit' };
    };

    const batch = async (size: number): Promise<void> => {
      const steps = Array.from({ length: size }, step);
      for (const { call, right, what } of steps) {
        const result = await call;
        if (!right(result)) {
          const got = result.ok
            ? JSON.stringify(result.value)
            : (result.error?.stack ?? String(result.error));
          expect.fail(`${what} came to ${got?.slice(0, 300)} (seed ${seed})`);
        }
      }
    };

    await batch(300);
    const end = performance.now() + 7000;
    while (performance.now() < end) {
      await Promise.all([batch(1 + random(150)), random(4) === 0 ? pool.scale(1 + random(3)) : undefined]);
      if (random(10) === 0) pool.setConfig({ minThreads: 1, maxThreads: 3 });
    }
    expect(settled).toBe(made);
    await until(() => pool.metrics().outstanding === 0 && pool.metrics().queueDepth === 0);
    const { submitted, completed, failed } = pool.metrics();
    expect(completed + failed).toBe(submitted);
    await pool.shutdown();
    const base = rt.usedBytes;
    // A second life of the same kind needs nothing that the first has not given back.
    const again = await rt.createPool({
      tasks: new URL('../fixtures/tasks.mjs', import.meta.url),
      maxThreads: 1,
    });
    await Promise.all(Array.from({ length: 300 }, (_, i) => again.run('echo', [{ i }])));
    await again.shutdown();
    expect(rt.usedBytes).toBeLessThanOrEqual(base);
    expect(base).toBeLessThan(8 * 2 ** 20);
  });
});
