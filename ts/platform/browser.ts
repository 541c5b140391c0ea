import type { Endpoint } from 'comlink';
import { InvalidTypeError, NotIsolatedError } from '../errors.ts';
import { describe } from '../options.ts';
import type {
  EventChannel,
  Platform,
  PlatformWorker,
  ValuePort,
  WorkerEvents,
  WorkerThreadOptions,
} from './port.ts';

/** Browsers keep a timer's delay in 32 bits; a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** First message to a worker, on its control endpoint; comlink overlooks it. */
export interface StartNotice {
  readonly heddle: 'start';
  readonly threadId: number;
  /** Name of the Web Lock that the worker takes, and that the browser frees when the thread is gone. */
  readonly lock: string;
}

/** The worker's answer: it holds its lock. */
export interface HeldNotice {
  readonly heddle: 'held';
}

/** Is this message of the control endpoint the notice of that kind? */
export function isNotice<N extends StartNotice | HeldNotice>(data: unknown, kind: N['heddle']): data is N {
  return typeof data === 'object' && data !== null && (data as { heddle?: unknown }).heddle === kind;
}

/**
 * Checks that shared memory can go to workers.
 *
 * @throws {NotIsolatedError} ERR_NOT_ISOLATED otherwise.
 */
export function assertIsolated(): void {
  // Some browsers can be told to have SharedArrayBuffer without isolation; posting it to a worker fails all the same.
  if (typeof SharedArrayBuffer === 'undefined' || !globalThis.crossOriginIsolated)
    throw new NotIsolatedError();
}

/** `performance.now()` counts from each thread's own start. */
export function clockOffset(): number {
  return performance.timeOrigin;
}

const turns: (() => void)[] = [];
let turnPort: MessagePort | undefined;

/** Timers are clamped to 4 ms; a message is not. One channel serves the thread, so a turn makes no object of ours. */
export function turn(callback: () => void): void {
  turns.push(callback);
  turnPort ??= openTurns();
  turnPort.postMessage(0);
}

function openTurns(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => turns.shift()?.();
  return port2;
}

/** A MessagePort as heddle uses it. Browsers cannot take a message before its event, so a value may come later than its slot. */
export function openPort(port: MessagePort): ValuePort {
  return {
    post: (message, transfer) => port.postMessage(message, [...transfer]),
    listen(receive) {
      // Setting the handler starts the port.
      port.onmessage = (event) => receive(event.data);
    },
    poll: () => undefined,
    close: () => port.close(),
  };
}

let threads = 0;

/**
 * Browsers say nothing when a worker ends, and a terminated one goes on for a while: Chromium gives a busy one 2 s. Its part of the shared
 * memory may be taken over only when it is gone. So a worker takes a Web Lock before it is booted, and the browser frees that when the thread is
 * gone, however it ended.
 */
function startWorker(
  factory: (() => unknown) | undefined,
  _options: WorkerThreadOptions,
  events: WorkerEvents,
): PlatformWorker {
  const worker = factory === undefined ? defaultWorker() : factory();
  if (!(worker instanceof Worker)) {
    throw new InvalidTypeError(`the 'worker' factory must return a Worker, not ${describe(worker)}`);
  }
  const threadId = ++threads;
  const lock = `heddle-worker-${crypto.randomUUID()}`;
  const early: [message: unknown, transfer: Transferable[]][] = [];
  let isHeld = false;
  let hasExited = false;
  let exitCode = 0;
  let setGone = (): void => undefined;
  const gone = new Promise<void>((resolve) => {
    setGone = resolve;
  });
  const exit = (code: number, error: unknown): void => {
    if (hasExited) return;
    hasExited = true;
    events.onExit(code, error);
    setGone();
  };
  const terminate = (error: unknown): Promise<void> => {
    exitCode = 1;
    worker.terminate();
    // A worker without its lock has not been booted: it knows no shared memory.
    if (!isHeld) exit(exitCode, error);
    return gone;
  };
  worker.addEventListener('message', (event) => {
    if (isHeld || hasExited || !isNotice<HeldNotice>(event.data, 'held')) return;
    isHeld = true;
    void navigator.locks.request(lock, () => exit(exitCode, undefined));
    for (const [message, transfer] of early.splice(0)) worker.postMessage(message, transfer);
  });
  worker.addEventListener('error', (event) => {
    if (isHeld) return;
    event.preventDefault();
    void terminate(loadError(event));
  });
  worker.postMessage({ heddle: 'start', threadId, lock } satisfies StartNotice);
  const endpoint: Endpoint = {
    postMessage(message: unknown, transfer: Transferable[] = []) {
      if (isHeld) worker.postMessage(message, transfer);
      else early.push([message, transfer]);
    },
    addEventListener: worker.addEventListener.bind(worker),
    removeEventListener: worker.removeEventListener.bind(worker),
  };
  return {
    threadId,
    endpoint,
    hasEnded: () => false,
    dropUnread: () => undefined,
    terminate: () => terminate(undefined),
  };
}

