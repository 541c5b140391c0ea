/** What is measured of a mutex, the same for whoever has `lockSync()` and `unlock()`. Each thread calls with one kind of mutex only. */
import { median } from '../lib/stats.mjs';

/** Cells that two threads share in `contend()` and `watchClock()`. */
export const CELLS = { ready: 0, phase: 1, first: 2, second: 3, count: 4 };
/** What the main thread writes into the cell `phase`. Nothing counts while they warm up: the engine's compilers take the cores then. */
export const PHASES = { warm: 0, measured: 1, over: 2 };

/** @returns nanoseconds for a lock and its unlock: the median over `times` runs of `pairs` each, after one that does not count */
export function timePairs(mutex, pairs, times) {
  const samples = [];
  for (let i = 0; i <= times; i++) {
    const begin = performance.now();
    for (let j = 0; j < pairs; j++) {
      mutex.lockSync();
      mutex.unlock();
    }
    if (i > 0) samples.push(((performance.now() - begin) / pairs) * 1e6);
  }
  return median(samples);
}

/** The same with an `await`, for mutexes whose `lock()` gives a promise. */
export async function timeAsyncPairs(pair, pairs, times) {
  const samples = [];
  for (let i = 0; i <= times; i++) {
    const begin = performance.now();
    await pair(pairs);
    if (i > 0) samples.push(((performance.now() - begin) / pairs) * 1e6);
  }
  return median(samples);
}

let sink = 0;

/** Computes for a time that grows with `rounds`. */
export function work(rounds) {
  let x = sink | 1;
  for (let i = 0; i < rounds; i++) x = Math.imul(x, 1664525) + 1013904223;
  sink = x;
}

/** @returns how many rounds of `work()` take so many nanoseconds here */
export function roundsFor(ns) {
  work(1e6);
  const samples = [];
  for (let i = 0; i < 9; i++) {
    const begin = performance.now();
    work(1e6);
    samples.push(performance.now() - begin);
  }
  return Math.max(1, Math.round(ns / median(samples)));
}

/**
 * Takes the mutex again and again until it is told to stop, with `rounds` of work under it, and counts in two cells that must stay alike.
 *
 * @param {{ isTimed: boolean }} how whether each wait is timed, which costs about as much as the section
 * @returns {{ sections: number, faults: number, longestMs: number, warm: number }} of the measured phase; `warm`: sections before it
 */
export function contend(mutex, cells, rounds, { isTimed }) {
  const loop = isTimed ? timed : untimed;
  startTogether(cells);
  const warm = loop(mutex, cells, rounds, PHASES.warm);
  const result = loop(mutex, cells, rounds, PHASES.measured);
  return { ...result, faults: warm.faults + result.faults, warm: warm.sections };
}

function startTogether(cells) {
  Atomics.add(cells, CELLS.ready, 1);
  while (Atomics.load(cells, CELLS.ready) < 2);
}

function untimed(mutex, cells, rounds, phase) {
  const result = { sections: 0, faults: 0, longestMs: 0 };
  while (Atomics.load(cells, CELLS.phase) === phase) {
    mutex.lockSync();
    section(cells, rounds, result);
    mutex.unlock();
  }
  return result;
}

function timed(mutex, cells, rounds, phase) {
  const result = { sections: 0, faults: 0, longestMs: 0 };
  while (Atomics.load(cells, CELLS.phase) === phase) {
    const begin = performance.now();
    mutex.lockSync();
    result.longestMs = Math.max(result.longestMs, performance.now() - begin);
    section(cells, rounds, result);
    mutex.unlock();
  }
  return result;
}

/** The longest time between two looks at the clock of a thread that does nothing else, while another does the same: what the machine alone takes. */
export function watchClock(cells) {
  startTogether(cells);
  longestGap(cells, PHASES.warm);
  return { longestMs: longestGap(cells, PHASES.measured) };
}

function longestGap(cells, phase) {
  let longestMs = 0;
  for (let last = performance.now(); Atomics.load(cells, CELLS.phase) === phase; ) {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  }
  return longestMs;
}

function section(cells, rounds, result) {
  const count = cells[CELLS.first];
  cells[CELLS.first] = count + 1;
  work(rounds);
  if (cells[CELLS.second] !== count) result.faults++;
  cells[CELLS.second] = count + 1;
  result.sections++;
}
