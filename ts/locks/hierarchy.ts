import { type LockEdge, LockGraph, type LockNode } from './lock-graph.ts';
import type { RuleSet } from './order-rules.ts';
import type { OrderEdge, OrderGranularity, OrderView } from './order-view.ts';
import type { LockSpace } from './space.ts';

/**
 * The learned and the declared order as one graph. A lock with a class appears as itself; its class is a node when a rule or a learned edge between
 * classes says something that the locks do not.
 */
export function graphOf(space: LockSpace, view: OrderView, rules: RuleSet): LockGraph {
  const nodes = new Map<number, LockNode>();
  const edges = new Map<string, LockEdge>();
  const nameOf = (id: number): string => view.nameOf(id) ?? space.nameOf(id);
  const addNode = (id: number, kind: OrderGranularity): number => {
    const address = space.kernel.calls.lockAt(id) >>> 0;
    if (!nodes.has(address)) {
      const ofClass = kind === 'lock' ? view.classOf(id) : 0;
      nodes.set(address, {
        address,
        name: nameOf(id),
        kind,
        ...(ofClass === 0 ? {} : { class: nameOf(ofClass) }),
        numaNode: 0,
        qosLevel: view.levelOf(id) ?? 'Burstable',
      });
    }
    return address;
  };
  const addEdge = (edge: OrderEdge, kind: OrderGranularity): void => {
    const kindOf = (id: number): OrderGranularity =>
      kind === 'class' && view.classOf(id) === 0 && space.isClass(id) ? 'class' : 'lock';
    const from = addNode(edge.from, kindOf(edge.from));
    const to = addNode(edge.to, kindOf(edge.to));
    const [owner, ...stack] = edge.stack.split('\n');
    edges.set(`${from} ${to}`, {
      from,
      to,
      weight: edge.weight,
      isCyclic: edge.isCyclic,
      rules: rules.rulesFor(namesFor(edge.from), namesFor(edge.to)),
      gates: edge.gates.map(nameOf),
      ...(owner ? { owner } : {}),
      ...(stack.length === 0 ? {} : { stack: stack.join('\n') }),
    });
  };
  const namesFor = (id: number): string[] =>
    [id, view.classOf(id)].filter((each) => each !== 0).map((each) => nameOf(each));

  for (const edge of view.edges('lock')) addEdge(edge, 'lock');
  // An edge between two locks without classes is in both graphs.
  for (const edge of view.edges('class'))
    if (space.isClass(edge.from) || space.isClass(edge.to)) addEdge(edge, 'class');
  addRules(space, rules, addNode, edges);
  return new LockGraph([...nodes.values()], [...edges.values()]);
}

/** What rules say of locks and classes that exist. */
function addRules(
  space: LockSpace,
  rules: RuleSet,
  addNode: (id: number, kind: OrderGranularity) => number,
  edges: Map<string, LockEdge>,
): void {
  const known = new Map<string, number[]>();
  for (const id of space.lockIds()) {
    const name = space.nameOf(id);
    known.set(name, [...(known.get(name) ?? []), id]);
  }
  for (const { name, order } of rules.rules) {
    for (let i = 1; i < order.length; i++) {
      for (const before of known.get(order[i - 1]!) ?? []) {
        for (const after of known.get(order[i]!) ?? []) {
          const from = addNode(before, space.isClass(before) ? 'class' : 'lock');
          const to = addNode(after, space.isClass(after) ? 'class' : 'lock');
          const key = `${from} ${to}`;
          if (edges.has(key)) continue;
          edges.set(key, { from, to, weight: 0, isCyclic: false, rules: [name], gates: [] });
        }
      }
    }
  }
}
