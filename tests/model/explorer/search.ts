/**
 * Ways through the interleavings of a model.
 *
 * depthFirst(): every decision in turn, at most `bound` of them preemptions (another thread goes on although the running one could). It
 * re-executes from the start with another last decision. A state that was met before, with as many preemptions left and the same thread
 * running, is not gone into again: what follows from it is known. That holds for every bound, since the key says all that the
 * future depends on; and states that were met before were gone into wholly, since the search is depth first and no state follows itself. With no
 * preemption left there is mostly nothing to decide, and still states are recognised: half of all steps would be those of a thread that runs on
 * alone to an end that is known.
 *
 * Without a bound, sleep sets besides (P. Godefroid, "Partial-order methods for the verification of concurrent systems", 1996, chapters 5 and
 * 6): an action whose consequences here were seen when it came earlier is not tried again before something that it depends on has happened. A
 * known state is gone into again only for what was asleep whenever it was met before. With a bound they would be wrong: the order that
 * was seen earlier may have had more preemptions left or fewer.
 *
 * random(), pct(): one execution each, from a seed. PCT: S. Burckhardt et al., "A randomized scheduler with probabilistic guarantees of
 * finding bugs" (ASPLOS 2010): random priorities, and depth - 1 places where the running thread's falls below all others.
 */

import { type Chooser, type Machine, popCount } from './machine.ts';
import { type Failure, OWN } from './types.ts';

export interface Found {
  readonly failure: Failure | undefined;
  /** All interleavings within the bound were looked at. */
  readonly complete: boolean;
  /** Of the last search, in which all conflicts were decisions; and of those before it. */
  readonly executions: number;
  readonly earlierExecutions: number;
  readonly steps: number;
  readonly states: number;
  readonly depth: number;
}

export interface Limits {
  readonly bound: number;
  readonly seconds?: number;
  readonly executions?: number;
  /** Do not recognise states; do not use sleep sets (to test the explorer itself). */
  readonly noCache?: boolean;
  readonly noSleep?: boolean;
  /** Do not look for conflicts by random executions first. */
  readonly noWarmUp?: boolean;
  readonly onProgress?: (executions: number, steps: number) => void;
  /** A conflict has shown that was not known: the search starts anew. */
  readonly onSearch?: () => void;
  /** At the end of each execution that came to its own end. */
  readonly onExecution?: () => void;
}

const lowest = (set: number): number => 31 - Math.clz32(set & -set);

/** A set of states, each with the most preemptions that were left when it was met. */
class States {
  #table = new Int32Array(3 * 4096);
  #mask = 4095;
  size = 0;

  clear(): void {
    this.#table.fill(0);
    this.size = 0;
  }

  /** True when the state is known with at least `left` preemptions left. */
  meet(hash1: number, hash2: number, left: number): boolean {
    const at = this.#find(hash1, hash2);
    const table = this.#table;
    // `left` is stored plus one: 0 is a free place.
    if (table[at + 2]! > 0) {
      if (table[at + 2]! > left) return true;
      table[at + 2] = left + 1;
      return false;
    }
    table[at] = hash1;
    table[at + 1] = hash2;
    table[at + 2] = left + 1;
    if (++this.size * 2 > this.#mask) this.#grow();
    return false;
  }

  /** Of a state that is known, the actions that were asleep whenever it was met, those of `asleep` left in; -1 when it is new. */
  meetAsleep(hash1: number, hash2: number, asleep: number): number {
    const at = this.#find(hash1, hash2);
    const was = this.#table[at + 2]! - 1;
    if (was >= 0) {
      this.#table[at + 2] = (was & asleep) + 1;
      return was;
    }
    this.meet(hash1, hash2, asleep);
    return -1;
  }

  #find(hash1: number, hash2: number): number {
    const table = this.#table;
    let i = hash1 & this.#mask;
    while (table[i * 3 + 2] !== 0 && (table[i * 3] !== hash1 || table[i * 3 + 1] !== hash2))
      i = (i + 1) & this.#mask;
    return i * 3;
  }

  #grow(): void {
    const old = this.#table;
    this.#mask = this.#mask * 2 + 1;
    this.#table = new Int32Array(3 * (this.#mask + 1));
    for (let i = 0; i < old.length; i += 3) {
      if (old[i + 2] === 0) continue;
      const at = this.#find(old[i]!, old[i + 1]!);
      this.#table[at] = old[i]!;
      this.#table[at + 1] = old[i + 1]!;
      this.#table[at + 2] = old[i + 2]!;
    }
  }
}

