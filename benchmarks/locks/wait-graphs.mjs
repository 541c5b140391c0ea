/**
 * Random wait graphs against an oracle. Owners of several threads' worth of locks take, want and give back locks at random; the oracle keeps who has
 * and wants what in plain maps, and knows for each wait whether it closes a cycle.
 */
import { seeded } from '../lib/random.mjs';

/** One graph: plays `steps` at random, then lets everybody go. */
export class WaitGraph {
  #random;
  /** Owners as the runtime has them: `{ owner, mutexes }`, each with the mutexes of the thread that it belongs to. */
  #parties;
  #names;
  /** Oracle: lock -> owner, owner -> lock, both by number. */
  #holder = new Map();
  #wants = new Map();
  #waits = new Map();
  counts = { waits: 0, deadlocks: 0, missed: 0, invented: 0 };
  /** Microseconds from the call to the error. */
  found = [];

  constructor(parties, names, seed) {
    this.#parties = parties;
    this.#names = names;
    this.#random = seeded(seed);
  }

  #below(n) {
    return Math.floor(this.#random() * n);
  }

  async play(steps) {
    const owners = 2 + this.#below(this.#parties.length - 1);
    const locks = 2 + this.#below(this.#names - 1);
    for (let step = 0; step < steps; step++) {
      const who = this.#below(owners);
      if (this.#wants.has(who)) continue;
      if (this.#below(5) === 0) await this.#giveBack(who);
      else await this.#take(who, this.#below(locks));
    }
    // There is no cycle now, so somebody does not wait as long as anybody holds something.
    while (this.#holder.size > 0)
      for (let who = 0; who < owners; who++) if (!this.#wants.has(who)) await this.#giveBack(who);
  }

  async #take(who, lock) {
    const holder = this.#holder.get(lock);
    if (holder === who) return;
    const { owner, mutexes } = this.#parties[who];
    const isCycle = holder !== undefined && this.#reaches(holder, who);
    const begin = performance.now();
    const outcome = mutexes[lock].lock({ owner }).then(
      () => 'had',
      (error) => error.code,
    );
    if (holder === undefined) {
      this.#expect(await outcome, 'had');
      this.#holder.set(lock, who);
      return;
    }
    this.counts.waits++;
    // One that closes a cycle is settled by the call itself; the promise gets here after some turns.
    const early = await Promise.race([outcome, isCycle ? patience() : turns(8)]);
    if (early === 'ERR_DEADLOCK') {
      this.found.push((performance.now() - begin) * 1000);
      this.counts.deadlocks++;
      if (!isCycle) this.counts.invented++;
      return;
    }
    this.#expect(early, undefined);
    if (isCycle) {
      this.counts.missed++;
      throw new Error('a deadlock was missed');
    }
    this.#wants.set(who, lock);
    this.#waits.set(who, outcome);
  }

  /** Gives one lock back, and sees who has it next. */
  async #giveBack(who) {
    const held = [...this.#holder].filter(([, holder]) => holder === who).map(([lock]) => lock);
    if (held.length === 0) return;
    const lock = held[this.#below(held.length)];
    const { owner, mutexes } = this.#parties[who];
    mutexes[lock].unlock({ owner });
    this.#holder.delete(lock);
    const waiting = [...this.#wants].filter(([, wanted]) => wanted === lock).map(([next]) => next);
    if (waiting.length === 0) return;
    const [next, outcome] = await Promise.race(
      waiting.map(async (each) => [each, await this.#waits.get(each)]),
    );
    this.#wants.delete(next);
    this.#waits.delete(next);
    if (outcome === 'ERR_DEADLOCK') {
      this.counts.invented++;
      return;
    }
    this.#expect(outcome, 'had');
    this.#holder.set(lock, next);
  }

  /** Does `from` wait, over any number of others, for `to`? */
  #reaches(from, to) {
    for (let at = from, hops = 0; hops <= this.#parties.length; hops++) {
      if (at === to) return true;
      const wanted = this.#wants.get(at);
      if (wanted === undefined) return false;
      at = this.#holder.get(wanted);
      if (at === undefined) return false;
    }
    return false;
  }

  #expect(outcome, wanted) {
    if (outcome !== wanted) throw new Error(`a wait came to ${outcome} where the oracle says ${wanted}`);
  }
}

/** More than any deadlock takes to be found. */
function patience() {
  return new Promise((resolve) => setTimeout(resolve, 5000, undefined).unref());
}

/** Lets promises that are settled call back. */
async function turns(count) {
  for (let i = 0; i < count; i++) await undefined;
}
