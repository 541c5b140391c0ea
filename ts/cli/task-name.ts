import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { UsageError } from './usage-error.ts';

/** A function of a module. */
export interface TaskRef {
  /** `file:` URL of the module. */
  readonly url: string;
  /** Path of the module, as given. */
  readonly module: string;
  /** Name of the export; empty when none was given, which no module exports. */
  readonly name: string;
}

/**
 * Reads `<module>#<export>`, where the module is a path from the working directory or a `file:` URL.
 *
 * @throws {UsageError} when there is no such file, or the URL can name none.
 */
export function parseTask(text: string): TaskRef {
  const hash = text.lastIndexOf('#');
  const module = hash < 0 ? text : text.slice(0, hash);
  const path = module.startsWith('file:') ? pathOf(module) : resolve(process.cwd(), module);
  if (module === '' || !statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new UsageError(
      `there is no module ${path}; name a task as <module>#<export>, such as tasks.mjs#digest`,
    );
  }
  return { url: pathToFileURL(path).href, module, name: hash < 0 ? '' : text.slice(hash + 1) };
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new UsageError(`${url} names no file: ${(error as Error).message}`);
  }
}
