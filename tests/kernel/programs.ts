import fc from 'fast-check';
import { type Action, Shop, type ShopOptions } from './shop.ts';
import type { SteppedKernel } from './stepped.ts';

/** Programs of actions; in the middle of some others act, and where `deaths` some end there. */
export function programs(deaths: boolean, depth = 2): fc.Arbitrary<Action[]> {
  const meanwhile: fc.Arbitrary<Action['meanwhile']> = fc.oneof(
    { weight: deaths ? 2 : 0, arbitrary: fc.constant('die' as const) },
    { weight: depth > 0 ? 2 : 0, arbitrary: depth > 0 ? programs(deaths, depth - 1) : fc.constant([]) },
    { weight: 3, arbitrary: fc.constant(undefined) },
  );
  const worker = fc.record({
    who: fc.nat(2),
    what: fc.nat(31),
    step: fc.integer({ min: 1, max: 50 }),
    meanwhile,
  });
  const main = fc.record({
    who: fc.constant('main' as const),
    what: fc.nat(255),
    // A recovery walks through every slot.
    step: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 4000 })),
    meanwhile: meanwhile.map((what) => (what === 'die' ? undefined : what)),
  });
  return fc.array(fc.oneof({ weight: 5, arbitrary: worker }, { weight: 3, arbitrary: main }), {
    maxLength: depth === 2 ? 60 : 8,
    size: 'max',
  });
}

export const shops: fc.Arbitrary<ShopOptions> = fc.record({
  workers: fc.integer({ min: 1, max: 3 }),
  batch: fc.constantFrom(1, 2, 32),
  firstIndex: fc.constantFrom(0, 0xfffffff0),
});

/** Runs a program to its end, and looks at everything that must be true then. */
export function play(stepped: SteppedKernel, options: ShopOptions, program: readonly Action[]): void {
  const shop = new Shop(stepped, options);
  for (const action of program) shop.act(action);
  shop.settle();
  shop.close();
}
