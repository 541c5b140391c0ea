/** A name for a picture: control characters, which no format of these takes, are replaced. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\0-\x08\x0b-\x1f\x7f\ufffe\uffff]/g, '\ufffd');
}
