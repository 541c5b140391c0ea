// Runs in the guest (tests/numa/run.mjs). Arguments: the parts to run, each in a process of its own. Prints a line for each thing that holds.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { renameSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createRuntime } from 'heddle';

const [part, ...more] = process.argv.slice(2);
const tasks = new URL('guest-tasks.mjs', import.meta.url);
const holds = (what) => console.log(`ok - ${what}`);
const list = (cpus) => cpus.join(',');

/** `2-3,5` as `2,3,5`. */
function expand(text) {
  return text.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

const nodeByWorker = (pool) => new Map(pool.metrics().workers.map(({ id, numaNode }) => [id, numaNode]));

/** Workers that stand where they say. */
async function checkPins(pool, topology, means) {
  const { workers } = pool.metrics();
  for (const { id, numaNode, pin } of workers) {
    const { cpus } = topology.nodes.find((node) => node.id === numaNode);
    assert.deepEqual(
      [pin?.isPinned, pin?.means, list(pin?.cpus ?? [])],
      [true, means, list(cpus)],
      `worker ${id}: ${pin?.reason}`,
    );
  }
}

/**
 * Runs of a task on a node other than its own, at a time when the node of who ran it had tasks left: one of its own began later.
 */
function strayed(runs, nodes) {
  const last = new Map();
  for (const { home, start } of runs) last.set(home, Math.max(last.get(home) ?? 0, start));
  return runs.filter(({ home, worker, start }) => {
    const node = nodes.get(worker);
    return node !== home && start < (last.get(node) ?? 0);
  }).length;
}

/** Blocks all 8 workers. */
async function holdAll(pool, words) {
  const held = Array.from({ length: 8 }, () => pool.run('hold', [words]));
  while (Atomics.load(words, 1) < 8) await new Promise((resolve) => setTimeout(resolve, 1));
  return held;
}

async function letGo(words, held) {
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  await Promise.all(held);
}

const parts = {
  async placement() {
    const rt = await createRuntime({ memoryBytes: 64 * 2 ** 20 });
    const numa = rt.systems.getNUMACoordinator();
    const topology = await rt.systems.getTopologyHints();
    assert.deepEqual(numa.nodes(), [0, 1, 2, 3]);
    assert.deepEqual([numa.distance(0, 1), numa.distance(0, 2), numa.distance(2, 3)], [16, 32, 20]);
    assert.deepEqual(numa.nearest(3), [3, 2, 0, 1]);
    holds('nodes and distances are those of the machine');

    const pool = await rt.createPool({ tasks, numa: true, minThreads: 8, maxThreads: 8 });
    await pool.ready();
    await checkPins(pool, topology, 'syscall');
    const nodes = nodeByWorker(pool);
    assert.deepEqual([...nodes.values()].sort(), [0, 0, 1, 1, 2, 2, 2, 2]);
    for (const node of [0, 1, 2]) {
      // Whoever is awake may take it; it tells where it stands.
      const { worker, cpus } = await pool.run('allowedCpus', [], { numaNode: node });
      assert.deepEqual(expand(cpus), [...topology.nodes.find(({ id }) => id === nodes.get(worker)).cpus]);
    }
    holds('8 workers are spread by CPUs and pinned to their nodes, read back in the thread');

    let pages = 0;
    for (const node of [0, 1, 2]) {
      const touched = await pool.run('touch', [64], { numaNode: node });
      const own = nodes.get(touched.worker);
      const total = Object.values(touched.nodes).reduce((sum, count) => sum + count, 0);
      assert.equal(touched.nodes[own], total, `worker on ${own}: ${JSON.stringify(touched.nodes)}`);
      assert.ok(total >= 1024, `${total} pages`);
      pages += total;
    }
    holds(`${pages} pages that pinned workers touched first are on their nodes, by numa_maps`);

    // All is queued before anybody looks: who takes from afar while its own queue is still being filled does right.
    const words = rt.alloc(Int32Array, 2);
    const held = await holdAll(pool, words);
    const homes = [0, 1, 2, 2];
    const running = Promise.all(
      Array.from({ length: 400 }, async (_, i) => {
        const home = homes[i % homes.length];
        return { home, ...(await pool.run('spin', [5], { numaNode: home })) };
      }),
    );
    await letGo(words, held);
    const runs = await running;
    const far = strayed(runs, nodes);
    assert.ok(far <= runs.length * 0.1, `${far} of ${runs.length} ran far from a node that had work`);
    holds(`of ${runs.length} tasks ${far} were taken from afar while the own node had work (at most 10 %)`);

    // A tree for each worker, large and small ones on each node: who has done a small one has a near and two far large ones to steal from.
    const again = rt.alloc(Int32Array, 2);
    const waiting = await holdAll(pool, again);
    const growing = Promise.all(
      [0, 0, 1, 1, 2, 2, 2, 2].map(async (home, i) => {
        const ran = await pool.run('leaves', [i % 2 === 0 ? 7 : 5, 4], { numaNode: home });
        return ran.map((leaf) => ({ home, ...leaf }));
      }),
    );
    await letGo(again, waiting);
    const trees = await growing;
    const all = trees.flat();
    const lost = strayed(all, nodes);
    assert.ok(lost <= all.length * 0.1, `${lost} of ${all.length} forks ran far from a node that had work`);
    holds(`of ${all.length} forks ${lost} were stolen from afar while the own node had work (at most 10 %)`);
    await pool.shutdown();

    const bound = await rt.createPool({ tasks, numa: { allowedDistance: 16 }, minThreads: 8, maxThreads: 8 });
    await bound.ready();
    const standing = nodeByWorker(bound);
    const bounded = await Promise.all([
      ...Array.from({ length: 200 }, async (_, i) => [
        { home: i % 3, ...(await bound.run('spin', [1], { numaNode: i % 3 })) },
      ]),
      ...[0, 1, 2].map(async (home) =>
        (await bound.run('leaves', [6, 2], { numaNode: home })).map((leaf) => ({ home, ...leaf })),
      ),
    ]);
    const beyond = bounded
      .flat()
      .filter(({ home, worker }) => numa.distance(home, standing.get(worker)) > 16);
    assert.deepEqual(beyond, []);
    const refused = await bound.run('spin', [1], { numaNode: 3 }).catch((error) => error.name);
    assert.equal(refused, 'PlacementError');
    holds(`of ${bounded.flat().length} tasks and forks none went beyond allowedDistance`);
    await rt.dispose();
  },

  async policy() {
    const rt = await createRuntime({ memoryBytes: 64 * 2 ** 20 });
    const topology = await rt.systems.getTopologyHints();
    const pool = await rt.createPool({
      tasks,
      minThreads: 2,
      maxThreads: 2,
      threadPriority: true,
      qos: 'Guaranteed',
    });
    const standOn = async (...nodes) => {
      const stand = () =>
        pool.metrics().workers.map(({ numaNode, state }) => (state === 'booting' ? -1 : numaNode));
      while (JSON.stringify(stand()) !== JSON.stringify(nodes))
        await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const look = async () => {
      const { cpus } = await pool.run('allowedCpus');
      return [list(expand(cpus)), await pool.run('niceness')];
    };
    await pool.ready();
    const before = await look();
    assert.equal(before[0], '0,1,2,3,4,5,6,7');
    const applied = rt.applyLockPolicy({
      qosClass: 'BestEffort',
      numaAffinity: { preferredNodes: [1], required: true },
    });
    await standOn(1, 1);
    await checkPins(pool, topology, 'syscall');
    assert.deepEqual(await look(), ['2,3', 15]);
    const touched = await pool.run('touch', [16]);
    assert.deepEqual(Object.keys(touched.nodes), ['1']);
    holds('a policy moves an open pool: its threads, their memory and their priority');
    applied.undo();
    await standOn(null, null);
    assert.deepEqual(await look(), before);
    holds('and undone they are as they were');
    await rt.dispose();
  },

  async 'koffi-is-missing'() {
    if (process.env.HEDDLE_GUEST_CHILD === undefined) {
      // This process may have loaded it.
      renameSync(
        new URL('../../node_modules/koffi', import.meta.url),
        new URL('../../koffi-away', import.meta.url),
      );
      const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), 'koffi-is-missing'], {
        stdio: 'inherit',
        env: { ...process.env, HEDDLE_GUEST_CHILD: '1' },
      });
      assert.equal(child.status, 0);
      return;
    }
    const rt = await createRuntime({ memoryBytes: 64 * 2 ** 20 });
    const pool = await rt.createPool({ tasks, numa: { preferredNodes: [1] }, minThreads: 2, maxThreads: 2 });
    await pool.ready();
    await checkPins(pool, await rt.systems.getTopologyHints(), 'taskset');
    assert.deepEqual(expand((await pool.run('allowedCpus')).cpus), [2, 3]);
    holds('without koffi workers are pinned by taskset');
    await rt.dispose();
  },

  async limits() {
    const rt = await createRuntime({ memoryBytes: 64 * 2 ** 20 });
    assert.equal(rt.systems.defaultWorkers(), 3);
    const pool = await rt.createPool({ tasks, numa: true, minThreads: 1 });
    const calls = Array.from({ length: 40 }, () => pool.run('spin', [50]));
    await Promise.all(calls);
    assert.equal(pool.metrics().threads, 3);
    await pool.scale(3);
    const { workers } = pool.metrics();
    holds('2.5 CPUs of time and a cpuset of 4 make 3 workers');
    await checkPins(pool, await rt.systems.getTopologyHints(), 'syscall');
    assert.deepEqual([...new Set(workers.map(({ numaNode }) => numaNode))].sort(), [1, 2]);
    holds('they are pinned to the CPUs of the cpuset on its nodes');
    await rt.dispose();
  },
};

await parts[part]();
if (more.length > 0) {
  const next = spawnSync(process.execPath, [fileURLToPath(import.meta.url), ...more], { stdio: 'inherit' });
  process.exitCode = next.status ?? 1;
}
