import Table, { type TableConstructorOptions } from 'cli-table3';
import { formatGoDuration } from '../policy/go-duration.ts';
import { resolvePolicy } from '../policy/resolve.ts';
import { isResource } from '../policy/resource.ts';
import { RuleGraph } from '../policy/rule-graph.ts';
import type { LockPolicyCRD, LockPolicyResource } from '../policy/types.ts';
import type { NUMAPolicy, RetryConfig } from '../systems/types.ts';
import { clean } from './format.ts';
import { drawOrder } from './order-picture.ts';

const LEAST_COLUMNS = 60;
/** The time that a table takes grows with the square of its rows. */
const ROWS_AT_ONCE = 50;
/** Where a table goes on below another. */
const SEAM = { top: '─', 'top-mid': '┼', 'top-left': '├', 'top-right': '┤' };

/** What a valid policy will do, in words, a table and a picture. */
export function explainPolicy(policy: unknown, file: string, columns: number): string {
  const isWrapped = isResource(policy);
  const spec = (isWrapped ? (policy as unknown as LockPolicyResource).spec : policy) as LockPolicyCRD;
  const name = isWrapped ? (policy as unknown as LockPolicyResource).metadata.name : undefined;
  const title = name === undefined ? `LockPolicy of ${file}` : `LockPolicy '${name}' (${file})`;
  const width = Math.max(LEAST_COLUMNS, Math.min(columns, 120));
  return [`${clean(title)}\n`, renderFields(spec, width), renderRules(spec, width)]
    .filter(Boolean)
    .join('\n');
}

/** Field, value, what it does. */
function rowsOf(spec: LockPolicyCRD): [string, string, string][] {
  const { qosClass, numaAffinity, retryPolicy, maxHoldTimeMs, containerID, rules } = resolvePolicy(spec);
  const rows: [string, string, string][] = [];
  if (containerID !== undefined)
    rows.push([
      'containerID',
      containerID,
      'Only the process in this container follows the policy; others pass it over.',
    ]);
  if (qosClass !== undefined) rows.push(['qosClass', qosClass, qosWords(qosClass)]);
  if (maxHoldTimeMs !== undefined)
    rows.push([
      'maxHoldTime',
      spec.maxHoldTime!,
      `A lock that is held longer than ${formatGoDuration(maxHoldTimeMs)} is reported, once for each hold. Nobody loses it. A lock with a shorter limit of its own keeps that.`,
    ]);
  if (retryPolicy !== undefined)
    rows.push([
      'retryPolicy',
      `${retryPolicy.attempts} attempt${retryPolicy.attempts === 1 ? '' : 's'}`,
      retryWords(retryPolicy),
    ]);
  if (numaAffinity !== undefined)
    rows.push(['numaAffinity', nodesWords(numaAffinity), affinityWords(numaAffinity)]);
  if (rules !== undefined)
    rows.push([
      'rules',
      `${rules.length} rule${rules.length === 1 ? '' : 's'}`,
      rules.length === 0
        ? 'No order is declared.'
        : 'Locks that are taken against the order below are reported, or refused where order checks throw, from the first time on.',
    ]);
  return rows;
}

