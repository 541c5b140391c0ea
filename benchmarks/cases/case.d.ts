import type { StartedPool } from '../contenders/contender.d.ts';

export type Mode = 'quick' | 'full';

export interface Metric {
  key: string;
  label: string;
  unit: string;
  better: 'lower' | 'higher';
}

export interface Variant {
  key: string;
  label: string;
  /** Sent to the process that takes the turn. */
  params: Record<string, unknown>;
  /** Instead of `--threads`. */
  threads?: number;
}

export type Metrics = Record<string, unknown>;

export interface Case {
  id: string;
  title: string;
  /** What was measured and how, in a sentence or two for the reader of the table. */
  note: string;
  /** The first one is what ratios are made of. */
  metrics: Metric[];
  rounds: Record<Mode, number>;
  timeoutMs: number;
  variants(mode: Mode, threads: number): Variant[];
  /** Which contenders take part; `bestPeer` is the fastest pool in the case 'in-flight'. */
  includes(
    contender: { id: string; kind: string; second?: boolean },
    context: { bestPeer: string; mode: Mode; variant: Variant },
  ): boolean;
  /** Independent processes take a turn in each round as well: the machine's limit. */
  usesLimit?: boolean;
  /** The metrics of a turn are named freely and all in this unit; rows are their names. */
  listUnit?: string;
  /** Rows are contenders and columns are variants of the first metric. */
  matrix?: boolean;
  /** A new process for each turn. */
  isolate?: boolean;
  /** The turn starts its own processes: the agent starts no pool. */
  ownProcess?: boolean;
  /** Given to the contender's `start`. */
  startOptions?: Record<string, unknown>;
  /** Runs in the agent. Throws on a wrong result. */
  turn(pool: StartedPool, params: any, context: { threads: number; contenderId: string }): Promise<Metrics>;
  /** Adds what follows from several contenders of one round; throwing fails that contender's sample. */
  derive?(
    metrics: Metrics,
    round: Map<string, Metrics>,
    context: { threads: number; contenderId: string },
  ): Metrics;
}
