/**
 * Metrics of heddle for OpenTelemetry, by way of its API.
 *
 * @module
 */
import {
  type BatchObservableCallback,
  type Meter,
  type MeterProvider,
  metrics,
  type Observable,
  ValueType,
} from '@opentelemetry/api';
import { InvalidTypeError } from '../errors.ts';
import { checkOptions, describe, oneOf } from '../options.ts';
import { type Attributes, Collector, type Reading } from './collector.ts';
import { type BucketOption, DEFINITIONS, type MetricKey } from './definitions.ts';
import { type DurationProducer, producerOf } from './otel-producer.ts';
import { SharedInstrumenter } from './shared-instrumenter.ts';

export type { BucketOption } from './definitions.ts';
export type { DurationCollection, DurationMetric, DurationProducer } from './otel-producer.ts';

/** Options of {@link otelInstrumenter}. */
export interface OtelOptions {
  /** Whose meter is used. Default: the global one of `@opentelemetry/api` as it is now; set it before. */
  readonly meterProvider?: MeterProvider;
  /** `'octaves'`: 28 buckets from 1 microsecond to 137 seconds, each twice as wide as the last. `'all'`: as heddle counts, 63. Default: `'octaves'`. */
  readonly buckets?: BucketOption;
}

interface Level {
  readonly observable: Observable;
  readonly attributes: Attributes;
}

/** Exports through a meter. Disposing it ends that. */
export class OtelInstrumenter extends SharedInstrumenter implements Disposable {
  readonly #meter: Meter;
  readonly #callback: BatchObservableCallback;
  readonly #observables: Observable[];
  /** Series of the last collection that may fall. */
  #levels: ReadonlyMap<string, Level> = new Map();
  readonly #provider: MeterProvider;
  #isDisposed = false;
  /** As asked for. */
  readonly buckets: BucketOption;
  /**
   * The histograms, for the option `metricProducers` of a metric reader: durations, times in queues, waits for locks, holds of them. OpenTelemetry's API has no
   * histogram that is read rather than recorded, and recording a million values a second would cost as much as the tasks; the SDK's readers take whole
   * histograms from producers. Cumulative, whatever the exporter prefers.
   */
  readonly producer: DurationProducer;

  /** @internal Use {@link otelInstrumenter}. */
  constructor(provider: MeterProvider, buckets: BucketOption) {
    super(new Collector(buckets));
    this.#provider = provider;
    this.buckets = buckets;
    this.#meter = provider.getMeter('heddle');
    this.producer = producerOf(this.collector);
    const keys = (Object.keys(DEFINITIONS) as MetricKey[]).filter(
      (key) => DEFINITIONS[key].kind !== 'histogram',
    );
    this.#observables = keys.map((key) => this.#observable(key));
    this.#callback = (result) => {
      // The SDK goes through its list of callbacks as it calls this one.
      if (this.#isDisposed) queueMicrotask(() => this.#leaveMeter());
      const numbers: Reading['numbers'] = this.#isDisposed ? new Map() : this.collector.read().numbers;
      const levels = new Map<string, Level>();
      for (const [i, key] of keys.entries()) {
        const observable = this.#observables[i]!;
        for (const { value, attributes } of numbers.get(key) ?? []) {
          result.observe(observable, value, attributes);
          if (DEFINITIONS[key].kind === 'gauge')
            levels.set(`${key} ${JSON.stringify(attributes)}`, { observable, attributes });
        }
      }
      // The SDK goes on to tell the last value of a series that is no longer observed.
      for (const [series, { observable, attributes }] of this.#levels)
        if (!levels.has(series)) result.observe(observable, 0, attributes);
      this.#levels = levels;
    };
    this.#meter.addBatchObservableCallback(this.#callback, this.#observables);
  }

  #observable(key: MetricKey): Observable {
    const { name, kind, unit, description } = DEFINITIONS[key];
    if (kind === 'counter')
      return this.#meter.createObservableCounter(name, { unit, description, valueType: ValueType.INT });
    // What is a sum over pools and workers is an UpDownCounter; a ratio is a gauge.
    return unit === '1'
      ? this.#meter.createObservableGauge(name, { unit, description })
      : this.#meter.createObservableUpDownCounter(name, { unit, description, valueType: ValueType.INT });
  }

  /**
   * Forgets all that was instrumented. Exports nothing more but, once, 0 for all levels: the SDK tells the last value that it was given for ever. May be called
   * again.
   */
  dispose(): void {
    this.#isDisposed = true;
    if (this.#levels.size === 0) this.#leaveMeter();
    this.collector.clear();
    if (instrumenters.get(this.#provider) === this) instrumenters.delete(this.#provider);
  }

  #leaveMeter(): void {
    this.#meter.removeBatchObservableCallback(this.#callback, this.#observables);
  }

  /** {@link OtelInstrumenter.dispose} */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

const instrumenters = new WeakMap<MeterProvider, OtelInstrumenter>();

/**
 * An instrumenter that exports by the API of OpenTelemetry: observable instruments, whose values are read from shared memory when a reader collects. Nothing is
 * spent in between.
 *
 * Histograms need the SDK's reader: hand it {@link OtelInstrumenter.producer}.
 *
 * There is one for each provider, as an instrument takes one value of a series: asking again gives the same, and `buckets` must agree.
 *
 * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong option, or when the provider has an instrumenter with other buckets.
 */
export function otelInstrumenter(options: OtelOptions = {}): OtelInstrumenter {
  checkOptions(
    options,
    { meterProvider: providerCheck, buckets: oneOf('octaves', 'all') },
    'otelInstrumenter()',
  );
  const { meterProvider = metrics.getMeterProvider(), buckets = 'octaves' } = options;
  const known = instrumenters.get(meterProvider);
  if (known !== undefined) {
    if (options.buckets !== undefined && options.buckets !== known.buckets)
      throw new InvalidTypeError(`otelInstrumenter(): the provider has one with buckets '${known.buckets}'`);
    return known;
  }
  const instrumenter = new OtelInstrumenter(meterProvider, buckets);
  instrumenters.set(meterProvider, instrumenter);
  return instrumenter;
}

function providerCheck(value: unknown, what: string): void {
  if (typeof (value as Partial<MeterProvider> | null)?.getMeter !== 'function')
    throw new InvalidTypeError(`${what} must be a MeterProvider, not ${describe(value)}`);
}
