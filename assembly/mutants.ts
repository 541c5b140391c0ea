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
/** A steal reads bottom before top. */
export const MUTANT_STEAL_BOTTOM_FIRST: u32 = 106;
/** A steal stores the new top instead of a CAS. */
export const MUTANT_STEAL_WITHOUT_CAS: u32 = 107;
/** A batch moves the thief's own bottom before it has won the entries. */
export const MUTANT_BATCH_SHOWS_EARLY: u32 = 108;
/** A batch takes half of the deque of an owner that pops. */
export const MUTANT_BATCH_READS_AFTER: u32 = 109;
/** "Full" is asked against an old top that is ahead of the real one by one. */
export const MUTANT_ROOM_FOR_ONE_MORE: u32 = 110;
/** A pop cut short by death is not repaired. */
export const MUTANT_NO_REPAIR: u32 = 111;
/** A thief that dies leaves no note of the entry it takes. */
export const MUTANT_NO_HELD: u32 = 112;
/** The entries of a batch that died before it showed them are not looked for. */
export const MUTANT_NOT_BEYOND: u32 = 113;
/** A pop that lost the last entry leaves bottom below top. */
export const MUTANT_POP_LEAVES_BOTTOM: u32 = 114;
