import { HEADER_VERDICTS, OWNER_SHARED, SPAN_SIZE } from '../../build/generated/layout.ts';
import type { DeadlockParty } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** What an owner is told whose wait another thread gave up. */
export interface Verdict {
  readonly message: string;
  /** From that owner on. */
  readonly cycle: readonly DeadlockParty[];
}

const SPANS = 2;
const PLACES = 8;
const PLACE_SIZE = (SPANS * SPAN_SIZE) / PLACES;
/** Words of a place: its version, which is odd while somebody writes; the owner; the epoch of its wait; bytes of text. The text follows. */
const VICTIM = 1;
const EPOCH = 2;
const BYTES = 3;
const TEXT = 16;

/**
 * Deadlocks on their way to the owners that they cost a wait: by the time that one looks for its cycle, another wait of it may have ended. Shared memory that is
 * made with the first, and used round and round: who comes to it late finds nothing. A thread that dies while it writes makes a place useless.
 */
export class Verdicts {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** For the wait `epoch` of the owner with that number. Left away when there is no room. */
  put(victim: number, epoch: number, verdict: Verdict): void {
    const bytes = new TextEncoder().encode(JSON.stringify(verdict));
    const table = this.#table();
    if (table === 0 || bytes.length > PLACE_SIZE - TEXT) return;
    const { i32, u32, u8 } = this.#kernel;
    const first = epoch % PLACES;
    for (let i = 0; i < PLACES; i++) {
      const at = table + ((first + i) % PLACES) * PLACE_SIZE;
      const place = at >>> 2;
      const version = Atomics.load(i32, place);
      if ((version & 1) !== 0 || Atomics.compareExchange(i32, place, version, version + 1) !== version)
        continue;
      u32[place + VICTIM] = victim;
      u32[place + EPOCH] = epoch;
      u32[place + BYTES] = bytes.length;
      u8.set(bytes, at + TEXT);
      Atomics.store(i32, place, version + 2);
      return;
    }
  }

  find(victim: number, epoch: number): Verdict | undefined {
    const { i32, u32, u8 } = this.#kernel;
    const table = Atomics.load(u32, HEADER_VERDICTS >>> 2);
    for (let i = 0; table !== 0 && i < PLACES; i++) {
      const at = table + i * PLACE_SIZE;
      const place = at >>> 2;
      const version = Atomics.load(i32, place);
      if ((version & 1) !== 0 || u32[place + VICTIM] !== victim || u32[place + EPOCH] !== epoch) continue;
      const bytes = u8.slice(at + TEXT, at + TEXT + Math.min(u32[place + BYTES]!, PLACE_SIZE - TEXT));
      // Written by this too, so that what was read before it was read before it.
      if (Atomics.add(i32, place, 0) === version)
        return JSON.parse(new TextDecoder().decode(bytes)) as Verdict;
    }
    return undefined;
  }

  #table(): number {
    const { calls, u32 } = this.#kernel;
    const known = Atomics.load(u32, HEADER_VERDICTS >>> 2);
    if (known !== 0) return known;
    const made = calls.claimSpans(SPANS, OWNER_SHARED) >>> 0;
    if (made === 0) return 0;
    // Spans may have been used before.
    this.#kernel.u8.fill(0, made, made + SPANS * SPAN_SIZE);
    const other = Atomics.compareExchange(u32, HEADER_VERDICTS >>> 2, 0, made);
    if (other === 0) return made;
    calls.releaseSpans(made, SPANS);
    return other;
  }
}
