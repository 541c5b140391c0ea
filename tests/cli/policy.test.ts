// `heddle policy`, run as users run it.

import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockPolicySchema } from 'heddle';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { heddle, records } from './run-heddle.ts';

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

it('explain shows the faults of what is invalid', async () => {
  const { code, stdout } = await heddle(['policy', 'explain', file('bad.yaml')]);
  expect(stdout).toMatch(/bad\.yaml: 2 faults$/m);
  expect(code).toBe(1);
});

it('crd prints the definition, with the schema that validates', async () => {
  const { code, stdout } = await heddle(['policy', 'crd']);
  expect(code).toBe(0);
  const { spec } = parse(stdout) as {
    spec: { versions: { schema: { openAPIV3Schema: { properties: { spec: unknown } } } }[] };
  };
  expect(spec.versions[0]!.schema.openAPIV3Schema.properties.spec).toEqual(lockPolicySchema);
});
