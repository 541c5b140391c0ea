// One pool from its making to its end, with clients that call it, somebody who turns its knobs, and in violent pools somebody who
// terminates its workers.

import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { KINDS } from './calls.mjs';

/** Calls that one pool may have in its life: each has a word in the referee's arrays. */
const BOOK_SIZE = 2 ** 17;
const MOST_OPEN = 400;
const NO_LIMIT = 2 ** 31 - 1;
const CORES = (await import('node:os')).availableParallelism();
const TASKS = new URL('./tasks.mjs', import.meta.url);
const WORKER = new URL(import.meta.resolve('heddle/worker'));

/** A class that arrives as itself. */
class ChaosError extends Error {
  constructor(message) {
    super(message);
    this.name = 'ChaosError';
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Counts of what tasks began and ended, by call. */
class Book {
  starts = new Int32Array(new SharedArrayBuffer(BOOK_SIZE * 4));
  ends = new Int32Array(new SharedArrayBuffer(BOOK_SIZE * 4));
  /** What is allowed, once the call has an outcome. */
  least = new Int32Array(BOOK_SIZE);
  most = new Int32Array(BOOK_SIZE).fill(NO_LIMIT);
  kinds = new Array(BOOK_SIZE);
  next = 0;

  /** Index for a call, or -1. */
  take() {
    return this.next < BOOK_SIZE ? this.next++ : -1;
  }
}

/** What a pool is like; all from the seed. */
function optionsOf(life, random) {
  const isCrowd = life.brings === 'crowd' || random.chance(0.08);
  const maxThreads = isCrowd ? 8 * CORES : random.between(1, 4);
  const minThreads = isCrowd ? maxThreads : random.between(0, maxThreads);
  const options = {
    tasks: TASKS,
    name: life.name,
    minThreads,
    maxThreads,
    idleTimeout: random.pick([0, 30, 200, 1000, 5000]),
    concurrentTasksPerWorker: random.pick([1, 1, 2, 8]),
    submitStacks: random.pick(['always', 'sampled', 'never']),
    qos: random.pick(['Guaranteed', 'Burstable', 'BestEffort']),
    errorTypes: [ChaosError],
    workerData: {
      starts: life.book.starts,
      ends: life.book.ends,
      guarded: life.world.locks?.guarded,
      sabotage: life.world.sabotage,
    },
  };
  if (random.chance(0.2)) options.trace = random.pick([true, { capacity: 100 }]);
  if (random.chance(0.15)) options.maxQueue = random.pick([0, 5, 50]);
  if (random.chance(0.2)) options.highWaterMark = random.between(1, 20);
  if (life.brings === 'heap' || random.chance(0.5)) {
    life.attempts = random.between(2, 3);
    options.retry = {
      attempts: life.attempts,
      backoffMs: random.pick([0, 1, 5]),
      jitterPercent: random.pick([0, 50]),
    };
  }
  if (life.isViolent && random.chance(0.3)) options.abortGraceMs = random.below(20);
  return options;
}

export class PoolLife {
  world;
  referee;
  name;
  isViolent;
  /** What it brings for certain: 'crowd', many threads and no deaths; 'heap', workers that die of everything. */
  brings;
  hasSmallHeap = false;
  endsHard;
  attempts = 1;
  book = new Book();
  pool;
  counter;
  /** Late errors that were asked for. */
  afterwards = 0;
  open = 0;
  peak = 0;
  #random;
  #options;
  #workers = new Set();
  #threads = 0;
  #exits = 0;
  #outcomes = 0;
  #progress = () => this.#outcomes;
  #startFailures = 0;
  #afterwardsSeen = 0;
  #fulfilled = 0;
  #submits = new Set();
  #hasMaps;
  #isClosing = false;
  #firstOperation;
  #closedHard = false;
  #hasBound;
  #lost = [];
  #guarded = 0;
  /** What may be called here. */
  #allowed;
  #kinds;
  /** Calls of each kind. */
  #made = new Map();
  #how;

  constructor(world, name, random, brings) {
    this.world = world;
    this.referee = world.referee;
    this.name = name;
    this.#random = random;
    this.brings = brings;
    this.#firstOperation = brings === undefined ? undefined : 'scale';
    this.isViolent = brings === undefined ? random.chance(world.violence) : brings === 'heap';
    this.#how = random.weighted([
      [4, 'shutdown'],
      [2, 'shutdown in time'],
      [3, 'destroy'],
      [1, 'shutdown, then destroy'],
      [1, 'shutdown twice'],
    ]);
    if (brings !== undefined) this.#how = 'shutdown';
    this.endsHard = this.#how !== 'shutdown' && this.#how !== 'shutdown twice';
    this.#hasMaps = brings !== undefined || random.chance(0.5);
    this.#options = optionsOf(this, random);
    this.#hasBound = this.#options.maxQueue !== undefined;
    if (this.isViolent) this.#makeViolent(random);
    this.#allowed = KINDS.filter(
      (kind) =>
        (kind.violent ? this.isViolent : true) &&
        (this.#hasMaps || kind.name !== 'map') &&
        (kind.locks === undefined || world.locks !== undefined),
    );
    // Some lives are all of a few kinds.
    this.#kinds = random.chance(0.25)
      ? Array.from({ length: random.between(2, 6) }, () => random.pick(this.#allowed)).map((kind) => [
          1,
          kind,
        ])
      : this.#allowed.map((kind) => [kind.weight, kind]);
  }

