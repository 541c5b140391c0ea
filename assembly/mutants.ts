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
/** A thief of batches compares the indices, not their difference with 0. */
export const MUTANT_INDICES_COMPARED: u32 = 115;
/** What stood below gaps is passed before it is written above them. */
export const MUTANT_CLOSES_TOP_FIRST: u32 = 116;

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
/** A forker whose chosen joiner woke by itself tries no other. */
export const MUTANT_ONE_JOINER_TRIED: u32 = 317;
/** In a placed pool any idle worker is woken, also one that may not take the task. */
export const MUTANT_WAKE_ANY_NODE: u32 = 320;
/** A searcher that may not take the task counts as one that will. */
export const MUTANT_ANY_SEARCHER_WILL_DO: u32 = 321;
/** In a bounded pool only the last searcher wakes others for what it leaves. */
export const MUTANT_HANDOFF_BY_THE_LAST: u32 = 322;
/** In a bounded pool it wakes one worker in all. */
export const MUTANT_HANDOFF_TO_ONE: u32 = 323;
/** In a bounded pool who goes to sleep looks again only if no searcher is left. */
export const MUTANT_LOOKS_IF_THE_LAST: u32 = 324;
/** A worker takes a batch from another node's queue into its own deque. */
export const MUTANT_BATCHES_FROM_ANY_NODE: u32 = 325;
/** A claim does not ask where the task belongs. */
export const MUTANT_TAKES_ANY: u32 = 326;
/** A worker steals from a node beyond its reach. */
export const MUTANT_STEALS_BEYOND: u32 = 327;
/** Recovery queues a task where everybody takes it. */
export const MUTANT_RESCUED_ANYWHERE: u32 = 328;
/** A worker that is not placed steals from those who are. */
export const MUTANT_STEALS_FROM_PLACED: u32 = 329;
/** A pool that is placed anew is bounded only when some worker reaches less than all. */
export const MUTANT_BOUNDED_LATE: u32 = 330;
/** An agent is notified before its token is written. */
export const MUTANT_UNPARK_NOTIFIES_FIRST: u32 = 331;

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
/** A fork is taken back without a look whether a thief has it. */
export const MUTANT_TAKE_BACK_UNSEEN: u32 = 410;

// ---- cells.ts ------------------------------------------------------------------------------------------------------------------------------

/** Whoever meets a claimed cell without a name writes its own. */
export const MUTANT_NAME_BY_STORE: u32 = 501;
/** Who tried to claim a cell takes it that it did. */
export const MUTANT_CLAIM_UNSEEN: u32 = 502;
/** A cell is added to by a load and a store. */
export const MUTANT_ADD_IN_TWO_STEPS: u32 = 503;
/** A cell is compared, then stored to. */
export const MUTANT_CAS_IN_TWO_STEPS: u32 = 504;
/** A cell is read, then stored to. */
export const MUTANT_SWAP_IN_TWO_STEPS: u32 = 505;
/** Who loses the race for a cell goes on to the next. */
export const MUTANT_CLAIM_OR_NEXT: u32 = 506;
/** Whoever meets a claimed cell waits until who claimed it has begun its name. */
export const MUTANT_NAME_AWAITED: u32 = 507;

// ---- arena.ts --------------------------------------------------------------------------------------------------------------------------

/** A reader stores the block as the new head of the returns instead of a CAS. */
export const MUTANT_RETURN_BY_STORE: u32 = 601;
/** A reader links the block to the next after it has pushed it. */
export const MUTANT_RETURN_LINKS_LATE: u32 = 602;
/** The owner takes the returns with a load and a store instead of an exchange. */
export const MUTANT_TAKE_BY_STORE: u32 = 603;
/** A span is given back although one of its blocks is in use. */
export const MUTANT_TRIM_IN_USE: u32 = 604;
/** The blocks of a span that is given back stay in the free list. */
export const MUTANT_TRIM_LEAVES_LINKS: u32 = 605;
/** A reader takes the returns while it puts a block on top of them. */
export const MUTANT_RETURN_BY_EXCHANGE: u32 = 606;

