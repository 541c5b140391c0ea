import { InvalidTypeError } from '../errors.ts';
import { checkOptions, describe, object } from '../options.ts';
import type { SystemsParts } from './base.ts';
import type { ClusterCoordinator } from './cluster.ts';
import type { ConcurrencyInstrumenter, SystemsProvider } from './provider.ts';
import type { NUMACoordinator } from './types.ts';

/** The methods that something must have. */
type Methods<T> = Readonly<Record<keyof T, true>>;

const PROVIDER: Methods<SystemsProvider> = {
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

const NUMA: Methods<NUMACoordinator> = {
  nodes: true,
  distance: true,
  nearest: true,
  pin: true,
  currentNode: true,
};

const CLUSTER: Methods<ClusterCoordinator> = {
  trySteal: true,
  reportPressure: true,
  registerPool: true,
  getNUMACoordinator: true,
  getWorkStealers: true,
};

const INSTRUMENTER: Methods<Omit<ConcurrencyInstrumenter, 'instrumentLocks'>> = {
  instrumentMutex: true,
  instrumentPool: true,
  instrumentAtomic: true,
};

/** Anything that has all of the methods. */
function having(methods: Readonly<Record<string, true>>, wanted: string) {
  return (value: unknown, what: string): void => {
    object(value, what);
    const missing = Object.keys(methods).find(
      (name) => typeof (value as Record<string, unknown>)[name] !== 'function',
    );
    if (missing !== undefined)
      throw new InvalidTypeError(`${what} must be ${wanted}; ${describe(value)} has no ${missing}()`);
  };
}

/** Checks the option `systems` of createRuntime(). */
export const systemsCheck: (value: unknown, what: string) => void = having(
  PROVIDER,
  'a SystemsProvider, such as NodeSystems.detect()',
);

/** Checks what runtimes and pools are instrumented with. */
export const instrumenterCheck: (value: unknown, what: string) => void = having(
  INSTRUMENTER,
  'a ConcurrencyInstrumenter',
);

const PARTS = {
  numa: having(NUMA, 'a NUMACoordinator'),
  cluster: having(CLUSTER, 'a ClusterCoordinator'),
  instrumenter: instrumenterCheck,
};

/** Checks the option `parts` of a provider. */
export function partsCheck(value: unknown, what: string): void {
  object(value, what);
  checkOptions(value as SystemsParts, PARTS, what);
}
