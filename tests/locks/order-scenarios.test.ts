// The scenarios of other detectors' test-suites under their names, as far as they are about order: against the kernel, with owners by number.
// As a program meets them: scenarios.test.ts.

import { describe, expect, it } from 'vitest';
import { CYCLE_CERTAIN, GRAPH_OF_LOCKS, OWNER_SHARED, SPAN_SIZE } from '../../build/generated/layout.ts';
import { openKernel } from '../kernel/harness.ts';
import { type Answer, Order, openOrder, ring, rings } from './order-harness.ts';

const [A, B, C, D, E, F, G, H] = [1, 2, 3, 4, 5, 6, 7, 8] as const;

/** Takes pairs, each by an owner of its own; says which cycles were found. */
async function pairs(...program: readonly (readonly number[])[]): Promise<string[]> {
  const order = await openOrder();
  return rings(program.flatMap((chain, i) => order.nest(chain, i + 1)));
}

/** None of the answers speaks of a fault. */
function expectSilence(answers: readonly Answer[]): void {
  for (const answer of answers) {
    expect(answer.isAgainst).toBe(false);
    expect(answer.cycles).toEqual([]);
  }
}

describe('lockdep: exclusive locks', () => {
  it('AA: a lock under itself is no edge; asking twice is ERR_DEADLOCK of the mutex', async () => {
    const order = await openOrder();
    expectSilence([order.check([A], A), order.check([A, B], A)]);
    expect(order.view.edges('lock').map(({ from, to }) => [from, to])).toEqual([[B, A]]);
  });

  it('ABBA', async () => {
    expect(await pairs([A, B], [B, A])).toEqual(['1-2']);
  });

  it('ABBCCA', async () => {
    expect(await pairs([A, B], [B, C], [C, A])).toEqual(['1-2-3']);
  });

  it('ABCABC', async () => {
    expect(await pairs([A, B], [C, A], [B, C])).toEqual(['1-2-3']);
  });

  it('ABBCCDDA', async () => {
    expect(await pairs([A, B], [B, C], [C, D], [D, A])).toEqual(['1-2-3-4']);
  });

  it('ABCDBDDA', async () => {
    expect(await pairs([A, B], [C, D], [B, D], [D, A])).toEqual(['1-2-4']);
  });

  it('ABCDBCDA', async () => {
    expect(await pairs([A, B], [C, D], [B, C], [D, A])).toEqual(['1-2-3-4']);
  });
});

