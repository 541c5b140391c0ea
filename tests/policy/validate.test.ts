import { LockPolicyValidator } from 'heddle';
import { describe, expect, it } from 'vitest';

const validator = new LockPolicyValidator({ nodes: () => [{ id: 0 }, { id: 2 }] });
const faultsOf = (policy: unknown): string[] =>
  validator.validate(policy).faults.map(({ path, reason }) => `${path} ${reason}`.trim());
const resource = (change: object): object => ({
  apiVersion: 'heddle.dev/v1alpha1',
  kind: 'LockPolicy',
  metadata: { name: 'bank' },
  spec: {},
  ...change,
});
const rule = (name: string, ...order: string[]): object => ({ name, order });

describe('faults', () => {
  it.each<[string, unknown, RegExp[]]>([
    ['nothing', undefined, [/^must be an object, not undefined$/]],
    ['null', null, [/^must be an object, not null$/]],
    ['a list', [], [/^must be an object, not a list$/]],
    ['an unknown field', { maxholdtime: '1s' }, [/^maxholdtime is unknown; did you mean maxHoldTime\?$/]],
    ['a field of another world', { spline: 1 }, [/^spline is unknown; the fields here are qosClass, /]],
    [
      'a class in the wrong case',
      { qosClass: 'guaranteed' },
      [/^qosClass must be .*; did you mean Guaranteed\?$/],
    ],
    ['an empty class', { qosClass: '' }, [/^qosClass must be Guaranteed, Burstable or BestEffort, not ""$/]],
    [
      'a number for a duration',
      { maxHoldTime: 150 },
      [/^maxHoldTime must be a string, not 150; write a unit, such as "150ms"$/],
    ],
    ['no unit', { maxHoldTime: '150' }, [/^maxHoldTime needs a unit after 150/]],
    ['a negative duration', { maxHoldTime: '-1s' }, [/^maxHoldTime must not be negative/]],
    ['no time at all', { maxHoldTime: '0ms' }, [/^maxHoldTime must be longer than 0/]],
    ['a duration beyond timers', { maxHoldTime: '597h' }, [/^maxHoldTime must be at most 596h31m23\.647s/]],
    ['a duration beyond Go', { maxHoldTime: '9999999h' }, [/^maxHoldTime is longer than Go can count/]],
    ['no attempts', { retryPolicy: { attempts: 0 } }, [/^retryPolicy\.attempts must be 1 or more, not 0$/]],
    [
      'attempts left out',
      { retryPolicy: { backoffBase: '1s' } },
      [/^retryPolicy needs the field attempts: Most runs of one task/],
    ],
    [
      'half an attempt',
      { retryPolicy: { attempts: 1.5 } },
      [/^retryPolicy\.attempts must be a whole number, not 1\.5$/],
    ],
    [
      'too much jitter',
      { retryPolicy: { attempts: 2, jitterPercent: 101 } },
      [/jitterPercent must be 100 or less/],
    ],
    [
      'a duration of Scala',
      { retryPolicy: { attempts: 2, backoffBase: '5 days' } },
      [/backoffBase has the unknown unit/],
    ],
    [
      'a word of YAML 1.1',
      { numaAffinity: { required: 'yes' } },
      [/required must be true or false, not "yes"; write true$/],
    ],
    [
      'a node that is not there',
      { numaAffinity: { preferredNodes: [0, 1] } },
      [/preferredNodes\[1\] names node 1, which this machine does not have; it has nodes 0, 2$/],
    ],
    [
      'a node twice',
      { numaAffinity: { preferredNodes: [2, 0, 2] } },
      [/preferredNodes\[2\] stands twice: 2 is preferredNodes\[0\] already$/],
    ],
    [
      'a negative node',
      { numaAffinity: { preferredNodes: [-1] } },
      [/preferredNodes\[0\] must be 0 or more/, /names node -1/],
    ],
    [
      'nearer than near',
      { numaAffinity: { allowedDistance: 5 } },
      [/^numaAffinity\.allowedDistance must be 0 or less, or 10 or more, not 5$/],
    ],
    [
      'a strategy',
      { numaAffinity: { fallbackStrategy: 'random' } },
      [/fallbackStrategy must be nearest, any or none/],
    ],
    ['an empty id', { containerID: '' }, [/^containerID must be the id of a container/]],
    ['a rule without a name', { rules: [{ order: ['a', 'b'] }] }, [/^rules\[0\] needs the field name/]],
    [
      'an order of one',
      { rules: [rule('r', 'a')] },
      [/^rules\[0\]\.order must have at least 2 entries, not 1$/],
    ],
    ['an empty name', { rules: [rule('r', 'a', '')] }, [/^rules\[0\]\.order\[1\] must not be empty$/]],
    [
      'two rules of one name',
      { rules: [rule('r', 'a', 'b'), rule('r', 'c', 'd')] },
      [/^rules\[1\]\.name stands twice: "r" is rules\[0\] already$/],
    ],
    [
      'a name twice in an order',
      { rules: [rule('r', 'a', 'b', 'a')] },
      [/^rules\[0\]\.order\[2\] stands twice/],
    ],
    [
      'everything at once, in the order of the document',
      { rules: [rule('r', 'a')], qosClass: 1, retryPolicy: { jitterPercent: -1 } },
      [/^rules\[0\]\.order/, /^qosClass/, /^retryPolicy needs/, /^retryPolicy\.jitterPercent/],
    ],
  ])('%s', (_, policy, expected) => {
    const faults = faultsOf(policy);
    expect(faults).toHaveLength(expected.length);
    for (const [i, pattern] of expected.entries()) expect(faults[i]).toMatch(pattern);
  });

  it('counts what is null as left out, as an API server does, but not in a list', () => {
    expect(
      faultsOf({ qosClass: null, rules: null, retryPolicy: { attempts: 1, backoffBase: null } }),
    ).toEqual([]);
    expect(faultsOf({ retryPolicy: { attempts: null } })).toEqual([
      expect.stringMatching(/needs the field attempts/),
    ]);
    expect(faultsOf({ numaAffinity: { preferredNodes: [null] } })).toEqual([
      expect.stringMatching(/preferredNodes\[0\] must be a whole number, not null/),
    ]);
  });

  it('knows no nodes unless it is told', () => {
    expect(new LockPolicyValidator().validate({ numaAffinity: { preferredNodes: [7] } }).isValid).toBe(true);
  });
});

