import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CELL_BOOL,
  CELL_INT32,
  CELL_KIND_CLASH,
  CELL_NAME_CAPACITY,
  CELL_SIZE,
  CELL_TABLE_FULL,
  CELLS,
  CELLS_END,
  KIND_WORKER,
  MAX_CELLS,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { MIB, openKernel } from './harness.ts';

interface Table {
  readonly kernel: Kernel;
  find(name: string | Uint8Array, kind: number): number;
}

async function openTable(): Promise<Table> {
  const kernel = await openKernel(4 * MIB);
  const agent = kernel.calls.claimAgent(KIND_WORKER, 0);
  const encoder = new TextEncoder();
  return {
    kernel,
    find(name, kind) {
      const bytes = typeof name === 'string' ? encoder.encode(name) : name;
      const text = kernel.calls.allocate(agent, bytes.length);
      kernel.u8.set(bytes, text);
      const cell = kernel.calls.findCell(text, bytes.length, kind);
      // The name is lent for the call only.
      kernel.u8.fill(0xee, text, text + bytes.length);
      kernel.calls.release(agent, text);
      return cell;
    },
  };
}

describe('cells', () => {
  it('a name is one cell for ever, its kind is fixed, and cells are apart', async () => {
    // Few names, so that programs meet the same ones; bytes at random, so that prefixes and zeros occur.
    const name = fc
      .oneof(
        fc.constantFrom('a', 'b', 'ab', 'ba', 'a\0', 'ä', 'counter', 'x'.repeat(CELL_NAME_CAPACITY)),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
      )
      .map((text) => new TextEncoder().encode(text));
    const kind = fc.constantFrom(CELL_INT32, CELL_BOOL);
    const table = await openTable();
    const made = new Map<string, { kind: number; cell: number }>();
    const taken = new Set<number>();
    fc.assert(
      fc.property(fc.array(fc.tuple(name, kind), { maxLength: 4 }), (finds) => {
        for (const [bytes, wanted] of finds) {
          const key = Buffer.from(bytes).toString('hex');
          const known = made.get(key);
          const cell = table.find(bytes, wanted);
          if (known === undefined && made.size < MAX_CELLS) {
            expect(cell).toBeGreaterThanOrEqual(CELLS);
            expect(cell).toBeLessThan(CELLS_END);
            expect((cell - CELLS) % CELL_SIZE).toBe(0);
            expect(taken.has(cell)).toBe(false);
            taken.add(cell);
            expect(table.kernel.calls.cellLoad(cell)).toBe(0);
            made.set(key, { kind: wanted, cell });
          } else if (known !== undefined) {
            expect(cell).toBe(known.kind === wanted ? known.cell : CELL_KIND_CLASH);
          }
        }
      }),
      { numRuns: 400 },
    );
  });

  it('holds MAX_CELLS names; the next one is refused, and the old ones are still found', async () => {
    const { find } = await openTable();
    const cells = new Set<number>();
    for (let i = 0; i < MAX_CELLS; i++) cells.add(find(`cell ${i}`, CELL_INT32));
    expect(cells.size).toBe(MAX_CELLS);
    expect(find('one more', CELL_INT32)).toBe(CELL_TABLE_FULL);
    for (let i = 0; i < MAX_CELLS; i++) expect(cells.has(find(`cell ${i}`, CELL_INT32))).toBe(true);
    expect(find('cell 1', CELL_BOOL)).toBe(CELL_KIND_CLASH);
  });

  it('tells names of the greatest length apart by their last byte, and leaves the value next to them alone', async () => {
    const { kernel, find } = await openTable();
    const long = 'n'.repeat(CELL_NAME_CAPACITY - 1);
    const a = find(`${long}a`, CELL_INT32);
    kernel.calls.cellStore(a, -1);
    const b = find(`${long}b`, CELL_INT32);
    expect(b).not.toBe(a);
    expect(find(long, CELL_INT32)).not.toBe(a);
    expect(kernel.calls.cellLoad(find(`${long}a`, CELL_INT32))).toBe(-1);
    expect(kernel.calls.cellLoad(b)).toBe(0);
  });

  it('is an int32: every operation wraps, and answers what it says', async () => {
    const { kernel, find } = await openTable();
    const { calls } = kernel;
    const cell = find('int', CELL_INT32);
    const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    const operation = fc.oneof(
      fc.tuple(fc.constant('add' as const), int32, int32),
      fc.tuple(fc.constant('store' as const), int32, int32),
      fc.tuple(fc.constant('swap' as const), int32, int32),
      fc.tuple(fc.constant('cas' as const), int32, int32),
      fc.tuple(fc.constant('cas current' as const), int32, int32),
    );
    fc.assert(
      fc.property(fc.array(operation), (program) => {
        let value = calls.cellLoad(cell);
        for (const [kind, a, b] of program) {
          if (kind === 'add') {
            value = (value + a) | 0;
            expect(calls.cellAdd(cell, a)).toBe(value);
          } else if (kind === 'store') {
            calls.cellStore(cell, a);
            value = a;
          } else if (kind === 'swap') {
            expect(calls.cellSwap(cell, a)).toBe(value);
            value = a;
          } else {
            const expected = kind === 'cas' ? b : value;
            expect(calls.cellCas(cell, expected, a)).toBe(expected === value ? 1 : 0);
            if (expected === value) value = a;
          }
          expect(calls.cellLoad(cell)).toBe(value);
        }
      }),
      { numRuns: 200 },
    );
  });
});
