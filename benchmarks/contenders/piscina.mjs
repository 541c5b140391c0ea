import { piscinaKin } from './piscina-kin.mjs';

const contender = (id, label, options) =>
  piscinaKin('piscina', async () => (await import('piscina')).Piscina, id, label, options);

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