describe('an object of Kubernetes', () => {
  it.each<[string, object, RegExp[]]>([
    [
      'another version',
      { apiVersion: 'heddle.dev/v1' },
      [/^apiVersion must be heddle\.dev\/v1alpha1, not "heddle\.dev\/v1"$/],
    ],
    ['another kind', { kind: 'Pod' }, [/^kind must be LockPolicy, not "Pod"$/]],
    ['no spec', { spec: undefined }, [/^needs the field spec/]],
    ['no metadata', { metadata: undefined }, [/^needs the field metadata/]],
    ['no name', { metadata: {} }, [/^metadata needs the field name$/]],
    [
      'a label that is none',
      { metadata: { name: 'a', labels: { 'a b': 'c', a: '-b' } } },
      [/^metadata\.labels\["a b"\] is no key/, /^metadata\.labels\.a must be a word/],
    ],
    [
      'an annotation that is none',
      { metadata: { name: 'a', annotations: { 'x/y/z': '', n: 1, A_a: 'a b' } } },
      [/annotations\["x\/y\/z"\] is no key/, /annotations\.n must be a string, not 1$/],
    ],
    [
      'fields of another type',
      {
        metadata: {
          generateName: 'a-',
          uid: 1,
          creationTimestamp: '2026-02-30T12:00:00Z',
          finalizers: ['a b'],
        },
      },
      [
        /uid must be a string/,
        /creationTimestamp must be a time/,
        /finalizers has an entry that must be a word/,
      ],
    ],
    [
      'a name that is none',
      { metadata: { name: 'Bank_1' } },
      [/^metadata\.name must be a name of lower-case letters/],
    ],
    [
      'labels that are no texts',
      { metadata: { name: 'a', labels: { tier: 1 } } },
      [/^metadata\.labels\.tier must be a string, not 1$/],
    ],
    ['unknown metadata', { metadata: { name: 'a', nmae: 'b' } }, [/^metadata\.nmae is unknown$/]],
    ['a field beside the spec', { status: {} }, [/^status is unknown/]],
    ['a fault in the spec', { spec: { qosClass: 1 } }, [/^spec\.qosClass must be/]],
  ])('%s', (_, change, expected) => {
    const faults = faultsOf(resource(change));
    expect(faults).toHaveLength(expected.length);
    for (const [i, pattern] of expected.entries()) expect(faults[i]).toMatch(pattern);
  });

  it('may carry what a server has filled in', () => {
    const metadata = { name: 'bank', uid: 'x', resourceVersion: '1', generation: 1, managedFields: [] };
    expect(faultsOf(resource({ metadata }))).toEqual([]);
  });
});

describe('rules that contradict each other', () => {
  it('are named, with the ring', () => {
    const faults = faultsOf({
      rules: [
        rule('transfers', 'account', 'ledger'),
        rule('free', 'x', 'y'),
        rule('reports', 'ledger', 'report', 'account'),
      ],
    });
    expect(faults).toEqual([
      "rules[2].order[1] contradicts rule 'transfers': 'account' before 'ledger' (rule 'transfers'), " +
        "'ledger' before 'report' (rule 'reports'), 'report' before 'account' (rule 'reports')",
    ]);
  });

  it('are one fault for each knot of them', () => {
    const faults = faultsOf({
      rules: [
        rule('a', 'p', 'q'),
        rule('b', 'q', 'p'),
        rule('c', 'x', 'y'),
        rule('d', 'y', 'z'),
        rule('e', 'z', 'x'),
      ],
    });
    expect(faults).toHaveLength(2);
    expect(faults[0]).toMatch(/^rules\[1\]\.order\[1\] contradicts rule 'a': /);
    expect(faults[1]).toMatch(/^rules\[4\]\.order\[1\] contradicts rules 'c', 'd': /);
  });

  it('are found in an order of thousands of names', () => {
    const names = Array.from({ length: 4000 }, (_, i) => `n${i}`);
    expect(faultsOf({ rules: [rule('all', ...names)] })).toEqual([]);
    const faults = faultsOf({ rules: [rule('all', ...names), rule('back', 'n3999', 'n0')] });
    expect(faults).toEqual([expect.stringMatching(/^rules\[1\]\.order\[1\] contradicts rule 'all'/)]);
  });

  it('has no more names than the kernel takes', () => {
    const rules = Array.from({ length: 3 }, (_, i) =>
      rule(`r${i}`, ...Array.from({ length: 2000 }, (_, j) => `n${i}.${j}`)),
    );
    expect(faultsOf({ rules })).toEqual([
      expect.stringMatching(/^rules name 6000 locks and classes; there may be 4096$/),
    ]);
  });
});
