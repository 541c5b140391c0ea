import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import * as layout from '../../build/generated/layout.ts';
import { OWNER_SHARED, SPAN_SIZE } from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { MIB, openKernel, word } from '../kernel/harness.ts';
import { Order } from './order-harness.ts';

/** Ends a race that hangs. */
const WATCHDOG_MS = 25_000;
const seed = (): number => Number(process.env.HEDDLE_SEED ?? (Math.random() * 2 ** 31) | 0);

interface Answer {
  readonly found: string[];
  readonly against: number;
  readonly made: number[];
  readonly wrong: number;
}

/** Runs a part in so many threads at once. */
async function race(
  kernel: Kernel,
  part: string,
  threads: number,
  options: Record<string, number>,
): Promise<Answer[]> {
  const span = kernel.calls.claimSpans(1, OWNER_SHARED) >>> 0;
  kernel.u8.fill(0, span, span + SPAN_SIZE);
  const workers = Array.from(
    { length: threads },
    (_, index) =>
      new Worker(new URL('./order-thread.mjs', import.meta.url), {
        workerData: {
          module: kernel.module,
          memory: kernel.memory,
          layout: { ...layout },
          part,
          options: {
            ...options,
            threads,
            index,
            agent: index + 2,
            held: span + 1024 + index * 64,
            barrier: span,
            sleep: span + 512,
            seed: (options.seed ?? 1) + index * 7919,
          },
        },
      }),
  );
  const next = (worker: Worker): Promise<Answer> =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  let watchdog: NodeJS.Timeout | undefined;
  const hung = new Promise<never>((_, reject) => {
    watchdog = setTimeout(() => reject(new Error('the threads hang')), WATCHDOG_MS);
  });
  try {
    await Promise.race([Promise.all(workers.map(next)), hung]);
    const answers = Promise.all(workers.map(next));
    for (const worker of workers) worker.postMessage('go');
    return await Promise.race([answers, hung]);
  } finally {
    clearTimeout(watchdog);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

describe('threads that insert edges at once', () => {
  it.each([
    [2, 4000],
    [3, 1500],
    [4, 1000],
  ])(
    'a ring of %i, each edge by a thread of its own, is found in each of %i rounds, and once',
    async (threads, rounds) => {
      const kernel = await openKernel(64 * MIB);
      const answers = await race(kernel, 'ring', threads, { rounds });
      const found = answers.flatMap((answer) => answer.found);
      const wanted = Array.from({ length: rounds }, (_, i) =>
        Array.from({ length: threads }, (_, k) => (i + 1) * threads + k).join('-'),
      );
      expect(found.length).toBe(new Set(found).size);
      expect(new Set(found)).toEqual(new Set(wanted));
      const order = new Order(kernel);
      expect(order.view.overflows).toBe(0);
      // Whatever was left outside the order by contention comes in, and closes nothing.
      expect(order.view.edges('lock').length).toBe(threads * rounds);
    },
  );

  it('the table grows under them: no edge is lost, none doubled, none found against the order', async () => {
    const kernel = await openKernel(64 * MIB);
    const value = seed();
    const answers = await race(kernel, 'grow', 3, { locks: 5000, edges: 60_000, seed: value });
    const wanted = new Set(answers.flatMap(({ made }) => made));
    expect(
      answers.map(({ against }) => against),
      `seed ${value}`,
    ).toEqual([0, 0, 0]);
    const order = new Order(kernel);
    const edges = order.view.edges('lock').map(({ from, to }) => from * 65_536 + to);
    expect(edges.length, `seed ${value}`).toBe(wanted.size);
    expect(edges.every((edge) => wanted.has(edge))).toBe(true);
    // Each is known to the set as well.
    for (const edge of edges.slice(0, 20_000)) {
      const answer = order.check([Math.floor(edge / 65_536)], edge % 65_536);
      if (answer.isNew || answer.isAgainst) throw new Error(`${edge}, seed ${value}`);
    }
  });

  it('how an edge was seen stays known while what nobody refers to is used again', async () => {
    const kernel = await openKernel(16 * MIB);
    const answers = await race(kernel, 'sights', 3, { steps: 30_000 });
    expect(answers.map(({ wrong }) => wrong)).toEqual([0, 0, 0]);
    const order = new Order(kernel);
    expect(order.view.overflows).toBe(0);
    // 90,000 were made, and 2048 stand on a page.
    const made = word(kernel, word(kernel, layout.HEADER_ORDER) + layout.ROOT_SIGHT_NEXT);
    expect(made).toBeLessThan(30_000);
  });

  it('with cycles everywhere and locks that come and go, what is left is a graph that answers truly', async () => {
    const kernel = await openKernel(64 * MIB);
    const value = seed();
    await race(kernel, 'churn', 3, { locks: 12, steps: 20_000, seed: value });
    const order = new Order(kernel);
    const edges = order.view.edges('lock');
    const pairs = edges.map(({ from, to }) => `${from}-${to}`);
    expect(pairs.length, `seed ${value}`).toBe(new Set(pairs).size);
    const reaches = (from: number, to: number): boolean => {
      const seen = new Set([from]);
      for (const id of seen) for (const edge of edges) if (edge.from === id) seen.add(edge.to);
      return seen.has(to);
    };
    for (let held = 1; held <= 15; held++) {
      for (let lock = 1; lock <= 15; lock++) {
        if (held === lock) continue;
        expect(order.validate([held], lock).isAgainst, `${held} ${lock}, seed ${value}`).toBe(
          reaches(lock, held),
        );
      }
    }
  });
});

describe('an order graph that does not fit', () => {
  it('says so at each edge that it cannot keep, keeps what it has, and goes on once there is room', async () => {
    const kernel = await openKernel(4 * MIB);
    const order = new Order(kernel);
    let kept = 0;
    for (let from = 1; from <= 3000; from++) {
      const answer = order.check([from], from + 1);
      if (answer.overflowed) break;
      kept++;
    }
    // Everything else is taken: the next page cannot be had.
    const taken: number[] = [];
    for (;;) {
      const span = kernel.calls.claimSpans(1, OWNER_SHARED);
      if (span === 0) break;
      taken.push(span);
    }
    let overflowed = 0;
    for (let from = 1; from <= 9000; from++) if (order.check([from], from + 2).overflowed) overflowed++;
    expect(overflowed).toBeGreaterThan(0);
    expect(order.view.overflows).toBeGreaterThanOrEqual(overflowed);
    expect(kept).toBeGreaterThan(1000);
    // What was learned still counts.
    expect(order.check([2], 1).isAgainst || order.check([2], 1).overflowed).toBe(true);
    for (const span of taken) kernel.calls.releaseSpans(span, 1);
    expect(order.check([8000], 8002)).toMatchObject({ isNew: true, overflowed: false });
    expect(order.check([1000], 999)).toMatchObject({ isAgainst: true, overflowed: false });
  });

  it('without memory for a search the edge is not called harmless for good', async () => {
    const kernel = await openKernel(4 * MIB);
    const order = new Order(kernel);
    order.check([1], 2);
    const taken: number[] = [];
    for (;;) {
      const span = kernel.calls.claimSpans(1, OWNER_SHARED);
      if (span === 0) break;
      taken.push(span);
    }
    const before = order.view.overflows;
    order.check([2], 1, 2);
    // No scratch: neither the order nor the search could be had.
    expect(order.view.overflows).toBeGreaterThan(before);
    for (const span of taken) kernel.calls.releaseSpans(span, 1);
    expect(order.validate([2], 1).isAgainst).toBe(true);
  });
});
