import { locks } from './locks.mjs';
import { pool } from './pool.mjs';
import { systems } from './systems.mjs';

export const suites = { pool, locks, systems };

/** Every case of every suite: what an agent can be asked for. */
export const cases = Object.values(suites).flatMap((suite) => suite.cases);
