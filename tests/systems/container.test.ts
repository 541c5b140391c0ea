import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ContainerContext, NodeSystems, type NodeSystemsOptions } from 'heddle';
import { describe, expect, it } from 'vitest';
import { type ContainerResources, qosClassOf } from '../../ts/systems/qos-class.ts';
import { parseQuantity } from '../../ts/systems/quantity.ts';
import { sharedPath } from '../shared.ts';
import { machine, tree } from './trees.ts';

const ID = 'c0ffee00'.repeat(8);
const OTHER_ID = 'deadbeef'.repeat(8);
const UID = '6e5b1c1a-9d0e-4a53-8f3c-0123456789ab';

function context(
  files: Readonly<Record<string, string>>,
  options: Omit<NodeSystemsOptions, 'root'> = {},
): ContainerContext {
  return NodeSystems.detect({
    ...options,
    root: tree({ ...machine({ 0: [0] }), ...files }),
  }).getContainerContext();
}

const inGroup = (path: string): Record<string, string> => ({ 'proc/self/cgroup': `0::${path}\n` });

describe('container', () => {
  it.each([
    ['Docker', inGroup(`/docker/${ID}`)],
    ['Docker with systemd', inGroup(`/system.slice/docker-${ID}.scope`)],
    ['Podman', inGroup(`/machine.slice/libpod-${ID}.scope/container`)],
    ['containerd', inGroup(`/kubepods.slice/kubepods-burstable.slice/cri-containerd-${ID}.scope`)],
    ['CRI-O', inGroup(`/kubepods.slice/kubepods-pod1.slice/crio-${ID}.scope`)],
    ['Kubernetes without systemd', inGroup(`/kubepods/burstable/pod${UID}/${ID}`)],
    ['a container in a container', inGroup(`/docker/${OTHER_ID}/docker/${ID}`)],
    [
      'Docker in a group namespace',
      {
        ...inGroup('/'),
        'proc/self/mountinfo': `620 610 8:1 /var/lib/docker/containers/${ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n`,
      },
    ],
    [
      'Podman in a group namespace',
      {
        ...inGroup('/'),
        'proc/self/mountinfo': `620 610 0:24 /containers/storage/overlay-containers/${ID}/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n`,
      },
    ],
  ])('has an id: %s', (_, files) => {
    expect(context(files)).toMatchObject({ isContainer: true, containerId: ID });
  });

  it.each([
    ['a mark of Docker', { '.dockerenv': '' }, {}],
    ['a mark of Podman', { 'run/.containerenv': '' }, {}],
    ['a variable', {}, { container: 'lxc' }],
    ['a service of Kubernetes', {}, { KUBERNETES_SERVICE_HOST: '10.0.0.1' }],
  ])('is known by %s', (_, files, env) => {
    const found = context(files, { env });
    expect(found.isContainer).toBe(true);
    expect(found.containerId).toBeUndefined();
  });

  it('is none on a plain machine', () => {
    const found = context(inGroup('/user.slice/session-2.scope'));
    expect(found).toMatchObject({ isContainer: false, qosClass: 'Burstable', qosSource: 'default' });
    expect(found.kubernetes).toBeUndefined();
  });
});

describe('pod', () => {
  it('is told by the downward API', () => {
    const env = { POD_NAME: 'web-1', POD_NAMESPACE: 'shop', NODE_NAME: 'worker-3', POD_UID: UID };
    expect(context({}, { env }).kubernetes).toEqual({
      podName: 'web-1',
      namespace: 'shop',
      nodeName: 'worker-3',
      podUid: UID,
    });
  });

  it('is told by its group, its service account and its host name', () => {
    const found = context({
      ...inGroup(`/kubepods.slice/kubepods-pod${UID.replaceAll('-', '_')}.slice/cri-containerd-${ID}.scope`),
      'var/run/secrets/kubernetes.io/serviceaccount/namespace': 'shop',
      'etc/hostname': 'web-2\n',
    });
    expect(found.kubernetes).toEqual({ podName: 'web-2', namespace: 'shop', podUid: UID });
  });

  it('is told by files of the downward API, and by mounts', () => {
    const found = context({
      ...inGroup('/'),
      'etc/podinfo/name': 'web-3\n',
      'etc/podinfo/namespace': 'shop\n',
      'proc/self/mountinfo': `1 2 8:1 /var/lib/kubelet/pods/${UID}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n`,
    });
    expect(found.kubernetes).toEqual({ podName: 'web-3', namespace: 'shop', podUid: UID });
  });
});

