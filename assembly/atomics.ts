/**
 * Every atomic access of the kernel, and the only file that names the builtins. All of them are sequentially consistent, which is
 * what WebAssembly offers; comments elsewhere therefore say "pairs with" and "publishes". The `model` build puts one schedule point
 * before each (the lines `model:`, see schedule.ts), so exploring their interleavings is exploring all behaviours.
 *
 * Plain accesses (`load<u32>`, `store<u32>`) elsewhere say why they may be plain.
 */

// model: import { ACCESS_CAS, ACCESS_LOAD, ACCESS_RMW, ACCESS_STORE, notify, notifyFirst, point, wait } from './schedule';

export function load32(address: usize): u32 {
  // model: point(ACCESS_LOAD, address, 4, 0, 0);
  return atomic.load<u32>(address);
}

export function store32(address: usize, value: u32): void {
  // model: point(ACCESS_STORE, address, 4, 0, 0);
  atomic.store<u32>(address, value);
}

export function exchange32(address: usize, value: u32): u32 {
  // model: point(ACCESS_RMW, address, 4, 0, 0);
  return atomic.xchg<u32>(address, value);
}

/** True when `address` held `expected` and now holds `replacement`. */
export function cas32(address: usize, expected: u32, replacement: u32): bool {
  // model: point(ACCESS_CAS, address, 4, expected, 0);
  return atomic.cmpxchg<u32>(address, expected, replacement) == expected;
}

export function add32(address: usize, delta: u32): u32 {
  // model: point(ACCESS_RMW, address, 4, 0, 0);
  return atomic.add<u32>(address, delta);
}

export function or32(address: usize, bits: u32): u32 {
  // model: point(ACCESS_RMW, address, 4, 0, 0);
  return atomic.or<u32>(address, bits);
}

export function and32(address: usize, bits: u32): u32 {
  // model: point(ACCESS_RMW, address, 4, 0, 0);
  return atomic.and<u32>(address, bits);
}

export function load64(address: usize): u64 {
  // model: point(ACCESS_LOAD, address, 8, 0, 0);
  return atomic.load<u64>(address);
}

export function store64(address: usize, value: u64): void {
  // model: point(ACCESS_STORE, address, 8, 0, 0);
  atomic.store<u64>(address, value);
}

export function or64(address: usize, bits: u64): u64 {
  // model: point(ACCESS_RMW, address, 8, 0, 0);
  return atomic.or<u64>(address, bits);
}

export function and64(address: usize, bits: u64): u64 {
  // model: point(ACCESS_RMW, address, 8, 0, 0);
  return atomic.and<u64>(address, bits);
}

export function add64(address: usize, delta: u64): u64 {
  // model: point(ACCESS_RMW, address, 8, 0, 0);
  return atomic.add<u64>(address, delta);
}

export function cas64(address: usize, expected: u64, replacement: u64): bool {
  // model: point(ACCESS_CAS, address, 8, expected as u32, (expected >> 32) as u32);
  return atomic.cmpxchg<u64>(address, expected, replacement) == expected;
}

/** Blocks while `address` holds `expected`, at most `timeoutNs` (negative: for ever). */
export function wait32(address: usize, expected: u32, timeoutNs: i64): void {
  // model: wait(address, expected, timeoutNs >= 0 ? 1 : 0); return;
  atomic.wait<i32>(address, expected as i32, timeoutNs);
}

/** Wakes the waiter at `address` that came first, blocked or async. */
export function notifyOne(address: usize): void {
  // model: notifyFirst(address); return;
  atomic.notify(address, 1);
}

/** Wakes every waiter at `address`, blocked or async. */
export function notifyAll(address: usize): void {
  // model: notify(address); return;
  atomic.notify(address, -1);
}
