import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../build/cli.js', import.meta.url));

/** What a run of the command left behind. */
export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Path of the module of tasks. */
export const TASKS: string = fileURLToPath(new URL('./fixtures/tasks.mjs', import.meta.url));

/** Starts the command with pipes. */
export function startHeddle(args: readonly string[], cwd?: string): ChildProcess {
  return spawn(process.execPath, [CLI, ...args], { stdio: 'pipe', ...(cwd === undefined ? {} : { cwd }) });
}

/** Waits until the command has ended. */
export async function finish(child: ChildProcess): Promise<Run> {
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** Runs the command to its end, with these lines as its stdin. */
export function heddle(args: readonly string[], lines: readonly string[] = [], cwd?: string): Promise<Run> {
  const child = startHeddle(args, cwd);
  // A command that ends early does not read all of it.
  child.stdin!.on('error', () => undefined);
  child.stdin!.end(lines.map((line) => `${line}\n`).join(''));
  return finish(child);
}

/** The objects of NDJSON. */
export function records(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
