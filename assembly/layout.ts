/**
 * The shared memory as pictures, then constants. Nothing else in heddle knows an offset: the kernel imports this file, and TypeScript
 * gets the same numbers generated from it (build/generated/layout.ts).
 *
 *   0        64       4096        AGENTS_END     POOLS_END    CELLS_END     HEAP_BASE (first whole span)             memory end
 *   +--------+--------+-----------+--------------+------------+-------------+-------------------------------------------+
 *   | null   | header | agents    | pools        | cells      | span table  | spans of 64 KiB                           |
 *   | guard  |        | 256 x 2 K | 32 x 2 KiB   | 1024 x 256 | u32 a span  | slots, arenas, lanes, deque buffers, data |
 *   +--------+--------+-----------+--------------+------------+-------------+-------------------------------------------+
 *
 * Address 0 means "none" everywhere. Every record starts on a cache line of 64 bytes; words that different threads write stand on
 * different lines. All words are 32 bits unless a comment says otherwise.
 *
 * `model: N`: the value in the build that is model-checked (assembly/compile.mjs puts it there), small enough that growing, filling up
 * and running out happen.
 */

export const LINE: u32 = 64;
export const LAYOUT_VERSION: u32 = 1;
/** "HDDL" read as a little-endian word: says that the memory was initialised, and by whom. */
export const MAGIC: u32 = 0x4c444448;

// ---- header -------------------------------------------------------------------------------------------------------------------------

export const HEADER: u32 = 64;
export const HEADER_MAGIC: u32 = HEADER + 0;
export const HEADER_VERSION: u32 = HEADER + 4;
/** Spans in the memory, those below HEAP_BASE included. */
export const HEADER_SPAN_COUNT: u32 = HEADER + 8;
/** First span that anyone may own. */
export const HEADER_FIRST_SPAN: u32 = HEADER + 12;
/** Where the next search for a free span starts; a hint, so races on it cost time only. */
export const HEADER_SPAN_HINT: u32 = HEADER + 64;
/** Counts recoveries; a thread that waits for another's result looks again when it changes. */
export const HEADER_RECOVERIES: u32 = HEADER + 128;
/** Counts allocations that found no memory. */
export const HEADER_PRESSURE: u32 = HEADER + 136;
/** How many spans of the table are OWNER_SLOTS_FREE; a hint. */
export const HEADER_FREE_SLOT_SPANS: u32 = HEADER + 132;

// ---- agents: one record for each thread that takes part --------------------------------------------------------------------------------

export const MAX_AGENTS: u32 = 256; // model: 6
export const AGENTS: u32 = 4096;
export const AGENT_SIZE: u32 = 2048;
export const AGENTS_END: u32 = AGENTS + MAX_AGENTS * AGENT_SIZE;

/*
 *   line 0   identity      state kind pool lane bit node id        written by the creator of the agent, read by all
 *   line 1   parking       park word                               park/unpark (parking.ts)
 *   line 2   doorbell      doorbell word                           completions.ts
 *   line 3   returns       head of blocks that readers gave back   arena.ts
 *   line 4-7 arena         free lists and carving, a pair a class  owner only
 *   line 8   scheduler     tick, victim, random, searching         owner only
 *   256..    see below
 *   1024     wait histogram   64 x u32
 *   1280     run histogram    64 x u32
 *   1536     counters         32 x f64
 */
export const AGENT_STATE: u32 = 0;
export const AGENT_KIND: u32 = 4;
export const AGENT_POOL: u32 = 8;
export const AGENT_LANE: u32 = 12;
/** Index of a worker in its pool, 0..63: its bit in the idle and searching sets. */
export const AGENT_BIT: u32 = 16;
export const AGENT_NODE: u32 = 20;
export const AGENT_ID: u32 = 24;
/** Ring of trace events, or 0 (ts/worker/trace-ring.ts). */
export const AGENT_TRACE: u32 = 28;
/** First span of slots that this agent owns, linked by SPAN_SLOTS_NEXT. */
export const AGENT_SLOT_SPANS: u32 = 32;

export const AGENT_PARK: u32 = 64;
export const AGENT_DOORBELL: u32 = 128;
export const AGENT_RETURNS: u32 = 192;

/** Pairs { free list head, carve pointer }, one for each size class. */
export const AGENT_ARENA: u32 = 256;
export const AGENT_ARENA_STRIDE: u32 = 8;

