/** The command `npm run model`: every model under its bounds, every mutant, and the table of both. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { checkBound, checkMutants, type Row, type Verdict } from './check.ts';
import { open, print, replay } from './explorer/explore.ts';
import type { Failure } from './explorer/types.ts';
import { openKernel } from './kernel.ts';
import { models } from './models/index.ts';

const USAGE = `npm run model -- [options]
  --only NAME       models whose name contains NAME
  --bound N         preemptions, instead of each model's own bounds; "all" for no bound
  --seconds N       most time for one model under one bound (300)
  --no-mutants      leave the mutants out
  --replay FILE     print the interleaving of a failure that was written to build/model; with --all, invisible accesses too
  --json FILE       write what was found
  --markdown FILE   put the table between the markers of FILE
  --list            names of the models
`;

const BEGIN = '<!-- models: begin -->';
const END = '<!-- models: end -->';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    bound: { type: 'string' },
    seconds: { type: 'string', default: '300' },
    'no-mutants': { type: 'boolean', default: false },
    replay: { type: 'string' },
    all: { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

// The bundle stands in build/model.
const binary = openKernel(new URL('../kernel/kernel.model.wasm', import.meta.url));

if (values.help) process.stdout.write(USAGE);
else if (values.list) for (const { name, property } of models) console.log(`${name.padEnd(24)} ${property}`);
else if (values.replay !== undefined) replayFile(values.replay);
else runAll();

function replayFile(file: string): void {
  const failure = JSON.parse(readFileSync(file, 'utf8')) as Failure;
  const model = models.find(({ name }) => name === failure.model);
  if (model === undefined) throw new Error(`no model ${failure.model}`);
  const machine = open(binary, model, failure.mutant);
  const replayed = replay(machine, failure);
  process.stdout.write(print(machine, replayed, values.all));
  if (replayed.failure === undefined) {
    console.log('it does not fail any more');
    process.exitCode = 1;
  }
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function keep(failure: Failure, name: string): string {
  const file = `build/model/${name}.json`;
  write(file, `${JSON.stringify(failure)}\n`);
  return file;
}

function runAll(): void {
  const taking = models.filter(({ name }) => name.includes(values.only ?? ''));
  if (taking.length === 0)
    throw new Error(`no model ${values.only}; there are: ${models.map(({ name }) => name).join(', ')}`);
  const options = { seconds: Number(values.seconds) };
  const rows: Row[] = [];
  const verdicts = new Map<string, Verdict[]>();
  const started = performance.now();
  for (const model of taking) {
    const progress = (text: string): void => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${model.name}: ${text}`);
    };
    const bounds =
      values.bound === undefined
        ? model.bounds
        : [values.bound === 'all' ? Number.POSITIVE_INFINITY : Number(values.bound)];
    for (const bound of bounds) {
      const row = checkBound(binary, model, bound, { ...options, onProgress: progress });
      progress('');
      rows.push(row);
      console.log(line(row));
      if (row.failure === undefined) continue;
      process.exitCode = 1;
      const file = keep(row.failure, model.name);
      const machine = open(binary, model);
      console.log(`${print(machine, replay(machine, row.failure))}npm run model -- --replay ${file}\n`);
      break;
    }
    if (values['no-mutants']) continue;
    const found = checkMutants(binary, model, { ...options, onProgress: progress });
    progress('');
    verdicts.set(model.name, found);
    for (const { mutant, failure, executions } of found) {
      if (failure === undefined) {
        process.exitCode = 1;
        console.log(`  mutant NOT rejected: ${mutant} (${executions} executions)`);
        continue;
      }
      const file = keep(failure, `${model.name}.${mutant.replaceAll(/\W+/g, '-')}`);
      console.log(
        `  rejects "${mutant}": ${failure.kind}, ${failure.preemptions} preemptions, ${executions} executions; ${file}`,
      );
    }
  }
  const seconds = (performance.now() - started) / 1000;
  const steps = rows.reduce((sum, row) => sum + row.steps, 0);
  const busy = rows.reduce((sum, row) => sum + row.seconds, 0);
  console.log(
    `\n${rows.length} searches in ${seconds.toFixed(1)} s, ${(steps / busy / 1e6).toFixed(2)} million steps a second`,
  );
  const table = markdown(rows, verdicts);
  if (values.json !== undefined)
    write(values.json, `${JSON.stringify({ rows, mutants: Object.fromEntries(verdicts) }, undefined, 2)}\n`);
  if (values.markdown !== undefined) writeTable(values.markdown, table);
}

function line(row: Row): string {
  const state = row.failure !== undefined ? 'FAILED' : row.complete ? 'complete' : 'not finished';
  return [
    row.model.padEnd(26),
    `${row.threads} threads`,
    `bound ${row.bound ?? 'none'}`.padEnd(10),
    `${row.executions} executions`.padStart(20),
    `${row.steps} steps`.padStart(18),
    `${row.seconds.toFixed(1)} s`.padStart(9),
    ` ${state}`,
  ].join(' ');
}

function markdown(rows: readonly Row[], verdicts: ReadonlyMap<string, readonly Verdict[]>): string {
  const lines = [
    '| structure | model | property | threads | preemptions | executions | steps | seconds | all of them | mutants rejected |',
    '| --- | --- | --- | --: | --: | --: | --: | --: | --- | --- |',
  ];
  for (const [i, row] of rows.entries()) {
    // The mutants stand in the last row of their model.
    const isLast = rows[i + 1]?.model !== row.model;
    const mutants = isLast
      ? (verdicts.get(row.model) ?? [])
          .map(({ mutant, failure }) => (failure === undefined ? `**not: ${mutant}**` : mutant))
          .join(', ')
      : '';
    const cells = [
      row.structure,
      `\`${row.model}\``,
      row.property,
      row.threads,
      row.bound ?? 'any',
      row.executions.toLocaleString('en'),
      row.steps.toLocaleString('en'),
      row.seconds.toFixed(1),
      row.failure !== undefined ? '**fails**' : row.complete ? 'yes' : 'no',
      mutants,
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}

function writeTable(file: string, table: string): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : `${BEGIN}\n${END}\n`;
  const [from, to] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${file} has no ${BEGIN} ... ${END}`);
  write(file, `${before.slice(0, from + BEGIN.length)}\n${table}${before.slice(to)}`);
}
