import fc from 'fast-check';

const spec = (fields: unknown): object => ({
  apiVersion: 'heddle.dev/v1alpha1',
  kind: 'LockPolicy',
  metadata: { name: 'bank' },
  spec: fields,
});
const metadata = (fields: unknown): object => ({ ...spec({}), metadata: fields });
const rules = (...orders: unknown[]): object =>
  spec({ rules: orders.map((order, i) => ({ name: `r${i}`, order })) });
const long = (length: number): string => 'x'.repeat(length);

const DURATIONS = [
  '0',
  '1',
  '1s',
  '+1s',
  '-1s',
  '++1s',
  '1.s',
  '.5s',
  '.s',
  '1.5.5s',
  '0s',
  '00.0s',
  '0.000s',
  '0h0m0s',
  '1h2m3.5s',
  '1 s',
  ' 1s',
  '1s ',
  '1s\n',
  '\n1s',
  '',
  '1d',
  '5us',
  '5\u00b5s',
  '5\u03bcs',
  '5ns',
  '0.1ns',
  '1e3s',
  '1S',
  '\u0661s',
  '1s1',
  '1ss',
  's',
  '+',
  '-0',
  '+0',
  '0.0',
  `${long(3)}s`,
  `${'1'.repeat(63)}s`,
  `${'0'.repeat(60)}1s`,
  'Infinity',
  'NaN',
  '1_000ms',
];
const WRONG = [null, true, 0, -1, 1.5, '', 'x', [], {}, [null], [1], { a: 1 }];
const FIELDS = ['qosClass', 'maxHoldTime', 'containerID', 'rules', 'retryPolicy', 'numaAffinity'];

