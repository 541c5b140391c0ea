/** Words with a small set of values. TypeScript gets them generated (build/generated/layout.ts). */

// ---- agents: AGENT_STATE. FREE -> LIVE -> DEAD -> FREE; recovery.ts says who moves it --------------------------------------------------------
export const AGENT_FREE: u32 = 0;
export const AGENT_LIVE: u32 = 1;
/** Its thread is gone; others may still point at its slots and blocks. */
export const AGENT_DEAD: u32 = 2;

export const KIND_SUBMITTER: u32 = 1;
export const KIND_WORKER: u32 = 2;
/** A thread of its own that joined with attachRuntime(). */
export const KIND_ATTACHED: u32 = 3;

export const POOL_FREE: u32 = 0;
export const POOL_OPEN: u32 = 1;
export const POOL_CLOSED: u32 = 2;

// ---- QoS classes, highest first -----------------------------------------------------------------------------------------------------------------
export const CLASS_GUARANTEED: u32 = 0;
export const CLASS_BURSTABLE: u32 = 1;
export const CLASS_BEST_EFFORT: u32 = 2;

// ---- slots: low bits of SLOT_STATE; the table of moves is in slots.ts ----------------------------------------------------------------------------
export const SLOT_FREE: u32 = 0;
export const SLOT_QUEUED: u32 = 1;
export const SLOT_RUNNING: u32 = 2;
/** Cancelled before it ran; whoever meets it in a queue sends it home. */
export const SLOT_CANCELLED: u32 = 3;
/** Outcomes: everything from here on is final until the submitter frees the slot. */
export const SLOT_DONE: u32 = 4;
export const SLOT_FAILED: u32 = 5;
/** Sent home unrun after a cancel. */
export const SLOT_DROPPED: u32 = 6;
/** The worker that ran it is gone. */
export const SLOT_EXITED: u32 = 7;
/** A fork that a thief took from the deque and died before it claimed: its joiner runs it. */
export const SLOT_LOST: u32 = 8;

// ---- values in a slot ------------------------------------------------------------------------------------------------------------------------------
export const TAG_UNDEFINED: u32 = 0;
export const TAG_NULL: u32 = 1;
export const TAG_FALSE: u32 = 2;
export const TAG_TRUE: u32 = 3;
export const TAG_NUMBER: u32 = 4;
/** Text of characters below 256, alone in the slot; its length is the second tag byte. */
export const TAG_TEXT: u32 = 5;
/** Packed: address and length of a payload block. */
export const TAG_PACKED: u32 = 6;
/** Sent by MessagePort. */
export const TAG_PORT: u32 = 7;
/** A result whose block its reader is giving back: recovery still waits for it, but must not give it back a second time. */
export const TAG_RETURNED: u32 = 8;
/** A typed array over the shared memory: byte offset and length; TAG_SHARED + index of its constructor. */
export const TAG_SHARED: u32 = 16;

export const CANCEL_NONE: u32 = 0;
export const CANCEL_ABORTED: u32 = 1;
export const CANCEL_TIMEOUT: u32 = 2;
export const CANCEL_CLOSED: u32 = 3;
/** Added to the reason when the worker will be ended by force if the task does not stop: the task must not be given up before. */
export const CANCEL_GRACED: u32 = 16;

/** Answers of cancel(). */
export const CANCEL_TOO_LATE: u32 = 0;
export const CANCEL_WAS_QUEUED: u32 = 1;
export const CANCEL_WAS_RUNNING: u32 = 2;

// ---- park word (parking.ts) and doorbell (completions.ts) ---------------------------------------------------------------------------------------------
export const PARK_EMPTY: u32 = 0;
export const PARK_TOKEN: u32 = 1;
export const PARK_PARKED: u32 = 2;

export const BELL_QUIET: u32 = 0;
export const BELL_RUNG: u32 = 1;
export const BELL_ARMED: u32 = 2;

// ---- what a worker is doing -----------------------------------------------------------------------------------------------------------------------------
export const WORKER_BOOTING: u32 = 0;
export const WORKER_RUNNING: u32 = 1;
export const WORKER_SEARCHING: u32 = 2;
export const WORKER_PARKED: u32 = 3;
export const WORKER_IDLE: u32 = 4;
export const WORKER_AWAITING: u32 = 5;
/** The pool changed its mind: BOOTING -> REVOKED by the pool, or BOOTING -> RUNNING by the worker, one CAS says which. */
export const WORKER_REVOKED: u32 = 6;

export const CELL_INT32: u32 = 1;
export const CELL_BOOL: u32 = 2;
/** Answers of findCell() that are no address. */
export const CELL_TABLE_FULL: u32 = 1;
export const CELL_KIND_CLASH: u32 = 2;

// ---- lock order: answers of the checks (order.ts), a set of bits ------------------------------------------------------------------------------------------
/** An edge was seen for the first time. */
export const ORDER_NEW_BIT: u32 = 1;
/** The answer has cycles that nobody reported before. */
export const ORDER_CYCLE_BIT: u32 = 2;
/** This acquisition is against the learned order, now or again. */
export const ORDER_AGAINST_BIT: u32 = 4;
/** It is against a declared rule. */
export const ORDER_RULE_BIT: u32 = 8;
/** It is against the order of keys within a class. */
export const ORDER_KEY_BIT: u32 = 16;
/** An edge was not kept: no room. */
export const ORDER_OVERFLOW_BIT: u32 = 32;
/** With ORDER_RULE_BIT or ORDER_KEY_BIT: nobody was told before that these two locks break it. */
export const ORDER_FRESH_BIT: u32 = 64;
/** With ORDER_CYCLE_BIT: not all cycles through an edge were looked at. */
export const ORDER_TRUNCATED_BIT: u32 = 128;

