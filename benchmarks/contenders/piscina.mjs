import { fileURLToPath } from 'node:url';
import { installedVersion } from './version.mjs';

const filename = fileURLToPath(new URL('../tasks.mjs', import.meta.url));

/** @returns {import('./contender.d.ts').Contender} */
function contender(id, label, options) {
  return {
    id,
    label,
    library: 'piscina',
    version: installedVersion('piscina'),
    kind: 'pool',
    async start({ threads }) {
      const { Piscina } = await import('piscina');
      const pool = new Piscina({ filename, minThreads: threads, maxThreads: threads, ...options });
      const named = new Map();
      const optionsFor = (name) => {
        let known = named.get(name);
        if (known === undefined) named.set(name, (known = { name }));
        return known;
      };
      return {
        run: (name, arg, transferList) =>
          pool.run(arg, transferList === undefined ? optionsFor(name) : { name, transferList }),
        stop: () => pool.destroy(),
      };
    },
  };
}

/** The best of a sweep over `atomics` x tasks per worker (1, 16, 64, 512): one for latency, one for throughput. */
export const contenders = [
  contender('piscina', 'piscina (defaults)', {}),
  {
    ...contender('piscina-port', "piscina (atomics 'disabled')", {
      atomics: 'disabled',
      recordTiming: false,
    }),
    second: true,
  },
  contender('piscina-512', "piscina (atomics 'async', 512 a worker)", {
    atomics: 'async',
    concurrentTasksPerWorker: 512,
    recordTiming: false,
  }),
];
