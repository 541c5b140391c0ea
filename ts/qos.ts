import { CLASS_BEST_EFFORT, CLASS_BURSTABLE, CLASS_GUARANTEED } from '../build/generated/layout.ts';

/** Kubernetes' classes, highest first. A higher class is served first; a lower one is never starved (assembly/scheduler.ts). */
export type QoSLevel = 'Guaranteed' | 'Burstable' | 'BestEffort';

/** All classes, highest first. */
export const QOS_LEVELS: readonly QoSLevel[] = ['Guaranteed', 'Burstable', 'BestEffort'];

/** The kernel's number of a class. */
export function classOf(level: QoSLevel): number {
  return level === 'Guaranteed'
    ? CLASS_GUARANTEED
    : level === 'Burstable'
      ? CLASS_BURSTABLE
      : CLASS_BEST_EFFORT;
}