describe('Abseil: structure', () => {
  it('no cycle', async () => {
    expect(await pairs([A, B], [B, C], [A, C], [D, C], [A, D], [B, D])).toEqual([]);
  });

  it('simple', async () => {
    expect(await pairs([A, B], [B, A], [B, A], [A, B])).toEqual(['1-2']);
  });

  it('indirect', async () => {
    expect(await pairs([A, B], [B, C], [C, D], [D, E], [D, B])).toEqual(['2-3-4']);
  });

  it('long path: a ring of 100', async () => {
    const locks = Array.from({ length: 100 }, (_, i) => i + 1);
    const order = await openOrder();
    for (let i = 0; i < 99; i++) expectSilence(order.nest([locks[i]!, locks[i + 1]!], i));
    const [, answer] = order.nest([100, 1], 100);
    expect(answer!.cycles.map(ring)).toEqual([locks]);
    expect(answer!.cycles[0]!.edges.map(({ to }) => to).sort((a, b) => a - b)).toEqual(locks);
  });

  it('a ring of 20,000 is reported whole', async () => {
    const count = 20_000;
    const order = await openOrder();
    for (let i = 1; i < count; i++) order.check([i], i + 1, i);
    const answer = order.check([count], 1, count);
    expect(answer.cycles.length).toBe(1);
    expect(ring(answer.cycles[0]!)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
  });

  it('a ring through a lock with 70,000 others under it', async () => {
    const order = await openOrder(128 * 2 ** 20);
    const count = 70_000;
    for (let i = 2; i <= count; i++) order.check([1], i);
    // The oldest edge of the longest list, and the newest.
    for (const inner of [2, count]) {
      const answer = order.check([inner], 1, 2);
      expect([answer.overflowed, answer.truncated]).toEqual([false, false]);
      expect(answer.cycles.map(ring)).toEqual([[1, inner]]);
    }
  });

  it('two locks with 33,000 others under each, and a ring through both', async () => {
    const order = await openOrder(128 * 2 ** 20);
    order.nest([A, B], 1);
    order.nest([B, C], 2);
    for (const top of [A, B]) for (let i = 10; i < 33_010; i++) order.check([top], i);
    const answer = order.check([C], A, 3);
    expect(answer.cycles.map(ring)).toEqual([[A, B, C]]);
    expect(answer.truncated).toBe(false);
    // Known, and found again for whoever is refused.
    expect(order.kernel.calls.explainOrder(order.context, GRAPH_OF_LOCKS, C, A)).toBe(1);
    expect(order.view.takeCycles().map(ring)).toEqual([[A, B, C]]);
  });

  it('more rings than are reported at once: the shortest, and a word that there are more', async () => {
    const order = await openOrder();
    const truncated: Answer[] = [];
    for (let a = 1; a <= 6; a++) {
      for (let b = 1; b <= 6; b++) {
        if (a === b) continue;
        const answer = order.check([a], b, a * 8 + b);
        if (answer.truncated) truncated.push(answer);
        if (b < a) expect(answer.cycles.map(ring)).toContainEqual([b, a]);
      }
    }
    expect(truncated.length).toBeGreaterThan(0);
    expect(order.view.truncated).toBe(truncated.length);
    for (const { cycles } of truncated) expect(cycles.length).toBe(16);
  });

  it('remove node and reuse its id', async () => {
    const order = await openOrder();
    order.nest([A, B, C]);
    expect(order.kernel.calls.forgetLock(order.context, B)).toBe(1);
    // A later lock with B's id, in another order.
    expectSilence([...order.nest([C, B]), ...order.nest([B, D])]);
    expect(rings(order.nest([D, C], 2))).toEqual(['2-4-3']);
    expect(
      order.view
        .edges('lock')
        .map(({ from, to }) => `${from}-${to}`)
        .sort(),
    ).toEqual(['1-3', '2-4', '3-2', '4-3']);
  });

  it('many edges: every lock under every lower one', async () => {
    const order = await openOrder();
    const count = 300;
    for (let i = 1; i <= count; i++)
      for (let j = i + 1; j <= count; j++) if (order.check([i], j).isAgainst) throw new Error(`${i} ${j}`);
    expect(order.view.edges('lock').length).toBe((count * (count - 1)) / 2);
    expect(order.check([count], 1, 2).cycles.length).toBeGreaterThan(0);
  });

  it('version wrap: ids that are reused more often than a generation can count', async () => {
    const order = await openOrder();
    const { calls } = order.kernel;
    for (let i = 0; i < 5000; i++) {
      // In both orders, but never both in one life of B.
      expectSilence(order.nest(i % 2 === 0 ? [A, B, C] : [C, B, D]));
      if (calls.forgetLock(order.context, B) !== 1) throw new Error(`life ${i}`);
      if (i % 2 === 1) for (const id of [A, C, D]) calls.forgetLock(order.context, id);
    }
    expect(order.view.edges('lock')).toEqual([]);
    // Edges of dead locks are used again: it stays as large as the few that live.
    expect(order.kernel.calls.usedSpans()).toBeLessThan(40);
  });

  it('stress of 131,072 locks', async () => {
    const order = await openOrder(128 * 2 ** 20);
    const count = 131_072;
    for (let i = 1; i < count; i++) if (order.check([i], i + 1).isAgainst) throw new Error(`at ${i}`);
    for (let i = 1; i + 1000 <= count; i += 7)
      if (order.check([i], i + 1000).isAgainst) throw new Error(`at ${i}`);
    expect(order.validate([count], 1).isAgainst).toBe(true);
    expect(order.validate([1], count).isAgainst).toBe(false);
    expect(order.view.overflows).toBe(0);
  });

  it('try-lock does not fire, but what it took counts as held', async () => {
    const order = await openOrder();
    order.nest([A, B]);
    // B held, A tried: nobody asks the graph. Then C under both.
    expectSilence([order.check([B, A], C, 2)]);
    expect(order.view.edges('lock').map(({ from, to }) => `${from}-${to}`)).toEqual(
      expect.arrayContaining(['1-2', '1-3', '2-3']),
    );
    expect(order.view.edges('lock').length).toBe(3);
  });

  it('id reuse does not lie: a seen chain of the lock before is not taken for one of the lock after', async () => {
    const order = await openOrder();
    for (let i = 0; i < 3; i++) order.nest([A, B]);
    order.kernel.calls.forgetLock(order.context, A);
    expect(order.nest([A, B])[1]!.isNew).toBe(true);
    expect(rings(order.nest([B, A], 2))).toEqual(['1-2']);
    order.kernel.calls.forgetLock(order.context, A);
    // The cycle of the dead lock is not that of the new one: it is reported again.
    order.nest([A, B]);
    expect(rings(order.nest([B, A], 2))).toEqual(['1-2']);
  });
});

describe('Zircon', () => {
  it('order invariant: the order in which edges come does not matter', async () => {
    const chains = [
      [A, B],
      [B, C],
      [C, A],
    ] as const;
    for (const [i, j, k] of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ] as const) {
      expect(await pairs(chains[i], chains[j], chains[k])).toEqual(['1-2-3']);
    }
  });

  it('several locks of one struct are separate classes', async () => {
    const order = await openOrder();
    order.describe(G, { name: 'struct.a' });
    order.describe(H, { name: 'struct.b' });
    for (const id of [A, C]) order.describe(id, { ofClass: G });
    for (const id of [B, D]) order.describe(id, { ofClass: H });
    // a then b of one object, and of another: no fault. b then a of any object: a fault between the classes.
    expectSilence([...order.nest([A, B], 1), ...order.nest([C, D], 2)]);
    const [, answer] = order.nest([D, A], 3);
    expect(answer!.cycles.map((cycle) => [cycle.granularity, cycle.severity, ring(cycle)])).toEqual([
      ['class', 'possible', [G, H]],
    ]);
  });

  it('lock several in address order', async () => {
    const order = await openOrder();
    order.describe(H, { name: 'account' });
    for (const id of [A, B, C, D]) order.describe(id, { ofClass: H, key: id * 10 });
    for (const chain of [
      [A, B, C, D],
      [A, C],
      [B, D],
      [C, D],
    ])
      expectSilence(order.nest(chain));
    expect(order.check([A, C], B, 2).key).toBe(C);
    expect(order.check([D], A, 2).key).toBe(D);
    expect(order.check([A], D, 2).key).toBe(0);
  });

  it('locks of one class with equal keys, or without, are compared one by one', async () => {
    const order = await openOrder();
    order.describe(H, { name: 'account' });
    for (const id of [A, B]) order.describe(id, { ofClass: H, key: 7 });
    for (const id of [C, D]) order.describe(id, { ofClass: H });
    expectSilence([...order.nest([A, B], 1), ...order.nest([C, D], 1)]);
    expect(order.check([B], A, 2).key).toBe(0);
    expect(order.check([B, E], A, 3).isAgainst).toBe(true);
    expect(rings(order.nest([D, C], 2))).toEqual(['3-4']);
  });

  it('nested by an outer order: locks of one class in any order under one outer lock', async () => {
    const order = await openOrder();
    order.describe(H, { name: 'account' });
    for (const id of [B, C]) order.describe(id, { ofClass: H });
    expectSilence(order.nest([A, B, C], 1));
    const answers = order.nest([A, C, B], 2);
    expect(answers.flatMap(({ cycles }) => cycles.map(({ severity }) => severity))).toEqual(['gated']);
  });

  it('circular A-B-C-A plus D', async () => {
    expect(await pairs([A, B], [B, C], [C, A], [D, A], [C, D])).toEqual(['1-2-3', '1-2-3-4']);
  });

  it('aliased lock: two names of one lock are one node', async () => {
    const order = await openOrder();
    order.describe(A, { name: 'first name' });
    order.nest([A, B], 1);
    order.describe(A, { name: 'other name' });
    expect(rings(order.nest([B, A], 2))).toEqual(['1-2']);
  });
});

