/**
 * AtomicInt32 and AtomicBool by name: a hash table with open addressing that only grows. A cell is claimed with the identity of its name, 62
 * bits of hash and the kind, in one CAS; whoever meets an identity that is its own and not READY yet writes the same name itself. So nobody
 * ever waits for another thread, and a death in between changes nothing.
 */
import { add32, cas32, cas64, exchange32, load32, load64, store32 } from './atomics';
import {
  CELL_CLAIM,
  CELL_NAME,
  CELL_NAME_LENGTH,
  CELL_READY,
  CELL_SIZE,
  CELL_VALUE,
  CELLS,
  MAX_CELLS,
} from './layout';
import { CELL_KIND_CLASH, CELL_TABLE_FULL } from './status';

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
    if (claim == 0) {
      cas64(cell + CELL_CLAIM, 0, identity | kind);
      claim = load64(cell + CELL_CLAIM);
    }
    if ((claim & ~3) != identity) continue;
    if (load32(cell + CELL_READY) == 0) {
      // Every thread that comes here writes the same bytes. Plain: published by the store of READY.
      store<u32>(cell + CELL_NAME_LENGTH, length);
      memory.copy(cell + CELL_NAME, name, length);
      store32(cell + CELL_READY, 1);
    } else if (!sameName(cell, name, length)) {
      continue;
    }
    return (claim & 3) == kind ? cell : CELL_KIND_CLASH;
  }
  return CELL_TABLE_FULL;
}

function sameName(cell: usize, name: usize, length: u32): bool {
  if (load<u32>(cell + CELL_NAME_LENGTH) != length) return false;
  for (let i: u32 = 0; i < length; i++)
    if (load<u8>(cell + CELL_NAME + i) != load<u8>(name + i)) return false;
  return true;
}

/** Adds and returns the new value, wrapping. */
export function cellAdd(cell: usize, delta: i32): i32 {
  return (add32(cell + CELL_VALUE, delta as u32) as i32) + delta;
}

export function cellLoad(cell: usize): i32 {
  return load32(cell + CELL_VALUE) as i32;
}

export function cellStore(cell: usize, value: i32): void {
  store32(cell + CELL_VALUE, value as u32);
}

/** Stores and returns the value before. */
export function cellSwap(cell: usize, value: i32): i32 {
  return exchange32(cell + CELL_VALUE, value as u32) as i32;
}

/** 1 when the cell held `expected` and now holds `replacement`. */
export function cellCas(cell: usize, expected: i32, replacement: i32): u32 {
  return cas32(cell + CELL_VALUE, expected as u32, replacement as u32) ? 1 : 0;
}
