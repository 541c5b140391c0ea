import type { LockViolation } from '../locks/types.ts';
import type { PinResult } from '../platform/pin.ts';
import type { FallbackStrategy } from '../policy/types.ts';
import type { QoSLevel } from '../qos.ts';

export type { PinResult } from '../platform/pin.ts';

/** Something that could not be read, does not hold, or has changed for the worse. What ran before goes on. */
export interface Degradation {
  /** What is not known, or no longer true, such as `'cpu quota'` or `'cpuset'`. */
  readonly what: string;
  /** Why, as a person reads it: what was found, and what is assumed instead. */
  readonly reason: string;
  /** The file that it is about. */
  readonly path?: string;
}

// ---- topology ----------------------------------------------------------------------------------------------------------------------

/** One NUMA node. */
export interface NodeHints {
  /** The operating system's number; numbers may have gaps. */
  readonly id: number;
  /** Its CPUs that this process may use, rising. Empty for a node that has memory only, or whose CPUs are not allowed. */
  readonly cpus: readonly number[];
  /** Memory of the node; 0 for one without memory. */
  readonly memoryBytes: number;
  /** The memory is that of a device, such as a GPU: nothing should be placed there unasked. */
  readonly isDeviceMemory?: true;
}

/** One package: what sits in one socket. */
export interface PackageHints {
  readonly id: number;
  /** Its CPUs that this process may use, rising. Empty when only memory of it is allowed. */
  readonly cpus: readonly number[];
}

/** One core: its CPUs are hardware threads that share it (SMT). */
export interface CoreHints {
  /** Number within its package, where the system tells one. */
  readonly id: number;
  readonly packageId: number;
  /** Hardware threads that this process may use, rising. */
  readonly cpus: readonly number[];
  /** Of hybrid processors. */
  readonly kind?: 'performance' | 'efficiency';
}

/** One cache. */
export interface CacheHints {
  readonly level: number;
  readonly type: 'data' | 'instruction' | 'unified';
  readonly sizeBytes: number;
  /** CPUs that this process may use and that share it, rising. */
  readonly cpus: readonly number[];
}

/** What a scheduler needs to know of the machine: what this process may use of it. CPU and node numbers are the operating system's. Plain data but for `distance`. */
export interface TopologyHints {
  /** Where it comes from. `'os'`: CPU count only; nodes, cores and packages are then assumed. */
  readonly source: 'sysfs' | 'os' | 'browser' | 'static';
  /** CPUs that this process may use, rising: online, and left by affinity and cpuset. Never empty. */
  readonly cpus: readonly number[];
  /** All online CPUs, rising, also those that this process may not use. */
  readonly onlineCpus: readonly number[];
  /** CPUs that are there but switched off. */
  readonly offlineCpus: readonly number[];
  /** Of `cpus`, those that the kernel's scheduler leaves alone (`isolcpus`). */
  readonly isolatedCpus: readonly number[];
  /** NUMA nodes by rising id whose memory this process may use; at least one. */
  readonly nodes: readonly NodeHints[];
  readonly packages: readonly PackageHints[];
  readonly cores: readonly CoreHints[];
  readonly caches: readonly CacheHints[];
  /** Row and column in the order of `nodes`; 10 is local, as in ACPI's SLIT. */
  readonly distances: readonly (readonly number[])[];
  /** Node of the CPU that the calling thread was on when this was read; the first node where that is not known. */
  readonly currentNode: number;
  /** What could not be read. */
  readonly degradations: readonly Degradation[];
  /**
   * Distance between two nodes: 10 is local, 20 twice as far.
   *
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT for the id of no node.
   */
  distance(a: number, b: number): number;
}

// ---- containers --------------------------------------------------------------------------------------------------------------------

/** Share of time in which work stood still for want of a resource (Linux PSI). */
export interface PressureReading {
  /** Percent of the last 10, 60 and 300 seconds, 0 to 100. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  /** Milliseconds since the group was made. */
  readonly totalMs: number;
}

/** `some`: at least one task stood still; `full`: all did. */
export interface Pressure {
  readonly some: PressureReading;
  readonly full?: PressureReading;
}

/** What this process may use of the processors. */
export interface CpuContext {
  /** The tightest quota of the group and those above it, in CPUs: 1.5 is one and a half. Absent: no limit. */
  readonly quotaCpus?: number;
  /** CPUs that affinity and cpuset leave. Never empty. */
  readonly allowedCpus: readonly number[];
  /** How often, and for how long, the quota has stopped the group. */
  readonly throttling?: {
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledMs: number;
  };
  readonly pressure?: Pressure;
}

/** What this process may use of the memory. */
export interface MemoryContext {
  /** The tightest limit of the group and those above it. Absent: no limit but the machine's. */
  readonly limitBytes?: number;
  /** In use by the group that has that limit. */
  readonly usedBytes?: number;
  /** The machine's memory. */
  readonly totalBytes?: number;
  readonly pressure?: Pressure;
}

