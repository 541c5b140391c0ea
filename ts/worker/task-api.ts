import { META_CLASS_MASK, META_CLASS_SHIFT, SLOT_META } from '../../build/generated/layout.ts';
import { InvalidTypeError } from '../errors.ts';
import { QOS_LEVELS } from '../qos.ts';
import { createCells } from '../runtime/cells.ts';
import { createSharedArrays } from '../runtime/shared-arrays.ts';
import { TASK_API, type TaskApi, type TaskContext, type TaskRuntime } from '../task-contract.ts';
import { type Fork, fork, join } from './forks.ts';
import type { TaskFunction, Worker } from './worker.ts';

/** Gives `heddle/task` its implementation in this thread, under a registered symbol so that every copy of the module finds it. */
export function installTaskApi(worker: Worker): void {
  const cells = createCells(worker.kernel, worker.agent);
  const arrays = createSharedArrays(worker.kernel);
  const runtime: TaskRuntime = {
    atomicInt32: (name) => cells.int32(name),
    atomicBool: (name) => cells.bool(name),
    alloc: (type, length) => arrays.alloc(type, length),
    free: (array) => arrays.free(array),
    mutex: (name, options = {}) => worker.locks.mutex(name, options),
    withOwner: (fn, name) => worker.locks.space.owners.run(fn, name),
    createOwner: (name) => worker.locks.space.owners.explicit(name),
  };
  const api: TaskApi = {
    fork: (fn, count, a, b, c, rest) => fork(worker, fn as TaskFunction, count, a, b, c, rest) as never,
    join: (handle) => join(worker, handle as unknown as Fork),
    aborted: () => worker.isCancelled(),
    signal: () => worker.currentRun('signal').signal(worker.kernel),
    context: () => describeContext(worker),
    yieldNow: () => worker.yieldNow(),
    runtime: () => runtime,
  };
  (globalThis as Record<symbol, unknown>)[TASK_API] = api;
}

function describeContext(worker: Worker): TaskContext {
  const run = worker.currentRun('context');
  const meta = worker.kernel.i32[(run.slot + SLOT_META) >>> 2]!;
  const qos = QOS_LEVELS[(meta >>> META_CLASS_SHIFT) & META_CLASS_MASK];
  if (qos === undefined) throw new InvalidTypeError('context() found a task of no QoS class');
  return {
    task: run.name,
    qos,
    pool: worker.poolName,
    worker: worker.id,
    threadId: worker.platform.threadId,
    workerData: worker.workerData,
  };
}
