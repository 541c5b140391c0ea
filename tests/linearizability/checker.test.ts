// The checker against the definition: every order of every subset of the pending operations, on small random histories.

import { describe, expect, it } from 'vitest';
import {
  LOCK_BUSY,
  LOCK_NOT_OWNER,
  LOCK_OWN,
  LOCK_RELEASED,
  LOCK_TAKEN,
} from '../../build/generated/layout.ts';
import { checkHistory, type Operation, type Spec } from './checker.ts';
import { boolSpec, dequeSpec, int32Spec, mutexSpec, STEAL_RETRY, unexplainedRetries } from './specs.ts';

function randomFrom(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return Math.floor((x / 2 ** 32) * below);
  };
}

/** Does any order explain the history? By the definition, without a thought. */
function bruteForce<S>(spec: Spec<S>, history: readonly Operation[]): boolean {
  const extend = (state: S, left: readonly Operation[]): boolean => {
    if (left.every(({ to }) => to === Number.POSITIVE_INFINITY)) return true;
    return left.some((operation) => {
      if (left.some((other) => other.to < operation.from)) return false;
      const next = spec.step(state, operation, operation.to === Number.POSITIVE_INFINITY);
      return (
        next !== undefined &&
        extend(
          next,
          left.filter((other) => other !== operation),
        )
      );
    });
  };
  return extend(spec.initial, history);
}

interface Generator<S> {
  readonly spec: Spec<S>;
  readonly call: (
    random: (below: number) => number,
    thread: number,
    n: number,
  ) => { name: string; args: number[] };
  /** A result out of thin air. */
  readonly guess: (random: (below: number) => number, name: string, n: number) => number | number[];
  /** What the object gives in this state. */
  readonly answer: (state: S, call: { name: string; args: number[]; thread: number }) => number | number[];
}

const cell = (spec: Spec<number>, names: readonly string[]): Generator<number> => ({
  spec,
  call(random) {
    const name = names[random(names.length)]!;
    const args = { add: 1, load: 0, store: 1, swap: 1, cas: 2 }[name]!;
    return { name, args: Array.from({ length: args }, () => random(2)) };
  },
  guess: (random) => random(3),
  answer(state, { name, args }) {
    if (name === 'add') return (state + args[0]!) | 0;
    if (name === 'cas') return state === args[0] ? 1 : 0;
    return name === 'store' ? 0 : state;
  },
});

const deque: Generator<readonly number[]> = {
  spec: dequeSpec(),
  call(random, thread, n) {
    if (thread === 0) return random(2) === 0 ? { name: 'push', args: [10 + n] } : { name: 'pop', args: [] };
    return random(3) === 0 ? { name: 'batch', args: [2] } : { name: 'steal', args: [] };
  },
  guess(random, name, n) {
    if (name === 'push') return 1;
    if (name === 'batch' && random(2) === 0) return [10 + random(n + 1)];
    return [0, STEAL_RETRY, 10 + random(n + 1)][random(3)]!;
  },
  answer(state, { name, args }) {
    if (name === 'push') return 1;
    if (state.length === 0) return 0;
    if (name === 'pop') return state.at(-1)!;
    if (name === 'steal') return state[0]!;
    return state.slice(0, Math.min(args[0]!, (state.length + 1) >> 1));
  },
};

/** Up to six operations of three threads that overlap at random. Some of them never return; the owner of a deque is thread 0. */
function randomHistory<S>(generator: Generator<S>, random: (below: number) => number): Operation[] {
  const count = 1 + random(6);
  const points = Array.from({ length: count * 2 }, (_, i) => i);
  const history: Operation[] = [];
  const busy = new Map<number, { index: number; at: number }>();
  const ended = new Set<number>();
  const drafts: { thread: number; name: string; args: number[]; from: number; to: number; at: number }[] = [];
  for (const time of points) {
    const thread = random(3);
    if (ended.has(thread)) continue;
    const open = busy.get(thread);
    if (open === undefined) {
      if (drafts.length >= count) continue;
      const call = generator.call(random, thread, drafts.length);
      busy.set(thread, { index: drafts.length, at: time });
      drafts.push({ thread, ...call, from: time, to: Number.POSITIVE_INFINITY, at: time });
    } else {
      const draft = drafts[open.index]!;
      draft.to = time;
      draft.at = draft.from + ((time - draft.from) * random(100)) / 100;
      busy.delete(thread);
    }
  }
  // One order that is possible gives results that fit; then some are made up.
  let state = generator.spec.initial;
  for (const draft of [...drafts].sort((a, b) => a.at - b.at)) {
    // How many a batch took that never returned nobody knows.
    if (draft.name === 'batch' && draft.to === Number.POSITIVE_INFINITY) draft.name = 'steal';
    const { thread, name, args, from, to } = draft;
    const answer = generator.answer(state, draft);
    state = generator.spec.step(state, { thread, name, args, result: answer, from, to: 1e9 }, false) ?? state;
    const result = random(6) === 0 ? generator.guess(random, name, drafts.length) : answer;
    history.push({ thread, name, args, result, from, to });
  }
  return history;
}

const mutex: Generator<number> = {
  spec: mutexSpec(),
  call: (random) => ({ name: ['tryLock', 'lock', 'unlock'][random(3)]!, args: [] }),
  guess: (random) => [LOCK_TAKEN, LOCK_BUSY, LOCK_OWN, LOCK_RELEASED, LOCK_NOT_OWNER][random(5)]!,
  answer(holder, { name, thread }) {
    if (name === 'unlock') return holder === thread ? LOCK_RELEASED : LOCK_NOT_OWNER;
    if (holder === thread) return LOCK_OWN;
    return holder === -1 || name === 'lock' ? LOCK_TAKEN : LOCK_BUSY;
  },
};

