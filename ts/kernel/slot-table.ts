import { SLOT_SHIFT, SLOT_SIZE, SLOTS_PER_SPAN, SPAN_SHIFT } from '../../build/generated/layout.ts';
import type { Kernel } from './kernel.ts';

/**
 * The slots that one thread owns: a stack of free addresses, and an ordinal for each slot so that what belongs to a task can stand in plain
 * arrays. Only the owning thread uses it; the shared part of a slot's life is in assembly/slots.ts.
 */
export class SlotTable {
  readonly #kernel: Kernel;
  readonly #agent: number;
  readonly #free: number[] = [];
  readonly #spans: number[] = [];
  /** Ordinal of the first slot of each span, by span number. */
  readonly #base: Uint32Array;

  constructor(kernel: Kernel, agent: number) {
    this.#kernel = kernel;
    this.#agent = agent;
    this.#base = new Uint32Array(kernel.memory.buffer.byteLength >>> SPAN_SHIFT || 2 ** 16);
  }

  /** Address of a free slot, or 0 when the memory is full. */
  take(): number {
    const slot = this.#free.pop();
    return slot === undefined ? this.#grow() : slot;
  }

  #grow(): number {
    const span = this.#kernel.calls.addSlotSpan(this.#agent);
    if (span === 0) return 0;
    this.#base[span >>> SPAN_SHIFT] = this.#spans.length * SLOTS_PER_SPAN;
    this.#spans.push(span);
    // Slot 0 is the span's header; the lowest address is taken first.
    for (let i = SLOTS_PER_SPAN - 1; i > 1; i--) this.#free.push(span + i * SLOT_SIZE);
    return span + SLOT_SIZE;
  }

  /** Puts a slot back. Its outcome has been seen, or it was never queued. */
  put(slot: number): void {
    this.#free.push(slot);
  }

  /** A small integer for a slot, for arrays of what belongs to it. */
  ordinal(slot: number): number {
    return this.#base[slot >>> SPAN_SHIFT]! + ((slot >>> SLOT_SHIFT) & (SLOTS_PER_SPAN - 1));
  }

  /** Every slot, free or not. */
  *all(): IterableIterator<number> {
    for (const span of this.#spans) {
      for (let i = 1; i < SLOTS_PER_SPAN; i++) yield span + i * SLOT_SIZE;
    }
  }
}
