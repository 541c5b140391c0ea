/**
 * The shared memory as pictures, then constants. Nothing else in heddle knows an offset: the kernel imports this file, and TypeScript
 * gets the same numbers generated from it (build/generated/layout.ts).
 *
 *   0        64       4096        AGENTS_END     POOLS_END    CELLS_END     HEAP_BASE (first whole span)             memory end
 *   +--------+--------+-----------+--------------+------------+-------------+-------------------------------------------+
 *   | null   | header | agents    | pools        | cells      | span table  | spans of 64 KiB                           |
 *   | guard  |        | 256 x 2 K | 32 x 4 KiB   | 1024 x 256 | u32 a span  | slots, arenas, lanes, deque buffers, data |
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

/** Locks and classes that the runtime may have; written before any other thread sees the memory, as are the two words below. */
export const HEADER_LOCK_MAX: u32 = HEADER + 192;
/** What the checks do, each CHECK_* in status.ts: of the order in bits 0 and 1, of waits in bits 2 and 3. */
export const HEADER_LOCK_MODES: u32 = HEADER + 196;
/** Whom a deadlock costs its wait: STRATEGY_* in status.ts. */
export const HEADER_LOCK_STRATEGY: u32 = HEADER + 200;
/** The tables of locks and owners, or 0 until somebody opens a lock (lock-table.ts). */
export const HEADER_LOCK_TABLES: u32 = HEADER + 204;
/** The highest number given out so far, to locks and classes. */
export const HEADER_LOCK_COUNT: u32 = HEADER + 256;
/** Where the next name goes, or 0. */
export const HEADER_LOCK_NAMES: u32 = HEADER + 320;
/** Id of the agent that changes the index of names, or 0 (lock-table.ts). */
export const HEADER_LOCK_GATE: u32 = HEADER + 384;
/** The first number that was given back, or 0; LOCK_NEXT of its record has the next. At the gate. */
export const HEADER_LOCK_FREE: u32 = HEADER + 388;
/** For notes that nobody needs; who asks whether two buffers are one memory reads back its own (ts/kernel/same-memory.ts). */
export const HEADER_NOWHERE: u32 = HEADER + 392;
/** Where waits for locks and holds of them are counted, or 0 while nobody wants to know; METER_ALL_BIT: of all locks. */
export const HEADER_LOCK_METERS: u32 = HEADER + 208;
/** Milliseconds after which whoever waits for a lock looks again by itself; 0: never. Written before any other thread sees the memory. */
export const HEADER_LOCK_LOOK_MS: u32 = HEADER + 212;
/** Deadlocks found so far. */
export const HEADER_DEADLOCKS: u32 = HEADER + 396;
/** Address of the deadlocks that owners are told who gave up a wait for them (ts/locks/verdicts.ts), or 0. */
export const HEADER_VERDICTS: u32 = HEADER + 400;

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
/** Row of the worker's NUMA node in its pool (POOL_ROWS), or 0: the pool's workers are not placed. Written when the worker joined. */
export const AGENT_REACH: u32 = 36;

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

/** Owners of locks in this thread (owners.ts): free records, the next one never used, and how many of its chunk are left. Owner only. */
export const AGENT_OWNER_FREE: u32 = 576;
export const AGENT_OWNER_CARVE: u32 = 580;
export const AGENT_OWNER_LEFT: u32 = 584;
/** An entry of the lock table that this thread made in vain, for its next one. Owner only. */
export const AGENT_SPARE_LOCK: u32 = 588;
/** The host's id of a thread that joined on its own. */
export const AGENT_THREAD: u32 = 592;
/** The operating system's id of such a thread, or 0. */
export const AGENT_KERNEL_THREAD: u32 = 596;
/** The owner (address) whose wait blocks this thread, or 0. */
export const AGENT_BLOCKED: u32 = 640;
/** Rung when a wait of this thread's event loop was aborted by another thread, or when the thread, which made the runtime, is asked (OWNER_ASKED). */
export const AGENT_LOCK_BELL: u32 = 704;

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
/** Milliseconds in which the worker ran tasks that have ended. */
export const COUNTER_BUSY_MS: u32 = AGENT_COUNTERS + 88;
/** Milliseconds since the runtime's epoch at which the worker last finished something, and at which it started. */
export const COUNTER_SEEN_MS: u32 = AGENT_COUNTERS + 96;
export const COUNTER_BORN_MS: u32 = AGENT_COUNTERS + 104;
/** Milliseconds that tasks waited, where AGENT_WAIT_HISTOGRAM counts them. */
export const COUNTER_WAIT_MS: u32 = AGENT_COUNTERS + 112;
/**
 * COUNTER_BUSY_MS and those of the tasks that run now, in one word, so that who reads it never has half of a change: below 0 the worker runs tasks,
 * and the milliseconds since the runtime's epoch come on top.
 */
export const COUNTER_LOAD_MS: u32 = AGENT_COUNTERS + 120;

// ---- pools ----------------------------------------------------------------------------------------------------------------------------

