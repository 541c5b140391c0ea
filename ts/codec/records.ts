/**
 * Fills plain objects of known keys.
 *
 * An engine remembers at each place in the code which keys it stored into which kind of object there. One loop for all
 * objects wears that memory out at once and then takes about six times as long for each property. Here each property of each
 * size of object has a place of its own, so a program that receives a handful of kinds of objects stays on the fast path. A
 * generated constructor for each kind would do the same, but needs `new Function`, which a content security policy forbids.
 *
 * @module
 */

/** Where the values come from, in the order of the keys. */
export interface ValueSource {
  /** The next value. */
  read(): unknown;
}

type Record = { [key: string]: unknown };
type Keys = readonly [string, string, string, string, string, string, string, string, string, string];

/**
 * Stores the next values under the keys, in order.
 *
 * @param o - an ordinary object without properties
 * @param keys - none of them `__proto__`
 * @param from - gives one value for each key
 */
export function fillRecord(o: Record, keys: readonly string[], from: ValueSource): void {
  const k = keys as Keys;
  switch (keys.length) {
    case 1:
      o[k[0]] = from.read();
      return;
    case 2:
      o[k[0]] = from.read();
      o[k[1]] = from.read();
      return;
    case 3:
      o[k[0]] = from.read();
      o[k[1]] = from.read();
      o[k[2]] = from.read();
      return;
    case 4:
      o[k[0]] = from.read();
      o[k[1]] = from.read();
      o[k[2]] = from.read();
      o[k[3]] = from.read();
      return;
    case 5:
      o[k[0]] = from.read();
      o[k[1]] = from.read();
      o[k[2]] = from.read();
      o[k[3]] = from.read();
      o[k[4]] = from.read();
      return;
    case 6:
      o[k[0]] = from.read();
      o[k[1]] = from.read();
      o[k[2]] = from.read();
      o[k[3]] = from.read();
      o[k[4]] = from.read();
      o[k[5]] = from.read();
      return;
    case 7:
      o[k[0]] = from.read();
      o[k[1]] = from.read();
      o[k[2]] = from.read();
      o[k[3]] = from.read();
      o[k[4]] = from.read();
      o[k[5]] = from.read();
      o[k[6]] = from.read();
      return;
    case 8:
      o[k[0]] = from.read();
      o[k[1]] = from.read();
      o[k[2]] = from.read();
      o[k[3]] = from.read();
      o[k[4]] = from.read();
      o[k[5]] = from.read();
      o[k[6]] = from.read();
      o[k[7]] = from.read();
      return;
    default:
      fillLarge(o, keys, from);
  }
}

function fillLarge(o: Record, keys: readonly string[], from: ValueSource): void {
  const k = keys as Keys;
  o[k[0]] = from.read();
  o[k[1]] = from.read();
  o[k[2]] = from.read();
  o[k[3]] = from.read();
  o[k[4]] = from.read();
  o[k[5]] = from.read();
  o[k[6]] = from.read();
  o[k[7]] = from.read();
  o[k[8]] = from.read();
  for (let i = 9; i < keys.length; i++) o[keys[i] as string] = from.read();
}
