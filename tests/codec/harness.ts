import { createPacker, createUnpacker, type UnpackerOptions } from '../../ts/codec/pack.ts';

/** Two threads' worth of codec over one memory, which holds garbage where nothing was written. */
export interface Channel {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  /** Packs, copies into shared memory and unpacks; `undefined` inside an array of one is a value, `'port'` is none. */
  send(value: unknown, root?: string): unknown;
  length(value: unknown): number;
}

/** The place of every message: a multiple of 8 that is not the start of the memory. */
const OFFSET = 1032;

export function openChannel(options: UnpackerOptions = {}): Channel {
  const memory = new WebAssembly.Memory({ initial: 128, maximum: 128, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const packer = createPacker(memory);
  const unpacker = createUnpacker(memory, options);
  return {
    memory,
    bytes,
    send(value, root = 'result') {
      const length = packer.pack(value, root);
      if (length < 0) return 'port';
      bytes.fill(0xd0, OFFSET - 8, OFFSET + length + 64);
      packer.copyTo(bytes, OFFSET);
      const before = bytes[OFFSET - 1];
      const after = bytes[OFFSET + length];
      if (before !== 0xd0 || after !== 0xd0) throw new Error('The packer wrote outside its range');
      const result = unpacker.unpack(bytes, OFFSET, length);
      bytes.fill(0x41, OFFSET, OFFSET + length);
      return result;
    },
    length: (value) => packer.pack(value, 'result'),
  };
}

/**
 * Which object is which: every object is numbered when a walk first meets it, so two graphs of the same form and identity
 * give the same list.
 */
export function identities(root: unknown): string[] {
  const numbers = new Map<unknown, number>();
  const out: string[] = [];
  const open: [string, unknown][] = [['', root]];
  while (open.length > 0) {
    const [label, value] = open.pop() as [string, unknown];
    if (typeof value !== 'object' || value === null) {
      out.push(`${label}=${typeof value}`);
      continue;
    }
    const known = numbers.get(value);
    out.push(`${label}#${known ?? numbers.size}:${Object.prototype.toString.call(value)}`);
    if (known !== undefined) continue;
    numbers.set(value, numbers.size);
    if (value instanceof Map) {
      for (const [key, entry] of value) open.push(['key', key], ['value', entry]);
    } else if (value instanceof Set) {
      for (const member of value) open.push(['member', member]);
    } else if (ArrayBuffer.isView(value)) {
      open.push(['buffer', value.buffer]);
    } else if (!(value instanceof ArrayBuffer)) {
      for (const key of Object.keys(value)) open.push([key, (value as { [key: string]: unknown })[key]]);
    }
  }
  return out;
}