describe('TSan', () => {
  it('two and three locks', async () => {
    expect(await pairs([A, B], [B, A])).toEqual(['1-2']);
    expect(await pairs([A, B], [B, C], [C, A])).toEqual(['1-2-3']);
  });

  it('private locks: each owner has its own, under shared ones in one order', async () => {
    const order = await openOrder();
    for (let owner = 1; owner <= 4; owner++)
      expectSilence(order.nest([A, 100 + owner, B, 200 + owner], owner));
  });

  it('four try-lock combinations', async () => {
    // lock A lock B / lock B lock A: a fault. With a try on the inner lock of either side there is no edge of that side.
    expect(await pairs([A, B], [B, A])).toEqual(['1-2']);
    for (const edges of [[[A, B]], [[B, A]], []] as const) {
      const order = await openOrder();
      expectSilence(edges.map(([held, taken], i) => order.check([held], taken, i + 1)));
    }
  });

  it('all under one gate lock: gated, not silent', async () => {
    const order = await openOrder();
    expectSilence(order.nest([G, A, B], 1));
    const found = order.nest([G, B, A], 2).flatMap(({ cycles }) => cycles);
    expect(found.map((cycle) => [cycle.severity, ring(cycle)])).toEqual([['gated', [A, B]]]);
    expect(found[0]!.edges.map(({ gates }) => gates)).toEqual([[G], [G]]);
  });

  it('a gate that is left away once makes the cycle certain, and it is reported again as that, once', async () => {
    const order = await openOrder();
    order.nest([G, A, B], 1);
    expect(order.nest([G, B, A], 2).flatMap(({ cycles }) => cycles.map(({ severity }) => severity))).toEqual([
      'gated',
    ]);
    expect(order.nest([B, A], 2).flatMap(({ cycles }) => cycles.map(({ severity }) => severity))).toEqual([
      'certain',
    ]);
    for (let i = 0; i < 5; i++) {
      expect(order.nest([B, A], 2 + i).flatMap(({ cycles }) => cycles)).toEqual([]);
      expect(order.nest([A, B], 9 + i).flatMap(({ cycles }) => cycles)).toEqual([]);
    }
  });

  it('different gates do not gate', async () => {
    const order = await openOrder();
    order.nest([G, A, B], 1);
    expect(order.nest([H, B, A], 2).flatMap(({ cycles }) => cycles.map(({ severity }) => severity))).toEqual([
      'certain',
    ]);
  });

  it('create and destroy: locks that live shortly, in both orders', async () => {
    const order = await openOrder();
    for (let i = 0; i < 2000; i++) {
      const [a, b] = i % 2 === 0 ? [A, B] : [B, A];
      expectSilence(order.nest([a, b], 1 + (i % 4)));
      order.kernel.calls.forgetLock(order.context, A);
      order.kernel.calls.forgetLock(order.context, B);
    }
  });

  it('same-owner cycle: severity same-owner, and certain once a second owner takes part', async () => {
    const order = await openOrder();
    order.nest([A, B], 5);
    const severities = (answers: readonly Answer[]): string[] =>
      answers.flatMap(({ cycles }) => cycles.map(({ severity }) => severity));
    expect(severities(order.nest([B, A], 5))).toEqual(['same-owner']);
    expect(severities(order.nest([B, A], 5))).toEqual([]);
    expect(severities(order.nest([A, B], 6))).toEqual(['certain']);
    expect(severities(order.nest([A, B], 7))).toEqual([]);
    expect(CYCLE_CERTAIN).toBe(4);
  });

  it('address reuse is no fault', async () => {
    const order = await openOrder();
    order.nest([A, B], 1);
    order.kernel.calls.forgetLock(order.context, A);
    expectSilence(order.nest([B, A], 2));
  });
});

