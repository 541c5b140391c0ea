import { statSync } from 'node:fs';
import process from 'node:process';
import type { Command } from 'commander';
import { NodeSystems } from '../systems/systems.node.ts';
import type { ContainerContext, TopologyHints } from '../systems/types.ts';
import { paintFor } from './colours.ts';
import { topologyPicture } from './topology-picture.ts';
import { UsageError } from './usage-error.ts';

const DEFAULT_COLUMNS = 80;

const EXAMPLES = `
CPUs of one core are joined: 0+16. What another process may use besides is left out.

Examples:
  heddle topology
  heddle topology --json | jq .topology.distances
  heddle topology --root recordings/big-machine`;

/**
 * Adds `heddle topology` to the program.
 *
 * @param setExitCode - gets the exit code when the command has run
 */
export function addTopologyCommand(program: Command, setExitCode: (code: number) => void): void {
  program
    .command('topology')
    .summary('show the machine: packages, NUMA nodes, cores, distances, limits')
    .description(
      'Shows the machine as a pool sees it: packages, NUMA nodes, cores, distances, and what limits this process.',
    )
    .option('--json', 'write everything that is known as JSON')
    .option('--root <folder>', 'read /sys and /proc below this folder: a recorded machine', '/')
    .addHelpText('after', EXAMPLES)
    .action(async ({ json, root }: { readonly json?: true; readonly root: string }) => {
      if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true)
        throw new UsageError(`--root '${root}' is no folder`);
      const systems = NodeSystems.detect({ root });
      const topology = await systems.getTopologyHints();
      const container = systems.getContainerContext();
      process.stdout.write(
        json
          ? `${JSON.stringify(plain(topology, container), undefined, 2)}\n`
          : topologyPicture(
              topology,
              container,
              process.stdout.columns ?? DEFAULT_COLUMNS,
              paintFor(process.stdout),
            ),
      );
      setExitCode(0);
    });
}

/** Some of the topology is read when it is asked for, so that JSON would not find it. */
function plain(topology: TopologyHints, container: ContainerContext): object {
  const { source, cpus, onlineCpus, offlineCpus, isolatedCpus, nodes, packages, cores, caches } = topology;
  const { distances, currentNode, degradations } = topology;
  return {
    topology: {
      source,
      cpus,
      onlineCpus,
      offlineCpus,
      isolatedCpus,
      nodes,
      packages,
      cores,
      caches,
      distances,
      currentNode,
      degradations,
    },
    container,
  };
}
