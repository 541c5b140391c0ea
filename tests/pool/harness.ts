import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createRuntime, type PoolOptions, type Runtime, type RuntimeOptions, type TaskPool } from 'heddle';
import { afterEach } from 'vitest';

/** The module of most tests. */
export const TASKS: URL = new URL('../fixtures/tasks.mjs', import.meta.url);
export const fixture = (name: string): URL => new URL(`../fixtures/${name}`, import.meta.url);

const open = new Set<Runtime>();

afterEach(async () => {
  for (const runtime of [...open]) {
    open.delete(runtime);
    await runtime.dispose();
  }
});

/** A runtime that goes with the test. */
export async function openRuntime(options?: RuntimeOptions): Promise<Runtime> {
  const runtime = await createRuntime(options);
  open.add(runtime);
  return runtime;
}

/** A pool of one worker, unless told otherwise, on a runtime that goes with the test. */
export async function openPool(
  options: Partial<PoolOptions> = {},
  runtimeOptions?: RuntimeOptions,
): Promise<{ rt: Runtime; pool: TaskPool }> {
  const rt = await openRuntime(runtimeOptions);
  const pool = await openPoolOn(rt, options);
  return { rt, pool };
}

export async function openPoolOn(rt: Runtime, options: Partial<PoolOptions> = {}): Promise<TaskPool> {
  const threads = options.maxThreads ?? Math.max(1, options.minThreads ?? 1);
  const pool = await rt.createPool({
    tasks: TASKS,
    minThreads: threads,
    maxThreads: threads,
    submitStacks: 'never',
    ...options,
  });
  await pool.ready();
  return pool;
}

/** Resolves when the condition holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** A turn of the event loop that leaves the core to the workers for a moment. */
export const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** A gate that `hold` and `holdAsync` of the fixture wait for. */
export interface Gate {
  readonly name: string;
  open(): void;
  /** How many tasks are at the gate. */
  readonly waiting: number;
  /** Resolves when so many tasks are at the gate. */
  reached(tasks: number): Promise<void>;
}

let gates = 0;

export function gateOf(rt: Runtime): Gate {
  const name = `gate-${gates++}`;
  const inside = rt.atomicInt32(`${name}:in`);
  return {
    name,
    open: () => rt.atomicInt32(name).store(1),
    get waiting() {
      return inside.load();
    },
    reached: (tasks) => until(() => inside.load() >= tasks),
  };
}

/** What a promise came to, without its throwing; for many at once. */
export type Outcome =
  | { readonly ok: true; readonly value: any }
  | { readonly ok: false; readonly error: any };

export const outcome = (promise: PromiseLike<unknown>): Promise<Outcome> =>
  Promise.resolve(promise).then(
    (value): Outcome => ({ ok: true, value }),
    (error): Outcome => ({ ok: false, error }),
  );

/** The error that a promise rejects with. */
export async function rejectionOf(promise: PromiseLike<unknown>): Promise<any> {
  const result = await outcome(promise);
  if (result.ok) throw new Error(`expected a rejection, got ${String(result.value)}`);
  return result.error;
}

/** The error that a call throws. */
export function thrownBy(call: () => unknown): any {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('expected the call to throw');
}

/** Has the promise settled, once everything that is due has run? */
export async function isPending(promise: PromiseLike<unknown>): Promise<boolean> {
  let pending = true;
  Promise.resolve(promise).then(
    () => (pending = false),
    () => (pending = false),
  );
  await turn();
  await turn();
  return pending;
}

export interface Finished {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Milliseconds from its line 'end of main' to its exit; NaN without one. */
  readonly lingeredMs: number;
}

/** Runs a program of fixtures/programs in a process of its own. It is killed after `limitMs`. */
export function runProgram(name: string, args: readonly string[] = [], limitMs = 20_000): Promise<Finished> {
  const flags = args.filter((arg) => arg.startsWith('--'));
  const rest = args.filter((arg) => !arg.startsWith('--'));
  const child = spawn(process.execPath, [...flags, fileURLToPath(fixture(`programs/${name}`)), ...rest], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  let stdout = '';
  let stderr = '';
  let endedAt = Number.NaN;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (Number.isNaN(endedAt) && stdout.includes('end of main')) endedAt = performance.now();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    let exitedAt = Number.NaN;
    child.on('exit', () => {
      exitedAt = performance.now();
    });
    child.on('close', (code, signal) => {
      clearTimeout(killer);
      resolve({ code, signal, stdout, stderr, lingeredMs: exitedAt - endedAt });
    });
  });
}
