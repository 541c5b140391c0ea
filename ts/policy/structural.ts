import { whyNoMatch } from './pattern-words.ts';
import { lockPolicySchema, type StructuralSchema } from './schema.ts';

/** Keys and indices that lead to a value. */
export type Keys = readonly (string | number)[];

/** Takes a fault down: where, and why. */
export type Report = (keys: Keys, reason: string) => void;

/**
 * Checks a value against a structural schema, and reports every fault. It judges as a server of Kubernetes does (apiextensions-apiserver: the types and value validations
 * of go-openapi, lists as sets and maps, what is null and may not be counts as left out, a float without a fraction is an integer), but for fields that the schema does not have: a server drops
 * them without a word, and here they are faults.
 */
export function checkStructure(value: unknown, schema: StructuralSchema, keys: Keys, report: Report): void {
  if (!hasType(value, schema.type)) {
    report(keys, `must be ${typeWords(schema)}, not ${describeValue(value)}${typeHint(value, schema)}`);
    return;
  }
  for (const reason of bounds(value, schema)) report(keys, reason);
  if (schema.anyOf !== undefined && !schema.anyOf.some((each) => [...bounds(value, each)].length === 0)) {
    const ways = schema.anyOf.map((each) =>
      [...bounds(value, each)].map((reason) => reason.replace(/^must be |, not .*$/g, '')).join(' and '),
    );
    report(keys, `must be ${ways.join(', or ')}, not ${describeValue(value)}`);
  }
  if (Array.isArray(value)) checkItems(value, schema, keys, report);
  else if (typeof value === 'object' && value !== null)
    checkFields(value as Record<string, unknown>, schema, keys, report);
}

function hasType(value: unknown, type: StructuralSchema['type']): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case undefined:
      return true;
    default:
      return typeof value === type;
  }
}

function* bounds(value: unknown, schema: StructuralSchema): Generator<string> {
  const given = describeValue(value);
  if (schema.enum !== undefined && !schema.enum.includes(value as string)) {
    const close = typeof value === 'string' ? closest(value, schema.enum) : undefined;
    yield `must be ${orList(schema.enum)}, not ${given}${close === undefined ? '' : `; did you mean ${close}?`}`;
  }
  if (typeof value === 'number') {
    if (schema.minimum !== undefined && value < schema.minimum)
      yield `must be ${schema.minimum} or more, not ${given}`;
    if (schema.maximum !== undefined && value > schema.maximum)
      yield `must be ${schema.maximum} or less, not ${given}`;
  }
  if (typeof value === 'string') {
    // As Go counts them: code points.
    const length = [...value].length;
    if (schema.minLength !== undefined && length < schema.minLength) yield `must not be empty`;
    if (schema.maxLength !== undefined && length > schema.maxLength)
      yield `must have at most ${schema.maxLength} characters, not ${length}`;
    for (const { pattern } of [schema, ...(schema.allOf ?? [])]) {
      if (pattern === undefined || new RegExp(pattern, 'u').test(value)) continue;
      const why = whyNoMatch(value, pattern);
      if (why !== undefined) yield why;
    }
  }
  if (Array.isArray(value)) {
    if (schema.minItems !== undefined && value.length < schema.minItems)
      yield `must have at least ${schema.minItems} entries, not ${value.length}`;
    if (schema.maxItems !== undefined && value.length > schema.maxItems)
      yield `must have at most ${schema.maxItems} entries, not ${value.length}`;
  }
}

function checkItems(values: readonly unknown[], schema: StructuralSchema, keys: Keys, report: Report): void {
  if (schema.items !== undefined)
    for (const [i, each] of values.entries()) checkStructure(each, schema.items, [...keys, i], report);
  const listType = schema['x-kubernetes-list-type'];
  const mapKey = schema['x-kubernetes-list-map-keys']?.[0];
  const seen = new Map<unknown, number>();
  for (const [i, each] of values.entries()) {
    const key = listType === 'map' ? (each as Record<string, unknown> | null)?.[mapKey!] : each;
    if (listType === undefined || (typeof key !== 'string' && typeof key !== 'number')) continue;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, i);
    else
      report(
        listType === 'map' ? [...keys, i, mapKey!] : [...keys, i],
        `stands twice: ${describeValue(key)} is ${pathOf([...keys.slice(-1), first])} already`,
      );
  }
}

function checkFields(
  value: Record<string, unknown>,
  schema: StructuralSchema,
  keys: Keys,
  report: Report,
): void {
  const { properties } = schema;
  if (properties === undefined) return;
  const isGiven = (field: string): boolean => Object.hasOwn(value, field) && isPresent(value[field]);
  for (const field of schema.required ?? [])
    if (!isGiven(field)) report(keys, `needs the field ${field}${describeField(properties[field])}`);
  for (const field of Object.keys(value)) {
    const of = Object.hasOwn(properties, field) ? properties[field] : undefined;
    if (of === undefined) {
      const close = closest(field, Object.keys(properties));
      report(
        [...keys, field],
        `is unknown; ${close === undefined ? `the fields here are ${andList(Object.keys(properties))}` : `did you mean ${close}?`}`,
      );
    } else if (isGiven(field)) checkStructure(value[field], of, [...keys, field], report);
  }
}

/** An API server takes away what is null and may not be; `undefined` is what a program says when it says nothing. */
function isPresent(value: unknown): boolean {
  return value !== null && value !== undefined;
}

function describeField(schema: StructuralSchema | undefined): string {
  return schema?.description === undefined
    ? ''
    : `: ${schema.description.split('. ')[0]!.replace(/\.$/, '')}`;
}

// ---- words ---------------------------------------------------------------------------------------------------------------------------

/** `spec.rules[2].order[0]`. */
export function pathOf(keys: Keys): string {
  return keys
    .map((key, i) =>
      typeof key === 'number'
        ? `[${key}]`
        : /^[A-Za-z_][\w-]*$/.test(key)
          ? `${i === 0 ? '' : '.'}${key}`
          : `[${JSON.stringify(key)}]`,
    )
    .join('');
}

/** The value as a message shows it: short, as JSON writes it. */
export function describeValue(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return String(value);
}

function typeWords({ type, enum: values }: StructuralSchema): string {
  if (values !== undefined) return orList(values);
  switch (type) {
    case 'integer':
      return 'a whole number';
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    default:
      return type === 'object' ? 'an object' : 'a string';
  }
}

/** What is often written in the place of the right type. */
function typeHint(value: unknown, { type, pattern }: StructuralSchema): string {
  if (pattern === lockPolicySchema.properties.maxHoldTime.pattern && typeof value === 'number')
    return `; write a unit, such as "${value}ms"`;
  // YAML 1.1 takes these words for booleans, and YAML 1.2 does not.
  if (type !== 'boolean' || typeof value !== 'string') return '';
  if (/^(yes|on|y|true)$/i.test(value)) return '; write true';
  return /^(no|off|n|false)$/i.test(value) ? '; write false' : '';
}

function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function andList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** The one of `known` that `word` may have been meant to be. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const most = Math.min(3, Math.floor(wanted.length / 3));
  let best: string | undefined;
  let least = most + 1;
  for (const each of known) {
    const steps = distance(wanted, each.toLowerCase());
    if (steps < least) {
      best = each;
      least = steps;
    }
  }
  return best;
}

/** Letters to insert, drop or change (V. Levenshtein, 1965). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
