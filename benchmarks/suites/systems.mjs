import { counting } from '../systems/counting.mjs';
import { detection, detectionGoals } from '../systems/detection.mjs';
import { observability, observabilityGoals } from '../systems/observability.mjs';

export const systems = {
  id: 'systems',
  title: 'Systems',
  cases: [detection, observability, counting],
  goals: [...detectionGoals, ...observabilityGoals],
};
