/**
 * Lets `heddle top` look at this process: a local socket that hands out snapshots, one JSON a line, to whoever connects and says how often it wants them. Nothing
 * is read while nobody is connected, and nothing of it keeps the process alive.
 */
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import process from 'node:process';
import { threadId } from 'node:worker_threads';
import { HeddleError, InvalidTypeError } from '../errors.ts';
import { checkOptions, describe, string } from '../options.ts';
import { liveRuntimes } from '../runtime/live-runtimes.ts';
import { type TopSnapshot, topRuntime } from './top-snapshot.ts';

/** Options of {@link serveTop}. */
export interface TopServerOptions {
  /** Folder for the socket. Default: one of the user's own in the folder for temporary files, where `heddle top` looks. */
  readonly folder?: string;
}

/** What {@link serveTop} opened. */
export interface TopServer extends AsyncDisposable {
  /** Path of the socket; on Windows, name of the pipe. */
  readonly path: string;
  /** Closes it, unless somebody else in this thread has it open. May be called again. */
  close(): Promise<void>;
}

const EVERY_LEAST_MS = 50;
const EVERY_MOST_MS = 60_000;
const CLIENTS_MOST = 16;
const REQUEST_MOST = 256;
/** Longest path of a socket on the systems that have them. */
const PATH_MOST = 103;

/** Folder where processes of this user are found. */
export function topFolder(): string {
  const user = process.getuid?.() ?? 'user';
  return join(tmpdir(), `heddle-top-${user}`);
}

/** Name of the socket, or pipe, of a process in a folder. */
function socketPath(folder: string): string {
  const name = threadId === 0 ? `${process.pid}` : `${process.pid}-${threadId}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\heddle-top-${name}` : join(folder, `${name}.sock`);
}

/** Makes the folder, for this user only. Others could put sockets of theirs where it is writable for them. */
function openFolder(folder: string): void {
  if (process.platform === 'win32') return;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = statSync(folder);
  if (process.getuid !== undefined && uid !== process.getuid())
    throw new InvalidTypeError(`cannot serve heddle top: folder ${folder} belongs to another user`);
  if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0)
    throw new InvalidTypeError(`cannot serve heddle top: others may write to folder ${folder}`);
}

/** This process now. */
function snapshot(): TopSnapshot {
  return {
    version: 1,
    pid: process.pid,
    title: process.argv
      .map((word, i) => (i < 2 ? basename(word) : word))
      .join(' ')
      .slice(0, 500),
    upMs: process.uptime() * 1000,
    atMs: performance.now(),
    rssBytes: process.memoryUsage.rss(),
    runtimes: liveRuntimes().map(topRuntime),
  };
}

function serve(socket: Socket): void {
  let timer: NodeJS.Timeout | undefined;
  let request = '';
  const send = (): void => {
    // One who does not read misses some.
    if (!socket.writableNeedDrain) socket.write(`${JSON.stringify(snapshot())}\n`);
  };
  socket.unref();
  socket.setEncoding('utf8');
  socket.on('error', () => undefined);
  socket.on('close', () => clearInterval(timer));
  socket.on('data', (text: string) => {
    request += text;
    if (request.length > REQUEST_MOST) socket.destroy();
    const end = request.indexOf('\n');
    if (end < 0 || timer !== undefined) return;
    const everyMs = everyOf(request.slice(0, end));
    if (everyMs === undefined) {
      socket.destroy();
      return;
    }
    send();
    timer = setInterval(send, everyMs).unref();
  });
}

/** Milliseconds between snapshots that a request asks for. */
function everyOf(request: string): number | undefined {
  try {
    const { everyMs } = JSON.parse(request) as { everyMs?: unknown };
    if (typeof everyMs !== 'number' || !Number.isFinite(everyMs)) return undefined;
    return Math.min(EVERY_MOST_MS, Math.max(EVERY_LEAST_MS, everyMs));
  } catch {
    return undefined;
  }
}

/** A socket, for all who asked for its path. */
interface SharedServer {
  users: number;
  /** How to close it, once it is open. */
  readonly opened: Promise<() => Promise<void>>;
}

const servers = new Map<string, SharedServer>();

/** Opens a socket. Resolves with what closes it. */
async function open(folder: string, path: string): Promise<() => Promise<void>> {
  const server = createServer(serve);
  server.maxConnections = CLIENTS_MOST;
  const remove = (): void => {
    if (process.platform !== 'win32') rmSync(path, { force: true });
  };
  try {
    openFolder(folder);
    // Of a process that had our id before.
    remove();
    await new Promise<void>((done, reject) => {
      server.once('error', reject);
      server.listen(path, done);
    });
    if (process.platform !== 'win32') chmodSync(path, 0o600);
  } catch (cause) {
    server.close();
    throw cause instanceof HeddleError
      ? cause
      : new HeddleError('ERR_RESOURCE_LIMIT', `cannot serve heddle top on ${path}`, { cause });
  }
  server.on('error', () => undefined);
  server.unref();
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  process.on('exit', remove);
  return async () => {
    process.off('exit', remove);
    for (const socket of sockets) socket.destroy();
    if (!server.listening) return;
    await new Promise<void>((done) => server.close(() => done()));
  };
}

/**
 * Opens a local socket on which `heddle top` looks at this process. Only the same user may connect. With the environment variable `HEDDLE_TOP` it is opened when
 * heddle is loaded. Who asks for a socket that is open shares it: the last one closes it.
 *
 * Rejects with {@link InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong option, or a folder that is not this user's; ERR_RESOURCE_LIMIT when the socket cannot be
 * opened, with the reason as `cause`.
 */
export async function serveTop(options: TopServerOptions = {}): Promise<TopServer> {
  checkOptions(options, { folder: string }, 'serveTop()');
  const folder = options.folder ?? topFolder();
  const path = socketPath(folder);
  if (process.platform !== 'win32' && path.length > PATH_MOST)
    throw new InvalidTypeError(
      `cannot serve heddle top: the path ${describe(path)} is too long for a socket`,
    );
  const key = resolve(path);
  const shared = servers.get(key) ?? { users: 0, opened: open(folder, path) };
  servers.set(key, shared);
  shared.users++;
  let end: () => Promise<void>;
  try {
    end = await shared.opened;
  } catch (error) {
    if (--shared.users === 0) servers.delete(key);
    throw error;
  }
  const leave = async (): Promise<void> => {
    if (--shared.users > 0) return;
    servers.delete(key);
    await end();
  };
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= leave();
    return closing;
  };
  return { path, close, [Symbol.asyncDispose]: close };
}
