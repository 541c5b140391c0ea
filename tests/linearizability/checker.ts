/**
 * Linearizability of recorded histories: is there an order of the operations that a sequential object could have gone through, in which no
 * operation comes before one that had returned before it was called?
 *
 * J. M. Wing, C. Gong, "Testing and verifying concurrent objects" (JPDC 1993): try every order that time allows, an operation at a time, and
 * take back what leads nowhere. G. Lowe, "Testing for linearizability" (CCPE 2017): the same set of operations in the same state leads nowhere
 * twice, so such pairs are remembered.
 *
 *   thread 0   |--push 7--|      |----pop = 7----|
 *   thread 1         |--steal = 0--|  |--steal = 7--|      two got the 7: no order explains that
 *                                                ^ here the history stops being linearizable: the window ends
 *              ^ nobody was in the middle of anything: the window begins, with every state that was possible
 */

/** One call of a thread. Times are those of one clock that all threads share; no two are the same. */
export interface Operation {
  readonly thread: number;
  readonly name: string;
  readonly args: readonly number[];
  /** Of an operation that never returned it says nothing. */
  readonly result: number | readonly number[];
  readonly from: number;
  /** Infinity when it never returned: its thread was killed. It may have taken effect at any time from `from` on, or never. */
  readonly to: number;
}

/** A sequential object. States are values: `step` never changes one. */
export interface Spec<S> {
  readonly initial: S;
  /** The state after the operation, or undefined when it could not have had that result there. A pending one may have any result. */
  step(state: S, operation: Operation, isPending: boolean): S | undefined;
  /** Equal for equal states only. */
  key(state: S): string;
  show(state: S): string;
}

/** The smallest part of a history that nothing explains. */
interface Window<S> {
  /** States that the object may have had before it. */
  readonly before: readonly S[];
  readonly operations: readonly Operation[];
  /** As many of them as can follow one another, and the state after them. */
  readonly longest: readonly Operation[];
  readonly stuckIn: S;
}

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly report: string };

/** What is found about a stretch of a history. */
interface Explored<S> {
  /** Every state after all that has returned, by key. Empty: no order explains it. */
  readonly after: Map<string, S>;
  readonly longest: readonly Operation[];
  readonly stuckIn: S;
}

const isPending = (operation: Operation): boolean => operation.to === Number.POSITIVE_INFINITY;

