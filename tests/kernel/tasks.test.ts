import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  AGENT_BATCH,
  AGENT_DOORBELL,
  BELL_ARMED,
  BELL_QUIET,
  BELL_RUNG,
  CANCEL_ABORTED,
  CANCEL_TIMEOUT,
  CANCEL_TOO_LATE,
  CANCEL_WAS_QUEUED,
  CANCEL_WAS_RUNNING,
  CLASS_BEST_EFFORT,
  CLASS_BURSTABLE,
  CLASS_GUARANTEED,
  COUNTER_CANCELLED,
  SLOT_CANCEL,
  SLOT_DONE,
  SLOT_DROPPED,
  SLOT_FAILED,
  SLOT_RUNNING,
  SLOT_STATE,
  SLOTS_PER_SPAN,
  STATE_GENERATION_SHIFT,
  STATE_STATUS_MASK,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import {
  type Actor,
  chain,
  counter,
  fillSlot,
  joinSubmitter,
  joinWorker,
  openKernel,
  setIndices,
  setWord,
  valueIn,
  word,
} from './harness.ts';

interface Bench {
  readonly kernel: Kernel;
  readonly pool: number;
  readonly submitters: readonly Actor[];
  readonly workers: readonly Actor[];
}

async function openBench(): Promise<Bench> {
  const kernel = await openKernel();
  const pool = kernel.calls.openPool(1);
  const submitters = [joinSubmitter(kernel, pool), joinSubmitter(kernel, pool)];
  const workers = [0, 1, 2].map((index) => joinWorker(kernel, pool, index));
  for (const { lane } of [...submitters, ...workers]) setIndices(kernel, lane, 0xfffffff8);
  return { kernel, pool, submitters, workers };
}

interface Task {
  readonly id: number;
  readonly slot: number;
  readonly owner: number;
  state: 'queued' | 'running' | 'cancelled' | 'ended';
  /** Expected status of a task that ended. */
  status: number;
}

interface Model {
  readonly tasks: Task[];
  /** Tasks whose outcome stands on the stack of each submitter, oldest first. */
  readonly due: Task[][];
  next: number;
}

const inState = (model: Readonly<Model>, state: Task['state']): Task[] =>
  model.tasks.filter((task) => task.state === state);

const pickFrom = <T>(items: readonly T[], pick: number): T => items[pick % items.length]!;

abstract class Step implements fc.Command<Model, Bench> {
  readonly who: number;
  readonly pick: number;

  constructor(who: number, pick: number) {
    this.who = who;
    this.pick = pick;
  }

  check(_: Readonly<Model>): boolean {
    return true;
  }

  abstract run(model: Model, bench: Bench): void;

  toString(): string {
    return `${this.constructor.name}(${this.who}, ${this.pick})`;
  }
}

class Submit extends Step {
  run(model: Model, { kernel, pool, submitters }: Bench): void {
    const owner = this.who % submitters.length;
    const { lane, slots } = submitters[owner]!;
    const slot = slots.take();
    expect(inState(model, 'ended').every((task) => task.slot !== slot)).toBe(true);
    const generation = word(kernel, slot + SLOT_STATE) >>> STATE_GENERATION_SHIFT;
    const qosClass = this.pick % 3;
    const task: Task = { id: model.next++, slot, owner, state: 'queued', status: 0 };
    fillSlot(kernel, slot, lane, task.id, { qosClass });
    expect(kernel.calls.submit(pool, lane, qosClass, 0, slot)).toBe(1);
    expect(word(kernel, slot + SLOT_STATE) >>> STATE_GENERATION_SHIFT).toBe((generation + 1) & 0xffff);
    model.tasks.push(task);
  }
}

/** A look sends the cancelled tasks that it meets home. */
class Take extends Step {
  run(model: Model, { kernel, submitters, workers }: Bench): void {
    const worker = pickFrom(workers, this.who);
    const dropped = counter(kernel, worker.agent, COUNTER_CANCELLED);
    const slot = kernel.calls.take(worker.agent);
    let drops = 0;
    for (const task of inState(model, 'cancelled')) {
      if ((word(kernel, task.slot + SLOT_STATE) & STATE_STATUS_MASK) !== SLOT_DROPPED) continue;
      task.state = 'ended';
      task.status = SLOT_DROPPED;
      drops++;
    }
    expect(counter(kernel, worker.agent, COUNTER_CANCELLED) - dropped).toBe(drops);
    if (drops > 0) {
      // In which order one look met them is its own affair; what each stack gained is not.
      for (const [i] of submitters.entries()) {
        const gained = inState(model, 'ended').filter(
          (task) => task.owner === i && task.status === SLOT_DROPPED && !model.due[i]!.includes(task),
        );
        model.due[i]!.push(...gained);
      }
    }
    if (slot === 0) {
      expect(inState(model, 'queued')).toEqual([]);
      return;
    }
    const task = model.tasks.find((one) => one.slot === slot && one.state !== 'ended');
    expect(task?.state).toBe('queued');
    expect(valueIn(kernel, slot)).toBe(task!.id);
    expect(kernel.calls.statusOf(slot)).toBe(SLOT_RUNNING);
    task!.state = 'running';
  }
}

