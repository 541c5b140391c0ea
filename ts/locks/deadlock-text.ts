import type { DeadlockParty } from '../errors.ts';

const indent = (text: string, by: string): string[] => text.split('\n').map((line) => `${by}${line}`);

/**
 * A cycle as a person reads it on a terminal:
 *
 *     deadlock: 2 owners wait for each other
 *       task 'transfer' on worker 0 of pool 'bank'
 *           holds     lock 'account 1'
 *           waits for lock 'account 2'
 *               at transfer (bank.js:12:9)
 *       task 'transfer' on worker 1 of pool 'bank'
 *           holds     lock 'account 2'
 *           waits for lock 'account 1', which the first of these holds
 *               at transfer (bank.js:12:9)
 */
export function describeCycle(cycle: readonly DeadlockParty[]): string {
  const lines = [`deadlock: ${cycle.length} owners wait for each other`];
  for (const [i, party] of cycle.entries()) {
    lines.push(`  ${party.label}`);
    if (party.holds.length > 0) {
      const list = party.holds.map((name) => `'${name}'`).join(', ');
      lines.push(`      holds     ${party.holds.length === 1 ? 'lock' : 'locks'} ${list}`);
      if (party.heldSince !== undefined)
        lines.push('        taken', ...indent(party.heldSince, '          '));
    }
    const back = i === cycle.length - 1 && party.wait === 'lock' ? ', which the first of these holds' : '';
    const timed = party.breakable ? ' (has a timeout or a signal)' : '';
    lines.push(`      waits for ${party.waitsFor}${back}${timed}`);
    if (party.stack !== undefined) lines.push(...indent(party.stack, '          '));
  }
  return lines.join('\n');
}
