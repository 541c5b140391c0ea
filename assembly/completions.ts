/**
 * How outcomes come home. Each submitter's lane has one stack (Treiber): a worker pushes a concluded slot with a CAS, the submitter takes
 * the whole stack with one exchange and reverses it, so outcomes are seen in the order in which they were pushed.
 *
 * Doorbell, one word an agent:
 * | value | meaning | set by |
 * | --- | --- | --- |
 * | QUIET | the submitter polls, or nothing is due | the submitter |
 * | ARMED | the submitter waits on the word (Atomics.waitAsync) | the submitter, which then looks at its stacks once more |
 * | RUNG | something came | a worker that found ARMED |
 *
 * No outcome is missed: the worker pushes, then reads the bell; the submitter arms, then reads the stacks. One of them sees the other.
 * The submitter sets QUIET before it drains, never after (the other order loses an outcome). Model: shared design, "treiber".
 */
import { cas32, exchange32, load32, notifyAll, store32 } from './atomics';
import { AGENT_DOORBELL, LANE_COMPLETED, SLOT_LINK } from './layout';
import { BELL_ARMED, BELL_QUIET, BELL_RUNG } from './status';

/** A worker sends a concluded slot home. */
export function pushCompletion(lane: usize, slot: usize): void {
  const head = lane + LANE_COMPLETED;
  while (true) {
    const first = load32(head);
    store<u32>(slot + SLOT_LINK, first); // plain: published by the CAS
    // mutant PUSH_BY_STORE: { store32(head, slot as u32); return; }
    if (cas32(head, first, slot as u32)) return;
  }
}

/** Wakes the submitter if it waits. Pairs with armDoorbell(). */
export function ringDoorbell(agent: usize): void {
  const bell = agent + AGENT_DOORBELL;
  // mutant RING_KEEPS_ARMED: { if (load32(bell) == BELL_ARMED) notifyAll(bell); return; }
  if (load32(bell) == BELL_ARMED && exchange32(bell, BELL_RUNG) == BELL_ARMED) notifyAll(bell);
}

/** Recovery: rings in any case. The dead may have pushed and not rung, or left RUNG in the bell and not notified. */
export function ringAgain(agent: usize): void {
  // mutant NO_RING_AGAIN: return;
  store32(agent + AGENT_DOORBELL, BELL_RUNG);
  notifyAll(agent + AGENT_DOORBELL);
}

/** Submitter: all outcomes that came, oldest first, chained by SLOT_LINK. */
export function takeCompletions(lane: usize): usize {
  if (load32(lane + LANE_COMPLETED) == 0) return 0;
  let slot: usize = exchange32(lane + LANE_COMPLETED, 0);
  let reversed: usize = 0;
  while (slot != 0) {
    const next: usize = load<u32>(slot + SLOT_LINK); // plain: published by the push
    store<u32>(slot + SLOT_LINK, reversed as u32);
    reversed = slot;
    slot = next;
  }
  // mutant TAKE_CLEARS_LATE: store32(lane + LANE_COMPLETED, 0);
  return reversed;
}

/** Submitter: says that it will wait on the bell. It must look at its stacks after this. */
export function armDoorbell(agent: usize): void {
  store32(agent + AGENT_DOORBELL, BELL_ARMED);
}

/** Submitter: back to polling. */
export function quietDoorbell(agent: usize): void {
  store32(agent + AGENT_DOORBELL, BELL_QUIET);
}
