import { InvalidTypeError } from '../errors.ts';
import type { LockGraph } from '../locks/lock-graph.ts';
import { type HierarchyRule, RuleSet } from '../locks/order-rules.ts';
import { describe } from '../options.ts';
import type { LockValidationResult } from './types.ts';

/** The order of one runtime: what is declared, and what was learned. */
export interface KnownOrder {
  readonly rules: readonly HierarchyRule[];
  /** The learned order; undefined where there is none. */
  graph(): LockGraph | undefined;
}

/**
 * May a lock be taken under others, by what is known of the order? Declared rules count before the learned order.
 *
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for anything but names.
 */
export function validateByNames(
  orders: readonly KnownOrder[],
  current: readonly string[],
  incoming: string,
): LockValidationResult {
  if (!Array.isArray(current) || !current.every(isName))
    throw new InvalidTypeError(
      `validateLockOrder() takes a list of names of held locks, not ${describe(current)}`,
    );
  if (!isName(incoming))
    throw new InvalidTypeError(`validateLockOrder() takes the name of a lock, not ${describe(incoming)}`);
  for (const order of orders) {
    const graph = order.graph();
    const rules = new RuleSet(order.rules);
    const aliases = (name: string): string[] => [
      name,
      ...(graph === undefined ? [] : classesOf(graph, name)),
    ];
    for (const held of current) {
      const broken = rules.rulesFor(aliases(incoming), aliases(held));
      if (broken.length > 0) {
        return fault(
          [held, incoming],
          broken,
          `${broken.length === 1 ? 'rule' : 'rules'} ${broken.map((rule) => `'${rule}'`).join(', ')} ${broken.length === 1 ? 'puts' : 'put'} '${incoming}' before '${held}'`,
        );
      }
    }
    if (graph === undefined) continue;
    for (const held of current) {
      const path = held === incoming ? undefined : learnedPath(graph, aliases(incoming), aliases(held));
      if (path !== undefined)
        return fault(
          path,
          [],
          `it has been learned that ${path.map((name) => `'${name}'`).join(' is taken before ')}`,
        );
    }
  }
  return { isValid: true, rules: [] };

  function fault(locks: readonly string[], rules: readonly string[], why: string): LockValidationResult {
    const held = current.map((name) => `'${name}'`).join(', ');
    const message = `lock '${incoming}' must not be taken under ${held}: ${why}`;
    return { isValid: false, violation: { kind: 'order', message, locks: [...locks] }, rules };
  }
}

const isName = (value: unknown): boolean => typeof value === 'string' && value !== '';

/** Classes of the locks of that name. */
function classesOf(graph: LockGraph, name: string): string[] {
  const classes = graph.nodes.filter((node) => node.name === name).map((node) => node.class);
  return [...new Set(classes.filter((each) => each !== undefined))];
}

/** Names on a way along learned edges, from a lock of the first names to one of the second; undefined when there is none. */
function learnedPath(graph: LockGraph, from: readonly string[], to: readonly string[]): string[] | undefined {
  const byAddress = new Map(graph.nodes.map((node) => [node.address, node]));
  const next = new Map<number, number[]>();
  for (const edge of graph.edges) {
    const known = next.get(edge.from);
    if (known === undefined) next.set(edge.from, [edge.to]);
    else known.push(edge.to);
  }
  const start = graph.nodes.filter(({ name }) => from.includes(name)).map(({ address }) => address);
  const cameFrom = new Map<number, number | undefined>(start.map((address) => [address, undefined]));
  const queue = [...start];
  for (const address of queue) {
    for (const target of next.get(address) ?? []) {
      if (cameFrom.has(target)) continue;
      cameFrom.set(target, address);
      if (!to.includes(byAddress.get(target)?.name ?? '')) {
        queue.push(target);
        continue;
      }
      const path: string[] = [];
      for (let at: number | undefined = target; at !== undefined; at = cameFrom.get(at))
        path.unshift(byAddress.get(at)?.name ?? '');
      return path;
    }
  }
  return undefined;
}
