import type { WriteStream } from 'node:tty';

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

export type Colour = keyof typeof CODES;

/** Puts colour on text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

const plain: Paint = (_, text) => text;
const painted: Paint = (colour, text) => {
  const [on, off] = CODES[colour];
  return `\u001b[${on}m${text}\u001b[${off}m`;
};

/** Colours where the stream is a terminal that has them: https://no-color.org and https://force-color.org are kept to. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  const isForced = process.env.FORCE_COLOR !== undefined && process.env.FORCE_COLOR !== '0';
  if (isForced) return painted;
  return stream.isTTY && (stream as WriteStream).hasColors() ? painted : plain;
}
