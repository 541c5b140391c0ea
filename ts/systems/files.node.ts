import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SystemFiles } from './reading.ts';

/** What the system says when there is no such file, as opposed to one that cannot be read. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENXIO', 'ENODEV', 'ESRCH']);

function absentOrThrow<T>(read: () => T, absent: T): T {
  try {
    return read();
  } catch (error) {
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return absent;
    throw error;
  }
}

/** Files below a root: `/`, or the root of a recorded machine. System files are small and never slow, so reading blocks. */
export function filesBelow(root: string): SystemFiles {
  return {
    read: (path) => absentOrThrow(() => readFileSync(join(root, path), 'utf8'), undefined),
    list: (path) => absentOrThrow(() => readdirSync(join(root, path)), []),
  };
}
