import { BUCKET_BOUNDS_NS } from '../kernel/histogram.ts';

/** What a metric is, by the name that OpenTelemetry knows it by. */
export interface MetricDefinition {
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** As UCUM has it; what is counted stands in braces. */
  readonly unit: string;
  readonly description: string;
  /** Attributes that its points may have. */
  readonly attributes: readonly string[];
}

export const POOL_NAME = 'taskpool.name';
export const QOS_CLASS = 'taskpool.qos.class';
export const NUMA_NODE = 'numa.node.id';
export const ERROR_TYPE = 'error.type';
export const WORKER_STATE = 'state';
export const ATOMIC_NAME = 'taskpool.atomic.name';

/** Names a metric within heddle. */
export type MetricKey =
  | 'queueSize'
  | 'submitted'
  | 'completed'
  | 'rejected'
  | 'cancelled'
  | 'duration'
  | 'queueTime'
  | 'workers'
  | 'utilization'
  | 'stealAttempts'
  | 'stealSuccesses'
  | 'numaCrossings'
  | 'lockWaitTime'
  | 'lockHoldTime'
  | 'deadlocks'
  | 'pressure'
  | 'atomicOperations';

/** Every metric, in the order in which they are exported. */
export const DEFINITIONS: Readonly<Record<MetricKey, MetricDefinition>> = {
  queueSize: {
    name: 'taskpool.queue.size',
    kind: 'gauge',
    unit: '{task}',
    description: 'Tasks in queues, forks included.',
    attributes: [POOL_NAME, QOS_CLASS],
  },
  submitted: {
    name: 'taskpool.task.submitted',
    kind: 'counter',
    unit: '{task}',
    description: 'Calls that a pool accepted.',
    attributes: [POOL_NAME],
  },
  completed: {
    name: 'taskpool.task.completed',
    kind: 'counter',
    unit: '{task}',
    description: 'Calls that were resolved.',
    attributes: [POOL_NAME],
  },
  rejected: {
    name: 'taskpool.task.rejected',
    kind: 'counter',
    unit: '{task}',
    description: 'Calls that were rejected, whether they had been accepted or not.',
    attributes: [POOL_NAME, ERROR_TYPE],
  },
  cancelled: {
    name: 'taskpool.task.cancelled',
    kind: 'counter',
    unit: '{task}',
    description: 'Calls that were aborted or timed out after they had been accepted.',
    attributes: [POOL_NAME],
  },
  duration: {
    name: 'taskpool.task.duration',
    kind: 'histogram',
    unit: 's',
    description: 'Time for which a task had a worker.',
    attributes: [POOL_NAME],
  },
  queueTime: {
    name: 'taskpool.task.queue_time',
    kind: 'histogram',
    unit: 's',
    description: 'Time from the submission of a task to its start.',
    attributes: [POOL_NAME],
  },
  workers: {
    name: 'taskpool.worker.active',
    kind: 'gauge',
    unit: '{worker}',
    description: 'Worker threads, by what they do.',
    attributes: [POOL_NAME, WORKER_STATE, NUMA_NODE],
  },
  utilization: {
    name: 'taskpool.worker.utilization',
    kind: 'gauge',
    unit: '1',
    description: 'Share of their lives in which the workers ran tasks, on average.',
    attributes: [POOL_NAME],
  },
  stealAttempts: {
    name: 'taskpool.steal.attempts',
    kind: 'counter',
    unit: '{attempt}',
    description: "Looks into another worker's queue that found something.",
    attributes: [POOL_NAME],
  },
  stealSuccesses: {
    name: 'taskpool.steal.successes',
    kind: 'counter',
    unit: '{steal}',
    description: 'Tasks that a worker took from another one.',
    attributes: [POOL_NAME],
  },
  numaCrossings: {
    name: 'taskpool.numa.crossings',
    kind: 'counter',
    unit: '{task}',
    description: 'Tasks that a worker took from another NUMA node.',
    attributes: [POOL_NAME],
  },
  lockWaitTime: {
    name: 'taskpool.lock.wait_time',
    kind: 'histogram',
    unit: 's',
    description: 'Waits for locks that were not free.',
    attributes: [],
  },
  lockHoldTime: {
    name: 'taskpool.lock.hold_time',
    kind: 'histogram',
    unit: 's',
    description: 'Time for which locks were held.',
    attributes: [],
  },
  deadlocks: {
    name: 'taskpool.deadlock.detected',
    kind: 'counter',
    unit: '{deadlock}',
    description: 'Deadlocks that were found.',
    attributes: [],
  },
  pressure: {
    name: 'taskpool.pressure',
    kind: 'gauge',
    unit: '1',
    description: 'Open calls for each call that can run at once: above 1 calls have to wait.',
    attributes: [POOL_NAME],
  },
  atomicOperations: {
    name: 'taskpool.atomic.operations',
    kind: 'counter',
    unit: '{operation}',
    description: 'Operations on atomics that are tracked.',
    attributes: [ATOMIC_NAME],
  },
};

/** How finely histograms are exported: two buckets an octave as they are counted, or one, from a microsecond on. */
export type BucketOption = 'all' | 'octaves';

/** Shortest duration that has a bound of its own among octaves, in nanoseconds. */
const FIRST_OCTAVE_NS = 1000;

/** Upper bounds of buckets in nanoseconds, rising. Each is a bound that heddle counts by, so nothing is guessed. */
export function boundsNs(option: BucketOption): readonly number[] {
  if (option === 'all') return BUCKET_BOUNDS_NS;
  return BUCKET_BOUNDS_NS.filter((bound, i) => i % 2 === 0 && bound >= FIRST_OCTAVE_NS);
}
