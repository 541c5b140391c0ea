/**
 * The same algorithm as the kernel's on typed arrays, for one thread: open addressing for the set of edges, lists of edges in both directions,
 * Pearce and Kelly's order, marks by stamps, a table of seen chains. Records are interleaved, so that what is read together stands together; the
 * arrays double when they are full. It keeps weights and owners, and no gates; nothing of it can be shared with another thread.
 */
const NODE = 4; // place, out, in, mark
const EDGE = 6; // from, to, next out, next in, weight, owner
const CHAINS = 2048;

export class TunedOrder {
  #nodes = new Uint32Array(NODE * 1024);
  #edges = new Uint32Array(EDGE * 1024);
  #table = new Uint32Array(2048);
  #chains = new Uint32Array(CHAINS * 4); // held, lock, owner or 0, edge
  #counts = new Uint32Array(CHAINS);
  #forward = new Uint32Array(1024);
  #backward = new Uint32Array(1024);
  #places = new Uint32Array(2048);
  #edgeCount = 1;
  #placeCount = 0;
  #stamp = 0;

  /** `owner` takes `lock` under `held`. True when that closes a cycle. */
  check(held, lock, owner) {
    const chain = (Math.imul(held, 0x9e3779b1) ^ Math.imul(lock, 0x85ebca77)) >>> 21;
    const chains = this.#chains;
    const entry = chain << 2;
    if (chains[entry] === held && chains[entry + 1] === lock) {
      const whose = chains[entry + 2];
      if (whose === 0 || whose === owner) {
        this.#counts[chain]++;
        return false;
      }
    }
    return this.#slow(held, lock, owner, entry);
  }

  #slow(held, lock, owner, entry) {
    const slot = this.#find(held, lock);
    let edge = this.#table[slot];
    let closes = false;
    if (edge !== 0) {
      this.#edges[edge * EDGE + 4]++;
      if (this.#edges[edge * EDGE + 5] !== owner) this.#edges[edge * EDGE + 5] = 0;
    } else {
      edge = this.#insert(held, lock, owner, slot);
      closes = this.#settle(held, lock);
    }
    const chains = this.#chains;
    const counts = this.#counts;
    this.#edges[chains[entry + 3] * EDGE + 4] += counts[entry >> 2];
    counts[entry >> 2] = 0;
    chains[entry] = held;
    chains[entry + 1] = lock;
    chains[entry + 2] = this.#edges[edge * EDGE + 5];
    chains[entry + 3] = edge;
    return closes;
  }

