import {
  AGENT_BLOCKED,
  CHECK_OFF,
  CHECK_REPORT,
  CHECK_THROW,
  EDGE_LOCK,
  EDGE_TASK,
  EDGE_THREAD,
  LOCK_TEXT,
  META_FUNCTION_MASK,
  OWNER_ASKED,
  OWNER_BORN,
  OWNER_EPOCH,
  OWNER_FLAG_BREAKABLE,
  OWNER_FLAG_CLASS_SHIFT,
  OWNER_FLAG_TRY,
  OWNER_FLAGS,
  OWNER_HELD,
  OWNER_KIND,
  OWNER_KIND_AWAIT,
  OWNER_KIND_FLOW,
  OWNER_KIND_TASK,
  OWNER_KIND_THREAD,
  OWNER_SHARED,
  OWNER_SLOT,
  OWNER_TEXT,
  OWNER_WAITING,
  SLOT_META,
  SLOT_QUEUED,
  SPAN_SIZE,
  STACKS_OFF,
  STEP_EDGE,
  STEP_EPOCH,
  STEP_OWNER,
  STEP_SIZE,
  STEP_TARGET,
  WAIT_SLOT_BIT,
} from '../../build/generated/layout.ts';
import { DeadlockError, type DeadlockParty } from '../errors.ts';
import { QOS_LEVELS } from '../qos.ts';
import { describeCycle } from './deadlock-text.ts';
import { type Behind, QueueWait } from './queue-wait.ts';
import type { DeadlockResolver } from './resolver.ts';
import { ownersOf } from './snapshot.ts';
import type { LockSpace } from './space.ts';
import { cleanStack } from './stacks.ts';
import type { Deadlock } from './types.ts';
import { Verdicts } from './verdicts.ts';

/** A deadlock with what it takes to abort one of its waits. */
interface FoundDeadlock extends Deadlock {
  /** Epoch of each party's wait. */
  readonly epochs: readonly number[];
  /** One of the owners is a whole thread that awaits a call, or waits for several locks at once. Another of its flows may unlock, so this is for people to judge. */
  readonly isDoubtful: boolean;
}

/** How long the runtime's thread has to answer. Then `abort-requester` decides: that thread may be gone. */
const ANSWER_MS = 5000;
/** OWNER_ASKED while there is a question about the wait `epoch`. */
const questionOf = (epoch: number): number => 1 + (epoch % 255);

const DOUBT =
  '\n  nobody gave up: another flow of that thread may unlock; with rt.withOwner(fn) around each flow heddle would know';
const DOUBT_OF_FLOWS =
  '\n  nobody gave up: an owner that waits for several locks at once may unlock in another flow; with rt.withOwner(fn) around each flow heddle would know';

/** Waits of one thread's owners: published for others, and checked for deadlocks. */
export class Detector {
  readonly #space: LockSpace;
  readonly #resolver: DeadlockResolver;
  readonly #verdicts: Verdicts;
  #scratch = 0;
  #scratchSpans = 0;
  /** Records of this thread about whose waits the runtime's thread is asked, and since when. */
  readonly #asked = new Map<number, number>();

  constructor(space: LockSpace, resolver: DeadlockResolver) {
    this.#space = space;
    this.#resolver = resolver;
    this.#verdicts = new Verdicts(space.kernel);
  }

  // ---- publishing ----------------------------------------------------------------------------------------------------------------------------

