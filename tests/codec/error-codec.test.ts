import { types } from 'node:util';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { appendStack, describeError, type ErrorTypes, reviveError } from '../../ts/codec/error-codec.ts';
import * as errors from '../../ts/errors.ts';
import { openChannel } from './harness.ts';

class DatabaseError extends TypeError {
  readonly code: string;
  readonly detail: { table: string };
  static made = 0;
  constructor(message: string, code: string) {
    super(message);
    this.code = code;
    this.detail = { table: 'users' };
    DatabaseError.made++;
  }
  override get name(): string {
    return 'DatabaseError';
  }
  describe(): string {
    return `${this.name} ${this.code}`;
  }
}
class DerivedError extends DatabaseError {}

const errorTypes: ErrorTypes = new Map([['DatabaseError', DatabaseError]]);
const packed = openChannel();
const packedWithTypes = openChannel({ errorTypes });

/** The three ways an error can go: described, described and cloned by a port, packed. */
const ways: readonly (readonly [string, (thrown: unknown, types?: ErrorTypes) => unknown])[] = [
  ['described', (thrown, types) => reviveError(describeError(thrown), types)],
  ['described and cloned', (thrown, types) => reviveError(structuredClone(describeError(thrown)), types)],
  [
    'described and packed',
    (thrown, types) => reviveError(packed.send(describeError(thrown)) as never, types),
  ],
  ['packed', (thrown, types) => (types === undefined ? packed : packedWithTypes).send(thrown)],
];

