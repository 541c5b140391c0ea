import type { Endpoint } from 'comlink';
import type { PinRequest, PinResult } from './pin.ts';

/** What the host must tell about a worker thread that it started. */
export interface WorkerEvents {
  /** The thread is gone. `error` is what ended it, if something did. Called exactly once. */
  onExit(exitCode: number, error: unknown): void;
  /** The thread has printed something that was to be diverted. */
  onOutput(stream: 'stdout' | 'stderr', chunk: Uint8Array): void;
}

/** Options for the thread itself; hosts that do not know one ignore it (docs/ARCHITECTURE.md lists them). */
export interface WorkerThreadOptions {
  readonly name: string;
  readonly workerData?: unknown;
  readonly resourceLimits?: ResourceLimitsOption;
  readonly execArgv?: readonly string[];
  readonly argv?: readonly string[];
  readonly env?: Record<string, string | undefined> | symbol;
  /** Divert what it prints to {@link WorkerEvents.onOutput}. */
  readonly stdout?: boolean;
  readonly stderr?: boolean;
}

/** V8 limits of one worker, in MiB, as Node's `Worker` takes them. */
export interface ResourceLimitsOption {
  readonly maxOldGenerationSizeMb?: number;
  readonly maxYoungGenerationSizeMb?: number;
  readonly codeRangeSizeMb?: number;
  readonly stackSizeMb?: number;
}

/** A worker thread as the pool sees it. */
export interface PlatformWorker {
  /** The host's id of the thread. */
  readonly threadId: number;
  /** Control plane: what comlink talks through. */
  readonly endpoint: Endpoint;
  /**
   * Has the thread ended, as far as that can be told without a turn of the event loop? Once it has, no code runs in it any more; `onExit` is still to
   * come. False says nothing.
   */
  hasEnded(): boolean;
  /** The thread is to end, and waits then until what it has printed is read: drops what nobody reads. */
  dropUnread(): void;
  /** Ends the thread now, wherever it is. Resolves when it is gone. */
  terminate(): Promise<void>;
}

/** A thread of the user's. */
export interface WatchedWorker {
  readonly threadId: number;
  /** As {@link PlatformWorker.hasEnded}. */
  hasEnded(): boolean;
}

/** How a thread that joins a runtime lets the one that made it know of its end. Structured-cloneable. */
export interface Lifeline {
  /** The host's id of the thread that made the runtime. */
  readonly thread: number;
  readonly id: number;
}

/** The lifelines of those who joined one runtime. */
export interface Lifelines {
  readonly lifeline: Lifeline | undefined;
  /** Nobody's end is told any more. */
  close(): void;
}

/** One end of a channel for values that shared memory cannot carry. Messages are taken one by one or by callback. */
export interface ValuePort {
  post(message: unknown, transfer: readonly Transferable[]): void;
  /** Calls back for each message. Keeps no process alive. */
  listen(receive: (message: unknown) => void): void;
  /** Takes a message that has arrived but was not delivered yet, where the host can; undefined otherwise. */
  poll(): { message: unknown } | undefined;
  close(): void;
}

