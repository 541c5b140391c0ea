import { readFileSync } from 'node:fs';

/** The installed version of a dependency, or undefined when it is not installed. */
export function installedVersion(name) {
  try {
    const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
    return JSON.parse(readFileSync(file, 'utf8')).version;
  } catch {
    return undefined;
  }
}
