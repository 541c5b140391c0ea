/** Histories of real threads over the compiled kernel. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import asc from 'assemblyscript/asc';
import binaryen from 'binaryen';
import { optimise } from '../../assembly/optimise.mjs';
import {
  CELL_SIZE,
  CELLS,
  DEQUE_BOTTOM,
  DEQUE_SIZE,
  DEQUE_TOP,
  DEQUE_TOP_SEEN,
  LOCK_SIZE,
  OWNER_SIZE,
  OWNER_WORD,
  WORD_OWNER_SHIFT,
} from '../../build/generated/layout.ts';
import { createMemory } from '../../ts/kernel/kernel.ts';
import type { Operation } from './checker.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Where the entry seems to stand: beside the files that it exports. */
const ENTRY_PATH = ['assembly', 'structures.ts'].join('/');
/** What the threads call. Of the deque the kernel itself exports only what is built of it. */
const ENTRY = `
export { initMemory } from './agents';
export { initDeque, push, pop, steal, stealBatch } from './deque';
export { cellAdd, cellLoad, cellStore, cellSwap, cellCas } from './cells';
export { prepareWait, tryLock, unlock, waitLock } from './mutex';
`;

/** One place of a source file that is made wrong. */
export interface Mutation {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Compiles the structures as the release kernel is compiled and optimised, or with a fault. */
export async function compileStructures(mutation?: Mutation): Promise<WebAssembly.Module> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [ENTRY_PATH, '--config', 'asconfig.json', '--target', 'release', '--outFile', 'structures.wasm'],
    {
      readFile(name, baseDir) {
        if (name === ENTRY_PATH) return ENTRY;
        let text: string;
        try {
          text = readFileSync(resolve(ROOT, baseDir, name), 'utf8');
        } catch {
          return null;
        }
        if (name !== mutation?.file) return text;
        // The mutants of the models stand there as comments, and may hold the same text.
        const code = text.replaceAll(/^ *\/\/ mutant .*$/gm, '');
        if (code.split(mutation.from).length !== 2)
          throw new Error(`${name} does not hold ${mutation.from} once`);
        return code.replace(mutation.from, mutation.to);
      },
      writeFile(name, content) {
        if (name.endsWith('.wasm')) binary = content as Uint8Array;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined) throw new Error(`asc failed: ${stderr.toString()}`);
  const module = optimise(binaryen, binary);
  const optimised = module.emitBinary() as Uint8Array<ArrayBuffer>;
  module.dispose();
  return WebAssembly.compile(optimised);
}

/** In the order of the numbers in thread.mjs. */
const NAMES = [
  '',
  'push',
  'pop',
  'steal',
  'batch',
  'add',
  'load',
  'store',
  'swap',
  'cas',
  '',
  '',
  'tryLock',
  'lock',
  'unlock',
];
const ARGUMENTS: Record<string, number> = { push: 1, batch: 1, add: 1, store: 1, swap: 1, cas: 2 };
const END = 10;
const REST = 11;
const LOG_WORDS = 2 ** 20;
const SPAN = 2 ** 16;
const PACE = 150;

export type Game = 'deque' | 'batches' | 'int32' | 'bool' | 'mutex';

export interface Plan {
  readonly module: WebAssembly.Module;
  readonly game: Game;
  readonly seed: number;
  readonly threads: number;
  readonly rounds: number;
  /** Most calls of one thread in one round. */
  readonly most: number;
  /** Where the indices of deques start. */
  readonly firstIndex?: number;
  /** Most looks at a word for which a thread dawdles before and after a call. */
  readonly pace?: number;
  /** Kills the last thread when it has made so many calls. */
  readonly killAfter?: number;
}

interface Entry {
  readonly round: number;
  readonly operation: Operation;
}

/** One thread's log as operations. */
function readLog(words: Int32Array, thread: number): Entry[] {
  const entries: Entry[] = [];
  const end = Atomics.load(words, 0);
  let round = 0;
  for (let at = 1; at < end; at += 6) {
    const [code, a, b, result, from, to] = words.subarray(at, at + 6) as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    if (code === END) {
      round++;
      continue;
    }
    if (code === REST) {
      const last = entries.at(-1)!;
      const taken = last.operation.result;
      const results = typeof taken === 'number' ? [taken, result] : [...taken, result];
      entries[entries.length - 1] = { round, operation: { ...last.operation, result: results } };
      continue;
    }
    const name = NAMES[code]!;
    const args = [a, b].slice(0, ARGUMENTS[name] ?? 0);
    const isTaken = name === 'batch' && result !== 0 && result !== 1;
    entries.push({
      round,
      operation: {
        thread,
        name,
        args,
        result: isTaken ? [result] : result,
        from,
        to: to === 0 ? Number.POSITIVE_INFINITY : to,
      },
    });
  }
  return entries;
}

/** Plays all rounds, and returns the history of each. */
export async function record(plan: Plan): Promise<Operation[][]> {
  const { module, game, seed, threads, rounds, most, firstIndex = 0 } = plan;
  const isCell = game === 'int32' || game === 'bool';
  const size = isCell ? CELL_SIZE : game === 'mutex' ? LOCK_SIZE : DEQUE_SIZE;
  // Beyond what initMemory() gives to spans: growing deques take those.
  const first = isCell ? CELLS : 128 * SPAN;
  const memory = createMemory(first + rounds * size + 64 * SPAN);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const calls = exports as Record<string, (...args: number[]) => number>;
  calls.initMemory!(first);
  const i32 = new Int32Array(memory.buffer);
  const own = first + rounds * size;
  if (game === 'mutex') {
    // A lock and an owner are what their records say: zeroes are a free lock.
    for (let thread = 0; thread < threads; thread++)
      i32[(own + thread * OWNER_SIZE + OWNER_WORD) >>> 2] = (thread + 1) << WORD_OWNER_SHIFT;
  } else if (!isCell) {
    for (let deque = first; deque < own + threads * size; deque += size) {
      calls.initDeque!(deque);
      for (const word of [DEQUE_TOP, DEQUE_BOTTOM, DEQUE_TOP_SEEN]) i32[(deque + word) >>> 2] = firstIndex;
    }
  }
  const shared = new SharedArrayBuffer(64);
  const objects = { first, size, own, held: own + (threads + 1) * size, ownerSize: OWNER_SIZE };
  const logs = Array.from({ length: threads }, () => new SharedArrayBuffer(4 * LOG_WORDS));
  const workers = logs.map(
    (log, thread) =>
      new Worker(new URL('./thread.mjs', import.meta.url), {
        workerData: {
          module,
          memory,
          thread,
          threads,
          seed,
          rounds,
          logWords: LOG_WORDS,
          log,
          shared,
          game,
          objects,
          most,
          pace: plan.pace ?? PACE,
          victim: plan.killAfter === undefined ? -1 : threads - 1,
        },
      }),
  );
  const message = (worker: Worker): Promise<unknown> =>
    new Promise((done, failed) => {
      worker.once('message', done);
      worker.once('error', failed);
    });
  await Promise.all(workers.map(message));
  const ends = workers.map(message);
  for (const worker of workers) worker.postMessage('go');
  if (plan.killAfter !== undefined) {
    const written = new Int32Array(logs.at(-1)!);
    while (Atomics.load(written, 0) < 6 * plan.killAfter) await new Promise(setImmediate);
    await workers.at(-1)!.terminate();
    ends.pop();
  }
  await Promise.all(ends);
  await Promise.all(workers.map((worker) => worker.terminate()));
  const histories: Operation[][] = Array.from({ length: rounds }, () => []);
  for (const [thread, log] of logs.entries()) {
    for (const { round, operation } of readLog(new Int32Array(log), thread))
      histories[round]!.push(operation);
  }
  return histories;
}
