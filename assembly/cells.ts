/**
 * AtomicInt32 and AtomicBool by name: a hash table with open addressing that only grows. A cell is claimed EMPTY -> BUSY(agent) -> READY;
 * one that meets BUSY waits for the name, and takes the cell over when the claimer is dead, so that a death in between blocks nobody.
 */
import { agentAt } from './agents';
import { add32, cas32, exchange32, load32, store32 } from './atomics';
import {
  AGENT_ID,
  AGENT_STATE,
  CELL_CLAIM,
  CELL_KIND,
  CELL_NAME,
  CELL_NAME_LENGTH,
  CELL_SIZE,
  CELL_VALUE,
  CELLS,
  MAX_CELLS,
} from './layout';
import { AGENT_LIVE, CELL_BUSY, CELL_EMPTY, CELL_KIND_CLASH, CELL_READY, CELL_TABLE_FULL } from './status';

/** FNV-1a (Fowler, Noll, Vo). */
function hash(name: usize, length: u32): u32 {
  let h: u32 = 0x811c9dc5;
  for (let i: u32 = 0; i < length; i++) h = (h ^ load<u8>(name + i)) * 0x01000193;
  return h;
}

/**
 * Finds or makes the cell with this name (UTF-8 at `name`, at most CELL_NAME_CAPACITY bytes). Returns its address, or CELL_TABLE_FULL, or
 * CELL_KIND_CLASH when the name is a cell of another kind.
 */
export function findCell(agent: usize, name: usize, length: u32, kind: u32): usize {
  const start = hash(name, length);
  for (let probe: u32 = 0; probe < MAX_CELLS; probe++) {
    const cell: usize = CELLS + ((start + probe) % MAX_CELLS) * CELL_SIZE;
    if (!settleClaim(agent, cell)) {
      fill(cell, name, length, kind);
      return cell;
    }
    if (!sameName(cell, name, length)) continue;
    return load<u32>(cell + CELL_KIND) == kind ? cell : CELL_KIND_CLASH;
  }
  return CELL_TABLE_FULL;
}

/** True when the cell is READY; false when `agent` has claimed it and must fill it. Waits while a live agent fills it. */
function settleClaim(agent: usize, cell: usize): bool {
  const mine = CELL_BUSY | load<u32>(agent + AGENT_ID);
  while (true) {
    const claim = load32(cell + CELL_CLAIM);
    if (claim == CELL_READY) return true;
    const abandoned = claim != CELL_EMPTY && load32(agentAt(claim & 0xffff) + AGENT_STATE) != AGENT_LIVE;
    if ((claim == CELL_EMPTY || abandoned) && cas32(cell + CELL_CLAIM, claim, mine)) return false;
  }
}

function fill(cell: usize, name: usize, length: u32, kind: u32): void {
  store<u32>(cell + CELL_KIND, kind);
  store<u32>(cell + CELL_NAME_LENGTH, length);
  memory.copy(cell + CELL_NAME, name, length);
  // Publishes the name.
  store32(cell + CELL_CLAIM, CELL_READY);
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
