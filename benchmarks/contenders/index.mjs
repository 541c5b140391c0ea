import { contenders as heddle } from './heddle.mjs';
import { contenders as inline } from './inline.mjs';
import { contenders as locks } from './locks.mjs';
import { contenders as piscina } from './piscina.mjs';
import { contenders as poolifier } from './poolifier.mjs';
import { contenders as raw } from './raw.mjs';
import { contenders as tinypool } from './tinypool.mjs';
import { contenders as workerpool } from './workerpool.mjs';

/** Every contender in the order of the tables. */
export const contenders = [
  ...heddle,
  ...piscina,
  ...tinypool,
  ...workerpool,
  ...poolifier,
  ...raw,
  ...inline,
  ...locks,
];
