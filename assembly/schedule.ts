/**
 * What the `model` build imports from the explorer (tests/model/explorer): it is told of every access to shared memory before it happens, and may
 * suspend the caller there. No other build contains any of this.
 *
 * Kinds of access, as the explorer knows them.
 */
export const ACCESS_LOAD: u32 = 0;
export const ACCESS_STORE: u32 = 1;
/** A read-modify-write that always writes. */
export const ACCESS_RMW: u32 = 2;
/** A compare-exchange; `low` and `high` are what it expects. */
export const ACCESS_CAS: u32 = 3;
export const ACCESS_PLAIN_LOAD: u32 = 4;
export const ACCESS_PLAIN_STORE: u32 = 5;

/** `size` bytes at `address` are about to be accessed. */
export declare function point(kind: u32, address: usize, size: u32, low: u32, high: u32): void;

/** wait32 as the explorer plays it: 0 woken, 1 the value differs, 2 timed out. `finite`: there is a timeout, so it may end at any moment. */
export declare function wait(address: usize, expected: u32, finite: u32): u32;

/** Wakes all; returns how many. */
export declare function notify(address: usize): u32;

/** Wakes one; returns how many. */
export declare function notifyFirst(address: usize): u32;

/** The caller spins: it has nothing to do until another thread has written something. */
export declare function relax(): void;