  /** Index of the edge's slot, or of the empty one in which it would stand. */
  #find(from, to) {
    const table = this.#table;
    const edges = this.#edges;
    const mask = table.length - 1;
    let hash = Math.imul(from, 0x9e3779b1) ^ Math.imul(to, 0x85ebca77);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let i = (hash ^ (hash >>> 13)) & mask;
    for (;;) {
      const edge = table[i];
      if (edge === 0 || (edges[edge * EDGE] === from && edges[edge * EDGE + 1] === to)) return i;
      i = (i + 1) & mask;
    }
  }

  #insert(from, to, owner, slot) {
    const edge = this.#edgeCount++;
    if ((edge + 1) * EDGE > this.#edges.length) this.#edges = grown(this.#edges);
    const most = Math.max(from, to);
    while ((most + 1) * NODE > this.#nodes.length) this.#growNodes();
    const nodes = this.#nodes;
    const edges = this.#edges;
    if (nodes[from * NODE] === 0) nodes[from * NODE] = ++this.#placeCount;
    if (nodes[to * NODE] === 0) nodes[to * NODE] = ++this.#placeCount;
    const at = edge * EDGE;
    edges[at] = from;
    edges[at + 1] = to;
    edges[at + 2] = nodes[from * NODE + 1];
    edges[at + 3] = nodes[to * NODE + 2];
    edges[at + 4] = 1;
    edges[at + 5] = owner;
    nodes[from * NODE + 1] = edge;
    nodes[to * NODE + 2] = edge;
    this.#table[slot] = edge;
    if (edge * 2 > this.#table.length) this.#rehash();
    return edge;
  }

  #growNodes() {
    this.#nodes = grown(this.#nodes);
    const nodes = this.#nodes.length / NODE;
    this.#forward = new Uint32Array(nodes);
    this.#backward = new Uint32Array(nodes);
    this.#places = new Uint32Array(nodes * 2);
  }

  #rehash() {
    this.#table = new Uint32Array(this.#table.length * 2);
    const edges = this.#edges;
    for (let edge = 1; edge < this.#edgeCount; edge++)
      this.#table[this.#find(edges[edge * EDGE], edges[edge * EDGE + 1])] = edge;
  }

  /** Puts the ends in order. True when there is a way back. */
  #settle(from, to) {
    const nodes = this.#nodes;
    const high = nodes[from * NODE];
    const low = nodes[to * NODE];
    if (high < low) return false;
    const edges = this.#edges;
    const stamp = ++this.#stamp;
    const forward = this.#forward;
    let forwards = 1;
    forward[0] = to;
    nodes[to * NODE + 3] = stamp;
    for (let i = 0; i < forwards; i++) {
      for (let edge = nodes[forward[i] * NODE + 1]; edge !== 0; edge = edges[edge * EDGE + 2]) {
        const next = edges[edge * EDGE + 1];
        if (nodes[next * NODE] > high || nodes[next * NODE + 3] === stamp) continue;
        if (next === from) return true;
        nodes[next * NODE + 3] = stamp;
        forward[forwards++] = next;
      }
    }
    const backward = this.#backward;
    let backwards = 1;
    backward[0] = from;
    nodes[from * NODE + 3] = stamp;
    for (let i = 0; i < backwards; i++) {
      for (let edge = nodes[backward[i] * NODE + 2]; edge !== 0; edge = edges[edge * EDGE + 3]) {
        const next = edges[edge * EDGE];
        if (nodes[next * NODE] < low || nodes[next * NODE + 3] === stamp) continue;
        nodes[next * NODE + 3] = stamp;
        backward[backwards++] = next;
      }
    }
    this.#reorder(forwards, backwards);
    return false;
  }

  #reorder(forwards, backwards) {
    const nodes = this.#nodes;
    const forward = this.#forward;
    const backward = this.#backward;
    const places = this.#places;
    sortByPlace(forward, forwards, nodes);
    sortByPlace(backward, backwards, nodes);
    let f = 0;
    let b = 0;
    for (let i = 0; i < forwards + backwards; i++) {
      const low = f < forwards ? nodes[forward[f] * NODE] : Number.POSITIVE_INFINITY;
      const high = b < backwards ? nodes[backward[b] * NODE] : Number.POSITIVE_INFINITY;
      if (low < high) f++;
      else b++;
      places[i] = Math.min(low, high);
    }
    for (let i = 0; i < backwards; i++) nodes[backward[i] * NODE] = places[i];
    for (let i = 0; i < forwards; i++) nodes[forward[i] * NODE] = places[backwards + i];
  }

  /** Bytes of all its arrays. */
  get bytes() {
    const arrays = [this.#nodes, this.#edges, this.#table, this.#chains, this.#counts];
    return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }
}

function grown(array) {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** Few: insertion. Many: the engine's own sort. */
function sortByPlace(list, count, nodes) {
  if (count > 64) {
    list.subarray(0, count).sort((a, b) => nodes[a * NODE] - nodes[b * NODE]);
    return;
  }
  for (let i = 1; i < count; i++) {
    const lock = list[i];
    const place = nodes[lock * NODE];
    let j = i;
    while (j > 0 && nodes[list[j - 1] * NODE] > place) {
      list[j] = list[j - 1];
      j--;
    }
    list[j] = lock;
  }
}
