/**
 * Child process in which one contender takes its turns: its own heap, its own compiled code, and a crash or
 * hang that ends only itself. Run with --expose-gc.
 */
import { fileURLToPath } from 'node:url';
import { contenders } from '../contenders/index.mjs';
import { limit } from '../contenders/limit.mjs';
import { cases } from '../suites/index.mjs';

const STOP_MS = 5_000;
const root = fileURLToPath(new URL('../..', import.meta.url));

process.on('message', async ({ caseId, contenderId, threads, params }) => {
  const answer = await turn(caseId, contenderId, threads, params).catch((error) => ({
    error: describe(error),
  }));
  process.send(answer);
});
process.on('disconnect', () => process.exit());
process.on('unhandledRejection', (error) =>
  process.send({ error: `unhandled rejection: ${describe(error)}` }),
);

async function turn(caseId, contenderId, threads, params) {
  const contender = [...contenders, limit].find(({ id }) => id === contenderId);
  const current = cases.find(({ id }) => id === caseId);
  if (current.ownProcess === true)
    return { metrics: await current.turn(undefined, params, { threads, contenderId }) };
  const pool = await contender.start({ threads, ...current.startOptions });
  globalThis.gc();
  let metrics;
  try {
    metrics = await current.turn(pool, params, { threads, contenderId });
  } finally {
    const stopped = await Promise.race([pool.stop().then(() => true, describe), delay(STOP_MS)]);
    if (stopped !== true)
      metrics = { ...metrics, note: `did not stop: ${stopped ?? `${STOP_MS} ms passed`}` };
  }
  globalThis.gc();
  return { metrics };
}

function delay(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

function describe(error) {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.replaceAll(root, '');
}
