import { LockPolicyValidator, type LockViolation, PolicyInvalidError, StaticSystems } from 'heddle';
import { describe, expect, it } from 'vitest';
import { openLockPool } from '../locks/harness.ts';
import { gateOf, openPool, openPoolOn, openRuntime, rejectionOf, thrownBy, until } from '../pool/harness.ts';

const transfers = { name: 'transfers', order: ['account', 'ledger'] };

describe('rules', () => {
  it('hold in workers and here, from the first time on, and no longer once undone', async () => {
    const rt = await openRuntime({ locks: { order: 'throw' } });
    const pool = await openLockPool(rt, 1);
    const applied = rt.applyLockPolicy({ rules: [transfers] });
    expect(await rejectionOf(pool.run('nest', [['ledger', 'account']]))).toMatchObject({
      code: 'ERR_LOCK_ORDER',
      fault: { kind: 'rule', rules: ['transfers'] },
    });
    const ledger = rt.mutex('ledger');
    expect(ledger.lockSync()).toBe(true);
    expect(thrownBy(() => rt.mutex('account').lockSync())).toMatchObject({ code: 'ERR_LOCK_ORDER' });
    ledger.unlock();
    applied.undo();
    expect(rt.locks.rules).toEqual([]);
    await pool.run('nest', [['ledger', 'account']]);
  });

  it('come on top of those of the program, and leave them as they were', async () => {
    const own = [{ name: 'own', order: ['a', 'b'] }];
    const rt = await openRuntime({ locks: { rules: own } });
    const applied = rt.applyLockPolicy({ rules: [transfers] });
    expect(rt.locks.rules).toEqual([...own, transfers]);
    applied.undo();
    expect(rt.locks.rules).toEqual(own);
  });

  it('that contradict those of the program are refused by name, and change nothing', async () => {
    const own = [{ name: 'own', order: ['ledger', 'account'] }];
    const rt = await openRuntime({ locks: { rules: own } });
    const error = thrownBy(() =>
      rt.applyLockPolicy({ maxHoldTime: '1s', rules: [transfers] }),
    ) as PolicyInvalidError;
    expect(error).toBeInstanceOf(PolicyInvalidError);
    expect(error).toMatchObject({ code: 'ERR_POLICY_INVALID', faults: [{ path: 'rules[0].order[1]' }] });
    expect(error.message).toMatch(
      /'ledger' before 'account' \(rule 'own'\), 'account' before 'ledger' \(rule 'transfers'\)/,
    );
    expect(rt.locks.rules).toEqual(own);
    expect(rt.locks.holdCeilingMs).toBe(0);
  });

  it('that contradict each other or those of the provider are refused before there is a runtime', async () => {
    const against = { rules: [{ name: 'reports', order: ['ledger', 'account'] }] };
    const refused = {
      code: 'ERR_POLICY_INVALID',
      faults: [{ path: 'rules[0].order[1]', reason: expect.stringContaining("rule 'transfers'") }],
    };
    const own = new StaticSystems({ rules: [transfers] });
    expect(thrownBy(() => own.applyLockPolicy(against))).toMatchObject(refused);
    const systems = new StaticSystems();
    systems.applyLockPolicy({ rules: [transfers] });
    expect(thrownBy(() => systems.applyLockPolicy(against))).toMatchObject(refused);
    expect(systems.validateLockOrder(['account'], 'ledger').isValid).toBe(true);
    expect((await openRuntime({ systems })).locks.rules).toEqual([transfers]);
  });

  it('of the program that contradict a policy in force keep out any further one', async () => {
    const rt = await openRuntime();
    rt.applyLockPolicy({ rules: [transfers] });
    rt.locks.declareRules([{ name: 'later', order: ['ledger', 'account'] }]);
    expect(thrownBy(() => rt.applyLockPolicy({ maxHoldTime: '1s' }))).toMatchObject({
      code: 'ERR_POLICY_INVALID',
      faults: [{ path: '' }],
    });
    expect(rt.locks.holdCeilingMs).toBe(0);
  });

  it('count once, however often they are there', () => {
    const systems = new StaticSystems({ rules: [{ order: transfers.order, name: transfers.name }] });
    const [first] = [1, 2].map(() => systems.applyLockPolicy({ rules: [transfers] }));
    expect(systems.getHierarchyRules()).toEqual([transfers]);
    expect(first!.policy.rules).toEqual([transfers]);
  });

  it('of the program that came later stay, whatever is undone', async () => {
    const rt = await openRuntime();
    const applied = rt.applyLockPolicy({ rules: [transfers] });
    const later = [{ name: 'later', order: ['x', 'y'] }];
    rt.locks.declareRules(later);
    applied.undo();
    expect(rt.locks.rules).toEqual(later);
  });
});

