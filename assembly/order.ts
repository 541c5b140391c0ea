/**
 * Lock order, the checks: called before a lock is taken, with what its owner holds.
 *
 *   held locks, taken lock -> seen chain?            one probe of the context's own table; most calls end here
 *                          -> rules, keys            order-rules.ts
 *                          -> an edge from each held lock to the taken one, in the graph of locks, and in that of classes if there are any
 *
 * A lock's node in the graph of classes is its class, or itself when it has none; with no classes at all the two graphs would be the same, and only the
 * first is kept. When the first class appears the edges so far are copied.
 *
 * **Seen chains.** A chain is the set of held locks with the taken one: a set, because the edges are the same in any order. Its key is a hash over the
 * ids of the locks and ROOT_RESETS: a bump there forgets all chains, also when a lock goes that had edges, since another may get its id.
 * 64 bits: two chains in 10^9 are taken for each other with a chance of 3 in 100, once. A chain that broke an order is kept only where that is reported and not refused. An entry is for one owner
 * until all of its edges were seen by several, since until then a second owner changes what is known (order-sights.ts).
 *
 * **Weights.** A chain that is seen again counts in its own entry; every CHAIN_FLUSH times the entry adds to all its edges. The rest of it stands in the
 * entry, with the edge from the newest held lock: who draws the graph adds it. When another chain takes the entry, it is added there. So the
 * weight of an edge between locks taken right after one another is exact, and others lag behind by less than CHAIN_FLUSH for each chain and thread.
 */
import { add32, load32, or32, store32 } from './atomics';
import {
  CHAIN_COUNT_SHIFT,
  CHAIN_COUNTED,
  CHAIN_EDGE_MASK,
  CHAIN_FLUSH,
  CHAIN_OWNER,
  CHAIN_SIZE,
  CHAINS,
  CONTEXT_AGAINST_GRAPH,
  CONTEXT_AGAINST_HELD,
  CONTEXT_ANSWER,
  CONTEXT_ANSWER_ROOM,
  CONTEXT_ANSWER_WORDS,
  CONTEXT_ANSWERED,
  CONTEXT_ANSWERS,
  CONTEXT_CHAINS,
  CONTEXT_EDGE,
  CONTEXT_HELD,
  CONTEXT_HELD_COUNT,
  CONTEXT_HELD_MOST,
  CONTEXT_KEY_HELD,
  CONTEXT_LONG,
  CONTEXT_RULE_HELD,
  CONTEXT_STRICT,
  CONTEXT_TOUCHED,
  CONTEXT_UNSEEN,
  EDGE_BACK_BIT,
  EDGE_FROM,
  EDGE_NEXT_OUT,
  EDGE_REFUSED_BIT,
  EDGE_TO,
  GRAPH_LOOSE,
  INFO_CLASS,
  INFO_KEY,
  INFO_NAME,
  INFO_VERSION,
  NODE_CLASS,
  NODE_ID_MASK,
  NODE_KEYED_BIT,
  NODE_LIFE,
  NODE_OUT,
  NOTE_SIGHT,
  NOTE_WEIGHT,
  ROOT_CLASSED,
  ROOT_CLASSES,
  ROOT_HIGH,
  ROOT_INSTANCES,
  ROOT_LIVES,
  ROOT_OVERFLOWS,
  ROOT_RESETS,
} from './layout';
import { learn, reference } from './order-graph';
import {
  dropRun,
  edgeAt,
  enter,
  findInfo,
  findNode,
  isCurrent,
  isNodeId,
  knownNode,
  leave,
  mix,
  nodeAt,
  noteAt,
  noteId,
  referenceTo,
  root,
} from './order-memory';
import { isHeld, isUpward, lockWord } from './order-places';
import { removeAll, removeNode } from './order-removal';
import { breaksRule } from './order-rules';
import { explainCycle, forgetCycles, isFirst, reaches } from './order-search';
import { addStack, internText, isManys } from './order-sights';
import { findEdge, touchSlot } from './order-table';
import {
  GRAPH_OF_CLASSES,
  GRAPH_OF_LOCKS,
  ORDER_AGAINST_BIT,
  ORDER_FRESH_BIT,
  ORDER_KEY_BIT,
  ORDER_OVERFLOW_BIT,
  ORDER_RULE_BIT,
} from './status';

