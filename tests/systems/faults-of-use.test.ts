/** What goes wrong around a provider: nothing of it is left behind, and nothing hangs. */
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LockPolicyValidator, NodeSystems, type NUMACoordinator, StaticSystems, serveTop } from 'heddle';
import { describe, expect, it } from 'vitest';
import { BaseSystems } from '../../ts/systems/base.ts';
import type { SystemsHost } from '../../ts/systems/provider.ts';
import { fixture, openPoolOn, openRuntime, rejectionOf, thrownBy } from '../pool/harness.ts';

describe('a runtime that cannot join', () => {
  it('leaves the provider as it was', () => {
    const watched: boolean[] = [];
    class Watching extends BaseSystems {
      readonly #plain = new StaticSystems();
      protected override topology = (): never => this.#plain.getTopologyHints() as never;
      protected override readTopology = (): never => this.topology();
      protected override readContainer = (): never => this.#plain.getContainerContext() as never;
      protected override watch(on: boolean): void {
        watched.push(on);
      }
      protected override warn(): void {}
    }
    const systems = new Watching({ rules: [{ name: 'r', order: ['a', 'b'] }] });
    const host = {
      locks: {
        rules: [],
        declareRules() {
          throw new RangeError('no room');
        },
      },
    } as unknown as SystemsHost;
    expect(() => systems.attach(host)).toThrow('no room');
    expect([systems.hosts.size, ...watched]).toEqual([0, true, false]);
  });
});

describe('a node that is gone', () => {
  it('keeps no worker from starting: it is not pinned, and says why', async () => {
    const nodes = [0, 1].map((id) => ({ id, cpus: [id], memoryBytes: 1e9 }));
    let left = [0, 1];
    const plain = new StaticSystems({ cpus: 2, nodes }).getNUMACoordinator();
    const numa: NUMACoordinator & Record<string, unknown> = {
      nodes: () => left,
      distance: (a, b) => plain.distance(a, b),
      nearest: (node) => plain.nearest(node),
      currentNode: () => 0,
      pin: (thread, node) => plain.pin(thread, node),
      request(node: number) {
        if (!left.includes(node)) throw new RangeError(`no node ${node}`);
        return { node, cpus: [] };
      },
      loose: () => undefined,
      adopt: () => () => undefined,
    };
    const rt = await openRuntime({ systems: new StaticSystems({ cpus: 2, nodes, parts: { numa } }) });
    const pool = await openPoolOn(rt, {
      tasks: fixture('placed.mjs'),
      numa: true,
      minThreads: 1,
      maxThreads: 2,
    });
    left = [0];
    await pool.scale(2);
    const { workers } = pool.metrics();
    expect(workers.map(({ numaNode }) => numaNode).toSorted()).toEqual([0, 1]);
    expect(workers.every(({ pin }) => pin?.isPinned === false && pin.reason !== undefined)).toBe(true);
    expect(await pool.run('echo', [1], { numaNode: 1 })).toBe(1);
  });
});

describe('faults that have a code', () => {
  it('a folder for heddle top that is a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'heddle-'));
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(await rejectionOf(serveTop({ folder: join(file, 'below') }))).toMatchObject({
      code: 'ERR_RESOURCE_LIMIT',
    });
    await rm(folder, { recursive: true });
  });

  it('a document that throws when it is read', () => {
    const document = {
      get rules(): never {
        throw new RangeError('not yet');
      },
    };
    expect(new LockPolicyValidator().validate(document)).toMatchObject({
      isValid: false,
      faults: [{ path: '', reason: 'cannot be read: not yet' }],
    });
    const systems = new StaticSystems();
    expect(thrownBy(() => systems.applyLockPolicy(document as never))).toMatchObject({
      code: 'ERR_POLICY_INVALID',
    });
  });
});

it('variables of Kubernetes that are empty count as not set', () => {
  const env = {
    POD_NAMESPACE: '',
    POD_UID: '',
    POD_NAME: '',
    NODE_NAME: '',
    KUBERNETES_SERVICE_HOST: '10.0.0.1',
    HOSTNAME: 'bank-7',
  };
  const { kubernetes } = NodeSystems.detect({ root: '/nowhere', env }).getContainerContext();
  expect(kubernetes).toEqual({ podName: 'bank-7' });
});

it('the node of the calling thread is looked up each time', () => {
  const numa = NodeSystems.detect().getNUMACoordinator();
  expect(numa.nodes()).toContain(numa.currentNode());
});
