import { type Failure, toFailure } from './failure.ts';
import { compact, oneLine } from './format.ts';

/** The outcome of one input. */
export interface Outcome {
  readonly input: string;
  /** How long the task ran, in milliseconds; undefined when it never ended. */
  readonly ms: number | undefined;
  readonly value?: unknown;
  readonly failure?: Failure;
}

/** `input<TAB>value`; nothing for a failure, which is listed elsewhere. */
export function plainLine({ input, value, failure }: Outcome): string {
  return failure === undefined ? `${oneLine(input)}\t${compact(value)}\n` : '';
}

/**
 * One object on one line: {input, ok, value | error, ms}.
 *
 * @throws {TypeError} for a value that refers to itself, which JSON cannot hold.
 */
export function jsonLine(outcome: Outcome): string {
  const { input, value, failure, ms } = outcome;
  const time = ms === undefined ? {} : { ms: Math.round(ms * 1000) / 1000 };
  const record =
    failure === undefined
      ? { input, ok: true, value: value === undefined ? null : value, ...time }
      : { input, ok: false, error: failure, ...time };
  return `${JSON.stringify(record, plain)}\n`;
}

/** What structured clone carries and JSON has no form for: its nearest form. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Map || value instanceof Set) return [...value];
  if (value instanceof Error) return toFailure(value);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return [...new Uint8Array(value)];
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return [...(value as Uint8Array)];
  return value;
}
