/**
 * The schema of a LockPolicy's `spec`: the one source of the custom resource definition (crd.ts), of what the validator checks
 * (structural.ts) and of the TypeScript types (types.ts infers them).
 *
 * It is a structural schema in the sense of Kubernetes' apiextensions v1, with nothing that a server of version 1.16 would drop: no CEL rules. What a schema
 * cannot say (rules that contradict each other, ids of nodes that are not there) stands in semantics.ts.
 */

/** The part of OpenAPI v3 that the schema uses, as Kubernetes reads it. */
export interface StructuralSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly required?: readonly string[];
  readonly items?: StructuralSchema;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  /** In code points. */
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  /** Of RE2 and JavaScript alike. */
  readonly pattern?: string;
  readonly allOf?: readonly StructuralSchema[];
  readonly anyOf?: readonly StructuralSchema[];
  /** `set`: no entry twice. `map`: no two entries with the same keys. */
  readonly 'x-kubernetes-list-type'?: 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

/**
 * Schema of the `spec` of a LockPolicy, as a structural schema of Kubernetes. Every field may be left out: what a policy does not say stays as it is.
 */
export const lockPolicySchema = {
  type: 'object',
  description:
    'What the process does about locks, retries, placement and priority. A field that is left out changes nothing.',
  properties: {
    qosClass: {
      type: 'string',
      enum: ['Guaranteed', 'Burstable', 'BestEffort'],
      description: 'Class of the calls that name none.',
    },
    numaAffinity: {
      type: 'object',
      description: 'NUMA nodes on which tasks run.',
      properties: {
        required: {
          type: 'boolean',
          description:
            'Tasks run on the preferred nodes or not at all; fallbackStrategy then counts as none. Default: false.',
        },
        preferredNodes: {
          type: 'array',
          description:
            'Ids of the nodes where workers stand first, the best first. Empty: all nodes, by their CPUs.',
          items: { type: 'integer', minimum: 0, maximum: 1023 },
          maxItems: 1024,
          'x-kubernetes-list-type': 'set',
        },
        allowedDistance: {
          type: 'integer',
          minimum: 0,
          maximum: 255,
          anyOf: [{ maximum: 0 }, { minimum: 10 }],
          description:
            'Greatest distance of a task from its node, and of a worker from a preferred one; never broken. 10 is the node itself, 20 is twice as far. 0: any distance.',
        },
        fallbackStrategy: {
          type: 'string',
          enum: ['nearest', 'any', 'none'],
          description:
            'What workers take besides what belongs to their own node and to none: what belongs to others, from near to far; the same in any order; nothing. Default: nearest.',
        },
        qosOverride: {
          type: 'string',
          enum: ['Guaranteed', 'Burstable', 'BestEffort'],
          description: 'Class of tasks whose numaNode is not a preferred one. Default: their own.',
        },
      },
    },
    rules: {
      type: 'array',
      description:
        'Orders of locks. All hold together, with what follows from them; they must not contradict each other.',
      maxItems: 1024,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: {
        type: 'object',
        required: ['name', 'order'],
        properties: {
          name: {
            type: 'string',
            minLength: 1,
            maxLength: 253,
            description: 'Name of the rule, for reports.',
          },
          order: {
            type: 'array',
            description:
              'Names of locks, or of classes of locks: whoever holds one may take those after it, and none before it.',
            minItems: 2,
            maxItems: 4096,
            'x-kubernetes-list-type': 'set',
            items: { type: 'string', minLength: 1, maxLength: 512 },
          },
        },
      },
    },
    retryPolicy: {
      type: 'object',
      description: 'When a failed task that is marked idempotent runs again.',
      required: ['attempts'],
      properties: {
        attempts: {
          type: 'integer',
          minimum: 1,
          maximum: 1000,
          description: 'Most runs of one task, the first included. 1: no task runs again.',
        },
        backoffBase: {
          type: 'string',
          maxLength: 64,
          pattern: '^\\+?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$',
          description:
            'Wait before the second run, as Go writes durations ("150ms", "1m30s"); doubled for each further run. Default: 0.',
        },
        jitterPercent: {
          type: 'integer',
          minimum: 0,
          maximum: 100,
          description: 'The wait varies by up to so many percent at random. Default: 0.',
        },
      },
    },
    maxHoldTime: {
      type: 'string',
      maxLength: 64,
      pattern: '^\\+?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$',
      allOf: [{ pattern: '[1-9]' }],
      description:
        'A lock that is held longer is reported. As Go writes durations ("150ms", "1m30s"), and not 0.',
    },
    containerID: {
      type: 'string',
      maxLength: 512,
      pattern: '^([a-z][a-z0-9+.-]*://)?[A-Za-z0-9][A-Za-z0-9_.-]*$',
      description:
        'Only the process in the container with this id follows the policy ("containerd://3f4c..." or the id alone). Left out: every process.',
    },
  },
} as const;

/** The TypeScript type of the values that a schema allows. */
export type FromSchema<S> = S extends { readonly enum: readonly (infer E)[] }
  ? E
  : S extends { readonly type: 'string' }
    ? string
    : S extends { readonly type: 'integer' }
      ? number
      : S extends { readonly type: 'boolean' }
        ? boolean
        : S extends { readonly type: 'array'; readonly items: infer I }
          ? readonly FromSchema<I>[]
          : S extends {
                readonly type: 'object';
                readonly properties: infer P;
                readonly required: readonly (infer R)[];
              }
            ? { readonly [K in keyof P as K extends R ? K : never]: FromSchema<P[K]> } & {
                readonly [K in keyof P as K extends R ? never : K]?: FromSchema<P[K]>;
              }
            : S extends { readonly type: 'object'; readonly properties: infer P }
              ? { readonly [K in keyof P]?: FromSchema<P[K]> }
              : never;
