/** What the cases need of a started pool; nothing here adds work to a contender's own path. */
export interface StartedPool {
  /** Runs a task of `benchmarks/tasks.mjs` with its one argument. */
  run(name: string, arg: unknown, transferList?: readonly unknown[]): PromiseLike<unknown>;
  /** Bytes that every thread sees; a SharedArrayBuffer unless the contender has its own shared memory. */
  sharedBytes?(length: number): Uint8Array;
  /** Cells that every thread sees. */
  sharedCells?(length: number): Int32Array;
  /** The contender's own way to run many tasks over a list, where it has one. */
  map?(name: string, args: readonly unknown[]): Promise<unknown[]>;
  /** What only the library under test has; the cases that need it skip the others. */
  extra?: unknown;
  stop(): Promise<void>;
}

export interface Contender {
  /** Unique among all contenders; what `--contenders` names. */
  id: string;
  label: string;
  /** The package that it measures, so that several configurations of one can be grouped. */
  library: string;
  version: string;
  /** Only in the echo cases of a full run: a configuration that the sweep put close behind another one. */
  second?: boolean;
  /** Takes part in this suite only. */
  suite?: string;
  kind: 'heddle' | 'pool' | 'raw' | 'inline' | 'limit' | 'lock' | 'twin' | 'floor';
  start(options: { threads: number }): Promise<StartedPool>;
}
