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

// ---- completions.ts --------------------------------------------------------------------------------------------------------------------

/** A slot is put on the stack without a CAS. */
export const MUTANT_PUSH_BY_STORE: u32 = 201;
/** The bell is rung before the outcome is on the stack. */
export const MUTANT_RING_BEFORE_PUSH: u32 = 202;
/** Who rings notifies, but leaves the bell armed. */
export const MUTANT_RING_KEEPS_ARMED: u32 = 203;
/** The stack is emptied once more after it was walked. */
export const MUTANT_TAKE_CLEARS_LATE: u32 = 204;
/** An outcome is announced before it stands in the state word. */
export const MUTANT_ANNOUNCE_BEFORE_OUTCOME: u32 = 205;
/** In the model's program: the submitter looks at its stack, then arms the bell. */
export const MUTANT_LOOK_BEFORE_ARMING: u32 = 206;
/** A ring that a dead worker began is not ended. */
export const MUTANT_NO_RING_AGAIN: u32 = 207;

// ---- parking.ts, scheduler.ts ------------------------------------------------------------------------------------------------------------

/** No look at the queues between the idle bit and sleep. */
export const MUTANT_NO_SECOND_LOOK: u32 = 301;
/** The second look comes before the idle bit. */
export const MUTANT_LOOK_BEFORE_ANNOUNCING: u32 = 302;
/** A submission wakes nobody. */
export const MUTANT_WAKE_NOBODY: u32 = 303;
/** The last searcher that finds work does not wake the next. */
export const MUTANT_NO_HANDOFF: u32 = 304;
/** A worker that wakes by itself stays in the idle set. */
export const MUTANT_WOKEN_STAYS_IDLE: u32 = 305;
/** An idle worker is taken out of the set and made searcher, but not unparked. */
export const MUTANT_CLAIM_WITHOUT_UNPARK: u32 = 306;
/** A worker is woken although another searches. */
export const MUTANT_WAKE_UNTHROTTLED: u32 = 307;
/** A fork wakes no worker that sleeps in a join. */
export const MUTANT_FORK_WAKES_NO_JOINER: u32 = 308;
/** A worker whose event loop may be busy is relied on as the searcher. */
export const MUTANT_LOOPING_IS_FIRM: u32 = 309;
/** The last look at the forks comes before the joining bit. */
export const MUTANT_JOIN_LOOKS_FIRST: u32 = 310;
/** The searching bit of a worker that had woken by itself is not withdrawn. */
export const MUTANT_KEEP_SEARCHING: u32 = 311;
/** A token that was there when the worker parks is overwritten. */
export const MUTANT_PARK_OVER_TOKEN: u32 = 312;
/** The thief of a batch wakes nobody for the rest of it. */
export const MUTANT_BATCH_WAKES_NOBODY: u32 = 313;
/** In the model's program: a joiner looks at the state word, then announces that it parks. */
export const MUTANT_STATUS_BEFORE_PARK: u32 = 314;
/** Recovery wakes workers as unpark() does: not those that have a token. */
export const MUTANT_NOTIFY_PARKED_ONLY: u32 = 315;
/** A joiner that a forker has chosen returns from its join, and nobody looks at the fork. */
export const MUTANT_CHOSEN_AND_GONE: u32 = 316;

// ---- slots.ts ------------------------------------------------------------------------------------------------------------------------------

/** A task is claimed without a CAS. */
export const MUTANT_CLAIM_BY_STORE: u32 = 401;
/** A queued task is cancelled without a CAS. */
export const MUTANT_CANCEL_BY_STORE: u32 = 402;
/** A slot keeps its generation when it is used again. */
export const MUTANT_NO_GENERATION: u32 = 403;
/** A cancelled task is dropped without a CAS. */
export const MUTANT_DROP_BY_STORE: u32 = 404;
/** Whose outcome it was is read after the outcome was published. */
export const MUTANT_READ_AFTER_OUTCOME: u32 = 405;
/** A claim does not ask whose pool the slot is queued in. */
export const MUTANT_CLAIM_FOR_ANY_POOL: u32 = 406;
/** In the model's program: a joiner claims the fork that a thief has taken and not claimed yet. */
export const MUTANT_JOINER_CLAIMS: u32 = 407;
/** In the model's program: the worker is unparked before the cancel word is written. */
export const MUTANT_UNPARK_BEFORE_CANCEL: u32 = 408;
/** In the model's program: a lost fork's slot is used again. */
export const MUTANT_REUSE_LOST: u32 = 409;

// ---- cells.ts ------------------------------------------------------------------------------------------------------------------------------

/** Whoever meets a claimed cell without a name writes its own. */
export const MUTANT_NAME_BY_STORE: u32 = 901;
/** Who tried to claim a cell takes it that it did. */
export const MUTANT_CLAIM_UNSEEN: u32 = 902;
/** A cell is added to by a load and a store. */
export const MUTANT_ADD_IN_TWO_STEPS: u32 = 903;
/** A cell is compared, then stored to. */
export const MUTANT_CAS_IN_TWO_STEPS: u32 = 904;
/** A cell is read, then stored to. */
export const MUTANT_SWAP_IN_TWO_STEPS: u32 = 905;
/** Who loses the race for a cell goes on to the next. */
export const MUTANT_CLAIM_OR_NEXT: u32 = 906;
