// `heddle policy`, run as users run it.

import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockPolicySchema } from 'heddle';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { finish, heddle, records, startHeddle } from './run-heddle.ts';

let folder: string;
const file = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'heddle-policy-')));
  writeFileSync(
    file('good.yaml'),
    `apiVersion: heddle.dev/v1alpha1
kind: LockPolicy
metadata: { name: bank }
spec:
  maxHoldTime: 150ms
  retryPolicy: { attempts: 3, backoffBase: 100ms, jitterPercent: 20 }
  rules:
    - { name: transfers, order: [session, account, ledger] }
    - { name: caches, order: [session, cache] }
    - { name: short-cut, order: [session, ledger] }
`,
  );
  writeFileSync(file('bad.yaml'), 'qosClass: Best\n\nretryPolicy:\n\tattempts: 0\n'.replace('\t', '  '));
  // Two hundred lines cross most of its rows.
  const names = Array.from({ length: 600 }, (_, i) => `lock-${i}`);
  const lines = Array.from({ length: 200 }, (_, i) => [`lock-${i}`, `far-${i}`, `lock-${599 - i}`]);
  const order = [names, ...lines].map((each, i) => ({ name: `r${i}`, order: each }));
  writeFileSync(file('large.json'), JSON.stringify({ rules: order }));
  writeFileSync(file('bad.json'), '{ "qosClass": "Burstable", }');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('validate shows each fault with its line and a mark, and exits with 1', async () => {
  const { code, stdout, stderr } = await heddle(['policy', 'validate', 'good.yaml', 'bad.yaml'], [], folder);
  expect(stdout).toBe(`good.yaml: valid
bad.yaml:1:11: qosClass must be Guaranteed, Burstable or BestEffort, not "Best"
  1 | qosClass: Best
    |           ^^^^

bad.yaml:4:13: retryPolicy.attempts must be 1 or more, not 0
  4 |   attempts: 0
    |             ^

bad.yaml: 2 faults
`);
  expect([code, stderr]).toEqual([1, '']);
});

it('validate exits with 0 when all is well, reads stdin, and knows nodes it is told', async () => {
  expect(await heddle(['policy', 'validate', file('good.yaml')])).toMatchObject({ code: 0 });
  const lines = ['numaAffinity:', '  preferredNodes: [0, 3]'];
  expect(await heddle(['policy', 'validate', '-'], lines)).toMatchObject({
    code: 0,
    stdout: 'stdin: valid\n',
  });
  const { code, stdout } = await heddle(['policy', 'validate', '-', '--nodes', '0,1'], lines);
  expect(stdout).toMatch(
    /^stdin:2:23: .*names node 3, which this machine does not have; it has nodes 0, 1$/m,
  );
  expect(code).toBe(1);
});

it('validate --json is a line for each file', async () => {
  const { code, stdout } = await heddle([
    'policy',
    'validate',
    '--json',
    file('good.yaml'),
    file('bad.json'),
  ]);
  expect(records(stdout)).toMatchObject([
    { file: file('good.yaml'), valid: true, faults: [] },
    { file: file('bad.json'), valid: false, faults: [{ path: '', line: 1 }] },
  ]);
  expect(code).toBe(1);
});

it('says what cannot be read, and what it was not asked for', async () => {
  for (const args of [
    ['validate', file('missing.yaml')],
    ['validate'],
    ['validate', file('good.yaml'), '--nodes', 'all'],
  ])
    expect(await heddle(['policy', ...args])).toMatchObject({ code: 2, stdout: '' });
});

