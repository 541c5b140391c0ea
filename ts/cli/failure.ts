import { compact } from './format.ts';

/** Why an input failed. */
export interface Failure {
  /** The error's class. */
  readonly name: string;
  /** The error's `code`, where it has one. */
  readonly code?: string;
  readonly message: string;
}

/** What to tell of anything that a task may throw. */
export function toFailure(reason: unknown): Failure {
  if (!(reason instanceof Error)) return { name: 'Error', message: compact(reason) };
  const { code } = reason as { code?: unknown };
  return {
    name: reason.name,
    ...(code === undefined ? {} : { code: String(code) }),
    message: reason.message,
  };
}
