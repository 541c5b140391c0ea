import type { DeadlockParty, HeddleError } from '../errors.ts';
import type { QoSLevel } from '../qos.ts';
import type { HierarchyRule } from './order-rules.ts';
import type { LockOwner } from './owners.ts';

/** What a check does when it finds a fault. */
export type CheckMode = 'throw' | 'report' | 'off';

/** Options of the locks of a runtime. */
export interface LocksOptions {
  /** Locks taken against the declared or learned order. Default: `'report'`. */
  readonly order?: CheckMode;
  /** Deadlocks: waits that close a cycle. `'report'` reports and waits on. Default: `'throw'`. */
  readonly waits?: CheckMode;
  /** Most locks and classes of locks by name, from 1 to 1,048,576. Default: 65,536. */
  readonly maxLocks?: number;
  /**
   * Stacks in reports: `'waits'` tells where each owner of a deadlock waits, which costs microseconds a wait that blocks, and where each pair of locks was first
   * taken one under the other, which costs as much once for each pair, the first 4096 times that a thread sees new ones; `'all'` tells besides where each lock of a deadlock was taken, which costs microseconds
   * a lock; `'off'` tells only where an order was broken now. Default: `'waits'`.
   */
  readonly stacks?: 'waits' | 'all' | 'off';
  /** The declared order: see {@link LockManager.declareRules}. Default: none. */
  readonly rules?: readonly HierarchyRule[];
  /**
   * Name of the strategy for deadlocks: one that is built in, or that was registered with the deadlock resolver of `systems`. One that is registered with this
   * runtime, later, is set then: see {@link DeadlockResolver}. Default: `'abort-requester'`.
   */
  readonly strategy?: string;
}

/** Options of a lock. Every thread that opens the same name gets the same lock; what it does not say it takes as it is. */
export interface MutexOptions {
  /** Locks of one class are one node of the order graph, such as `'account'`. 1 to 512 bytes of UTF-8. Default: none. */
  readonly class?: string;
  /** Key within the class: locks of one class are to be taken by rising keys. Default: none. */
  readonly order?: number;
  /** May its holder take it again? It unlocks as often as it locked. Default: false. */
  readonly reentrant?: boolean;
  /** Held longer than this, in milliseconds, is reported with the holder's stack, once each time. Default: no limit. */
  readonly maxHoldTimeMs?: number;
  /**
   * What happens when the last holder ended while it held the lock. `'throw'`: ERR_LOCK_ABANDONED. `'recover'`: the lock is taken, `isAbandoned` says so, and
   * unlocking ends that state. Of this handle only. Default: `'throw'`.
   */
  readonly onAbandoned?: 'throw' | 'recover';
  /** Other modes of the checks than the runtime's. */
  readonly checks?: { readonly order?: CheckMode; readonly waits?: CheckMode };
}

/** How a lock is waited for. */
export interface LockContext {
  /** Gives the wait up when it fires. A thread that blocks sees a signal only before it waits. */
  readonly signal?: AbortSignal;
  /** Gives the wait up after so many milliseconds. 0: only tries. Default: none. */
  readonly timeoutMs?: number;
  /** Who takes the lock. Default: the context of `withOwner`, else the running task, else the thread. */
  readonly owner?: LockOwner;
  /** Accepted, as every context has it; locks are fair whatever the class. */
  readonly qos?: QoSLevel;
}

/** A held lock that unlocks when it is disposed. Disposing again does nothing. */
export interface Guard extends Disposable, AsyncDisposable {
  /** Had the last holder ended while it held the lock? Only with `onAbandoned: 'recover'`. */
  readonly isAbandoned: boolean;
  /** Unlocks, unless it has. */
  release(): void;
}

/**
 * Told of what happens to a mutex, an atomic or a pool, through the handle that `withObserver` returns. What it throws is ignored, and what a
 * promise is rejected with that it returns.
 *
 * | of | `lockAcquired` | `lockWait` | `lockReleased` |
 * | --- | --- | --- | --- |
 * | a mutex | it was taken | a wait has ended, with the lock or without | it was unlocked |
 * | an atomic | an operation made it something other than 0 or false | a `compareAndSwap` found another value, 0 ms | an operation made it 0 or false |
 * | a pool | a call is about to be queued | its outcome came, so long after the call | the same |
 */
export interface LockObserver {
  /** `id`: of the lock, its address in the shared memory. `stack`: of the call. */
  lockAcquired(id: number, stack: string): void;
  /** Given back. */
  lockReleased(id: number): void;
  /** Waited for, so many milliseconds. */
  lockWait(id: number, durationMs: number): void;
}

/** A lock in a {@link LockManagerSnapshot}, as `navigator.locks.query()` has it. */
export interface LockEntry {
  readonly name: string;
  readonly mode: 'exclusive';
  /** Who holds it or waits for it. */
  readonly clientId: string;
}

/** Locks that are held, and that are waited for, by all threads. */
export interface LockManagerSnapshot {
  readonly held: readonly LockEntry[];
  readonly pending: readonly LockEntry[];
}

/** One lock at one moment. */
export interface LockSnapshot {
  /** Its address in the shared memory. */
  readonly id: number;
  readonly name: string;
  readonly class?: string;
  readonly order?: number;
  readonly isLocked: boolean;
  /** Its last holder ended while it held it, and nobody has put that right. */
  readonly isAbandoned: boolean;
  /** Who holds it. */
  readonly owner?: string;
  /** Who waits for it. */
  readonly waiters: readonly string[];
  /** How often it was taken, modulo 2^32. */
  readonly acquisitions: number;
}

/** A cycle of owners that wait for each other. */
export interface Deadlock {
  /** From the one that closed it: each waits for what the next holds. */
  readonly cycle: readonly DeadlockParty[];
  /** The owner that closed it. */
  readonly requester: number;
  /** The names of the locks in it. */
  readonly locks: readonly string[];
  /** The cycle as a person reads it. */
  readonly message: string;
}

/** What is to be done about a deadlock. */
export type ResolutionAction =
  /** The lock wait of this owner, one of the cycle, fails with ERR_DEADLOCK. */
  | { readonly abort: number }
  /** It is reported; everybody waits on. */
  | { readonly report: true };

/**
 * Decides what to do about a deadlock, of which it gets a frozen copy. It answers at once: one that throws, or answers anything else, such as a promise, is
 * `abort-requester`.
 */
export type ResolutionStrategy = (deadlock: Deadlock) => ResolutionAction;

/** Something about locks that should not be. */
export interface LockViolation {
  readonly kind: 'order' | 'deadlock' | 'hold-time' | 'left-held';
  readonly message: string;
  /** Names of the locks that it is about. */
  readonly locks: readonly string[];
  /** The error, for what would be one in mode `'throw'`. */
  readonly error?: HeddleError;
  /** Who did it. */
  readonly owner?: string;
  /** Where. */
  readonly stack?: string;
}
