// CPU work of the kind that blocks a server: tens of milliseconds of plain JavaScript.

import { aborted } from 'heddle/task';

/** How many primes there are in [from, to), by trial division. Stops early when the request was given up. */
export function countPrimes(from, to) {
  let count = 0;
  for (let n = Math.max(2, from); n < to; n++) {
    if ((n & 255) === 0 && aborted()) return -1;
    if (isPrime(n)) count++;
  }
  return count;
}

/** The same without a pool, for comparison: `aborted()` works only inside a task. */
export function countPrimesHere(from, to) {
  let count = 0;
  for (let n = Math.max(2, from); n < to; n++) if (isPrime(n)) count++;
  return count;
}

function isPrime(n) {
  if (n % 2 === 0) return n === 2;
  for (let divisor = 3; divisor * divisor <= n; divisor += 2) if (n % divisor === 0) return false;
  return true;
}