// ---- spans.ts --------------------------------------------------------------------------------------------------------------------------

/** A free span is claimed with a store. */
export const MUTANT_CLAIM_WITHOUT_CAS: u32 = 701;
/** Who loses a run of spans keeps those that it had. */
export const MUTANT_LOSER_KEEPS: u32 = 702;
/** Who loses a run of spans gives all of it back, the winner's too. */
export const MUTANT_LOSER_RELEASES_ALL: u32 = 703;
/** A span of slots that was reaped is taken over with a store. */
export const MUTANT_CLAIM_FREED_WITHOUT_CAS: u32 = 704;
/** A new span of slots changes its owner before it is linked. */
export const MUTANT_OWNER_BEFORE_LINK: u32 = 705;

// ---- agents.ts, and how a worker leaves ------------------------------------------------------------------------------------------------

/** A free agent record is taken with a store. */
export const MUTANT_CLAIM_AGENT_WITHOUT_CAS: u32 = 801;
/** A free pool record is taken with a store. */
export const MUTANT_OPEN_POOL_WITHOUT_CAS: u32 = 802;
/** A pool that closes is free before its lanes are. */
export const MUTANT_CLOSE_FREES_FIRST: u32 = 803;
/** The last searcher gives up without a look at the queues. */
export const MUTANT_STOP_SEARCH_SILENT: u32 = 805;
/** In the model: the pool is closed before its last worker is gone. */
export const MUTANT_CLOSE_EARLY: u32 = 807;
/** In the model: the thread that left is not recovered. */
export const MUTANT_LEAVER_FORGOTTEN: u32 = 808;
/** A pool that is opened keeps the words of the last one. */
export const MUTANT_OPEN_KEEPS_WORDS: u32 = 809;
/** A new lane keeps the entries of the last one. */
export const MUTANT_LANE_KEEPS_ENTRIES: u32 = 810;

// ---- recovery.ts, slots.ts: what is done after a death ---------------------------------------------------------------------------------

/** Who meets a running task takes it for its own. */
export const MUTANT_CLAIM_RUNNING: u32 = 903;
/** A cancelled task does not say who was about to send it home. */
export const MUTANT_DROPPED_ANONYMOUS: u32 = 904;
/** A fork that a dead thief held stays queued. */
export const MUTANT_NOT_LOST: u32 = 905;
/** Spans of slots become free memory when their agent is reaped. */
export const MUTANT_SLOTS_BECOME_MEMORY: u32 = 906;
/** The dead stays in the idle set. */
export const MUTANT_KEEPS_IDLE: u32 = 907;
/** The searching set stays as it is. */
export const MUTANT_KEEPS_SEARCHING: u32 = 908;
/** Only the dead leaves the searching set, not whom it had put there. */
export const MUTANT_KEEPS_OTHERS_SEARCHING: u32 = 909;
/** The deques of the dead are left alone. */
export const MUTANT_NO_DRAIN: u32 = 910;
/** What the dead noted before it took it is not looked for. */
export const MUTANT_HELD_FORGOTTEN: u32 = 911;
/** What the dead was running is left alone. */
export const MUTANT_CLAIMED_FORGOTTEN: u32 = 912;
/** Nobody is told to look again. */
export const MUTANT_NO_WAKE_ALL: u32 = 913;
/** Of an entry its kind is read before its state. */
export const MUTANT_META_FIRST: u32 = 914;
/** A fork that a dead thief held is queued as a task. */
export const MUTANT_FORK_RESCUED: u32 = 915;
/** Memory of the dead counts as unused. */
export const MUTANT_REFERENCES_IGNORED: u32 = 916;
/** Tasks of the dead that others run count as nothing. */
export const MUTANT_RUNNING_IGNORED: u32 = 917;
/** Results of the dead that were not read count as nothing. */
export const MUTANT_RESULTS_IGNORED: u32 = 918;
/** The result of a fork that nobody is left to read is not given back. */
export const MUTANT_RESULT_KEPT: u32 = 919;
/** The spans of the dead are not given back. */
export const MUTANT_REAP_KEEPS_SPANS: u32 = 920;
/** In the model: outcomes that the dead had stored and not sent home are not looked for. */
export const MUTANT_NO_SWEEP: u32 = 921;
/** In the model: they are looked for before the stack is drained. */
export const MUTANT_SWEEP_FIRST: u32 = 922;
/** In the model: what the others were doing is noted before the recovery. */
export const MUTANT_TICKS_FIRST: u32 = 923;
/** In the model: nobody waits until the others have moved on. */
export const MUTANT_TICKS_IGNORED: u32 = 924;
/** In the model: a slot forgets its result before the block is given back. */
export const MUTANT_FORGETS_FIRST: u32 = 925;
/** In the model: a slot does not say that its result is being given back. */
export const MUTANT_RETURNS_SILENTLY: u32 = 928;
/** A fork becomes lost without a CAS. */
export const MUTANT_LOST_BY_STORE: u32 = 929;
/** A worker counts a look between taking an entry and claiming it. */
export const MUTANT_TICKS_HOLDING: u32 = 930;

