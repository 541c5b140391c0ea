import { describe, expect, it } from 'vitest';
import { fixture, openPoolOn, openRuntime, thrownBy } from '../pool/harness.ts';

describe('ConcurrencyMonitor', () => {
  it('counts every operation on a tracked atomic from then on, through whatever handle', async () => {
    const rt = await openRuntime();
    const hits = rt.atomicInt32('hits');
    hits.add(5);
    rt.monitor.trackAtomic('hits of the page', hits);
    expect(rt.monitor.atomicOpCount()).toEqual(new Map([['hits of the page', 0n]]));
    hits.add(1);
    hits.load();
    hits.store(1);
    hits.swap(2);
    hits.compareAndSwap(7, 8);
    rt.atomicInt32('hits').add(1);
    expect(rt.monitor.atomicOpCount().get('hits of the page')).toBe(6n);
  });

  it('counts what other threads do', async () => {
    const rt = await openRuntime();
    const pool = await openPoolOn(rt, { tasks: fixture('metrics.mjs'), minThreads: 2, maxThreads: 2 });
    const total = rt.atomicInt32('total');
    rt.monitor.trackAtomic('total', total);
    await Promise.all(Array.from({ length: 40 }, () => pool.run('addToAtomic', ['total', 25])));
    expect(total.load()).toBe(1000);
    expect(rt.monitor.atomicOpCount().get('total')).toBe(1001n);
  });

  it('counts booleans, and only what is tracked', async () => {
    const rt = await openRuntime();
    const flag = rt.atomicBool('flag');
    const other = rt.atomicInt32('other');
    rt.monitor.trackAtomic('flag', flag);
    flag.store(true);
    flag.swap(false);
    other.add(1);
    rt.monitor.trackAtomic('other', other);
    expect([...rt.monitor.atomicOpCount()]).toEqual([
      ['flag', 2n],
      ['other', 0n],
    ]);
  });

  it('keeps a name for one atomic', async () => {
    const rt = await openRuntime();
    rt.monitor.trackAtomic('a', rt.atomicInt32('a'));
    rt.monitor.trackAtomic('a', rt.atomicInt32('a'));
    expect(thrownBy(() => rt.monitor.trackAtomic('a', rt.atomicInt32('b')))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });

  it.each([
    ['what is no atomic', (): [unknown, unknown] => ['a', { load: () => 1 }]],
    ['null', (): [unknown, unknown] => ['a', null]],
    ['a name that is none', (): [unknown, unknown] => [1, undefined]],
  ])('refuses %s', async (_, args) => {
    const rt = await openRuntime();
    const [name, atomic] = args();
    expect(
      thrownBy(() =>
        rt.monitor.trackAtomic(
          name as string,
          (atomic ?? (name === 1 ? rt.atomicInt32('x') : null)) as never,
        ),
      ),
    ).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });
});
