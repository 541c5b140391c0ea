// A short run of the chaos, and proof that it sees what goes wrong.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const RUN = fileURLToPath(new URL('run.mjs', import.meta.url));

/** Runs the chaos in a process of its own. */
function chaos(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [RUN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const killer = setTimeout(() => child.kill('SIGKILL'), 110_000);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(killer);
      resolve({ code, output });
    });
  });
}

describe('chaos', () => {
  it('20 seconds of it are clean', { timeout: 120_000 }, async () => {
    const { code, output } = await chaos('--seconds', '20', '--seed', '20261123');
    expect(code, output.slice(-20_000)).toBe(0);
    expect(output).toContain('clean: ');
  });

  it.each([
    ['lie', /call #\d+ \(number, triple; .*is not \d+/],
    ['twice', /allowed are \d+ to \d+/],
    ['lose', /is pending for too long/],
    ['leak', /the shared memory is not as empty as it was: an array has \d+ spans/],
    ['listener', /listeners are left: .*SIGUSR2/],
    ['handle', /handles are left: .*Timeout/],
    ['unlocked', /two were under lock \d/],
    ['hold', /locks are left: .*"kept"/],
    ['names', /the tables of locks have grown: of \d+ numbers/],
    ['hoard', /memory is not flat: heap went from/],
  ])('sees it when something is wrong: %s', { timeout: 120_000 }, async (sabotage, seen) => {
    const { code, output } = await chaos(
      '--seconds',
      '4',
      '--seed',
      '5',
      '--sabotage',
      sabotage,
      // Only what is lost has to be waited for: elsewhere a short patience would blame a slow machine.
      ...(sabotage === 'lose' ? ['--patience', '4'] : []),
      '--epochs',
      sabotage === 'hoard' ? '4' : '1',
    );
    expect(code, output.slice(-20_000)).toBe(1);
    expect(output).toMatch(seen);
    expect(output).toMatch(/VIOLATIONS, seed 5/);
  });
});