/** What the main side needs from the host: Node or a browser. */
export interface Platform {
  readonly name: 'node' | 'browser';
  /** Threads that can run at once, at least 1. */
  parallelism(): number;
  /** Bytes of shared memory that a runtime reserves by default. */
  readonly defaultMemoryBytes: number;
  /** Milliseconds to add to `performance.now()` so that all threads of the process read one clock. */
  clockOffset(): number;
  /** Runs `callback` in a new turn of the event loop, after I/O that is ready. */
  turn(callback: () => void): void;
  /** A handle that keeps the process alive between `ref` and `unref`. */
  keepAlive(): { ref(): void; unref(): void };
  /** A timer that keeps no process alive. Returns a function that cancels it. */
  timer(callback: () => void, ms: number): () => void;
  /** Starts a thread with heddle's worker entry, or with `factory`. */
  startWorker(
    factory: (() => unknown) | undefined,
    options: WorkerThreadOptions,
    events: WorkerEvents,
  ): PlatformWorker;
  /** The host's id of the calling thread; 0 where it has none. */
  threadId(): number;
  /** Calls back when the calling thread ends by itself or by `process.exit`. Returns a function that takes it back. */
  onThreadExit(callback: () => void): () => void;
  /**
   * Calls back with the id of a worker thread that the user made, once it is gone however it ended. Returns what tells that before the event loop
   * does, as {@link PlatformWorker.hasEnded}.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for what is no such worker, or where the host cannot tell.
   */
  watchWorker(worker: unknown, onGone: (threadId: number) => void): WatchedWorker;
  /** Calls back with the id of each thread that held the lifeline, once it is gone however it ended. Hosts that cannot tell have no lifeline. */
  openLifelines(onGone: (threadId: number) => void): Lifelines;
  /** Holds a lifeline until the calling thread ends. Does nothing in the thread that opened it, and where it holds it already. */
  holdLifeline(lifeline: Lifeline): void;
  /** The operating system's id of the calling thread; 0 where it cannot be told. */
  kernelThreadId(): number;
  /** Is there no thread of this id in the process any more? False where that cannot be told. */
  hasKernelThreadEnded(kernelThread: number): boolean;
  /** Sets the priority of a thread of this process, by the operating system's id, as Unix counts it and on top of the process's. Returns why that did not work. */
  setThreadNiceness(kernelThread: number, niceness: number): string | undefined;
  /** May the calling thread block? Not the main thread of a page. */
  mayBlock(): boolean;
  /** A store that follows async code, where the host has one. */
  newAsyncStore(): AsyncStore | undefined;
  /** A channel: our end, and the end to transfer to the worker. */
  channel(): { local: ValuePort; remote: Transferable };
  /** Calls back each time the process is about to exit because nothing is left to do; returns a function that takes it back. */
  beforeExit(callback: () => void): () => void;
  /** The host's channel of this name; where it has none, one that nobody listens on. */
  eventChannel(name: string): EventChannel;
  /** Tells a person of a failure that nobody listens for. */
  warn(what: string, error: unknown): void;
  /** The importable URL of a task module given as URL, `file:` / `http:` string or absolute path. */
  moduleUrl(module: string | URL): string;
}

/** What the worker side needs from the host. */
export interface WorkerPlatform {
  readonly name: 'node' | 'browser';
  readonly threadId: number;
  readonly workerData: unknown;
  /** Where the control plane is exposed. Keeps the thread alive. */
  readonly endpoint: Endpoint;
  clockOffset(): number;
  turn(callback: () => void): void;
  /** Turns the end of a channel that arrived with the boot message into a port. */
  openPort(remote: unknown): ValuePort;
  /** A store that follows async code, where the host has one: it holds the task. */
  readonly asyncStore: AsyncStore | undefined;
  /** Another such store. */
  newAsyncStore(): AsyncStore | undefined;
  /** Errors that no task caught: timers, late rejections. The thread goes on. */
  onUncaught(report: (error: unknown, origin: 'exception' | 'rejection') => void): void;
  /** Bytes of JavaScript heap in use, where the host tells. */
  heapUsedBytes(): number | undefined;
  /** Resolves when what the thread has printed is on its way out of the process. */
  flush(): Promise<void>;
  /** Pins this thread to the CPUs of a NUMA node, and lets its memory come from there; without a node, undoes that. Never rejects. */
  pin(request: PinRequest): Promise<PinResult>;
  /** Sets the priority of this thread, as Unix counts it and on top of the process's. Returns why that did not work. */
  setNiceness(niceness: number): string | undefined;
  /** The operating system's id of this thread; 0 where it tells none. */
  kernelThreadId(): number;
  /** Moves the span at `address` of shared memory to a NUMA node, where the host can. */
  placeMemory(memory: WebAssembly.Memory, address: number, node: number): void;
  /** Ends this thread. */
  exit(): void;
}

/** A channel on which others may listen to what happens. */
export interface EventChannel {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}

/** A value that follows a call and everything asynchronous that comes of it. */
export interface AsyncStore {
  run<R>(value: unknown, fn: () => R): R;
  get(): unknown;
  /** It is used no more. */
  close(): void;
}
