import { checkMetadata } from './metadata.ts';
import { lockPolicySchema } from './schema.ts';
import { checkStructure, describeValue, type Keys, type Report } from './structural.ts';

/** Group, version, kind of a LockPolicy among the objects of Kubernetes. */
export const API_GROUP = 'heddle.dev';
export const API_VERSION = 'v1alpha1';
export const KIND = 'LockPolicy';

const OBJECT_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'spec']);

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