/** Documents with words for them. */
export const DOCUMENTS: [string, object][] = [
  ['nothing is asked for', spec({})],
  ...FIELDS.flatMap((field) =>
    WRONG.map((value): [string, object] => [`${field}: ${JSON.stringify(value)}`, spec({ [field]: value })]),
  ),
  ...['required', 'preferredNodes', 'allowedDistance', 'fallbackStrategy', 'qosOverride'].flatMap((field) =>
    WRONG.map((value): [string, object] => [
      `numaAffinity.${field}: ${JSON.stringify(value)}`,
      spec({ numaAffinity: { [field]: value } }),
    ]),
  ),
  ...['attempts', 'backoffBase', 'jitterPercent'].flatMap((field) =>
    WRONG.map((value): [string, object] => [
      `retryPolicy.${field}: ${JSON.stringify(value)}`,
      spec({ retryPolicy: { attempts: 2, [field]: value } }),
    ]),
  ),
  ...DURATIONS.flatMap((text): [string, object][] => [
    [`maxHoldTime ${JSON.stringify(text)}`, spec({ maxHoldTime: text })],
    [`backoffBase ${JSON.stringify(text)}`, spec({ retryPolicy: { attempts: 2, backoffBase: text } })],
  ]),
  ...[0, 1, 1000, 1001, 2 ** 31, 2 ** 53, -0].map((n): [string, object] => [
    `attempts ${n}`,
    spec({ retryPolicy: { attempts: n } }),
  ]),
  ...[-1, 0, 100, 101].map((n): [string, object] => [
    `jitterPercent ${n}`,
    spec({ retryPolicy: { attempts: 1, jitterPercent: n } }),
  ]),
  ...[-1, 0, 1, 9, 10, 255, 256].map((n): [string, object] => [
    `allowedDistance ${n}`,
    spec({ numaAffinity: { allowedDistance: n } }),
  ]),
  ...[[0], [0, 1], [1, 1], [1023], [1024], [-1], [0.5], ['0'], [null], [0, -0]].map(
    (nodes): [string, object] => [
      `preferredNodes ${JSON.stringify(nodes)}`,
      spec({ numaAffinity: { preferredNodes: nodes } }),
    ],
  ),
  ...['Guaranteed', 'guaranteed', ' Guaranteed', 'BestEffort', 'Best'].map((level): [string, object] => [
    `classes ${level}`,
    spec({ qosClass: level, numaAffinity: { qosOverride: level } }),
  ]),
  ...['nearest', 'any', 'none', 'None', ''].map((way): [string, object] => [
    `fallbackStrategy ${way}`,
    spec({ numaAffinity: { fallbackStrategy: way } }),
  ]),
  ...[
    'containerd://3f4c',
    '3f4c',
    'docker://',
    '://x',
    'a b',
    'A',
    '-a',
    'a\n',
    '\u00e9',
    `x${long(511)}`,
    `x${long(512)}`,
    'cri-o://abc_1.2-3',
    'Docker://a',
    '1a://b',
  ].map((id): [string, object] => [
    `containerID ${JSON.stringify(id.slice(0, 30))} of ${id.length}`,
    spec({ containerID: id }),
  ]),
  ['an order of one', rules(['a'])],
  ['an order of none', rules([])],
  ['an order of two', rules(['a', 'b'])],
  ['an order with a name twice', rules(['a', 'b', 'a'])],
  ['an order with an empty name', rules(['a', ''])],
  ['an order of numbers', rules([1, 2])],
  ['an order with null', rules(['a', null])],
  ['an order that is text', rules('a')],
  ['names of 512 characters', rules([long(512), 'a'])],
  ['names of 513 characters', rules([long(513), 'a'])],
  ['names of 512 wide characters', rules(['\u{1f600}'.repeat(512), 'a'])],
  ['names of 513 wide characters', rules(['\u{1f600}'.repeat(513), 'a'])],
  ['a long order', rules(Array.from({ length: 4096 }, (_, i) => `l${i}`))],
  ['too long an order', rules(Array.from({ length: 4097 }, (_, i) => `l${i}`))],
  ['many rules', rules(...Array.from({ length: 1024 }, () => ['a', 'b']))],
  ['too many rules', rules(...Array.from({ length: 1025 }, () => ['a', 'b']))],
  [
    'two rules of one name',
    spec({
      rules: [
        { name: 'r', order: ['a', 'b'] },
        { name: 'r', order: ['c', 'd'] },
      ],
    }),
  ],
  ['a rule without a name', spec({ rules: [{ order: ['a', 'b'] }] })],
  ['two rules without names', spec({ rules: [{ order: ['a', 'b'] }, { order: ['a', 'b'] }] })],
  ['a rule with an empty name', spec({ rules: [{ name: '', order: ['a', 'b'] }] })],
  ['a rule whose name is null', spec({ rules: [{ name: null, order: ['a', 'b'] }] })],
  ['a rule whose name is a number', spec({ rules: [{ name: 1, order: ['a', 'b'] }] })],
  ['a rule without an order', spec({ rules: [{ name: 'r' }] })],
  ['a rule whose order is null', spec({ rules: [{ name: 'r', order: null }] })],
  ['a rule that is null', spec({ rules: [null] })],
  ['a rule that is a list', spec({ rules: [[]] })],
  ['a rule with a name of 253', spec({ rules: [{ name: long(253), order: ['a', 'b'] }] })],
  ['a rule with a name of 254', spec({ rules: [{ name: long(254), order: ['a', 'b'] }] })],
  ['a retry policy without attempts', spec({ retryPolicy: { backoffBase: '1s' } })],
  ['an empty retry policy', spec({ retryPolicy: {} })],
  ['an empty affinity', spec({ numaAffinity: {} })],
  ['fields named like those of objects', spec({ constructor: 1, toString: 2 })],
  ['no spec', { ...spec({}), spec: undefined }],
  ...[null, 'x', 1, true, []].map((value): [string, object] => [
    `spec ${JSON.stringify(value)}`,
    spec(value),
  ]),
  ...['heddle.dev/v1', 'v1alpha1', '', 'other/v1alpha1', null, 1, undefined].map(
    (value): [string, object] => [`apiVersion ${JSON.stringify(value)}`, { ...spec({}), apiVersion: value }],
  ),
  ...['Pod', 'lockpolicy', '', null, 1, undefined].map((value): [string, object] => [
    `kind ${JSON.stringify(value)}`,
    { ...spec({}), kind: value },
  ]),
  ...[undefined, null, {}, [], 'x', 1].map((value): [string, object] => [
    `metadata ${JSON.stringify(value)}`,
    metadata(value),
  ]),
  ...[
    'bank',
    'Bank',
    'bank_1',
    'bank.a',
    'bank..a',
    '-bank',
    'bank-',
    '1',
    '',
    null,
    1,
    long(253),
    long(254),
    `${long(64)}.a`,
    'b\n',
  ].map((name): [string, object] => [`name ${JSON.stringify(name)?.slice(0, 30)}`, metadata({ name })]),
  ['a name to be made', metadata({ generateName: 'bank-' })],
  ['a name to be made of nothing', metadata({ generateName: '' })],
  ['a name to be made of what is none', metadata({ generateName: 'Bank_' })],
  ['a name to be made of a number', metadata({ generateName: 1 })],
  ['a name that is null and one to be made', metadata({ name: null, generateName: 'bank-' })],
  ['a name that is empty and one to be made', metadata({ name: '', generateName: 'bank-' })],
  ...['default', '', null, 1].map((namespace): [string, object] => [
    `namespace ${JSON.stringify(namespace)}`,
    metadata({ name: 'bank', namespace }),
  ]),
  ...['labels', 'annotations'].flatMap((field) =>
    [
      null,
      {},
      [],
      'x',
      1,
      { a: 'b' },
      { a: '' },
      { a: null },
      { a: 1 },
      { a: true },
      { a: {} },
      { a: 'b c' },
      { a: 'B_c.d-e' },
      { a: '-b' },
      { a: 'b-' },
      { a: long(63) },
      { a: long(64) },
      { a: '\u00e9' },
      { '': 'b' },
      { 'a b': 'c' },
      { 'heddle.dev/a': 'b' },
      { 'Heddle.dev/a': 'b' },
      { 'heddle.dev/': 'b' },
      { '/a': 'b' },
      { 'a/b/c': 'd' },
      { _a: 'b' },
      { A_a: 'b' },
      { [long(63)]: 'b' },
      { [long(64)]: 'b' },
      { [`${long(253)}/a`]: 'b' },
      { [`${long(254)}/a`]: 'b' },
      { 'a_b/c': 'd' },
      { 'a\n': 'b' },
      { a: 'b\n' },
    ].map((value): [string, object] => [
      `${field} ${JSON.stringify(value).slice(0, 50)}`,
      metadata({ name: 'bank', [field]: value }),
    ]),
  ),
  ['annotations of 256 KiB', metadata({ name: 'bank', annotations: { a: long(256 * 1024 - 1) } })],
  ['annotations of more', metadata({ name: 'bank', annotations: { a: long(256 * 1024) } })],
  ...[
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
  ].flatMap((field) =>
    [null, 1, 'x', {}, [], ['x'], ['heddle.dev/x'], [1]].map((value): [string, object] => [
      `metadata.${field} ${JSON.stringify(value)}`,
      metadata({ name: 'bank', [field]: value }),
    ]),
  ),
  ...[[''], ['a b'], ['a/b/c'], [null], ['Heddle.dev/x']].map((value): [string, object] => [
    `finalizers ${JSON.stringify(value)}`,
    metadata({ name: 'bank', finalizers: value }),
  ]),
  ...['generation', 'deletionGracePeriodSeconds'].flatMap((field) =>
    [-1, 0, 1.5, 2 ** 53, true].map((value): [string, object] => [
      `metadata.${field} ${value}`,
      metadata({ name: 'bank', [field]: value }),
    ]),
  ),
  ...[
    '',
    '2026-01-31',
    '2026-01-31T12:00:00Z',
    '2026-01-31T12:00:00.5+01:00',
    '2026-13-31T12:00:00Z',
    '2026-01-31t12:00:00z',
    '2026-01-31T12:00:00',
    '2026-02-30T12:00:00Z',
    '2026-01-31T24:00:00Z',
  ].map((time): [string, object] => [
    `creationTimestamp ${time}`,
    metadata({ name: 'bank', creationTimestamp: time }),
  ]),
  ...[
    [{}],
    [null],
    [{ apiVersion: 'v1', kind: 'Pod', name: 'a', uid: 'b' }],
    [{ apiVersion: 'v1', kind: 'Pod', name: 'a' }],
    [{ apiVersion: '', kind: 'Pod', name: 'a', uid: 'b' }],
    [{ apiVersion: 'v1', kind: 'Pod', name: 1, uid: 'b' }],
  ].map((owners): [string, object] => [
    `ownerReferences ${JSON.stringify(owners)}`,
    metadata({ name: 'bank', ownerReferences: owners }),
  ]),
  ...['bank.', 'b', 'bank--', '-bank', long(253), long(254)].map((generateName): [string, object] => [
    `a name to be made of ${generateName.slice(0, 20)}, ${generateName.length}`,
    metadata({ generateName }),
  ]),
  ['a name, and one to be made of what is none', metadata({ name: 'bank', generateName: 'Bank_' })],
];

