/** A thread is gone: whatever it was doing to the lock order is brought to its end. By one thread, once the host says so. */
import { load32 } from './atomics';
// model: import { store32 } from './atomics';
// model: import { GRAPH_PLAN_COUNT } from './layout';
import {
  CONTEXT_ANSWER,
  CONTEXT_ANSWERED,
  CONTEXT_PENDING,
  CONTEXT_PENDING_GRAPH,
  EDGE_FROM,
  EDGE_NEXT_IN,
  EDGE_NEXT_OUT,
  EDGE_TO,
  NODE_ID_MASK,
  NODE_IN,
  NODE_OUT,
  ROOT_CLASSES,
  ROOT_INSTANCES,
} from './layout';
import { beginAnswer } from './order';
import { linkIn, linkOut, settle } from './order-graph';
import { closeContext, contextOf, edgeAt, ensurePlace, enter, leave, nodeAt, root } from './order-memory';
import { carryOut, holds, unlock } from './order-places';
import { dropBatches } from './order-removal';
import { finishReport } from './order-search';
import { findEdge, finishMove } from './order-table';

/**
 * Repairs what the thread of agent `id` left, in that thread's own context. The context is given back, unless there are cycles in its answer that
 * the thread has not told anybody, or that it would have found: then it stays until they are read and closeOrder() is called.
 */
export function recoverOrder(id: u32): void {
  const gone = contextOf(id);
  if (gone == 0) return;
  const at = root();
  enter(at, gone);
  // mutant ORDER_PLAN_LEFT: store32(at + ROOT_INSTANCES + GRAPH_PLAN_COUNT, 0);
  unlockFor(at + ROOT_INSTANCES, gone);
  unlockFor(at + ROOT_CLASSES, gone);
  finishMove(at, at + ROOT_INSTANCES, gone);
  finishMove(at, at + ROOT_CLASSES, gone);
  // What it had found and not told stands in its answer.
  if (load<u32>(gone + CONTEXT_ANSWER) == 0) beginAnswer(gone);
  finishReport(at, gone);
  // mutant ORDER_EDGE_LEFT: { leave(at, gone); closeContext(gone); return; }
  finishEdge(at, gone);
  store<u32>(gone + CONTEXT_PENDING, 0);
  leave(at, gone);
  dropBatches(gone);
  if (load<u32>(gone + CONTEXT_ANSWERED) == 0) closeContext(gone);
}

function unlockFor(graph: usize, gone: usize): void {
  if (!holds(graph, gone)) return;
  carryOut(graph);
  unlock(graph);
}

/** The edge that it noted: not in the set, then nobody saw it; otherwise it is linked where it is not yet, and settled. */
function finishEdge(at: usize, gone: usize): void {
  const edge = load<u32>(gone + CONTEXT_PENDING); // plain: its thread is gone
  if (edge == 0) return;
  const graph: usize = load<u32>(gone + CONTEXT_PENDING_GRAPH);
  const record = edgeAt(graph, edge);
  const from = load32(record + EDGE_FROM);
  const to = load32(record + EDGE_TO);
  if (findEdge(graph, 0, from, to) != edge) return;
  const start = nodeAt(graph, from & NODE_ID_MASK);
  const end = nodeAt(graph, to & NODE_ID_MASK);
  ensurePlace(graph, start);
  ensurePlace(graph, end);
  if (!isIn(graph, start + NODE_OUT, EDGE_NEXT_OUT, edge)) linkOut(graph, edge);
  if (!isIn(graph, end + NODE_IN, EDGE_NEXT_IN, edge)) linkIn(graph, edge);
  settle(at, graph, gone, edge);
}

function isIn(graph: usize, head: usize, link: usize, wanted: u32): bool {
  let edge = load32(head);
  while (edge != 0 && edge != wanted) edge = load32(edgeAt(graph, edge) + link);
  return edge == wanted;
}
