import {
  AGENT_TRACE,
  TRACE_CAPACITY,
  TRACE_EVENT_SIZE,
  TRACE_EVENTS,
  TRACE_NEXT,
  TRACE_PARK,
  TRACE_STEAL,
  TRACE_TASK,
} from '../../build/generated/layout.ts';
import type { Clock } from '../clock.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { TraceEvent } from '../pool/types.ts';

/** A worker's ring of events in shared memory; the pool made it and reads it (picture: assembly/layout.ts). */
export class TraceRing {
  readonly #kernel: Kernel;
  readonly #ring: number;
  readonly #capacity: number;
  readonly clock: Clock;

  constructor(kernel: Kernel, agent: number, clock: Clock) {
    this.#kernel = kernel;
    this.#ring = kernel.i32[(agent + AGENT_TRACE) >>> 2]!;
    this.#capacity = kernel.i32[(this.#ring + TRACE_CAPACITY) >>> 2]!;
    this.clock = clock;
  }

  /** Adds an event; the oldest makes room. Times are milliseconds since the epoch. */
  add(type: number, detail: number, startMs: number, endMs: number): void {
    const { i32, f64 } = this.#kernel;
    const capacity = this.#capacity;
    const next = i32[(this.#ring + TRACE_NEXT) >>> 2]! >>> 0;
    const at = this.#ring + TRACE_EVENTS + (next % capacity) * TRACE_EVENT_SIZE;
    i32[at >>> 2] = type;
    i32[(at >>> 2) + 1] = detail;
    f64[(at >>> 3) + 1] = startMs;
    f64[(at >>> 3) + 2] = endMs;
    // Publishes the event; a reader that comes in the middle of a wrap may see one event torn, and says so.
    Atomics.store(i32, (this.#ring + TRACE_NEXT) >>> 2, afterEvent(next, capacity));
  }
}

/** A full ring counts from `capacity` to twice that and again: no count overflows, however long the worker lives. */
function afterEvent(next: number, capacity: number): number {
  const after = next + 1;
  return after < 2 * capacity ? after : capacity + (after % capacity);
}

const TYPES: Readonly<Record<number, TraceEvent['type']>> = {
  [TRACE_TASK]: 'task',
  [TRACE_STEAL]: 'steal',
  [TRACE_PARK]: 'park',
};

/** Bytes of a ring for so many events. */
export function traceRingBytes(capacity: number): number {
  return TRACE_EVENTS + capacity * TRACE_EVENT_SIZE;
}

/** Where a ring lies: the shared memory, or a copy. */
type RingMemory = Pick<Kernel, 'i32' | 'f64'>;

/** Index of the oldest event that a ring still has, and that of the next one. */
function extentOf({ i32 }: RingMemory, ring: number): { readonly first: number; readonly next: number } {
  const capacity = i32[(ring + TRACE_CAPACITY) >>> 2]!;
  const next = Atomics.load(i32, (ring + TRACE_NEXT) >>> 2) >>> 0;
  return { first: Math.max(0, next - capacity), next };
}

/** A ring whose worker has ended, outside the shared memory. */
export interface TraceCopy {
  readonly memory: RingMemory;
  readonly worker: number;
  readonly events: number;
}

/** Copies a ring, as far as it was used. */
export function copyTraceRing(kernel: Kernel, ring: number, worker: number): TraceCopy {
  const { first, next } = extentOf(kernel, ring);
  const from = ring >>> 0;
  const { buffer } = kernel.u8.slice(from, from + traceRingBytes(next - first));
  return {
    memory: { i32: new Int32Array(buffer), f64: new Float64Array(buffer) },
    worker,
    events: next - first,
  };
}

/** Adds the events of one worker's ring, oldest first. One by one: there may be more than a call can have arguments. */
export function readTraceRing(
  memory: RingMemory,
  ring: number,
  worker: number,
  names: readonly string[],
  events: TraceEvent[],
): void {
  const { i32, f64 } = memory;
  const capacity = i32[(ring + TRACE_CAPACITY) >>> 2]!;
  const { first, next } = extentOf(memory, ring);
  for (let i = first; i < next; i++) {
    const at = ring + TRACE_EVENTS + (i % capacity) * TRACE_EVENT_SIZE;
    const type = TYPES[i32[at >>> 2]!];
    if (type === undefined) continue;
    const name = type === 'task' || type === 'steal' ? names[i32[(at >>> 2) + 1]!] : undefined;
    events.push({
      type,
      worker,
      ...(name === undefined ? {} : { name }),
      startMs: f64[(at >>> 3) + 1]!,
      endMs: f64[(at >>> 3) + 2]!,
    });
  }
}
