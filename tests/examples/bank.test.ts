// The bank of the example, alone and as `heddle locks demo`.

import { describe, expect, it } from 'vitest';
import { heddle } from '../cli/run-heddle.ts';
import { runExample } from './run-example.ts';

/** The figures of a day, by what stands before them. */
const figures = (stdout: string, what: string): string[] =>
  [...stdout.matchAll(new RegExp(`^ {2}${what} +(.*)$`, 'gm'))].map(([, text]) => text!);

describe('examples/bank', () => {
  it('deadlocks and loses no cent, then cannot deadlock', async () => {
    const { code, stdout, stderr } = await runExample('bank', ['--transfers', '2000', '--seed', '3']);
    expect(stderr).toBe('');
    expect(stdout).toContain('OK: not a cent lost');
    expect(code).toBe(0);
    expect(figures(stdout, 'deadlocks')[0]).toMatch(/^\d+ deadlocks, each resolved/);
    expect(figures(stdout, 'deadlocks')[1]).toBe('none');
    expect(figures(stdout, 'reports')).toEqual([expect.stringMatching(/rings/), 'none']);
    expect(figures(stdout, 'money')).toEqual(
      Array(2).fill('6,000.00 before, 6,000.00 after: not a cent lost'),
    );
    expect(figures(stdout, 'still held')).toEqual(['0 locks', '0 locks']);
    // Both orders with who and where, and the cycle with who holds what.
    // How certain depends on who was first seen where: one teller alone may have closed the ring.
    expect(stdout).toMatch(/lock order: 'account \d' -> 'account \d' -> .*\((certain|possible|same-owner)/);
    expect(stdout.match(/at transfer \(.*tasks\.mjs:\d+:\d+\)/g)!.length).toBeGreaterThan(3);
    expect(stdout).toMatch(/deadlock: \d owners wait for each other/);
    expect(stdout).not.toMatch(/SlotCodec|worker\.node\.js/);
  });

  it('is what `heddle locks demo` shows, plain in a pipe', async () => {
    const { code, stdout, stderr } = await heddle(['locks', 'demo', '--transfers', '1000', '--tellers', '2']);
    expect(stderr).toBe('');
    expect(stdout).toContain('OK: not a cent lost');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what must not be there
    expect(stdout).not.toMatch(/\u001b/);
    expect(code).toBe(0);
  });

  it('is right also when no deadlock came about, which is chance', async () => {
    // One teller alone waits for nobody.
    const { code, stdout, stderr } = await runExample('bank', ['--transfers', '1', '--tellers', '1']);
    expect(stderr).toBe('');
    expect(figures(stdout, 'deadlocks')).toEqual(['none', 'none']);
    expect(stdout).toContain('OK: not a cent lost; no deadlock came about the first way, by chance');
    expect(code).toBe(0);
  });

  it('refuses what is no number of accounts', async () => {
    const { code, stderr } = await heddle(['locks', 'demo', '--accounts', '1']);
    expect(stderr).toContain('must be a whole number from 2 to 20');
    expect(code).toBe(2);
  });
});
