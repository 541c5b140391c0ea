import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AGENT_BATCH,
  BATCH_MOST,
  DEQUE_BUFFER,
  SLOT_DONE,
  SLOT_FREE,
  SLOT_STATE,
  STATE_STATUS_MASK,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import {
  type Actor,
  chain,
  fillSlot,
  joinSubmitter,
  joinWorker,
  MIB,
  openKernel,
  setIndices,
  setWord,
  valueIn,
  word,
} from './harness.ts';

/** A submitter and two workers on one pool; what they push are numbered tasks. */
interface Bench {
  readonly kernel: Kernel;
  readonly pool: number;
  readonly submitter: Actor;
  readonly workers: readonly Actor[];
}

/** What the deques should hold, oldest first. */
interface Model {
  readonly submitted: number[];
  /** Forks of each worker, and what stands in its deques from batches. */
  readonly forks: number[][];
  readonly batched: number[][];
  readonly slotOf: Map<number, number>;
  next: number;
}

async function openBench(firstIndex: number): Promise<Bench> {
  const kernel = await openKernel(16 * MIB);
  const pool = kernel.calls.openPool(1);
  const submitter = joinSubmitter(kernel, pool);
  const workers = [joinWorker(kernel, pool, 0), joinWorker(kernel, pool, 1)];
  for (const { lane } of [submitter, ...workers]) setIndices(kernel, lane, firstIndex);
  const bench = { kernel, pool, submitter, workers };
  // The first submission of a class says that there are tasks of it; forks inherit theirs.
  const model = emptyModel();
  submitOne(model, bench);
  new Take(0, 1).act(model, bench);
  return bench;
}

const emptyModel = (): Model => ({
  submitted: [],
  forks: [[], []],
  batched: [[], []],
  slotOf: new Map(),
  next: 1,
});

function submitOne(model: Model, { kernel, pool, submitter }: Bench): void {
  const id = model.next++;
  const slot = submitter.slots.take();
  fillSlot(kernel, slot, submitter.lane, id);
  expect(kernel.calls.submit(pool, submitter.lane, 0, 0, slot)).toBe(1);
  model.submitted.push(id);
  model.slotOf.set(id, slot);
}

function forkOne(model: Model, { kernel, pool, workers }: Bench, w: number): void {
  const id = model.next++;
  const { lane, slots } = workers[w]!;
  const slot = slots.take();
  fillSlot(kernel, slot, lane, id, { fork: true });
  expect(kernel.calls.fork(pool, kernel.calls.dequeOf(lane, 0, 0), slot)).toBe(1);
  model.forks[w]!.push(id);
  model.slotOf.set(id, slot);
}

/** Ends a claimed task and gives its slot back to whom it belongs. */
function conclude({ kernel, submitter }: Bench, slot: number, owner: Actor): void {
  kernel.calls.finish(slot, SLOT_DONE);
  if (owner === submitter) {
    expect(chain(kernel, kernel.calls.takeCompletions(submitter.lane))).toEqual([slot]);
  }
  owner.slots.put(slot);
}

function verify(model: Model, { kernel, pool }: Bench): void {
  const all = model.submitted.length + model.forks.flat().length + model.batched.flat().length;
  expect(kernel.calls.queueDepth(pool)).toBe(all);
  expect(kernel.calls.anyQueued(pool)).toBe(all > 0 ? 1 : 0);
}

/** A step of a program over the bench. */
abstract class Step implements fc.Command<Model, Bench> {
  readonly worker: number;

  constructor(worker: number) {
    this.worker = worker;
  }

  check(_: Readonly<Model>): boolean {
    return true;
  }

  run(model: Model, bench: Bench): void {
    this.act(model, bench);
    verify(model, bench);
  }

  abstract act(model: Model, bench: Bench): void;

  toString(): string {
    return `${this.constructor.name}(${this.worker})`;
  }
}

class Submit extends Step {
  act(model: Model, bench: Bench): void {
    submitOne(model, bench);
  }
}

class ForkOne extends Step {
  act(model: Model, bench: Bench): void {
    forkOne(model, bench, this.worker);
  }
}

/** takeBack() of the newest, or of another one, which must stay. */
class TakeBack extends Step {
  readonly depth: number;

  constructor(worker: number, depth: number) {
    super(worker);
    this.depth = depth;
  }

  override check(model: Readonly<Model>): boolean {
    return model.forks[this.worker]!.length > this.depth;
  }