const LOCKS: u32 = 0;
const CLASSES: u32 = 1;

/**
 * Says what a lock or a class is: `name` the address of { bytes, UTF-8 } that stays, `ofClass` an id or 0, `key` its place in the class if `isKeyed`.
 * Before its first use, and again for the next lock with this id. False when there is no room or the id is none.
 */
export function describeLock(id: u32, name: usize, ofClass: u32, isKeyed: u32, key: f64): bool {
  const at = root();
  if (at == 0 || !isNodeId(id) || (ofClass != 0 && !isNodeId(ofClass))) return false;
  const node = findNode(at + ROOT_INSTANCES, id);
  const info = findInfo(at, id);
  if (node == 0 || info == 0) return false;
  noteId(at, id);
  store32(info + INFO_VERSION, 0);
  store32(info + INFO_NAME, name as u32);
  store<f64>(info + INFO_KEY, key); // plain: a lock is described before it is used
  store32(node + NODE_CLASS, ofClass);
  if (isKeyed != 0) or32(node + NODE_LIFE, NODE_KEYED_BIT);
  if (ofClass != 0) noteId(at, ofClass);
  return true;
}

/** Starts the graph of classes: before the first lock with a class is checked. Copies what was learned without them. */
export function beginClasses(context: usize): u32 {
  const at = root();
  if (load32(at + ROOT_CLASSED) != 0) return 0;
  enter(at, context);
  beginAnswer(context);
  // First the word, then the copy: an edge that is linked later is seen by its maker to be wanted here too.
  store32(at + ROOT_CLASSED, 1);
  store<u32>(context + CONTEXT_HELD_COUNT, 0);
  let answer: u32 = 0;
  const high = load32(at + ROOT_HIGH);
  for (let id: u32 = 1; id <= high; id++) {
    const node = knownNode(at + ROOT_INSTANCES, id);
    if (node == 0) continue;
    for (let edge = load32(node + NODE_OUT); edge != 0; ) {
      const copied = edge;
      const record = edgeAt(at + ROOT_INSTANCES, edge);
      edge = load32(record + EDGE_NEXT_OUT);
      const to = load32(record + EDGE_TO);
      if (
        !isCurrent(node, load32(record + EDGE_FROM)) ||
        !isCurrent(nodeAt(at + ROOT_INSTANCES, to & NODE_ID_MASK), to)
      )
        continue;
      answer |= learnClasses(
        at,
        context,
        id,
        to & NODE_ID_MASK,
        0,
        load32(noteAt(at + ROOT_INSTANCES, copied) + NOTE_WEIGHT),
      );
    }
  }
  leave(at, context);
  return answer;
}

/**
 * Looks at an acquisition: `count` ids of held locks at `held`, outermost first, then `lock`. Returns ORDER_*_BITs; what was found stands
 * in the context until its next call.
 */
export function checkOrder(
  context: usize,
  held: usize,
  count: u32,
  lock: u32,
  owner: u32,
  isStrict: u32,
): u32 {
  if (count == 0) return 0;
  const at = root();
  const key = chainOf(at, held, count, lock);
  if (isSeen(context, key, owner)) {
    if (countSeen(context, key)) flushSlow(at, context, chainAt(context, key), held, count, lock);
    return 0;
  }
  return checkSlow(at, context, key, held, count, lock, owner, isStrict);
}

/** Was this chain seen, by this owner or by several? Plain accesses: the table is this thread's own. */
export function isSeen(context: usize, key: u64, owner: u32): bool {
  const entry = chainAt(context, key);
  const whose = load<u32>(entry + CHAIN_OWNER);
  return load<u64>(entry) == key && (whose == 0 || whose == owner);
}

/** Counts it. True when it is time to add what was counted to the edges. */
export function countSeen(context: usize, key: u64): bool {
  const place = chainAt(context, key) + CHAIN_COUNTED;
  const counted = load<u32>(place) + (1 << CHAIN_COUNT_SHIFT);
  store<u32>(place, counted);
  return counted >> CHAIN_COUNT_SHIFT == CHAIN_FLUSH;
}

/** Would the next countSeen() answer true? */
export function isCountFull(context: usize, key: u64): bool {
  return load<u32>(chainAt(context, key) + CHAIN_COUNTED) >> CHAIN_COUNT_SHIFT == CHAIN_FLUSH - 1;
}

