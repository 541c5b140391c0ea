import type { Collector, DurationPoint } from './collector.ts';
import { DEFINITIONS, type MetricKey } from './definitions.ts';

/** A metric of histograms, in the shape of the SDK's `HistogramMetricData`. */
export interface DurationMetric {
  readonly descriptor: {
    readonly name: string;
    readonly description: string;
    readonly unit: string;
    /** DOUBLE. */
    readonly valueType: 1;
    /** For readers of the SDK's first major version. */
    readonly type: 'HISTOGRAM';
  };
  /** CUMULATIVE. */
  readonly aggregationTemporality: 1;
  /** HISTOGRAM. */
  readonly dataPointType: 0;
  readonly dataPoints: {
    /** Seconds and nanoseconds since 1970. */
    readonly startTime: [number, number];
    readonly endTime: [number, number];
    readonly attributes: Readonly<Record<string, string>>;
    readonly value: {
      readonly count: number;
      readonly sum: number;
      readonly buckets: { boundaries: number[]; counts: number[] };
    };
  }[];
}

/** What a producer hands to a reader, in the shape of the SDK's `CollectionResult`. */
export interface DurationCollection {
  readonly resourceMetrics: {
    /** The reader puts its own in the place of this. */
    readonly resource: any;
    readonly scopeMetrics: {
      readonly scope: { readonly name: string };
      readonly metrics: DurationMetric[];
    }[];
  };
  readonly errors: unknown[];
}

/** A `MetricProducer` of the SDK. The names and numbers of its interface are all that is known of it here: heddle needs the API only. */
export interface DurationProducer {
  /** Reads the histograms now. */
  collect(): Promise<DurationCollection>;
}

const hrTime = (ms: number): [number, number] => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)];

/** Hands the histograms of a collector to metric readers. */
export function producerOf(collector: Collector): DurationProducer {
  const boundaries = collector.boundsNs.map((ns) => ns / 1e9);
  return {
    async collect() {
      const endTime = hrTime(Date.now());
      const metrics: DurationMetric[] = [];
      for (const [key, points] of collector.read().durations)
        metrics.push(metricOf(key, points, boundaries, endTime));
      const scopeMetrics = metrics.length === 0 ? [] : [{ scope: { name: 'heddle' }, metrics }];
      return { resourceMetrics: { resource: { attributes: {} }, scopeMetrics }, errors: [] };
    },
  };
}

function metricOf(
  key: MetricKey,
  points: readonly DurationPoint[],
  boundaries: readonly number[],
  endTime: [number, number],
): DurationMetric {
  const { name, description, unit } = DEFINITIONS[key];
  return {
    descriptor: { name, description, unit, valueType: 1, type: 'HISTOGRAM' },
    aggregationTemporality: 1,
    dataPointType: 0,
    dataPoints: points.map(({ attributes, count, sum, counts, sinceMs }) => ({
      startTime: hrTime(sinceMs),
      endTime,
      attributes,
      value: { count, sum, buckets: { boundaries: [...boundaries], counts: [...counts] } },
    })),
  };
}