  act(model: Model, bench: Bench): void {
    const { kernel, workers } = bench;
    const { lane, slots } = workers[this.worker]!;
    const forks = model.forks[this.worker]!;
    const id = forks.at(-1 - this.depth)!;
    const slot = model.slotOf.get(id)!;
    const answer = kernel.calls.takeBack(kernel.calls.dequeOf(lane, 0, 0), slot);
    expect(answer).toBe(this.depth === 0 ? 1 : 0);
    if (answer !== 1) return;
    forks.pop();
    slots.put(slot);
  }

  override toString(): string {
    return `TakeBack(${this.worker}, ${this.depth} below the newest)`;
  }
}

/** takeBack() of a fork that is not in the deque any more. */
class TakeBackGone extends Step {
  act(_: Model, bench: Bench): void {
    const { kernel, workers } = bench;
    const { lane, slots } = workers[this.worker]!;
    const slot = slots.take();
    expect(kernel.calls.takeBack(kernel.calls.dequeOf(lane, 0, 0), slot)).toBe(0);
    slots.put(slot);
  }
}

/** A full look: the own newest fork, else the oldest of a batch, else the oldest submitted, else the oldest of the other worker. */
class Take extends Step {
  readonly batch: number;

  constructor(worker: number, batch: number) {
    super(worker);
    this.batch = batch;
  }

  act(model: Model, bench: Bench): void {
    const { kernel, workers, submitter } = bench;
    const self = this.worker;
    const other = 1 - self;
    const { agent } = workers[self]!;
    setWord(kernel, agent + AGENT_BATCH, this.batch);
    const slot = kernel.calls.take(agent);
    if (slot === 0) {
      expect(kernel.calls.queueDepth(bench.pool)).toBe(0);
      return;
    }
    const id = valueIn(kernel, slot);
    expect(model.slotOf.get(id)).toBe(slot);
    const own = model.forks[self]!;
    const batched = model.batched[self]!;
    if (own.at(-1) === id) {
      own.pop();
      conclude(bench, slot, workers[self]!);
    } else if (batched[0] === id) {
      batched.shift();
      conclude(bench, slot, submitter);
    } else if (model.submitted[0] === id) {
      const most = Math.min(this.batch, BATCH_MOST, Math.ceil(model.submitted.length / 2));
      model.submitted.shift();
      batched.unshift(...model.submitted.splice(0, most - 1));
      conclude(bench, slot, submitter);
    } else if (model.forks[other]![0] === id) {
      model.forks[other]!.shift();
      conclude(bench, slot, workers[other]!);
    } else {
      // A thief takes the oldest entry of the other's batch, which is the youngest task.
      expect(model.batched[other]!.at(-1)).toBe(id);
      model.batched[other]!.pop();
      conclude(bench, slot, submitter);
    }
  }

  override toString(): string {
    return `Take(${this.worker}, at most ${this.batch})`;
  }
}

const worker = fc.nat(1);
const program = fc.commands(
  [
    worker.map((w) => new Submit(w)),
    worker.map((w) => new ForkOne(w)),
    worker.map((w) => new ForkOne(w)),
    fc.tuple(worker, fc.nat(2)).map((args) => new TakeBack(...args)),
    worker.map((w) => new TakeBackGone(w)),
    fc.tuple(worker, fc.constantFrom(1, 2, 3, 40)).map((args) => new Take(...args)),
    fc.tuple(worker, fc.constantFrom(1, 2, 3, 40)).map((args) => new Take(...args)),
  ],
  { maxCommands: 100, size: 'max' },
);

/** Where indices start: at 0, before the wrap of i32, and before that of u32. */
const STARTS = [0, 0x7ffffff0, 0xfffffff0];

