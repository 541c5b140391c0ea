import { deadlock } from '../cases/deadlock.mjs';
import { lockAsync } from '../cases/lock-async.mjs';
import { lockChecks } from '../cases/lock-checks.mjs';
import { lockContended } from '../cases/lock-contended.mjs';
import { lockMemory } from '../cases/lock-memory.mjs';
import { lockOrder } from '../cases/lock-order.mjs';
import { lockPair } from '../cases/lock-pair.mjs';
import { lockGoals } from './lock-goals.mjs';

export const locks = {
  id: 'locks',
  title: 'Locks',
  cases: [lockPair, lockChecks, lockAsync, lockContended, deadlock, lockOrder, lockMemory],
  goals: lockGoals,
};
