import { expect, it } from 'vitest';
import {
  AGENT_BATCH,
  CELL_INT32,
  CELLS_END,
  KIND_WORKER,
  OWNER_SHARED,
  SLOT_DONE,
  SLOT_EXITED,
  SPAN_SIZE,
} from '../../build/generated/layout.ts';
import {
  agentId,
  chain,
  fillSlot,
  joinSubmitter,
  joinWorker,
  openKernel,
  setWord,
  valueIn,
} from './harness.ts';

// Addresses above 2 GiB are negative numbers in JavaScript. The pages in between are never touched, so they cost nothing.

const HALF = 2 ** 31;

it('queues, slots, blocks and recovery work above 2 GiB, up to the last span', async () => {
  const kernel = await openKernel(2 ** 32);
  const { calls } = kernel;
  // Everything below the half belongs to somebody; what is claimed from now on lies above.
  const low = calls.claimSpans(HALF / SPAN_SIZE - 100, OWNER_SHARED);
  expect(low).not.toBe(0);
  while (calls.claimSpans(1, OWNER_SHARED) >>> 0 < HALF);
  const pool = calls.openPool(1);
  const submitter = joinSubmitter(kernel, pool);
  const [a, b] = [joinWorker(kernel, pool, 0), joinWorker(kernel, pool, 1)];
  expect(submitter.lane).toBeLessThan(0);
  setWord(kernel, a.agent + AGENT_BATCH, 8);

  const taken: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    const slot = submitter.slots.take();
    expect(slot >>> 0).toBeGreaterThan(HALF);
    fillSlot(kernel, slot, submitter.lane, i);
    expect(calls.submit(pool, submitter.lane, 0, 0, slot)).toBe(1);
  }
  expect(calls.queueDepth(pool)).toBe(20_000);
  for (let i = 0; i < 20_000; i++) {
    const slot = calls.take(i % 2 === 0 ? a.agent : b.agent);
    taken.push(valueIn(kernel, slot));
    calls.finish(slot, SLOT_DONE);
  }
  expect(new Set(taken).size).toBe(20_000);
  const home = chain(kernel, calls.takeCompletions(submitter.lane));
  expect(new Set(home.map((slot) => submitter.slots.ordinal(slot))).size).toBe(20_000);
  for (const slot of home) submitter.slots.put(slot);

  const deque = calls.dequeOf(a.lane, 0, 0);
  const forks = [1, 2].map((value) => {
    const slot = a.slots.take();
    fillSlot(kernel, slot, a.lane, value, { fork: true });
    calls.fork(pool, deque, slot);
    return slot;
  });
  expect(calls.takeBack(deque, forks[1]!)).toBe(1);
  expect(calls.help(b.agent)).toBe(forks[0]);
  calls.recover(b.agent, submitter.lane);
  expect(calls.statusOf(forks[0]!)).toBe(SLOT_EXITED);
  calls.reap(b.agent);

  const writer = calls.claimAgent(KIND_WORKER, 0);
  const blocks = [10, 40_000, 5 * SPAN_SIZE].map((bytes) => calls.allocate(writer, bytes) >>> 0);
  for (const block of blocks) {
    expect(block).toBeGreaterThan(HALF);
    expect(calls.ownerOf(block)).toBe(agentId(writer));
    calls.release(a.agent, block);
  }
  const before = calls.usedSpans();
  calls.takeReturns(writer);
  expect(calls.usedSpans()).toBeLessThan(before);

  // The name of a cell may be handed over anywhere; the table itself is low.
  kernel.u8.set([120, 121], blocks[0]!);
  expect(calls.findCell(blocks[0]!, 2, CELL_INT32)).toBeLessThan(CELLS_END);

  let last = 0;
  for (;;) {
    const span = calls.claimSpans(1, writer) >>> 0;
    if (span === 0) break;
    last = span;
  }
  expect(last).toBe(2 ** 32 - SPAN_SIZE);
});

it('an arena carves blocks up to the last byte of 4 GiB', async () => {
  const kernel = await openKernel(2 ** 32);
  const { calls } = kernel;
  const spans = 2 ** 32 / SPAN_SIZE;
  const first = calls.claimSpans(1, OWNER_SHARED) / SPAN_SIZE;
  expect(calls.claimSpans(spans - first - 2, OWNER_SHARED)).not.toBe(0);
  const agent = calls.claimAgent(KIND_WORKER, 0);
  const blocks = [0, 0, 0].map(() => calls.allocate(agent, 30_000) >>> 0);
  expect(blocks[2]).toBe(0);
  expect(blocks[1]! - blocks[0]!).toBe(32_768);
  expect(blocks[1]! + 32_768 - 16).toBe(2 ** 32);
  kernel.u8.fill(7, blocks[1]!, blocks[1]! + 30_000);
  for (const block of blocks.slice(0, 2)) calls.release(agent, block);
  expect(calls.allocate(agent, 30_000) >>> 0).toBe(blocks[1]);
});
