import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { serveTop } from 'heddle';
import { afterEach, describe, expect, it } from 'vitest';
import { History } from '../../ts/cli/top/history.ts';
import { columns, paint, paintFull, sparkline } from '../../ts/cli/top/paint.ts';
import { render } from '../../ts/cli/top/render.ts';
import type { TopPool, TopSnapshot } from '../../ts/metrics/top-snapshot.ts';
import { fixture, openPoolOn, openRuntime, rejectionOf, until } from '../pool/harness.ts';
import { finish, heddle, startHeddle } from './run-heddle.ts';

const WATCHED = fileURLToPath(fixture('programs/watched.mjs'));
const BLOCKS = fileURLToPath(fixture('programs/blocks.mjs'));
const CLI = fileURLToPath(new URL('../../build/cli.js', import.meta.url));

const folders: string[] = [];

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'top-'));
  folders.push(path);
  return path;
}

afterEach(() => {
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f]/;

describe('heddle top', () => {
  it('prints a look at a program as plain text', async () => {
    const { code, stdout, stderr } = await heddle(['top', '--once', '--', process.execPath, WATCHED]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /^heddle top {2}node watched\.mjs +pid \d+ {2}up .+\n\nimages +2 workers +[\d,.]+ tasks\/s\n/,
    );
    expect(stdout).toMatch(/\n {2}worker 0 .*(busy|idle|looking|parked) +\d+ % +[\d,.]+\/s\n/);
    expect(stdout).toMatch(
      /\nlocks {3}held 1 {3}waited for by 1 {3}deadlocks 0\n {2}accounts +the main thread {2}← the other/,
    );
    expect(CONTROL.test(stdout)).toBe(false);
  });

  it('writes snapshots until the program ends, and ends with its exit code', async () => {
    const child = startHeddle(['top', '--json', '--interval', '100', '--', process.execPath, WATCHED]);
    child.stdin!.end();
    const finished = finish(child);
    const lines = createInterface({ input: child.stdout! });
    const snapshots: TopSnapshot[] = [];
    for await (const line of lines) {
      snapshots.push(JSON.parse(line) as TopSnapshot);
      const { pid, runtimes } = snapshots.at(-1)!;
      const pool = runtimes[0]?.pools[0];
      if (pool !== undefined && pool.workers.length === 2 && pool.completed > 0 && snapshots.length >= 3)
        process.kill(pid, 'SIGTERM');
    }
    expect((await finished).code).toBe(3);
    const completed = snapshots.map(({ runtimes }) => runtimes[0]?.pools[0]?.completed ?? 0);
    expect(completed).toEqual([...completed].sort((a, b) => a - b));
    expect(completed.at(-1)!).toBeGreaterThan(0);
  });

  it.each([[['--once']], [['--once', '--json']]])(
    'gives up on a program whose main thread blocks: %j',
    async (options) => {
      const { code, stdout, stderr } = await heddle(['top', ...options, '--', process.execPath, BLOCKS]);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain('no answer from the process for 5 s');
    },
  );

  const hasScript = spawnSync('script', ['--version']).status === 0;
  it.skipIf(!hasScript)(
    'uses the other screen of a terminal and gives it back (skipped without script of util-linux)',
    async () => {
      const command = [process.execPath, CLI, 'top', '--', process.execPath, WATCHED].join(' ');
      const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
        env: { ...process.env, TERM: 'xterm-256color' },
      });
      let seen = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        seen += text;
      });
      const closed = once(child, 'close');
      await until(() => seen.includes('accounts'));
      expect(seen.startsWith('\x1b[?1049h\x1b[?25l')).toBe(true);
      child.stdin.write('q');
      await closed;
      expect(seen.endsWith('\x1b[?25h\x1b[?1049l')).toBe(true);
    },
  );

  it.each([
    ['a process that is none', ['top', 'abc'], 'top takes the id of one process'],
    ['two processes', ['top', '1', '2'], 'top takes the id of one process'],
    ['a process that does not take part', ['top', '1'], 'process 1 cannot be watched'],
    ['no program', ['top', '--'], 'top needs a program after --'],
    ['a program that is not there', ['top', '--', 'no-such-program'], 'cannot start no-such-program'],
    ['a program without heddle', ['top', '--', process.execPath, '-e', 'console.log("hello")'], 'hello'],
    ['an interval out of bounds', ['top', '--interval', '5'], 'from 100 to 10000'],
  ])('refuses %s', async (_, args, message) => {
    const { code, stdout, stderr } = await heddle(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });
});

