// The locks of one world: tasks of all its pools and the main thread take them, die with them, wait for them and are cancelled. Under each lock stand two
// counters that must be alike.
import { threadId } from 'node:worker_threads';
import { auditLocks } from './memory-audit.mjs';

export const LOCKS = 6;
export const nameOf = (i) => `chaos ${i}`;
/** Nobody waits longer: then the lock is lost. */
const FINAL_WAIT_MS = 10_000;
/** Names that come and go, and stay when a thread dies that has one open. */
const LOCKS_OF_DEAD_MOST = 8;

/** Each section marks its lock as its own, so that any other in the same section is seen, however short both are. */
let sections = 0;

/**
 * What is done under a lock: two counters are raised one after the other. One who died between them leaves them different, and the lock abandoned.
 *
 * @returns what is wrong, if anything
 */
export function* section(guarded, i, { id, isAbandoned }) {
  const [first, second] = [2 * i, 2 * i + 1];
  // Who is there, by its thread, and by which record of the lock.
  const [mark, record] = [2 * LOCKS + first, 2 * LOCKS + second];
  const mine = (threadId << 16) | (++sections & 0xffff) | 1;
  const before = Atomics.exchange(guarded, mark, mine);
  const recordBefore = Atomics.exchange(guarded, record, id);
  if (isAbandoned) guarded[second] = guarded[first];
  const count = guarded[first];
  guarded[first] = count + 1;
  yield;
  const seen = [guarded[first], guarded[second]];
  guarded[second] = count + 1;
  const after = Atomics.compareExchange(guarded, mark, mine, 0);
  const isAlone = (before === 0 || isAbandoned) && after === mine;
  if (isAlone && seen[0] === count + 1 && seen[1] === count) return undefined;
  const who = (it) => (it === 0 ? 'nobody' : `thread ${it >>> 16}`);
  return (
    `two were under lock ${i}: ${count} became ${seen[0]} and ${seen[1]}; ${isAbandoned ? 'abandoned, ' : ''}thread ${threadId} by record ${id} ` +
    `found ${who(before)} by record ${recordBefore}, and then ${who(after)} by record ${guarded[record]}`
  );
}

export class WorldLocks {
  guarded = new Int32Array(new SharedArrayBuffer(16 * LOCKS));
  #rt;
  #referee;
  #name;
  #isSmall;
  #requests = 0;

  constructor(rt, { referee, name, isSmall }) {
    this.#rt = rt;
    this.#referee = referee;
    this.#name = name;
    this.#isSmall = isSmall;
    rt.locks.onViolation(({ kind, message }) => {
      // Inverted orders are made on purpose; that there was no room to learn them is said as well.
      referee.expect(kind === 'order', `${name}: a report of kind ${kind}: ${message}`);
    });
  }

  /** The main thread takes its part until it is told to stop. */
  async play(random, until) {
    while (performance.now() < until && !this.#referee.isOver) {
      try {
        await this.#referee.watch(`${this.#name}: a lock of the main thread`, this.#turn(random));
      } catch (error) {
        this.#referee.expect(
          error?.code === 'ERR_DEADLOCK' || (this.#isSmall && error?.code === 'ERR_MEMORY_FULL'),
          () => `${this.#name}: a lock of the main thread failed with ${error?.stack ?? error}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, random.below(3)));
    }
  }

  #turn(random) {
    const rt = this.#rt;
    switch (random.below(4)) {
      case 0: {
        // A name that nobody else has, and that goes again.
        const m = rt.mutex(`request ${this.#requests++}`);
        return m.runExclusive(() => undefined).finally(() => m.forget());
      }
      case 1: {
        const abort = new AbortController();
        setTimeout(() => abort.abort(), random.below(5));
        return this.#hold(random.below(LOCKS), random.below(3), { signal: abort.signal });
      }
      case 2:
        return this.#hold(random.below(LOCKS), random.below(3), { timeoutMs: random.below(20) });
      default:
        return this.#hold(random.below(LOCKS), random.below(3), {});
    }
  }

  #hold(i, turns, ctx) {
    const m = this.#rt.mutex(nameOf(i), { onAbandoned: 'recover' });
    return this.#rt.withOwner(async () => {
      try {
        if (!(await m.lock(ctx))) return;
        try {
          const steps = section(this.guarded, i, m);
          steps.next();
          for (let n = 0; n < turns; n++) await new Promise((resolve) => setImmediate(resolve));
          this.#see(steps.next().value);
        } finally {
          m.unlock();
        }
      } finally {
        m.forget();
      }
    });
  }

  #see(wrong) {
    if (wrong !== undefined) this.#referee.violate(`${this.#name}: ${wrong}`);
  }

  /** No pool is open any more: each lock can be had, nobody holds one, and the tables have not grown. */
  async audit(threadsMost) {
    const { held, pending } = this.#rt.locks.snapshot();
    this.#referee.expect(
      held.length === 0 && pending.length === 0,
      () => `${this.#name}: locks are left: ${JSON.stringify({ held, pending })}`,
    );
    for (let i = 0; i < LOCKS; i++) {
      const m = this.#rt.mutex(nameOf(i), { onAbandoned: 'recover' });
      const had = await m.lock({ timeoutMs: FINAL_WAIT_MS });
      this.#referee.expect(had, `${this.#name}: lock ${i} cannot be had at the end`);
      if (!had) continue;
      const steps = section(this.guarded, i, m);
      steps.next();
      this.#see(steps.next().value);
      m.unlock();
    }
    const wrong = auditLocks(this.#rt.handle, LOCKS, threadsMost, LOCKS_OF_DEAD_MOST);
    this.#referee.expect(
      wrong.length === 0,
      () => `${this.#name}: the tables of locks have grown: ${wrong.join('; ')}`,
    );
  }
}
