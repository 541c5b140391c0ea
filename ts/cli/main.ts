#!/usr/bin/env node
/**
 * The command `heddle`. Each subcommand is a file that adds itself to the program and returns its exit code.
 *
 * @module
 */
import { createRequire } from 'node:module';
import process from 'node:process';
import { Command, CommanderError } from 'commander';
import { whenUnread } from './interrupts.ts';
import { addLocksCommand } from './locks-command.ts';
import { addMapCommand } from './map-command.ts';
import { addPolicyCommand } from './policy-command.ts';
import { addTopCommand } from './top-command.ts';
import { addTopologyCommand } from './topology-command.ts';
import { UsageError } from './usage-error.ts';

const EXIT_USAGE = 2;
const EXIT_CRASH = 70;

const manifest = createRequire(import.meta.url)('heddle/package.json') as { version: string };

const program: Command = new Command('heddle')
  .description('Runs JavaScript on every core.')
  .version(manifest.version)
  .showHelpAfterError('(heddle --help, or heddle <command> --help, lists the options)')
  .exitOverride();

let exitCode = 0;
let isUnread = false;
const setExitCode = (code: number): void => {
  exitCode = code;
};
addMapCommand(program, setExitCode);
addPolicyCommand(program, setExitCode);
addTopCommand(program, setExitCode);
addTopologyCommand(program, setExitCode);
addLocksCommand(program, setExitCode);

whenUnread((code) => {
  isUnread = true;
  process.exitCode = code;
});

try {
  await program.parseAsync();
} catch (error) {
  exitCode = report(error);
}
if (!isUnread) process.exitCode = exitCode;

/** Says what went wrong unless commander has said it already. Returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof UsageError) {
    console.error(`heddle: ${error.message}`);
    return EXIT_USAGE;
  }
  console.error(error);
  return EXIT_CRASH;
}
