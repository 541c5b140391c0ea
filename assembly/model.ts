/** The exports of the `model` build: those of the kernel, and the inner functions whose interleavings the models look at. */
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
export { beyond, initDeque, pop, popIf, push, repair, sizeOf, steal, stealBatch } from './deque';
export * from './index';
export { mutant } from './mutants';
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
export { claim, conclude, concludeCancelled, markForked, markLost, markQueued } from './slots';