export const AGENT_TICK: u32 = 512;
export const AGENT_VICTIM: u32 = 516;
export const AGENT_RANDOM: u32 = 520;
/** 1 while this worker's bit is in POOL_SEARCHING on its own account. */
export const AGENT_SEARCHING: u32 = 524;
/** How many tasks a steal from a submitter may take at once; the worker lowers it where tasks are long. */
export const AGENT_BATCH: u32 = 528;
/**
 * The slot that the worker is about to take from another's queue, written before the CAS: if the worker dies between that CAS and its
 * claim, recovery.ts finds the slot here.
 */
export const AGENT_HELD: u32 = 536;
/** 1 while a forker has chosen this worker, which slept in a join, and it has not looked for forks since. */
export const AGENT_CHOSEN: u32 = 544;
/** HEADER_PRESSURE when the agent last gave memory back. */
export const AGENT_PRESSURE: u32 = 540;
/** What the worker is doing, for people who watch (WORKER_* in status.ts). */
export const AGENT_ACTIVITY: u32 = 532;

export const AGENT_WAIT_HISTOGRAM: u32 = 1024;
export const AGENT_RUN_HISTOGRAM: u32 = 1280;
export const HISTOGRAM_BUCKETS: u32 = 64;
/** Values below this many nanoseconds share the first bucket; from there on two buckets an octave. */
export const HISTOGRAM_FLOOR_NS: u32 = 64;

export const AGENT_COUNTERS: u32 = 1536;
export const COUNTER_SUBMITTED: u32 = AGENT_COUNTERS + 0;
export const COUNTER_COMPLETED: u32 = AGENT_COUNTERS + 8;
export const COUNTER_FAILED: u32 = AGENT_COUNTERS + 16;
export const COUNTER_CANCELLED: u32 = AGENT_COUNTERS + 24;
export const COUNTER_STEAL_ATTEMPTS: u32 = AGENT_COUNTERS + 32;
export const COUNTER_STEAL_SUCCESSES: u32 = AGENT_COUNTERS + 40;
export const COUNTER_PARKS: u32 = AGENT_COUNTERS + 48;
export const COUNTER_WAKEUPS: u32 = AGENT_COUNTERS + 56;
export const COUNTER_NUMA_CROSSINGS: u32 = AGENT_COUNTERS + 64;
export const COUNTER_FORKS: u32 = AGENT_COUNTERS + 72;
export const COUNTER_FORKS_STOLEN: u32 = AGENT_COUNTERS + 80;
/** Milliseconds in which the worker ran tasks. */
export const COUNTER_BUSY_MS: u32 = AGENT_COUNTERS + 88;
/** Milliseconds since the runtime's epoch at which the worker last finished something, and at which it started. */
export const COUNTER_SEEN_MS: u32 = AGENT_COUNTERS + 96;
export const COUNTER_BORN_MS: u32 = AGENT_COUNTERS + 104;

// ---- pools ----------------------------------------------------------------------------------------------------------------------------

export const MAX_POOLS: u32 = 32; // model: 2
export const POOLS: u32 = AGENTS_END;
export const POOL_SIZE: u32 = 2048;
export const POOLS_END: u32 = POOLS + MAX_POOLS * POOL_SIZE;

/** Workers of one pool: the idle and the searching set are one 64-bit word each. */
export const MAX_WORKERS: u32 = 64;
export const MAX_SUBMITTERS: u32 = 64;
export const CLASSES: u32 = 3; // model: 1

/*
 *   line 0    state id node-count worker-high submitter-high class-mask
 *   line 1    idle, joining, looping set   i64 each, bit = worker
 *   line 2    searching set  i64, bit = worker
 *   192       agent of each worker       64 x u32
 *   512       lane of each worker        64 x u32
 *   768       lane of each submitter     64 x u32
 */
export const POOL_STATE: u32 = 0;
export const POOL_ID: u32 = 4;
export const POOL_NODES: u32 = 8;
/** One more than the highest worker index ever used. */
export const POOL_WORKER_HIGH: u32 = 12;
export const POOL_SUBMITTER_HIGH: u32 = 16;
/** Bit c set: a task of QoS class c was submitted at least once, so class c is worth a look. */
export const POOL_CLASS_MASK: u32 = 20;
export const POOL_IDLE: u32 = 64;
/** Workers that sleep in a join: forks may wake them, submitted tasks may not (they would start foreign work under a join). */
export const POOL_JOINING: u32 = 72;
/** Idle workers whose event loop may be busy with async tasks: a wake-up must not rely on them alone. */
export const POOL_LOOPING: u32 = 80;
export const POOL_SEARCHING: u32 = 128;
export const POOL_WORKERS: u32 = 192;
export const POOL_WORKER_LANES: u32 = 512;
export const POOL_SUBMITTER_LANES: u32 = 768;