export const MAX_POOLS: u32 = 32; // model: 2
export const POOLS: u32 = AGENTS_END;
export const POOL_SIZE: u32 = 4096; // model: 2048
export const POOLS_END: u32 = POOLS + MAX_POOLS * POOL_SIZE;

/** Workers of one pool: the idle and the searching set are one 64-bit word each. */
export const MAX_WORKERS: u32 = 64;
export const MAX_SUBMITTERS: u32 = 64;
export const CLASSES: u32 = 3; // model: 1

/*
 *   line 0    state id queues worker-high submitter-high class-mask bounded -, second bank  i64, bit = worker
 *   line 1    idle, joining, looping set   i64 each, bit = worker
 *   line 2    searching set  i64, bit = worker
 *   192       agent of each worker       64 x u32
 *   448       queue of each worker's node  64 x u8, 0 where workers are not placed
 *   512       lane of each worker        64 x u32
 *   768       lane of each submitter     64 x u32
 *   1024      a row for each queue       ROW_SIZE each
 */
export const POOL_STATE: u32 = 0;
export const POOL_ID: u32 = 4;
/** Queues of each class in a submitter's lane: number 0 for tasks that may run anywhere, then one for each NUMA node. */
export const POOL_QUEUES: u32 = 8;
/** One more than the highest worker index ever used. */
export const POOL_WORKER_HIGH: u32 = 12;
export const POOL_SUBMITTER_HIGH: u32 = 16;
/** Bit c set: a task of QoS class c was submitted at least once, so class c is worth a look. */
export const POOL_CLASS_MASK: u32 = 20;
/** 1: some worker may not take everything, so who wakes or sleeps must ask who may take what (placement.ts). Once 1 it stays so. */
export const POOL_BOUNDED: u32 = 24;
/** Workers whose reach stands in the second bank of rows. */
export const POOL_SECOND: u32 = 32;
export const POOL_IDLE: u32 = 64;
/** Workers that sleep in a join: forks may wake them, submitted tasks may not (they would start foreign work under a join). */
export const POOL_JOINING: u32 = 72;
/** Idle workers whose event loop may be busy with async tasks: a wake-up must not rely on them alone. */
export const POOL_LOOPING: u32 = 80;
export const POOL_SEARCHING: u32 = 128;
export const POOL_WORKERS: u32 = 192;
export const POOL_WORKER_LANES: u32 = 512;
export const POOL_WORKER_QUEUES: u32 = 448;
export const POOL_SUBMITTER_LANES: u32 = 768;
export const POOL_ROWS: u32 = 1024;

/** NUMA nodes that one pool tells apart. */
export const MAX_NODES: u32 = 31; // model: 3
/*
 * A row, of queue q: who may take what belongs to it; and, for a node's queue, which queues the workers of that node look into. The second bank has reaches
 * only, ROW_BANK rows further on: those of workers that are placed while others run by the first (placement.ts).
 *
 *        0             8             16      20                     52
 *        +-------------+-------------+-------+----------------------+
 *        | may take    | on the node | count | queues, near to far  |
 *        +-------------+-------------+-------+----------------------+
 */
export const ROW_SIZE: u32 = 64;
export const ROW_SHIFT: u32 = 6;
/** Nodes of a pool whose workers can be placed anew while it runs; the rows of the second bank begin behind theirs. */
export const ROW_BANK: u32 = 23; // model: 4
/** Workers (a bit each, i64) that may take what is queued for the node or stands in the deques of its workers. */
export const ROW_MAY: u32 = 0;
/** Workers on the node, a bit each; of queue 0 all. */
export const ROW_LOCAL: u32 = 8;
export const ROW_COUNT: u32 = 16;
/** Numbers of queues, a byte each: the node's own first. */
export const ROW_QUEUES: u32 = 20;

// ---- cells: atomics by name -----------------------------------------------------------------------------------------------------------

export const MAX_CELLS: u32 = 1024; // model: 2
export const CELLS: u32 = POOLS_END;
export const CELL_SIZE: u32 = 256;
export const CELLS_END: u32 = CELLS + MAX_CELLS * CELL_SIZE;

/*
 *   line 0   claim (i64), -, name-length, then the name in UTF-8, inverted, up to byte 191
 *   line 3   value, tracked, operations (i64)
 */
/** 0, or 62 bits of the name's hash with the kind (CELL_INT32, CELL_BOOL) in the low two bits. */
export const CELL_CLAIM: u32 = 0;
export const CELL_NAME_LENGTH: u32 = 12;
export const CELL_NAME: u32 = 16;
export const CELL_NAME_CAPACITY: u32 = 176;
export const CELL_VALUE: u32 = 192;
/** 1 from the moment on that somebody counts its operations (ts/metrics/atomic-monitor.ts). */
export const CELL_TRACKED: u32 = 196;
/** Operations since then, by all threads; i64. */
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
/** Next in a chain of completions; for a fork, the slot of the task that forked it; for a queued task with META_PLACED_BIT, the queue it belongs to. */
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
/** Belongs to the queue that stands in SLOT_LINK until the task has an outcome. */
export const META_PLACED_BIT: u32 = 1 << 22;
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
 *   line 0   kind agent pool queue queue-count           written when the lane is taken over
 *   line 1   head of the completions that came back       completions.ts
 *   128      deques, each DEQUE_SIZE: of a worker CLASSES x { forks, batches }, of a submitter CLASSES x queues
 */
