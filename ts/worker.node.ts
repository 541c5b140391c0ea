import { isMainThread, type MessagePort, parentPort, threadId, workerData } from 'node:worker_threads';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { InvalidTypeError } from './errors.ts';
import { kernelThreadId } from './platform/kernel-thread.ts';
import { setNiceness } from './platform/niceness.ts';
import { clockOffset, newAsyncStore, openPort, useNativeCodecs } from './platform/node.ts';
import type { WorkerPlatform } from './platform/port.ts';
import { pinThread, placeMemory } from './systems/numa/pin.node.ts';
import { startWorker } from './worker/start.ts';

/** Who reads what this thread has printed may be busy; who does not read at all must not keep the thread from ending. */
const FLUSH_MOST_MS = 5000;

if (isMainThread || parentPort === null) {
  throw new InvalidTypeError('heddle/worker is the entry of a worker thread; a pool starts it by itself');
}

useNativeCodecs();

const platform: WorkerPlatform = {
  name: 'node',
  threadId,
  workerData,
  endpoint: nodeEndpoint(parentPort),
  clockOffset,
  turn: setImmediate,
  openPort: (remote) => openPort(remote as MessagePort),
  asyncStore: newAsyncStore(),
  newAsyncStore,
  onUncaught(report) {
    process.on('uncaughtException', (error) => report(error, 'exception'));
    process.on('unhandledRejection', (error) => report(error, 'rejection'));
  },
  heapUsedBytes: () => process.memoryUsage().heapUsed,
  async flush() {
    const flushed = [process.stdout, process.stderr]
      .filter((stream) => stream.writableLength > 0)
      .map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve())));
    if (flushed.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FLUSH_MOST_MS);
    });
    await Promise.race([Promise.all(flushed), late]);
    clearTimeout(timer);
  },
  pin: pinThread,
  setNiceness: (niceness) => setNiceness(niceness),
  kernelThreadId,
  placeMemory,
  exit: () => process.exit(0),
};

startWorker(platform);
