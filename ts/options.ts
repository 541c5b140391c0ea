import { InvalidRangeError, InvalidTypeError } from './errors.ts';

/** Checks one option; throws when the value is wrong. `what` names it in the message. */
type Check = (value: unknown, what: string) => void;

/** The checks of an options object, by key. */
export type Checks<T> = { readonly [K in keyof Required<T>]: Check };

/**
 * Checks an options object: an unknown key, a wrong type and a value out of range are errors; `undefined` means "not given".
 *
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong type or an unknown key.
 * @throws {InvalidRangeError} ERR_INVALID_ARGUMENT for a value out of range.
 */
export function checkOptions<T extends object>(options: T, checks: Checks<T>, of: string): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidTypeError(`${of} takes an options object, not ${describe(options)}`);
  }
  for (const key of Object.keys(options)) {
    const check = (checks as Record<string, Check>)[key];
    if (check === undefined) {
      throw new InvalidTypeError(
        `${of} knows no option '${key}'; it takes ${Object.keys(checks).sort().join(', ')}`,
        { resource: key },
      );
    }
    const value = (options as Record<string, unknown>)[key];
    if (value !== undefined) check(value, `${of}: option '${key}'`);
  }
}

/** The value as an error message shows it: short, and never a failure. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}

function typeError(what: string, wanted: string, value: unknown): InvalidTypeError {
  return new InvalidTypeError(`${what} must be ${wanted}, not ${describe(value)}`);
}

/** An integer between two bounds, both included. */
export function integer(min: number, max: number): Check {
  return (value, what) => {
    if (typeof value !== 'number') throw typeError(what, 'a number', value);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidRangeError(`${what} must be an integer from ${min} to ${max}, not ${value}`);
    }
  };
}

/** A number between two bounds, both included; Infinity where `max` is. */
export function number(min: number, max: number): Check {
  return (value, what) => {
    if (typeof value !== 'number') throw typeError(what, 'a number', value);
    if (!(value >= min && value <= max)) {
      throw new InvalidRangeError(`${what} must be a number from ${min} to ${max}, not ${value}`);
    }
  };
}

/** An integer or Infinity. */
export function integerOrInfinity(min: number): Check {
  return (value, what) => {
    if (value === Number.POSITIVE_INFINITY) return;
    integer(min, Number.MAX_SAFE_INTEGER)(value, what);
  };
}

export const positive: Check = (value, what) => {
  if (typeof value !== 'number') throw typeError(what, 'a number', value);
  if (!(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new InvalidRangeError(`${what} must be a finite number above 0, not ${value}`);
};

export const boolean: Check = (value, what) => {
  if (typeof value !== 'boolean') throw typeError(what, 'a boolean', value);
};

export const string: Check = (value, what) => {
  if (typeof value !== 'string') throw typeError(what, 'a string', value);
};

export const func: Check = (value, what) => {
  if (typeof value !== 'function') throw typeError(what, 'a function', value);
};

export const object: Check = (value, what) => {
  if (typeof value !== 'object' || value === null) throw typeError(what, 'an object', value);
};

export const array: Check = (value, what) => {
  if (!Array.isArray(value)) throw typeError(what, 'an array', value);
};

export const strings: Check = (value, what) => {
  array(value, what);
  for (const text of value as unknown[]) string(text, `${what}: each entry`);
};

export const anything: Check = () => undefined;

/** One of a few strings. */
export function oneOf(...values: readonly string[]): Check {
  return (value, what) => {
    if (typeof value !== 'string') throw typeError(what, `one of ${values.join(', ')}`, value);
    if (!values.includes(value)) {
      throw new InvalidRangeError(`${what} must be one of ${values.join(', ')}, not ${describe(value)}`);
    }
  };
}

/** An AbortSignal of any realm. */
export const abortSignal: Check = (value, what) => {
  const signal = value as Partial<AbortSignal> | null;
  if (
    typeof signal !== 'object' ||
    signal === null ||
    typeof signal.addEventListener !== 'function' ||
    typeof signal.aborted !== 'boolean'
  ) {
    throw typeError(what, 'an AbortSignal', value);
  }
};
