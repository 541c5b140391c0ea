// Tasks of tests/numa/guest.mjs.
import { readFileSync } from 'node:fs';
import { context, fork, join } from 'heddle/task';

/** CPUs that the thread may run on, as the kernel lists them. */
export function allowedCpus() {
  const [, cpus] = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8'));
  return { worker: context().worker, cpus };
}

/** Priority of the thread, as the kernel counts it. */
export function niceness() {
  return Number(readFileSync('/proc/thread-self/stat', 'utf8').split(') ').at(-1).split(' ')[16]);
}

const kept = [];

/** Touches new memory, and tells how many of its pages numa_maps shows on which node. */
export async function touch(pages) {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const bytes = new Uint8Array(memory.buffer).fill(1);
  kept.push(memory);
  const { default: koffi } = await import('koffi');
  const memchr = koffi.load(null).func('uintptr_t memchr(const uint8_t *bytes, int byte, size_t length)');
  const address = BigInt(memchr(bytes, 1, bytes.length));
  const maps = readFileSync('/proc/self/numa_maps', 'utf8').split('\n');
  const line = maps.find((each) => BigInt(`0x${each.split(' ')[0]}`) === address);
  const nodes = {};
  for (const [, node, count] of line.matchAll(/ N(\d+)=(\d+)/g)) nodes[node] = Number(count);
  return { worker: context().worker, nodes };
}

/** Blocks its worker until word 0 is set; word 1 counts those that are here. */
export function hold(words) {
  Atomics.add(words, 1, 1);
  Atomics.wait(words, 0, 0);
}

/** Runs for so many milliseconds; tells who ran it and when it began. */
export function spin(ms) {
  const start = Date.now();
  const end = performance.now() + ms;
  while (performance.now() < end);
  return { worker: context().worker, start };
}

/** A tree of forks, its leaves as spin() tells them. */
export function leaves(depth, ms) {
  if (depth === 0) return [spin(ms)];
  const left = fork(leaves, depth - 1, ms);
  const right = leaves(depth - 1, ms);
  return [...join(left), ...right];
}