function renderFields(spec: LockPolicyCRD, width: number): string {
  const rows = rowsOf(spec);
  if (rows.length === 0) return 'It says nothing: everything stays as it is.\n';
  const first = 14;
  const second = Math.min(24, Math.max(...rows.map(([, value]) => value.length)) + 2);
  const table = new Table({
    head: ['field', 'value', 'what it does'],
    colWidths: [first, second, width - first - second - 4],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  table.push(...rows.map((row) => row.map(clean)));
  return `${table.toString()}\n`;
}

function qosWords(level: string): string {
  const others = {
    Guaranteed: 'are served before those of the other classes',
    Burstable: 'are served after Guaranteed ones and before BestEffort ones',
    BestEffort: 'are served after those of the other classes, and are never starved',
  }[level];
  return `Calls that name no class are ${level}: they ${others}.`;
}

function retryWords({ attempts, backoffBaseMs, jitterPercent }: RetryConfig): string {
  if (attempts === 1) return 'A task that fails does not run again.';
  const again = attempts === 2 ? 'once more' : `up to ${attempts - 1} times more`;
  const head = `A task that is marked idempotent and fails runs ${again}`;
  if (backoffBaseMs === 0) return `${head}, at once each time.`;
  const waits = Array.from({ length: Math.min(attempts - 1, 4) }, (_, i) =>
    formatGoDuration(backoffBaseMs * 2 ** i),
  );
  const rest =
    attempts - 1 > waits.length ? `, … ${formatGoDuration(backoffBaseMs * 2 ** (attempts - 2))}` : '';
  const jitter = jitterPercent === 0 ? '' : `, each ${jitterPercent} % more or less at random`;
  return `${head}, after ${waits.join(', ')}${rest}${jitter}.`;
}

function nodesWords({ preferredNodes }: NUMAPolicy): string {
  if (preferredNodes.length === 0) return 'all nodes';
  return `node${preferredNodes.length === 1 ? '' : 's'} ${preferredNodes.join(', ')}`;
}

function affinityWords(policy: NUMAPolicy): string {
  const { preferredNodes, allowedDistance, fallbackStrategy, qosOverride } = policy;
  const nodes = nodesWords(policy);
  const others = fallbackStrategy === 'nearest' ? 'the nearest of the others' : 'any of the others';
  let stand = `Workers stand on ${nodes}, by their CPUs.`;
  if (preferredNodes.length > 0 && fallbackStrategy === 'none')
    stand = `Workers stand on ${nodes} only, and a task of another node is refused.`;
  else if (preferredNodes.length > 0)
    stand = `Workers stand on ${nodes} first, and when there are more of them than CPUs, on ${others}.`;
  const near = fallbackStrategy === 'nearest' ? ', from near to far' : '';
  const take =
    fallbackStrategy === 'none'
      ? ' A worker takes tasks of its own node and of none.'
      : ` A worker takes tasks of its own node, then of none, then of other nodes${near}.`;
  const limit =
    allowedDistance === 0 || fallbackStrategy === 'none'
      ? ''
      : ` None goes farther than ${allowedDistance} (10 is the node itself).`;
  const override =
    qosOverride === undefined || preferredNodes.length === 0 || fallbackStrategy === 'none'
      ? ''
      : ` Tasks whose numaNode is not a preferred one are ${qosOverride}.`;
  return `${stand}${take}${limit}${override}`;
}

/** Each name with its rank, what comes after it, and the rules that say so; then the picture. */
function renderRules(spec: LockPolicyCRD, width: number): string {
  const { rules = [] } = resolvePolicy(spec);
  if (rules.length === 0) return '';
  const graph = new RuleGraph(rules);
  const ranks = graph.ranks();
  const rows = [...graph.names]
    .sort((a, b) => ranks.get(a)! - ranks.get(b)!)
    .map((name) => {
      const steps = graph.from(name);
      const after = [...new Set(steps.map(({ to }) => to))].join(', ');
      const by = [...new Set(steps.map(({ rule }) => rules[rule]!.name))].join(', ');
      return [String(ranks.get(name)), name, after, by].map(clean);
    });
  const widest = (column: number, head: string): number =>
    Math.max(head.length, ...rows.map((row) => row[column]!.length)) + 2;
  const names = Math.min(widest(1, 'lock or class'), 32);
  const by = Math.min(widest(3, 'by rule'), 28);
  const table = longTable(rows, {
    head: ['rank', 'lock or class', 'is taken before', 'by rule'],
    colWidths: [6, names, Math.min(widest(2, 'is taken before'), width - 6 - names - by - 5), by],
    colAligns: ['right', 'left', 'left', 'left'],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  const picture = drawOrder(graph, width);
  const drawn =
    picture === undefined
      ? `(The picture of the order is too large, or wider than ${width} columns.)\n`
      : `Take them from top to bottom:\n\n${picture}`;
  return `${table}\n\n${drawn}`;
}

/** A table of many rows, put together from short ones. */
function longTable(rows: readonly string[][], options: TableConstructorOptions): string {
  const lines: string[] = [];
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const table = new Table(at === 0 ? options : { ...options, head: [], chars: SEAM });
    table.push(...rows.slice(at, at + ROWS_AT_ONCE));
    // Its last line is the first of the next.
    lines.pop();
    lines.push(...table.toString().split('\n'));
  }
  return lines.join('\n');
}
