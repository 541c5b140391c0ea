import type { LockEdge, LockGraph, LockNode } from './lock-graph.ts';
import { printable } from './printable.ts';

/** Graphviz reads escapes and entities in quoted texts. */
const quote = (text: string): string =>
  `"${printable(text)
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replace(/&(?=#?\w+;)/g, '&amp;')}"`;

/** The DOT language of Graphviz (https://graphviz.org/doc/info/lang.html). */
export function dotOf({ nodes, edges }: LockGraph): string {
  return [
    'digraph locks {',
    '  rankdir=TB;',
    '  node [shape=ellipse, fontname="sans-serif"];',
    '  edge [fontname="sans-serif", fontsize=10];',
    ...nodes.map(nodeLine),
    ...edges.map(edgeLine),
    '}',
    '',
  ].join('\n');
}

function nodeLine({ address, name, kind, class: ofClass }: LockNode): string {
  const label = ofClass === undefined ? name : `${name}\n(${ofClass})`;
  return `  n${address} [label=${quote(label)}${kind === 'class' ? ', shape=box' : ''}];`;
}

function edgeLine({ from, to, weight, isCyclic, rules }: LockEdge): string {
  const attributes = [`label=${quote(weight === 0 ? rules.join(', ') : String(weight))}`];
  if (isCyclic) attributes.push('color=red', 'fontcolor=red');
  if (weight === 0) attributes.push('style=dashed');
  return `  n${from} -> n${to} [${attributes.join(', ')}];`;
}
