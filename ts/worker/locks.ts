import {
  HEADER_LOCK_TABLES,
  META_CLASS_MASK,
  META_CLASS_SHIFT,
  OWNER_HELD,
  SLOT_META,
} from '../../build/generated/layout.ts';
import { ContextMutex } from '../locks/context-mutex.ts';
import { describeViolation, type LockMessage } from '../locks/messages.ts';
import { OrderChecker } from '../locks/order-checks.ts';
import type { OwnerPlace } from '../locks/owners.ts';
import { DeadlockResolver } from '../locks/resolver.ts';
import { LockSpace } from '../locks/space.ts';
import type { MutexOptions } from '../locks/types.ts';
import { cancelWord, type TaskRun } from './context.ts';
import type { Worker } from './worker.ts';

/** The worker stays: its pool holds on to the process while calls are open. */
const NO_HOLD = { ref: () => undefined, unref: () => undefined };

/** The locks of the tasks in one worker. Made when the first task asks for a lock. */
export class WorkerLocks {
  readonly #worker: Worker;
  /** Tasks of this worker that have an owner. */
  readonly #places: OwnerPlace[] = [];
  #space: LockSpace | undefined;
  readonly #mutexes = new Map<string, ContextMutex>();

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  get space(): LockSpace {
    this.#space ??= this.#open();
    return this.#space;
  }

  #open(): LockSpace {
    const worker = this.#worker;
    const { kernel, platform } = worker;
    const post = (message: LockMessage): void => worker.port.post({ kind: 'locks', message }, []);
    const space = new LockSpace(
      {
        kernel,
        agent: worker.agent,
        clock: worker.clock,
        tasks: {
          active: worker.activeOwner,
          get running() {
            return worker.running;
          },
          asyncTask: () => {
            const run = worker.asyncRun();
            // One that was given up has the locks that it held.
            return run?.done && run.owner === 0 ? undefined : run;
          },
          classOf: ({ slot }) =>
            (kernel.i32[(slot + SLOT_META) >>> 2]! >>> META_CLASS_SHIFT) & META_CLASS_MASK,
          onOwner: (place) => this.#places.push(place),
        },
        newStore: () => platform.newAsyncStore(),
        keepAlive: NO_HOLD,
        timer(callback, ms) {
          const timer = setTimeout(callback, ms);
          return () => clearTimeout(timer);
        },
        mayBlock: true,
        maySpin: worker.maySpin,
        label: `worker ${worker.id} of pool '${worker.poolName}'`,
        taskName: (pool, id) => {
          const task = pool === worker.pool ? worker.nameOf(id) : undefined;
          return task === undefined ? undefined : { task, pool: worker.poolName };
        },
        taskSignal: () => this.#taskSignal(),
        isTaskCancelled: () => worker.running !== undefined && cancelWord(kernel, worker.running.slot) !== 0,
        report: (violation) => post({ kind: 'violation', violation: describeViolation(violation) }),
        watch: (holdMs) => {
          post({ kind: 'watch', holdMs });
          return true;
        },
      },
      new DeadlockResolver(kernel, false),
    );
    space.order = new OrderChecker(space);
    space.onRelease = (name) => this.#mutexes.delete(name);
    return space;
  }

  #taskSignal(): AbortSignal | undefined {
    const worker = this.#worker;
    if (worker.running === undefined && worker.asyncRun() === undefined) return undefined;
    return worker.currentRun('lock').signal(worker.kernel);
  }

  mutex(name: string, options: MutexOptions): ContextMutex {
    // Tasks open their locks again and again.
    if (Object.keys(options).length === 0) {
      const known = this.#mutexes.get(name);
      if (known?.isForgotten === false) return known.openAgain();
      const made = new ContextMutex(this.space.open(name, options), options);
      this.#mutexes.set(name, made);
      return made;
    }
    return new ContextMutex(this.space.open(name, options), options);
  }

  /** Does any owner of this worker's thread hold a lock: a task, a context, or what else there is? */
  get areHeld(): boolean {
    if (this.#space === undefined) return false;
    if (this.#places.length > 0) {
      const { u32 } = this.#worker.kernel;
      if (this.#places.some(({ owner }) => u32[(owner + OWNER_HELD) >>> 2] !== 0)) return true;
    }
    return this.#space.owners.othersHold;
  }

  /** Is this the code of a context? */
  get isInContext(): boolean {
    return this.#space?.owners.isInContext === true;
  }

  /** Runs what is no part of the context that is below it on the stack. */
  outside<R>(fn: () => R): R {
    return this.#space === undefined ? fn() : this.#space.owners.outside(fn);
  }

  /** A task has ended. */
  endTask(place: OwnerPlace): void {
    const { owner } = place;
    this.#places.splice(this.#places.indexOf(place), 1);
    place.owner = 0;
    this.space.owners.end(owner, () => this.space.ownerLabel(owner));
  }

  /**
   * A task is over for its caller, but its code goes on. If that holds a lock it keeps it until it ends: others must not come into what the lock
   * guards.
   */
  outliveTask(place: TaskRun): void {
    const { owner, name } = place;
    if (this.#worker.kernel.u32[(owner + OWNER_HELD) >>> 2] === 0) this.endTask(place);
    else this.space.owners.outlive(owner, `what is left of task '${name}', which was aborted,`);
  }

  /** A plain task went on as an async one. */
  moveOwner(from: OwnerPlace, to: OwnerPlace): void {
    to.owner = from.owner;
    from.owner = 0;
    this.#places[this.#places.indexOf(from)] = to;
  }

  /** Before it is looked whether a join closes a ring. */
  takeBackGranted(): void {
    this.#space?.takeBackGranted();
  }

  /** The thread is about to block in a join. */
  standAside(): void {
    this.#space?.standAside();
  }

  /**
   * The running task joins another: an edge of the wait-for graph while locks are in use. Its thread is blocked, so all other owners there, such as the context
   * that joins, wait for it. Returns what ends it.
   */
  joinsTask(slot: number): (() => void) | undefined {
    const task = this.#worker.running ?? this.#worker.asyncRun();
    if (task === undefined || this.#worker.kernel.u32[HEADER_LOCK_TABLES >>> 2] === 0) return undefined;
    return this.space.detector.joins(this.space.owners.ofTask(task), slot);
  }

  /** The running task awaits a fork that another worker has; so does the context that it does so in. */
  awaitsTask(slot: number): (() => void) | undefined {
    const task = this.#worker.running ?? this.#worker.asyncRun();
    if (task === undefined || this.#worker.kernel.u32[HEADER_LOCK_TABLES >>> 2] === 0) return undefined;
    const { detector, owners } = this.space;
    const context = owners.isInContext ? owners.current() : 0;
    const stopTask = detector.awaits(owners.ofTask(task), slot);
    const stopContext = context === 0 ? undefined : detector.awaits(context, slot);
    return () => {
      stopTask?.();
      stopContext?.();
    };
  }
}
