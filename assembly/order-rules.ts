/**
 * Declared order: names that come before others. TypeScript builds the whole relation (with everything that follows from it) and
 * hands it over as one run of spans; the kernel looks names up and bits.
 *
 *     header | { hash of the name u64, rank u32, 0 } x names-size, open addressing | row of bits for rank 1 | for rank 2 | ...
 *
 * Bit b of row a: a comes before b. A lock has the rank of its own name and that of its class's name; 0 is the rank of names in no rule. New rules
 * replace the run; the old one goes after its grace period. Ranks are kept beside the lock with the version of the rules they are of.
 */
import { add32, cas32, load32, store32 } from './atomics';
import {
  INFO_NAME,
  INFO_RANK,
  INFO_VERSION,
  ROOT_RESETS,
  ROOT_RULES,
  ROOT_RULES_VERSION,
  RULES_ENTRY,
  RULES_NAMES_SIZE,
  RULES_RANKS,
  RULES_ROW,
  RULES_TABLE,
  RUN_SPANS,
} from './layout';
import { findInfo, retire } from './order-memory';
import { hashText } from './order-sights';

/** Puts rules that are written in `rules`, or none (0), in the place of the old ones. The run belongs to the graph from here on. */
export function replaceRules(at: usize, rules: usize, spans: u32): void {
  if (rules != 0) store<u32>(rules + RUN_SPANS, spans);
  while (true) {
    const old: usize = load32(at + ROOT_RULES);
    if (!cas32(at + ROOT_RULES, old as u32, rules as u32)) continue;
    add32(at + ROOT_RULES_VERSION, 1);
    // What was allowed before is looked at again.
    add32(at + ROOT_RESETS, 1);
    if (old != 0) retire(at, old, load<u32>(old + RUN_SPANS));
    return;
  }
}

/** Rank of a name, or 0. Plain accesses: rules do not change once they are published. */
function rankOfName(rules: usize, name: usize): u32 {
  const hash = hashText(name + 4, load<u32>(name));
  const size = load<u32>(rules + RULES_NAMES_SIZE);
  let i = ((hash >> 32) as u32) % size;
  while (true) {
    const entry = rules + RULES_TABLE + i * RULES_ENTRY;
    const rank = load<u32>(entry + 8);
    if (rank == 0 || load<u64>(entry) == hash) return rank;
    if (++i == size) i = 0;
  }
}

/** Rank of the lock or class `id` under the rules, or 0. */
function rankOf(at: usize, rules: usize, id: u32): u32 {
  if (id == 0) return 0;
  const info = findInfo(at, id);
  if (info == 0) return 0;
  const version = load32(at + ROOT_RULES_VERSION) + 1;
  if (load32(info + INFO_VERSION) == version) return load32(info + INFO_RANK);
  const name: usize = load32(info + INFO_NAME);
  if (name == 0) return 0;
  const rank = rankOfName(rules, name);
  store32(info + INFO_RANK, rank);
  // Last, and only if these are the rules of that version: otherwise the next look finds out again.
  if (load32(at + ROOT_RULES) == (rules as u32) && load32(at + ROOT_RULES_VERSION) + 1 == version)
    store32(info + INFO_VERSION, version);
  return rank;
}

function isBefore(rules: usize, a: u32, b: u32): bool {
  if (a == 0 || b == 0) return false;
  const table = RULES_TABLE + load<u32>(rules + RULES_NAMES_SIZE) * RULES_ENTRY;
  const row = rules + table + (a - 1) * load<u32>(rules + RULES_ROW);
  return (load<u8>(row + ((b - 1) >> 3)) & (1 << ((b - 1) & 7))) != 0;
}

/** Do the rules say that the lock to be taken comes before the one that is held? */
export function breaksRule(at: usize, held: u32, heldClass: u32, taken: u32, takenClass: u32): bool {
  const rules: usize = load32(at + ROOT_RULES);
  if (rules == 0 || load<u32>(rules + RULES_RANKS) == 0) return false;
  const heldRank = rankOf(at, rules, held);
  const heldClassRank = rankOf(at, rules, heldClass);
  const takenRank = rankOf(at, rules, taken);
  const takenClassRank = rankOf(at, rules, takenClass);
  return (
    isBefore(rules, takenRank, heldRank) ||
    isBefore(rules, takenRank, heldClassRank) ||
    isBefore(rules, takenClassRank, heldRank) ||
    isBefore(rules, takenClassRank, heldClassRank)
  );
}
