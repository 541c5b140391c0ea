import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as layout from '../../build/generated/layout.model.ts';
import { checkBound, checkMutants } from './check.ts';
import { CAS, LOAD, PLAIN_LOAD, PLAIN_STORE, RMW, STORE } from './explorer/types.ts';
import { openKernel } from './kernel.ts';
import { models } from './models/index.ts';

// A part of `npm run model` that takes less than a minute: each quick model under its first bound or a smaller one, with its mutants.

const inBuild = (path: string): URL => new URL(`../../build/kernel/${path}`, import.meta.url);
const kernel = openKernel(inBuild('kernel.model.wasm'));
const quick = models.filter(({ quick = false }) => quick !== false);

/** Scheduling steps of the searches below: what the quick models may cost, whatever the machine. */
let steps = 0;
const MOST_STEPS = 10_000_000;

describe.each(quick)('$name: $property', (model) => {
  it('holds in all executions', { timeout: 60_000 }, () => {
    const bound = typeof model.quick === 'number' ? model.quick : model.bounds[0]!;
    const { failure, complete, allSteps } = checkBound(kernel, model, bound, { seconds: 30 });
    steps += allSteps;
    expect(failure).toBeUndefined();
    expect(complete).toBe(true);
  });

  it('rejects every mutant', { timeout: 60_000 }, () => {
    const verdicts = checkMutants(kernel, model, { seconds: 10 });
    expect(verdicts.filter(({ failure }) => failure === undefined)).toEqual([]);
  });
});

describe('the quick models', () => {
  it('take a bounded number of steps together', () => {
    expect(steps).toBeLessThan(MOST_STEPS);
  });
});

describe('the model build', () => {
  it('has models whose names are unique, and each rejects something', () => {
    expect(new Set(models.map(({ name }) => name)).size).toBe(models.length);
    expect(models.filter(({ mutants = [] }) => mutants.length === 0).map(({ name }) => name)).toEqual([]);
  });

  it('has mutants with unique numbers, each of which some model rejects', () => {
    const mutants = Object.entries(layout).filter(([name]) => name.startsWith('MUTANT_'));
    expect(new Set(mutants.map(([, id]) => id)).size).toBe(mutants.length);
    const tried = new Set(models.flatMap(({ mutants = [] }) => mutants.map(({ id }) => id)));
    expect(mutants.filter(([, id]) => !tried.has(id)).map(([name]) => name)).toEqual([]);
  });

  it('and the explorer mean the same accesses', () => {
    expect([LOAD, STORE, RMW, CAS, PLAIN_LOAD, PLAIN_STORE]).toEqual([
      layout.ACCESS_LOAD,
      layout.ACCESS_STORE,
      layout.ACCESS_RMW,
      layout.ACCESS_CAS,
      layout.ACCESS_PLAIN_LOAD,
      layout.ACCESS_PLAIN_STORE,
    ]);
  });

  it('leaves no trace in the release build', () => {
    const importsOf = (path: string): string[] =>
      WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(inBuild(path)))).map(
        ({ module, name }) => `${module}.${name}`,
      );
    // Without these imports no mutant can be chosen and no schedule point be made.
    expect(importsOf('kernel.model.wasm')).toContain('mutants.chosen');
    expect(importsOf('kernel.model.wasm')).toContain('schedule.point');
    expect(importsOf('kernel.release.wasm')).toEqual(['env.memory']);
    expect(importsOf('kernel.debug.wasm')).toEqual(['env.memory']);
  });
});
