import { createRuntime, type Runnable, type Settled, type TaskPool } from 'heddle';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { fixture } from './harness.ts';

type Tasks = typeof import('../fixtures/typed.mjs');

/** Never called: only its types count. */
async function typed(pool: TaskPool<Tasks>): Promise<void> {
  expectTypeOf(pool.run('double', [2])).toEqualTypeOf<Promise<number>>();
  expectTypeOf(pool.run('join', [['a', 'b']])).toEqualTypeOf<Promise<string>>();
  expectTypeOf(pool.run('join', [['a', 'b'], '-'], { timeoutMs: 5 })).toEqualTypeOf<Promise<string>>();
  expectTypeOf(pool.run('nothing')).toEqualTypeOf<Promise<void>>();
  // @ts-expect-error a name that is no task
  void pool.run('nope');
  // @ts-expect-error an export that is no function
  void pool.run('version');
  // @ts-expect-error an argument of the wrong type
  void pool.run('double', ['2']);
  // @ts-expect-error an argument too many
  void pool.run('double', [2, 3]);
  // @ts-expect-error an argument too few
  void pool.run('double', []);
  expectTypeOf(pool.run('nothing', undefined, { timeoutMs: 5 })).toEqualTypeOf<Promise<void>>();
  expectTypeOf(pool.run('any')).toEqualTypeOf<Promise<number>>();
  // @ts-expect-error no arguments for a task that needs some
  void pool.run('add');
  // @ts-expect-error a task that needs more than options
  void pool.run('add', undefined, { timeoutMs: 5 });
  // @ts-expect-error an unknown option
  void pool.run('double', [2], { timeout: 5 });
  // @ts-expect-error submit knows the names too
  pool.submit({ name: 'nope' });
  expectTypeOf(pool.submit({ name: 'double', args: [1] })).toEqualTypeOf<void>();
  pool.submit({ name: 'nothing' });
  pool.submit({ name: 'any' }, { qos: 'BestEffort' });
  // @ts-expect-error an argument of the wrong type
  pool.submit({ name: 'double', args: ['x'] });
  // @ts-expect-error the arguments of another task
  pool.submit({ name: 'add', args: [1] });
  // @ts-expect-error no arguments for a task that needs some
  pool.submit({ name: 'add' });
  for await (const value of pool.map('double', [1, 2])) expectTypeOf(value).toEqualTypeOf<number>();
  for await (const record of pool.map('double', [1, 2], { settle: true })) {
    expectTypeOf(record).toEqualTypeOf<Settled<number, number>>();
  }
  // @ts-expect-error an item of the wrong type
  pool.map('double', ['1']);
  for await (const value of pool.map('join', [['a']])) expectTypeOf(value).toEqualTypeOf<string>();
  for await (const value of pool.map('any', new Set(['a']))) expectTypeOf(value).toEqualTypeOf<number>();
  // @ts-expect-error a task that one argument is too few for
  pool.map('add', [1, 2]);
  // @ts-expect-error the same with records
  pool.map('add', [1, 2], { settle: true });
  const bounds = { from: 0, to: 8 };
  expectTypeOf(pool.range('count', bounds)).toEqualTypeOf<Promise<void>>();
  void pool.range('count', bounds, undefined, { timeoutMs: 5 });
  void pool.range('scale', { ...bounds, grain: 2 }, [new Float64Array(8)]);
  void pool.range('scale', bounds, [new Float64Array(8), 3], { timeoutMs: 5 });
  // @ts-expect-error a task that takes no end
  void pool.range('double', bounds);
  // @ts-expect-error a task that takes no numbers
  void pool.range('any', bounds);
  // @ts-expect-error no arguments for a task that needs some
  void pool.range('scale', bounds);
  // @ts-expect-error a further argument of the wrong type
  void pool.range('scale', bounds, ['x']);
  // @ts-expect-error a further argument too many
  void pool.range('count', bounds, [1]);
  // @ts-expect-error a configuration that cannot change
  pool.setConfig({ tasks: 'x' });
  pool.on('workerExit', (exit) => expectTypeOf(exit.exitCode).toEqualTypeOf<number>());
  // @ts-expect-error an event that there is not
  pool.on('exit', () => undefined);
}

/** Never called: a pool whose module has no types takes what it gets. */
async function untyped(pool: TaskPool): Promise<void> {
  expectTypeOf(pool.run('x')).toEqualTypeOf<Promise<any>>();
  void pool.run('x', [1, 'a'], { timeoutMs: 5 });
  void pool.range('x', { from: 0, to: 1 });
  void pool.range('x', { from: 0, to: 1 }, [new Float64Array(1)], { timeoutMs: 5 });
  pool.submit({ name: 'x' });
  const call: Runnable = { name: 'x', args: [1, 'a'] };
  pool.submit(call);
  for await (const value of pool.map('x', [1, 2])) expectTypeOf(value).toEqualTypeOf<any>();
  // @ts-expect-error no array
  void pool.run('x', 1);
}

describe('types', () => {
  it('come from the module: names, arguments and results', async () => {
    expectTypeOf(typed).parameter(0).toEqualTypeOf<TaskPool<Tasks>>();
    expectTypeOf(untyped).parameter(0).toEqualTypeOf<TaskPool>();
    await using rt = await createRuntime();
    await using pool = await rt.createPool<Tasks>({ tasks: fixture('typed.mjs'), maxThreads: 1 });
    const doubled: number = await pool.run('double', [21]);
    const joined: string = await pool.run('join', [['a', 'b'], '+']);
    expect([doubled, joined, await pool.run('nothing')]).toEqual([42, 'a+b', undefined]);
  });

  it('of shared arrays follow their constructor', async () => {
    await using rt = await createRuntime();
    const array = rt.alloc(Float64Array, 3);
    expectTypeOf(array[0]).toEqualTypeOf<number | undefined>();
    expectTypeOf(rt.alloc(BigInt64Array, 3)[0]).toEqualTypeOf<bigint | undefined>();
    expect(array).toHaveLength(3);
  });
});
