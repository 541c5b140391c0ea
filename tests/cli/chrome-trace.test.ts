import { describe, expect, it } from 'vitest';
import { toChromeTrace } from '../../ts/cli/chrome-trace.ts';

const event = (worker: number, name: string, startMs: number, endMs: number) =>
  ({ type: 'task', worker, name, startMs, endMs }) as const;

function lanesOf(events: readonly ReturnType<typeof event>[]): Record<string, string> {
  const { traceEvents } = toChromeTrace(events, 'test');
  const laneNames = new Map(
    traceEvents
      .filter(({ name }) => name === 'thread_name')
      .map(({ tid, args }) => [tid, String(args?.name)]),
  );
  return Object.fromEntries(
    traceEvents.filter(({ ph }) => ph === 'X').map(({ name, tid }) => [name, laneNames.get(tid) ?? 'none']),
  );
}

describe('Chrome trace', () => {
  it('gives each worker a lane, and nests in it what lies within', () => {
    expect(
      lanesOf([
        event(1, 'c', 0, 5),
        event(0, 'inner', 2, 4),
        event(0, 'outer', 1, 5),
        event(0, 'next', 5, 6),
      ]),
    ).toEqual({
      c: 'worker 1',
      outer: 'worker 0',
      inner: 'worker 0',
      next: 'worker 0',
    });
  });

  it('puts what overlaps without being nested into a further lane of the worker', () => {
    expect(
      lanesOf([
        event(0, 'a', 0, 3),
        event(0, 'b', 1, 4),
        event(0, 'c', 2, 5),
        event(0, 'd', 3, 6),
        event(1, 'e', 0, 1),
      ]),
    ).toEqual({
      a: 'worker 0',
      b: 'worker 0 (2)',
      c: 'worker 0 (3)',
      d: 'worker 0',
      e: 'worker 1',
    });
  });

  it('counts in microseconds', () => {
    const slice = toChromeTrace([event(0, 'a', 1.5, 4)], 'test').traceEvents.find(({ ph }) => ph === 'X');
    expect(slice).toMatchObject({ name: 'a', cat: 'task', ts: 1500, dur: 2500 });
  });
});
