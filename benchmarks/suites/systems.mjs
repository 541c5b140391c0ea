import { detection, detectionGoals } from '../systems/detection.mjs';

export const systems = {
  id: 'systems',
  title: 'Systems',
  cases: [detection],
  goals: detectionGoals,
};
