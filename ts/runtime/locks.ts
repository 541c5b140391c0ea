import {
  HEADER_LOCK_LOOK_MS,
  MAX_LOCKS,
  MODES_STACKS_SHIFT,
  MODES_WAITS_SHIFT,
  OWNER_HELD,
  STACKS_ALL,
  STACKS_OFF,
  STACKS_WAITS,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { HoldWatch } from '../locks/hold-watch.ts';
import { LockManager } from '../locks/lock-manager.ts';
import { type LockMessage, reviveViolation } from '../locks/messages.ts';
import { modeNumber } from '../locks/open-lock.ts';
import { OrderChecker } from '../locks/order-checks.ts';
import { DeadlockResolver, strategyNumber } from '../locks/resolver.ts';
import { ownersOf } from '../locks/snapshot.ts';
import { LockSpace, type PoolWorkers } from '../locks/space.ts';
import type { LocksOptions } from '../locks/types.ts';
import { Violations } from '../locks/violations.ts';
import { array, checkOptions, integer, object, oneOf, string } from '../options.ts';
import type { Agent, AgentLocks } from './agent.ts';

const MODES = ['throw', 'report', 'off'] as const;
const STACKS = { waits: STACKS_WAITS, all: STACKS_ALL, off: STACKS_OFF } as const;
const DEFAULT_MAX_LOCKS = 65_536;
/**
 * Whoever waits for a lock relies on others to wake it. One that ends where nobody is told (a thread that joined and is not watched, a host that loses a wake-up with a
 * thread that ends) may take a wake-up with it; so the wait looks for itself, this rarely.
 */
const LOOK_AGAIN_MS = 1000;

/** Checks the option `locks` of createRuntime(). */
export function locksCheck(value: unknown, what: string): void {
  object(value, what);
  checkOptions(
    value as LocksOptions,
    {
      order: oneOf(...MODES),
      waits: oneOf(...MODES),
      maxLocks: integer(1, MAX_LOCKS),
      stacks: oneOf(...Object.keys(STACKS)),
      strategy: string,
      rules: array,
    },
    what,
  );
}

/** Writes what the runtime allows and checks into fresh memory. */
export function configureLocks(kernel: Kernel, options: LocksOptions): void {
  const modes =
    modeNumber(options.order ?? 'report') |
    (modeNumber(options.waits ?? 'throw') << MODES_WAITS_SHIFT) |
    (STACKS[options.stacks ?? 'waits'] << MODES_STACKS_SHIFT);
  const strategy = strategyNumber(options.strategy ?? 'abort-requester');
  kernel.calls.configureLocks(options.maxLocks ?? DEFAULT_MAX_LOCKS, modes, strategy);
  kernel.u32[HEADER_LOCK_LOOK_MS >>> 2] = LOOK_AGAIN_MS;
}

/** What the locks of a runtime ask of it. */
interface RuntimeLocksHost {
  /** Name of task `id` of the pool at that address. */
  taskName(pool: number, id: number): { readonly task: string; readonly pool: string } | undefined;
  /** Recovers threads that have ended, as far as that can be told before the event loop does. */
  recoverEnded(): void;
  /** The workers of the pool at that address, unless there may soon be others. */
  workersOf(pool: number): PoolWorkers | undefined;
}

/** The locks of a runtime in the thread that made it, which also hears what workers tell. */
export class RuntimeLocks implements AgentLocks {
  readonly space: LockSpace;
  readonly manager: LockManager;
  readonly #violations: Violations;
  readonly #watch: HoldWatch;
  readonly #order: OrderChecker;

  constructor(agent: Agent, options: LocksOptions, host: RuntimeLocksHost) {
    const { kernel, platform, systems } = agent;
    this.#violations = new Violations(
      ({ kind, message }) => platform.warn(`heddle locks (${kind})`, message),
      platform.eventChannel('heddle:lock:violation'),
      (violation) => systems.reportViolation(violation),
    );
    const resolver = new DeadlockResolver(kernel, true, options.strategy);
    resolver.onAsked = () => this.space.beginToAnswer();
    this.space = new LockSpace(
      {
        kernel,
        agent: agent.address,
        clock: agent.clock,
        newStore: () => platform.newAsyncStore(),
        keepAlive: platform.keepAlive(),
        timer: (callback, ms) => platform.timer(callback, ms),
        mayBlock: platform.mayBlock(),
        maySpin: platform.parallelism() > 1,
        label: 'the main thread',
        taskName: (pool, id) => host.taskName(pool, id),
        taskSignal: () => undefined,
        isTaskCancelled: () => false,
        report: (violation) => this.#violations.report(violation),
        watch: (holdMs) => {
          this.#watch.require(holdMs);
          return true;
        },
        recoverEnded: () => host.recoverEnded(),
        workersOf: (pool) => host.workersOf(pool),
      },
      resolver,
    );
    this.#watch = new HoldWatch(this.space, (callback, ms) => platform.timer(callback, ms));
    this.#order = new OrderChecker(this.space);
    this.space.order = this.#order;
    this.manager = new LockManager(this.space, this.#order, resolver, this.#violations, this.#watch);
    if (options.rules !== undefined) this.manager.declareRules(options.rules);
    agent.locks = this;
  }

  /**
   * Uses the strategy that the options name, now that whoever shares the provider has registered theirs.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT when there is none of that name.
   */
  begin(options: LocksOptions): void {
    this.manager.resolver.begin(options.strategy);
  }

  /** Address of the owner that calls, if it holds a lock; else 0. Costs next to nothing where no lock was opened. */
  holder(): number {
    if (!this.space.isUsed) return 0;
    const owner = this.space.owners.known();
    return owner !== 0 && this.space.kernel.u32[(owner + OWNER_HELD) >>> 2] !== 0 ? owner : 0;
  }

  /** What a worker tells. */
  receive(message: LockMessage): void {
    if (message.kind === 'violation') this.#violations.report(reviveViolation(message.violation));
    else if (message.kind === 'watch') this.#watch.require(message.holdMs);
    else this.#order.collectFrom(message.agentId);
  }

  close(): void {
    this.#watch.stop();
    if (this.space.isClosed) return;
    this.manager.resolver.retire();
    this.space.answer();
    this.space.close();
    // Threads that joined go on: what this one holds nobody would give back.
    const { calls, u32 } = this.space.kernel;
    for (const owner of ownersOf(this.space))
      if (this.space.isOwn(owner) && u32[(owner + OWNER_HELD) >>> 2] !== 0) calls.abandonHeld(owner);
  }
}
