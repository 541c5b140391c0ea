const SUFFIXES: Readonly<Record<string, bigint>> = {
  '': 1n,
  k: 10n ** 3n,
  M: 10n ** 6n,
  G: 10n ** 9n,
  T: 10n ** 12n,
  P: 10n ** 15n,
  E: 10n ** 18n,
  Ki: 2n ** 10n,
  Mi: 2n ** 20n,
  Gi: 2n ** 30n,
  Ti: 2n ** 40n,
  Pi: 2n ** 50n,
  Ei: 2n ** 60n,
};
/** Below one: thousandths and less. */
const FRACTIONS: Readonly<Record<string, number>> = { m: 3, u: 6, n: 9 };
/** Quantities are counted in billionths, Kubernetes' finest unit; what is finer is rounded up. */
const NANO_DIGITS = 9;
const EXPONENT_MOST = 40;

/**
 * Billionths of a Kubernetes quantity such as `250m`, `1.5`, `128Mi`, `1e6`; undefined for anything else. The format is that of
 * k8s.io/apimachinery/pkg/api/resource.
 */
export function parseQuantity(value: string | number): bigint | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+)|([KMGTPE]i|[kMGTPEmun]))?$/.exec(
    String(value).trim(),
  );
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', exponent, suffix = ''] = match;
  if (whole === '' && fraction === '') return undefined;
  const power = (exponent === undefined ? 0 : Number(exponent)) - (FRACTIONS[suffix] ?? 0) + NANO_DIGITS;
  if (Math.abs(power) > EXPONENT_MOST) return undefined;
  // digits * 10^(power - fraction digits) * suffix, in billionths
  const digits = BigInt(whole + fraction) * (SUFFIXES[suffix] ?? 1n);
  const shift = power - fraction.length;
  const scale = 10n ** BigInt(Math.abs(shift));
  const nanos = shift >= 0 ? digits * scale : (digits + scale - 1n) / scale;
  return sign === '-' ? -nanos : nanos;
}
