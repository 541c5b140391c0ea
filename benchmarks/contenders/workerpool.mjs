import { fileURLToPath } from 'node:url';
import { installedVersion } from './version.mjs';

const script = fileURLToPath(new URL('./workers/workerpool.mjs', import.meta.url));

/** @returns {import('./contender.d.ts').Contender} */
function contender(id, label, options) {
  return {
    id,
    label,
    library: 'workerpool',
    version: installedVersion('workerpool'),
    kind: 'pool',
    async start({ threads }) {
      const { default: workerpool } = await import('workerpool');
      const pool = workerpool.pool(script, { minWorkers: threads, maxWorkers: threads, ...options });
      return {
        run: (name, arg, transfer) =>
          pool.exec(name, [arg], transfer === undefined ? undefined : { transfer }),
        stop: async () => {
          await pool.terminate();
        },
      };
    },
  };
}

/** Its workers take one task at a time in every configuration; the queue's order is all that there is to choose. */
export const contenders = [contender('workerpool', 'workerpool (threads)', { workerType: 'thread' })];
