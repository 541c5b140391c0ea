/**
 * AtomicInt32 and AtomicBool by name: a hash table with open addressing that only grows. A cell is claimed with the identity of its name, 62
 * bits of hash and the kind, in one CAS. Then its name is settled: length and name, word by word, each with a CAS from 0 to the word it must be.
 * Whoever meets an identity that is its own does the same, so nobody ever waits for another thread, and a death in between changes nothing.
 * Of two names with the same identity, the one whose word stands first where they differ has the cell; the other finds a word that is not
 * its own, has written only what both share, and goes on to the next cell. A word is never 0 once it is settled, because bytes are
 * inverted and UTF-8 has no byte 0xff.
 */
import { add32, add64, cas32, cas64, exchange32, load32, load64, store32 } from './atomics';
import {
  CELL_CLAIM,
  CELL_NAME,
  CELL_NAME_LENGTH,
  CELL_OPERATIONS,
  CELL_SIZE,
  CELL_TRACKED,
  CELL_VALUE,
  CELLS,
  MAX_CELLS,
} from './layout';
import { CELL_KIND_CLASH, CELL_TABLE_FULL } from './status';

// model: import { relax } from './schedule';

/** FNV-1a, 64 bits (Fowler, Noll, Vo); the low two bits make room for the kind, and 0 is never an identity. */
function hash(name: usize, length: u32): u64 {
  // biome-ignore lint/correctness/noPrecisionLoss: a 64-bit constant of AssemblyScript
  let h: u64 = 0xcbf29ce484222325;
  for (let i: u32 = 0; i < length; i++) h = (h ^ load<u8>(name + i)) * 0x00000100000001b3;
  // model: h &= 15;
  h &= ~3;
  return h == 0 ? 4 : h;
}

/**
 * Finds or makes the cell with this name (UTF-8 at `name`, at most CELL_NAME_CAPACITY bytes). Returns its address, or CELL_TABLE_FULL, or
 * CELL_KIND_CLASH when the name is a cell of another kind.
 */
export function findCell(name: usize, length: u32, kind: u32): usize {
  const identity = hash(name, length);
  const start = (identity >> 2) as u32;
  for (let probe: u32 = 0; probe < MAX_CELLS; probe++) {
    const cell: usize = CELLS + ((start + probe) % MAX_CELLS) * CELL_SIZE;
    let claim = load64(cell + CELL_CLAIM);
    // mutant NAME_AWAITED: if (claim != 0) while (load32(cell + CELL_NAME_LENGTH) == 0) relax();
    if (claim == 0) {
      // mutant CLAIM_OR_NEXT: if (!cas64(cell + CELL_CLAIM, 0, identity | kind)) continue;
      cas64(cell + CELL_CLAIM, 0, identity | kind);
      claim = load64(cell + CELL_CLAIM);
      // mutant CLAIM_UNSEEN: claim = identity | kind;
    }
    if ((claim & ~3) != identity || !settleName(cell, name, length)) continue;
    return (claim & 3) == kind ? cell : CELL_KIND_CLASH;
  }
  return CELL_TABLE_FULL;
}

/** Gives the cell this name if it has none. False when it has another. */
function settleName(cell: usize, name: usize, length: u32): bool {
  if (!settle(cell + CELL_NAME_LENGTH, length)) return false;
  for (let at: u32 = 0; at < length; at += 4)
    if (!settle(cell + CELL_NAME + at, nameWord(name, length, at))) return false;
  return true;
}

/** Puts `value` where 0 is. True when it stands there now. */
function settle(address: usize, value: u32): bool {
  // mutant NAME_BY_STORE: { if (load32(address) == 0) store32(address, value); return load32(address) == value; }
  return load32(address) == value || cas32(address, 0, value) || load32(address) == value;
}

/** Four bytes of a name, inverted; beyond its end as if there were zeros. */
function nameWord(name: usize, length: u32, at: u32): u32 {
  let word: u32 = 0;
  for (let i: u32 = 0; i < 4 && at + i < length; i++) word |= (load<u8>(name + at + i) as u32) << (i << 3);
  return ~word;
}

/**
 * Counts an operation where somebody tracks the cell. The flag is read plainly: it only ever goes from 0 to 1, and whoever sees it late begins to count
 * late. It stands on the line that the operation takes anyway.
 */
function note(cell: usize): void {
  if (load<u32>(cell + CELL_TRACKED) != 0) add64(cell + CELL_OPERATIONS, 1);
}

/** Adds and returns the new value, wrapping. */
export function cellAdd(cell: usize, delta: i32): i32 {
  note(cell);
  // mutant ADD_IN_TWO_STEPS: { const sum = (load32(cell + CELL_VALUE) as i32) + delta; store32(cell + CELL_VALUE, sum as u32); return sum; }
  return (add32(cell + CELL_VALUE, delta as u32) as i32) + delta;
}

export function cellLoad(cell: usize): i32 {
  note(cell);
  return load32(cell + CELL_VALUE) as i32;
}

export function cellStore(cell: usize, value: i32): void {
  note(cell);
  store32(cell + CELL_VALUE, value as u32);
}

/** Stores and returns the value before. */
export function cellSwap(cell: usize, value: i32): i32 {
  note(cell);
  // mutant SWAP_IN_TWO_STEPS: { const was = load32(cell + CELL_VALUE) as i32; store32(cell + CELL_VALUE, value as u32); return was; }
  return exchange32(cell + CELL_VALUE, value as u32) as i32;
}

/** 1 when the cell held `expected` and now holds `replacement`. */
export function cellCas(cell: usize, expected: i32, replacement: i32): u32 {
  note(cell);
  // mutant CAS_IN_TWO_STEPS: { if (load32(cell + CELL_VALUE) != (expected as u32)) return 0; store32(cell + CELL_VALUE, replacement as u32); return 1; }
  return cas32(cell + CELL_VALUE, expected as u32, replacement as u32) ? 1 : 0;
}
