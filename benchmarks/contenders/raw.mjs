/** What a hand-written round robin over worker_threads costs: the least that postMessage allows. */
import { Worker } from 'node:worker_threads';

const file = new URL('./workers/raw.mjs', import.meta.url);

/** @type {import('./contender.d.ts').Contender[]} */
export const contenders = [
  {
    id: 'raw',
    label: 'raw postMessage',
    library: 'node',
    version: process.versions.node,
    kind: 'raw',
    async start({ threads }) {
      const pending = new Map();
      const settle = ({ id, value, error }) => {
        const task = pending.get(id);
        pending.delete(id);
        if (error === undefined) task.resolve(value);
        else task.reject(error);
      };
      const workers = Array.from({ length: threads }, () => new Worker(file).on('message', settle));
      let nextId = 0;
      let turn = 0;
      return {
        run(name, arg, transferList) {
          return new Promise((resolve, reject) => {
            const id = nextId++;
            pending.set(id, { resolve, reject });
            turn = turn + 1 === threads ? 0 : turn + 1;
            workers[turn].postMessage({ id, name, arg }, transferList);
          });
        },
        async stop() {
          await Promise.all(workers.map((worker) => worker.terminate()));
        },
      };
    },
  },
];