/** Severities of cycles, the gravest last. */
export const CYCLE_SAME_OWNER: u32 = 1;
export const CYCLE_GATED: u32 = 2;
export const CYCLE_POSSIBLE: u32 = 3;
export const CYCLE_CERTAIN: u32 = 4;

/** Which graph a cycle is in: its first word in an answer. */
export const GRAPH_OF_LOCKS: u32 = 1;
export const GRAPH_OF_CLASSES: u32 = 2;

export const CONTEXT_FREE: u32 = 0;
export const CONTEXT_LIVE: u32 = 1;

/** Trace events. */
export const TRACE_TASK: u32 = 1;
export const TRACE_STEAL: u32 = 2;
export const TRACE_PARK: u32 = 3;

// ---- locks (mutex.ts) ----------------------------------------------------------------------------------------------------------------------------------------
/** Answers of the calls that take a lock. A value from 0 on is the word to wait on. */
export const LOCK_TAKEN: i32 = -1;
/** Somebody else has it. */
export const LOCK_BUSY: i32 = -2;
/** The one who asks has it already, and it is not reentrant. */
export const LOCK_OWN: i32 = -3;
/** It is free, but its last holder ended while it held it. */
export const LOCK_ABANDONED: i32 = -4;
/** The one who asks is nobody: the runtime was disposed. */
export const LOCK_CLOSED: i32 = -5;
/** Its order must be checked first: the chain was not seen, or its count is full. */
export const LOCK_UNSEEN: i32 = -8;
/** Answers of unlock(). */
export const LOCK_RELEASED: i32 = -6;
export const LOCK_NOT_OWNER: i32 = -7;

/** Answers of openLock() that are no address. */
export const LOCKS_FULL: u32 = 1;
export const LOCKS_NO_MEMORY: u32 = 2;
/** Another thread changes the index of names: call again. */
export const LOCKS_BUSY: u32 = 3;

export const LOCK_FLAG_REENTRANT: u32 = 1;
export const LOCK_FLAG_CLASS: u32 = 2;
export const LOCK_FLAG_ORDER_KEY: u32 = 4;
/** The record is no lock now: it was swept, and may become another. */
export const LOCK_FLAG_FREE: u32 = 8;
/** Its waits and holds are counted (ts/locks/lock-meter.ts). May be set at any time, and stays. */
export const LOCK_FLAG_METERED: u32 = 16;
/** Two bits each, CHECK_*. */
export const LOCK_ORDER_MODE_SHIFT: u32 = 8;
export const LOCK_WAITS_MODE_SHIFT: u32 = 10;
export const CHECK_MASK: u32 = 3;

/** What a check does. Of a lock, CHECK_INHERIT says: as the runtime. */
export const CHECK_INHERIT: u32 = 0;
export const CHECK_OFF: u32 = 1;
export const CHECK_REPORT: u32 = 2;
export const CHECK_THROW: u32 = 3;
/** Where the mode of waits stands in HEADER_LOCK_MODES. */
export const MODES_WAITS_SHIFT: u32 = 2;
/** Which stacks are kept, there too. */
export const MODES_STACKS_SHIFT: u32 = 4;
export const STACKS_MASK: u32 = 3;
export const STACKS_WAITS: u32 = 0;
export const STACKS_ALL: u32 = 1;
export const STACKS_OFF: u32 = 2;

export const STRATEGY_REQUESTER: u32 = 0;
export const STRATEGY_YOUNGEST: u32 = 1;
export const STRATEGY_LOWEST_QOS: u32 = 2;
export const STRATEGY_REPORT: u32 = 3;
/** One that the runtime's thread has by name. */
export const STRATEGY_NAMED: u32 = 4;

// ---- owners (owners.ts) --------------------------------------------------------------------------------------------------------------------------------------
export const OWNER_KIND_FREE: u32 = 0;
export const OWNER_KIND_THREAD: u32 = 1;
export const OWNER_KIND_TASK: u32 = 2;
export const OWNER_KIND_CONTEXT: u32 = 3;
export const OWNER_KIND_EXPLICIT: u32 = 4;
/** No owner, but a call of a pool that one awaits. */
export const OWNER_KIND_AWAIT: u32 = 5;
/** No owner, but another wait of one that waits already (its address is in OWNER_SLOT): several flows go by its name. */
export const OWNER_KIND_FLOW: u32 = 6;

/** Its wait ends by itself: it has a timeout or a signal. */
export const OWNER_FLAG_BREAKABLE: u32 = 1;
/** It only tries: it waits for a while, but is no party to a deadlock by its own doing. */
export const OWNER_FLAG_TRY: u32 = 2;
/** The QoS class of the task, one more than CLASS_*. */
export const OWNER_FLAG_CLASS_SHIFT: u32 = 4;

// ---- edges of the wait-for graph (waits.ts) ---------------------------------------------------------------------------------------------------------------------
export const EDGE_LOCK: u32 = 1;
/** A task that it joins or awaits. */
export const EDGE_TASK: u32 = 2;
/** The wait that blocks its thread. */
export const EDGE_THREAD: u32 = 3;
/** Answer of findCycle() when the scratch memory is too small. */
export const CYCLE_NO_ROOM: i32 = -1;
