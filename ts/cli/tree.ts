/** A line of a tree and what hangs on it. */
export interface Branch {
  /** One or more lines. */
  readonly text: string;
  readonly branches?: readonly Branch[];
}

/**
 * Lines of a tree as `tree` draws it.
 *
 * @param line - how its lines are painted
 */
export function drawTree(branches: readonly Branch[], line: (text: string) => string, indent = ''): string[] {
  return branches.flatMap(({ text, branches: below = [] }, i) => {
    const isLast = i === branches.length - 1;
    const inner = `${indent}${isLast ? '   ' : '│  '}`;
    const [first = '', ...more] = text.split('\n');
    const rest = `${inner}${below.length > 0 ? '│  ' : '   '}`;
    return [
      line(`${indent}${isLast ? '└─ ' : '├─ '}`) + first,
      ...more.map((each) => line(rest) + each),
      ...drawTree(below, line, inner),
    ];
  });
}
