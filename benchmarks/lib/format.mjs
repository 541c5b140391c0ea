/** Three significant digits, with thousands separated and no exponent. */
export function significant(value) {
  if (value === 0) return '0';
  const size = Math.floor(Math.log10(Math.abs(value)));
  const digits = Math.max(0, 2 - size);
  const rounded = size > 2 ? Math.round(value / 10 ** (size - 2)) * 10 ** (size - 2) : value;
  return rounded.toLocaleString('en', { maximumFractionDigits: digits });
}