const NO_BOUND = 0x3fffffff;
const DIFFERS = 'an execution differs from its replay: is the model deterministic?';
/** Random executions without a new conflict, after which the search begins. */
const WARM = 300;

class DepthFirst implements Chooser {
  readonly #bound: number;
  readonly #states: States | undefined;
  readonly #isDrowsy: boolean;
  #chosen = new Int32Array(1024);
  #todo = new Int32Array(1024);
  /** At each decision, what was gone into before the chosen action. */
  #done = new Int32Array(1024);
  /** Actions that need not be tried: whatever follows from them here was seen to follow when they came earlier. */
  #asleep = 0;
  #prefix = 0;
  #depth = 0;
  #preemptions = 0;
  pruned = false;
  deepest = 0;

  constructor(bound: number, states: States | undefined, sleepSets: boolean) {
    this.#bound = Number.isFinite(bound) ? bound : NO_BOUND;
    this.#states = states;
    this.#isDrowsy = sleepSets && this.#bound === NO_BOUND;
  }

  begin(): void {
    this.#depth = 0;
    this.#preemptions = 0;
    this.#asleep = 0;
    this.pruned = false;
  }

  restart(): void {
    this.#prefix = 0;
    this.#states?.clear();
  }

  choose(machine: Machine, current: number, runnable: number, mortal: number): number {
    if (this.#isDrowsy) return this.#chooseAwake(machine, current, runnable | (mortal << machine.count));
    const here = current >= 0 ? 1 << current : 0;
    const left = this.#bound - this.#preemptions;
    const threads = here !== 0 && left <= 0 ? here : runnable;
    const candidates = threads | (mortal << machine.count);
    const first = here !== 0 ? current : lowest(threads !== 0 ? threads : candidates);
    const others = candidates & ~(1 << first);
    if (others === 0) {
      // Without a preemption left a thread runs on alone; another way may have led here.
      if (left > 0 || here === 0 || this.#states === undefined || this.#depth < this.#prefix) return first;
      machine.fingerprint(current + 2);
      return this.#states.meet(machine.hash1, machine.hash2, 0) ? this.#prune() : first;
    }
    const d = this.#depth++;
    let action: number;
    if (d < this.#prefix) {
      action = this.#chosen[d]!;
      if (((candidates >>> action) & 1) === 0) throw new Error(DIFFERS);
    } else {
      if (this.#states !== undefined) {
        machine.fingerprint(this.#bound === NO_BOUND ? 0 : current + 2);
        if (this.#states.meet(machine.hash1, machine.hash2, this.#bound === NO_BOUND ? 0 : left)) {
          this.#depth--;
          return this.#prune();
        }
      }
      if (d >= this.#chosen.length) this.#enlarge();
      action = first;
      this.#chosen[d] = action;
      this.#todo[d] = others;
    }
    if (here !== 0 && action < machine.count && action !== current) this.#preemptions++;
    return action;
  }

  /** choose() without a bound, with sleep sets. */
  #chooseAwake(machine: Machine, current: number, candidates: number): number {
    const asleep = this.#asleep;
    const awake = candidates & ~asleep;
    if (awake === 0) return this.#prune();
    let action = current >= 0 && (awake & (1 << current)) !== 0 ? current : lowest(awake);
    let done = 0;
    if ((candidates & (candidates - 1)) !== 0) {
      const d = this.#depth++;
      if (d < this.#prefix) {
        action = this.#chosen[d]!;
        if (((awake >>> action) & 1) === 0) throw new Error(DIFFERS);
      } else {
        let todo = awake;
        if (this.#states !== undefined) {
          machine.fingerprint(0);
          const before = this.#states.meetAsleep(machine.hash1, machine.hash2, asleep);
          if (before >= 0) {
            // What was awake before was gone into then.
            todo = awake & before;
            if (todo === 0) {
              this.#depth--;
              return this.#prune();
            }
            if (((todo >>> action) & 1) === 0) action = lowest(todo);
          }
        }
        if (d >= this.#chosen.length) this.#enlarge();
        this.#chosen[d] = action;
        this.#todo[d] = todo & ~(1 << action);
        this.#done[d] = awake & ~todo;
      }
      done = this.#done[d]!;
    }
    // Whatever the action does not wake sleeps on.
    let sleepers = 0;
    for (let rest = (asleep | done) & ~(1 << action); rest !== 0; rest &= rest - 1) {
      const other = lowest(rest);
      if (!machine.dependent(action, other)) sleepers |= 1 << other;
    }
    this.#asleep = sleepers;
    return action;
  }

  #prune(): number {
    this.pruned = true;
    return -1;
  }

  #enlarge(): void {
    const twice = (old: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
      const larger = new Int32Array(old.length * 2);
      larger.set(old);
      return larger;
    };
    this.#chosen = twice(this.#chosen);
    this.#todo = twice(this.#todo);
    this.#done = twice(this.#done);
  }

  /** Turns to the next execution. False when there is none. */
  advance(): boolean {
    if (this.#depth > this.deepest) this.deepest = this.#depth;
    let d = this.#depth - 1;
    while (d >= 0 && this.#todo[d] === 0) d--;
    if (d < 0) return false;
    const action = lowest(this.#todo[d]!);
    this.#done[d]! |= 1 << this.#chosen[d]!;
    this.#chosen[d] = action;
    this.#todo[d]! &= ~(1 << action);
    this.#prefix = d + 1;
    return true;
  }
}

/**
 * Finds most of what must be visible by random executions, so that the search seldom starts anew. What they find wrong, the search will find too,
 * and with fewer preemptions. Returns how many there were.
 */
function warmUp(machine: Machine): number {
  let executions = 0;
  let quiet = 0;
  let longest = 16;
  while (quiet < WARM && executions < 20 * WARM) {
    const seed = ++executions;
    longest = Math.max(longest, machine.schedule.length);
    // Both kinds in turn: one mixes all threads, the other lets one run far ahead.
    const chooser =
      seed % 2 === 0 ? new Random(seed) : new Pct(seed, machine.count, longest, 2 + ((seed >>> 1) % 3));
    const failure = machine.execute(chooser);
    quiet = machine.visibleChanged ? 0 : quiet + 1;
    machine.showAll();
    if (failure !== undefined && machine.visibleChanged === false) break;
  }
  return executions;
}

export function depthFirst(machine: Machine, limits: Limits): Found {
  const states = limits.noCache === true ? undefined : new States();
  const search = new DepthFirst(limits.bound, states, limits.noSleep !== true);
  const until = performance.now() + (limits.seconds ?? Number.POSITIVE_INFINITY) * 1000;
  let executions = 0;
  let earlier = 0;
  if (limits.noWarmUp !== true) {
    earlier += warmUp(machine);
    // Few preemptions show nearly all conflicts, and what is wrong is best shown with few.
    for (let bound = 1; bound < Math.min(limits.bound, 3); bound++) {
      const found = depthFirst(machine, { bound, seconds: 5, executions: 50_000, noWarmUp: true });
      earlier += found.earlierExecutions + found.executions;
      if (found.failure !== undefined) return { ...found, complete: false };
    }
  }
  let firstStep = machine.steps;
  let failure: Failure | undefined;
  let complete = false;
  while (true) {
    search.begin();
    failure = machine.execute(search);
    executions++;
    if (failure !== undefined) break;
    if (machine.visibleChanged) {
      machine.showAll();
      limits.onSearch?.();
      search.restart();
      earlier += executions;
      executions = 0;
      firstStep = machine.steps;
      continue;
    }
    if (!search.pruned) limits.onExecution?.();
    if (!search.advance()) {
      complete = true;
      break;
    }
    if (executions >= (limits.executions ?? Number.POSITIVE_INFINITY)) break;
    if ((executions & 255) === 0) {
      limits.onProgress?.(executions, machine.steps - firstStep);
      if (performance.now() > until) break;
    }
  }
  return {
    failure,
    complete,
    executions,
    earlierExecutions: earlier,
    steps: machine.steps - firstStep,
    states: states?.size ?? 0,
    depth: search.deepest,
  };
}

/** Xorshift32 (G. Marsaglia, 2003). */
export function generator(seed: number): () => number {
  let x = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

/** Any runnable thread, each as likely; rarely a death. */
class Random implements Chooser {
  readonly #next: () => number;
  constructor(seed: number) {
    this.#next = generator(seed);
  }

  choose(machine: Machine, current: number, runnable: number, mortal: number): number {
    if (mortal !== 0 && (this.#next() % 16 === 0 || runnable === 0))
      return machine.count + pick(mortal, this.#next());
    // To act there instead of another is to put that one aside to die.
    if (current >= 0 && machine.pendingKind[current] === OWN && this.#next() % 16 !== 0) return current;
    return pick(runnable, this.#next());
  }
}

function pick(set: number, random: number): number {
  let rest = set;
  for (let i = random % popCount(set); i > 0; i--) rest &= rest - 1;
  return lowest(rest);
}

/** Steps after which PCT lets everybody go on: short programs end before, unless somebody waits for who has no turn. */
const UNFAIR_STEPS = 1000;

class Pct implements Chooser {
  readonly #next: () => number;
  readonly #priority: number[];
  readonly #changes: ReadonlySet<number>;
  #step = 0;
  #low = 0;

  constructor(seed: number, threads: number, steps: number, depth: number) {
    this.#next = generator(seed);
    this.#priority = Array.from({ length: threads }, (_, i) => depth + i);
    for (let i = threads - 1; i > 0; i--) {
      const j = this.#next() % (i + 1);
      const kept = this.#priority[i]!;
      this.#priority[i] = this.#priority[j]!;
      this.#priority[j] = kept;
    }
    this.#changes = new Set(Array.from({ length: depth - 1 }, () => 1 + (this.#next() % Math.max(1, steps))));
  }

  choose(machine: Machine, current: number, runnable: number, mortal: number): number {
    this.#step++;
    if (runnable === 0) return machine.count + pick(mortal, this.#next());
    // Priorities are unfair: two that wake each other for as long as a third has not gone on would never end.
    if (this.#step > UNFAIR_STEPS) return pick(runnable, this.#next());
    if (this.#changes.has(this.#step)) {
      // A change point is a death where there may be one, every other time.
      if (mortal !== 0 && this.#next() % 2 === 0) return machine.count + pick(mortal, this.#next());
      if (current >= 0) this.#priority[current] = --this.#low;
    } else if (current >= 0 && machine.pendingKind[current] === OWN) return current;
    let best = -1;
    for (let rest = runnable; rest !== 0; rest &= rest - 1) {
      const t = lowest(rest);
      if (best < 0 || this.#priority[t]! > this.#priority[best]!) best = t;
    }
    return best;
  }
}

export interface Sampling {
  readonly seed: number;
  readonly executions: number;
  readonly seconds?: number;
  /** With it, PCT for bugs of that depth; without it, any runnable thread is as likely. */
  readonly depth?: number;
  readonly onExecution?: () => void;
}

/** Executions with random decisions; the same ones for the same seed. */
export function sample(machine: Machine, sampling: Sampling): Found {
  const until = performance.now() + (sampling.seconds ?? Number.POSITIVE_INFINITY) * 1000;
  const firstStep = machine.steps;
  let longest = 16;
  let executions = 0;
  let failure: Failure | undefined;
  while (executions < sampling.executions && performance.now() < until) {
    const seed = sampling.seed + executions;
    const chooser =
      sampling.depth === undefined ? new Random(seed) : new Pct(seed, machine.count, longest, sampling.depth);
    executions++;
    failure = machine.execute(chooser);
    if (failure !== undefined) break;
    sampling.onExecution?.();
    longest = Math.max(longest, machine.schedule.length);
    if (machine.visibleChanged) machine.showAll();
  }
  return {
    failure,
    complete: false,
    executions,
    earlierExecutions: 0,
    steps: machine.steps - firstStep,
    states: 0,
    depth: longest,
  };
}

/** Follows a recorded schedule; where it cannot, the running thread goes on. */
export class Replay implements Chooser {
  readonly #schedule: readonly number[];
  readonly #isStrict: boolean;
  #at = 0;
  constructor(schedule: readonly number[], isStrict: boolean) {
    this.#schedule = schedule;
    this.#isStrict = isStrict;
  }

  choose(machine: Machine, current: number, runnable: number, mortal: number): number {
    const wanted = this.#schedule[this.#at++];
    if (wanted !== undefined) {
      if (wanted >= 0 && ((runnable >>> wanted) & 1) === 1) return wanted;
      if (wanted < 0 && ((mortal >>> (-1 - wanted)) & 1) === 1) return machine.count - 1 - wanted;
      if (this.#isStrict) throw new Error('the schedule does not fit the model');
    }
    return current >= 0 ? current : lowest(runnable !== 0 ? runnable : mortal << machine.count);
  }
}
