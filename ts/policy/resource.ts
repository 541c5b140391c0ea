import { lockPolicySchema } from './schema.ts';
import { checkStructure, describeValue, type Keys, type Report } from './structural.ts';

/** Group, version, kind of a LockPolicy among the objects of Kubernetes. */
export const API_GROUP = 'heddle.dev';
export const API_VERSION = 'v1alpha1';
export const KIND = 'LockPolicy';

/** The fields of ObjectMeta; what a server fills in is let through, so that what it gave can be checked again. */
const METADATA_FIELDS: ReadonlySet<string> = new Set([
  'name',
  'generateName',
  'namespace',
  'labels',
  'annotations',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'finalizers',
  'ownerReferences',
  'managedFields',
  'selfLink',
  'clusterName',
]);
const OBJECT_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'spec']);

/** RFC 1123, as Kubernetes takes names of objects. */
const DNS_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

type Fields = Readonly<Record<string, unknown>>;

/** Is this an object of Kubernetes rather than a bare spec? */
export function isResource(value: unknown): value is Fields {
  return (
    typeof value === 'object' &&
    value !== null &&
    [...OBJECT_FIELDS].some((field) => Object.hasOwn(value, field))
  );
}

/** Checks a policy, bare or in an object of Kubernetes, against the schema. Returns where its spec is. */
export function checkDocument(document: unknown, report: Report): { spec: unknown; keys: Keys } {
  if (!isResource(document)) {
    checkStructure(document, lockPolicySchema, [], report);
    return { spec: document, keys: [] };
  }
  for (const field of Object.keys(document))
    if (!OBJECT_FIELDS.has(field))
      report([field], 'is unknown; an object of kind LockPolicy has apiVersion, kind, metadata and spec');
  checkConstant(document, 'apiVersion', `${API_GROUP}/${API_VERSION}`, report);
  checkConstant(document, 'kind', KIND, report);
  checkMetadata(document.metadata, report);
  const { spec } = document;
  if (spec === undefined || spec === null) report([], 'needs the field spec: what the policy says');
  else checkStructure(spec, lockPolicySchema, ['spec'], report);
  return { spec, keys: ['spec'] };
}

function checkConstant(document: Fields, field: string, wanted: string, report: Report): void {
  const value = document[field];
  if (value === undefined || value === null) report([], `needs the field ${field}: ${wanted}`);
  else if (value !== wanted) report([field], `must be ${wanted}, not ${describeValue(value)}`);
}

function checkMetadata(value: unknown, report: Report): void {
  if (value === undefined || value === null) {
    report([], 'needs the field metadata, with a name');
    return;
  }
  if (typeof value !== 'object' || Array.isArray(value)) {
    report(['metadata'], `must be an object, not ${describeValue(value)}`);
    return;
  }
  const metadata = value as Fields;
  for (const field of Object.keys(metadata))
    if (!METADATA_FIELDS.has(field)) report(['metadata', field], 'is unknown');
  const { name, generateName } = metadata;
  if (name === undefined && generateName === undefined) report(['metadata'], 'needs the field name');
  if (name !== undefined && (typeof name !== 'string' || name.length > 253 || !DNS_NAME.test(name)))
    report(
      ['metadata', 'name'],
      `must be a name of lower-case letters, digits, '-' and '.', at most 253, not ${describeValue(name)}`,
    );
  for (const field of ['labels', 'annotations']) {
    const texts = metadata[field];
    if (texts === undefined || texts === null) continue;
    if (typeof texts !== 'object' || Array.isArray(texts))
      report(['metadata', field], `must be an object, not ${describeValue(texts)}`);
    else
      for (const [key, text] of Object.entries(texts))
        if (typeof text !== 'string')
          report(['metadata', field, key], `must be a string, not ${describeValue(text)}`);
  }
}
