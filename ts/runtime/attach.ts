import {
  AGENT_KERNEL_THREAD,
  AGENT_KIND,
  AGENT_LIVE,
  AGENT_SIZE,
  AGENT_STATE,
  AGENT_THREAD,
  AGENTS,
  KIND_ATTACHED,
  MAX_AGENTS,
} from '../../build/generated/layout.ts';
import { createClock } from '../clock.ts';
import { HeddleError, InvalidTypeError } from '../errors.ts';
import { instantiateKernel, type Kernel, verifyMemory } from '../kernel/kernel.ts';
import { ContextMutex } from '../locks/context-mutex.ts';
import { LockManager } from '../locks/lock-manager.ts';
import { OrderChecker } from '../locks/order-checks.ts';
import type { LockOwner } from '../locks/owners.ts';
import { DeadlockResolver } from '../locks/resolver.ts';
import { LockSpace } from '../locks/space.ts';
import type { MutexOptions } from '../locks/types.ts';
import { Violations } from '../locks/violations.ts';
import { describe } from '../options.ts';
import type { Platform } from '../platform/port.ts';
import { type AtomicBool, type AtomicInt32, createCells } from './cells.ts';
import type { RuntimeHandle } from './runtime.ts';
import { createSharedArrays, type SharedArrayType } from './shared-arrays.ts';

/** A runtime as a thread sees it that joined it. */
export interface AttachedRuntime extends Disposable {
  /** As {@link Runtime.atomicInt32}: the same cell as in every other thread. */
  atomicInt32(name: string): AtomicInt32;
  /** As {@link Runtime.atomicBool}. */
  atomicBool(name: string): AtomicBool;
  /** As {@link Runtime.alloc}. */
  alloc<T>(type: SharedArrayType<T>, length: number): T;
  /** As {@link Runtime.free}. */
  free(array: ArrayBufferView): void;
  /** As {@link Runtime.mutex}: the same lock as in every other thread. */
  mutex(name: string, options?: MutexOptions): ContextMutex;
  /** As {@link Runtime.withOwner}. */
  withOwner<R>(fn: (owner: LockOwner) => R, name?: string): R;
  /** As {@link Runtime.createOwner}. */
  createOwner(name?: string): LockOwner;
  /** As {@link Runtime.locks}; reports are those of this thread. */
  readonly locks: LockManager;
  /**
   * Leaves the runtime: locks that this thread holds are freed and marked abandoned. Happens by itself when the thread ends by `process.exit` or at the end of its code. For a thread
   * that is terminated, or runs out of memory, the thread that made the runtime does it: see {@link Runtime.watch}.
   */
  detach(): void;
}

/** Locks of a thread that joined, with a record of its own among the threads of the runtime. */
class AttachedLocks {
  readonly #kernel: Kernel;
  readonly agent: number;
  readonly space: LockSpace;
  readonly manager: LockManager;
  readonly #stopOnExit: () => void;
  #left = false;

  constructor(kernel: Kernel, platform: Platform, { epoch, lifeline }: RuntimeHandle) {
    this.#kernel = kernel;
    this.agent = kernel.calls.claimAgent(KIND_ATTACHED, 0) >>> 0;
    if (this.agent === 0) {
      throw new HeddleError(
        'ERR_RESOURCE_LIMIT',
        'cannot join the runtime: 255 threads take part in it already',
      );
    }
    kernel.u32[(this.agent + AGENT_THREAD) >>> 2] = platform.threadId();
    kernel.u32[(this.agent + AGENT_KERNEL_THREAD) >>> 2] = platform.kernelThreadId();
    const violations = new Violations(
      ({ kind, message }) => platform.warn(`heddle locks (${kind})`, message),
      platform.eventChannel('heddle:lock:violation'),
    );
    const resolver = new DeadlockResolver(kernel, false);
    this.space = new LockSpace(
      {
        kernel,
        agent: this.agent,
        clock: createClock(platform.clockOffset(), epoch),
        newStore: () => platform.newAsyncStore(),
        keepAlive: platform.keepAlive(),
        timer: (callback, ms) => platform.timer(callback, ms),
        mayBlock: platform.mayBlock(),
        maySpin: platform.parallelism() > 1,
        label: `thread ${platform.threadId()}`,
        taskName: () => undefined,
        taskSignal: () => undefined,
        isTaskCancelled: () => false,
        report: (violation) => violations.report(violation),
        watch: () => false,
      },
      resolver,
    );
    const order = new OrderChecker(this.space);
    this.space.order = order;
    this.manager = new LockManager(this.space, order, resolver, violations);
    this.#stopOnExit = platform.onThreadExit(() => this.leave());
    if (lifeline !== undefined) platform.holdLifeline(lifeline);
  }

  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#stopOnExit();
    this.space.close();
    this.#kernel.calls.recover(this.agent, 0);
    this.#kernel.calls.reap(this.agent);
  }
}

/** Joins a runtime on a platform. */
export function attachOn(platform: Platform, handle: RuntimeHandle): AttachedRuntime {
  if (!(handle?.module instanceof WebAssembly.Module) || !(handle.memory instanceof WebAssembly.Memory)) {
    throw new InvalidTypeError(`attachRuntime() takes the handle of a runtime, not ${describe(handle)}`);
  }
  const kernel = instantiateKernel(handle.module, handle.memory);
  verifyMemory(kernel);
  const cells = createCells(kernel, 0);
  const arrays = createSharedArrays(kernel);
  let joined: AttachedLocks | undefined;
  let left = false;
  const locks = (): AttachedLocks => {
    if (left) throw new HeddleError('ERR_POOL_CLOSED', 'cannot use locks: this thread has left the runtime');
    joined ??= new AttachedLocks(kernel, platform, handle);
    return joined;
  };
  const detach = (): void => {
    left = true;
    joined?.leave();
  };
  return {
    atomicInt32: (name) => cells.int32(name),
    atomicBool: (name) => cells.bool(name),
    alloc: (type, length) => arrays.alloc(type, length),
    free: (array) => arrays.free(array),
    mutex: (name, options = {}) => new ContextMutex(locks().space.open(name, options), options),
    withOwner: (fn, name) => locks().space.owners.run(fn, name),
    createOwner: (name) => locks().space.owners.explicit(name),
    get locks() {
      return locks().manager;
    },
    detach,
    [Symbol.dispose]: detach,
  };
}

/** Gives back what threads had that joined and are gone. `isGone` is told the host's id of a thread and the operating system's, or 0. */
export function recoverAttached(
  kernel: Kernel,
  isGone: (threadId: number, kernelThread: number) => boolean,
  onGone: (agentId: number) => void,
): void {
  const { calls, u32 } = kernel;
  for (let id = 1; id < MAX_AGENTS; id++) {
    const agent = AGENTS + id * AGENT_SIZE;
    const isIt =
      Atomics.load(u32, (agent + AGENT_STATE) >>> 2) === AGENT_LIVE &&
      u32[(agent + AGENT_KIND) >>> 2] === KIND_ATTACHED &&
      isGone(u32[(agent + AGENT_THREAD) >>> 2] as number, u32[(agent + AGENT_KERNEL_THREAD) >>> 2] as number);
    if (!isIt) continue;
    calls.recover(agent, 0);
    onGone(id);
    calls.reap(agent);
  }
}
