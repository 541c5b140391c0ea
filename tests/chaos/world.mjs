// One runtime with pools that come and go, and what must be left of it: nothing.
import { getEventListeners } from 'node:events';
import { createRuntime, TaskPool } from 'heddle';
import { auditEmpty, describeMemory } from './memory-audit.mjs';
import { PoolLife } from './pool-life.mjs';
import { WorldLocks } from './world-locks.mjs';

const MIB = 2 ** 20;
/** Threads that a pool has at once, with those that are on their way out. */
const THREADS_MOST = 40;
/** How long the pools live that are for certain there. */
const CERTAIN_MS = 2000;

/** An array takes whole spans of 64 KiB. */
const bytesTaken = (bytes) => Math.ceil(bytes / 65_536) * 65_536;

export class World {
  referee;
  sabotage;
  name;
  /** Share of its pools in which workers die. */
  violence;
  /** Little memory: calls wait for it, and some do not get it. */
  isSmall;
  /** The locks of its runtime, where this thread has that. */
  locks;
  #random;
  #isStandalone;
  #memoryBytes;
  #lanes;
  #rt;
  #quiet = new AbortController();
  #arrays = new Set();
  #arrayBytes = 0;
  #lives = new Set();
  #bumps = new Map();
  #peak = 0;
  #pools = 0;

  /** Does it bring what comes about seldom, whatever the seed? */
  #isCertain;

  constructor({ referee, sabotage, name, random, isCertain = false }) {
    this.referee = referee;
    this.sabotage = sabotage;
    this.name = name;
    this.#random = random;
    this.#isCertain = isCertain;
    // What is to be seen must be there.
    const hasLocks = isCertain || ['unlocked', 'hold', 'names'].includes(sabotage);
    this.#isStandalone = random.chance(0.15) && !hasLocks;
    this.#memoryBytes = (hasLocks ? 64 : random.pick([6, 12, 64, 64, 256, 1024])) * MIB;
    this.isSmall = this.#memoryBytes < 32 * MIB;
    this.violence = random.pick([0, 0, 0.3, 0.7, 1]);
    this.#lanes = this.#isStandalone ? 1 : random.pick([1, 1, 2, 3]);
  }

  /** Can this thread make and free arrays? */
  get hasArrays() {
    return !this.#isStandalone;
  }

  get quietSignal() {
    return this.#quiet.signal;
  }

