// Policies are applied and undone in any order, while the program changes the same settings: what is in force is what a plain model says.

import fc from 'fast-check';
import type { HierarchyRule, LockPolicyCRD, NUMAPolicy, QoSLevel, RetryOptions } from 'heddle';
import { expect, it } from 'vitest';
import { PolicyBoard } from '../../ts/policy/board.ts';
import type { AppliedPolicy, SystemsHost } from '../../ts/systems/provider.ts';

/** A runtime with one pool, as far as policies see it. */
function machine() {
  const locks = {
    rules: [{ name: 'own', order: ['a', 'b'] }] as readonly HierarchyRule[],
    holdCeilingMs: 0,
    declareRules(rules: readonly HierarchyRule[]) {
      locks.rules = rules;
    },
  };
  const pool = {
    retry: { attempts: 2, backoffMs: 5 } as RetryOptions | undefined,
    qos: 'Burstable' as QoSLevel,
    qosChanges: 0,
    setConfig: ({ qos }: { qos: QoSLevel }) => {
      pool.qos = qos;
      pool.qosChanges++;
    },
    assertMovable: () => undefined,
    moves: [] as (NUMAPolicy | undefined)[],
    get affinity(): NUMAPolicy | undefined {
      return pool.moves.at(-1);
    },
    set affinity(affinity: NUMAPolicy | undefined) {
      pool.moves.push(affinity);
    },
  };
  const host = { locks, pools: () => [pool], onPoolOpened: () => () => undefined } as unknown as SystemsHost;
  return { locks, pool, host };
}

const policies: fc.Arbitrary<LockPolicyCRD> = fc.record(
  {
    qosClass: fc.constantFrom<QoSLevel>('Guaranteed', 'Burstable', 'BestEffort'),
    maxHoldTime: fc.constantFrom('1ms', '20ms', '1s'),
    retryPolicy: fc.record({ attempts: fc.integer({ min: 1, max: 9 }) }),
    rules: fc
      .array(fc.constantFrom('b', 'c', 'd'), { minLength: 1, maxLength: 2 })
      .map((names) => [...new Set(names)].map((name) => ({ name: `r${name}`, order: ['a', name] }))),
  },
  { requiredKeys: [] },
);

type Step = { readonly apply: LockPolicyCRD } | { readonly undo: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: policies.map((apply) => ({ apply })) },
    { weight: 3, arbitrary: fc.nat(9).map((undo) => ({ undo })) },
  ),
  { maxLength: 24 },
);

const MS = { '1ms': 1, '20ms': 20, '1s': 1000 } as const;

it('is the last that says something, and once all are undone exactly what was', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const { locks, pool, host } = machine();
      const own = structuredClone({ rules: locks.rules, retry: pool.retry, qos: pool.qos });
      const board = new PolicyBoard();
      board.attach(host);
      const living: { policy: LockPolicyCRD; applied: AppliedPolicy }[] = [];
      const last = <K extends keyof LockPolicyCRD>(field: K): LockPolicyCRD[K] | undefined =>
        living.findLast(({ policy }) => policy[field] !== undefined)?.policy[field];
      const check = (): void => {
        expect(pool.qos).toBe(last('qosClass') ?? own.qos);
        expect(pool.retry?.attempts).toBe(last('retryPolicy')?.attempts ?? own.retry?.attempts);
        const hold = last('maxHoldTime');
        expect(locks.holdCeilingMs).toBe(hold === undefined ? 0 : MS[hold as keyof typeof MS]);
        const rules = [...own.rules, ...living.flatMap(({ policy }) => policy.rules ?? [])];
        expect(new Set(locks.rules.map((rule) => JSON.stringify(rule)))).toEqual(
          new Set(rules.map((rule) => JSON.stringify(rule))),
        );
      };
      for (const step of list) {
        if ('apply' in step) living.push({ policy: step.apply, applied: board.apply(step.apply) });
        else if (living.length > 0) living.splice(step.undo % living.length, 1)[0]!.applied.undo();
        check();
      }
      for (const { applied } of living.splice(0)) applied.undo();
      expect({ rules: locks.rules, retry: pool.retry, qos: pool.qos }).toEqual(own);
      expect(locks.holdCeilingMs).toBe(0);
    }),
    { numRuns: 300 },
  );
});

