import type { Socket } from 'node:net';
import process from 'node:process';
import { topFolder } from '../../metrics/top-server.node.ts';
import type { TopSnapshot } from '../../metrics/top-snapshot.ts';
import { Interrupts } from '../interrupts.ts';
import { UsageError } from '../usage-error.ts';
import { findTargets, type Target, tryConnect, watch } from './attach.ts';
import { History } from './history.ts';
import { LiveView } from './live-view.ts';
import { paint } from './paint.ts';
import { Program } from './program.ts';
import { render } from './render.ts';

/** What `heddle top` was asked for. */
export interface TopSettings {
  /** Process to watch; undefined: the only one there is. */
  readonly pid: number | undefined;
  /** Program to start and watch, with its arguments. */
  readonly command: readonly string[] | undefined;
  readonly once: boolean;
  readonly json: boolean;
  /** Milliseconds between two looks. */
  readonly interval: number;
}

/** Rates want some time between the first look and the last. */
const ONCE_MS = 1000;
/** A look that gets no answer for so long ends. */
const ONCE_PATIENCE_MS = 5000;
const PLAIN_WIDTH = 80;

/**
 * Watches a process. Returns the exit code: 0, or that of the program that was started.
 *
 * @throws {UsageError} when there is nothing to watch, or more than one process, or no answer to a single look.
 */
export async function runTop(settings: TopSettings): Promise<number> {
  const interrupts = new Interrupts();
  const program = settings.command === undefined ? undefined : new Program(settings.command);
  try {
    const socket = await (program === undefined
      ? connectTo(settings.pid)
      : program.connect(interrupts.signal));
    const isLive = process.stdout.isTTY === true && !settings.once && !settings.json;
    if (isLive) await runLive(new LiveView(socket, settings.interval), interrupts.signal, program);
    else if (settings.json) await printJson(socket, settings, interrupts.signal);
    else await printOnce(socket, settings.interval, interrupts.signal);
    const hasEnded = isLive || settings.json;
    const exitCode =
      program === undefined ? 0 : await (hasEnded && !settings.once ? program.exitCode() : program.end());
    return interrupts.exitCode ?? (settings.once || !hasEnded ? 0 : exitCode);
  } finally {
    await program?.end();
    interrupts.dispose();
  }
}

async function runLive(view: LiveView, signal: AbortSignal, program: Program | undefined): Promise<void> {
  const outcome = await view.run(signal);
  if (outcome === 'left') {
    await program?.end();
    return;
  }
  if (program !== undefined) {
    await program.exitCode();
    process.stdout.write(program.output);
  }
  process.stdout.write(`${view.last()}\nthe process has ended\n`);
}

/** Snapshots as they come, one a line. */
async function printJson(
  socket: Socket,
  { interval, once }: TopSettings,
  signal: AbortSignal,
): Promise<void> {
  signal.addEventListener('abort', () => socket.destroy(), { once: true });
  if (signal.aborted) socket.destroy();
  const onSnapshot = (_: unknown, line: string): void => {
    if (socket.destroyed) return;
    process.stdout.write(`${line}\n`);
    if (once) socket.destroy();
  };
  await watch(socket, interval, onSnapshot, once ? ONCE_PATIENCE_MS : undefined);
}

/** The view as plain text, after a second's look. */
async function printOnce(socket: Socket, interval: number, signal: AbortSignal): Promise<void> {
  const history = new History();
  let firstMs: number | undefined;
  signal.addEventListener('abort', () => socket.destroy(), { once: true });
  if (signal.aborted) socket.destroy();
  const onSnapshot = (snapshot: TopSnapshot): void => {
    if (socket.destroyed) return;
    history.add(snapshot);
    firstMs ??= snapshot.atMs;
    if (snapshot.atMs - firstMs >= ONCE_MS) socket.destroy();
  };
  await watch(socket, Math.min(interval, ONCE_MS / 4), onSnapshot, ONCE_PATIENCE_MS);
  const width = process.stdout.columns ?? PLAIN_WIDTH;
  for (const line of render(history, { width, height: undefined }))
    process.stdout.write(`${paint(line, width, false)}\n`);
}

/** Connects to a process that can be watched. */
async function connectTo(pid: number | undefined): Promise<Socket> {
  const found = findTargets(topFolder()).filter((target) => pid === undefined || target.pid === pid);
  const open: { target: Target; socket: Socket }[] = [];
  for (const target of found) {
    const socket = await tryConnect(target);
    if (socket !== undefined) open.push({ target, socket });
  }
  if (open.length === 1) return open[0]!.socket;
  for (const { socket } of open) socket.destroy();
  if (open.length > 1) {
    const pids = open.map(({ target }) => target.pid).join(', ');
    throw new UsageError(`several processes can be watched; say which: heddle top PID, with one of ${pids}`);
  }
  throw new UsageError(
    pid === undefined
      ? 'no process can be watched; start one with HEDDLE_TOP=1 in its environment, or with: heddle top -- node program.js'
      : `process ${pid} cannot be watched; was it started with HEDDLE_TOP=1 in its environment?`,
  );
}
