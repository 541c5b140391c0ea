import { existsSync, readdirSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import type { TopSnapshot } from '../../metrics/top-snapshot.ts';
import { UsageError } from '../usage-error.ts';

const PIPES = '\\\\.\\pipe\\';
const PIPE = /^heddle-top-(\d+)(?:-\d+)?$/;
const SOCKET = /^(\d+)(?:-\d+)?\.sock$/;

/** A process that can be watched. */
export interface Target {
  readonly pid: number;
  readonly path: string;
}

/** The sockets in a folder, of processes that may have ended since. */
export function findTargets(folder: string): Target[] {
  const isWindows = process.platform === 'win32';
  if (!isWindows && !existsSync(folder)) return [];
  return readdirSync(isWindows ? PIPES : folder).flatMap((name) => {
    const pid = (isWindows ? PIPE : SOCKET).exec(name)?.[1];
    return pid === undefined
      ? []
      : [{ pid: Number(pid), path: isWindows ? PIPES + name : join(folder, name) }];
  });
}

/** Connects. Undefined when nobody is there any more; then the socket's file is removed. */
export function tryConnect({ pid, path }: Target): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // One that has just bound its socket does not listen yet.
      const isStale = error.code === 'ECONNREFUSED' && process.platform !== 'win32' && !isAlive(pid);
      if (isStale) rmSync(path, { force: true });
      resolve(undefined);
    });
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Asks for snapshots and calls back for each. Resolves when the process has ended, or the socket was destroyed.
 *
 * @param patienceMs - how long to wait for a snapshot. Without it: for ever
 * @throws {UsageError} when none came for so long.
 */
export async function watch(
  socket: Socket,
  everyMs: number,
  onSnapshot: (snapshot: TopSnapshot, line: string) => void,
  patienceMs?: number,
): Promise<void> {
  let isSilent = false;
  const onSilence = (): void => {
    isSilent = true;
    socket.destroy();
  };
  const timer = patienceMs === undefined ? undefined : setTimeout(onSilence, patienceMs);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  socket.write(`${JSON.stringify({ everyMs })}\n`);
  const lines = createInterface({ input: socket });
  lines.on('line', (line) => {
    const snapshot = parse(line);
    if (snapshot === undefined) return;
    timer?.refresh();
    onSnapshot(snapshot, line);
  });
  await closed;
  clearTimeout(timer);
  lines.close();
  if (isSilent)
    throw new UsageError(`no answer from the process for ${patienceMs! / 1000} s: its main thread is busy`);
}

function parse(line: string): TopSnapshot | undefined {
  try {
    const snapshot = JSON.parse(line) as TopSnapshot;
    return snapshot.version === 1 ? snapshot : undefined;
  } catch {
    return undefined;
  }
}