export const LANE_KIND: u32 = 0;
export const LANE_AGENT: u32 = 4;
export const LANE_POOL: u32 = 8;
/** Of a worker: the queue of its node, 0 where workers are not placed. */
export const LANE_QUEUE: u32 = 12;
/** Deques of each class: 2 for a worker, POOL_QUEUES for a submitter. */
export const LANE_QUEUES: u32 = 16;
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

// ---- locks and their owners (lock-table.ts, mutex.ts, owners.ts, waits.ts) -------------------------------------------------------------------------

/*
 * The tables, in spans of their own, made when the first lock is opened:
 *
 *   +----------------------------+----------------------------------+-------------------------+
 *   | index: u64 a bucket        | lock chunks: u32 address each    | owner chunks: u32 each  |
 *   | name's hash << 32 | id     | 1024 records of 64 bytes a chunk | the same                |
 *   +----------------------------+----------------------------------+-------------------------+
 */
export const CHUNK_LOG2: u32 = 10; // model: 3
export const CHUNK_RECORDS: u32 = 1 << CHUNK_LOG2;
export const MAX_LOCKS: u32 = 1 << 20;
export const OWNER_ID_BITS: u32 = 19; // model: 6
export const MAX_OWNER_CHUNKS: u32 = 1 << (OWNER_ID_BITS - CHUNK_LOG2);

/*
 * A lock, or a class of locks (LOCK_FLAG_CLASS), which nobody can take: 64 bytes.
 *
 *        0      4       8      12     16     20     24     28     32           40     44      48           56     60
 *        +------+-------+------+------+------+------+------+------+------------+------+-------+------------+------+------+
 *        | word |handoff| next | prev |depth |flags | name |class | order key  |  id  |hold ms|   since    |taken | text |
 *        +------+-------+------+------+------+------+------+------+------------+------+-------+------------+------+------+
 */
/** Holder, sequence and flags: the table is in mutex.ts. */
export const LOCK_WORD: u32 = 0;
/** Id of the waiter that the lock is reserved for, or 0. */
export const LOCK_HANDOFF: u32 = 4;
/** Its place among the locks that its holder has. Holder only, as is the depth: how often it was taken again. */
export const LOCK_NEXT: u32 = 8;
export const LOCK_PREV: u32 = 12;
export const LOCK_DEPTH: u32 = 16;
/** LOCK_FLAG_* in status.ts, and how many threads have it open (lock-table.ts). The flags and the next five words never change while it is the lock that it is. */
export const LOCK_FLAGS: u32 = 20;
/** Address of the name: its length in bytes (u32), then UTF-8. */
export const LOCK_NAME: u32 = 24;
/** Id of its class, or 0. */
export const LOCK_CLASS: u32 = 28;
/** Its key within the class (f64), with LOCK_FLAG_ORDER_KEY. */
export const LOCK_ORDER: u32 = 32;
/** From 1; locks and classes are numbered together. */
export const LOCK_ID: u32 = 40;
/** Longest time that it should be held, in milliseconds (u32), or 0. */
export const LOCK_HOLD_MS: u32 = 44;
/** Milliseconds since the runtime's epoch at which it was taken (f64), where somebody asked for it. Holder writes. */
export const LOCK_SINCE: u32 = 48;
/** How often it was taken, modulo 2^32. Holder writes; who spins sees from it that the lock goes round. */
export const LOCK_TAKEN_COUNT: u32 = 56;
/** Where its holder took it, as an address like LOCK_NAME, or 0. Holder writes. */
export const LOCK_TEXT: u32 = 60;
export const LOCK_SIZE: u32 = 64;
export const LOCK_NAME_MOST: u32 = 512;
/** In LOCK_FLAGS: how many threads have it open, and how often the record became another lock. */
export const LOCK_USER_ONE: u32 = 1 << 12;
export const LOCK_USERS_MASK: u32 = 0xff << 12;
export const LOCK_TURN_SHIFT: u32 = 20;
export const LOCK_TURN_ONE: u32 = 1 << 20;
export const LOCK_TURN_MASK: u32 = 0xfff << 20;
/** Names stand in blocks of so many units of 16 bytes, their length included. */
export const NAME_UNIT_LOG2: u32 = 4;
export const NAME_SIZES: u32 = ((LOCK_NAME_MOST + 3) >> NAME_UNIT_LOG2) + 2;
/** How often a thread tries to come to the gate before it does something else. */
export const GATE_SPINS: u32 = 1000; // model: 1

