/**
 * The validator beside a real API server that has our definition: both must say the same of every document, but for what the validator adds. What it adds is
 * listed in ADDED, and nothing else may differ.
 */
import fc from 'fast-check';
import { LockPolicyValidator, lockPolicyCRDManifest, lockPolicySchema, type ValidationFault } from 'heddle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Answer, ApiServer, apiServerTool } from './api-server.ts';
import { broken, DOCUMENTS, policies, TEXTS } from './corpus.ts';

const tool = apiServerTool();
const KINDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const POLICIES = '/apis/heddle.dev/v1alpha1/namespaces/default/lockpolicies';
const DOCUMENT = '{"apiVersion":"heddle.dev/v1alpha1","kind":"LockPolicy","metadata":{"name":"bank"}';
const validator = new LockPolicyValidator();

/** Why the validator may refuse what a server takes. */
const ADDED: readonly [why: string, is: (fault: ValidationFault) => boolean][] = [
  ['a server drops fields that it does not know', ({ reason }) => reason.startsWith('is unknown')],
  ['a server cannot see that rules contradict each other', ({ reason }) => /contradicts/.test(reason)],
  ['a server does not add up names', ({ reason }) => /^name \d+ locks and classes/.test(reason)],
  [
    'a server does not read durations',
    ({ reason }) => /^(must be at most 596h|is longer than Go can count)/.test(reason),
  ],
];
const isAdded = (fault: ValidationFault): boolean => ADDED.some(([, is]) => is(fault));

describe.skipIf(tool === undefined)('an API server (needs HEDDLE_KUBE_APISERVER)', () => {
  let server: ApiServer;

  const judge = (text: string, type?: string): Promise<Answer> =>
    server.send('POST', `${POLICIES}?dryRun=All`, text, type);

  /** A difference as text, or undefined. */
  async function difference(value: unknown, text: string, type?: string): Promise<string | undefined> {
    const { status, body } = await judge(text, type);
    const faults = validator.validate(value).faults;
    const taken = status === 201;
    // So it says that it was sent no version.
    const isUntyped = status === 500 && /'apiVersion' is missing/.test(body.message ?? '');
    if (!taken && !isUntyped && status !== 400 && status !== 422)
      return `${text}\n  the server answered ${status}: ${body.message}`;
    const ours = faults.filter((fault) => !isAdded(fault));
    if (taken === (ours.length === 0)) return undefined;
    const said = ours.map(({ path, reason }) => `${path} ${reason}`).join('; ');
    return `${text}\n  server: ${status} ${body.message ?? ''}\n  validator: ${said || 'valid'}`;
  }

  beforeAll(async () => {
    server = new ApiServer(tool!);
    const made = await server.send('POST', KINDS, JSON.stringify(lockPolicyCRDManifest()));
    expect(made.body.message).toBeUndefined();
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const { body } = await server.send('GET', `${KINDS}/lockpolicies.heddle.dev`);
      const { status } = await server.send('GET', POLICIES);
      const home = await server.send('GET', '/api/v1/namespaces/default');
      const conditions = body.status?.conditions ?? [];
      expect(conditions.filter((each) => each.type === 'NonStructuralSchema')).toEqual([]);
      if (
        status === 200 &&
        home.status === 200 &&
        conditions.some((each) => each.type === 'Established' && each.status === 'True')
      )
        break;
    }
  }, 180_000);

  afterAll(() => server?.stop(), 60_000);

  it('keeps all of the schema', async () => {
    const { body } = await server.send('GET', `${KINDS}/lockpolicies.heddle.dev`);
    const [version] = (
      body as unknown as { spec: { versions: { schema: { openAPIV3Schema: { properties: object } } }[] } }
    ).spec.versions;
    expect(version!.schema.openAPIV3Schema.properties).toEqual({
      spec: JSON.parse(JSON.stringify(lockPolicySchema)),
    });
  });

  it.each(DOCUMENTS)('says the same: %s', async (_, document) => {
    expect(await difference(document, JSON.stringify(document))).toBeUndefined();
  });

  it.each(TEXTS)('says the same of the text: %s', async (text) => {
    expect(await difference(JSON.parse(text), text)).toBeUndefined();
  });

  it('says the same of policies that are valid, as JSON and as YAML', async () => {
    await fc.assert(
      fc.asyncProperty(policies, async (document) => {
        expect(await difference(document, JSON.stringify(document))).toBeUndefined();
        const yaml = stringify(document, { version: '1.1' });
        expect(await difference(parse(yaml, { version: '1.1' }), yaml, 'application/yaml')).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });

  it('says the same of policies of which some value was replaced', async () => {
    await fc.assert(
      fc.asyncProperty(broken, async (document) => {
        expect(await difference(document, JSON.stringify(document))).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it.each<[string, object, RegExp]>([
    ['an unknown field', { retrise: 3 }, /is unknown/],
    [
      'rules that contradict each other',
      {
        rules: [
          { name: 'r', order: ['a', 'b'] },
          { name: 's', order: ['b', 'a'] },
        ],
      },
      /contradicts/,
    ],
    ['a duration that no timer takes', { maxHoldTime: '597h' }, /must be at most/],
    ['a duration beyond Go', { maxHoldTime: '9999999h' }, /longer than Go can count/],
    [
      'more names than there may be',
      {
        rules: Array.from({ length: 3 }, (_, r) => ({
          name: `r${r}`,
          order: Array.from({ length: 4000 }, (_, i) => `${r}.${i}`),
        })),
      },
      /^name 12000 locks/,
    ],
  ])('takes what only the validator refuses: %s', async (_, spec, reason) => {
    const document = {
      apiVersion: 'heddle.dev/v1alpha1',
      kind: 'LockPolicy',
      metadata: { name: 'bank' },
      spec,
    };
    expect((await judge(JSON.stringify(document))).status).toBe(201);
    expect(validator.validate(document).faults.map((fault) => fault.reason)).toEqual([
      expect.stringMatching(reason),
    ]);
  });

  it('takes 1 and 1.0 for two numbers, and the validator for one', async () => {
    const text = `${DOCUMENT},"spec":{"numaAffinity":{"preferredNodes":[1,1.0]}}}`;
    expect((await judge(text)).status).toBe(201);
    expect(validator.validate(JSON.parse(text)).faults).toHaveLength(1);
  });
});
