// The main job: measures every source file under node_modules on all cores with `heddle map`, then a sample of them again here, one after the
// other, and compares. Exits with 1 when a file failed or a result differs.
// usage: npm start

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { measure } from './tasks.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TASK = fileURLToPath(new URL('tasks.mjs', import.meta.url));
const SOURCES = 'node_modules/**/*.{js,mjs,cjs,ts,mts,cts}';
const SAMPLE = 200;

const number = new Intl.NumberFormat('en-US');

// Ctrl-C reaches the command as well, which tells what it has done; then we end with its exit code.
process.on('SIGINT', () => undefined);

/** Runs `heddle map` as a user would: its progress and its summary go to the terminal, its results come here. */
async function mapInParallel() {
  const args = ['build/cli.js', 'map', `${TASK}#measure`, SOURCES, '--dot', '--json'];
  const heddle = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(heddle, 'close');
  const results = new Map();
  for await (const line of createInterface({ input: heddle.stdout })) {
    const { input, ok, value } = JSON.parse(line);
    if (ok) results.set(input, value);
  }
  const [exitCode] = await closed;
  return { results, exitCode: exitCode ?? 1 };
}

/** So many keys, evenly spread over the sorted ones. */
function sampleOf(keys, most) {
  const sorted = [...keys].sort();
  const step = Math.max(1, sorted.length / most);
  return Array.from({ length: Math.min(most, sorted.length) }, (_, i) => sorted[Math.floor(i * step)]);
}

console.log(`Digest, gzip size and tokens of ${SOURCES}`);
const { results, exitCode } = await mapInParallel();
const total = { bytes: 0, gzipBytes: 0, tokens: 0 };
for (const { bytes, gzipBytes, tokens } of results.values()) {
  total.bytes += bytes;
  total.gzipBytes += gzipBytes;
  total.tokens += tokens;
}
console.log(`
files       ${number.format(results.size)}
bytes       ${number.format(total.bytes)}
gzip bytes  ${number.format(total.gzipBytes)}
tokens      ${number.format(total.tokens)}`);

if (exitCode === 0) {
  const sample = sampleOf(results.keys(), SAMPLE);
  const different = sample.filter((path) => !isDeepStrictEqual(measure(path), results.get(path)));
  for (const path of different) console.log(`differs     ${path}`);
  console.log(
    `serial      ${number.format(sample.length - different.length)} of ${number.format(sample.length)} sampled files equal`,
  );
  if (different.length > 0 || sample.length === 0) process.exitCode = 1;
} else {
  process.exitCode = exitCode;
}
