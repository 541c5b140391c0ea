import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BLOCK_BYTES,
  BLOCK_HEADER,
  BLOCK_MAX_LOG2,
  KIND_WORKER,
  SPAN_SIZE,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { MIB, openKernel, word } from './harness.ts';

interface Block {
  readonly payload: number;
  readonly bytes: number;
  readonly owner: number;
  readonly mark: number;
}

interface Model {
  readonly agents: number[];
  readonly live: Block[];
  marks: number;
}

/** A block is intact when its header and both its ends hold what was written there. */
function verify(kernel: Kernel, block: Block): void {
  expect(word(kernel, block.payload - BLOCK_HEADER + BLOCK_BYTES)).toBe(block.bytes);
  if (block.bytes === 0) return;
  expect(kernel.u8[block.payload]).toBe(block.mark);
  expect(kernel.u8[block.payload + block.bytes - 1]).toBe(block.mark);
}

class Allocate implements fc.Command<Model, Kernel> {
  readonly who: number;
  readonly bytes: number;

  constructor(who: number, bytes: number) {
    this.who = who;
    this.bytes = bytes;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, kernel: Kernel): void {
    const owner = model.agents[this.who % model.agents.length]!;
    const payload = kernel.calls.allocate(owner, this.bytes) >>> 0;
    if (payload === 0) return;
    expect(payload % 16).toBe(0);
    for (const other of model.live) {
      const apart =
        payload + this.bytes <= other.payload - BLOCK_HEADER ||
        other.payload + other.bytes <= payload - BLOCK_HEADER;
      expect(apart, `blocks at ${payload} and ${other.payload} overlap`).toBe(true);
    }
    model.marks = (model.marks % 255) + 1;
    kernel.u8.fill(model.marks, payload, payload + this.bytes);
    model.live.push({ payload, bytes: this.bytes, owner, mark: model.marks });
  }

  toString(): string {
    return `allocate(agent ${this.who}, ${this.bytes})`;
  }
}

class Release implements fc.Command<Model, Kernel> {
  readonly who: number;
  readonly pick: number;

  constructor(who: number, pick: number) {
    this.who = who;
    this.pick = pick;
  }

  check(model: Readonly<Model>): boolean {
    return model.live.length > 0;
  }

  run(model: Model, kernel: Kernel): void {
    const [block] = model.live.splice(this.pick % model.live.length, 1);
    verify(kernel, block!);
    kernel.calls.release(model.agents[this.who % model.agents.length]!, block!.payload);
    for (const other of model.live) verify(kernel, other);
  }

  toString(): string {
    return `release(agent ${this.who}, block ${this.pick})`;
  }
}

class TakeReturns implements fc.Command<Model, Kernel> {
  readonly who: number;

  constructor(who: number) {
    this.who = who;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, kernel: Kernel): void {
    kernel.calls.takeReturns(model.agents[this.who % model.agents.length]!);
    for (const block of model.live) verify(kernel, block);
  }

  toString(): string {
    return `takeReturns(agent ${this.who})`;
  }
}

const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 600 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 2 ** BLOCK_MAX_LOG2 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 5 * SPAN_SIZE }) },
  // The edges of the size classes.
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.integer({ min: 6, max: 17 }), fc.integer({ min: -1, max: 1 }))
      .map(([log2, delta]) => 2 ** log2 - BLOCK_HEADER + delta),
  },
);

describe('arena', () => {
  it('live blocks never overlap, whoever gives them back', async () => {
    const commands = fc.commands(
      [
        fc.tuple(fc.nat(2), sizes).map((args) => new Allocate(...args)),
        fc.tuple(fc.nat(2), sizes).map((args) => new Allocate(...args)),
        fc.tuple(fc.nat(2), fc.nat(1000)).map((args) => new Release(...args)),
        fc.nat(2).map((who) => new TakeReturns(who)),
      ],
      { maxCommands: 80 },
    );
    const kernel = await openKernel(4 * MIB);
    fc.assert(
      fc.property(commands, (program) => {
        const agents = [0, 1, 2].map(() => kernel.calls.claimAgent(KIND_WORKER, 0));
        const model: Model = { agents, live: [], marks: 0 };
        fc.modelRun(() => ({ model, real: kernel }), program);
        for (const block of model.live) verify(kernel, block);
        for (const agent of agents) kernel.calls.reap(agent);
        expect(kernel.calls.usedSpans()).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('blocks given back by others are used again', async () => {
    const kernel = await openKernel();
    const owner = kernel.calls.claimAgent(KIND_WORKER, 0);
    const reader = kernel.calls.claimAgent(KIND_WORKER, 0);
    let most = 0;
    for (let round = 0; round < 200; round++) {
      const blocks = Array.from({ length: 300 }, () => kernel.calls.allocate(owner, 100));
      for (const block of blocks) kernel.calls.release(reader, block);
      const used = kernel.calls.usedSpans();
      if (round === 0) most = used;
      expect(used).toBe(most);
    }
  });

  it('a large block goes back to the span table at once when its owner frees it, and when its owner looks otherwise', async () => {
    const kernel = await openKernel();
    const owner = kernel.calls.claimAgent(KIND_WORKER, 0);
    const reader = kernel.calls.claimAgent(KIND_WORKER, 0);
    const bytes = 3 * SPAN_SIZE - BLOCK_HEADER;
    const own = kernel.calls.allocate(owner, bytes);
    expect(kernel.calls.usedSpans()).toBe(3);
    kernel.calls.release(owner, own);
    expect(kernel.calls.usedSpans()).toBe(0);
    const lent = kernel.calls.allocate(owner, bytes + 1);
    expect(kernel.calls.usedSpans()).toBe(4);
    kernel.calls.release(reader, lent);
    kernel.calls.takeReturns(owner);
    expect(kernel.calls.usedSpans()).toBe(0);
  });

  it('a full memory answers 0, and works again when blocks came back', async () => {
    const kernel = await openKernel(4 * MIB);
    const owner = kernel.calls.claimAgent(KIND_WORKER, 0);
    const blocks: number[] = [];
    for (;;) {
      const block = kernel.calls.allocate(owner, 30_000);
      if (block === 0) break;
      blocks.push(block);
    }
    expect(blocks.length).toBeGreaterThan(50);
    expect(kernel.calls.allocate(owner, 100_000)).toBe(0);
    for (const block of blocks) kernel.calls.release(owner, block);
    expect(kernel.calls.allocate(owner, 30_000)).not.toBe(0);
  });

  it('a size that no memory has is refused', async () => {
    const kernel = await openKernel(4 * MIB);
    const owner = kernel.calls.claimAgent(KIND_WORKER, 0);
    for (const bytes of [2 ** 31, 2 ** 32 - 2 ** 20, 2 ** 32 - 17, 2 ** 32 - 16, 2 ** 32 - 1]) {
      expect(kernel.calls.allocate(owner, bytes), `${bytes} bytes`).toBe(0);
    }
    expect(kernel.calls.usedSpans()).toBe(0);
  });
});
