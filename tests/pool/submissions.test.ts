// The submitting side of a pool, with a worker that is played by the test: it takes and concludes tasks exactly when the test wants it to.

import { expect, it } from 'vitest';
import { OWNER_SHARED, SLOT_DONE, SLOT_TAGS, TAG_PORT } from '../../build/generated/layout.ts';
import { createClock } from '../../ts/clock.ts';
import { turnOf } from '../../ts/kernel/kernel.ts';
import { nodePlatform } from '../../ts/platform/node.ts';
import { PortValues } from '../../ts/pool/port-values.ts';
import { RetryPolicy } from '../../ts/pool/retry.ts';
import { SignalHub } from '../../ts/pool/signals.ts';
import { closedError, Submissions } from '../../ts/pool/submissions.ts';
import { createAgent } from '../../ts/runtime/agent.ts';
import { StaticSystems } from '../../ts/systems/systems.static.ts';
import { joinWorker, MIB, openKernel, setWord } from '../kernel/harness.ts';
import { outcome } from './harness.ts';

/** Submissions, and a worker whose values by port arrive when `deliver` is called: a port that cannot be polled, as those of browsers. */
async function openSubmissions(bytes?: number) {
  const kernel = await openKernel(bytes);
  const pool = kernel.calls.openPool(1);
  const agent = createAgent(
    kernel,
    nodePlatform,
    new StaticSystems(),
    createClock(nodePlatform.clockOffset(), 0),
  );
  const lane = kernel.calls.joinAsSubmitter(agent.address, pool);
  const worker = joinWorker(kernel, pool, 0);
  const portValues = new PortValues(
    (slot) => turnOf(kernel, slot),
    () => undefined,
  );
  let receive: (message: unknown) => void = () => undefined;
  portValues.attach(worker.id, {
    post: () => undefined,
    listen: (listener) => {
      receive = listener;
    },
    poll: () => undefined,
    close: () => undefined,
  });
  const submissions = new Submissions({
    agent,
    pool,
    lane,
    poolName: 'pool',
    taskNames: ['task'],
    errorTypes: new Map(),
    portValues,
    retry: new RetryPolicy(undefined),
    signals: new SignalHub(),
    submitStacks: 'never',
    defaultClass: 0,
    abortGraceMs: undefined,
    terminateWorker: () => undefined,
    runsShortTasks: () => false,
    onSettled: () => undefined,
    onQueuedLate: () => undefined,
    assertManned: () => undefined,
    exitOf: () => undefined,
    isEnding: () => false,
  });
  return {
    submissions,
    /** Entries in the queue. */
    queued: () => kernel.calls.queueDepth(pool),
    /** Others take all memory that is left. */
    fillMemory(): void {
      while (kernel.calls.claimSpans(1, OWNER_SHARED) !== 0);
    },
    /** The worker runs the next task: it returns its argument. False when there is none. */
    conclude(): boolean {
      const slot = kernel.calls.take(worker.agent);
      if (slot !== 0) kernel.calls.finish(slot, SLOT_DONE);
      return slot !== 0;
    },
    /** The worker runs the next task, and posts its result. */
    concludeByPort(): number {
      const slot = kernel.calls.take(worker.agent);
      setWord(kernel, slot + SLOT_TAGS, TAG_PORT);
      kernel.calls.finish(slot, SLOT_DONE);
      return slot;
    },
    deliver: (slot: number, value: unknown, turn = turnOf(kernel, slot)) =>
      receive({ kind: 'value', slot, turn, value }),
    /** The worker's thread ends. */
    lose(): void {
      portValues.detach(worker.id, (slot) => submissions.claimantOf(slot) === worker.id);
    },
  };
}

