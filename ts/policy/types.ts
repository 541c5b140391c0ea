import type { FromSchema, lockPolicySchema } from './schema.ts';

/**
 * What a LockPolicy document says, with the JSON keys of the document: {@link lockPolicySchema} is its source, and says what each field means. Durations are
 * strings as Go writes them. Every field may be left out.
 */
export interface LockPolicyCRD extends FromSchema<typeof lockPolicySchema> {}

/** Where tasks are to run, as a policy writes it. */
export interface NUMAAffinitySpec
  extends FromSchema<(typeof lockPolicySchema)['properties']['numaAffinity']> {}

/**
 * What a worker takes besides tasks of its own node and of none: `'nearest'`: those of other nodes, from near to far; `'any'`: the same in any order;
 * `'none'`: nothing. Never of nodes beyond `allowedDistance`.
 */
export type FallbackStrategy = FromSchema<
  (typeof lockPolicySchema)['properties']['numaAffinity']['properties']['fallbackStrategy']
>;

/** Retries as a policy writes them: `backoffBase` is a Go duration such as `"150ms"`. */
export interface RetryPolicySpec extends FromSchema<(typeof lockPolicySchema)['properties']['retryPolicy']> {}

/** Name and place of an object of Kubernetes. */
export interface PolicyMetadata {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}

/** A LockPolicy as an object of Kubernetes. */
export interface LockPolicyResource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: PolicyMetadata;
  readonly spec: LockPolicyCRD;
}