  /**
   * Says that an owner waits for a lock, or for a slot with WAIT_SLOT_BIT. Returns the record that says so: the owner's, or one of its own when the
   * owner waits already in another flow. `at`: where, to tell others.
   */
  begin(owner: number, target: number, flags: number, blocks: boolean, at?: Error): number {
    const { kernel, agent } = this.#space;
    let record = owner;
    if (kernel.u32[(owner + OWNER_WAITING) >>> 2] !== 0) {
      const flow = kernel.calls.claimOwner(agent, OWNER_KIND_FLOW, owner, 0, 0) >>> 0;
      // With the memory full the wait is not seen by others.
      if (flow === 0) return 0;
      record = flow;
    }
    // First, so that whoever sees the wait sees it too.
    if (at !== undefined || (this.#space.stacks === STACKS_OFF && this.#matters(owner, blocks)))
      this.#sign(record, at);
    kernel.calls.beginWait(record, target, flags, blocks ? 1 : 0);
    // One that blocks the thread is met through that; one that only tries ends by itself.
    if (record !== owner && !blocks && (flags & OWNER_FLAG_TRY) === 0) kernel.calls.addFlow(owner, record);
    return record;
  }

  /** The wait of that record is over. */
  end(record: number): void {
    if (record === 0) return;
    const { kernel, agent } = this.#space;
    if (this.#asked.delete(record)) Atomics.store(kernel.u8, record + OWNER_ASKED, 0);
    kernel.calls.endWait(record);
    const text = kernel.u32[(record + OWNER_TEXT) >>> 2]!;
    if (text !== 0) this.#unsign(record, text);
    if (kernel.u32[(record + OWNER_KIND) >>> 2] !== OWNER_KIND_FLOW) return;
    kernel.calls.removeFlow(kernel.u32[(record + OWNER_SLOT) >>> 2]!, record);
    kernel.calls.freeOwner(agent, record);
  }

  /** An owner blocks its thread in a join of the task in `slot`. Returns what ends that. */
  joins(owner: number, slot: number): (() => void) | undefined {
    const record = this.begin(owner, slot | WAIT_SLOT_BIT, 0, true, this.captureStack(owner, true));
    if (record === 0) return undefined;
    this.#look(record);
    return () => this.end(record);
  }

  /** An owner awaits the task in `slot`, beside whatever else it awaits. Returns what ends that. */
  awaits(owner: number, slot: number): (() => void) | undefined {
    const { kernel, agent, host } = this.#space;
    const node = kernel.calls.claimOwner(agent, OWNER_KIND_AWAIT, slot, 0, 0) >>> 0;
    if (node === 0) return undefined;
    kernel.calls.addAwait(owner, node);
    this.#look(owner);
    let stopWatch = (): void => undefined;
    if (host.workersOf !== undefined && this.#space.waitsModeOfRuntime !== CHECK_OFF) {
      const queue = new QueueWait(this.#space, owner, slot, node);
      stopWatch = queue.watch((behind) => this.#standBehind(owner, behind));
    }
    return () => {
      stopWatch();
      kernel.calls.removeAwait(owner, node);
      kernel.calls.freeOwner(agent, node);
    };
  }

  /** After an edge to a task was published: if it closes a cycle, one of the waits for locks in it is given up. Is one? */
  #look(record: number): boolean {
    const mode = this.#space.waitsModeOfRuntime;
    if (mode === CHECK_OFF) return false;
    const deadlock = this.find(record);
    if (deadlock === undefined) return false;
    if (mode === CHECK_THROW) return this.#giveUpOne(deadlock, this.#resolver.asksRuntime);
    this.#report(deadlock);
    return false;
  }

  /** A call that `owner` awaits is queued, and goes on only when others do that wait for that very owner. */
  #standBehind(owner: number, behind: readonly Behind[]): void {
    const { calls } = this.#space.kernel;
    for (const each of behind) calls.setBehind(each.node, each.owner, each.epoch);
    // Who gives up finds the cycle from its own side. Otherwise the others may go on, and nobody would take the edges back.
    if (!this.#look(owner)) for (const { node } of behind) calls.setBehind(node, 0, 0);
  }

  /** Where we are, if the owner may become part of a deadlock by this wait: it holds something, or others may wait for its task or thread. */
  captureStack(owner: number, blocks: boolean): Error | undefined {
    if (this.#space.stacks === STACKS_OFF) return undefined;
    return this.#matters(owner, blocks) ? new Error() : undefined;
  }

  #matters(owner: number, blocks: boolean): boolean {
    const { u32 } = this.#space.kernel;
    return (
      blocks || u32[(owner + OWNER_HELD) >>> 2] !== 0 || u32[(owner + OWNER_KIND) >>> 2] === OWNER_KIND_TASK
    );
  }

  /** Writes down for other threads who the owner is and where it waits; the former alone, if that is all. */
  #sign(record: number, at: Error | undefined): void {
    const { kernel, owners } = this.#space;
    if (at === undefined && owners.textOf(record) !== 0) return;
    const label = this.#space.ownerLabel(record);
    const text = this.#space.writeText(at === undefined ? label : `${label}\n${cleanStack(at)}`);
    // With the memory full the name that the owner may have is better than nothing.
    if (text !== 0) kernel.u32[(record + OWNER_TEXT) >>> 2] = text;
  }

  /** It waits no more: what is left is its name, if the program gave it one. */
  #unsign(record: number, text: number): void {
    const { kernel, owners } = this.#space;
    const label = owners.textOf(record);
    if (text === label) return;
    kernel.u32[(record + OWNER_TEXT) >>> 2] = label;
    this.#space.freeText(text);
  }

  // ---- checking --------------------------------------------------------------------------------------------------------------------------------

  /** After a wait was published: does it close a cycle? Returns the error of the owner when its wait is the one to be given up. */
  check(record: number, lock: number): DeadlockError | undefined {
    const mode = this.#space.waitsMode(lock);
    if (record === 0 || mode === CHECK_OFF) return undefined;
    const owner = this.#ownerOf(record);
    const deadlock = this.find(owner);
    if (mode === CHECK_REPORT) {
      if (deadlock !== undefined) this.#report(deadlock);
      return undefined;
    }
    if (deadlock === undefined) {
      const unanswered = this.#unanswered(record);
      return unanswered === undefined ? undefined : this.#decide(unanswered, false);
    }
    if (owner === record) return this.#decide(deadlock, this.#resolver.asksRuntime);
    // If it costs the owner a wait, that is another one.
    this.#giveUpOne(deadlock, this.#resolver.asksRuntime);
    return undefined;
  }

  /** Where a search begins: at the owner of a wait that is one of several and blocks nobody, as nothing leads to that one but through its owner. */
  #ownerOf(record: number): number {
    const { agent, kernel } = this.#space;
    const { u32 } = kernel;
    const isFlow = u32[(record + OWNER_KIND) >>> 2] === OWNER_KIND_FLOW;
    if (!isFlow || u32[(agent + AGENT_BLOCKED) >>> 2] === record) return record;
    return u32[(record + OWNER_SLOT) >>> 2]!;
  }

  /** Lets the strategy decide, and does what it says to owners of other waits. Returns the error when it is the requester's wait. */
  #decide(deadlock: FoundDeadlock, asks: boolean): DeadlockError | undefined {
    const outcome = this.#giveUp(deadlock, asks);
    return typeof outcome === 'object' ? this.#errorOf(outcome) : undefined;
  }

