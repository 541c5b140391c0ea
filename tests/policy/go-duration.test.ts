import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationMs, formatGoDuration, parseGoDuration } from '../../ts/policy/go-duration.ts';
import { lockPolicySchema } from '../../ts/policy/schema.ts';

const ns = (text: string): bigint | string => {
  const parsed = parseGoDuration(text);
  return 'ns' in parsed ? parsed.ns : parsed.reason;
};
const pattern = new RegExp(lockPolicySchema.properties.maxHoldTime.pattern, 'u');

describe('durations as Go writes them', () => {
  // What Go's own tests of ParseDuration say (package time), and the values that it prints.
  it.each<[string, bigint]>([
    ['0', 0n],
    ['5s', 5_000_000_000n],
    ['30s', 30_000_000_000n],
    ['1478s', 1_478_000_000_000n],
    ['-5s', -5_000_000_000n],
    ['+5s', 5_000_000_000n],
    ['-0', 0n],
    ['+0', 0n],
    ['5.0s', 5_000_000_000n],
    ['5.6s', 5_600_000_000n],
    ['5.s', 5_000_000_000n],
    ['.5s', 500_000_000n],
    ['1.0040s', 1_004_000_000n],
    ['100.00100s', 100_001_000_000n],
    ['10ns', 10n],
    ['11us', 11_000n],
    ['12\u00b5s', 12_000n],
    ['12\u03bcs', 12_000n],
    ['13ms', 13_000_000n],
    ['15m', 900_000_000_000n],
    ['16h', 57_600_000_000_000n],
    ['3h30m', 12_600_000_000_000n],
    ['10.5s4m', 250_500_000_000n],
    ['-2m3.4s', -123_400_000_000n],
    ['1h2m3s4ms5us6ns', 3_723_004_005_006n],
    ['39h9m14.425s', 140_954_425_000_000n],
    ['52763797000ns', 52_763_797_000n],
    ['0.3333333333333333333h', 1_200_000_000_000n - 1n],
    ['9223372036854775807ns', 2n ** 63n - 1n],
    ['0.100000000000000000000h', 360_000_000_000n],
  ])('%s', (text, value) => {
    expect(ns(text)).toBe(value);
    expect(pattern.test(text)).toBe(!text.startsWith('-'));
  });

  it.each<[string, RegExp]>([
    ['', /empty/],
    ['3', /needs a unit after 3/],
    ['-', /empty/],
    ['s', /does not begin with a number/],
    ['.', /does not begin with a number/],
    ['.s', /does not begin with a number/],
    ['3000000h', /longer than Go can count/],
    ['9223372036854775808ns', /longer than Go can count/],
    ['5x', /unknown unit "x"/],
    ['1h2', /needs a unit after 2/],
    ['1 s', /unknown unit " s"/],
    ['1d', /unknown unit "d"/],
    ['1e3s', /unknown unit "e"/],
    ['1h-5m', /unknown unit|does not begin/],
  ])('%j is none', (text, reason) => {
    expect(ns(text)).toMatch(reason);
    if (!/longer/.test(reason.source)) expect(pattern.test(text)).toBe(false);
  });

  it('come back from what is printed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 999 }), (ms, us) => {
        const duration = ms + us / 1000;
        expect(durationMs(formatGoDuration(duration))).toBeCloseTo(duration, 5);
        expect(pattern.test(formatGoDuration(duration))).toBe(true);
      }),
    );
    expect(formatGoDuration(3_723_500)).toBe('1h2m3.5s');
    expect(formatGoDuration(0.25)).toBe('250\u00b5s');
  });
});
