// Runs in a control group that a test has made: tells what it sees there, one line of JSON for each word on its stdin.

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { createRuntime, NodeSystems } from 'heddle';

const systems = NodeSystems.detect({ watchMs: 20 });
const degradations = [];
systems.onDegradation((degradation) => degradations.push(degradation));
const rt = await createRuntime({ systems });
const pool = await rt.createPool({ tasks: new URL('../fixtures/tasks.mjs', import.meta.url) });

async function see() {
  const { cpu, memory, workers, cgroup, degradations: faults } = systems.getContainerContext();
  const { cpus } = await systems.getTopologyHints();
  return { cpu, memory, workers, cgroup, cpus, faults, degradations, sum: await pool.run('add', [20, 22]) };
}

const answers = {
  see,
  /** Once something has become less. */
  async degraded() {
    while (degradations.length === 0) await new Promise((resolve) => setImmediate(resolve));
    return see();
  },
};

const lines = createInterface({ input: process.stdin });
lines.on('line', async (word) => console.log(JSON.stringify(await answers[word]())));
await once(lines, 'close');
await rt.dispose();
