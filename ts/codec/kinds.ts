/**
 * What an object is, as structured clone sees it. The answer for a class is worked out once and kept with its prototype.
 *
 * @module
 */

import { isMarkerPrototype, isMoved } from './move.ts';

/** What an object is. */
export const Kind = {
  /** Plain objects, and instances of classes, which cross as plain objects. */
  RECORD: 0,
  ERROR: 1,
  DATE: 2,
  REGEXP: 3,
  MAP: 4,
  SET: 5,
  BOXED: 6,
  ARRAY_BUFFER: 7,
  SHARED_ARRAY_BUFFER: 8,
  /** Belongs to the platform; only it knows whether and how it crosses. */
  HOST: 9,
  /** Never crosses. */
  REFUSED: 10,
} as const;
/** One of {@link Kind}. */
export type Kind = (typeof Kind)[keyof typeof Kind];

const known = new Map<unknown, Kind>([
  [Error.prototype, Kind.ERROR],
  [Date.prototype, Kind.DATE],
  [RegExp.prototype, Kind.REGEXP],
  [Map.prototype, Kind.MAP],
  [Set.prototype, Kind.SET],
  [Number.prototype, Kind.BOXED],
  [String.prototype, Kind.BOXED],
  [Boolean.prototype, Kind.BOXED],
  [BigInt.prototype, Kind.BOXED],
  [ArrayBuffer.prototype, Kind.ARRAY_BUFFER],
  [Symbol.prototype, Kind.REFUSED],
  [Promise.prototype, Kind.REFUSED],
  [WeakMap.prototype, Kind.REFUSED],
  [WeakSet.prototype, Kind.REFUSED],
  [WeakRef.prototype, Kind.REFUSED],
  [FinalizationRegistry.prototype, Kind.REFUSED],
]);
// A page that is not cross-origin isolated has no SharedArrayBuffer.
if (typeof SharedArrayBuffer !== 'undefined')
  known.set(SharedArrayBuffer.prototype, Kind.SHARED_ARRAY_BUFFER);

const byPrototype = new WeakMap<object, Kind>();
const NATIVE_SOURCE = /\{\s*\[native code\]\s*\}\s*$/;
// Node marks its own transferable and cloneable classes, which are written in JavaScript, with symbols of these names.
const NODE_MARK = /^Symbol\(messaging_/;
const ENGINE_TAG = /(Iterator|Generator)$/;

function ownValue(prototype: object, key: PropertyKey): unknown {
  return Object.getOwnPropertyDescriptor(prototype, key)?.value;
}

function classify(prototype: object): Kind {
  const chain: object[] = [];
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at) as object | null)
    chain.push(at);
  const kind = known.get(chain.find((at) => at !== Object.prototype && known.has(at)));
  if (kind !== undefined) return kind;
  for (const at of chain) {
    if (at === Object.prototype) break;
    if (isMarkerPrototype(at)) return Kind.REFUSED;
    const tag = Object.getOwnPropertyDescriptor(at, Symbol.toStringTag);
    if (typeof tag?.value === 'string') {
      if (ENGINE_TAG.test(tag.value)) return Kind.REFUSED;
      // What Web IDL says of an interface's tag. Some of Node's classes (CryptoKey from Node 24 on) bear no other mark.
      if (!tag.writable && !tag.enumerable && tag.configurable) return Kind.HOST;
    }
    const maker = ownValue(at, 'constructor');
    if (typeof maker === 'function' && NATIVE_SOURCE.test(Function.prototype.toString.call(maker)))
      return Kind.HOST;
    if (Object.getOwnPropertySymbols(at).some((symbol) => NODE_MARK.test(String(symbol)))) return Kind.HOST;
  }
  return Kind.RECORD;
}

/**
 * What the objects of a prototype are, by their class; an object that only pretends is found out when it is read.
 *
 * @param prototype - of an object that is neither an array nor a view
 */
export function kindOf(prototype: object): Kind {
  let kind = byPrototype.get(prototype);
  if (kind === undefined) {
    kind = classify(prototype);
    byPrototype.set(prototype, kind);
  }
  return kind;
}

type Getter<T> = (this: unknown) => T;

function getterOf<T>(prototype: object, key: PropertyKey): Getter<T> {
  return Object.getOwnPropertyDescriptor(prototype, key)?.get as Getter<T>;
}

// The intrinsic accessors answer for true instances only, and a subclass or an own property cannot mislead them.
const TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
const typedArrayTag = getterOf<string | undefined>(TypedArrayPrototype, Symbol.toStringTag);
const bufferByteLength = getterOf<number>(ArrayBuffer.prototype, 'byteLength');
const sharedByteLength =
  typeof SharedArrayBuffer === 'undefined'
    ? undefined
    : getterOf<number>(SharedArrayBuffer.prototype, 'byteLength');
const bufferResizable = getterOf<boolean>(ArrayBuffer.prototype, 'resizable') as Getter<boolean> | undefined;
const mapSize = getterOf<number>(Map.prototype, 'size');
const setSize = getterOf<number>(Set.prototype, 'size');

/** The name of a view's class, from inside the engine: `Uint8Array` for a subclass of it also, `DataView`. */
export function viewName(view: ArrayBufferView): string {
  return typedArrayTag.call(view) ?? 'DataView';
}

/** Whether the buffer can change its size. */
export function isResizable(buffer: ArrayBuffer): boolean {
  return bufferResizable?.call(buffer) === true;
}

/** Whether the buffer was transferred away. */
export function isDetached(buffer: ArrayBuffer): boolean {
  if (bufferByteLength.call(buffer) !== 0) return false;
  const { detached } = buffer as { detached?: boolean };
  if (detached !== undefined) return detached;
  try {
    // Without the accessor only the constructor of a view tells an empty buffer from a detached one.
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/** Whether an object of the kind by its class is a true one, with the engine's data inside. */
export function isTrue(value: object, kind: Kind): boolean {
  try {
    switch (kind) {
      case Kind.DATE:
        Date.prototype.getTime.call(value);
        return true;
      case Kind.REGEXP:
        // lastIndex is an own data property of true ones, and cannot be deleted.
        return (
          value !== RegExp.prototype &&
          Object.getOwnPropertyDescriptor(value, 'lastIndex')?.configurable === false
        );
      case Kind.MAP:
        mapSize.call(value);
        return true;
      case Kind.SET:
        setSize.call(value);
        return true;
      case Kind.ARRAY_BUFFER:
        bufferByteLength.call(value);
        return true;
      case Kind.SHARED_ARRAY_BUFFER:
        sharedByteLength!.call(value);
        return true;
      default:
        return true;
    }
  } catch {
    return false;
  }
}

type Primitive = number | string | boolean | bigint;
type Method = (this: unknown) => Primitive;
const boxValues: readonly Method[] = [Number, String, Boolean, BigInt].map(
  (type) => type.prototype.valueOf as Method,
);

/** The primitive inside a boxed one; undefined where the object only pretends. */
export function unbox(value: object): Primitive | undefined {
  for (const reveal of boxValues) {
    try {
      return reveal.call(value);
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

/** What to call an object in a message: its class, as far as it tells. */
export function describeObject(value: object): string {
  try {
    if (isMoved(value))
      return 'wrapped in move(), which counts for an argument itself and for the whole result';
    const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
    if (typeof name !== 'string' || name === '') return 'an object of an unknown class';
    return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
  } catch {
    return 'an object of an unknown class';
  }
}
