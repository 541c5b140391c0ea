/** Tasks of the suite 'locks'. */
import { runtime } from 'heddle/task';
import { contend as contendFor, roundsFor, timePairs } from './locks/loops.mjs';

/** Times lock+unlock of one lock under `depth` others. */
export function pairs({ pairs, times, depth = 0, options = {}, isObserved = false }) {
  const rt = runtime();
  const outer = Array.from({ length: depth }, (_, i) => rt.mutex(`outer ${i}`));
  for (const mutex of outer) mutex.lockSync();
  const plain = rt.mutex(`measured ${JSON.stringify(options)}`, options);
  const mutex = isObserved ? plain.withObserver(observer) : plain;
  const ns = timePairs(mutex, pairs, times);
  for (const held of outer) held.unlock();
  return ns;
}

const observer = { lockAcquired: () => {}, lockReleased: () => {}, lockWait: () => {} };

export function contend({ cells, ns, isTimed }) {
  return contendFor(runtime().mutex('contended'), cells, roundsFor(ns), { isTimed });
}

const gate = (name) => runtime().atomicInt32(name);
function waitFor(cell, value) {
  while (cell.load() < value);
}

/** Holds one lock and waits for the other, as often as it is told; round by round the second party closes the cycle. */
export function waitInCycle({ rounds }) {
  const [own, other] = [runtime().mutex('left'), runtime().mutex('right')];
  for (let i = 1; i <= rounds; i++) {
    own.lockSync();
    gate('held').add(1);
    waitFor(gate('held'), 2 * i);
    if (!other.lockSync()) throw new Error('the wait was given up by the wrong one');
    other.unlock();
    own.unlock();
    gate('done').add(1);
    waitFor(gate('done'), 2 * i);
  }
}

/** @returns microseconds from the call that closes the cycle to its error */
export function closeCycle({ rounds }) {
  const [own, other] = [runtime().mutex('right'), runtime().mutex('left')];
  const samples = [];
  for (let i = 1; i <= rounds; i++) {
    own.lockSync();
    gate('held').add(1);
    // The main thread says when the other one really waits.
    waitFor(gate('waits'), i);
    const begin = performance.now();
    let code;
    try {
      other.lockSync();
    } catch (error) {
      code = error.code;
    }
    samples.push((performance.now() - begin) * 1000);
    if (code !== 'ERR_DEADLOCK') throw new Error(`round ${i} ended with ${code ?? 'the lock'}`);
    own.unlock();
    gate('done').add(1);
    waitFor(gate('done'), 2 * i);
  }
  return samples;
}
