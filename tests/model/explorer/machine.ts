/**
 * Runs the threads of a model one step at a time. N instances of one module over one memory are N threads in one JavaScript thread; at a
 * schedule point the running one is suspended by binaryen's asyncify, unless it is the one to go on: then the call just returns, which
 * makes long runs of one thread cheap.
 *
 * Which points count. Only accesses that can conflict with another thread's matter to the order: the *visible* ones. By word and thread,
 * its reads or its writes become visible as executions show that they must be:
 *   - atomic reads of a word that another thread writes, atomic writes of one that another thread accesses, in any executions so far;
 *   - plain ones that race: the other's access is a write or this one is, and no chain of reads from atomic writes orders the two.
 * Every other access commutes with all that other threads do, so it is part of the step before it. `visibleChanged` says that an
 * execution showed a new one; the search then starts anew (search.ts), so at its end no execution had a conflict without a decision.
 *
 * What a state is. A thread goes on as the values say that it has read in this call, and as the results of its calls before; these are hashed
 * as they come, and memory as it is written. Both together identify a state up to a collision of 64 bits.
 */

import {
  type AnyModel,
  type Binary,
  CAS,
  type Call,
  type Calls,
  type Failure,
  LOAD,
  LOOK,
  NOTIFY,
  OWN,
  PLAIN_LOAD,
  PLAIN_STORE,
  RELAX,
  RMW,
  START,
  STORE,
  type Steps,
  type Thread,
  WAIT,
  WAKE,
  type World,
} from './types.ts';

/**
 * Decides who acts. An action is a thread; or `threads + i`, the death of thread i; or twice `threads`: nothing happens any more. -1 gives the
 * execution up.
 */
export interface Chooser {
  /**
   * `current` is the thread that arrived here, or -1 when it cannot go on. `runnable` and `mortal` are sets of threads; member `threads` of the
   * latter means that nothing may happen any more.
   */
  choose(machine: Machine, current: number, runnable: number, mortal: number): number;
}

/** One access, as it happened. */
export interface Step {
  readonly thread: number;
  readonly call: string;
  readonly kind: number;
  readonly address: number;
  readonly size: number;
  readonly visible: boolean;
  readonly before: bigint;
  after: bigint;
}

type Fn = (...args: readonly (number | bigint)[]) => unknown;
interface Asyncify {
  asyncify_start_unwind(stack: number): void;
  asyncify_stop_unwind(): void;
  asyncify_start_rewind(stack: number): void;
  asyncify_stop_rewind(): void;
}

const PAGE = 65536;
const STACK_BYTES = 8192;
const SCRATCH_BYTES = 4096;
/** Steps of one thread that only read, after which it counts as spinning. */
const SPIN_LIMIT = 200;
/** Accesses of one thread without a decision, after which it must be spinning. */
const UNSEEN_LIMIT = 20_000;

export class Machine {
  readonly model: AnyModel<any>;
  readonly mutant: number;
  readonly count: number;
  readonly world: World<any>;
  readonly fixture: unknown;
  state: unknown;

  /** Decisions, and accesses announced, since the machine was made. */
  steps = 0;
  accesses = 0;
  /** Every decision of this execution, as in Failure.schedule. */
  readonly schedule: number[] = [];
  visibleChanged = false;
  /** By word: the set of threads whose reads of it are decisions, and of those whose writes are; and of those that must become so. */
  readonly #visibleReads: Uint8Array;
  readonly #visibleWrites: Uint8Array;
  readonly #shownReads: Uint8Array;
  readonly #shownWrites: Uint8Array;
  /**
   * The same for atomic accesses by threads that made none there yet: where two have met, a third will be met too. A guess that costs nothing when
   * it is wrong, since those threads do not come there, and a search when it is right, which would start anew with each of them.
   */
  readonly #guessedReads: Uint8Array;
  readonly #guessedWrites: Uint8Array;
  /** Threads that ask who died, and those that must count as such from the next search on. */
  #lookers = 0;
  #shownLookers = 0;
  /** When set, every access is noted. */
  trace: Step[] | undefined;

  // What each thread is about to do.
  readonly pendingKind: Int32Array;
  readonly pendingWord: Int32Array;
  readonly #pendingSize: Int32Array;
  readonly #pendingLow: Int32Array;
  readonly #pendingHigh: Int32Array;
  /** Hash of memory, and of what each thread has read. */
  #memory1 = 0;
  #memory2 = 0;
  readonly #read1: Int32Array;
  readonly #read2: Int32Array;
  /** The same as it was when the thread's call began. */
  readonly #callRead1: Int32Array;
  readonly #callRead2: Int32Array;
  readonly #float = new Float64Array(1);
  readonly #floatBits = new Int32Array(this.#float.buffer);
  /** Of the last fingerprint(). */
  hash1 = 0;
  hash2 = 0;

  #runnable = 0;
  #waiting = 0;
  #finite = 0;
  #notified = 0;
  #relaxing = 0;
  #finished = 0;
  #killed = 0;
  #timeoutsLeft = 0;
  #spuriousLeft = 0;
  #killsLeft = 0;
  #writeCount = 0;
  readonly #relaxedAt: Int32Array;
  readonly #quiet: Int32Array;
  /** Put aside at a point where no other thread could tell the difference, to die there. */
  #doomed = 0;
  readonly #dead: number[] = [];
  /** Of #dead, in order. */
  #deadHash = 0;
  /** Threads whose call has returned `#results[t]`, and who have not gone on. */
  #returned = 0;
  readonly #results: unknown[] = [];
  #stepsHere = 0;
  #unseen = 0;
  /** The running thread has written since the last decision. */
  #hasWritten = false;
  #stepsTaken = 0;
  #preemptions = 0;

