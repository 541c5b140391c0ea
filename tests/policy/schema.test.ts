import fc from 'fast-check';
import type { HierarchyRule, LockPolicyCRD, RetryPolicySpec } from 'heddle';
import { LockPolicyValidator, lockPolicyCRDManifest, lockPolicySchema } from 'heddle';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { StructuralSchema } from '../../ts/policy/schema.ts';

const validator = new LockPolicyValidator();

/** Every schema below, with its path. */
function* nodesOf(schema: StructuralSchema, path = ''): Generator<[string, StructuralSchema]> {
  yield [path, schema];
  for (const [name, each] of Object.entries(schema.properties ?? {})) yield* nodesOf(each, `${path}.${name}`);
  if (schema.items !== undefined) yield* nodesOf(schema.items, `${path}[]`);
}

/** Values that a schema allows. */
function arbitrary(schema: StructuralSchema, name = ''): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'boolean':
      return fc.boolean();
    case 'integer': {
      const any = fc.integer({ min: schema.minimum!, max: schema.maximum! });
      return schema.anyOf === undefined ? any : any.map((n) => (n > 0 && n < 10 ? n + 10 : n));
    }
    case 'array':
      return fc.uniqueArray(arbitrary(schema.items!, name), {
        minLength: schema.minItems ?? 0,
        maxLength: 5,
        selector: (each) => (typeof each === 'object' ? (each as { name: unknown }).name : each),
      });
    case 'object': {
      const fields = Object.entries(schema.properties!).map(
        ([field, each]) => [field, arbitrary(each, field)] as const,
      );
      return fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])] });
    }
    default:
      if (schema.allOf !== undefined) return fc.integer({ min: 1, max: 1e6 }).map((n) => `${n}ms`);
      if (name === 'containerID') return fc.stringMatching(/^[a-f0-9]{12,64}$/);
      if (schema.pattern !== undefined) return fc.constantFrom('0', '0s', '1.5h', '20ms', '1h2m3.5s', '+7us');
      return fc.string({ minLength: 1, maxLength: 20 });
  }
}

/** Orders that agree with one order of all names, so that they cannot contradict each other. */
const policies = arbitrary(lockPolicySchema).map((policy) => {
  const { rules, ...rest } = policy as { rules?: HierarchyRule[] };
  if (rules === undefined) return rest;
  return { ...rest, rules: rules.map(({ name, order }) => ({ name, order: [...order].sort() })) };
});

