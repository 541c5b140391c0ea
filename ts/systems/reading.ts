import { parseIdList, parseIdMap } from './id-lists.ts';
import type { Degradation } from './types.ts';

/** A filesystem to read system files from. */
export interface SystemFiles {
  /** Text of a file; undefined when there is none. @throws what the system says for a file that is there and cannot be read. */
  read(path: string): string | undefined;
  /** Names in a folder; none when there is no such folder. @throws as `read`. */
  list(path: string): readonly string[];
}

/** One look at system files. Nothing throws: what cannot be read or makes no sense is noted and counts as absent. */
export class Reading {
  readonly #files: SystemFiles;
  readonly degradations: Degradation[] = [];

  constructor(files: SystemFiles) {
    this.#files = files;
  }

  /** Notes what is not known, once. */
  note(what: string, reason: string, path?: string): void {
    if (this.degradations.some((each) => each.what === what && each.reason === reason && each.path === path))
      return;
    this.degradations.push(path === undefined ? { what, reason } : { what, reason, path });
  }

  /** Text of a file; undefined when there is none or it cannot be read. */
  text(path: string, what: string): string | undefined {
    try {
      return this.#files.read(path);
    } catch (error) {
      this.note(what, `cannot be read: ${error instanceof Error ? error.message : String(error)}`, path);
      return undefined;
    }
  }

  /** Text of a file that need not be there; nothing is noted when it cannot be read. */
  optional(path: string): string | undefined {
    try {
      return this.#files.read(path);
    } catch {
      return undefined;
    }
  }

  /** Names in a folder; none when there is no such folder or it cannot be read. */
  list(path: string): readonly string[] {
    try {
      return this.#files.list(path);
    } catch {
      return [];
    }
  }

  /** An integer; undefined when there is none. */
  integer(path: string, what: string): number | undefined {
    const text = this.text(path, what)?.trim();
    if (text === undefined) return undefined;
    if (/^-?\d+$/.test(text)) return Number(text);
    this.note(what, `is ${show(text)}, not a number`, path);
    return undefined;
  }

  /** Ids of a list; undefined when there is none. */
  ids(path: string, what: string): number[] | undefined {
    const text = this.text(path, what);
    return text === undefined ? undefined : this.#checked(parseIdList(text), text, path, what);
  }

  /** Ids of a list, or of the map where there is no list. */
  idsOrMap(list: string, map: string, what: string): number[] | undefined {
    const ids = this.ids(list, what);
    if (ids !== undefined) return ids;
    const text = this.text(map, what);
    return text === undefined ? undefined : this.#checked(parseIdMap(text), text, map, what);
  }

  #checked(ids: number[] | undefined, text: string, path: string, what: string): number[] | undefined {
    if (ids === undefined) this.note(what, `is ${show(text)}, not a list of ids`, path);
    return ids;
  }
}

/** Text as a message shows it: short, on one line. */
export function show(text: string): string {
  const line = text.replace(/[\s\0]+/g, ' ').trim();
  return line === '' ? 'empty' : `'${line.length > 40 ? `${line.slice(0, 40)}…` : line}'`;
}
