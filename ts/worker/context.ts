import {
  CANCEL_GRACED,
  CANCEL_TIMEOUT,
  META_FORK_BIT,
  SLOT_CANCEL,
  SLOT_LINK,
  SLOT_META,
} from '../../build/generated/layout.ts';
import { TaskAbortedError, TaskTimeoutError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Fork } from './forks.ts';

/** One run of a task, made when something asks for it, and for every async task. */
export class TaskRun {
  readonly slot: number;
  readonly name: string;
  /** Set when the run has an outcome, or was given up. */
  done = false;
  /** Has the task been told that it was cancelled? */
  told = false;
  /** No store follows its async code: its function had returned plain values before. */
  loose = false;
  /** Address of its owner of locks, or 0. */
  owner = 0;
  /** Its newest fork that was not joined, linked to older ones. */
  forks: Fork | undefined = undefined;
  #controller: AbortController | undefined;

  constructor(slot: number, name: string) {
    this.slot = slot;
    this.name = name;
  }

  /** The signal of this run; aborted at once when the run was cancelled before it asked. */
  signal(kernel: Kernel): AbortSignal {
    this.#controller ??= new AbortController();
    if (cancelWord(kernel, this.slot) !== 0) this.abort(kernel);
    return this.#controller.signal;
  }

  /** Fires the signal, if anybody asked for one. */
  abort(kernel: Kernel): void {
    this.told = true;
    const reason = cancelWord(kernel, this.slot) & ~CANCEL_GRACED;
    this.#controller?.abort(
      reason === CANCEL_TIMEOUT
        ? new TaskTimeoutError(`task '${this.name}' ran out of time`, { resource: this.name })
        : new TaskAbortedError(`task '${this.name}' was aborted`, { resource: this.name }),
    );
  }
}

/** 0, or why the task in the slot should stop; a fork stops with the task that forked it. */
export function cancelWord(kernel: Kernel, slot: number): number {
  const { i32 } = kernel;
  for (let at = slot; at !== 0; at = i32[(at + SLOT_LINK) >>> 2]!) {
    const word = Atomics.load(i32, (at + SLOT_CANCEL) >>> 2);
    if (word !== 0) return word;
    if ((i32[(at + SLOT_META) >>> 2]! & META_FORK_BIT) === 0) return 0;
  }
  return 0;
}

/** Is the task in `slot` the one in `root`, or a fork of it, at any depth? */
export function isWithin(kernel: Kernel, slot: number, root: number): boolean {
  const { i32 } = kernel;
  for (let at = slot; at !== 0; at = i32[(at + SLOT_LINK) >>> 2]!) {
    if (at === root) return true;
    if ((i32[(at + SLOT_META) >>> 2]! & META_FORK_BIT) === 0) return false;
  }
  return false;
}
