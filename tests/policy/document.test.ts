import { PolicyInvalidError, parseLockPolicy } from 'heddle';
import { describe, expect, it } from 'vitest';
import { readPolicies } from '../../ts/policy/document.ts';
import { rejectionOf } from '../pool/harness.ts';

/** `line:column+length path reason` of each fault. */
async function faultsOf(text: string, json = false): Promise<string[]> {
  const documents = await readPolicies(text, { json });
  return documents
    .flatMap(({ faults }) => faults)
    .map(({ line, column, length, path, reason }) => `${line}:${column}+${length} ${path} ${reason}`);
}

const ROOT = 'apiVersion: heddle.dev/v1alpha1\nkind: LockPolicy\nmetadata: { name: bank }\n';

describe('places of faults', () => {
  it.each<[string, string, RegExp[]]>([
    ['a value', 'qosClass: Best\n', [/^1:11\+4 qosClass must be/]],
    ['a key that is unknown', 'maxHoldTime: 1s\nretries: 3\n', [/^2:1\+7 retries is unknown/]],
    [
      'an entry of a list',
      'numaAffinity:\n  preferredNodes: [0, one]\n',
      [/^2:23\+3 numaAffinity\.preferredNodes\[1\] must be a whole/],
    ],
    [
      'a block where something is missing',
      'qosClass: Burstable\nretryPolicy:\n  jitterPercent: 3\n',
      [/^2:1\+11 retryPolicy needs the field attempts/],
    ],
    [
      'an entry that is a block',
      'rules:\n  - name: a\n    order: [x, y]\n  - order: [y, z]\n',
      [/^4:5\+\d+ rules\[1\] needs the field name/],
    ],
    [
      'the second way round',
      'rules:\n- {name: a, order: [x, y]}\n- name: b\n  order:\n  - y\n  - x\n',
      [/^6:5\+1 rules\[1\]\.order\[1\] contradicts/],
    ],
    [
      'through an alias',
      'rules:\n  - &r { name: a, order: [x] }\n',
      [/^2:\d+\+\d+ rules\[0\]\.order must have at least 2/],
    ],
    ['an object without a spec', ROOT, [/^1:1\+\d+ {2}needs the field spec/]],
    [
      'Windows lines and a byte order mark',
      '\ufeffmaxHoldTime: 1s\r\nqosClass: 1\r\n',
      [/^2:11\+1 qosClass must be/],
    ],
    ['the second document', 'qosClass: Burstable\n---\nqosClass: 1\n', [/^3:11\+1 qosClass must be/]],
    ['no YAML', 'rules: [a\n', [/is no YAML: /]],
    [
      'a key twice',
      'qosClass: Burstable\nqosClass: Burstable\n',
      [/^2:1\+\d+ {2}is no YAML: map keys must be unique/],
    ],
    ['a tag of a program', 'qosClass: !!js/function "x"\n', [/is no YAML: unresolved tag/]],
    ['nothing', '', [/^1:1\+1 {2}is empty/]],
    ['only a comment', '# nothing\n', [/^1:1\+\d+ {2}(is empty|must be an object, not null)/]],
    [
      'aliases without end',
      'a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n',
      [/cannot be read|is unknown/],
    ],
  ])('%s', async (_, text, expected) => {
    const faults = await faultsOf(text);
    for (const [i, pattern] of expected.entries()) expect(faults[i]).toMatch(pattern);
    if (!/aliases/.test(_)) expect(faults).toHaveLength(expected.length);
  });

  it('in JSON, which YAML would let pass', async () => {
    expect(await faultsOf('{\n  "qosClass": "Burstable",\n}\n', true)).toEqual([
      expect.stringMatching(/^[23]:\d+\+1 {2}is no JSON: /),
    ]);
    expect(await faultsOf('{ "qosClass": "Burstable" }', true)).toEqual([]);
    expect(await faultsOf('{\t"qosClass":\t1 }', true)).toEqual([expect.stringMatching(/^1:15\+1 qosClass/)]);
  });
});

it('documents without anything are none, as long as there is another', async () => {
  for (const text of [
    '---\n---\nmaxHoldTime: 1s\n',
    'maxHoldTime: 1s\n---\n',
    'maxHoldTime: 1s\n---\n# end\n',
  ])
    expect(await parseLockPolicy(text)).toEqual({ maxHoldTime: '1s' });
  for (const text of ['---\n', '---\n---\n', 'null\n']) expect(await faultsOf(text)).toHaveLength(1);
  expect(await faultsOf('maxHoldTime: 1s\n---\nnull\n')).toEqual([
    expect.stringMatching(/^3:1\+4 {2}must be an object/),
  ]);
});

it('a byte order mark is no part of a document', async () => {
  expect(await faultsOf('\ufeff{ "maxHoldTime": "1s" }', true)).toEqual([]);
  expect(await faultsOf('\ufeff{ "maxHoldTime": 1 }', true)).toEqual([
    expect.stringMatching(/^1:18\+1 maxHoldTime/),
  ]);
});

describe('parseLockPolicy', () => {
  it('reads the spec alone and an object of Kubernetes', async () => {
    expect(await parseLockPolicy('maxHoldTime: 150ms')).toEqual({ maxHoldTime: '150ms' });
    expect(await parseLockPolicy(`${ROOT}spec: { qosClass: Burstable }`)).toMatchObject({
      spec: { qosClass: 'Burstable' },
    });
  });

  it('rejects with every fault and its line', async () => {
    const error = await rejectionOf(parseLockPolicy('qosClass: 1\nmaxHoldTime: x\n'));
    expect(error).toBeInstanceOf(PolicyInvalidError);
    expect(error.faults).toMatchObject([
      { path: 'qosClass', line: 1, column: 11 },
      { path: 'maxHoldTime', line: 2, column: 14 },
    ]);
    expect(error.message).toMatch(
      /^the LockPolicy is invalid:\n {2}qosClass must be .* \(line 1, column 11\)\n/,
    );
    expect(await rejectionOf(parseLockPolicy('{}\n---\n{}'))).toMatchObject({ code: 'ERR_POLICY_INVALID' });
    expect(
      await rejectionOf(parseLockPolicy('numaAffinity: { preferredNodes: [3] }', { nodes: [{ id: 0 }] })),
    ).toMatchObject({ faults: [{ path: 'numaAffinity.preferredNodes[0]' }] });
  });
});
