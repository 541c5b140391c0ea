import { checkOptions, integer } from '../options.ts';
import { BaseSystems, SYSTEMS_CHECKS, type SystemsOptions } from './base.ts';
import { Topology } from './topology.ts';
import type { ContainerContext, TopologyHints } from './types.ts';

/** Options of {@link BrowserSystems.detect}. */
export interface BrowserSystemsOptions extends SystemsOptions {
  /** CPUs to count with. Default: `navigator.hardwareConcurrency`. */
  readonly cpus?: number;
}

/** The system as a page sees it: a number of CPUs. Pages know no nodes and no containers. */
export class BrowserSystems extends BaseSystems {
  readonly #topology: TopologyHints;
  readonly #qosClass: SystemsOptions['qosClass'];

  /** Use {@link BrowserSystems.detect}. */
  private constructor(options: BrowserSystemsOptions) {
    super(options);
    // Some browsers tell less than there is, or nothing, so that pages are harder to tell apart.
    const told = (globalThis.navigator as { hardwareConcurrency?: number } | undefined)?.hardwareConcurrency;
    const count = Math.max(1, options.cpus ?? told ?? 1);
    this.#topology = new Topology({
      source: 'browser',
      cpus: Array.from({ length: count }, (_, id) => id),
      degradations:
        options.cpus === undefined && told === undefined
          ? [
              {
                what: 'cpus',
                reason: 'are not told: there is no navigator.hardwareConcurrency; one is assumed',
              },
            ]
          : [],
    });
    this.#qosClass = options.qosClass;
  }

  /**
   * Asks the browser.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong option.
   */
  static detect(options: BrowserSystemsOptions = {}): BrowserSystems {
    checkOptions(options, { ...SYSTEMS_CHECKS, cpus: integer(1, 1024) }, 'BrowserSystems.detect()');
    return new BrowserSystems(options);
  }

  protected override topology(): TopologyHints {
    return this.#topology;
  }

  protected override readTopology(): TopologyHints {
    return this.#topology;
  }

  protected override readContainer(): ContainerContext {
    return uncontained(this.#topology.cpus, this.#qosClass);
  }

  /** What a page may use does not change while it is open. */
  protected override watch(): void {}

  protected override warn(message: string): void {
    console.warn(`heddle systems: ${message}`);
  }
}

/** Nothing is known of a container, and nothing limits. */
export function uncontained(cpus: readonly number[], qosClass: SystemsOptions['qosClass']): ContainerContext {
  return {
    isContainer: false,
    cpu: { allowedCpus: cpus },
    memory: {},
    qosClass: qosClass ?? 'Burstable',
    qosSource: qosClass === undefined ? 'default' : 'option',
    workers: cpus.length,
    degradations: [],
  };
}
