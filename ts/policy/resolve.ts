import type { HierarchyRule } from '../locks/order-rules.ts';
import type { QoSLevel } from '../qos.ts';
import type { LockPolicy } from '../systems/provider.ts';
import type { NUMAPolicy, RetryConfig } from '../systems/types.ts';
import { durationMs } from './go-duration.ts';
import type { LockPolicyCRD, NUMAAffinitySpec } from './types.ts';

/** What one policy says, durations in milliseconds. A field that it does not have is left out. */
export interface ResolvedPolicy {
  readonly qosClass?: QoSLevel;
  readonly numaAffinity?: NUMAPolicy;
  readonly rules?: readonly HierarchyRule[];
  readonly retryPolicy?: RetryConfig;
  readonly maxHoldTimeMs?: number;
  readonly containerID?: string;
}

/** What is in force where nobody says anything. */
export function defaultLockPolicy(): LockPolicy {
  return {
    qosClass: 'Burstable',
    numaAffinity: resolveAffinity({}),
    rules: [],
    retryPolicy: { attempts: 1, backoffBaseMs: 0, jitterPercent: 0 },
    maxHoldTimeMs: undefined,
    containerID: undefined,
  };
}

function resolveAffinity(spec: NUMAAffinitySpec): NUMAPolicy {
  const { qosOverride } = spec;
  const required = spec.required ?? false;
  return {
    required,
    preferredNodes: [...(spec.preferredNodes ?? [])],
    allowedDistance: spec.allowedDistance ?? 0,
    fallbackStrategy: required ? 'none' : (spec.fallbackStrategy ?? 'nearest'),
    ...(qosOverride == null ? {} : { qosOverride }),
  };
}

/** A valid policy as the process follows it. What is null counts as left out, as an API server has it. */
export function resolvePolicy(spec: LockPolicyCRD): ResolvedPolicy {
  const { qosClass, numaAffinity, rules, retryPolicy, maxHoldTime, containerID } = spec;
  return {
    ...(qosClass == null ? {} : { qosClass }),
    ...(numaAffinity == null ? {} : { numaAffinity: resolveAffinity(numaAffinity) }),
    ...(rules == null ? {} : { rules: rules.map(({ name, order }) => ({ name, order: [...order] })) }),
    ...(retryPolicy == null
      ? {}
      : {
          retryPolicy: {
            attempts: retryPolicy.attempts,
            backoffBaseMs: retryPolicy.backoffBase == null ? 0 : durationMs(retryPolicy.backoffBase),
            jitterPercent: retryPolicy.jitterPercent ?? 0,
          },
        }),
    // The watch counts whole milliseconds.
    ...(maxHoldTime == null ? {} : { maxHoldTimeMs: Math.max(1, Math.ceil(durationMs(maxHoldTime))) }),
    ...(containerID == null ? {} : { containerID }),
  };
}
