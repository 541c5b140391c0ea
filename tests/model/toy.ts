/** A binary as small as can be for tests of the explorer: each export is one access, or one of the classics made of a few. */
import binaryen from 'binaryen';
import type { Binary } from './explorer/types.ts';

export interface Toy {
  load(address: number): number;
  store(address: number, value: number): void;
  /** Returns what was there before. */
  add(address: number, delta: number): number;
  /** Returns what was there before. */
  cas(address: number, expected: number, replacement: number): number;
  /** Plain accesses. */
  read(address: number): number;
  write(address: number, value: number): void;
  /** A plain access of eight bytes: the value in either word. */
  writeTwo(address: number, value: number): void;
  /** For ever when `finite` is 0. */
  wait(address: number, expected: number, finite: number): number;
  notify(address: number): number;
  relax(): void;
  /** A load, then a store of one more. */
  increment(address: number): void;
  /** A plain read of one word, then a plain write of it to the other. */
  copy(address: number, to: number): void;
  trap(): void;
}

const point = (kind: number, expected = '(i32.const 0)', size = 4): string =>
  `(call $point (i32.const ${kind}) (local.get $a) (i32.const ${size}) ${expected} (i32.const 0))`;

const TEXT = `(module
 (import "schedule" "point" (func $point (param i32 i32 i32 i32 i32)))
 (import "schedule" "wait" (func $wait (param i32 i32 i32) (result i32)))
 (import "schedule" "notify" (func $notify (param i32) (result i32)))
 (import "schedule" "relax" (func $relax))
 (import "env" "memory" (memory 1 16 shared))
 (func (export "load") (param $a i32) (result i32) ${point(0)} (i32.atomic.load (local.get $a)))
 (func (export "store") (param $a i32) (param $v i32) ${point(1)} (i32.atomic.store (local.get $a) (local.get $v)))
 (func (export "add") (param $a i32) (param $v i32) (result i32)
  ${point(2)} (i32.atomic.rmw.add (local.get $a) (local.get $v)))
 (func (export "cas") (param $a i32) (param $e i32) (param $v i32) (result i32)
  ${point(3, '(local.get $e)')} (i32.atomic.rmw.cmpxchg (local.get $a) (local.get $e) (local.get $v)))
 (func (export "read") (param $a i32) (result i32) ${point(4)} (i32.load (local.get $a)))
 (func (export "write") (param $a i32) (param $v i32) ${point(5)} (i32.store (local.get $a) (local.get $v)))
 (func (export "writeTwo") (param $a i32) (param $v i32)
  ${point(5, '(i32.const 0)', 8)}
  (i64.store (local.get $a) (i64.mul (i64.extend_i32_u (local.get $v)) (i64.const 0x100000001))))
 (func (export "wait") (param $a i32) (param $v i32) (param $finite i32) (result i32)
  (call $wait (local.get $a) (local.get $v) (local.get $finite)))
 (func (export "notify") (param $a i32) (result i32) (call $notify (local.get $a)))
 (func (export "relax") (call $relax))
 (func (export "increment") (param $a i32) (local $v i32)
  ${point(0)}
  (local.set $v (i32.add (i32.atomic.load (local.get $a)) (i32.const 1)))
  ${point(1)}
  (i32.atomic.store (local.get $a) (local.get $v)))
 (func (export "copy") (param $a i32) (param $to i32) (local $v i32)
  ${point(4)}
  (local.set $v (i32.load (local.get $a)))
  (local.set $a (local.get $to))
  ${point(5)}
  (i32.store (local.get $a) (local.get $v)))
 (func (export "trap") (unreachable)))`;

/** One page; anything below the explorer's own is free. */
export function makeToy(): Binary<Toy> {
  const module = binaryen.parseText(TEXT);
  module.setFeatures(binaryen.Features.Atomics | binaryen.Features.MutableGlobals);
  binaryen.setPassArgument('asyncify-imports', 'schedule.point,schedule.wait,schedule.notify,schedule.relax');
  module.runPasses(['asyncify']);
  binaryen.clearPassArguments();
  const bytes = Uint8Array.from(module.emitBinary());
  module.dispose();
  return { module: new WebAssembly.Module(bytes), pages: 1, maximumPages: 16, imports: () => ({}) };
}
