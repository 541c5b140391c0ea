/** What `heddle` exports on every platform, beside the functions that need one. */
export { move } from './codec/move.ts';
export {
  DataCloneFailure,
  ErrorCode,
  HeddleError,
  type HeddleErrorCode,
  type HeddleErrorOptions,
  type InvalidArgumentError,
  InvalidRangeError,
  InvalidTypeError,
  isHeddleError,
  MemoryFullError,
  NotIsolatedError,
  PoolClosedError,
  QueueFullError,
  TaskAbortedError,
  TaskTimeoutError,
  WorkerExitedError,
  type WorkerExitedOptions,
} from './errors.ts';
export type { ResourceLimitsOption } from './platform/port.ts';
export { TaskPool } from './pool/task-pool.ts';
export type {
  AnyTasks,
  Histogram,
  MapOptions,
  PoolConfig,
  PoolEvents,
  PoolMetrics,
  PoolOptions,
  RangeBounds,
  RetryOptions,
  Runnable,
  RunOptions,
  Settled,
  StandaloneOptions,
  TaskArguments,
  TaskName,
  TaskResult,
  TraceEvent,
  WorkerDiagnostics,
  WorkerExit,
  WorkerMetrics,
} from './pool/types.ts';
export type { QoSLevel } from './qos.ts';
export { type AttachedRuntime, attachRuntime } from './runtime/attach.ts';
export type { AtomicBool, AtomicInt32 } from './runtime/cells.ts';
export type { Runtime, RuntimeHandle, RuntimeOptions } from './runtime/runtime.ts';
export type { SharedArrayType } from './runtime/shared-arrays.ts';
