import type { Endpoint } from 'comlink';
import { InvalidTypeError } from './errors.ts';
import {
  clockOffset,
  type HeldNotice,
  isNotice,
  openPort,
  type StartNotice,
  turn,
} from './platform/browser.ts';
import type { WorkerPlatform } from './platform/port.ts';
import { startWorker } from './worker/start.ts';

if (!('DedicatedWorkerGlobalScope' in globalThis)) {
  throw new InvalidTypeError('heddle/worker is the entry of a worker thread; a pool starts it by itself');
}

const endpoint = globalThis as unknown as Endpoint;
let threadId = 0;

/** Takes the lock whose release tells the pool that this thread is gone. Only then does the pool boot it. */
function onStart({ data }: MessageEvent): void {
  if (!isNotice<StartNotice>(data, 'start')) return;
  removeEventListener('message', onStart);
  threadId = data.threadId;
  const held = navigator.locks.request(data.lock, () => {
    endpoint.postMessage({ heddle: 'held' } satisfies HeldNotice);
    return new Promise<never>(() => undefined);
  });
  held.catch((error) => {
    // Outside a promise it becomes an error event of the Worker, which rejects the boot.
    setTimeout(() => {
      throw error;
    });
  });
}

addEventListener('message', onStart);

const platform: WorkerPlatform = {
  name: 'browser',
  get threadId() {
    return threadId;
  },
  workerData: undefined,
  endpoint,
  clockOffset,
  turn,
  openPort: (remote) => openPort(remote as MessagePort),
  asyncStore: undefined,
  newAsyncStore: () => undefined,
  onUncaught(report) {
    addEventListener('error', (event) => {
      event.preventDefault();
      report(event.error ?? event.message, 'exception');
    });
    addEventListener('unhandledrejection', (event) => {
      event.preventDefault();
      report(event.reason, 'rejection');
    });
  },
  heapUsedBytes: () => undefined,
  flush: () => Promise.resolve(),
  pin: () =>
    Promise.resolve({
      isPinned: false,
      cpus: [],
      memory: 'default',
      means: 'none',
      reason: 'a page cannot pin threads',
    }),
  setNiceness: () => 'a page cannot set priorities',
  kernelThreadId: () => 0,
  placeMemory: () => undefined,
  exit: () => close(),
};

startWorker(platform);
