import { fileURLToPath } from 'node:url';
import { installedVersion } from './version.mjs';

const file = fileURLToPath(new URL('./workers/poolifier.mjs', import.meta.url));

/** @returns {import('./contender.d.ts').Contender} */
function contender(id, label, options) {
  return {
    id,
    label,
    library: 'poolifier',
    version: installedVersion('poolifier'),
    kind: 'pool',
    async start({ threads }) {
      const { FixedThreadPool } = await import('poolifier');
      let running = threads;
      let allExited;
      const exited = new Promise((resolve) => {
        allExited = resolve;
      });
      const exitHandler = () => {
        if (--running === 0) allExited();
      };
      const pool = new FixedThreadPool(threads, file, { ...options, exitHandler });
      return {
        run: (name, arg, transferList) => pool.execute(arg, name, undefined, transferList),
        map: (name, args) => pool.mapExecute(args, name),
        // destroy() never settles when a worker is gone before it starts to wait for the worker's end.
        stop: () => Promise.race([pool.destroy(), exited]),
      };
    },
  };
}

/** The best of a sweep over queue, strategy, events and tasks per worker; only its queue steals. */
export const contenders = [
  contender('poolifier', 'poolifier (defaults)', {}),
  { ...contender('poolifier-lean', 'poolifier (no events)', { enableEvents: false }), second: true },
  contender('poolifier-queue', 'poolifier (queue, stealing)', {
    enableEvents: false,
    enableTasksQueue: true,
  }),
];
