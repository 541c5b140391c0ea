import { piscinaKin } from './piscina-kin.mjs';

const contender = (id, label, options) =>
  piscinaKin('tinypool', async () => (await import('tinypool')).Tinypool, id, label, options);

/** The best of a sweep over `useAtomics` x tasks per worker (1, 16, 64, 256, 512, 1024). */
export const contenders = [
  contender('tinypool', 'tinypool (defaults)', {}),
  contender('tinypool-512', 'tinypool (512 a worker)', { concurrentTasksPerWorker: 512 }),
];