describe('deques', () => {
  it.each(STARTS)('hold what was pushed, in order, from index %i on', async (start) => {
    const bench = await openBench(start);
    fc.assert(
      fc.property(program, (commands) => {
        // A program that failed has left entries.
        for (const { agent } of bench.workers) while (bench.kernel.calls.take(agent) !== 0);
        const model = emptyModel();
        fc.modelRun(() => ({ model, real: bench }), commands);
        while (model.submitted.length + model.forks.flat().length + model.batched.flat().length > 0) {
          new Take(0, 1).run(model, bench);
        }
        // The next program goes on with the indices where they are.
      }),
      { numRuns: 200 },
    );
  });

  it.each([0, 0xfffffff0])('grow without losing an entry, from index %i on', async (start) => {
    const bench = await openBench(start);
    const { kernel, workers } = bench;
    const deque = kernel.calls.dequeOf(workers[0]!.lane, 0, 0);
    const model = emptyModel();
    const buffers = new Set<number>();
    // Thieves take some now and then, so that the live entries lie across the end of a buffer when it grows.
    for (let i = 0; i < 40_000; i++) {
      forkOne(model, bench, 0);
      buffers.add(word(kernel, deque + DEQUE_BUFFER));
      if (i % 5 === 4) new Take(1, 1).act(model, bench);
    }
    expect(buffers.size).toBe(3);
    verify(model, bench);
    while (model.forks[0]!.length > 0) {
      new Take(1, 1).act(model, bench);
      new TakeBack(0, 0).check(model) && new TakeBack(0, 0).act(model, bench);
    }
    verify(model, bench);
  });

  it('a submission queue grows under a thief that takes batches', async () => {
    const bench = await openBench(0xffffff00);
    const model = emptyModel();
    for (let i = 0; i < 20_000; i++) {
      submitOne(model, bench);
      if (i % 50 === 49) new Take(0, 40).act(model, bench);
    }
    verify(model, bench);
    while (model.next > 0 && model.submitted.length + model.batched[0]!.length > 0) {
      new Take(0, 40).act(model, bench);
    }
    verify(model, bench);
  });

  it.each(STARTS)(
    'keep their order when entries are taken from between others, from index %i on',
    async (start) => {
      const { kernel, pool, submitter, workers } = await openBench(start);
      const { calls } = kernel;
      const deque = calls.dequeOf(submitter.lane, 0, 0);
      const gap = submitter.slots.take();
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.nat(30), fc.nat(20), fc.nat(3)), { maxLength: 40 }), (rounds) => {
          let queued: number[] = [];
          for (const [pushed, place, taken] of rounds) {
            for (let i = 0; i < pushed; i++) {
              const slot = submitter.slots.take();
              fillSlot(kernel, slot, submitter.lane, slot);
              expect(calls.submit(pool, submitter.lane, 0, 0, slot)).toBe(1);
              queued.push(slot);
            }
            const chosen = queued[place];
            if (chosen !== undefined) {
              let at = calls.oldest(deque);
              while (calls.entryAt(deque, at) !== chosen) at = (at + 1) | 0;
              expect(calls.takeFrom(submitter.agent, pool, deque, at, gap)).toBe(1);
              queued = queued.filter((slot) => slot !== chosen);
              conclude({ kernel, pool, submitter, workers }, chosen, submitter);
            }
            // At most 21 stand before a run of gaps, which is shorter.
            expect(calls.queueDepth(pool)).toBeLessThanOrEqual(queued.length + 21 * 21);
            for (let i = 0; i < taken; i++) {
              setWord(kernel, workers[0]!.agent + AGENT_BATCH, 1);
              const slot = calls.take(workers[0]!.agent);
              expect(slot).toBe(queued.shift() ?? 0);
              if (slot !== 0) conclude({ kernel, pool, submitter, workers }, slot, submitter);
            }
          }
          for (const slot of queued) {
            expect(calls.take(workers[0]!.agent)).toBe(slot);
            conclude({ kernel, pool, submitter, workers }, slot, submitter);
          }
          expect(calls.take(workers[0]!.agent)).toBe(0);
        }),
        { numRuns: 200 },
      );
    },
  );

  it('a full memory refuses a push and keeps what is queued', async () => {
    const kernel = await openKernel(4 * MIB);
    const pool = kernel.calls.openPool(1);
    const submitter = joinSubmitter(kernel, pool);
    const thief = joinWorker(kernel, pool, 0);
    const slots = Array.from({ length: 300 }, () => submitter.slots.take());
    while (kernel.calls.claimSpans(1, thief.id) !== 0);
    const accepted: number[] = [];
    for (const [i, slot] of slots.entries()) {
      fillSlot(kernel, slot, submitter.lane, i);
      if (kernel.calls.submit(pool, submitter.lane, 0, 0, slot) === 1) accepted.push(i);
      else
        setWord(
          kernel,
          slot + SLOT_STATE,
          (word(kernel, slot + SLOT_STATE) & ~STATE_STATUS_MASK) | SLOT_FREE,
        );
    }
    expect(accepted).toEqual(Array.from({ length: 256 }, (_, i) => i));
    for (const i of accepted) expect(valueIn(kernel, kernel.calls.take(thief.agent))).toBe(i);
    expect(kernel.calls.take(thief.agent)).toBe(0);
  });
});
