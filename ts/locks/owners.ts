import {
  OWNER_HELD,
  OWNER_KIND,
  OWNER_KIND_CONTEXT,
  OWNER_KIND_EXPLICIT,
  OWNER_KIND_TASK,
  OWNER_KIND_THREAD,
  OWNER_SLOT,
  OWNER_TEXT,
} from '../../build/generated/layout.ts';
import type { Clock } from '../clock.ts';
import { MemoryFullError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { func, string } from '../options.ts';
import type { AsyncStore } from '../platform/port.ts';

/** Something that runs and may own locks: a task. */
export interface OwnerPlace {
  readonly slot: number;
  /** Address of its owner, or 0 as long as it has none. */
  owner: number;
}

/**
 * The owner that calls, where that is known without a look: kept by whoever starts and ends tasks, read by every call on a lock. 0: look for it. Never
 * set once there are contexts, as they follow async code.
 */
export class ActiveOwner {
  address = 0;
  hasContexts = false;

  /** Another task begins. Returns what to give to {@link ActiveOwner.leave} when it has ended. */
  enter(owner: number): number {
    const outer = this.address;
    this.address = this.hasContexts ? 0 : owner;
    return outer;
  }

  leave(outer: number): void {
    this.address = this.hasContexts ? 0 : outer;
  }
}

/** What a thread tells of the tasks that run in it. */
export interface TaskHost {
  readonly active: ActiveOwner;
  /** The plain task that runs now. */
  readonly running: OwnerPlace | undefined;
  /** The task that called, where it is not a plain one. */
  asyncTask(): OwnerPlace | undefined;
  /** The QoS class of the task, 0..2. */
  classOf(place: OwnerPlace): number;
  /** A task got an owner: its end must be told to {@link Owners.end}. */
  onOwner(place: OwnerPlace): void;
}

/** What the owners of a thread ask of its locks. */
export interface OwnersHost {
  /** Names of the locks that an owner holds, newest first. */
  namesHeldBy(owner: number): string[];
  /** The owner ends: nobody waits for it any more. */
  dropWaits(owner: number): void;
  /** Keeps a name where other threads find it. Address of the text, or 0 when the memory is full. */
  writeLabel(name: string): number;
  freeText(at: number): void;
  /** An owner ended that held these locks; they are free now, and abandoned. */
  onLeftHeld(names: readonly string[], label: string): void;
}

/** In a thread that runs no tasks. */
const noTasks = (): TaskHost => ({
  active: new ActiveOwner(),
  running: undefined,
  asyncTask: () => undefined,
  classOf: () => 0,
  onOwner: () => undefined,
});

/** Ends an owner that was dropped. What it held nobody could unlock any more: a guard keeps its owner. */
const dropped: FinalizationRegistry<() => void> = new FinalizationRegistry((free) => free());

/**
 * Who holds a lock, where neither a task nor a context says so: pass it as `ctx.owner` to whatever locks for it. One owner is one flow of control. Belongs to
 * the thread that made it; {@link LockOwner.end} it when it is done.
 */
export class LockOwner implements Disposable {
  readonly name: string;
  #address: number;
  readonly #owners: Owners;

  /** @internal */
  constructor(owners: Owners, address: number, name: string) {
    this.#owners = owners;
    this.#address = address;
    this.name = name;
  }

  /** @internal Was it made by these? */
  isOf(owners: Owners): boolean {
    return this.#owners === owners;
  }

  /** @internal Address of its record; 0 once it has ended. */
  get address(): number {
    return this.#owners.isClosed ? 0 : this.#address;
  }

  /** Has it ended? */
  get hasEnded(): boolean {
    return this.#address === 0;
  }

  /** It locks no more. Locks that it holds still are freed, marked abandoned, and reported. May be called again. */
  end(): void {
    const address = this.#address;
    this.#address = 0;
    if (address === 0) return;
    dropped.unregister(this);
    this.#owners.end(address, () => this.name);
  }

  /** {@link LockOwner.end} */
  [Symbol.dispose](): void {
    this.end();
  }
}

/** The name of a context or an explicit owner. */
interface Label {
  readonly name: string;
  /** The same in the shared memory, for other threads, where the program gave it; else 0. */
  readonly text: number;
}

/** The owners of locks in one thread. */
export class Owners {
  readonly #kernel: Kernel;
  readonly #agent: number;
  readonly #clock: Clock;
  readonly #tasks: TaskHost;
  readonly #newStore: () => AsyncStore | undefined;
  readonly #host: OwnersHost;
  readonly active: ActiveOwner;
  #store: AsyncStore | undefined;
  readonly #runsNoTasks: boolean;
  #thread = 0;
  /** Names of contexts and explicit owners, by address. */
  readonly #labels = new Map<number, Label>();
  #count = 0;
  isClosed = false;

  constructor(
    kernel: Kernel,
    agent: number,
    clock: Clock,
    tasks: TaskHost | undefined,
    newStore: () => AsyncStore | undefined,
    host: OwnersHost,
  ) {
    this.#kernel = kernel;
    this.#agent = agent;
    this.#clock = clock;
    this.#tasks = tasks ?? noTasks();
    this.active = this.#tasks.active;
    this.#runsNoTasks = tasks === undefined;
    this.#newStore = newStore;
    this.#host = host;
  }

  /** Address of the owner that calls; 0 in a runtime that was disposed. */
  current(): number {
    if (this.active.address !== 0) return this.active.address;
    const context = this.#store?.get() as LockOwner | undefined;
    if (context !== undefined) return context.address;
    return this.isClosed ? 0 : this.#find(this.#tasks.running);
  }

  #find(running: OwnerPlace | undefined): number {
    const task = running ?? this.#tasks.asyncTask();
    let owner: number;
    if (task === undefined) {
      if (this.#thread === 0) this.#thread = this.#claim(OWNER_KIND_THREAD, 0, 0);
      owner = this.#thread;
    } else {
      if (task.owner === 0) {
        task.owner = this.#claim(OWNER_KIND_TASK, task.slot, this.#tasks.classOf(task) + 1);
        this.#tasks.onOwner(task);
      }
      owner = task.owner;
    }
    // Async code of a task runs between that of others, also where we are asked for it by name; a thread without tasks has one owner.
    const stays = (running !== undefined && running === this.#tasks.running) || this.#runsNoTasks;
    if (stays && !this.active.hasContexts) this.active.address = owner;
    return owner;
  }

  /** Address of the owner that calls, if it has taken a lock before; else 0. */
  known(): number {
    const context = this.#store?.get() as LockOwner | undefined;
    if (context !== undefined) return context.address;
    const task = this.#tasks.running ?? this.#tasks.asyncTask();
    return task === undefined ? this.#thread : task.owner;
  }

  /** Does somebody say who owns what this flow locks: a context or a task? */
  get hasContext(): boolean {
    return this.isInContext || this.#tasks.running !== undefined || this.#tasks.asyncTask() !== undefined;
  }

  /** Is this the code of a context, be it one that has ended? */
  get isInContext(): boolean {
    return this.#store?.get() !== undefined;
  }

  /** Runs what is no part of the context that is below it on the stack. */
  outside<R>(fn: () => R): R {
    return this.#store === undefined ? fn() : this.#store.run(undefined, fn);
  }

  /** Does an owner hold a lock that is no task: a context, an explicit one, the thread? */
  get othersHold(): boolean {
    if (this.#labels.size === 0 && this.#thread === 0) return false;
    if (this.#thread !== 0 && this.#holds(this.#thread)) return true;
    for (const owner of this.#labels.keys()) if (this.#holds(owner)) return true;
    return false;
  }

  #holds(owner: number): boolean {
    return this.#kernel.u32[(owner + OWNER_HELD) >>> 2] !== 0;
  }

  /** Address of the owner of a task, made if it has none: it waits for another task. */
  ofTask(task: OwnerPlace): number {
    return task.owner === 0 ? this.#find(task) : task.owner;
  }

  #claim(kind: number, slot: number, qosClass: number): number {
    const owner = this.#kernel.calls.claimOwner(this.#agent, kind, slot, qosClass, this.#clock.now());
    if (owner === 0)
      throw new MemoryFullError('cannot own a lock: the shared memory is full; raise memoryBytes');
    return owner >>> 0;
  }

  /** A new owner that stands for itself. */
  explicit(name?: string): LockOwner {
    if (name !== undefined) string(name, 'createOwner(): the name');
    const owner = this.#make(OWNER_KIND_EXPLICIT, name, 'owner');
    const { address } = owner;
    dropped.register(owner, () => this.end(address, () => 'an owner that was dropped'), owner);
    return owner;
  }

  #make(kind: number, given: string | undefined, what: string): LockOwner {
    const address = this.#claim(kind, 0, 0);
    const name = given ?? `${what} ${++this.#count}`;
    // Who was given no name is no more to others than a context, or an owner, of its thread.
    if (given === undefined) this.#labels.set(address, { name, text: 0 });
    else this.#publish(address, name);
    return new LockOwner(this, address, name);
  }

  /** Names an owner, for other threads too. */
  #publish(owner: number, name: string): void {
    const text = this.#host.writeLabel(name);
    this.#labels.set(owner, { name, text });
    const place = (owner + OWNER_TEXT) >>> 2;
    // While it waits, what stands there has the name as well.
    if (this.#kernel.u32[place] === 0) this.#kernel.u32[place] = text;
  }

  /**
   * Runs `fn` as an owner of its own, which ends with it. Where the host has no store that follows async code, only the part before the first
   * `await` knows its owner; pass `ctx.owner` there.
   */
  run<R>(fn: (owner: LockOwner) => R, name?: string): R {
    func(fn, 'withOwner(): the first argument');
    if (name !== undefined) string(name, 'withOwner(): the name');
    this.#openStore();
    const owner = this.#make(OWNER_KIND_CONTEXT, name, 'context');
    // By this name it is known in stacks.
    const runAsOwner = (): R => fn(owner);
    let result: R;
    try {
      result = this.#store === undefined ? fn(owner) : this.#store.run(owner, runAsOwner);
    } catch (error) {
      owner.end();
      throw error;
    }
    if (typeof (result as { then?: unknown } | null)?.then !== 'function') {
      owner.end();
      return result;
    }
    const end = (): void => owner.end();
    // The promise itself goes back, so a rejection is reported once, by whoever has it.
    (result as unknown as PromiseLike<unknown>).then(end, end);
    return result;
  }

  /** The task of an owner is over, and its slot may stand for another: the owner stands for itself until it ends. */
  outlive(owner: number, label: string): void {
    const { u32 } = this.#kernel;
    this.#host.dropWaits(owner);
    Atomics.store(u32, (owner + OWNER_KIND) >>> 2, OWNER_KIND_CONTEXT);
    Atomics.store(u32, (owner + OWNER_SLOT) >>> 2, 0);
    this.#publish(owner, label);
  }

  /** An owner ends. Locks that it holds still are freed and marked. */
  end(owner: number, label: () => string): void {
    if (this.isClosed) return;
    const { calls } = this.#kernel;
    this.#host.dropWaits(owner);
    if (this.#holds(owner)) {
      const names = this.#host.namesHeldBy(owner);
      const who = label();
      calls.abandonHeld(owner);
      this.#host.onLeftHeld(names, who);
    }
    const text = this.textOf(owner);
    this.#labels.delete(owner);
    calls.freeOwner(this.#agent, owner);
    if (text === 0) return;
    this.#kernel.u32[(owner + OWNER_TEXT) >>> 2] = 0;
    this.#host.freeText(text);
  }

  /** From now on every call asks the store, where the host has one. */
  #openStore(): void {
    this.#store ??= this.#newStore();
    if (this.#store === undefined) return;
    this.active.hasContexts = true;
    this.active.address = 0;
  }

  /** Name of a context or an explicit owner of this thread. */
  labelOf(owner: number): string | undefined {
    return this.#labels.get(owner)?.name;
  }

  /** Address of the text that names it to other threads, while it waits for nothing; 0 if there is none. */
  textOf(owner: number): number {
    return this.#labels.get(owner)?.text ?? 0;
  }

  /** The runtime is gone. */
  close(): void {
    this.isClosed = true;
    this.#thread = 0;
    this.#store?.close();
    this.#store = undefined;
    this.active.address = 0;
  }
}