// ---- cells: atomics by name -----------------------------------------------------------------------------------------------------------

export const MAX_CELLS: u32 = 1024; // model: 2
export const CELLS: u32 = POOLS_END;
export const CELL_SIZE: u32 = 256;
export const CELLS_END: u32 = CELLS + MAX_CELLS * CELL_SIZE;

/*
 *   line 0   claim (i64), -, name-length, then the name in UTF-8, inverted, up to byte 191
 *   line 3   value, operations (f64)
 */
/** 0, or 62 bits of the name's hash with the kind (CELL_INT32, CELL_BOOL) in the low two bits. */
export const CELL_CLAIM: u32 = 0;
export const CELL_NAME_LENGTH: u32 = 12;
export const CELL_NAME: u32 = 16;
export const CELL_NAME_CAPACITY: u32 = 176;
export const CELL_VALUE: u32 = 192;
export const CELL_OPERATIONS: u32 = 200;

// ---- spans ------------------------------------------------------------------------------------------------------------------------------

export const SPAN_TABLE: u32 = CELLS_END;
export const SPAN_SHIFT: u32 = 16; // model: 9
export const SPAN_SIZE: u32 = 1 << SPAN_SHIFT;
export const MAX_SPANS: u32 = 65536;
/** Span owners: an agent's id (1..255), OWNER_POOL + a pool's index, or one of those below. 0 is free. */
export const OWNER_POOL: u32 = 0x1000;
export const OWNER_SHARED: u32 = 0x2000;
export const OWNER_SLOTS: u32 = 0x2001;
/** Slots of agents that were reaped: memory that was slots stays slots (slots.ts). */
export const OWNER_SLOTS_FREE: u32 = 0x2002;

// ---- slots: one task each -----------------------------------------------------------------------------------------------------------------

/*
 *        0      4      8      12     16     20     24     28     32                                   64
 *        +------+------+------+------+------+------+------+------+-----------------------------------+
 *        |state | link |owner | meta | tags |block |cancel|queued|  four values of 8 bytes, or text  |
 *        +------+------+------+------+------+------+------+------+-----------------------------------+
 */
export const SLOT_SIZE: u32 = 64;
export const SLOT_SHIFT: u32 = 6;
/** Status (4 bits), id of the agent that claimed it (12 bits), generation (16 bits): see slots.ts. */
export const SLOT_STATE: u32 = 0;
/** Next in a chain of completions; for a fork, the slot of the task that forked it. */
export const SLOT_LINK: u32 = 4;
/** Address of the lane that submitted it and gets it back. */
export const SLOT_OWNER: u32 = 8;
/** META_* below. */
export const SLOT_META: u32 = 12;
/** One byte a value: TAG_* in status.ts. */
export const SLOT_TAGS: u32 = 16;
/** Payload block of packed arguments, or 0. The submitter's until it has seen the outcome. */
export const SLOT_BLOCK: u32 = 20;
/** 0, or why the running task should stop (CANCEL_* in status.ts). */
export const SLOT_CANCEL: u32 = 24;
/** Microseconds since the runtime's epoch, modulo 2^32. */
export const SLOT_QUEUED_AT: u32 = 28;
export const SLOT_VALUES: u32 = 32;
export const SLOT_INLINE_VALUES: u32 = 4;
export const SLOT_INLINE_BYTES: u32 = 32;

export const META_FUNCTION_MASK: u32 = 0xffff;
export const META_CLASS_SHIFT: u32 = 16;
export const META_CLASS_MASK: u32 = 3;
/** Submitted by a task with fork(): its submitter looks at the state word, so no completion is pushed. */
export const META_FORK_BIT: u32 = 1 << 18;
/** Arguments, or the result, travel by MessagePort. */
export const META_PORT_BIT: u32 = 1 << 19;
/** The pieces of pool.range: the worker splits them while others are hungry. */
export const META_RANGE_BIT: u32 = 1 << 20;
/** A fork whose outcome came from a promise. */
export const META_ASYNC_BIT: u32 = 1 << 21;
export const META_COUNT_SHIFT: u32 = 24;
/** Argument count that means: packed in SLOT_BLOCK. */
export const META_COUNT_PACKED: u32 = 255;

