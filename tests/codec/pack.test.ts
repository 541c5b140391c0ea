import { deepStrictEqual } from 'node:assert';
import { Buffer } from 'node:buffer';
import { createSecretKey } from 'node:crypto';
import { createContext, runInContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPacker, createUnpacker, setStringCodec } from '../../ts/codec/pack.ts';
import { DataCloneFailure } from '../../ts/errors.ts';
import { identities, openChannel } from './harness.ts';

const native = {
  latin1Slice: (bytes: Uint8Array, start: number, end: number) =>
    Buffer.prototype.latin1Slice.call(bytes, start, end),
  utf8Slice: (bytes: Uint8Array, start: number, end: number) =>
    Buffer.prototype.utf8Slice.call(bytes, start, end),
};

function cyclic(): unknown {
  const a: { [key: string]: unknown } = { name: 'a' };
  const list: unknown[] = [a];
  const map = new Map<unknown, unknown>([[a, list]]);
  map.set('self', map);
  a.self = a;
  a.list = list;
  a.map = map;
  a.set = new Set([a, map]);
  return a;
}

function sharedBuffer(): unknown {
  const buffer = new ArrayBuffer(24);
  new Uint8Array(buffer).set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  return {
    view: new Uint16Array(buffer, 2, 3),
    buffer,
    other: new DataView(buffer, 8),
    again: new Float64Array(buffer),
  };
}

function withExtras(): unknown {
  return Object.assign(sparse(3, { 0: 1, 2: 3 }), { extra: 'x', '-1': 'minus', '007': 'text' });
}

function sparse(length: number, filled: { [index: number]: unknown }): unknown[] {
  const array: unknown[] = [];
  array.length = length;
  for (const [index, value] of Object.entries(filled)) array[Number(index)] = value;
  return array;
}

class Point {
  static readonly unit = 1;
  x = 1;
  y = { z: 2 };
  get sum(): number {
    return this.x;
  }
}

const manyObjects = Array.from({ length: 500 }, (_, i) => ({
  i,
  even: i % 2 === 0,
  child: { name: `n${i}` },
}));
const manyShapes = Array.from({ length: 700 }, (_, i) => ({
  [`key${i}`]: i,
  [`other${i}`]: { [`deep${i}`]: i },
}));

