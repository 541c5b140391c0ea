import { describe, expect, it } from 'vitest';
import * as errors from '../../ts/errors.ts';

describe('the errors of Heddle', () => {
  it('has the stable codes', () => {
    expect(Object.values(errors.ErrorCode).sort()).toEqual(
      (
        'ERR_CLUSTER_UNAVAILABLE ERR_DEADLOCK ERR_INVALID_ARGUMENT ERR_LOCK_ABANDONED ERR_LOCK_ORDER ERR_MEMORY_FULL ' +
        'ERR_NOT_ISOLATED ERR_NOT_OWNER ERR_POLICY_INVALID ERR_POOL_CLOSED ERR_QUEUE_FULL ERR_RESOURCE_LIMIT ' +
        'ERR_TASK_ABORTED ERR_TASK_TIMEOUT ERR_WORKER_EXITED'
      ).split(' '),
    );
  });

  it.each([
    [new errors.TaskAbortedError(), 'AbortError', 'ERR_TASK_ABORTED'],
    [new errors.TaskTimeoutError('m'), 'TimeoutError', 'ERR_TASK_TIMEOUT'],
    [new errors.WorkerExitedError('m'), 'WorkerExitedError', 'ERR_WORKER_EXITED'],
    [new errors.QueueFullError('m'), 'QueueFullError', 'ERR_QUEUE_FULL'],
    [new errors.PoolClosedError(), 'PoolClosedError', 'ERR_POOL_CLOSED'],
    [new errors.MemoryFullError('m'), 'MemoryFullError', 'ERR_MEMORY_FULL'],
    [new errors.NotIsolatedError(), 'NotIsolatedError', 'ERR_NOT_ISOLATED'],
    [new errors.DataCloneFailure('args[0]', 'a function'), 'DataCloneError', 'ERR_INVALID_ARGUMENT'],
    [new errors.InvalidTypeError('m'), 'TypeError', 'ERR_INVALID_ARGUMENT'],
    [new errors.InvalidRangeError('m'), 'RangeError', 'ERR_INVALID_ARGUMENT'],
  ])('%s has its name and code', (error, name, code) => {
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
    expect(error.stack?.startsWith(`${name}: `)).toBe(true);
    expect(errors.isHeddleError(error)).toBe(true);
    expect(error instanceof errors.HeddleError).toBe(true);
    expect(Object.hasOwn(error, 'cause')).toBe(false);
    expect(Object.hasOwn(error, 'resource')).toBe(false);
  });

  it('makes argument errors errors of the language', () => {
    expect(new errors.InvalidTypeError('m')).toBeInstanceOf(TypeError);
    expect(new errors.InvalidRangeError('m')).toBeInstanceOf(RangeError);
  });

  it('keeps resource and cause', () => {
    const reason = { why: 1 };
    const error = new errors.TaskAbortedError('m', { resource: 'resize', cause: reason });
    expect(error.resource).toBe('resize');
    expect(error.cause).toBe(reason);
    expect(new errors.WorkerExitedError('m', { exitCode: 1, threadId: 2 })).toMatchObject({
      exitCode: 1,
      threadId: 2,
    });
  });

  it('names the headers that isolate a page', () => {
    const { message } = new errors.NotIsolatedError();
    expect(message).toContain('Cross-Origin-Opener-Policy: same-origin');
    expect(message).toContain('Cross-Origin-Embedder-Policy: require-corp');
  });

  it('tells other values apart', () => {
    for (const other of [new Error('x'), { code: 'ERR_DEADLOCK' }, null, 'x', new DOMException('x')]) {
      expect(errors.isHeddleError(other)).toBe(false);
      expect(other instanceof errors.HeddleError).toBe(false);
    }
    expect(new errors.QueueFullError('m') instanceof errors.TaskAbortedError).toBe(false);
    expect(new errors.InvalidTypeError('m') instanceof errors.TaskAbortedError).toBe(false);
    const hostile = new Proxy(new Error('x'), {
      getPrototypeOf: () => {
        throw new Error('trap');
      },
    });
    expect(errors.isHeddleError(hostile)).toBe(false);
  });
});