/** Key of a chain: of the set of held locks, so in any order of theirs. */
function chainOf(at: usize, held: usize, count: u32, lock: u32): u64 {
  let sum: u64 = 0;
  if (count > 1)
    for (let i: u32 = 0; i < count; i++) sum += mix(load<u32>(held + ((i as usize) << 2)) as u64);
  return keyOfChain(at, load<u32>(held), count, sum, lock);
}

/** `any` of `count` held locks, and the sum of the hashes of all when there are more than one. */
export function keyOfChain(at: usize, any: u32, count: u32, sum: u64, lock: u32): u64 {
  const resets = mix(load32(at + ROOT_RESETS) as u64);
  if (count == 1) return mix(resets ^ (((any as u64) << 32) | (lock as u64)));
  return mix(resets ^ mix(sum + (count as u64)) ^ (lock as u64));
}

function quickReference(graph: usize, id: u32): u32 {
  const node = knownNode(graph, id);
  return node == 0 ? id : referenceTo(node, id);
}

export function chainAt(context: usize, key: u64): usize {
  return context + CONTEXT_CHAINS + (((key as u32) & (CHAINS - 1)) as usize) * CHAIN_SIZE;
}

/** Adds what an entry counted to all edges of its chain, which are those of this call. */
export function flushSlow(at: usize, context: usize, entry: usize, held: usize, count: u32, lock: u32): void {
  store<u32>(entry + CHAIN_COUNTED, load<u32>(entry + CHAIN_COUNTED) & CHAIN_EDGE_MASK);
  enter(at, context);
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u32>(held + ((i as usize) << 2));
    if (id != lock) addWeight(at + ROOT_INSTANCES, id, lock);
    if (load32(at + ROOT_CLASSED) != 0) {
      const from = classOf(at, id);
      const to = classOf(at, lock);
      if (from != to) addWeight(at + ROOT_CLASSES, from, to);
    }
  }
  leave(at, context);
}

function addWeight(graph: usize, from: u32, to: u32): void {
  const edge = findEdge(graph, 0, quickReference(graph, from), quickReference(graph, to));
  if (edge != 0) add32(noteAt(graph, edge) + NOTE_WEIGHT, CHAIN_FLUSH);
}

/** Keeps a chain. The edge of the one that stood there gets what was counted for it. */
function keepChain(graph: usize, context: usize, key: u64, owner: u32, edge: u32): void {
  const entry = chainAt(context, key);
  const counted = load<u32>(entry + CHAIN_COUNTED);
  const old = counted & CHAIN_EDGE_MASK;
  // An edge that was purged since, or is another by now, gets a few too many.
  if (counted != old && old != 0) add32(noteAt(graph, old) + NOTE_WEIGHT, counted >> CHAIN_COUNT_SHIFT);
  store<u64>(entry, key);
  store<u32>(entry + CHAIN_OWNER, owner);
  store<u32>(entry + CHAIN_COUNTED, edge);
}

function classOf(at: usize, id: u32): u32 {
  const node = knownNode(at + ROOT_INSTANCES, id);
  const named = node == 0 ? 0 : load32(node + NODE_CLASS);
  return named == 0 ? id : named;
}

/** What is found from here on is the context's answer. */
export function beginAnswer(context: usize): void {
  dropRun(context + CONTEXT_LONG);
  store<u32>(context + CONTEXT_ANSWERED, 0);
  store<u32>(context + CONTEXT_ANSWER, (context + CONTEXT_ANSWERS) as u32);
  store<u32>(context + CONTEXT_ANSWER_ROOM, CONTEXT_ANSWER_WORDS);
  store<u32>(context + CONTEXT_RULE_HELD, 0);
  store<u32>(context + CONTEXT_KEY_HELD, 0);
  store<u32>(context + CONTEXT_UNSEEN, 0);
}