const values: readonly (readonly [string, unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['booleans', [true, false]],
  [
    'integers',
    [
      0,
      1,
      127,
      128,
      -1,
      -128,
      -129,
      32767,
      32768,
      -32768,
      -32769,
      2147483647,
      -2147483648,
      2147483648,
      2 ** 53,
    ],
  ],
  [
    'doubles',
    [0.1, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, 1.7976931348623157e308],
  ],
  ['bigints', [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 63n, -(2n ** 64n), 3n ** 500n, -(3n ** 500n)]],
  [
    'strings',
    ['', 'a', 'é', 'ÿ\u0080\u009f', 'Ā', '日本', '😀', '\u0000', '\ufeffbom', 'x'.repeat(47), 'x'.repeat(48)],
  ],
  [
    'long strings',
    [
      'x'.repeat(100_000),
      'é'.repeat(100_000),
      '日'.repeat(50_000),
      '😀'.repeat(5000),
      `\ufeff${'b'.repeat(60)}`,
    ],
  ],
  [
    'lone surrogates',
    ['\ud800', 'a\udc00b', '\udc00\ud800', `${'x'.repeat(50)}\ud800`, `${'é'.repeat(5000)}\udfff`],
  ],
  ['many short strings', Array.from({ length: 300 }, (_, i) => `string number ${i} ${'é'.repeat(i % 5)}`)],
  ['dates', [new Date(0), new Date(-1), new Date(8.64e15)]],
  ['regular expressions', [/a/, /b\/c/giu, /(?<n>x)/s, /(?:)/]],
  [
    'boxed',
    [
      Object(1),
      Object(-0),
      Object('s'),
      Object(true),
      Object(false),
      Object(5n),
      Object(''),
      Object(3n ** 99n),
    ],
  ],
  ['empty containers', [{}, [], new Map(), new Set(), new Uint8Array(0), new ArrayBuffer(0)]],
  [
    'arrays',
    [
      [],
      [1, [2, [3, ['x']]]],
      Array.from({ length: 15 }, () => null),
      Array.from({ length: 1000 }, (_, i) => i),
    ],
  ],
  ['holes', [sparse(3, {}), sparse(3, { 1: undefined }), sparse(20, { 0: 1, 19: { a: 1 } })]],
  ['very sparse arrays', [sparse(100_000, { 5: 'x', 99999: 'y' })]],
  ['extra properties', withExtras()],
  ['as many extra properties as holes', Object.assign(sparse(2, { 0: 'a' }), { extra: 1 })],
  ['extra properties of a long array', Object.assign([...'abcdefghijklmnop'], { extra: 1 })],
  ['a match', /b(?<n>c)?/.exec('abcd')],
  [
    'objects',
    { a: 1, b: { c: { d: [{ e: null }] } }, 7: 'seven', 'not an identifier': 1, '': 0, é: 1, 日本: 2 },
  ],
  ['index-like keys', { 1: 'a', '01': 'b', 4294967295: 'c', '-1': 'd' }],
  ['long keys', { ['k'.repeat(200)]: 1, ['日'.repeat(120)]: 2 }],
  [
    'objects of 1 to 20 keys',
    Array.from({ length: 20 }, (_, n) =>
      Object.fromEntries(Array.from({ length: n + 1 }, (_, k) => [`k${k}`, k])),
    ),
  ],
  ['objects of many keys', Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key ${i}`, i]))],
  ['many objects', manyObjects],
  ['many shapes', manyShapes],
  ['more shapes than one byte counts, twice', [...manyShapes, ...manyShapes.map((each) => ({ ...each }))]],
  [
    '__proto__ as a key',
    [JSON.parse('{"__proto__":{"polluted":1},"b":2}'), JSON.parse('{"__proto__":null}')],
  ],
  [
    '__proto__ among many keys',
    JSON.parse(`{${Array.from({ length: 80 }, (_, i) => `"k${i}":${i}`)},"__proto__":1}`),
  ],
  ['constructor as a key', { constructor: 1, hasOwnProperty: 2, toString: 3 }],
  ['null prototype', Object.assign(Object.create(null), { a: 1 })],
  [
    'instances',
    [
      new Point(),
      new (class extends Point {
        z = 3;
      })(),
    ],
  ],
  ['an instance of an enumerable prototype', Object.assign(Object.create({ inherited: 1 }), { own: 2 })],
  [
    'maps',
    new Map<unknown, unknown>([
      ['a', 1],
      [{ k: 1 }, new Map([[1, 2]])],
      [Number.NaN, undefined],
      [undefined, null],
    ]),
  ],
  ['sets', new Set<unknown>([1, 'a', { x: 1 }, new Set([1]), undefined, Number.NaN])],
  [
    'subclasses of containers',
    [
      new (class A extends Map<number, number> {})([[1, 2]]),
      new (class B extends Set<number> {})([1]),
      new (class C extends Array<number> {})(3),
    ],
  ],
  [
    'typed arrays',
    [
      new Int8Array([-1, 2]),
      new Uint8Array([1, 255]),
      new Uint8ClampedArray([1, 255]),
      new Int16Array([-1]),
      new Uint16Array([65535]),
      new Int32Array([-1]),
      new Uint32Array([4294967295]),
      new Float32Array([1.5, Number.NaN]),
      new Float64Array([1.5, -0]),
      new BigInt64Array([-1n]),
      new BigUint64Array([2n ** 64n - 1n]),
    ],
  ],
  ['views', [new DataView(new ArrayBuffer(8), 2, 4), new ArrayBuffer(3)]],
  ['binaries on both sides of the limit', [510, 511, 512, 513, 4096].map((n) => new Uint8Array(n).fill(n))],
  [
    'several big binaries',
    [new Uint8Array(1001).fill(1), 'between', new Float64Array(1000).fill(2), new ArrayBuffer(700)],
  ],
  ['a view of a part of a big buffer', new Uint8Array(new Uint8Array(5000).fill(9).buffer, 100, 200)],
  ['views of one buffer', sharedBuffer()],
  [
    'the same object twice',
    (() => {
      const o = { a: 1 };
      return [o, o, { o }];
    })(),
  ],
  [
    'the same of many objects twice',
    (() => {
      const o = Array.from({ length: 40 }, (_, i) => ({ i }));
      return [o, [...o].reverse(), o[3], o];
    })(),
  ],
  [
    'the same date, buffer, box, regular expression and error twice',
    (() => {
      const all = [
        new Date(1),
        new ArrayBuffer(2),
        Object('s'),
        /x/,
        new Map(),
        new Set(),
        new Uint8Array(600),
      ];
      return [all, ...all];
    })(),
  ],
  ['cycles', cyclic()],
];

describe.each([
  ['portable strings', undefined],
  ['native strings', native],
])('with %s', (_, codec) => {
  beforeAll(() => setStringCodec(codec));
  afterAll(() => setStringCodec(undefined));
  const channel = openChannel();

  it.each(values)('%s cross as structured clone carries them', (_, value) => {
    const expected = structuredClone(value);
    for (let round = 0; round < 2; round++) {
      const actual = channel.send(value);
      deepStrictEqual(actual, expected);
      expect(identities(actual)).toEqual(identities(expected));
    }
  });

  it('carries the longest array', () => {
    const got = channel.send(sparse(4_294_967_295, { 5: 'x', 4294967294: 'y' })) as unknown[];
    expect(got.length).toBe(4_294_967_295);
    expect(Object.entries(got)).toEqual([
      ['5', 'x'],
      ['4294967294', 'y'],
    ]);
  });

  it('carries an invalid date', () => {
    expect(channel.send(new Date(Number.NaN))).toEqual(new Date(Number.NaN));
  });

  it('carries all of them in one message', () => {
    const all = values.map(([, value]) => value);
    deepStrictEqual(channel.send(all), structuredClone(all));
    deepStrictEqual(channel.send(all, 'args'), structuredClone(all));
  });

  it('does not pollute prototypes', () => {
    const got = channel.send(JSON.parse('{"__proto__":{"polluted":1}}')) as object;
    expect(Object.getPrototypeOf(got)).toBe(Object.prototype);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect(Object.keys(got)).toEqual(['__proto__']);
  });
});

describe('depth', () => {
  const channel = openChannel();
  const deepen = (levels: number, wrap: (inner: unknown, level: number) => unknown): unknown => {
    let value: unknown = 'bottom';
    for (let level = 0; level < levels; level++) value = wrap(value, level);
    return value;
  };
  const wraps: readonly (readonly [
    string,
    (inner: unknown, level: number) => unknown,
    (outer: unknown) => unknown,
  ])[] = [
    ['objects', (inner, level) => ({ inner, level }), (outer) => (outer as { inner: unknown }).inner],
    ['arrays', (inner, level) => [level, inner], (outer) => (outer as unknown[])[1]],
    ['holey arrays', (inner) => Object.assign([inner], { extra: 1 }), (outer) => (outer as unknown[])[0]],
    ['maps', (inner) => new Map([['inner', inner]]), (outer) => (outer as Map<string, unknown>).get('inner')],
    [
      'map keys',
      (inner) => new Map([[inner, 1]]),
      (outer) => [...(outer as Map<unknown, unknown>).keys()][0],
    ],
    ['sets', (inner) => new Set([inner]), (outer) => [...(outer as Set<unknown>)][0]],
    ['errors', (inner) => new TypeError('outer', { cause: inner }), (outer) => (outer as Error).cause],
    [
      'instances',
      (inner) => Object.assign(new Point(), { inner }),
      (outer) => (outer as { inner: unknown }).inner,
    ],
  ];

  it.each(wraps)('carries deeply nested %s', (kind, wrap, unwrap) => {
    // The test runner takes its time to make each stack.
    const levels = kind === 'errors' ? 1000 : 10_000;
    let got = channel.send(deepen(levels, wrap));
    for (let level = 0; level < levels; level++) got = unwrap(got);
    expect(got).toBe('bottom');
  });

  it('carries every kind of value at every depth', () => {
    for (const levels of [97, 98, 99, 100, 101, 102, 201]) {
      const value = deepen(levels, (inner) => ({
        inner,
        other: [new Date(3), new Map([[inner, {}]]), [], new Uint8Array(600)],
      }));
      const expected = structuredClone(value);
      expect(identities(channel.send(value))).toEqual(identities(expected));
    }
  });

  it('keeps the identity of what crosses the limit', () => {
    const shared = { tag: 'shared' };
    const got = channel.send([shared, deepen(500, (inner) => ({ inner, shared }))]) as [
      object,
      { shared: object; inner: unknown },
    ];
    let at: { shared: object; inner: unknown } = got[1];
    for (let level = 1; level < 500; level++) at = at.inner as typeof at;
    expect(at.shared).toBe(got[0]);
  });

  it('tells the whole path below the limit', () => {
    const value = deepen(250, (inner) => (inner === 'bottom' ? () => 1 : { inner }));
    expect(() => channel.send(value, 'args')).toThrow(`args${'.inner'.repeat(249)} `);
  });
});

describe('shared memory', () => {
  it('passes views over the runtime memory by reference', () => {
    const { memory, send } = openChannel();
    const sent = [new Float64Array(memory.buffer, 8, 100), new DataView(memory.buffer, 3, 9), memory.buffer];
    const got = send(sent) as [Float64Array, DataView, SharedArrayBuffer];
    expect(got[0]).not.toBe(sent[0]);
    expect(got[0]).toBeInstanceOf(Float64Array);
    expect([got[0].buffer, got[0].byteOffset, got[0].length]).toEqual([memory.buffer, 8, 100]);
    expect([got[1].buffer, got[1].byteOffset, got[1].byteLength]).toEqual([memory.buffer, 3, 9]);
    expect(got[2]).toBe(memory.buffer);
    got[0][99] = 42;
    expect((sent[0] as Float64Array)[99]).toBe(42);
  });

  it('leaves other shared buffers to the port', () => {
    const { length } = openChannel();
    expect(length({ a: [new SharedArrayBuffer(8)] })).toBe(-1);
    expect(length(new Int32Array(new SharedArrayBuffer(8)))).toBe(-1);
    expect(createPacker(undefined).pack(new Int32Array(new SharedArrayBuffer(8)), 'result')).toBe(-1);
  });

  it('gives nothing of the result the shared buffer', () => {
    const { send, bytes } = openChannel();
    const got = send([
      new Uint8Array(2000).fill(5),
      new Uint8Array(10).fill(6),
      'text that stays as it is',
    ]) as unknown[];
    bytes.fill(0);
    expect(got).toEqual([
      new Uint8Array(2000).fill(5),
      new Uint8Array(10).fill(6),
      'text that stays as it is',
    ]);
  });

  it('refuses bytes that are no message', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const bytes = new Uint8Array(memory.buffer).fill(0xff);
    expect(() => createUnpacker(memory).unpack(bytes, 0, 16)).toThrow(/tag 0xff is unknown/);
  });
});

describe('what goes by port', () => {
  const { port1 } = new MessageChannel();
  afterAll(() => port1.close());
  const hosts: readonly (readonly [string, () => unknown])[] = [
    ['a MessagePort', () => port1],
    ['a Blob', () => new Blob(['x'])],
    ['a WebAssembly.Module', () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))],
    ['a WebAssembly.Memory', () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })],
    ['an AbortSignal', () => new AbortController().signal],
    ['a stream', () => new ReadableStream()],
    ['a resizable ArrayBuffer', () => Reflect.construct(ArrayBuffer, [8, { maxByteLength: 16 }])],
    ['an object of another realm', () => runInContext('({ a: 1 })', createContext({}))],
  ];
  it.each(hosts)('%s', (_, make) => {
    const channel = openChannel();
    expect(channel.send({ deep: [new Map([[1, make()]])] })).toBe('port');
    expect(channel.send({ next: 'value' })).toEqual({ next: 'value' });
  });

  it('a CryptoKey', async () => {
    const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt']);
    expect(openChannel().send([key])).toBe('port');
  });

  it('a KeyObject', () => {
    expect(openChannel().send([createSecretKey(new Uint8Array(16))])).toBe('port');
  });

  it('a URL, which has no copy', () => {
    expect(openChannel().send([new URL('http://localhost/')])).toBe('port');
  });
});

describe('what nothing carries', () => {
  const detached = new ArrayBuffer(8);
  structuredClone(detached, { transfer: [detached] });
  const refused: readonly (readonly [string, unknown, string, string])[] = [
    ['a function', [{ user: { onClick: () => 1 } }], 'args[0].user.onClick', 'a function'],
    ['a class', [1, [class A {}]], 'args[1][0]', 'a function'],
    ['a symbol', [{ 'not an identifier': Symbol('s') }], 'args[0]["not an identifier"]', 'a symbol'],
    ['a boxed symbol', [Object(Symbol('s'))], 'args[0]', 'a Symbol'],
    ['a WeakMap', [new WeakMap()], 'args[0]', 'a WeakMap'],
    ['a WeakSet in a map', [new Map([['k', new WeakSet()]])], 'args[0].get("k")', 'a WeakSet'],
    ['a map key', [new Map([[() => 1, 1]])], 'args[0].keys()[0]', 'a function'],
    ['a member of a set', [new Set([1, () => 1])], 'args[0].keys()[1]', 'a function'],
    ['a Promise', [{ 1: [Promise.resolve()] }], 'args[0]["1"][0]', 'a Promise'],
    ['a generator', [(function* () {})()], 'args[0]', 'an object of an unknown class'],
    // From V8 12.2 on iterators have a class of their own.
    [
      'an iterator',
      [[][Symbol.iterator]()],
      'args[0]',
      `an ${'Iterator' in globalThis ? 'Iterator' : 'Object'}`,
    ],
    ['a detached buffer', [{ detached }], 'args[0].detached', 'a detached ArrayBuffer'],
    [
      'an extra property of an array',
      [Object.assign([1], { extra: () => 1 })],
      'args[0].extra',
      'a function',
    ],
    ['a method of an instance', [Object.assign(new Point(), { run() {} })], 'args[0].run', 'a function'],
    ['a function behind a host object', [new Blob([]), { f: () => 1 }], 'args[1].f', 'a function'],
  ];

  it.each(refused)('%s', (_, args, path, what) => {
    const channel = openChannel();
    let caught: unknown;
    try {
      channel.send(args, 'args');
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(DataCloneFailure);
    expect(caught).toMatchObject({ name: 'DataCloneError', code: 'ERR_INVALID_ARGUMENT', path });
    expect((caught as Error).message).toContain(`${path} to another thread: it is ${what};`);
    expect(() => structuredClone(args)).toThrow();
    expect(channel.send({ next: 'value' })).toEqual({ next: 'value' });
  });
});

describe('code of the user', () => {
  it('runs each getter once', () => {
    const calls: string[] = [];
    const value = {
      get a() {
        calls.push('a');
        return { b: 1 };
      },
      c: Object.defineProperty({}, 'd', { enumerable: true, get: () => calls.push('d') }),
    };
    expect(openChannel().send(value)).toEqual({ a: { b: 1 }, c: { d: 2 } });
    expect(calls).toEqual(['a', 'd']);
  });

  it('passes on what a getter throws', () => {
    const channel = openChannel();
    const failure = new Error('from the getter');
    const value = {
      get a() {
        throw failure;
      },
    };
    expect(() => channel.send([1, value])).toThrow(failure);
    expect(channel.send(['next'])).toEqual(['next']);
  });

  it('may pack something itself while its object is packed', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const bytes = new Uint8Array(memory.buffer);
    const packer = createPacker(memory);
    const unpacker = createUnpacker(memory);
    let inner: unknown;
    const value = {
      before: { x: 1 },
      get nested() {
        const length = packer.pack([{ inner: true }], 'args');
        packer.copyTo(bytes, 4096);
        inner = unpacker.unpack(bytes, 4096, length);
        return 'ok';
      },
      after: { x: 2 },
    };
    const length = packer.pack(value, 'result');
    packer.copyTo(bytes, 0);
    expect(unpacker.unpack(bytes, 0, length)).toEqual({ before: { x: 1 }, nested: 'ok', after: { x: 2 } });
    expect(inner).toEqual([{ inner: true }]);
  });

  it('leaves out what a getter deletes', () => {
    const make = (): object => ({
      get a() {
        delete (this as { b?: number }).b;
        return 1;
      },
      b: 2,
      c: 3,
    });
    deepStrictEqual(openChannel().send(make()), structuredClone(make()));
  });

  it('does not take what a polluted Object.prototype adds', () => {
    (Object.prototype as { polluted?: number }).polluted = 1;
    try {
      expect(Object.keys(openChannel().send({ own: 1 }) as object)).toEqual(['own']);
    } finally {
      delete (Object.prototype as { polluted?: number }).polluted;
    }
  });

  it('reads a Proxy through its traps', () => {
    const proxy = new Proxy(
      { b: 1, a: 2 },
      {
        ownKeys: () => ['b', '1', 'a'],
        getOwnPropertyDescriptor: (target, key) => ({
          value: (target as { [key: PropertyKey]: unknown })[key],
          enumerable: true,
          configurable: true,
          writable: true,
        }),
      },
    );
    expect(openChannel().send(proxy)).toEqual({ b: 1, a: 2, 1: undefined });
  });
});

describe('size', () => {
  it('sends only its own bytes for a part of a pooled Buffer', () => {
    const { length, send } = openChannel();
    const buffer = Buffer.from('pooled');
    expect(buffer.buffer.byteLength).toBeGreaterThan(buffer.length);
    expect(length(buffer)).toBeLessThan(64);
    expect(send([buffer, buffer])).toEqual([new Uint8Array(buffer), new Uint8Array(buffer)]);
  });

  it('names repeated keys once', () => {
    const { length } = openChannel();
    const row = { identifier: 1, description: 2, quantity: 3 };
    const one = length([{ ...row }]);
    const hundred = length(Array.from({ length: 100 }, () => ({ ...row })));
    expect(hundred).toBeLessThan(one + 99 * 6);
  });
});
