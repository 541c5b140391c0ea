import { RULES_MOST } from '../../build/generated/layout.ts';
import type { HierarchyRule } from '../locks/order-rules.ts';
import { parseGoDuration } from './go-duration.ts';
import { describeCycle, RuleGraph } from './rule-graph.ts';
import { lockPolicySchema } from './schema.ts';
import { type Keys, pathOf, type Report } from './structural.ts';

/** Longest duration that a timer takes, in milliseconds. */
const LONGEST_MS = 2 ** 31 - 1;
const DURATION = lockPolicySchema.properties.maxHoldTime.pattern;

/** What a policy is checked against beside its schema. */
export interface Surroundings {
  /** The NUMA nodes that there are. Undefined: not known, so no id is refused. */
  readonly nodes?: readonly { readonly id: number }[] | undefined;
}

/**
 * Checks what no schema can say: durations that overflow, nodes that are not there, rules that contradict each other. Looks at those parts of `spec` only
 * that have the right shape, whatever else is wrong.
 */
export function checkMeaning(spec: unknown, keys: Keys, surroundings: Surroundings, report: Report): void {
  const policy = fieldsOf(spec);
  checkDuration(policy.maxHoldTime, [...keys, 'maxHoldTime'], report);
  const retry = fieldsOf(policy.retryPolicy);
  checkDuration(retry.backoffBase, [...keys, 'retryPolicy', 'backoffBase'], report);
  checkNodes(
    fieldsOf(policy.numaAffinity).preferredNodes,
    [...keys, 'numaAffinity', 'preferredNodes'],
    surroundings,
    report,
  );
  checkRules(policy.rules, [...keys, 'rules'], report);
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** What does not match the schema's pattern is a fault already. */
function checkDuration(value: unknown, keys: Keys, report: Report): void {
  if (typeof value !== 'string' || !new RegExp(DURATION, 'u').test(value)) return;
  const parsed = parseGoDuration(value);
  if (!('ns' in parsed)) report(keys, parsed.reason);
  else if (Number(parsed.ns) / 1e6 > LONGEST_MS)
    report(keys, `must be at most 596h31m23.647s, not ${JSON.stringify(value)}`);
}

function checkNodes(value: unknown, keys: Keys, { nodes }: Surroundings, report: Report): void {
  if (!Array.isArray(value) || nodes === undefined) return;
  const known = nodes.map(({ id }) => id);
  for (const [i, id] of value.entries())
    if (Number.isInteger(id) && !known.includes(id))
      report(
        [...keys, i],
        `names node ${id}, which this machine does not have; it has ${known.length === 1 ? `node ${known[0]} only` : `nodes ${known.join(', ')}`}`,
      );
}

function checkRules(value: unknown, keys: Keys, report: Report): void {
  if (!Array.isArray(value)) return;
  // Rules of another shape are faults already; an empty order keeps the indices as they are.
  const rules = value.map((rule, i) => readableRule(rule, i));
  const graph = new RuleGraph(rules);
  if (graph.names.length > RULES_MOST)
    report(keys, `name ${graph.names.length} locks and classes; there may be ${RULES_MOST}`);
  for (const cycle of graph.cycles()) {
    const names = [...new Set(cycle.steps.map(({ rule }) => rules[rule]!.name))];
    // Told of at the rule that came last, as without it there would be no ring.
    const last = cycle.steps.reduce((a, b) => (b.rule > a.rule ? b : a));
    const others = names.filter((name) => name !== rules[last.rule]!.name).map((name) => `'${name}'`);
    const which =
      others.length === 0
        ? 'contradicts itself'
        : `contradicts rule${others.length === 1 ? '' : 's'} ${others.join(', ')}`;
    report(
      [...keys, last.rule, 'order', last.at],
      `${which}: ${describeCycle(cycle, (rule) => rules[rule]!.name)}`,
    );
  }
}

function readableRule(value: unknown, i: number): HierarchyRule {
  const { name, order } = fieldsOf(value);
  return {
    name: typeof name === 'string' ? name : pathOf(['rules', i]),
    order: Array.isArray(order)
      ? order.map((each, j) => (typeof each === 'string' ? each : `\u0000${j}`))
      : [],
  };
}
