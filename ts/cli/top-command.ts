import process from 'node:process';
import { type Command, InvalidArgumentError } from 'commander';
import { runTop } from './top/run-top.ts';
import { UsageError } from './usage-error.ts';

const INTERVAL_LEAST_MS = 100;
const INTERVAL_MOST_MS = 10_000;

const EXAMPLES = `
Shows the pools of a running process: what each worker does over time, queues by class, steals, times, and who holds and waits for locks.
The process must have been started with HEDDLE_TOP=1 in its environment, or call serveTop(); only its own user can watch it.
Where stdout is no terminal, or with --once, it looks for a second and prints the view as plain text.

Exit codes: 0, 2 wrong usage, nothing to watch or no answer, with a program its own.

Examples:
  HEDDLE_TOP=1 node server.mjs &
  heddle top                          the only process there is, or: heddle top PID
  heddle top -- node batch.mjs        starts a program and watches it; what it prints follows at the end
  heddle top --json --interval 1000 > pool.ndjson`;

interface Options {
  readonly once?: boolean;
  readonly json?: boolean;
  readonly interval: number;
}

function interval(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < INTERVAL_LEAST_MS || value > INTERVAL_MOST_MS)
    throw new InvalidArgumentError(
      `It must be a whole number from ${INTERVAL_LEAST_MS} to ${INTERVAL_MOST_MS}.`,
    );
  return value;
}

/**
 * Adds `heddle top` to the program.
 *
 * @param setExitCode - gets the exit code when the command has run
 */
export function addTopCommand(program: Command, setExitCode: (code: number) => void): void {
  program
    .command('top')
    .summary('watch the pools of a running process')
    .description('Watches the pools of a running process.')
    .argument('[target...]', 'id of the process, or after -- a program to start')
    .option('--once', 'print the view once, as plain text; with --json one snapshot')
    .option('--json', 'write snapshots as NDJSON')
    .option('--interval <ms>', 'time between two looks', interval, 250)
    .addHelpText('after', EXAMPLES)
    .action(async (target: readonly string[], { once = false, json = false, interval: everyMs }: Options) => {
      const isCommand = process.argv.includes('--');
      setExitCode(
        await runTop({
          pid: isCommand ? undefined : pidOf(target),
          command: isCommand ? commandOf(target) : undefined,
          once,
          json,
          interval: everyMs,
        }),
      );
    });
}

function pidOf(target: readonly string[]): number | undefined {
  if (target.length === 0) return undefined;
  if (target.length > 1 || !/^[1-9]\d{0,9}$/.test(target[0]!))
    throw new UsageError('top takes the id of one process, or -- and a program to start');
  return Number(target[0]);
}

function commandOf(target: readonly string[]): readonly string[] {
  if (target.length === 0) throw new UsageError('top needs a program after --');
  return target;
}
