import { ContextMutex } from '../../ts/locks/context-mutex.ts';
import type { LockOwner } from '../../ts/locks/owners.ts';
import { DeadlockResolver } from '../../ts/locks/resolver.ts';
import { LockSpace } from '../../ts/locks/space.ts';
import { openKernel } from '../kernel/harness.ts';
import { joinLocker, readyLocks } from '../kernel/locks.ts';

/** Locks as the main thread of a browser's page has them: it must not block, and no store follows its async code. */
export async function openPage(): Promise<{ mutex(name: string): ContextMutex; owner(): LockOwner }> {
  const kernel = await openKernel();
  readyLocks(kernel);
  const space = new LockSpace(
    {
      kernel,
      agent: joinLocker(kernel).agent,
      clock: { now: () => performance.now() },
      newStore: () => undefined,
      keepAlive: { ref: () => undefined, unref: () => undefined },
      timer: (callback, ms) => {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      },
      mayBlock: false,
      maySpin: true,
      label: 'the page',
      taskName: () => undefined,
      taskSignal: () => undefined,
      isTaskCancelled: () => false,
      report: () => undefined,
      watch: () => false,
    },
    new DeadlockResolver(kernel, true),
  );
  return {
    mutex: (name) => new ContextMutex(space.open(name, {}), {}),
    owner: () => space.owners.explicit(),
  };
}
