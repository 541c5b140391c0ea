/** Not pools: other locks, and what learns the order of locks. The cases of the suite 'locks' make them themselves. */
import { installedVersion } from './version.mjs';

const other = (id, label, library, version, kind = 'lock') => ({
  id,
  label,
  library,
  version,
  kind,
  suite: 'locks',
  async start() {
    throw new Error(`${label} runs no tasks`);
  },
});
const node = process.versions.node;

/** @type {import('./contender.d.ts').Contender[]} */
export const contenders = [
  other('futex', 'mutex on Atomics (JS)', 'node', node),
  other('bare', 'two atomic operations (WebAssembly)', 'node', node, 'floor'),
  other('bare-calls', 'the same in two calls from JavaScript', 'node', node, 'floor'),
  other('no-lock', 'no lock', 'node', node, 'floor'),
  other('async-mutex', 'async-mutex', 'async-mutex', installedVersion('async-mutex') ?? 'not installed'),
  other('web-locks', 'Web Locks', 'node', node),
  other('order-tuned', 'tuned typed arrays (JS)', 'node', node, 'twin'),
  other('order-naive', 'search for each edge (JS)', 'node', node, 'twin'),
];
