import { describe, expect, it } from 'vitest';
import {
  HEADER_LOCK_NAMES,
  LOCK_ABANDONED,
  LOCK_BUSY,
  LOCK_CLOSED,
  LOCK_FLAG_CLASS,
  LOCK_FLAG_REENTRANT,
  LOCK_HANDOFF,
  LOCK_ID,
  LOCK_NOT_OWNER,
  LOCK_OWN,
  LOCK_RELEASED,
  LOCK_TAKEN,
  LOCK_WORD,
  LOCKS_BUSY,
  LOCKS_FULL,
  WORD_ABANDONED,
  WORD_CONTENDED,
  WORD_HANDOFF,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { openKernel, word } from './harness.ts';
import { close, heldBy, holderOf, joinLocker, type LockThread, open, readyLocks, usersOf } from './locks.ts';
import { openStepped, type SteppedKernel } from './stepped.ts';

let made: SteppedKernel | undefined;
/** One for all tests: making it takes seconds. */
const theStepped = (): SteppedKernel => (made ??= openStepped());

/** Xorshift32 (G. Marsaglia, 2003). */
function randomOf(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

describe('the table of locks', () => {
  it('finds by name what it made, against a map', async () => {
    const kernel = await openKernel();
    readyLocks(kernel, 500);
    const { agent } = joinLocker(kernel);
    const random = randomOf(7);
    const known = new Map<string, number>();
    for (let i = 0; i < 5000; i++) {
      const name = `n${random(400)}`.padEnd(1 + random(60), 'x');
      const kind = random(2) * LOCK_FLAG_CLASS;
      const lock = open(kernel, agent, name, { flags: kind });
      const key = `${kind} ${name}`;
      if (known.size === 500 && !known.has(key)) {
        expect(lock).toBe(LOCKS_FULL);
        continue;
      }
      expect(lock).toBe(known.get(key) ?? lock);
      known.set(key, lock);
    }
    expect(known.size).toBe(500);
    const ids = [...known.values()].map((lock) => word(kernel, lock + LOCK_ID)).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
    for (const lock of known.values())
      expect(kernel.calls.lockAt(word(kernel, lock + LOCK_ID)) >>> 0).toBe(lock);
  });

  it('two threads that open a name at once get one lock; none is found half made', () => {
    const stepped = theStepped();
    let preempted = 0;
    for (let step = 1; ; step++) {
      stepped.reset();
      const { kernel } = stepped;
      readyLocks(kernel);
      const a = joinLocker(kernel);
      const b = joinLocker(kernel);
      open(kernel, a.agent, 'before');
      let inner = 0;
      const outer = stepped.run(() => open(kernel, a.agent, 'both'), {
        step,
        act: () => {
          inner = open(kernel, b.agent, 'both');
          const other = open(kernel, b.agent, 'other');
          // Who stands at the gate is asked to go on first.
          expect(other === LOCKS_BUSY || other !== inner).toBe(true);
        },
      });
      if (inner === 0) break;
      if (inner === LOCKS_BUSY) inner = open(kernel, b.agent, 'both');
      else preempted++;
      expect(outer).toBe(inner);
      expect(open(kernel, b.agent, 'other')).not.toBe(inner);
      expect([kernel.calls.lockCount(), usersOf(kernel, outer)]).toEqual([3, 2]);
    }
    expect(preempted).toBeGreaterThan(5);
  });

  it("a lock that nobody has open goes; its number and the bytes of its name are the next one's", async () => {
    const kernel = await openKernel();
    readyLocks(kernel, 4);
    const a = joinLocker(kernel);
    const b = joinLocker(kernel);
    const kept = open(kernel, a.agent, 'kept');
    open(kernel, b.agent, 'kept');
    const before = { spans: kernel.calls.usedSpans(), names: word(kernel, HEADER_LOCK_NAMES) };
    for (let i = 0; i < 10_000; i++) {
      const lock = open(kernel, a.agent, `request ${i}`);
      expect(open(kernel, b.agent, `request ${i}`)).toBe(lock);
      expect([close(kernel, a.agent, lock), close(kernel, b.agent, lock)]).toEqual([false, true]);
    }
    expect(kernel.calls.lockCount()).toBe(2);
    expect(word(kernel, HEADER_LOCK_NAMES) - before.names).toBeLessThan(3 * 16 + 1);
    expect(kernel.calls.usedSpans()).toBe(before.spans);
    expect(open(kernel, b.agent, 'kept')).toBe(kept);
    expect(open(kernel, b.agent, 'request 9999')).not.toBe(kept);
  });

  it('a lock that is held or abandoned stays, whoever closes it', async () => {
    const kernel = await openKernel();
    readyLocks(kernel);
    const a = joinLocker(kernel);
    const lock = open(kernel, a.agent, 'held');
    const owner = a.owner();
    kernel.calls.tryLock(lock, owner);
    expect(close(kernel, a.agent, lock)).toBe(false);
    kernel.calls.abandonHeld(owner);
    expect(open(kernel, a.agent, 'held')).toBe(lock);
    expect(close(kernel, a.agent, lock)).toBe(false);
    expect(kernel.calls.tryLock(lock, owner)).toBe(LOCK_ABANDONED);
    kernel.calls.takeAbandoned(lock, owner);
    kernel.calls.unlock(lock, owner);
    open(kernel, a.agent, 'held');
    expect(close(kernel, a.agent, lock)).toBe(true);
  });

  it('opening and closing one name at once: one lock or the next one, never a lock that is gone', () => {
    const stepped = theStepped();
    let preempted = 0;
    for (const outerOpens of [true, false]) {
      for (let step = 1; ; step++) {
        stepped.reset();
        const { kernel } = stepped;
        readyLocks(kernel);
        const a = joinLocker(kernel);
        const b = joinLocker(kernel);
        const first = open(kernel, a.agent, 'name');
        let inner: number | boolean | undefined;
        const doOpen = (): number => open(kernel, b.agent, 'name');
        const doClose = (): boolean => close(kernel, a.agent, first);
        let outer: number | boolean = stepped.run<number | boolean>(outerOpens ? doOpen : doClose, {
          step,
          act: () => {
            inner = outerOpens ? doClose() : doOpen();
          },
        });
        if (inner === undefined) break;
        preempted++;
        if (inner === LOCKS_BUSY) inner = doOpen();
        if (outer === LOCKS_BUSY) outer = doOpen();
        if (kernel.calls.sweepLock(a.agent, first) === 1) kernel.calls.reuseLock(a.agent, first);
        const opened = outerOpens ? outer : inner;
        expect(usersOf(kernel, opened as number)).toBe(1);
        expect(open(kernel, a.agent, 'name')).toBe(opened);
      }
    }
    expect(preempted).toBeGreaterThan(20);
  });

  it('a thread that dies in the middle of a change of the table leaves a table that works', () => {
    const stepped = theStepped();
    let deaths = 0;
    for (let step = 1; ; step++) {
      stepped.reset();
      const { kernel } = stepped;
      readyLocks(kernel);
      const a = joinLocker(kernel);
      const b = joinLocker(kernel);
      const first = open(kernel, a.agent, 'first');
      const other = open(kernel, b.agent, 'other');
      const isDead = stepped.kill(step, () => {
        close(kernel, a.agent, first);
        open(kernel, a.agent, 'second');
      });
      if (!isDead) break;
      deaths++;
      kernel.calls.recover(a.agent, 0);
      expect(open(kernel, b.agent, 'other')).toBe(other);
      const found = ['first', 'second', 'third'].map((name) => open(kernel, b.agent, name));
      expect(new Set([other, ...found]).size).toBe(4);
      for (const lock of found) expect(lock).toBeGreaterThan(LOCKS_BUSY);
    }
    expect(deaths).toBeGreaterThan(20);
  });
});

describe('one lock', () => {
  it('does what a naive mutex does, with deaths', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const kernel = await openKernel(4 * 2 ** 20);
      readyLocks(kernel);
      const random = randomOf(seed * 7919);
      let threads = [joinLocker(kernel), joinLocker(kernel), joinLocker(kernel)];
      const owners = threads.flatMap((thread) => [thread.owner(), thread.owner()]);
      const locks = Array.from({ length: 4 }, (_, i) =>
        open(kernel, threads[0]!.agent, `l${i}`, { flags: i === 3 ? LOCK_FLAG_REENTRANT : 0 }),
      );
      /** What each lock is in the model. */
      const model = locks.map(() => ({ owner: -1, depth: 0, abandoned: false }));
      for (let i = 0; i < 400; i++) {
        const o = random(owners.length);
        const l = random(locks.length);
        const is = model[l]!;
        const owner = owners[o]!;
        const lock = locks[l]!;
        const what = random(20);
        if (what < 11) {
          const recover = random(2) === 1;
          const answer = recover
            ? kernel.calls.takeAbandoned(lock, owner)
            : kernel.calls.tryLock(lock, owner);
          if (is.owner === o && l === 3) {
            is.depth++;
            expect(answer).toBe(LOCK_TAKEN);
          } else if (is.owner === o) expect(answer).toBe(LOCK_OWN);
          else if (is.owner >= 0) expect(answer).toBe(LOCK_BUSY);
          else if (is.abandoned && !recover) expect(answer).toBe(LOCK_ABANDONED);
          else {
            expect(answer).toBe(LOCK_TAKEN);
            is.owner = o;
            is.depth = 1;
          }
        } else if (what < 18) {
          const answer = kernel.calls.unlock(lock, owner);
          expect(answer).toBe(is.owner === o ? LOCK_RELEASED : LOCK_NOT_OWNER);
          if (is.owner === o && --is.depth === 0) {
            is.owner = -1;
            is.abandoned = false;
          }
        } else if (what === 18) {
          const held = model.filter((each) => each.owner === o);
          expect(kernel.calls.abandonHeld(owner)).toBe(held.length);
          for (const each of held) Object.assign(each, { owner: -1, depth: 0, abandoned: true });
        } else {
          const t = o >> 1;
          const held = model.filter((each) => each.owner >> 1 === t);
          expect(kernel.calls.recoverLocks(threads[t]!.agent)).toBe(held.length);
          for (const each of held) Object.assign(each, { owner: -1, depth: 0, abandoned: true });
          kernel.calls.reap(threads[t]!.agent);
          const next = joinLocker(kernel);
          threads = threads.map((thread, j) => (j === t ? next : thread));
          owners[2 * t] = next.owner();
          owners[2 * t + 1] = next.owner();
        }
        const now = locks.map((each) => [
          holderOf(kernel, each),
          (word(kernel, each + LOCK_WORD) & WORD_ABANDONED) !== 0,
        ]);
        expect(now).toEqual(model.map((each) => [each.owner < 0 ? 0 : owners[each.owner], each.abandoned]));
        const lists = owners.map((each) => heldBy(kernel, each).sort());
        expect(lists).toEqual(owners.map((_, j) => locks.filter((_, k) => model[k]!.owner === j).sort()));
      }
    }
  });

  it('is closed to nobody: an owner of address 0', async () => {
    const kernel = await openKernel();
    readyLocks(kernel);
    const { agent } = joinLocker(kernel);
    const lock = open(kernel, agent, 'a');
    expect(kernel.calls.tryLock(lock, 0)).toBe(LOCK_CLOSED);
    expect(kernel.calls.prepareWait(lock, 0)).toBe(LOCK_CLOSED);
    expect(kernel.calls.unlock(lock, 0)).toBe(LOCK_NOT_OWNER);
    expect(word(kernel, lock)).toBe(0);
  });

  it('is kept for the waiter that asked for it, and for nobody else', async () => {
    const kernel = await openKernel();
    readyLocks(kernel);
    const { calls } = kernel;
    const [a, b, c] = [joinLocker(kernel), joinLocker(kernel), joinLocker(kernel)].map((thread) =>
      thread.owner(),
    ) as [number, number, number];
    const lock = open(kernel, joinLocker(kernel).agent, 'a');
    calls.tryLock(lock, a);
    expect(calls.prepareWait(lock, b)).toBeGreaterThanOrEqual(0);
    calls.requestHandoff(lock, b);
    calls.requestHandoff(lock, c);
    calls.unlock(lock, a);
    expect(holderOf(kernel, lock)).toBe(0);
    expect(calls.tryLock(lock, a)).toBe(LOCK_BUSY);
    expect(calls.tryLock(lock, c)).toBe(LOCK_BUSY);
    expect(calls.prepareWait(lock, b)).toBe(LOCK_TAKEN);
    expect(word(kernel, lock + LOCK_WORD) & WORD_HANDOFF).toBe(0);
    // Given up: anybody's again.
    calls.requestHandoff(lock, c);
    calls.leaveWait(lock, c);
    calls.unlock(lock, b);
    expect(word(kernel, lock + LOCK_HANDOFF)).toBe(0);
    expect(calls.tryLock(lock, a)).toBe(LOCK_TAKEN);
  });
});

