// Transfers over random accounts from many workers. With locks taken as they come it deadlocks, and loses no cent; with locks taken by class
// key it cannot deadlock at all. Prints both, and the graph of locks.
//
//   node examples/bank/run.mjs [--accounts N] [--tellers N] [--transfers N] [--seed N] [--svg FILE]

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { playBank } from './bank.mjs';

const { values } = parseArgs({
  options: {
    accounts: { type: 'string', default: '6' },
    tellers: { type: 'string', default: '4' },
    transfers: { type: 'string', default: '4000' },
    seed: { type: 'string', default: '1' },
    /** Writes a picture of the lock graph of the first way. */
    svg: { type: 'string' },
  },
});

const { isRight, graphs } = await playBank({
  accounts: Number(values.accounts),
  tellers: Number(values.tellers),
  transfers: Number(values.transfers),
  seed: Number(values.seed),
  isColoured: process.stdout.isTTY === true && !process.env.NO_COLOR,
  write: (text) => process.stdout.write(text),
});
if (values.svg !== undefined) {
  writeFileSync(values.svg, await graphs.asAsked.toSvg());
  console.log(`wrote ${values.svg}`);
}
if (!isRight) process.exitCode = 1;
