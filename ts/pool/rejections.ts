import { HeddleError } from '../errors.ts';

/** Kinds of errors that are counted by themselves; those that come later are counted as {@link OTHER}. */
const KINDS_MOST = 32;
/** The name that OpenTelemetry gives to what has no name of its own. */
const OTHER = '_OTHER';

/** Names of kinds of errors. What a kind is counted as does not change, so that no count ever falls. */
export class ErrorKinds {
  readonly #known = new Set<string>();

  /** What a kind is counted as. */
  nameOf(kind: string): string {
    if (kind !== OTHER && this.#known.size < KINDS_MOST) this.#known.add(kind);
    return this.#known.has(kind) ? kind : OTHER;
  }
}

const refused = new WeakSet<object>();

/** Notes that the call was rejected before anybody began with it. Returns the error. */
export function noteRefused(error: unknown): unknown {
  if (typeof error === 'object' && error !== null) refused.add(error);
  return error;
}

/** Was the call rejected before anybody began with it? */
export const wasRefused = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && refused.has(error);

/**
 * Counts calls that were rejected, by the kind of their error: the code of one of heddle's, else the name of the error's class. Tasks may throw anything, so
 * the number of kinds is limited.
 */
export class Rejections {
  readonly #kinds = new ErrorKinds();
  readonly #counts = new Map<string, number>();

  /** Counts an error, and returns it. */
  add(error: unknown): unknown {
    const kind = this.#kinds.nameOf(kindOf(error));
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    return error;
  }

  /** The counts now. */
  get counts(): ReadonlyMap<string, number> {
    return new Map(this.#counts);
  }
}

function kindOf(error: unknown): string {
  if (error instanceof HeddleError) return error.code;
  if (!(error instanceof Error)) return error === null ? 'null' : typeof error;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && code.startsWith('ERR_') && code.length <= 64) return code;
  return typeof error.name === 'string' && error.name.length <= 64 ? error.name : OTHER;
}
