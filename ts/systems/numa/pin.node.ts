/**
 * Pins the calling thread, on Linux. With the package `koffi` by system calls: sched_setaffinity(2), set_mempolicy(2), mbind(2). Without it the program
 * `taskset` does the first. What took effect is read back from /proc, because a mask that is partly outside of the cpuset is silently cut.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type Koffi from 'koffi';
import { kernelThreadId } from '../../platform/kernel-thread.ts';
import type { PinRequest, PinResult } from '../../platform/pin.ts';
import { formatIdList, parseIdList } from '../id-lists.ts';

/** Most time for `taskset`: nobody waits for it for ever. */
const TASKSET_MS = 5000;
const MPOL_DEFAULT = 0;
const MPOL_PREFERRED = 1;
const MPOL_MF_MOVE = 2;
/** Numbers of system calls that the C library has no function for, by architecture (asm/unistd.h). */
const CALLS: Readonly<Record<string, { mbind: number; setMempolicy: number }>> = {
  x64: { mbind: 237, setMempolicy: 238 },
  arm64: { mbind: 235, setMempolicy: 237 },
};
const NO_NODES = new Uint8Array(8);
/** The unit in which heddle gives shared memory out. */
const SPAN_BYTES = 65536;

interface Calls {
  setAffinity(thread: number, bytes: number, mask: Uint8Array): number;
  setMempolicy(number: number, mode: number, mask: Uint8Array, bits: number): number;
  mbind(
    number: number,
    at: Uint8Array,
    bytes: number,
    mode: number,
    mask: Uint8Array,
    bits: number,
    flags: number,
  ): number;
  errno(): string;
}

let calls: Calls | undefined;
let whyNot = '';

/** The system calls, if `koffi` is installed and works here. */
async function openCalls(): Promise<Calls | undefined> {
  if (calls !== undefined || whyNot !== '') return calls;
  try {
    const koffi: typeof Koffi = (await import('koffi')).default;
    const c = koffi.load(null);
    const names = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));
    calls = {
      setAffinity: c.func('int sched_setaffinity(int pid, size_t size, const uint8_t *mask)'),
      setMempolicy: c.func('syscall', 'long', ['long', 'long', 'const uint8_t *', 'long']),
      mbind: c.func('syscall', 'long', [
        'long',
        'uint8_t *',
        'long',
        'long',
        'const uint8_t *',
        'long',
        'long',
      ]),
      errno: () => names.get(koffi.errno()) ?? `errno ${koffi.errno()}`,
    } as Calls;
  } catch (error) {
    whyNot = error instanceof Error ? error.message.split('\n')[0]! : String(error);
  }
  return calls;
}

function maskOf(ids: readonly number[]): Uint8Array {
  // Whole words of 64 bits, as the kernel reads them.
  const mask = new Uint8Array((Math.floor(Math.max(...ids) / 64) + 1) * 8);
  for (const id of ids) mask[id >> 3]! |= 1 << (id & 7);
  return mask;
}

/** CPUs that the calling thread could run on before it was first pinned. */
let cpusBefore: readonly number[] | undefined;

/**
 * CPUs that the calling thread could run on before it was first pinned here; undefined: it was not. A pin says where one thread runs, not what the process may use.
 */
export function cpusBeforePinning(): readonly number[] | undefined {
  return cpusBefore;
}

/** CPUs that a thread of this process may run on; empty where that cannot be read. */
function allowedCpus(thread: number): readonly number[] {
  try {
    const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
    return parseIdList(/^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? '') ?? [];
  } catch {
    return [];
  }
}

function runTaskset(thread: number, cpus: readonly number[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(
      'taskset',
      ['-pc', formatIdList(cpus), String(thread)],
      { timeout: TASKSET_MS },
      (error, _stdout, stderr) => {
        if (error === null) resolve(undefined);
        else resolve((stderr.trim() || error.message).split('\n')[0]);
      },
    );
  });
}

/** Pins the calling thread to the CPUs of a node and lets its memory come from there; without a node, undoes that. Never rejects. */
export async function pinThread({ node, cpus }: PinRequest): Promise<PinResult> {
  const thread = kernelThreadId();
  if (process.platform !== 'linux' || thread === 0)
    return nothing([], `threads cannot be pinned on ${process.platform} here`);
  if (cpus.length === 0)
    return nothing(allowedCpus(thread), `node ${node} has no CPUs that this process may use`);
  if (cpusBefore === undefined && node !== undefined) {
    const before = allowedCpus(thread);
    if (before.length > 0) cpusBefore = before;
  }
  const reasons: string[] = [];
  const call = await openCalls();
  let means: PinResult['means'] = 'none';
  let memory: PinResult['memory'] = 'default';
  if (call !== undefined) {
    const mask = maskOf(cpus);
    if (call.setAffinity(0, mask.length, mask) === 0) means = 'syscall';
    else reasons.push(`sched_setaffinity: ${call.errno()}`);
    memory = preferMemory(call, node, reasons);
  } else reasons.push(`koffi: ${whyNot}`);
  if (means === 'none') {
    const failure = await runTaskset(thread, cpus);
    if (failure === undefined) means = 'taskset';
    else reasons.push(`taskset: ${failure}`);
  }
  const allowed = allowedCpus(thread);
  const isPinned = means !== 'none' && allowed.length > 0 && allowed.every((cpu) => cpus.includes(cpu));
  if (means !== 'none' && !isPinned)
    reasons.push(`the thread may run on ${formatIdList(allowed)}, not on ${formatIdList(cpus)} only`);
  const reason = reasons.length === 0 ? {} : { reason: reasons.join('; ') };
  return { isPinned, cpus: allowed, memory, means, ...reason };
}

/** New pages of this thread come from `node` first; from others when that is full, because a thread that may not have them dies. */
function preferMemory(call: Calls, node: number | undefined, reasons: string[]): PinResult['memory'] {
  const numbers = CALLS[process.arch];
  if (numbers === undefined) {
    reasons.push(`set_mempolicy: its number is not known on ${process.arch}`);
    return 'default';
  }
  if (node === undefined) {
    call.setMempolicy(numbers.setMempolicy, MPOL_DEFAULT, NO_NODES, 1);
    return 'default';
  }
  const mask = maskOf([node]);
  // The kernel reads one bit less than it is told.
  if (call.setMempolicy(numbers.setMempolicy, MPOL_PREFERRED, mask, mask.length * 8 + 1) === 0)
    return 'preferred';
  reasons.push(`set_mempolicy: ${call.errno()}`);
  return 'default';
}

function nothing(cpus: readonly number[], reason: string): PinResult {
  return { isPinned: false, cpus, memory: 'default', means: 'none', reason };
}

/** Moves the span at `address`, which another thread touched first, to a node. After pinThread(); without `koffi` it stays where it is. */
export function placeMemory(memory: WebAssembly.Memory, address: number, node: number): void {
  const numbers = CALLS[process.arch];
  if (calls === undefined || numbers === undefined) return;
  const mask = maskOf([node]);
  const span = new Uint8Array(memory.buffer, address >>> 0, SPAN_BYTES);
  // Best effort: a page that cannot be moved works where it is.
  calls.mbind(numbers.mbind, span, SPAN_BYTES, MPOL_PREFERRED, mask, mask.length * 8 + 1, MPOL_MF_MOVE);
}