/** A thread that sleeps on a lock's word, as waitAsync does; says whether it was woken. */
async function sleeper(
  kernel: Kernel,
  lock: number,
  expected: number,
): Promise<{ wasWoken(): Promise<boolean> }> {
  const wait = Atomics.waitAsync(kernel.i32, lock >>> 2, expected);
  let woken = !wait.async;
  if (wait.async) void wait.value.then(() => (woken = true));
  return {
    async wasWoken() {
      // What was notified before this is settled within a few turns.
      for (let i = 0; i < 50 && !woken; i++) await new Promise((resolve) => setImmediate(resolve));
      return woken;
    },
  };
}

interface Scene {
  readonly stepped: SteppedKernel;
  readonly kernel: Kernel;
  readonly dying: LockThread;
  /** The dying thread's owner, and that of one which lives. */
  readonly owner: number;
  readonly other: number;
  readonly lock: number;
  readonly second: number;
}

/** What a thread may be doing when it dies, with how the lock stands before. */
const DEATHS: Readonly<
  Record<
    string,
    {
      readonly before: (scene: Scene) => void;
      readonly act: (scene: Scene) => void;
      readonly waits?: boolean;
    }
  >
> = {
  'taking a free lock': {
    before: () => undefined,
    act: ({ kernel, lock, owner }) => kernel.calls.tryLock(lock, owner),
  },
  'taking a second lock': {
    before: ({ kernel, second, owner }) => kernel.calls.tryLock(second, owner),
    act: ({ kernel, lock, owner }) => kernel.calls.tryLock(lock, owner),
  },
  'giving a lock back': {
    before: ({ kernel, lock, second, owner }) => {
      kernel.calls.tryLock(lock, owner);
      kernel.calls.tryLock(second, owner);
    },
    act: ({ kernel, lock, owner }) => kernel.calls.unlock(lock, owner),
  },
  'giving back a lock that somebody waits for': {
    before: ({ kernel, lock, owner }) => kernel.calls.tryLock(lock, owner),
    act: ({ kernel, lock, owner }) => kernel.calls.unlock(lock, owner),
    waits: true,
  },
  'giving back a lock that is reserved': {
    before: ({ kernel, lock, owner, other }) => {
      kernel.calls.tryLock(lock, owner);
      kernel.calls.beginWait(other, lock, 0, 0);
      kernel.calls.requestHandoff(lock, other);
    },
    act: ({ kernel, lock, owner }) => kernel.calls.unlock(lock, owner),
    waits: true,
  },
  'waiting for a lock that is free': {
    before: ({ kernel, lock, owner }) => kernel.calls.beginWait(owner, lock, 0, 1),
    act: ({ kernel, lock, owner }) => kernel.calls.prepareWait(lock, owner),
    waits: true,
  },
  'taking a lock that was kept for it': {
    before: ({ kernel, lock, owner, other }) => {
      kernel.calls.tryLock(lock, other);
      kernel.calls.beginWait(owner, lock, 0, 1);
      kernel.calls.prepareWait(lock, owner);
      kernel.calls.requestHandoff(lock, owner);
      kernel.calls.unlock(lock, other);
    },
    act: ({ kernel, lock, owner }) => kernel.calls.prepareWait(lock, owner),
    waits: true,
  },
  'giving up a lock that was kept for it': {
    before: ({ kernel, lock, owner, other }) => {
      kernel.calls.tryLock(lock, other);
      kernel.calls.beginWait(owner, lock, 0, 1);
      kernel.calls.requestHandoff(lock, owner);
      kernel.calls.unlock(lock, other);
    },
    act: ({ kernel, lock, owner }) => {
      kernel.calls.leaveWait(lock, owner);
      kernel.calls.endWait(owner);
    },
    waits: true,
  },
  'taking an abandoned lock': {
    before: ({ kernel, lock, other }) => {
      kernel.calls.tryLock(lock, other);
      kernel.calls.abandonHeld(other);
    },
    act: ({ kernel, lock, owner }) => kernel.calls.takeAbandoned(lock, owner),
  },
  'leaving its locks at its end': {
    before: ({ kernel, lock, second, owner }) => {
      kernel.calls.tryLock(second, owner);
      kernel.calls.tryLock(lock, owner);
    },
    act: ({ kernel, owner }) => kernel.calls.abandonHeld(owner),
    waits: true,
  },
};

