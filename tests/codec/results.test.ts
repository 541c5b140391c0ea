import { expect, it } from 'vitest';
import {
  KIND_WORKER,
  SLOT_STATE,
  SLOT_TAGS,
  STATE_STATUS_MASK,
  TAG_PACKED,
  TAG_RETURNED,
  TAG_UNDEFINED,
} from '../../build/generated/layout.ts';
import { createPacker, createUnpacker } from '../../ts/codec/pack.ts';
import { SlotCodec } from '../../ts/codec/slot-values.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { joinWorker, openKernel, setWord, word } from '../kernel/harness.ts';

const SLOT_DONE = 4;

function codecOf(kernel: Kernel, agent: number): SlotCodec {
  return new SlotCodec(kernel, agent, createPacker(kernel.memory), createUnpacker(kernel.memory, {}));
}

it('a result says that it is being given back before it is, so that recovery does not do it again', async () => {
  const kernel = await openKernel();
  const pool = kernel.calls.openPool(1);
  const writer = joinWorker(kernel, pool, 0);
  const reader = joinWorker(kernel, pool, 1);
  const slot = reader.slots.take();
  codecOf(kernel, writer.agent).writeResult(slot, { a: [1, 2, 3] });
  setWord(kernel, slot + SLOT_STATE, SLOT_DONE);
  const tags = (): number => word(kernel, slot + SLOT_TAGS);
  expect(tags()).toBe(TAG_PACKED);
  const seen: number[] = [];
  const watched: Kernel = {
    ...kernel,
    calls: {
      ...kernel.calls,
      release: (agent, payload) => {
        seen.push(tags());
        kernel.calls.release(agent, payload);
        // The reader dies here.
        kernel.calls.recover(reader.agent, 0);
        expect(kernel.calls.isReferenced(writer.agent)).toBe(1);
      },
    },
  };
  expect(codecOf(watched, reader.agent).readResult(slot)).toEqual({ a: [1, 2, 3] });
  expect(seen).toEqual([TAG_RETURNED]);
  expect(tags()).toBe(TAG_UNDEFINED);
  setWord(kernel, slot + SLOT_TAGS, TAG_RETURNED);
  kernel.calls.reap(reader.agent);
  // One block came back: the next two of its size are different ones.
  const blocks = [1, 2, 3].map(() => kernel.calls.allocate(writer.agent, 100));
  expect(new Set(blocks).size).toBe(blocks.length);
  expect(word(kernel, slot + SLOT_STATE) & STATE_STATUS_MASK).toBe(0);
  expect(kernel.calls.claimAgent(KIND_WORKER, 0)).toBe(reader.agent);
});
