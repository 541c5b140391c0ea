import type { Document, Node, Pair, YAMLMap } from 'yaml';
import { type PolicyFault, PolicyInvalidError } from '../errors.ts';
import type { ValidationFault } from '../systems/types.ts';
import type { Keys } from './structural.ts';
import type { LockPolicyCRD, LockPolicyResource } from './types.ts';
import { validatePolicy } from './validator.ts';

/** A fault, and the place in the text that it is about. */
export interface LocatedFault extends ValidationFault {
  readonly line: number;
  readonly column: number;
  /** Characters from there on that it is about, on that line; at least 1. */
  readonly length: number;
}

/** One policy of a text. */
export interface PolicyDocument {
  /** What the text says; undefined when it does not parse. */
  readonly value: unknown;
  /** Every fault, by its place. */
  readonly faults: readonly LocatedFault[];
}

/** How a text is read. */
export interface ReadOptions {
  /** JSON only: no comments, no commas at the end. Default: YAML 1.2, of which JSON is a part. */
  readonly json?: boolean;
  /** See `PolicyValidatorOptions.nodes`. */
  readonly nodes?: readonly { readonly id: number }[];
}

type Yaml = typeof import('yaml');

/** Reads and checks the policies of a text: YAML, of several documents maybe, or JSON. Never rejects for what the text says. */
export async function readPolicies(source: string, options: ReadOptions = {}): Promise<PolicyDocument[]> {
  const text = withoutMark(source);
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  const parsed = yaml.parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const place = (start: number, end: number): Pick<LocatedFault, 'line' | 'column' | 'length'> => {
    const { line, col } = lines.linePos(Math.min(start, text.length));
    const rest = text
      .slice(start, end)
      .split(/[\r\n]/, 1)[0]!
      .trimEnd();
    return { line: Math.max(line, 1), column: Math.max(col, 1), length: Math.max(1, rest.length) };
  };
  const notJson = options.json === true ? jsonFault(text) : undefined;
  if (notJson !== undefined) {
    const { reason, at } = notJson;
    return [{ value: undefined, faults: [{ path: '', keys: [], reason, ...place(at, at + 1) }] }];
  }
  if (!Array.isArray(parsed) || parsed.length === 0) {
    const fault = { path: '', keys: [], reason: 'is empty: it has no policy', line: 1, column: 1, length: 1 };
    return [{ value: undefined, faults: [fault] }];
  }
  const full = parsed.filter((document) => !isEmpty(yaml, document as Document));
  return (full.length > 0 ? full : parsed.slice(0, 1)).map((document) =>
    readDocument(yaml, document as Document, options, place),
  );
}

/** Without the byte order mark that some editors write. */
export function withoutMark(text: string): string {
  return text.replace(/^\ufeff/, '');
}

/** A line `---` too many, before or after a policy. */
function isEmpty(yaml: Yaml, { contents, errors, warnings }: Document): boolean {
  if (errors.length + warnings.length > 0) return false;
  return contents === null || (yaml.isScalar(contents) && contents.value === null && contents.source === '');
}

function readDocument(
  yaml: Yaml,
  document: Document,
  options: ReadOptions,
  place: (start: number, end: number) => Pick<LocatedFault, 'line' | 'column' | 'length'>,
): PolicyDocument {
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    const faults = broken.map(({ message, pos: [start, end] }) => ({
      path: '',
      keys: [],
      reason: `is no YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`,
      ...place(start, end),
    }));
    return { value: undefined, faults };
  }
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    const reason = `cannot be read: ${(error as Error).message}`;
    return { value: undefined, faults: [{ path: '', keys: [], reason, ...place(0, 1) }] };
  }
  const faults = validatePolicy(value, options.nodes).faults.map((fault) => {
    const node = nodeAt(yaml, document, fault.keys, fault.reason.startsWith('is unknown'));
    const [start, end] = node?.range ?? [0, 1];
    return { ...fault, ...place(start, end) };
  });
  return { value, faults: faults.sort((a, b) => a.line - b.line || a.column - b.column) };
}

/** What to point at: the key of a field that is unknown or is a whole block, else the value; else what is nearest above. */
function nodeAt(yaml: Yaml, document: Document, keys: Keys, wantsKey: boolean): Node | undefined {
  let node: Node | undefined = document.contents ?? undefined;
  let named = node;
  for (const [i, key] of keys.entries()) {
    const holder: Node | undefined = yaml.isAlias(node) ? node.resolve(document) : node;
    if (yaml.isSeq(holder)) {
      node = holder.items[Number(key)] as Node | undefined;
      named = node;
    } else if (yaml.isMap(holder)) {
      const pair = pairOf(yaml, holder, key);
      if (pair === undefined) return named;
      node = pair.value ?? undefined;
      named = (wantsKey && i === keys.length - 1) || !yaml.isScalar(node) ? pair.key : node;
    } else {
      return named;
    }
  }
  return named;
}

function pairOf(yaml: Yaml, map: YAMLMap, key: string | number): Pair<Node, Node> | undefined {
  return map.items.find((pair) => yaml.isScalar(pair.key) && String(pair.key.value) === String(key)) as
    | Pair<Node, Node>
    | undefined;
}

function jsonFault(text: string): { reason: string; at: number } | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    const position = /position (\d+)/.exec(message)?.[1];
    return {
      reason: `is no JSON: ${message.replace(/\s*(in JSON )?at position.*$/s, '')}`,
      at: position === undefined ? text.trimEnd().length : Number(position),
    };
  }
}

/**
 * Reads one LockPolicy from YAML or JSON, bare or as an object of Kubernetes, and checks it. The parser is loaded with the first call.
 *
 * Rejects with {@link PolicyInvalidError} ERR_POLICY_INVALID naming every fault with its line, for a text that does not parse also, and for several documents.
 *
 * @param text - the document
 * @param options - `nodes`: the NUMA nodes that there are
 */
export async function parseLockPolicy(
  text: string,
  options: { readonly nodes?: readonly { readonly id: number }[] } = {},
): Promise<LockPolicyCRD | LockPolicyResource> {
  const documents = await readPolicies(String(text), options);
  const faults: PolicyFault[] = documents.flatMap((document) => document.faults);
  if (documents.length > 1)
    faults.push({ path: '', reason: `has ${documents.length} documents; one LockPolicy is wanted` });
  if (faults.length > 0) throw new PolicyInvalidError('the LockPolicy is invalid', faults);
  return documents[0]!.value as LockPolicyCRD | LockPolicyResource;
}
