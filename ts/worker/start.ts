import { expose } from 'comlink';
import { describeError } from '../codec/error-codec.ts';
import { InvalidTypeError } from '../errors.ts';
import { instantiateKernel, verifyMemory } from '../kernel/kernel.ts';
import type { ValuePort, WorkerPlatform } from '../platform/port.ts';
import type { WorkerDiagnostics } from '../pool/types.ts';
import type { BootOptions, BootReply, FromWorker, WorkerControl } from './messages.ts';
import { installTaskApi } from './task-api.ts';
import { type TaskFunction, Worker } from './worker.ts';

/** Makes the calling thread a heddle worker: exposes its control plane and waits for the boot message. */
export function startWorker(platform: WorkerPlatform): void {
  let worker: Worker | undefined;
  const control: WorkerControl = {
    async boot(options: BootOptions): Promise<BootReply> {
      const kernel = instantiateKernel(options.module, options.memory);
      verifyMemory(kernel);
      const reports: FromWorker[] = [];
      // First: what the thread touches from here on, the task module too, is to lie on its node.
      const asked = options.pin === undefined ? undefined : await platform.pin(options.pin);
      const node = options.pin?.node;
      const pin = node === undefined ? undefined : asked;
      const priorityRefused =
        options.niceness === undefined ? undefined : platform.setNiceness(options.niceness);
      if (node !== undefined && pin?.isPinned === true)
        platform.placeMemory(options.memory, options.lane, node);
      let port: ValuePort | undefined;
      platform.onUncaught((error, origin) => {
        const report: FromWorker = { kind: 'uncaught', error: describeError(error), origin };
        if (port === undefined) reports.push(report);
        else port.post(report, []);
      });
      let tasks: Record<string, TaskFunction>;
      try {
        tasks = tasksOf(
          await import(/* @vite-ignore */ /* webpackIgnore: true */ options.tasks),
          options.tasks,
        );
      } catch (error) {
        return { ok: false, phase: 'module', error: describeError(error) };
      }
      const names = Object.keys(tasks);
      worker = new Worker(
        kernel,
        platform,
        options,
        names.map((name) => tasks[name]!),
        names,
      );
      port = worker.port;
      for (const report of reports) port.post(report, []);
      installTaskApi(worker);
      const started = worker;
      // The reply goes out first; the first task may block this thread.
      platform.turn(
        () =>
          void started
            .loop()
            .then(() => platform.flush())
            .finally(() => platform.exit()),
      );
      return { ok: true, names, pin, priorityRefused, kernelThread: platform.kernelThreadId() };
    },
    stop(): void {
      if (worker === undefined) platform.exit();
      else worker.stop();
    },
    flush: () => platform.flush(),
    pin: (request) => platform.pin(request),
    diagnostics(): WorkerDiagnostics {
      return {
        threadId: platform.threadId,
        asyncTasks: worker?.asyncTasks ?? 0,
        heapUsedBytes: platform.heapUsedBytes(),
      };
    },
  };
  expose(control, platform.endpoint);
}

/** The exported functions of a module, by name in sorted order: every worker numbers them alike. */
function tasksOf(module: Record<string, unknown>, url: string): Record<string, TaskFunction> {
  // Without a prototype: '__proto__' is a name as any other.
  const tasks: Record<string, TaskFunction> = Object.create(null);
  for (const name of Object.keys(module).sort()) {
    const value = module[name];
    if (typeof value === 'function') tasks[name] = value as TaskFunction;
  }
  if (Object.keys(tasks).length === 0) {
    throw new InvalidTypeError(`the task module ${url} exports no function`);
  }
  return tasks;
}
