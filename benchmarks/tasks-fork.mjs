/** Tasks that only heddle can run. */
import { fork, join } from 'heddle/task';

/** Plain recursion: the yardstick, run in the same worker. */
export function fibPlain(n) {
  return n < 2 ? n : fibPlain(n - 2) + fibPlain(n - 1);
}

/** The same tree with every left branch a task of its own. */
export function fibFork(n) {
  if (n < 2) return n;
  const left = fork(fibFork, n - 1);
  return fibFork(n - 2) + join(left);
}

/** Times one of them where it runs, so that neither is charged for the way there. */
export function timed({ name, n }) {
  const begin = performance.now();
  const value = name === 'fibFork' ? fibFork(n) : fibPlain(n);
  return { value, ms: performance.now() - begin };
}
