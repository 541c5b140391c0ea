import { AsyncLocalStorage } from 'node:async_hooks';
import { Buffer } from 'node:buffer';
import { channel } from 'node:diagnostics_channel';
import { availableParallelism } from 'node:os';
import { isAbsolute } from 'node:path';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  type TransferListItem,
  threadId,
  Worker,
  type WorkerOptions,
} from 'node:worker_threads';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { setBufferAllocator } from '../codec/buffers.ts';
import { setStringCodec } from '../codec/pack.ts';
import { HeddleError, InvalidTypeError } from '../errors.ts';
import { describe } from '../options.ts';
import { hasKernelThreadEnded, kernelThreadId } from './kernel-thread.ts';
import { makeBuffer } from './large-buffers.ts';
import { holdLifeline, openLifelines } from './lifelines.ts';
import { setNiceness } from './niceness.ts';
import type {
  AsyncStore,
  Platform,
  PlatformWorker,
  ValuePort,
  WorkerEvents,
  WorkerThreadOptions,
} from './port.ts';

/** Far enough in the future that the timer never fires; it is only there to be held on to. */
const NEVER_MS = 2 ** 31 - 1;
/** Fork/join recursion lives on the worker's stack: 10,000 outstanding forks need more than V8's default of 4 MiB. */
const STACK_MIB = 16;

const CLOCK_READINGS = 8;

/** Offset of `performance.now()` to the monotonic clock that all threads of the process share. */
export function clockOffset(): number {
  // Time that passes between the two readings makes it smaller, and a preempted thread loses milliseconds there.
  let offset = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < CLOCK_READINGS; i++)
    offset = Math.max(offset, Number(process.hrtime.bigint()) / 1e6 - performance.now());
  return offset;
}

/** Lets the codec read text with Node's native routines, on shared memory too, and make large buffers without zeroing them. */
export function useNativeCodecs(): void {
  setStringCodec(nativeStrings);
  setBufferAllocator(makeBuffer);
}

/** One timer of the thread for all that keep it alive: one each would stay in Node's lists after them. */
let aliveTimer: NodeJS.Timeout | undefined;
let holders = 0;

function keepAlive(): { ref(): void; unref(): void } {
  aliveTimer ??= setInterval(() => undefined, NEVER_MS).unref();
  const timer = aliveTimer;
  let holds = false;
  return {
    ref() {
      if (holds) return;
      holds = true;
      if (holders++ === 0) timer.ref();
    },
    unref() {
      if (!holds) return;
      holds = false;
      if (--holders === 0) timer.unref();
    },
  };
}

/** A store over an AsyncLocalStorage of its own. */
export function newAsyncStore(): AsyncStore {
  const store = new AsyncLocalStorage<unknown>();
  return {
    run: (value, fn) => store.run(value, fn),
    get: () => store.getStore(),
    // Node before 24 writes the value of each store that was ever used to every promise and timer, until it is disabled.
    close: () => store.disable(),
  };
}

let lastBytes: Uint8Array | undefined;
let lastBuffer: Buffer;