it('a result by port settles its call when it is here', async () => {
  const { submissions, concludeByPort, deliver } = await openSubmissions();
  const calls = [submissions.run(0, []), submissions.runWith(0, [], {}, false)];
  const slots = [concludeByPort(), concludeByPort()];
  submissions.drain();
  expect(submissions).toMatchObject({ outstanding: 2, out: 2 });
  for (const slot of slots) deliver(slot, `value of ${slot}`);
  expect(await Promise.all(calls)).toEqual(slots.map((slot) => `value of ${slot}`));
  expect(submissions.counts).toMatchObject({ submitted: 2, completed: 2, failed: 0 });
  expect(submissions).toMatchObject({ outstanding: 0, out: 0 });
});

it('a result by port that comes when its slot stands for another call reaches nobody', async () => {
  const { submissions, concludeByPort, deliver } = await openSubmissions();
  const call = submissions.run(0, []);
  const slot = concludeByPort();
  submissions.drain();
  deliver(slot, 'stale', 0);
  expect(submissions).toMatchObject({ outstanding: 1, out: 1 });
  deliver(slot, 'right');
  expect(await call).toBe('right');
});

it('a call that is cancelled while its result is on its way counts once, as failed', async () => {
  const { submissions, concludeByPort, deliver } = await openSubmissions();
  const abort = new AbortController();
  const call = outcome(submissions.runWith(0, [], { signal: abort.signal }, false));
  const slot = concludeByPort();
  submissions.drain();
  abort.abort();
  expect(await call).toMatchObject({ ok: false, error: { code: 'ERR_TASK_ABORTED' } });
  deliver(slot, 'too late');
  expect(submissions.counts).toEqual({ submitted: 1, completed: 0, failed: 1, cancelled: 1 });
  expect(submissions).toMatchObject({ outstanding: 0, out: 0 });
});

it.each(['its result comes late', 'its worker goes'])(
  'a call whose pool closes while its result is on its way is settled once: %s',
  async (end) => {
    const { submissions, concludeByPort, deliver, lose } = await openSubmissions();
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    try {
      const calls = [submissions.run(0, []), submissions.runWith(0, [], {}, false)].map(outcome);
      const slots = [concludeByPort(), concludeByPort()];
      submissions.drain();
      submissions.rejectAll(() => closedError('pool'));
      for (const result of await Promise.all(calls))
        expect(result).toMatchObject({ ok: false, error: { code: 'ERR_POOL_CLOSED' } });
      if (end === 'its worker goes') lose();
      else for (const slot of slots) deliver(slot, 'too late');
      expect(submissions.counts).toMatchObject({ submitted: 2, completed: 0, failed: 2 });
      expect(submissions).toMatchObject({ outstanding: 0, out: 0 });
      // A rejection is reported when the microtasks of its turn have run.
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', onUnhandled);
    }
  },
);

it('calls whose queue cannot grow wait, and are queued in order as others end', async () => {
  const { submissions, queued, fillMemory, conclude } = await openSubmissions(4 * MIB);
  const calls = [submissions.run(0, [0])];
  fillMemory();
  while (queued() === calls.length && calls.length < 1000) calls.push(submissions.run(0, [calls.length]));
  const full = queued();
  expect(full).toBe(calls.length - 1);
  for (let i = 0; i < 20; i++) calls.push(submissions.run(0, [calls.length]));
  const abort = new AbortController();
  const cancelled = outcome(submissions.runWith(0, ['cancelled'], { signal: abort.signal }, false));
  calls.push(submissions.run(0, [calls.length]));
  abort.abort();
  expect(await cancelled).toMatchObject({ ok: false, error: { code: 'ERR_TASK_ABORTED' } });
  expect(queued()).toBe(full);
  expect(submissions).toMatchObject({ outstanding: full + 22, out: full + 23 });
  // Each that ends makes room for one.
  for (let i = 0; i < 5; i++) {
    expect(conclude()).toBe(true);
    submissions.drain();
    expect(queued()).toBe(full);
  }
  while (conclude()) submissions.drain();
  expect(await Promise.all(calls)).toEqual(calls.map((_, i) => i));
  expect(submissions).toMatchObject({ outstanding: 0, out: 0 });
  expect(submissions.counts).toMatchObject({ completed: calls.length, failed: 1, cancelled: 1 });
});