  #makeViolent(random) {
    const limits = {};
    if (this.brings === 'heap' || random.chance(0.3)) {
      this.hasSmallHeap = true;
      limits.maxOldGenerationSizeMb = 24;
    }
    const { name } = this;
    if (this.brings === 'heap' || random.chance(0.6)) {
      // The only way for a user to reach the threads: to make them.
      this.#options.worker = () => {
        const worker = new Worker(WORKER, { name, resourceLimits: { stackSizeMb: 8, ...limits } });
        this.#threads++;
        this.#workers.add(worker);
        worker.once('exit', () => this.#workers.delete(worker));
        return worker;
      };
    } else {
      this.#options.resourceLimits = { stackSizeMb: 8, ...limits };
    }
  }

  violate(what) {
    this.referee.violate(`${this.name}: ${what}`);
  }

  note(what) {
    this.referee.note(`${this.name} ${what}`);
  }

  expect(holds, what) {
    this.referee.expect(holds, () => `${this.name}: ${typeof what === 'function' ? what() : what}`);
  }

  freeLater(array) {
    this.#lost.push(array);
  }

  /** Begins, is called for so long, and ends. */
  async run(ms) {
    const random = this.#random;
    if (!(await this.#begin())) return;
    if (this.brings !== undefined) await this.#rollCall(random.split());
    const until = performance.now() + ms;
    const parts = Array.from({ length: random.between(2, 4) }, () => this.#client(random.split(), until));
    parts.push(this.#operator(random.split(), until));
    if (this.#options.worker !== undefined) parts.push(this.#killer(random.split(), until));
    // Most pools end in the middle of it.
    await (this.brings !== undefined || random.chance(0.3)
      ? Promise.all(parts)
      : delay(ms * random.pick([0.3, 0.7, 1])));
    await this.#end(random);
    await Promise.all(parts);
    this.#audit();
  }

  async #begin() {
    const { world } = this;
    this.note(
      `opens: ${JSON.stringify({ ...this.#options, tasks: undefined, workerData: undefined, errorTypes: undefined })} ${this.isViolent ? 'violent' : 'peaceful'}, ends by ${this.#how}`,
    );
    try {
      this.pool = await this.referee.watch(`${this.name}: createPool()`, world.createPool(this.#options));
    } catch (error) {
      this.note(`was not opened: ${error}`);
      this.expect(
        (this.isViolent && error?.code === 'ERR_WORKER_EXITED') ||
          (world.isSmall && error?.code === 'ERR_MEMORY_FULL'),
        () => `createPool() failed with ${error?.stack ?? error}`,
      );
      return false;
    }
    this.referee.pools++;
    this.counter = world.alloc(Int32Array, 16);
    if (this.#options.minThreads >= 8 * CORES) this.referee.faults.crowd++;
    this.pool.on('workerExit', (exit) => {
      this.#exits++;
      if (exit.error?.code === 'ERR_WORKER_OUT_OF_MEMORY') this.referee.faults.heap++;
      this.referee.deaths++;
      this.note(
        `worker ${exit.id} (thread ${exit.threadId}) ended: ${exit.exitCode}${exit.expected ? ', expected' : ''} ${exit.error ?? ''}`,
      );
      this.expect(
        this.isViolent || exit.expected,
        () => `a worker of a peaceful pool died: ${JSON.stringify(exit)}`,
      );
    });
    this.pool.on('error', (error) => this.#onError(error));
    return true;
  }

  #onError(error) {
    if (/^afterwards \d+$/.test(error?.message)) {
      this.#afterwardsSeen++;
      return;
    }
    if (this.#submits.delete(error?.index)) return;
    this.note(`error event ${error}`);
    if (error?.code === 'ERR_WORKER_EXITED' || error?.code === 'ERR_MEMORY_FULL') this.#startFailures++;
    this.expect(this.mayFailWith(error), () => `an error event that nobody caused: ${error?.stack ?? error}`);
  }

  /** May any call of this pool fail with this now, by what was done to the pool? */
  mayFailWith(error, call = { exitsBefore: -1, isLate: false }) {
    switch (error?.code) {
      case 'ERR_WORKER_EXITED':
        return this.isViolent && (this.#exits > call.exitsBefore || this.#startFailures > 0);
      case 'ERR_POOL_CLOSED':
        return this.#closedHard || call.isLate || (this.#isClosing && call.isLong === true);
      case 'ERR_QUEUE_FULL':
        return this.#hasBound;
      case 'ERR_MEMORY_FULL':
        return this.world.isSmall;
      case 'ERR_TASK_ABORTED':
        return call.isAborted === true;
      case 'ERR_TASK_TIMEOUT':
        return call.timeoutMs !== undefined && performance.now() - call.madeAt >= call.timeoutMs - 2;
      default:
        return false;
    }
  }

  // ---- calls -----------------------------------------------------------------------------------------------------------------------------

  async #client(random, until) {
    const flying = new Set();
    while (!this.#isClosing && performance.now() < until) {
      const size = random.weighted([
        [4, 1],
        [4, 5],
        [4, 30],
        [2, 150],
      ]);
      const batch = [];
      for (let i = 0; i < size && this.open < MOST_OPEN; i++) {
        const outcome = this.#launch(random);
        if (outcome === undefined) continue;
        flying.add(outcome);
        void outcome.then(() => flying.delete(outcome));
        batch.push(outcome);
      }
      if (random.chance(0.6) || flying.size > 300) await Promise.all(batch);
      if (random.chance(0.3)) await delay(random.below(15));
      else await turn();
    }
    // A closed pool must say so.
    const late = [];
    if (this.#isClosing) for (let i = random.below(3); i > 0; i--) late.push(this.#launch(random));
    await Promise.all([...flying, ...late]);
  }

  /** Calls of every kind; first, while nothing else can end a worker, those that do, until they did. */
  async #rollCall(random) {
    for (const fault of this.brings === 'heap' ? ['exit', 'heap'] : []) {
      const kind = KINDS.find(({ name }) => name === fault);
      // Some are aborted before they begin.
      for (let i = 0; i < 50 && this.referee.faults[fault] === 0; i++) {
        this.#made.delete(kind);
        await this.#launch(random, kind);
      }
    }
    await Promise.all(this.#allowed.map((kind) => this.#launch(random, kind)));
  }

  /** Makes one call of a random kind. Resolves when it has its outcome and was judged. */
  #launch(random, kind = random.weighted(this.#kinds)) {
    const made = this.#made.get(kind) ?? 0;
    if (made >= (kind.limit ?? Infinity) || kind.needs?.(this) === false) return undefined;
    this.#made.set(kind, made + 1);
    const index = this.book.take();
    if (index < 0) return undefined;
    const call = kind.make({ index, random, life: this });
    if (call === undefined) return undefined;
    const options = { ...call.options };
    const entry = {
      index,
      kind: kind.name,
      call,
      madeAt: 0,
      exitsBefore: this.#exits,
      isLate: this.#isClosing,
      // Its items are called one after another.
      isLong: call.indices !== undefined,
      isAborted: false,
      timeoutMs: options.timeoutMs,
    };
    this.#addModifiers(call, options, entry, random);
    for (const i of call.indices ?? [index]) this.book.kinds[i] = kind.name;
    entry.timeoutMs = options.timeoutMs;
    entry.madeAt = performance.now();
    this.open++;
    this.peak = Math.max(this.peak, this.open);
    this.referee.calls++;
    if (this.world.sabotage === 'lose' && index % 97 === 96) {
      void this.pool.run(call.task, call.args, options).catch(() => undefined);
      return this.referee.watch(this.#nameOf(entry), new Promise(() => {}), this.#progress);
    }
    const promise =
      call.invoke === undefined
        ? this.pool.run(call.task, call.args, options)
        : call.invoke(this.pool, options);
    this.#arrangeAbort(call, entry);
    const judged = promise.then(
      (value) => this.#judge(entry, { ok: true, value }),
      (error) => this.#judge(entry, { ok: false, error }),
    );
    return this.referee.watch(this.#nameOf(entry), judged, this.#progress);
  }

  #nameOf(entry) {
    return () => {
      const { index } = entry;
      return `${this.name}: call #${index} (${entry.kind}, ${entry.call.task}; began ${this.book.starts[index]} times, ended ${this.book.ends[index]})`;
    };
  }

  #addModifiers(call, options, entry, random) {
    if (random.chance(0.3)) options.qos = random.pick(['Guaranteed', 'Burstable', 'BestEffort']);
    if (call.plain) {
      if (options.signal === undefined && call.invoke === undefined && random.chance(0.1))
        options.signal = this.world.quietSignal;
      return;
    }
    if (random.chance(0.1)) options.timeoutMs = random.pick([0, 1, 5, 20, 100, 10_000]);
    if (random.chance(0.07)) {
      call.abort = new AbortController();
      call.abortAfter = random.pick(['now', 'microtask', 'turn', 1, 5, 30]);
      options.signal = call.abort.signal;
    } else if (random.chance(0.1)) {
      options.signal = this.world.quietSignal;
    }
    if (options.timeoutMs !== undefined) entry.timeoutMs = options.timeoutMs;
  }

  #arrangeAbort(call, entry) {
    if (call.abort === undefined) return;
    const abort = () => {
      entry.isAborted = true;
      this.referee.faults.cancel++;
      call.abort.abort(new Error(`chaos aborts ${entry.index}`));
    };
    if (call.abortAfter === 'now') abort();
    else if (call.abortAfter === 'microtask') queueMicrotask(abort);
    else if (call.abortAfter === 'turn') setImmediate(abort);
    else setTimeout(abort, call.abortAfter);
  }

  #judge(entry, outcome) {
    const { call, index } = entry;
    const { starts, ends } = this.book;
    this.open--;
    this.referee.settled++;
    this.#outcomes++;
    const most = call.startsMost ?? (call.starts === 'any' ? NO_LIMIT : (call.starts ?? 1));
    let least = 0;
    let result = 'fulfilled';
    if (outcome.ok) {
      if (call.indices === undefined) this.#fulfilled++;
      least = call.starts === 'any' ? (call.startsMost === undefined ? 0 : 1) : (call.starts ?? 1);
      if (call.startsLeast !== undefined) least = call.startsLeast;
      const wrong = call.mustFail ? `it was fulfilled with ${outcome.value}` : call.check?.(outcome.value);
      this.expect(wrong === undefined, () => `${this.#nameOf(entry)()}: ${wrong}`);
      if (call.indices === undefined && call.task !== 'cover')
        this.expect(ends[index] > 0, () => `${this.#nameOf(entry)()} was fulfilled and never ended`);
      if (call.bump !== undefined) this.world.bumps(call.bump.name, call.bump.times, true);
      if (call.guarded) this.#guarded++;
    } else {
      const { error } = outcome;
      const isOwn = call.fails?.(error) === true;
      result = isOwn ? 'own error' : (error?.code ?? 'other');
      if (error?.code === 'ERR_TASK_TIMEOUT') this.referee.faults.cancel++;
      if (error?.code === 'ERR_WORKER_EXITED' && entry.kind === 'exit') this.referee.faults.exit++;
      this.expect(
        isOwn || this.mayFailWith(error, entry) || (call.guarded && entry.isAborted),
        () => `${this.#nameOf(entry)()} failed with ${error?.stack ?? error}`,
      );
      if (isOwn && !this.isViolent && call.startsMost !== 0 && call.starts !== 'any')
        least = call.startsLeast ?? 1;
      if (error?.code === 'ERR_QUEUE_FULL' || (error?.code === 'ERR_POOL_CLOSED' && entry.isLate)) {
        if (call.indices === undefined) this.book.most[index] = 0;
      }
      if (call.bump !== undefined) this.world.bumps(call.bump.name, call.bump.times, false);
    }
    for (const i of call.indices ?? [index]) {
      this.book.least[i] = call.indices === undefined ? least : 0;
      this.book.most[i] = Math.min(this.book.most[i], call.indices === undefined ? most : 1);
    }
    // At once, where it is known already; the arrays are looked through again when no thread is left.
    this.expect(
      starts[index] <= this.book.most[index] && starts[index] >= this.book.least[index],
      () =>
        `${this.#nameOf(entry)()}, ${result}: allowed are ${this.book.least[index]} to ${this.book.most[index]} runs`,
    );
    this.referee.count(entry.kind, result);
    call.after?.(outcome);
    return outcome;
  }

  // ---- what else happens to a pool ---------------------------------------------------------------------------------------------------------

  async #operator(random, until) {
    const { pool, referee } = this;
    while (!this.#isClosing && performance.now() < until) {
      await delay(random.pick([1, 20, 100, 300]));
      if (this.#isClosing) return;
      const what =
        this.#firstOperation ??
        random.weighted([
          [2, 'scale'],
          [2, 'setConfig'],
          [4, 'metrics'],
          [1, 'diagnostics'],
          [1, 'trace'],
          [1, 'ready'],
          [3, 'submit'],
          [2, 'wrong'],
        ]);
      this.#firstOperation = undefined;
      if (what !== 'metrics' && what !== 'submit') this.note(what);
      try {
        if (what === 'scale') {
          this.referee.faults.scale++;
          const scaled = pool.scale(random.chance(0.03) ? 8 * CORES : random.between(1, 4));
          void referee
            .watch(`${this.name}: scale()`, scaled, this.#progress)
            .catch((error) => this.#onOperation(what, error));
        } else if (what === 'setConfig') {
          const minThreads = random.between(0, 3);
          pool.setConfig({
            minThreads,
            maxThreads: Math.max(1, minThreads + random.below(3)),
            idleTimeout: random.pick([0, 5, 100, 5000]),
            ...(this.#hasBound ? { maxQueue: random.pick([0, 5, 100]) } : {}),
            qos: random.pick(['Guaranteed', 'Burstable', 'BestEffort']),
          });
        } else if (what === 'metrics') {
          this.#checkMetrics();
        } else if (what === 'diagnostics') {
          void referee
            .watch(`${this.name}: diagnostics()`, pool.diagnostics(), this.#progress)
            .catch((error) => this.#onOperation(what, error));
        } else if (what === 'trace') {
          const events = pool.trace();
          this.expect(
            events.every(({ startMs, endMs }) => endMs >= startMs),
            'a trace event ends before it starts',
          );
        } else if (what === 'ready') {
          void referee
            .watch(`${this.name}: ready()`, pool.ready({ timeoutMs: random.pick([1, 50, 5000]) }))
            .catch((error) => {
              if (error?.code !== 'ERR_TASK_TIMEOUT') this.#onOperation(what, error);
            });
        } else if (what === 'submit') {
          for (let n = random.below(6); n > 0; n--) this.#submit(random);
        } else {
          await this.#misuse(random);
        }
      } catch (error) {
        this.#onOperation(what, error);
      }
    }
  }

  #onOperation(what, error) {
    this.expect(
      this.mayFailWith(error, { exitsBefore: -1, isLate: this.#isClosing }),
      () => `${what}() failed with ${error?.stack ?? error}`,
    );
  }

  /** A call that nobody waits for. */
  #submit(random) {
    const index = this.book.take();
    if (index < 0) return;
    this.book.kinds[index] = 'submit';
    this.book.most[index] = 1;
    const fails = random.chance(0.3);
    if (fails) this.#submits.add(index);
    this.pool.submit({ name: fails ? 'fail' : 'triple', args: [index, 1] });
    // Nothing else may keep it from running.
    if (!this.isViolent && !this.endsHard && !this.world.isSmall && !this.#hasBound)
      this.book.least[index] = 1;
  }

  /** What is refused must be refused at once, and change nothing. */
  async #misuse(random) {
    const { pool } = this;
    const wrongs = [
      () => pool.run('no such task'),
      () => pool.run('triple', 'no array'),
      () => pool.run('triple', [0, 0], { timeoutMs: -1 }),
      () => pool.run('triple', [0, 0], { priority: 1 }),
      () => pool.scale(0),
      () => pool.scale(65),
      async () => pool.setConfig({ minThreads: 5, maxThreads: 2 }),
      () => pool.range('cover', { from: 0, to: 1.5 }, []),
      async () => this.world.freeAgain(),
    ];
    try {
      await random.pick(wrongs)();
      this.violate('wrong use was accepted');
    } catch (error) {
      this.expect(
        error?.code === 'ERR_INVALID_ARGUMENT' || (error?.code === 'ERR_POOL_CLOSED' && this.#isClosing),
        () => `wrong use gave ${error?.stack ?? error}`,
      );
    }
  }

  #checkMetrics() {
    const metrics = this.pool.metrics();
    const { submitted, completed, failed, outstanding, queueDepth } = metrics;
    this.expect(
      outstanding >= 0 && queueDepth >= 0 && completed >= 0 && failed >= 0,
      () =>
        `counters below zero: ${JSON.stringify({ submitted, completed, failed, outstanding, queueDepth })}`,
    );
    this.expect(
      submitted === completed + failed + outstanding,
      () => `the counters do not add up: ${JSON.stringify({ submitted, completed, failed, outstanding })}`,
    );
    this.expect(
      metrics.workers.every(({ utilization }) => utilization >= 0 && utilization <= 1),
      'a utilization beyond 0..1',
    );
  }

  /** Terminates workers at random moments, in their start too. */
  async #killer(random, until) {
    while (!this.#isClosing && performance.now() < until) {
      await delay(random.pick([1, 60, 250, 600]));
      if (this.#workers.size === 0) continue;
      const victim = [...this.#workers][random.below(this.#workers.size)];
      this.note(`terminates thread ${victim.threadId}`);
      this.referee.faults.terminate++;
      void victim.terminate();
    }
  }

  // ---- the end -----------------------------------------------------------------------------------------------------------------------------

  async #end(random) {
    const { pool, referee } = this;
    this.note(`${this.#how}, ${this.open} calls open`);
    this.#isClosing = true;
    if (this.endsHard) this.#closedHard = true;
    const ends = {
      shutdown: () => pool.shutdown(),
      'shutdown in time': () => pool.shutdown(random.pick([0, 1, 20, 200])),
      destroy: () => pool.destroy(),
      'shutdown, then destroy': async () => {
        const closed = pool.shutdown();
        await delay(random.below(50));
        await Promise.all([closed, pool.destroy()]);
      },
      'shutdown twice': () => Promise.all([pool.shutdown(), pool.shutdown()]),
    };
    await referee.watch(`${this.name}: ${this.#how}`, ends[this.#how](), this.#progress);
    await this.world.afterPool();
    // What was rejected in the last moment is seen within a turn.
    await turn();
    this.note('is closed');
  }

  /** No thread of the pool is left: now everything is known. */
  #audit() {
    const { book, pool } = this;
    this.expect(this.open === 0, () => `${this.open} calls are open after the pool was closed`);
    this.expect(this.#workers.size === 0, () => `${this.#workers.size} threads outlived the pool`);
    for (let i = 0; i < book.next; i++) {
      const runs = book.starts[i];
      if (runs <= book.most[i] && runs >= book.least[i]) continue;
      this.violate(
        `call ${i} (${book.kinds[i]}) began ${runs} times and ended ${book.ends[i]}; allowed are ${book.least[i]} to ${book.most[i]}`,
      );
      break;
    }
    this.referee.checks += book.next;
    const metrics = pool.metrics();
    const { submitted, completed, failed, outstanding, queueDepth, threads } = metrics;
    const told = () => JSON.stringify({ submitted, completed, failed, outstanding, queueDepth, threads });
    this.expect(outstanding === 0 && queueDepth === 0 && threads === 0, () => `something is left: ${told()}`);
    this.expect(submitted === completed + failed, () => `the counters do not add up: ${told()}`);
    if (!this.#hasMaps)
      this.expect(completed >= this.#fulfilled, () => `${this.#fulfilled} calls were fulfilled: ${told()}`);
    this.expect(
      this.#afterwardsSeen <= this.afterwards,
      () => `${this.#afterwardsSeen} late errors came of ${this.afterwards}`,
    );
    if (this.counter !== undefined) {
      const met = this.counter[0];
      this.expect(
        met >= this.#guarded && (this.endsHard || met === this.#guarded),
        () => `a lock made of an atomic let ${this.#guarded} in, the counter is ${met}`,
      );
      this.world.free(this.counter);
    }
    for (const array of this.#lost) this.world.free(array);
    if (this.#threads > 0) this.note(`had ${this.#threads} threads`);
  }
}