/** The same few arrays come again and again, so the view over the last one is kept. */
function asBuffer(bytes: Uint8Array): Buffer {
  if (bytes !== lastBytes) {
    lastBytes = bytes;
    lastBuffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  return lastBuffer;
}

const nativeStrings = {
  latin1Slice: (bytes: Uint8Array, start: number, end: number): string =>
    asBuffer(bytes).toString('latin1', start, end),
  utf8Slice: (bytes: Uint8Array, start: number, end: number): string =>
    asBuffer(bytes).toString('utf8', start, end),
};

/** A port of node:worker_threads as heddle uses it. */
export function openPort(port: MessagePort): ValuePort {
  return {
    post: (message, transfer) => port.postMessage(message, transfer as unknown as TransferListItem[]),
    listen(receive) {
      port.on('message', receive);
      port.unref();
    },
    poll: () => receiveMessageOnPort(port) as { message: unknown } | undefined,
    close: () => port.close(),
  };
}

function startWorker(
  factory: (() => unknown) | undefined,
  options: WorkerThreadOptions,
  events: WorkerEvents,
): PlatformWorker {
  const worker = factory === undefined ? defaultWorker(options) : factory();
  if (!(worker instanceof Worker)) {
    throw new InvalidTypeError(
      `the 'worker' factory must return a Worker of node:worker_threads, not ${describe(worker)}`,
    );
  }
  const { threadId } = worker;
  let failure: unknown;
  worker.on('error', (error) => {
    failure ??= error;
  });
  worker.on('exit', (exitCode) => events.onExit(exitCode, failure));
  const endpoint = nodeEndpoint(worker);
  if (factory === undefined) {
    if (options.stdout === true) divert(worker.stdout, (chunk) => events.onOutput('stdout', chunk));
    if (options.stderr === true) divert(worker.stderr, (chunk) => events.onOutput('stderr', chunk));
  }
  // The pool holds on to the process while calls are outstanding; its threads do not. Listening takes a new hold each time.
  worker.unref();
  return {
    threadId,
    hasEnded: endOf(worker),
    endpoint: {
      ...endpoint,
      addEventListener(type, listener) {
        endpoint.addEventListener(type, listener);
        worker.unref();
      },
    },
    dropUnread() {
      for (const stream of [worker.stdout, worker.stderr])
        if (stream.readableFlowing === null) stream.resume();
    },
    terminate: async () => {
      await worker.terminate();
    },
  };
}

/** Without Node's options of that name: a stream that they make keeps the process alive while it is read. */
function divert(stream: Readable, receive: (chunk: Uint8Array) => void): void {
  stream.unpipe();
  stream.on('data', receive);
  stream.resume();
}

function defaultWorker(options: WorkerThreadOptions): Worker {
  const threadOptions: WorkerOptions = {
    name: options.name,
    workerData: options.workerData,
    resourceLimits: { stackSizeMb: STACK_MIB, ...options.resourceLimits },
    ...(options.execArgv === undefined ? {} : { execArgv: [...options.execArgv] }),
    ...(options.argv === undefined ? {} : { argv: [...options.argv] }),
    ...(options.env === undefined ? {} : { env: options.env as NodeJS.Dict<string> }),
  };
  try {
    return new Worker(new URL('../worker.node.ts', import.meta.url), threadOptions);
  } catch (error) {
    throw threadFault(error);
  }
}

/** What Node says of options that it does not take, or of a thread that the system does not give. */
function threadFault(error: unknown): unknown {
  const { name, code, message } = error as NodeJS.ErrnoException;
  // The pool knows what it was that cannot be cloned.
  if (name === 'DataCloneError') return error;
  if (code === 'ERR_WORKER_INIT_FAILED' || code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new HeddleError('ERR_RESOURCE_LIMIT', `cannot start a worker thread: ${message}`, {
      cause: error,
    });
  return new InvalidTypeError(`createPool(): Node refuses the options of a worker thread: ${message}`, {
    cause: error,
  });
}

/** One listener for all pools: Node warns of leaks beyond ten. */
const beforeExitCallbacks = new Set<() => void>();
const onBeforeExit = (): void => {
  for (const callback of beforeExitCallbacks) callback();
};

/**
 * What says whether a thread has ended whose end was not told yet. Node reads how long a worker's loop was idle from the worker's environment, and has -1 where
 * that is gone: after the last code of the thread, its exit handlers included (`Worker::LoopIdleTime` of node_worker.cc). Only for a loop whose beginning it has
 * seen, so that is looked at as soon as the thread goes; 0 as long as it has not, and once the end was told.
 */
function endOf(worker: Worker): () => boolean {
  const look = (): number => worker.performance.eventLoopUtilization().idle;
  look();
  worker.once('online', look);
  return () => look() < 0;
}

/** Node as the host of pools. */
export const nodePlatform: Platform = {
  name: 'node',
  parallelism: availableParallelism,
  defaultMemoryBytes: 2 ** 30,
  clockOffset,
  turn: setImmediate,
  keepAlive,
  timer(callback, ms) {
    const timer = setTimeout(callback, Math.min(ms, NEVER_MS)).unref();
    return () => clearTimeout(timer);
  },
  startWorker,
  threadId: () => threadId,
  onThreadExit(callback) {
    process.on('exit', callback);
    return () => process.off('exit', callback);
  },
  watchWorker(worker, onGone) {
    if (!(worker instanceof Worker))
      throw new InvalidTypeError(`watch() takes a Worker of node:worker_threads, not ${describe(worker)}`);
    // An ended worker has no id any more.
    const { threadId: id } = worker;
    worker.once('exit', () => onGone(id));
    return { threadId: id, hasEnded: endOf(worker) };
  },
  openLifelines,
  holdLifeline,
  kernelThreadId,
  hasKernelThreadEnded,
  setThreadNiceness(kernelThread, niceness) {
    // It may have ended, and its id be that of another process.
    return hasKernelThreadEnded(kernelThread) ? undefined : setNiceness(niceness, kernelThread);
  },
  mayBlock: () => true,
  newAsyncStore,
  channel() {
    const { port1, port2 } = new MessageChannel();
    return { local: openPort(port1), remote: port2 as unknown as Transferable };
  },
  beforeExit(callback) {
    if (beforeExitCallbacks.size === 0) process.on('beforeExit', onBeforeExit);
    beforeExitCallbacks.add(callback);
    return () => {
      beforeExitCallbacks.delete(callback);
      if (beforeExitCallbacks.size === 0) process.off('beforeExit', onBeforeExit);
    };
  },
  eventChannel: channel,
  warn(what, error) {
    process.emitWarning(
      `${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      'HeddleWarning',
    );
  },
  moduleUrl(module) {
    if (module instanceof URL) return module.href;
    if (typeof module !== 'string')
      throw new InvalidTypeError(`'tasks' must be a URL or a string, not ${describe(module)}`);
    if (isAbsolute(module)) return pathToFileURL(module).href;
    if (URL.canParse(module)) return module;
    throw new InvalidTypeError(
      `'tasks' must be a URL or an absolute path, not ${describe(module)}; write new URL('./tasks.js', import.meta.url)`,
    );
  },
};
