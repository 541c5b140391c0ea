// Numbers that look random, and are the same wherever the seed is.

/** Mulberry32 (T. Ettinger): 32 bits of state, enough for a program of events. */
export function randomFrom(seed) {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const random = {
    /** An integer of 0 or more below `bound`. */
    below: (bound) => Math.floor((next() / 2 ** 32) * bound),
    between: (low, high) => low + random.below(high - low + 1),
    /** True with probability `p`. */
    chance: (p) => next() / 2 ** 32 < p,
    pick: (list) => list[random.below(list.length)],
    /** One of `[weight, value]`. */
    weighted(list) {
      let left = random.below(list.reduce((sum, [weight]) => sum + weight, 0));
      for (const [weight, value] of list) {
        left -= weight;
        if (left < 0) return value;
      }
      return list[0][1];
    },
    /** A generator of its own, whose numbers do not depend on how many this one gives meanwhile. */
    split: () => randomFrom(next()),
  };
  return random;
}
