import { parseArgs } from 'node:util';

export const usage = `node benchmarks/run.mjs <suite> [options]

  --quick               fewer rounds and shorter turns
  --threads N           workers of each pool (default 2)
  --only CASE,CASE      only these cases
  --contenders ID,ID    only these contenders
  --json FILE           write machine, settings and all samples
  --markdown FILE       write the report
  --list                name the cases and contenders
  --help                show this text`;

/** @throws {TypeError | RangeError} on anything that is not understood */
export function readArguments(argv) {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      threads: { type: 'string', default: '2' },
      only: { type: 'string' },
      contenders: { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const threads = Number(values.threads);
  if (!Number.isInteger(threads) || threads < 1)
    throw new RangeError(`--threads ${values.threads}: not a count`);
  if (positionals.length > 1) throw new TypeError(`one suite at a time, got: ${positionals.join(' ')}`);
  return { ...values, threads, suite: positionals[0] };
}

/** Picks by id, in the list's own order. @throws {RangeError} on an id that is not in the list */
export function pick(list, ids, what) {
  if (ids === undefined) return list;
  const wanted = ids.split(',');
  const unknown = wanted.filter((id) => !list.some((item) => item.id === id));
  if (unknown.length > 0)
    throw new RangeError(
      `no ${what} ${unknown.join(', ')}; there are: ${list.map(({ id }) => id).join(', ')}`,
    );
  return list.filter(({ id }) => wanted.includes(id));
}
