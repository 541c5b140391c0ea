import { describeValue, type Report } from './structural.ts';

type Fields = Readonly<Record<string, unknown>>;
/** Why a value is wrong; undefined: it is right. */
type Fault = string | undefined;

/** RFC 1123, as Kubernetes takes names of objects; the end of a pattern that lets no line feed pass. */
const DNS_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const WORD = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const TIME = /^(\d{4}-\d{2}-\d{2})T(\d{2}):\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;
const NAME_MOST = 253;
const WORD_MOST = 63;
const ANNOTATIONS_MOST = 256 * 1024;

/** The fields of ObjectMeta; what a server fills in is let through, so that what it gave can be checked again. */
const CHECKS: Readonly<Record<string, (value: unknown) => Fault>> = {
  name: (value) => textFault(value, nameFault),
  // A dash at its end stands before what the server adds.
  generateName: (value) => textFault(value, (text) => nameFault(text.replace(/(?<=.)-$/, 'a'))),
  namespace: (value) =>
    textFault(value, (text) =>
      text.length <= WORD_MOST && DNS_LABEL.test(text)
        ? undefined
        : `must be a name of lower-case letters, digits and '-', at most ${WORD_MOST}`,
    ),
  labels: () => undefined,
  annotations: () => undefined,
  uid: (value) => textFault(value),
  resourceVersion: (value) => textFault(value),
  generation: countFault,
  creationTimestamp: timeFault,
  deletionTimestamp: timeFault,
  deletionGracePeriodSeconds: countFault,
  finalizers: (value) =>
    listFault(value, (each) =>
      // In a list, null is what a server decodes it to: an empty text, an empty object.
      typeof each === 'string' || each === null ? keyFault(each ?? '') : 'must be a string',
    ),
  ownerReferences: (value) => listFault(value, ownerFault),
  managedFields: (value) =>
    listFault(value, (each) => (isFields(each ?? {}) ? undefined : 'must be an object')),
  selfLink: (value) => textFault(value),
  clusterName: (value) => textFault(value),
};

/** Checks the `metadata` of an object as an API server does; null counts as left out. */
export function checkMetadata(value: unknown, report: Report): void {
  if (value === undefined || value === null) {
    report([], 'needs the field metadata, with a name');
    return;
  }
  if (!isFields(value)) {
    report(['metadata'], `must be an object, not ${describeValue(value)}`);
    return;
  }
  for (const [field, given] of Object.entries(value)) {
    const check = Object.hasOwn(CHECKS, field) ? CHECKS[field] : undefined;
    if (check === undefined) report(['metadata', field], 'is unknown');
    else if (given !== undefined && given !== null) {
      const fault = check(given);
      if (fault !== undefined) report(['metadata', field], `${fault}, not ${describeValue(given)}`);
    }
  }
  if (!isGiven(value.name) && !isGiven(value.generateName)) report(['metadata'], 'needs the field name');
  checkTexts(value.labels, 'labels', report);
  checkTexts(value.annotations, 'annotations', report);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A server takes an empty name for none. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function textFault(value: unknown, check: (text: string) => Fault = () => undefined): Fault {
  if (typeof value !== 'string') return 'must be a string';
  return value === '' ? undefined : check(value);
}

function nameFault(name: string): Fault {
  if (name.length <= NAME_MOST && DNS_NAME.test(name)) return undefined;
  return `must be a name of lower-case letters, digits, '-' and '.', at most ${NAME_MOST}`;
}

function countFault(value: unknown): Fault {
  return Number.isInteger(value) && Math.abs(value as number) < 2 ** 63
    ? undefined
    : 'must be a whole number';
}

/** RFC 3339, of days that there are. */
function timeFault(value: unknown): Fault {
  const [, day, hour] = (typeof value === 'string' && TIME.exec(value)) || [];
  const date = new Date(`${day}T00:00:00Z`);
  const isDay = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day!);
  return isDay && Number(hour) < 24 && !Number.isNaN(Date.parse(value as string))
    ? undefined
    : 'must be a time such as "2026-01-31T12:00:00Z"';
}

function listFault(value: unknown, check: (each: unknown) => Fault): Fault {
  if (!Array.isArray(value)) return 'must be a list';
  const fault = value.map(check).find((each) => each !== undefined);
  return fault === undefined ? undefined : `has an entry that ${fault}`;
}

function ownerFault(value: unknown): Fault {
  if (!isFields(value)) return 'must be an object';
  const missing = ['apiVersion', 'kind', 'name', 'uid'].find(
    (field) => typeof value[field] !== 'string' || value[field] === '',
  );
  return missing === undefined ? undefined : `needs the field ${missing}`;
}

/** A qualified name: a word, after a name of DNS and a slash perhaps. */
function keyFault(key: string): Fault {
  const [word = '', prefix, ...more] = key.split('/').reverse();
  const isWord = word.length <= WORD_MOST && WORD.test(word);
  const isPrefix = prefix === undefined || (prefix.length <= NAME_MOST && DNS_NAME.test(prefix));
  if (isWord && isPrefix && more.length === 0) return undefined;
  return `must be a word of letters, digits, '-', '_' and '.', at most ${WORD_MOST}, after a name of DNS and '/' perhaps`;
}

function checkTexts(texts: unknown, field: 'labels' | 'annotations', report: Report): void {
  if (texts === undefined || texts === null) return;
  if (!isFields(texts)) {
    report(['metadata', field], `must be an object, not ${describeValue(texts)}`);
    return;
  }
  const encoder = new TextEncoder();
  let bytes = 0;
  for (const [key, text] of Object.entries(texts)) {
    const at = ['metadata', field, key];
    // Of annotations the case of a key does not matter.
    const fault = keyFault(field === 'labels' ? key : key.toLowerCase());
    if (fault !== undefined) report(at, `is no key: it ${fault}`);
    if (text === null) continue;
    if (typeof text !== 'string') report(at, `must be a string, not ${describeValue(text)}`);
    else if (field === 'labels' && text !== '' && (text.length > WORD_MOST || !WORD.test(text)))
      report(
        at,
        `must be a word of letters, digits, '-', '_' and '.', at most ${WORD_MOST}, not ${describeValue(text)}`,
      );
    else bytes += encoder.encode(key).length + encoder.encode(text).length;
  }
  if (field === 'annotations' && bytes > ANNOTATIONS_MOST)
    report(['metadata', field], `must have at most ${ANNOTATIONS_MOST} bytes in all, not ${bytes}`);
}