describe('serveTop', () => {
  it('hands out snapshots to whoever asks, and takes its socket away', async () => {
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { name: 'served' });
    await pool.run('add', [1, 2]);
    const path = folder();
    const server = await serveTop({ folder: path });
    const socket = connect(server.path);
    socket.write('{"everyMs":50}\n');
    const lines: string[] = [];
    createInterface({ input: socket }).on('line', (line) => lines.push(line));
    await until(() => lines.length >= 2);
    const snapshot = JSON.parse(lines[0]!) as TopSnapshot;
    expect(snapshot.pid).toBe(process.pid);
    const served = snapshot.runtimes.flatMap(({ pools }) => pools).find(({ name }) => name === 'served')!;
    expect([served.completed, served.workers.length]).toEqual([1, 1]);
    const closed = once(socket, 'close');
    await server.close();
    await closed;
    await server.close();
    expect(readdirSync(path)).toEqual([]);
  });

  it('shares a socket among those who ask for it, and closes it with the last', async () => {
    const path = folder();
    const [first, second] = await Promise.all([serveTop({ folder: path }), serveTop({ folder: path })]);
    const third = await serveTop({ folder: path });
    expect([second.path, third.path]).toEqual([first.path, first.path]);
    await first.close();
    await first.close();
    await second.close();
    const socket = connect(third.path);
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    await third.close();
    await closed;
    expect(readdirSync(path)).toEqual([]);
    await using fourth = await serveTop({ folder: path });
    await once(connect(fourth.path), 'connect');
  });

  it('opens a socket that could not be opened before', async () => {
    const path = folder();
    chmodSync(path, 0o777);
    for (let i = 0; i < 2; i++) await rejectionOf(serveTop({ folder: path }));
    chmodSync(path, 0o700);
    await using server = await serveTop({ folder: path });
    await once(connect(server.path), 'connect');
  });

  it('tells how many locks there are where it does not tell them all', async () => {
    const rt = await openRuntime();
    const locks = Array.from({ length: 130 }, (_, i) => rt.mutex(`lock-${i}`));
    for (const lock of locks) await lock.lock();
    await using server = await serveTop({ folder: folder() });
    const socket = connect(server.path);
    socket.write('{"everyMs":50}\n');
    const [line] = await once(createInterface({ input: socket }), 'line');
    const { runtimes } = JSON.parse(line as string) as TopSnapshot;
    const { held, heldCount, pendingCount } = runtimes.find((each) => each.held.length > 0)!;
    expect([held.length, heldCount, pendingCount]).toEqual([100, 130, 0]);
    for (const lock of locks) lock.unlock();
  });

  it.each(['nonsense\n', '{"everyMs":"x"}\n', `${'x'.repeat(300)}`])('hangs up on %j', async (request) => {
    await using server = await serveTop({ folder: folder() });
    const socket = connect(server.path);
    socket.on('error', () => undefined);
    socket.write(request);
    socket.resume();
    await once(socket, 'close');
    expect(existsSync(server.path)).toBe(true);
  });

  it('refuses a folder into which others may write', async () => {
    const path = folder();
    chmodSync(path, 0o777);
    expect(await rejectionOf(serveTop({ folder: path }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  it('refuses a path that no socket can have', async () => {
    const path = join(folder(), 'x'.repeat(120));
    expect(await rejectionOf(serveTop({ folder: path }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});

// ---- the picture ---------------------------------------------------------------------------------------------------------------------------

const pool = (more: Partial<TopPool>): TopPool => ({
  name: 'p',
  threads: 1,
  capacity: 1,
  outstanding: 0,
  submitted: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  forks: 0,
  stealAttempts: 0,
  stealSuccesses: 0,
  queues: { Guaranteed: 0, Burstable: 0, BestEffort: 0 },
  run: [],
  wait: [],
  workers: [],
  ...more,
});

const at = (atMs: number, pools: TopPool[], more: Partial<TopSnapshot> = {}): TopSnapshot => ({
  version: 1,
  pid: 1,
  title: 'node x.mjs',
  upMs: atMs,
  atMs,
  rssBytes: 1e8,
  runtimes: [{ usedBytes: 0, pools, held: [], pending: [], heldCount: 0, pendingCount: 0, deadlocks: 0 }],
  ...more,
});

const worker = (busyMs: number, state: 'running' | 'parked', completed = 0) => ({
  id: 0,
  threadId: 1,
  state,
  busyMs,
  completed,
  failed: 0,
  stealSuccesses: 0,
});

const drawn = (history: History, width: number, height?: number): string[] =>
  render(history, { width, height, hint: height === undefined ? undefined : 'q quit' }).map((line) =>
    paint(line, width, false),
  );

describe('the view', () => {
  it('tells rates, and how busy workers were', () => {
    const history = new History();
    history.add(at(0, [pool({ workers: [worker(0, 'running')] })]));
    history.add(at(1000, [pool({ completed: 500, workers: [worker(250, 'running', 500)] })]));
    history.add(at(2000, [pool({ completed: 2000, workers: [worker(1000, 'parked', 2000)] })]));
    const [view] = history.pools;
    expect(view!.perSecond).toBe(1000);
    expect(view!.throughput).toEqual([500, 1500]);
    expect(view!.workers[0]!.lane.map(({ busy }) => busy)).toEqual([0.25, 0.75]);
    expect(view!.workers[0]!.busy).toBe(0.5);
  });

  it('takes a worker in another place for another', () => {
    const history = new History();
    history.add(at(0, [pool({ workers: [worker(10, 'running')] })]));
    history.add(at(1000, [pool({ workers: [worker(1010, 'running')] })]));
    expect(history.pools[0]!.workers[0]!.lane.map(({ busy }) => busy)).toEqual([1]);
    history.add(at(2000, [pool({ workers: [{ ...worker(5, 'running'), threadId: 2 }] })]));
    expect(history.pools[0]!.workers[0]!.lane.map(({ busy }) => busy)).toEqual([0]);
  });

  it('has quantiles of what came lately', () => {
    const history = new History();
    history.add(at(0, [pool({ run: [[1, 1000]] })]));
    history.add(
      at(1000, [
        pool({
          run: [
            [1, 1000],
            [8, 9],
            [null, 1],
          ],
        }),
      ]),
    );
    expect(history.pools[0]!.run).toEqual({ p50: 8, p99: Infinity });
  });

  it('forgets a pool that has ended, and tells two of one name apart', () => {
    const history = new History();
    history.add(at(0, [pool({ name: 'a' }), pool({ name: 'a', completed: 5 })]));
    expect(history.pools.map(({ now }) => now.completed)).toEqual([0, 5]);
    history.add(at(1, []));
    expect(history.pools).toEqual([]);
  });

  it.each([40, 72, 100, 200])('fits a terminal of %i columns and any height', (width) => {
    const history = new History();
    const workers = Array.from({ length: 20 }, (_, id) => ({ ...worker(id, 'running'), id, threadId: id }));
    const name = 'a pool with a name that is very long, longer than many a terminal is wide, and 漢字 in it';
    for (const atMs of [0, 250, 500]) {
      history.add(
        at(atMs, [pool({ name, workers, completed: atMs }), pool({ name: 'b', workers })], {
          title: 'x'.repeat(400),
          runtimes: [
            {
              usedBytes: 0,
              pools: [pool({ name, workers, completed: atMs }), pool({ name: 'b', workers })],
              held: Array.from({ length: 30 }, (_, i) => ({
                name: `lock-${i}`,
                mode: 'exclusive',
                clientId: 'w'.repeat(90),
              })),
              pending: [{ name: 'lock-29', mode: 'exclusive', clientId: 'who' }],
              heldCount: 30,
              pendingCount: 1,
              deadlocks: 1,
            },
          ],
        }),
      );
    }
    for (const height of [5, 24, 60, undefined]) {
      const lines = drawn(history, width, height);
      if (height !== undefined) expect(lines.length).toBe(height);
      for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
      for (const line of render(history, { width, height }))
        expect(columns(paintFull(line, width, false))).toBe(width);
    }
  });

  it('counts locks that it was not told of', () => {
    const history = new History();
    const held = Array.from({ length: 100 }, (_, i) => ({
      name: `lock-${i}`,
      mode: 'exclusive' as const,
      clientId: 'who',
    }));
    const locks = { held, heldCount: 1500, pending: [], pendingCount: 0, deadlocks: 0 };
    history.add(at(0, [], { runtimes: [{ usedBytes: 0, pools: [], ...locks }] }));
    const text = drawn(history, 80).join('\n');
    expect(text).toContain('held 1,500 ');
    expect(text).toContain('… 1,492 more');
  });

  it('lets no control character of a name reach the terminal', () => {
    const history = new History();
    history.add(at(0, [pool({ name: 'a\x1b[31m\u202eb\n' })], { title: '\x1b]0;t\x07' }));
    expect(drawn(history, 80).join('').match(CONTROL)).toBeNull();
  });

  it('draws the greatest value full, and nothing for 0', () => {
    expect(sparkline([0, 1, 4, 8], 5)).toBe('  ▁▄█');
    expect(sparkline([], 3)).toBe('   ');
  });
});
