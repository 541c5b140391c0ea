import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { gateOf, isPending, openPool, outcome, rejectionOf, thrownBy, turn, until } from './harness.ts';

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/** Numbers below `count`; notes what was taken and whether it was closed. */
function watchedNumbers(count: number) {
  const seen = { taken: 0, closed: false };
  function* numbers(): Generator<number> {
    try {
      while (seen.taken < count) yield seen.taken++;
    } finally {
      seen.closed = true;
    }
  }
  return { seen, source: numbers() };
}

async function* later<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) {
    await turn();
    yield item;
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('map', () => {
  it('takes arrays, sets, generators and async generators', async () => {
    const { pool } = await openPool();
    expect(await collect(pool.map('echo', [3, 1, 2]))).toEqual([3, 1, 2]);
    expect(await collect(pool.map('echo', new Set('abc')))).toEqual(['a', 'b', 'c']);
    expect(await collect(pool.map('echo', watchedNumbers(40).source))).toEqual(numbers(40));
    expect(await collect(pool.map('echoAsync', later(numbers(20))))).toEqual(numbers(20));
    expect(await collect(pool.map('echo', []))).toEqual([]);
    expect(await collect(pool.map('echo', later([])))).toEqual([]);
  });

  it.each([false, true])('starts no more than a small queue has room for (settle: %s)', async (settle) => {
    const { pool } = await openPool({ maxQueue: 4 });
    const results = await collect(pool.map('echo', numbers(100), { settle } as never));
    expect(results).toEqual(
      settle
        ? numbers(100).map((n) => ({ index: n, input: n, status: 'fulfilled', value: n }))
        : numbers(100),
    );
    expect(await collect(pool.map('echo', numbers(50), { concurrency: 30, ordered: false }))).toHaveLength(
      50,
    );
  });

  it('waits for room while others fill the queue, and for its own signal', async () => {
    const { rt, pool } = await openPool({ maxQueue: 1 });
    const gate = gateOf(rt);
    const others = [pool.run('hold', [gate.name]), pool.run('echo', ['queued'])];
    await gate.reached(1);
    const abort = new AbortController();
    const { seen, source } = watchedNumbers(10);
    const aborted = outcome(collect(pool.map('echo', source, { signal: abort.signal })));
    const waiting = collect(pool.map('echo', numbers(10)));
    expect(await isPending(waiting)).toBe(true);
    expect(seen.taken).toBe(0);
    abort.abort('enough');
    expect(await aborted).toMatchObject({ ok: false, error: { name: 'AbortError', cause: 'enough' } });
    gate.open();
    await Promise.all(others);
    expect(await waiting).toEqual(numbers(10));
  });

  it('keeps an item that finds the queue full when it comes', async () => {
    const { rt, pool } = await openPool({ maxQueue: 0 });
    const gate = gateOf(rt);
    const others: Promise<unknown>[] = [];
    async function* filling(): AsyncGenerator<number> {
      yield 1;
      await until(() => pool.metrics().outstanding === 0);
      others.push(pool.run('hold', [gate.name]));
      yield 2;
    }
    const results = pool.map('echo', filling());
    expect((await results.next()).value).toBe(1);
    const second = results.next();
    await gate.reached(1);
    expect(await isPending(second)).toBe(true);
    gate.open();
    expect((await second).value).toBe(2);
    expect((await results.next()).done).toBe(true);
    await Promise.all(others);
  });

  it('that waits for room ends when the pool closes, and goes on when the queue grows', async () => {
    const { rt, pool } = await openPool({ maxQueue: 0 });
    const gate = gateOf(rt);
    const other = outcome(pool.run('hold', [gate.name]));
    await gate.reached(1);
    const first = collect(pool.map('hold', [gate.name]));
    expect(await isPending(first)).toBe(true);
    pool.setConfig({ maxQueue: 1 });
    await until(() => pool.metrics().outstanding === 2);
    const second = outcome(collect(pool.map('echo', [1])));
    expect(await isPending(second)).toBe(true);
    const closed = pool.shutdown();
    expect(await second).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
    gate.open();
    await Promise.all([closed, first, other]);
  });

  it('passes each item as the only argument', async () => {
    const { pool } = await openPool();
    expect(await collect(pool.map('echoAll', [[1, 2], undefined, 'x']))).toEqual([
      [[1, 2]],
      [undefined],
      ['x'],
    ]);
  });

  it('keeps the order of the items though they end in another', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const first = gateOf(rt);
    const results = pool.map('hold', [first.name, ...numbers(6).map(() => 'open')]);
    rt.atomicInt32('open').store(1);
    const collected = collect(results);
    await until(() => rt.atomicInt32('open:in').load() === 6);
    expect(await isPending(collected)).toBe(true);
    first.open();
    expect(await collected).toHaveLength(7);
  });

  it('yields what ends first when unordered', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    const slow = gateOf(rt);
    rt.atomicInt32('open').store(1);
    const results = pool.map('hold', [slow.name, 'open', 'open'], { ordered: false, settle: true });
    const indices: number[] = [];
    for await (const result of results) {
      indices.push(result.index);
      if (indices.length === 2) slow.open();
    }
    expect(indices.slice(0, 2).sort()).toEqual([1, 2]);
    expect(indices[2]).toBe(0);
  });

  it('takes no more items than `concurrency` before the consumer makes room', async () => {
    const { pool } = await openPool();
    const { seen, source } = watchedNumbers(1000);
    const results = pool.map('echo', source, { concurrency: 4 });
    expect(seen.taken).toBe(0);
    for (let i = 0; i < 20; i++) {
      expect((await results.next()).value).toBe(i);
      await turn();
      expect(seen.taken).toBeLessThanOrEqual(i + 5);
      expect(seen.taken).toBeGreaterThan(i);
    }
    await results.return?.();
  });

  it('takes no more items than `concurrency` when unordered, either', async () => {
    const { pool } = await openPool();
    const { seen, source } = watchedNumbers(1000);
    const results = pool.map('echo', source, { concurrency: 4, ordered: false });
    for (let i = 0; i < 20; i++) {
      await results.next();
      await turn();
      expect(seen.taken).toBeLessThanOrEqual(i + 5);
    }
    await results.return?.();
  });

  it('runs no more items at once than `concurrency`', async () => {
    const { rt, pool } = await openPool({ concurrentTasksPerWorker: 8 });
    const gate = gateOf(rt);
    const results = collect(pool.map('holdAsync', Array(12).fill(gate.name), { concurrency: 3 }));
    await gate.reached(3);
    gate.open();
    await results;
    expect(rt.atomicInt32(`${gate.name}:most`).load()).toBe(3);
  });

  it('closes the source and cancels what is under way when the consumer stops', async () => {
    const { rt, pool } = await openPool();
    const { seen, source } = watchedNumbers(1000);
    const gate = gateOf(rt);
    function* inputs(): Generator<unknown> {
      yield 'done';
      for (const n of source) yield n === 0 ? gate.name : `never${n}`;
    }
    rt.atomicInt32('done').store(1);
    for await (const _ of pool.map('hold', inputs(), { concurrency: 5 })) {
      // A worker that still is between two tasks could begin one of those that never end just before it is cancelled.
      await gate.reached(1);
      break;
    }
    expect(seen.closed).toBe(true);
    const { taken } = seen;
    gate.open();
    expect(await pool.run('echo', ['free'])).toBe('free');
    expect(seen.taken).toBe(taken);
    for (let n = 1; n < taken; n++) expect(rt.atomicInt32(`never${n}:in`).load()).toBe(0);
    expect(pool.metrics().outstanding).toBe(0);
  });

  it('fails with the first failure, closes the source and cancels the rest', async () => {
    const { rt, pool } = await openPool();
    const { seen, source } = watchedNumbers(1000);
    function* inputs(): Generator<unknown> {
      for (const n of source) yield n === 3 ? 'range' : 'cause';
    }
    const error = await rejectionOf(collect(pool.map('fail', inputs(), { concurrency: 2 })));
    expect(error.message).toBe('outer');
    expect(seen.closed).toBe(true);
    expect(seen.taken).toBeLessThanOrEqual(3);
    await until(() => pool.metrics().outstanding === 0);
    expect(rt.usedBytes).toBeGreaterThan(0);
  });

  it('goes on after failures with settle, and tells index, input and reason', async () => {
    const { pool } = await openPool();
    const results = await collect(pool.map('failTimes', ['a', 'b', 'c'], { settle: true }));
    // failTimes('x', undefined) fails never: 1 <= undefined is false.
    expect(results).toEqual(
      ['a', 'b', 'c'].map((input, index) => ({ index, input, status: 'fulfilled', value: 1 })),
    );
    const failures = await collect(pool.map('fail', ['range', 'string', () => 1], { settle: true }));
    expect(failures).toMatchObject([
      { index: 0, input: 'range', status: 'rejected', reason: { code: 'E_FAR' } },
      { index: 1, input: 'string', status: 'rejected', reason: 'just text' },
      { index: 2, status: 'rejected', reason: { code: 'ERR_INVALID_ARGUMENT' } },
    ]);
  });

  it('throws what the source throws', async () => {
    const { pool } = await openPool();
    function* sync(): Generator<number> {
      yield 1;
      throw new Error('source broke');
    }
    expect(await rejectionOf(collect(pool.map('echo', sync())))).toMatchObject({ message: 'source broke' });
    async function* async(): AsyncGenerator<number> {
      yield 1;
      throw new Error('async source broke');
    }
    expect(await rejectionOf(collect(pool.map('echo', async())))).toMatchObject({
      message: 'async source broke',
    });
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('closes no source whose next() threw, and throws what ended it rather than what closing it throws', async () => {
    const { pool } = await openPool();
    let closed = 0;
    const source = (next: () => unknown) => ({
      [Symbol.iterator]: () => ({
        next,
        return() {
          closed++;
          throw new Error('cannot be closed');
        },
      }),
    });
    const breaks = source(() => {
      throw new Error('source broke');
    });
    const broken = collect(pool.map('echo', breaks as never));
    expect(await rejectionOf(broken)).toMatchObject({ message: 'source broke' });
    expect(closed).toBe(0);
    const failing = collect(pool.map('fail', source(() => ({ value: 'range', done: false })) as never));
    expect(await rejectionOf(failing)).toMatchObject({ code: 'E_FAR' });
    expect(closed).toBe(1);
  });

  it.each([Symbol.iterator, Symbol.asyncIterator])(
    'refuses a source whose %s gives no iterator',
    async (kind) => {
      const { pool } = await openPool();
      for (const iterator of [null, {}, { next: 1 }]) {
        const results = collect(pool.map('echo', { [kind]: () => iterator } as never));
        expect(await rejectionOf(results)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      }
    },
  );

  it('ends with an AbortError when its signal fires, before or during the iteration', async () => {
    const { rt, pool } = await openPool();
    const early = watchedNumbers(10);
    const first = collect(pool.map('echo', early.source, { signal: AbortSignal.abort('no') }));
    expect(await rejectionOf(first)).toMatchObject({ name: 'AbortError', cause: 'no' });
    expect(early.seen.taken).toBe(0);
    const gate = gateOf(rt);
    const abort = new AbortController();
    const second = outcome(collect(pool.map('hold', [gate.name, gate.name], { signal: abort.signal })));
    await gate.reached(1);
    abort.abort('stop');
    expect(await second).toMatchObject({ ok: false, error: { name: 'AbortError', cause: 'stop' } });
    gate.open();
    await pool.run('echo', [1]);
    expect(gate.waiting).toBe(1);
  });

  it('cancels and closes at once when its signal fires while the consumer is busy, though nobody asks for more', async () => {
    const { rt, pool } = await openPool();
    const { seen, source } = watchedNumbers(10);
    const gate = gateOf(rt);
    rt.atomicInt32('done').store(1);
    function* inputs(): Generator<string> {
      for (const n of source) yield n === 0 ? 'done' : gate.name;
    }
    const abort = new AbortController();
    const results = pool.map('hold', inputs(), { concurrency: 4, signal: abort.signal });
    expect((await results.next()).done).toBe(false);
    await gate.reached(1);
    const { taken } = seen;
    abort.abort('stop');
    expect(seen).toEqual({ taken, closed: true });
    await until(() => pool.metrics().outstanding === 0);
    gate.open();
    await pool.run('echo', [1]);
    expect(gate.waiting).toBe(1);
    expect(await rejectionOf(results.next())).toMatchObject({ name: 'AbortError', cause: 'stop' });
    expect((await results.next()).done).toBe(true);
  });

  it('that is aborted by its own source closes it all the same', async () => {
    const { pool } = await openPool();
    const { seen, source } = watchedNumbers(10);
    const abort = new AbortController();
    function* inputs(): Generator<number> {
      for (const n of source) {
        if (n === 2) abort.abort('from the source');
        yield n;
      }
    }
    const error = await rejectionOf(collect(pool.map('echo', inputs(), { signal: abort.signal })));
    expect(error).toMatchObject({ name: 'AbortError', cause: 'from the source' });
    expect(seen).toEqual({ taken: 3, closed: true });
  });

  it.each(['return', 'throw'] as const)(
    '%s() ends a next() that waits for a task or for room',
    async (how) => {
      const { rt, pool } = await openPool({ maxQueue: 0 });
      const gate = gateOf(rt);
      const running = pool.map('hold', [gate.name]);
      const first = running.next();
      await gate.reached(1);
      const { seen, source } = watchedNumbers(10);
      const waiting = pool.map('echo', source);
      const second = waiting.next();
      expect(await isPending(second)).toBe(true);
      for (const [results, pending] of [
        [waiting, second],
        [running, first],
      ] as const) {
        const ended = outcome(results[how]!('over'));
        expect(await pending).toEqual({ value: undefined, done: true });
        expect(await ended).toEqual(
          how === 'return'
            ? { ok: true, value: { value: 'over', done: true } }
            : { ok: false, error: 'over' },
        );
      }
      expect(pool.metrics().outstanding).toBe(0);
      expect(seen.taken).toBe(0);
      gate.open();
      expect(await pool.run('echo', ['free'])).toBe('free');
    },
  );

  it('is cancelled with the stream that reads it', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const stream = Readable.from(pool.map('hold', [gate.name, gate.name]));
    stream.resume();
    await gate.reached(1);
    stream.destroy();
    await until(() => pool.metrics().outstanding === 0);
    gate.open();
  });

  it('gives each task its time', async () => {
    const { pool } = await openPool();
    const results = await collect(pool.map('neverNoted', ['a', 'b'], { timeoutMs: 20, settle: true }));
    expect(results).toMatchObject([
      { status: 'rejected', reason: { code: 'ERR_TASK_TIMEOUT' } },
      { status: 'rejected', reason: { code: 'ERR_TASK_TIMEOUT' } },
    ]);
  });

  it('passes qos and idempotent on', async () => {
    const { pool } = await openPool({ retry: { attempts: 2 } });
    const contexts = await collect(pool.map('myContext', [1, 2], { qos: 'BestEffort' }));
    expect(contexts).toMatchObject([{ qos: 'BestEffort' }, { qos: 'BestEffort' }]);
    expect(await collect(pool.map('exitTimesOnce', ['x', 'y'], { idempotent: true }))).toEqual([2, 2]);
  });

  it('takes async iterators whose steps are no native promises', async () => {
    const { pool } = await openPool();
    let n = 0;
    const step = (): IteratorResult<number> =>
      n < 3 ? { value: n++, done: false } : { value: undefined, done: true };
    const thenable = {
      [Symbol.asyncIterator]: () => ({
        // biome-ignore lint/suspicious/noThenProperty: as another library's promise
        next: () => ({ then: (resolve: (result: IteratorResult<number>) => void) => resolve(step()) }),
      }),
    };
    expect(await collect(pool.map('echo', thenable as never))).toEqual([0, 1, 2]);
    n = 0;
    const plain = { [Symbol.asyncIterator]: () => ({ next: step }) };
    expect(await collect(pool.map('echo', plain as never))).toEqual([0, 1, 2]);
  });

  it.each([Symbol.iterator, Symbol.asyncIterator])(
    'ends with an error when %s gives no result',
    async (kind) => {
      const { pool } = await openPool();
      const steps = [{ value: 1, done: false }, 'junk'];
      const source = { [kind]: () => ({ next: () => steps.shift() }) };
      const results = pool.map('echo', source as never);
      expect(await rejectionOf(collect(results))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect(await pool.run('echo', [2])).toBe(2);
    },
  );

  it('leaves calls of other pools’ consumers alone when it ends early', async () => {
    const { pool } = await openPool();
    const other = pool.run('echo', ['other']);
    for await (const _ of pool.map('echo', numbers(100))) break;
    expect(await other).toBe('other');
  });

  it('runs 100,000 items without growing', async () => {
    const { rt, pool } = await openPool({ minThreads: 2, maxThreads: 2 });
    function* items(): Generator<number> {
      for (let i = 0; i < 100_000; i++) yield i;
    }
    let sum = 0;
    let used = 0;
    let count = 0;
    for await (const value of pool.map('echo', items(), { ordered: false })) {
      sum += value as number;
      if (++count === 1000) used = rt.usedBytes;
    }
    expect(count).toBe(100_000);
    expect(sum).toBe((99_999 * 100_000) / 2);
    expect(rt.usedBytes).toBe(used);
  });

  it('checks its arguments at once', async () => {
    const { pool } = await openPool();
    const map = pool.map.bind(pool) as (...args: unknown[]) => AsyncIterable<unknown>;
    expect(thrownBy(() => map('nope', []))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(thrownBy(() => map('echo', [], { concurrency: 0 }))).toBeInstanceOf(RangeError);
    expect(thrownBy(() => map('echo', [], { orderd: true }))).toBeInstanceOf(TypeError);
    expect(await rejectionOf(collect(map('echo', 5)))).toBeInstanceOf(TypeError);
    await pool.shutdown();
    expect(await rejectionOf(collect(map('echo', [1])))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });
});
