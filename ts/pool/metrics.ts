import {
  AGENT_ACTIVITY,
  AGENT_RUN_HISTOGRAM,
  AGENT_WAIT_HISTOGRAM,
  COUNTER_BORN_MS,
  COUNTER_BUSY_MS,
  COUNTER_COMPLETED,
  COUNTER_FAILED,
  COUNTER_FORKS,
  COUNTER_FORKS_STOLEN,
  COUNTER_LOAD_MS,
  COUNTER_NUMA_CROSSINGS,
  COUNTER_PARKS,
  COUNTER_STEAL_ATTEMPTS,
  COUNTER_STEAL_SUCCESSES,
  COUNTER_WAIT_MS,
  COUNTER_WAKEUPS,
  HISTOGRAM_BUCKETS,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { PinResult } from '../systems/types.ts';
import type { WorkerMetrics } from './types.ts';

const STATES: readonly WorkerMetrics['state'][] = [
  'booting',
  'running',
  'searching',
  'parked',
  'idle',
  'awaiting',
];

/** The counters of one worker, or of all that ended, added up. */
export interface Tally {
  completed: number;
  failed: number;
  stealAttempts: number;
  stealSuccesses: number;
  numaCrossings: number;
  forks: number;
  forksStolen: number;
  parks: number;
  wakeups: number;
  waitMs: number;
  busyMs: number;
  readonly wait: Float64Array;
  readonly run: Float64Array;
}

/** All zero. */
export function emptyTally(): Tally {
  return {
    completed: 0,
    failed: 0,
    stealAttempts: 0,
    stealSuccesses: 0,
    numaCrossings: 0,
    forks: 0,
    forksStolen: 0,
    parks: 0,
    wakeups: 0,
    waitMs: 0,
    busyMs: 0,
    wait: new Float64Array(HISTOGRAM_BUCKETS),
    run: new Float64Array(HISTOGRAM_BUCKETS),
  };
}

/** Adds an agent's counters to a tally. One read of shared memory each. */
export function addAgent(tally: Tally, kernel: Kernel, agent: number): void {
  const { f64, u32 } = kernel;
  const counter = (offset: number): number => f64[(agent + offset) >>> 3]!;
  tally.completed += counter(COUNTER_COMPLETED);
  tally.failed += counter(COUNTER_FAILED);
  tally.stealAttempts += counter(COUNTER_STEAL_ATTEMPTS);
  tally.stealSuccesses += counter(COUNTER_STEAL_SUCCESSES);
  tally.numaCrossings += counter(COUNTER_NUMA_CROSSINGS);
  tally.forks += counter(COUNTER_FORKS);
  tally.forksStolen += counter(COUNTER_FORKS_STOLEN);
  tally.parks += counter(COUNTER_PARKS);
  tally.wakeups += counter(COUNTER_WAKEUPS);
  tally.waitMs += counter(COUNTER_WAIT_MS);
  tally.busyMs += counter(COUNTER_BUSY_MS);
  for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
    tally.wait[i]! += u32[((agent + AGENT_WAIT_HISTOGRAM) >>> 2) + i]!;
    tally.run[i]! += u32[((agent + AGENT_RUN_HISTOGRAM) >>> 2) + i]!;
  }
}

/** Does a worker run tasks? Not one that looks for some, or awaits an async one. */
export function isRunning({ f64 }: Kernel, agent: number): boolean {
  return f64[(agent + COUNTER_LOAD_MS) >>> 3]! < 0;
}

/** Milliseconds in which a worker ran tasks, those that it runs now among them. `now` counts from the runtime's epoch. */
export function busyMsOf({ f64 }: Kernel, agent: number, now: number): number {
  const load = f64[(agent + COUNTER_LOAD_MS) >>> 3]!;
  return load < 0 ? Math.max(0, now + load) : load;
}

/** What one living worker did. */
export function readWorker(
  kernel: Kernel,
  agent: number,
  facts: {
    id: number;
    threadId: number;
    booting: boolean;
    now: number;
    numaNode: number | undefined;
    pin: PinResult | undefined;
  },
): WorkerMetrics {
  const { f64, i32 } = kernel;
  const counter = (offset: number): number => f64[(agent + offset) >>> 3]!;
  const age = facts.now - counter(COUNTER_BORN_MS);
  const busyMs = busyMsOf(kernel, agent, facts.now);
  return {
    id: facts.id,
    threadId: facts.threadId,
    numaNode: facts.numaNode,
    pin: facts.pin,
    state: facts.booting ? 'booting' : (STATES[i32[(agent + AGENT_ACTIVITY) >>> 2]!] ?? 'booting'),
    utilization: age > 0 ? Math.min(1, busyMs / age) : 0,
    busyMs,
    completed: counter(COUNTER_COMPLETED),
    failed: counter(COUNTER_FAILED),
    stealAttempts: counter(COUNTER_STEAL_ATTEMPTS),
    stealSuccesses: counter(COUNTER_STEAL_SUCCESSES),
    forks: counter(COUNTER_FORKS),
    parks: counter(COUNTER_PARKS),
    wakeups: counter(COUNTER_WAKEUPS),
  };
}
