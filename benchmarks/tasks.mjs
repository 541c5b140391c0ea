/**
 * The task module that every contender runs. Each task takes exactly one argument, so that no contender
 * has to pack or unpack anything that another one need not.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { tokenizer } from 'acorn';

/** Returns its argument. */
export function echo(value) {
  return value;
}

/** A fixed amount of integer arithmetic: a time would hide that two threads share a core. */
export function burn(iterations) {
  let x = iterations | 0;
  for (let i = 0; i < iterations; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  return x;
}

/** Reads three bytes of an array of any size: the cost that remains is that of handing it over. */
export function touch(bytes) {
  return bytes[0] + bytes[bytes.length >> 1] + bytes[bytes.length - 1];
}

/** Reports in cell 1 that it runs, then blocks its worker until cell 0 is set. */
export function gate(cells) {
  Atomics.add(cells, 1, 1);
  Atomics.wait(cells, 0, 0);
  return 0;
}

/** Blocks its worker for some milliseconds. */
export function pause(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return ms;
}

/** Digest, gzip size and token count of one source file: a job that is nearly all CPU. */
export function fileJob(path) {
  const bytes = readFileSync(path);
  return {
    digest: createHash('sha256').update(bytes).digest('hex'),
    gzip: gzipSync(bytes).length,
    tokens: countTokens(bytes.toString('utf8')),
  };
}

/** The number of tokens up to the first one that the tokenizer refuses (JSX, Flow). */
function countTokens(source) {
  let count = 0;
  try {
    for (const _token of tokenizer(source, {
      ecmaVersion: 'latest',
      sourceType: 'module',
      allowHashBang: true,
    }))
      count++;
  } catch {
    // The count so far is the same in every contender, which is all that the comparison needs.
  }
  return count;
}
