/**
 * The learned order as one writes it first: a set of edges, and for each new one a depth-first search for the way back.
 */
export class NaiveOrder {
  #targets = new Map();

  /** `lock` is taken under `held`. True when that closes a cycle. */
  check(held, lock) {
    let targets = this.#targets.get(held);
    if (targets === undefined) this.#targets.set(held, (targets = new Set()));
    if (targets.has(lock)) return false;
    targets.add(lock);
    return this.#reaches(lock, held);
  }

  #reaches(from, to) {
    const seen = new Set([from]);
    const stack = [from];
    for (;;) {
      const lock = stack.pop();
      if (lock === undefined) return false;
      if (lock === to) return true;
      for (const next of this.#targets.get(lock) ?? []) {
        if (seen.has(next)) continue;
        seen.add(next);
        stack.push(next);
      }
    }
  }
}
