import { summarize } from './stats.mjs';

/**
 * The samples of one run and what can be asked of them.
 *
 * @typedef {{ round: number, contender: string, metrics?: Record<string, unknown>, error?: string }} Sample
 */
export class Results {
  /** @type {Map<string, { definition: import('../cases/case.d.ts').Case, variants: Map<string, { variant: import('../cases/case.d.ts').Variant, samples: Sample[] }> }>} */
  cases = new Map();
  #contenders;

  constructor(contenders) {
    this.#contenders = contenders;
  }

  addVariant(definition, variant) {
    let entry = this.cases.get(definition.id);
    if (entry === undefined) this.cases.set(definition.id, (entry = { definition, variants: new Map() }));
    const samples = [];
    entry.variants.set(variant.key, { variant, samples });
    return samples;
  }

  samples(caseId, variantKey, contender) {
    const all = this.cases.get(caseId)?.variants.get(variantKey)?.samples ?? [];
    return all.filter((sample) => sample.contender === contender);
  }

  ran(caseId, variantKey, contender) {
    return this.samples(caseId, variantKey, contender).length > 0;
  }

  /** The contenders of a variant in the order of the tables. */
  contendersOf(caseId, variantKey) {
    return this.#contenders.filter(({ id }) => this.ran(caseId, variantKey, id));
  }

  summary(caseId, variantKey, contender, metric) {
    return summarize(this.#values(caseId, variantKey, contender, metric).map(({ value }) => value));
  }

  /** How many times better the first contender is than the second, from the rounds that both finished. */
  ratio(caseId, variantKey, metricKey, first, second) {
    const metric = this.cases.get(caseId)?.definition.metrics.find(({ key }) => key === metricKey);
    if (metric === undefined) return undefined;
    const others = new Map(
      this.#values(caseId, variantKey, second, metricKey).map(({ round, value }) => [round, value]),
    );
    const ratios = this.#values(caseId, variantKey, first, metricKey)
      .filter(({ round }) => others.has(round))
      .map(({ round, value }) =>
        metric.better === 'higher' ? value / others.get(round) : others.get(round) / value,
      );
    return summarize(ratios);
  }

  /** The pool (not heddle) with the best median. */
  best(caseId, variantKey, metricKey) {
    const metric = this.cases.get(caseId)?.definition.metrics.find(({ key }) => key === metricKey);
    const sign = metric?.better === 'higher' ? -1 : 1;
    return this.contendersOf(caseId, variantKey)
      .filter(({ kind }) => kind === 'pool')
      .map(({ id }) => ({ id, median: this.summary(caseId, variantKey, id, metricKey)?.median }))
      .filter(({ median }) => median !== undefined)
      .sort((a, b) => sign * (a.median - b.median))[0]?.id;
  }

  label(contender) {
    return this.#contenders.find(({ id }) => id === contender)?.label ?? contender;
  }

  /** Why a contender has no figure, or what is to be said about it. */
  failure(caseId, variantKey, contender) {
    const samples = this.samples(caseId, variantKey, contender);
    const texts = samples
      .map(({ error, metrics }) => error ?? metrics?.note)
      .filter((text) => text !== undefined);
    return texts.length === 0 ? undefined : [...new Set(texts)].join('; ');
  }

  failedRounds(caseId, variantKey, contender) {
    return this.samples(caseId, variantKey, contender).filter(({ error }) => error !== undefined).length;
  }

  toJSON() {
    return [...this.cases.values()].map(({ definition, variants }) => ({
      id: definition.id,
      title: definition.title,
      note: definition.note,
      metrics: definition.metrics,
      variants: [...variants.values()].map(({ variant, samples }) => ({
        key: variant.key,
        label: variant.label,
        threads: variant.threads,
        samples,
      })),
    }));
  }

  #values(caseId, variantKey, contender, metric) {
    return this.samples(caseId, variantKey, contender)
      .map(({ round, metrics }) => ({ round, value: metrics?.[metric] }))
      .filter(({ value }) => typeof value === 'number' && Number.isFinite(value));
  }
}
