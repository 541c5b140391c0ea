import {
  HeddleError,
  InvalidTypeError,
  isHeddleError,
  MemoryFullError,
  PlacementError,
  WorkerExitedError,
} from '../errors.ts';

/** Why a call is rejected when no worker can be started: an error of its own, of the class and code of the start's, which is its cause. */
export function unstartedError(task: string, cause: unknown): Error {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `cannot run task '${task}': no worker can be started: ${why}`;
  const options = { resource: task, cause };
  if (cause instanceof WorkerExitedError) {
    const { exitCode, threadId } = cause;
    return new WorkerExitedError(message, { ...options, exitCode, threadId });
  }
  if (cause instanceof MemoryFullError) return new MemoryFullError(message, options);
  if (cause instanceof PlacementError) return new PlacementError(message, options);
  if (cause instanceof InvalidTypeError) return new InvalidTypeError(message, options);
  return new HeddleError(isHeddleError(cause) ? cause.code : 'ERR_RESOURCE_LIMIT', message, options);
}
