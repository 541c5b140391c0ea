import {
  HEADER_LOCK_STRATEGY,
  STRATEGY_LOWEST_QOS,
  STRATEGY_NAMED,
  STRATEGY_REPORT,
  STRATEGY_REQUESTER,
  STRATEGY_YOUNGEST,
} from '../../build/generated/layout.ts';
import { InvalidTypeError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { describe } from '../options.ts';
import { QOS_LEVELS } from '../qos.ts';
import { hearLateFault } from './late-faults.ts';
import type { Deadlock, ResolutionAction, ResolutionStrategy } from './types.ts';

/** Waits that can be aborted are those for locks. Every cycle has one: tasks alone wait for each other like the branches of a tree. */
const abortable = (deadlock: Deadlock): Deadlock['cycle'] =>
  deadlock.cycle.filter((party) => party.wait === 'lock');

/** The one who closed the cycle; where that is no wait for a lock, the first such wait after it. */
const abortRequester: ResolutionStrategy = (deadlock) => ({ abort: abortable(deadlock)[0]!.owner });

/** The owner that began last: it has done the least. */
const abortYoungest: ResolutionStrategy = (deadlock) => ({
  abort: abortable(deadlock).reduce((youngest, party) => (party.bornMs > youngest.bornMs ? party : youngest))
    .owner,
});

const rank = (qos: string | undefined): number =>
  (QOS_LEVELS as readonly (string | undefined)[]).indexOf(qos ?? 'Burstable');

/** The owner of the lowest class; among equals the requester, or the first after it. Owners that are no tasks count as Burstable. */
const abortLowestQos: ResolutionStrategy = (deadlock) => ({
  abort: abortable(deadlock).reduce((lowest, party) => (rank(party.qos) > rank(lowest.qos) ? party : lowest))
    .owner,
});

const reportOnly: ResolutionStrategy = () => ({ report: true });

const BUILT_IN: readonly (readonly [name: string, code: number, strategy: ResolutionStrategy])[] = [
  ['abort-requester', STRATEGY_REQUESTER, abortRequester],
  ['abort-youngest', STRATEGY_YOUNGEST, abortYoungest],
  ['abort-lowest-qos', STRATEGY_LOWEST_QOS, abortLowestQos],
  ['report-only', STRATEGY_REPORT, reportOnly],
];

/** Number of a strategy in the shared memory. */
export function strategyNumber(name: string): number {
  return BUILT_IN.find(([known]) => known === name)?.[1] ?? STRATEGY_NAMED;
}

/** Is the name that of a strategy which every thread knows? */
export function isBuiltIn(name: string): boolean {
  return BUILT_IN.some(([known]) => known === name);
}

/** A deadlock as strategies see it: theirs to look at only, since who acts on it goes by the places in the cycle. */
function frozenCopy({ cycle, requester, locks, message }: Deadlock): Deadlock {
  return Object.freeze({
    cycle: Object.freeze(
      cycle.map((party) => Object.freeze({ ...party, holds: Object.freeze([...party.holds]) })),
    ),
    requester,
    locks: Object.freeze([...locks]),
    message,
  });
}

/** What a strategy, or the one that is built in by that name, says about a deadlock. One that throws or answers nonsense is `abort-requester`. */
export function decide(strategy: ResolutionStrategy | string, deadlock: Deadlock): ResolutionAction {
  const fn = typeof strategy === 'string' ? BUILT_IN.find(([known]) => known === strategy)?.[2] : strategy;
  try {
    const answer = (fn ?? abortRequester)(frozenCopy(deadlock)) as unknown;
    hearLateFault(answer, () => undefined);
    // Read once: whoever answers may answer otherwise the next time.
    const { abort, report } = answer as { readonly abort?: unknown; readonly report?: unknown };
    if (report === true) return { report };
    if (typeof abort === 'number' && abortable(deadlock).some((party) => party.owner === abort))
      return { abort };
  } catch {
    // As one that answers nonsense.
  }
  return abortRequester(deadlock);
}

/**
 * Decides whose wait a deadlock costs. The strategies that are built in are known in every thread: `abort-requester` (default) gives up the wait that closed
 * the cycle, `abort-youngest` that of the owner which began last, `abort-lowest-qos` that of the task of the lowest class, `report-only` none.
 *
 * One registered by name runs in the thread that made the runtime. Workers and threads that attached ask it, and wait meanwhile; that thread answers in its
 * event loop, and every 50 ms while it blocks in `lockSync`. Where there is no answer for 5 s, since it blocks in another way or is gone, `abort-requester`
 * decides; also once the runtime was disposed.
 */
export class DeadlockResolver {
  readonly #kernel: Kernel;
  readonly #isRuntime: boolean;
  readonly #strategies = new Map<string, ResolutionStrategy>();
  #name: string | undefined;
  /** @internal Called before other threads begin to ask this one. */
  onAsked: (() => void) | undefined;

  /** @internal `isRuntime`: of the thread that made the runtime. */
  constructor(kernel: Kernel, isRuntime: boolean, strategy?: string) {
    this.#kernel = kernel;
    this.#isRuntime = isRuntime;
    this.#name = strategy;
    for (const [name, , fn] of BUILT_IN) this.#strategies.set(name, fn);
  }

  /** Name of the strategy in use, in all threads. In others than the one that made the runtime, one registered by name is `'registered'`. */
  get strategy(): string {
    const code = this.#code();
    const builtIn = BUILT_IN.find(([, known]) => known === code)?.[0];
    return builtIn ?? (this.#isRuntime ? this.#name : 'registered') ?? 'abort-requester';
  }

  /**
   * Uses another strategy from now on, in all threads.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT when no strategy has that name.
   */
  set strategy(name: string) {
    this.#assertKnown(name);
    this.#name = name;
    if (!isBuiltIn(name)) this.onAsked?.();
    Atomics.store(this.#kernel.i32, HEADER_LOCK_STRATEGY >>> 2, strategyNumber(name));
  }

  #assertKnown(name: string): void {
    if (this.#strategies.has(name)) return;
    throw new InvalidTypeError(
      `no strategy for deadlocks is named ${describe(name)}; there are ${[...this.#strategies.keys()].join(', ')}`,
    );
  }

  /** @internal The runtime begins, with the strategy that its options name, unless whoever shares its provider has set another. */
  begin(name: string | undefined): void {
    if (name !== undefined) this.#assertKnown(name);
    if (this.#code() === STRATEGY_NAMED) this.onAsked?.();
  }

  /** @internal The runtime ends: its thread answers nobody any more. */
  retire(): void {
    if (this.#code() === STRATEGY_NAMED)
      Atomics.store(this.#kernel.i32, HEADER_LOCK_STRATEGY >>> 2, STRATEGY_REQUESTER);
  }

  /**
   * Makes a strategy known, or replaces one of that name. It is used once it is set as {@link DeadlockResolver.strategy}.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a name that is built in, for what is no function, and in a thread that has not made the runtime.
   */
  registerStrategy(name: string, strategy: ResolutionStrategy): void {
    if (!this.#isRuntime) {
      throw new InvalidTypeError(
        `cannot register strategy ${describe(name)} here: the thread that made the runtime decides for all; register it there`,
      );
    }
    if (typeof name !== 'string' || isBuiltIn(name)) {
      throw new InvalidTypeError(
        `registerStrategy() takes a name that is not built in, not ${describe(name)}`,
      );
    }
    if (typeof strategy !== 'function')
      throw new InvalidTypeError(`registerStrategy() takes a function, not ${describe(strategy)}`);
    this.#strategies.set(name, strategy);
  }

  /** What the strategy in use says about a deadlock. One that throws or answers nonsense is `abort-requester`. */
  resolve(deadlock: Deadlock): ResolutionAction {
    return decide(this.#strategies.get(this.strategy) ?? abortRequester, deadlock);
  }

  /** @internal Place in the cycle of the party whose wait is to be aborted; undefined: nobody's. */
  victimOf(deadlock: Deadlock): number | undefined {
    if (abortable(deadlock).length === 0) return undefined;
    const action = this.resolve(deadlock);
    return 'abort' in action ? deadlock.cycle.findIndex((party) => party.owner === action.abort) : undefined;
  }

  /** @internal Is the strategy one that only the runtime's thread knows? */
  get asksRuntime(): boolean {
    return !this.#isRuntime && this.#code() === STRATEGY_NAMED;
  }

  #code(): number {
    return Atomics.load(this.#kernel.i32, HEADER_LOCK_STRATEGY >>> 2);
  }
}