  async run(ms) {
    const { referee } = this;
    referee.worlds++;
    referee.note(
      `${this.name} begins: ${this.#memoryBytes / MIB} MiB, ${this.#lanes} at once, violence ${this.violence}${this.#isStandalone ? ', standalone pools' : ''}`,
    );
    if (!this.#isStandalone) this.#rt = await createRuntime({ memoryBytes: this.#memoryBytes });
    // The tables of locks take a megabyte.
    if (this.#rt !== undefined && !this.isSmall) this.locks = new WorldLocks(this.#rt, this);
    for (const brings of this.#isCertain ? ['crowd', 'heap'] : [])
      await this.#live(this.#random, CERTAIN_MS, brings);
    const until = performance.now() + ms;
    const lanes = Array.from({ length: this.#lanes }, () => this.#lane(this.#random.split(), until));
    if (this.locks !== undefined) lanes.push(this.locks.play(this.#random.split(), until));
    await Promise.all(lanes);
    for (const array of [...this.#arrays]) this.free(array);
    if (this.sabotage === 'leak') this.alloc(Uint8Array, 1);
    await this.#audit();
    referee.note(`${this.name} has ended`);
  }

  async #lane(random, until) {
    for (
      let left = until - performance.now();
      left > 0 && !this.referee.isOver;
      left = until - performance.now()
    ) {
      await this.#live(random, Math.min(left, random.pick([50, 500, 2000, 5000])));
    }
  }

  async #live(random, ms, brings) {
    const life = new PoolLife(this, `${this.name}.${++this.#pools}`, random.split(), brings);
    this.#lives.add(life);
    await life.run(ms);
    this.#lives.delete(life);
    this.#peak = Math.max(this.#peak, life.peak);
  }

  createPool(options) {
    return this.#isStandalone
      ? TaskPool.create({ ...options, memoryBytes: this.#memoryBytes })
      : this.#rt.createPool(options);
  }

  async afterPool() {}

  /** An array of the shared memory, or undefined when there is no room or no runtime of ours, or arrays have their share. */
  alloc(type, length) {
    if (this.#rt === undefined) return undefined;
    // A machine that is fast has more calls open. What fails while arrays have no more than a third is an error of the allocator.
    const bytes = bytesTaken(length * type.BYTES_PER_ELEMENT);
    if (!this.isSmall && this.#arrayBytes + bytes > this.#memoryBytes / 3) return undefined;
    try {
      const array = this.#rt.alloc(type, length);
      this.#arrays.add(array);
      this.#arrayBytes += bytes;
      this.referee.expect(
        array.every((value) => value === 0),
        `${this.name}: a new array is not all zeros`,
      );
      return array;
    } catch (error) {
      this.referee.expect(
        this.isSmall && error?.code === 'ERR_MEMORY_FULL',
        () => `${this.name}: alloc() failed with ${error?.stack ?? error}`,
      );
      return undefined;
    }
  }

  free(array) {
    // Those that a task allocated are not among ours.
    if (this.#arrays.delete(array)) this.#arrayBytes -= bytesTaken(array.byteLength);
    this.#rt.free(array);
  }

  /** Wrong use: throws. */
  freeAgain() {
    if (this.#rt === undefined)
      throw Object.assign(new Error('no runtime'), { code: 'ERR_INVALID_ARGUMENT' });
    const array = this.alloc(Uint8Array, 1);
    if (array === undefined) throw Object.assign(new Error('no room'), { code: 'ERR_INVALID_ARGUMENT' });
    this.free(array);
    this.#rt.free(array);
  }

  /** Notes what tasks added to an atomic: for certain when they were fulfilled, perhaps when not. */
  bumps(name, times, isCertain) {
    const sum = this.#bumps.get(name) ?? { least: 0, most: 0 };
    sum.most += times;
    if (isCertain) sum.least += times;
    this.#bumps.set(name, sum);
  }

  async #audit() {
    const { referee } = this;
    const left = getEventListeners(this.#quiet.signal, 'abort').length;
    referee.expect(left === 0, `${this.name}: ${left} listeners are left on a signal`);
    if (this.#rt === undefined) return;
    for (const [name, { least, most }] of this.#bumps) {
      const value = this.#rt.atomicInt32(name).load();
      referee.expect(
        value >= least && value <= most,
        `${this.name}: atomic '${name}' is ${value}, not ${least} to ${most}`,
      );
    }
    if (this.sabotage === 'hold') this.#rt.mutex('kept').lockSync();
    const names = Array.from({ length: this.sabotage === 'names' ? 16 : 0 }, (_, i) =>
      this.#rt.mutex(`kept ${i}`),
    );
    if (this.locks !== undefined) await this.locks.audit(1 + THREADS_MOST * this.#lanes);
    for (const m of names) m.forget();
    const wrong = auditEmpty(this.#rt.handle, 4 * this.#peak * this.#lanes);
    referee.expect(
      wrong.length === 0,
      `${this.name}: the shared memory is not as empty as it was: ${wrong.join('; ')}`,
    );
    await referee.watch(`${this.name}: dispose()`, this.#rt.dispose());
    const again = await this.#rt.createPool({ tasks: import.meta.url }).catch((error) => error);
    referee.expect(again?.code === 'ERR_POOL_CLOSED', `${this.name}: a disposed runtime opens pools`);
  }

  /** What there is, for a report. */
  describe() {
    const lines = [`--- ${this.name}: ${this.#memoryBytes / MIB} MiB`];
    for (const life of this.#lives) {
      if (life.pool === undefined) continue;
      const { workers, waitHistogram, runHistogram, ...numbers } = life.pool.metrics();
      lines.push(`${life.name}: ${life.open} calls open, ${JSON.stringify(numbers)}`);
      for (const { id, threadId, state, completed } of workers)
        lines.push(`    worker ${id} thread ${threadId} ${state}, completed ${completed}`);
    }
    if (this.#rt !== undefined) lines.push(...describeMemory(this.#rt.handle));
    return lines;
  }
}