export const WORD_CONTENDED: u32 = 1;
export const WORD_HANDOFF: u32 = 2;
export const WORD_ABANDONED: u32 = 4;
export const WORD_SEQ_ONE: u32 = 8;
export const WORD_SEQ_MASK: u32 = 0xff8;
export const WORD_OWNER_SHIFT: u32 = 12;
export const WORD_OWNER_MASK: u32 = 0x7ffff000;

/*
 * An owner of locks: 64 bytes. Record 0 of a chunk of owners says whose chunk it is.
 *
 *        0      4      8       12     16     20      24     28     32     36     40     44     48     52      56
 *        +------+------+-------+------+------+-------+------+------+------+------+------+------+------+-------+------------+
 *        | word |epoch |waiting|cancel| held |pending|agent,| kind | slot |claim | text | next |cache | awaits|    born    |
 *        |      |      |       |      |      |       |flags,|      |      |      |      |      |      |       |            |
 *        |      |      |       |      |      |       |asked |      |      |      |      |      |      |       |            |
 *        +------+------+-------+------+------+-------+------+------+------+------+------+------+------+-------+------------+
 */
/** Its id, shifted as it stands in a lock's word. Never changes. */
export const OWNER_WORD: u32 = 0;
/** Changes whenever a wait begins or ends, and when the record goes to another owner. */
export const OWNER_EPOCH: u32 = 4;
/** What it waits for: the address of a lock; of a slot, with WAIT_SLOT_BIT; or 0. */
export const OWNER_WAITING: u32 = 8;
/** The epoch of a wait that was aborted by another thread. */
export const OWNER_CANCEL: u32 = 12;
/** First of the locks that it holds, newest first. Its own thread only; after its death recovery. */
export const OWNER_HELD: u32 = 16;
/** The lock that it is about to take or to give back, written before the CAS: after a death there, recovery looks at it too. */
export const OWNER_PENDING: u32 = 20;
/** Id of the agent whose owner it is, one byte. */
export const OWNER_AGENT: u32 = 24;
/** OWNER_FLAG_* in status.ts, one byte: of its wait, and its class. */
export const OWNER_FLAGS: u32 = 25;
/** One byte: the runtime's thread is asked whose wait the deadlock costs that this owner's wait closed: 1 + its epoch modulo 255; else anything else. */
export const OWNER_ASKED: u32 = 26;
/** OWNER_KIND_* in status.ts; 0 is a free record. */
export const OWNER_KIND: u32 = 28;
/** Of a task: its slot. */
export const OWNER_SLOT: u32 = 32;
/** Hash of the last cycle of waits through it, with the lowest number in it, that somebody has dealt with (waits.ts). */
export const OWNER_CLAIM: u32 = 36;
/** Who it is and where it waits, as an address like LOCK_NAME, or 0. */
export const OWNER_TEXT: u32 = 40;
/** In a list: of free records; or of what an owner awaits. */
export const OWNER_NEXT: u32 = 44;
/** Belongs to the order checks; 0 at birth. */
export const OWNER_CACHE: u32 = 48;
/** First of the records for the calls that this owner awaits (OWNER_KIND_AWAIT), and for further locks that it waits for (OWNER_KIND_FLOW). */
export const OWNER_AWAITS: u32 = 52;
/** Milliseconds since the runtime's epoch at which the owner began (f64). */
export const OWNER_BORN: u32 = 56;
/** In the place of that, of a record for an awaited call that is queued: who the call stands behind, and in which of its waits. Zero at birth. */
export const OWNER_BEHIND: u32 = 56;
export const OWNER_BEHIND_EPOCH: u32 = 60;
export const OWNER_SIZE: u32 = 64;
export const WAIT_SLOT_BIT: u32 = 1;

/** One step of a path in the wait-for graph (waits.ts): owner, epoch, edge, what it waits for. */
export const STEP_OWNER: u32 = 0;
export const STEP_EPOCH: u32 = 4;
/** EDGE_*, or the address of the FLOW record that it is. */
export const STEP_EDGE: u32 = 8;
export const STEP_TARGET: u32 = 12;
export const STEP_SIZE: u32 = 16;

// ---- lock order (order*.ts): a root span, made by the first thread that needs it --------------------------------------------------------

/** Address of the root, or 0. */
export const HEADER_ORDER: u32 = HEADER + 448;
export const OWNER_ORDER: u32 = 0x2003;

/*
 *   0                   epoch contexts resets ...   words below
 *   ROOT_SIGHT_HEADS    heads of interned sights    u32 each
 *   ROOT_TEXT_HEADS     heads of interned texts
 *   ROOT_SIGHT_PAGES    pages of sights
 *   ROOT_INFO_PAGES     pages of lock names
 *   ROOT_INSTANCES      graph of locks              GRAPH_SIZE
 *   ROOT_CLASSES        graph of classes            GRAPH_SIZE
 */
