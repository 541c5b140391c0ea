import type { PlainError } from '../codec/error-codec.ts';
import type { LockMessage } from '../locks/messages.ts';
import type { PinRequest, PinResult } from '../platform/pin.ts';
import type { WorkerDiagnostics } from '../pool/types.ts';

/**
 * Values and reports that a worker posts to the pool. `turn` is the slot's generation: a message may be read when its call is over and the
 * slot stands for another.
 */
export type FromWorker =
  /** It claimed a slot whose arguments travel by port. */
  | { readonly kind: 'want'; readonly slot: number; readonly turn: number }
  /** The result, or the plain error, of a slot that it concludes next. */
  | { readonly kind: 'value'; readonly slot: number; readonly turn: number; readonly value: unknown }
  /** About locks. */
  | { readonly kind: 'locks'; readonly message: LockMessage }
  /** An error that no task caught. */
  | { readonly kind: 'uncaught'; readonly error: PlainError; readonly origin: 'exception' | 'rejection' };

/** What the pool posts to a worker, with the turn that was asked for. */
export type ToWorker =
  | {
      readonly kind: 'arguments';
      readonly slot: number;
      readonly turn: number;
      readonly args: readonly unknown[];
    }
  /** The call was settled meanwhile; there is nothing to run. */
  | { readonly kind: 'gone'; readonly slot: number; readonly turn: number };

/** What a worker needs to start, by comlink. */
export interface BootOptions {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The runtime's zero on the shared clock. */
  readonly epoch: number;
  readonly agent: number;
  readonly pool: number;
  readonly lane: number;
  readonly id: number;
  readonly poolName: string;
  readonly tasks: string;
  readonly workerData: unknown;
  readonly concurrency: number;
  /** May this machine run another thread while this one spins? */
  readonly maySpin: boolean;
  readonly traced: boolean;
  /** The CPUs and the memory of a NUMA node, for this thread; undefined: those of the thread that starts it. */
  readonly pin: PinRequest | undefined;
  /** Priority of the thread, as Unix counts it and on top of the process's; undefined: unchanged. */
  readonly niceness: number | undefined;
  /** The worker's end of the channel for values. */
  readonly port: Transferable;
}

/** Answer to the boot message. `priorityRefused`: why the thread has another priority than asked for. `kernelThread`: the operating system's id of the thread; 0 where it tells none. */
export type BootReply =
  | {
      readonly ok: true;
      readonly names: readonly string[];
      readonly pin: PinResult | undefined;
      readonly priorityRefused: string | undefined;
      readonly kernelThread: number;
    }
  | { readonly ok: false; readonly error: PlainError; readonly phase: 'module' };

/** The control plane of a worker: everything that is not a task. */
export interface WorkerControl {
  boot(options: BootOptions): Promise<BootReply>;
  /** Takes no more tasks; the thread ends when what it runs is done. */
  stop(): void;
  /** Resolves when what the thread has printed is on its way out of the process. */
  flush(): Promise<void>;
  diagnostics(): WorkerDiagnostics;
  pin(request: PinRequest): Promise<PinResult>;
}
