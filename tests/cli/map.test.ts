// `heddle map`, run as users run it: the built command in a process of its own.

import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes } from '../../ts/cli/format.ts';
import { defaultThreads } from '../../ts/cli/map-command.ts';
import { NodeSystems } from '../../ts/systems/systems.node.ts';
import { cgroup2, machine, tree } from '../systems/trees.ts';
import { finish, heddle, records, startHeddle, TASKS } from './run-heddle.ts';

let folder: string;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'heddle-cli-')));
  mkdirSync(join(folder, 'in/.hidden'), { recursive: true });
  for (const [name, text] of [
    ['a.txt', 'a'],
    ['b.txt', 'bb'],
    ['[c].txt', 'ccc'],
    ['d.md', 'dddd'],
    ['.hidden/e.txt', 'eeeee'],
  ] as const) {
    writeFileSync(join(folder, 'in', name), text);
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const lines = (stdout: string): string[] => stdout.split('\n').slice(0, -1);
const task = (name: string): string => `${TASKS}#${name}`;
const inFolder = (name: string): string => join(folder, 'in', name);

describe('results', () => {
  it('are lines of input and value, and nothing else is on stdout', async () => {
    const { code, stdout, stderr } = await heddle(['map', task('upper'), '-'], ['one', '', 'a\tb']);
    expect(lines(stdout).sort()).toEqual(['\t', '"a\\tb"\t"A\\tB"', 'one\tONE']);
    expect(stderr).toMatch(/^items {2,}3$/m);
    expect(code).toBe(0);
  });

  it('are NDJSON with --json', async () => {
    const { code, stdout } = await heddle(
      ['map', task('picky'), '-', '--json', '--ordered'],
      ['x', 'bad code'],
    );
    expect(records(stdout)).toEqual([
      { input: 'x', ok: true, value: { line: 'x', length: 1 }, ms: expect.any(Number) },
      {
        input: 'bad code',
        ok: false,
        error: { name: 'RangeError', code: 'E_RANGE', message: 'out of range' },
        ms: expect.any(Number),
      },
    ]);
    expect(code).toBe(1);
  });

  it('keep what JSON has no form for', async () => {
    const { stdout } = await heddle(['map', task('wide'), '--json', '-'], ['x']);
    expect(records(stdout)[0]!.value).toEqual({
      big: '1180591620717411303424',
      map: [['a', 1]],
      bytes: [1, 2],
    });
  });

  it('that JSON cannot hold are failures', async () => {
    const { code, stdout } = await heddle(['map', task('cyclic'), '--json', '-'], ['x']);
    expect(records(stdout)).toMatchObject([{ input: 'x', ok: false, error: { message: /as JSON/ } }]);
    expect(code).toBe(1);
  });

  it('come as they end, or in the order of the inputs', async () => {
    const inputs = ['0', '1', '2', '3'];
    const args = ['map', task('late'), '-', '--threads', '2'];
    const asTheyEnd = await heddle(args, inputs);
    expect(lines(asTheyEnd.stdout).at(-1)).toBe('0\t0');
    const ordered = await heddle([...args, '--ordered'], inputs);
    expect(lines(ordered.stdout)).toEqual(inputs.map((line) => `${line}\t${line}`));
  });

  it('are not mixed with what tasks print', async () => {
    const { stdout, stderr } = await heddle(['map', task('chatty'), '-'], ['x']);
    expect(stdout).toBe('x\tx\n');
    expect(stderr).toContain('printed x');
  });

  it('may come from a default export, and from a task that forks itself', async () => {
    expect((await heddle(['map', task('default'), '-'], ['x'])).stdout).toBe('x\tx!\n');
    expect((await heddle(['map', task('fib'), '-'], ['15'])).stdout).toBe('15\t610\n');
  });

  it('are as many as the inputs, however many there are', async () => {
    const inputs = Array.from({ length: 20_000 }, (_, i) => `line ${i}`);
    const { code, stdout } = await heddle(['map', task('upper'), '--ordered'], inputs);
    expect(lines(stdout)).toEqual(inputs.map((line) => `${line}\t${line.toUpperCase()}`));
    expect(code).toBe(0);
  });

  it('come before the input ends', async () => {
    const child = startHeddle(['map', task('upper'), '-']);
    child.stdin!.write('first\n');
    const [chunk] = await once(child.stdout!, 'data');
    expect(String(chunk)).toBe('first\tFIRST\n');
    child.stdin!.end();
    expect((await finish(child)).code).toBe(0);
  });
});

describe('inputs', () => {
  it('are the absolute paths that files, folders and globs name, each once', async () => {
    const run = (...inputs: string[]) => heddle(['map', task('size'), '--ordered', ...inputs], [], folder);
    const three = [`${inFolder('[c].txt')}\t3`, `${inFolder('a.txt')}\t1`, `${inFolder('b.txt')}\t2`];
    expect(lines((await run('in/*.txt', 'in/a.txt')).stdout)).toEqual(three);
    expect(lines((await run('in/[c].txt')).stdout)).toEqual(three.slice(0, 1));
    const { stdout, stderr } = await run('in');
    expect(lines(stdout)).toEqual([...three, `${inFolder('d.md')}\t4`]);
    expect(stderr).toMatch(/^bytes +10 B$/m);
  });

  it('include hidden names with --dot', async () => {
    const { stdout } = await heddle(['map', task('size'), '--dot', 'in/**/*.txt'], [], folder);
    expect(lines(stdout).sort()).toContain(`${inFolder('.hidden/e.txt')}\t5`);
  });
});

describe('failures', () => {
  it('are listed with code and message, end with exit code 1, and cost no other result', async () => {
    const inputs = ['a', 'bad code', 'b', 'bad string', 'c', 'bad lines', 'd'];
    const { code, stdout, stderr } = await heddle(['map', task('picky'), '-', '--ordered'], inputs);
    expect(lines(stdout).map((line) => line[0])).toEqual(['a', 'b', 'c', 'd']);
    expect(stderr).toContain(
      [
        'failed:',
        '  bad code\tE_RANGE\tout of range',
        '  bad string\tError\tonly text',
        '  bad lines\tTypeError\t"cannot take\\nbad lines"',
      ].join('\n'),
    );
    expect(stderr).toMatch(/^items +7, 3 failed$/m);
    expect(code).toBe(1);
  });

  it('include workers that a task ended', async () => {
    const { code, stdout } = await heddle(['map', task('picky'), '-', '--json'], ['a', 'bad exit', 'b', 'c']);
    const failed = records(stdout).filter(({ ok }) => ok === false);
    expect(failed).toMatchObject([{ input: 'bad exit', error: { code: 'ERR_WORKER_EXITED' } }]);
    expect(records(stdout)).toHaveLength(4);
    expect(code).toBe(1);
  });

  it('end the map with --fail-fast, without waiting for more input', async () => {
    const child = startHeddle(['map', task('picky'), '-', '--fail-fast']);
    child.stdin!.write('bad one\n');
    const { code, stderr } = await finish(child);
    expect(stderr).toMatch(/^stopped +at the first failure/m);
    expect(code).toBe(1);
  });

  it('end the map with --fail-fast while an earlier input holds up the order', async () => {
    const path = join(folder, 'fail-fast');
    const inputs = ['done', 'hang', 'bad', ...Array.from({ length: 40 }, () => 'later')];
    const { code, stdout, stderr } = await heddle(
      ['map', task('failsBeside'), '-', '--ordered', '--fail-fast', '--threads', '1', '--concurrency', '2'],
      inputs.map((text) => `${text} ${path}`),
    );
    expect(stdout).toBe(`done ${path}\tdone\n`);
    expect(stderr).toContain(`failed:\n  bad ${path}\tError\tbad\n`);
    expect(stderr).toMatch(/^items +2, 1 failed\nstopped +at the first failure/m);
    expect(code).toBe(1);
  });

  it('of --timeout name the limit, and a task that does not stop loses its worker', async () => {
    const { code, stdout, stderr } = await heddle(
      ['map', task('spin'), '-', '--timeout', '200', '--threads', '1'],
      ['a', 'stuck', 'b', 'stuck', 'c'],
    );
    // Those that wait while a worker is ended and another started have lost no time of theirs.
    expect(lines(stdout).sort()).toEqual(['a\ta', 'b\tb', 'c\tc']);
    expect(stderr).toMatch(/ {2}stuck\tERR_TASK_TIMEOUT\t.*200 ms/);
    expect(stderr).toMatch(/^items +5, 2 failed$/m);
    expect(code).toBe(1);
  });

  it('of --timeout leave the worker of an async task to those beside it', async () => {
    const args = ['map', task('hang'), '-', '--timeout', '1000', '--threads', '1', '--concurrency', '2'];
    const { stdout, stderr } = await heddle(args, ['hang', 'hang', 'x']);
    expect(stdout).toBe('x\tx\n');
    expect(stderr.match(/ {2}hang\tERR_TASK_TIMEOUT\t/g)).toHaveLength(2);
    expect(stderr).toMatch(/^items +3, 2 failed$/m);
    expect(stderr).not.toMatch(/^replaced/m);
  });

  it('of --timeout cost an async task its worker when it holds the thread', async () => {
    const args = ['map', task('spinsLate'), '-', '--timeout', '200', '--threads', '1', '--concurrency', '2'];
    const { stdout, stderr } = await heddle(args, ['stuck', 'x']);
    expect(stdout).toBe('x\tx\n');
    expect(stderr).toMatch(/ {2}stuck\tERR_TASK_TIMEOUT\t/);
  });

  it('of --timeout end async tasks that run side by side', async () => {
    const { stdout, stderr } = await heddle(
      ['map', task('untilStopped'), '-', '--timeout', '50', '--threads', '1', '--concurrency', '4'],
      ['x', 'y', 'z'],
    );
    expect(stdout).toBe('');
    for (const input of ['x', 'y', 'z']) expect(stderr).toContain(`  ${input}\tERR_TASK_TIMEOUT\t`);
  });

  it('run again with --retries', async () => {
    const path = join(folder, 'attempts');
    const once = await heddle(['map', task('flaky'), '-', '--retries', '1'], [path]);
    expect(once.code).toBe(1);
    expect(statSync(path).size).toBe(2);
    rmSync(path);
    const twice = await heddle(['map', task('flaky'), '-', '--retries', '2'], [path]);
    expect(twice.stdout).toBe(`${path}\tat last\n`);
    expect(twice.code).toBe(0);
  });
});

describe('wrong usage', () => {
  it.each([
    ['an unknown option', ['map', task('upper'), '-', '--thread', '2'], /unknown option '--thread'/],
    ['a value out of range', ['map', task('upper'), '-', '--threads', '0'], /from 1 to 64/],
    ['no task', ['map'], /missing required argument/],
    ['an unknown command', ['mop'], /unknown command 'mop'/],
    ['no module', ['map', 'nowhere.mjs#upper', '-'], /no module .*nowhere\.mjs/],
    ['a URL that names no file', ['map', 'file:%zz#upper', '-'], /file:%zz names no file/],
    ['a URL of another host', ['map', 'file://host/x.mjs#f', '-'], /file:\/\/host\/x\.mjs names no file/],
    [
      'no such export',
      ['map', task('lower'), '-'],
      /exports no function 'lower'; it exports chatty, cyclic, default/,
    ],
    ['no export named', ['map', TASKS, '-'], /#<export>; it exports chatty, cyclic, default/],
    ['no file', ['map', task('size'), 'nowhere.txt'], /no file .*nowhere\.txt/],
    ['no match', ['map', task('size'), 'nowhere/*.txt'], /no file matches nowhere/],
    ['stdin and files', ['map', task('size'), '-', 'a.txt'], /stands alone/],
    [
      'a trace that cannot be written',
      ['map', task('upper'), '-', '--trace', 'no/such.json'],
      /cannot write the trace/,
    ],
  ])('%s ends with exit code 2 and says so', async (_, args, message) => {
    const { code, stdout, stderr } = await heddle(args, ['x'], folder);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('a module that cannot be loaded ends with exit code 2 and the reason', async () => {
    const broken = join(folder, 'broken.mjs');
    writeFileSync(broken, "throw new Error('not today');");
    const { code, stderr } = await heddle(['map', `${broken}#x`, '-'], ['x']);
    expect(stderr).toContain('not today');
    expect(code).toBe(2);
  });

  it('help and version are none', async () => {
    const help = await heddle(['map', '--help']);
    expect(help.stdout).toContain('--fail-fast');
    expect(help.code).toBe(0);
    expect((await heddle(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('around the results', () => {
  it('there is no progress bar in a pipe', async () => {
    const { stderr } = await heddle(['map', task('upper'), '-'], ['x', 'y']);
    expect(stderr).not.toContain('\x1b');
    expect(stderr).not.toMatch(/[█░\r]/);
  });

  it('the summary has a row for each worker', async () => {
    const { stderr } = await heddle(['map', task('upper'), '-', '--threads', '3'], ['x', 'y']);
    expect(stderr).toMatch(/^rate .*items\/s$/m);
    expect(stderr).toMatch(/^speed-up .* x \(.* of tasks\)$/m);
    const rows = [...stderr.matchAll(/│ +\d+ │ +(\d+) │ +\d+ % │ +\d+ │ +\d+ │/g)];
    expect(rows).toHaveLength(3);
    expect(rows.reduce((sum, [, tasks]) => sum + Number(tasks), 0)).toBe(2);
  });

  it('the table counts what ended workers did', async () => {
    const { stderr } = await heddle(
      ['map', task('picky'), '-', '--threads', '1'],
      ['a', 'bad exit', 'b', 'bad exit'],
    );
    expect(stderr).toMatch(/^replaced +[12] of the workers$/m);
    const rows = [...stderr.matchAll(/│ +(?:\d+|ended) │ +(\d+) │ +(?:\d+ % )?│ +\d+ │ +\d+ │/g)];
    expect(rows.reduce((sum, [, tasks]) => sum + Number(tasks), 0)).toBe(4);
  });

  it('many inputs under way with --timeout give Node nothing to warn of', async () => {
    const inputs = Array.from({ length: 100 }, (_, i) => `${i}`);
    const args = ['map', task('upper'), '-', '--timeout', '60000', '--threads', '1'];
    const { stdout, stderr } = await heddle(args, inputs);
    expect(lines(stdout)).toHaveLength(100);
    expect(stderr).not.toContain('Warning');
  });

  it('bytes are rounded below a kilobyte too', () => {
    const texts = ['0 B', '12 B', '999 B', '103 B', '9.50 B', '1.00 kB'];
    expect([0, 12, 999, 102.8970591175665, 9.5, 999.6].map(bytes)).toEqual(texts);
  });

  it('the threads are as many as a cpu quota keeps busy', () => {
    const limits = { '/a/cpu.max': '150000 100000\n' };
    const root = tree({ ...machine({ 0: [0, 1, 2, 3] }), ...cgroup2('/a', limits) });
    expect(defaultThreads(NodeSystems.detect({ root }))).toBe(2);
  });

  it('the trace has a lane for each worker that did something, and every task', async () => {
    const path = join(folder, 'trace.json');
    const inputs = Array.from({ length: 500 }, (_, i) => `${i}`);
    await heddle(['map', task('upper'), '-', '--threads', '2', '--trace', path], inputs);
    const { traceEvents } = JSON.parse(readFileSync(path, 'utf8')) as {
      traceEvents: {
        ph: string;
        name: string;
        pid: number;
        tid: number;
        ts: number;
        dur: number;
        args?: { name: string };
      }[];
    };
    const slices = traceEvents.filter(({ ph }) => ph === 'X');
    expect(slices.filter(({ name }) => name === 'upper')).toHaveLength(500);
    for (const { ts, dur, pid } of slices) {
      expect(ts).toBeGreaterThanOrEqual(0);
      expect(dur).toBeGreaterThanOrEqual(0);
      expect(pid).toBe(1);
    }
    const lanes = new Map(
      traceEvents.filter(({ name }) => name === 'thread_name').map(({ tid, args }) => [tid, args!.name]),
    );
    expect(new Set(slices.map(({ tid }) => tid))).toEqual(new Set(lanes.keys()));
    for (const name of lanes.values()) expect(name).toMatch(/^worker [01]$/);
  });

  it('an interrupt ends it with exit code 130 and a summary, whatever is under way', async () => {
    const child = startHeddle(['map', task('hang'), '-']);
    child.stdin!.write('a\nhang\n');
    await once(child.stdout!, 'data');
    child.kill('SIGINT');
    const { code, stderr } = await finish(child);
    expect(stderr).toMatch(/^items +1\nstopped +by SIGINT$/m);
    expect(code).toBe(130);
  });

  it('a reader that goes away ends it quietly', async () => {
    const child = startHeddle(['map', task('upper'), '-']);
    const write = (): boolean => child.stdin!.write('line\n'.repeat(1000));
    child.stdin!.on('error', () => undefined).on('drain', write);
    write();
    await once(child.stdout!, 'data');
    child.stdout!.destroy();
    let stderr = '';
    child.stderr!.on('data', (text) => {
      stderr += text;
    });
    const [code] = await once(child, 'exit');
    expect(stderr).not.toMatch(/EPIPE|Error/);
    expect(code).toBe(141);
  });
});
