/** A bare worker thread that does with the pure-JavaScript mutex what `tasks-locks.mjs` does with heddle's. */
import { parentPort, workerData } from 'node:worker_threads';
import { FutexMutex } from './futex.mjs';
import { contend, roundsFor, timePairs, watchClock } from './loops.mjs';

const mutex = new FutexMutex(workerData.word);
const actions = {
  pairs: ({ pairs, times }) => timePairs(mutex, pairs, times),
  contend: ({ cells, ns, isTimed }) => contend(mutex, cells, roundsFor(ns), { isTimed }),
  watchClock: ({ cells }) => watchClock(cells),
};

parentPort.once('message', ({ action, params }) => parentPort.postMessage(actions[action](params)));
