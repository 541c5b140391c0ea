// Histories of real threads over the structures of the release kernel are linearizable; those of a wrong kernel are not.

import { beforeAll, describe, expect, it } from 'vitest';
import { checkHistory, type Operation, type Spec } from './checker.ts';
import { compileStructures, type Game, type Mutation, record } from './record.ts';
import { boolSpec, dequeSpec, int32Spec, mutexSpec, unexplainedRetries } from './specs.ts';

/** HEDDLE_SEED plays the games of a failure again; how the threads interleave is not in it. */
const newSeed = (): number => Number(process.env.HEDDLE_SEED ?? (Math.random() * 2 ** 31) | 0);

const SPECS: Record<Game, Spec<any>> = {
  deque: dequeSpec(),
  batches: dequeSpec(),
  int32: int32Spec(),
  bool: boolSpec(),
  mutex: mutexSpec(),
};

/** A machine that is busy with other things gets through fewer rounds in this time, each as good as any. */
const BUDGET_MS = 5000;

/** Pairs of calls of different threads that overlapped. */
function overlaps(history: readonly Operation[]): number {
  let count = 0;
  for (const a of history)
    for (const b of history) if (a.thread < b.thread && a.from < b.to && b.from < a.to) count++;
  return count;
}

interface Judged {
  readonly operations: number;
  readonly overlaps: number;
  readonly report: string | undefined;
}

function judge(game: Game, histories: readonly Operation[][]): Judged {
  let operations = 0;
  let overlapping = 0;
  for (const [round, history] of histories.entries()) {
    operations += history.length;
    overlapping += overlaps(history);
    const verdict = checkHistory(SPECS[game], history);
    if (!verdict.ok)
      return { operations, overlaps: overlapping, report: `round ${round}: ${verdict.report}` };
    const [retry] = unexplainedRetries(history);
    if (retry !== undefined)
      return {
        operations,
        overlaps: overlapping,
        report: `round ${round}: nobody was faster than ${JSON.stringify(retry)}`,
      };
  }
  return { operations, overlaps: overlapping, report: undefined };
}

describe('the structures of the kernel under real threads', () => {
  let module: WebAssembly.Module;
  beforeAll(async () => {
    module = await compileStructures();
  });

  it.each<[string, Game, number, number]>([
    ['a deque with an owner and a thief', 'deque', 2, 0],
    ['a deque with an owner and two thieves', 'deque', 3, 0],
    ['a deque whose indices wrap', 'deque', 2, 0xfffffffe | 0],
    ['a deque from which two thieves take batches', 'batches', 3, 0],
    ['an AtomicInt32 of two threads', 'int32', 2, 0],
    ['an AtomicInt32 of three threads', 'int32', 3, 0],
    ['an AtomicBool of two threads', 'bool', 2, 0],
    ['a mutex of two threads', 'mutex', 2, 0],
    ['a mutex of three threads', 'mutex', 3, 0],
  ])('%s is linearizable', { timeout: 120_000 }, async (_, game, threads, firstIndex) => {
    const seed = newSeed();
    const until = performance.now() + BUDGET_MS;
    let histories = 0;
    let met = 0;
    // Threads that take turns prove nothing: on a busy machine it takes more rounds until they have met often enough.
    for (let part = 0; histories < 3000 || met < 3000; part++) {
      const plan = { module, game, seed: seed + part, threads, rounds: 250, most: 7, firstIndex };
      const judged = judge(game, await record(plan));
      expect(judged.report, `seed ${seed}`).toBe(undefined);
      histories += plan.rounds;
      met += judged.overlaps;
      if (met > 100 && performance.now() > until) break;
    }
  });

  it('an atomic stays linearizable when a thread is killed in the middle of a call', async () => {
    const seed = newSeed();
    let pending = 0;
    for (let n = 0; n < 12; n++) {
      const game = 'int32';
      const plan = {
        module,
        game,
        seed: seed + n,
        threads: 3,
        rounds: 1,
        most: 40,
        pace: 2000,
        killAfter: 1 + n,
      } as const;
      const [history] = await record(plan);
      pending += history!.filter(({ to }) => to === Number.POSITIVE_INFINITY).length;
      expect(judge(game, [history!]).report, `seed ${seed}`).toBe(undefined);
    }
    expect(pending).toBeGreaterThan(0);
  });
});

