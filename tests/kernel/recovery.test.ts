import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AGENT_FREE,
  AGENT_KERNEL_THREAD,
  AGENT_KIND,
  AGENT_STATE,
  AGENT_THREAD,
  CELL_BOOL,
  CELL_INT32,
  CELL_KIND_CLASH,
  KIND_ATTACHED,
  KIND_WORKER,
} from '../../build/generated/layout.ts';
import { agentId, MIB, openKernel } from './harness.ts';
import { play, programs, shops } from './programs.ts';
import { type Action, Shop } from './shop.ts';
import { openStepped } from './stepped.ts';

/** Where the names of cells are handed over: free memory. */
const NAME = 4_000_000;

describe('a pool whose workers die at any step', () => {
  const stepped = openStepped();

  it('gives every task one outcome, loses no entry, and gets its memory back', () => {
    fc.assert(
      fc.property(shops, programs(true), (options, program) => play(stepped, options, program)),
      { numRuns: 600 },
    );
  });

  /** Bits of `what` for the submitter: kind, class, forks, which fork is joined first. */
  const submit = (qosClass: number, forks: number, oldestFirst: boolean): Action => ({
    who: 'main',
    what: (qosClass + forks * 2 + (oldestFirst ? 8 : 0)) * 8,
  });
  const CANCEL_SECOND: Action = { who: 'main', what: 5 + 8 };

  it.each([
    { name: 'tasks and a cancelled one, in batches', batch: 32, forks: 0 },
    { name: 'tasks that fork, joined in order', batch: 1, forks: 3 },
    { name: 'tasks that fork, joined out of order, in batches', batch: 32, forks: 7 },
  ])('$name: one death, at each step of each turn', ({ batch, forks }) => {
    let deaths = 0;
    // The victim takes turns with another worker, so that it both steals and is stolen from.
    for (const others of [0, 1, 2]) {
      for (let turn = 0; turn < 24; turn++) {
        for (let step = 1; ; step++) {
          const shop = new Shop(stepped, { workers: 2, batch, firstIndex: 0xfffffffe });
          for (let i = 0; i < 5; i++) shop.act(submit(i === 4 ? 1 : 0, forks & 3, forks > 3));
          shop.act(CANCEL_SECOND);
          for (let i = 0; i < turn; i++) {
            shop.act({ who: 0, what: 8 });
            for (let n = 0; n < others; n++) shop.act({ who: 1, what: 0 });
          }
          const victim = shop.workers[0]!;
          shop.act({ who: 0, what: 8, step, meanwhile: 'die' });
          const died = victim.dead;
          try {
            shop.settle();
            shop.close();
          } catch (error) {
            throw new Error(
              `death at step ${step} of turn ${turn}, the other acting ${others} times as often`,
              {
                cause: error,
              },
            );
          }
          if (!died) break;
          deaths++;
        }
      }
    }
    expect(deaths).toBeGreaterThan(250);
  });
});

describe('a death outside the queues', () => {
  it('in the middle of claiming spans leaves them with the dead, who is reaped', () => {
    const stepped = openStepped();
    const { calls } = stepped.kernel;
    for (let step = 1; ; step++) {
      stepped.reset();
      const agent = calls.claimAgent(KIND_WORKER, 0);
      const id = agentId(agent);
      const died = stepped.kill(step, () => {
        const run = calls.claimSpans(3, id);
        calls.claimSpans(1, id);
        calls.releaseSpans(run, 3);
        calls.allocate(agent, 100);
        calls.allocate(agent, 200_000);
      });
      calls.recover(agent, 0);
      calls.reap(agent);
      expect(calls.usedSpans(), `death at step ${step}`).toBe(0);
      if (!died) break;
    }
  });

  it('in the middle of making a cell blocks nobody, and the name is one cell', () => {
    const stepped = openStepped();
    const { kernel } = stepped;
    const encode = (name: string): number => {
      const bytes = new TextEncoder().encode(name);
      kernel.u8.set(bytes, NAME);
      return bytes.length;
    };
    let deaths = 0;
    for (let step = 1; ; step++) {
      stepped.reset();
      const length = encode('counter');
      const died = stepped.kill(step, () => kernel.calls.findCell(NAME, length, CELL_INT32));
      const cell = kernel.calls.findCell(NAME, length, CELL_INT32);
      expect(cell).toBeGreaterThan(CELL_KIND_CLASH);
      expect(kernel.calls.findCell(NAME, length, CELL_INT32)).toBe(cell);
      expect(kernel.calls.findCell(NAME, length, CELL_BOOL)).toBe(CELL_KIND_CLASH);
      expect(kernel.calls.findCell(NAME, encode('other'), CELL_INT32)).not.toBe(cell);
      if (!died) break;
      deaths++;
    }
    expect(deaths).toBeGreaterThan(2);
  });

  it('two threads that make the same cell at once get the same one', () => {
    const stepped = openStepped();
    const { kernel } = stepped;
    const length = 3;
    for (let step = 1; step < 12; step++) {
      stepped.reset();
      kernel.u8.set([97, 98, 99], NAME);
      let inner = 0;
      const outer = stepped.run(() => kernel.calls.findCell(NAME, length, CELL_INT32), {
        step,
        act: () => {
          inner = kernel.calls.findCell(NAME, length, CELL_INT32);
        },
      });
      if (inner === 0) break;
      expect(inner).toBe(outer);
    }
  });

  it('of a thread that joined leaves nothing by which its record could be taken for it', async () => {
    const { calls, u32 } = await openKernel(4 * MIB);
    const agent = calls.claimAgent(KIND_ATTACHED, 0) >>> 0;
    const names = [AGENT_THREAD, AGENT_KERNEL_THREAD].map((offset) => (agent + offset) >>> 2);
    for (const name of names) u32[name] = 7;
    calls.recover(agent, 0);
    calls.reap(agent);
    // Who claims it next says that it lives before it says who it is.
    expect(u32[(agent + AGENT_STATE) >>> 2]).toBe(AGENT_FREE);
    expect(u32[(agent + AGENT_KIND) >>> 2]).toBe(0);
    expect(names.map((name) => u32[name])).toEqual([0, 0]);
  });

  it('of an agent that never joined a pool touches nobody else', async () => {
    const kernel = await openKernel(4 * MIB);
    const agent = kernel.calls.claimAgent(KIND_WORKER, 0);
    kernel.calls.allocate(agent, 10);
    const header = kernel.u8.slice(64, 192);
    kernel.calls.recover(agent, 0);
    kernel.calls.reap(agent);
    // All but the hint and the count of recoveries.
    expect([...kernel.u8.slice(64, 128)]).toEqual([...header.slice(0, 64)]);
    expect(kernel.calls.usedSpans()).toBe(0);
    expect(kernel.calls.claimAgent(KIND_WORKER, 0)).toBe(agent);
  });
});