describe('maxHoldTime', () => {
  it('reports locks that are held already, in workers and here, and takes them from nobody', async () => {
    const rt = await openRuntime();
    const pool = await openLockPool(rt, 1);
    const gate = gateOf(rt);
    const inWorker = pool.run('holdLock', ['far', gate.name]);
    await gate.reached(1);
    const near = rt.mutex('near');
    await near.lock();
    const violations: LockViolation[] = [];
    rt.locks.onViolation((violation) => violations.push(violation));
    const applied = rt.applyLockPolicy({ maxHoldTime: '20ms' });
    await until(() => violations.length >= 2);
    expect(violations.map(({ kind, locks }) => [kind, ...locks]).sort()).toEqual([
      ['hold-time', 'far'],
      ['hold-time', 'near'],
    ]);
    expect(violations[0]!.message).toMatch(
      /has held lock '\w+' for at least \d+ ms; the policy's maxHoldTime is 20 ms/,
    );
    expect(near.isLocked).toBe(true);
    near.unlock();
    gate.open();
    expect(await inWorker).toBe(true);
    // Each hold is told of once.
    expect(violations).toHaveLength(2);
    applied.undo();
    expect(rt.locks.holdCeilingMs).toBe(0);
  });

  it('is a ceiling for limits of locks, and tells where the lock was taken where that is known', async () => {
    const rt = await openRuntime();
    const violations: LockViolation[] = [];
    rt.locks.onViolation((violation) => violations.push(violation));
    const slow = rt.mutex('slow', { maxHoldTimeMs: 1_000_000 });
    const fast = rt.mutex('fast', { maxHoldTimeMs: 10 });
    await slow.lock();
    await fast.lock();
    using _ = rt.applyLockPolicy({ maxHoldTime: '30ms' });
    await until(() => violations.length >= 2);
    const by = (name: string): LockViolation | undefined => violations.find(({ locks }) => locks[0] === name);
    expect(by('slow')!.message).toMatch(/the policy's maxHoldTime is 30 ms\n {2}taken /);
    expect(by('fast')!.message).toMatch(/its maxHoldTimeMs is 10/);
    slow.unlock();
    fast.unlock();
  });

  it('counts each hold anew', async () => {
    const rt = await openRuntime();
    const violations: LockViolation[] = [];
    rt.locks.onViolation((violation) => violations.push(violation));
    using _ = rt.applyLockPolicy({ maxHoldTime: '15ms' });
    const lock = rt.mutex('again');
    for (let times = 1; times <= 2; times++) {
      await lock.lock();
      await until(() => violations.length === times);
      lock.unlock();
    }
  });
});

describe('retryPolicy and qosClass', () => {
  it('reach pools that are open and pools that come, and leave each as it was', async () => {
    const { rt, pool } = await openPool({ qos: 'BestEffort', retry: { attempts: 2, backoffMs: 1 } });
    const applied = rt.applyLockPolicy({
      qosClass: 'Guaranteed',
      retryPolicy: { attempts: 4, backoffBase: '0.5ms', jitterPercent: 10 },
    });
    const later = await openPoolOn(rt);
    for (const each of [pool, later]) {
      expect(each.qos).toBe('Guaranteed');
      expect(each.retry).toEqual({ attempts: 4, backoffMs: 0.5, jitterPercent: 10 });
    }
    expect(await later.run('failTimes', ['a', 3], { idempotent: true })).toBe(4);
    applied.undo();
    expect([pool.qos, later.qos]).toEqual(['BestEffort', 'Burstable']);
    expect([pool.retry, later.retry]).toEqual([{ attempts: 2, backoffMs: 1 }, undefined]);
    expect(await rejectionOf(later.run('failTimes', ['b', 1], { idempotent: true }))).toMatchObject({
      message: 'failure 1',
    });
  });

  it('move pools, and the class of the process does not', async () => {
    const systems = new StaticSystems({ qosClass: 'BestEffort' });
    const { rt, pool } = await openPool({}, { systems });
    expect([systems.getQOSClass(), systems.getLockPolicy().qosClass, pool.qos]).toEqual([
      'BestEffort',
      'BestEffort',
      'Burstable',
    ]);
    using _ = rt.applyLockPolicy({ qosClass: 'Guaranteed' });
    expect([systems.getQOSClass(), pool.qos]).toEqual(['Guaranteed', 'Guaranteed']);
  });

  it('are no reason to take back what the program sets to the same', async () => {
    const { rt, pool } = await openPool({ qos: 'BestEffort' });
    const own = { attempts: 3, backoffMs: 0, jitterPercent: 0 };
    const applied = rt.applyLockPolicy({
      qosClass: 'Guaranteed',
      retryPolicy: { attempts: 3 },
      rules: [transfers],
    });
    pool.setConfig({ qos: 'Guaranteed', retry: { ...own } });
    rt.locks.declareRules([transfers]);
    applied.undo();
    expect([pool.qos, pool.retry, rt.locks.rules]).toEqual(['Guaranteed', own, [transfers]]);
    // Applied anew, a policy counts again, and undone comes back to the same; one that is refused leaves that.
    const again = rt.applyLockPolicy({
      qosClass: 'Burstable',
      retryPolicy: { attempts: 5 },
      rules: [transfers],
    });
    pool.setConfig({ qos: 'Burstable' });
    thrownBy(() =>
      rt.applyLockPolicy({ qosClass: 'BestEffort', rules: [{ name: 'r', order: ['ledger', 'account'] }] }),
    );
    again.undo();
    expect([pool.qos, pool.retry, rt.locks.rules]).toEqual(['Burstable', own, [transfers]]);
  });

  it('leave calls alone that run, and settings that the program makes later', async () => {
    const { rt, pool } = await openPool();
    const gate = gateOf(rt);
    const running = pool.run('hold', [gate.name, 'held']);
    await gate.reached(1);
    const applied = rt.applyLockPolicy({ qosClass: 'Guaranteed', retryPolicy: { attempts: 2 } });
    pool.setConfig({ qos: 'BestEffort' });
    applied.undo();
    gate.open();
    expect(await running).toBe('held');
    expect(pool.qos).toBe('BestEffort');
    expect(pool.retry).toBeUndefined();
  });

  it('forget pools that are closed', async () => {
    const { rt, pool } = await openPool();
    const applied = rt.applyLockPolicy({ qosClass: 'Guaranteed' });
    await pool.destroy();
    applied.undo();
    await openPoolOn(rt);
  });
});

describe('a policy', () => {
  it('that is refused leaves what the program set under another, and what undoing comes back to', async () => {
    const nodes = [0, 1, 2].map((id) => ({ id, cpus: id === 2 ? [] : [id], memoryBytes: 1e9 }));
    const { rt, pool } = await openPool({}, { systems: new StaticSystems({ cpus: 2, nodes }) });
    const inForce = rt.applyLockPolicy({ qosClass: 'Guaranteed', retryPolicy: { attempts: 3 } });
    pool.setConfig({ qos: 'BestEffort', retry: { attempts: 9 } });
    const nowhere = { numaAffinity: { required: true, preferredNodes: [2] }, maxHoldTime: '1s' };
    expect(thrownBy(() => rt.applyLockPolicy(nowhere))).toMatchObject({
      name: 'PlacementError',
      code: 'ERR_RESOURCE_LIMIT',
    });
    const set = ['BestEffort', { attempts: 9 }];
    expect([pool.qos, pool.retry]).toEqual(set);
    expect(rt.locks.holdCeilingMs).toBe(0);
    expect(pool.affinity).toBe(undefined);
    inForce.undo();
    expect([pool.qos, pool.retry]).toEqual(set);
  });

  it('that is invalid names all faults and changes nothing', async () => {
    const { rt, pool } = await openPool();
    const bad = { qosClass: 'Best', maxHoldTime: '5 s', rules: [transfers], retryPolicy: { attempts: 0 } };
    const error = thrownBy(() => rt.applyLockPolicy(bad as never)) as PolicyInvalidError;
    expect(error).toMatchObject({ name: 'PolicyInvalidError', code: 'ERR_POLICY_INVALID' });
    expect(error.faults.map(({ path }) => path)).toEqual(['qosClass', 'maxHoldTime', 'retryPolicy.attempts']);
    expect(error.message.split('\n')).toHaveLength(4);
    expect([pool.qos, pool.retry, rt.locks.rules, rt.locks.holdCeilingMs]).toEqual([
      'Burstable',
      undefined,
      [],
      0,
    ]);
  });

  it('may be an object of Kubernetes, and is undone by `using` and once only', async () => {
    const rt = await openRuntime();
    {
      using applied = rt.applyLockPolicy({
        apiVersion: 'heddle.dev/v1alpha1',
        kind: 'LockPolicy',
        metadata: { name: 'bank' },
        spec: { rules: [transfers] },
      });
      expect(applied.isInForce).toBe(true);
      expect(rt.locks.rules).toEqual([transfers]);
    }
    expect(rt.locks.rules).toEqual([]);
    const first = rt.applyLockPolicy({ rules: [transfers] });
    first.undo();
    const second = rt.applyLockPolicy({ rules: [transfers] });
    first.undo();
    expect(rt.locks.rules).toEqual([transfers]);
    second.undo();
  });

  it('for another container is passed over, and says why', async () => {
    const containerId = '3f4c'.repeat(16);
    const systems = new StaticSystems({ container: { containerId } });
    const rt = await openRuntime({ systems });
    const other = rt.applyLockPolicy({ containerID: 'containerd://0000', maxHoldTime: '1s' });
    expect([other.isInForce, other.reason]).toEqual([false, expect.stringContaining('containerd://0000')]);
    expect(rt.locks.holdCeilingMs).toBe(0);
    for (const id of [containerId, `docker://${containerId}`, containerId.slice(0, 12)]) {
      const own = rt.applyLockPolicy({ containerID: id, maxHoldTime: '1s' });
      expect([id, own.isInForce, rt.locks.holdCeilingMs]).toEqual([id, true, 1000]);
      own.undo();
    }
  });

  it('is what the provider tells, and governs every runtime that shares the provider', async () => {
    const systems = new StaticSystems();
    const [a, b] = [await openRuntime({ systems }), await openRuntime({ systems })];
    const applied = a.applyLockPolicy({
      qosClass: 'Guaranteed',
      rules: [transfers],
      maxHoldTime: '1m',
      numaAffinity: { preferredNodes: [0], allowedDistance: 20 },
      retryPolicy: { attempts: 3, backoffBase: '150ms' },
    });
    expect(b.locks.rules).toEqual([transfers]);
    expect(systems.getQOSClass()).toBe('Guaranteed');
    expect(systems.getRetryPolicy()).toEqual({ attempts: 3, backoffBaseMs: 150, jitterPercent: 0 });
    expect(systems.getNUMAPolicy()).toEqual({
      required: false,
      preferredNodes: [0],
      allowedDistance: 20,
      fallbackStrategy: 'nearest',
    });
    expect(systems.getLockPolicy()).toEqual(applied.policy);
    expect(systems.getHierarchyRules()).toEqual([transfers]);
    const later = await openRuntime({ systems });
    expect(later.locks.rules).toEqual([transfers]);
    expect(later.locks.holdCeilingMs).toBe(60_000);
    applied.undo();
    expect([a, b, later].flatMap(({ locks }) => locks.rules)).toEqual([]);
    expect(systems.getRetryPolicy().attempts).toBe(1);
  });

  it('knows the nodes of the machine', async () => {
    const rt = await openRuntime({ systems: new StaticSystems() });
    const nodes = (await rt.systems.getTopologyHints()).nodes.map(({ id }) => id);
    const policy = { numaAffinity: { preferredNodes: [1000] } };
    expect(nodes).not.toContain(1000);
    expect(thrownBy(() => rt.applyLockPolicy(policy))).toMatchObject({ code: 'ERR_POLICY_INVALID' });
    expect(rt.systems.getCRDValidator().validate(policy).isValid).toBe(false);
    expect(new LockPolicyValidator().validate(policy).isValid).toBe(true);
  });

  it('cannot be applied to a runtime that is gone', async () => {
    const rt = await openRuntime();
    const applied = rt.applyLockPolicy({ rules: [transfers], maxHoldTime: '1s' });
    await rt.dispose();
    applied.undo();
    expect(thrownBy(() => rt.applyLockPolicy({}))).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });
});