/** The options are literals without a name, because bundlers read them. */
function defaultWorker(): Worker {
  return new Worker(new URL('../worker.browser.ts', import.meta.url), { type: 'module' });
}

/** A script that did not load has an event without details; one that threw has a message and a place. */
function loadError(event: ErrorEvent): Error {
  if (event.message)
    return new Error(`the worker script failed: ${event.message} (${event.filename}:${event.lineno})`);
  return new Error(
    'the worker script could not be loaded: it must be served as JavaScript, from the origin of the page, with the header ' +
      '"Cross-Origin-Embedder-Policy: require-corp"; a bundler may need the option worker',
  );
}

/** Browsers have no channels for diagnostics. */
const NOBODY: EventChannel = { hasSubscribers: false, publish: () => undefined };

/** A browser as the host of pools. */
export const browserPlatform: Platform = {
  name: 'browser',
  parallelism: () => Math.max(1, navigator.hardwareConcurrency || 1),
  defaultMemoryBytes: 2 ** 28,
  clockOffset,
  turn,
  // A page lives as long as its tab.
  keepAlive: () => ({ ref: () => undefined, unref: () => undefined }),
  timer(callback, ms) {
    const timer = setTimeout(callback, Math.min(ms, LONGEST_MS));
    return () => clearTimeout(timer);
  },
  startWorker,
  threadId: () => 0,
  // The thread is gone before anything could be called.
  onThreadExit: () => () => undefined,
  watchWorker() {
    throw new InvalidTypeError('watch() works in Node only: a browser does not tell that a worker has ended');
  },
  openLifelines: () => ({ lifeline: undefined, close: () => undefined }),
  holdLifeline: () => undefined,
  kernelThreadId: () => 0,
  hasKernelThreadEnded: () => false,
  // A worker of a page may; the page itself, and a service worker, may not.
  setThreadNiceness: () => 'a page cannot set priorities',
  mayBlock: () => 'DedicatedWorkerGlobalScope' in globalThis || 'SharedWorkerGlobalScope' in globalThis,
  newAsyncStore: () => undefined,
  channel() {
    const { port1, port2 } = new MessageChannel();
    return { local: openPort(port1), remote: port2 };
  },
  // A page has no end that could wait; its console needs no flush.
  beforeExit: () => () => undefined,
  eventChannel: () => NOBODY,
  warn(what, error) {
    console.warn(`${what}:`, error);
  },
  moduleUrl(module) {
    if (module instanceof URL) return module.href;
    if (typeof module !== 'string')
      throw new InvalidTypeError(`'tasks' must be a URL or a string, not ${describe(module)}`);
    if (URL.canParse(module, location.href)) return new URL(module, location.href).href;
    throw new InvalidTypeError(
      `'tasks' must be a URL or a string that resolves against the page's, not ${describe(module)}`,
    );
  },
};