export function checkSlow(
  at: usize,
  context: usize,
  key: u64,
  held: usize,
  count: u32,
  lock: u32,
  owner: u32,
  isStrict: u32,
): u32 {
  touch(at, context, held, count, lock);
  enter(at, context);
  beginAnswer(context);
  store<u32>(context + CONTEXT_STRICT, isStrict);
  let answer = takeDown(at, context, held, count, lock);
  const graph = at + ROOT_INSTANCES;
  const taken = reference(graph, lock);
  const kept = load<u32>(context + CONTEXT_HELD_COUNT);
  answer |= declaredOfAll(at, context, kept, lock);
  // It will not be taken: there is nothing to learn from it.
  if (isStrict != 0 && (answer & (ORDER_RULE_BIT | ORDER_KEY_BIT)) != 0) {
    leave(at, context);
    return answer;
  }
  let isMany = true;
  let last: u32 = 0;
  for (let i: u32 = 0; i < kept; i++) {
    const from = load<u32>(context + CONTEXT_HELD + (i << 2));
    const id = from & NODE_ID_MASK;
    if (id == lock || taken == 0) continue;
    answer |= learn(at, graph, LOCKS, context, from, taken, owner, from, 1, context + CONTEXT_EDGE);
    last = (answer & ORDER_OVERFLOW_BIT) != 0 ? 0 : load<u32>(context + CONTEXT_EDGE);
    if (last != 0 && !isManys(at, noteAt(graph, last))) isMany = false;
  }
  if (load32(at + ROOT_CLASSED) != 0) {
    for (let i: u32 = 0; i < kept; i++) {
      const id = load<u32>(context + CONTEXT_HELD + (i << 2)) & NODE_ID_MASK;
      answer |= learnClasses(at, context, id, lock, owner, 1);
    }
  }
  leave(at, context);
  if (load<u32>(context + CONTEXT_UNSEEN) != 0) answer |= ORDER_OVERFLOW_BIT;
  // What is against an order is looked at again each time, if it must be refused each time.
  const refused = ORDER_AGAINST_BIT | ORDER_RULE_BIT | ORDER_KEY_BIT;
  if ((answer & ORDER_OVERFLOW_BIT) == 0 && (isStrict == 0 || (answer & refused) == 0))
    keepChain(graph, context, key, isMany ? 0 : owner, last);
  return answer;
}

/** Reads what will be needed, all at once: after the first atomic write below the processor waits for each of it in turn. */
function touch(at: usize, context: usize, held: usize, count: u32, lock: u32): void {
  const graph = at + ROOT_INSTANCES;
  let seen = touchNode(graph, lock);
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u32>(held + ((i as usize) << 2));
    seen += touchSlot(graph, id, lock) + touchNode(graph, id);
  }
  store<u32>(context + CONTEXT_TOUCHED, seen);
}

function touchNode(graph: usize, id: u32): u32 {
  const node = knownNode(graph, id);
  return node == 0 ? 0 : load<u32>(node + NODE_LIFE);
}

/** Copies the held locks, as references, to where the sights look for gates. */
function takeDown(at: usize, context: usize, held: usize, count: u32, lock: u32): u32 {
  const graph = at + ROOT_INSTANCES;
  let kept: u32 = 0;
  let answer: u32 = 0;
  noteId(at, lock);
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u32>(held + ((i as usize) << 2));
    noteId(at, id);
    const known = count - i > CONTEXT_HELD_MOST ? 0 : reference(graph, id);
    if (known == 0) {
      add32(at + ROOT_OVERFLOWS, 1);
      answer = ORDER_OVERFLOW_BIT;
      continue;
    }
    store<u32>(context + CONTEXT_HELD + (kept << 2), known);
    kept++;
  }
  store<u32>(context + CONTEXT_HELD_COUNT, kept);
  return answer;
}

function declaredOfAll(at: usize, context: usize, kept: u32, lock: u32): u32 {
  let answer: u32 = 0;
  for (let i: u32 = 0; i < kept; i++) {
    const id = load<u32>(context + CONTEXT_HELD + (i << 2)) & NODE_ID_MASK;
    if (id != lock) answer |= declared(at, context, id, lock, true);
  }
  return answer;
}

