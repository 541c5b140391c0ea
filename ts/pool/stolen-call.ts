import { PoolClosedError, WorkerExitedError } from '../errors.ts';
import type { QoSLevel } from '../qos.ts';
import type { StolenTask } from '../systems/cluster.ts';

/** What a lease asks of the submissions that lent the call. */
export interface Lender {
  readonly poolName: string;
  /** Ends the call. False when it had ended. */
  settleTaken(lease: Lease, ok: boolean, value: unknown): boolean;
  /** Queues the call again. False when it had ended. */
  requeueTaken(lease: Lease): boolean;
}

/** A call that was taken out of its queue, for as long as nobody has settled it. It does not hold on to the {@link StolenCall} that the thief has. */
export class Lease {
  readonly slot: number;
  /** For which of its calls the slot stood. */
  readonly turn: number;
  readonly name: string;
  readonly #lender: Lender;
  readonly #abort = new AbortController();
  #hasBegun = false;
  #stopTimer: (() => void) | undefined;

  constructor(lender: Lender, slot: number, turn: number, name: string) {
    this.#lender = lender;
    this.slot = slot;
    this.turn = turn;
    this.name = name;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Ends it by itself, unless it is settled before. */
  expireAfter(timer: (callback: () => void) => () => void, why: string): void {
    this.#stopTimer = timer(() => this.expire(why));
  }

  /** Somebody has looked at what there is to do, and may be doing it. */
  begin(): void {
    this.#hasBegun = true;
  }

  /** It is run by the thief now, which will settle it. */
  keep(): void {
    this.#hasBegun = true;
    this.#stopTimer?.();
  }

  settle(ok: boolean, value: unknown): boolean {
    this.#stopTimer?.();
    return this.#lender.settleTaken(this, ok, value);
  }

  giveBack(): boolean {
    this.#stopTimer?.();
    return this.#lender.requeueTaken(this);
  }

  /** Nobody will settle it: it is queued again if it cannot have begun, else it ends as the task of a worker that is gone. */
  expire(why: string): void {
    if (!this.#hasBegun) this.giveBack();
    else
      this.settle(
        false,
        new WorkerExitedError(
          `task '${this.name}' was stolen from pool '${this.#lender.poolName}', and ${why}`,
          {
            resource: this.name,
          },
        ),
      );
  }

  /** The call was settled by somebody else: cancelled, timed out, or its pool has closed. */
  abort(reason: unknown): void {
    this.#stopTimer?.();
    this.#abort.abort(reason);
  }
}

/** A thief that lets go of a task without a word. */
const dropped = new FinalizationRegistry<Lease>((lease) => lease.expire('who had it has dropped it'));

/** What a {@link StolenCall} is made of. */
export interface StolenFacts {
  readonly args: readonly unknown[];
  readonly qos: QoSLevel;
  readonly numaNode: number | undefined;
  readonly shareable: boolean;
  /** Loads the task module into the calling thread. */
  load(): Promise<Record<string, unknown>>;
}

/** A call as its thief has it. */
export class StolenCall implements StolenTask {
  readonly name: string;
  readonly qos: QoSLevel;
  readonly numaNode: number | undefined;
  readonly shareable: boolean;
  readonly #lease: Lease;
  readonly #facts: StolenFacts;

  constructor(lease: Lease, facts: StolenFacts) {
    this.name = lease.name;
    this.qos = facts.qos;
    this.numaNode = facts.numaNode;
    this.shareable = facts.shareable;
    this.#lease = lease;
    this.#facts = facts;
    dropped.register(this, lease, this);
  }

  get args(): readonly unknown[] {
    this.#lease.begin();
    return this.#facts.args;
  }

  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  async run(
    runner: (name: string, args: readonly unknown[]) => unknown = (...call) => this.#runHere(...call),
  ): Promise<void> {
    this.#lease.keep();
    try {
      this.resolve(await runner(this.name, this.#facts.args));
    } catch (error) {
      this.reject(error);
    }
  }

  async #runHere(name: string, args: readonly unknown[]): Promise<unknown> {
    const task = (await this.#facts.load())[name] as (...args: readonly unknown[]) => unknown;
    return task(...args);
  }

  resolve(value: unknown): boolean {
    dropped.unregister(this);
    return this.#lease.settle(true, value);
  }

  reject(error: unknown): boolean {
    dropped.unregister(this);
    return this.#lease.settle(false, error);
  }

  giveBack(): boolean {
    dropped.unregister(this);
    return this.#lease.giveBack();
  }
}

/** What the thief's signal is aborted with when the pool that lent the call has closed. */
export const lenderClosed = (poolName: string): PoolClosedError =>
  new PoolClosedError(`pool '${poolName}' has closed`, { resource: poolName });
