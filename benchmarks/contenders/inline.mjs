/** No pool: the task is called where it stands. */
import * as tasks from '../tasks.mjs';

/** @type {import('./contender.d.ts').Contender[]} */
export const contenders = [
  {
    id: 'inline',
    label: 'no pool',
    library: 'node',
    version: process.versions.node,
    kind: 'inline',
    async start() {
      return { run: async (name, arg) => tasks[name](arg), stop: async () => {} };
    },
  },
];
