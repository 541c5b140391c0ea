import type { QoSLevel } from '../qos.ts';
import { parseQuantity } from './quantity.ts';

/** Requests or limits of a container, as a pod's specification writes them. */
interface ResourceList {
  readonly cpu?: string | number | undefined;
  readonly memory?: string | number | undefined;
}

/** Resources of one container. */
export interface ContainerResources {
  readonly requests?: ResourceList | undefined;
  readonly limits?: ResourceList | undefined;
}

const RESOURCES = ['cpu', 'memory'] as const;

/**
 * The class that Kubernetes gives to a pod, from the resources of all its containers, init containers too: Guaranteed when each of them has limits of
 * CPU and memory and requests as much (a request that is left out is as large as the limit), BestEffort when none has any, else Burstable.
 * Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/. Undefined when a quantity makes no sense.
 */
export function qosClassOf(containers: readonly ContainerResources[]): QoSLevel | undefined {
  let isAnything = false;
  let isGuaranteed = true;
  const requested = { cpu: 0n, memory: 0n };
  const limited = { cpu: 0n, memory: 0n };
  for (const { requests, limits } of containers) {
    for (const resource of RESOURCES) {
      const limit = parseQuantity(limits?.[resource] ?? 0);
      const request = parseQuantity(requests?.[resource] ?? limits?.[resource] ?? 0);
      if (limit === undefined || request === undefined) return undefined;
      if (limit > 0n || request > 0n) isAnything = true;
      if (limit <= 0n) isGuaranteed = false;
      requested[resource] += request;
      limited[resource] += limit;
    }
  }
  if (!isAnything) return 'BestEffort';
  return isGuaranteed && RESOURCES.every((each) => requested[each] === limited[each])
    ? 'Guaranteed'
    : 'Burstable';
}
