import { InvalidTypeError } from '../errors.ts';
import { describe, object } from '../options.ts';
import type { SystemsProvider } from './provider.ts';

/** All that a provider must have. */
const METHODS: Readonly<Record<keyof SystemsProvider, true>> = {
  getRetryPolicy: true,
  getNUMAPolicy: true,
  getLockPolicy: true,
  getQOSClass: true,
  getResourceLimit: true,
  getTopologyHints: true,
  getContainerContext: true,
  reportConcurrencyError: true,
  getDeadlockStrategy: true,
  getClusterCoordinator: true,
  getDeadlockResolver: true,
  getNUMACoordinator: true,
  instrumentMutex: true,
  instrumentPool: true,
  validateLockOrder: true,
  getHierarchyRules: true,
  reportViolation: true,
  getCRDValidator: true,
  applyLockPolicy: true,
  defaultWorkers: true,
  onDegradation: true,
  attach: true,
};

/** Checks the option `systems` of createRuntime(). */
export function systemsCheck(value: unknown, what: string): void {
  object(value, what);
  const missing = Object.keys(METHODS).filter(
    (name) => typeof (value as Record<string, unknown>)[name] !== 'function',
  );
  if (missing.length > 0) {
    throw new InvalidTypeError(
      `${what} must be a SystemsProvider, such as NodeSystems.detect(); ${describe(value)} has no ${missing[0]}()`,
    );
  }
}
