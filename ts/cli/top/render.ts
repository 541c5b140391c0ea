import type { TopRuntime } from '../../metrics/top-snapshot.ts';
import { bytes, clean, count, duration, percent, significant } from '../format.ts';
import type { History, LaneSample, PoolView, WorkerView } from './history.ts';
import { level, pad, type Span, shorten, span, sparkline } from './paint.ts';

/** What is drawn besides what was seen. */
export interface RenderOptions {
  readonly width: number;
  /** Lines there are; undefined: as many as it takes. */
  readonly height: number | undefined;
  /** Stands at the end of the first line. */
  readonly status?: string | undefined;
  /** Stands in the last line. */
  readonly hint?: string | undefined;
}

type Line = readonly Span[];

const LABEL = 13;
/** Figures right of the pictures. */
const SIDE = 26;
const WIDTH_LEAST = 40;
const LOCKS_SHOWN = 8;

/** The whole view. */
export function render(history: History, { width: wide, height, status, hint }: RenderOptions): Line[] {
  const width = Math.max(WIDTH_LEAST, wide);
  const { snapshot } = history;
  if (snapshot === undefined) return [[span('waiting for the process …', 'dim')]];
  const { pid, title, upMs, rssBytes, runtimes } = snapshot;
  const facts = [`pid ${pid}`, `up ${duration(Math.floor(upMs / 1000) * 1000)}`, bytes(rssBytes)].join('  ');
  const right = status ?? facts;
  const room = width - right.length - 'heddle top'.length - 4;
  const lines: Line[] = [
    [
      span('heddle top', 'accent'),
      span(`  ${pad(clean(title), Math.max(0, room))}  `),
      span(right, status === undefined ? 'dim' : 'warm'),
    ],
  ];
  const foot: Line[] = hint === undefined ? [] : [[], [span(hint, 'dim')]];
  const { pools } = history;
  if (pools.length === 0) lines.push([], [span('no pool is open', 'dim')]);
  const locks = locksSection(runtimes, width);
  const left = height === undefined ? undefined : height - lines.length - foot.length - locks.length;
  const shares = left === undefined ? undefined : divide(left, pools);
  for (const [i, pool] of pools.entries()) lines.push(...poolSection(pool, width, shares?.[i]));
  lines.push(...locks);
  if (height === undefined) return [...lines, ...foot];
  const body = lines.slice(0, Math.max(1, height - foot.length));
  while (body.length + foot.length < height) body.push([]);
  return [...body, ...foot].slice(0, height);
}

const HEAD_LINES = 7;

/** Lanes that each pool may show in so many lines: as many as it has, or an even share. */
function divide(lines: number, pools: readonly PoolView[]): number[] {
  let left = Math.max(0, lines - pools.length * HEAD_LINES);
  const shares = pools.map(() => 0);
  const order = [...pools.keys()].sort((a, b) => pools[a]!.workers.length - pools[b]!.workers.length);
  for (const [done, i] of order.entries()) {
    const share = Math.min(pools[i]!.workers.length, Math.floor(left / (order.length - done)));
    shares[i] = share;
    left -= share;
  }
  return shares;
}

const rate = (perSecond: number): string =>
  perSecond >= 10 || perSecond === 0 ? count(Math.round(perSecond)) : significant(perSecond);

function label(text: string): Span {
  return span(`  ${text.padEnd(LABEL - 2)}`, 'dim');
}

function poolSection(pool: PoolView, width: number, lanes: number | undefined): Line[] {
  const { now, workers } = pool;
  const size = `${workers.length} ${workers.length === 1 ? 'worker' : 'workers'}`;
  const head = `${size}   ${rate(pool.perSecond)} tasks/s`;
  const graph = width - LABEL - SIDE;
  const lines: Line[] = [
    [],
    [span(pad(clean(now.name), width - head.length - 1), 'bold'), span(` ${head}`)],
    graphLine(
      'throughput',
      pool.throughput,
      graph,
      `${rate(Math.max(0, ...pool.throughput.slice(-graph)))}/s peak`,
      'good',
    ),
    graphLine('queued', pool.queued, graph, `${count(pool.queued.at(-1) ?? 0)} now`, 'warm'),
    [label('by class'), ...classes(now.queues), ...figure('open', count(now.outstanding))],
    [label('time'), span(quantileText('run', pool.run)), span('   '), span(quantileText('wait', pool.wait))],
    [
      label('steals'),
      span(`${rate(pool.stealsPerSecond)}/s`),
      ...(now.stealAttempts > now.stealSuccesses
        ? [span(`  ${percent(now.stealSuccesses / now.stealAttempts)} of looks`, 'dim')]
        : []),
      ...(now.forks > 0 ? figure('forks', count(now.forks)) : []),
      ...figure('failed', count(now.failed), now.failed > 0 ? 'bad' : 'plain'),
      ...(now.cancelled > 0 ? figure('cancelled', count(now.cancelled)) : []),
    ],
  ];
  const shown =
    lanes === undefined || lanes >= workers.length ? workers : workers.slice(0, Math.max(0, lanes - 1));
  for (const worker of shown) lines.push(laneLine(worker, width));
  if (shown.length < workers.length)
    lines.push([label(''), span(`… ${workers.length - shown.length} more workers`, 'dim')]);
  return lines;
}