  #current = -1;
  #next = -1;
  #rewinding = false;
  #unwinding = false;
  readonly #suspended: Uint8Array;
  readonly #asyncify: Asyncify[] = [];
  readonly #stacks: number[] = [];
  readonly #calls: Calls<any>[] = [];
  readonly #fns: (Fn | undefined)[] = [];
  readonly #args: (readonly (number | bigint)[])[] = [];
  readonly #names: string[] = [];
  readonly #steps: (Steps | undefined)[] = [];
  #chooser: Chooser = { choose: () => -1 };
  #failure: { kind: Failure['kind']; message: string } | undefined;

  // Memory: a picture of it after set-up, one of it as hashed, and which words differ from the first.
  readonly #u32: Uint32Array;
  readonly #fresh: Uint32Array;
  readonly #hashed: Uint32Array;
  readonly #dirty: Int32Array;
  readonly #isDirty: Uint8Array;
  #dirtyCount = 0;
  /** The word that is being written, and whether the next one too; -1: none. */
  #writing = -1;
  #writingTwo = false;

  // Vector clocks (as in FastTrack). Those of former executions are below #base.
  #base = 1;
  #clockMost = 1;
  readonly #clocks: Int32Array;
  readonly #synced: Int32Array;
  readonly #readAt: Int32Array;
  readonly #writtenAt: Int32Array;
  readonly #accessedBy: Uint8Array;
  readonly #writtenBy: Uint8Array;
  readonly #plain: Uint8Array;

