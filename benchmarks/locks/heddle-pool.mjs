import { createRuntime } from 'heddle';

const tasks = new URL('../tasks-locks.mjs', import.meta.url);

/** Calls `use` with a runtime and a pool of the suite's tasks. */
export async function withPool(threads, locks, use) {
  const runtime = await createRuntime({ locks });
  const pool = await runtime.createPool({ tasks, minThreads: threads, maxThreads: threads });
  try {
    await pool.ready();
    return await use(pool, runtime);
  } finally {
    await pool.destroy();
    await runtime.dispose();
  }
}
