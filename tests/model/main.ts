/** The command `npm run model`: every model under its bounds, every mutant, and the table of both. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { checkBound, checkMutants, difference, type Row, sampleModel, type Verdict } from './check.ts';
import { open, print, replay } from './explorer/explore.ts';
import type { AnyModel, Failure } from './explorer/types.ts';
import { openKernel } from './kernel.ts';
import { models } from './models/index.ts';
import { line, summary, table, writeTable } from './report.ts';

const USAGE = `npm run model -- [options]
  --list            names of the models
  --only NAME       models whose name contains NAME
  --bound N         preemptions, instead of each model's own bounds; "all" for no bound
  --seconds N       most time for one model under one bound (300); a search that it ends has failed
  --no-mutants      leave the mutants out
  --threads N       models at a time (one a core)
  --sample N        N random executions of each model instead, from --seed S (1); with --depth D by PCT, for bugs of that depth
  --replay FILE     print the interleaving of a failure that was written to build/model; with --all, invisible accesses too
  --json FILE       write what was found
  --markdown FILE   put the table between the markers of FILE; of a whole run only
`;

const { values } = parseArgs({
  args: isMainThread ? process.argv.slice(2) : workerData.args,
  options: {
    list: { type: 'boolean', default: false },
    only: { type: 'string' },
    bound: { type: 'string' },
    seconds: { type: 'string', default: '300' },
    'no-mutants': { type: 'boolean', default: false },
    threads: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    depth: { type: 'string' },
    replay: { type: 'string' },
    all: { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** What a worker tells: numbers of the model it is at. */
type News =
  | { readonly kind: 'progress'; readonly model: number; readonly text: string }
  | { readonly kind: 'row'; readonly model: number; readonly row: Row }
  | { readonly kind: 'verdicts'; readonly model: number; readonly verdicts: readonly Verdict[] }
  | { readonly kind: 'done'; readonly model: number };

/** Of each model, so many random schedules and so many of PCT (depth 3), besides the searches. */
const SAMPLES = 300;

// The bundle stands in build/model.
const binary = openKernel(new URL('../kernel/kernel.model.wasm', import.meta.url));

if (!isMainThread) serve();
else if (values.help) process.stdout.write(USAGE);
else if (values.list) for (const { name, property } of models) console.log(`${name.padEnd(24)} ${property}`);
else if (values.replay !== undefined) replayFile(values.replay);
else await runAll();

function number(text: string | undefined, name: string): number {
  const value = Number(text);
  if (!(value >= 0)) throw new RangeError(`--${name} ${text}: a number is needed`);
  return value;
}

/** Checks one model in a thread of its own, whose memory goes with it. */
function inWorker(model: number, onNews: (news: News) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { args: process.argv.slice(2), model },
    });
    let isDone = false;
    worker.on('message', (news: News) => {
      if (news.kind === 'done') isDone = true;
      else onNews(news);
    });
    worker.on('error', (error) => reject(new Error(`${models[model]!.name}: ${error.message}`)));
    worker.on('exit', (code) => {
      if (isDone) resolve();
      else
        reject(new Error(`${models[model]!.name}: its worker ended before it had told all (exit ${code})`));
    });
  });
}

/** In a worker: checks the model whose number it was given. */
function serve(): void {
  const index: number = workerData.model;
  const model = models[index]!;
  const tell = (news: News): void => parentPort!.postMessage(news);
  const options = {
    seconds: number(values.seconds, 'seconds'),
    onProgress: (text: string): void => tell({ kind: 'progress', model: index, text }),
  };
  for (const row of rowsOf(model, options)) {
    tell({ kind: 'row', model: index, row });
    if (row.failure !== undefined) break;
  }
  if (!values['no-mutants'] && values.sample === undefined)
    tell({ kind: 'verdicts', model: index, verdicts: checkMutants(binary, model, options) });
  tell({ kind: 'done', model: index });
}

function* rowsOf(
  model: AnyModel<any>,
  options: { readonly seconds: number; readonly onProgress: (text: string) => void },
): Iterable<Row> {
  if (values.sample !== undefined) {
    const sampling = { seed: number(values.seed, 'seed'), executions: number(values.sample, 'sample') };
    const depth = values.depth === undefined ? {} : { depth: number(values.depth, 'depth') };
    yield sampleModel(binary, model, { ...sampling, ...depth, seconds: options.seconds });
    return;
  }
  const all = values.bound === 'all' ? Number.POSITIVE_INFINITY : undefined;
  const bounds = values.bound === undefined ? model.bounds : [all ?? number(values.bound, 'bound')];
  for (const bound of bounds) yield checkBound(binary, model, bound, options);
  if (values.bound !== undefined) return;
  yield sampleModel(binary, model, { seed: 1, executions: SAMPLES });
  yield sampleModel(binary, model, { seed: 1, executions: SAMPLES, depth: 3 });
}

