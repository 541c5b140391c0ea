/** The results of a run as lines of text, and as a table for the documentation. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Row, Verdict } from './check.ts';

const BEGIN = '<!-- models: begin -->';
const END = '<!-- models: end -->';

/** One search as one line. */
export function line(row: Row): string {
  const state =
    row.failure !== undefined
      ? 'FAILED'
      : row.complete
        ? 'complete'
        : row.isSample
          ? 'sampled'
          : 'not finished';
  return [
    row.model.padEnd(26),
    `${row.threads} threads`,
    (row.isSample ? 'random' : `bound ${row.bound ?? 'none'}`).padEnd(10),
    `${row.executions} executions`.padStart(20),
    `${row.steps} steps`.padStart(18),
    `${row.seconds.toFixed(1)} s`.padStart(9),
    ` ${state}`,
  ].join(' ');
}

/** All searches as a table of Markdown. `verdicts`: by model. */
export function table(rows: readonly Row[], verdicts: ReadonlyMap<string, readonly Verdict[]>): string {
  const lines = [
    '| structure | model | property | threads | preemptions | executions | steps | seconds | all of them | mutants rejected |',
    '| --- | --- | --- | --: | --: | --: | --: | --: | --- | --- |',
  ];
  for (const [i, row] of rows.entries()) {
    // The mutants stand in the last row of their model.
    const isLast = rows[i + 1]?.model !== row.model;
    const mutants = isLast
      ? (verdicts.get(row.model) ?? [])
          .map(({ mutant, failure }) => (failure === undefined ? `**not: ${mutant}**` : mutant))
          .join(', ')
      : '';
    const cells = [
      row.structure,
      `\`${row.model}\``,
      row.property,
      row.threads,
      row.isSample ? 'random' : (row.bound ?? 'any'),
      row.executions.toLocaleString('en'),
      row.steps.toLocaleString('en'),
      row.seconds.toFixed(1),
      row.failure !== undefined ? '**fails**' : row.complete ? 'yes' : 'no',
      mutants,
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}

/** What a whole run took, for the terminal and under the table. */
export function summary(rows: readonly Row[], mutants: number, wallSeconds: number, threads: number): string {
  const searches = rows.filter(({ isSample }) => !isSample);
  const samples = rows.filter(({ isSample }) => isSample);
  const sum = (of: (row: Row) => number, list = rows): number =>
    list.reduce((total, row) => total + of(row), 0);
  const steps = sum(({ allSteps }) => allSteps);
  const busy = sum(({ seconds }) => seconds);
  const millions = (count: number): string => (count / 1e6).toFixed(2);
  const sampled = sum(({ executions }) => executions, samples).toLocaleString('en');
  return (
    `${searches.length} searches, ${mutants} mutants, and ${sampled} random and PCT schedules with fixed seeds, in ${wallSeconds.toFixed(1)} s ` +
    `with ${threads} threads; ${steps.toLocaleString('en')} steps, ` +
    `${millions(steps / busy)} million a second in each thread (mutants apart)`
  );
}

/** Puts the table between the markers of a file, or makes the file. */
export function writeTable(file: string, text: string): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : `${BEGIN}\n${END}\n`;
  const [from, to] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${file} has no ${BEGIN} ... ${END}`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${before.slice(0, from + BEGIN.length)}\n${text}${before.slice(to)}`);
}
