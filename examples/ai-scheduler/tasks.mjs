// Runs in the workers. The arrays come from `rt.alloc`: all workers have the same memory.

import { runtime } from 'heddle/task';
import { assign } from './k-means.mjs';

/** A piece of one step: sums up by itself, then adds its sums to everybody's in the critical section. */
export function step(start, end, points, people, centres, labels, sums, lockName) {
  const own = new Float64Array(sums.length);
  assign(start, end, points, people, centres, labels, own);
  const lock = runtime().mutex(lockName);
  lock.lockSync();
  try {
    for (let i = 0; i < sums.length; i++) sums[i] += own[i];
  } finally {
    lock.unlock();
  }
}
