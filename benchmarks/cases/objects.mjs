import { isDeepStrictEqual } from 'node:util';
import { keepInFlight } from '../lib/load.mjs';
import { expectSame } from '../lib/verify.mjs';

/** About 200 bytes as JSON: the record that an application would send. */
export function smallObject(id) {
  return {
    id,
    name: 'Ada Lovelace',
    email: 'ada@example.org',
    active: true,
    score: 0.8125,
    tags: ['math', 'engine', 'notes'],
    address: { street: '12 St James Square', city: 'London', zip: 'SW1Y 4JH' },
    parent: null,
  };
}

/** About 10 kB as JSON: a page of such records. */
export function largeObject(id) {
  return { id, total: 51, rows: Array.from({ length: 51 }, (_, row) => smallObject(row)) };
}

function objectCase({ id, title, inFlight, make }) {
  const bytes = JSON.stringify(make(0)).length;
  /** @type {import('./case.d.ts').Case} */
  const objects = {
    id,
    title: `${title}, ${inFlight} in flight`,
    note: `An object of ${bytes} bytes (as JSON) goes there and back. In a full run what is measured begins after 2 s: until then the engines compile. Every result's id is checked, and all of every 256th result.`,
    metrics: [{ key: 'rate', label: 'rate', unit: 'tasks/s', better: 'higher' }],
    rounds: { quick: 1, full: 3 },
    timeoutMs: 30_000,
    variants: (mode) => [
      {
        key: id,
        label: '',
        params: mode === 'quick' ? { warmUpMs: 400, ms: 200 } : { warmUpMs: 2000, ms: 1000 },
      },
    ],
    includes: ({ kind, second }) => kind !== 'inline' && !second,
    async turn(pool, { warmUpMs, ms }) {
      const pattern = make(0);
      const start = (index) => pool.run('echo', { ...pattern, id: index });
      const check = (value, index) => {
        if (value.id !== index) expectSame(value.id, index, 'id of the object');
        if ((index & 255) === 0 && !isDeepStrictEqual(value, make(index)))
          expectSame(value, make(index), 'object');
      };
      await keepInFlight(inFlight, warmUpMs, start, check);
      const done = await keepInFlight(inFlight, ms, start, check);
      return { rate: (done.tasks / done.ms) * 1000 };
    },
  };
  return objects;
}

export const object200 = objectCase({
  id: 'object-200',
  title: '200-byte object',
  inFlight: 1000,
  make: smallObject,
});

export const object10k = objectCase({
  id: 'object-10k',
  title: '10 kB object',
  inFlight: 256,
  make: largeObject,
});
