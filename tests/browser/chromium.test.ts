import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openChromium, whatChromiumNeeds } from './chromium.ts';
import { bundleSite, serveSite } from './site.ts';

const need = await whatChromiumNeeds();
const isSkipped = need !== undefined && process.env.CI !== 'true';
if (isSkipped) console.warn(`The browser tests are skipped. They need: ${need}`);

describe.skipIf(isSkipped)('in headless Chromium', () => {
  let folder: string;
  let browser: Browser | undefined;
  let server: Server | undefined;
  let origin: string;

  /** Opens an empty page. Its functions are those of the bundled tests/browser/page/page.js. */
  async function open(mode: 'isolated' | 'plain' | 'half'): Promise<Page> {
    const page = await browser!.newPage();
    await page.goto(`${origin}/${mode}/`);
    return page;
  }

  /** Calls a function of a module in the page. It goes as text, because the test runner rewrites `import()`. */
  function call(page: Page, name: string, args: readonly unknown[] = [], module = './page.js'): Promise<any> {
    return page.evaluate(
      `import(new URL('${module}', location.href).href).then((module) => module.${name}(...${JSON.stringify(args)}))`,
    );
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'heddle-browser-'));
    await bundleSite(join(folder, 'site'));
    writeFileSync(join(folder, 'site/broken.js'), "throw new Error('no such binding');");
    ({ origin, server } = await serveSite(join(folder, 'site')));
    browser = await openChromium(join(folder, 'profile'));
  }, 60_000);

  afterAll(async () => {
    try {
      await browser?.close();
    } finally {
      server?.closeAllConnections();
      server?.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }, 30_000);

  describe('on an isolated page, bundled', () => {
    let page: Page;

    beforeAll(async () => {
      page = await open('isolated');
      const opened = await call(page, 'open');
      expect(opened).toMatchObject({ isolated: true, threads: 2 });
      expect(opened.tasks).toContain('fib');
    });

    it('counts CPUs as the browser tells them', async () => {
      const { told, ...system } = await call(page, 'system');
      expect(system).toMatchObject({
        cpus: told,
        source: 'browser',
        nodes: 1,
        container: { isContainer: false, workers: told, qosClass: 'Burstable', degradations: [] },
      });
    });

    it('runs 10,000 tasks', async () => {
      const { ms, wrong, count, completed, perWorker } = await call(page, 'runMany', [10_000]);
      expect({ wrong, count }).toEqual({ wrong: 0, count: 10_000 });
      expect(completed).toBeGreaterThanOrEqual(10_000);
      const { p50, p99 } = await call(page, 'runInTurn', [1000]);
      console.info(
        `10,000 tasks in ${ms.toFixed(1)} ms (by worker: ${perWorker.join(', ')}); one by one p50 ${p50.toFixed(3)} ms, p99 ${p99.toFixed(3)} ms`,
      );
    });

    it('maps objects in order', async () => {
      const texts: string[] = await call(page, 'mapObjects', [300]);
      expect(texts).toEqual(Array.from({ length: 300 }, (_, i) => `item ${i} ✓: a, t${i}`));
    });

    it('forks and joins', async () => {
      const { result, ms, forks } = await call(page, 'forkAndJoin', [22, 28_656]);
      expect({ result, forks }).toEqual({ result: 17_711, forks: 28_656 });
      console.info(`fib(22) with a fork for each call in ${ms.toFixed(1)} ms`);
    });

    it('passes an array of shared memory by reference', async () => {
      expect(await call(page, 'fillShared', [100_000])).toEqual({
        filled: 100_000,
        right: true,
        isShared: true,
      });
    });

    it.each(['cancelSync', 'cancelAsync'])('stops a running task by its signal: %s', async (name) => {
      expect(await call(page, name)).toMatchObject({
        name: 'AbortError',
        code: 'ERR_TASK_ABORTED',
        isHeddleError: true,
        hasReason: true,
        after: 3,
      });
    });

    it('brings an error home with class, code, cause and both stacks', async () => {
      const error = await call(page, 'failInTask');
      expect(error).toMatchObject({
        type: 'RangeError',
        isRangeError: true,
        isHeddleError: false,
        code: 'E_ROW',
        message: 'out of bounds',
        row: { id: 7 },
        cause: { type: 'TypeError', message: 'no such row' },
      });
      expect(error.stack).toMatch(/tasks\.js/);
      expect(error.stack).toMatch(/page[-\w]*\.js/);
    });

    it('names the place of a value that cannot be cloned', async () => {
      const error = await call(page, 'refuseFunction');
      expect(error).toMatchObject({ name: 'DataCloneError', code: 'ERR_INVALID_ARGUMENT' });
      expect(error.message).toContain('args[0].user.onClick');
    });

    it.each([
      ['rejectLater', 'SyntaxError', 'nobody waits for this'],
      ['throwLater', 'EvalError', 'thrown in a timer'],
    ])('reports an error that no task caught: %s', async (task, type, message) => {
      expect(await call(page, 'uncaught', [task])).toMatchObject([{ type, message }]);
    });

    it('hands over buffers and ports', async () => {
      expect(await call(page, 'transfer')).toEqual({ sent: 0, received: 2 ** 19, echo: 42 });
    });

    it('tells a task where it runs', async () => {
      const facts = await call(page, 'whoAmI');
      expect(facts).toMatchObject({ task: 'whoAmI', workerData: { answer: 42 } });
      expect([1, 2]).toContain(facts.threadId);
    });

    it('replaces workers that end themselves or must be ended', async () => {
      const { lost, aborted, exits, graceMs, after, threads } = await call(page, 'loseWorkers');
      expect(lost).toMatchObject({ name: 'WorkerExitedError', code: 'ERR_WORKER_EXITED' });
      expect(aborted).toMatchObject({ name: 'AbortError', code: 'ERR_TASK_ABORTED' });
      expect(exits).toMatchObject([
        { exitCode: 0, expected: false },
        { exitCode: 1, expected: true },
      ]);
      expect(exits[0].threadId).not.toBe(exits[1].threadId);
      expect({ after, threads }).toEqual({ after: 1000, threads: 2 });
      console.info(`a worker that never looks up was gone ${graceMs.toFixed(0)} ms after its cancel`);
    });

    it('closes', async () => {
      expect(await call(page, 'end')).toMatchObject({ code: 'ERR_POOL_CLOSED' });
    });
  });

  it('finds its own worker where nothing is bundled', async () => {
    const page = await open('isolated');
    const result = await page.evaluate(`(async () => {
      const { TaskPool } = await import(new URL('./build/index.browser.js', location.href).href);
      const pool = await TaskPool.create({ tasks: './tasks.js', memoryBytes: 2 ** 24 });
      const sum = await pool.run('add', [1, 2]);
      await pool.shutdown();
      return sum;
    })()`);
    expect(result).toBe(3);
  });

  it('says which headers are missing on a page that is not isolated', async () => {
    const page = await open('plain');
    const error = await call(page, 'openWithTasks', ['./tasks.js']);
    expect(error).toMatchObject({ name: 'NotIsolatedError', code: 'ERR_NOT_ISOLATED', isHeddleError: true });
    expect(error.message).toContain('Cross-Origin-Embedder-Policy: require-corp');
    expect(await call(page, 'open').catch((failure: Error) => failure.message)).toContain(
      'not cross-origin isolated',
    );
  });

  describe('when a worker cannot start', () => {
    let page: Page;

    beforeAll(async () => {
      page = await open('isolated');
    });

    it('says that its script is missing', async () => {
      const error = await call(page, 'openWithScript', ['./absent.js']);
      expect(error).toMatchObject({ code: 'ERR_WORKER_EXITED' });
      expect(error.cause.message).toContain('could not be loaded');
    });

    it('says that its script lacks the header', async () => {
      const half = await open('half');
      const error = await call(half, 'openWithScript', ['./worker.js']);
      expect(error).toMatchObject({ code: 'ERR_WORKER_EXITED' });
      expect(error.cause.message).toContain('Cross-Origin-Embedder-Policy: require-corp');
    });

    it('says what its script threw', async () => {
      const error = await call(page, 'openWithScript', ['./broken.js']);
      expect(error).toMatchObject({ code: 'ERR_WORKER_EXITED' });
      expect(error.cause.message).toContain('no such binding');
    });

    it('says that the module of tasks is missing', async () => {
      const error = await call(page, 'openWithTasks', ['./absent.js']);
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect(error.message).toContain(`${origin}/isolated/absent.js`);
    });

    it('refuses what is no Worker', async () => {
      const error = await call(page, 'openWithWrongFactory');
      expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARGUMENT' });
    });
  });
});