/** Grace periods: bumped when something was taken out of reach (order-memory.ts). Starts at 1. */
export const ROOT_EPOCH: u32 = 0;
/** First context; they are linked by CONTEXT_NEXT and never leave the list. */
export const ROOT_CONTEXTS: u32 = 4;
export const ROOT_CONTEXT_COUNT: u32 = 8;
/** Part of every key of every seen chain: a bump forgets them all. */
export const ROOT_RESETS: u32 = 12;
/** 1 from the first lock with a class on: then the graph of classes is kept as well. */
export const ROOT_CLASSED: u32 = 16;
/** Edges that were seen and not kept: the memory or a table was full. */
export const ROOT_OVERFLOWS: u32 = 20;
/** Compiled rules (order-rules.ts), or 0; and how often they were declared. */
export const ROOT_RULES: u32 = 24;
export const ROOT_RULES_VERSION: u32 = 28;
/** Runs of spans that wait for their grace period, linked by RUN_NEXT. */
export const ROOT_RETIRED: u32 = 32;
/** First page of the cycles that were reported. */
export const ROOT_CYCLES: u32 = 36;
export const ROOT_SIGHT_NEXT: u32 = 40;
/** Next free byte for texts, or 0. */
export const ROOT_TEXT: u32 = 44;
/** Searches for cycles that stopped before they had seen all: there are more than were reported. */
export const ROOT_TRUNCATED: u32 = 48;
/** Highest lock id with a name or an edge. */
export const ROOT_HIGH: u32 = 52;
/** Part of every known cycle: a bump makes all of them new. */
export const ROOT_LIVES: u32 = 60;
/** Numbers given to owners: OWNER_CACHE has an owner's, which no other ever gets. */
export const ROOT_OWNERS: u32 = 56;
/** Sights that nothing refers to: tag << 32 | first, linked by SIGHT_NEXT. */
export const ROOT_SIGHT_FREE: u32 = 64;
/** Sights made since the last collection. */
export const ROOT_SIGHT_MADE: u32 = 72;
/** Bumped before a collection: a sight that a context keeps from before may be gone. */
export const ROOT_SIGHT_ROUND: u32 = 76;
/** Bytes of all texts. */
export const ROOT_TEXT_USED: u32 = 80;
export const ROOT_SIGHT_HEADS: u32 = 128;
export const SIGHT_HEADS: u32 = 512; // model: 1
export const ROOT_TEXT_HEADS: u32 = ROOT_SIGHT_HEADS + SIGHT_HEADS * 4;
export const TEXT_HEADS: u32 = 1024; // model: 1
export const ROOT_SIGHT_PAGES: u32 = ROOT_TEXT_HEADS + TEXT_HEADS * 4;
export const SIGHT_PAGES: u32 = 1024; // model: 2
export const ROOT_INFO_PAGES: u32 = ROOT_SIGHT_PAGES + SIGHT_PAGES * 4;
export const INFO_PAGES: u32 = 2048; // model: 1
export const ROOT_INSTANCES: u32 = (ROOT_INFO_PAGES + INFO_PAGES * 4 + LINE - 1) & ~(LINE - 1);

/*
 * A graph:
 *   line 0   order lock           i64: version << 12 | context that holds it
 *   line 1   loose back-high root
 *   line 2   placed, edge-next
 *   line 3   table
 *   line 4   free list            i64: tag << 32 | first edge
 *   line 5   holder only          stamp plan plan-count stale limbo limbo-epoch
 *   line 6   queue head, tail, lost
 *   GRAPH_BACK_LIST      edges that close cycles
 *   GRAPH_NODE_PAGES     pages of nodes
 *   GRAPH_EDGE_PAGES     pages of edges
 */
export const GRAPH_LOCK: u32 = 0;
/** Edges outside the order; each was searched for by who made it. Too high after a death, never too low. */
export const GRAPH_LOOSE: u32 = 64;
/** Those of them that closed a cycle are listed, as far as there is room: one more than the highest place in use. */
export const GRAPH_BACK_HIGH: u32 = 68;
/** Address of the root. */
export const GRAPH_ROOT: u32 = 72;
/** Nodes that have a place. */
export const GRAPH_PLACED: u32 = 128;
export const GRAPH_EDGE_NEXT: u32 = 132;
export const GRAPH_TABLE: u32 = 192;
export const GRAPH_FREE: u32 = 256;
export const GRAPH_STAMP: u32 = 320;
/** Places that are about to be given out: pairs { node, 0, place u64 }, and how many; 0 when none (order-places.ts). */
export const GRAPH_PLAN: u32 = 324;
export const GRAPH_PLAN_COUNT: u32 = 328;
/** Removed nodes whose edges still stand in lists. */
export const GRAPH_STALE: u32 = 332;
/** Edges that stand in no list, and the epoch from which on they may be used again. */
export const GRAPH_LIMBO: u32 = 336;
export const GRAPH_LIMBO_EPOCH: u32 = 340;
/** Loose edges that wait to be arranged: a ring of a span, or 0; who holds the order lock takes from its head. */
export const GRAPH_QUEUE: u32 = 384;
export const GRAPH_QUEUE_HEAD: u32 = 388;
export const GRAPH_QUEUE_TAIL: u32 = 392;
export const QUEUE_SIZE: u32 = 16384; // model: 4
/** Not 0: some did not fit into the queue. They are found by looking at all edges. */
export const GRAPH_LOST: u32 = 396;
export const GRAPH_BACK_LIST: u32 = 448;
export const BACK_LISTED: u32 = 768; // model: 2
export const GRAPH_NODE_PAGES: u32 = GRAPH_BACK_LIST + BACK_LISTED * 4;
export const NODE_PAGES: u32 = 2048; // model: 1
export const GRAPH_EDGE_PAGES: u32 = GRAPH_NODE_PAGES + NODE_PAGES * 4;
export const EDGE_PAGES: u32 = 2048; // model: 3
export const GRAPH_SIZE: u32 = (GRAPH_EDGE_PAGES + EDGE_PAGES * 4 + LINE - 1) & ~(LINE - 1);
export const ROOT_CLASSES: u32 = ROOT_INSTANCES + GRAPH_SIZE;
export const ROOT_SPANS: u32 = (ROOT_CLASSES + GRAPH_SIZE + SPAN_SIZE - 1) >> SPAN_SHIFT;

