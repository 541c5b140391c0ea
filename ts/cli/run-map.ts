import { type FileHandle, open, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { createRuntime, type NodeSystems, type TaskPool } from '../index.node.ts';
import { chromeTrace } from './chrome-trace.ts';
import { openInputs } from './inputs.ts';
import { mapInputs } from './map-loop.ts';
import { openPool } from './map-pool.ts';
import type { MapSettings } from './map-settings.ts';
import { renderFailures, renderSummary } from './summary.ts';
import { parseTask, type TaskRef } from './task-name.ts';
import type { TimedTasks } from './timed-task.ts';
import { UsageError } from './usage-error.ts';

/**
 * Runs a task over the inputs: results to stdout, progress, failures and a summary to stderr.
 *
 * @param systems - what was found out about the machine
 * @returns the exit code: 0, 1 when an input failed, 128 and the signal's number when it was interrupted
 * @throws {UsageError} before anything ran
 */
export async function runMap(settings: MapSettings, systems: NodeSystems): Promise<number> {
  const task = parseTask(settings.task);
  const inputs = await openInputs(settings.inputs, settings);
  const trace = settings.trace === undefined ? undefined : await openTrace(settings.trace);
  const runtime = await createRuntime({ systems });
  try {
    const pool = await openPool(runtime, task, settings);
    const report = await mapInputs(runtime, pool, task.name, inputs, settings);
    if (trace !== undefined) await writeTrace(trace, pool, task);
    const colors = process.stderr.isTTY && process.stderr.hasColors();
    process.stderr.write(`\n${renderFailures(report)}${renderSummary(report, colors)}`);
    return report.exitCode;
  } finally {
    inputs.close();
    await trace?.close();
    await runtime.dispose();
  }
}

/** Before the work, so that a path that cannot be written costs none. */
async function openTrace(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'w');
  } catch (error) {
    throw new UsageError(`cannot write the trace: ${(error as Error).message}`);
  }
}

async function writeTrace(file: FileHandle, pool: TaskPool<TimedTasks>, task: TaskRef): Promise<void> {
  await writeFile(file, chromeTrace(pool.trace(), `heddle map ${task.module}#${task.name}`));
}
