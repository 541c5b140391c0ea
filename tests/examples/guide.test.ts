// The code of docs/guide.md runs as it is printed there: its blocks make a task module, a thread and a program, whose output is what the guide says.

import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const run = promisify(execFile);

/** The JavaScript blocks of a page that begin with `// <file>`. */
function blocksOf(page: string, file: string): string[] {
  return [...page.matchAll(/^```js\n([\s\S]*?)^```$/gm)]
    .map(([, code]) => code!)
    .filter((code) => code.startsWith(`// ${file}\n`));
}

/** One module of many blocks: their imports first, each once. */
function joinBlocks(blocks: readonly string[], wrap: (block: string, index: number) => string): string {
  const names = new Map<string, Set<string>>();
  const bodies = blocks.map((block) =>
    block.replace(/^import \{ (.*) \} from '(.*)';\n/gm, (_, list: string, from: string) => {
      for (const name of list.split(', ')) names.set(from, (names.get(from) ?? new Set<string>()).add(name));
      return '';
    }),
  );
  const imports = [...names].map(([from, set]) => `import { ${[...set].join(', ')} } from '${from}';\n`);
  return imports.join('') + bodies.map(wrap).join('\n');
}

it('docs/guide.md prints what it says', async () => {
  const page = readFileSync(join(ROOT, 'docs/guide.md'), 'utf8');
  const main = blocksOf(page, 'main.mjs');
  expect(main.length).toBeGreaterThan(10);
  // Inside the repository, so that `heddle` is this package.
  const folder = join(ROOT, 'build/guide');
  mkdirSync(folder, { recursive: true });
  for (const file of ['tasks.mjs', 'thread.mjs']) {
    writeFileSync(
      join(folder, file),
      joinBlocks(blocksOf(page, file), (block) => block),
    );
  }
  // The first block opens the pool for all; the others keep their names to themselves.
  writeFileSync(
    join(folder, 'main.mjs'),
    joinBlocks(main, (block, i) => (i === 0 ? block : `{\n${block}}\n`)),
  );
  const { stdout, stderr } = await run(process.execPath, [join(folder, 'main.mjs')]);
  const said = main.flatMap((block) => [...block.matchAll(/^\/\/ → (.*)$/gm)].map(([, line]) => line));
  expect(stderr).toBe('');
  expect(stdout.trimEnd().split('\n')).toEqual(said);
});