/** Texts that say what no value of JavaScript can. */
export const TEXTS: string[] = [
  '{"retryPolicy":{"attempts":2.0}}',
  '{"retryPolicy":{"attempts":2e0}}',
  '{"retryPolicy":{"attempts":1e3}}',
  '{"retryPolicy":{"attempts":1e4}}',
  '{"retryPolicy":{"attempts":2.5}}',
  '{"retryPolicy":{"attempts":-0}}',
  '{"retryPolicy":{"attempts":9007199254740993}}',
  '{"retryPolicy":{"attempts":99999999999999999999}}',
  '{"retryPolicy":{"attempts":1e300}}',
  '{"numaAffinity":{"preferredNodes":[1e1]}}',
  '{"numaAffinity":{"allowedDistance":1.0e1}}',
  '{"qosClass":"Burst\\u0061ble"}',
  '{"maxHoldTime":"1s\\u0000"}',
].map(
  (text) =>
    `{"apiVersion":"heddle.dev/v1alpha1","kind":"LockPolicy","metadata":{"name":"bank"},"spec":${text}}`,
);

const level = fc.constantFrom('Guaranteed', 'Burstable', 'BestEffort');
const duration = fc.constantFrom('1ms', '1h2m3.5s', '.5s', '+7us', '2\u00b5s', '90m');

