/** The sequential objects that the structures of the kernel must look like. */
import {
  LOCK_BUSY,
  LOCK_NOT_OWNER,
  LOCK_OWN,
  LOCK_RELEASED,
  LOCK_TAKEN,
} from '../../build/generated/layout.ts';
import type { Operation, Spec } from './checker.ts';

/** steal() lost a race (assembly/deque.ts): it says nothing about what is in the deque. */
export const STEAL_RETRY = 1;

const NOTHING = 0;

/**
 * A work-stealing deque: `push` and `pop` at the bottom by its owner, `steal` of the oldest and `batch` of up to half of them by anybody. A
 * batch's result lists what it took, oldest first.
 */
export function dequeSpec(initial: readonly number[] = []): Spec<readonly number[]> {
  return {
    initial,
    step(state, { name, args, result }, isPending) {
      switch (name) {
        case 'push':
          return isPending || result === 1 ? [...state, args[0]!] : undefined;
        case 'pop':
          if (state.length === 0) return isPending || result === NOTHING ? state : undefined;
          return isPending || result === state.at(-1) ? state.slice(0, -1) : undefined;
        case 'steal':
          if (result === STEAL_RETRY && !isPending) return state;
          if (state.length === 0) return isPending || result === NOTHING ? state : undefined;
          return isPending || result === state[0] ? state.slice(1) : undefined;
        case 'batch': {
          if (typeof result === 'number') {
            // Cut off by the end of a window. One of a killed thread may have taken some: of such a thread nobody knows how many.
            if (isPending) return state;
            return result === STEAL_RETRY || (result === NOTHING && state.length === 0) ? state : undefined;
          }
          const isHalf = result.length <= Math.min(args[0]!, (state.length + 1) >> 1);
          return isHalf && result.every((entry, i) => entry === state[i])
            ? state.slice(result.length)
            : undefined;
        }
        default:
          throw new Error(`a deque has no operation ${name}`);
      }
    },
    key: (state) => state.join(),
    show: (state) =>
      state.length > 12 ? `a deque of ${state.length}` : `the deque [${state.join(' ')}] (oldest first)`,
  };
}

/** Did each operation that says it lost a race have somebody to lose it to? Returns those that had not. */
export function unexplainedRetries(history: readonly Operation[]): Operation[] {
  const takes = history.filter(
    ({ name, result, to }) =>
      to === Number.POSITIVE_INFINITY || (name !== 'push' && result !== NOTHING && result !== STEAL_RETRY),
  );
  return history.filter(
    (lost) =>
      lost.result === STEAL_RETRY &&
      (lost.name === 'steal' || lost.name === 'batch') &&
      !takes.some((take) => take !== lost && take.from < lost.to && lost.from < take.to),
  );
}

/** AtomicInt32: `add` gives the new value, `swap` the old one, `cas` 1 when it stored. */
export function int32Spec(initial = 0): Spec<number> {
  return {
    initial,
    step(state, { name, args, result }, isPending) {
      const fits = (expected: number): boolean => isPending || result === expected;
      switch (name) {
        case 'add': {
          const sum = (state + args[0]!) | 0;
          return fits(sum) ? sum : undefined;
        }
        case 'load':
          return fits(state) ? state : undefined;
        case 'store':
          return args[0]!;
        case 'swap':
          return fits(state) ? args[0]! : undefined;
        case 'cas':
          if (state === args[0]) return fits(1) ? args[1]! : undefined;
          return fits(0) ? state : undefined;
        default:
          throw new Error(`an AtomicInt32 has no operation ${name}`);
      }
    },
    key: String,
    show: (state) => `the value ${state}`,
  };
}

/** AtomicBool: an AtomicInt32 of 0 and 1 that is never added to. */
export function boolSpec(initial = 0): Spec<number> {
  const int32 = int32Spec(initial);
  return {
    ...int32,
    step(state, operation, isPending) {
      if (operation.name === 'add') throw new Error('an AtomicBool has no operation add');
      return int32.step(state, operation, isPending);
    },
    show: (state) => (state === 0 ? 'false' : 'true'),
  };
}

/** Mutex that is not reentrant: the thread that has it, or -1. `lock` returns only once it has it. */
export function mutexSpec(): Spec<number> {
  return {
    initial: -1,
    step(holder, { name, thread, result }, isPending) {
      const fits = (expected: number): boolean => isPending || result === expected;
      switch (name) {
        case 'tryLock':
          if (holder === -1) return fits(LOCK_TAKEN) ? thread : undefined;
          return fits(holder === thread ? LOCK_OWN : LOCK_BUSY) ? holder : undefined;
        case 'lock':
          if (holder === -1) return fits(LOCK_TAKEN) ? thread : undefined;
          return holder === thread && fits(LOCK_OWN) ? holder : undefined;
        case 'unlock':
          if (holder === thread) return fits(LOCK_RELEASED) ? -1 : undefined;
          return fits(LOCK_NOT_OWNER) ? holder : undefined;
        default:
          throw new Error(`a mutex has no operation ${name}`);
      }
    },
    key: String,
    show: (holder) => (holder === -1 ? 'a free lock' : `a lock that thread ${holder} has`),
  };
}