describe('the schema', () => {
  it('is structural: a type in each place, and nothing that an API server would refuse', () => {
    const allowed = new Set([
      'type',
      'description',
      'properties',
      'required',
      'items',
      'enum',
      'minimum',
      'maximum',
      'minLength',
      'maxLength',
      'minItems',
      'maxItems',
      'pattern',
      'allOf',
      'anyOf',
      'x-kubernetes-list-type',
      'x-kubernetes-list-map-keys',
    ]);
    const values = new Set(['minimum', 'maximum', 'pattern']);
    for (const [path, node] of nodesOf(lockPolicySchema)) {
      expect([path, node.type]).toEqual([path, expect.any(String)]);
      expect(Object.keys(node).filter((key) => !allowed.has(key))).toEqual([]);
      // Inside junctors only value validations may stand.
      for (const each of [...(node.allOf ?? []), ...(node.anyOf ?? [])])
        expect(Object.keys(each).filter((key) => !values.has(key))).toEqual([]);
      for (const name of node.required ?? []) expect(Object.keys(node.properties!)).toContain(name);
      if (node['x-kubernetes-list-type'] === 'map')
        for (const key of node['x-kubernetes-list-map-keys']!) expect(node.items!.required).toContain(key);
      if (node['x-kubernetes-list-type'] === 'set') expect(node.items!.type).toMatch(/string|integer/);
    }
  });

  it('has the fields of the interface document', () => {
    const { properties } = lockPolicySchema;
    expect(Object.keys(properties).sort()).toEqual(
      ['containerID', 'maxHoldTime', 'numaAffinity', 'qosClass', 'retryPolicy', 'rules'].sort(),
    );
    expect(Object.keys(properties.numaAffinity.properties).sort()).toEqual(
      ['allowedDistance', 'fallbackStrategy', 'preferredNodes', 'qosOverride', 'required'].sort(),
    );
    expect(Object.keys(properties.retryPolicy.properties)).toEqual([
      'attempts',
      'backoffBase',
      'jitterPercent',
    ]);
    expect(Object.keys(properties.rules.items.properties)).toEqual(['name', 'order']);
  });

  it('gives the types', () => {
    expectTypeOf<NonNullable<LockPolicyCRD['rules']>[number]>().toMatchTypeOf<HierarchyRule>();
    expectTypeOf<HierarchyRule>().toMatchTypeOf<NonNullable<LockPolicyCRD['rules']>[number]>();
    expectTypeOf<LockPolicyCRD['qosClass']>().toEqualTypeOf<
      'Guaranteed' | 'Burstable' | 'BestEffort' | undefined
    >();
    expectTypeOf<RetryPolicySpec['attempts']>().toEqualTypeOf<number>();
    expectTypeOf<RetryPolicySpec['backoffBase']>().toEqualTypeOf<string | undefined>();
    // @ts-expect-error: no such class
    const wrong: LockPolicyCRD = { qosClass: 'Best' };
    expect(validator.validate(wrong).isValid).toBe(false);
  });

  it('is what the definition carries', () => {
    const manifest = lockPolicyCRDManifest() as {
      apiVersion: string;
      metadata: { name: string };
      spec: {
        group: string;
        names: { plural: string; kind: string };
        versions: { storage: boolean; schema: { openAPIV3Schema: StructuralSchema } }[];
      };
    };
    expect(manifest.apiVersion).toBe('apiextensions.k8s.io/v1');
    expect(manifest.metadata.name).toBe(`${manifest.spec.names.plural}.${manifest.spec.group}`);
    expect(manifest.spec.versions.filter(({ storage }) => storage)).toHaveLength(1);
    const schema = manifest.spec.versions[0]!.schema.openAPIV3Schema;
    expect(schema.required).toEqual(['spec']);
    expect(schema.properties!.spec).toBe(lockPolicySchema);
  });
});

describe('the validator', () => {
  it('passes whatever the schema allows, bare and as an object of Kubernetes', () => {
    fc.assert(
      fc.property(policies, (spec) => {
        expect(validator.validate(spec)).toEqual({ isValid: true, faults: [] });
        const resource = {
          apiVersion: 'heddle.dev/v1alpha1',
          kind: 'LockPolicy',
          metadata: { name: 'a' },
          spec,
        };
        expect(validator.validate(resource)).toEqual({ isValid: true, faults: [] });
      }),
    );
  });

  it('never throws, and always says where', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }), (value) => {
        const { isValid, faults } = validator.validate(value);
        expect(isValid).toBe(faults.length === 0);
        for (const { path, reason } of faults) expect(`${path} ${reason}`).toMatch(/\S/);
      }),
    );
  });

  it('finds one thing changed to the wrong type, wherever it is', () => {
    fc.assert(
      fc.property(policies, fc.nat(), (policy, choice) => {
        const copy = structuredClone(policy) as Record<string, unknown>;
        const places = leavesOf(copy);
        fc.pre(places.length > 0);
        const { holder, key, path } = places[choice % places.length]!;
        (holder as Record<string | number, unknown>)[key] = Symbol.iterator;
        const { faults } = validator.validate(copy);
        expect(faults.map((fault) => fault.path)).toContain(path);
      }),
    );
  });
});

/** Every value in a policy that is no list or object. */
function leavesOf(holder: object, path = ''): { holder: object; key: string | number; path: string }[] {
  return Object.entries(holder).flatMap(([key, value]) => {
    const at = Array.isArray(holder) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    return typeof value === 'object' ? leavesOf(value, at) : [{ holder, key, path: at }];
  });
}
