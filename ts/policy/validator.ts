import { type PolicyFault, PolicyInvalidError } from '../errors.ts';
import type { CRDValidator, ValidationFault, ValidationResult } from '../systems/types.ts';
import { checkDocument, isResource } from './resource.ts';
import { checkMeaning } from './semantics.ts';
import { type Keys, pathOf } from './structural.ts';
import type { LockPolicyCRD } from './types.ts';

/** What a {@link LockPolicyValidator} knows of the machine. */
export interface PolicyValidatorOptions {
  /** The NUMA nodes that there are, such as `TopologyHints.nodes`; ids of others are faults. Default, and undefined: not known, every id passes. */
  readonly nodes?: () => readonly { readonly id: number }[] | undefined;
}

/**
 * Checks LockPolicy documents: the bare spec, or an object of Kubernetes with `apiVersion`, `kind`, `metadata` and `spec`.
 *
 * What an API server with the definition of `heddle policy crd` refuses is refused, and besides: fields that are unknown (a server drops them), rules that
 * contradict each other, durations that do not fit, and nodes that are not there.
 */
export class LockPolicyValidator implements CRDValidator {
  readonly #options: PolicyValidatorOptions;

  constructor(options: PolicyValidatorOptions = {}) {
    this.#options = options;
  }

  /**
   * Finds all faults of a policy.
   *
   * @param policy - the parsed document; anything at all. Never throws.
   */
  validate(policy: unknown): ValidationResult {
    return validatePolicy(policy, this.#options.nodes?.());
  }
}

/** All faults of a policy. */
export function validatePolicy(
  policy: unknown,
  nodes?: readonly { readonly id: number }[],
): ValidationResult {
  const faults: ValidationFault[] = [];
  const report = (keys: Keys, reason: string): void => {
    faults.push({ path: pathOf(keys), reason, keys });
  };
  try {
    const { spec, keys } = checkDocument(policy, report);
    checkMeaning(spec, keys, { nodes }, report);
  } catch (error) {
    // A getter, or a proxy, of the program's own.
    report([], `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return { isValid: false, faults };
  }
  const places = new Map(faults.map((fault) => [fault, placeOf(policy, fault.keys)]));
  faults.sort((a, b) => comparePlaces(places.get(a)!, places.get(b)!));
  return { isValid: faults.length === 0, faults };
}

/** Position of each key among those of its object. What is not there comes first. */
function placeOf(policy: unknown, keys: Keys): number[] {
  let value = policy;
  return keys.map((key) => {
    if (typeof value !== 'object' || value === null) return -1;
    const place = Array.isArray(value) ? Number(key) : Object.keys(value).indexOf(String(key));
    value = (value as Record<string | number, unknown>)[key];
    return place;
  });
}

function comparePlaces(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((place, at) => place !== b[at]);
  return i < 0 ? a.length - b.length : a[i]! - (b[i] ?? Number.NEGATIVE_INFINITY);
}

/**
 * The spec of a policy that is valid.
 *
 * @throws {PolicyInvalidError} ERR_POLICY_INVALID with all faults.
 */
export function validSpec(policy: unknown, nodes?: readonly { readonly id: number }[]): LockPolicyCRD {
  const { isValid, faults } = validatePolicy(policy, nodes);
  if (!isValid) throw new PolicyInvalidError(`${title(policy)} is invalid`, faults as readonly PolicyFault[]);
  return (isResource(policy) ? policy.spec : policy) as LockPolicyCRD;
}

function title(policy: unknown): string {
  const metadata = isResource(policy)
    ? (policy.metadata as { name?: unknown } | null | undefined)
    : undefined;
  return typeof metadata?.name === 'string' ? `LockPolicy '${metadata.name}'` : 'the LockPolicy';
}
