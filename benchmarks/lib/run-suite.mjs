import { limit } from '../contenders/limit.mjs';
import { Agents } from './agents.mjs';
import { Results } from './results.mjs';

const defaultBestPeer = 'tinypool-512';

/**
 * Runs the cases of a suite: in every round of a case each contender has one turn, in an order that moves on from
 * round to round, so that a disturbance of the machine meets all of them.
 *
 * @param {{ cases: import('../cases/case.d.ts').Case[], contenders: import('../contenders/contender.d.ts').Contender[], mode: 'quick' | 'full', threads: number, progress: import('./progress.mjs').Progress }} options
 */
export async function runSuite({ cases, contenders, mode, threads, progress }) {
  const results = new Results([...contenders, limit]);
  const agents = new Agents();
  try {
    for (const definition of cases) {
      const bestPeer = results.best('in-flight', 'in-flight', 'rate') ?? defaultBestPeer;
      const takingIn = (variant) => [
        ...contenders.filter((contender) => definition.includes(contender, { bestPeer, mode, variant })),
        ...(definition.usesLimit ? [limit] : []),
      ];
      progress.startCase(definition);
      for (const variant of definition.variants(mode, threads)) {
        const taking = takingIn(variant);
        if (taking.length === 0) continue;
        const samples = results.addVariant(definition, variant);
        await runVariant({ definition, variant, taking, mode, threads, progress, agents, samples });
      }
      progress.endCase(definition);
    }
  } finally {
    progress.end();
    await agents.close();
  }
  return results;
}

async function runVariant({ definition, variant, taking, mode, threads, progress, agents, samples }) {
  const rounds = definition.rounds[mode];
  const givenUp = new Map();
  for (let round = 0; round < rounds; round++) {
    const answers = new Map();
    for (const contender of rotate(taking, round, rounds)) {
      progress.turn({ definition, variant, round, rounds, contender });
      const answer =
        givenUp.get(contender.id) ?? (await takeTurn(agents, definition, variant, contender, threads));
      // A second hang would only cost the time of another limit.
      if (answer.error?.startsWith('no result within'))
        givenUp.set(contender.id, { ...answer, error: `not tried after ${answer.error}` });
      answers.set(contender.id, answer);
    }
    for (const [contender, answer] of answers)
      samples.push({ round, contender, ...derive(definition, variant, threads, contender, answer, answers) });
  }
}

function takeTurn(agents, definition, variant, contender, threads) {
  return agents.turn({
    caseId: definition.id,
    contenderId: contender.id,
    threads: variant.threads ?? threads,
    params: variant.params,
    timeoutMs: definition.timeoutMs,
    isolate: definition.isolate === true,
  });
}

function derive(definition, variant, threads, contenderId, answer, answers) {
  if (definition.derive === undefined || answer.metrics === undefined) return answer;
  const round = new Map();
  for (const [id, { metrics }] of answers) if (metrics !== undefined) round.set(id, metrics);
  try {
    const context = { threads: variant.threads ?? threads, contenderId };
    return { ...answer, metrics: definition.derive(answer.metrics, round, context) };
  } catch (error) {
    return { error: error.message };
  }
}

/** Spreads the starting points of all rounds over the list. */
function rotate(list, round, rounds) {
  const start = Math.floor((round * list.length) / rounds) % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}
