/** Edges and chains for the cases of the lock order. The same seed gives the same program to every contender. */

/** Mulberry32 (T. Ettinger). */
function generator(seed) {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/**
 * `edges` acquisitions of one lock under another, all along one hidden order of `locks` locks, with ids from 1: no cycle to find, and nothing about the
 * order to know beforehand.
 */
export function randomEdges(locks, edges, seed) {
  const random = generator(seed);
  const ids = shuffled(locks, random);
  const from = new Uint32Array(edges);
  const to = new Uint32Array(edges);
  for (let e = 0; e < edges; ) {
    const a = random(locks);
    const b = random(locks);
    if (a === b) continue;
    from[e] = ids[Math.min(a, b)];
    to[e++] = ids[Math.max(a, b)];
  }
  return { from, to };
}

/** The same between locks that are at most a hundredth of all apart in the order. */
export function nearEdges(locks, edges, seed) {
  const random = generator(seed);
  const ids = shuffled(locks, random);
  const from = new Uint32Array(edges);
  const to = new Uint32Array(edges);
  for (let e = 0; e < edges; ) {
    const a = random(locks);
    const b = a + 1 + random(locks / 100);
    if (b >= locks) continue;
    from[e] = ids[a];
    to[e++] = ids[b];
  }
  return { from, to };
}

function shuffled(locks, random) {
  const ids = Uint32Array.from({ length: locks }, (_, i) => i + 1);
  for (let i = locks - 1; i > 0; i--) {
    const j = random(i + 1);
    [ids[i], ids[j]] = [ids[j], ids[i]];
  }
  return ids;
}
