import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HEADER_FIRST_SPAN,
  HEADER_SPAN_COUNT,
  HEADER_SPAN_HINT,
  OWNER_SHARED,
  SPAN_SIZE,
} from '../../build/generated/layout.ts';
import type { Kernel } from '../../ts/kernel/kernel.ts';
import { MIB, openKernel, setWord, word } from './harness.ts';

interface Run {
  readonly span: number;
  readonly count: number;
  readonly owner: number;
}

/** What the span table should say. */
interface Model {
  readonly runs: Run[];
  readonly first: number;
  readonly end: number;
}

/** Span numbers that a run occupies. */
const spansOf = ({ span, count }: Run): number[] => Array.from({ length: count }, (_, i) => span + i);

const longestGap = (model: Model): number => {
  const used = new Set(model.runs.flatMap(spansOf));
  let longest = 0;
  let gap = 0;
  for (let span = model.first; span < model.end; span++) {
    gap = used.has(span) ? 0 : gap + 1;
    longest = Math.max(longest, gap);
  }
  return longest;
};

class Claim implements fc.Command<Model, Kernel> {
  readonly count: number;
  readonly owner: number;

  constructor(count: number, owner: number) {
    this.count = count;
    this.owner = owner;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, kernel: Kernel): void {
    const address = kernel.calls.claimSpans(this.count, this.owner) >>> 0;
    if (address === 0) {
      expect(longestGap(model)).toBeLessThan(this.count);
      return;
    }
    expect(address % SPAN_SIZE).toBe(0);
    const run = { span: address / SPAN_SIZE, count: this.count, owner: this.owner };
    expect(run.span).toBeGreaterThanOrEqual(model.first);
    expect(run.span + run.count).toBeLessThanOrEqual(model.end);
    const used = new Set(model.runs.flatMap(spansOf));
    for (const span of spansOf(run)) expect(used.has(span), `span ${span} has two owners`).toBe(false);
    model.runs.push(run);
    verify(model, kernel);
  }

  toString(): string {
    return `claim(${this.count}, ${this.owner})`;
  }
}

class Release implements fc.Command<Model, Kernel> {
  readonly pick: number;

  constructor(pick: number) {
    this.pick = pick;
  }

  check(model: Readonly<Model>): boolean {
    return model.runs.length > 0;
  }

  run(model: Model, kernel: Kernel): void {
    const [run] = model.runs.splice(this.pick % model.runs.length, 1);
    kernel.calls.releaseSpans(run!.span * SPAN_SIZE, run!.count);
    verify(model, kernel);
  }

  toString(): string {
    return `release(${this.pick})`;
  }
}

/** The hint is only a hint: whatever it says, spans are found. */
class Mislead implements fc.Command<Model, Kernel> {
  readonly hint: number;

  constructor(hint: number) {
    this.hint = hint;
  }

  check(): boolean {
    return true;
  }

  run(_: Model, kernel: Kernel): void {
    setWord(kernel, HEADER_SPAN_HINT, this.hint);
  }

  toString(): string {
    return `hint(${this.hint})`;
  }
}

function verify(model: Model, kernel: Kernel): void {
  const owners = new Map(model.runs.flatMap((run) => spansOf(run).map((span) => [span, run.owner])));
  for (let span = model.first; span < model.end; span++) {
    expect(kernel.calls.ownerOf(span * SPAN_SIZE)).toBe(owners.get(span) ?? 0);
  }
  expect(kernel.calls.usedSpans()).toBe(owners.size);
}

describe('spans', () => {
  it('runs never overlap, are found while they fit, and come back', async () => {
    const kernel = await openKernel(4 * MIB);
    const first = word(kernel, HEADER_FIRST_SPAN);
    const end = word(kernel, HEADER_SPAN_COUNT);
    expect(end).toBe(64);
    const owner = fc.constantFrom(1, 7, 255, OWNER_SHARED);
    const commands = fc.commands(
      [
        fc.tuple(fc.integer({ min: 1, max: 12 }), owner).map((args) => new Claim(...args)),
        fc.nat(1000).map((pick) => new Release(pick)),
        fc.integer({ min: 0, max: 80 }).map((hint) => new Mislead(hint)),
      ],
      { maxCommands: 60 },
    );
    fc.assert(
      fc.property(commands, (program) => {
        const model: Model = { runs: [], first, end };
        fc.modelRun(() => ({ model, real: kernel }), program);
        for (const run of model.runs) kernel.calls.releaseSpans(run.span * SPAN_SIZE, run.count);
        expect(kernel.calls.usedSpans()).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('the whole memory can be claimed as one run, and nothing beyond it', async () => {
    const kernel = await openKernel(4 * MIB);
    const all = word(kernel, HEADER_SPAN_COUNT) - word(kernel, HEADER_FIRST_SPAN);
    expect(kernel.calls.claimSpans(all + 1, 1)).toBe(0);
    expect(kernel.calls.claimSpans(65535, 1)).toBe(0);
    expect(kernel.calls.usedSpans()).toBe(0);
    const run = kernel.calls.claimSpans(all, 1);
    expect(run).not.toBe(0);
    expect(kernel.calls.claimSpans(1, 2)).toBe(0);
    kernel.calls.releaseSpans(run, all);
    expect(kernel.calls.usedSpans()).toBe(0);
  });

  it('a memory too small for the tables is refused', async () => {
    await expect(openKernel(MIB / 2).then(() => 'opened')).rejects.toThrow('memoryBytes');
  });
});
