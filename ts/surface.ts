/** What `heddle` exports on every platform, beside the functions that need one. */
export { move } from './codec/move.ts';
export {
  DataCloneFailure,
  DeadlockError,
  type DeadlockParty,
  ErrorCode,
  HeddleError,
  type HeddleErrorCode,
  type HeddleErrorOptions,
  type InvalidArgumentError,
  InvalidRangeError,
  InvalidTypeError,
  isHeddleError,
  LockAbandonedError,
  LockOrderError,
  type LockOrderFault,
  type LockOrderStep,
  MemoryFullError,
  NotIsolatedError,
  NotOwnerError,
  PlacementError,
  type PolicyFault,
  PolicyInvalidError,
  PoolClosedError,
  QueueFullError,
  TaskAbortedError,
  TaskTimeoutError,
  WorkerExitedError,
  type WorkerExitedOptions,
} from './errors.ts';
export type { Histogram } from './kernel/histogram.ts';
export { ContextMutex } from './locks/context-mutex.ts';
export type { LockEdge, LockGraph, LockNode } from './locks/lock-graph.ts';
export type { LockHierarchy, LockManager, LockReference, OrderStatistics } from './locks/lock-manager.ts';
export type { LockMetrics } from './locks/lock-meter.ts';
export type { HierarchyRule } from './locks/order-rules.ts';
export { LockOwner } from './locks/owners.ts';
export type { DeadlockResolver } from './locks/resolver.ts';
export type {
  CheckMode,
  Deadlock,
  Guard,
  LockContext,
  LockEntry,
  LockManagerSnapshot,
  LockObserver,
  LockSnapshot,
  LocksOptions,
  LockViolation,
  MutexOptions,
  ResolutionAction,
  ResolutionStrategy,
} from './locks/types.ts';
export type { ConcurrencyMonitor } from './metrics/atomic-monitor.ts';
export type { Lifeline, ResourceLimitsOption } from './platform/port.ts';
export { lockPolicyCRDManifest } from './policy/crd.ts';
export { parseLockPolicy } from './policy/document.ts';
export { type FromSchema, lockPolicySchema } from './policy/schema.ts';
export type {
  FallbackStrategy,
  LockPolicyCRD,
  LockPolicyResource,
  NUMAAffinitySpec,
  PolicyMetadata,
  RetryPolicySpec,
} from './policy/types.ts';
export { LockPolicyValidator, type PolicyValidatorOptions } from './policy/validator.ts';
export type { TaskCallEvent, TaskSettleEvent, WorkerStartEvent } from './pool/pool-channels.ts';
export { TaskPool } from './pool/task-pool.ts';
export type {
  AnyTasks,
  CallArguments,
  MapOptions,
  MapTaskName,
  PoolConfig,
  PoolEvents,
  PoolMetrics,
  PoolOptions,
  RangeArguments,
  RangeBounds,
  RangeTaskName,
  RetryOptions,
  Runnable,
  RunOptions,
  Settled,
  StandaloneOptions,
  TaskArguments,
  TaskName,
  TaskResult,
  TaskRunnable,
  TraceEvent,
  WorkerDiagnostics,
  WorkerExit,
  WorkerMetrics,
  WorkerOutput,
} from './pool/types.ts';
export type { QoSLevel } from './qos.ts';
export { type AISchedulerOptions, AIWorkScheduler } from './runtime/ai-scheduler.ts';
export type { AttachedRuntime } from './runtime/attach.ts';
export type { AtomicBool, AtomicInt32 } from './runtime/cells.ts';
export type { Runtime, RuntimeHandle, RuntimeOptions } from './runtime/runtime.ts';
export type { SharedArrayType } from './runtime/shared-arrays.ts';
export {
  BaseSystems,
  type SystemsOptions,
  type SystemsParts,
} from './systems/base.ts';
export type {
  ClusterCoordinator,
  Context,
  PressureLevel,
  StolenTask,
  WorkStealer,
} from './systems/cluster.ts';
export { LocalCoordinator } from './systems/local-coordinator.ts';
export type {
  AppliedPolicy,
  ConcurrencyInstrumenter,
  DeadlockResolution,
  LockPolicy,
  SystemsHost,
  SystemsProvider,
} from './systems/provider.ts';
export { BrowserSystems, type BrowserSystemsOptions } from './systems/systems.browser.ts';
export { StaticSystems, type StaticSystemsOptions } from './systems/systems.static.ts';
export type {
  CacheHints,
  ContainerContext,
  CoreHints,
  CpuContext,
  CRDValidator,
  Degradation,
  KubernetesContext,
  LockValidationResult,
  MemoryContext,
  NodeHints,
  NUMACoordinator,
  NUMAPolicy,
  PackageHints,
  PinResult,
  Pressure,
  PressureReading,
  QoSSource,
  ResourceLimit,
  RetryConfig,
  TopologyHints,
  ValidationFault,
  ValidationResult,
} from './systems/types.ts';
