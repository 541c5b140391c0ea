import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { identities, openChannel } from './harness.ts';

// fast-check prints the seed and the path of a failure; pass them as the second argument of assert to see it again.
const runs = { numRuns: 1500 };

it('arbitrary values cross as structured clone carries them', () => {
  const channel = openChannel();
  const anything = fc.anything({
    maxDepth: 4,
    withBigInt: true,
    withBoxedValues: true,
    // No invalid dates: deepStrictEqual() finds none in a Map that is equal to another (pack.test.ts has them).
    values: [
      fc.boolean(),
      fc.integer(),
      fc.double(),
      fc.string(),
      fc.constantFrom(null, undefined),
      fc.date({ noInvalidDate: true }),
    ],
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
  });
  fc.assert(
    fc.property(anything, (value) => {
      deepStrictEqual(channel.send(value), structuredClone(value));
    }),
    runs,
  );
});

it('arbitrary strings cross', () => {
  const channel = openChannel();
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({ unit: 'grapheme', maxLength: 100 }),
    fc.array(fc.nat(0xffff), { maxLength: 120 }).map((codes) => String.fromCharCode(...codes)),
    fc.array(fc.nat(0xff), { maxLength: 120 }).map((codes) => String.fromCharCode(...codes)),
  );
  fc.assert(
    fc.property(fc.array(text), fc.dictionary(text, text), (list, record) => {
      deepStrictEqual(channel.send([list, record]), [list, { ...record }]);
    }),
    runs,
  );
});

it('arbitrary graphs keep their form and identity', () => {
  const channel = openChannel();
  const node = fc.record({
    kind: fc.constantFrom('record', 'array', 'map', 'set', 'deep'),
    links: fc.array(fc.nat(), { maxLength: 6 }),
  });
  fc.assert(
    fc.property(fc.array(node, { minLength: 1, maxLength: 60 }), (plan) => {
      const nodes = plan.map(({ kind }): object => {
        if (kind === 'array') return [];
        if (kind === 'map') return new Map();
        return kind === 'set' ? new Set() : {};
      });
      for (const [i, { kind, links }] of plan.entries()) {
        for (const [j, link] of links.entries()) {
          let target = nodes[link % nodes.length] as object;
          if (kind === 'deep') for (let level = 0; level < 60; level++) target = { target };
          const from = nodes[i];
          if (Array.isArray(from)) from.push(target);
          else if (from instanceof Map) from.set(j % 2 === 0 ? target : j, target);
          else if (from instanceof Set) from.add(target);
          else (from as { [key: string]: unknown })[`k${j}`] = target;
        }
      }
      const expected = structuredClone(nodes);
      expect(identities(channel.send(nodes))).toEqual(identities(expected));
    }),
    { numRuns: 300 },
  );
});