/** Faults that show in a few rounds, each in one place; the models take up those that need luck. `WAIT` makes the moment longer in which another thread must come. */
const WAIT = 'for (let i: u32 = 0; i < 3000; i++) load32(0);';
const MUTANTS: readonly (Mutation & { readonly wrong: string; readonly game: Game })[] = [
  {
    wrong: 'an addition that is a load and a store',
    game: 'int32',
    file: 'assembly/cells.ts',
    from: 'return (add32(cell + CELL_VALUE, delta as u32) as i32) + delta;',
    to: `const sum = (load32(cell + CELL_VALUE) as i32) + delta; ${WAIT} store32(cell + CELL_VALUE, sum as u32); return sum;`,
  },
  {
    wrong: 'a compare-and-swap that compares first and stores then',
    game: 'bool',
    file: 'assembly/cells.ts',
    from: 'return cas32(cell + CELL_VALUE, expected as u32, replacement as u32) ? 1 : 0;',
    to: `if (load32(cell + CELL_VALUE) != (expected as u32)) return 0; ${WAIT} store32(cell + CELL_VALUE, replacement as u32); return 1;`,
  },
  {
    wrong: 'a thief that takes without a CAS',
    game: 'deque',
    file: 'assembly/deque.ts',
    from: 'return cas32(deque + DEQUE_TOP, top, top + 1) ? slot : STEAL_RETRY;',
    to: `${WAIT} store32(deque + DEQUE_TOP, top + 1); return slot;`,
  },
  {
    wrong: 'an owner that pops the last entry without a CAS',
    game: 'deque',
    file: 'assembly/deque.ts',
    from: 'const won = bottom == top && cas32(deque + DEQUE_TOP, top, top + 1);',
    to: `${WAIT} const won = bottom == top; if (won) store32(deque + DEQUE_TOP, top + 1);`,
  },
  {
    wrong: 'a batch that moves top by a store',
    game: 'batches',
    file: 'assembly/deque.ts',
    from: 'if (!cas32(deque + DEQUE_TOP, top, top + count)) return STEAL_RETRY;',
    to: `${WAIT} store32(deque + DEQUE_TOP, top + count);`,
  },
  {
    wrong: 'a free lock that is taken by a store',
    game: 'mutex',
    file: 'assembly/mutex.ts',
    from: 'if (!cas32(lock + LOCK_WORD, word, word | mine)) {',
    to: `${WAIT} store32(lock + LOCK_WORD, word | mine); if (false) {`,
  },
  {
    wrong: 'an unlock that does not ask whose the lock is',
    game: 'mutex',
    file: 'assembly/mutex.ts',
    from: 'if ((word & WORD_OWNER_MASK) != mine || mine == 0) return LOCK_NOT_OWNER;',
    to: 'if ((word & WORD_OWNER_MASK) == 0) return LOCK_NOT_OWNER;',
  },
];

describe('the checker rejects', () => {
  it.each(MUTANTS)('$wrong', { timeout: 120_000 }, async ({ wrong: _, game, ...mutation }) => {
    const module = await compileStructures(mutation);
    const seed = newSeed();
    const threads = game === 'batches' || game === 'deque' ? 3 : 2;
    let report: string | undefined;
    for (let part = 0; part < 100 && report === undefined; part++) {
      report = judge(
        game,
        await record({ module, game, seed: seed + part, threads, rounds: 250, most: 7 }),
      ).report;
    }
    expect(report, `seed ${seed}`).toMatch(/not linearizable|nobody was faster/);
  });
});