const specs = fc.record(
  {
    qosClass: level,
    numaAffinity: fc.record(
      {
        required: fc.boolean(),
        preferredNodes: fc.uniqueArray(fc.integer({ min: 0, max: 1023 }), { maxLength: 4 }),
        allowedDistance: fc.oneof(fc.constant(0), fc.integer({ min: 10, max: 255 })),
        fallbackStrategy: fc.constantFrom('nearest', 'any', 'none'),
        qosOverride: level,
      },
      { requiredKeys: [] },
    ),
    rules: fc.uniqueArray(
      fc.record({
        name: fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme-ascii' }),
        order: fc.uniqueArray(fc.stringMatching(/^[a-z]{1,4}$/), { minLength: 2, maxLength: 4 }),
      }),
      { maxLength: 3, selector: ({ name }) => name },
    ),
    retryPolicy: fc.record(
      {
        attempts: fc.integer({ min: 1, max: 1000 }),
        backoffBase: duration,
        jitterPercent: fc.integer({ min: 0, max: 100 }),
      },
      { requiredKeys: ['attempts'] },
    ),
    maxHoldTime: duration,
    containerID: fc.stringMatching(/^[a-f0-9]{12,20}$/),
  },
  { requiredKeys: [] },
);

/** Policies without faults, but for rules that may contradict each other. */
export const policies: fc.Arbitrary<object> = specs.map(spec);

/** What stands in the place of something. */
const stranger = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    'x',
    0,
    -1,
    5,
    1.5,
    2 ** 40,
    [],
    {},
    [null],
    ['a', 'a'],
    ['a', 'b'],
    [0, 0],
    'Burstable',
    '1s',
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Policies of which one value, somewhere, is another. */
export const broken: fc.Arbitrary<object> = fc
  .tuple(specs, fc.nat(), stranger)
  .map(([fields, where, value]) => {
    const copy = structuredClone(fields) as Record<string, unknown>;
    const places: [holder: Record<string, unknown>, key: string][] = [];
    const visit = (holder: Record<string, unknown>): void => {
      for (const [key, each] of Object.entries(holder)) {
        places.push([holder, key]);
        if (typeof each === 'object' && each !== null) visit(each as Record<string, unknown>);
      }
    };
    visit(copy);
    if (places.length > 0) {
      const [holder, key] = places[where % places.length]!;
      holder[key] = value;
    }
    return spec(copy);
  });
