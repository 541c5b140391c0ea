/**
 * The completion stack and the doorbell (assembly/completions.ts): workers conclude tasks, push them on the submitter's stack and ring; the
 * submitter polls, arms the bell, looks once more, sleeps.
 *
 *   producer      finish(slot): state DONE, CAS head, then load bell, ARMED -> RUNG, notify
 *   consumer      drain ... | arm -> drain -> wait32(bell, ARMED) -> quiet -> drain ...      until all outcomes are there
 *
 * The consumer is ts/runtime/pump.ts with `wait32` for `waitAsync`; one that polls first and one that arms at once are different
 * programs of the same steps, because it drains before it arms. A wake-up that is lost is a deadlock; an outcome that is lost is one too,
 * since the consumer waits for it.
 *
 * Why these programs suffice: the stack knows one consumer, and producers are alike. Two producers make every race of a push (with a push, with
 * the exchange), two outcomes of one producer the order; a third producer finds the bell in each state that the other two can leave.
 */
import {
  AGENT_DOORBELL,
  BELL_ARMED,
  MUTANT_ANNOUNCE_BEFORE_OUTCOME,
  MUTANT_CLAIMED_FORGOTTEN,
  MUTANT_LOOK_BEFORE_ARMING,
  MUTANT_NO_RING_AGAIN,
  MUTANT_PUSH_BY_STORE,
  MUTANT_RING_BEFORE_PUSH,
  MUTANT_RING_KEEPS_ARMED,
  MUTANT_TAKE_CLEARS_LATE,
  SLOT_DONE,
  SLOT_EXITED,
  SLOT_LINK,
} from '../../../build/generated/layout.model.ts';
import type { KernelModel, KernelThread, KernelWorld, Steps } from '../kernel.ts';
import {
  addSubmitter,
  claimantOf,
  describePool,
  drain,
  fillSlots,
  openPool,
  type Part,
  type Place,
  type Pool,
  statusOf,
} from '../pool.ts';

interface Fixture extends Pool {
  readonly slots: readonly number[];
  /** Place of who recovers; the submitter is busy draining. */
  readonly rescuer: Place;
}

interface State {
  /** In the order in which the consumer saw them. */
  readonly seen: number[];
  early: number;
}

/** `claims[i]`: which worker runs task i already. */
function setup(workers: number, claims: readonly number[]): (world: KernelWorld) => Fixture {
  return (world) => {
    const pool = openPool(world, workers);
    const slots = fillSlots(world, pool.submitter, claims.length);
    for (const [i, worker] of claims.entries()) {
      world.calls.markQueued(slots[i]!);
      world.calls.claim(slots[i]!, pool.workers[worker]!.id, pool.pool);
    }
    return { ...pool, slots, rescuer: addSubmitter(world, pool.pool) };
  };
}

const state = (): State => ({ seen: [], early: 0 });

type Thread = KernelThread<Fixture, State>;

function producer(...tasks: number[]): (thread: Thread) => Steps {
  return function* run({ call, fixture }) {
    for (const task of tasks) yield call.finish(fixture.slots[task]!, SLOT_DONE);
  };
}

function* look({ call, fixture, state }: Thread): Part<void> {
  for (const slot of yield* drain(call, fixture.submitter)) {
    state.seen.push(slot);
    if (((yield call.statusOf(slot)) as number) < SLOT_DONE) state.early = slot;
  }
}

/** pump.ts: `#turn`, then `#arm`, until `count` outcomes came. */
function consumer(count: number): (thread: Thread) => Steps {
  return function* run(thread) {
    const { call, fixture, state, world } = thread;
    const { agent } = fixture.submitter;
    const looksFirst = world.calls.mutant(MUTANT_LOOK_BEFORE_ARMING) !== 0;
    while (true) {
      yield* look(thread);
      if (state.seen.length >= count) return;
      if (!looksFirst) {
        yield call.armDoorbell(agent);
        const before = state.seen.length;
        yield* look(thread);
        if (state.seen.length > before) {
          yield call.quietDoorbell(agent);
          continue;
        }
      } else yield call.armDoorbell(agent);
      yield call.wait32(agent + AGENT_DOORBELL, BELL_ARMED, -1n);
      yield call.quietDoorbell(agent);
    }
  };
}

function check(world: KernelWorld, { slots }: Fixture, { seen, early }: State): string | undefined {
  if (early !== 0) return `task ${slots.indexOf(early)} came home before its outcome`;
  const order = seen.map((slot) => slots.indexOf(slot));
  if (new Set(order).size !== order.length || order.length !== slots.length || order.includes(-1))
    return `of ${slots.length} outcomes came ${order.join(' ')}`;
  for (const slot of slots) if (statusOf(world, slot) !== SLOT_DONE) return 'an outcome changed';
  return undefined;
}

const describe = (address: number, fixture: Fixture): string | undefined =>
  describePool(fixture, fixture.slots, address);

const ALL = Number.POSITIVE_INFINITY;

/** A wait may end for nothing. */
const common = { structure: 'completions', state, describe, spurious: 1 };

