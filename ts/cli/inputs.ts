import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { StringDecoder } from 'node:string_decoder';
import { glob, isDynamicPattern } from 'tinyglobby';
import { UsageError } from './usage-error.ts';

/** What a map runs over. */
export interface Inputs {
  readonly items: Iterable<string> | AsyncIterable<string>;
  /** How many there are; undefined while nobody can know. */
  readonly total: number | undefined;
  /** Ends a read that is under way, so that the items end. */
  close(): void;
}

/**
 * The inputs that the arguments name: files, folders and globs become absolute paths, sorted, each once; '-' the lines of stdin. Without any, the
 * lines of stdin too, unless that is a terminal.
 *
 * @throws {UsageError} for no input, for a name that is no file, and for a glob without a match.
 */
export async function openInputs(
  names: readonly string[],
  options: { readonly dot?: boolean },
): Promise<Inputs> {
  if (names.includes('-') && names.length > 1) {
    throw new UsageError("'-' (the lines of stdin) stands alone: pass either files or '-'");
  }
  if (names[0] === '-') return stdinLines();
  if (names.length === 0) {
    if (process.stdin.isTTY)
      throw new UsageError("no inputs: pass files, globs, or '-' for the lines of stdin");
    return stdinLines();
  }
  const paths = new Set<string>();
  for (const name of names) for (const path of await expand(name, options.dot ?? false)) paths.add(path);
  return { items: paths, total: paths.size, close: () => undefined };
}

async function expand(name: string, dot: boolean): Promise<readonly string[]> {
  const path = resolve(name);
  const stat = statSync(path, { throwIfNoEntry: false });
  // First, as the name of a file may hold characters that mean something in a glob.
  if (stat !== undefined && !stat.isDirectory()) return [path];
  if (stat === undefined && !isDynamicPattern(name)) throw new UsageError(`there is no file ${path}`);
  const found =
    stat === undefined
      ? await glob(name, { absolute: true, dot })
      : await glob('**', { cwd: path, absolute: true, dot });
  if (found.length === 0) throw new UsageError(`no file matches ${name} in ${process.cwd()}`);
  return found.map((each) => resolve(each)).sort();
}

function stdinLines(): Inputs {
  const { stdin } = process;
  let closed = false;
  return {
    items: lines(stdin, () => closed),
    total: undefined,
    close() {
      closed = true;
      stdin.destroy();
    },
  };
}

/** Lines as they are wanted: a chunk is read when the lines of the one before are used up. A last line needs no line feed. */
async function* lines(
  stream: AsyncIterable<Uint8Array | string>,
  isClosed: () => boolean,
): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  try {
    for await (const chunk of stream) {
      const parts = (rest + (typeof chunk === 'string' ? chunk : decoder.write(Buffer.from(chunk)))).split(
        '\n',
      );
      rest = parts.pop() ?? '';
      for (const part of parts) yield part.endsWith('\r') ? part.slice(0, -1) : part;
    }
  } catch (error) {
    // Destroying the stream ends the loop with an error that is ours.
    if (!isClosed()) throw error;
    return;
  }
  rest += decoder.end();
  if (rest !== '' && !isClosed()) yield rest;
}
