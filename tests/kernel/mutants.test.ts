import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { play, programs, shops } from './programs.ts';
import { Violation } from './shop.ts';
import { openStepped } from './stepped.ts';

// The simulation of recovery.test.ts and parking.test.ts must be able to fail: here the kernel is wrong in one place, and it must say so.

/** What is made wrong, in which function, and whether it shows only when workers die. */
const MUTANTS: readonly { wrong: string; name: string; body: string; deaths: boolean }[] = [
  {
    wrong: 'the last entry is popped without a CAS',
    name: 'deque/popLast',
    body: '(return (local.get $slot))',
    deaths: false,
  },
  {
    wrong: 'no second look before parking',
    name: 'queued/anyQueued',
    body: '(return (i32.const 0))',
    deaths: false,
  },
  { wrong: 'a submission wakes nobody', name: 'parking/wakeSlow', body: '(return)', deaths: false },
  { wrong: 'a fork wakes nobody', name: 'parking/wakeForForkSlow', body: '(return)', deaths: false },
  {
    wrong: 'the last searcher does not wake the next',
    name: 'parking/endSearch',
    body: '(return (i32.const 0))',
    deaths: false,
  },
  {
    wrong: 'a woken worker stays in the idle set',
    name: 'parking/leaveIdle',
    body: '(return)',
    deaths: false,
  },
  {
    wrong: 'a concluded fork wakes no joiner',
    name: 'parking/unparkIfParked',
    body: '(return)',
    deaths: false,
  },
  { wrong: 'a pop cut short is not repaired', name: 'deque/repair', body: '(return)', deaths: true },
  {
    wrong: 'cells beyond the bottom are not looked at',
    name: 'deque/beyond',
    body: '(return (i32.const 0))',
    deaths: true,
  },
  {
    wrong: 'what was taken and not claimed is not queued again',
    name: 'recovery/rescueEntry',
    body: '(return)',
    deaths: true,
  },
  {
    wrong: 'a fork of a dead thief is not given back',
    name: 'slots/markLost',
    body: '(return)',
    deaths: true,
  },
  {
    wrong: 'tasks of the dead are not concluded',
    name: 'recovery/concludeClaimedBy',
    body: '(return)',
    deaths: true,
  },
  { wrong: 'nobody is told of a death', name: 'parking/wakeAll', body: '(return)', deaths: true },
  {
    wrong: 'a drop does not name who sends it home',
    name: 'slots/concludeCancelled',
    body: '(local.set $agentId (i32.const 0))',
    deaths: true,
  },
  { wrong: 'spans of slots are not given on', name: 'slots/freeSlotSpan', body: '(return)', deaths: true },
];

describe('a kernel in which', () => {
  it.each(MUTANTS)('$wrong is found out', ({ name, body, deaths }) => {
    const stepped = openStepped({ mutant: { name, body } });
    const outcome = fc.check(
      fc.property(shops, programs(deaths), (options, program) => play(stepped, options, program)),
      { numRuns: 8000, endOnFailure: true },
    );
    expect(outcome.failed).toBe(true);
    expect(outcome.errorInstance).toBeInstanceOf(Violation);
  });
});
