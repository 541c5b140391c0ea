import { significant } from './format.mjs';

/** The whole report: machine, goals, and a table for each case. */
export function report({ suite, machine, settings, results }) {
  const goals = goalTable(suite.goals, results);
  const tables = [...results.cases.values()].map((entry) => caseSection(entry, results));
  return `${[`# Benchmarks: ${suite.title}`, machineTable(machine, settings), howToRead(settings), goals, ...tables].join('\n\n')}\n`;
}

function machineTable(machine, settings) {
  return table(
    ['', ''],
    [
      ['processor', `${machine.cpu}, ${machine.cores} cores`],
      ['memory', `${machine.memoryGiB} GiB`],
      ['system', machine.os],
      ['Node', `${machine.node} (V8 ${machine.v8})`],
      ['commit', machine.commit],
      ['date', machine.date],
      ['load average before', significant(machine.loadAverageAtStart)],
      ['workers', String(settings.threads)],
      ['mode', settings.mode],
      ['contenders', settings.versions.map(([name, version]) => `${name} ${version}`).join(', ')],
    ],
  );
}

function howToRead({ reference }) {
  return [
    'A figure is the median over the rounds of one run, with the least and the greatest in parentheses.',
    `The last column says how many times better ${reference} did than the row: a median of the ratios of each round, more than 1 is better for ${reference}.`,
  ].join('\n');
}

/** Losses stand here as plainly as wins. */
function goalTable(goals, results) {
  const rows = goals.map(({ goal, target, where, measure }) => {
    const verdict = measure(results) ?? failed(where, results);
    if (verdict === undefined) return [goal, target, 'not measured in this run', '-'];
    return [goal, target, verdict.value, verdict.reached ? 'yes' : '**no**'];
  });
  return `## Goals\n\n${table(['goal', 'target', 'measured', 'reached'], rows)}`;
}

/** A case that heddle took part in without a figure is a goal missed, not one left out. */
function failed([caseId, variant], results) {
  const failure = results.failure(caseId, variant, 'heddle');
  return failure === undefined ? undefined : { value: `failed: ${failure}`, reached: false };
}

function caseSection(entry, results) {
  const { definition, variants } = entry;
  const head = `## ${definition.title}\n\n${definition.note}`;
  if (definition.listUnit !== undefined) return `${head}\n\n${listTable(entry, results)}`;
  if (definition.matrix === true) return `${head}\n\n${matrixTable(entry, results)}`;
  const tables = [...variants.values()].map(({ variant }) => {
    const title = variant.label === '' ? '' : `### ${variant.label}\n\n`;
    return `${title}${variantTable(definition, variant, results)}`;
  });
  return [head, ...tables].join('\n\n');
}

function variantTable(definition, variant, results) {
  const reference = referenceOf(definition.id, variant.key, results);
  const header = ['contender', ...definition.metrics.map(heading), `${reference.label} is better by`];
  const rows = results.contendersOf(definition.id, variant.key).map(({ id, label }) => {
    const cells = definition.metrics.map(({ key }) =>
      figure(results.summary(definition.id, variant.key, id, key)),
    );
    const ratio = times(definition, variant, id, reference, results);
    return [label, ...cells, ratio, remark(definition, variant, id, results)];
  });
  if (rows.every((row) => row.at(-1) === ''))
    return table(
      header,
      rows.map((row) => row.slice(0, -1)),
    );
  return table([...header, 'remark'], rows);
}

function matrixTable({ definition, variants }, results) {
  const [metric] = definition.metrics;
  const columns = [...variants.values()].map(({ variant }) => variant);
  const contenders = results.contendersOf(definition.id, columns[0].key);
  const rows = contenders.map(({ id, label }) => [
    label,
    ...columns.map((variant) => {
      const reference = referenceOf(definition.id, variant.key, results);
      const failure = results.failure(definition.id, variant.key, id);
      const ratio = id === reference.id ? '' : `, ${times(definition, variant, id, reference, results)}`;
      const summary = results.summary(definition.id, variant.key, id, metric.key);
      return summary === undefined
        ? `failed: ${failure}`
        : `${figure(summary)}${ratio}${failure ? ` (${failure})` : ''}`;
    }),
  ]);
  return table([`${metric.label}, ${metric.unit}`, ...columns.map(({ label }) => label)], rows);
}

function listTable({ definition, variants }, results) {
  const [{ variant }] = variants.values();
  const rows = results.contendersOf(definition.id, variant.key).flatMap(({ id, label }) => {
    const samples = results.samples(definition.id, variant.key, id);
    const names = [...new Set(samples.flatMap(({ metrics }) => Object.keys(metrics ?? {})))];
    const failure = results.failure(definition.id, variant.key, id);
    const failed = failure === undefined ? [] : [[label, 'failed', failure]];
    return [
      ...failed,
      ...names
        .filter((name) => name !== 'note')
        .map((name) => [label, name, figure(results.summary(definition.id, variant.key, id, name))]),
    ];
  });
  return table(['', 'operation', definition.listUnit], rows);
}

/** What went wrong and how often; empty when nothing did. */
function remark(definition, variant, id, results) {
  const failure = results.failure(definition.id, variant.key, id);
  if (failure === undefined) return '';
  const failed = results.failedRounds(definition.id, variant.key, id);
  return failed === 0
    ? failure
    : `failed ${failed} of ${results.samples(definition.id, variant.key, id).length}: ${failure}`;
}

/** heddle, or the first contender that has figures when a run leaves heddle out. */
function referenceOf(caseId, variantKey, results) {
  const contenders = results.contendersOf(caseId, variantKey);
  return contenders.find(({ id }) => id === 'heddle') ?? contenders[0];
}

function times(definition, variant, id, reference, results) {
  if (id === reference.id) return '';
  const ratio = results.ratio(definition.id, variant.key, definition.metrics[0].key, reference.id, id);
  return ratio === undefined ? '-' : `${significant(ratio.median)} x`;
}

function heading({ label, unit }) {
  return unit === '' ? label : `${label}, ${unit}`;
}

function figure(summary) {
  if (summary === undefined) return '-';
  const { median, min, max, count } = summary;
  return count === 1
    ? significant(median)
    : `${significant(median)} (${significant(min)}-${significant(max)})`;
}

function table(header, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
