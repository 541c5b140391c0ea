import type { QoSLevel } from '../qos.ts';
import type { Groups } from './cgroup-groups.ts';
import { qosClassOf } from './qos-class.ts';
import { parseQuantity } from './quantity.ts';
import type { Reading } from './reading.ts';
import type { KubernetesContext, QoSSource } from './types.ts';

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

const ID = /(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?=\/|$)/;
/** Folders of container runtimes, the id in the next name: Docker, Podman and CRI-O, containerd. */
const ID_OF_MOUNT =
  /\/(?:containers|overlay-containers|io\.containerd\.runtime\.v2\.task\/[^/]+)\/([0-9a-f]{64})(?=\/)/;
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
const POD_UID = /pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})/;
const POD_VOLUME = /\/kubelet\/pods\/([0-9a-f-]{36})\//;

/** What kind of place this process runs in. */
export interface Whereabouts {
  readonly isContainer: boolean;
  readonly containerId: string | undefined;
  readonly kubernetes: KubernetesContext | undefined;
  readonly qosClass: QoSLevel;
  readonly qosSource: QoSSource;
}

/** Finds out what container and pod this process is in. `qosClass`: as the user says. */
export function readWhereabouts(
  reading: Reading,
  groups: Groups | undefined,
  env: Environment,
  qosClass: QoSLevel | undefined,
): Whereabouts {
  // All of it: the line of the controller that happens to be limited need not be the one that names the container.
  const paths = (reading.optional('/proc/self/cgroup') ?? '')
    .split('\n')
    .map((line) => line.replace(/^[^:]*:[^:]*:/, ''));
  const mounts = reading.optional('/proc/self/mountinfo') ?? '';
  // In a group namespace the path is hidden; files that the runtime mounts into the container are not.
  const containerId =
    paths.map((path) => lastId(path)).find((id) => id !== undefined) ?? ID_OF_MOUNT.exec(mounts)?.[1];
  const kubernetes = readKubernetes(reading, paths, mounts, env);
  return {
    isContainer:
      containerId !== undefined ||
      kubernetes !== undefined ||
      env.container !== undefined ||
      reading.optional('/.dockerenv') !== undefined ||
      reading.optional('/run/.containerenv') !== undefined,
    containerId,
    kubernetes,
    ...findQos(reading, groups, paths, env, qosClass),
  };
}

/** The innermost: containers run in containers. */
function lastId(path: string): string | undefined {
  const names = path.split('/').reverse();
  for (const name of names) {
    const id = ID.exec(name)?.[1];
    if (id !== undefined) return id;
  }
  return undefined;
}

/** Undefined outside of Kubernetes. Names of variables and files are those of docs/systems.md, where the downward API supplies them. */
function readKubernetes(
  reading: Reading,
  paths: readonly string[],
  mounts: string,
  env: Environment,
): KubernetesContext | undefined {
  const cgroupUid = paths.map((path) => POD_UID.exec(path)?.[1]).find((uid) => uid !== undefined);
  const podUid = (env.POD_UID || dashed(cgroupUid)) ?? POD_VOLUME.exec(mounts)?.[1];
  const namespace =
    env.POD_NAMESPACE || reading.optional(SERVICE_ACCOUNT)?.trim() || info(reading, 'namespace');
  const isPod =
    podUid !== undefined ||
    namespace !== undefined ||
    env.KUBERNETES_SERVICE_HOST !== undefined ||
    paths.some((path) => path.includes('kubepods'));
  if (!isPod) return undefined;
  // A pod's host name is its name, unless its specification sets another.
  const podName =
    env.POD_NAME || info(reading, 'name') || env.HOSTNAME || reading.optional('/etc/hostname')?.trim();
  const nodeName = env.NODE_NAME || undefined;
  return {
    ...(podName ? { podName } : {}),
    ...(podUid === undefined ? {} : { podUid }),
    ...(namespace ? { namespace } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
  };
}

/** A file of a downward API volume, mounted where everyone mounts it. */
function info(reading: Reading, name: string): string | undefined {
  return reading.optional(`/etc/podinfo/${name}`)?.trim() || undefined;
}

/** systemd's slices have no dashes in their names. */
function dashed(uid: string | undefined): string | undefined {
  return uid?.replaceAll('_', '-');
}

// ---- class -------------------------------------------------------------------------------------------------------------------------

const GUARANTEED_OOM = -997;
const BEST_EFFORT_OOM = 1000;

/** The surest source first. The downward API does not offer the class itself, and `cpu.weight` does not tell it. */
function findQos(
  reading: Reading,
  groups: Groups | undefined,
  paths: readonly string[],
  env: Environment,
  option: QoSLevel | undefined,
): { qosClass: QoSLevel; qosSource: QoSSource } {
  if (option !== undefined) return { qosClass: option, qosSource: 'option' };
  const byResources = qosOfEnvironment(reading, env);
  if (byResources !== undefined) return { qosClass: byResources, qosSource: 'resources' };
  const byScore = qosOfScore(reading.integer('/proc/self/oom_score_adj', 'oom_score_adj'));
  if (byScore !== undefined) return { qosClass: byScore, qosSource: 'oom-score' };
  const known = [...paths, ...Object.values(groups?.of ?? {}).map(({ path }) => path)];
  const byGroup = known.map(qosOfPath).find((level) => level !== undefined);
  if (byGroup !== undefined) return { qosClass: byGroup, qosSource: 'cgroup' };
  return { qosClass: 'Burstable', qosSource: 'default' };
}

/** Requests and limits as `resourceFieldRef` puts them into the environment. */
function qosOfEnvironment(reading: Reading, env: Environment): QoSLevel | undefined {
  const resources = {
    requests: { cpu: env.CPU_REQUEST, memory: env.MEMORY_REQUEST },
    limits: { cpu: env.CPU_LIMIT, memory: env.MEMORY_LIMIT },
  };
  const { requests, limits } = resources;
  if ([requests.cpu, requests.memory, limits.cpu, limits.memory].every((each) => each === undefined))
    return undefined;
  // Half of it tells nothing: a limit that is not set reads as all that the node has, a request that is not set as 0.
  if (requests.cpu === undefined || requests.memory === undefined) return undefined;
  if (parseQuantity(requests.cpu) === 0n && parseQuantity(requests.memory) === 0n) return 'BestEffort';
  if (limits.cpu === undefined || limits.memory === undefined) return 'Burstable';
  const level = qosClassOf([resources]);
  if (level === undefined) {
    reading.note(
      'QoS class',
      'cannot be told from CPU_REQUEST, MEMORY_REQUEST, CPU_LIMIT and MEMORY_LIMIT: one of them is no quantity',
    );
  }
  return level;
}

/** What the kubelet sets: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/ */
function qosOfScore(score: number | undefined): QoSLevel | undefined {
  if (score === GUARANTEED_OOM) return 'Guaranteed';
  if (score === BEST_EFFORT_OOM) return 'BestEffort';
  return score !== undefined && score >= 2 && score < BEST_EFFORT_OOM ? 'Burstable' : undefined;
}

/** Pods of the two lower classes have a group of their own; those of the highest stand directly in that of all pods. */
function qosOfPath(path: string): QoSLevel | undefined {
  const match =
    /kubepods(?:\.slice)?(?:[-/](?:kubepods-)?(burstable|besteffort)|(?:[-/](?:kubepods-)?pod))/.exec(path);
  if (match === null) return undefined;
  return match[1] === 'burstable' ? 'Burstable' : match[1] === 'besteffort' ? 'BestEffort' : 'Guaranteed';
}