/** What rules and keys say to taking `lock` under `held`; `isTold`: somebody will be told, so that the next time is not the first. */
function declared(at: usize, context: usize, held: u32, lock: u32, isTold: bool): u32 {
  const graph = at + ROOT_INSTANCES;
  const below = nodeAt(graph, held);
  const above = nodeAt(graph, lock);
  let answer: u32 = 0;
  const heldClass = load32(below + NODE_CLASS);
  const takenClass = load32(above + NODE_CLASS);
  if (breaksRule(at, held, heldClass, lock, takenClass)) {
    if (load<u32>(context + CONTEXT_RULE_HELD) == 0) store<u32>(context + CONTEXT_RULE_HELD, held);
    answer = ORDER_RULE_BIT;
    if (isTold && isFirst(at, ORDER_RULE_BIT, held, lock)) answer |= ORDER_FRESH_BIT;
  }
  const areKeyed = (load32(below + NODE_LIFE) & load32(above + NODE_LIFE) & NODE_KEYED_BIT) != 0;
  if (
    heldClass != 0 &&
    heldClass == takenClass &&
    areKeyed &&
    load<f64>(findInfo(at, lock) + INFO_KEY) < load<f64>(findInfo(at, held) + INFO_KEY)
  ) {
    if (load<u32>(context + CONTEXT_KEY_HELD) == 0) store<u32>(context + CONTEXT_KEY_HELD, held);
    answer |= ORDER_KEY_BIT;
    if (isTold && isFirst(at, ORDER_KEY_BIT, held, lock)) answer |= ORDER_FRESH_BIT;
  }
  return answer;
}

/** The edge between the classes of two locks. Within a class only instances and keys are compared. */
function learnClasses(at: usize, context: usize, held: u32, lock: u32, owner: u32, weight: u32): u32 {
  const graph = at + ROOT_CLASSES;
  const from = classOf(at, held);
  const to = classOf(at, lock);
  if (from == to) return 0;
  noteId(at, max(from, to));
  const low = reference(graph, from);
  const high = reference(graph, to);
  if (low == 0 || high == 0) {
    add32(at + ROOT_OVERFLOWS, 1);
    return ORDER_OVERFLOW_BIT;
  }
  const gateless = reference(at + ROOT_INSTANCES, held);
  return learn(at, graph, CLASSES, context, low, high, owner, gateless, weight, 0);
}

// ---- questions ------------------------------------------------------------------------------------------------------------------------------------

/**
 * What checkOrder() would find, without learning anything: ORDER_RULE_BIT, ORDER_KEY_BIT, and ORDER_AGAINST_BIT when a path leads from the lock to a held
 * one, which CONTEXT_AGAINST_* names.
 */
export function validateOrder(context: usize, held: usize, count: u32, lock: u32): u32 {
  const at = root();
  enter(at, context);
  beginAnswer(context);
  noteId(at, lock);
  let answer: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const id = load<u32>(held + ((i as usize) << 2));
    if (id == lock || findNode(at + ROOT_INSTANCES, id) == 0 || findNode(at + ROOT_INSTANCES, lock) == 0)
      continue;
    noteId(at, id);
    answer |= declared(at, context, id, lock, false);
    if ((answer & ORDER_AGAINST_BIT) != 0) continue;
    const isAgainst = wouldClose(at, at + ROOT_INSTANCES, context, id, lock);
    if (!isAgainst && load32(at + ROOT_CLASSED) == 0) continue;
    const from = classOf(at, id);
    const to = classOf(at, lock);
    if (!isAgainst && (from == to || !wouldClose(at, at + ROOT_CLASSES, context, from, to))) continue;
    answer |= ORDER_AGAINST_BIT;
    store<u32>(context + CONTEXT_AGAINST_GRAPH, isAgainst ? GRAPH_OF_LOCKS : GRAPH_OF_CLASSES);
    store<u32>(context + CONTEXT_AGAINST_HELD, id);
  }
  leave(at, context);
  return answer;
}

/** Is there a path lock -> held? Most questions are answered by the places alone. */
function wouldClose(at: usize, graph: usize, context: usize, held: u32, lock: u32): bool {
  const from = knownNode(graph, held);
  const to = knownNode(graph, lock);
  if (from == 0 || to == 0) return false;
  const word = lockWord(graph);
  if (!isHeld(word) && load32(graph + GRAPH_LOOSE) == 0 && isUpward(from, to) && lockWord(graph) == word)
    return false;
  return reaches(at, graph, context, lock, held);
}

/** The shortest cycle through the edge from -> to of a graph, as the only one in the answer. False when there is none. */
export function explainOrder(context: usize, graphKind: u32, from: u32, to: u32): bool {
  const at = root();
  const graph = at + (graphKind == GRAPH_OF_LOCKS ? ROOT_INSTANCES : ROOT_CLASSES);
  enter(at, context);
  beginAnswer(context);
  const edge = findEdge(graph, 0, quickReference(graph, from), quickReference(graph, to));
  const found = edge != 0 && explainCycle(at, graph, context, edge) == 1;
  leave(at, context);
  return found;
}