  constructor(binary: Binary<any>, model: AnyModel<any>, mutant = 0) {
    this.model = model;
    this.mutant = mutant;
    const n = model.threads.length;
    if (n > 8) throw new RangeError(`${model.name}: ${n} threads; at most 8`);
    this.count = n;
    const bytes = binary.pages * PAGE;
    const extra = Math.ceil((SCRATCH_BYTES + n * STACK_BYTES) / PAGE);
    const memory = new WebAssembly.Memory({
      initial: binary.pages + extra,
      maximum: Math.max(binary.maximumPages, binary.pages + extra),
      shared: true,
    });
    const words = (bytes + SCRATCH_BYTES) >>> 2;
    const ints = (length: number): Int32Array => new Int32Array(length);
    [this.pendingKind, this.pendingWord, this.#pendingSize] = [ints(n), ints(n), ints(n)];
    [this.#pendingLow, this.#pendingHigh] = [ints(n), ints(n)];
    [this.#read1, this.#read2, this.#relaxedAt, this.#quiet] = [ints(n), ints(n), ints(n), ints(n)];
    [this.#callRead1, this.#callRead2] = [ints(n), ints(n)];
    this.#suspended = new Uint8Array(n);
    [this.#visibleReads, this.#visibleWrites] = [new Uint8Array(words), new Uint8Array(words)];
    [this.#shownReads, this.#shownWrites] = [new Uint8Array(words), new Uint8Array(words)];
    [this.#guessedReads, this.#guessedWrites] = [new Uint8Array(words), new Uint8Array(words)];
    this.#isDirty = new Uint8Array(words);
    [this.#accessedBy, this.#writtenBy] = [new Uint8Array(words), new Uint8Array(words)];
    this.#plain = new Uint8Array(words);
    this.#clocks = ints(n * n);
    [this.#synced, this.#readAt, this.#writtenAt] = [ints(words * n), ints(words * n), ints(words * n)];
    this.#dirty = ints(words);

    const schedule = {
      point: (kind: number, address: number, size: number, low: number, high: number) =>
        this.#point(kind, address, size, low, high),
      wait: (address: number, expected: number, finite: number) => this.#wait(address, expected, finite),
      notify: (address: number) => this.#notify(address, this.count),
      notifyFirst: (address: number) => this.#notify(address, 1),
      relax: () => this.#point(RELAX, 0, 0, 0, 0),
    };
    const imports = { ...binary.imports(mutant), schedule };
    const env = { ...(imports as WebAssembly.Imports).env, memory };
    const instantiate = (): WebAssembly.Exports =>
      new WebAssembly.Instance(binary.module, { ...imports, env }).exports;
    this.world = {
      calls: instantiate(),
      u32: new Uint32Array(memory.buffer, 0, words),
      i32: new Int32Array(memory.buffer, 0, words),
      u8: new Uint8Array(memory.buffer, 0, words * 4),
      f64: new Float64Array(memory.buffer, 0, words >>> 1),
      scratch: bytes,
    };
    for (let t = 0; t < n; t++) {
      const exports = instantiate();
      this.#asyncify.push(exports as unknown as Asyncify);
      this.#stacks.push(bytes + SCRATCH_BYTES + t * STACK_BYTES);
      this.#calls.push(this.#callsOf(t, exports));
    }
    this.#u32 = this.world.u32;
    this.fixture = model.setup(this.world);
    this.#isDirty.fill(0);
    this.#dirtyCount = 0;
    this.#fresh = this.#u32.slice();
    this.#hashed = this.#u32.slice();
  }

  #callsOf(t: number, exports: WebAssembly.Exports): Calls<any> {
    const calls: Record<string, (...args: (number | bigint)[]) => Call> = {};
    for (const [name, fn] of Object.entries(exports)) {
      if (typeof fn !== 'function' || name.startsWith('asyncify_')) continue;
      calls[name] = (...args) => {
        this.#fns[t] = fn as Fn;
        this.#names[t] = name;
        this.#args[t] = args;
        return { name, args };
      };
    }
    return calls as Calls<any>;
  }

  /**
   * What is visible so far: the threads that ask who died; of each word, the threads whose reads are and those whose writes are; then those of
   * whom it is guessed, of atomic ones.
   */
  visible(): number[] {
    const sets = this.#visibleSets;
    const list = [this.#lookers];
    for (let word = 0; word < this.#visibleReads.length; word++) {
      if (sets.some((set) => set[word] !== 0)) list.push(word, ...sets.map((set) => set[word]!));
    }
    return list;
  }

  setVisible(list: readonly number[]): void {
    const sets = this.#visibleSets;
    for (const set of sets) set.fill(0);
    this.#lookers = list[0] ?? 0;
    for (let i = 1; i < list.length; i += 1 + sets.length)
      for (const [j, set] of sets.entries()) set[list[i]!] = list[i + 1 + j]!;
  }

  get #visibleSets(): readonly Uint8Array[] {
    return [this.#visibleReads, this.#visibleWrites, this.#guessedReads, this.#guessedWrites];
  }

  /** Makes visible what executions have shown. */
  showAll(): void {
    this.#lookers |= this.#shownLookers;
    for (let word = 0; word < this.#visibleReads.length; word++) {
      this.#visibleReads[word]! |= this.#shownReads[word]!;
      this.#visibleWrites[word]! |= this.#shownWrites[word]!;
      const accessed = this.#accessedBy[word]!;
      const written = this.#writtenBy[word]!;
      if (written === 0 || (accessed & (accessed - 1)) === 0) continue;
      this.#guessedReads[word]! |= (written & (written - 1)) === 0 ? ~written : 0xff;
      this.#guessedWrites[word] = 0xff;
    }
  }

  /** Plays one execution. Returns what went wrong, if anything did. */
  execute(chooser: Chooser): Failure | undefined {
    this.#reset(chooser);
    try {
      this.#play();
      if (this.#failure === undefined && !this.#stopped) this.#finish();
    } catch (error) {
      this.#failure = {
        kind: 'exception',
        message: error instanceof Error ? error.message : String(error),
      };
    }
    this.#current = -1;
    this.#flush();
    if (this.#failure === undefined) return undefined;
    return {
      model: this.model.name,
      mutant: this.mutant,
      ...this.#failure,
      schedule: [...this.schedule],
      visible: this.visible(),
      preemptions: this.#preemptions,
    };
  }

  #stopped = false;

  #reset(chooser: Chooser): void {
    this.#restoreMemory();
    const { model, count: n } = this;
    this.#chooser = chooser;
    this.schedule.length = 0;
    this.#dead.length = 0;
    this.#deadHash = this.#doomed = this.#returned = 0;
    if (this.trace !== undefined) this.trace.length = 0;
    this.#memory1 = this.#memory2 = 0;
    this.#failure = undefined;
    this.#stopped = this.#rewinding = this.#unwinding = false;
    this.visibleChanged = false;
    this.#stepsHere = this.#stepsTaken = this.#preemptions = 0;
    this.#waiting = this.#finite = this.#notified = this.#relaxing = this.#finished = this.#killed = 0;
    this.#timeoutsLeft = model.timeouts ?? 2;
    this.#spuriousLeft = model.spurious ?? 0;
    this.#killsLeft = model.kill === undefined ? 0 : (model.kill.most ?? 1);
    this.#writeCount = 0;
    this.#suspended.fill(0);
    this.#quiet.fill(0);
    this.#relaxedAt.fill(-1);
    this.#read1.fill(0);
    this.#read2.fill(0);
    this.pendingKind.fill(START);
    this.pendingWord.fill(0);
    // Above everything that a former execution left in the clocks.
    if (this.#clockMost > 0x3fffffff) {
      this.#clockMost = 1;
      for (const clocks of [this.#synced, this.#readAt, this.#writtenAt]) clocks.fill(0);
    }
    this.#base = this.#clockMost + 1;
    this.#clockMost = this.#base;
    this.#clocks.fill(this.#base);
    for (let t = 0; t < n; t++) this.#clocks[t * n + t] = this.#base + 1;
    this.#clockMost = this.#base + 1;
    this.state = model.state?.(this.fixture);
    this.#runnable = 0;
    for (let t = 0; t < n; t++) {
      const spec = model.threads[t]!;
      this.#fns[t] = undefined;
      const dead = (): readonly number[] => this.#look(t);
      const thread: Thread<any, any, any> = {
        call: this.#calls[t]!,
        id: t,
        world: this.world,
        fixture: this.fixture,
        state: this.state,
        get dead() {
          return dead();
        },
      };
      this.#steps[t] = spec.run(thread);
      if (spec.onDeath !== true) this.#runnable |= 1 << t;
    }
  }

  #restoreMemory(): void {
    for (let i = 0; i < this.#dirtyCount; i++) {
      const word = this.#dirty[i]!;
      this.#u32[word] = this.#hashed[word] = this.#fresh[word]!;
      this.#isDirty[word] = 0;
    }
    this.#dirtyCount = 0;
    this.#writing = -1;
  }

  #play(): void {
    // What a thread does before its first visible access concerns nobody else, unless it dies there.
    const started = this.model.kill === undefined ? this.#runnable : 0;
    for (let t = 0; t < this.count; t++) {
      if ((started & (1 << t)) === 0) continue;
      this.#isStarting = true;
      this.#next = -1;
      this.#unseen = 0;
      this.#run(t);
      if (this.#stopped) return;
    }
    this.#isStarting = false;
    let next = this.#decide(-1);
    while (next >= 0) {
      this.#next = -1;
      this.#run(next);
      next = this.#next;
    }
  }

  #isStarting = false;

  /** Lets thread t go on until it is suspended or ends; #next is who comes then. */
  #run(t: number): void {
    this.#current = t;
    let result: unknown;
    const steps = this.#steps[t]!;
    let fn = this.#fns[t];
    if ((this.#returned & (1 << t)) !== 0) {
      this.#returned &= ~(1 << t);
      result = this.#results[t];
      fn = undefined;
      this.#mix(t, this.#deadHash);
    } else if (this.#suspended[t] === 1) {
      this.#suspended[t] = 0;
      this.#rewinding = true;
      this.#asyncify[t]!.asyncify_start_rewind(this.#stacks[t]!);
    } else {
      fn = undefined;
      this.#mix(t, 1);
      if ((this.#lookers & (1 << t)) !== 0) this.#mix(t, this.#deadHash);
    }
    while (true) {
      if (fn === undefined) {
        const { done } = steps.next(result);
        if (done === true) {
          this.#finished |= 1 << t;
          this.#runnable &= ~(1 << t);
          this.#current = -1;
          if (!this.#isStarting) this.#next = this.#decide(-1);
          return;
        }
        fn = this.#fns[t]!;
        this.#callRead1[t] = this.#read1[t]!;
        this.#callRead2[t] = this.#read2[t]!;
      }
      const a = this.#args[t]!;
      // Spelled out: a spread call costs more than the switch between two threads.
      switch (a.length) {
        case 0:
          result = fn();
          break;
        case 1:
          result = fn(a[0]!);
          break;
        case 2:
          result = fn(a[0]!, a[1]!);
          break;
        case 3:
          result = fn(a[0]!, a[1]!, a[2]!);
          break;
        default:
          result = fn(...a);
      }
      if (this.#unwinding) {
        this.#unwinding = false;
        this.#asyncify[t]!.asyncify_stop_unwind();
        this.#suspended[t] = 1;
        this.#current = -1;
        return;
      }
      fn = undefined;
      // Of what a call has read, its caller knows the result only. The constants tell a result from a first read.
      this.#read1[t] = this.#callRead1[t]! + 0x2545f491;
      this.#read2[t] = this.#callRead2[t]! + 0x61c88647;
      this.#mixResult(t, result);
      if (this.#hasWritten && this.#killsLeft > 0 && !this.#survivesReturn(t)) return;
      if ((this.#lookers & (1 << t)) !== 0 && !this.#looks(t, result)) return;
    }
  }

  /** A thread asks who died. From then on that is something it reads whenever a call of it returns. */
  #look(t: number): readonly number[] {
    const bit = 1 << t;
    if (this.model.kill !== undefined && (this.#shownLookers & bit) === 0) {
      this.#shownLookers |= bit;
      if ((this.#lookers & bit) === 0) this.visibleChanged = true;
    }
    return this.#dead;
  }

  /** What thread t does next may depend on who is dead by now. False when others come first. */
  #looks(t: number, result: unknown): boolean {
    if (this.#killsLeft > 0) {
      this.pendingKind[t] = LOOK;
      this.#next = this.#decide(t);
      if (this.#next !== t) {
        this.#results[t] = result;
        this.#returned |= 1 << t;
        this.#current = -1;
        return false;
      }
    }
    this.#mix(t, this.#deadHash);
    return true;
  }

  /** A thread that may die may die when it has written all, and before its caller learns of it. False when it does. */
  #survivesReturn(t: number): boolean {
    if ((this.#mortal(t) & (1 << t)) === 0) return true;
    this.pendingKind[t] = OWN;
    this.#next = this.#decide(t, true);
    if (this.#next === t) {
      this.#mix(t, 1);
      return true;
    }
    this.#current = -1;
    return false;
  }

  #suspend(t: number): void {
    const data = this.#stacks[t]!;
    const memory = this.#stackViews;
    memory[data >>> 2] = data + 8;
    memory[(data >>> 2) + 1] = data + STACK_BYTES;
    this.#unwinding = true;
    this.#asyncify[t]!.asyncify_start_unwind(data);
  }

  get #stackViews(): Int32Array {
    return (this.#allWords ??= new Int32Array(this.#u32.buffer));
  }

  #allWords: Int32Array | undefined;

  // ---- what the module calls ----------------------------------------------------------------------------------------------------------

  #point(kind: number, address: number, size: number, low: number, high: number): void {
    const t = this.#current;
    const word = address >>> 2;
    if (t < 0) {
      if (kind !== LOAD && kind !== PLAIN_LOAD) {
        this.#soil(word);
        if (size === 8) this.#soil(word + 1);
      }
      return;
    }
    if (this.#rewinding) {
      this.#rewinding = false;
      this.#asyncify[t]!.asyncify_stop_rewind();
      this.#perform(t);
      return;
    }
    if (this.#writing >= 0) this.#flush();
    this.accesses++;
    if (kind !== RELAX && !this.#isVisible(kind, word, size, 1 << t)) {
      if (this.#killsLeft > 0 && kind !== LOAD && kind !== PLAIN_LOAD && this.#diesHere(t)) return;
      this.#account(t, kind, word, size, low, high, false);
      if (++this.#unseen > UNSEEN_LIMIT) this.#interrupt(t, word);
      return;
    }
    this.pendingKind[t] = kind;
    this.pendingWord[t] = word;
    this.#pendingSize[t] = size;
    this.#pendingLow[t] = low;
    this.#pendingHigh[t] = high;
    if (this.#isStarting) {
      this.#suspend(t);
      return;
    }
    const next = this.#decide(t);
    if (next === t) this.#perform(t);
    else {
      this.#next = next;
      this.#suspend(t);
    }
  }

  /** Thread t spins on something that nobody has changed so far: it must stop, and from the next search on be seen to read it. */
  #interrupt(t: number, word: number): void {
    this.#showRead(word, 1 << t);
    this.visibleChanged = true;
    this.#stopped = true;
    this.#next = -1;
    this.#suspend(t);
  }

  /** A thread that may die may die before every write: whoever cleans up sees which were done. True when it does. */
  #diesHere(t: number): boolean {
    if ((this.#mortal(t) & (1 << t)) === 0) return false;
    this.pendingKind[t] = OWN;
    const next = this.#decide(t, true);
    if (next === t) return false;
    this.#next = next;
    this.#suspend(t);
    return true;
  }

  #isVisible(kind: number, word: number, size: number, bit: number): boolean {
    if ((this.#visibility(kind, word) & bit) !== 0) return true;
    return size === 8 && (this.#visibility(kind, word + 1) & bit) !== 0;
  }

  /** The threads for which such an access is visible. */
  #visibility(kind: number, word: number): number {
    switch (kind) {
      case LOAD:
        return this.#visibleReads[word]! | this.#guessedReads[word]!;
      case STORE:
        return this.#visibleWrites[word]! | this.#guessedWrites[word]!;
      case PLAIN_LOAD:
        return this.#visibleReads[word]!;
      case PLAIN_STORE:
        return this.#visibleWrites[word]!;
      default:
        return (
          this.#visibleReads[word]! |
          this.#guessedReads[word]! |
          this.#visibleWrites[word]! |
          this.#guessedWrites[word]!
        );
    }
  }

  #wait(address: number, expected: number, finite: number): number {
    const t = this.#current;
    if (t < 0) throw new Error('a wait outside of a thread');
    const word = address >>> 2;
    if (this.#rewinding) {
      this.#rewinding = false;
      this.#asyncify[t]!.asyncify_stop_rewind();
      if (this.pendingKind[t] === WAKE) return this.#wake(t);
    } else {
      if (this.#writing >= 0) this.#flush();
      this.accesses++;
      this.pendingKind[t] = WAIT;
      this.pendingWord[t] = word;
      this.#pendingSize[t] = 4;
      const next = this.#isStarting ? -1 : this.#decide(t);
      if (next !== t) {
        if (!this.#isStarting) this.#next = next;
        this.#suspend(t);
        return 0;
      }
    }
    this.#perform(t);
    if (this.#u32[word] !== expected >>> 0) return 1;
    this.pendingKind[t] = WAKE;
    this.#waiting |= 1 << t;
    this.#runnable &= ~(1 << t);
    if (finite !== 0) this.#finite |= 1 << t;
    else this.#finite &= ~(1 << t);
    const next = this.#decide(t);
    if (next === t) return this.#wake(t);
    this.#next = next;
    this.#suspend(t);
    return 0;
  }

  /** Thread t goes on after a wait. */
  #wake(t: number): number {
    const bit = 1 << t;
    const wasNotified = (this.#notified & bit) !== 0;
    const timedOut = !wasNotified && (this.#finite & bit) !== 0;
    if (!wasNotified) {
      if (timedOut) this.#timeoutsLeft--;
      else this.#spuriousLeft--;
    }
    this.#waiting &= ~bit;
    this.#notified &= ~bit;
    this.#runnable |= bit;
    this.#perform(t);
    this.#mix(t, timedOut ? 2 : 0);
    return timedOut ? 2 : 0;
  }

  #notify(address: number, most: number): number {
    const t = this.#current;
    if (t < 0) return 0;
    if (this.#rewinding) {
      this.#rewinding = false;
      this.#asyncify[t]!.asyncify_stop_rewind();
    } else {
      if (this.#writing >= 0) this.#flush();
      this.accesses++;
      this.pendingKind[t] = NOTIFY;
      this.pendingWord[t] = address >>> 2;
      this.#pendingSize[t] = 4;
      const next = this.#isStarting ? -1 : this.#decide(t);
      if (next !== t) {
        if (!this.#isStarting) this.#next = next;
        this.#suspend(t);
        return 0;
      }
    }
    this.#perform(t);
    let woken = 0;
    for (let i = 0; i < this.count && woken < most; i++) {
      const bit = 1 << i;
      if ((this.#waiting & ~this.#notified & bit) === 0 || this.pendingWord[i] !== address >>> 2) continue;
      this.#notified |= bit;
      this.#runnable |= bit;
      woken++;
    }
    // As a write, it is something that this thread has done before it dies.
    if (woken > 0) this.#hasWritten = true;
    this.#mix(t, woken);
    return woken;
  }

  // ---- decisions ----------------------------------------------------------------------------------------------------------------------

  /**
   * Who acts next. `arrived` has come to an access, or is -1; `dieOrGoOn`: to a point that concerns nobody else. Another thread may act there
   * only if `arrived` dies; or if it will die there later, which matters to those who clean up after someone else in between.
   */
  #decide(arrived: number, dieOrGoOn = false): number {
    if (this.#writing >= 0) this.#flush();
    this.#unseen = 0;
    this.#hasWritten = false;
    let t = arrived;
    while (true) {
      if (++this.#stepsHere > (this.model.maxSteps ?? 5000)) {
        // A thread may have waited for a write that was not visible.
        if (this.visibleChanged) this.#stopped = true;
        else this.#fail('livelock', `no end after ${this.#stepsHere} steps`);
        return -1;
      }
      if (this.model.invariant !== undefined && !this.#holds()) return -1;
      if (t >= 0 && (this.pendingKind[t] === RELAX || this.#quiet[t]! > SPIN_LIMIT)) this.#relax(t);
      let runnable = this.#runnable & ~this.#relaxing;
      const idle = this.#waiting & ~this.#notified & ~this.#killed;
      if (this.#timeoutsLeft > 0) runnable |= idle & this.#finite;
      // When nothing else can happen, a timeout does.
      if (runnable === 0 && this.#doomed === 0) runnable = idle & this.#finite;
      let mortal = this.#killsLeft > 0 ? this.#mortal(t) : 0;
      const spurious = this.#spuriousLeft > 0 ? idle & ~this.#finite : 0;
      // Nobody may rely on a spurious wake-up: it may also be that all ends here.
      if (runnable === 0) {
        if (this.#doomed !== 0) mortal |= this.#doomed;
        else {
          if (this.#dead.length === 0) mortal = spurious === 0 ? 0 : mortal;
          if (spurious === 0 && mortal === 0) return -1;
          mortal |= 1 << this.count;
        }
      }
      runnable |= spurious;
      if (dieOrGoOn && t >= 0) {
        mortal &= 1 << t;
        if (!this.#maybeDoomed()) runnable = 1 << t;
      }
      const isHere = t >= 0 && (runnable & (1 << t)) !== 0 && (this.pendingKind[t] !== WAKE || dieOrGoOn);
      const action = this.#chooser.choose(this, isHere ? t : -1, runnable, mortal);
      if (action < 0) {
        this.#stopped = true;
        return -1;
      }
      if (action < this.count) {
        if (isHere && action !== t) {
          this.#preemptions++;
          if (dieOrGoOn) {
            this.#doomed |= 1 << t;
            this.#runnable &= ~(1 << t);
          }
        }
        this.steps++;
        this.#stepsTaken++;
        this.schedule.push(action);
        return action;
      }
      const victim = action - this.count;
      this.schedule.push(-1 - victim);
      if (victim === this.count) return -1;
      this.#kill(victim);
      if (victim === t) t = -1;
    }
  }

  /**
   * Who may die now. A thread dies when it is about to do something: it makes no difference whether it is dead already while others run before
   * anyone learns of it. After a wait, it may die before and after it was notified. Once somebody has died, those who learnt of that may run
   * before the next death or after it, so all may die at any time.
   */
  #mortal(t: number): number {
    const { threads } = this.model.kill!;
    const isLate = this.#dead.length > 0;
    // Of those that are put aside to die, each needs one death.
    const hasMore = this.#killsLeft > popCount(this.#doomed);
    let set = 0;
    for (let i = 0; i < threads.length; i++) {
      const victim = threads[i]!;
      const bit = 1 << victim;
      if (((this.#killed | this.#finished) & bit) !== 0) continue;
      if ((this.#doomed & bit) !== 0) {
        if (isLate) set |= bit;
      } else if (
        hasMore &&
        (isLate || victim === t || this.#stepsTaken === 0 || (this.#notified & bit) !== 0)
      ) {
        set |= bit;
      }
    }
    return set;
  }

  /** May the running thread be put aside to die later, when another has died? */
  #maybeDoomed(): boolean {
    const others = popCount(this.#doomed) + (this.#dead.length === 0 ? 1 : 0);
    return (this.model.kill!.most ?? 1) > 1 && this.#killsLeft > others;
  }

  #kill(victim: number): void {
    const bit = 1 << victim;
    this.#killed |= bit;
    this.#runnable &= ~bit;
    this.#waiting &= ~bit;
    this.#notified &= ~bit;
    this.#relaxing &= ~bit;
    this.#doomed &= ~bit;
    this.#killsLeft--;
    this.#dead.push(victim);
    this.#deadHash = Math.imul(this.#deadHash, 31) + victim + 1;
    this.trace?.push({
      thread: victim,
      call: '',
      kind: -1,
      address: 0,
      size: 0,
      visible: true,
      before: 0n,
      after: 0n,
    });
    const { count: n } = this;
    for (let i = 0; i < n; i++) {
      const spec = this.model.threads[i]!;
      if (spec.onDeath !== true || ((this.#killed | this.#finished) & (1 << i)) !== 0) continue;
      // What the dead did happened before what the others do about it.
      for (let u = 0; u < n; u++) {
        const at = this.#clocks[victim * n + u]!;
        if (at > this.#clocks[i * n + u]!) this.#clocks[i * n + u] = at;
      }
      this.#runnable |= bit === 1 << i ? 0 : 1 << i;
    }
  }

  /** Thread t has nothing to do until another thread writes. */
  #relax(t: number): void {
    if (this.#relaxedAt[t] === this.#writeCount) this.#relaxing |= 1 << t;
    this.#relaxedAt[t] = this.#writeCount;
    this.#quiet[t] = 0;
  }

  #holds(): boolean {
    const current = this.#current;
    this.#current = -1;
    const wrong = this.model.invariant!(this.world, this.fixture, this.state);
    this.#current = current;
    if (typeof wrong !== 'string') return true;
    this.#fail('check', wrong);
    return false;
  }

  #fail(kind: Failure['kind'], message: string): void {
    this.#failure ??= { kind, message };
  }

  #finish(): void {
    this.#current = -1;
    this.#flush();
    const list = (set: number): number[] => [...Array(this.count).keys()].filter((t) => (set >> t) & 1);
    const { model } = this;
    const names = (set: number): string =>
      list(set)
        .map((t) => model.threads[t]!.name)
        .join(', ');
    if (this.#relaxing !== 0) {
      // A write that it waits for may not have been visible.
      if (this.visibleChanged) return;
      this.#fail('livelock', `${names(this.#relaxing)}: spins, and nobody will change what it looks at`);
      return;
    }
    const waiting = list(this.#waiting);
    if (waiting.length > 0 && model.rests?.(waiting, this.world, this.fixture, this.state) !== true) {
      this.#fail('deadlock', `${names(this.#waiting)}: waits for ever`);
      return;
    }
    const outcome = { finished: list(this.#finished), killed: list(this.#killed), waiting };
    const wrong = model.check(this.world, this.fixture, this.state, outcome);
    if (typeof wrong === 'string') this.#fail('check', wrong);
  }

  // ---- the books ----------------------------------------------------------------------------------------------------------------------

  /**
   * Could it matter that action a comes now rather than after b, which was seen to come first? Never no when it could. Accesses of different
   * words, and reads, commute; so does what a thread does on its own. What uses up a budget, or looks at more than a word, commutes with
   * nothing of its sort. Death b commutes with what others do, unless it takes a waiter from a notification or they ask who died.
   */
  dependent(a: number, b: number): boolean {
    const n = this.count;
    if (a >= n) return true;
    const kindA = this.pendingKind[a]!;
    if (b >= n) return a === b - n || b === 2 * n || kindA === NOTIFY || kindA === LOOK || kindA === START;
    if (a === b) return true;
    const kindB = this.pendingKind[b]!;
    if (kindA === RELAX || kindB === RELAX || kindA === START || kindB === START) return true;
    // Where a thread may be put aside to die, others act only if it is.
    if (kindA === OWN) return (this.model.kill?.most ?? 1) > 1;
    if (kindA === LOOK || kindB === LOOK || kindB === OWN) return false;
    if (kindA === WAKE && kindB === WAKE) return true;
    const distance = this.pendingWord[a]! - this.pendingWord[b]!;
    const overlap =
      distance === 0 ||
      (distance === 1 && this.#pendingSize[b] === 8) ||
      (distance === -1 && this.#pendingSize[a] === 8);
    if (!overlap) return false;
    const isReadA = kindA === LOAD || kindA === PLAIN_LOAD;
    const isReadB = kindB === LOAD || kindB === PLAIN_LOAD;
    return !(isReadA && isReadB);
  }

  /** The pending access of t happens now. */
  #perform(t: number): void {
    const kind = this.pendingKind[t]!;
    this.#account(
      t,
      kind,
      this.pendingWord[t]!,
      this.#pendingSize[t]!,
      this.#pendingLow[t]!,
      this.#pendingHigh[t]!,
      true,
    );
  }

  #account(
    t: number,
    kind: number,
    word: number,
    size: number,
    low: number,
    high: number,
    isVisible: boolean,
  ): void {
    const before = this.#u32[word]!;
    const second = size === 8 ? this.#u32[word + 1]! : 0;
    const isFailedCas = kind === CAS && (before !== low >>> 0 || second !== high >>> 0);
    const isWrite = kind === STORE || kind === RMW || kind === PLAIN_STORE || (kind === CAS && !isFailedCas);
    if (kind <= PLAIN_STORE) {
      this.#order(t, kind, word, isWrite, isFailedCas);
      if (size === 8) this.#order(t, kind, word + 1, isWrite, isFailedCas);
      if (kind !== STORE && kind !== PLAIN_STORE) {
        this.#mix(t, before);
        if (size === 8) this.#mix(t, second);
      } else {
        // Where a thread stands is part of the state too.
        this.#mix(t, 1);
      }
      if (isWrite) {
        this.#hasWritten = true;
        this.#writing = word;
        this.#writingTwo = size === 8;
      }
    } else {
      if (kind === WAIT) this.#order(t, LOAD, word, false, false);
      this.#mix(t, kind === WAIT ? before : 1);
    }
    if (isVisible) {
      if (isWrite || kind === NOTIFY) {
        this.#writeCount++;
        this.#relaxing = 0;
        this.#quiet[t] = 0;
      } else this.#quiet[t]!++;
    }
    if (this.trace !== undefined) this.#note(t, kind, word, size, isVisible);
  }

  #note(t: number, kind: number, word: number, size: number, visible: boolean): void {
    const before = this.#valueAt(word, size);
    const call = this.#names[t] ?? '';
    this.trace!.push({ thread: t, call, kind, address: word << 2, size, visible, before, after: before });
  }

  #valueAt(word: number, size: number): bigint {
    const low = BigInt(this.#u32[word]!);
    return size === 8 ? low | (BigInt(this.#u32[word + 1]!) << 32n) : low;
  }

  #mix(t: number, value: number): void {
    const a = Math.imul(this.#read1[t]! ^ value, 0x85ebca6b);
    this.#read1[t] = Math.imul(a ^ (a >>> 15), 0x9e3779b1) + 0x632be5ab;
    const b = Math.imul(this.#read2[t]! ^ value, 0xc2b2ae35);
    this.#read2[t] = Math.imul(b ^ (b >>> 13), 0x27d4eb2f) + 0x165667b1;
  }

  #mixResult(t: number, result: unknown): void {
    if (typeof result === 'number') {
      this.#float[0] = result;
      this.#mix(t, this.#floatBits[0]!);
      this.#mix(t, this.#floatBits[1]!);
    } else if (typeof result === 'bigint') {
      this.#mix(t, Number(BigInt.asIntN(32, result)));
      this.#mix(t, Number(BigInt.asIntN(32, result >> 32n)));
    } else this.#mix(t, 1);
  }

  /** Brings the hash of memory up to date with the last write. */
  #flush(): void {
    const word = this.#writing;
    if (word < 0) return;
    this.#writing = -1;
    this.#flushWord(word);
    if (this.#writingTwo) this.#flushWord(word + 1);
    if (this.trace !== undefined) {
      const step = this.trace.at(-1);
      if (step !== undefined && step.address === word << 2) step.after = this.#valueAt(word, step.size);
    }
  }

  /** The word must be restored before the next execution. */
  #soil(word: number): void {
    if (this.#isDirty[word] !== 0) return;
    this.#isDirty[word] = 1;
    this.#dirty[this.#dirtyCount++] = word;
  }

  #flushWord(word: number): void {
    const now = this.#u32[word]!;
    const was = this.#hashed[word]!;
    if (now === was) return;
    this.#hashed[word] = now;
    this.#soil(word);
    const fresh = this.#fresh[word]!;
    // A word that is as it was after set-up counts nothing.
    this.#memory1 += (now === fresh ? 0 : hash1(word, now)) - (was === fresh ? 0 : hash1(word, was));
    this.#memory2 += (now === fresh ? 0 : hash2(word, now)) - (was === fresh ? 0 : hash2(word, was));
    this.#memory1 |= 0;
    this.#memory2 |= 0;
  }

  /** Puts the hash of this state into hash1 and hash2. `extra`: what else counts. */
  fingerprint(extra: number): void {
    let a = this.#memory1 ^ Math.imul(extra, 0x9e3779b1);
    let b = this.#memory2 ^ Math.imul(extra, 0x85ebca6b);
    for (let t = 0; t < this.count; t++) {
      a = Math.imul(a ^ this.#read1[t]!, 0x27d4eb2f);
      a ^= a >>> 15;
      b = Math.imul(b ^ this.#read2[t]!, 0x165667b1) + 0x9e3779b1;
      b ^= b >>> 13;
    }
    let flags = this.#runnable | (this.#notified << 8) | (this.#relaxing << 16) | (this.#killed << 24);
    for (let t = 0; t < this.count; t++)
      if (this.#relaxedAt[t] === this.#writeCount) flags = Math.imul(flags, 31) + t + 1;
    flags = Math.imul(flags, 31) + this.#timeoutsLeft;
    flags = Math.imul(flags, 31) + this.#spuriousLeft;
    flags = Math.imul(flags, 31) + this.#killsLeft;
    flags = Math.imul(flags, 31) + this.#deadHash;
    flags = Math.imul(flags, 31) + this.#doomed;
    a = Math.imul(a ^ flags, 0xc2b2ae35);
    b = Math.imul(b ^ flags, 0x9e3779b1);
    this.hash1 = (a ^ (a >>> 16)) | 0;
    this.hash2 = (b ^ (b >>> 16)) | 0;
  }

  /** Keeps the vector clocks, and finds words that must be visible. */
  #order(t: number, kind: number, word: number, isWrite: boolean, isFailedCas: boolean): void {
    const n = this.count;
    const mine = t * n;
    const at = word * n;
    const clocks = this.#clocks;
    const isPlain = kind === PLAIN_LOAD || kind === PLAIN_STORE;
    const bit = 1 << t;
    const isRead = kind !== STORE && kind !== PLAIN_STORE;
    if (isPlain) this.#plain[word] = 1;
    else {
      this.#accessedBy[word]! |= bit;
      if (isWrite) this.#writtenBy[word]! |= bit;
      if (this.#writtenBy[word] !== 0) this.#showConflicts(word);
    }
    if (this.#plain[word] === 1) {
      for (let u = 0; u < n; u++) {
        if (u === t) continue;
        const seen = clocks[mine + u]!;
        if (this.#writtenAt[at + u]! > seen) {
          if (isRead) this.#showRead(word, bit);
          if (isWrite) this.#showWrite(word, bit);
          this.#showWrite(word, 1 << u);
        }
        if (isWrite && this.#readAt[at + u]! > seen) {
          this.#showWrite(word, bit);
          this.#showRead(word, 1 << u);
        }
      }
    }
    if (isWrite) this.#writtenAt[at + t] = clocks[mine + t]!;
    if (isRead) this.#readAt[at + t] = clocks[mine + t]!;
    if (isPlain) return;
    if (kind === LOAD || kind === RMW || kind === CAS) {
      for (let u = 0; u < n; u++) {
        const theirs = this.#synced[at + u]!;
        if (theirs > clocks[mine + u]!) clocks[mine + u] = theirs;
      }
    }
    if (isWrite && !isFailedCas) {
      for (let u = 0; u < n; u++) this.#synced[at + u] = clocks[mine + u]!;
      const next = ++clocks[mine + t]!;
      if (next > this.#clockMost) this.#clockMost = next;
    }
  }

  /** Atomic accesses: reads of who is not the only writer, and writes of who is not the only one there. */
  #showConflicts(word: number): void {
    const accessed = this.#accessedBy[word]!;
    if ((accessed & (accessed - 1)) === 0) return;
    const written = this.#writtenBy[word]!;
    // With one writer its own reads commute with all others' accesses.
    const readers = (written & (written - 1)) === 0 ? accessed & ~written : accessed;
    // What was guessed had its decisions already. It is not shown: plain accesses by the same threads have none.
    this.#showRead(word, readers, this.#guessedReads[word]!);
    this.#showWrite(word, written, this.#guessedWrites[word]!);
  }

  /**
   * Reads of the word by these threads must be visible from the next search on; in this execution all stays as it is, so that its schedule
   * means the same when it is replayed.
   */
  #showRead(word: number, threads: number, guessed = 0): void {
    const fresh = threads & ~(this.#shownReads[word]! | guessed);
    if (fresh === 0) return;
    this.#shownReads[word]! |= fresh;
    this.visibleChanged = true;
  }

  #showWrite(word: number, threads: number, guessed = 0): void {
    const fresh = threads & ~(this.#shownWrites[word]! | guessed);
    if (fresh === 0) return;
    this.#shownWrites[word]! |= fresh;
    this.visibleChanged = true;
  }
}

export function popCount(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count++;
  return count;
}

function hash1(word: number, value: number): number {
  let h = Math.imul(value ^ Math.imul(word, 0x9e3779b1), 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function hash2(word: number, value: number): number {
  let h = Math.imul(value + Math.imul(word, 0x165667b1), 0x27d4eb2f);
  h ^= h >>> 15;
  h = Math.imul(h, 0x9e3779b1);
  return h ^ (h >>> 14);
}
