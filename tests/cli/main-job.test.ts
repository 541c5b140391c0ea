// The task of the main job, through the command that the main job uses.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { heddle, records } from './run-heddle.ts';

const TASK = `${fileURLToPath(new URL('../../examples/main-job/tasks.mjs', import.meta.url))}#measure`;

const SOURCES: readonly (readonly [name: string, text: string, tokens: number])[] = [
  ['division.js', 'a = b / c / d;', 8],
  ['regexp.mjs', '#!/usr/bin/env node\nexport default /b/g; // comment', 4],
  ['script.cjs', 'with (x) return;', 6],
  // acorn refuses it; then the slash, the template and its braces need the same care.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a source text
  ['refused.js', 'let a = 1; let a = `x${ { b: /`}/ } }y`;', 16],
  ['types.d.ts', 'export declare const a: Map<string, 1 | 2>;', 14],
  ['types.ts', 'const a: RegExp = /;/u', 6],
  ['empty.ts', '', 0],
];

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heddle-job-'));
  for (const [name, text] of SOURCES) writeFileSync(join(folder, name), text);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('digests, compresses and counts tokens', async () => {
  const paths = SOURCES.map(([name]) => join(folder, name));
  const { stdout, code } = await heddle(['map', TASK, '--json', '--ordered', ...paths]);
  expect(code).toBe(0);
  expect(records(stdout).map(({ value }) => value)).toEqual(
    SOURCES.map(([, text, tokens]) => ({
      bytes: Buffer.byteLength(text),
      sha256: createHash('sha256').update(text).digest('hex'),
      gzipBytes: gzipSync(text).length,
      tokens,
    })),
  );
});
