// Runs in the workers. The arrays come from `rt.alloc`, so a task gets the memory itself, not a copy.

import { fork, join } from 'heddle/task';

/** Below this many keys the built-in sort takes over: fork/join would cost more than it brings. */
const SERIAL_BELOW = 1 << 16;
const SAMPLES = 31;

/**
 * Quicksort: splits the keys in two, forks one part for whoever is idle, sorts the other, joins. The keys must be comparable with `<`, so no
 * NaN.
 */
export function sort(keys) {
  if (keys.length < SERIAL_BELOW) {
    keys.sort();
    return;
  }
  const middle = partition(keys, pivotOf(keys));
  const upper = fork(sort, keys.subarray(middle));
  sort(keys.subarray(0, middle));
  join(upper);
}

/** Median of a few keys from all over the array. */
function pivotOf(keys) {
  const samples = new Float64Array(SAMPLES);
  for (let i = 0; i < SAMPLES; i++) samples[i] = keys[Math.floor(((i + 0.5) * keys.length) / SAMPLES)];
  return samples.sort()[SAMPLES >> 1];
}

/** Moves keys <= pivot before keys >= pivot (C. A. R. Hoare, 1961). Returns where the second part begins: never 0, never the end. */
function partition(keys, pivot) {
  let low = 0;
  let high = keys.length - 1;
  for (;;) {
    while (keys[low] < pivot) low++;
    while (keys[high] > pivot) high--;
    if (low >= high) return Math.max(low, 1);
    const key = keys[low];
    keys[low++] = keys[high];
    keys[high--] = key;
  }
}

/** Random numbers in [0, 1) that depend on their index and the seed only, however the range is cut. */
export function fill(start, end, keys, seed) {
  for (let i = start; i < end; i++)
    keys[i] = (mix(i ^ seed) >>> 0) / 2 ** 32 + (mix(i + seed) >>> 0) / 2 ** 64;
}

/** Mixes the bits of a 32-bit word (C. Wellons' lowbias32, github.com/skeeto/hash-prospector). */
function mix(value) {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}
