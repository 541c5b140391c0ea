import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { timeAsyncPairs } from '../locks/loops.mjs';

const webLocks = fileURLToPath(new URL('../locks/web-locks.mjs', import.meta.url));

/** Each gives a function that takes the lock and gives it back `n` times, one after the other. */
const open = {
  async heddle() {
    const { createRuntime } = await import('heddle');
    const runtime = await createRuntime();
    const mutex = runtime.mutex('measured');
    return async (n) => {
      for (let i = 0; i < n; i++) {
        await mutex.lock();
        mutex.unlock();
      }
    };
  },
  async 'async-mutex'() {
    const { Mutex } = await import('async-mutex');
    const mutex = new Mutex();
    return async (n) => {
      for (let i = 0; i < n; i++) {
        const release = await mutex.acquire();
        release();
      }
    };
  },
};

/** @type {import('./case.d.ts').Case} */
export const lockAsync = {
  id: 'lock-async',
  title: 'Uncontended lock and unlock on the main thread, with await',
  note: '`await m.lock(); m.unlock()` over and over, with order and wait checks on. async-mutex locks within one thread only; Web Locks reach all threads of a process. Node has Web Locks from 24 on; an older Node runs that contender with the node binary that the environment variable HEDDLE_WEB_LOCKS_NODE names.',
  metrics: [{ key: 'pair', label: 'lock + unlock', unit: 'ns', better: 'lower' }],
  rounds: { quick: 1, full: 7 },
  timeoutMs: 30_000,
  ownProcess: true,
  isolate: true,
  variants: (mode) => [
    {
      key: 'async',
      label: '',
      params: mode === 'quick' ? { pairs: 50_000, times: 3 } : { pairs: 200_000, times: 7 },
    },
  ],
  includes: ({ id }) => id in open || id === 'web-locks',
  async turn(_, { pairs, times }, { contenderId }) {
    if (contenderId === 'web-locks') return runWebLocks(pairs / 4, times);
    const pair = await open[contenderId]();
    return { pair: await timeAsyncPairs(pair, pairs, times) };
  },
};

/** @returns {Promise<import('./case.d.ts').Metrics>} */
async function runWebLocks(pairs, times) {
  const has = globalThis.navigator?.locks !== undefined;
  const node = has ? process.execPath : process.env.HEDDLE_WEB_LOCKS_NODE;
  if (!node) {
    throw new Error(
      `Node ${process.version} has no Web Locks; set HEDDLE_WEB_LOCKS_NODE to a node binary from version 24 on`,
    );
  }
  const { stdout } = await promisify(execFile)(node, [webLocks, String(pairs), String(times)]);
  const { pair, version } = JSON.parse(stdout);
  return has ? { pair } : { pair, note: `run by Node ${version}` };
}
