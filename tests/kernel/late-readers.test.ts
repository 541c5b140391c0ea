// The memory of a dead worker is given on while others may be in the middle of something that still reads it. Here the thread that reaps comes
// in between at each step of theirs.

import { describe, expect, it } from 'vitest';
import {
  META_FORK_BIT,
  SLOT_DONE,
  SLOT_META,
  SLOT_TAGS,
  SLOT_VALUES,
  SPAN_SIZE,
  TAG_NUMBER,
  TAG_PACKED,
} from '../../build/generated/layout.ts';
import { createPacker, createUnpacker } from '../../ts/codec/pack.ts';
import { SlotCodec, WRITTEN } from '../../ts/codec/slot-values.ts';
import { fillSlot, joinSubmitter, joinWorker, setWord, word } from './harness.ts';
import { openStepped } from './stepped.ts';

/** Two spans and a bit: no block of a size class. */
const LARGE = 150_000;

describe('the memory of a dead worker', () => {
  const stepped = openStepped({ plainLoads: true });
  const { kernel } = stepped;
  const { calls } = kernel;

  /** What the pool's thread does when it finds that nothing refers to the dead. True when it did. */
  const reapIfFree = (dead: number): boolean => {
    if (calls.isReferenced(dead) !== 0) return false;
    calls.reap(dead);
    return true;
  };

  it.each([
    { what: 'a block', value: { text: 'x'.repeat(500) } },
    { what: 'a run of spans', value: { text: 'x'.repeat(LARGE) } },
  ])('is not given on while a reader gives $what of it back', ({ value }) => {
    for (let step = 1; ; step++) {
      stepped.reset();
      const pool = calls.openPool(1);
      const reader = joinSubmitter(kernel, pool);
      const writer = joinWorker(kernel, pool, 0);
      const codecOf = (agent: number): SlotCodec =>
        new SlotCodec(kernel, agent, createPacker(kernel.memory), createUnpacker(kernel.memory));
      const slot = reader.slots.take();
      fillSlot(kernel, slot, reader.lane, 1);
      calls.submit(pool, reader.lane, 0, 0, slot);
      expect(calls.take(writer.agent)).toBe(slot);
      expect(codecOf(writer.agent).writeResult(slot, value)).toBe(WRITTEN);
      expect(word(kernel, slot + SLOT_TAGS) & 0xff).toBe(TAG_PACKED);
      const block = word(kernel, slot + SLOT_VALUES);
      const span = block & ~(SPAN_SIZE - 1);
      calls.finish(slot, SLOT_DONE);
      calls.recover(writer.agent, reader.lane);
      expect(calls.takeCompletions(reader.lane)).toBe(slot);
      let steps = 0;
      const got = stepped.run(() => codecOf(reader.agent).readResult(slot), {
        step,
        act: () => {
          steps++;
          expect(calls.isReferenced(writer.agent), `step ${step}`).toBe(1);
        },
      });
      expect(got).toEqual(value);
      if (steps > 0) continue;
      // Now that the block is back its memory is anybody's.
      expect(step).toBeGreaterThan(2);
      expect(reapIfFree(writer.agent)).toBe(true);
      expect(calls.ownerOf(span)).toBe(0);
      break;
    }
  });

  it('that was a fork’s slot may be a task’s before its thief has told the joiner', () => {
    let reaped = 0;
    for (let step = 1; ; step++) {
      stepped.reset();
      const pool = calls.openPool(1);
      const main = joinSubmitter(kernel, pool);
      const parent = joinWorker(kernel, pool, 0);
      const thief = joinWorker(kernel, pool, 1);
      // A task of the class, so that help() looks for its forks.
      const task = main.slots.take();
      fillSlot(kernel, task, main.lane, 1);
      calls.submit(pool, main.lane, 0, 0, task);
      expect(calls.take(parent.agent)).toBe(task);
      const fork = parent.slots.take();
      fillSlot(kernel, fork, parent.lane, 2, { fork: true, parent: task });
      expect(calls.fork(pool, calls.dequeOf(parent.lane, 0, 0), fork)).toBe(1);
      expect(calls.take(thief.agent)).toBe(fork);
      calls.recover(parent.agent, main.lane);
      expect(calls.takeCompletions(main.lane)).toBe(task);
      setWord(kernel, fork + SLOT_TAGS, TAG_NUMBER);
      let happened = false;
      let queuedAgain = false;
      stepped.run(() => calls.finish(fork, SLOT_DONE), {
        step,
        act: () => {
          happened = true;
          if (!reapIfFree(parent.agent)) return;
          reaped++;
          // The submitter takes the span over, and queues a task in the very slot.
          const next = calls.addSlotSpan(main.agent);
          expect(fork & ~(SPAN_SIZE - 1)).toBe(next);
          fillSlot(kernel, fork, main.lane, 3);
          expect(calls.submit(pool, main.lane, 0, 0, fork)).toBe(1);
          queuedAgain = true;
        },
      });
      expect(calls.takeCompletions(main.lane), `a queued task came home: step ${step}`).toBe(0);
      if (queuedAgain) {
        expect(word(kernel, fork + SLOT_META) & META_FORK_BIT).toBe(0);
        expect(calls.take(thief.agent), `step ${step}`).toBe(fork);
      }
      if (!happened) break;
    }
    expect(reaped).toBeGreaterThan(0);
  });
});
