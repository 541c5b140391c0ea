const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  '\u00b5s': 1_000n,
  '\u03bcs': 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const MOST_NS = 2n ** 63n - 1n;
const PART = /([0-9]*)(?:\.([0-9]*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/gy;

/** A duration that was read, or why it is none. */
export type ParsedDuration = { readonly ns: bigint } | { readonly reason: string };

/**
 * Reads a duration as Go's `time.ParseDuration` does: decimal numbers, each with a unit, such as `"1h2m3.5s"`; `"0"` needs none. Fractions of a nanosecond
 * are cut off. (Go, package time, function ParseDuration.)
 */
export function parseGoDuration(text: string): ParsedDuration {
  const isNegative = text.startsWith('-');
  const body = /^[-+]/.test(text) ? text.slice(1) : text;
  if (body === '0') return { ns: 0n };
  if (body === '') return { reason: 'is empty; write a number and a unit, such as "150ms"' };
  let ns = 0n;
  let end = 0;
  for (const [part, whole = '', fraction = '', unit = ''] of body.matchAll(PART)) {
    if (whole === '' && fraction === '') break;
    const factor = UNITS[unit]!;
    ns += BigInt(whole || '0') * factor + (BigInt(fraction || '0') * factor) / 10n ** BigInt(fraction.length);
    end += part.length;
  }
  if (end < body.length) return { reason: whyNot(body.slice(end)) };
  if (ns > MOST_NS) return { reason: 'is longer than Go can count: at most 2562047h47m16.854775807s' };
  return { ns: isNegative ? -ns : ns };
}

function whyNot(rest: string): string {
  const [, number = '', unit = ''] = /^([0-9]*\.?[0-9]*)([^0-9.]*)/.exec(rest) ?? [];
  const units = 'ns, us, ms, s, m or h';
  if (!/[0-9]/.test(number))
    return `is no duration: "${rest}" does not begin with a number; write "150ms" or "1m30s"`;
  if (unit === '') return `needs a unit after ${number}: ${units}`;
  return `has the unknown unit "${unit}"; there are ${units}`;
}

/** Milliseconds of a duration that parses. */
export function durationMs(text: string): number {
  const parsed = parseGoDuration(text);
  return 'ns' in parsed ? Number(parsed.ns) / 1e6 : Number.NaN;
}

/** Milliseconds as Go writes them: 3723500 -> "1h2m3.5s", 0.25 -> "250µs". */
export function formatGoDuration(ms: number): string {
  if (ms === 0) return '0s';
  const trim = (value: number): string => String(Number(value.toFixed(9)));
  if (ms < 1e-3) return `${trim(ms * 1e6)}ns`;
  if (ms < 1) return `${trim(ms * 1e3)}\u00b5s`;
  if (ms < 1000) return `${trim(ms)}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = trim((ms % 60_000) / 1000);
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
}
