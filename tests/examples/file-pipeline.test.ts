import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runExample } from './run-example.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heddle-pipeline-'));
  for (let i = 0; i < 40; i++) {
    writeFileSync(join(folder, `script-${i}.js`), `export const f${i} = () => (x) => x + ${i};\n`);
  }
  writeFileSync(join(folder, 'broken.js'), 'this is no JavaScript');
  writeFileSync(join(folder, 'ignored.txt'), 'text');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('examples/file-pipeline', () => {
  it('digests every script in order and lists the one that is broken', async () => {
    const { code, stdout, stderr } = await runExample('file-pipeline', [folder, '--ahead', '4']);
    expect(stderr).toBe('');
    expect(stdout).toContain('40 scripts');
    expect(stdout).toContain('80 functions');
    expect(stdout).toMatch(/no JavaScript: broken\.js: SyntaxError/);
    expect(stdout).toContain('OK: every digest is right, in order');
    expect(code).toBe(0);
  });

  it('stops at the limit', async () => {
    const { code, stdout } = await runExample('file-pipeline', [folder, '--limit', '10']);
    expect(stdout).toContain('9 scripts');
    expect(code).toBe(0);
  });

  // Windows has no signal that a process could catch.
  it.skipIf(process.platform === 'win32')('is cancelled by Ctrl-C', async () => {
    let sent = false;
    // All of node_modules: more than can be done before the signal is there.
    const { code, stdout } = await runExample('file-pipeline', ['--limit', '1000000'], (_, kill) => {
      if (!sent) kill('SIGINT');
      sent = true;
    });
    expect(stdout).toMatch(/cancelled by Ctrl-C after \d+ files/);
    expect(code).toBe(130);
  });
});
