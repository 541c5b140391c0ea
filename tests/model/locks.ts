/**
 * What models of locks have in common: a few owners and locks, and what their threads do, as ts/locks/block.ts drives the kernel.
 *
 *   locker      tryLock | beginWait .. (prepareWait .. isAborted .. wait32 .. requestHandoff)* .. endWait | critical section | unlock
 *   canceller   load what the victim waits for .. abortWait
 *   rescuer     recoverLocks, once a thread has died
 */
import {
  KIND_ATTACHED,
  LOCK_HANDOFF,
  LOCK_RELEASED,
  LOCK_TAKEN,
  LOCK_WORD,
  MUTANT_FLAG_BEFORE_WORD,
  MUTANT_LOOK_BEFORE_PUBLISHING,
  OWNER_EPOCH,
  OWNER_HELD,
  OWNER_KIND_CONTEXT,
  OWNER_WAITING,
  WORD_ABANDONED,
  WORD_OWNER_MASK,
  WORD_SEQ_MASK,
} from '../../build/generated/layout.model.ts';
import { type KernelThread, type KernelWorld, MEMORY_BYTES, type Steps } from './kernel.ts';
import type { Part } from './pool.ts';

export interface Fixture {
  readonly agents: readonly number[];
  /** One owner a thread. */
  readonly owners: readonly number[];
  readonly locks: readonly number[];
  /** For each lock, how many are inside. */
  readonly inside: readonly number[];
  /** Memory of each thread's searches. */
  readonly scratch: readonly number[];
}

export interface State {
  /** More than one was inside. */
  broken: boolean;
  /** By thread: waits that ended without the lock. */
  readonly gaveUp: number[];
  /** By thread: cycles that it found. */
  readonly found: number[];
  aborted: boolean;
}

export type Thread = KernelThread<Fixture, State>;

export const SCRATCH_BYTES = 1024;

/** `held`: which thread holds which lock already, as pairs. */
export function setup(
  threads: number,
  locks: number,
  held: readonly (readonly [thread: number, lock: number])[] = [],
): (world: KernelWorld) => Fixture {
  return ({ calls, u8, u32, scratch }) => {
    calls.initMemory(MEMORY_BYTES);
    calls.configureLocks(4, 0, 0);
    const agents = Array.from({ length: threads }, () => calls.claimAgent(KIND_ATTACHED, 0));
    const owners = agents.map((agent, i) => calls.claimOwner(agent, OWNER_KIND_CONTEXT, 0, 0, i));
    const addresses = Array.from({ length: locks }, (_, i) => {
      u8[scratch] = 65 + i;
      return calls.openLock(agents[0]!, scratch, 1, 0, 0, 0, 0);
    });
    // The next cancel wraps the sequence around, the next wait the epoch.
    for (const each of addresses) u32[(each + LOCK_WORD) >>> 2] = WORD_SEQ_MASK;
    for (const each of owners) u32[(each + OWNER_EPOCH) >>> 2] = 0xffffffff;
    for (const [thread, lock] of held) calls.tryLock(addresses[lock]!, owners[thread]!);
    return {
      agents,
      owners,
      locks: addresses,
      inside: addresses.map((_, i) => scratch + 64 + i * 64),
      scratch: agents.map((_, i) => scratch + SCRATCH_BYTES * (i % 3) + 512),
    };
  };
}

export const state = (): State => ({
  broken: false,
  gaveUp: [0, 0, 0, 0],
  found: [0, 0, 0, 0],
  aborted: false,
});

export interface Manner {
  /** Asks that the lock be kept for it as soon as it was woken once; at once. */
  readonly handoff?: 'woken' | 'at once';
  /** Takes abandoned locks. */
  readonly recovers?: boolean;
  /** Looks for deadlocks. */
  readonly detects?: boolean;
  /** Its thread does nothing else while it waits. */
  readonly blocks?: boolean;
  /** Looks a while before it sleeps, and after it was woken; has the lock kept for it meanwhile. */
  readonly spins?: boolean | 'reserving';
  /** Of a cycle that it finds it only tells. */
  readonly tells?: boolean;
  /** Gives up once this word is not 0: its task was cancelled. */
  readonly cancel?: number;
}

/** block.ts. True with the lock; false when the wait was aborted, or closes a cycle. */
export function* lock(thread: Thread, which: number, manner: Manner): Part<boolean> {
  const { call, fixture, state, id, world } = thread;
  const address = fixture.locks[which]!;
  const owner = fixture.owners[id]!;
  const take = manner.recovers ? call.takeAbandoned : call.tryLock;
  if (((yield take(address, owner)) as number) === LOCK_TAKEN) return true;
  if (yield* spin(thread, which, manner, 0)) return true;
  const flagFirst = world.calls.mutant(MUTANT_FLAG_BEFORE_WORD) !== 0;
  const looksFirst = world.calls.mutant(MUTANT_LOOK_BEFORE_PUBLISHING) !== 0;
  let cycle = 0;
  if (manner.detects && looksFirst)
    cycle = yield call.findCycle(owner, fixture.scratch[id]!, SCRATCH_BYTES, 1);
  yield call.beginWait(owner, address, 0, manner.blocks ? 1 : 0);
  if (manner.detects && !looksFirst)
    cycle = yield call.findCycle(owner, fixture.scratch[id]!, SCRATCH_BYTES, 1);
  if (cycle > 0) {
    state.found[id]!++;
    if (manner.tells) yield* tell(thread);
  }
  if (cycle > 0 && !manner.tells) {
    yield call.leaveWait(address, owner);
    yield call.endWait(owner);
    return false;
  }
  if (manner.handoff === 'at once') yield call.requestHandoff(address, owner);
  while (true) {
    let aborted = 0;
    if (flagFirst) aborted = yield call.isAborted(owner);
    let word: number = yield call.prepareWait(address, owner);
    if (word < 0 && word !== LOCK_TAKEN && manner.recovers) word = yield call.takeAbandoned(address, owner);
    if (word === LOCK_TAKEN) {
      yield call.endWait(owner);
      return true;
    }
    if (!flagFirst) aborted = yield call.isAborted(owner);
    if (manner.cancel !== undefined && aborted === 0) aborted = yield call.load32(manner.cancel);
    if (aborted !== 0) {
      yield call.leaveWait(address, owner);
      yield call.endWait(owner);
      state.gaveUp[id]!++;
      return false;
    }
    if (word >= 0) yield call.wait32(address + LOCK_WORD, word, -1n);
    if (yield* spin(thread, which, manner, 1)) {
      yield call.endWait(owner);
      return true;
    }
    if (manner.handoff === 'woken') yield call.requestHandoff(address, owner);
  }
}