class Finish extends Step {
  override check(model: Readonly<Model>): boolean {
    return inState(model, 'running').length > 0;
  }

  run(model: Model, { kernel }: Bench): void {
    const task = pickFrom(inState(model, 'running'), this.pick);
    task.state = 'ended';
    task.status = this.who === 0 ? SLOT_FAILED : SLOT_DONE;
    kernel.calls.finish(task.slot, task.status);
    model.due[task.owner]!.push(task);
  }
}

class Cancel extends Step {
  override check(model: Readonly<Model>): boolean {
    return model.tasks.length > 0;
  }

  run(model: Model, { kernel }: Bench): void {
    const task = pickFrom(model.tasks, this.pick);
    const reason = this.who === 0 ? CANCEL_TIMEOUT : CANCEL_ABORTED;
    const answer = kernel.calls.cancel(task.slot, reason);
    if (task.state === 'queued') {
      expect(answer).toBe(CANCEL_WAS_QUEUED);
      task.state = 'cancelled';
    } else if (task.state === 'running') {
      expect(answer).toBe(CANCEL_WAS_RUNNING);
      expect(word(kernel, task.slot + SLOT_CANCEL)).toBe(reason);
    } else {
      expect(answer).toBe(CANCEL_TOO_LATE);
    }
  }
}

class Drain extends Step {
  run(model: Model, { kernel, submitters }: Bench): void {
    const owner = this.who % submitters.length;
    const { lane, slots } = submitters[owner]!;
    const home = chain(kernel, kernel.calls.takeCompletions(lane));
    const due = model.due[owner]!;
    // Outcomes come in the order of the pushes. Drops of one look are booked together, so their order is not told apart.
    const bySlot = new Map(due.map((task) => [task.slot, task]));
    expect(new Set(home)).toEqual(new Set(bySlot.keys()));
    expect(home.length).toBe(due.length);
    const orderly = (order: readonly Task[]): number[] =>
      order.filter((task) => task.status !== SLOT_DROPPED).map((task) => task.id);
    expect(orderly(home.map((slot) => bySlot.get(slot)!))).toEqual(orderly(due));
    for (const slot of home) {
      const task = bySlot.get(slot)!;
      expect(kernel.calls.statusOf(slot)).toBe(task.status);
      model.tasks.splice(model.tasks.indexOf(task), 1);
      slots.put(slot);
    }
    due.length = 0;
    expect(kernel.calls.takeCompletions(lane)).toBe(0);
  }
}