// ---- lock-table.ts ------------------------------------------------------------------------------------------------------------------------

/** A lock is opened by name that nobody has open, while it is swept. */
export const MUTANT_PINS_UNUSED: u32 = 1401;
/** A lock is opened by name without a look at whether its record became another. */
export const MUTANT_PINS_BLINDLY: u32 = 1402;
/** Two threads change the index at once. */
export const MUTANT_NO_GATE: u32 = 1403;
/** A dead thread stands at the gate for ever. */
export const MUTANT_GATE_STAYS_SHUT: u32 = 1404;
/** A lock is swept that somebody has open. */
export const MUTANT_SWEEPS_OPEN: u32 = 1405;

// ---- owners.ts ----------------------------------------------------------------------------------------------------------------------------

/** A free chunk of owners is taken with a store. */
export const MUTANT_CHUNK_BY_STORE: u32 = 1501;
/** A chunk that another has made meanwhile is replaced. */
export const MUTANT_CHUNK_MADE_TWICE: u32 = 1502;
/** The chunk of a dead thread is anybody's before its owners are gone. */
export const MUTANT_LEAVES_CHUNK_FIRST: u32 = 1503;

// ---- mutex.ts, waits.ts -------------------------------------------------------------------------------------------------------------------

/** A free lock is taken with a store. */
export const MUTANT_LOCK_WITHOUT_CAS: u32 = 1201;
/** Who was woken and takes the lock does not say that others may sleep. */
export const MUTANT_TAKES_UNCONTENDED: u32 = 1202;
/** A waiter sleeps without a word about it. */
export const MUTANT_CONTENDED_UNSAID: u32 = 1203;
/** A reserved lock is anybody's. */
export const MUTANT_BARGES_RESERVED: u32 = 1204;
/** A waiter that gives up leaves its reservation. */
export const MUTANT_KEEPS_RESERVATION: u32 = 1205;
/** A waiter that gives up keeps the wake-up that it was given. */
export const MUTANT_DROPS_WAKE: u32 = 1206;
/** A canceller leaves the word as it is. */
export const MUTANT_CANCEL_KEEPS_SEQUENCE: u32 = 1207;
/** A canceller changes the word before it says that the wait is cancelled. */
export const MUTANT_ABORT_WORD_FIRST: u32 = 1208;
/** In the model: a waiter looks whether it was cancelled before it reads the word. */
export const MUTANT_FLAG_BEFORE_WORD: u32 = 1209;
/** The unlock of a reserved lock wakes one, who may be another. */
export const MUTANT_HANDOFF_WAKES_ONE: u32 = 1210;
/** An unlock wakes nobody. */
export const MUTANT_UNLOCK_WAKES_NOBODY: u32 = 1211;
/** What an owner was about to take is not noted. */
export const MUTANT_NOTHING_PENDING: u32 = 1212;
/** What a dead owner was about to take or to give back is not looked for. */
export const MUTANT_PENDING_FORGOTTEN: u32 = 1213;
/** It is freed while it stands in the list of the dead still. */
export const MUTANT_PENDING_STAYS_LISTED: u32 = 1214;
/** The wait of a dead owner is not undone. */
export const MUTANT_DEAD_WAITER_SILENT: u32 = 1215;
/** A path of waits is looked through once. */
export const MUTANT_ONE_LOOK: u32 = 1216;
/** Whoever finds a cycle acts. */
export const MUTANT_ALL_ACT: u32 = 1217;
/** In the model: an owner looks for a cycle before it says what it waits for. */
export const MUTANT_LOOK_BEFORE_PUBLISHING: u32 = 1218;
/** A task without an owner needs nothing, whoever blocks its thread. */
export const MUTANT_OWNERLESS_GOES_ON: u32 = 1219;
/** A lock that its dead holder left is not marked. */
export const MUTANT_ABANDON_UNMARKED: u32 = 1220;
/** The sequence carries over into the owner. */
export const MUTANT_SEQUENCE_CARRIES: u32 = 1221;
/** Who slept and takes the lock while it spins does not say that others may sleep. */
export const MUTANT_SPINS_UNCONTENDED: u32 = 1222;
/** Who reserves a lock while it spins does not say for recovery which one. */
export const MUTANT_SPINS_UNPENDING: u32 = 1229;
/** Who stops spinning leaves the lock reserved. */
export const MUTANT_SPIN_KEEPS_RESERVATION: u32 = 1230;
/** A queued call needs nobody. */
export const MUTANT_QUEUED_GOES_ON: u32 = 1223;
/** One more wait of an owner is no edge. */
export const MUTANT_FLOWS_LEFT_OUT: u32 = 1224;
/** Who wakes blocked workers leaves the word of the lock as it is. */
export const MUTANT_WAKES_SLEEPERS_ONLY: u32 = 1225;
/** No owner is found by the task that it is. */
export const MUTANT_TASK_UNSEEN: u32 = 1226;
/** A wait may have the epoch that stands for none. */
export const MUTANT_EPOCH_OF_NOBODY: u32 = 1227;
/** An owner whose one flow has the lock that another waits for waits for itself. */
export const MUTANT_WAITS_FOR_ITSELF: u32 = 1228;

