import process from 'node:process';
import type { Command } from 'commander';
import { whole } from './whole-number.ts';

/** The bank of the examples, which is part of the package. */
interface Bank {
  playBank(options: {
    readonly accounts: number;
    readonly tellers: number;
    readonly transfers: number;
    readonly seed: number;
    readonly isColoured: boolean;
    write(text: string): void;
  }): Promise<{ readonly isRight: boolean }>;
}

type Options = Record<'accounts' | 'tellers' | 'transfers' | 'seed', number>;

/**
 * Adds `heddle locks` to the program.
 *
 * @param setExitCode - gets the exit code when the command has run
 */
export function addLocksCommand(program: Command, setExitCode: (code: number) => void): void {
  const locks = program.command('locks').description('Shows what the locks of heddle do.');
  locks
    .command('demo')
    .summary('a bank that deadlocks, and one that cannot')
    .description(
      'Moves money between random accounts from several threads: first with locks taken as they come, where deadlocks are found and resolved, ' +
        'then by class key, where there are none. Shows the reports and the graph of locks.',
    )
    .option('--accounts <n>', 'accounts, each with a lock', whole(2, 20), 6)
    .option('--tellers <n>', 'worker threads that transfer', whole(2, 16), 4)
    .option('--transfers <n>', 'transfers, each way', whole(1, 10_000_000), 4000)
    .option('--seed <n>', 'where the random numbers start', whole(0, 2 ** 31 - 1), 1)
    .addHelpText(
      'after',
      '\nExit codes: 0 no cent was lost and nothing deadlocked by key, 1 otherwise, 2 wrong usage.',
    )
    .action(async (options: Options) => {
      const bank = (await import(bankUrl())) as Bank;
      const { isRight } = await bank.playBank({
        ...options,
        isColoured: process.stdout.isTTY === true && !process.env.NO_COLOR,
        write: (text) => process.stdout.write(text),
      });
      setExitCode(isRight ? 0 : 1);
    });
}

/** It stands beside the built files, not among them. */
function bankUrl(): string {
  const here = import.meta.url;
  return new URL('../examples/bank/bank.mjs', here).href;
}
