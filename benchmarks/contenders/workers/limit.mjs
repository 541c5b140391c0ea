import * as tasks from '../../tasks.mjs';

process.on('message', ({ name, args }) => {
  const begin = performance.now();
  const results = args.map((arg) => tasks[name](arg));
  process.send({ results, busyMs: performance.now() - begin });
});
process.on('disconnect', () => process.exit());
