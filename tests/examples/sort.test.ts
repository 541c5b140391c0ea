import { describe, expect, it } from 'vitest';
import { runExample } from './run-example.ts';

describe('examples/sort', () => {
  // Up to 65,535 keys the task does not fork.
  it.each([0, 1, 1000, 300_000])('sorts %i keys as the built-in sort does', async (length) => {
    const { code, stdout, stderr } = await runExample('sort', ['--length', String(length)]);
    expect(stderr).toBe('');
    expect(stdout).toContain('OK: both runs equal the serial sort');
    expect(code).toBe(0);
    if (length === 300_000) expect(Number(/(\d+) forks,/.exec(stdout)?.[1])).toBeGreaterThan(3);
  });

  it('checks itself with a task module in TypeScript where Node strips types, and says so where it does not', async () => {
    const strips = Boolean((process.features as { typescript?: unknown }).typescript);
    const { stdout } = await runExample('sort', ['--length', '100000']);
    expect(stdout).toMatch(
      strips ? /TypeScript task module: 0 faults found/ : /TypeScript task module: left out/,
    );
  });
});
