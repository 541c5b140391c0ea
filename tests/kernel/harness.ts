import {
  AGENT_SIZE,
  AGENTS,
  CLASSES,
  COUNTER_COMPLETED,
  DEQUE_BOTTOM,
  DEQUE_TOP,
  DEQUE_TOP_SEEN,
  KIND_SUBMITTER,
  KIND_WORKER,
  META_CLASS_SHIFT,
  META_FORK_BIT,
  SLOT_CANCEL,
  SLOT_LINK,
  SLOT_META,
  SLOT_OWNER,
  SLOT_VALUES,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { compileKernel, createMemory, initialiseMemory, instantiateKernel } from '../../ts/kernel/kernel.ts';
import { SlotTable } from '../../ts/kernel/slot-table.ts';

export const MIB: number = 2 ** 20;

/** The release kernel over fresh memory. */
export async function openKernel(bytes: number = 8 * MIB): Promise<Kernel> {
  const kernel = instantiateKernel(await compileKernel(), createMemory(bytes));
  initialiseMemory(kernel);
  return kernel;
}

/** One thread's part in a pool. All agents of a test act in one JavaScript thread. */
export interface Actor {
  readonly agent: number;
  readonly id: number;
  readonly lane: number;
  readonly slots: SlotTable;
}

export function joinSubmitter(kernel: Kernel, pool: number): Actor {
  const agent = kernel.calls.claimAgent(KIND_SUBMITTER, 0);
  const lane = kernel.calls.joinAsSubmitter(agent, pool);
  if (agent === 0 || lane === 0) throw new Error('no room for a submitter');
  return { agent, id: agentId(agent), lane, slots: new SlotTable(kernel, agent) };
}

export function joinWorker(kernel: Kernel, pool: number, index: number, node = 0): Actor {
  const agent = kernel.calls.claimAgent(KIND_WORKER, node);
  const lane = kernel.calls.joinAsWorker(agent, pool, index);
  if (agent === 0 || lane === 0) throw new Error('no room for a worker');
  return { agent, id: agentId(agent), lane, slots: new SlotTable(kernel, agent) };
}

export function agentId(agent: number): number {
  // Agents stand one after another, from id 0.
  return (agent - AGENTS) / AGENT_SIZE;
}

/** Word at an address, unsigned. */
export function word(kernel: Kernel, address: number): number {
  return kernel.u32[address >>> 2]!;
}

export function setWord(kernel: Kernel, address: number, value: number): void {
  kernel.u32[address >>> 2] = value;
}

/** Writes a task into a slot, as a submitter does before it queues it. */
export function fillSlot(
  kernel: Kernel,
  slot: number,
  lane: number,
  value: number,
  options: { qosClass?: number; fork?: boolean; parent?: number; meta?: number } = {},
): void {
  setWord(kernel, slot + SLOT_OWNER, lane);
  setWord(kernel, slot + SLOT_CANCEL, 0);
  if (options.parent !== undefined) setWord(kernel, slot + SLOT_LINK, options.parent);
  const meta = ((options.qosClass ?? 0) << META_CLASS_SHIFT) | (options.fork ? META_FORK_BIT : 0);
  setWord(kernel, slot + SLOT_META, meta | (options.meta ?? 0));
  kernel.f64[(slot + SLOT_VALUES) >>> 3] = value;
}

/** What fillSlot() wrote. */
export function valueIn(kernel: Kernel, slot: number): number {
  return kernel.f64[(slot + SLOT_VALUES) >>> 3]!;
}

/** Moves the indices of empty deques of a lane, so that they wrap soon. */
export function setIndices(kernel: Kernel, lane: number, index: number, nodes = 1): void {
  for (let d = 0; d < CLASSES * nodes; d++) {
    const deque = kernel.calls.dequeOf(lane, d % CLASSES, Math.floor(d / CLASSES));
    for (const field of [DEQUE_TOP, DEQUE_BOTTOM, DEQUE_TOP_SEEN]) setWord(kernel, deque + field, index);
  }
}

/** The chain that takeCompletions() returned, as an array. */
export function chain(kernel: Kernel, first: number): number[] {
  const slots: number[] = [];
  for (let slot = first; slot !== 0; slot = kernel.i32[(slot + SLOT_LINK) >>> 2]!) slots.push(slot);
  return slots;
}

export function counter(kernel: Kernel, agent: number, which: number = COUNTER_COMPLETED): number {
  return kernel.f64[(agent + which) >>> 3]!;
}
