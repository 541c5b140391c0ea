/** What a user of the explorer writes: a binary, and models of what its threads do. README.md explains both. */

/** Kinds of access; a binary passes the first six to `schedule.point`. */
export const LOAD = 0;
export const STORE = 1;
export const RMW = 2;
export const CAS = 3;
export const PLAIN_LOAD = 4;
export const PLAIN_STORE = 5;
export const WAIT = 6;
/** A thread that waited goes on. */
export const WAKE = 7;
export const NOTIFY = 8;
export const RELAX = 9;
/** A thread runs up to its first access. */
export const START = 10;
/** A thread that may die is about to write what no other thread accesses, or to return from a call. */
export const OWN = 11;
/** A thread that asks who died is about to go on after a call. */
export const LOOK = 12;

export const KIND_NAMES: readonly string[] = [
  'load',
  'store',
  'rmw',
  'cas',
  'read',
  'write',
  'wait',
  'wake',
  'notify',
  'relax',
  'start',
  'own',
  'look',
];

/** A suspendable WebAssembly module: made with binaryen's asyncify, it calls `schedule.point` before each access. */
export interface Binary<Exports> {
  readonly module: WebAssembly.Module;
  /** Imported memory: pages of 64 KiB that belong to the binary. The explorer keeps its stacks above them. */
  readonly pages: number;
  /** Most pages of the imported memory; it must be what the binary says. */
  readonly maximumPages: number;
  /** Other imports, for a binary in which mutant `mutant` is made (0: none). */
  readonly imports: (mutant: number) => WebAssembly.Imports;
  /** Never called; tells the type of the exports. */
  readonly exports?: Exports;
}

/** The memory, and calls outside of any thread: in set-up and checks. They run to their end at once. */
export interface World<Exports> {
  readonly calls: Exports;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly u8: Uint8Array;
  readonly f64: Float64Array;
  /** First byte of 4 KiB that the binary does not use, for words of the model itself. */
  readonly scratch: number;
}

/** A call that a thread makes by yielding it. */
export interface Call {
  readonly name: string;
  readonly args: readonly (number | bigint)[];
}

/** What a thread calls: `const slot = yield call.pop(deque)`. */
export type Calls<Exports> = {
  readonly [Name in keyof Exports]: Exports[Name] extends (...args: infer Args) => unknown
    ? (...args: Args) => Call
    : never;
};

/** What the code of a thread is given. */
export interface Thread<Exports, Fixture, State> {
  readonly call: Calls<Exports>;
  /** Index of the thread. */
  readonly id: number;
  readonly world: World<Exports>;
  readonly fixture: Fixture;
  readonly state: State;
  /** Indices of the threads that were killed so far, in order; the same list all along. */
  readonly dead: readonly number[];
}

export type Steps = Generator<Call, void, any>;

export interface ThreadSpec<Exports, Fixture, State> {
  readonly name: string;
  readonly run: (thread: Thread<Exports, Fixture, State>) => Steps;
  /** Starts only when a thread was killed. */
  readonly onDeath?: boolean;
}

/** How an execution ended. */
export interface Outcome {
  /** Threads that came to their end. */
  readonly finished: readonly number[];
  readonly killed: readonly number[];
  /** Threads that wait and that nobody will wake. */
  readonly waiting: readonly number[];
}

export interface Mutant {
  readonly name: string;
  /** What `Binary.imports` is told. */
  readonly id: number;
  /** What goes wrong. */
  readonly why: string;
  /** What the failure must say, so that it is this that was seen. */
  readonly sees?: RegExp;
  /** Preemption bound under which it must be found; the model's own otherwise. */
  readonly preemptions?: number;
}

export interface Model<Exports, Fixture = unknown, State = unknown> {
  readonly name: string;
  readonly structure: string;
  /** What holds in all executions. */
  readonly property: string;
  readonly threads: readonly ThreadSpec<Exports, Fixture, State>[];
  /** Runs once; must be deterministic. Returns what all executions share: addresses, mostly. */
  readonly setup: (world: World<Exports>) => Fixture;
  /** Notes that the threads take in JavaScript, new for each execution. */
  readonly state?: (fixture: Fixture) => State;
  /** Returns what is wrong at the end of an execution, or nothing; may throw instead. */
  readonly check: (
    world: World<Exports>,
    fixture: Fixture,
    state: State,
    outcome: Outcome,
  ) => string | undefined;
  /** As check(), before every step. Slow. */
  readonly invariant?: (world: World<Exports>, fixture: Fixture, state: State) => string | undefined;
  /** Is it right that these threads wait for ever? Without it, it is a deadlock. */
  readonly rests?: (
    waiting: readonly number[],
    world: World<Exports>,
    fixture: Fixture,
    state: State,
  ) => boolean;
  /** Which threads may die, and how many in one execution (1). */
  readonly kill?: { readonly threads: readonly number[]; readonly most?: number };
  /** Waits without a notification that an execution may end early as if there had been one (0). */
  readonly spurious?: number;
  /** Waits with a timeout that may time out although another thread could go on (2). */
  readonly timeouts?: number;
  /** Preemption bounds to explore, in order; Infinity for all interleavings. */
  readonly bounds: readonly number[];
  /** Steps after which an execution is given up as one that never ends (5000). */
  readonly maxSteps?: number;
  /** Name of an address, for people. */
  readonly describe?: (address: number, fixture: Fixture) => string | undefined;
  readonly mutants?: readonly Mutant[];
  /** Part of the short run of the test command, under the first bound or with so many preemptions. */
  readonly quick?: boolean | number;
  /** Takes minutes: begins first, so that all threads of a run end together. */
  readonly isLong?: boolean;
}

export type AnyModel<Exports> = Model<Exports, any, any>;

export interface Failure {
  readonly model: string;
  readonly mutant: number;
  readonly kind: 'check' | 'deadlock' | 'livelock' | 'exception';
  readonly message: string;
  /** Who acted at each decision: a thread, or -1 - thread for its death. */
  readonly schedule: readonly number[];
  /** Where there was a decision, as Machine.visible() says it. */
  readonly visible: readonly number[];
  readonly preemptions: number;
}
