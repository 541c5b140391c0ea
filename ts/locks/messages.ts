import { describeError, type PlainError, reviveError } from '../codec/error-codec.ts';
import type { HeddleError } from '../errors.ts';
import type { LockViolation } from './types.ts';

/** What a worker tells the runtime's thread about locks. */
export type LockMessage =
  | { readonly kind: 'violation'; readonly violation: PlainViolation }
  /** A lock with this `maxHoldTimeMs` is in use. */
  | { readonly kind: 'watch'; readonly holdMs: number }
  /** The thread of an agent has ended, and was recovered. */
  | { readonly kind: 'gone'; readonly agentId: number };

/** A violation that can be posted. */
type PlainViolation = Omit<LockViolation, 'error'> & { readonly error?: PlainError };

export function describeViolation({ error, ...rest }: LockViolation): PlainViolation {
  return error === undefined ? rest : { ...rest, error: describeError(error) };
}

export function reviveViolation({ error, ...rest }: PlainViolation): LockViolation {
  return error === undefined ? rest : { ...rest, error: reviveError(error) as HeddleError };
}