describe('QoS class', () => {
  const score = (value: number): Record<string, string> => ({ 'proc/self/oom_score_adj': `${value}\n` });
  const resources = (cpuRequest: string, cpuLimit: string, memoryRequest: string, memoryLimit: string) => ({
    CPU_REQUEST: cpuRequest,
    CPU_LIMIT: cpuLimit,
    MEMORY_REQUEST: memoryRequest,
    MEMORY_LIMIT: memoryLimit,
  });

  it.each([
    ['-997', score(-997), 'Guaranteed', 'oom-score'],
    ['1000', score(1000), 'BestEffort', 'oom-score'],
    ['2', score(2), 'Burstable', 'oom-score'],
    ['999', score(999), 'Burstable', 'oom-score'],
    ['0', score(0), 'Burstable', 'default'],
    ['burstable', inGroup('/kubepods/burstable/pod1'), 'Burstable', 'cgroup'],
    ['besteffort', inGroup('/kubepods.slice/kubepods-besteffort.slice/x.scope'), 'BestEffort', 'cgroup'],
    ['a pod directly', inGroup(`/kubepods/pod${UID}/${ID}`), 'Guaranteed', 'cgroup'],
    [
      'a pod directly, with systemd',
      inGroup(`/kubepods.slice/kubepods-pod${UID}.slice/x`),
      'Guaranteed',
      'cgroup',
    ],
  ])('of %s', (_, files, qosClass, qosSource) => {
    expect(context(files)).toMatchObject({ qosClass, qosSource });
  });

  it.each([
    [resources('500', '500', '1073741824', '1073741824'), 'Guaranteed'],
    [resources('250', '500', '1073741824', '1073741824'), 'Burstable'],
    // Limits that are not set read as what the node has.
    [resources('0', '8000', '0', '34359738368'), 'BestEffort'],
    [{ CPU_REQUEST: '250', MEMORY_REQUEST: '1048576' }, 'Burstable'],
  ])('of requests and limits %j', (env, qosClass) => {
    expect(context(score(2), { env })).toMatchObject({ qosClass, qosSource: 'resources' });
  });

  it('goes from the surest source to the least sure', () => {
    const files = { ...score(1000), ...inGroup('/kubepods/burstable/pod1') };
    const env = resources('1', '1', '1', '1');
    expect(context(files, { env, qosClass: 'Burstable' })).toMatchObject({
      qosSource: 'option',
      qosClass: 'Burstable',
    });
    expect(context(files, { env })).toMatchObject({ qosSource: 'resources', qosClass: 'Guaranteed' });
    expect(context(files)).toMatchObject({ qosSource: 'oom-score', qosClass: 'BestEffort' });
    expect(context({ ...files, ...score(0) })).toMatchObject({ qosSource: 'cgroup', qosClass: 'Burstable' });
  });

  it('goes on with requests and limits that make no sense, and says so', () => {
    const found = context(score(1000), { env: resources('much', '1', '1', '1') });
    expect(found).toMatchObject({ qosSource: 'oom-score' });
    expect(found.degradations[0]?.reason).toContain('one of them is no quantity');
  });

  it.each([
    ['1', 1_000_000_000n],
    ['250m', 250_000_000n],
    ['1.5Gi', 1_610_612_736_000_000_000n],
    ['1e3', 1_000_000_000_000n],
    ['1e3m', undefined],
    ['.5', 500_000_000n],
    ['1n', 1n],
    ['0.1n', 1n],
    ['-2', -2_000_000_000n],
    ['', undefined],
    ['1 Gi', undefined],
    ['1e999', undefined],
  ])('quantity %j', (text, nanos) => {
    expect(parseQuantity(text)).toBe(nanos);
  });
});

interface PodRow {
  readonly name: string;
  readonly code: number;
  readonly qos: string | null;
  readonly spec: {
    readonly containers: readonly { readonly resources?: ContainerResources }[];
    readonly initContainers?: readonly { readonly resources?: ContainerResources }[];
  };
}

const recorded = sharedPath('data/qos');

describe.skipIf(recorded === undefined)(
  'QoS class as a real API server gives it (needs ../shared/data)',
  () => {
    it('is the same for every pod that the server accepted', () => {
      const rows = JSON.parse(readFileSync(join(recorded!, 'pods-k8s-1.20.2.json'), 'utf8')) as PodRow[];
      const accepted = rows.filter(({ code }) => code === 201);
      expect(accepted.length).toBeGreaterThan(100);
      const classOf = ({ spec }: PodRow): string | undefined =>
        qosClassOf(
          [...spec.containers, ...(spec.initContainers ?? [])].map(({ resources }) => resources ?? {}),
        );
      expect(accepted.map((row) => [row.name, classOf(row)])).toEqual(
        accepted.map(({ name, qos }) => [name, qos]),
      );
      // Those that it refused end in no error either.
      for (const row of rows) classOf(row);
    });
  },
);
