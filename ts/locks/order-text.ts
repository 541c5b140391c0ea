import type { LockOrderFault, LockOrderStep } from '../errors.ts';

const indent = (text: string, by: string): string[] => text.split('\n').map((line) => `${by}${line}`);

const SEVERITIES: Readonly<Record<LockOrderFault['severity'], string>> = {
  certain: 'certain: given bad luck, its owners wait for each other for ever',
  possible: 'possible: seen with other locks of these classes',
  gated: 'gated: each time under one and the same other lock',
  'same-owner': 'same-owner: nobody else was seen to take them',
};

/**
 * A fault of order as a person reads it on a terminal:
 *
 *     lock order: 'account 1' -> 'account 2' -> 'account 1' (certain: given bad luck, its owners wait for each other for ever)
 *       now       lock 'account 1' under 'account 2'
 *                   task 'transfer' on worker 1 of pool 'bank'
 *                     at transfer (bank.js:12:9)
 *       41 times  lock 'account 2' under 'account 1', first
 *                   task 'transfer' on worker 0 of pool 'bank'
 *                     at transfer (bank.js:12:9)
 */
export function describeFault(fault: LockOrderFault): string {
  const lines = [headline(fault)];
  const width = Math.max(...fault.steps.map((step) => times(step).length));
  for (const step of fault.steps) lines.push(...describeStep(step, fault, width));
  return lines.join('\n');
}

function headline({ kind, severity, granularity, steps, rules }: LockOrderFault): string {
  const first = steps[0]!;
  if (kind === 'rule') {
    const list = rules.map((name) => `'${name}'`).join(', ');
    return `lock order: '${first.taken}' is taken under '${first.held}', against ${rules.length === 1 ? 'rule' : 'rules'} ${list}`;
  }
  if (kind === 'key') {
    return `lock order: '${first.taken}' is taken under '${first.held}', whose key in their class is greater; take locks of a class by rising keys`;
  }
  // The ring in the direction in which locks are taken.
  const ring = [...steps.map(({ held }) => `'${held}'`), `'${first.held}'`].join(' -> ');
  return `lock order: ${granularity === 'class' ? 'classes ' : ''}${ring} (${SEVERITIES[severity]})`;
}

function times({ isNow, count }: LockOrderStep): string {
  if (isNow) return 'now';
  return count === 1 ? 'once' : `${count} times`;
}

function describeStep(step: LockOrderStep, fault: LockOrderFault, width: number): string[] {
  const what = fault.granularity === 'class' ? 'class' : 'lock';
  const hasSight = step.owner !== undefined || step.stack !== undefined;
  const lines = [
    `  ${times(step).padEnd(width)}  ${what} '${step.taken}' under '${step.held}'${hasSight && !step.isNow ? ', first' : ''}`,
  ];
  const by = ' '.repeat(width + 6);
  if (step.owner !== undefined) lines.push(`${by}${step.owner}`);
  if (step.stack !== undefined) lines.push(...indent(step.stack, `${by}  `));
  return lines;
}
