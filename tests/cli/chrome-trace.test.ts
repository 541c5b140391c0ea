import { describe, expect, it } from 'vitest';
import { chromeTrace } from '../../ts/cli/chrome-trace.ts';

const event = (worker: number, name: string, startMs: number, endMs: number) =>
  ({ type: 'task', worker, name, startMs, endMs }) as const;

interface Entry {
  readonly name: string;
  readonly ph: string;
  readonly tid: number;
  readonly args?: { readonly name?: string };
}

const entriesOf = (events: readonly ReturnType<typeof event>[]): Entry[] =>
  JSON.parse([...chromeTrace(events, 'test')].join('')).traceEvents;

function lanesOf(events: readonly ReturnType<typeof event>[]): Record<string, string> {
  const traceEvents = entriesOf(events);
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
    const slice = entriesOf([event(0, 'a', 1.5, 4)]).find(({ ph }) => ph === 'X');
    expect(slice).toMatchObject({ name: 'a', cat: 'task', ts: 1500, dur: 2500 });
  });

  // With three entries for the process and its lane: below, at and above the bounds of pieces.
  it.each([0, 1, 996, 997, 998, 1997, 2500])(
    'of %i events comes in short pieces that make one text',
    (count) => {
      const events = Array.from({ length: count }, (_, i) => event(0, `e${i}`, i, i + 1));
      const slices = entriesOf(events).filter(({ ph }) => ph === 'X');
      expect(slices.map(({ name }) => name)).toEqual(events.map(({ name }) => name));
      for (const piece of chromeTrace(events, 'test')) expect(piece.length).toBeLessThan(200_000);
    },
  );
});
