import { fileURLToPath } from 'node:url';
import { installedVersion } from './version.mjs';

const filename = fileURLToPath(new URL('../tasks.mjs', import.meta.url));

/**
 * A contender of piscina's family: tinypool is a fork of it, with the same calls.
 *
 * @param {() => Promise<new (options: object) => any>} load the pool's class
 * @returns {import('./contender.d.ts').Contender}
 */
export function piscinaKin(library, load, id, label, options) {
  return {
    id,
    label,
    library,
    version: installedVersion(library),
    kind: 'pool',
    async start({ threads }) {
      const Pool = await load();
      const pool = new Pool({ filename, minThreads: threads, maxThreads: threads, ...options });
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