  // ---- asking the runtime's thread, which alone knows a registered strategy -------------------------------------------------------------------------

  /**
   * Asks whose wait the deadlock costs. The requester waits meanwhile, like all others in it. The question stands in its record, where that thread finds it
   * in its event loop, which the bell wakes, and while it blocks for a lock.
   *
   * @returns false when nobody would answer
   */
  #ask({ requester, epochs }: FoundDeadlock): boolean {
    const { kernel, host } = this.#space;
    const record = kernel.calls.ownerAt(requester) >>> 0;
    const epoch = epochs[0]!;
    Atomics.store(kernel.u8, record + OWNER_ASKED, questionOf(epoch));
    // After that: a runtime that is disposed of first says that nobody is to ask, then answers a last time.
    if (!this.#resolver.asksRuntime || !this.#space.ringRuntime()) return !this.#take(record, epoch);
    this.#asked.set(record, host.clock.now());
    return true;
  }

  /** Who takes a question answers it. Is it the caller? */
  #take(record: number, epoch: number): boolean {
    const question = questionOf(epoch);
    return Atomics.compareExchange(this.#space.kernel.u8, record + OWNER_ASKED, question, 0) === question;
  }

  /** The deadlock that the wait has closed, if the runtime's thread was asked about it so long ago that it will not answer. */
  #unanswered(record: number): FoundDeadlock | undefined {
    const since = this.#asked.get(record);
    if (since === undefined || this.#space.host.clock.now() - since < ANSWER_MS) return undefined;
    this.#asked.delete(record);
    return this.#take(record, this.epochOf(record)) ? this.#search(record, true) : undefined;
  }

