// Runs in the workers. A worker is a thread of its own, so a task may block: it reads the file synchronously.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parse } from 'acorn';

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);

/** Digest and shape of one script. A file that is no JavaScript throws acorn's SyntaxError, with its `pos` and `loc`. */
export function inspect(path) {
  const bytes = readFileSync(path);
  const tree = parseScript(bytes.toString('utf8'));
  const shape = { functions: 0, imports: 0, depth: 0 };
  measure(tree, 0, shape);
  return { bytes: bytes.length, digest: createHash('sha256').update(bytes).digest('hex'), ...shape };
}

function parseScript(text) {
  const options = { ecmaVersion: 'latest', allowHashBang: true };
  try {
    return parse(text, { ...options, sourceType: 'module' });
  } catch {
    // Old scripts use what modules forbid: `with`, octal numbers, `await` as a name.
    return parse(text, { ...options, sourceType: 'script', allowReturnOutsideFunction: true });
  }
}

/** Counts functions and imports, and how deep functions stand in one another. */
function measure(node, depth, shape) {
  let inside = depth;
  if (FUNCTIONS.has(node.type)) {
    shape.functions++;
    inside++;
    if (inside > shape.depth) shape.depth = inside;
  } else if (node.type === 'ImportDeclaration' || node.type === 'ImportExpression') {
    shape.imports++;
  }
  for (const key in node) {
    const value = node[key];
    if (Array.isArray(value)) {
      for (const child of value)
        if (child !== null && typeof child.type === 'string') measure(child, inside, shape);
    } else if (value !== null && typeof value === 'object' && typeof value.type === 'string') {
      measure(value, inside, shape);
    }
  }
}
