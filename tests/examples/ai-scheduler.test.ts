import { describe, expect, it } from 'vitest';
import { runExample } from './run-example.ts';

describe('examples/ai-scheduler', () => {
  it('clusters cities on any number of threads as a serial run does', async () => {
    const { code, stdout, stderr } = await runExample('ai-scheduler', [
      '--cities=4000',
      '--clusters=12',
      '--threads=3',
    ]);
    expect(stderr).toBe('');
    expect(stdout.match(/^\d threads? .*the same$/gm)).toHaveLength(3);
    expect(stdout).toContain('OK: every run equals the serial one');
    expect(code).toBe(0);
    const entered = Number(/entered ([\d,]+) times/.exec(stdout)?.[1]?.replaceAll(',', ''));
    expect(entered).toBeGreaterThan(10);
  });
});
