import { inspect } from 'node:util';

const number = new Intl.NumberFormat('en-US');
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** 1234567 -> '1,234,567'. */
export function count(n: number): string {
  return number.format(n);
}

/** Three digits at most after the unit is chosen: 123456789 -> '123 MB', 1234 -> '1.23 kB', 12 -> '12 B'; of a rate 12.34 -> '12.3 B'. */
export function bytes(n: number): string {
  let unit = 0;
  let value = n;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number.isInteger(value) && unit === 0 ? value : significant(value)} ${UNITS[unit]}`;
}

/** 0.0123 -> '12.3 ms', 9.87 -> '9.87 s', 83 -> '1 min 23 s'. */
export function duration(ms: number): string {
  if (ms < 999.5) return ms === 0 ? '0 s' : `${significant(ms)} ms`;
  if (ms < 60_000) return `${ms % 1000 === 0 ? ms / 1000 : significant(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** '412', '41.2', '4.12': as many as tell something. */
export function significant(value: number): string {
  if (value >= 99.95) return count(Math.round(value));
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

/** 0.1234 -> '12 %'. */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** A value on one line. */
export function compact(value: unknown): string {
  if (typeof value === 'string') return oneLine(value);
  const text = inspect(value, {
    breakLength: Number.POSITIVE_INFINITY,
    compact: true,
    depth: 8,
    maxArrayLength: null,
    maxStringLength: null,
  });
  return /[\n\r]/.test(text) ? text.replace(/\s*[\n\r]+\s*/g, ' ') : text;
}

/** Text as it is where that is one field of one line, and quoted where it is not. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return /[\u0000-\u001f\u007f]/.test(text) ? JSON.stringify(text) : text;
}

/** Names come from programs and files: control characters in them must not reach the terminal. Each is one character still. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '?');
}
