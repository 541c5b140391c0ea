import { once } from 'node:events';
import { statSync } from 'node:fs';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import type { PoolMetrics, RunOptions, Runtime, Settled, TaskPool } from '../index.node.ts';
import { ALWAYS_ROOM, mapOver } from '../pool/map.ts';
import { type Failure, toFailure } from './failure.ts';
import type { Inputs } from './inputs.ts';
import { Interrupts } from './interrupts.ts';
import type { MapSettings } from './map-settings.ts';
import { Places } from './places.ts';
import { openProgress, type Tally } from './progress.ts';
import { jsonLine, type Outcome, plainLine } from './result-lines.ts';
import type { FailedInput, MapReport } from './summary.ts';
import { TimeLimit } from './time-limit.ts';
import type { TimedInput, TimedTasks } from './timed-task.ts';

const EXIT_OK = 0;
const EXIT_FAILED = 1;
/** Inputs in the queue for each that runs: enough that no worker waits for this thread. */
const QUEUED_PER_RUNNING = 16;
/** A count that a lost worker took along never comes. */
const COUNT_ATTEMPTS = 20;

/**
 * Maps the inputs and writes each result as it comes.
 *
 * @returns what was done, and the exit code for it
 */
export async function mapInputs(
  runtime: Runtime,
  pool: TaskPool<TimedTasks>,
  task: string,
  inputs: Inputs,
  settings: MapSettings,
): Promise<MapReport & { readonly exitCode: number }> {
  const { threads, concurrency, timeout } = settings;
  const underWay = threads * concurrency * (1 + QUEUED_PER_RUNNING);
  const calls = new AbortController();
  const limit = timeout === undefined ? undefined : new TimeLimit(task, timeout, calls.signal);
  const times = runtime.alloc(Float64Array, underWay + 1);
  const places = new Places();
  const tally: Tally = { items: 0, failed: 0, bytes: 0 };
  const failures: FailedInput[] = [];
  const strays: Failure[] = [];
  /** Inputs that were under way when the map stopped: they have neither failed nor succeeded. */
  const abandoned = new Set<TimedInput>();
  let taskMs = 0;
  let lostWorkers = 0;
  let stopped: string | undefined;
  pool.on('workerExit', () => {
    lostWorkers++;
  });
  pool.on('error', (error) => strays.push(toFailure(error)));
  const interrupts = new Interrupts();
  const { signal } = interrupts;
  signal.addEventListener('abort', () => inputs.close(), { once: true });
  const progress = openProgress(tally, inputs.total);
  const write = async (text: string): Promise<void> => {
    if (progress !== undefined && process.stdout.isTTY) progress.write(text);
    else await writeOut(text, signal);
  };
  const start = performance.now();
  try {
    const stopAtFailure = (): void => {
      stopped ??= 'at the first failure (--fail-fast)';
      // A read of stdin under way would keep the map from ending.
      inputs.close();
      calls.abort();
    };
    const run = async (input: TimedInput, options: RunOptions | undefined): Promise<unknown> => {
      const call = (signal: AbortSignal): Promise<unknown> => pool.run(task, [input], { ...options, signal });
      try {
        return await (limit === undefined ? call(calls.signal) : limit.run(input, call));
      } catch (error) {
        if (calls.signal.aborted) abandoned.add(input);
        // Here rather than where the results are written: with --ordered it may have to wait for earlier ones.
        else if (settings.failFast) stopAtFailure();
        throw error;
      }
    };
    const results = mapOver(
      { ...ALWAYS_ROOM, run, defaultConcurrency: underWay },
      timedInputs(inputs.items, times, places),
      {
        settle: true,
        ordered: settings.ordered ?? false,
        signal,
        idempotent: settings.retries > 0,
      },
    ) as AsyncIterable<Settled<TimedInput, unknown>>;
    for await (const result of results) {
      const { input, place } = result.input;
      const time = times[place]!;
      places.release(place);
      if (abandoned.delete(result.input)) continue;
      const ms = time >= 0 ? time : undefined;
      taskMs += ms ?? timeout ?? 0;
      const { text, failure } = render(
        result.status === 'fulfilled'
          ? { input, ms, value: result.value }
          : { input, ms, failure: toFailure(result.reason) },
        settings.json ?? false,
      );
      tally.items++;
      tally.bytes += fileSize(input);
      if (failure !== undefined) {
        tally.failed++;
        failures.push({ input, ...failure });
      }
      await write(text);
      if (failure !== undefined && settings.failFast) {
        stopAtFailure();
        break;
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    stopped = interrupts.reason;
  } finally {
    calls.abort();
    progress?.stop();
    interrupts.dispose();
  }
  const wallMs = performance.now() - start;
  const { workers, stealSuccesses, parks } = await settledMetrics(pool, tally.items);
  return {
    tally,
    total: inputs.total,
    wallMs,
    taskMs,
    workers,
    steals: stealSuccesses,
    parks,
    lostWorkers,
    failures,
    strays,
    stopped,
    exitCode: interrupts.exitCode ?? (tally.failed > 0 ? EXIT_FAILED : EXIT_OK),
  };
}

/** A worker counts a task a moment after its result has come: waits for that, within reason. */
async function settledMetrics(pool: TaskPool<TimedTasks>, items: number): Promise<PoolMetrics> {
  for (let attempt = 0; ; attempt++) {
    const metrics = pool.metrics();
    const counted = metrics.workers.reduce((sum, { completed, failed }) => sum + completed + failed, 0);
    if (counted >= items || attempt === COUNT_ATTEMPTS) return metrics;
    await setTimeout(1);
  }
}

/** The inputs as the timed task takes them, each with a place of its own while it is under way. */
function timedInputs(
  items: Inputs['items'],
  times: Float64Array,
  places: Places,
): Iterable<TimedInput> | AsyncIterable<TimedInput> {
  const timed = (input: string): TimedInput => {
    const place = places.take();
    times[place] = Number.NaN;
    return { input, times, place };
  };
  if (Symbol.asyncIterator in items) {
    return (async function* () {
      for await (const input of items) yield timed(input);
    })();
  }
  return (function* () {
    for (const input of items) yield timed(input);
  })();
}

/** The text of a result. One that cannot be written is a failure. */
function render(outcome: Outcome, json: boolean): { text: string; failure: Failure | undefined } {
  if (!json) return { text: plainLine(outcome), failure: outcome.failure };
  try {
    return { text: jsonLine(outcome), failure: outcome.failure };
  } catch (error) {
    const { input, ms } = outcome;
    const failure = {
      ...toFailure(error),
      message: `the result cannot be written as JSON: ${(error as Error).message}`,
    };
    return { text: jsonLine({ input, ms, failure }), failure };
  }
}

/** Writes to stdout, at the pace of its reader. */
async function writeOut(text: string, signal: AbortSignal): Promise<void> {
  if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain', { signal });
}

/** 0 for what is no file. */
function fileSize(path: string): number {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat?.isFile() ? stat.size : 0;
  } catch {
    // A line of text need not be a possible path.
    return 0;
  }
}
