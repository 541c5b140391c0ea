import { describe, expect, it } from 'vitest';
import {
  AGENT_ID,
  CANCEL_ABORTED,
  CYCLE_NO_ROOM,
  EDGE_LOCK,
  EDGE_TASK,
  EDGE_THREAD,
  OWNER_KIND_AWAIT,
  OWNER_KIND_FLOW,
  OWNER_KIND_TASK,
  SLOT_CANCEL,
  SLOT_DONE,
  SLOT_QUEUED,
  SLOT_RUNNING,
  SLOT_SIZE,
  SLOT_STATE,
  SPAN_SIZE,
  STATE_AGENT_SHIFT,
  STEP_EDGE,
  STEP_OWNER,
  STEP_SIZE,
  WAIT_SLOT_BIT,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { MIB, openKernel, setWord, word } from './harness.ts';
import { joinLocker, open, readyLocks } from './locks.ts';
import { openStepped } from './stepped.ts';

function randomOf(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

function scratchOf(kernel: Kernel, agent: number, spans = 1): number {
  return kernel.calls.claimSpans(spans, word(kernel, agent + AGENT_ID)) >>> 0;
}

/** The owners of a cycle that the kernel found, as addresses, with the kinds of their edges. */
function pathAt(kernel: Kernel, scratch: number, steps: number): { owner: number; edge: number }[] {
  return Array.from({ length: steps }, (_, i) => {
    const step = scratch + i * STEP_SIZE;
    return {
      owner: kernel.calls.ownerAt(word(kernel, step + STEP_OWNER)) >>> 0,
      edge: word(kernel, step + STEP_EDGE),
    };
  });
}

describe('cycles of waits', () => {
  it('are those that a naive search finds, in 10,000 random graphs', async () => {
    const kernel = await openKernel(16 * MIB);
    readyLocks(kernel);
    const { calls } = kernel;
    const random = randomOf(12345);
    const threads = Array.from({ length: 4 }, () => joinLocker(kernel));
    const scratch = scratchOf(kernel, threads[0]!.agent);
    const locks = Array.from({ length: 6 }, (_, i) => open(kernel, threads[0]!.agent, `l${i}`));
    const slotSpan = scratchOf(kernel, threads[0]!.agent);
    // On each thread a task without an owner, which needs its event loop.
    const ownerless = threads.map((thread, i) => {
      const slot = slotSpan + (i + 20) * SLOT_SIZE;
      const agentId = word(kernel, thread.agent + AGENT_ID);
      setWord(kernel, slot + SLOT_STATE, SLOT_RUNNING | (agentId << STATE_AGENT_SHIFT));
      return { thread, slot };
    });
    let found = 0;
    let doubtful = 0;
    for (let graph = 0; graph < 10_000; graph++) {
      const size = 2 + random(7);
      const nodes = Array.from({ length: size }, (_, i) => {
        const thread = threads[random(threads.length)]!;
        const slot = slotSpan + (i + 1) * SLOT_SIZE;
        setWord(
          kernel,
          slot + SLOT_STATE,
          SLOT_RUNNING | (word(kernel, thread.agent + AGENT_ID) << STATE_AGENT_SHIFT),
        );
        return {
          thread,
          slot,
          owner: thread.owner(OWNER_KIND_TASK, slot),
          edges: new Set<number>(),
          /** Through waits in other flows. */
          further: new Set<number>(),
          awaits: [] as number[],
          flows: [] as number[],
          needs: [] as unknown[],
        };
      });
      /** A task that `node` waits for. */
      const target = (node: (typeof nodes)[number]): number => {
        const n = random(size + ownerless.length);
        if (n < size) {
          node.edges.add(n);
          return nodes[n]!.slot;
        }
        const { thread, slot } = ownerless[n - size]!;
        node.needs.push(thread);
        return slot;
      };
      const holder = locks.map((lock) => {
        const n = random(size + 1) - 1;
        if (n >= 0) calls.tryLock(lock, nodes[n]!.owner);
        return n;
      });
      const blocked = new Map<unknown, number>();
      for (const [n, node] of nodes.entries()) {
        const how = random(10);
        const blocks = !blocked.has(node.thread) && random(4) === 0;
        if (how < 6) {
          const l = random(locks.length);
          calls.beginWait(node.owner, locks[l]!, 0, blocks ? 1 : 0);
          // What another flow of it has is no reason to wait for ever.
          if (holder[l]! >= 0 && holder[l] !== n) node.edges.add(holder[l]!);
          for (let k = blocks ? 0 : random(3); k > 0; k--) {
            const other = random(locks.length);
            const record = node.thread.owner(OWNER_KIND_FLOW, node.owner);
            node.flows.push(record);
            calls.beginWait(record, locks[other]!, 0, 0);
            calls.addFlow(node.owner, record);
            if (holder[other]! >= 0 && holder[other] !== n) node.further.add(holder[other]!);
          }
        } else if (how === 6) {
          calls.beginWait(node.owner, target(node) | WAIT_SLOT_BIT, 0, blocks ? 1 : 0);
        } else if (how === 7) {
          for (let k = random(3); k > 0; k--) {
            const record = node.thread.owner(OWNER_KIND_AWAIT, target(node));
            node.awaits.push(record);
            calls.addAwait(node.owner, record);
          }
        }
        if (blocks && how <= 6) blocked.set(node.thread, n);
      }
      for (const [n, node] of nodes.entries()) {
        const blocker = blocked.get(node.thread);
        if (blocker !== undefined && blocker !== n) node.edges.add(blocker);
        for (const thread of node.needs) {
          const other = blocked.get(thread);
          if (other !== undefined) node.edges.add(other);
        }
      }
      const edgesOf = (n: number, isAll: boolean): number[] => [
        ...nodes[n]!.edges,
        ...(isAll ? nodes[n]!.further : []),
      ];
      const reaches = (from: number, isAll: boolean): boolean => {
        const seen = new Set<number>();
        const todo = edgesOf(from, isAll);
        for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
          if (at === from) return true;
          if (!seen.has(at)) {
            seen.add(at);
            todo.push(...edgesOf(at, isAll));
          }
        }
        return false;
      };
      for (const [n, node] of nodes.entries()) {
        const steps = calls.findCycle(node.owner, scratch, SPAN_SIZE, 0);
        expect([graph, n, steps > 0]).toEqual([graph, n, reaches(n, true)]);
        if (steps <= 0) continue;
        found++;
        const edges = pathAt(kernel, scratch, steps);
        const path = edges.map(({ owner }) => nodes.findIndex((each) => each.owner === owner));
        expect(path[0]).toBe(n);
        for (const [i, at] of path.entries()) {
          const node = nodes[at]!;
          const isFlow = node.flows.includes(edges[i]!.edge);
          expect((isFlow ? node.further : node.edges).has(path[(i + 1) % path.length]!)).toBe(true);
        }
        // Only where there is no cycle without.
        const isDoubtful = edges.some(({ edge }) => edge > EDGE_THREAD);
        expect(isDoubtful).toBe(!reaches(n, false));
        if (isDoubtful) doubtful++;
      }
      for (const [l, lock] of locks.entries())
        if (holder[l]! >= 0) calls.unlock(lock, nodes[holder[l]!]!.owner);
      for (const node of nodes) {
        calls.endWait(node.owner);
        for (const record of node.flows) {
          calls.endWait(record);
          calls.removeFlow(node.owner, record);
          calls.freeOwner(node.thread.agent, record);
        }
        for (const record of node.awaits) {
          calls.removeAwait(node.owner, record);
          calls.freeOwner(node.thread.agent, record);
        }
        calls.freeOwner(node.thread.agent, node.owner);
      }
    }
    expect(found).toBeGreaterThan(1000);
    expect(doubtful).toBeGreaterThan(1000);
  });

  it('lead through a further wait of an owner for as long as it lasts, whose own wait goes on', async () => {
    const kernel = await openKernel();
    readyLocks(kernel);
    const { calls } = kernel;
    const [one, two] = [joinLocker(kernel), joinLocker(kernel)];
    const scratch = scratchOf(kernel, one.agent);
    const [a, b] = [one.owner(), two.owner()];
    const [la, lb, other] = ['la', 'lb', 'other'].map((name) => open(kernel, one.agent, name)) as [
      number,
      number,
      number,
    ];
    calls.tryLock(la, a);
    calls.tryLock(lb, b);
    calls.beginWait(b, la, 0, 0);
    const epoch = calls.beginWait(a, other, 0, 0);
    const flows = [lb, other].map((lock) => {
      const flow = one.owner(OWNER_KIND_FLOW, a);
      calls.beginWait(flow, lock, 0, 0);
      calls.addFlow(a, flow);
      return flow;
    }) as [number, number];
    for (const from of [a, b]) expect(calls.findCycle(from, scratch, SPAN_SIZE, 0)).toBe(2);
    expect(pathAt(kernel, scratch, 2)).toEqual([
      { owner: b, edge: EDGE_LOCK },
      { owner: a, edge: flows[0] },
    ]);
    calls.endWait(flows[0]);
    expect(calls.findCycle(b, scratch, SPAN_SIZE, 0)).toBe(0);
    calls.removeFlow(a, flows[0]);
    calls.freeOwner(one.agent, flows[0]);
    expect(calls.findCycle(b, scratch, SPAN_SIZE, 0)).toBe(0);
    calls.abortWait(a, epoch);
    expect(calls.isAborted(a)).toBe(1);
  });

  it('do not lead from an owner to itself, whose one flow has the lock that another waits for', async () => {
    const kernel = await openKernel();
    readyLocks(kernel);
    const { calls } = kernel;
    const [one, two] = [joinLocker(kernel), joinLocker(kernel)];
    const scratch = scratchOf(kernel, one.agent);
    const [a, b] = [one.owner(), two.owner()];
    const [la, lb] = [open(kernel, one.agent, 'la'), open(kernel, one.agent, 'lb')];
    calls.tryLock(la, a);
    calls.tryLock(lb, b);
    calls.beginWait(a, la, 0, 0);
    const flows = [la, lb].map((lock) => {
      const flow = one.owner(OWNER_KIND_FLOW, a);
      calls.beginWait(flow, lock, 0, 0);
      calls.addFlow(a, flow);
      return flow;
    });
    expect(calls.findCycle(a, scratch, SPAN_SIZE, 0)).toBe(0);
    // Its other edges stand, and so does one of another owner to it.
    calls.beginWait(b, la, 0, 0);
    for (const from of [a, b]) expect(calls.findCycle(from, scratch, SPAN_SIZE, 0)).toBe(2);
    expect(pathAt(kernel, scratch, 2)).toEqual([
      { owner: b, edge: EDGE_LOCK },
      { owner: a, edge: flows[1] },
    ]);
  });

  it('are named edge by edge', async () => {
    const kernel = await openKernel();
    readyLocks(kernel);
    const { calls } = kernel;
    const [one, two] = [joinLocker(kernel), joinLocker(kernel)];
    const scratch = scratchOf(kernel, one.agent);
    const slot = scratchOf(kernel, one.agent) + SLOT_SIZE;
    setWord(
      kernel,
      slot + SLOT_STATE,
      SLOT_RUNNING | (word(kernel, two.agent + AGENT_ID) << STATE_AGENT_SHIFT),
    );
    const a = one.owner();
    const task = two.owner(OWNER_KIND_TASK, slot);
    const blocker = two.owner();
    const lock = open(kernel, one.agent, 'l');
    calls.tryLock(lock, a);
    calls.beginWait(a, slot | WAIT_SLOT_BIT, 0, 0);
    calls.beginWait(blocker, lock, 0, 1);
    expect(calls.findCycle(a, scratch, SPAN_SIZE, 0)).toBe(3);
    // Whoever finds it first deals with it.
    expect(calls.findCycle(blocker, scratch, SPAN_SIZE, 1)).toBe(3);
    expect(calls.findCycle(a, scratch, SPAN_SIZE, 1)).toBe(0);
    expect(calls.findCycle(a, scratch, SPAN_SIZE, 0)).toBe(3);
    expect(pathAt(kernel, scratch, 3)).toEqual([
      { owner: a, edge: EDGE_TASK },
      { owner: task, edge: EDGE_THREAD },
      { owner: blocker, edge: EDGE_LOCK },
    ]);
  });

  it('lead through a task without an owner to who blocks its thread, unless that looks for cancelled tasks', async () => {
    const kernel = await openKernel();
    readyLocks(kernel);
    const { calls } = kernel;
    const [one, two] = [joinLocker(kernel), joinLocker(kernel)];
    const scratch = scratchOf(kernel, one.agent);
    const slot = scratchOf(kernel, one.agent) + SLOT_SIZE;
    const running = SLOT_RUNNING | (word(kernel, two.agent + AGENT_ID) << STATE_AGENT_SHIFT);
    setWord(kernel, slot + SLOT_STATE, running);
    const [holder, blocker] = [one.owner(), two.owner()];
    const lock = open(kernel, one.agent, 'l');
    calls.tryLock(lock, holder);
    calls.beginWait(holder, slot | WAIT_SLOT_BIT, 0, 1);
    const find = (): number => calls.findCycle(holder, scratch, SPAN_SIZE, 0);
    calls.beginWait(blocker, lock, 0, 0);
    expect(find()).toBe(0);
    calls.endWait(blocker);
    calls.beginWait(blocker, lock, 0, 1);
    expect(find()).toBe(2);
    expect(pathAt(kernel, scratch, 2)).toEqual([
      { owner: holder, edge: EDGE_TASK },
      { owner: blocker, edge: EDGE_LOCK },
    ]);
    setWord(kernel, slot + SLOT_STATE, SLOT_DONE);
    expect(find()).toBe(0);
    setWord(kernel, slot + SLOT_STATE, running);
    // Who blocks for a lock does not hear of it.
    setWord(kernel, slot + SLOT_CANCEL, CANCEL_ABORTED);
    expect(find()).toBe(2);
    // Each joins what the other's event loop should run: who joins looks for what was cancelled.
    calls.endWait(blocker);
    const back = slot + SLOT_SIZE;
    setWord(
      kernel,
      back + SLOT_STATE,
      SLOT_RUNNING | (word(kernel, one.agent + AGENT_ID) << STATE_AGENT_SHIFT),
    );
    calls.beginWait(blocker, back | WAIT_SLOT_BIT, 0, 1);
    expect(find()).toBe(0);
    setWord(kernel, slot + SLOT_CANCEL, 0);
    expect(find()).toBe(2);
  });

  it('lead through a queued call for as long as it stands behind that one wait', async () => {
    const kernel = await openKernel();
    readyLocks(kernel);
    const { calls } = kernel;
    const [one, two] = [joinLocker(kernel), joinLocker(kernel)];
    const scratch = scratchOf(kernel, one.agent);
    const slot = scratchOf(kernel, one.agent) + SLOT_SIZE;
    setWord(kernel, slot + SLOT_STATE, SLOT_QUEUED);
    const [holder, waiter] = [one.owner(), two.owner()];
    const lock = open(kernel, one.agent, 'l');
    calls.tryLock(lock, holder);
    const node = one.owner(OWNER_KIND_AWAIT, slot);
    calls.addAwait(holder, node);
    const find = (): number => calls.findCycle(holder, scratch, SPAN_SIZE, 0);
    const epoch = calls.beginWait(waiter, lock, 0, 1);
    expect(find()).toBe(0);
    calls.setBehind(node, waiter, epoch);
    expect(find()).toBe(2);
    expect(pathAt(kernel, scratch, 2)).toEqual([
      { owner: holder, edge: EDGE_TASK },
      { owner: waiter, edge: EDGE_LOCK },
    ]);
    // Somebody runs it; another wait of the same owner; the wait is given up, which only its owner sees past.
    setWord(kernel, slot + SLOT_STATE, SLOT_RUNNING);
    expect(find()).toBe(0);
    setWord(kernel, slot + SLOT_STATE, SLOT_QUEUED);
    calls.endWait(waiter);
    const again = calls.beginWait(waiter, lock, 0, 1);
    expect(find()).toBe(0);
    calls.setBehind(node, waiter, again);
    expect(find()).toBe(2);
    calls.abortWait(waiter, again);
    expect(find()).toBe(0);
    expect(calls.findCycle(waiter, scratch, SPAN_SIZE, 1)).toBe(0);
    expect(calls.findCycle(waiter, scratch, SPAN_SIZE, 0)).toBe(2);
    calls.endWait(waiter);
    calls.setBehind(node, 0, 0);
    calls.beginWait(waiter, lock, 0, 1);
    expect(find()).toBe(0);
  });

  it('of any length are found, with scratch memory that suffices', async () => {
    const kernel = await openKernel(32 * MIB);
    readyLocks(kernel, 6000);
    const { calls } = kernel;
    const thread = joinLocker(kernel);
    const length = 5000;
    const owners = Array.from({ length }, () => thread.owner());
    const locks = owners.map((_, i) => open(kernel, thread.agent, `l${i}`));
    for (const [i, owner] of owners.entries()) calls.tryLock(locks[i]!, owner);
    for (const [i, owner] of owners.entries()) calls.beginWait(owner, locks[(i + 1) % length]!, 0, 0);
    const small = scratchOf(kernel, thread.agent);
    expect(calls.findCycle(owners[3]!, small, SPAN_SIZE, 0)).toBe(CYCLE_NO_ROOM);
    const large = scratchOf(kernel, thread.agent, 4);
    expect(calls.findCycle(owners[3]!, large, 4 * SPAN_SIZE, 0)).toBe(length);
  });
});

describe('a cycle that opens while it is looked for', () => {
  /** a waits for b's lock; b waits for a's lock until `act`, which is at some step of a's search. */
  const look = (mutant?: { name: string; body: string }): { found: number; looks: number } => {
    const stepped = openStepped(mutant === undefined ? {} : { mutant });
    let found = 0;
    let looks = 0;
    for (let step = 1; ; step++) {
      stepped.reset();
      const { kernel } = stepped;
      readyLocks(kernel);
      const { calls } = kernel;
      const [ta, tb, tc] = [joinLocker(kernel), joinLocker(kernel), joinLocker(kernel)] as const;
      const [a, b, c] = [ta.owner(), tb.owner(), tc.owner()];
      const scratch = scratchOf(kernel, ta.agent);
      const [la, lb] = [open(kernel, ta.agent, 'la'), open(kernel, ta.agent, 'lb')];
      // c has la at first, b has lb and wants la.
      calls.tryLock(la, c);
      calls.tryLock(lb, b);
      calls.beginWait(b, la, 0, 0);
      calls.beginWait(a, lb, 0, 0);
      let came = false;
      const steps = stepped.run(() => calls.findCycle(a, scratch, SPAN_SIZE, 0), {
        step,
        act: () => {
          came = true;
          // c lets go, b gets la and goes on; then a, which was given lb, takes la: each edge was there, never all at once.
          calls.unlock(la, c);
          calls.prepareWait(la, b);
          calls.endWait(b);
          calls.unlock(la, b);
          calls.tryLock(la, a);
        },
      });
      if (!came) break;
      looks++;
      if (steps > 0) found++;
    }
    return { found, looks };
  };

  it('is no deadlock', () => {
    const { found, looks } = look();
    expect(looks).toBeGreaterThan(10);
    expect(found).toBe(0);
  });

  it('would be one to a search without its second look', () => {
    expect(look({ name: 'waits/holds', body: '(return (i32.const 1))' }).found).toBeGreaterThan(0);
  });
});