describe.each(ways)('an error that is %s', (way, send) => {
  it.each([Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError])(
    'keeps the class %o',
    (Type) => {
      const sent = new Type('message');
      const got = send(sent) as Error;
      expect(Object.getPrototypeOf(got)).toBe(Type.prototype);
      expect(types.isNativeError(got)).toBe(true);
      expect([got.name, got.message, got.stack]).toEqual([sent.name, 'message', sent.stack]);
      expect(Object.keys(got)).toEqual([]);
      expect(Object.getOwnPropertyNames(got).sort()).toEqual(['message', 'stack']);
    },
  );

  it('keeps code, cause and own properties', () => {
    const cause = Object.assign(new RangeError('inner'), {
      code: 'E_INNER',
      list: [1, { a: new Map([[1, 2]]) }],
    });
    const sent = Object.assign(new Error('outer', { cause }), {
      code: 'E_OUTER',
      status: 503,
      when: new Date(5),
    });
    const got = send(sent) as Error & { code: string; status: number; when: Date; cause: typeof cause };
    expect(got).toMatchObject({ message: 'outer', code: 'E_OUTER', status: 503, when: new Date(5) });
    expect(Object.keys(got)).toEqual(['code', 'status', 'when']);
    expect(got.cause).toBeInstanceOf(RangeError);
    expect(got.cause).toMatchObject({
      message: 'inner',
      code: 'E_INNER',
      list: [1, { a: new Map([[1, 2]]) }],
    });
  });

  it.each([['a string'], [undefined], [null], [5], [{ plain: true }]])('keeps the cause %o', (cause) => {
    const got = send(new Error('x', { cause })) as Error;
    expect(Object.hasOwn(got, 'cause')).toBe(true);
    expect(got.cause).toEqual(cause);
  });

  it('keeps cycles of causes', () => {
    const a = new Error('a');
    const b = new TypeError('b', { cause: a });
    a.cause = b;
    const got = send(a) as Error & { cause: Error };
    expect(got.cause).toBeInstanceOf(TypeError);
    expect(got.cause.cause).toBe(got);
    const self = Object.assign(new Error('self'), { holder: {} as { error?: unknown } });
    self.holder.error = self;
    const back = send(self) as typeof self;
    expect(back.holder.error).toBe(back);
  });

  it('keeps an AggregateError and its errors', () => {
    const got = send(
      new AggregateError([new TypeError('one'), 'two', { three: 3 }], 'all'),
    ) as AggregateError;
    expect(got).toBeInstanceOf(AggregateError);
    expect(got.message).toBe('all');
    expect(got.errors[0]).toBeInstanceOf(TypeError);
    expect(got.errors.slice(1)).toEqual(['two', { three: 3 }]);
    expect(Object.keys(got)).toEqual([]);
  });

  it('keeps a DOMException', () => {
    const got = send(new DOMException('gone', 'AbortError')) as DOMException;
    expect(got).toBeInstanceOf(DOMException);
    expect([got.name, got.message, got.code]).toEqual(['AbortError', 'gone', 20]);
  });

  it('keeps the errors of Heddle', () => {
    const cause = new Error('reason');
    const all = [
      new errors.HeddleError('ERR_DEADLOCK', 'm', { resource: 'lock' }),
      new errors.TaskAbortedError('m', { cause }),
      new errors.TaskTimeoutError('m'),
      new errors.WorkerExitedError('m', { exitCode: 3, threadId: 4 }),
      new errors.QueueFullError('m'),
      new errors.PoolClosedError(),
      new errors.MemoryFullError('m'),
      new errors.NotIsolatedError(),
      new errors.PlacementError('m'),
      new errors.PolicyInvalidError('m', [{ path: 'spec.rules', reason: 'must be an array', line: 3 }]),
      new errors.LockOrderError('m', {
        kind: 'cycle',
        severity: 'certain',
        granularity: 'lock',
        steps: [{ held: 'a', taken: 'b', count: 1, isNow: true }],
        rules: [],
      }),
      new errors.DeadlockError('m', []),
      new errors.LockAbandonedError('m'),
      new errors.NotOwnerError('m'),
      new errors.DataCloneFailure('args[0]', 'a function'),
      new errors.InvalidTypeError('m', { resource: 'maxThreads' }),
      new errors.InvalidRangeError('m'),
    ];
    const classes = Object.values(errors).filter(
      (value) => typeof value === 'function' && value.prototype instanceof Error,
    );
    expect(all.map((error) => error.constructor)).toEqual(expect.arrayContaining(classes));
    for (const sent of all) {
      const got = send(sent) as errors.HeddleError;
      expect(Object.getPrototypeOf(got)).toBe(Object.getPrototypeOf(sent));
      expect(errors.isHeddleError(got)).toBe(true);
      expect({ ...got, name: got.name, message: got.message, stack: got.stack }).toEqual({
        ...sent,
        name: sent.name,
        message: sent.message,
        stack: sent.stack,
      });
    }
    expect((send(all[1]) as Error).cause).toMatchObject({ message: 'reason' });
    const custom = send(new (class MyAbort extends errors.TaskAbortedError {})('m'));
    expect(custom).toBeInstanceOf(errors.TaskAbortedError);
  });

  it('gives a listed class its prototype without calling its constructor', () => {
    const sent = new DerivedError('no row', 'E_ROW');
    const made = DatabaseError.made;
    const got = send(sent, errorTypes) as DatabaseError;
    expect(DatabaseError.made).toBe(made);
    expect(got).toBeInstanceOf(DatabaseError);
    expect(got.describe()).toBe('DatabaseError E_ROW');
    expect(got.detail).toEqual({ table: 'users' });
    expect(types.isNativeError(got)).toBe(true);
  });

  it('gives another class the nearest built-in one, and its name', () => {
    const got = send(new DatabaseError('no row', 'E_ROW')) as DatabaseError;
    expect(Object.getPrototypeOf(got)).toBe(TypeError.prototype);
    expect([got.name, got.code, got.detail]).toEqual(['DatabaseError', 'E_ROW', { table: 'users' }]);
  });

  it('keeps a code that an accessor of the class gives', () => {
    class Coded extends Error {
      get code(): string {
        return 'E_ACCESSOR';
      }
    }
    expect(send(new Coded('x'))).toMatchObject({ code: 'E_ACCESSOR' });
    expect(send(new Coded('x'), new Map([['Coded', Coded]]))).toMatchObject({ code: 'E_ACCESSOR' });
  });

  it('replaces what cannot cross by a note', () => {
    const sent = Object.assign(new Error('x', { cause: () => 1 }), {
      retry() {},
      key: Symbol('s'),
      nested: { list: [new WeakMap(), { f: () => 1 }], ok: 1 },
      shared: new Int32Array(new SharedArrayBuffer(4)),
      blob: new Blob(['x']),
    });
    Object.defineProperty(sent, 'bad', {
      enumerable: true,
      get() {
        throw new Error('getter');
      },
    });
    const got = send(sent) as unknown as { [key: string]: unknown };
    expect(got).toMatchObject({
      cause: '[function cause]',
      retry: '[function retry]',
      key: '[Symbol(s)]',
      nested: { list: ['[object WeakMap]', { f: '[function f]' }], ok: 1 },
      shared: '[shared memory]',
      blob: '[object Blob]',
      bad: '[its getter threw]',
    });
  });

  it('keeps long arrays whole, and says where it cut one', () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}`);
    const endless: unknown[] = [];
    endless.length = 2 ** 32 - 1;
    const got = send(Object.assign(new Error('x'), { lines, endless })) as unknown as {
      [key: string]: unknown[];
    };
    expect(got.lines).toEqual(lines);
    expect(got.endless!.at(-1)).toBe('[4293967295 more elements]');
    const objects = lines.map((line) => ({ line }));
    const cut = send(Object.assign(new Error('x'), { objects })) as unknown as { objects: unknown[] };
    expect(cut.objects).toHaveLength(20_000);
    expect(cut.objects[9000]).toEqual({ line: 'line 9000' });
    expect(cut.objects.at(-1)).toBe('[too many objects]');
  });

  it('tells its classes again when it goes on from where nobody knew them', () => {
    class Far extends RangeError {}
    class Farther extends Far {}
    const there = send(new Farther('x'));
    expect(there).toBeInstanceOf(RangeError);
    expect(there).not.toBeInstanceOf(Far);
    const goesOn = (error: unknown, Type: typeof Far): unknown =>
      reviveError(describeError(error), new Map([[Type.name, Type]]));
    expect(goesOn(there, Farther)).toBeInstanceOf(Farther);
    expect(goesOn(goesOn(there, Far), Farther)).toBeInstanceOf(Farther);
  });

  it('survives whatever an error does', () => {
    const throwing = new Error('x');
    for (const key of ['stack', 'name', 'message', 'cause', 'code', 'errors', 'extra']) {
      Object.defineProperty(throwing, key, {
        enumerable: true,
        configurable: true,
        get() {
          throw new Error(`getter of ${key}`);
        },
      });
    }
    const trap = (): never => {
      throw new Error('trap');
    };
    const traps = { get: trap, has: trap, ownKeys: trap, getOwnPropertyDescriptor: trap };
    expect(send(throwing)).toBeInstanceOf(Error);
    expect(send(Object.freeze(new TypeError('frozen')))).toMatchObject({
      name: 'TypeError',
      message: 'frozen',
    });
    expect(send(new Proxy(new RangeError('proxied'), {}))).toMatchObject({
      name: 'RangeError',
      message: 'proxied',
    });
    expect(send(new Proxy(new Error('x'), traps))).toBeInstanceOf(Error);
    expect(send(Object.assign(new Error(), { message: { not: 'a string' } }))).toBeInstanceOf(Error);
    expect(send(Object.assign(new Error('x'), { stack: ['not', 'a', 'string'] }))).toMatchObject({
      message: 'x',
    });
    expect(send(Object.assign(new Error('x'), JSON.parse('{"__proto__":1}')))).toBeInstanceOf(Error);
  });

  it('keeps an error of another realm', () => {
    const got = send(runInContext('new RangeError("elsewhere")', createContext({})));
    if (way !== 'packed') expect(got).toMatchObject({ name: 'RangeError', message: 'elsewhere' });
    expect(got === 'port' || got instanceof RangeError).toBe(true);
  });

  it('keeps a long chain of causes without failing', () => {
    let error = new Error('0');
    for (let i = 1; i < 5000; i++) error = new Error(String(i), { cause: error });
    expect(send(error)).toMatchObject({ message: '4999', cause: { message: '4998' } });
  });
});

describe('what is thrown and is no error', () => {
  it.each([
    ['a string'],
    [undefined],
    [null],
    [0],
    [Number.NaN],
    [{ code: 1, nested: [new Error('in it')] }],
    [[1]],
  ])('%o crosses as it is', (thrown) => {
    expect(reviveError(structuredClone(describeError(thrown)))).toEqual(thrown);
  });

  it('becomes a note where it cannot cross', () => {
    expect(reviveError(structuredClone(describeError(() => 1)))).toBe('[function ]');
    expect(reviveError(structuredClone(describeError(Symbol('s'))))).toBe('[Symbol(s)]');
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(reviveError(structuredClone(describeError(proxy)))).toBe('[unreadable]');
  });
});

it('keeps the identity of errors within one packed message', () => {
  const cause = new Error('cause');
  const outer = new Error('outer', { cause });
  const got = packed.send({ outer, cause, again: outer }) as { outer: Error; cause: Error; again: Error };
  expect(got.outer.cause).toBe(got.cause);
  expect(got.again).toBe(got.outer);
});

describe('appendStack', () => {
  it('joins two stacks', () => {
    const error = new Error('x');
    const worker = error.stack;
    appendStack(error, 'submitted here', 'Error: place\n    at submitter (file.js:1:2)');
    expect(error.stack).toBe(`${worker}\n    --- submitted here ---\n    at submitter (file.js:1:2)`);
    expect(Object.keys(error)).toEqual([]);
  });

  it('leaves alone what it cannot change', () => {
    const frozen = Object.freeze(new Error('x'));
    const before = frozen.stack;
    appendStack(frozen, 'label', 'Error\n    at x');
    expect(frozen.stack).toBe(before);
    appendStack('a string', 'label', 'Error\n    at x');
    appendStack(undefined, 'label', '');
  });
});
