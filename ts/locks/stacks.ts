// Stacks as people are shown them: of their own code.

/** Frames on top of a stack that are heddle's own. */
const OWN_FRAME =
  /^at (?:async )?(?:new )?(?:#\w+|(?:LockCore|ContextMutex|Detector|HoldRecord|LockSpace|LockManager|OrderChecker|Observed|ObservedInt32|ObservedBool|CellWatch|TaskPool|PoolChannels|WorkerLocks|LinkedCall|LinkedPromise|Worker|Fork)\.[^ ]+|blockFor|sleepFor|callPool|join|joinSlow|sleepUntil) /;
/** Where a task is called from: what follows is heddle's. */
const CALL_FRAME = /^at SlotCodec\.invoke /;
const FRAMES_MOST = 6;

/** Where `withOwner` calls what it was given, and how far down its own frames go. */
const OWNER_FRAME = /^at runAsOwner /;
const OWNER_CALL_FRAME = /^at (?:Owners\.run|(?:\w+\.)?withOwner|ContextMutex\.runExclusive) /;

/** Without the frames between a caller of `withOwner` and what it was given. */
function withoutOwnerFrames(frames: readonly string[]): string[] {
  const start = frames.findIndex((frame) => OWNER_FRAME.test(frame));
  if (start < 0) return [...frames];
  const end = frames.findLastIndex((frame) => OWNER_CALL_FRAME.test(frame));
  return [...frames.slice(0, start), ...(end < start ? [] : frames.slice(end + 1))];
}

/** Stacks that were cleaned before: locks are taken at few places. */
const cleaned = new Map<string, string>();
const CLEANED_MOST = 512;

/**
 * The stack as V8 writes it. `Error.prepareStackTrace` is everybody's: it may throw, or make anything of a stack, most often the list of its frames, each of which is
 * written as V8 writes it.
 */
function rawStack(error: Error): string {
  try {
    const stack = error.stack as unknown;
    if (typeof stack === 'string') return stack;
    return Array.isArray(stack) ? ['Error', ...stack.map((frame) => `    at ${frame}`)].join('\n') : '';
  } catch {
    return '';
  }
}

/** The frames of whoever called heddle, without its own. */
export function cleanStack(error: Error): string {
  const raw = rawStack(error);
  let clean = cleaned.get(raw);
  if (clean === undefined) {
    if (cleaned.size >= CLEANED_MOST) cleaned.clear();
    clean = withoutOwnFrames(raw);
    cleaned.set(raw, clean);
  }
  return clean;
}

function withoutOwnFrames(raw: string): string {
  const all = raw
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
  const frames = withoutOwnerFrames(all);
  const first = frames.findIndex((frame) => !OWN_FRAME.test(frame));
  if (first < 0) return '';
  const own = frames.slice(first, first + FRAMES_MOST);
  const last = own.findIndex((frame) => CALL_FRAME.test(frame));
  return (last < 0 ? own : own.slice(0, last)).join('\n');
}
