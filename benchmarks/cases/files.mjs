import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expectSame } from '../lib/verify.mjs';

const root = fileURLToPath(new URL('../../node_modules', import.meta.url));
const maxFileBytes = 512 * 1024;
/** Times that all files are worked through before the clock starts: so long the engine still compiles, on the same cores. */
const warmUps = 3;

/** @type {import('./case.d.ts').Case} */
export const files = {
  id: 'files',
  title: 'CPU-bound files',
  note: `SHA-256, gzip and token count of JavaScript files under node_modules (up to ${maxFileBytes / 1024} kB each), read inside the task, longest first for everyone, ${warmUps} times before the clock starts. The limit: independent processes, each with a share fixed beforehand that is even in bytes.`,
  metrics: [
    { key: 'ofLimit', label: "of the limit's speed", unit: 'x', better: 'higher' },
    { key: 'ms', label: 'time', unit: 'ms', better: 'lower' },
  ],
  rounds: { quick: 1, full: 5 },
  timeoutMs: 90_000,
  variants(mode, threads) {
    const chosen = chooseFiles(mode === 'quick' ? 4e6 : 12e6);
    const paths = chosen.map(({ path }) => path);
    const total = chosen.reduce((sum, { size }) => sum + size, 0);
    return [
      {
        key: 'files',
        label: `${paths.length} files, ${(total / 1e6).toFixed(1)} MB`,
        params: { paths, parts: alternate(paths, threads) },
      },
    ];
  },
  includes: ({ second }) => !second,
  usesLimit: true,
  async turn(pool, { paths, parts }) {
    if (pool.runParts !== undefined) {
      for (let i = 0; i < warmUps; i++) await pool.runParts('fileJob', parts);
      const begin = performance.now();
      const done = await pool.runParts('fileJob', parts);
      const ms = performance.now() - begin;
      const byPath = new Map(parts.flatMap((part, i) => part.map((path, j) => [path, done[i].results[j]])));
      return { ms, digest: digestOf(paths.map((path) => byPath.get(path))) };
    }
    const runAll = () => Promise.all(paths.map((path) => pool.run('fileJob', path)));
    for (let i = 0; i < warmUps; i++) await runAll();
    const begin = performance.now();
    const results = await runAll();
    const ms = performance.now() - begin;
    return { ms, digest: digestOf(results) };
  },
  derive(metrics, round) {
    const limit = round.get('limit');
    if (limit === undefined) return metrics;
    expectSame(metrics.digest, limit.digest, 'digest over all results');
    return { ...metrics, ofLimit: limit.ms / metrics.ms };
  },
};

function digestOf(results) {
  const hash = createHash('sha256');
  for (const { digest, gzip, tokens } of results) hash.update(`${digest} ${gzip} ${tokens}\n`);
  return hash.digest('hex');
}

/** Every n-th file in the order of paths, so that the sample is spread over all packages; longest first. */
function chooseFiles(bytes) {
  const all = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?js$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ path, size: statSync(path).size }))
    .filter(({ size }) => size > 0 && size <= maxFileBytes);
  const total = all.reduce((sum, { size }) => sum + size, 0);
  const step = Math.max(1, Math.round(total / bytes));
  return all.filter((_, i) => i % step === 0).sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
}

/** Longest first in turn, there and back (1 2 2 1): the shares differ by less than one small file. */
function alternate(paths, count) {
  const parts = Array.from({ length: count }, () => []);
  for (const [i, path] of paths.entries()) {
    const lap = Math.floor(i / count);
    const place = i % count;
    parts[lap % 2 === 0 ? place : count - 1 - place].push(path);
  }
  return parts;
}
