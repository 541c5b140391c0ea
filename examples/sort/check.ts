// A task module in TypeScript. Node loads it as it stands where it strips types (22.18 and later); elsewhere give the pool a loader
// (`execArgv`) or compile it first.

/** Counts in `faults[0]` the places of [start, end) where `keys` is not sorted or differs from `expected`. */
export function compare(
  start: number,
  end: number,
  keys: Float64Array,
  expected: Float64Array,
  faults: Int32Array,
): void {
  let found = 0;
  for (let i = start; i < end; i++) {
    if (keys[i] !== expected[i] || (i > 0 && keys[i - 1]! > keys[i]!)) found++;
  }
  if (found > 0) Atomics.add(faults, 0, found);
}
