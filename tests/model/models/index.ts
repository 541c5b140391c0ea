/** All models, in the order of the table. */
import type { ModelExports } from '../../../build/generated/model-exports.ts';
import type { AnyModel } from '../explorer/types.ts';
import { arenaModels, spanModels } from './arena.ts';
import { cellModels } from './cells.ts';
import { completionModels } from './completions.ts';
import { dequeModels } from './deque.ts';
import { lockTableModels } from './lock-table.ts';
import { mutexModels } from './mutex.ts';
import { orderModels } from './order.ts';
import { orderRemovalModels } from './order-removal.ts';
import { ownerModels } from './owners.ts';
import { parkingModels } from './parking.ts';
import { placementModels } from './placement.ts';
import { recoveryModels } from './recovery.ts';
import { shutdownModels } from './shutdown.ts';
import { slotModels } from './slots.ts';
import { waitsModels } from './waits.ts';

export const models: readonly AnyModel<ModelExports>[] = [
  ...dequeModels,
  ...completionModels,
  ...parkingModels,
  ...placementModels,
  ...slotModels,
  ...cellModels,
  ...arenaModels,
  ...spanModels,
  ...orderModels,
  ...orderRemovalModels,
  ...shutdownModels,
  ...recoveryModels,
  ...lockTableModels,
  ...ownerModels,
  ...mutexModels,
  ...waitsModels,
];
