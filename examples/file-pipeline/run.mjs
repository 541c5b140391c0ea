// A pipeline: an async generator finds scripts, workers parse and digest them in parallel, and results come out in the order of the files.
//
//   node examples/file-pipeline/run.mjs [folder] [--limit N] [--threads N] [--ahead N]
//
// The generator is asked for the next file only when there is room, so a folder of a million files needs no more memory than one of a
// hundred. Ctrl-C cancels what is under way and ends with exit code 130.

import { createHash } from 'node:crypto';
import { opendir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TaskPool } from 'heddle';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    limit: { type: 'string', default: '500' },
    threads: { type: 'string', default: String(availableParallelism()) },
    /** Most files taken from the generator and not printed yet. */
    ahead: { type: 'string', default: '32' },
  },
});
const folder = resolve(positionals[0] ?? fileURLToPath(new URL('../../node_modules', import.meta.url)));
const limit = Number(values.limit);
const ahead = Number(values.ahead);

let taken = 0;
let received = 0;
let mostAhead = 0;

/** Scripts below a folder, in a stable order, read from the disk as they are asked for. */
async function* scripts(path) {
  const entries = [];
  for await (const entry of await opendir(path)) entries.push(entry);
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const child = join(path, entry.name);
    if (entry.isDirectory()) yield* scripts(child);
    else if (entry.isFile() && /\.[cm]?js$/.test(entry.name)) yield child;
  }
}

async function* source() {
  for await (const path of scripts(folder)) {
    if (taken === limit) return;
    taken++;
    mostAhead = Math.max(mostAhead, taken - received);
    yield path;
  }
}

/** A digest of digests: it comes out right only if every file was read right and all came in order. */
const chain = createHash('sha256');
const done = [];
const failed = [];
const totals = { bytes: 0, functions: 0, imports: 0 };
let deepest = { depth: 0, path: '' };

function take({ input, status, value, reason }) {
  received++;
  if (status === 'rejected') {
    failed.push({ path: input, reason });
    return;
  }
  chain.update(value.digest);
  done.push(input);
  for (const key of Object.keys(totals)) totals[key] += value[key];
  if (value.depth > deepest.depth) deepest = { depth: value.depth, path: input };
  if (received % Math.ceil(limit / 12) === 1) {
    const facts = `${kib(value.bytes).padStart(11)} ${String(value.functions).padStart(6)} functions`;
    console.log(
      `${String(received).padStart(6)}  ${value.digest.slice(0, 12)}  ${facts}  ${relative(folder, input)}`,
    );
  }
}

const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('Ctrl-C')));

const pool = await TaskPool.create({
  tasks: new URL('./tasks.mjs', import.meta.url),
  maxThreads: Number(values.threads),
});
const started = performance.now();
try {
  const results = pool.map('inspect', source(), { concurrency: ahead, settle: true, signal: stop.signal });
  for await (const record of results) take(record);
  await summarise(performance.now() - started);
} catch (error) {
  if (error.code !== 'ERR_TASK_ABORTED') throw error;
  console.log(`cancelled by ${error.cause.message} after ${received} files`);
  process.exitCode = 130;
} finally {
  await pool.destroy();
}

async function summarise(elapsedMs) {
  const { runHistogram, workerUtilization, threads } = pool.metrics();
  console.log();
  for (const { path, reason } of failed.slice(0, 3)) {
    console.log(`no JavaScript: ${relative(folder, path)}: ${reason.name}: ${reason.message}`);
  }
  if (failed.length > 3) console.log(`no JavaScript: and ${failed.length - 3} more`);
  console.log(
    `${done.length} scripts, ${kib(totals.bytes)}, ${totals.functions} functions, ${totals.imports} imports`,
  );
  console.log(`deepest functions: ${deepest.depth} levels in ${relative(folder, deepest.path)}`);
  const rate = Math.round((received / elapsedMs) * 1000);
  console.log(
    `${threads} threads, ${Math.round(elapsedMs)} ms, ${rate} files/s, busy ${Math.round(workerUtilization * 100)} % of their life`,
  );
  const quantile = (q) => `${runHistogram.quantile(q).toFixed(1)} ms`;
  console.log(`half of the files took at most ${quantile(0.5)}, 99 of 100 at most ${quantile(0.99)}`);
  console.log(`back-pressure: never more than ${mostAhead} files ahead of the output (limit ${ahead})`);

  const expected = createHash('sha256');
  for (const path of done)
    expected.update(
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    );
  const isRight = expected.digest('hex') === chain.digest('hex') && mostAhead <= ahead && received === taken;
  console.log(
    isRight ? 'OK: every digest is right, in order' : 'FAILED: the results differ from a serial run',
  );
  if (!isRight) process.exitCode = 1;
}

function kib(bytes) {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
