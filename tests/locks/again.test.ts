// The same owners, again and again: each deadlock is one of its own.
import { expect, it } from 'vitest';
import { openRuntime } from '../pool/harness.ts';

it.each([2, 3, 5])('%i owners that deadlock a hundred times are told a hundred times', async (size) => {
  const rt = await openRuntime();
  const owners = Array.from({ length: size }, (_, i) => rt.createOwner(`owner ${i}`));
  const locks = owners.map((_, i) => rt.mutex(`lock ${i}`, { checks: { order: 'off' } }));
  for (let round = 0; round < 100; round++) {
    for (const [i, owner] of owners.entries()) expect(locks[i]!.lockSync({ owner })).toBe(true);
    const waits = owners.slice(0, -1).map((owner, i) => locks[i + 1]!.lock({ owner }));
    const last = owners.at(-1)!;
    // The last one closes the ring, and gives up.
    const told = await Promise.race([
      locks[0]!.lock({ owner: last }).catch(({ code }) => code),
      new Promise((resolve) => setTimeout(resolve, 5000, 'nothing')),
    ]);
    expect(told, `round ${round}`).toBe('ERR_DEADLOCK');
    locks.at(-1)!.unlock({ owner: last });
    for (let i = size - 2; i >= 0; i--) {
      expect(await waits[i]).toBe(true);
      locks[i + 1]!.unlock({ owner: owners[i]! });
      locks[i]!.unlock({ owner: owners[i]! });
    }
  }
});
