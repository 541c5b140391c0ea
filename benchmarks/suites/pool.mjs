import { burst } from '../cases/burst.mjs';
import { bytes } from '../cases/bytes.mjs';
import { echo } from '../cases/echo.mjs';
import { files } from '../cases/files.mjs';
import { forkJoin } from '../cases/fork-join.mjs';
import { idle } from '../cases/idle.mjs';
import { inFlight, workers } from '../cases/in-flight.mjs';
import { memory } from '../cases/memory.mjs';
import { micro } from '../cases/micro.mjs';
import { object10k, object200 } from '../cases/objects.mjs';
import { uneven } from '../cases/uneven.mjs';
import { poolGoals } from './pool-goals.mjs';

export const pool = {
  id: 'pool',
  title: 'Task pools',
  // 'workers' takes the best peer from 'in-flight', which therefore comes before it.
  cases: [
    echo,
    inFlight,
    burst,
    object200,
    object10k,
    bytes,
    uneven,
    files,
    forkJoin,
    memory,
    workers,
    idle,
    micro,
  ],
  goals: poolGoals,
};
