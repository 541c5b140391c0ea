// What the main job does with one source file: digest, gzip size, number of tokens.
// usage: heddle map examples/main-job/tasks.mjs#measure 'node_modules/**/*.js'

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { countTokens } from './tokens.mjs';

/**
 * @param {string} path - a source file: JavaScript or TypeScript
 * @returns {{ bytes: number, sha256: string, gzipBytes: number, tokens: number }}
 */
export function measure(path) {
  const source = readFileSync(path);
  return {
    bytes: source.length,
    sha256: createHash('sha256').update(source).digest('hex'),
    gzipBytes: gzipSync(source).length,
    tokens: countTokens(source.toString('utf8'), /\.[cm]?ts$/.test(path)),
  };
}
