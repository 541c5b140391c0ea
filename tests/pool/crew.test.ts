// The crew of a pool with threads that are played by the test: they look for tasks and end exactly when the test wants it.

import { MessageChannel } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { expect, it } from 'vitest';
import {
  AGENT_DEAD,
  AGENT_HELD,
  AGENT_LANE,
  AGENT_STATE,
  AGENT_TICK,
  DEQUE_TOP,
  SLOT_QUEUED,
} from '../../build/generated/layout.ts';
import { createClock } from '../../ts/clock.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { SlotTable } from '../../ts/kernel/slot-table.ts';
import { nodePlatform } from '../../ts/platform/node.ts';
import type { Platform, WorkerEvents } from '../../ts/platform/port.ts';
import { Crew } from '../../ts/pool/crew.ts';
import { createAgent } from '../../ts/runtime/agent.ts';
import { StaticSystems } from '../../ts/systems/systems.static.ts';
import type { BootOptions } from '../../ts/worker/messages.ts';
import { fillSlot, openKernel, setWord, word } from '../kernel/harness.ts';
import { until } from './harness.ts';

interface Thread {
  readonly agent: number;
  end(): void;
}

/** A crew of two workers, over a kernel whose recovery may be interrupted at its start. */
async function openCrew(duringRecovery: (threads: readonly Thread[], kernel: Kernel) => void) {
  const real = await openKernel();
  const threads: Thread[] = [];
  const kernel: Kernel = {
    ...real,
    calls: {
      ...real.calls,
      recover: (agent: number, rescue: number) => {
        duringRecovery(threads, real);
        real.calls.recover(agent, rescue);
      },
    },
  };
  const startWorker = (_factory: unknown, _options: unknown, events: WorkerEvents) => {
    const { port1, port2 } = new MessageChannel();
    const boot = ({ agent }: BootOptions): unknown => {
      threads.push({
        agent,
        end: () => {
          port2.close();
          events.onExit(0, undefined);
        },
      });
      return { ok: true, names: ['task'] };
    };
    expose({ boot }, nodeEndpoint(port2));
    return {
      threadId: 1,
      endpoint: nodeEndpoint(port1),
      hasEnded: () => false,
      dropUnread: () => undefined,
      terminate: async () => undefined,
    };
  };
  const platform: Platform = { ...nodePlatform, startWorker };
  const agent = createAgent(
    kernel,
    platform,
    new StaticSystems(),
    createClock(nodePlatform.clockOffset(), 0),
  );
  const pool = kernel.calls.openPool(1);
  const crew = new Crew({
    agent,
    epoch: 0,
    pool,
    lane: kernel.calls.joinAsSubmitter(agent.address, pool),
    name: 'pool',
    options: {
      tasks: 'file:///tasks.mjs',
      minThreads: 2,
      maxThreads: 2,
      idleTimeout: Number.POSITIVE_INFINITY,
    },
    tasksUrl: 'file:///tasks.mjs',
    traceCapacity: 0,
    placement: undefined,
    attach: () => undefined,
    detach: () => undefined,
    sweep: () => undefined,
    learnTasks: () => undefined,
    onStart: () => undefined,
    onExit: () => undefined,
    onOutput: () => undefined,
    onSizeChanged: () => undefined,
    onStartFailure: () => undefined,
    onUnmanned: () => undefined,
    onPlaced: () => undefined,
    onPriorityRefused: () => undefined,
  });
  await crew.open();
  await until(() => crew.readyCount === 2);
  return { kernel, pool, crew, threads };
}

it('keeps the memory of the dead while a thief may hold what it took during the recovery', async () => {
  let stolen = 0;
  // The thief begins a new look and takes the oldest fork, and is preempted before it claims it.
  const steal = ([dead, thief]: readonly Thread[], { calls, u32 }: Kernel): void => {
    const deque = calls.dequeOf(u32[(dead!.agent + AGENT_LANE) >>> 2]!, 0, 0);
    u32[(thief!.agent + AGENT_TICK) >>> 2]!++;
    u32[(thief!.agent + AGENT_HELD) >>> 2] = stolen;
    u32[(deque + DEQUE_TOP) >>> 2]!++;
  };
  const { kernel, pool, crew, threads } = await openCrew(steal);
  const [dead, thief] = threads as [Thread, Thread];
  const slots = new SlotTable(kernel, dead.agent);
  const lane = word(kernel, dead.agent + AGENT_LANE);
  const forks = [slots.take(), slots.take(), slots.take()];
  for (const fork of forks) {
    fillSlot(kernel, fork, lane, 1, { fork: true });
    kernel.calls.fork(pool, kernel.calls.dequeOf(lane, 0, 0), fork);
  }
  stolen = forks[0]!;
  dead.end();
  expect(kernel.calls.statusOf(stolen)).toBe(SLOT_QUEUED);
  expect(word(kernel, dead.agent + AGENT_STATE)).toBe(AGENT_DEAD);
  // Its next look: now it holds nothing of the dead.
  setWord(kernel, thief.agent + AGENT_TICK, word(kernel, thief.agent + AGENT_TICK) + 1);
  await until(() => word(kernel, dead.agent + AGENT_STATE) !== AGENT_DEAD);
  await until(() => crew.readyCount === 2);
  const gone = crew.terminateAll();
  for (const thread of threads) if (thread !== dead) thread.end();
  await gone;
});