describe('Helgrind', () => {
  it('dining philosophers: five', async () => {
    expect(await pairs([A, B], [B, C], [C, D], [D, E], [E, A])).toEqual(['1-2-3-4-5']);
  });

  it('deleting a lock in the middle breaks the ring', async () => {
    const order = await openOrder();
    for (const chain of [
      [A, B],
      [B, C],
      [C, D],
      [D, E],
    ])
      order.nest(chain);
    order.kernel.calls.forgetLock(order.context, C);
    expectSilence(order.nest([E, A], 2));
    order.nest([B, C]);
    expect(rings(order.nest([C, D], 3))).toEqual(['1-2-3-4-5']);
  });
});

describe('what is held at the same time', () => {
  it('every held lock counts, not only the newest, and not only in the order of release', async () => {
    const order = await openOrder();
    // A, B, C taken; A let go first; then D under B and C.
    order.nest([A, B, C]);
    order.check([B, C], D);
    const edges = order.view.edges('lock').map(({ from, to }) => `${from}-${to}`);
    expect(edges.sort()).toEqual(['1-2', '1-3', '2-3', '2-4', '3-4']);
  });

  it('a chain through a lock without a class is a chain of classes', async () => {
    const order = await openOrder();
    order.describe(H, { name: 'x' });
    for (const id of [A, B]) order.describe(id, { ofClass: H });
    for (const id of [C, D]) order.describe(id);
    // x1 -> C -> D -> x2: any x may be behind any other.
    expectSilence([...order.nest([A, C], 1), ...order.nest([C, D], 2)]);
    const found = order.nest([D, B], 3).flatMap(({ cycles }) => cycles);
    expect(found.map((cycle) => [cycle.granularity, cycle.severity, ring(cycle)])).toEqual([
      ['class', 'possible', [C, D, H]],
    ]);
  });

  it('edges from before the first class are edges of the graph of classes, too', async () => {
    const order = await openOrder();
    order.nest([C, D], 1);
    order.describe(H, { name: 'x' });
    for (const id of [A, B]) order.describe(id, { ofClass: H });
    order.nest([A, C], 2);
    expect(order.nest([D, B], 3).flatMap(({ cycles }) => cycles.map(ring))).toEqual([[C, D, H]]);
  });

  it('edges tell who was first, how often, and which locks were held besides', async () => {
    const order = await openOrder();
    order.nest([F, A, B], 3);
    const edge = (from: number, to: number) =>
      order.view.edges('lock').find((each) => each.from === from && each.to === to)!;
    expect(edge(A, B)).toMatchObject({ owner: 3, gates: [F], weight: 1 });
    expect(edge(F, B)).toMatchObject({ owner: 3, gates: [A], weight: 1 });
    for (let i = 0; i < 999; i++) order.nest([F, A, B], 3);
    expect(edge(A, B)).toMatchObject({ owner: 3, gates: [F], weight: 1000 });
    // Not taken right after one another: may lag behind.
    expect(edge(F, B).weight).toBeGreaterThan(1000 - 64);
    order.check([A], B, 4);
    expect(edge(A, B)).toMatchObject({ owner: 0, gates: [], weight: 1001 });
  });

  it('works above 2 GiB, where addresses are negative numbers', async () => {
    const kernel = await openKernel(2 ** 32);
    kernel.calls.claimSpans(2 ** 31 / SPAN_SIZE - 100, OWNER_SHARED);
    while (kernel.calls.claimSpans(1, OWNER_SHARED) >>> 0 < 2 ** 31);
    const order = new Order(kernel);
    expect(order.context).toBeGreaterThan(2 ** 31);
    for (let i = 1; i < 20_000; i++) expect(order.check([i], i + 1).isAgainst).toBe(false);
    for (let i = 20_000; i > 19_000; i -= 7) expect(order.validate([i], 1).isAgainst).toBe(true);
    expect(order.check([300], 200, 2).cycles.map(({ edges }) => edges.length)).toEqual([101]);
    expect(order.view.edges('lock').length).toBe(20_000);
    expect(order.kernel.calls.forgetLock(order.context, 250)).toBe(1);
    expect(order.view.edges('lock').length).toBe(19_998);
    expect(order.view.overflows).toBe(0);
  });

  it('a lock with the number of one that is gone is learned anew, also when edges were purged in between', async () => {
    const order = await openOrder();
    for (let i = 0; i < 2000; i++) {
      const own = 100 + (i % 70);
      if (!order.check([A], own).isNew) throw new Error(`at ${i}`);
      if (order.kernel.calls.forgetLock(order.context, own) !== 1) throw new Error(`at ${i}`);
    }
  });

  it('how edges were seen is forgotten with them: by whom, under which others', async () => {
    const order = await openOrder(8 * 2 ** 20);
    const { calls } = order.kernel;
    // Those that stay are seen by a few, under one other lock, and are known as that to the end.
    order.nest([G, A, B], 1);
    order.nest([C, D], 2);
    let spans = 0;
    for (let i = 0; i < 100_000; i++) {
      // A gate of its own too, so that each is seen in its own way.
      const own = 100 + (i % 200);
      order.nest([own, H, E], 10 + i);
      if (calls.forgetLock(order.context, own) !== 1) throw new Error(`at ${i}`);
      if (i % 7 === 0 && calls.forgetLock(order.context, E) !== 1) throw new Error(`at ${i}`);
      if (i === 30_000) spans = calls.usedSpans();
    }
    expect(calls.usedSpans()).toBe(spans);
    expect(order.view.overflows).toBe(0);
    expect(order.nest([G, B, A], 2).flatMap(({ cycles }) => cycles.map(({ severity }) => severity))).toEqual([
      'gated',
    ]);
    expect(order.nest([D, C], 2).flatMap(({ cycles }) => cycles.map(({ severity }) => severity))).toEqual([
      'same-owner',
    ]);
    const edge = order.view.edges('lock').find(({ from, to }) => from === C && to === D)!;
    expect([edge.owner, edge.gates]).toEqual([2, []]);
  });

  it('reset forgets everything, also which cycles were reported', async () => {
    const order = await openOrder();
    for (let i = 0; i < 3; i++) {
      order.nest([A, B], 1);
      expect(rings(order.nest([B, A], 2))).toEqual(['1-2']);
      expect(rings(order.nest([B, A], 2))).toEqual([]);
      expect(order.kernel.calls.resetOrder(order.context)).toBe(1);
      expect(order.view.edges('lock')).toEqual([]);
    }
  });
});