export const STATE_STATUS_MASK: u32 = 15;
export const STATE_AGENT_SHIFT: u32 = 4;
export const STATE_AGENT_MASK: u32 = 0xfff;
export const STATE_GENERATION_SHIFT: u32 = 16;

/** A span of slots: slot 0 is its header. */
export const SPAN_SLOTS_NEXT: u32 = 0;
export const SLOTS_PER_SPAN: u32 = SPAN_SIZE / SLOT_SIZE;

// ---- lanes: the queues of one thread in one pool -------------------------------------------------------------------------------------------

/*
 *   line 0   kind agent pool node node-count             written when the lane is taken over
 *   line 1   head of the completions that came back       completions.ts
 *   128      deques, each DEQUE_SIZE: of a worker CLASSES x { forks, batches }, of a submitter CLASSES x nodes
 */
export const LANE_KIND: u32 = 0;
export const LANE_AGENT: u32 = 4;
export const LANE_POOL: u32 = 8;
export const LANE_NODE: u32 = 12;
/** Deques of each class: 2 for a worker, one a NUMA node for a submitter. */
export const LANE_NODES: u32 = 16;
export const LANE_COMPLETED: u32 = 64;
export const LANE_DEQUES: u32 = 128;

/*
 *   line 0   top                        thieves: CAS
 *   line 1   bottom buffer top-seen     owner writes, thieves read
 *   128      first buffer, DEQUE_INITIAL entries of 4 bytes
 */
export const DEQUE_TOP: u32 = 0;
export const DEQUE_BOTTOM: u32 = 64;
/** Address of the buffer (a multiple of 64) with log2 of its entries in the low 6 bits: one word, so it changes in one step. */
export const DEQUE_BUFFER: u32 = 68;
/** The owner's last look at top: never ahead of it, so "full" may be asked without touching the thieves' line. */
export const DEQUE_TOP_SEEN: u32 = 72;
export const DEQUE_HEADER: u32 = 128;
export const DEQUE_INITIAL_LOG2: u32 = 8; // model: 1
/** Once grown, a buffer is whole spans: 16,384 entries and more. */
export const DEQUE_SPAN_LOG2: u32 = 14; // model: 2
export const DEQUE_MAX_LOG2: u32 = 24; // model: 3
export const DEQUE_SIZE: u32 = DEQUE_HEADER + (4 << DEQUE_INITIAL_LOG2); // model: DEQUE_HEADER + LINE
export const BUFFER_LOG2_MASK: u32 = 63;
/** Most entries that one steal takes from a submitter. */
export const BATCH_MOST: u32 = 32; // model: 3

// ---- payload blocks ------------------------------------------------------------------------------------------------------------------------

/*
 *        0       4       8       12      16
 *        +-------+-------+-------+-------+--------------------
 *        | owner | class | link  | bytes | payload ...
 *        +-------+-------+-------+-------+--------------------
 */
export const BLOCK_OWNER: u32 = 0;
/** Size class, or BLOCK_LARGE with the count of spans above it. */
export const BLOCK_CLASS: u32 = 4;
export const BLOCK_LINK: u32 = 8;
export const BLOCK_BYTES: u32 = 12;
export const BLOCK_HEADER: u32 = 16;
export const BLOCK_MIN_LOG2: u32 = 7;
export const BLOCK_MAX_LOG2: u32 = 15; // model: 8
export const BLOCK_CLASSES: u32 = BLOCK_MAX_LOG2 - BLOCK_MIN_LOG2 + 1;
export const BLOCK_LARGE: u32 = 0xff;
export const BLOCK_SPANS_SHIFT: u32 = 8;

// ---- trace rings (ts/worker/trace-ring.ts) ----------------------------------------------------------------------------------------------------------

/** Ring header: next index, capacity. */
export const TRACE_NEXT: u32 = 0;
export const TRACE_CAPACITY: u32 = 4;
export const TRACE_EVENTS: u32 = 64;
/** One event: type u32, detail u32, start f64 ms, end f64 ms. */
export const TRACE_EVENT_SIZE: u32 = 24;