const GENERATORS: readonly [string, Generator<any>][] = [
  ['mutex', mutex],
  ['deque', deque],
  ['AtomicInt32', cell(int32Spec(), ['add', 'load', 'store', 'swap', 'cas'])],
  ['AtomicBool', cell(boolSpec(), ['load', 'store', 'swap', 'cas'])],
];

describe('the checker', () => {
  it.each(GENERATORS)('says what brute force says: %s', (_, generator) => {
    const verdicts = { linearizable: 0, not: 0, pending: 0 };
    for (let seed = 1; seed <= 10_000; seed++) {
      const history = randomHistory(generator, randomFrom(seed * 7919));
      const expected = bruteForce(generator.spec, history);
      const verdict = checkHistory(generator.spec, history);
      if (verdict.ok !== expected)
        expect.fail(`seed ${seed}: ${JSON.stringify(history)} is ${expected ? '' : 'not '}linearizable`);
      verdicts[expected ? 'linearizable' : 'not']++;
      if (history.some(({ to }) => to === Number.POSITIVE_INFINITY)) verdicts.pending++;
      if (!verdict.ok) expect(verdict.report).toMatch(/^not linearizable: /);
    }
    expect(verdicts.linearizable).toBeGreaterThan(1000);
    expect(verdicts.not).toBeGreaterThan(1000);
    expect(verdicts.pending).toBeGreaterThan(1000);
  });

  it('decides about long histories of many threads at once', () => {
    const random = randomFrom(5);
    const history: Operation[] = [];
    let value = 0;
    // Four threads, each always in the middle of something; the true order is that of the returns.
    for (let i = 0; i < 400; i++) {
      value += 1;
      history.push({
        thread: i % 4,
        name: 'add',
        args: [1],
        result: value,
        from: i * 10 - 35 + random(5),
        to: i * 10,
      });
    }
    expect(checkHistory(int32Spec(), history)).toEqual({ ok: true });
    const wrong = history.map((operation, i) => (i === 300 ? { ...operation, result: 299 } : operation));
    const verdict = checkHistory(int32Spec(), wrong);
    expect(verdict.ok).toBe(false);
  });

  it('lets what never returned have happened, or not', () => {
    const operation = (
      thread: number,
      name: string,
      args: number[],
      result: number,
      from: number,
      to: number,
    ): Operation => ({
      thread,
      name,
      args,
      result,
      from,
      to,
    });
    const killed = operation(0, 'store', [5], 0, 1, Number.POSITIVE_INFINITY);
    const read = (value: number): Operation => operation(1, 'load', [], value, 2, 3);
    const later = (value: number): Operation => operation(1, 'load', [], value, 4, 5);
    expect(checkHistory(int32Spec(), [killed, read(0), later(0)]).ok).toBe(true);
    expect(checkHistory(int32Spec(), [killed, read(0), later(5)]).ok).toBe(true);
    expect(checkHistory(int32Spec(), [killed, read(5), later(5)]).ok).toBe(true);
    expect(checkHistory(int32Spec(), [killed, read(5), later(0)]).ok).toBe(false);
    expect(checkHistory(int32Spec(), [read(5), killed]).ok).toBe(true);
    expect(checkHistory(int32Spec(), [{ ...killed, from: 10 }, read(5)]).ok).toBe(false);
  });

  it('shows the smallest window, what it begins from, and where it is stuck', () => {
    const make = (
      thread: number,
      name: string,
      args: number[],
      result: number,
      from: number,
      to: number,
    ): Operation => ({
      thread,
      name,
      args,
      result,
      from,
      to,
    });
    const verdict = checkHistory(dequeSpec(), [
      make(0, 'push', [3], 1, 1, 2),
      make(0, 'push', [7], 1, 3, 4),
      make(1, 'steal', [], 3, 5, 6),
      make(0, 'pop', [], 7, 10, 14),
      make(1, 'steal', [], 7, 11, 13),
      make(2, 'steal', [], 0, 12, 20),
      make(2, 'steal', [], 0, 21, 22),
    ]);
    expect(verdict).toEqual({
      ok: false,
      report: [
        'not linearizable: no order explains these 3 operations, from the deque [7] (oldest first)',
        '  thread 0  pop() = 7    |---|',
        '  thread 1  steal() = 7   |-|',
        '  thread 2  steal() ...    |--->',
        '  at most 2 can follow one another: pop() = 7, steal() ...',
        '  in the deque [] (oldest first) there is no place for steal() = 7',
      ].join('\n'),
    });
  });

  it('asks who a thief lost its race to', () => {
    const make = (thread: number, name: string, result: number, from: number, to: number): Operation => ({
      thread,
      name,
      args: [],
      result,
      from,
      to,
    });
    const lost = make(1, 'steal', STEAL_RETRY, 3, 6);
    expect(unexplainedRetries([lost, make(2, 'steal', 9, 4, 5)])).toEqual([]);
    expect(unexplainedRetries([lost, make(0, 'pop', 9, 5, 8)])).toEqual([]);
    expect(unexplainedRetries([lost, make(2, 'steal', 9, 1, 2), make(0, 'pop', 0, 4, 5)])).toEqual([lost]);
  });
});