/** The pod that this process runs in. Absent fields are not known; the downward API supplies them (docs/systems.md). */
export interface KubernetesContext {
  readonly podName?: string;
  readonly podUid?: string;
  readonly namespace?: string;
  readonly nodeName?: string;
}

/** How the QoS class was found out. */
export type QoSSource = 'option' | 'resources' | 'oom-score' | 'cgroup' | 'default';

/** The container that this process runs in, and what it may use. Read anew each time it is asked for. */
export interface ContainerContext {
  /** In a container: with an id, or by the marks that container runtimes leave. */
  readonly isContainer: boolean;
  /** The runtime's id: 64 hexadecimal digits. */
  readonly containerId?: string;
  /** Version of the control groups in force, and this process's group for each resource, as a path of the host or of its namespace. */
  readonly cgroup?: {
    readonly version: 'v1' | 'v2' | 'hybrid';
    readonly paths: Readonly<Partial<Record<'cpu' | 'cpuset' | 'memory', string>>>;
  };
  readonly cpu: CpuContext;
  readonly memory: MemoryContext;
  /** Absent outside of Kubernetes. */
  readonly kubernetes?: KubernetesContext;
  readonly qosClass: QoSLevel;
  readonly qosSource: QoSSource;
  /** Worker threads that make sense: as many as CPUs are allowed, not more than the quota rounded up, at least 1. */
  readonly workers: number;
  /** What could not be read. */
  readonly degradations: readonly Degradation[];
}

// ---- NUMA --------------------------------------------------------------------------------------------------------------------------

/** A `NUMAAffinitySpec` with all defaults filled in. */
export interface NUMAPolicy {
  readonly required: boolean;
  readonly preferredNodes: readonly number[];
  readonly allowedDistance: number;
  readonly fallbackStrategy: FallbackStrategy;
  readonly qosOverride?: QoSLevel;
}

/** NUMA nodes as placement and stealing see them. */
export interface NUMACoordinator {
  /** Ids of the nodes, rising. */
  nodes(): readonly number[];
  /**
   * Distance between two nodes; 10 is local.
   *
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT for the id of no node.
   */
  distance(a: number, b: number): number;
  /**
   * All nodes by rising distance from one, itself first.
   *
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT for the id of no node.
   */
  nearest(node: number): readonly number[];
  /**
   * Lets a thread run on the CPUs of a node only, and place its memory there.
   *
   * @param threadId - of the host, such as `WorkerMetrics.threadId`
   * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT (rejects) for the id of no node.
   */
  pin(threadId: number, node: number): Promise<PinResult>;
  /** Node of the CPU that the calling thread runs on now; the first node where that is not known. */
  currentNode(): number;
}

// ---- policies ----------------------------------------------------------------------------------------------------------------------

/** When a failed task that is idempotent runs again; of the policy in force, durations in milliseconds. */
export interface RetryConfig {
  /** Most runs of one task, the first included. 1: none again. */
  readonly attempts: number;
  /** Wait before the second run; doubled for each further one. */
  readonly backoffBaseMs: number;
  /** The wait varies by up to so many percent at random. */
  readonly jitterPercent: number;
}

/** Limits of a runtime: each of several that share a provider may have as much. Absent: no limit. */
export interface ResourceLimit {
  /** Thousandths of a CPU, for all workers of the runtime together: 1500 allows 2 workers. */
  readonly cpuMillicores?: number;
  /** Shared memory of the runtime, in MiB. Not JavaScript heaps: see `PoolOptions.resourceLimits`. */
  readonly memoryMB?: number;
  /** Locks and classes of locks by name. */
  readonly maxLocks?: number;
  /** Workers of all pools of the runtime. */
  readonly maxGoroutines?: number;
  /** Class of calls that name none. */
  readonly qosLevel?: QoSLevel;
}

/** One fault of a document. */
export interface ValidationFault {
  /** Where, such as `spec.numaAffinity.preferredNodes[0]`; empty for the document itself. */
  readonly path: string;
  /** What is wrong and what is wanted, in words that follow the path. */
  readonly reason: string;
  /** The path as keys and indices. */
  readonly keys: readonly (string | number)[];
  /** Where in the text, counted from 1, where it was read from one. */
  readonly line?: number;
  readonly column?: number;
}

/** What {@link CRDValidator.validate} says. */
export interface ValidationResult {
  readonly isValid: boolean;
  /** Every fault, in the order of the document; empty when it is valid. */
  readonly faults: readonly ValidationFault[];
}

/** Checks policy documents as an API server with the CRD would. */
export interface CRDValidator {
  /**
   * Finds every fault of a document. Never throws.
   *
   * @param policy - the parsed document; anything at all
   */
  validate(policy: unknown): ValidationResult;
}

// ---- locks -------------------------------------------------------------------------------------------------------------------------

/** What `SystemsProvider.validateLockOrder()` says. */
export interface LockValidationResult {
  readonly isValid: boolean;
  /** What is wrong, for what is not valid. */
  readonly violation?: LockViolation;
  /** Names of the rules that say so; empty when the learned order does. */
  readonly rules: readonly string[];
}
