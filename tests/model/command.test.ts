import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { checkMutants, difference, rejects } from './check.ts';
import type { Failure } from './explorer/types.ts';
import { openKernel } from './kernel.ts';
import { models } from './models/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'heddle-model-'));
afterAll(() => rmSync(folder, { recursive: true }));

const command = (...args: string[]): { status: number | null; text: string } => {
  const run = fileURLToPath(new URL('run.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [run, ...args], { encoding: 'utf8' });
  return { status, text: stdout + stderr };
};

const failure: Failure = {
  model: 'deque',
  mutant: 0,
  kind: 'check',
  message: 'an entry twice',
  schedule: [],
  visible: [],
  preemptions: 0,
};

describe('a mutant', () => {
  const mutant = { name: 'm', id: 1, why: 'something' };

  it('is rejected by a failure that says what it should', () => {
    expect(rejects(mutant, failure)).toBe(true);
    expect(rejects({ ...mutant, sees: /twice/ }, failure)).toBe(true);
    expect(rejects({ ...mutant, sees: /lost/ }, failure)).toBe(false);
  });

  it('is not rejected by an exception, which is a bug of the model or of the explorer', () => {
    expect(rejects(mutant, { ...failure, kind: 'exception' })).toBe(false);
    expect(rejects({ ...mutant, sees: /twice/ }, { ...failure, kind: 'exception' })).toBe(false);
  });
});

describe('a replay', () => {
  it('is told apart from what was recorded by kind and message', () => {
    expect(difference(failure, { ...failure, schedule: [1] })).toBeUndefined();
    expect(difference(failure, undefined)).toBe('it does not fail any more');
    expect(difference(failure, { ...failure, kind: 'exception', message: 'does not fit' })).toBe(
      'it failed otherwise:\n  recorded  check: an entry twice\n  now       exception: does not fit',
    );
  });

  it('ends well only if the same comes again', () => {
    const kernel = openKernel(new URL('../../build/kernel/kernel.model.wasm', import.meta.url));
    const model = models.find(({ name }) => name === 'deque-pop-if')!;
    const found = checkMutants(kernel, model, { seconds: 10 })[0]!.failure!;
    const file = join(folder, 'failure.json');
    const replay = (recorded: Failure): { status: number | null; text: string } => {
      writeFileSync(file, JSON.stringify(recorded));
      return command('--replay', file);
    };
    expect(replay(found)).toMatchObject({ status: 0, text: expect.stringContaining(found.message) });
    expect(replay({ ...found, message: 'another' })).toMatchObject({
      status: 1,
      text: expect.stringContaining('recorded  check: another'),
    });
    // The kernel without the mutant.
    expect(replay({ ...found, mutant: 0 }).status).toBe(1);
    // A schedule that does not fit.
    expect(replay({ ...found, schedule: [-2, 7] })).toMatchObject({
      status: 1,
      text: expect.stringContaining('it failed otherwise'),
    });
  });
});

describe('the table', () => {
  it.each([
    ['--only', 'deque-pop-if'],
    ['--bound', '0'],
  ])('is not overwritten with a part of it: %s', (...args) => {
    const file = join(folder, 'table.md');
    const { status, text } = command('--markdown', file, ...args);
    expect(status).toBe(1);
    expect(text).toContain(`it does not go with ${args[0]}`);
  });

  it('in docs/verification.md names the models that there are, their bounds and their mutants', () => {
    const text = readFileSync(new URL('../../docs/verification.md', import.meta.url), 'utf8');
    const rows = text
      .slice(text.indexOf('<!-- models: begin -->'), text.indexOf('<!-- models: end -->'))
      .split('\n')
      .filter((line) => line.includes('| `'))
      .map((line) => line.split('|').map((cell) => cell.trim()));
    const written = rows.map((cells) => [cells[2]!, cells[3]!, cells[5]!, cells.at(-2)!].join(' | '));
    const real = models.flatMap(({ name, property, bounds, mutants = [] }) =>
      bounds.map((bound, i) =>
        [
          `\`${name}\``,
          property,
          Number.isFinite(bound) ? bound : 'any',
          // The mutants stand in the last row of their model.
          i === bounds.length - 1 ? mutants.map((mutant) => mutant.name).join(', ') : '',
        ].join(' | '),
      ),
    );
    // npm run model -- --markdown docs/verification.md writes it anew.
    expect(written).toEqual(real);
  });
});