function* spin(
  { call, fixture, id }: Thread,
  which: number,
  { spins }: Manner,
  slept: number,
): Part<boolean> {
  if (!spins) return false;
  const [address, owner] = [fixture.locks[which]!, fixture.owners[id]!];
  const reserve = spins === 'reserving' ? 1 : 0;
  if (((yield call.spinLock(address, owner, 1, 1, slept, reserve)) as number) === LOCK_TAKEN) return true;
  if (reserve !== 0) yield call.endSpin(address, owner);
  return false;
}

/** Who is told that it does not hold what it took was not alone inside. */
export function* unlock({ call, fixture, state, id }: Thread, which: number): Part<void> {
  const answer: number = yield call.unlock(fixture.locks[which]!, fixture.owners[id]!);
  if (answer !== LOCK_RELEASED) state.broken = true;
}

/** A word of the model's own. */
export const told = (fixture: Fixture): number => fixture.inside[0]! + 384;

/** Everybody knows of the deadlock. */
export function* tell({ call, fixture }: Thread): Part<void> {
  yield call.store32(told(fixture), 1);
  yield call.notifyAll(told(fixture));
}

/** Inside the lock. Who finds it abandoned puts right what the dead one left. */
export function* critical({ call, fixture, state }: Thread, which: number): Part<void> {
  const word = fixture.inside[which]!;
  const isAbandoned = ((yield call.load32(fixture.locks[which]! + LOCK_WORD)) as number) & WORD_ABANDONED;
  if (isAbandoned !== 0) yield call.store32(word, 0);
  if (((yield call.add32(word, 1)) as number) !== 0) state.broken = true;
  yield call.add32(word, -1);
}

export function locker(times: number, manner: Manner = {}): (thread: Thread) => Steps {
  return function* run(thread) {
    for (let i = 0; i < times; i++) {
      if (!(yield* lock(thread, 0, manner))) continue;
      yield* critical(thread, 0);
      yield* unlock(thread, 0);
    }
  };
}

/** Aborts the wait of a thread, if it waits. */
export function canceller(victim: number): (thread: Thread) => Steps {
  return function* run({ call, fixture, state }) {
    const owner = fixture.owners[victim]!;
    const epoch: number = yield call.load32(owner + OWNER_EPOCH);
    if (((yield call.load32(owner + OWNER_WAITING)) as number) === 0) return;
    yield call.abortWait(owner, epoch);
    if (((yield call.load32(owner + OWNER_EPOCH)) as number) === epoch) state.aborted = true;
  };
}

export const rescuer = {
  name: 'rescuer',
  onDeath: true,
  *run({ call, fixture, dead }: Thread): Steps {
    yield call.recoverLocks(fixture.agents[dead[0]!]!);
  },
};

/** All locks are free, nobody has reserved one. */
export function leftovers(
  { u32 }: KernelWorld,
  { locks, owners }: Fixture,
  { broken }: State,
): string | undefined {
  if (broken) return 'two were inside';
  for (const each of locks) {
    if ((u32[(each + LOCK_WORD) >>> 2]! & WORD_OWNER_MASK) !== 0) return 'a lock is left';
    if (u32[(each + LOCK_HANDOFF) >>> 2] !== 0) return 'a lock is reserved for ever';
  }
  for (const owner of owners) {
    if (u32[(owner + OWNER_HELD) >>> 2] !== 0) return 'an owner lists a lock that it gave back';
    if (u32[(owner + OWNER_WAITING) >>> 2] !== 0) return 'an owner waits for ever';
  }
  return undefined;
}

export const describe = (address: number, { locks, owners, inside }: Fixture): string | undefined => {
  for (const [i, at] of locks.entries()) {
    if (address === at + LOCK_WORD) return `word of ${'ABC'[i]}`;
    if (address === at + LOCK_HANDOFF) return `handoff of ${'ABC'[i]}`;
    if (address >= at && address < at + 64) return `lock ${'ABC'[i]} + ${address - at}`;
  }
  for (const [i, at] of owners.entries())
    if (address >= at && address < at + 64) return `owner ${i} + ${address - at}`;
  for (const [i, at] of inside.entries()) if (address === at) return `inside ${'ABC'[i]}`;
  return undefined;
};

export const ALL = Number.POSITIVE_INFINITY;

/** Takes locks one after the other, gives them back in the other order; starts over when it closed a cycle. */
export function nester(order: readonly number[], manner: Manner): (thread: Thread) => Steps {
  return function* run(thread) {
    const had: number[] = [];
    for (const which of order) {
      if (yield* lock(thread, which, manner)) had.push(which);
      else break;
    }
    for (const which of had.reverse()) yield* unlock(thread, which);
  };
}