it('explain says what each field does, ranks the locks, and draws the order', async () => {
  const { code, stdout, stderr } = await heddle(['policy', 'explain', file('good.yaml')]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^LockPolicy 'bank' \(/);
  const words = stdout.replace(/[│\s]+/g, ' ');
  expect(words).toContain('A lock that is held longer than 150ms is reported');
  expect(words).toMatch(/runs up to 2 times more, .*after 100ms, 200ms, each 20 % more or less/);
  expect(words).toMatch(/ 1 session account, cache, ledger transfers, caches, short-cut /);
  expect(words).toMatch(/ 3 ledger /);
  // The picture, without the step that follows from the others.
  const picture = stdout.slice(stdout.indexOf('Take them')).split('\n').slice(2);
  const rowOf = (name: string): number => picture.findIndex((line) => line.includes(`│ ${name} │`));
  expect(rowOf('session')).toBeLessThan(rowOf('account'));
  expect(rowOf('account')).toBe(rowOf('cache'));
  expect(rowOf('account')).toBeLessThan(rowOf('ledger'));
  expect(picture.join('').match(/▼/g)).toHaveLength(3);
});

it.each([
  [
    ['required: true'],
    'Workers stand on node 0 only, and a task of another node is refused. A worker takes tasks of its own node and of none.',
  ],
  [
    ['required: true', 'fallbackStrategy: any', 'allowedDistance: 20', 'qosOverride: BestEffort'],
    'is refused. A worker takes tasks of its own node and of none.',
  ],
  [['fallbackStrategy: none'], 'Workers stand on node 0 only, and'],
  [
    ['allowedDistance: 20'],
    'on the nearest of the others. A worker takes tasks of its own node, then of none, then of other nodes, from near to far. None goes farther than 20',
  ],
  [
    ['fallbackStrategy: any', 'qosOverride: BestEffort'],
    'on any of the others. A worker takes tasks of its own node, then of none, then of other nodes. Tasks whose numaNode is not a preferred one are BestEffort.',
  ],
])('explain says where workers stand with %j', async (fields, words) => {
  const lines = ['numaAffinity:', '  preferredNodes: [0]', ...fields.map((field) => `  ${field}`)];
  const { code, stdout } = await heddle(['policy', 'explain', '-'], lines);
  expect(code).toBe(0);
  const told = stdout.replace(/[│\s]+/g, ' ');
  expect(told).toContain(words);
  if (fields.includes('required: true')) expect(told).not.toMatch(/other nodes|farther|BestEffort/);
});

it('explain shows the faults of what is invalid', async () => {
  const { code, stdout } = await heddle(['policy', 'explain', file('bad.yaml')]);
  expect(stdout).toMatch(/bad\.yaml: 2 faults$/m);
  expect(code).toBe(1);
});

it('explain says of an order that is too large only that, and soon', async () => {
  const { code, stdout } = await heddle(['policy', 'explain', file('large.json')]);
  expect(stdout).toMatch(/\(The picture of the order is too large, or wider than 100 columns\.\)\n$/);
  expect(code).toBe(0);
  // One table, however long.
  const lines = stdout.split('\n');
  const table = lines.slice(
    lines.findIndex((line) => line.includes('lock or class')) - 1,
    lines.findLastIndex((line) => line.startsWith('└')) + 1,
  );
  expect(new Set(table.map((line) => line.length)).size).toBe(1);
  expect(table.filter((line) => line.startsWith('┌') || line.startsWith('└'))).toHaveLength(2);
  for (const name of ['lock-0', 'lock-599', 'far-0', 'far-199'])
    expect(table.filter((line) => line.split('│')[2]?.trim() === name)).toHaveLength(1);
});

it('ends quietly when nobody reads on', async () => {
  for (const command of ['explain', 'validate']) {
    const child = startHeddle(['policy', command, file('good.yaml')]);
    const run = finish(child);
    child.stdout!.destroy();
    expect(await run).toMatchObject({ code: 141, stderr: '' });
  }
});

it('lets no control characters of a file reach the terminal', async () => {
  const name = '\u001b[31mred\u009b2J\u202e';
  writeFileSync(file('raw.yaml'), `mxHoldTime: "\u001b[31m\tred\u001b]0;title\u0007"\n`);
  writeFileSync(file('raw.json'), JSON.stringify({ [name]: 1 }));
  writeFileSync(file('names.json'), JSON.stringify({ rules: [{ name, order: [`${name}\nx`, 'y'] }] }));
  for (const [command, each] of [
    ['validate', 'raw.yaml'],
    ['validate', 'raw.json'],
    ['explain', 'names.json'],
  ] as const) {
    const { stdout, stderr } = await heddle(['policy', command, file(each)]);
    expect(stdout).toContain('?');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  }
});

it('reads files with a byte order mark, and with a line --- too many', async () => {
  writeFileSync(file('mark.json'), '\ufeff{ "maxHoldTime": "1s" }');
  writeFileSync(file('lines.yaml'), '\ufeff---\n---\nmaxHoldTime: 1s\n---\n');
  const { code, stdout } = await heddle(['policy', 'validate', 'mark.json', 'lines.yaml'], [], folder);
  expect([code, stdout]).toEqual([0, 'mark.json: valid\nlines.yaml: valid\n']);
});

it('crd prints the definition, with the schema that validates', async () => {
  const { code, stdout } = await heddle(['policy', 'crd']);
  expect(code).toBe(0);
  const { spec } = parse(stdout) as {
    spec: { versions: { schema: { openAPIV3Schema: { properties: { spec: unknown } } } }[] };
  };
  expect(spec.versions[0]!.schema.openAPIV3Schema.properties.spec).toEqual(lockPolicySchema);
});
