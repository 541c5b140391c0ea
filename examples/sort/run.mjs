// Sorts ten million float64 numbers in shared memory with fork/join, and compares the result and the time with the built-in serial sort.
//
//   node examples/sort/run.mjs [--length N] [--threads N]

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { createRuntime } from 'heddle';

const { values } = parseArgs({
  options: {
    length: { type: 'string', default: '10000000' },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});
const length = Number(values.length);
const threads = Number(values.threads);
const SEED = 42;

async function timed(action) {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

const rt = await createRuntime();
const pool = await rt.createPool({
  tasks: new URL('./tasks.mjs', import.meta.url),
  minThreads: threads,
  maxThreads: threads,
});
await pool.ready();

const keys = rt.alloc(Float64Array, length);
const fill = () => pool.range('fill', { from: 0, to: length }, [keys, SEED]);
const filledMs = await timed(fill);

// In ordinary memory, where the built-in sort is at its best.
const expected = Float64Array.from(keys);
const serialMs = await timed(() => expected.sort());

const parallelMs = await timed(() => pool.run('sort', [keys]));
const { forks, forksStolen, workers } = pool.metrics();
let isRight = isSame(keys, expected);

// The same code on one thread: what the algorithm brings, and what the threads bring.
await fill();
await pool.scale(1);
const aloneMs = await timed(() => pool.run('sort', [keys]));
isRight &&= isSame(keys, expected);

const line = (what, ms) =>
  console.log(
    `${what.padEnd(44)} ${ms.toFixed(0).padStart(6)} ms  ${(serialMs / ms).toFixed(2).padStart(5)} x`,
  );
console.log(
  `${length.toLocaleString('en')} float64 keys, ${threads} threads on ${availableParallelism()} cores\n`,
);
line('Float64Array.prototype.sort, serial', serialMs);
line('fork/join quicksort, 1 thread', aloneMs);
line(`fork/join quicksort, ${threads} threads`, parallelMs);
console.log(
  `\nfilled in parallel in ${filledMs.toFixed(0)} ms; ${forks} forks, ${forksStolen} of them stolen`,
);
for (const { id, utilization, forks: made } of workers) {
  console.log(`  worker ${id}: busy ${(utilization * 100).toFixed(0)} % of its life, ${made} forks`);
}
console.log(await checkInTypeScript());
await rt.dispose();

console.log(
  isRight ? 'OK: both runs equal the serial sort' : 'FAILED: the result differs from the serial sort',
);
if (!isRight) process.exitCode = 1;

/** The same check by a task module in TypeScript, where this Node can load one. */
async function checkInTypeScript() {
  if (!process.features.typescript) return 'TypeScript task module: left out, this Node does not strip types';
  const checkers = await rt.createPool({
    tasks: new URL('./check.ts', import.meta.url),
    maxThreads: threads,
  });
  const shared = rt.alloc(Float64Array, length);
  shared.set(expected);
  const faults = rt.alloc(Int32Array, 1);
  await checkers.range('compare', { from: 0, to: length }, [keys, shared, faults]);
  if (faults[0] !== 0) isRight = false;
  return `TypeScript task module: ${faults[0]} faults found`;
}

function isSame(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
