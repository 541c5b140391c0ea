import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { lockPolicyCRDManifest } from '../policy/crd.ts';
import { type PolicyDocument, readPolicies, withoutMark } from '../policy/document.ts';
import { explainPolicy } from './policy-explain.ts';
import { renderFaults } from './policy-faults.ts';
import { UsageError } from './usage-error.ts';

const HELP = `
A policy is YAML or JSON: the spec alone, or an object of Kubernetes. What its fields mean: docs/policies.md.

Examples:
  heddle policy validate policies/*.yaml
  heddle policy explain bank.yaml
  heddle policy crd | kubectl apply -f -`;

const EXIT_FAULTS = 1;

interface ValidateOptions {
  readonly json?: true;
  readonly nodes?: string;
}

/** A file of policies as it was read. */
interface PolicyFile {
  readonly name: string;
  readonly text: string;
  readonly documents: readonly PolicyDocument[];
}

/**
 * Adds `heddle policy` to the program.
 *
 * @param setExitCode - gets the exit code when the command has run
 */
export function addPolicyCommand(program: Command, setExitCode: (code: number) => void): void {
  const policy = program
    .command('policy')
    .summary('check and explain LockPolicy documents')
    .description('Checks and explains LockPolicy documents.')
    .addHelpText('after', HELP);
  policy
    .command('validate')
    .summary('find all faults of policies')
    .description(
      'Finds all faults of policies. Exit codes: 0 all are valid, 1 some have faults, 2 wrong usage.',
    )
    .argument('<files...>', "files, or '-' for stdin")
    .option('--json', 'write one line of JSON for each file: {file, valid, faults}')
    .option('--nodes <ids>', 'NUMA nodes of the machine, such as 0,1: others are faults')
    .action(async (names: string[], options: ValidateOptions) => {
      let hasFaults = false;
      for (const name of names) {
        const file = await read(name, nodesOf(options.nodes));
        const faults = file.documents.flatMap((document) => document.faults);
        hasFaults ||= faults.length > 0;
        if (options.json) {
          const shown = faults.map(({ path, reason, line, column }) => ({ path, reason, line, column }));
          process.stdout.write(
            `${JSON.stringify({ file: name, valid: faults.length === 0, faults: shown })}\n`,
          );
        } else process.stdout.write(renderFaults(file.name, file.text, faults, file.documents.length));
      }
      if (hasFaults) setExitCode(EXIT_FAULTS);
    });
  policy
    .command('explain')
    .summary('say what a policy will do')
    .description('Says what a policy will do, in plain words, with its lock order as a table and a picture.')
    .argument('<file>', "a file, or '-' for stdin")
    .action(async (name: string) => {
      const file = await read(name, undefined);
      const faults = file.documents.flatMap((document) => document.faults);
      if (faults.length > 0) {
        process.stdout.write(renderFaults(file.name, file.text, faults, file.documents.length));
        setExitCode(EXIT_FAULTS);
        return;
      }
      const columns = process.stdout.columns ?? 100;
      process.stdout.write(
        file.documents.map(({ value }) => explainPolicy(value, file.name, columns)).join('\n'),
      );
    });
  policy
    .command('crd')
    .summary('print the custom resource definition')
    .description('Prints the custom resource definition of LockPolicy, for Kubernetes 1.16 and later.')
    .action(() => {
      process.stdout.write(
        stringify(lockPolicyCRDManifest(), { lineWidth: 120, aliasDuplicateObjects: false }),
      );
    });
}

async function read(
  name: string,
  nodes: readonly { readonly id: number }[] | undefined,
): Promise<PolicyFile> {
  let text: string;
  try {
    text = withoutMark(readFileSync(name === '-' ? 0 : name, 'utf8'));
  } catch (error) {
    throw new UsageError(`cannot read ${name}: ${(error as Error).message}`);
  }
  const documents = await readPolicies(text, {
    json: name.endsWith('.json'),
    ...(nodes === undefined ? {} : { nodes }),
  });
  return { name: name === '-' ? 'stdin' : name, text, documents };
}

function nodesOf(list: string | undefined): readonly { readonly id: number }[] | undefined {
  if (list === undefined) return undefined;
  if (!/^\d+(,\d+)*$/.test(list))
    throw new UsageError(`--nodes takes ids of NUMA nodes such as 0,1, not '${list}'`);
  return list.split(',').map((id) => ({ id: Number(id) }));
}