/** The edge from -> to of a graph as it is now, or 0. */
export function edgeBetween(context: usize, graphKind: u32, from: u32, to: u32): u32 {
  const at = root();
  const graph = at + (graphKind == GRAPH_OF_LOCKS ? ROOT_INSTANCES : ROOT_CLASSES);
  enter(at, context);
  const edge = findEdge(graph, 0, quickReference(graph, from), quickReference(graph, to));
  leave(at, context);
  return edge;
}

/**
 * The acquisition of the last checkOrder() was refused for its cycles: edges of it that closed some are not walked any more. The chain is not kept in
 * any case, so they are met again, and refused again.
 */
export function refuseOrder(context: usize, lock: u32): void {
  const at = root();
  enter(at, context);
  const kept = load<u32>(context + CONTEXT_HELD_COUNT);
  for (let i: u32 = 0; i < kept; i++) {
    const held = load<u32>(context + CONTEXT_HELD + (i << 2)) & NODE_ID_MASK;
    refuse(at + ROOT_INSTANCES, held, lock);
    if (load32(at + ROOT_CLASSED) != 0) refuse(at + ROOT_CLASSES, classOf(at, held), classOf(at, lock));
  }
  leave(at, context);
}

function refuse(graph: usize, from: u32, to: u32): void {
  const edge = findEdge(graph, 0, quickReference(graph, from), quickReference(graph, to));
  if (edge == 0) return;
  const sight = noteAt(graph, edge) + NOTE_SIGHT;
  // Seen once, by whom we refuse it: otherwise it is an order of others, too.
  if ((load32(sight) & EDGE_BACK_BIT) != 0 && load32(noteAt(graph, edge) + NOTE_WEIGHT) == 1)
    or32(sight, EDGE_REFUSED_BIT);
}

/** Keeps a stack, a text that internOrderText() returned, with those edges of the last checkOrder() that have none. */
export function keepStack(context: usize, lock: u32, stack: u32): void {
  const at = root();
  enter(at, context);
  const kept = load<u32>(context + CONTEXT_HELD_COUNT);
  for (let i: u32 = 0; i < kept; i++) {
    const held = load<u32>(context + CONTEXT_HELD + (i << 2)) & NODE_ID_MASK;
    stackOn(at, at + ROOT_INSTANCES, context, held, lock, stack);
    if (load32(at + ROOT_CLASSED) != 0)
      stackOn(at, at + ROOT_CLASSES, context, classOf(at, held), classOf(at, lock), stack);
  }
  leave(at, context);
}

function stackOn(at: usize, graph: usize, context: usize, from: u32, to: u32, stack: u32): void {
  const edge = findEdge(graph, 0, quickReference(graph, from), quickReference(graph, to));
  if (edge != 0) addStack(at, context, noteAt(graph, edge), stack);
}

/** Keeps a text for ever. Returns the address of { bytes, UTF-8 }, or 0 when there is no room, or all texts together would be longer than `most`. */
export function internOrderText(text: usize, length: u32, most: u32): usize {
  const at = root();
  return at == 0 ? 0 : internText(at, text, length, most);
}

/** A lock that is gone: its edges do not count any more. False when its id must not be given out again yet. */
export function forgetLock(context: usize, id: u32): bool {
  const at = root();
  if (at == 0) return true;
  const instance = removeNode(at, at + ROOT_INSTANCES, context, id);
  const own = removeNode(at, at + ROOT_CLASSES, context, id);
  if (!instance || !own) return false;
  // The next lock with this number is described anew.
  if (knownNode(at + ROOT_INSTANCES, id) == 0) return true;
  const info = findInfo(at, id);
  if (info == 0) return true;
  store32(info + INFO_CLASS, 0);
  store32(info + INFO_NAME, 0);
  return true;
}

/** Forgets everything that was learned; rules, names and classes stay. False when some edges could not be forgotten yet. */
export function resetOrder(context: usize): bool {
  const at = root();
  add32(at + ROOT_RESETS, 1);
  add32(at + ROOT_LIVES, 1);
  const instances = removeAll(at, at + ROOT_INSTANCES, context);
  const classes = removeAll(at, at + ROOT_CLASSES, context);
  forgetCycles(at);
  return instances && classes;
}