// ---- order*.ts -------------------------------------------------------------------------------------------------------------------------------

/** An edge is searched for before it is linked. */
export const MUTANT_ORDER_SETTLE_FIRST: u32 = 1350;
/** An edge is searched for while it is linked at one end only. */
export const MUTANT_ORDER_HALF_LINKED: u32 = 1351;
/** Places are believed although they are being changed. */
export const MUTANT_ORDER_ONE_LOOK: u32 = 1352;
/** An edge outside the order is not searched for. */
export const MUTANT_ORDER_LOOSE_UNSEARCHED: u32 = 1353;
/** An edge that found the lock held counts as one of the order. */
export const MUTANT_ORDER_LOOSE_UNMARKED: u32 = 1354;
/** Edges outside the order are forgotten when a later edge is settled. */
export const MUTANT_ORDER_LOOSE_IGNORED: u32 = 1355;
/** An edge goes to the new table while its slot in the old one stays open. */
export const MUTANT_ORDER_TABLE_UNSEALED: u32 = 1356;
/** A cycle is written down as known without a look whether it is. */
export const MUTANT_ORDER_CYCLE_UNCLAIMED: u32 = 1357;
/** The edge that a dead thread was linking is left alone. */
export const MUTANT_ORDER_EDGE_LEFT: u32 = 1358;
/** Places that a dead thread was giving out are left as they are. */
export const MUTANT_ORDER_PLAN_LEFT: u32 = 1359;
/** An edge that leads downwards counts as one that closes a ring. */
export const MUTANT_ORDER_DOWNWARD_IS_RING: u32 = 1360;
/** A lock that is gone stays in the graph. */
export const MUTANT_ORDER_NODE_STAYS: u32 = 1361;
/** Nobody waits until others are done with what goes. */
export const MUTANT_ORDER_ALWAYS_QUIET: u32 = 1362;
/** A table whose mover died stays half moved. */
export const MUTANT_ORDER_MOVE_LEFT: u32 = 1363;
