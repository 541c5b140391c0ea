/**
 * The machine's limit: independent processes that share nothing, each with a part of the work fixed beforehand.
 * Not a pool: only the cases that compare against it use it.
 */
import { fork } from 'node:child_process';

const file = new URL('./workers/limit.mjs', import.meta.url);

/** @type {import('./contender.d.ts').Contender} */
export const limit = {
  id: 'limit',
  label: 'independent processes',
  library: 'node',
  version: process.versions.node,
  kind: 'limit',
  async start({ threads }) {
    const children = Array.from({ length: threads }, () => fork(file, { serialization: 'advanced' }));
    const ask = (child, message) =>
      new Promise((resolve, reject) => {
        child.once('message', resolve).once('exit', (code) => reject(new Error(`process ended: ${code}`)));
        child.send(message);
      });
    return {
      /** Runs one list of arguments in each process at once. */
      runParts: (name, parts) => Promise.all(parts.map((args, i) => ask(children[i], { name, args }))),
      async stop() {
        for (const child of children) child.removeAllListeners('exit').disconnect();
      },
    };
  },
};
