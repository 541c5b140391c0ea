import { readFileSync } from 'node:fs';

const tasks = new URL('../tasks.mjs', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** @type {import('./contender.d.ts').Contender[]} */
export const contenders = [
  {
    id: 'heddle',
    label: 'heddle',
    library: 'heddle',
    version,
    kind: 'heddle',
    async start({ threads, tasksFile = tasks }) {
      const { createRuntime } = await import('heddle');
      const runtime = await createRuntime();
      const pool = await runtime.createPool({ tasks: tasksFile, minThreads: threads, maxThreads: threads });
      await pool.ready();
      return {
        run: (name, arg, transferList) =>
          transferList === undefined ? pool.run(name, [arg]) : pool.run(name, [arg], { transferList }),
        async map(name, args) {
          const values = [];
          for await (const value of pool.map(name, args)) values.push(value);
          return values;
        },
        sharedBytes: (length) => runtime.alloc(Uint8Array, length),
        sharedCells: (length) => runtime.alloc(Int32Array, length),
        extra: { runtime, pool },
        async stop() {
          await pool.destroy();
          await runtime.dispose();
        },
      };
    },
  },
];