describe('a thread dies at any step of', () => {
  for (const [what, { before, act, waits }] of Object.entries(DEATHS)) {
    it(what, async () => {
      const stepped = theStepped();
      let deaths = 0;
      for (let step = 1; ; step++) {
        stepped.reset();
        const { kernel } = stepped;
        readyLocks(kernel);
        const dying = joinLocker(kernel);
        const living = joinLocker(kernel);
        const scene: Scene = {
          stepped,
          kernel,
          dying,
          owner: dying.owner(),
          other: living.owner(),
          lock: open(kernel, living.agent, 'lock'),
          second: open(kernel, living.agent, 'second'),
        };
        const { lock, second, other } = scene;
        before(scene);
        const contended = word(kernel, lock) | WORD_CONTENDED;
        if (waits) kernel.u32[lock >>> 2] = contended;
        const asleep = waits ? await sleeper(kernel, lock, contended) : undefined;
        const died = stepped.kill(step, () => act(scene));
        if (!died) break;
        deaths++;
        kernel.calls.recoverLocks(dying.agent);
        if (asleep !== undefined) expect([step, await asleep.wasWoken()]).toEqual([step, true]);
        for (const each of [lock, second]) {
          expect([step, kernel.calls.takeAbandoned(each, other)]).toEqual([step, LOCK_TAKEN]);
          expect(kernel.calls.unlock(each, other)).toBe(LOCK_RELEASED);
          expect(word(kernel, each + LOCK_HANDOFF)).toBe(0);
        }
        expect(kernel.calls.recoverLocks(dying.agent)).toBe(0);
        // Its records are used again, by whoever joins next.
        kernel.calls.reap(dying.agent);
        expect(kernel.calls.tryLock(lock, joinLocker(kernel).owner())).toBe(LOCK_TAKEN);
      }
      expect(deaths).toBeGreaterThan(3);
    });
  }
});