/** A node: its place in the order, its lists of edges. The holder of the order lock alone uses the mark. */
export const NODE_SIZE: u32 = 32;
export const NODES_PER_PAGE_LOG2: u32 = 11; // model: 4
export const NODE_ID_BITS: u32 = 22;
export const NODE_ID_MASK: u32 = (1 << NODE_ID_BITS) - 1;
/** u64; 0 until the node has its first edge. */
export const NODE_PLACE: u32 = 0;
export const NODE_OUT: u32 = 8;
export const NODE_IN: u32 = 12;
export const NODE_MARK: u32 = 16;
/** Generation (10 bits), generation of which everything older was purged (10 bits), NODE_*_BIT. */
export const NODE_LIFE: u32 = 20;
/** Id of the lock's class, or 0. */
export const NODE_CLASS: u32 = 24;
export const NODE_GENERATION_MASK: u32 = 0x3ff;
export const NODE_PURGED_SHIFT: u32 = 10;
export const NODE_STALE_BIT: u32 = 1 << 20;
export const NODE_KEYED_BIT: u32 = 1 << 21;

/*
 * An edge, in two parts: walks touch the first only. A page of edges is two spans of the one and a span of the other.
 *
 *        0        4        8        12      16            128 KiB  +4       +8
 *        +--------+--------+--------+--------+            +--------+--------+
 *        | to     |next out| from   |next in |            | weight | sight  |
 *        +--------+--------+--------+--------+            +--------+--------+
 *
 * FROM and TO are references: generation << 22 | id. Both are 0 while the edge is free.
 */
export const EDGE_SIZE: u32 = 16;
/** Where the second parts of a page begin, and how large one is. */
export const EDGE_NOTES: u32 = 2 * SPAN_SIZE;
export const NOTE_SIZE: u32 = 8;
export const EDGES_PER_PAGE_LOG2: u32 = 13; // model: 6
export const EDGE_PAGE_SPANS: u32 = 3;
/** Edges that a context takes at once from GRAPH_EDGE_NEXT. */
export const EDGE_BATCH: u32 = 64; // model: 4
export const EDGE_TO: u32 = 0;
export const EDGE_NEXT_OUT: u32 = 4;
export const EDGE_FROM: u32 = 8;
export const EDGE_NEXT_IN: u32 = 12;
/** Times that it was seen. */
export const NOTE_WEIGHT: u32 = 0;
/** Sight (24 bits) and EDGE_*_BIT; of a dead edge, the next dead one instead of the sight. */
export const NOTE_SIGHT: u32 = 4;
export const EDGE_SIGHT_MASK: u32 = 0xffffff;
/** Outside the order. */
export const EDGE_LOOSE_BIT: u32 = 1 << 24;
/** Closed a cycle: taking it again is a violation again. */
export const EDGE_BACK_BIT: u32 = 1 << 25;
/** Part of a cycle that was reported. */
export const EDGE_CYCLIC_BIT: u32 = 1 << 26;
/** Closed a cycle and was refused: nobody ever took it, so it is part of no other cycle. Until somebody does. */
export const EDGE_REFUSED_BIT: u32 = 1 << 28;
/** There was no memory for the search that it needs: whoever meets it tries again. */
export const EDGE_UNSEARCHED_BIT: u32 = 1 << 29;
/** Of a node that is gone, or on the free list. */
export const EDGE_DEAD_BIT: u32 = 1 << 27;

/** Set of edges by FROM and TO: slots of { tag (8 bits), edge (24 bits) }. */
export const TABLE_SIZE: u32 = 0;
export const TABLE_USED: u32 = 4;
/** Table that takes this one's place, or 0. */
export const TABLE_NEXT: u32 = 8;
export const TABLE_CLAIMED: u32 = 12;
export const TABLE_MOVED: u32 = 16;
export const TABLE_SLOTS: u32 = 64;
export const TABLE_INITIAL_SPANS: u32 = 1;
/** Slots that one insertion moves, once in EDGE_BATCH insertions. */
export const TABLE_CHUNK: u32 = 1024; // model: 64
/** An empty slot that stays empty: look in the next table. */
export const TABLE_SEALED: u32 = 0xffffffff;