  /** Answers the questions of all threads. Only in the thread that made the runtime. */
  answer(): void {
    const { u32, u8 } = this.#space.kernel;
    for (const record of ownersOf(this.#space)) {
      const epoch = Atomics.load(u32, (record + OWNER_EPOCH) >>> 2);
      if (Atomics.load(u8, record + OWNER_ASKED) !== questionOf(epoch) || !this.#take(record, epoch))
        continue;
      const found = this.#search(record, true);
      // Another wait than the one that was asked about asks for itself.
      if (found?.epochs[0] === epoch) this.#giveUpOne(found, false);
    }
  }

  // ---- giving up -----------------------------------------------------------------------------------------------------------------------------------

  /** Lets the strategy decide, and does what it says to owners of any waits. Is one given up? */
  #giveUpOne(deadlock: FoundDeadlock, asks: boolean): boolean {
    const outcome = this.#giveUp(deadlock, asks);
    if (typeof outcome === 'object') this.abort(outcome, 0);
    return outcome !== false;
  }

  /**
   * Aborts waits of others until that of the requester closes no cycle any more. One may not be enough: what waits in the event loop of a blocked thread
   * does not hear of it, and the thread may wait for the requester.
   *
   * @returns the deadlock that costs the requester its own wait; or whether somebody else gives up
   */
  #giveUp(first: FoundDeadlock, asks: boolean): FoundDeadlock | boolean {
    const { kernel } = this.#space;
    let gaveUp = false;
    for (let found: FoundDeadlock | undefined = first; found !== undefined; ) {
      if (asks && !found.isDoubtful && this.#ask(found)) return true;
      const victim = found.isDoubtful ? undefined : this.#resolver.victimOf(found);
      if (victim === undefined) {
        this.#report(found);
        return gaveUp;
      }
      if (victim === 0) return found;
      this.abort(found, victim);
      gaveUp = true;
      found = this.find(kernel.calls.ownerAt(found.requester) >>> 0);
    }
    return gaveUp;
  }

  /** Aborts the wait of party `index` of a cycle. */
  abort(deadlock: FoundDeadlock, index: number): void {
    const { calls } = this.#space.kernel;
    const { owner } = deadlock.cycle[index]!;
    const epoch = deadlock.epochs[index]!;
    const cycle = [...deadlock.cycle.slice(index), ...deadlock.cycle.slice(0, index)];
    // First: whoever hears that it was aborted looks for it.
    this.#verdicts.put(owner, epoch, { message: describeCycle(cycle), cycle });
    calls.abortWait(calls.ownerAt(owner), epoch);
  }

  #report(deadlock: Deadlock): void {
    this.#space.host.report({
      kind: 'deadlock',
      message: deadlock.message,
      locks: deadlock.locks,
      error: this.#errorOf(deadlock),
      owner: deadlock.cycle[0]!.label,
    });
  }

  #errorOf(deadlock: Deadlock): DeadlockError {
    const resource = deadlock.cycle[0]!.lock;
    return new DeadlockError(deadlock.message, deadlock.cycle, resource === undefined ? {} : { resource });
  }

  /** The error of an owner whose wait was aborted by another thread, which left the cycle for it; else it looks from its own side for what is left of it. */
  errorOfVictim(record: number, lock: number): DeadlockError {
    const name = this.#space.nameAt(lock);
    const told = this.#verdicts.find(this.#space.kernel.calls.ownerId(record), this.epochOf(record));
    if (told !== undefined) return new DeadlockError(told.message, told.cycle, { resource: name });
    const found = this.#search(record, true);
    if (found !== undefined) return this.#errorOf(found);
    const label = this.#space.ownerLabel(record);
    return new DeadlockError(
      `${label} gave up its wait for lock '${name}', which was part of a deadlock`,
      [],
      { resource: name },
    );
  }

  /** An owner asks for a lock that it has. */
  errorOfSelf(owner: number, lock: number, hint: string): DeadlockError {
    const name = this.#space.nameAt(lock);
    const label = this.#space.ownerLabel(owner);
    const party = { ...this.#party(owner, lock, false, lock), stack: cleanStack(new Error()) };
    this.#space.meter.addDeadlock();
    return new DeadlockError(
      `cannot lock '${name}': ${label} holds it already, and it is not reentrant${hint}`,
      [party],
      { resource: name },
    );
  }

  /** An owner is about to block the thread for a lock whose holder needs the same thread to unlock it. */
  errorOfThread(owner: number, holder: number, lock: number): DeadlockError {
    const name = this.#space.nameAt(lock);
    const waiting = { ...this.#party(owner, lock, false, 0), stack: cleanStack(new Error()) };
    this.#space.meter.addDeadlock();
    const holding: DeadlockParty = {
      ...this.#party(holder, 0, false, lock),
      waitsFor: 'its thread, which would be blocked',
      wait: 'thread',
    };
    return new DeadlockError(
      `cannot block for lock '${name}': ${holding.label} holds it, and runs in the thread that would be blocked; await lock() instead`,
      [waiting, holding],
      { resource: name },
    );
  }

  /** The cycle that a wait has closed, if it has closed one and nobody else deals with it. */
  find(record: number): FoundDeadlock | undefined {
    const found = this.#search(record, false);
    if (found !== undefined) this.#space.meter.addDeadlock();
    return found;
  }

  #search(record: number, aborted: boolean): FoundDeadlock | undefined {
    const { calls, u32 } = this.#space.kernel;
    let steps: number;
    do {
      if (this.#scratch === 0 && !this.#growScratch()) return undefined;
      steps = calls.findCycle(record, this.#scratch, this.#scratchSpans * SPAN_SIZE, aborted ? 0 : 1);
    } while (steps < 0 && this.#growScratch());
    if (steps <= 0) return undefined;
    const cycle: DeadlockParty[] = [];
    const epochs: number[] = [];
    let isDoubtful = false;
    let isOfFlows = false;
    const last = (this.#scratch + (steps - 1) * STEP_SIZE) >>> 2;
    // What the first holds is what the last waits for.
    const lastEdge = u32[last + STEP_EDGE / 4]!;
    let wanted = lastEdge === EDGE_LOCK || lastEdge > EDGE_THREAD ? u32[last + STEP_TARGET / 4]! : 0;
    for (let i = 0; i < steps; i++) {
      const step = (this.#scratch + i * STEP_SIZE) >>> 2;
      const owner = calls.ownerAt(u32[step + STEP_OWNER / 4]!) >>> 0;
      const edge = u32[step + STEP_EDGE / 4]!;
      const target = u32[step + STEP_TARGET / 4]!;
      cycle.push(this.#partyOf(owner, edge, target, wanted));
      epochs.push(u32[step + STEP_EPOCH / 4]!);
      const isFlow = edge > EDGE_THREAD;
      wanted = edge === EDGE_LOCK || isFlow ? target : 0;
      isOfFlows ||= isFlow;
      isDoubtful ||= isFlow;
      isDoubtful ||= edge === EDGE_TASK && u32[(owner + OWNER_KIND) >>> 2] === OWNER_KIND_THREAD;
    }
    const locks = cycle.flatMap((party) => (party.lock === undefined ? [] : [party.lock]));
    const doubt = isOfFlows ? DOUBT_OF_FLOWS : DOUBT;
    const hint = isDoubtful ? doubt : '';
    return {
      cycle,
      epochs,
      isDoubtful,
      requester: cycle[0]!.owner,
      locks,
      message: describeCycle(cycle) + hint,
    };
  }

  /** `edge`: EDGE_*, or the record of the owner's further wait that this is. */
  #partyOf(owner: number, edge: number, target: number, wanted: number): DeadlockParty {
    if (edge === EDGE_LOCK) return this.#party(owner, target, true, wanted);
    if (edge > EDGE_THREAD) return this.#party(owner, target, true, wanted, edge);
    const party = this.#party(owner, 0, true, wanted);
    if (edge === EDGE_TASK)
      return { ...party, waitsFor: this.#taskOf(target & ~WAIT_SLOT_BIT), wait: 'task' };
    return { ...party, waitsFor: 'its thread, which is blocked', wait: 'thread' };
  }

  #taskOf(slot: number): string {
    const id = this.#space.kernel.u32[(slot + SLOT_META) >>> 2]! & META_FUNCTION_MASK;
    const { calls } = this.#space.kernel;
    const isQueued = calls.statusOf(slot) === SLOT_QUEUED;
    const name = this.#space.taskNameOf(slot, id);
    const task = name === undefined ? `task ${id}` : `task '${name}'`;
    if (isQueued) return `${task}, which is queued while all workers of its pool wait`;
    return calls.ownerOfSlot(slot) === 0 ? `${task}, whose thread is blocked` : task;
  }

  /** `lock`: what it waits for, or 0; `wanted`: what the one before it waits for and it holds, or 0; `record`: which says so. */
  #party(owner: number, lock: number, waits: boolean, wanted: number, record = owner): DeadlockParty {
    const space = this.#space;
    const { u8, u32, f64 } = space.kernel;
    const flags = u8[record + OWNER_FLAGS]!;
    const qos = QOS_LEVELS[(u8[owner + OWNER_FLAGS]! >>> OWNER_FLAG_CLASS_SHIFT) - 1];
    const text = u32[(record + OWNER_TEXT) >>> 2]!;
    // Where others wait only they can say.
    const stack = waits && text !== 0 ? space.readText(text).split('\n').slice(1).join('\n') : '';
    const taken = wanted === 0 ? 0 : u32[(wanted + LOCK_TEXT) >>> 2]!;
    const names = space.namesHeldBy(owner);
    const wantedName = wanted === 0 ? undefined : space.nameAt(wanted);
    if (wantedName !== undefined && !names.includes(wantedName)) names.unshift(wantedName);
    return {
      owner: space.kernel.calls.ownerId(owner),
      label: space.ownerLabel(owner),
      holds: names,
      waitsFor: lock === 0 ? 'nothing' : `lock '${space.nameAt(lock)}'`,
      wait: 'lock',
      ...(lock === 0 ? {} : { lock: space.nameAt(lock) }),
      breakable: (flags & OWNER_FLAG_BREAKABLE) !== 0,
      bornMs: f64[(owner + OWNER_BORN) >>> 3]!,
      ...(qos === undefined ? {} : { qos }),
      ...(stack === '' ? {} : { stack }),
      ...(taken === 0 ? {} : { heldSince: space.readText(taken) }),
    };
  }

  /** Doubles the scratch memory of the search. False when the memory is full. */
  #growScratch(): boolean {
    const { calls } = this.#space.kernel;
    const spans = Math.max(1, this.#scratchSpans * 2);
    const scratch = calls.claimSpans(spans, this.#space.agentId || OWNER_SHARED) >>> 0;
    if (scratch === 0) return false;
    if (this.#scratch !== 0) calls.releaseSpans(this.#scratch, this.#scratchSpans);
    this.#scratch = scratch;
    this.#scratchSpans = spans;
    return true;
  }

  /** Epoch of a wait, to abort it. */
  epochOf(record: number): number {
    return this.#space.kernel.u32[(record + OWNER_EPOCH) >>> 2]!;
  }
}
