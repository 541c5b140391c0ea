import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * A path in the folder of recordings and tools that may stand beside the project: `HEDDLE_SHARED`, else `../shared`. Undefined, with a line that says
 * so, when it is not there. A test that is skipped for it says `(needs ...)` in its name.
 */
export function sharedPath(path: string): string | undefined {
  const full = join(process.env.HEDDLE_SHARED ?? join(ROOT, '..', 'shared'), path);
  if (existsSync(full)) return full;
  console.warn(`Tests are skipped: they need ${full}; HEDDLE_SHARED says where the folder is`);
  return undefined;
}