/** In the header of a run of spans that was retired. */
export const RUN_SPANS: u32 = 48;
export const RUN_NEXT: u32 = 52;
export const RUN_EPOCH: u32 = 56;

/** How an edge was first seen; shared by all edges that were seen alike. 0 stands for: by several owners, under no other lock. */
export const SIGHT_SIZE: u32 = 32;
export const SIGHTS_PER_PAGE_LOG2: u32 = 11; // model: 4
/** OWNER_MANY, or who. */
export const SIGHT_OWNER: u32 = 0;
/** Text of the stack, or 0. */
export const SIGHT_STACK: u32 = 4;
/** References of other locks that were held every time, outermost first; 0 ends them. */
export const SIGHT_GATES: u32 = 8;
export const SIGHT_GATE_COUNT: u32 = 4;
export const SIGHT_HASH: u32 = 24;
/** Next in its chain, and SIGHT_LIMBO_BIT; of a free one, the next free one. */
export const SIGHT_NEXT: u32 = 28;
/** It stands in no chain any more: free as soon as no edge refers to it. */
export const SIGHT_LIMBO_BIT: u32 = 1 << 31;
export const OWNER_MANY: u32 = 0;

/** An interned text: hash, next in its chain, then as names are everywhere { bytes, UTF-8 }. */
export const TEXT_HASH: u32 = 0;
export const TEXT_NEXT: u32 = 4;
export const TEXT_LENGTH: u32 = 8;
export const TEXT_BYTES: u32 = 12;
export const TEXT_MOST: u32 = 8192;

/** What only rules and pictures need of a lock: its name, its rank under the rules of a version, its key. */
export const INFO_SIZE: u32 = 32;
export const INFOS_PER_PAGE_LOG2: u32 = 11; // model: 4
/** Address of { bytes u32, UTF-8 }. */
export const INFO_NAME: u32 = 0;
export const INFO_RANK: u32 = 4;
export const INFO_VERSION: u32 = 8;
/** Highest class of an owner that was seen with it: 3 - CLASS_*, or 0. */
export const INFO_CLASS: u32 = 12;
/** f64, with NODE_KEYED_BIT. */
export const INFO_KEY: u32 = 16;

/*
 * A context: what one thread needs to look at the order. A span.
 *   line 0   state next agent index            line 1   active epoch
 *   line 2   its own: pending, batches, scratch
 *   192      answer words, then what one call hands to another
 *   CONTEXT_HASHES     hashes of slots that are moved together, u64 each
 *   CONTEXT_HELD       held locks of the acquisition that is looked at
 *   CONTEXT_ANSWERS    answer: cycles
 *   CONTEXT_CHAINS     seen chains: { key u64, owner u32, count (8 bits) << 24 | edge }
 */
