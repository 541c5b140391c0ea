/**
 * Metrics of heddle for Prometheus, by way of prom-client.
 *
 * @module
 */
import {
  Counter,
  Gauge,
  Histogram,
  type Metric,
  type MetricObjectWithValues,
  type MetricValueWithName,
  type Registry,
  register,
} from 'prom-client';
import { InvalidTypeError } from '../errors.ts';
import { checkOptions, oneOf } from '../options.ts';
import { type Attributes, Collector, type DurationPoint } from './collector.ts';
import { type BucketOption, DEFINITIONS, type MetricDefinition, type MetricKey } from './definitions.ts';
import { SharedInstrumenter } from './shared-instrumenter.ts';

export type { BucketOption } from './definitions.ts';

/** Options of {@link prometheusInstrumenter}. */
export interface PrometheusOptions {
  /** Where the metrics are registered. Default: prom-client's global registry. */
  readonly registry?: Registry;
  /** `'octaves'`: 28 buckets from 1 microsecond to 137 seconds, each twice as wide as the last. `'all'`: as heddle counts, 63. Default: `'octaves'`. */
  readonly buckets?: BucketOption;
}

/** What Prometheus calls a metric, or an attribute. */
const nameOf = (name: string): string => name.replaceAll('.', '_');

/** Units that a name ends with, as Prometheus wants it. */
const SUFFIX: Readonly<Record<string, string>> = { s: '_seconds' };

function metricName({ name, kind, unit }: MetricDefinition): string {
  return `${nameOf(name)}${SUFFIX[unit] ?? ''}${kind === 'counter' ? '_total' : ''}`;
}

const labelsOf = (attributes: Attributes): Record<string, string> =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [nameOf(name), value]));

/** A histogram whose values come from elsewhere: prom-client's own counts one value at a time. */
class ReadHistogram extends Histogram<string> {
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #read: () => readonly DurationPoint[];

  constructor(
    settings: { name: string; help: string; labelNames: string[]; registers: Registry[] },
    bounds: readonly number[],
    read: () => readonly DurationPoint[],
  ) {
    super({ ...settings, buckets: [...bounds] });
    this.#name = settings.name;
    this.#help = settings.help;
    this.#bounds = bounds;
    this.#read = read;
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const values: MetricValueWithName<string>[] = [];
    for (const { attributes, counts, count, sum } of this.#read()) {
      const labels = labelsOf(attributes);
      let below = 0;
      const add = (suffix: string, value: number, more: Record<string, string | number> = {}): void => {
        values.push({ metricName: `${this.#name}${suffix}`, labels: { ...more, ...labels }, value });
      };
      for (const [i, bound] of this.#bounds.entries()) {
        below += counts[i]!;
        add('_bucket', below, { le: bound });
      }
      add('_bucket', count, { le: '+Inf' });
      add('_sum', sum);
      add('_count', count);
    }
    return {
      name: this.#name,
      help: this.#help,
      type: 'histogram' as never,
      values,
      aggregator: 'sum',
      collect: () => undefined,
    };
  }

  /** The registry's shortcut to the same. */
  getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    return this.get();
  }
}

/** Exports to a registry of prom-client. Disposing it takes its metrics out of the registry. */
export class PrometheusInstrumenter extends SharedInstrumenter implements Disposable {
  readonly #registry: Registry;
  readonly #metrics = new Map<string, Metric<string>>();
  /** As asked for. */
  readonly buckets: BucketOption;

  /** @internal Use {@link prometheusInstrumenter}. */
  constructor(registry: Registry, buckets: BucketOption) {
    super(new Collector(buckets));
    this.#registry = registry;
    this.buckets = buckets;
    for (const key of Object.keys(DEFINITIONS) as MetricKey[]) {
      const name = metricName(DEFINITIONS[key]);
      this.#metrics.set(name, this.#metric(name, key, DEFINITIONS[key]));
    }
  }

  /**
   * @internal Puts into the registry what is not there: everything at first, later what was taken out.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT when a name is taken; nothing was put there.
   */
  register(): void {
    for (const [name, metric] of this.#metrics) {
      if ((this.#registry.getSingleMetric(name) ?? metric) !== metric)
        throw new InvalidTypeError(
          `prometheusInstrumenter(): the registry has a metric '${name}' that is not heddle's`,
          { resource: name },
        );
    }
    for (const metric of this.#metrics.values()) this.#registry.registerMetric(metric);
  }

  #metric(name: string, key: MetricKey, definition: MetricDefinition): Metric<string> {
    const { collector } = this;
    const settings = {
      name,
      help: definition.description,
      labelNames: definition.attributes.map(nameOf),
      registers: [],
    };
    if (definition.kind === 'histogram') {
      const bounds = collector.boundsNs.map((ns) => ns / 1e9);
      return new ReadHistogram(settings, bounds, () => collector.read().durations.get(key) ?? []);
    }
    if (definition.kind === 'counter') {
      return new Counter({
        ...settings,
        collect() {
          const points = collector.read().numbers.get(key) ?? [];
          this.reset();
          for (const { attributes, value } of points) this.inc(labelsOf(attributes), value);
          // One without labels says 0 after a reset; where nothing is instrumented it says nothing.
          if (points.length === 0 && settings.labelNames.length === 0) this.remove({});
        },
      });
    }
    return new Gauge({
      ...settings,
      collect() {
        const points = collector.read().numbers.get(key) ?? [];
        this.reset();
        for (const { attributes, value } of points) this.set(labelsOf(attributes), value);
      },
    });
  }

  /** Takes the metrics out of the registry, and forgets all that was instrumented. May be called again. */
  dispose(): void {
    for (const [name, metric] of this.#metrics)
      if (this.#registry.getSingleMetric(name) === metric) this.#registry.removeSingleMetric(name);
    this.collector.clear();
    if (instrumenters.get(this.#registry) === this) instrumenters.delete(this.#registry);
  }

  /** {@link PrometheusInstrumenter.dispose} */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

const instrumenters = new WeakMap<Registry, PrometheusInstrumenter>();

/**
 * An instrumenter that exports by prom-client. Values are read from shared memory when the registry is asked for its metrics, so nothing is spent between two scrapes.
 *
 * There is one for each registry: asking again gives the same, with what was taken out of the registry put back, and `buckets` must agree.
 *
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong option, when the registry has an instrumenter with other buckets, or a metric of somebody else's with
 *   the name of one of heddle's. Then none is registered.
 */
export function prometheusInstrumenter(options: PrometheusOptions = {}): PrometheusInstrumenter {
  checkOptions(
    options,
    { registry: registryCheck, buckets: oneOf('octaves', 'all') },
    'prometheusInstrumenter()',
  );
  const { registry = register, buckets = 'octaves' } = options;
  const known = instrumenters.get(registry);
  if (known !== undefined) {
    if (options.buckets !== undefined && options.buckets !== known.buckets)
      throw new InvalidTypeError(
        `prometheusInstrumenter(): the registry has one with buckets '${known.buckets}'`,
      );
    known.register();
    return known;
  }
  const instrumenter = new PrometheusInstrumenter(registry, buckets);
  instrumenter.register();
  instrumenters.set(registry, instrumenter);
  return instrumenter;
}

/** A registry of whatever copy of prom-client. */
function registryCheck(value: unknown, what: string): void {
  const { registerMetric, getSingleMetric, removeSingleMetric } = (value ?? {}) as Partial<Registry>;
  if ([registerMetric, getSingleMetric, removeSingleMetric].some((method) => typeof method !== 'function'))
    throw new InvalidTypeError(`${what} must be a Registry of prom-client`);
}
