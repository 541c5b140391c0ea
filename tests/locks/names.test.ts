// Which test shows which scenario: each has one whose title begins with its name, in the files that are said here.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sharedPath } from '../shared.ts';

/** By group of the list of scenarios (anchors/locks.md in the folder of tests/shared.ts): the files, and the names as they are there. */
const SCENARIOS: Readonly<Record<string, readonly [files: string, names: string]>> = {
  Exclusive: [
    'scenarios',
    'AA · ABBA · ABBCCA · ABCABC · ABBCCDDA · ABCDBDDA · ABCDBCDA · double_unlock · init_held',
  ],
  Structure: [
    'order-scenarios order-oracle',
    'randomized against a naive graph · no cycle · simple · indirect · long path · remove node and reuse its id · many edges · version wrap · stress of 131,072 locks · try-lock does not fire · id reuse does not lie',
  ],
  Zircon: [
    'scenarios',
    'order invariant · several locks of one struct are separate classes · lock several in address order · nested by an outer order · circular A-B-C-A plus D · aliased lock',
  ],
  TSan: [
    'scenarios',
    'two, three locks · private locks · four try-lock combinations · all under one gate lock · create/destroy in four threads · same-owner cycle · address reuse · a real hang is reported',
  ],
  Helgrind: ['scenarios', 'dining philosophers · deleting a lock in the middle'],
  'go-deadlock': ['scenarios', 'hard deadlock · transient holder gone by the time of the report'],
  Waits: [
    'waits',
    'A-B across two workers · worker and main thread · ring of 8 · owner with two waiters · lock -> pool.run -> the task wants the lock · join while holding · a phantom · a timed wait marked breakable',
  ],
  Death: [
    'deaths',
    'holder exits · waiter exits · woken waiter exits before taking it · holder and waiter exit together',
  ],
  Faults: [
    'faults',
    "unlock by a stranger · double unlock · lock in a disposed runtime · name clash with other options · more locks than maxLocks · an observer that throws · a strategy that throws · holder exits · waiter exits · woken waiter exits before it takes the lock · holder and waiter exit together · cancel racing with grant · blocking the browser's main thread",
  ],
};

/** Titles of the tests of a file, those of tables of names too. */
function titlesOf(file: string): string[] {
  const text = readFileSync(new URL(`${file}.test.ts`, import.meta.url), 'utf8');
  return [...text.matchAll(/(?:\bit\(|\n {4}\[)\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")/g)].map(
    ([, single, double]) => (single ?? double)!,
  );
}

describe('every scenario is a test of its name', () => {
  for (const [group, [files, names]] of Object.entries(SCENARIOS)) {
    it(group, () => {
      const titles = files.split(' ').flatMap(titlesOf);
      const begins = (name: string): boolean =>
        titles.some(
          (title) => title === name || (title.startsWith(name) && /^[:,(; ]/.test(title.slice(name.length))),
        );
      expect(names.split(' · ').filter((name) => !begins(name))).toEqual([]);
    });
  }

  const list = sharedPath('anchors/locks.md');
  it.skipIf(list === undefined)('of the whole list (needs ../shared/anchors)', () => {
    const section = readFileSync(list!, 'utf8').split('## Scenarios')[1]!;
    for (const line of section.split('\n').slice(1)) {
      if (line.trim() === '') continue;
      const [, group, rest] = /^([\w-]+)(?: \([\w ]+\))?: (.*)\.$/.exec(line)!;
      const wanted = rest!.split(' · ').map((name) =>
        // What must come of it, and numbers, are no part of the name.
        name
          .replaceAll('`', '')
          .replace(/ \([^)]*\)/g, '')
          .replace(/ (?:F|OK)$/, '')
          .replace(/ (?:F|OK)$/, ''),
      );
      expect([group, SCENARIOS[group!]?.[1].split(' · ')]).toEqual([group, wanted]);
    }
  });
});