export const CONTEXT_STATE: u32 = 0;
export const CONTEXT_NEXT: u32 = 4;
export const CONTEXT_AGENT: u32 = 8;
export const CONTEXT_INDEX: u32 = 12;
/** ROOT_EPOCH when it began what it is in, or 0. */
export const CONTEXT_ACTIVE: u32 = 64;
/** Edge that it is linking, and the graph; for recovery. */
export const CONTEXT_PENDING: u32 = 128;
export const CONTEXT_PENDING_GRAPH: u32 = 132;
/** Two batches { next, end }: of locks, of classes. */
export const CONTEXT_BATCHES: u32 = 136;
/** Runs { address, spans }: of the order's lists, of marks, of the answer when it is long. */
export const CONTEXT_SCRATCH: u32 = 152;
export const CONTEXT_MARKS: u32 = 160;
export const CONTEXT_LONG: u32 = 168;
export const CONTEXT_STAMP: u32 = 176;
/** Words of the answer, its address, and the room there. */
export const CONTEXT_ANSWERED: u32 = 192;
export const CONTEXT_ANSWER: u32 = 196;
export const CONTEXT_ANSWER_ROOM: u32 = 200;
/** Where the answer will end with the report that is being made, or 0. */
export const CONTEXT_TENTATIVE: u32 = 280;
/** The held locks against which a rule, and the order of keys, was broken; 0 for none. */
export const CONTEXT_RULE_HELD: u32 = 204;
export const CONTEXT_KEY_HELD: u32 = 208;
/** How many of CONTEXT_HELD. */
export const CONTEXT_HELD_COUNT: u32 = 212;
/** Edge that the last learn() ended with. */
export const CONTEXT_EDGE: u32 = 216;
/** Where the last findEdge() would have its edge: the slot or 0, what is there, and the table. */
export const CONTEXT_SLOT: u32 = 220;
export const CONTEXT_SLOT_NOW: u32 = 224;
export const CONTEXT_TABLE: u32 = 228;
/** Takes what is read only to have it near. */
export const CONTEXT_TOUCHED: u32 = 232;
/** Answer of validateOrder(): in which graph (GRAPH_OF_*) the order would be broken, and under which lock. */
export const CONTEXT_AGAINST_GRAPH: u32 = 236;
export const CONTEXT_AGAINST_HELD: u32 = 240;
/** 1 while an acquisition is looked at that will be refused if it is against the order. */
export const CONTEXT_STRICT: u32 = 244;
/** The last owner whose first sight of an edge was under no other lock, and that sight. */
export const CONTEXT_PLAIN_OWNER: u32 = 248;
export const CONTEXT_PLAIN_SIGHT: u32 = 252;
/** ROOT_SIGHT_ROUND when it was kept. */
export const CONTEXT_PLAIN_ROUND: u32 = 284;
/** 1: there was no room for a sight in what the context is doing. */
export const CONTEXT_UNSEEN: u32 = 288;
/** Edges that it gave slots of the table of locks, and of that of classes. */
export const CONTEXT_TICKS: u32 = 292;
/** The sight that is looked for: its first six words. */
export const CONTEXT_SIGHT: u32 = 256;
export const CONTEXT_HASHES: u32 = 320;
export const HASHED_AT_ONCE: u32 = 64; // model: 4
export const CONTEXT_HELD: u32 = CONTEXT_HASHES + HASHED_AT_ONCE * 8;
export const CONTEXT_HELD_MOST: u32 = 768; // model: 4
export const CONTEXT_ANSWERS: u32 = CONTEXT_HELD + CONTEXT_HELD_MOST * 4;
export const CONTEXT_ANSWER_WORDS: u32 = 7168; // model: 32
export const CONTEXT_CHAINS: u32 = CONTEXT_ANSWERS + CONTEXT_ANSWER_WORDS * 4;
export const CHAIN_SIZE: u32 = 16;
export const CHAINS: u32 = 2048; // model: 4
export const CONTEXT_SPANS: u32 = (CONTEXT_CHAINS + CHAINS * CHAIN_SIZE + SPAN_SIZE - 1) >> SPAN_SHIFT;
/** Whose look it was, or 0: anybody's. */
export const CHAIN_OWNER: u32 = 8;
/** How often it was seen again since it last added that to its edges, and the edge from the newest held lock. */
export const CHAIN_COUNTED: u32 = 12;
export const CHAIN_COUNT_SHIFT: u32 = 24;
export const CHAIN_EDGE_MASK: u32 = 0xffffff;
/** A chain that was seen again so many times adds them to all its edges. */
export const CHAIN_FLUSH: u32 = 64;

/** Reported cycles: pages of hashes. */
export const CYCLES_NEXT: u32 = 0;
export const CYCLES_USED: u32 = 4;
export const CYCLES_SLOTS: u32 = 64;
export const CYCLES_PER_PAGE: u32 = (SPAN_SIZE - CYCLES_SLOTS) / 8;

/** Compiled rules: names, and for every pair whether one comes before the other. */
export const RULES_RANKS: u32 = 0;
/** Entries of the table of names. */
export const RULES_NAMES_SIZE: u32 = 4;
/** Bytes of a row of bits. */
export const RULES_ROW: u32 = 8;
/** Address of { bytes u32, UTF-8 }: the rules as JSON, for messages. */
export const RULES_TEXT: u32 = 12;
/** Table { hash u64, rank u32, 0 } at +64; then the matrix, a row of bits for each rank. */
export const RULES_TABLE: u32 = 64;
export const RULES_ENTRY: u32 = 16;
export const RULES_MOST: u32 = 4096;

// ---- lock meters (ts/locks/lock-meter.ts) --------------------------------------------------------------------------------------------------------------

/*
 * A row for each agent, written by its thread. It stays when the agent goes to another thread, so what it counts only ever grows.
 *
 *   0     waits   64 x u32
 *   256   holds   64 x u32
 *   512   milliseconds waited, milliseconds held   f64 each
 */
export const METER_WAITS: u32 = 0;
export const METER_HOLDS: u32 = 256;
export const METER_WAIT_MS: u32 = 512;
export const METER_HOLD_MS: u32 = 520;
export const METER_SIZE: u32 = 576;
export const METER_SPANS: u32 = (MAX_AGENTS * METER_SIZE + SPAN_SIZE - 1) >> SPAN_SHIFT;
/** In HEADER_LOCK_METERS: every lock is metered, not only those with LOCK_FLAG_METERED. */
export const METER_ALL_BIT: u32 = 1;

// ---- trace rings (ts/worker/trace-ring.ts) ----------------------------------------------------------------------------------------------------------

/** Ring header: next index, which counts from the capacity to twice that and again once the ring is full; capacity. */
export const TRACE_NEXT: u32 = 0;
export const TRACE_CAPACITY: u32 = 4;
export const TRACE_EVENTS: u32 = 64;
/** One event: type u32, detail u32, start f64 ms, end f64 ms. */
export const TRACE_EVENT_SIZE: u32 = 24;
