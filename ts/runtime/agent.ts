import { KIND_SUBMITTER } from '../../build/generated/layout.ts';
import type { Clock } from '../clock.ts';
import { createPacker, createUnpacker } from '../codec/pack.ts';
import { SlotCodec } from '../codec/slot-values.ts';
import { HeddleError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { SlotTable } from '../kernel/slot-table.ts';
import type { LockMessage } from '../locks/messages.ts';
import type { LockSpace } from '../locks/space.ts';
import type { Platform } from '../platform/port.ts';
import type { ResourceBudget } from '../policy/resource-budget.ts';
import type { SystemsProvider } from '../systems/provider.ts';
import { Pump } from './pump.ts';

/** A submitting thread's part in the runtime: its record, its slots, its way of getting outcomes. */
export interface Agent {
  readonly kernel: Kernel;
  readonly platform: Platform;
  /** What is known of the machine and the container, and who is told of failures. */
  readonly systems: SystemsProvider;
  readonly clock: Clock;
  /** Address of the agent's record. */
  readonly address: number;
  readonly slots: SlotTable;
  readonly codec: SlotCodec;
  readonly pump: Pump;
  /** The locks of this thread; takes also what workers tell about theirs. Set by the runtime. */
  locks: AgentLocks | undefined;
  /** What the runtime may use, where that is limited. Set by the runtime. */
  budget: ResourceBudget | undefined;
}

/** What pools need of locks. */
export interface AgentLocks {
  readonly space: LockSpace;
  /** Address of the owner that calls, if it holds a lock; else 0. */
  holder(): number;
  receive(message: LockMessage): void;
}

/**
 * Makes the calling thread an agent that submits.
 *
 * @throws {HeddleError} ERR_RESOURCE_LIMIT when 255 threads take part already.
 */
export function createAgent(
  kernel: Kernel,
  platform: Platform,
  systems: SystemsProvider,
  clock: Clock,
): Agent {
  const address = kernel.calls.claimAgent(KIND_SUBMITTER, 0);
  if (address === 0) {
    throw new HeddleError(
      'ERR_RESOURCE_LIMIT',
      'cannot join the runtime: 255 threads take part in it already',
    );
  }
  const codec = new SlotCodec(kernel, address, createPacker(kernel.memory), createUnpacker(kernel.memory));
  return {
    kernel,
    platform,
    systems,
    clock,
    address,
    slots: new SlotTable(kernel, address),
    codec,
    pump: new Pump(kernel, address, platform, clock),
    locks: undefined,
    budget: undefined,
  };
}
