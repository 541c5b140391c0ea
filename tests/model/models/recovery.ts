import {
  MUTANT_CLAIM_RUNNING,
  MUTANT_CLAIMED_FORGOTTEN,
  MUTANT_HELD_AFTER,
  MUTANT_HELD_FORGOTTEN,
  MUTANT_NO_DRAIN,
  MUTANT_NO_REPAIR,
  MUTANT_NO_SWEEP,
  MUTANT_NOT_BEYOND,
  MUTANT_SWEEP_FIRST,
} from '../../../build/generated/layout.model.ts';
import type { KernelModel } from '../kernel.ts';
import {
  buryAll,
  describePool,
  makePool,
  type Pool,
  type PoolNotes,
  poolNotes,
  reapAll,
  runOne,
  settle,
} from './pool.ts';

const ALL = Number.POSITIVE_INFINITY;

const main = { name: 'main', onDeath: true, run: buryAll };

const common = {
  structure: 'recovery',
  state: poolNotes,
  describe: describePool,
};

export const recoveryModels: readonly KernelModel<Pool, PoolNotes>[] = [
  {
    ...common,
    name: 'death-alone',
    property: 'a worker dies at any step of taking, running and finishing; each task has one outcome',
    setup: (world) => makePool(world, { workers: 1, tasks: 3, batch: 3 }),
    threads: [
      {
        name: 'worker',
        *run(thread) {
          for (let i = 0; i < 3; i++) yield* runOne(thread);
        },
      },
      main,
    ],
    kill: { threads: [0] },
    check: (world, fixture, notes, { killed }) =>
      settle(world, fixture, notes, killed) ?? reapAll(world, fixture, killed),
    bounds: [3, ALL],
    quick: true,
    mutants: [
      {
        name: 'no repair',
        id: MUTANT_NO_REPAIR,
        why: 'what the next owner of the deque pushes is below top',
      },
      { name: 'not beyond', id: MUTANT_NOT_BEYOND, why: 'the rest of a batch is lost' },
      { name: 'held after', id: MUTANT_HELD_AFTER, why: 'dead between the CAS and the note' },
      { name: 'held forgotten', id: MUTANT_HELD_FORGOTTEN, why: 'dead between the CAS and the claim' },
      { name: 'no drain', id: MUTANT_NO_DRAIN, why: 'what it had taken in a batch stays in its deque' },
      { name: 'claimed forgotten', id: MUTANT_CLAIMED_FORGOTTEN, why: 'what it was running has no outcome' },
      { name: 'no sweep', id: MUTANT_NO_SWEEP, why: 'dead between the outcome and its way home' },
      { name: 'sweep first', id: MUTANT_SWEEP_FIRST, why: 'an outcome on its way comes home twice' },
    ],
  },
  {
    ...common,
    name: 'death-beside',
    property: 'a worker dies at any step while another takes from the same queues and from its deque',
    setup: (world) => makePool(world, { workers: 2, tasks: 3, batch: 3 }),
    threads: [
      {
        name: 'worker',
        *run(thread) {
          yield* runOne(thread);
          yield* runOne(thread);
        },
      },
      {
        name: 'another',
        *run(thread) {
          yield* runOne(thread);
          yield* runOne(thread);
        },
      },
      main,
    ],
    kill: { threads: [0] },
    check: (world, fixture, notes, { killed }) =>
      settle(world, fixture, notes, killed) ?? reapAll(world, fixture, killed),
    bounds: [1, 2],
    mutants: [
      {
        name: 'no repair',
        id: MUTANT_NO_REPAIR,
        why: 'what the next owner of the deque pushes is below top',
      },
      { name: 'held forgotten', id: MUTANT_HELD_FORGOTTEN, why: 'dead between the CAS and the claim' },
      {
        name: 'claim running',
        id: MUTANT_CLAIM_RUNNING,
        why: 'what is queued again may be running elsewhere',
      },
    ],
  },
];
