import { fileURLToPath } from 'node:url';
import { installedVersion } from './version.mjs';

const filename = fileURLToPath(new URL('../tasks.mjs', import.meta.url));

/** @returns {import('./contender.d.ts').Contender} */
function contender(id, label, options) {
  return {
    id,
    label,
    library: 'tinypool',
    version: installedVersion('tinypool'),
    kind: 'pool',
    async start({ threads }) {
      const { Tinypool } = await import('tinypool');
      const pool = new Tinypool({ filename, minThreads: threads, maxThreads: threads, ...options });
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

/** The best of a sweep over `useAtomics` x tasks per worker (1, 16, 64, 256, 512, 1024). */
export const contenders = [
  contender('tinypool', 'tinypool (defaults)', {}),
  contender('tinypool-512', 'tinypool (512 a worker)', { concurrentTasksPerWorker: 512 }),
];
