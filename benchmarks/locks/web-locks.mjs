/** Times uncontended Web Locks and prints the nanoseconds of one request; run by a Node that has them. */
import { timeAsyncPairs } from './loops.mjs';

const [pairs, times] = process.argv.slice(2).map(Number);
const { locks } = globalThis.navigator;
const pair = await timeAsyncPairs(
  async (n) => {
    for (let i = 0; i < n; i++) await locks.request('measured', () => {});
  },
  pairs,
  times,
);
process.stdout.write(JSON.stringify({ pair, version: process.version }));
