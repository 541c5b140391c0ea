/** The exports of the `model` build: those of the kernel, and the inner functions whose interleavings the models look at. */
import { mutant } from './mutants';

export { noteClass } from './agents';
export {
  add32,
  cas32,
  exchange32,
  load32,
  notifyAll,
  or32,
  store32,
  wait32,
} from './atomics';
export { pushCompletion, ringDoorbell } from './completions';
export {
  beyond,
  closeUp,
  initDeque,
  pop,
  popIf,
  push,
  repair,
  setGap,
  sizeOf,
  steal,
  stealBatch,
} from './deque';
export * from './index';
export { mutant } from './mutants';
export { recoverOrder } from './order-recovery';
export {
  announceIdle,
  beginSearch,
  endSearch,
  leaveIdle,
  wakeAll,
  wakeForFork,
  wakeOne,
} from './parking';
export { look, sendHome } from './scheduler';
export { claim, conclude, concludeCancelled, freeSlotSpan, markForked, markLost, markQueued } from './slots';
export { claimFreed } from './spans';

/** A plain access, as TypeScript makes them to what it alone may touch. */
export function readPlain(address: usize): u32 {
  return load<u32>(address);
}

export function writePlain(address: usize, value: u32): void {
  store<u32>(address, value);
}

/** 1 when mutant `id` is made: for programs of models that are to be wrong. */
export function isMutant(id: u32): u32 {
  return mutant(id) ? 1 : 0;
}