describe('tasks', () => {
  it('have one outcome each, and outcomes come in order', async () => {
    const bench = await openBench();
    const args = [fc.nat(2), fc.nat(60)] as const;
    const program = fc.commands(
      [
        fc.tuple(...args).map((a) => new Submit(...a)),
        fc.tuple(...args).map((a) => new Submit(...a)),
        fc.tuple(...args).map((a) => new Take(...a)),
        fc.tuple(...args).map((a) => new Take(...a)),
        fc.tuple(...args).map((a) => new Finish(...a)),
        fc.tuple(...args).map((a) => new Cancel(...a)),
        fc.tuple(...args).map((a) => new Drain(...a)),
      ],
      { maxCommands: 80, size: 'max' },
    );
    fc.assert(
      fc.property(program, (commands) => {
        const model: Model = { tasks: [], due: [[], []], next: 1 };
        try {
          fc.modelRun(() => ({ model, real: bench }), commands);
        } finally {
          while (inState(model, 'queued').length + inState(model, 'cancelled').length > 0)
            new Take(0, 0).run(model, bench);
          while (inState(model, 'running').length > 0) new Finish(1, 0).run(model, bench);
          new Drain(0, 0).run(model, bench);
          new Drain(1, 0).run(model, bench);
        }
        expect(model.tasks).toEqual([]);
        expect(bench.kernel.calls.queueDepth(bench.pool)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the order of a look', () => {
  let bench: Bench;

  beforeEach(async () => {
    bench = await openBench();
  });

  const submit = (value: number, qosClass: number): void => {
    const { kernel, pool, submitters } = bench;
    const { lane, slots } = submitters[0]!;
    const slot = slots.take();
    fillSlot(kernel, slot, lane, value, { qosClass });
    kernel.calls.submit(pool, lane, qosClass, 0, slot);
  };

  it('the higher class first, and every 61st look from the lowest', () => {
    const { kernel, workers } = bench;
    const classes = [CLASS_BEST_EFFORT, CLASS_BURSTABLE, CLASS_GUARANTEED];
    for (const qosClass of classes) for (let i = 0; i < 200; i++) submit(qosClass, qosClass);
    const seen: number[] = [];
    for (let look = 1; look <= 600; look++) {
      const qosClass = valueIn(kernel, kernel.calls.take(workers[0]!.agent));
      seen.push(qosClass);
      if (look % 61 === 0 && look < 183) expect(qosClass, `look ${look}`).toBe(CLASS_BEST_EFFORT);
    }
    const ordinary = seen.filter((_, i) => (i + 1) % 61 !== 0);
    expect(ordinary).toEqual([...ordinary].sort((a, b) => a - b));
    expect(kernel.calls.take(workers[0]!.agent)).toBe(0);
  });

  it('a worker that lives on its own forks still serves the submitters', () => {
    const { kernel, pool, workers } = bench;
    const { agent, lane, slots } = workers[0]!;
    submit(-1, CLASS_BURSTABLE);
    const deque = kernel.calls.dequeOf(lane, CLASS_BURSTABLE, 0);
    for (let look = 1; ; look++) {
      expect(look).toBeLessThanOrEqual(61);
      const slot = slots.take();
      fillSlot(kernel, slot, lane, look, { qosClass: CLASS_BURSTABLE, fork: true });
      kernel.calls.fork(pool, deque, slot);
      if (valueIn(kernel, kernel.calls.take(agent)) === -1) return;
    }
  });

  it('a join is never given a submitted task, wherever it stands', () => {
    const { kernel, workers } = bench;
    const [helper, other] = [workers[0]!, workers[1]!];
    for (let i = 0; i < 20; i++) submit(i, CLASS_BURSTABLE);
    // A batch of them stands with the helper, and one with another worker.
    for (const { agent } of [helper, other]) {
      setWord(kernel, agent + AGENT_BATCH, 8);
      expect(kernel.calls.take(agent)).not.toBe(0);
    }
    expect(kernel.calls.queueDepth(bench.pool)).toBe(18);
    expect(kernel.calls.help(helper.agent)).toBe(0);
    expect(kernel.calls.enterJoin(helper.agent), 'and it may sleep although they are queued').toBe(0);
    kernel.calls.exitJoin(helper.agent);
  });
});

describe('the doorbell', () => {
  it('is rung once, only when it is armed', async () => {
    const { kernel, pool, submitters, workers } = await openBench();
    const { agent, lane, slots } = submitters[0]!;
    const bell = (): number => word(kernel, agent + AGENT_DOORBELL);
    const oneMore = (): void => {
      const slot = slots.take();
      fillSlot(kernel, slot, lane, 0);
      kernel.calls.submit(pool, lane, 0, 0, slot);
      kernel.calls.finish(kernel.calls.take(workers[0]!.agent), SLOT_DONE);
    };
    expect(bell()).toBe(BELL_QUIET);
    oneMore();
    expect(bell()).toBe(BELL_QUIET);
    kernel.calls.armDoorbell(agent);
    expect(bell()).toBe(BELL_ARMED);
    oneMore();
    expect(bell()).toBe(BELL_RUNG);
    oneMore();
    expect(bell()).toBe(BELL_RUNG);
    kernel.calls.quietDoorbell(agent);
    expect(bell()).toBe(BELL_QUIET);
    expect(chain(kernel, kernel.calls.takeCompletions(lane)).length).toBe(3);
    const other = submitters[1]!.agent;
    kernel.calls.armDoorbell(other);
    oneMore();
    expect(word(kernel, other + AGENT_DOORBELL), "another submitter's bell").toBe(BELL_ARMED);
  });
});

describe('slots', () => {
  it('are all different, also after many spans, and every address is inside its span', async () => {
    const kernel = await openKernel();
    const pool = kernel.calls.openPool(1);
    const { slots } = joinSubmitter(kernel, pool);
    const taken = Array.from({ length: 3 * (SLOTS_PER_SPAN - 1) }, () => slots.take());
    expect(new Set(taken).size).toBe(taken.length);
    expect(new Set(taken.map((slot) => slots.ordinal(slot))).size).toBe(taken.length);
    expect(taken.every((slot) => slot % 64 === 0 && slot % 65536 !== 0)).toBe(true);
    expect([...slots.all()].sort((a, b) => a - b)).toEqual([...taken].sort((a, b) => a - b));
  });

  it('a full memory answers 0', async () => {
    const kernel = await openKernel(2 ** 20 + 2 ** 16);
    const { slots } = joinSubmitter(kernel, kernel.calls.openPool(1));
    while (kernel.calls.claimSpans(1, 1) !== 0);
    expect(slots.take()).toBe(0);
  });
});
