import binaryen from 'binaryen';
import { median } from '../lib/stats.mjs';

/** Takes a word and gives it back: in a loop inside WebAssembly, and in calls of their own. No lock can cost less than the first, and none that is called from JavaScript less than the second. */
const TEXT = `(module
  (memory (import "env" "memory") 1 1 shared)
  (func (export "pairs") (param $n i32)
    (loop $again
      (drop (i32.atomic.rmw.cmpxchg (i32.const 64) (i32.const 0) (i32.const 1)))
      (drop (i32.atomic.rmw.cmpxchg (i32.const 64) (i32.const 1) (i32.const 0)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "take") (param $at i32) (result i32)
    (i32.atomic.rmw.cmpxchg (local.get $at) (i32.const 0) (i32.const 1)))
  (func (export "give") (param $at i32) (result i32)
    (i32.atomic.rmw.cmpxchg (local.get $at) (i32.const 1) (i32.const 0))))`;
const WORD = 64;

/** @returns nanoseconds for a compare-and-swap there and back: the median over `times` runs of `pairs` each, after one that does not count */
export async function timeBarePairs(pairs, times) {
  const { exports } = await instantiate();
  return medianOf(times, pairs, () => exports.pairs(pairs));
}

/** The same where JavaScript calls for each half. */
export async function timeBareCalls(pairs, times) {
  const { take, give } = (await instantiate()).exports;
  return medianOf(times, pairs, () => {
    for (let i = 0; i < pairs; i++) if (take(WORD) !== 0 || give(WORD) !== 1) throw new Error('not ours');
  });
}

async function instantiate() {
  const module = binaryen.parseText(TEXT);
  module.setFeatures(binaryen.Features.Atomics);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { instance } = await WebAssembly.instantiate(module.emitBinary(), { env: { memory } });
  return instance;
}

function medianOf(times, pairs, run) {
  const samples = [];
  for (let i = 0; i <= times; i++) {
    const begin = performance.now();
    run();
    if (i > 0) samples.push(((performance.now() - begin) / pairs) * 1e6);
  }
  return median(samples);
}
