import type { TopBuckets, TopPool, TopSnapshot, TopWorker } from '../../metrics/top-snapshot.ts';

/** Samples that are kept, so as many columns can show something. */
const KEPT = 400;
/** Rates and quantiles are of about so many milliseconds. */
const WINDOW_MS = 2000;

/** One sample of a worker's lane. */
export interface LaneSample {
  /** Share of the time in which it ran tasks. */
  readonly busy: number;
  readonly state: TopWorker['state'];
}

/** A worker as it is drawn. */
export interface WorkerView {
  readonly now: TopWorker;
  /** Oldest first. */
  readonly lane: readonly LaneSample[];
  /** Over the window. */
  readonly busy: number;
  readonly perSecond: number;
}

/** A pool as it is drawn. */
export interface PoolView {
  readonly now: TopPool;
  /** Completed a second, of each sample, oldest first. */
  readonly throughput: readonly number[];
  /** Tasks in queues, of each sample. */
  readonly queued: readonly number[];
  /** Over the window. */
  readonly perSecond: number;
  readonly stealsPerSecond: number;
  /** Quantiles over the window, in milliseconds; undefined when nothing ran. */
  readonly run: { readonly p50: number; readonly p99: number } | undefined;
  readonly wait: { readonly p50: number; readonly p99: number } | undefined;
  readonly workers: readonly WorkerView[];
}

interface PoolState {
  readonly samples: { readonly atMs: number; readonly pool: TopPool }[];
  readonly throughput: number[];
  readonly queued: number[];
  readonly lanes: Map<number, { threadId: number; readonly samples: LaneSample[] }>;
}

/** What `heddle top` has seen of a process. */
export class History {
  readonly #pools = new Map<string, PoolState>();
  snapshot: TopSnapshot | undefined;

  /** Takes a snapshot in. */
  add(snapshot: TopSnapshot): void {
    const seen = new Set<string>();
    for (const [key, pool] of poolsOf(snapshot)) {
      seen.add(key);
      const state = this.#pools.get(key) ?? { samples: [], throughput: [], queued: [], lanes: new Map() };
      this.#pools.set(key, state);
      addSample(state, snapshot.atMs, pool);
    }
    for (const key of this.#pools.keys()) if (!seen.has(key)) this.#pools.delete(key);
    this.snapshot = snapshot;
  }

  /** The pools, in the order in which they were opened. */
  get pools(): PoolView[] {
    return [...this.#pools.values()].map(viewOf);
  }
}

/** Pools with a key that is theirs from one snapshot to the next. */
function poolsOf({ runtimes }: TopSnapshot): [string, TopPool][] {
  const count = new Map<string, number>();
  return runtimes.flatMap(({ pools }) =>
    pools.map((pool): [string, TopPool] => {
      const nth = count.get(pool.name) ?? 0;
      count.set(pool.name, nth + 1);
      return [`${pool.name}\n${nth}`, pool];
    }),
  );
}

const queuedIn = ({ queues }: TopPool): number => Object.values(queues).reduce((sum, size) => sum + size, 0);

function keep<T>(list: T[], item: T, most: number = KEPT): void {
  list.push(item);
  if (list.length > most) list.shift();
}

function addSample(state: PoolState, atMs: number, pool: TopPool): void {
  const last = state.samples.at(-1);
  const isSame = last !== undefined && pool.completed >= last.pool.completed && atMs > last.atMs;
  if (isSame) {
    const ms = atMs - last.atMs;
    keep(state.throughput, ((pool.completed - last.pool.completed) / ms) * 1000);
    for (const worker of pool.workers) addLane(state, worker, last.pool, ms);
    keep(state.queued, queuedIn(pool));
  }
  for (const id of state.lanes.keys())
    if (!pool.workers.some((worker) => worker.id === id)) state.lanes.delete(id);
  state.samples.push({ atMs, pool });
  while (state.samples.length > 2 && atMs - state.samples[1]!.atMs >= WINDOW_MS) state.samples.shift();
}

function addLane(state: PoolState, worker: TopWorker, last: TopPool, ms: number): void {
  let lane = state.lanes.get(worker.id);
  // Another thread in the place of one that ended.
  if (lane?.threadId !== worker.threadId) lane = { threadId: worker.threadId, samples: [] };
  state.lanes.set(worker.id, lane);
  const before = last.workers.find(({ id, threadId }) => id === worker.id && threadId === worker.threadId);
  keep(lane.samples, { busy: before === undefined ? 0 : busyShare(worker, before, ms), state: worker.state });
}

function busyShare(worker: TopWorker, before: TopWorker, ms: number): number {
  return Math.min(1, Math.max(0, (worker.busyMs - before.busyMs) / ms));
}

function viewOf({ samples, throughput, queued, lanes }: PoolState): PoolView {
  const first = samples[0]!;
  const last = samples.at(-1)!;
  const { pool: now } = last;
  const ms = last.atMs - first.atMs;
  const perSecond = (a: number, b: number): number => (ms > 0 ? (Math.max(0, a - b) / ms) * 1000 : 0);
  const inWindow = samples.length - 1;
  return {
    now,
    throughput,
    queued,
    perSecond: perSecond(now.completed, first.pool.completed),
    stealsPerSecond: perSecond(now.stealSuccesses, first.pool.stealSuccesses),
    run: quantiles(now.run, samples.length > 1 ? first.pool.run : []),
    wait: quantiles(now.wait, samples.length > 1 ? first.pool.wait : []),
    workers: now.workers.map((worker) => {
      const lane = lanes.get(worker.id)?.samples ?? [];
      const recent = lane.slice(-inWindow);
      const before = first.pool.workers.find(({ threadId }) => threadId === worker.threadId);
      return {
        now: worker,
        lane,
        busy: recent.length === 0 ? 0 : recent.reduce((sum, { busy }) => sum + busy, 0) / recent.length,
        perSecond:
          before === undefined
            ? 0
            : perSecond(worker.completed + worker.failed, before.completed + before.failed),
      };
    }),
  };
}

/** Quantiles of what came between two readings; of all when nothing did. */
function quantiles(now: TopBuckets, before: TopBuckets): { p50: number; p99: number } | undefined {
  const old = new Map(before);
  let fresh = now.map(([toMs, count]) => [toMs, count - (old.get(toMs) ?? 0)] as const);
  if (fresh.every(([, count]) => count <= 0)) fresh = now.map(([toMs, count]) => [toMs, count] as const);
  const total = fresh.reduce((sum, [, count]) => sum + Math.max(0, count), 0);
  if (total === 0) return undefined;
  const at = (share: number): number => {
    let left = share * total;
    for (const [toMs, count] of fresh) {
      left -= Math.max(0, count);
      if (left <= 0) return toMs ?? Number.POSITIVE_INFINITY;
    }
    return Number.POSITIVE_INFINITY;
  };
  return { p50: at(0.5), p99: at(0.99) };
}
