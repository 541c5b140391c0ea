// Runs in the workers. Balances are cents in shared memory; a transfer holds the locks of both accounts.

import { runtime } from 'heddle/task';

/**
 * Makes `count` transfers between random accounts.
 *
 * @param balances cents of each account, in shared memory
 * @param plan `order`: 'as-asked' locks the account that pays, then the one that receives; 'by-key' locks the one with the lower key first
 * @returns how many, and how often one was chosen to give up, with what it was told the first time
 */
export function transfer(balances, { count, seed, order }) {
  const locks = Array.from(balances, (_, i) => runtime().mutex(nameOf(i), optionsOf(i, order)));
  const random = randomFrom(seed);
  const done = { transfers: 0, deadlocks: 0, report: undefined };
  while (done.transfers < count) {
    const from = random(balances.length);
    const to = (from + 1 + random(balances.length - 1)) % balances.length;
    const [first, second] = order === 'by-key' && to < from ? [to, from] : [from, to];
    locks[first].lockSync();
    try {
      const cents = limitOf(balances[from], random);
      locks[second].lockSync();
      try {
        balances[from] -= cents;
        balances[to] += cents;
      } finally {
        locks[second].unlock();
      }
      done.transfers++;
    } catch (error) {
      if (error.code !== 'ERR_DEADLOCK') throw error;
      // Nothing was moved yet. The finally below gives the first lock back, so the others go on; then it is tried again.
      done.deadlocks++;
      done.report ??= error.message;
    } finally {
      locks[first].unlock();
    }
  }
  return done;
}

const nameOf = (i) => `account ${i + 1}`;

/** By key: accounts are one class, and are to be taken by rising number. */
const optionsOf = (i, order) => (order === 'by-key' ? { class: 'account', order: i + 1 } : {});

/** How much may be paid: what a bank computes before it asks for the second account, some ten microseconds. */
function limitOf(balance, random) {
  let risk = 0;
  for (let i = 0; i < 2000; i++) risk += Math.sqrt(random(1000));
  return Math.min(balance, 1 + (Math.floor(risk) % 100));
}

/** Random whole numbers below n (mulberry32, T. Ettinger). */
function randomFrom(seed) {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * n) | 0;
  };
}