it('leaves what the program sets meanwhile, until a policy is applied anew', () => {
  const { pool, host } = machine();
  const board = new PolicyBoard();
  board.attach(host);
  const first = board.apply({ qosClass: 'Guaranteed' });
  const second = board.apply({ qosClass: 'Burstable' });
  pool.setConfig({ qos: 'BestEffort' });
  second.undo();
  expect(pool.qos).toBe('BestEffort');
  const third = board.apply({ qosClass: 'Guaranteed' });
  expect(pool.qos).toBe('Guaranteed');
  third.undo();
  first.undo();
  expect(pool.qos).toBe('BestEffort');
});

it('takes back nothing that the program sets meanwhile, be it the same or not', () => {
  const levels = fc.constantFrom<QoSLevel>('Guaranteed', 'Burstable', 'BestEffort');
  const step = fc.oneof(
    levels.map((apply) => ({ apply })),
    levels.map((set) => ({ set })),
    fc.nat(9).map((undo) => ({ undo })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (list) => {
      const { pool, host } = machine();
      const board = new PolicyBoard();
      board.attach(host);
      let own: QoSLevel = pool.qos;
      const living: AppliedPolicy[] = [];
      for (const each of list) {
        if ('apply' in each) living.push(board.apply({ qosClass: each.apply }));
        else if ('set' in each) {
          own = each.set;
          pool.setConfig({ qos: own });
        } else if (living.length > 0) living.splice(each.undo % living.length, 1)[0]!.undo();
        if ('set' in each) expect(pool.qos).toBe(own);
        if ('apply' in each) expect(pool.qos).toBe(each.apply);
      }
      for (const applied of living) applied.undo();
      expect(pool.qos).toBe(own);
    }),
    { numRuns: 300 },
  );
});

it('moves pools when the affinity changes, and only then', () => {
  const { pool, host } = machine();
  const board = new PolicyBoard();
  board.attach(host);
  const near = board.apply({ numaAffinity: { preferredNodes: [1] } });
  const rules = board.apply({ rules: [{ name: 'r', order: ['a', 'b'] }] });
  const high = board.apply({ numaAffinity: { preferredNodes: [0] } });
  rules.undo();
  near.undo();
  high.undo();
  expect(pool.moves.map((affinity) => affinity?.preferredNodes)).toEqual([[1], [0], undefined]);
});

it('puts everything back when there is no room for the rules', () => {
  const { locks, pool, host } = machine();
  const board = new PolicyBoard();
  board.attach(host);
  const before = locks.rules;
  locks.declareRules = () => {
    throw new RangeError('no room');
  };
  expect(() => board.apply({ qosClass: 'Guaranteed', rules: [{ name: 'r', order: ['x', 'y'] }] })).toThrow(
    'no room',
  );
  expect([pool.qos, locks.rules, board.current.rules]).toEqual(['Burstable', before, []]);
});

it('a refused one leaves every setting, and what undoing comes back to, as if it had never come', () => {
  fc.assert(
    fc.property(policies, policies, fc.boolean(), (first, refused, setsMeanwhile) => {
      const [met, spared] = [true, false].map((meets) => {
        const { locks, pool, host } = machine();
        const look = (): unknown => structuredClone([locks.rules, locks.holdCeilingMs, pool.retry, pool.qos]);
        const board = new PolicyBoard();
        board.attach(host);
        const inForce = board.apply(first);
        if (setsMeanwhile) {
          pool.setConfig({ qos: 'BestEffort' });
          pool.retry = { attempts: 10 };
          locks.holdCeilingMs = 7;
        }
        // Fails when all else has been moved.
        Object.defineProperty(pool, 'affinity', {
          get: () => undefined,
          set() {
            throw new RangeError('nowhere');
          },
        });
        const nowhere = { ...refused, numaAffinity: { preferredNodes: [1] } };
        if (meets) expect(() => board.apply(nowhere)).toThrow('nowhere');
        const after = look();
        inForce.undo();
        return [after, look()];
      });
      expect(met).toEqual(spared);
    }),
    { numRuns: 100 },
  );
});
