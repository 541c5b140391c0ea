import type { TraceEvent } from '../index.node.ts';

/** An entry of the Chrome trace event format; times are in microseconds. */
interface ChromeEvent {
  readonly name: string;
  readonly cat: string;
  readonly ph: 'X' | 'M';
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, unknown>>;
}

/** Clocks of one thread are read one after the other, so an end may lie this much behind the next start. */
const SLACK_MS = 0.0005;

/** A trace of millions of events is longer than a string may be, so its text comes in pieces of so many. */
const EVENTS_A_PIECE = 1000;

/**
 * Events of a pool as Chrome's trace format, which Perfetto and chrome://tracing open: a lane for each worker, with its tasks, steals and
 * parks. What overlaps without being nested (async tasks of one worker) goes to further lanes of that worker, as a lane can show nesting only.
 *
 * @param events - of `pool.trace()`
 * @param process - name of the process to show
 * @returns the text, in pieces
 */
export function* chromeTrace(events: readonly TraceEvent[], process: string): Generator<string> {
  let piece: string[] = [];
  let start = '{"traceEvents":[';
  for (const event of chromeEvents(events, process)) {
    piece.push(JSON.stringify(event));
    if (piece.length < EVENTS_A_PIECE) continue;
    yield start + piece.join(',');
    piece = [];
    start = ',';
  }
  yield `${piece.length === 0 ? '' : start}${piece.join(',')}],"displayTimeUnit":"ms"}`;
}

function* chromeEvents(events: readonly TraceEvent[], process: string): Generator<ChromeEvent> {
  yield metadata('process_name', 0, { name: process });
  const ofWorker = new Map<number, TraceEvent[]>();
  for (const event of events) {
    const own = ofWorker.get(event.worker);
    if (own === undefined) ofWorker.set(event.worker, [event]);
    else own.push(event);
  }
  let firstLane = 1;
  for (const [worker, own] of [...ofWorker].sort(([a], [b]) => a - b)) {
    // The outer one of two that start together comes first.
    own.sort((a, b) => a.startMs - b.startMs || b.endMs - a.endMs);
    const lanes: number[][] = [];
    for (const event of own) {
      const tid = firstLane + laneFor(lanes, event);
      const { type, name, startMs, endMs } = event;
      yield {
        name: type === 'task' ? (name ?? type) : type,
        cat: type,
        ph: 'X',
        pid: 1,
        tid,
        ts: startMs * 1000,
        dur: Math.max(0, endMs - startMs) * 1000,
      };
    }
    for (const lane of lanes.keys()) {
      const tid = firstLane + lane;
      const suffix = lane === 0 ? '' : ` (${lane + 1})`;
      yield metadata('thread_name', tid, { name: `worker ${worker}${suffix}` });
      yield metadata('thread_sort_index', tid, { sort_index: tid });
    }
    firstLane += lanes.length;
  }
}

/** The first lane where the event lies after, or within, what is open there. Each lane is the stack of the ends of what is open. */
function laneFor(lanes: number[][], { startMs, endMs }: TraceEvent): number {
  for (const [index, open] of lanes.entries()) {
    while (open.length > 0 && open.at(-1)! <= startMs + SLACK_MS) open.pop();
    if (open.length > 0 && open.at(-1)! + SLACK_MS < endMs) continue;
    open.push(endMs);
    return index;
  }
  lanes.push([endMs]);
  return lanes.length - 1;
}

function metadata(name: string, tid: number, args: Readonly<Record<string, unknown>>): ChromeEvent {
  return { name, cat: '__metadata', ph: 'M', pid: 1, tid, ts: 0, args };
}
