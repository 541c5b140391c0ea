/** A wrong result: it counts as a failure of the contender, never as a number. */
export class WrongResult extends Error {
  name = 'WrongResult';
}

/** Throws unless the values are the same. */
export function expectSame(actual, expected, what) {
  if (actual !== expected) throw new WrongResult(`${what}: got ${show(actual)}, expected ${show(expected)}`);
}

function show(value) {
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
