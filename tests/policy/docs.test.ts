// docs/policies.md: its policy is valid, its program prints what it says, its fields are those of the schema.

import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createRuntime, lockPolicySchema } from 'heddle';
import { expect, it } from 'vitest';
import type { StructuralSchema } from '../../ts/policy/schema.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(ROOT, 'docs/policies.md'), 'utf8');
const block = (start: string): string => page.slice(page.indexOf(start)).split('```')[0]!;

it('prints what it says', async () => {
  const folder = join(ROOT, 'build/policies');
  mkdirSync(folder, { recursive: true });
  const program = block('// main.mjs');
  writeFileSync(join(folder, 'bank.yaml'), block('# bank.yaml'));
  writeFileSync(join(folder, 'main.mjs'), program);
  const run = promisify(execFile);
  const { stdout, stderr } = await run(process.execPath, ['main.mjs'], { cwd: folder });
  const said = [...program.matchAll(/^\/\/ → (.*)$/gm)].map(([, line]) => line);
  expect(said.length).toBeGreaterThan(1);
  expect([stdout.trimEnd().split('\n'), stderr]).toEqual([said, '']);
});

it('has every field of the schema in its table, and no other', () => {
  const leaves = (schema: StructuralSchema, path: string): string[] =>
    schema.properties === undefined
      ? [path]
      : Object.entries(schema.properties).flatMap(([name, each]) =>
          leaves(each, path === '' ? name : `${path}.${name}`),
        );
  const table = page.slice(page.indexOf('## Fields'), page.indexOf('## Applying'));
  const fields = [...table.matchAll(/^\| `([\w.]+)`/gm)].map(([, field]) => field);
  expect(fields.sort()).toEqual(leaves(lockPolicySchema, '').sort());
});

it('shows limits that createRuntime takes', async () => {
  const limits = /createRuntime\(\{ limits: (\{.*\}) \}\)/.exec(page)![1]!;
  const json = limits.replace(/(\w+):/g, '"$1":').replaceAll("'", '"');
  const rt = await createRuntime({ limits: JSON.parse(json) });
  await rt.dispose();
});
