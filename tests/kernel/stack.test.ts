import { describe, expect, it } from 'vitest';
import { SLOT_DONE, SLOT_QUEUED, SLOT_RUNNING } from '../../build/generated/layout.ts';
import { fillSlot, joinSubmitter, joinWorker, openKernel } from './harness.ts';

/** Calls `call` below so many frames; `words` moves the last one by that many words. */
function below(frames: number, words: number, call: () => number): number {
  if (frames > 0) return below(frames - 1, words, call) + 0;
  return moved.apply(call, new Array<undefined>(words).fill(undefined)) + 0;
}

/** Its arguments take a word of stack each. */
function moved(this: () => number, ..._words: undefined[]): number {
  return this() + 0;
}

/** The call's result, or undefined when the stack overflowed. */
function unlessOverflow(call: () => number): number | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The most frames below which `call` still returns. */
function deepest(call: () => number): number {
  let low = 0;
  let high = 1 << 17;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (unlessOverflow(() => below(middle, 0, call)) === undefined) high = middle;
    else low = middle;
  }
  return low;
}

describe('help() where the stack ends', () => {
  it.each([
    // First what the engine has compiled in haste: its frames are the largest.
    { whose: 'another worker’s fork', warm: false },
    { whose: 'its own fork', warm: false },
    { whose: 'its own fork', warm: true },
    { whose: 'another worker’s fork', warm: true },
  ])('takes and claims $whose, or leaves it alone (warm: $warm)', async ({ whose, warm }) => {
    const kernel = await openKernel();
    const { calls } = kernel;
    const pool = calls.openPool(1);
    const helper = joinWorker(kernel, pool, 0);
    const owner = whose === 'its own fork' ? helper : joinWorker(kernel, pool, 1);
    // A task of class 0, from which the forks come.
    const submitter = joinSubmitter(kernel, pool);
    const task = submitter.slots.take();
    fillSlot(kernel, task, submitter.lane, 1);
    calls.submit(pool, submitter.lane, 0, 0, task);
    expect(calls.take(owner.agent)).toBe(task);
    const deque = calls.dequeOf(owner.lane, 0, 0);
    const slot = owner.slots.take();
    const help = (): number => calls.help(helper.agent);
    const fork = (): void => {
      fillSlot(kernel, slot, owner.lane, 7, { fork: true });
      expect(calls.fork(pool, deque, slot)).toBe(1);
    };
    const take = (): void => {
      fork();
      expect(help()).toBe(slot);
      calls.finish(slot, SLOT_DONE);
    };
    // The engine compiles a function anew when it is warm, with other frames.
    for (let i = 0; i < (warm ? 20_000 : 1); i++) take();
    let frames = deepest(help);
    const seen = { claimed: 0, left: 0 };
    /** One try, at a depth that differs by a word from others. True when the stack was deep enough. */
    const attempt = (words: number): boolean => {
      const where = `${frames} frames and ${words} words deep`;
      fork();
      const taken = unlessOverflow(() => below(frames, words, help));
      expect(calls.statusOf(slot), where).toBe(taken === undefined ? SLOT_QUEUED : SLOT_RUNNING);
      seen[taken === undefined ? 'left' : 'claimed']++;
      // Whoever comes next finds what was left.
      if (taken === undefined) expect(help(), where).toBe(slot);
      calls.finish(slot, SLOT_DONE);
      return taken !== undefined;
    };
    // From frame to frame across the end of the stack, for each place within a frame. (The engine may compile the frames anew meanwhile.)
    for (let words = 0; words < 40; words++) {
      while (attempt(words)) frames++;
      while (!attempt(words)) frames--;
    }
    expect(seen.claimed).toBeGreaterThan(50);
    expect(seen.left).toBeGreaterThan(50);
  });
});
