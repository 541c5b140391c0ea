import type { Runtime, TaskPool } from 'heddle';
import { describe, expect, it } from 'vitest';
import {
  AGENT_KIND,
  AGENT_SIZE,
  AGENT_TRACE,
  AGENTS,
  KIND_WORKER,
  MAX_AGENTS,
  TRACE_CAPACITY,
  TRACE_EVENT_SIZE,
  TRACE_EVENTS,
  TRACE_NEXT,
  TRACE_TASK,
} from '../../build/generated/layout.ts';
import { createClock } from '../../ts/clock.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { copyTraceRing, readTraceRing, TraceRing, traceRingBytes } from '../../ts/worker/trace-ring.ts';
import { openPool, rejectionOf } from './harness.ts';

const CAPACITY = 100;
const RING = 4096;
const CANARY = 0x5a5a5a5a;

/** A ring amid words that nobody may write. */
function openRing(next: number) {
  const buffer = new ArrayBuffer(16_384);
  const i32 = new Int32Array(buffer).fill(CANARY);
  const kernel = { i32, f64: new Float64Array(buffer), u8: new Uint8Array(buffer) } as unknown as Kernel;
  const end = RING + traceRingBytes(CAPACITY);
  i32.fill(0, RING >> 2, end >> 2);
  i32[AGENT_TRACE >> 2] = RING;
  i32[(RING + TRACE_CAPACITY) >> 2] = CAPACITY;
  i32[(RING + TRACE_NEXT) >> 2] = next;
  const untouched = (): boolean =>
    i32.every((word, i) => (i >= RING >> 2 && i < end >> 2) || i === AGENT_TRACE >> 2 || word === CANARY);
  return { kernel, untouched, ring: new TraceRing(kernel, 0, createClock(0, 0)) };
}

const startsOf = (kernel: Pick<Kernel, 'i32' | 'f64'>, ring: number): number[] => {
  const events: { startMs: number }[] = [];
  readTraceRing(kernel, ring, 0, ['task'], events as never);
  return events.map(({ startMs }) => startMs);
};

describe('a ring of trace events', () => {
  it.each([
    ['empty', 0],
    ['full', CAPACITY - 3],
    ['full twice', 2 * CAPACITY - 3],
    ['past 2^31 events', 2 ** 31 - 3],
    ['past 2^32 events', 2 ** 32 - 3],
  ])('%s: writes nowhere else, and keeps the newest in order', (_name, next) => {
    const { kernel, untouched, ring } = openRing(next);
    const newest: number[] = [];
    for (let i = 0; i < 5 * CAPACITY; i++) {
      ring.add(TRACE_TASK, 0, i, i + 1);
      newest.push(i);
      if (newest.length > CAPACITY) newest.shift();
      expect(startsOf(kernel, RING).slice(-newest.length)).toEqual(newest);
    }
    expect(untouched()).toBe(true);
    expect(startsOf(kernel, RING)).toEqual(newest);
    const copy = copyTraceRing(kernel, RING, 7);
    expect(copy).toMatchObject({ worker: 7, events: CAPACITY });
    expect(startsOf(copy.memory, 0)).toEqual(newest);
  });

  it('is copied as far as it was used', () => {
    const { kernel, ring } = openRing(0);
    for (let i = 0; i < 3; i++) ring.add(TRACE_TASK, 0, i, i);
    const { memory, events } = copyTraceRing(kernel, RING, 0);
    expect(events).toBe(3);
    expect(memory.i32.byteLength).toBe(traceRingBytes(3));
    expect(startsOf(memory, 0)).toEqual([0, 1, 2]);
  });
});

/** Fills the rings of all workers that run, as if each had run so many tasks. */
function fillRings(rt: Runtime, events: number): void {
  const { buffer } = rt.handle.memory;
  const i32 = new Int32Array(buffer);
  for (let id = 1; id < MAX_AGENTS; id++) {
    const agent = AGENTS + id * AGENT_SIZE;
    const ring = i32[(agent + AGENT_TRACE) >>> 2]!;
    if (i32[(agent + AGENT_KIND) >>> 2] !== KIND_WORKER || ring === 0) continue;
    for (let i = 0; i < events; i++) i32[(ring + TRACE_EVENTS + i * TRACE_EVENT_SIZE) >>> 2] = TRACE_TASK;
    Atomics.store(i32, (ring + TRACE_NEXT) >>> 2, events);
  }
}

const endWorker = async (pool: TaskPool): Promise<void> => {
  const gone = new Promise((resolve) => pool.once('workerExit', resolve));
  expect(await rejectionOf(pool.run('exit', [3]))).toMatchObject({ code: 'ERR_WORKER_EXITED', exitCode: 3 });
  await gone;
};

describe('a long trace', () => {
  // More than a call can have arguments.
  const EVENTS = 200_000;

  it('is told whole, while its worker lives and after', async () => {
    const { rt, pool } = await openPool({ trace: { capacity: 2 * EVENTS } });
    await pool.run('echo', [1]);
    fillRings(rt, EVENTS);
    expect(pool.trace()).toHaveLength(EVENTS);
    await endWorker(pool);
    expect(pool.trace().length).toBeGreaterThanOrEqual(EVENTS);
    expect(await pool.run('echo', ['goes on'])).toBe('goes on');
    await pool.shutdown();
    expect(pool.trace().length).toBeGreaterThanOrEqual(EVENTS);
  });

  it('does not grow with the workers that ended: the oldest make room', async () => {
    const capacity = 1000;
    const { rt, pool } = await openPool({ trace: { capacity } });
    for (let round = 0; round < 4; round++) {
      await pool.run('echo', [1]);
      fillRings(rt, capacity);
      await endWorker(pool);
    }
    await pool.shutdown();
    // The ring of the last one that was full, and what its successor did.
    expect(pool.trace().length).toBeLessThanOrEqual(capacity);
    expect(pool.trace().length).toBeGreaterThan(0);
  });
});
