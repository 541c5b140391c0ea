// Chaos: real threads on the built package, everything at once, for as long as it is told. Whatever happens comes from the seed; when it
// happens is up to the machine.
//
//   npm run chaos -- --seconds 60 --seed 7
//
// Exit code 1 when an invariant did not hold; the events before it and the state are printed then.
import { existsSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import v8 from 'node:v8';
import vm from 'node:vm';
import Table from 'cli-table3';
import { KINDS } from './calls.mjs';
import { randomFrom } from './random.mjs';
import { Referee } from './referee.mjs';
import { World } from './world.mjs';

const MIB = 2 ** 20;
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    /** Seconds for which anything may be pending. */
    patience: { type: 'string', default: '30' },
    /** So many at least, however long they take. Memory is compared where there are four: the first is left out, and three thirds need a sample each. */
    epochs: { type: 'string', default: '4' },
    /** Breaks something on purpose, to see that it is seen: lie, twice, lose, leak, listener, handle, hoard, unlocked, hold. */
    sabotage: { type: 'string' },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
const patienceMs = Number(values.patience) * 1000;
const leastEpochs = Number(values.epochs);
/** A run that is at least so long has had every kind of trouble. */
const COVERED_SECONDS = 20;
const { sabotage } = values;
if (!(seconds > 0) || !Number.isSafeInteger(seed) || !(patienceMs > 0) || !(leastEpochs > 0)) {
  console.error('usage: chaos [--seconds N] [--seed N] [--patience N] [--epochs N]');
  process.exit(2);
}

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');
const turn = () => new Promise((resolve) => setImmediate(resolve));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const worlds = new Set();
let startedAt = performance.now();
const elapsed = () => (performance.now() - startedAt) / 1000;

const referee = new Referee({
  patienceMs,
  describe: () => [...worlds].flatMap((world) => world.describe()),
  onViolation(violation) {
    clearLine();
    console.error(`\nVIOLATION after ${elapsed().toFixed(1)} s, seed ${seed}: ${violation.what}`);
    for (const line of violation.state) console.error(`  ${line}`);
    console.error('  events before it:');
    for (const line of violation.events) console.error(`  ${line}`);
  },
});

// ---- the live line ---------------------------------------------------------------------------------------------------------------------

const isTerminal = process.stdout.isTTY === true;
let lastCalls = 0;
let lastAt = performance.now();
let rssMost = 0;
function clearLine() {
  if (isTerminal) process.stdout.write('\r\x1b[K');
}
function progress() {
  const now = performance.now();
  const rate = ((referee.settled - lastCalls) / (now - lastAt)) * 1000;
  lastCalls = referee.settled;
  lastAt = now;
  const rss = process.memoryUsage.rss();
  rssMost = Math.max(rssMost, rss);
  const line = `${elapsed().toFixed(0).padStart(5)} s  ${Math.round(rate)} calls/s  ${referee.settled} settled  ${referee.pending} pending  ${referee.deaths} deaths  ${referee.faults.cancel} cancels  ${referee.pools} pools  ${(rss / MIB).toFixed(0)} MiB  ${referee.violations.length} violations`;
  if (isTerminal) process.stdout.write(`\r\x1b[K${line}`);
  else console.log(line);
}
const ticker = setInterval(progress, isTerminal ? 500 : 5000).unref();
const watchdog = setInterval(() => referee.look(), 250).unref();

process.on('uncaughtException', (error) =>
  referee.violate(`an uncaught exception: ${error?.stack ?? error}`),
);
process.on('unhandledRejection', (error) =>
  referee.violate(`an unhandled rejection: ${error?.stack ?? error}`),
);
process.on('warning', (warning) => {
  // A start that fails before the pool is handed out has no listener to go to.
  const isStart =
    warning.name === 'HeddleWarning' && /cannot start a worker|exited while it started/.test(warning.message);
  if (isStart) referee.note(`warning: ${warning.message}`);
  else referee.violate(`a warning: ${warning.stack}`);
});

// ---- epochs: after each one nothing may be left ---------------------------------------------------------------------------------------------

const threadCount = () => (existsSync('/proc/self/task') ? readdirSync('/proc/self/task').length : 0);
const handles = () => process.getActiveResourcesInfo().sort().join(' ');
const listeners = () =>
  process
    .eventNames()
    .map((name) => `${String(name)} ${process.listenerCount(name)}`)
    .sort()
    .join(', ');

/** Objects that must be gone some time after their worlds. */
const remembered = [];
const hoard = [];

async function settle() {
  for (let i = 0; i < 4; i++) {
    await turn();
    collect();
  }
}

async function epoch(number, ms, random) {
  const starts = performance.now();
  const lanes = Array.from({ length: random.between(1, 2) }, async (_, lane) => {
    for (let n = 0; performance.now() - starts < ms * 0.8 && !referee.isOver; n++) {
      const world = new World({
        referee,
        sabotage,
        name: `${number}${'abc'[lane]}${n}`,
        random: random.split(),
        isCertain: number === 1 && lane === 0 && n === 0 && seconds >= COVERED_SECONDS,
      });
      worlds.add(world);
      remembered.push(new WeakRef(world));
      const left = ms - (performance.now() - starts);
      try {
        await world.run(Math.min(left, random.pick([200, 1000, 3000, 8000])));
      } catch (error) {
        referee.violate(`${world.name} ended with ${error?.stack ?? error}`);
      }
      worlds.delete(world);
    }
  });
  // A lane that hangs was told by the watchdog; the run must end all the same.
  const hung = new Promise((resolve) => {
    const timer = setInterval(() => {
      if (performance.now() - starts < ms + 2.5 * patienceMs) return;
      clearInterval(timer);
      resolve(true);
    }, 250);
    void Promise.all(lanes).finally(() => clearInterval(timer));
  });
  const isHung = await Promise.race([Promise.all(lanes).then(() => false), hung]);
  if (sabotage === 'listener') process.on('SIGUSR2', () => undefined);
  if (sabotage === 'handle') setInterval(() => undefined, 1000);
  if (sabotage === 'hoard') hoard.push(Array.from({ length: 5e5 }, (_, i) => ({ i })));
  return isHung === true;
}

async function warmUp() {
  const world = new World({ referee, sabotage: undefined, name: 'warm', random: randomFrom(1) });
  await world.run(300);
  await settle();
}

console.log(
  `chaos: ${seconds} s, seed ${seed}, Node ${process.version}${sabotage === undefined ? '' : `, sabotage '${sabotage}'`}`,
);
const random = randomFrom(seed);
await warmUp();
await pause(50);
// The time to start is not part of the time to run: on a slow machine it may be longer.
startedAt = performance.now();
const before = { threads: threadCount(), handles: handles(), listeners: listeners() };
const samples = [];
let hung = false;

const LEAST_EPOCH_MS = 500;
for (let number = 1; (elapsed() < seconds || number <= leastEpochs) && !hung && !referee.isOver; number++) {
  const left = Math.max((seconds - elapsed()) * 1000, LEAST_EPOCH_MS);
  hung = await epoch(number, Math.min(left, random.between(2000, 8000)), random.split());
  if (hung) break;
  await settle();
  for (let i = 0; i < 100 && (threadCount() > before.threads || handles() !== before.handles); i++)
    await pause(20);
  const after = { threads: threadCount(), handles: handles(), listeners: listeners() };
  referee.expect(
    after.threads <= before.threads,
    `${after.threads} threads are left, ${before.threads} were there`,
  );
  referee.expect(
    after.handles === before.handles,
    `handles are left: ${after.handles} (before: ${before.handles})`,
  );
  referee.expect(
    after.listeners === before.listeners,
    `listeners are left: ${after.listeners} (before: ${before.listeners})`,
  );
  const { rss, heapUsed, external } = process.memoryUsage();
  samples.push({ rss, heap: heapUsed, external });
  referee.note(
    `epoch ${number} has ended: ${after.threads} threads, ${(heapUsed / MIB).toFixed(1)} MiB of heap, ${(rss / MIB).toFixed(0)} MiB in all`,
  );
}

// ---- memory over time -----------------------------------------------------------------------------------------------------------------------

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
/** The middle of the first third and of the last third of the samples; the first sample is left out. */
function trend(key) {
  const list = samples.slice(1).map((sample) => sample[key]);
  const third = Math.floor(list.length / 3);
  return third === 0 ? undefined : { first: median(list.slice(0, third)), last: median(list.slice(-third)) };
}
const FLAT = { heap: 6, rss: 96, external: 24 };
for (const [key, slackMib] of Object.entries(FLAT)) {
  const found = hung ? undefined : trend(key);
  if (found === undefined) continue;
  referee.expect(
    found.last <= found.first * 1.25 + slackMib * MIB,
    `memory is not flat: ${key} went from ${(found.first / MIB).toFixed(1)} to ${(found.last / MIB).toFixed(1)} MiB`,
  );
}
if (!hung) {
  await settle();
  const alive = remembered.filter((ref) => ref.deref() !== undefined).length;
  referee.expect(alive <= 2, `${alive} of ${remembered.length} worlds are still in memory`);
}

// ---- what the run was about -----------------------------------------------------------------------------------------------------------------

if (seconds >= COVERED_SECONDS && !referee.isOver) {
  for (const [what, count] of Object.entries(referee.faults))
    referee.expect(count > 0, `the run had no ${what}: what it says of that is worth nothing`);
  for (const { name } of KINDS)
    referee.expect(referee.tally.has(name), `the run had no call of the kind '${name}'`);
}

// ---- the table --------------------------------------------------------------------------------------------------------------------------------

clearInterval(ticker);
clearInterval(watchdog);
clearLine();
const COLUMNS = [
  ['fulfilled', 'fulfilled'],
  ['own error', 'own error'],
  ['ERR_WORKER_EXITED', 'exited'],
  ['ERR_TASK_ABORTED', 'aborted'],
  ['ERR_TASK_TIMEOUT', 'timed out'],
  ['ERR_POOL_CLOSED', 'closed'],
  ['ERR_QUEUE_FULL', 'queue full'],
  ['ERR_MEMORY_FULL', 'memory full'],
];
const table = new Table({
  head: ['calls', ...COLUMNS.map(([, title]) => title)],
  style: { head: [], border: [] },
});
for (const [kind, row] of [...referee.tally].sort())
  table.push([kind, ...COLUMNS.map(([key]) => row[key] ?? '')]);
const sums = COLUMNS.map(([key]) =>
  [...referee.tally.values()].reduce((sum, row) => sum + (row[key] ?? 0), 0),
);
table.push(['all', ...sums]);
console.log(table.toString());
const heapTrend = trend('heap');
const flat =
  heapTrend === undefined
    ? ''
    : `, heap ${(heapTrend.first / MIB).toFixed(1)} to ${(heapTrend.last / MIB).toFixed(1)} MiB`;
console.log(
  `${referee.worlds} runtimes, ${referee.pools} pools, ${referee.deaths} ends of workers, ${Object.entries(
    referee.faults,
  )
    .map(([what, count]) => `${what} ${count}`)
    .join(
      ', ',
    )}, ${referee.checks} checks in ${samples.length} epochs${flat}, at most ${(rssMost / MIB).toFixed(0)} MiB`,
);
const slow = referee.pendingNames.slice(0, 10);
if (slow.length > 0) console.log(`still pending: ${slow.join('; ')}`);
console.log(
  referee.violations.length === 0
    ? `clean: ${referee.settled} calls in ${elapsed().toFixed(1)} s, seed ${seed}`
    : `${referee.violations.length} VIOLATIONS, seed ${seed}: ${referee.violations
        .slice(0, 20)
        .map((what) => `\n  ${what.split('\n')[0]}`)
        .join('')}`,
);
process.exit(referee.violations.length === 0 ? 0 : 1);
