// The bank of the example and of `heddle locks demo`: tellers in worker threads move money between random accounts.

import { createRuntime } from 'heddle';
import { drawReport, drawTable, painter } from './drawing.mjs';

const START_CENTS = 100_000;
/** Deadlocks come by chance; so many times the tellers are sent, until there was one or there is none. */
const TRIES_MOST = 50;

/**
 * Plays both ways to lock and writes what came of them.
 *
 * @param {{ accounts: number, tellers: number, transfers: number, seed: number, isColoured: boolean, write: (text: string) => void }} options
 * @returns whether all went as it must: every cent is there, every lock is free, and the second way there was no deadlock and no ring. Whether the first way
 *   deadlocks is chance, and said
 */
export async function playBank({ accounts, tellers, transfers, seed, isColoured, write }) {
  const paint = painter(isColoured);
  const line = (text = '') => write(`${text}\n`);
  line(
    `${paint.bold('A bank')}: ${accounts} accounts, ${tellers} tellers in worker threads, ${count(transfers)} transfers between random accounts.`,
  );

  line();
  line(paint.bold('1. Each transfer locks the account that pays, then the one that receives.'));
  const first = await openDay({ accounts, tellers, transfers, seed, order: 'as-asked' });
  line();
  line(
    '   The order check: a ring of locks is a deadlock that can happen, reported once, whether or not it has.',
  );
  line();
  line(drawReport(first.ring ?? 'no ring was seen', paint));
  line();
  line(
    '   The wait check: what the transfer was told whose wait closed a deadlock. It gave up, and was made again.',
  );
  line();
  line(drawReport(first.report ?? 'no deadlock came about', paint));
  line();
  summarize(first, line, paint);
  line();
  line(drawTable(first.graph, accounts, paint));

  line();
  line(
    paint.bold(
      "2. Each transfer locks the account with the lower number first: mutex(name, { class: 'account', order: number }).",
    ),
  );
  line();
  const second = await openDay({ accounts, tellers, transfers, seed, order: 'by-key' });
  summarize(second, line, paint);
  line();
  line(drawTable(second.graph, accounts, paint));

  const fault = faultOf(first, second);
  line();
  line(
    fault === undefined
      ? paint.green(`OK: not a cent lost; ${outcomeOf(first)}`)
      : paint.red(`FAILED: ${fault}`),
  );
  return { isRight: fault === undefined, graphs: { asAsked: first.graph, byKey: second.graph } };
}

/** What went wrong that never may; undefined: nothing. */
function faultOf(first, second) {
  if (!first.isWhole || !second.isWhole) return 'money is missing';
  if (first.held + second.held > 0) return 'a lock is still held';
  if (second.deadlocks + second.rings > 0) return 'locks that were taken by key made a deadlock, or a ring';
  return undefined;
}

function outcomeOf({ deadlocks }) {
  if (deadlocks > 0) return 'deadlocks were resolved the first way, and cannot happen the second';
  return 'no deadlock came about the first way, by chance (more tellers and transfers make one likelier), and none can the second';
}

/** One day at the bank, with locks taken in this order. */
async function openDay(options) {
  // With the place where each lock was taken, for as long as it is held, which costs some microseconds a lock.
  const rt = await createRuntime({ locks: { stacks: 'all' } });
  try {
    return await work(rt, options);
  } finally {
    await rt.dispose();
  }
}

async function work(rt, { accounts, tellers, transfers, seed, order }) {
  const reports = [];
  rt.locks.onViolation((violation) => reports.push(violation));
  const pool = await rt.createPool({
    name: 'bank',
    tasks: new URL('./tasks.mjs', import.meta.url),
    minThreads: tellers,
    maxThreads: tellers,
  });
  await pool.ready();
  const balances = rt.alloc(Int32Array, accounts).fill(START_CENTS);

  const begin = performance.now();
  const days = [];
  for (let i = 0; i === 0 || (order === 'as-asked' && i < TRIES_MOST && deadlocksOf(days) === 0); i++) {
    const shifts = Array.from({ length: tellers }, (_, teller) =>
      pool.run('transfer', [
        balances,
        { count: Math.ceil(transfers / tellers), seed: seed + i * tellers + teller, order },
      ]),
    );
    days.push(...(await Promise.all(shifts)));
  }
  const ms = performance.now() - begin;

  const faults = reports.filter(({ kind }) => kind === 'order');
  const told = days.filter(({ report }) => report !== undefined);
  const after = balances.reduce((sum, cents) => sum + cents, 0);
  return {
    ms,
    transfers: days.reduce((sum, each) => sum + each.transfers, 0),
    deadlocks: deadlocksOf(days),
    report: told[0]?.report,
    rings: faults.length,
    ring: faults[0]?.message,
    before: accounts * START_CENTS,
    after,
    isWhole: after === accounts * START_CENTS,
    held: rt.locks.snapshot().held.length,
    graph: rt.locks.visualizeHierarchy(),
  };
}

const deadlocksOf = (days) => days.reduce((sum, each) => sum + each.deadlocks, 0);
const count = (n) => n.toLocaleString('en');
const money = (cents) => (cents / 100).toLocaleString('en', { minimumFractionDigits: 2 });

function summarize({ ms, transfers, deadlocks, rings, before, after, isWhole, held }, line, paint) {
  const resolved = `${count(deadlocks)} deadlocks, each resolved: one transfer gave up and was made again`;
  line(`  transfers   ${count(transfers)} in ${ms.toFixed(0)} ms`);
  line(`  deadlocks   ${deadlocks === 0 ? paint.green('none') : paint.yellow(resolved)}`);
  line(
    `  reports     ${rings === 0 ? paint.green('none') : paint.yellow(`${count(rings)} rings in the order of locks`)}`,
  );
  line(
    `  money       ${money(before)} before, ${money(after)} after${isWhole ? paint.green(': not a cent lost') : paint.red(': WRONG')}`,
  );
  line(`  still held  ${held} locks`);
}