function replayFile(file: string): void {
  const failure = JSON.parse(readFileSync(file, 'utf8')) as Failure;
  const model = models.find(({ name }) => name === failure.model);
  if (model === undefined) throw new Error(`no model ${failure.model}`);
  const machine = open(binary, model, failure.mutant);
  const replayed = replay(machine, failure);
  process.stdout.write(print(machine, replayed, values.all));
  const differs = difference(failure, replayed.failure);
  if (differs !== undefined) {
    console.log(differs);
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

function printRow(model: AnyModel<any>, row: Row): void {
  // Of the samples besides the searches only the sum is shown.
  if (!row.isSample || values.sample !== undefined || row.failure !== undefined) console.log(line(row));
  if (row.failure === undefined) {
    if (!row.complete && !row.isSample) process.exitCode = 1;
    return;
  }
  process.exitCode = 1;
  const file = keep(row.failure, model.name);
  const machine = open(binary, model);
  console.log(`${print(machine, replay(machine, row.failure))}npm run model -- --replay ${file}\n`);
}

function printVerdict(model: AnyModel<any>, { mutant, failure, instead, executions }: Verdict): void {
  if (failure === undefined) {
    process.exitCode = 1;
    const but = instead === undefined ? '' : `; ${instead.kind}: ${instead.message}`;
    console.log(`  ${model.name} does NOT reject "${mutant}" (${executions} executions)${but}`);
    return;
  }
  const file = keep(failure, `${model.name}.${mutant.replaceAll(/\W+/g, '-')}`);
  const how = `${failure.kind}, ${failure.preemptions} preemptions, ${executions} executions`;
  console.log(`  ${model.name} rejects "${mutant}": ${how}; ${file}`);
}

async function runAll(): Promise<void> {
  if (values.markdown !== undefined) {
    for (const option of ['only', 'bound', 'sample'] as const) {
      if (values[option] !== undefined)
        throw new RangeError(`--markdown writes the whole table: it does not go with --${option}`);
    }
    if (values['no-mutants'])
      throw new RangeError('--markdown writes the whole table: it does not go with --no-mutants');
  }
  const taking = [...models.keys()].filter((i) => models[i]!.name.includes(values.only ?? ''));
  if (taking.length === 0) {
    const names = models.map(({ name }) => name).join(', ');
    throw new RangeError(`no model ${values.only}; there are: ${names}`);
  }
  const started = performance.now();
  const rows = taking.map((): Row[] => []);
  const verdicts = taking.map((): readonly Verdict[] => []);
  const threads = Math.min(
    number(values.threads ?? `${availableParallelism()}`, 'threads') || 1,
    taking.length,
  );
  const isLong = (i: number): boolean => models[i]!.isLong === true;
  const order = [...taking.filter(isLong), ...taking.filter((i) => !isLong(i))];
  let next = 0;
  const onNews = (news: News): void => {
    const at = taking.indexOf(news.model);
    const model = models[news.model]!;
    if (process.stderr.isTTY) {
      const text = news.kind === 'progress' ? `${model.name}: ${news.text}` : '';
      process.stderr.write(`\r\x1b[K${text}`);
    }
    if (news.kind === 'row') {
      rows[at]!.push(news.row);
      printRow(model, news.row);
    } else if (news.kind === 'verdicts') {
      verdicts[at] = news.verdicts;
      for (const verdict of news.verdicts) printVerdict(model, verdict);
    }
  };
  const work = async (): Promise<void> => {
    while (next < order.length) await inWorker(order[next++]!, onNews);
  };
  await Promise.all(Array.from({ length: threads }, work));
  const all = rows.flat();
  const text = summary(all, verdicts.flat().length, (performance.now() - started) / 1000, threads);
  console.log(`\n${text}`);
  const named = new Map(taking.map((index, at) => [models[index]!.name, verdicts[at]!]));
  if (values.json !== undefined)
    write(
      values.json,
      `${JSON.stringify({ rows: all, mutants: Object.fromEntries(named) }, undefined, 2)}\n`,
    );
  if (values.markdown !== undefined) {
    const searches = all.filter(({ isSample }) => !isSample);
    writeTable(values.markdown, `${table(searches, named)}\n${text}.\n`);
  }
}
