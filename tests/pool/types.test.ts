import { createRuntime, type Settled, type TaskPool } from 'heddle';
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
  // @ts-expect-error an unknown option
  void pool.run('double', [2], { timeout: 5 });
  // @ts-expect-error submit knows the names too
  pool.submit({ name: 'nope' });
  expectTypeOf(pool.submit({ name: 'double', args: [1] })).toEqualTypeOf<void>();
  for await (const value of pool.map('double', [1, 2])) expectTypeOf(value).toEqualTypeOf<number>();
  for await (const record of pool.map('double', [1, 2], { settle: true })) {
    expectTypeOf(record).toEqualTypeOf<Settled<number, number>>();
  }
  // @ts-expect-error an item of the wrong type
  pool.map('double', ['1']);
  // @ts-expect-error a configuration that cannot change
  pool.setConfig({ tasks: 'x' });
  pool.on('workerExit', (exit) => expectTypeOf(exit.exitCode).toEqualTypeOf<number>());
  // @ts-expect-error an event that there is not
  pool.on('exit', () => undefined);
}

describe('types', () => {
  it('come from the module: names, arguments and results', async () => {
    expectTypeOf(typed).parameter(0).toEqualTypeOf<TaskPool<Tasks>>();
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