function figure(name: string, value: string, style: Span['style'] = 'plain'): Span[] {
  return [span(`   ${name} `, 'dim'), span(value, style)];
}

function graphLine(
  name: string,
  values: readonly number[],
  width: number,
  note: string,
  style: Span['style'],
): Line {
  return [label(name), span(sparkline(values, width), style), span(note.padStart(SIDE))];
}

function classes(queues: Readonly<Record<string, number>>): Span[] {
  return Object.entries(queues).flatMap(([name, size], i) => [
    span(`${i === 0 ? '' : '   '}${name} `, 'dim'),
    span(count(size), size > 0 ? 'warm' : 'plain'),
  ]);
}

function quantileText(name: string, times: PoolView['run']): string {
  if (times === undefined) return `${name} -`;
  return `${name} p50 ${time(times.p50)}  p99 ${time(times.p99)}`;
}

/** A bound of a bucket. */
function time(ms: number): string {
  if (!Number.isFinite(ms)) return '> 2 min';
  return ms < 1 ? `${significant(ms * 1000)} µs` : duration(ms);
}

const STATE_TEXT: Readonly<Record<LaneSample['state'], string>> = {
  booting: 'starting',
  running: 'busy',
  searching: 'looking',
  parked: 'parked',
  idle: 'idle',
  awaiting: 'awaiting',
};

function laneLine({ now, lane, busy, perSecond }: WorkerView, width: number): Line {
  const room = width - LABEL - SIDE;
  const shown = lane.slice(-Math.max(0, room));
  const spans: Span[] = [label(`worker ${now.id}`), span(' '.repeat(Math.max(0, room - shown.length)))];
  let run = '';
  let style: Span['style'] | undefined;
  for (const sample of shown) {
    const [char, its] = laneColumn(sample);
    if (its !== style && run !== '') {
      spans.push(span(run, style ?? 'plain'));
      run = '';
    }
    style = its;
    run += char;
  }
  if (run !== '') spans.push(span(run, style ?? 'plain'));
  const isBusy = now.state === 'running' || busy > 0.005;
  spans.push(
    span(` ${STATE_TEXT[now.state].padEnd(8)}`, isBusy ? 'plain' : 'dim'),
    span(`${percent(busy).padStart(5)}`, isBusy ? 'plain' : 'dim'),
    span(`${rate(perSecond)}/s`.padStart(SIDE - 14), perSecond > 0 ? 'plain' : 'dim'),
  );
  return spans;
}

/** A column of a lane: how busy, or in what way not. */
function laneColumn({ busy, state }: LaneSample): [string, Span['style']] {
  if (busy >= 0.005) return [level(busy), 'good'];
  if (state === 'awaiting') return ['╌', 'accent'];
  if (state === 'booting') return ['○', 'dim'];
  return ['·', 'dim'];
}

function locksSection(runtimes: readonly TopRuntime[], width: number): Line[] {
  const held = runtimes.flatMap((runtime) => runtime.held);
  const pending = runtimes.flatMap((runtime) => runtime.pending);
  const sumOf = (key: 'heldCount' | 'pendingCount' | 'deadlocks'): number =>
    runtimes.reduce((sum, runtime) => sum + runtime[key], 0);
  const [heldCount, pendingCount, deadlocks] = [
    sumOf('heldCount'),
    sumOf('pendingCount'),
    sumOf('deadlocks'),
  ];
  if (heldCount + pendingCount + deadlocks === 0) return [];
  const lines: Line[] = [
    [],
    [
      span('locks', 'bold'),
      ...figure('held', count(heldCount)),
      ...figure('waited for by', count(pendingCount), pendingCount > 0 ? 'warm' : 'plain'),
      ...figure('deadlocks', count(deadlocks), deadlocks > 0 ? 'bad' : 'plain'),
    ],
  ];
  const waits = new Map<string, string[]>();
  for (const { name, clientId } of pending) waits.set(name, [...(waits.get(name) ?? []), clientId]);
  // Those that somebody waits for come first.
  const rows = [...held].sort((a, b) => (waits.get(b.name)?.length ?? 0) - (waits.get(a.name)?.length ?? 0));
  const names = Math.min(24, Math.max(8, ...rows.map(({ name }) => clean(name).length)));
  for (const { name, clientId } of rows.slice(0, LOCKS_SHOWN)) {
    const waiting = waits.get(name) ?? [];
    const who = shorten(clean(clientId), width - names - 4);
    lines.push([span(`  ${pad(clean(name), names)}`), span(`  ${who}`, 'plain'), ...waiters(waiting)]);
  }
  if (heldCount > LOCKS_SHOWN) lines.push([span(`  … ${count(heldCount - LOCKS_SHOWN)} more`, 'dim')]);
  return lines;
}

function waiters(waiting: readonly string[]): Span[] {
  if (waiting.length === 0) return [];
  const more = waiting.length === 1 ? '' : ` and ${waiting.length - 1} more`;
  return [span('  ← ', 'dim'), span(clean(waiting[0]!), 'warm'), span(more, 'warm')];
}
