import {
  CHECK_THROW,
  KIND_ATTACHED,
  LOCK_FLAGS,
  LOCK_NEXT,
  LOCK_USER_ONE,
  LOCK_USERS_MASK,
  LOCK_WORD,
  MODES_WAITS_SHIFT,
  OWNER_HELD,
  OWNER_KIND_CONTEXT,
  WORD_OWNER_MASK,
  WORD_OWNER_SHIFT,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { word } from './harness.ts';

/** Makes the kernel's locks ready, as a runtime does. */
export function readyLocks(kernel: Kernel, most = 1000): void {
  kernel.calls.configureLocks(most, CHECK_THROW << MODES_WAITS_SHIFT, 0);
}

/** A thread that takes locks: an agent with owners. */
export interface LockThread {
  readonly agent: number;
  owner(kind?: number, slot?: number): number;
}

export function joinLocker(kernel: Kernel): LockThread {
  const agent = kernel.calls.claimAgent(KIND_ATTACHED, 0) >>> 0;
  if (agent === 0) throw new Error('no room for a thread');
  return {
    agent,
    owner(kind = OWNER_KIND_CONTEXT, slot = 0) {
      const owner = kernel.calls.claimOwner(agent, kind, slot, 0, 0) >>> 0;
      if (owner === 0) throw new Error('no room for an owner');
      return owner;
    },
  };
}

const encoder = new TextEncoder();

export interface EntryOptions {
  readonly flags?: number;
  readonly classId?: number;
  readonly order?: number;
}

/** Opens a lock as a thread; returns its address or the kernel's answer. */
export function open(kernel: Kernel, agent: number, name: string, options: EntryOptions = {}): number {
  const bytes = encoder.encode(name);
  const text = kernel.calls.allocate(agent, bytes.length) >>> 0;
  kernel.u8.set(bytes, text);
  const { flags = 0, classId = 0, order = 0 } = options;
  const lock = kernel.calls.openLock(agent, text, bytes.length, flags, classId, order, 0) >>> 0;
  kernel.calls.release(agent, text);
  return lock;
}

/** The thread has a lock open no more. True when the lock is gone. */
export function close(kernel: Kernel, agent: number, lock: number): boolean {
  if (kernel.calls.unpinLock(lock) === 0 || kernel.calls.sweepLock(agent, lock) !== 1) return false;
  kernel.calls.reuseLock(agent, lock);
  return true;
}

/** How many threads have a lock open. */
export function usersOf(kernel: Kernel, lock: number): number {
  return (word(kernel, lock + LOCK_FLAGS) & LOCK_USERS_MASK) / LOCK_USER_ONE;
}

/** Address of the owner that has a lock, or 0. */
export function holderOf(kernel: Kernel, lock: number): number {
  const id = (word(kernel, lock + LOCK_WORD) & WORD_OWNER_MASK) >>> WORD_OWNER_SHIFT;
  return id === 0 ? 0 : kernel.calls.ownerAt(id) >>> 0;
}

/** The locks in an owner's list, newest first. */
export function heldBy(kernel: Kernel, owner: number): number[] {
  const locks: number[] = [];
  for (let lock = word(kernel, owner + OWNER_HELD); lock !== 0; lock = word(kernel, lock + LOCK_NEXT)) {
    locks.push(lock);
    if (locks.length > 1000) throw new Error('the list of held locks is a circle');
  }
  return locks;
}
