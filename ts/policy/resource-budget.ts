import { MAX_LOCKS, MAX_WORKERS } from '../../build/generated/layout.ts';
import { HeddleError } from '../errors.ts';
import { checkOptions, integer, object, oneOf } from '../options.ts';
import { QOS_LEVELS } from '../qos.ts';
import type { ResourceLimit } from '../systems/types.ts';

const MIB = 2 ** 20;
/** The least shared memory that a runtime works with, in MiB. */
const LEAST_MB = 4;
const MOST = Number.MAX_SAFE_INTEGER;

/** Checks limits, of whoever sets them. A limit of 0 would allow nothing at all, so it is no limit but a mistake. */
export function limitsCheck(value: unknown, what: string): void {
  object(value, what);
  checkOptions(
    value as ResourceLimit,
    {
      cpuMillicores: integer(1, MOST),
      memoryMB: integer(LEAST_MB, MOST),
      maxLocks: integer(1, MOST),
      maxGoroutines: integer(1, MOST),
      qosLevel: oneOf(...QOS_LEVELS),
    },
    what,
  );
}

/** What one pool may have of the workers that a runtime allows. */
export interface WorkerShare {
  /** Most workers of the pool. */
  readonly threads: number;
  /**
   * @param what - the call that asks, for the message
   * @throws {HeddleError} ERR_RESOURCE_LIMIT when that is more than is left; the share is as it was.
   */
  resize(threads: number, what: string): void;
  /** Gives all of it back. */
  release(): void;
}

/** The resources that a runtime may use, and who has them. */
export class ResourceBudget {
  readonly limits: ResourceLimit;
  /** Most workers of all pools together. */
  readonly #workers: number;
  readonly #why: string;
  #claimed = 0;

  constructor(limits: ResourceLimit) {
    this.limits = limits;
    const { cpuMillicores = MOST, maxGoroutines = MOST } = limits;
    // A quota of one and a half CPUs keeps two workers busy, though not all of the time.
    const byCpu = Math.ceil(cpuMillicores / 1000);
    this.#workers = Math.min(byCpu, maxGoroutines);
    this.#why =
      byCpu < maxGoroutines
        ? `limits.cpuMillicores is ${cpuMillicores}`
        : `limits.maxGoroutines is ${maxGoroutines}`;
  }

  /**
   * Bytes of shared memory to reserve.
   *
   * @throws {HeddleError} ERR_RESOURCE_LIMIT when more was asked for than is allowed.
   */
  memoryBytes(asked: number | undefined, usual: number): number {
    const { memoryMB } = this.limits;
    if (memoryMB === undefined) return asked ?? usual;
    if (asked !== undefined && asked > memoryMB * MIB)
      throw tooMuch(
        `createRuntime(): memoryBytes is ${asked} (${asked / MIB} MiB), and limits.memoryMB is ${memoryMB}`,
      );
    return asked ?? Math.min(usual, memoryMB * MIB);
  }

  /**
   * Locks and classes of locks that there may be.
   *
   * @throws {HeddleError} ERR_RESOURCE_LIMIT when more were asked for than are allowed.
   */
  maxLocks(asked: number | undefined): number | undefined {
    const { maxLocks } = this.limits;
    if (maxLocks === undefined) return asked;
    if (asked !== undefined && asked > maxLocks)
      throw tooMuch(`createRuntime(): locks.maxLocks is ${asked}, and limits.maxLocks is ${maxLocks}`);
    return asked ?? Math.min(maxLocks, MAX_LOCKS);
  }

  /**
   * Gives a pool its share of the workers: what it asks for, or as many of the usual number as are left. Undefined where workers are not limited.
   *
   * @throws {HeddleError} ERR_RESOURCE_LIMIT when that is more than is left.
   */
  claim(pool: string, least: number, asked: number | undefined, usual: number): WorkerShare | undefined {
    if (this.#workers >= MOST / 1000) return undefined;
    const budget = this;
    let threads = asked ?? Math.max(least, 1, Math.min(usual, MAX_WORKERS, this.#workers - this.#claimed));
    this.#assertLeft(threads, 0, `createPool(): pool '${pool}'`, pool);
    this.#claimed += threads;
    return {
      get threads() {
        return threads;
      },
      resize(wanted, what) {
        budget.#assertLeft(wanted, threads, `${what}: pool '${pool}'`, pool);
        budget.#claimed += wanted - threads;
        threads = wanted;
      },
      release() {
        budget.#claimed -= threads;
        threads = 0;
      },
    };
  }

  #assertLeft(wanted: number, has: number, who: string, pool: string): void {
    const others = this.#claimed - has;
    if (others + wanted <= this.#workers) return;
    const taken = others === 0 ? '' : `, of which other pools have ${others}`;
    throw tooMuch(
      `${who} wants ${wanted} worker${wanted === 1 ? '' : 's'}; the runtime may have ${this.#workers}${taken} (${this.#why})`,
      pool,
    );
  }
}

function tooMuch(message: string, resource?: string): HeddleError {
  return new HeddleError('ERR_RESOURCE_LIMIT', message, { resource });
}
