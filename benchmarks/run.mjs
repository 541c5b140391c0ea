import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { contenders } from './contenders/index.mjs';
import { pick, readArguments, usage } from './lib/arguments.mjs';
import { describeMachine } from './lib/machine.mjs';
import { report } from './lib/markdown.mjs';
import { Progress } from './lib/progress.mjs';
import { runSuite } from './lib/run-suite.mjs';
import { suites } from './suites/index.mjs';

try {
  await main(readArguments(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
  process.stderr.write(`${error.message}\n\n${usage}\n`);
  process.exitCode = 2;
}

async function main(options) {
  if (options.help) return void process.stdout.write(`${usage}\n`);
  const suite = suites[options.suite];
  if (suite === undefined)
    throw new RangeError(
      `no suite ${options.suite ?? '(none given)'}; there are: ${Object.keys(suites).join(', ')}`,
    );
  if (options.list) return void process.stdout.write(listing(suite));
  const cases = pick(suite.cases, options.only, 'case');
  const mode = options.quick ? 'quick' : 'full';
  const all = contenders.filter(
    ({ second, suite: only }) =>
      (only ?? suite.id) === suite.id && (mode === 'full' || options.contenders !== undefined || !second),
  );
  const taking = pick(all, options.contenders, 'contender');
  const machine = describeMachine();
  const begin = performance.now();
  const progress = new Progress(cases.length);
  const results = await runSuite({ cases, contenders: taking, mode, threads: options.threads, progress });
  const settings = {
    suite: suite.id,
    mode,
    threads: options.threads,
    seconds: Math.round((performance.now() - begin) / 1000),
    reference: (taking.find(({ id }) => id === 'heddle') ?? taking[0]).label,
    versions: [...new Map(taking.map(({ library, version }) => [library, version]))],
  };
  const text = report({ suite, machine, settings, results });
  if (options.json !== undefined)
    write(options.json, `${JSON.stringify({ machine, settings, cases: results }, undefined, 2)}\n`);
  if (options.markdown !== undefined) write(options.markdown, text);
  process.stdout.write(text);
}

function listing(suite) {
  const lines = (title, list, text) => [
    title,
    ...list.map((item) => `  ${item.id.padEnd(16)} ${text(item)}`),
  ];
  return `${[...lines('cases', suite.cases, ({ title }) => title), ...lines('contenders', contenders, ({ label }) => label)].join('\n')}\n`;
}

function write(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
