import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Runs one action of `futex-worker.mjs` in each of so many threads, over one mutex. `after` is called once all were told to begin. */
export async function inFutexThreads(threads, action, params, after = () => {}) {
  const word = new Int32Array(new SharedArrayBuffer(64), 0, 1);
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL('./futex-worker.mjs', import.meta.url), { workerData: { word } }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'online')));
  const answers = Promise.all(workers.map((worker) => once(worker, 'message')));
  for (const worker of workers) worker.postMessage({ action, params });
  await after();
  const results = (await answers).map(([result]) => result);
  await Promise.all(workers.map((worker) => worker.terminate()));
  return results;
}