export const completionModels: readonly KernelModel<Fixture, State>[] = [
  {
    ...common,
    name: 'completions',
    property: 'every outcome comes home once, in order, and no ring is lost',
    setup: setup(1, [0, 0]),
    threads: [
      { name: 'consumer', run: consumer(2) },
      { name: 'producer', run: producer(0, 1) },
    ],
    check(world, fixture, state) {
      const wrong = check(world, fixture, state);
      if (wrong !== undefined || state.seen[0] === fixture.slots[0]) return wrong;
      return 'outcomes of one worker came in another order';
    },
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'arm without a look',
        id: MUTANT_LOOK_BEFORE_ARMING,
        why: 'an outcome between the look and the arming rings nobody',
      },
      { name: 'ring before push', id: MUTANT_RING_BEFORE_PUSH, why: 'the submitter arms in between' },
      {
        name: 'ring keeps the bell armed',
        id: MUTANT_RING_KEEPS_ARMED,
        why: 'a ring before the submitter waits is lost',
      },
      { name: 'clear after drain', id: MUTANT_TAKE_CLEARS_LATE, why: 'what came in between is gone' },
      {
        name: 'announce before outcome',
        id: MUTANT_ANNOUNCE_BEFORE_OUTCOME,
        why: 'the submitter meets a running task',
      },
    ],
  },
  {
    ...common,
    name: 'completions-two',
    property: 'every outcome of two workers comes home once',
    setup: setup(2, [0, 0, 1]),
    threads: [
      { name: 'consumer', run: consumer(3) },
      { name: 'producer A', run: producer(0, 1) },
      { name: 'producer B', run: producer(2) },
    ],
    check(world, fixture, state) {
      const wrong = check(world, fixture, state);
      const [first, second] = fixture.slots;
      if (wrong !== undefined || state.seen.indexOf(first!) < state.seen.indexOf(second!)) return wrong;
      return 'outcomes of one worker came in another order';
    },
    bounds: [2, 3],
    quick: true,
    mutants: [
      { name: 'push by store', id: MUTANT_PUSH_BY_STORE, why: 'the outcome of the other worker is lost' },
      { name: 'ring before push', id: MUTANT_RING_BEFORE_PUSH, why: 'the submitter arms in between' },
    ],
  },
  {
    ...common,
    name: 'completions-three',
    property: 'every outcome of three workers comes home once',
    setup: setup(3, [0, 1, 2]),
    threads: [
      { name: 'consumer', run: consumer(3) },
      { name: 'producer A', run: producer(0) },
      { name: 'producer B', run: producer(1) },
      { name: 'producer C', run: producer(2) },
    ],
    check,
    bounds: [2],
    mutants: [{ name: 'push by store', id: MUTANT_PUSH_BY_STORE, why: 'an outcome is lost' }],
  },
  {
    ...common,
    name: 'completions-death',
    property: 'a worker may die anywhere: its outcome comes home, or the sweep after recovery finds it',
    setup: setup(2, [0, 1]),
    threads: [
      { name: 'producer A', run: producer(0) },
      { name: 'producer B', run: producer(1) },
      {
        // The submitter's thread is told of the death: it recovers, drains, and looks through its slots.
        name: 'submitter',
        onDeath: true,
        *run(thread) {
          const { call, fixture, dead } = thread;
          yield call.recover(fixture.workers[dead[0]!]!.agent, fixture.submitter.lane);
          yield* look(thread);
        },
      },
    ],
    kill: { threads: [0, 1] },
    check(world, fixture, state, { killed }) {
      if (state.early !== 0) return 'an outcome came home too early';
      for (const [i, slot] of fixture.slots.entries()) {
        const status = statusOf(world, slot);
        const isDead = killed.includes(i);
        if (status !== SLOT_DONE && !(isDead && status === SLOT_EXITED)) return `task ${i} is left ${status}`;
      }
      let home = state.seen.length;
      let slot = world.calls.takeCompletions(fixture.submitter.lane);
      const seen = new Set(state.seen);
      while (slot !== 0) {
        home++;
        seen.add(slot);
        slot = world.calls.load32(slot + SLOT_LINK);
      }
      if (home !== seen.size) return 'an outcome came home twice';
      for (const slot of fixture.slots) {
        if (seen.has(slot)) continue;
        const dead = killed.map((i) => fixture.workers[i]!.id);
        if (!dead.includes(claimantOf(world, slot)))
          return 'an outcome is lost and the sweep will not find it';
      }
      return undefined;
    },
    bounds: [2, ALL],
    mutants: [
      { name: 'push by store', id: MUTANT_PUSH_BY_STORE, why: 'the outcome of the other worker is lost' },
      {
        name: 'claimed forgotten',
        id: MUTANT_CLAIMED_FORGOTTEN,
        why: 'what the dead was running has no outcome',
      },
    ],
  },
  {
    ...common,
    name: 'completions-half-rung',
    property: 'a worker may die while it rings: the submitter does not sleep on an outcome',
    setup: setup(2, [0, 1]),
    threads: [
      { name: 'producer A', run: producer(0) },
      { name: 'producer B', run: producer(1) },
      { name: 'consumer', run: consumer(2) },
      {
        name: 'rescuer',
        onDeath: true,
        *run({ call, fixture, dead }) {
          yield call.recover(fixture.workers[dead[0]!]!.agent, fixture.rescuer.lane);
        },
      },
    ],
    kill: { threads: [0] },
    rests: () => true,
    check(world, fixture, state, { waiting, killed }) {
      if (waiting.length === 0) return undefined;
      if (killed.length === 0) return 'the submitter waits for ever';
      if (world.calls.takeCompletions(fixture.submitter.lane) !== 0)
        return 'the submitter sleeps on an outcome';
      // The sweep finds what the dead had concluded and not pushed, no more.
      return state.seen.includes(fixture.slots[1]!) ? undefined : 'the outcome of the living worker is lost';
    },
    bounds: [2],
    mutants: [
      { name: 'no ring again', id: MUTANT_NO_RING_AGAIN, why: 'the bell says RUNG and nobody was notified' },
    ],
  },
];