describe('a thread is preempted at any step of', () => {
  it('unlock, by one that begins to wait: it takes the lock, or is woken', async () => {
    const stepped = theStepped();
    let preempted = 0;
    for (let step = 1; ; step++) {
      stepped.reset();
      const { kernel } = stepped;
      readyLocks(kernel);
      const a = joinLocker(kernel);
      const owner = a.owner();
      const waiter = joinLocker(kernel).owner();
      const lock = open(kernel, a.agent, 'lock');
      kernel.calls.tryLock(lock, owner);
      let came = false;
      let asleep: { wasWoken(): Promise<boolean> } | undefined;
      let pending: Promise<void> | undefined;
      stepped.run(() => kernel.calls.unlock(lock, owner), {
        step,
        act: () => {
          came = true;
          const answer = kernel.calls.prepareWait(lock, waiter);
          if (answer >= 0) pending = sleeper(kernel, lock, answer).then((each) => void (asleep = each));
        },
      });
      if (!came) break;
      preempted++;
      await pending;
      if (asleep !== undefined) {
        expect([step, await asleep.wasWoken()]).toEqual([step, true]);
        expect(kernel.calls.prepareWait(lock, waiter)).toBe(LOCK_TAKEN);
      }
      expect(holderOf(kernel, lock)).toBe(waiter);
      expect(kernel.calls.unlock(lock, waiter)).toBe(LOCK_RELEASED);
    }
    expect(preempted).toBeGreaterThan(3);
  });

  it('going to sleep, by one that aborts its wait: it sees that, or does not sleep', async () => {
    const stepped = theStepped();
    let preempted = 0;
    for (let step = 1; ; step++) {
      stepped.reset();
      const { kernel } = stepped;
      readyLocks(kernel);
      const a = joinLocker(kernel);
      const holder = a.owner();
      const waiter = joinLocker(kernel).owner();
      const lock = open(kernel, a.agent, 'lock');
      kernel.calls.tryLock(lock, holder);
      const epoch = kernel.calls.beginWait(waiter, lock, 0, 1);
      let came = false;
      let answer = 0;
      let aborted = 0;
      stepped.run(
        () => {
          answer = kernel.calls.prepareWait(lock, waiter);
          aborted = kernel.calls.isAborted(waiter);
        },
        {
          step,
          act: () => {
            came = true;
            kernel.calls.abortWait(waiter, epoch);
          },
        },
      );
      if (!came) break;
      preempted++;
      // Either it saw the flag, or the word is another one than it would sleep on.
      expect([step, aborted === 1 || word(kernel, lock) !== answer >>> 0]).toEqual([step, true]);
      kernel.calls.endWait(waiter);
      // The next wait is not hit by what aborted this one.
      kernel.calls.beginWait(waiter, lock, 0, 1);
      expect(kernel.calls.isAborted(waiter)).toBe(0);
    }
    expect(preempted).toBeGreaterThan(1);
  });
});

describe('the tests of deaths can fail', () => {
  it('a kernel that forgets the pending lock loses it', () => {
    const stepped = openStepped({ mutant: { name: 'mutex/settlePending', body: '(return (i32.const 0))' } });
    let lost = 0;
    for (let step = 1; step < 40; step++) {
      stepped.reset();
      const { kernel } = stepped;
      readyLocks(kernel);
      const dying = joinLocker(kernel);
      const living = joinLocker(kernel);
      const [owner, other] = [dying.owner(), living.owner()];
      const lock = open(kernel, living.agent, 'lock');
      if (!stepped.kill(step, () => kernel.calls.tryLock(lock, owner))) break;
      kernel.calls.recoverLocks(dying.agent);
      if (kernel.calls.takeAbandoned(lock, other) !== LOCK_TAKEN) lost++;
    }
    expect(lost).toBeGreaterThan(0);
  });
});
