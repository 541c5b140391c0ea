import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AGENT_PARK,
  KIND_WORKER,
  PARK_EMPTY,
  PARK_PARKED,
  PARK_TOKEN,
  POOL_IDLE,
  POOL_JOINING,
  POOL_SEARCHING,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { type Actor, fillSlot, joinSubmitter, joinWorker, MIB, openKernel, word } from './harness.ts';
import { play, programs, shops } from './programs.ts';
import { openStepped } from './stepped.ts';

describe('a pool under preemption', () => {
  const stepped = openStepped();

  it('gives every task one outcome, and nobody sleeps beside a queue', () => {
    fc.assert(
      fc.property(shops, programs(false), (options, program) => play(stepped, options, program)),
      { numRuns: 500 },
    );
  });
});

describe('the park word', () => {
  it('keeps one token, whatever the order of unpark and park', async () => {
    const { calls, u32 } = await openKernel(4 * MIB);
    const agent = calls.claimAgent(KIND_WORKER, 0);
    const park = (): number => u32[(agent + AGENT_PARK) >>> 2]!;
    const step = fc.constantFrom('unpark', 'unparkIfParked', 'prepare', 'finish');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (program) => {
        calls.finishPark(agent);
        let state: number = PARK_EMPTY;
        for (const what of program) {
          if (what === 'unpark') {
            calls.unpark(agent);
            state = PARK_TOKEN;
          } else if (what === 'unparkIfParked') {
            calls.unparkIfParked(agent);
            if (state === PARK_PARKED) state = PARK_TOKEN;
          } else if (what === 'prepare') {
            // An agent that is parked does not park.
            if (state === PARK_PARKED) continue;
            expect(calls.preparePark(agent)).toBe(state === PARK_EMPTY ? 1 : 0);
            state = state === PARK_EMPTY ? PARK_PARKED : PARK_EMPTY;
          } else {
            expect(calls.finishPark(agent)).toBe(state === PARK_TOKEN ? 1 : 0);
            state = PARK_EMPTY;
          }
          expect(park()).toBe(state);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('block() returns at once when the token is there, and after its timeout when none comes', async () => {
    const { calls } = await openKernel(4 * MIB);
    const agent = calls.claimAgent(KIND_WORKER, 0);
    calls.preparePark(agent);
    calls.unpark(agent);
    calls.block(agent, -1);
    expect(calls.finishPark(agent)).toBe(1);
    calls.preparePark(agent);
    const start = performance.now();
    calls.block(agent, 20);
    expect(performance.now() - start).toBeGreaterThanOrEqual(19);
    expect(calls.finishPark(agent)).toBe(0);
  });
});

describe('who is woken', () => {
  interface Bench {
    readonly kernel: Kernel;
    readonly pool: number;
    readonly submitter: Actor;
    readonly workers: readonly Actor[];
  }

  const openBench = async (): Promise<Bench> => {
    const kernel = await openKernel();
    const pool = kernel.calls.openPool(1);
    return {
      kernel,
      pool,
      submitter: joinSubmitter(kernel, pool),
      workers: [0, 1, 2].map((index) => joinWorker(kernel, pool, index)),
    };
  };
  const submit = ({ kernel, pool, submitter }: Bench): void => {
    const slot = submitter.slots.take();
    fillSlot(kernel, slot, submitter.lane, 1);
    kernel.calls.submit(pool, submitter.lane, 0, 0, slot);
  };
  const sleep = ({ kernel, workers }: Bench, index: number, looping = 0): void => {
    expect(kernel.calls.enterIdle(workers[index]!.agent, looping)).toBe(0);
    expect(kernel.calls.preparePark(workers[index]!.agent)).toBe(1);
  };
  const awake = ({ kernel, workers }: Bench): number[] =>
    workers.flatMap(({ agent }, index) => (word(kernel, agent + AGENT_PARK) === PARK_TOKEN ? [index] : []));
  const sets = ({ kernel, pool }: Bench): number[] =>
    [POOL_IDLE, POOL_SEARCHING, POOL_JOINING].map((set) => word(kernel, pool + set));

  it('one sleeper for many submissions, until it has found work; then the next', async () => {
    const bench = await openBench();
    for (const index of [0, 1, 2]) sleep(bench, index);
    expect(sets(bench)).toEqual([0b111, 0, 0]);
    for (let i = 0; i < 5; i++) submit(bench);
    expect(awake(bench)).toEqual([0]);
    expect(sets(bench)).toEqual([0b110, 0b001, 0]);
    const { agent } = bench.workers[0]!;
    bench.kernel.calls.finishPark(agent);
    bench.kernel.calls.exitIdle(agent);
    expect(bench.kernel.calls.take(agent)).not.toBe(0);
    expect(awake(bench)).toEqual([1]);
    expect(sets(bench)).toEqual([0b100, 0b010, 0]);
  });

  it('nobody while somebody searches; the searcher that gives up wakes one', async () => {
    const bench = await openBench();
    const { calls } = bench.kernel;
    const { agent } = bench.workers[2]!;
    expect(calls.startSearch(agent)).toBe(1);
    expect(calls.startSearch(agent), 'again').toBe(1);
    expect(calls.startSearch(bench.workers[1]!.agent), 'a second searcher').toBe(0);
    sleep(bench, 0);
    submit(bench);
    expect(awake(bench)).toEqual([]);
    calls.stopSearch(agent);
    expect(awake(bench)).toEqual([0]);
  });

  it('a searcher that goes to sleep looks at the queues once more', async () => {
    const bench = await openBench();
    const { calls } = bench.kernel;
    const { agent } = bench.workers[0]!;
    calls.startSearch(agent);
    submit(bench);
    expect(calls.enterIdle(agent, 0)).toBe(1);
    expect(sets(bench)).toEqual([0, 1, 0]);
    expect(calls.take(agent)).not.toBe(0);
    expect(sets(bench)).toEqual([0, 0, 0]);
  });

  it('a sleeper whose event loop may be busy is told, but not relied on', async () => {
    const bench = await openBench();
    sleep(bench, 0, 1);
    sleep(bench, 1, 0);
    sleep(bench, 2, 1);
    submit(bench);
    expect(awake(bench), 'the firm one first').toEqual([1]);
    const { agent } = bench.workers[1]!;
    bench.kernel.calls.finishPark(agent);
    bench.kernel.calls.exitIdle(agent);
    bench.kernel.calls.take(agent);
    // Only the others are left: none of them can hold the wake-up of the other back.
    submit(bench);
    expect(awake(bench)).toEqual([0, 2]);
  });

  it('a worker in a join is woken by a fork, not by a submission', async () => {
    const bench = await openBench();
    const { calls } = bench.kernel;
    submit(bench);
    const [joiner, forker] = [bench.workers[0]!, bench.workers[1]!];
    calls.take(forker.agent);
    expect(calls.enterJoin(joiner.agent)).toBe(0);
    expect(calls.preparePark(joiner.agent)).toBe(1);
    submit(bench);
    expect(awake(bench)).toEqual([]);
    const slot = forker.slots.take();
    fillSlot(bench.kernel, slot, forker.lane, 2, { fork: true });
    calls.fork(bench.pool, calls.dequeOf(forker.lane, 0, 0), slot);
    expect(awake(bench)).toEqual([0]);
    expect(sets(bench)[2]).toBe(0);
    calls.finishPark(joiner.agent);
    calls.exitJoin(joiner.agent);
    expect(calls.help(joiner.agent)).toBe(slot);
  });
});
