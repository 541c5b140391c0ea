import Table from 'cli-table3';
import type { WorkerMetrics } from '../index.node.ts';
import type { Failure } from './failure.ts';
import { bytes, count, duration, oneLine, percent, significant } from './format.ts';
import type { Tally } from './progress.ts';

/** An input that failed, and why. */
export type FailedInput = Failure & { readonly input: string };

/** What a map did, for its closing summary. */
export interface MapReport {
  readonly tally: Readonly<Tally>;
  /** Undefined where nobody knows how many inputs there would have been. */
  readonly total: number | undefined;
  /** From the first task to the last result. */
  readonly wallMs: number;
  /** Sum of the durations of the tasks. */
  readonly taskMs: number;
  readonly workers: readonly WorkerMetrics[];
  /** Of all workers, ended ones included. */
  readonly steals: number;
  readonly parks: number;
  /** Workers that ended before the map did: a task killed them, or outlived its timeout. */
  readonly lostWorkers: number;
  readonly failures: readonly FailedInput[];
  /** Failures in workers that belong to no input: of timers, of rejections that nobody handled. */
  readonly strays: readonly Failure[];
  /** Why it stopped before the last input. */
  readonly stopped: string | undefined;
}

/** The failures, one a line: input, code (or class) and message. */
export function renderFailures({ failures, strays }: MapReport): string {
  const why = ({ code, name, message }: Failure): string => `${code ?? name}\t${oneLine(message)}\n`;
  return (
    section(
      'failed',
      failures.map((failure) => `${oneLine(failure.input)}\t${why(failure)}`),
    ) + section('outside of any task', strays.map(why))
  );
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}:\n${lines.map((line) => `  ${line}`).join('')}\n`;
}

/**
 * The summary: figures, then a table of the workers.
 *
 * @param colors - may use the terminal's
 */
export function renderSummary(report: MapReport, colors: boolean): string {
  const { tally, total, wallMs, taskMs } = report;
  const perSecond = (amount: number): number => (wallMs > 0 ? (amount / wallMs) * 1000 : 0);
  const facts: [string, string][] = [['items', items(report)]];
  if (report.stopped !== undefined) {
    const rest = total === undefined ? '' : `, ${count(total - tally.items)} not done`;
    facts.push(['stopped', `${report.stopped}${rest}`]);
  }
  if (tally.bytes > 0) facts.push(['bytes', bytes(tally.bytes)]);
  facts.push(['time', duration(wallMs)]);
  const byteRate = tally.bytes > 0 ? `, ${bytes(perSecond(tally.bytes))}/s` : '';
  facts.push(['rate', `${significant(perSecond(tally.items))} items/s${byteRate}`]);
  if (wallMs > 0) {
    facts.push(['speed-up', `${significant(taskMs / wallMs)} x (${duration(taskMs)} of tasks)`]);
  }
  if (report.lostWorkers > 0) facts.push(['replaced', `${count(report.lostWorkers)} of the workers`]);
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, fact]) => `${name.padEnd(width)}  ${fact}\n`).join('');
  return `${lines}${workerTable(report, colors)}\n`;
}

function items({ tally: { items: done, failed } }: MapReport): string {
  return failed === 0 ? count(done) : `${count(done)}, ${count(failed)} failed`;
}

function workerTable(report: MapReport, colors: boolean): string {
  const { tally, workers, steals, parks: allParks, lostWorkers } = report;
  const table = new Table({
    head: ['worker', 'tasks', 'utilisation', 'steals', 'parks'],
    colAligns: ['right', 'right', 'right', 'right', 'right'],
    style: { head: colors ? ['bold'] : [], border: colors ? ['gray'] : [], compact: true },
  });
  for (const { id, completed, failed, utilization, stealSuccesses, parks } of workers) {
    table.push([
      String(id),
      count(completed + failed),
      percent(utilization),
      count(stealSuccesses),
      count(parks),
    ]);
  }
  if (lostWorkers > 0) {
    // What no living worker did; a worker that dies takes its own count of tasks along.
    const rest = (all: number, of: (worker: WorkerMetrics) => number): string =>
      count(Math.max(0, all - workers.reduce((sum, worker) => sum + of(worker), 0)));
    table.push([
      'ended',
      rest(tally.items, ({ completed, failed }) => completed + failed),
      '',
      rest(steals, ({ stealSuccesses }) => stealSuccesses),
      rest(allParks, ({ parks }) => parks),
    ]);
  }
  return table.toString();
}
