import type { Command } from 'commander';
import { NodeSystems } from '../systems/systems.node.ts';
import type { MapSettings } from './map-settings.ts';
import { runMap } from './run-map.ts';
import { whole } from './whole-number.ts';

const THREADS_MOST = 64;
const TIMEOUT_MOST_MS = 2 ** 31 - 1;

const EXAMPLES = `
Each input is the function's only argument: the absolute path of a file, or a line of stdin.
Without --json, a result is a line "input<TAB>value". What the tasks print goes to stderr.

Exit codes: 0 all inputs succeeded, 1 some failed, 2 wrong usage, 130 interrupted.

Examples:
  heddle map tasks.mjs#digest 'src/**/*.ts'
  git ls-files | heddle map tasks.mjs#digest - --json > digests.ndjson
  heddle map tasks.mjs#render pages/ --threads 4 --timeout 5000 --trace render.json`;

type Options = Omit<MapSettings, 'task' | 'inputs' | 'threads'> & { readonly threads?: number };

/**
 * Adds `heddle map` to the program.
 *
 * @param setExitCode - gets the exit code when the command has run
 */
export function addMapCommand(program: Command, setExitCode: (code: number) => void): void {
  program
    .command('map')
    .summary('run an exported function over many inputs')
    .description('Runs an exported function over many inputs, on every core.')
    .argument('<task>', 'module and export: <module>#<export>')
    .argument('[inputs...]', "files, folders, globs, or '-' for the lines of stdin")
    .option(
      '--threads <n>',
      'worker threads (default: as many as this process may run at once)',
      whole(1, THREADS_MOST),
    )
    .option('--concurrency <n>', 'async tasks under way at once in each worker', whole(1, 4096), 1)
    .option('--ordered', 'write results in the order of the inputs')
    .option('--json', 'write results as NDJSON: {input, ok, value | error, ms}')
    .option(
      '--timeout <ms>',
      'fail an input whose task runs longer, counted from its start',
      whole(1, TIMEOUT_MOST_MS),
    )
    .option(
      '--retries <n>',
      'run a task that threw, or whose worker died, up to n times more',
      whole(0, 999),
      0,
    )
    .option('--fail-fast', 'stop at the first failure')
    .option('--dot', 'let globs match names that begin with a dot')
    .option('--trace <file>', 'write what the workers did, for Perfetto or chrome://tracing')
    .addHelpText('after', EXAMPLES)
    .action(async (task: string, inputs: readonly string[], options: Options) => {
      const systems = NodeSystems.detect();
      const threads = options.threads ?? defaultThreads(systems);
      setExitCode(await runMap({ ...options, threads, task, inputs }, systems));
    });
}

/** As many as a pool has: what affinity, cpuset and cpu quota let run at once. */
export function defaultThreads(systems: NodeSystems): number {
  return Math.min(THREADS_MOST, systems.defaultWorkers());
}
