/**
 * Ways in which the `model` build can be made wrong, to see whether the models notice. The wrong line stands as a comment where it matters,
 *
 *     // mutant POP_WITHOUT_CAS: return slot;
 *
 * which only the model target turns into code, `if (mutant(MUTANT_POP_WITHOUT_CAS)) return slot;` (assembly/compile.mjs). No other build can
 * contain any of it. Each number is unique; every structure has a hundred of its own.
 */

/** Which mutant this instance is, or 0. */
declare const chosen: u32;

export function mutant(id: u32): bool {
  return chosen == id;
}

// ---- deque.ts --------------------------------------------------------------------------------------------------------------------------

/** The last entry is popped without a CAS. */
export const MUTANT_POP_WITHOUT_CAS: u32 = 101;
/** A push publishes the new bottom before it writes the cell. */
export const MUTANT_PUBLISH_BEFORE_WRITE: u32 = 102;
/** A grown buffer is published before the entries are copied. */
export const MUTANT_GROW_BEFORE_COPY: u32 = 103;
/** The buffer that was outgrown is given back at once. */
export const MUTANT_RECYCLE_BUFFER: u32 = 104;
/** A pop looks at top before it announces itself by bottom. */
export const MUTANT_POP_LOOKS_FIRST: u32 = 105;
/** A steal stores the new top instead of a CAS. */
export const MUTANT_STEAL_WITHOUT_CAS: u32 = 106;
/** A steal reads the entry after it has taken it. */
export const MUTANT_STEAL_READS_LATE: u32 = 107;
/** A batch shows what it takes in the thief's own deque before it has won it. */
export const MUTANT_BATCH_SHOWS_EARLY: u32 = 108;
/** One entry too many fits. */
export const MUTANT_ROOM_FOR_ONE_MORE: u32 = 109;
/** A pop that found the last entry gone leaves bottom below top. */
export const MUTANT_POP_LEAVES_BOTTOM: u32 = 110;
/** A pop cut short by death is not repaired. */
export const MUTANT_NO_REPAIR: u32 = 111;
/** A thief notes what it takes after it has taken it. */
export const MUTANT_HELD_AFTER: u32 = 112;
/** The entries that a dead thread was moving are not looked for. */
export const MUTANT_NOT_BEYOND: u32 = 113;
/** A repaired deque goes on at the same index, where a thief may still be about to take the entry that stood there. */
export const MUTANT_REPAIR_KEEPS_TOP: u32 = 114;
