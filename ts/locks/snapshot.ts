import {
  CHUNK_LOG2,
  LOCK_FLAG_CLASS,
  LOCK_FLAGS,
  MAX_OWNER_CHUNKS,
  OWNER_KIND,
  OWNER_KIND_FREE,
  OWNER_WAITING,
  WAIT_SLOT_BIT,
  WORD_OWNER_MASK,
  WORD_OWNER_SHIFT,
} from '../../build/generated/layout.ts';
import type { LockSpace } from './space.ts';
import type { LockEntry, LockManagerSnapshot } from './types.ts';

/** Every record of owners in use, of all threads. */
export function* ownersOf(space: LockSpace): Generator<number> {
  const { calls, u32 } = space.kernel;
  for (let chunk = 0; chunk < MAX_OWNER_CHUNKS; chunk++) {
    const used = calls.usedOwners(chunk);
    for (let record = 1; record <= used; record++) {
      const owner = calls.ownerAt((chunk << CHUNK_LOG2) | record) >>> 0;
      if (u32[(owner + OWNER_KIND) >>> 2] !== OWNER_KIND_FREE) yield owner;
    }
  }
}

/** Who waits for a lock. */
export function waitersOf(space: LockSpace, lock: number): string[] {
  const { u32 } = space.kernel;
  const labels: string[] = [];
  for (const owner of ownersOf(space))
    if (u32[(owner + OWNER_WAITING) >>> 2] === lock) labels.push(space.ownerLabel(owner));
  return labels;
}

/** Calls back with each lock that is held, and its owner. */
export function eachHeld(space: LockSpace, visit: (lock: number, owner: number) => void): void {
  const { calls, i32, u32 } = space.kernel;
  const count = calls.lockCount();
  for (let id = 1; id <= count; id++) {
    const lock = calls.lockAt(id) >>> 0;
    if (lock === 0 || (u32[(lock + LOCK_FLAGS) >>> 2]! & LOCK_FLAG_CLASS) !== 0) continue;
    const holder = (Atomics.load(i32, lock >>> 2) & WORD_OWNER_MASK) >>> WORD_OWNER_SHIFT;
    if (holder === 0) continue;
    visit(lock, calls.ownerAt(holder) >>> 0);
  }
}

/** What all threads hold and wait for. Not one moment: each lock as it was when it was looked at. */
export function snapshotOf(space: LockSpace): LockManagerSnapshot {
  const { u32 } = space.kernel;
  const entry = (lock: number, owner: number): LockEntry => ({
    name: space.nameAt(lock),
    mode: 'exclusive',
    clientId: space.ownerLabel(owner),
  });
  const held: LockEntry[] = [];
  eachHeld(space, (lock, owner) => held.push(entry(lock, owner)));
  const pending: LockEntry[] = [];
  for (const owner of ownersOf(space)) {
    const target = u32[(owner + OWNER_WAITING) >>> 2]!;
    if (target !== 0 && (target & WAIT_SLOT_BIT) === 0) pending.push(entry(target, owner));
  }
  return { held, pending };
}
