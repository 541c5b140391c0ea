import { parentPort } from 'node:worker_threads';
import * as tasks from '../../tasks.mjs';

parentPort.on('message', ({ id, name, arg }) => {
  try {
    parentPort.postMessage({ id, value: tasks[name](arg) });
  } catch (error) {
    parentPort.postMessage({ id, error });
  }
});
