import type { LockEdge, LockGraph, LockNode } from './lock-graph.ts';
import { printable } from './printable.ts';

/** Mermaid reads entities in quoted labels; quotes and its own brackets would end them, a backquote begins Markdown, and two per cent signs a comment. */
const quote = (text: string): string =>
  `"${printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('"', '&quot;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('#', '#35;')
    .replaceAll('%', '#37;')
    .replaceAll('`', '#96;')
    .replaceAll('\n', ' ')}"`;

/** A Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html). */
export function mermaidOf({ nodes, edges }: LockGraph): string {
  const lines = ['flowchart TD', ...nodes.map(nodeLine), ...edges.map(edgeLine)];
  const cyclic = edges.flatMap(({ isCyclic }, i) => (isCyclic ? [i] : []));
  if (cyclic.length > 0) lines.push(`  linkStyle ${cyclic.join(',')} stroke:#d1242f,color:#d1242f`);
  return `${lines.join('\n')}\n`;
}

function nodeLine({ address, name, kind }: LockNode): string {
  return kind === 'class' ? `  n${address}[${quote(name)}]` : `  n${address}([${quote(name)}])`;
}

function edgeLine({ from, to, weight, rules }: LockEdge): string {
  return weight === 0
    ? `  n${from} -. ${quote(rules.join(', '))} .-> n${to}`
    : `  n${from} -- ${quote(String(weight))} --> n${to}`;
}
