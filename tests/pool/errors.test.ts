import { DataCloneFailure, HeddleError, InvalidTypeError, isHeddleError } from 'heddle';
import { describe, expect, it } from 'vitest';
import { openPool, rejectionOf } from './harness.ts';

/** As the class of the same name in the task module; it is another one. */
class ShopError extends Error {
  readonly basket: readonly string[] = [];
  get size(): number {
    return this.basket.length;
  }
}

describe.each(['fail', 'failAsync'])('what %s throws', (task) => {
  it('keeps class, message and code', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run(task, ['range']));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ name: 'RangeError', message: 'too far', code: 'E_FAR' });
    expect(isHeddleError(error)).toBe(false);
  });

  it('keeps its causes', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run(task, ['cause']));
    expect(error.cause).toBeInstanceOf(TypeError);
    expect(error.cause.message).toBe('inner');
    expect(error.cause.cause).toBe('root');
  });

  it('keeps the errors of an AggregateError', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run(task, ['aggregate']));
    expect(error).toBeInstanceOf(AggregateError);
    expect(error.message).toBe('both');
    expect(error.errors).toHaveLength(2);
    expect(error.errors[0]).toBeInstanceOf(SyntaxError);
    expect(error.errors[1]).toMatchObject({ message: 'two', n: 2 });
  });

  it('keeps its own properties', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run(task, ['properties']));
    expect(error).toMatchObject({ status: 503, detail: { list: [1, { deep: true }] } });
  });

  it('keeps what can be kept when a property cannot cross', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run(task, ['function in property']));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ message: 'odd', kept: 'yes' });
    expect(await pool.run('echo', [1])).toBe(1);
  });

  it('keeps the name of a class that is unknown here', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run(task, ['class']));
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(ShopError);
    expect(error).toMatchObject({ name: 'ShopError', message: 'sold out', basket: ['apple'] });
  });

  it('is of the user’s own class when that is in errorTypes', async () => {
    const { pool } = await openPool({ errorTypes: [ShopError] });
    const error = await rejectionOf(pool.run(task, ['class']));
    expect(error).toBeInstanceOf(ShopError);
    expect(error).toMatchObject({ message: 'sold out', basket: ['apple'], size: 1 });
  });

  it('may be a DOMException', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run(task, ['dom']));
    expect(error).toMatchObject({ name: 'NotFoundError', message: 'no such thing' });
  });

  it.each([
    ['string', 'just text'],
    ['undefined', undefined],
    ['object', { reason: 'an object', code: 7 }],
  ])('may be no error: %s', async (kind, value) => {
    const { pool } = await openPool();
    expect(await rejectionOf(pool.run(task, [kind]))).toEqual(value);
  });

  it('shows where it was thrown and where it was submitted', async () => {
    const { pool } = await openPool({ submitStacks: 'always' });
    async function theCallSite(): Promise<unknown> {
      return await rejectionOf(pool.run(task, ['range']));
    }
    const { stack } = (await theCallSite()) as Error;
    expect(stack).toMatch(/^RangeError: too far\n/);
    expect(stack).toContain('tasks.mjs');
    expect(stack).toMatch(/submitted[\s\S]*theCallSite/);
    expect(stack!.indexOf('tasks.mjs')).toBeLessThan(stack!.indexOf('theCallSite'));
    // The name of the file of the caller, though not the inner files of the package first.
    expect(stack!.slice(stack!.indexOf('submitted'))).toContain('errors.test.ts');
  });

  it('shows where it was submitted for each of many calls at once', async () => {
    const { pool } = await openPool({ submitStacks: 'always' });
    const errors = await Promise.all(
      Array.from({ length: 200 }, () => rejectionOf(pool.run(task, ['range']))),
    );
    expect(errors.filter(({ stack }) => !stack.includes('--- submitted ---'))).toEqual([]);
  });

  it('shows no place of submission when that is not wanted', async () => {
    const { pool } = await openPool({ submitStacks: 'never' });
    const { stack } = (await rejectionOf(pool.run(task, ['range']))) as Error;
    expect(stack).toContain('tasks.mjs');
    expect(stack).not.toContain('errors.test.ts');
  });
});

