/** Not pools: what learns the order of locks in the case 'lock-order', which makes them itself. */
const twin = (id, label) => ({
  id,
  label,
  library: 'node',
  version: process.versions.node,
  kind: 'twin',
  suite: 'locks',
  async start() {
    throw new Error(`${label} runs no tasks`);
  },
});

/** @type {import('./contender.d.ts').Contender[]} */
export const contenders = [
  twin('order-tuned', 'tuned typed arrays (JS)'),
  twin('order-naive', 'search for each edge (JS)'),
];