/** Tries every order of `operations`, which are sorted by call, from every one of the states. `all`: do not stop at the first that fits. */
function explore<S>(
  spec: Spec<S>,
  operations: readonly Operation[],
  states: readonly S[],
  all: boolean,
): Explored<S> {
  const after = new Map<string, S>();
  const seen = new Set<string>();
  const order: Operation[] = [];
  let longest: readonly Operation[] = [];
  let stuckIn: S = states[0]!;
  const done = new Uint8Array(operations.length);
  const returning = operations.reduce((count, operation) => count + (isPending(operation) ? 0 : 1), 0);
  // The memo's key of the linearised set: one bit an operation.
  let set = 0n;

  const visit = (state: S, left: number): boolean => {
    const key = `${set.toString(36)} ${spec.key(state)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    if (left === 0) after.set(spec.key(state), state);
    if (left === 0 && !all) return true;
    if (order.length > longest.length) {
      longest = [...order];
      stuckIn = state;
    }
    // What was called after another had returned cannot come before it.
    let firstReturn = Number.POSITIVE_INFINITY;
    for (const [i, operation] of operations.entries()) {
      if (done[i] === 1) continue;
      if (operation.from > firstReturn) break;
      firstReturn = Math.min(firstReturn, operation.to);
      const next = spec.step(state, operation, isPending(operation));
      if (next === undefined) continue;
      done[i] = 1;
      set |= 1n << BigInt(i);
      order.push(operation);
      const found = visit(next, left - (isPending(operation) ? 0 : 1));
      order.pop();
      set &= ~(1n << BigInt(i));
      done[i] = 0;
      if (found) return true;
    }
    return false;
  };

  for (const state of states) if (visit(state, returning)) break;
  return { after, longest, stuckIn };
}

/** Cuts where no operation is under way: what is before and what is after can be explained apart. */
function segmentsOf(history: readonly Operation[]): Operation[][] {
  const segments: Operation[][] = [];
  let busyUntil = Number.NEGATIVE_INFINITY;
  for (const operation of history) {
    if (operation.from > busyUntil) segments.push([]);
    segments.at(-1)!.push(operation);
    busyUntil = Math.max(busyUntil, operation.to);
  }
  return segments;
}

/** Decides about a history, in any order of its operations. */
export function checkHistory<S>(spec: Spec<S>, history: readonly Operation[]): Verdict {
  const sorted = [...history].sort((a, b) => a.from - b.from);
  let states: readonly S[] = [spec.initial];
  const segments = segmentsOf(sorted);
  for (const [i, segment] of segments.entries()) {
    const { after } = explore(spec, segment, states, i < segments.length - 1);
    if (after.size === 0)
      return { ok: false, report: showWindow(spec, smallestWindow(spec, segment, states)) };
    states = [...after.values()];
  }
  return { ok: true };
}

/** What has happened of a segment until `time`: what had not returned by then is pending. */
function until(segment: readonly Operation[], time: number): Operation[] {
  return segment
    .filter(({ from }) => from <= time)
    .map((operation) => (operation.to <= time ? operation : { ...operation, to: Number.POSITIVE_INFINITY }));
}

/** A part of a linearizable history is linearizable up to any time, so there is a first return that nothing explains. */
function smallestWindow<S>(spec: Spec<S>, segment: readonly Operation[], before: readonly S[]): Window<S> {
  const returns = segment
    .map(({ to }) => to)
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  for (const time of returns) {
    const operations = until(segment, time);
    const { after, longest, stuckIn } = explore(spec, operations, before, false);
    if (after.size === 0) return { before, operations, longest, stuckIn };
  }
  throw new Error('the whole is not linearizable, but each part of it is');
}

// ---- for people ----------------------------------------------------------------------------------------------------------------------------

const WIDTH_MOST = 60;

export function showOperation({ name, args, result, to }: Operation): string {
  const value = typeof result === 'number' ? String(result) : `[${result.join(' ')}]`;
  return `${name}(${args.join(', ')})${to === Number.POSITIVE_INFINITY ? ' ...' : ` = ${value}`}`;
}

function showWindow<S>(spec: Spec<S>, { before, operations, longest, stuckIn }: Window<S>): string {
  const times = operations
    .flatMap(({ from, to }) => [from, to])
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  const scale = Math.min(1, (WIDTH_MOST - 1) / times.length);
  const column = (time: number): number =>
    time === Number.POSITIVE_INFINITY
      ? Math.ceil(times.length * scale) + 1
      : Math.round(times.indexOf(time) * scale);
  const names = operations.map(showOperation);
  const width = Math.max(...names.map((name) => name.length));
  const lines = operations.map((operation, i) => {
    const { thread, from, to } = operation;
    const start = column(from);
    const length = Math.max(1, column(to) - start);
    const bar = `|${'-'.repeat(length - 1)}${isPending(operation) ? '>' : '|'}`;
    return `  thread ${thread}  ${names[i]!.padEnd(width)}  ${' '.repeat(start)}${bar}`;
  });
  const rest = operations.filter((operation) => !longest.includes(operation) && !isPending(operation));
  const many = before.length > 1 ? `one of ${before.length} states, such as ` : '';
  return [
    `not linearizable: no order explains these ${operations.length} operations, from ${many}${spec.show(before[0]!)}`,
    ...lines,
    longest.length === 0
      ? `  none of them can come first`
      : `  at most ${longest.length} can follow one another: ${longest.map(showOperation).join(', ')}`,
    `  in ${spec.show(stuckIn)} there is no place for ${rest.map(showOperation).join(', ')}`,
  ].join('\n');
}