describe('errors in general', () => {
  it('show the call site for each slow call when sampled', async () => {
    const { pool } = await openPool({ submitStacks: 'sampled' });
    await new Promise((resolve) => setTimeout(resolve, 5));
    const { stack } = (await rejectionOf(pool.run('fail', ['range']))) as Error;
    expect(stack).toContain('errors.test.ts');
  });

  it('cross in any number', async () => {
    const { rt, pool } = await openPool();
    const fail = (): Promise<any> => rejectionOf(pool.run('fail', ['properties']));
    for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 200 }, fail));
    const before = rt.usedBytes;
    for (let i = 0; i < 60; i++) {
      const errors = await Promise.all(Array.from({ length: 200 }, fail));
      expect(errors.every((error) => error.status === 503)).toBe(true);
    }
    // A few spans more may be in use while outcomes wait for this thread; 64 bytes an error would be 750 KiB.
    expect(rt.usedBytes).toBeLessThanOrEqual(before + 2 ** 19);
  });

  it('of endless recursion arrive as RangeError, and the worker goes on', async () => {
    const { pool } = await openPool();
    const thread = await pool.run('myThread');
    for (const task of ['recurseForEver', 'forkForEver']) {
      const error = await rejectionOf(pool.run(task, [0]));
      expect(error).toBeInstanceOf(RangeError);
      expect(error.message).toContain('call stack');
    }
    expect(await pool.run('myThread')).toBe(thread);
    expect(await pool.run('chain', [100])).toBe(100);
    expect(pool.metrics().queueDepth).toBe(0);
  });
});

describe('values that cannot be cloned', () => {
  it.each([
    ['a function', { list: [1, { callback: () => 1 }] }, 'args[0].list[1].callback'],
    ['a symbol', [[Symbol('s')]], 'args[0][0][0]'],
    ['a promise', { later: Promise.resolve(1) }, 'args[0].later'],
    ['a weak map', { weak: new WeakMap() }, 'args[0].weak'],
    ['a key that is no identifier', { 'a b': [() => 1] }, 'args[0]["a b"][0]'],
  ])('as arguments: %s is named by its path', async (_name, value, path) => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run('echo', [value]));
    expect(error).toBeInstanceOf(DataCloneFailure);
    expect(error).toBeInstanceOf(HeddleError);
    expect(error).toMatchObject({ name: 'DataCloneError', code: 'ERR_INVALID_ARGUMENT', path });
    expect(error.message).toContain(path);
    expect(await pool.run('echo', [1])).toBe(1);
    expect(pool.metrics().outstanding).toBe(0);
  });

  it('as the second argument', async () => {
    const { pool } = await openPool();
    expect(await rejectionOf(pool.run('echoAll', [1, () => 1]))).toMatchObject({ path: 'args[1]' });
  });

  it('as results: named by their path, and the task counts as failed', async () => {
    const { pool } = await openPool();
    const error = await rejectionOf(pool.run('returnFunction'));
    expect(error).toBeInstanceOf(DataCloneFailure);
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: 'result.list[0].callback' });
    expect(await rejectionOf(pool.run('returnSymbol'))).toMatchObject({ path: 'result' });
    expect(pool.metrics()).toMatchObject({ completed: 0, failed: 2 });
  });
});

describe('heddle/task outside a task', () => {
  it.each(['fork', 'join', 'aborted', 'signal', 'context', 'yieldNow', 'runtime'])(
    '%s throws a TypeError with ERR_INVALID_ARGUMENT',
    async (name) => {
      const api = (await import('heddle/task')) as unknown as Record<string, (...args: unknown[]) => unknown>;
      let error: any;
      try {
        api[name]!(() => 1);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toBeInstanceOf(InvalidTypeError);
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
      expect(error.message).toContain(`${name}()`);
    },
  );

  it('in a worker, but in no task: in a timer that a task left', async () => {
    const { pool } = await openPool();
    const error = await new Promise<any>((resolve) => {
      pool.on('error', resolve);
      void pool.run('forkInTimer');
    });
    // A timer belongs to the task that set it; when that has ended, there is nobody to join what it forks.
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(await pool.run('echo', [1])).toBe(1);
  });
});
