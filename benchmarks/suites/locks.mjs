import { lockOrder } from '../cases/lock-order.mjs';
import { lockOrderGoals } from './lock-order-goals.mjs';

export const locks = {
  id: 'locks',
  title: 'Locks',
  cases: [lockOrder],
  goals: lockOrderGoals,
};
